"""Groups of rows brought to one distribution, step by step: as normal distributions, and along directions.

Zhou, Gong, Ravikumar, Inouye, "Iterative Alignment Flows", AISTATS 2022. In one dimension the distribution that is
nearest to several by their squared Wasserstein distances, their barycentre, has the mean of their quantile functions;
of normal distributions it is known, too. A step finds the directions along which the groups are furthest from it, as
they are after the steps before, and moves each group there along these, by monotone maps, which have inverses.
"""

from dataclasses import dataclass

import numpy as np

from .._ext.normal import ndtri

SCORED = 200  # quantiles of a column that normal scores are told of, and its ends
MOST_KNOTS = 100  # of a quantile function,
ROWS_OF_KNOT = 4  # each of which so many rows of the smallest group stand for
SLOPE = 0.01  # standard deviations that a quantile function rises at least, in all: values which recur have a place
MOST_SORTED = 2000  # rows of a group that directions are sought with
MOST_STEPS = 100  # of the search
FIRST_STEP, LAST_STEP = 0.5, 1e-3  # of the search, relative to the directions' length
GAIN = 1e-4  # of the distance, relative, below which the search ends
SLICES = 200  # random directions that say whether the first step brings rows nearer
FLAT = 1e-8  # variance along an axis, of that along the first, below which rows are taken to have none
TOLERANCE = 1e-9  # of the covariance of a barycentre, relative
MOST_ITERATIONS = 100


@dataclass(frozen=True, eq=False)
class ScoreStep:
    """Each column by itself to its normal scores, and back: what is far out is so in all columns alike.

    Attributes
    ----------
    knots, scores : tuple of ndarray of shape (n_knots,), float64
        Of each column, strictly increasing.
    """

    knots: tuple
    scores: tuple

    def forward(self, x):
        """Scores of rows: ndarray of shape (n_rows, n_columns)."""
        return _by_column(x, self.knots, self.scores)

    def backward(self, z):
        """Rows by their scores: ndarray of shape (n_rows, n_columns)."""
        return _by_column(z, self.scores, self.knots)


@dataclass(frozen=True, eq=False)
class NormalStep:
    """Each group as if it were normal, to the barycentre of these normal distributions, by an affine map.

    Attributes
    ----------
    mean : ndarray of shape (n_groups, d), float64
    centre : ndarray of shape (d,), float64
    there, back : ndarray of shape (n_groups, d, d), float64
        Symmetric matrices, and their inverses.
    """

    mean: np.ndarray
    centre: np.ndarray
    there: np.ndarray
    back: np.ndarray

    def forward(self, z, group):
        """Rows of a group as those of all: ndarray of shape (n_rows, d)."""
        return self.centre + _times(z - self.mean[group], self.there[group])

    def backward(self, z, group):
        """Rows of all as those of a group: ndarray of shape (n_rows, d)."""
        return self.mean[group] + _times(z - self.centre, self.back[group])


@dataclass(frozen=True, eq=False)
class SlicedStep:
    """Each group along some directions to the barycentre there, by monotone maps; in all others it stays.

    Attributes
    ----------
    directions : ndarray of shape (d, n_directions), float64
        Orthonormal.
    own : ndarray of shape (n_groups, n_knots, n_directions), float64
        Quantiles of each group, strictly increasing.
    common : ndarray of shape (n_knots, n_directions), float64
        Those of the barycentre.
    """

    directions: np.ndarray
    own: np.ndarray
    common: np.ndarray

    def forward(self, z, group):
        """Rows of a group as those of all: ndarray of shape (n_rows, d)."""
        return self._moved(z, self.own[group], self.common)

    def backward(self, z, group):
        """Rows of all as those of a group: ndarray of shape (n_rows, d)."""
        return self._moved(z, self.common, self.own[group])

    def _moved(self, z, start, end):
        along = _times(z, self.directions)
        move = np.empty_like(along)
        for k in range(along.shape[1]):
            move[:, k] = _monotone(along[:, k], start[:, k], end[:, k]) - along[:, k]
        return z + _times(move, self.directions.T)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Steps one after the other, in the normal scores of the columns, along axes in which rows vary.

    Attributes
    ----------
    scores : ScoreStep
    axes : ndarray of shape (n_columns, d), float64
        Orthonormal.
    steps : tuple of NormalStep and SlicedStep
    """

    scores: ScoreStep
    axes: np.ndarray
    steps: tuple

    def forward(self, x, group):
        """Rows, of the group of each, as those of all: ndarray of shape (n_rows, n_columns)."""
        return self._moved(x, group, lambda step, along, g: step.forward(along, g), self.steps)

    def backward(self, x, group):
        """Rows of all as those of a group each: ndarray of shape (n_rows, n_columns)."""
        return self._moved(x, group, lambda step, along, g: step.backward(along, g), self.steps[::-1])

    def _moved(self, x, group, taken, steps):
        if not steps:
            return x
        z = self.scores.forward(x)
        start = _times(z, self.axes)
        end = start.copy()
        for g in np.unique(group).tolist():
            rows = group == g
            for step in steps:
                end[rows] = taken(step, end[rows], g)
        return self.scores.backward(z + _times(end - start, self.axes.T))


def learn_alignment(parts, validation_fraction, n_layers, n_directions, patience, rng):
    """Steps, each learned on rows as those before leave them, as far as these bring other rows together.

    Parameters
    ----------
    parts : list of ndarray of shape (n_rows, n_columns), float64
        Rows of each group in random order; no column is constant.
    validation_fraction : float
        Of each group's rows, that are held out.
    n_layers : int
        Steps at most.
    n_directions : int
        Of a step, at most.
    patience : int
        Steps in a row, without such as are kept, after which to stop.
    rng : Generator

    Returns
    -------
    alignment : Alignment
    distances : ndarray of shape (n_steps, 2), float64
        Of held-out rows along the directions of each step that is kept, before and after it.
    """
    scores = score_step(np.concatenate(parts))
    parts = [scores.forward(part) for part in parts]
    axes = _axes(np.concatenate(parts))
    n_held_out = [max(2, round(validation_fraction * len(part))) for part in parts]
    held_out = [_times(part[:n], axes) for part, n in zip(parts, n_held_out, strict=True)]
    parts = [_times(part[n:], axes) for part, n in zip(parts, n_held_out, strict=True)]
    weight = np.array([len(part) for part in parts], dtype=np.float64)
    weight /= weight.sum()
    steps, distances, without = [], np.zeros((0, 2)), 0
    n_directions = min(n_directions, axes.shape[1])
    while len(steps) < n_layers and without < patience and n_directions:
        first = not steps and not without
        step = normal_step(parts, weight) if first else sliced_step(parts, weight, n_directions, rng)
        directions = _random_directions(axes.shape[1], SLICES, rng) if first else step.directions
        moved = [step.forward(part, g) for g, part in enumerate(held_out)]
        before, after = (sliced_distance(rows, weight, directions) for rows in (held_out, moved))
        if after < before:
            steps.append(step)
            distances = np.vstack([distances, [before, after]])
            parts, held_out = [step.forward(part, g) for g, part in enumerate(parts)], moved
        without = 0 if after < before else without + 1
    return Alignment(scores, axes, tuple(steps)), distances


def score_step(x):
    """The normal scores of columns, none of which is constant: ScoreStep."""
    level = (np.arange(SCORED) + 0.5) / SCORED
    ends = 0.5 / max(len(x), SCORED)
    level = np.concatenate([[ends], level, [1 - ends]])
    score = ndtri(level)
    knots, scores = [], []
    for column in x.T:
        at = np.quantile(column, level, method="inverted_cdf")
        at[[0, -1]] = column.min(), column.max()
        values, place = np.unique(at, return_inverse=True)
        knots.append(values)
        scores.append(np.bincount(place, score) / np.bincount(place))  # of values that recur, the mean
    return ScoreStep(tuple(knots), tuple(scores))


def normal_step(parts, weight):
    """The step that all groups take as if they were normal: NormalStep.

    Covariances are drawn to that of all rows within their groups, as if each group had d + 1 more rows. The barycentre
    is the fixed point of Álvarez-Esteban, del Barrio, Cuesta-Albertos, Matrán (Journal of Mathematical Analysis and
    Applications 441, 2016).

    Parameters
    ----------
    parts : list of ndarray of shape (n_rows, d), float64
        Rows of each group.
    weight : ndarray of shape (n_groups,), float64
        Of each group in the barycentre; sums to one.
    """
    d = parts[0].shape[1]
    mean = np.stack([part.mean(axis=0) for part in parts])
    scatter = np.stack([_scatter(part - m) for part, m in zip(parts, mean, strict=True)])
    n_rows = np.array([len(part) for part in parts])
    within = scatter.sum(axis=0) / n_rows.sum()
    covariance = (scatter + (d + 1) * within) / (n_rows + d + 1)[:, None, None]
    common = np.tensordot(weight, covariance, 1)
    for _ in range(MOST_ITERATIONS):
        root, inverse = _roots(common)
        mixed = sum(w * _roots(_times(_times(root, each), root))[0] for w, each in zip(weight, covariance, strict=True))
        before, common = common, _times(_times(inverse, mixed), _times(mixed, inverse))
        if np.abs(common - before).max() <= TOLERANCE * np.abs(before).max():
            break
    there = np.empty_like(covariance)
    for g, each in enumerate(covariance):
        root, inverse = _roots(each)
        there[g] = _times(_times(inverse, _roots(_times(_times(root, common), root))[0]), inverse)
    return NormalStep(mean, weight @ mean, there, np.linalg.inv(there))


def sliced_step(parts, weight, n_directions, rng):
    """The step along the directions in which the groups are furthest apart: SlicedStep.

    Half of the rows say what these are, and the others how far each group is to go, since along directions that were
    sought the rows they were sought with are further apart than others.

    Parameters
    ----------
    parts, weight
        As `normal_step` has them.
    n_directions : int
    rng : Generator
    """
    halves = [np.array_split(part[rng.permutation(len(part))], 2) for part in parts]
    directions = furthest([half[0] for half in halves], weight, n_directions, rng)
    n_knots = int(np.clip(min(map(len, parts)) // (2 * ROWS_OF_KNOT), 2, MOST_KNOTS))
    level = (np.arange(n_knots) + 0.5) / n_knots
    own = np.stack([np.quantile(_times(half[1], directions), level, axis=0) for half in halves])
    own += SLOPE * level[:, None]
    return SlicedStep(directions, own, np.tensordot(weight, own, 1))


def furthest(parts, weight, n_directions, rng):
    """Directions along which groups are furthest from their barycentre, a max-K-sliced Wasserstein distance.

    Ascent by the gradient, back to orthonormal directions by a QR decomposition.

    Returns
    -------
    directions : ndarray of shape (d, n_directions), float64
        Orthonormal.
    """
    parts = [part[:MOST_SORTED] for part in parts]  # rows are in random order
    n_levels = max(map(len, parts))
    places = [(np.arange(n_levels) + 0.5) * len(part) // n_levels for part in parts]
    places = [place.astype(np.intp) for place in places]

    def distance(directions):
        """The squared distance along directions, and half of its gradient."""
        along, rows = [], []
        for part, at in zip(parts, places, strict=True):
            every = _times(part, directions)
            rows.append(np.argsort(every, axis=0, kind="stable")[at])
            along.append(np.take_along_axis(every, rows[-1], axis=0))
        centre = sum(w * each for w, each in zip(weight, along, strict=True))
        total, slope = 0.0, np.zeros_like(directions)
        for part, w, each, own in zip(parts, weight, along, rows, strict=True):
            apart = each - centre
            total += w * (apart**2).mean(axis=0).sum()
            for k in range(directions.shape[1]):
                slope[:, k] += w / n_levels * np.einsum("i,ij->j", apart[:, k], part[own[:, k]])
        return total, slope

    directions = np.linalg.qr(rng.standard_normal((parts[0].shape[1], n_directions)))[0]
    far, slope = distance(directions)
    step = FIRST_STEP
    for _ in range(MOST_STEPS):
        steepness = np.linalg.norm(slope)
        if step < LAST_STEP or steepness == 0:
            break
        other = np.linalg.qr(directions + step / steepness * slope)[0]
        further, other_slope = distance(other)
        if further > far:
            enough = further - far < GAIN * far
            directions, far, slope = other, further, other_slope
            step *= 1.5
            if enough:
                break
        else:
            step *= 0.5
    return directions


def sliced_distance(parts, weight, directions):
    """How far groups are from their barycentre along directions: a sliced Wasserstein distance.

    Parameters
    ----------
    parts, weight
        As `normal_step` has them.
    directions : ndarray of shape (d, n_directions), float64

    Returns
    -------
    distance : float
        Root of the mean over directions of the squared distance to the barycentre, the mean over groups.
    """
    n_levels = max(map(len, parts))
    level = (np.arange(n_levels) + 0.5) / n_levels
    along = np.stack([np.quantile(_times(part, directions), level, axis=0) for part in parts])
    apart = along - np.tensordot(weight, along, 1)
    return float(np.sqrt(np.tensordot(weight, (apart**2).mean(axis=(1, 2)), 1)))


def _axes(z):
    """Orthonormal axes in which rows vary: ndarray of shape (n_columns, d)."""
    variance, axes = np.linalg.eigh(_scatter(z - z.mean(axis=0)))
    return axes[:, variance > FLAT * variance.max(initial=0.0)]


def _scatter(z):
    return np.einsum("ij,ik->jk", z, z)


def _random_directions(d, n, rng):
    directions = rng.standard_normal((d, n))
    return directions / np.linalg.norm(directions, axis=0)


def _times(rows, matrix):
    """The product of matrices, each row by itself: by sums whose order depends on neither other rows nor threads."""
    return np.einsum("ij,jk->ik", rows, matrix)


def _by_column(x, start, end):
    """Each column by the function that is linear between its knots, and goes on as at its ends."""
    out = np.empty_like(x)
    for j, (a, b) in enumerate(zip(start, end, strict=True)):
        i = np.clip(np.searchsorted(a, x[:, j], side="right") - 1, 0, len(a) - 2)
        out[:, j] = b[i] + (x[:, j] - a[i]) * ((b[i + 1] - b[i]) / (a[i + 1] - a[i]))
    return out


def _monotone(x, start, end):
    """Numbers by the function that is linear between knots, and a shift beyond them."""
    inside = np.interp(x, start, end)
    return np.where(x < start[0], x + (end[0] - start[0]), np.where(x > start[-1], x + (end[-1] - start[-1]), inside))


def _roots(matrix):
    """The square root of a positive definite matrix, and its inverse."""
    values, axes = np.linalg.eigh(matrix)
    root = np.sqrt(np.maximum(values, FLAT * values[-1]))
    return _times(axes * root, axes.T), _times(axes / root, axes.T)
