"""Numbers around a place that boosted trees tell from the columns before them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import elementary
from .._ext.routing import Router
from .destructors import FINITE, NormalStates
from .numbers import NumberColumns
from .stored import LEAST_PROBABILITY, MOST_PROBABILITY, Array
from .trees import check_tree

UNIT = 2.0**20  # of what trees say, of a normal score
MOST_CUTS = 254  # of a column
FACTORS = 2.0 ** np.arange(-3, 2)  # of a column's scale, the standard deviations around a place


@dataclass(frozen=True, eq=False)
class BoostedDestructor(NormalStates):
    """Normal scores of each number: z_j -> F(z_j - f_j(columns before j)), F a mixture of normal distributions.

    They have the mean 0 and a grid of standard deviations, so that what is left may have a peak and tails.

    Attributes
    ----------
    first_cut : ndarray of shape (n_columns + 1,), int64
    cut : ndarray of float64
        Ascending in each column of numbers; trees see between which of them a number lies.
    first_tree : ndarray of shape (n_numbers + 1,), int64
        Where the trees of each number start, in their order; what they say is added up.
    first_node, first_leaf : ndarray of shape (n_trees + 1,), int64
        Where the inner nodes and the leaves of each tree start.
    column, low, high, children
        As `Conditionals` has them.
    value : ndarray of shape (n_leaves,), int32
        What a leaf adds, in units of 2**-20.
    weight : ndarray of shape (n_numbers, n_states), float64
        Of each standard deviation.
    scale : ndarray of shape (n_numbers,), float64
        Standard deviations are `deviations` of this.
    """

    first_cut: Annotated[np.ndarray, Array(np.int64, "columns + 1", starts="cuts")]
    cut: Annotated[np.ndarray, Array(np.float64, "cuts", low=-FINITE, high=FINITE)]
    first_tree: Annotated[np.ndarray, Array(np.int64, "numbers + 1", starts="trees")]
    first_node: Annotated[np.ndarray, Array(np.int64, "trees + 1", starts="nodes")]
    first_leaf: Annotated[np.ndarray, Array(np.int64, "trees + 1", starts="leaves")]
    column: Annotated[np.ndarray, Array(np.int32, "nodes", low=0, high="columns")]
    low: Annotated[np.ndarray, Array(np.uint8, "nodes")]
    high: Annotated[np.ndarray, Array(np.uint8, "nodes")]
    children: Annotated[np.ndarray, Array(np.int32, "nodes", 2)]
    value: Annotated[np.ndarray, Array(np.int32, "leaves")]
    weight: Annotated[
        np.ndarray, Array(np.float64, "numbers", len(FACTORS), low=LEAST_PROBABILITY, high=MOST_PROBABILITY)
    ]
    scale: Annotated[np.ndarray, Array(np.float64, "numbers", low=1e-150, high=1e150)]

    def begin(self, t, n_rows):
        """Logarithms of the weights at place t, a row for each, as `destroy` takes them."""
        return np.tile(elementary.log(self.weight[t]), (n_rows, 1))

    def codes_of(self, j, x):
        """What trees see of a column's numbers: ndarray of uint8."""
        return cut_up(self.cut[self.first_cut[j] : self.first_cut[j + 1]], x)

    def predict(self, t, codes, threads=1):
        """What the columns before place t make of the number there, as `destroy` takes it: (n_rows, n_states).

        Parameters
        ----------
        t : int
        codes : ndarray of shape (n_rows, n_columns), uint8
            Of numbers as `codes_of` gives them; columns that do not come before may hold anything.
        threads : int
        """
        first, last = self.first_tree[t : t + 2].tolist()
        place = self._router.sum_leaves(first, last, codes, self.value, threads) / UNIT
        return -place[:, None] * self._own(t)

    def _own(self, t):
        return 1 / deviations(self.scale[t])

    @cached_property
    def _router(self):
        of_trees = np.zeros(len(self.first_node) - 1, dtype=np.int32)  # whose columns do not matter
        nodes = self.column, self.low, self.high, self.children
        return Router(of_trees, self.n_categories, self.first_node, *nodes, self.first_leaf)

    def check(self):
        """Raise ValueError unless the arrays make trees and distributions; for what comes from a file."""
        super().check()
        n_inner = np.diff(self.first_node)
        if (n_inner < 1).any() or (np.diff(self.first_leaf) != n_inner + 1).any():
            raise ValueError("boosted trees have no questions, or their leaves do not follow each other")
        for i, nodes in enumerate(map(slice, self.first_node[:-1], self.first_node[1:])):
            check_tree(self.children[nodes], f"boosted tree {i}")
        if (self.low > self.high).any():
            raise ValueError("a boosted tree asks for no code")
        if (np.diff(self.first_cut) > MOST_CUTS).any():
            raise ValueError(f"a column has more than {MOST_CUTS} cuts")
        for cuts in np.split(self.cut, self.first_cut[1:-1]):
            if (np.diff(cuts) <= 0).any():
                raise ValueError("the cuts of a column do not ascend")
        if not np.allclose(self.weight.sum(axis=1), 1, rtol=0, atol=1e-9):
            raise ValueError("the weights of a number do not sum to one")

    def check_order(self, order, numbers: NumberColumns):
        """Raise ValueError unless each number is told by columns before it."""
        place = np.argsort(order)
        told = order[numbers.is_number[order] == 1]
        if len(told) != len(self.scale):
            raise ValueError("boosted trees are not of as many numbers as there are")
        for j, trees in zip(told.tolist(), map(slice, self.first_tree[:-1], self.first_tree[1:]), strict=True):
            first, last = self.first_node[trees.start], self.first_node[trees.stop]
            if (place[self.column[first:last]] >= place[j]).any():
                raise ValueError("a boosted tree splits on a column that does not come before its own")


def deviations(scale):
    """Standard deviations around a place, by a column's scale, ascending: ndarray of float64.

    None is above 1, the marginal's own: the tails of what is told would be heavier than the marginal's, without a mean.
    """
    return np.minimum(scale * FACTORS, 1.0)


def cut_up(cuts, x):
    """How many cuts lie below each number, one more than there are if it is missing: ndarray of uint8."""
    return np.where(np.isnan(x), len(cuts) + 1, np.searchsorted(cuts, x, side="left")).astype(np.uint8)
