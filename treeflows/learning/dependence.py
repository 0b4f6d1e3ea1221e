"""What each column tells of each other: trees of a column on all others, and what their questions are worth in rows.

A tree q of column i bounds its mutual information with the others from below, I(x_i; others) >=
E[log q(x_i | others) - log q(x_i)] (Barber and Agakov, "The IM algorithm: a variational approach to information
maximization", NIPS 2003). Down the path of a row the difference is a sum over the questions asked, each of which is
worth what log q(x_i) gains from its node to the next: information gain, on rows that the tree has not seen. It is
credited to the column that is asked.
"""

import numpy as np

from .._ext import elementary
from .costs import cost_table
from .grown import grow
from .growth import Growth
from .prunings import COST_BITS, average

MIN_ROWS = 20  # of a leaf
MOST_DEPTH = 16


def shared_out(drawn, rows, n_categories, n_ordered, asked, threads=1):
    """What the columns of rows tell of each other.

    Parameters
    ----------
    drawn : ndarray of shape (n_drawn, n_columns), uint8, in C order
        Rows that the trees are grown from.
    rows : ndarray of shape (n_rows, n_columns), uint8
        Others, in which it is measured what their questions are worth.
    n_categories, n_ordered : ndarray of shape (n_columns,), int32
        Codes of each column, and how many of the first of these are in an order that trees may ask by.
    asked : sequence of int
        Columns of which to say what the others tell of them.
    threads : int

    Returns
    -------
    strength, error : ndarray of shape (n_columns, n_columns), float64
        Of column i what column j tells of it, mean and standard error over the rows, nats. Each question tells what is
        not told yet by those before it. NaN of columns that are not asked about.
    entropy : ndarray of shape (n_columns,), float64
        What is to be told of each column: its cross-entropy in the rows, nats. NaN as before.
    """
    n_columns = drawn.shape[1]
    strength, error = np.full((2, n_columns, n_columns), np.nan)
    entropy, cost = np.full(n_columns, np.nan), cost_table(len(drawn), 1, COST_BITS)
    how = vars(Growth(MIN_ROWS, max_depth=MOST_DEPTH)) | {"max_features": 0, "seed": 0, "n_ordered": n_ordered}
    for i in asked:
        order = np.append(np.delete(np.arange(n_columns), i), i).astype(np.int32)
        which = np.array([n_columns - 1], dtype=np.int32)
        tree = average(grow(drawn, n_categories, order, cost, which=which, n_threads=threads, **how), threads)
        credit, entropy[i] = _credited(tree, i, rows)
        strength[i] = credit.mean(axis=0)
        error[i] = credit.std(axis=0) / np.sqrt(len(rows))
    return strength, error, entropy


def _credited(tree, target, rows):
    """Of each row, what the questions to each column tell of the target, (n_rows, n_columns); and its cross-entropy."""
    log_prob = elementary.log(_of_nodes(tree, target))
    credit, each, told = np.zeros(rows.shape), np.arange(len(rows)), rows[:, target]
    n_inner = len(tree.column)
    at = np.full(len(rows), 0 if n_inner else ~0)
    before = first = log_prob[at, told]  # leaves come last, so that ~leaf counts from the end
    while n_inner and (inner := each[at >= 0]).size:
        node = at[inner]
        column = tree.column[node]
        asked = rows[inner, column]
        yes = (tree.low[node] <= asked) & (asked <= tree.high[node])
        at[inner] = tree.children[node, np.where(yes, 0, 1)]
        after = log_prob[at[inner], told[inner]]
        np.add.at(credit, (inner, column), after - before[inner])
        before = before.copy()
        before[inner] = after
    return credit, -float(first.mean())


def _of_nodes(tree, target):
    """Distributions of the target in the inner nodes, and after them in the leaves, the last first."""
    prob, n_inner = tree.prob.reshape(-1, tree.n_categories[target]), len(tree.column)
    mean, rows = np.empty((n_inner, prob.shape[1])), np.zeros(n_inner)
    for node in range(n_inner - 1, -1, -1):  # what lies below a node comes after it
        below = tree.children[node].tolist()
        counts = [float(tree.leaf_rows[~c]) if c < 0 else rows[c] for c in below]
        rows[node] = sum(counts)
        mean[node] = np.average([prob[~c] if c < 0 else mean[c] for c in below], axis=0, weights=counts)
    return np.concatenate([mean, prob[::-1]])
