"""Independent columns: the base density of the paper's flow, and the baseline of every table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import elementary, encoding
from .._ext.permuting import Program
from ..machine.draws import uniform_blocks
from .density import Density
from .stored import LEAST_PROBABILITY, MOST_NATS, MOST_PROBABILITY, Array
from .trees import starts

# Candidate concentrations for smoothing="auto": 2**-10, about the 0.001 of the official code, to 2**4.
CONCENTRATIONS = 2.0 ** np.arange(-10, 4.5, 0.5)


def leave_one_out(counts, first_category, concentrations):
    """Leave-one-out log-likelihood of columns under Dirichlet smoothing, in closed form.

    Each of the n rows is predicted from the n - 1 others: a row of category v has the probability
    ``(c_v - 1 + a) / (n - 1 + K a)``, so the sum over rows needs the counts alone.

    Parameters
    ----------
    counts : ndarray of shape (n,)
        Rows of each category, column after column.
    first_category : ndarray of shape (n_columns + 1,)
    concentrations : ndarray of shape (n_concentrations,)

    Returns
    -------
    log_likelihood : ndarray of shape (n_concentrations, n_columns), nats
    """
    k = np.diff(first_category)
    n = np.add.reduceat(counts, first_category[:-1])
    a = concentrations[:, None]
    present = counts > 0
    log_p = elementary.log(np.where(present, counts - 1 + a, 1.0)) - np.repeat(elementary.log(n - 1 + k * a), k, axis=1)
    return np.add.reduceat(counts * log_p, first_category[:-1], axis=1)


@dataclass(frozen=True, eq=False)
class IndependentColumns(Density):
    """Independent categorical columns.

    Attributes
    ----------
    prob : ndarray of shape (sum of n_categories,), float64
        Probability of each category, column after column.
    concentration : ndarray of shape (n_columns,), float64
        Pseudo-count of each category with which they were smoothed.
    """

    prob: Annotated[np.ndarray, Array(np.float64, "values", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]
    concentration: Annotated[np.ndarray, Array(np.float64, "columns", low=0, high=MOST_NATS)]
    order = None

    def check(self):
        """Raise ValueError unless these are distributions; for what comes from a file."""
        super().check()
        if not np.allclose(np.add.reduceat(self.prob, self.first_category[:-1]), 1, rtol=0, atol=1e-9):
            raise ValueError("probabilities do not sum to one")

    @classmethod
    def from_counts(cls, counts, n_categories, smoothing="auto"):
        """Frequencies of training rows with Dirichlet smoothing, ``(c_v + a) / (n + K a)``.

        Parameters
        ----------
        counts : ndarray of shape (sum of n_categories,)
            Training rows of each category.
        n_categories : ndarray of shape (n_columns,), int32
        smoothing : "auto" or float
            Concentration a. "auto" takes for each column the one of highest leave-one-out likelihood.
        """
        counts, k, first = counts.astype(np.float64), n_categories, starts(n_categories)
        if smoothing == "auto":
            concentration = CONCENTRATIONS[leave_one_out(counts, first, CONCENTRATIONS).argmax(axis=0)]
        else:
            concentration = np.full(len(k), float(smoothing))
        totals = np.add.reduceat(counts, first[:-1]) + k * concentration
        return cls(n_categories, (counts + np.repeat(concentration, k)) / np.repeat(totals, k), concentration)

    @cached_property
    def log_prob(self):
        """Log-probability of each category, nats."""
        return elementary.log(self.prob)

    def first(self, n_columns):
        """The first so many columns alone: IndependentColumns."""
        end = self.first_category[n_columns]
        return IndependentColumns(self.n_categories[:n_columns], self.prob[:end], self.concentration[:n_columns])

    def mean_log_likelihood(self, counts):
        """Nats per row of rows that have these counts, of which as many count as there are categories."""
        counts = counts[: len(self.prob)]
        return float((counts * self.log_prob).sum()) / counts[: self.n_categories[0]].sum()

    def score(self, codes, threads=1):
        """Log-likelihood of each row, nats."""
        return Program([], self.first_category).apply_and_sum(codes, self.log_prob, threads)

    def marginal(self, codes, observed, threads=1, *within):
        """Log-probability of the observed cells of each row, exact, and 0; see `Density.marginal`."""
        if within:
            return super().marginal(codes, observed, threads, *within)
        told = self.log_prob[self.first_category[:-1] + codes]
        return np.where(observed, told, 0.0).sum(axis=1), np.zeros(len(codes))

    def given(self, codes, observed, n_samples, rng, threads=1, *within):
        """Rows with given values, exact; see `sample_given`."""
        if within:
            return super().given(codes, observed, n_samples, rng, threads, *within)
        return np.where(observed, codes, self.sample(n_samples, rng, threads)), float(n_samples), 0

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8."""
        n_columns = len(self.n_categories)
        cumulative = np.concatenate([np.cumsum(prob) for prob in np.split(self.prob, self.first_category[1:-1])])
        codes = np.empty((n_samples, n_columns), dtype=np.uint8)
        for start, uniform in uniform_blocks(n_samples, n_columns, rng):
            codes[start : start + len(uniform)] = encoding.draw(uniform, cumulative, self.first_category, threads)
        return codes
