"""The density of a discrete tree flow: a base density of the codes that layers of permutations make of a row."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext.permuting import Program
from .density import Density
from .independent import IndependentColumns
from .permutation import TreePermutation
from .stored import MOST_NATS, MOST_SCORE, Array


@dataclass(frozen=True, eq=False)
class Layered(Density):
    """A density of codes z = f(x), f a stack of tree-structured permutations; permutations change no volume.

    Attributes
    ----------
    layers : tuple of TreePermutation
        The layers, first applied first.
    bases : tuple of Density
        The base density after 0, 1, ... layers; the last is in use.
    train_score : ndarray of shape (n_learned + 1,), float64
        Mean log-likelihood of the training rows, nats, after 0, 1, ... layers, those not kept included.
    validation_score : ndarray of shape (n_learned + 1,), float64, or None
        The same of held-out rows.
    """

    layers: tuple[TreePermutation, ...]
    bases: tuple[Density, ...]
    train_score: Annotated[np.ndarray, Array(np.float64, "stages + 1", low=-MOST_NATS, high=MOST_SCORE)]
    validation_score: Annotated[np.ndarray | None, Array(np.float64, "stages + 1", low=-MOST_NATS, high=MOST_SCORE)] = (
        None
    )
    order = None

    def check(self):
        """Raise ValueError unless there is a base and a score for every stage; for what comes from a file."""
        super().check()
        if len(self.bases) != len(self.layers) + 1 or len(self.train_score) < len(self.bases):
            raise ValueError("the base or the score of a stage is missing")

    def score(self, codes, threads=1):
        """Log-likelihood of each row, nats."""
        base = self.bases[-1]
        if isinstance(base, IndependentColumns):  # in the same sweep
            return self._forward.apply_and_sum(codes, base.log_prob, threads)
        return base.score(self.transform(codes, threads), threads)

    def staged_score(self, codes, threads=1):
        """Log-likelihood of each row after 0, 1, ... layers, each with the base of that stage."""
        yield self.bases[0].score(codes, threads)
        for layer, base in zip(self.layers, self.bases[1:], strict=True):
            codes = program([layer], self.first_category).apply(codes, threads)
            yield base.score(codes, threads)

    def first(self, n_layers):
        """The density as it was after so many layers: Layered."""
        return replace(self, layers=self.layers[:n_layers], bases=self.bases[: n_layers + 1])

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8."""
        return self.invert(self.bases[-1].sample(n_samples, rng, threads), threads)

    def marginal(self, codes, observed, threads=1, *within):
        """Log-probability of the observed cells of each row; that of the base where no layer changes these."""
        alone = ~(observed & self._changed).any(axis=1)
        if within or not alone.any():
            return super().marginal(codes, observed, threads, *within)
        log_prob, error = np.empty((2, len(codes)))
        log_prob[alone], error[alone] = self.bases[-1].marginal(codes[alone], observed[alone], threads)
        if not alone.all():
            log_prob[~alone], error[~alone] = super().marginal(codes[~alone], observed[~alone], threads)
        return log_prob, error

    def given(self, codes, observed, n_samples, rng, threads=1, *within):
        """Rows with given values; as the base draws them where no layer changes these."""
        if within or (observed & self._changed).any():
            return super().given(codes, observed, n_samples, rng, threads, *within)
        drawn, effective, n_proposed = self.bases[-1].given(codes, observed, n_samples, rng, threads)
        return self.invert(drawn, threads), effective, n_proposed

    def transform(self, codes, threads=1):
        """Codes after all layers."""
        return self._forward.apply(codes, threads)

    def invert(self, codes, threads=1):
        """Rows by their codes."""
        return self._backward.apply(codes, threads)

    @cached_property
    def _changed(self):
        """Whether a layer permutes a column: ndarray of shape (n_columns,), bool."""
        place = np.arange(self.first_category[-1]) - np.repeat(self.first_category[:-1], self.n_categories)
        moved = np.zeros(len(place), dtype=bool)
        for layer in self.layers:
            moved |= (layer.tables != place).any(axis=0)
        return np.logical_or.reduceat(moved, self.first_category[:-1])

    @cached_property
    def _forward(self):
        return program(self.layers, self.first_category)

    @cached_property
    def _backward(self):
        return Program(
            [(t.column, t.children, t.output_sets, t.inverse_tables()) for t in reversed(self.layers)],
            self.first_category,
        )


def program(layers, first_category):
    """The engine's form of layers."""
    return Program([(t.column, t.children, t.input_sets, t.tables) for t in layers], first_category)
