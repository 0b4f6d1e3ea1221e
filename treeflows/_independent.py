"""Independent columns: the base density of the paper's flow, and the baseline of every table."""

import numpy as np

from ._draws import uniform_blocks
from ._ext import elementary, encoding
from ._ext.permuting import Program

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


class IndependentColumns:
    """Independent categorical columns.

    Parameters
    ----------
    first_category : ndarray of shape (n_columns + 1,), int32
        Where each column starts when all categories stand in a row.
    log_prob : ndarray of shape (n,), float64
        Log-probability of each category, nats.
    concentration : ndarray of shape (n_columns,), float64
        Pseudo-count of each category with which they were smoothed.
    """

    def __init__(self, first_category, log_prob, concentration):
        self.first_category = first_category
        self.log_prob = log_prob
        self.concentration = concentration

    @classmethod
    def from_counts(cls, counts, first_category, smoothing="auto"):
        """Frequencies of training rows with Dirichlet smoothing, ``(c_v + a) / (n + K a)``.

        Parameters
        ----------
        counts : ndarray of shape (n,)
            Training rows of each category.
        first_category : ndarray of shape (n_columns + 1,), int32
        smoothing : "auto" or float
            Concentration a. "auto" takes for each column the one of highest leave-one-out likelihood.
        """
        counts, k = counts.astype(np.float64), np.diff(first_category)
        if smoothing == "auto":
            concentration = CONCENTRATIONS[leave_one_out(counts, first_category, CONCENTRATIONS).argmax(axis=0)]
        else:
            concentration = np.full(len(k), float(smoothing))
        totals = np.add.reduceat(counts, first_category[:-1]) + k * concentration
        log_prob = elementary.log((counts + np.repeat(concentration, k)) / np.repeat(totals, k))
        return cls(first_category, log_prob, concentration)

    def mean_log_likelihood(self, counts):
        """Nats per row of rows that have these counts."""
        return float((counts * self.log_prob).sum()) / counts[: self.first_category[1]].sum()

    def _score_codes(self, codes, threads, layers=None):
        """Log-likelihood of each row, nats; ``layers``: a `Program` that rows pass first, in the same sweep."""
        program = Program([], self.first_category) if layers is None else layers
        return program.apply_and_sum(codes, self.log_prob, threads)

    def _sample_codes(self, n_samples, rng, threads):
        """Codes of random rows: ndarray of shape (n_samples, n_columns), uint8."""
        n_columns = len(self.concentration)
        cumulative = elementary.exp(self.log_prob)
        for start, end in zip(self.first_category[:-1], self.first_category[1:], strict=True):
            cumulative[start:end] = np.cumsum(cumulative[start:end])
        codes = np.empty((n_samples, n_columns), dtype=np.uint8)
        for start, uniform in uniform_blocks(n_samples, n_columns, rng):
            codes[start : start + len(uniform)] = encoding.draw(uniform, cumulative, self.first_category, threads)
        return codes
