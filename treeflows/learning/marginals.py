"""Marginal densities of numbers: as many knots as held-out values like best."""

from itertools import pairwise

import numpy as np

from ..densities.destructors import MarginalDestructor
from ..densities.trees import starts

NUMBERS_OF_KNOTS = 8, 16, 32, 64, 128, 256, 512, 1024  # between which the knots lie, to choose from
FOLDS = 5
FEWEST_BETWEEN = 1.25  # values between two knots
MOST_VALUES = 50_000  # that the number of knots is chosen by
NEAREST = 2.0**-400  # two knots, where the range is about one: slopes and their products are floats


def learn_marginals(columns, n_knots, n_categories):
    """Marginal densities of columns of numbers.

    Parameters
    ----------
    columns : list of ndarray, or None for a column of codes
        The values of each.
    n_knots : list of int
    n_categories : ndarray of shape (n_columns,), int32
    """
    parts = [(0, *[np.empty(0)] * 3) if x is None else _spline(x, n) for x, n in zip(columns, n_knots, strict=True)]
    exponent, *arrays = zip(*parts, strict=True)
    return MarginalDestructor(
        n_categories,
        starts([len(knot) for knot in arrays[0]]),
        np.array(exponent, dtype=np.int32),
        *map(np.concatenate, arrays),
    )


def choose_n_knots(x, rng):
    """The number of knots under which values, each held out once, are most likely."""
    x = rng.permutation(x)[:MOST_VALUES]
    ends = [len(x) * i // FOLDS for i in range(FOLDS + 1)]
    best, most = NUMBERS_OF_KNOTS[0], -np.inf
    parts = [(np.sort(np.delete(x, slice(a, b))), x[a:b]) for a, b in pairwise(ends)]
    for n in NUMBERS_OF_KNOTS:
        if n * FEWEST_BETWEEN > len(x) * (1 - 1 / FOLDS):
            break
        score = 0.0
        for seen, unseen in parts:
            marginal = learn_marginals([seen], [n], np.ones(1, dtype=np.int32))
            score += float(marginal.destroy(0, unseen)[0].sum())
        if score > most:
            best, most = n, score
    return best


def _spline(x, n_knots):
    """Exponent of the column's units, knots, levels and slopes."""
    x = np.sort(x)
    exponent = _exponent(x)
    t, n = np.ldexp(x, -exponent), len(x)
    knot: np.ndarray
    if n == 0 or t[0] == t[-1]:
        centre = float(t[0]) if n else 0.0
        reach = max(0.5, abs(centre) * 1e-6)
        knot, level = np.array([centre - reach, centre + reach]), np.array([0.25, 0.75])
    else:
        places = np.unique(np.linspace(0, n - 1, min(n_knots, n - 1) + 1).round().astype(np.int64))
        last = np.append(np.diff(t[places]) > NEAREST, True)  # of knots that are all but equal
        places = places[last]
        if len(places) == 1 or t[places[0]] - t[0] > NEAREST:
            places = np.append(0, places)
        knot, level = t[places], (places + 1.0) / (n + 1.0)
    mean = np.diff(level) / np.diff(knot)
    slope = np.concatenate((mean[:1], np.sqrt(mean[1:] * mean[:-1]), mean[-1:]))
    return exponent, knot, level, slope


def _exponent(x):
    """Units in which the values' range is about one; where they are one value, its size."""
    if len(x) == 0:
        return 0
    size = x[-1] / 4 - x[0] / 4
    _, exponent = np.frexp(size if size > 0 else x[0])
    return int(np.clip(exponent + (2 if size > 0 else 0), -1070, 1024))


def between_quantiles(x, n):
    """Places near the n-quantiles of sorted numbers, each between two different ones, so that none is near."""
    value, count = np.unique(x, return_counts=True)
    if len(value) < 2:
        return np.empty(0)
    quantiles = len(x) * np.arange(1, n) // n
    at = np.unique(np.searchsorted(np.cumsum(count), quantiles, side="right"))
    at = at[at < len(value) - 1]
    return np.unique(value[at] / 2 + value[at + 1] / 2)
