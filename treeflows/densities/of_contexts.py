"""What a density of rows given their context says of rows whose context is not known: the average of all."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._ext import elementary
from ..machine.log_sums import softmax
from .quantiles import number_at


@dataclass(frozen=True, eq=False)
class OfContexts:
    """The average of a density over contexts, told column by column as the density is.

    Attributes
    ----------
    density : OrderedDensity or MixedDensity
        Which has the columns of the context first in its order, and last in the table.
    contexts : ndarray of shape (n_contexts, n_context)
        Codes.
    weight : ndarray of shape (n_contexts,), float64
        Their probabilities.
    """

    density: Any
    contexts: np.ndarray
    weight: np.ndarray

    @property
    def order(self):
        """The columns in order: ndarray of shape (n_columns,), int32."""
        return self.density.order

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution in each row, whatever the context is."""
        known = [codes.copy() for _ in self.contexts]
        for rows, context in zip(known, self.contexts, strict=True):
            rows[:, len(self.order) - len(context) :] = context
        log_weight = np.tile(elementary.log(self.weight), (len(codes), 1))
        walks = [self.density.walk(rows, threads) for rows in known]
        for told in zip(*walks, strict=True):
            j, weight = told[0][0], softmax(log_weight, axis=1)
            yield j, sum(w[:, None] * prob for w, (_, prob) in zip(weight.T, told, strict=True))
            if j < len(self.order) - self.contexts.shape[1]:
                for i, (_, prob) in enumerate(told):
                    known[i][:, j] = codes[:, j]
                    log_weight[:, i] += elementary.log(prob[np.arange(len(codes)), codes[:, j].astype(np.intp)])

    def begin(self, n_rows, threads=1):
        """So many rows at the start of their way through the columns."""
        return WalkOfContexts(self, n_rows, threads)


class WalkOfContexts:
    """Rows on their way through the columns, in every context at once; what `Walk` says, on average.

    Parameters
    ----------
    of : OfContexts
        Of a MixedDensity.
    n_rows, threads : int
    """

    def __init__(self, of, n_rows, threads=1):
        self.density, self.contexts = of.density, of.contexts
        self.walks = [of.density.begin(n_rows, threads) for _ in of.contexts]
        self.log_weight = np.tile(elementary.log(of.weight), (n_rows, 1))

    def codes_say(self, j):
        """Distribution of a column's codes, or kinds: (n_rows, n_categories)."""
        return sum(w[:, None] * walk.codes_say(j) for w, walk in zip(self._weight.T, self.walks, strict=True))

    def uniform(self, j, x, rows):
        """Uniform numbers of numbers elsewhere: F(x), and 1 - F(x)."""
        told = [walk.uniform(j, x, rows) for walk in self.walks]
        return self._mean(j, told, rows)

    def uniform_at(self, j, x, rows):
        """`uniform` of many numbers of each row, ndarray of shape (n_rows, n_places)."""
        told = [walk.uniform_at(j, x, rows) for walk in self.walks]
        return self._mean(j, told, rows)

    def number_at(self, j, below, above, rows):
        """Numbers elsewhere by their uniform ones."""
        return number_at(self, j, below, above, rows)

    def of_kinds(self, j, kind):
        """Values of atoms, and NaN of other kinds."""
        return self.walks[0].of_kinds(j, kind)

    def observe(self, j, x):
        """Go on to the next column, once the values of one are known; of the context each walk has its own."""
        first = len(self.density.order) - self.contexts.shape[1]
        for i, walk in enumerate(self.walks):
            if j < first:
                self.log_weight[:, i] += walk.score(j, x)
                walk.observe(j, x)
            else:
                walk.observe(j, np.full(len(x), self.contexts[i, j - first]))

    @property
    def _weight(self):
        return softmax(self.log_weight, axis=1)

    def _mean(self, j, told, rows):
        """Means of what walks tell of numbers elsewhere, by how probable these are in each context."""
        elsewhere = self.density.n_categories[j] - 1
        weight = self._weight[rows] * np.column_stack([walk.codes_say(j)[rows, elsewhere] for walk in self.walks])
        weight /= weight.sum(axis=1, keepdims=True)
        return [
            sum(
                w.reshape(-1, *[1] * (each[side].ndim - 1)) * each[side] for w, each in zip(weight.T, told, strict=True)
            )
            for side in (0, 1)
        ]
