"""One tree for each column on the columns before it, with the column's distribution at every leaf."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import elementary
from .._ext.routing import Router
from ..machine.draws import uniform_blocks
from .density import OrderedDensity
from .stored import LEAST_PROBABILITY, MOST_NATS, MOST_PROBABILITY, Array, check_order
from .trees import check_tree, starts


@dataclass(frozen=True, eq=False)
class Conditionals(OrderedDensity):
    """The conditional distributions p(x_j | columns before j), a tree for each.

    Attributes
    ----------
    n_categories : ndarray of shape (n_columns,), int32
    order : ndarray of shape (n_columns,), int32
        ``order[t]`` is the t-th column; its tree, the t-th, splits on ``order[:t]``.
    first_node, first_leaf : ndarray of shape (n_columns + 1,), int64
        Where the inner nodes and the leaves of each tree start.
    column : ndarray of shape (n_inner,), int32
    low, high : ndarray of shape (n_inner,), uint8
        An inner node asks whether low <= x[column] <= high.
    children : ndarray of shape (n_inner, 2), int32
        If so, and if not: an inner node, or ``~leaf``, numbered within the tree.
    leaf_rows : ndarray of shape (n_leaves,), int32
        Training rows; of a leaf that was grown by other rows than were counted maybe none.
    prob : ndarray of shape (sum of n_categories over the leaves,), float64
        Probability of each category at each leaf, leaf after leaf.
    evidence : ndarray of shape (n_columns,), float64
        Log-evidence of each column's tree, nats; by column.
    concentration : ndarray of shape (n_columns,), float64
        That of each column's Dirichlet prior; by column.
    posterior : ndarray of shape (n_inner,), float32, or None
        Posterior probability of each split: that the pruned tree has it. None of files of earlier versions.
    """

    order: Annotated[np.ndarray, Array(np.int32, "columns", low=0, high="columns")]
    first_node: Annotated[np.ndarray, Array(np.int64, "columns + 1", starts="nodes")]
    first_leaf: Annotated[np.ndarray, Array(np.int64, "columns + 1", starts="leaves")]
    column: Annotated[np.ndarray, Array(np.int32, "nodes", low=0, high="columns")]
    low: Annotated[np.ndarray, Array(np.uint8, "nodes")]
    high: Annotated[np.ndarray, Array(np.uint8, "nodes")]
    children: Annotated[np.ndarray, Array(np.int32, "nodes", 2)]
    leaf_rows: Annotated[np.ndarray, Array(np.int32, "leaves", low=0)]
    prob: Annotated[np.ndarray, Array(np.float64, "probabilities", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]
    evidence: Annotated[np.ndarray, Array(np.float64, "columns", low=-MOST_NATS, high=MOST_NATS)]
    concentration: Annotated[np.ndarray, Array(np.float64, "columns", low=0, high=MOST_NATS)]
    posterior: Annotated[np.ndarray | None, Array(np.float32, "nodes", low=0, high=1)] = None

    def score(self, codes, threads=1, start=0):
        """Log-likelihood of each row, of what the trees from ``start`` on tell, nats."""
        return self._router.sum_values(codes, self._log_prob, threads, start)

    def probabilities(self, codes, threads=1, start=0):
        """Probability of every value given those before it, in the order of the trees from ``start`` on.

        An array of shape (n_rows, n_columns - start).
        """
        return self._router.values(codes, self.prob, threads, start)

    def add_distributions(self, codes, asked, out, threads=1, start=0):
        """Add the distribution of every column given those before it, in the order of the trees from ``start`` on.

        To ``out``, of shape (n_rows, sum of their n_categories). Where ``asked``, (n_columns,), is 1 of a tree, the
        probability of the row's value alone; where it is 0, nothing.
        """
        self._router.add_distributions(codes, self.prob, asked, out, threads, start)

    def distribution(self, t, codes, threads=1):
        """Distribution of the column of tree t in each row: (n_rows, n_categories)."""
        return self.leaves(self.prob, t)[self._router.leaves(t, codes, threads)]

    def add_digits(self, t, n, kind, codes, out, threads=1):
        """Add to ``out``, (n_rows, 2**n), the probabilities that n digits from tree t on are 1; see `Router`."""
        self._router.add_digits(t, n, kind, codes, self.prob, out, threads)

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution in each row."""
        for t, j in enumerate(self.order.tolist()):
            yield j, self.distribution(t, codes, threads)

    def transform(self, codes, threads=1):
        """The rank of every value at its leaf, the least probable 0."""
        return self._router.look_up(codes, self._ranks[0], threads)

    def invert(self, ranks, threads=1):
        """Rows by the ranks of their values."""
        return self._router.look_up_in_turn(ranks, self._ranks[1], threads)

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8."""
        n_columns = len(self.order)
        codes = np.empty((n_samples, n_columns), dtype=np.uint8)
        for start, uniform in uniform_blocks(n_samples, n_columns, rng):
            codes[start : start + len(uniform)] = self._router.draw(uniform, self._cumulative, threads)
        return codes

    @cached_property
    def first_value(self):
        """Where the probabilities of each tree start in `prob`: ndarray of shape (n_columns + 1,), int64."""
        return starts(np.diff(self.first_leaf) * self.n_categories[self.order])

    def leaves(self, values, t):
        """The part of ``values``, arranged as `prob`, that belongs to tree t: (n_leaves, n_categories)."""
        return values[self.first_value[t] : self.first_value[t + 1]].reshape(-1, self.n_categories[self.order[t]])

    def with_roots(self, splitting):
        """The same trees, but of columns where ``splitting`` is 0 a root alone, with the mean of its leaves."""
        if splitting.all():
            return self
        stays, parts, rows = splitting[self.order] > 0, [], []
        for t, leaves in enumerate(map(slice, self.first_leaf[:-1], self.first_leaf[1:])):
            part, of = self.leaves(self.prob, t), self.leaf_rows[leaves]
            parts.append(part.ravel() if stays[t] else (of[:, None] * part).sum(axis=0) / of.sum())
            rows.append(of if stays[t] else of.sum(keepdims=True, dtype=np.int32))
        n_inner = np.diff(self.first_node)
        kept = np.repeat(stays, n_inner)
        return replace(
            self,
            first_node=starts(np.where(stays, n_inner, 0)),
            first_leaf=starts(np.where(stays, n_inner, 0) + 1),
            column=self.column[kept],
            low=self.low[kept],
            high=self.high[kept],
            children=self.children[kept],
            leaf_rows=np.concatenate(rows),
            prob=np.concatenate(parts),
            posterior=None if self.posterior is None else self.posterior[kept],
        )

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
    def _log_prob(self):
        return elementary.log(self.prob)

    @cached_property
    def _cumulative(self):
        cumulative = self.prob.copy()
        for t in range(len(self.order)):
            part = self.leaves(cumulative, t)
            np.cumsum(part, axis=1, out=part)
        return cumulative

    @cached_property
    def _ranks(self):
        """Rank of each category at its leaf by ascending probability, ties by code; and the category of each rank."""
        ranks, categories = np.empty((2, len(self.prob)), dtype=np.uint8)
        for t in range(len(self.order)):
            order = np.argsort(self.leaves(self.prob, t), axis=1, kind="stable").astype(np.uint8)
            self.leaves(categories, t)[:] = order
            np.put_along_axis(self.leaves(ranks, t), order, np.arange(order.shape[1], dtype=np.uint8)[None], axis=1)
        return ranks, categories

    def check(self):
        """Raise ValueError unless the arrays make trees on earlier columns, and distributions at their leaves."""
        super().check()
        n_columns = len(self.order)
        check_order(self.order)
        n_inner = np.diff(self.first_node)
        if (np.diff(self.first_leaf) != n_inner + 1).any():
            raise ValueError("the leaves of the trees do not follow each other")
        if self.first_value[-1] != len(self.prob):
            raise ValueError("the leaves of the trees have too few or too many probabilities")
        place = np.empty(n_columns, dtype=np.int64)
        place[self.order] = np.arange(n_columns)
        tree = np.repeat(np.arange(n_columns), n_inner)
        if (place[self.column] >= tree).any():
            raise ValueError("a tree splits on a column that does not come before its own")
        if (self.low > self.high).any() or (self.high >= self.n_categories[self.column]).any():
            raise ValueError("a tree asks a column for no category of it")
        for t in range(n_columns):
            check_tree(self.children[self.first_node[t] : self.first_node[t + 1]], f"tree {t}")
            if not self.leaf_rows[self.first_leaf[t] : self.first_leaf[t + 1]].any():
                raise ValueError(f"the leaves of tree {t} have no rows")
            prob = self.leaves(self.prob, t)
            if not np.allclose(prob.sum(axis=1), 1, rtol=0, atol=1e-9):
                raise ValueError(f"the probabilities of tree {t} do not sum to one")
