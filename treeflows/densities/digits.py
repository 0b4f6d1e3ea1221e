"""Numbers as trees see them: kind, digits of a uniform number, and the answers to questions, column after column."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .numbers import NumberColumns

MARGINAL_BITS = 7  # of a number's own uniform one, which trees tell
MARGINAL_LEVELS = (0, 3, 5, 7)  # how many of them the voices tell that are the first trees',
FURTHER_LEVELS = (5, 7)  # and the further ones'
MIXTURE_BITS = 5  # of what a mixture leaves over
MIXTURE_LEVELS = (0, 5)


@dataclass(frozen=True, eq=False)
class CodeLayout:
    """The code columns that trees see: of each column in order its code, or kind, digits and questions.

    Parameters
    ----------
    numbers : NumberColumns
    order : ndarray of shape (n_columns,), int32
    bits : int
        Digits of each column of numbers.
    """

    numbers: NumberColumns
    order: np.ndarray
    bits: int

    @cached_property
    def first(self):
        """Where the code columns of each column start, and after all of them their number: (n_columns + 1,) int64."""
        sizes = 1 + self.numbers.is_number.astype(np.int64)[self.order] * (self.bits + 1)
        first = np.empty(len(self.order) + 1, dtype=np.int64)
        first[self.order] = np.cumsum(sizes) - sizes
        first[-1] = sizes.sum()
        return first

    @cached_property
    def n_categories(self):
        """Of each code column: ndarray of int32."""
        sizes = []
        for j in self.order.tolist():
            sizes.append(self.numbers.n_categories[j])
            if self.numbers.is_number[j]:
                sizes += [2] * self.bits + [self.numbers.n_questions[j]]
        return np.array(sizes, dtype=np.int32)

    @cached_property
    def columns(self):
        """Whose each code column is: list of int."""
        return np.repeat(self.order, np.diff(np.append(self.first[self.order], self.first[-1]))).tolist()

    @cached_property
    def n_ordered(self):
        """Codes of each code column that are in order, as `grow_trees` takes them."""
        ordered = np.zeros(len(self.n_categories), dtype=np.int32)
        for j in np.flatnonzero(self.numbers.is_number).tolist():
            ordered[self.first[j] + 1 + self.bits] = self.numbers.n_questions[j] - 1
        return ordered

    def places(self, digits_alone):
        """Places of the code columns that trees tell: those of digits, or of codes and kinds too."""
        told = []
        for j in self.order.tolist():
            told += [] if digits_alone else [self.first[j]]
            if self.numbers.is_number[j]:
                told += range(self.first[j] + 1, self.first[j] + 1 + self.bits)
        return np.array(told, dtype=np.int32)

    def write(self, codes, j, kind, question=None, cell=None):
        """Write a column's code, or the kind, question and digits of its numbers, into code columns."""
        at = self.first[j]
        codes[:, at] = kind
        if question is not None:
            codes[:, at + 1 : at + 1 + self.bits] = cell[:, None] >> np.arange(self.bits - 1, -1, -1) & 1
            codes[:, at + 1 + self.bits] = question


def cell_of(below, above, bits):
    """Number of the cell, of 2**bits of equal size, that uniform numbers lie in: ndarray of int64."""
    n = 2**bits
    low, high = (np.minimum((u * n).astype(np.int64), n - 1) for u in (below, above))
    return np.where(below < above, low, n - 1 - high)


def n_number_voices(n_mixtures):
    """How many voices a number has."""
    return len(MARGINAL_LEVELS) + len(FURTHER_LEVELS) + n_mixtures * len(MIXTURE_LEVELS)
