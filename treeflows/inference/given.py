"""Rows that have given values in some columns."""

import numpy as np

from .ahead import joined
from .estimates import possible

FEWEST_PROPOSALS = 1000  # for rows with given values, in each of at most so many batches:
MOST_BATCHES = 20


def sample_given(density, codes, observed, n_samples, rng, threads, *within):
    """Rows with given values.

    Exact where the given columns come first in order; else by importance resampling.

    Parameters
    ----------
    codes, observed : ndarray of shape (1, n_columns), uint8 and bool
        The given codes, and where they are.
    n_samples : int
    *within : dict of int to ndarray
        What other columns may be, as `draw_ahead` and `draw_along` take it.

    Returns
    -------
    drawn : ndarray of shape (n_samples, n_columns)
    effective : float
        Effective number of proposals.
    n_proposed : int
        0 where the rows are exact.
    """
    between = list(within[0]) if within else []
    said = observed[0].copy()
    said[between] = True
    first = [] if density.order is None else density.order[: said.sum()].tolist()
    # draws between values weigh the same if nothing else is drawn before
    alike = not between or between == first[-1:]
    if density.order is not None and said[first].all() and alike:
        repeated = (np.repeat(x, n_samples, axis=0) for x in (codes, observed))
        drawn, log_weight = density.propose(*repeated, rng, threads, *within)
        possible(log_weight[:, None])
        return drawn, float(n_samples), 0
    parts: list = []
    for _ in range(MOST_BATCHES):
        n_draws = max(n_samples, FEWEST_PROPOSALS)
        parts.append(density.draw_ahead(codes, observed, n_draws, [rng], threads, None, *within))
        proposals = joined(parts)
        effective = float(proposals.effective[0])
        if effective >= 2 * n_samples or effective == 0:  # then nothing is possible
            break
    possible(proposals.log_weight)
    return rng.permutation(proposals.resampled(n_samples, [rng])[0]), effective, proposals.root.shape[1]
