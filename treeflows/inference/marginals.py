"""Densities of codes, and their marginals.

Sums over the states of unobserved columns are exact up to `MOST_STATES` states of a row. Beyond, marginals are
estimated by importance sampling (likelihood weighting along the order of the columns: Fung and Chang, "Weighing and
integrating evidence for stochastic simulation in Bayesian networks", UAI 1989).
"""

from zlib import crc32

import numpy as np
from scipy.special import logsumexp

from .estimates import blocks, enumerated, few_states, patterns, possible
from .given import sample_given

DRAWS = 1000  # of importance sampling, for each row
MARGINAL_ROWS = 10_000  # rows to learn the columns' own distributions from


class Density:
    """A density of codes over a ``_domain``: ``_score_codes(codes, threads)``, ``_sample_codes(n, rng, threads)``."""

    @property
    def _order(self):
        """The columns in order, if each is told given those before it."""
        return None

    def _log_marginal(self, codes, observed, threads):
        """Log-probability of the observed cells of each row, and its standard error, 0 where it is exact; nats."""
        return log_marginal(self, codes, observed, threads)

    def _sample_given_codes(self, codes, observed, n_samples, rng, threads):
        """What `sample_given` says."""
        return sample_given(self, codes, observed, n_samples, rng, threads)

    def _propose(self, codes, observed, rng, threads):
        """Rows with the unobserved cells drawn, and log p(row) - log q(drawn cells), q being what they came from.

        Here q draws each column by itself, from what it is in the model's own samples.
        """
        codes, log_weight = codes.copy(), np.zeros(len(codes))
        samples = self._sample_codes(MARGINAL_ROWS, np.random.default_rng(0), threads)
        for j in np.flatnonzero(~observed.all(axis=0)):
            share = np.bincount(samples[:, j], minlength=self._domain.n_categories[j]) + 1.0
            share /= share.sum()
            rows = np.flatnonzero(~observed[:, j])
            codes[rows, j] = np.searchsorted(np.cumsum(share)[:-1], rng.random(len(rows)), side="right")
            log_weight[rows] -= np.log(share[codes[rows, j]])
        return codes, log_weight + self._score_codes(codes, threads)


class OrderedDensity(Density):
    """A density that tells each column given those before it: ``_order``, ``_walk`` and ``_cell_probabilities``.

    ``_walk(codes, threads)`` yields, column after column, its number and its distribution in each row, and leaves the
    caller until the next step to write the column's values. ``_cell_probabilities(codes, threads)`` has the probability
    of every value given those before it, (n_rows, n_columns), in the order of the columns.
    """

    def _propose(self, codes, observed, rng, threads):
        """Cells are drawn given all before them, so that the weight is the product of what the observed ones are."""
        codes, log_weight = codes.copy(), np.zeros(len(codes))
        for block in blocks(*codes.shape):
            for j, prob in self._walk(codes[block], threads):
                seen = observed[block, j]
                cumulative = np.cumsum(prob, axis=1)[:, :-1]
                drawn = (rng.random((len(seen), 1)) >= cumulative).sum(axis=1)
                codes[block, j] = np.where(seen, codes[block, j], drawn)
                told = np.take_along_axis(prob, codes[block, j, None].astype(np.intp), axis=1)[:, 0]
                log_weight[block] += np.where(seen, np.log(told), 0.0)
        return codes, log_weight


def log_marginal(density, codes, observed, threads):
    """What `Density._log_marginal` says: of each row by itself, whatever the other rows are."""
    needed, last = ~observed, None
    if density._order is not None:
        # what comes after the last observed column sums to one
        in_order = observed[:, density._order]
        last = in_order.shape[1] - np.argmax(in_order[:, ::-1], axis=1)
        last[~in_order.any(axis=1)] = 0
        needed[:, density._order] &= np.arange(in_order.shape[1]) < last[:, None]
    log_prob, error = np.empty(len(codes)), np.zeros(len(codes))
    for rows, columns in patterns(needed):
        if few_states(density._domain.n_categories[columns]):
            for part, _, joint in enumerated(
                density, codes, rows, columns, density._domain.n_categories, last, threads
            ):
                log_prob[part] = logsumexp(joint, axis=1)
        else:
            for row in rows.tolist():
                repeated = (np.repeat(x[[row]], DRAWS, axis=0) for x in (codes, observed))
                # a row has the same estimate in every table and on every call, and different rows independent ones
                told = np.where(observed[row], codes[row], 0).tobytes() + observed[row].tobytes()
                rng = np.random.default_rng(crc32(told))
                _, log_weight = density._propose(*repeated, rng, threads)
                log_prob[row] = logsumexp(log_weight) - np.log(DRAWS)
                error[row] = np.exp(log_weight - log_prob[row]).std(ddof=1) / np.sqrt(DRAWS)
    return log_prob, error


def log_joint(density, codes, observed, column, n_values, threads):
    """Log-probability of each row with each of the first ``n_values`` codes of a column: (n_rows, n_values), nats.

    And its standard error, 0 where it is exact: columns that are not observed are summed out (``observed`` is None if
    all are). Raises ValueError where the model thinks nothing possible.
    """
    codes = codes.copy()
    joint, error = np.zeros((2, len(codes), n_values))
    if observed is not None:
        observed = observed.copy()
        observed[:, column] = True
        if observed.all():
            observed = None
    for value in range(n_values):
        codes[:, column] = value
        if observed is None:
            joint[:, value] = density._score_codes(codes, threads)
        else:
            joint[:, value], error[:, value] = density._log_marginal(codes, observed, threads)
    return possible(joint), error
