"""The density of a tree flow mixture whose voices add up: at every column, a logarithmic pool of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import pooling
from ..inference.estimates import blocks
from .density import OrderedDensity
from .logistic import LogisticConditionals
from .neural import NeuralConditionals
from .pool import Pool, walk_along
from .stored import Array
from .trees import starts

VOICES = "average", "tree", "further trees", "hidden column", "logistic regression", "neural network"
AVERAGE_ALONE = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # their exponents where the others have no say
MOST_EXPONENT = 100.0  # that is learned, and that a file may hold
BLOCK_VALUES = 500_000  # that are computed at a time: all trees pass through the cache once for each block


@dataclass(frozen=True, eq=False)
class LogarithmicPool(OrderedDensity):
    """p(x_j | before) proportional to the product over voices e of p_e(x_j | before)^a_je, over the column's values.

    The logarithmic opinion pool (Genest and Zidek, Statistical Science 1, 1986).

    Attributes
    ----------
    average : Pool
        The average of tree, further trees and hidden column is a voice, and each of the three is one by itself.
    logistic : LogisticConditionals
        Another voice, in the same order.
    exponent : ndarray of shape (n_columns, n_voices), float64
        Of the average, the tree, the further trees, the hidden column, the logistic regression and, where there is one,
        the neural network; not negative.
    neural : tuple of NeuralConditionals
        None, or the last voice, of the same order and with the same references as the regressions.
    """

    average: Pool
    logistic: LogisticConditionals
    exponent: Annotated[np.ndarray, Array(np.float64, "columns", "voices", low=0, high=MOST_EXPONENT)]
    neural: tuple[NeuralConditionals, ...] = ()

    @property
    def order(self):
        """The columns in order."""
        return self.average.order

    def probabilities(self, codes, threads=1, start=0):
        """Probability of every value given those before it, in the order of the columns from place ``start`` on."""
        order, first = self.order[start:], self._first
        shares, exponents, values = self._share[start:], self._exponent[start:], np.take(codes, order, axis=1)
        prob = np.empty(values.shape)
        for block in blocks(len(codes), int(first[-1]), BLOCK_VALUES):
            tree, forest, hidden = self.average.distributions(codes[block], self._asked, threads, start)
            prob[block] = pooling.pooled_values(
                tree,
                forest,
                hidden,
                shares,
                self._added(self.logistic.logits(codes[block], threads), codes[block], threads),
                self.logistic.number_in_order[first[start] :],
                first[start:] - first[start],
                exponents,
                values[block],
                threads,
            )
        return prob

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution in each row."""
        return walk_along(self, codes, threads)

    def begin(self, n_rows):
        """What is known of rows before any column is: list of ndarray with a row for each, for `predict`."""
        of_networks = [network.begin(n_rows) for network in self.neural]
        return [*self.average.begin(n_rows), self.logistic.begin(n_rows), *of_networks]

    def predict(self, known, t, codes, threads=1):
        """Distribution of the column at place t of the order in each row: (n_rows, n_categories)."""
        of_average, logits, *sums = self._apart(known)
        tree, forest, hidden = self.average.predict_voices(of_average, t, codes, threads, self._asked)
        cells = self.logistic.number_in_order[self._first[t] : self._first[t + 1]]
        if self.neural:
            first, end = self.logistic.cells.first[[t, t + 1]]
            *_, of_regression, of_network = self.exponent[self.order[t]].astype(np.float32)
            network = self.neural[0].predict(sums[0], t, threads)
            logits = of_regression * logits[:, first:end] + of_network * network
            cells = np.where(cells >= 0, cells - first, cells).astype(np.int32)
        share, one = self._share[[t]], np.array([0, tree.shape[1]], dtype=np.int32)
        return pooling.pooled(tree, forest, hidden, share, logits, cells, one, self._exponent[[t]], threads)

    def observe(self, known, t, codes, threads=1):
        """Go on to the next place, in place, once the codes of one are known."""
        of_average, logits, *sums = self._apart(known)
        self.average.observe(of_average, t, codes, threads)
        j = int(self.order[t])
        values = np.ascontiguousarray(codes[:, j])
        self.logistic.observe(logits, j, values, threads)
        for voice, its in zip(self.neural, sums, strict=True):
            voice.observe(its, j, values)

    def _apart(self, known):
        """What is known for the average, a list, and for each of the voices that add up."""
        n = len(known) - 1 - len(self.neural)
        return known[:n], *known[n:]

    def _added(self, logits, codes, threads):
        """Logits of the regressions; with a network, of both together, each with its exponents."""
        if not self.neural:
            return logits
        of_regression, of_network = self.exponent[self.order, 4:].T.astype(np.float32)
        place, n = self.logistic.cells.place, self.logistic.cells.n
        network = self.neural[0].logits(codes, threads)
        return of_regression[place] * logits[:, :n] + of_network[place] * network

    @cached_property
    def _share(self):
        """Shares in the average of each column, in order."""
        return self.average.share[self.order]

    @cached_property
    def _exponent(self):
        """Exponents of each column, in order, as the engine takes them: 1 of the last two voices together."""
        exponent = self.exponent[self.order]
        if not self.neural:
            return exponent
        return np.column_stack([exponent[:, :4], (exponent[:, 4:] > 0).any(axis=1)])

    @cached_property
    def _asked(self):
        """What tree, further trees and hidden column are asked of each column, as `Pool.distributions` has it.

        A voice without a say is asked nothing, and of a column that is its average alone, the row's value is enough.
        """
        exponent = self.exponent[self.order]
        heard = (exponent[:, :1] > 0) & (self._share > 0) | (exponent[:, 1:4] > 0)
        pooled = (exponent != AVERAGE_ALONE[: exponent.shape[1]]).any(axis=1, keepdims=True)
        return np.ascontiguousarray((heard * (1 + pooled)).T.astype(np.uint8))

    @cached_property
    def _first(self):
        """Where the values of each column start, in order."""
        return starts(self.n_categories[self.order]).astype(np.int32)

    def check(self):
        """Raise ValueError unless the parts fit each other; for what comes from a file."""
        super().check()
        if not np.array_equal(self.logistic.order, self.order):
            raise ValueError("the logistic regressions have another order than the trees")
        if len(self.neural) > 1 or self.exponent.shape[1] != len(VOICES) - 1 + len(self.neural):
            raise ValueError("there are more or fewer exponents than voices")
        for voice in self.neural:
            same = np.array_equal(voice.order, self.order), np.array_equal(voice.reference, self.logistic.reference)
            if not all(same):
                raise ValueError("the neural network has another order or references than the logistic regressions")


def average_in(pool):
    """The average that a pool is, or that is a voice of it: Pool."""
    return pool.average if isinstance(pool, LogarithmicPool) else pool
