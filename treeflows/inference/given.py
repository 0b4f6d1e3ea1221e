"""Rows that have given values in some columns."""

import numpy as np
from scipy.special import softmax

from .estimates import possible

FEWEST_PROPOSALS = 1000  # for rows with given values, in each of at most so many batches:
MOST_BATCHES = 20


def sample_given(density, codes, observed, n_samples, rng, threads):
    """Rows with given values.

    Exact where the given columns come first in order; else by importance resampling.

    Parameters
    ----------
    codes, observed : ndarray of shape (1, n_columns), uint8 and bool
        The given codes, and where they are.
    n_samples : int

    Returns
    -------
    drawn : ndarray of shape (n_samples, n_columns), uint8
    effective : float
        Effective number of proposals: the squared sum of their weights over the sum of the squares (Kong 1992).
    n_proposed : int
        0 where the rows are exact.
    """
    repeated = (np.repeat(x, n_samples, axis=0) for x in (codes, observed))
    drawn, log_weight = density._propose(*repeated, rng, threads)
    if density._order is not None and observed[0, density._order[: observed.sum()]].all():
        return drawn, float(n_samples), 0
    proposals, log_weights = [drawn], [log_weight]
    for _ in range(MOST_BATCHES):
        repeated = (np.repeat(x, max(n_samples, FEWEST_PROPOSALS), axis=0) for x in (codes, observed))
        drawn, log_weight = density._propose(*repeated, rng, threads)
        proposals.append(drawn)
        log_weights.append(log_weight)
        share = softmax(possible(np.concatenate(log_weights)[None])[0])
        effective = 1 / np.sum(share**2)
        if effective >= 2 * n_samples:
            break
    # systematic: a proposal of weight w is taken w n times, rounded
    chosen = np.searchsorted(np.cumsum(share)[:-1], (np.arange(n_samples) + rng.random()) / max(n_samples, 1))
    return np.concatenate(proposals)[rng.permutation(chosen)], float(effective), len(share)
