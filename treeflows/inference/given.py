"""Rows that have given values in some columns."""

import numpy as np

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
        Effective number of proposals.
    n_proposed : int
        0 where the rows are exact.
    """
    if density._order is not None and observed[0, density._order[: observed.sum()]].all():
        repeated = (np.repeat(x, n_samples, axis=0) for x in (codes, observed))
        return density._propose(*repeated, rng, threads)[0], float(n_samples), 0
    proposals, n_proposed = None, 0
    for _ in range(MOST_BATCHES):
        draws = density._draw_ahead(codes, observed, max(n_samples, FEWEST_PROPOSALS), [rng], threads)
        proposals = draws if proposals is None else proposals.and_further(draws)
        n_proposed = proposals.log_weight.shape[1]
        effective = float(proposals.effective[0])
        if effective >= 2 * n_samples:
            break
    possible(proposals.log_weight)
    return rng.permutation(proposals.resampled(n_samples, [rng])[0]), effective, n_proposed
