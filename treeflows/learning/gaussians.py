"""EM for mixtures of normal distributions and of codes (Dempster, Laird, Rubin 1977).

A state's covariance is drawn to a small one of independent numbers, so that no state shrinks to a point.
"""

import numpy as np

from .._ext import elementary, gaussians
from ..densities.destructors import LOG_SQRT_2PI, GaussianMixtureDestructor
from ..machine.parts import computed, in_parts, pure

NARROW = 1e-4  # variance, of the column's, that a state's covariance is drawn to
SMOOTHING = 1.0  # rows' worth of the column's own distribution that is added to each state's codes
TOLERANCE = 2e-3  # nats per row that a step of EM must gain
MOST_STEPS = 60
STEPS_OF_PART = 10
ROUNDS = 3  # of moving centres to the rows next to them, before EM starts
MOST_ROWS = 50_000  # that EM learns from,
SOME_ROWS = 8_192  # and so many before all of them, if these are more than
MANY_TIMES = 2  # times as many
STATES = ("weight", "factor", "shift", "prob")  # of a mixture, what EM changes


class MixtureLearner:
    """EM on the rows of one table.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_numbers), float64
        Numbers in their order, of about unit variance.
    cells : ndarray of shape (n_rows, n_coded), int32
        Codes, counted through all columns.
    n_categories : ndarray of shape (n_columns,), int32
    centre, scale : ndarray of shape (n_numbers,), float64
        What was done to the numbers.
    threads : int
    """

    def __init__(self, z, cells, n_categories, centre, scale, threads=1):
        self.z, self.cells = np.ascontiguousarray(z[:MOST_ROWS]), np.ascontiguousarray(cells[:MOST_ROWS])
        self.n_categories, self.centre, self.scale = n_categories, centre, scale
        self.threads = threads
        self.column = np.repeat(np.arange(len(n_categories)), n_categories)
        self.first = np.concatenate(([0], np.cumsum(n_categories)))[:-1]
        counts = np.bincount(self.cells.ravel(), minlength=int(n_categories.sum())) + 0.5
        self.marginal = counts / np.add.reduceat(counts, self.first)[self.column]
        self.variance = np.maximum((self.z**2).mean(axis=0) - self.z.mean(axis=0) ** 2, 1e-12)

    def start(self, n_states, rng):
        """A mixture around rows far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
        z, n = self.z, len(self.z)
        centres = z[[rng.integers(n)]]
        nearest = _squares(z, centres)[:, 0]
        for _ in range(n_states - 1):
            cumulative = np.cumsum(nearest)
            if cumulative[-1] <= 0:
                chosen = rng.integers(n)
            else:
                chosen = min(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"), n - 1)
            centres = np.concatenate([centres, z[[chosen]]])
            nearest = np.minimum(nearest, _squares(z, centres[-1:])[:, 0])
        for _ in range(ROUNDS):
            away = _squares(z, centres)
            state = away.argmin(axis=1)
            size = np.bincount(state, minlength=n_states)
            sums = np.stack([np.bincount(state, z[:, t], n_states) for t in range(z.shape[1])], axis=1)
            centres = np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centres)
        away = _squares(z, centres)
        spread = max(float(away.min(axis=1).mean()) / z.shape[1], NARROW)
        cov = np.zeros((z.shape[1], z.shape[1], n_states))
        cov[np.arange(z.shape[1]), np.arange(z.shape[1])] = spread
        weight = np.bincount(away.argmin(axis=1), minlength=n_states) + 1.0
        return self._mixture(weight / weight.sum(), centres.T, cov, np.tile(self.marginal[:, None], n_states))

    def learn(self, n_states, rng):
        """A mixture by EM: on some of the rows until it gets nowhere, and then on all."""
        if len(self.z) <= MANY_TIMES * SOME_ROWS:
            return self.improve(self.start(n_states, rng))
        of_some = self.z[:SOME_ROWS], self.cells[:SOME_ROWS], self.n_categories, self.centre, self.scale
        some = MixtureLearner(*of_some, self.threads)
        return self.improve(some.improve(some.start(n_states, rng)))

    def improve(self, mixture):
        """EM from a mixture until a step gains less than `TOLERANCE`; a few steps are a part."""
        if not in_parts():
            return self.climb(mixture, MOST_STEPS)[0]
        own, score = {name: getattr(self, name) for name in ("z", "cells", "n_categories", "centre", "scale")}, -np.inf
        for done in range(0, MOST_STEPS, STEPS_OF_PART):
            arrays = own | {name: getattr(mixture, name) for name in STATES} | {"before": np.array([score])}
            options = {"most_steps": min(STEPS_OF_PART, MOST_STEPS - done)}
            (found,) = computed(improved_gaussians, arrays, options, threads=self.threads)
            score = float(found.pop("score")[0])
            mixture = GaussianMixtureDestructor(self.n_categories, **found, centre=self.centre, scale=self.scale)
            if score == np.inf:
                break
        return mixture

    def climb(self, mixture, most_steps, before=-np.inf):
        """Steps of EM, here, and the score before the last; infinity if that gained too little to go on."""
        n_numbers = self.z.shape[1]
        doubt = n_numbers + 2.0
        low = np.tril_indices(n_numbers)
        for _ in range(most_steps):
            own = mixture.factor[np.arange(n_numbers) * (np.arange(n_numbers) + 3) // 2]
            base = elementary.log(mixture.weight) + elementary.log(own).sum(axis=0) - n_numbers * LOG_SQRT_2PI
            rows, first, second, counts, score = gaussians.expect(
                self.z, self.cells, base, mixture.factor, mixture.shift, elementary.log(mixture.prob), self.threads
            )
            some = np.maximum(rows, 1e-9)
            mean = first / some
            cov = np.empty((n_numbers, n_numbers, len(rows)))
            cov[low] = second - rows * mean[low[0]] * mean[low[1]]
            cov[low[::-1]] = cov[low]
            cov[np.arange(n_numbers), np.arange(n_numbers)] += doubt * NARROW * self.variance[:, None]
            cov /= rows + doubt
            prob = np.maximum(counts, 0.0) + SMOOTHING * self.marginal[:, None]
            prob /= np.add.reduceat(prob, self.first, axis=0)[self.column]
            mixture = self._mixture((rows + 1) / (rows + 1).sum(), mean, cov, prob)
            if score - before < TOLERANCE:
                return mixture, np.inf
            before = score
        return mixture, before

    def _mixture(self, weight, mean, cov, prob):
        """The mixture of states with these means, (n_numbers, n_states), and covariances."""
        factor = _inverse_root(cov)
        shift = (factor * mean).sum(axis=1)
        packed = np.ascontiguousarray(factor[np.tril_indices(len(mean))])
        return GaussianMixtureDestructor(self.n_categories, weight, packed, shift, prob, self.centre, self.scale)


@pure
def improved_gaussians(
    z, cells, n_categories, centre, scale, weight, factor, shift, prob, before, *, most_steps, threads=1
):
    """What `MixtureLearner.climb` makes of a mixture: dict of arrays."""
    learner = MixtureLearner(z, cells, n_categories, centre, scale, threads)
    start = GaussianMixtureDestructor(n_categories, weight, factor, shift, prob, centre, scale)
    mixture, score = learner.climb(start, most_steps, float(before[0]))
    return {name: getattr(mixture, name) for name in STATES} | {"score": np.array([score])}


def _squares(z, centres):
    """Squared distances of rows from centres, added up column by column."""
    total = np.zeros((len(z), len(centres)))
    for t in range(z.shape[1]):
        total += (z[:, [t]] - centres[:, t]) ** 2
    return total


def _inverse_root(cov):
    """P of each covariance, the last axis counting them: lower triangular, with P'P the inverse.

    Cholesky's factor L column by column, and its inverse by forward substitution of the identity, in one pass.
    """
    n = len(cov)
    rest, inverse = cov.copy(), np.zeros_like(cov)
    inverse[np.arange(n), np.arange(n)] = 1.0
    for j in range(n):
        root = np.sqrt(np.maximum(rest[j, j], 1e-14))
        inverse[j] /= root
        below = rest[j + 1 :, j] / root
        rest[j + 1 :, j + 1 :] -= below[:, None] * below[None]
        inverse[j + 1 :] -= below[:, None] * inverse[j][None]
    return inverse
