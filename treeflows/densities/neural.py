"""A neural network that tells every column by those before it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import neural
from .logistic import MOST_COEFFICIENT, Cells, check_cells
from .stored import Array, Stored

LANES = 16  # of which the engine wants the number of units


@dataclass(frozen=True, eq=False)
class NeuralConditionals(Stored):
    """log p(x_j = v | before) is constant_v + outward_v · units, normalised; units are max(bias + their sum, 0).

    A neural autoregressive distribution estimator (Larochelle and Murray, AISTATS 2011) of one layer, whose units are
    rectified (Nair and Hinton, ICML 2010). Its cells are those of logistic regressions.

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int32
    reference : ndarray of shape (n_columns,), uint8
        The value of each column whose logit is 0, and which says nothing of later columns.
    bias : ndarray of shape (n_units,), float32
    inward : ndarray of shape (n_cells, n_units), float32
        What every other value, column after column in order, adds to each unit's sum.
    outward : ndarray of shape (n_cells, n_units), float32
        What each unit says of it.
    constant : ndarray of shape (n_cells,), float32
    """

    order: Annotated[np.ndarray, Array(np.int32, "columns", low=0, high="columns")]
    reference: Annotated[np.ndarray, Array(np.uint8, "columns")]
    bias: Annotated[np.ndarray, Array(np.float32, "units", low=-MOST_COEFFICIENT, high=MOST_COEFFICIENT)]
    inward: Annotated[np.ndarray, Array(np.float32, "cells", "units", low=-MOST_COEFFICIENT, high=MOST_COEFFICIENT)]
    outward: Annotated[np.ndarray, Array(np.float32, "cells", "units", low=-MOST_COEFFICIENT, high=MOST_COEFFICIENT)]
    constant: Annotated[np.ndarray, Array(np.float32, "cells", low=-MOST_COEFFICIENT, high=MOST_COEFFICIENT)]

    def logits(self, codes, threads=1):
        """Logits of the cells given the columns before theirs: (n_rows, n_cells), float32."""
        first, told, parameter = self._engine
        of = self.order, self.first_category, self.cells.number, first, told, len(self.bias), parameter
        return neural.logits(codes, *of, threads)

    def begin(self, n_rows):
        """Sums of the units before any column is known, a row for each: to be handed to `predict` and `observe`."""
        return np.tile(self.bias, (n_rows, 1))

    def predict(self, sums, t, threads=1):
        """Logits of the cells of the column at place t of the order: (n_rows, n), float32."""
        first, told, parameter = self._engine
        return neural.logits_at(sums, t, first, told, parameter, threads)

    def observe(self, sums, column, values):
        """Update the units' sums, in place, by each row's value of a column."""
        number = self.cells.number[self.first_category[column] : self.first_category[column + 1]]
        neural.observe(sums, number, values, self._engine[2])

    @cached_property
    def cells(self):
        """The cells of the columns."""
        return Cells.of(self.n_categories, self.order, self.reference)

    @cached_property
    def _engine(self):
        """Where cells start, which columns in order have any say, and all parameters, as the engine reads them."""
        of_cell = np.append((self.constant != 0) | (self.outward != 0).any(axis=1), False)
        first = self.cells.first
        told = np.logical_or.reduceat(of_cell, first[:-1]) & (np.diff(first) > 0)
        parts = self.bias, self.inward.ravel(), self.outward.ravel(), self.constant
        return first.astype(np.int32), told.astype(np.uint8), np.concatenate(parts)

    def check(self):
        """Raise ValueError unless the parts fit each other; for what comes from a file."""
        super().check()
        check_cells(self.n_categories, self.order, self.reference)
        if len(self.constant) != self.cells.n:
            raise ValueError("there are too few or too many cells")
        if len(self.bias) % LANES or not 0 < len(self.bias) <= neural.MOST_UNITS:
            raise ValueError(f"the units are not a multiple of {LANES}, or more than {neural.MOST_UNITS}")
