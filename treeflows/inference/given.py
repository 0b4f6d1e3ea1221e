"""Rows that have given values in some columns."""

import numpy as np

from .ahead import joined
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
    if density.order is not None and observed[0, density.order[: observed.sum()]].all():
        repeated = (np.repeat(x, n_samples, axis=0) for x in (codes, observed))
        return density.propose(*repeated, rng, threads)[0], float(n_samples), 0
    parts: list = []
    for _ in range(MOST_BATCHES):
        parts.append(density.draw_ahead(codes, observed, max(n_samples, FEWEST_PROPOSALS), [rng], threads))
        proposals = joined(parts)
        effective = float(proposals.effective[0])
        if effective >= 2 * n_samples:
            break
    possible(proposals.log_weight)
    return rng.permutation(proposals.resampled(n_samples, [rng])[0]), effective, proposals.root.shape[1]
