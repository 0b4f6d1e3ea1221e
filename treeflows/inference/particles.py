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
from .estimates import blocks

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
    within : dict of int to ndarray, or None
        What cells of a column that are not observed may be, as `Walk.draw` takes it.

    Returns
    -------
    draws : Draws
        Their mean weight is the density of what is observed, times the probability that the others are what they may.
    """
    n_rows, n_columns = values.shape
    drawn = np.empty((n_rows, n_draws, n_columns))
    log_weight, root = np.empty((n_rows, n_draws)), np.empty((n_rows, n_draws), dtype=np.int64)
    holes = ~observed[:, density.order]
    first = np.where(holes.any(axis=1), holes.argmax(axis=1), n_columns)
    end = np.full(n_rows, n_columns) if last is None else last
    kind = first * (n_columns + 1) + end
    for alike in np.unique(kind).tolist():
        rows = np.flatnonzero(kind == alike)
        for block in blocks(len(rows), n_draws, PARTICLES):
            part, (start, stop) = rows[block], divmod(alike, n_columns + 1)
            of = density, values[part], observed[part], [rngs[i] for i in part]
            drawn[part], log_weight[part], root[part] = _along(*of, start, stop, n_draws, threads, within or {})
    return Draws(drawn, log_weight, root)


def _along(density, values, observed, rngs, first, end, n_draws, threads, within):
    """Draws of rows in which all before place ``first`` of the order is observed: values, log-weights and roots."""
    n_rows, order = len(values), density.order[:end].tolist()
    walk, log_before = density.begin(n_rows, threads), np.zeros(n_rows)
    for j in order[:first]:  # what all draws of a row have in common is told once
        log_before += walk.score(j, values[:, j])
        walk.observe(j, values[:, j])
    each = np.repeat(np.arange(n_rows), n_draws)
    log_weight = np.tile(log_before[:, None], n_draws)
    return _on(density.order, walk.of(each), values[each], log_weight, observed, rngs, first, end, within)


def draw_on(density, values, observed, first, rng, threads, last=None, within=None):
    """Weighted draws of what comes from a place of the order on, one for each of some rows that are known before it.

    Parameters
    ----------
    density : MixedDensity
    values : ndarray of shape (n_rows, n_columns), float64
        What is observed from the place on is the same in all.
    observed : ndarray of shape (n_columns,), bool
    first : int
        The place.
    rng : Generator
    threads : int
    last : int or None
        How many columns, in order, count; None for all.
    within : dict of int to ndarray, or None
        As `draw_along` takes it.

    Returns
    -------
    draws : Draws
        Of one row, whose draws go on from the rows that were known; their mean weight is how probable what is observed
        from the place on is, given what comes before it.
    """
    walk, end = density.begin(len(values), threads), len(density.order) if last is None else last
    for j in density.order[:first].tolist():
        walk.observe(j, values[:, j])
    nothing, rows = np.zeros((1, len(values))), values.copy()
    return Draws(*_on(density.order, walk, rows, nothing, observed[None], [rng], first, end, within or {}))


def _on(order, walk, drawn, log_weight, observed, rngs, first, end, within):
    """Go on with so many draws of each row, whose weights are known so far: values, log-weights and roots."""
    n_rows, n_draws = log_weight.shape
    root = np.tile(np.arange(n_draws), (n_rows, 1))
    for t, j in enumerate(order[first:end].tolist(), start=first):
        log_weight += _next(walk, j, drawn, observed[:, j], rngs, within.get(j)).reshape(n_rows, n_draws)
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


def _next(walk, j, drawn, seen, rngs, within):
    """Log-densities of a column's values where they are observed; where not, these are drawn, into ``drawn``."""
    n_draws, told = len(drawn) // len(seen), np.empty(len(drawn))
    for is_seen in np.unique(seen).tolist():
        rows = np.flatnonzero(np.repeat(seen == is_seen, n_draws))
        part = walk if len(rows) == len(drawn) else walk.of(rows)
        if is_seen:
            told[rows] = part.score(j, drawn[rows, j])
        else:
            uniform = _spread(n_draws, [rng for rng, one in zip(rngs, seen, strict=True) if not one])
            drawn[rows, j], told[rows] = part.draw(j, uniform, within)
    return told


def _spread(n, rngs):
    """Uniform numbers, for each generator one in each of n intervals, in random order."""
    return np.concatenate([(rng.permutation(n) + rng.random(n)) / n for rng in rngs])
