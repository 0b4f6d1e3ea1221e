"""Orders of the columns that make conditional distributions easy to learn."""

import numpy as np

from .costs import cost_table
from .counters import counter_of
from .multisets import n_rows

COST_BITS = 40  # of the fixed point of `mutual_information`


def pairwise_information(codes, n_categories, cost, threads=1, weight=None):
    """Mutual information of every two columns in the training rows.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8, or RowsInBlocks
    n_categories : ndarray of shape (n_columns,), int32
    cost : Costs
        c -> c log c in fixed point, of the sum of the weights.
    threads : int
    weight : ndarray of shape (n_rows,), int32, or None
        Rows that each row stands for.

    Returns
    -------
    information : ndarray of shape (n_columns, n_columns), int64
        Of all rows, in the cost's units times 2**(n_columns.bit_length()), so that a sum over columns cannot overflow.
        The diagonal is 0.
    """
    n_columns = codes.shape[1]
    counter = counter_of(codes, n_categories, threads, weight)
    counts, first = counter.counts[0].astype(np.int64), counter.first_category
    binary = n_categories == 2
    candidate = first[counter.plane_column] + np.arange(counter.n_planes) - counter.first_plane[counter.plane_column]
    joint = np.zeros((n_columns, n_columns), dtype=np.int64)  # sum over cells of n log n
    for slab in counter.slabs:
        (table,) = counter.cooccurrences([0], slab)
        here = slice(*slab)
        in_column, n_with = counter.plane_column[here], counts[candidate[here]]
        ends = np.searchsorted(in_column, np.arange(n_columns + 1))
        for j in range(n_columns):
            # of a binary column only the first category is counted, of either column of the pair
            both = table[counter.first_plane[j] : counter.first_plane[j + 1], : len(in_column)]
            if binary[j]:
                both = np.vstack([both, n_with - both])
            cells = cost.of(both)
            other = binary[in_column]
            cells[:, other] += cost.of((counts[first[j] : first[j + 1], None] - both)[:, other]) if len(both) else 0
            sums = np.concatenate(([0], np.cumsum(cells.sum(axis=0))))
            joint[j] += sums[ends[1:]] - sums[ends[:-1]]
    marginal = np.add.reduceat(cost.of(counts), first[:-1])
    information = joint - marginal[:, None] - marginal + cost.of(n_rows(codes, weight))
    np.fill_diagonal(information, 0)
    varied = n_categories > 1
    return np.where(varied & varied[:, None], information, 0) >> n_columns.bit_length()


def mutual_information(codes, n_categories, threads=1):
    """Mutual information of every two columns in the rows of a table.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories : ndarray of shape (n_columns,), int32
    threads : int

    Returns
    -------
    information : ndarray of shape (n_columns, n_columns), float64
        Nats. The diagonal is 0.
    """
    cost = cost_table(len(codes), 1, COST_BITS)
    information = pairwise_information(codes, n_categories, cost, threads)
    return np.ldexp(information.astype(np.float64), codes.shape[1].bit_length() - cost.bits) / len(codes)


def context_first(order, n_context):
    """An order of all columns but the last ``n_context``, after these: ndarray of shape (n_columns,), int32."""
    n = len(order)
    return np.concatenate([np.arange(n, n + n_context), order]).astype(np.int32)


def informative_order(information, n_context=0):
    """The order in which each next column shares most mutual information, in sum, with those before it.

    The first is the column that shares most with all others. What a tree can say of a column then stands before it.

    Parameters
    ----------
    information : ndarray of shape (n_columns, n_columns)
    n_context : int
        The last columns, which come first as they are.

    Returns
    -------
    order : ndarray of shape (n_columns,), int32
    """
    n = len(information) - n_context
    shared = information[:, n:].sum(axis=1) if n_context else information.sum(axis=1)
    order = context_first(np.zeros(n), n_context)
    left = np.arange(len(order)) < n
    for t in range(n_context, len(order)):
        candidates = np.flatnonzero(left)
        order[t] = candidates[shared[candidates].argmax()]
        left[order[t]] = False
        shared = information[order[t]] + (shared if t else 0)
    return order
