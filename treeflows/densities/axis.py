"""The values that one column of numbers may have: atoms, a lattice or all, in normal scores of its own distribution."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._ext.normal import ndtri
from .destructors import MarginalDestructor, uniform_of
from .digits import MARGINAL_BITS
from .numbers import NumberColumns

LEAST_PART = 0.1  # of a cell, on either side of where it is cut
MARGIN = 0.25  # of the range of a lattice's values that fit saw, on either side,
FEWEST_BEYOND = 3  # and at least so many, which are looked at one by one,
FURTHER = 2.0 ** np.arange(1, 9)  # margins beyond which there are cells of many values
MOST_POINTS = 256  # if these are not more


@dataclass(frozen=True, eq=False)
class NumberAxis:
    """One column of numbers.

    Attributes
    ----------
    numbers : NumberColumns
    smooth : MarginalDestructor
    j : int
        The column's number.
    """

    numbers: NumberColumns
    smooth: MarginalDestructor
    j: int

    @property
    def atoms(self):
        """Values that are categories of their own: ndarray."""
        return self.numbers.atoms(self.j)

    @property
    def step(self):
        """Distance of neighbours on a lattice; 0.0 where there is none: float."""
        return float(self.numbers.step[self.j])

    @property
    def ends(self):
        """Values between which all lie that there may be: (float, float); on a lattice, halfway to the next ones."""
        return self.numbers.ends(self.j)

    @cached_property
    def breaks(self):
        """Normal scores where what is said of later columns may jump: thresholds, and where digits change."""
        digits = ndtri(np.arange(1, 2**MARGINAL_BITS) / 2**MARGINAL_BITS)
        return np.sort(np.concatenate([digits, self.score_at(self.numbers.thresholds(self.j))]))

    @property
    def range(self):
        """The values between which the column is not told by its tails: ndarray of shape (2,)."""
        return self.smooth.range(self.j)

    @cached_property
    def points(self):
        """Edges of the values on a lattice where they are likely to lie, ascending; none if there are too many."""
        if self.step == 0:
            return np.empty(0)
        low, high = np.rint(self._points(self.range))
        margin = max(np.rint(MARGIN * (high - low)), FEWEST_BEYOND)
        n = high - low + 2 * margin + 1
        if n > MOST_POINTS:
            return np.empty(0)
        away = margin * FURTHER - 0.5
        return self._at(np.concatenate([low - away[::-1], low - margin - 0.5 + np.arange(n + 1), high + away]))

    def middle(self, start, end):
        """Normal scores between others: where something may jump, if that is about halfway, else halfway."""
        middle, least = (start + end) / 2, (end - start) * LEAST_PART
        i = np.clip(np.searchsorted(self.breaks, middle), 1, len(self.breaks) - 1)
        before, after = self.breaks[i - 1], self.breaks[i]
        jump = np.where(middle - before < after - middle, before, after)
        return np.where((jump > start + least) & (jump < end - least), jump, middle)

    def value_at(self, z):
        """Values at normal scores; the ends beyond them."""
        return np.clip(self.smooth.restore(self.j, *uniform_of(z)), *self.ends)

    def score_at(self, x):
        """Normal scores of values, and beyond the ends those of the ends."""
        return self.smooth.scores(self.j, np.clip(x, *self.ends))

    def edge(self, x):
        """The values, or those next to them that are halfway between neighbours on the lattice."""
        return x if self.step == 0 else self._at(np.rint(self._points(x) - 0.5) + 0.5)

    def around(self, x):
        """Two values between which each value lies alone: itself, or halfway to its neighbours on the lattice."""
        if self.step == 0:
            return x, x
        point = np.rint(self._points(x))
        return self._at(point - 0.5), self._at(point + 0.5)

    def inside(self, x, low, high):
        """Values that lie between two edges, next to others."""
        if self.step == 0:
            return np.clip(x, low, high)
        return self._at(np.clip(np.rint(self._points(x)), self._points(low) + 0.5, self._points(high) - 0.5))

    def _points(self, x):
        return (x - self.numbers.origin[self.j]) / self.step

    def _at(self, points):
        return self.numbers.origin[self.j] + points * self.step
