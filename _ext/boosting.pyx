"""Least-squares boosting of small trees on codes (Friedman, Annals of Statistics 29, 2001).

Targets and what trees say are integers, as quantised training has gradients (Shi et al., NeurIPS 2022): sums over rows
are the same in any order. A tree is grown best first: of all leaves the one whose split gains most is split next. The
smaller child's histogram is counted, and the larger one's is what is left of the parent's.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from _ext.asked cimport Question, equality, goes_left, n_equalities, n_ranges, up_to

cdef enum:
    LOSS_SHIFT = 6  # bits of what is left that squares do without, so that their sum fits


# How many rows have a code, and the sum of what is left of their targets.
ctypedef struct Bin:
    int64_t sum
    int64_t n


ctypedef struct Leaf:
    int64_t start, end     # of its rows
    int64_t bins           # where its histogram starts
    Bin all
    Question best
    double gain            # 0 where nothing is worth asking
    int32_t parent, side   # the inner node that it hangs on


def boost(const uint8_t[:, ::1] codes, const int32_t[::1] n_codes, const int32_t[::1] n_ordered, int32_t[::1] left,
          const uint8_t[:, ::1] unseen, int32_t[::1] unseen_left, int64_t n_rounds, int64_t patience, int64_t n_leaves,
          int64_t min_rows, int64_t ridge, int64_t slowness):
    """Trees, each on what is left by those before it.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_codes, n_ordered : ndarray of shape (n_columns,), int32
        How many codes each column has, and how many of them, the first, are in order.
    left : ndarray of shape (n_rows,), int32
        Targets; what is left of them when it returns.
    unseen, unseen_left
        The same of rows that are held out; with none, there are ``n_rounds`` trees.
    n_rounds : int
        Most trees.
    patience : int
        Trees that may come to nothing for the unseen rows before the last that helped is the last of all.
    n_leaves, min_rows : int
        Most leaves of a tree, and fewest rows of each.
    ridge : int
        Rows' worth of nothing that each leaf sees besides its own.
    slowness : int
        A leaf says so many times less than its rows' mean.

    Returns
    -------
    n_inner : ndarray of shape (n_trees,), int64
    column, low, high, children
        Of the inner nodes, tree after tree, as `Conditionals` has them.
    value : ndarray of int32
        Of each leaf, tree after tree.
    """
    cdef int64_t n_rows = codes.shape[0], n_columns = codes.shape[1], r, i, n_trees = 0, best_trees = 0, inner
    cdef int64_t most = n_leaves - 1
    if (left.shape[0] != n_rows or unseen_left.shape[0] != unseen.shape[0] or n_leaves < 2
            or not n_codes.shape[0] == n_ordered.shape[0] == unseen.shape[1] == n_columns):
        raise ValueError("rows and targets do not fit each other")
    inners, columns = np.zeros(n_rounds, dtype=np.int64), np.zeros(n_rounds * most, dtype=np.int32)
    lows, highs = np.zeros((2, n_rounds * most), dtype=np.uint8)
    below, values = np.zeros((n_rounds * most, 2), dtype=np.int32), np.zeros(n_rounds * n_leaves, dtype=np.int32)
    reached = np.array(unseen_left)
    first_bin = np.concatenate(([0], np.cumsum(n_codes, dtype=np.int64)))
    cdef int64_t[::1] n_inner = inners, first = first_bin
    cdef int32_t[::1] column = columns, value = values, kept = reached
    cdef uint8_t[::1] low = lows, high = highs
    cdef int32_t[:, ::1] children = below
    cdef int32_t[::1] row = np.empty(n_rows, dtype=np.int32), other = np.empty(n_rows, dtype=np.int32)
    cdef int64_t[::1] histograms = np.zeros(2 * n_leaves * int(np.sum(n_codes)), dtype=np.int64)
    cdef uint8_t[::1] records = np.zeros(n_leaves * sizeof(Leaf), dtype=np.uint8)
    cdef Bin *bins = <Bin *> &histograms[0]
    cdef Leaf *leaves = <Leaf *> &records[0]
    cdef double loss, least
    with nogil:
        least = squares(unseen_left)
        while n_trees < n_rounds:
            inner = grow(codes, n_codes, n_ordered, first, left, row, other, bins, leaves, n_leaves, min_rows, ridge,
                         &column[n_trees * most], &low[n_trees * most], &high[n_trees * most],
                         &children[n_trees * most, 0])
            if inner == 0:
                break
            for i in range(inner + 1):
                value[n_trees * n_leaves + i] = <int32_t> (leaves[i].all.sum / ((leaves[i].all.n + ridge) * slowness))
                for r in range(leaves[i].start, leaves[i].end):
                    left[row[r]] -= value[n_trees * n_leaves + i]
            for r in range(unseen.shape[0]):
                i = leaf_of(&unseen[r, 0], &column[n_trees * most], &low[n_trees * most], &high[n_trees * most],
                            &children[n_trees * most, 0])
                unseen_left[r] -= value[n_trees * n_leaves + i]
            n_inner[n_trees] = inner
            n_trees += 1
            loss = squares(unseen_left)
            if unseen.shape[0] == 0 or loss < least:
                least, best_trees = loss, n_trees
                kept[:] = unseen_left
            elif n_trees - best_trees >= patience:
                break
    unseen_left[:] = kept
    inners = inners[:best_trees]
    told = (np.arange(most) < inners[:, None]).ravel()
    nodes = slice(best_trees * most)
    values = values.reshape(n_rounds, n_leaves)[:best_trees][np.arange(n_leaves) <= inners[:, None]]
    return inners, columns[nodes][told], lows[nodes][told], highs[nodes][told], below[nodes][told], values


cdef inline int64_t leaf_of(const uint8_t *codes, const int32_t *column, const uint8_t *low, const uint8_t *high,
                            const int32_t *children) noexcept nogil:
    """Leaf of a row in a tree that has inner nodes."""
    cdef int64_t node = 0
    while node >= 0:
        node = children[2 * node + (0 if goes_left(Question(column[node], low[node], high[node]), codes[column[node]])
                                    else 1)]
    return ~node


cdef double squares(const int32_t[::1] left) noexcept nogil:
    """Sum of squares, but for what is too small to count."""
    cdef int64_t total = 0, part, r
    for r in range(left.shape[0]):
        part = left[r] >> LOSS_SHIFT
        total += part * part
    return <double> total


cdef int64_t grow(const uint8_t[:, ::1] codes, const int32_t[::1] n_codes, const int32_t[::1] n_ordered,
                  const int64_t[::1] first, const int32_t[::1] left, int32_t[::1] row, int32_t[::1] other,
                  Bin *bins, Leaf *leaves, int64_t n_leaves, int64_t min_rows, int64_t ridge, int32_t *column,
                  uint8_t *low, uint8_t *high, int32_t *children) noexcept nogil:
    """One tree; how many inner nodes it has. Its rows stand leaf after leaf in ``row``."""
    cdef int64_t n_rows = codes.shape[0], width = first[n_codes.shape[0]], n = 1, r, i, at, ends, b, smaller
    cdef Leaf *leaf
    cdef Leaf *fresh
    cdef Question asked
    for r in range(n_rows):
        row[r] = <int32_t> r
    leaf = &leaves[0]
    leaf.start, leaf.end, leaf.bins, leaf.parent = 0, n_rows, 0, -1
    leaf.all.sum, leaf.all.n = 0, n_rows
    for r in range(n_rows):
        leaf.all.sum += left[r]
    count(codes, first, left, row, 0, n_rows, &bins[0], width)
    choose(leaf, &bins[0], n_codes, n_ordered, first, min_rows, ridge)
    while n < n_leaves:
        at = 0
        for i in range(1, n):
            if leaves[i].gain > leaves[at].gain:
                at = i
        leaf, fresh, asked = &leaves[at], &leaves[n], leaves[at].best
        if leaf.gain <= 0:
            break
        # rows that answer yes stay in front, those that answer no go behind them, in order
        ends, b = leaf.start, 0
        for r in range(leaf.start, leaf.end):
            if goes_left(asked, codes[row[r], asked.column]):
                row[ends] = row[r]
                ends += 1
            else:
                other[b] = row[r]
                b += 1
        for r in range(b):
            row[ends + r] = other[r]
        if leaf.parent >= 0:
            children[2 * leaf.parent + leaf.side] = <int32_t> (n - 1)
        column[n - 1], low[n - 1], high[n - 1] = asked.column, asked.low, asked.high
        children[2 * (n - 1)], children[2 * (n - 1) + 1] = <int32_t> ~at, <int32_t> ~n
        fresh.start, fresh.end, fresh.bins = ends, leaf.end, n * width
        leaf.end = ends
        leaf.parent, leaf.side, fresh.parent, fresh.side = <int32_t> (n - 1), 0, <int32_t> (n - 1), 1
        # the smaller child has the new histogram
        smaller = n * width
        if leaf.end - leaf.start < fresh.end - fresh.start:
            leaf.bins, fresh.bins = smaller, leaf.bins
            count(codes, first, left, row, leaf.start, leaf.end, &bins[smaller], width)
            b = fresh.bins
        else:
            count(codes, first, left, row, fresh.start, fresh.end, &bins[smaller], width)
            b = leaf.bins
        for i in range(width):
            bins[b + i].sum -= bins[smaller + i].sum
            bins[b + i].n -= bins[smaller + i].n
        fresh.all.sum, fresh.all.n = 0, fresh.end - fresh.start
        for r in range(fresh.start, fresh.end):
            fresh.all.sum += left[row[r]]
        leaf.all.sum -= fresh.all.sum
        leaf.all.n -= fresh.all.n
        choose(leaf, &bins[leaf.bins], n_codes, n_ordered, first, min_rows, ridge)
        choose(fresh, &bins[fresh.bins], n_codes, n_ordered, first, min_rows, ridge)
        n += 1
    return n - 1


cdef void count(const uint8_t[:, ::1] codes, const int64_t[::1] first, const int32_t[::1] left, const int32_t[::1] row,
                int64_t start, int64_t end, Bin *bins, int64_t width) noexcept nogil:
    """The histogram of some rows."""
    cdef int64_t r, c, n_columns = codes.shape[1]
    cdef const uint8_t *code
    cdef Bin *here
    memset(bins, 0, width * sizeof(Bin))
    for r in range(start, end):
        code = &codes[row[r], 0]
        for c in range(n_columns):
            here = &bins[first[c] + code[c]]
            here.sum += left[row[r]]
            here.n += 1


cdef void choose(Leaf *leaf, const Bin *bins, const int32_t[::1] n_codes, const int32_t[::1] n_ordered,
                 const int64_t[::1] first, int64_t min_rows, int64_t ridge) noexcept nogil:
    """The question of a leaf that lowers the sum of squares most; of several, the first."""
    cdef int64_t c, v
    cdef Bin up
    leaf.gain = 0
    for c in range(n_codes.shape[0]):
        for v in range(n_equalities(n_codes[c])):
            weigh(leaf, bins[first[c] + v], equality(<int32_t> c, <int32_t> v), min_rows, ridge)
        up = bins[first[c]]
        for v in range(n_ranges(n_codes[c], n_ordered[c])):
            up.sum += bins[first[c] + v + 1].sum
            up.n += bins[first[c] + v + 1].n
            weigh(leaf, up, up_to(<int32_t> c, <int32_t> v), min_rows, ridge)


cdef inline void weigh(Leaf *leaf, Bin yes, Question asked, int64_t min_rows, int64_t ridge) noexcept nogil:
    cdef int64_t n_no = leaf.all.n - yes.n, no = leaf.all.sum - yes.sum
    cdef double gain
    if yes.n < min_rows or n_no < min_rows:
        return
    gain = ((<double> yes.sum) * <double> yes.sum / <double> (yes.n + ridge)
            + (<double> no) * <double> no / <double> (n_no + ridge)
            - (<double> leaf.all.sum) * <double> leaf.all.sum / <double> (leaf.all.n + ridge))
    if gain > leaf.gain:
        leaf.gain, leaf.best = gain, asked
