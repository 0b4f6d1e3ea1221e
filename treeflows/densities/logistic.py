"""Multinomial logistic regressions of every column on those before it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import logistic
from .stored import Array, Stored, check_order
from .trees import starts

LANES = 16  # of which the engine wants the number of outputs
MOST_COEFFICIENT = 1e6  # sums of so many as there can be columns are still numbers


@dataclass(frozen=True)
class Cells:
    """What logistic regressions count: the values of each column that are not its reference, column after column.

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int32
    first : ndarray of shape (n_columns + 1,), int64
        Where the cells of the columns start, in order.
    number : ndarray of shape (sum of n_categories,), int32
        The cell of each category, column after column as the table has them; -1 for the reference.
    """

    order: np.ndarray
    first: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, n_categories, order, reference):
        """Those of columns in an order, with these references."""
        first = starts(n_categories[order] - 1)
        first_category = starts(n_categories)
        number = np.arange(first_category[-1]) - np.repeat(first_category[:-1], n_categories)
        number -= number > np.repeat(reference, n_categories)
        number += np.repeat(first[:-1][np.argsort(order)], n_categories)
        number[first_category[:-1] + reference] = -1
        return cls(order, first, number.astype(np.int32))

    @property
    def n(self):
        """How many there are."""
        return int(self.first[-1])

    @cached_property
    def place(self):
        """The place in the order of the column of each cell."""
        return np.repeat(np.arange(len(self.order)), np.diff(self.first))

    @property
    def bears_from(self):
        """The first cell of the columns after each cell's own: ndarray of int64."""
        return self.first[self.place + 1]


def check_cells(n_categories, order, reference):
    """Raise ValueError unless there are cells of columns in this order, with these references; for files."""
    check_order(order)
    if (reference >= n_categories).any():
        raise ValueError("a reference is no category of its column")


@dataclass(frozen=True, eq=False)
class LogisticConditionals(Stored):
    """log p(x_j = v | before) is constant_v + sum over columns i before j of coefficient_(i, x_i), v, normalised.

    A fully visible belief net (Neal, "Connectionist learning of belief networks", Artificial Intelligence 56, 1992).

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int32
    reference : ndarray of shape (n_columns,), uint8
        The value of each column whose logit is 0, and which says nothing of later columns.
    constant : ndarray of shape (n_cells,), float32
        Of every other value, column after column in order.
    coefficient : ndarray of shape (n,), float32
        Of every cell, and every cell of the columns after its own.
    """

    order: Annotated[np.ndarray, Array(np.int32, "columns", low=0, high="columns")]
    reference: Annotated[np.ndarray, Array(np.uint8, "columns")]
    constant: Annotated[np.ndarray, Array(np.float32, "cells", low=-MOST_COEFFICIENT, high=MOST_COEFFICIENT)]
    coefficient: Annotated[np.ndarray, Array(np.float32, "coefficients", low=-MOST_COEFFICIENT, high=MOST_COEFFICIENT)]

    def logits(self, codes, threads=1):
        """Logits of the cells given the columns before theirs: (n_rows, n), n at least their number, float32."""
        constant, coefficient, first = self._engine
        number = self.cells.number
        return logistic.logits(codes, self.order, self.first_category, number, constant, coefficient, first, threads)

    def begin(self, n_rows):
        """Logits before any column is known, a row for each: to be handed to `observe`."""
        return np.tile(self._engine[0], (n_rows, 1))

    def observe(self, logits, column, values, threads=1):
        """Update logits, in place, by each row's value of a column."""
        number = self.cells.number[self.first_category[column] : self.first_category[column + 1]]
        _, coefficient, first = self._engine
        logistic.observe(logits, number, values, coefficient, first, threads)

    @cached_property
    def cells(self):
        """The cells of the columns."""
        return Cells.of(self.n_categories, self.order, self.reference)

    @cached_property
    def number_in_order(self):
        """The cell of each value of each column in order, -1 for references: ndarray of int32."""
        parts = np.split(self.cells.number, self.first_category[1:-1])
        return np.concatenate([parts[j] for j in self.order])

    @cached_property
    def _engine(self):
        """Constants and coefficients as the engine reads them, and where each cell's begin."""
        n, bears = self.cells.n, self.cells.bears_from
        width = max(n, 1) + -max(n, 1) % LANES
        whole = np.zeros((max(n, 1), width), dtype=np.float32)
        whole[:n, :n][np.arange(n) >= bears[:, None]] = self.coefficient
        return np.pad(self.constant, (0, width - n)), whole, (bears - bears % LANES).astype(np.int32)

    def check(self):
        """Raise ValueError unless the parts fit each other; for what comes from a file."""
        super().check()
        check_cells(self.n_categories, self.order, self.reference)
        if len(self.constant) != self.cells.n or len(self.coefficient) != (self.cells.n - self.cells.bears_from).sum():
            raise ValueError("there are too few or too many coefficients")
