"""What trees see of numbers: values that recur as categories of their own, and on which side of thresholds they lie."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .stored import Array, Stored

MOST_THRESHOLDS = 63  # of a column
MOST_CODES = 256  # that a byte tells apart
ROUNDING = 1e-6  # of a step


@dataclass(frozen=True, eq=False)
class NumberColumns(Stored):
    """Which columns are numbers, and the codes of their values.

    ``n_categories`` of such a column counts its kinds: each of its atoms, values that recur; a missing cell, if there
    are any; and, the last, elsewhere.

    Attributes
    ----------
    is_number : ndarray of shape (n_columns,), uint8
    missing : ndarray of shape (n_columns,), uint8
        Whether cells may be missing: NaN.
    step, origin : ndarray of shape (n_columns,), float64
        Values lie on ``origin`` and whole steps from there, and have probabilities; where ``step`` is 0 they lie
        anywhere, and have a density.
    low, high : ndarray of shape (n_columns,), float64
        The least and the greatest value that there may be, on the lattice where there is one; infinite where any may.
    first_atom : ndarray of shape (n_columns + 1,), int64
    atom : ndarray of float64
        Ascending in each column.
    first_threshold : ndarray of shape (n_columns + 1,), int64
    threshold : ndarray of float64
        Ascending in each column; a tree may ask whether a value is at most one of these.
    """

    is_number: Annotated[np.ndarray, Array(np.uint8, "columns", high=1)]
    missing: Annotated[np.ndarray, Array(np.uint8, "columns", high=1)]
    step: Annotated[np.ndarray, Array(np.float64, "columns", low=0, high=np.finfo(float).max)]
    origin: Annotated[np.ndarray, Array(np.float64, "columns", low=-np.finfo(float).max, high=np.finfo(float).max)]
    low: Annotated[np.ndarray, Array(np.float64, "columns", high=np.finfo(float).max)]
    high: Annotated[np.ndarray, Array(np.float64, "columns", low=-np.finfo(float).max)]
    first_atom: Annotated[np.ndarray, Array(np.int64, "columns + 1", starts="atoms")]
    atom: Annotated[np.ndarray, Array(np.float64, "atoms", low=-np.finfo(float).max, high=np.finfo(float).max)]
    first_threshold: Annotated[np.ndarray, Array(np.int64, "columns + 1", starts="thresholds")]
    threshold: Annotated[
        np.ndarray, Array(np.float64, "thresholds", low=-np.finfo(float).max, high=np.finfo(float).max)
    ]

    @classmethod
    def own_categories(cls, n_categories, parts):
        """Kinds of the columns of numbers, of which a domain tells no categories."""
        kinds = np.diff(parts["first_atom"]) + parts["missing"] + 1
        return np.where(parts["is_number"] == 1, kinds, n_categories).astype(np.int32)

    def atoms(self, j):
        """Values of a column that are categories of their own."""
        return self.atom[self.first_atom[j] : self.first_atom[j + 1]]

    def thresholds(self, j):
        """What a column is asked about."""
        return self.threshold[self.first_threshold[j] : self.first_threshold[j + 1]]

    @cached_property
    def n_questions(self):
        """Codes that `questions` gives: ndarray of shape (n_columns,), int32; the last stands for a missing cell."""
        return (np.diff(self.first_threshold) + 2).astype(np.int32)

    def kind_of(self, j, x):
        """Number of the atom that each value is, of missing, or the last, elsewhere: ndarray of uint8."""
        atoms, elsewhere = self.atoms(j), self.n_categories[j] - 1
        at = np.searchsorted(atoms, x)
        is_atom = np.append(atoms, np.nan)[at] == x
        return np.where(np.isnan(x), elsewhere - 1, np.where(is_atom, at, elsewhere)).astype(np.uint8)

    def questions(self, j, x):
        """How many thresholds lie below each value, one more than there are if it is missing: ndarray of uint8."""
        thresholds = self.thresholds(j)
        below = np.searchsorted(thresholds, x, side="left")
        return np.where(np.isnan(x), len(thresholds) + 1, below).astype(np.uint8)

    def on_lattice(self, j, x):
        """The values, or where the column has steps, those on the lattice that are next to them; within its bounds."""
        step, origin = self.step[j], self.origin[j]
        return np.clip(x if step == 0 else origin + np.rint((x - origin) / step) * step, self.low[j], self.high[j])

    def ends(self, j):
        """Values between which all lie that there may be: (float, float); on a lattice, halfway to the next ones."""
        return float(self.low[j] - self.step[j] / 2), float(self.high[j] + self.step[j] / 2)

    def beyond(self, j, x):
        """Whether values of a column, or of a slice of them, lie where there can be none: ndarray of bool."""
        rounding = ROUNDING * self.step[j]
        return (x < self.low[j] - rounding) | (x > self.high[j] + rounding)

    def below(self, j, x):
        """The greatest values of the lattice that are at most these; without one these themselves."""
        step, origin = self.step[j], self.origin[j]
        return x if step == 0 else origin + np.floor((x - origin) / step + ROUNDING) * step

    def edges(self, j, low, high):
        """Values between which those from ``low`` to ``high`` lie; on a lattice, halfway to the next ones."""
        step, origin = self.step[j], self.origin[j]
        if step == 0:
            return low, high
        # a value that is on the lattice but for rounding is on it
        first, last = np.ceil((low - origin) / step - ROUNDING), np.floor((high - origin) / step + ROUNDING)
        return origin + (first - 0.5) * step, origin + (np.maximum(last, first - 1) + 0.5) * step

    def check(self):
        """Raise ValueError unless the arrays fit each other; for what comes from a file."""
        super().check()
        n_atoms, number = np.diff(self.first_atom), self.is_number == 1
        if (self.n_categories[number] != (n_atoms + self.missing + 1)[number]).any():
            raise ValueError("a column of numbers has not as many kinds as atoms, missing, and elsewhere")
        if (np.diff(self.first_threshold) > MOST_THRESHOLDS).any():
            raise ValueError(f"a column has more than {MOST_THRESHOLDS} thresholds")
        for j in range(len(number)):
            if (np.diff(self.atoms(j)) <= 0).any() or (np.diff(self.thresholds(j)) <= 0).any():
                raise ValueError(f"atoms or thresholds of column {j} do not ascend")
            if self.low[j] > self.high[j] or self.beyond(j, self.atoms(j)).any():
                raise ValueError(f"atoms of column {j} lie beyond its bounds")
            if not number[j] and (n_atoms[j] or self.missing[j]):
                raise ValueError(f"column {j} has atoms, and no numbers")
