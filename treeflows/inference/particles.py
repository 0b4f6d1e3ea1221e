"""Draws along the order of a density of numbers and codes: sequential Monte Carlo.

Each column in turn is drawn given those before it, or, where it is observed, weighs the draws by its density (Doucet
and Johansen, "A tutorial on particle filtering and smoothing", 2009). The draws of a row are of uniform numbers that
are spread evenly, one in each of as many intervals (Gerber and Chopin, Journal of the Royal Statistical Society B 77,
2015).
"""

import numpy as np

from .._ext import elementary
from ..machine.log_sums import logsumexp
from .ahead import Draws, shares, systematic
from .estimates import blocks, patterns

PARTICLES = 30_000  # at a time


def draw_along(density, values, observed, n_draws, rngs, threads, last=None, within=None):
    """Weighted draws of the cells that are not observed: of each row by itself, whatever the other rows are.

    Parameters
    ----------
    density : MixedDensity
    values, observed : ndarray of shape (n_rows, n_columns), float64 and bool
    n_draws : int
    rngs : sequence of Generator
        One for each row.
    threads : int
    last : ndarray of shape (n_rows,), int, or None
        How many columns, in order, count of each row: draws of the others are left out. None for all.
    within : dict of int to (float, float) or ndarray of bool, or None
        What cells of a column that are not observed may be, as `Walk.draw` takes it.

    Returns
    -------
    draws : Draws
        Their mean weight is the density of what is observed, times the probability that the others are what they may.
    """
    n_rows, n_columns = values.shape
    drawn = np.empty((n_rows, n_draws, n_columns))
    log_weight, root = np.empty((n_rows, n_draws)), np.empty((n_rows, n_draws), dtype=np.int64)
    for rows, holes in patterns(~observed):
        seen = ~np.isin(np.arange(n_columns), holes)
        for block in blocks(len(rows), n_draws, PARTICLES):
            part = rows[block]
            end = n_columns if last is None else int(last[part[0]])
            of = [rngs[i] for i in part]
            drawn[part], log_weight[part], root[part] = _along(
                density, values[part], seen, n_draws, of, threads, end, within or {}
            )
    return Draws(drawn, log_weight, root)


def _along(density, values, seen, n_draws, rngs, threads, end, within):
    """Draws of rows in which the same columns are observed: values, log-weights and roots."""
    n_rows = len(values)
    drawn, walk = np.repeat(values, n_draws, axis=0), density.begin(n_rows * n_draws, threads)
    log_weight, root = np.zeros((n_rows, n_draws)), np.tile(np.arange(n_draws), (n_rows, 1))
    for t, j in enumerate(density.order[:end].tolist()):
        if seen[j]:
            told = walk.score(j, drawn[:, j])
        else:
            drawn[:, j], told = walk.draw(j, _spread(n_draws, rngs), within.get(j))
        log_weight += told.reshape(n_rows, n_draws)
        if t + 1 == end:
            break
        share = shares(log_weight)
        poor = np.flatnonzero(2 * (share**2).sum(axis=1) * n_draws > 4)
        walk.observe(j, drawn[:, j])
        if len(poor):
            exchanged = np.arange(len(drawn))
            for i in poor:
                chosen = systematic(share[i], n_draws, rngs[i])
                exchanged[i * n_draws : (i + 1) * n_draws] = i * n_draws + chosen
                root[i] = root[i, chosen]
                log_weight[i] = logsumexp(log_weight[i]) - elementary.log(n_draws)
            drawn, walk = drawn[exchanged], walk.of(exchanged)
    return drawn.reshape(n_rows, n_draws, -1), log_weight, root


def _spread(n, rngs):
    """Uniform numbers, for each generator one in each of n intervals, in random order."""
    return np.concatenate([(rng.permutation(n) + rng.random(n)) / n for rng in rngs])
