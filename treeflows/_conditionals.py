"""One tree for each column on the columns before it, with the column's distribution at every leaf."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ._draws import uniform_blocks
from ._ext.averaging import INNER, LEAF, average_prunings
from ._ext.growing import GrowthRules, grow_trees
from ._ext.routing import Router
from ._tree import check_tree

MOST_SPLIT = 0.9  # bound of the prior probability that a node splits
N_CONCENTRATIONS = 4
N_TABLED = 1024  # counts whose log Gamma is tabled
COST_BITS = 40  # of the cost table's fixed point: the low ones serve to tell ties from rounding
NO_LIMIT = 2**30  # depth of trees without a bound


def concentrations(n_categories):
    """The concentrations to choose from: from 1 / (2 K) to 1/2 per category, evenly spaced in their logarithm."""
    return np.geomspace(1 / (2 * n_categories), 0.5, N_CONCENTRATIONS)


@dataclass(frozen=True, eq=False)
class Conditionals:
    """The conditional distributions p(x_j | columns before j), a tree for each.

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int32
        ``order[t]`` is the t-th column; its tree, the t-th, splits on ``order[:t]``.
    n_categories : ndarray of shape (n_columns,), int32
        By column.
    first_node, first_leaf : ndarray of shape (n_columns + 1,), int64
        Where the inner nodes and the leaves of each tree start.
    column : ndarray of shape (n_inner,), int32
    low, high : ndarray of shape (n_inner,), uint8
        An inner node asks whether low <= x[column] <= high.
    children : ndarray of shape (n_inner, 2), int32
        If so, and if not: an inner node, or ``~leaf``, numbered within the tree.
    leaf_rows : ndarray of shape (n_leaves,), int32
        Training rows.
    log_prob : ndarray of shape (sum of n_categories over the leaves,), float64
        Log-probability of each category at each leaf, leaf after leaf, nats.
    """

    order: np.ndarray
    n_categories: np.ndarray
    first_node: np.ndarray
    first_leaf: np.ndarray
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    children: np.ndarray
    leaf_rows: np.ndarray
    log_prob: np.ndarray

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}  # not what was cached

    def score_codes(self, codes, n_threads=1):
        """Log-likelihood of each row, nats."""
        return self._router.sum_values(codes, self.log_prob, n_threads)

    def probabilities(self, codes, n_threads=1):
        """Probability of every value given those before it: (n_rows, n_columns), in the order of the trees."""
        return self._router.values(codes, self._prob, n_threads)

    def distributions(self, t, codes, n_threads=1):
        """Distribution of the column of tree t in each row: (n_rows, n_categories)."""
        return self.leaves(self._prob, t)[self._router.leaves(t, codes, n_threads)]

    def transform_codes(self, codes, n_threads=1):
        """The rank of every value at its leaf, the least probable 0."""
        return self._router.look_up(codes, self._ranks[0], n_threads)

    def invert_codes(self, ranks, n_threads=1):
        """Rows by the ranks of their values."""
        return self._router.look_up_in_turn(ranks, self._ranks[1], n_threads)

    def sample_codes(self, n_samples, rng, n_threads=1):
        """Codes of random rows: ndarray of shape (n_samples, n_columns), uint8."""
        n_columns = len(self.order)
        codes = np.empty((n_samples, n_columns), dtype=np.uint8)
        for start, uniform in uniform_blocks(n_samples, n_columns, rng):
            codes[start : start + len(uniform)] = self._router.draw(uniform, self._cumulative, n_threads)
        return codes

    @cached_property
    def first_value(self):
        """Where the probabilities of each tree start in `log_prob`: ndarray of shape (n_columns + 1,), int64."""
        return _starts(np.diff(self.first_leaf) * self.n_categories[self.order])

    def leaves(self, values, t):
        """The part of ``values``, arranged as `log_prob`, that belongs to tree t: (n_leaves, n_categories)."""
        return values[self.first_value[t] : self.first_value[t + 1]].reshape(-1, self.n_categories[self.order[t]])

    @cached_property
    def _router(self):
        return Router(
            self.order,
            self.n_categories,
            self.first_node,
            self.column,
            self.low,
            self.high,
            self.children,
            self.first_value,
        )

    @cached_property
    def _prob(self):
        return np.exp(self.log_prob)

    @cached_property
    def _cumulative(self):
        cumulative = self._prob.copy()
        for t in range(len(self.order)):
            part = self.leaves(cumulative, t)
            np.cumsum(part, axis=1, out=part)
        return cumulative

    @cached_property
    def _ranks(self):
        """Rank of each category at its leaf by ascending probability, ties by code; and the category of each rank."""
        ranks, categories = np.empty((2, len(self.log_prob)), dtype=np.uint8)
        for t in range(len(self.order)):
            order = np.argsort(self.leaves(self.log_prob, t), axis=1, kind="stable").astype(np.uint8)
            self.leaves(categories, t)[:] = order
            np.put_along_axis(self.leaves(ranks, t), order, np.arange(order.shape[1], dtype=np.uint8)[None], axis=1)
        return ranks, categories

    def check(self):
        """Raise ValueError unless the arrays make trees on earlier columns, and distributions at their leaves."""
        n_columns = len(self.order)
        if not np.array_equal(np.sort(self.order), np.arange(n_columns)):
            raise ValueError("the order is no permutation of the columns")
        n_inner, n_leaves = np.diff(self.first_node), np.diff(self.first_leaf)
        if self.first_node[0] != 0 or self.first_node[-1] != len(self.column) or n_inner.min() < 0:
            raise ValueError("the nodes of the trees do not follow each other")
        if self.first_leaf[0] != 0 or (n_leaves != n_inner + 1).any() or self.first_leaf[-1] != len(self.leaf_rows):
            raise ValueError("the leaves of the trees do not follow each other")
        if self.first_value[-1] != len(self.log_prob):
            raise ValueError("the leaves of the trees have too few or too many probabilities")
        place = np.empty(n_columns, dtype=np.int64)
        place[self.order] = np.arange(n_columns)
        tree = np.repeat(np.arange(n_columns), n_inner)
        if len(tree) and not (self.column.min() >= 0 and self.column.max() < n_columns):
            raise ValueError("a tree splits on a column that is not there")
        if (place[self.column] >= tree).any():
            raise ValueError("a tree splits on a column that does not come before its own")
        if (self.low > self.high).any() or (self.high >= self.n_categories[self.column]).any():
            raise ValueError("a tree asks a column for no category of it")
        for t in range(n_columns):
            check_tree(self.children[self.first_node[t] : self.first_node[t + 1]], f"tree {t}")
            prob = np.exp(self.leaves(self.log_prob, t))
            if not np.allclose(prob.sum(axis=1), 1, rtol=0, atol=1e-9):
                raise ValueError(f"the probabilities of tree {t} do not sum to one")


def learn_conditionals(
    codes,
    n_categories,
    order,
    cost,
    *,
    min_samples_leaf,
    max_depth,
    max_features,
    seed,
    prior_split,
    smoothing,
    objective=None,
    n_ordered=None,
    weight=None,
    stop=None,
    n_threads=1,
    progress=None,
):
    """Grow a tree for each column and average over its prunings.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories, order : ndarray of shape (n_columns,), int32
    cost : ndarray of shape (n + 1,), int64
        `cost_table` of one column, with `COST_BITS`, up to the sum of the weights.
    min_samples_leaf, max_depth, max_features, seed, objective
        As `GrowthRules` has them.
    n_ordered, weight, stop, progress
        As `grow_trees` takes them.
    prior_split : float
        The prior probability of splitting is ``prior_split / (1 + candidates)``, at most `MOST_SPLIT`.
    smoothing : "evidence" or float
        Concentration per category.
    n_threads : int

    Returns
    -------
    conditionals : Conditionals
    evidence : ndarray of shape (n_columns,), float64
        Log-evidence of each column's tree, nats; by column.
    concentration : ndarray of shape (n_columns,), float64
        By column.
    """
    first, column, low, high, left, candidates, counts = grow_trees(
        codes,
        n_categories,
        order,
        cost,
        GrowthRules(min_samples_leaf, max_depth, max_features, seed, objective),
        n_ordered=n_ordered,
        weight=weight,
        stop=stop,
        n_threads=n_threads,
        progress=progress,
    )
    k = n_categories[order]
    sizes, grid = np.unique(k, return_inverse=True)
    choices = np.array([concentrations(size) if smoothing == "evidence" else [smoothing] for size in sizes])
    evidence, chosen, kind, prob = average_prunings(
        first,
        left,
        candidates,
        counts,
        k,
        choices,
        np.array(
            [[[_log_rising(a), _log_rising(size * a)] for a in row] for size, row in zip(sizes, choices, strict=True)]
        ),
        grid.astype(np.int32),
        prior_split,
        MOST_SPLIT,
        n_threads,
    )
    conditionals = _compact(order, n_categories, first, column, low, high, left, counts, kind, np.log(prob))
    by_column = np.argsort(order)
    return conditionals, evidence[by_column], choices[grid, chosen][by_column]


def _compact(order, n_categories, first, column, low, high, left, counts, kind, log_prob):
    """Trees of numbered nodes to trees of the inner nodes and leaves that are kept, each numbered by themselves."""
    n_columns = len(order)
    tree = np.repeat(np.arange(n_columns), np.diff(first))
    inner, leaf = kind == INNER, kind == LEAF
    first_node = _starts(np.bincount(tree[inner], minlength=n_columns))
    first_leaf = _starts(np.bincount(tree[leaf], minlength=n_columns))
    number = np.where(
        inner,
        np.cumsum(inner) - 1 - first_node[tree],
        ~(np.cumsum(leaf) - 1 - first_leaf[tree]),
    ).astype(np.int32)
    child = (left + first[tree])[inner]
    sizes = np.repeat(n_categories[order], np.diff(first))
    rows = np.add.reduceat(counts, _starts(sizes)[:-1], dtype=np.int32)
    return Conditionals(
        order=order,
        n_categories=n_categories,
        first_node=first_node,
        first_leaf=first_leaf,
        column=column[inner],
        low=low[inner],
        high=high[inner],
        children=np.stack([number[child], number[child + 1]], axis=1),
        leaf_rows=rows[leaf],
        log_prob=log_prob,
    )


def _starts(sizes):
    return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))


def _log_rising(b):
    """Of the counts c that are tabled, log Gamma(c + b) - log Gamma(b), nats."""
    return np.concatenate(([0.0], np.cumsum(np.log(b + np.arange(N_TABLED - 1)))))
