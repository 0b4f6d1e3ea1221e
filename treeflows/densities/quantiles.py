"""Numbers by the probabilities of less and of more, of whatever goes through the columns and tells these."""

import numpy as np

from .destructors import normal_scores, uniform_of

BISECTIONS = 100  # at most, of steps that mostly are few
NEAR_ENOUGH = 1e-13  # of normal scores
FURTHEST = 37.0  # normal score where a number's inverse is looked for
FLATTEST = 1e-3  # slope of one normal score in another, in a step of Newton's


def number_at(walk, j, below, above, rows):
    """Numbers elsewhere where the probabilities of less and of more are these, on the lattice if there is one."""
    return (_number_at if walk.density.numbers.step[j] == 0 else _lattice_at)(walk, j, below, above, rows)


def _number_at(walk, j, below, above, rows):
    """By false position (Dowell and Jarratt, 1971), and by bisection at every third step.

    In normal scores, of which the one is nearly a linear function of the other.
    """
    smooth, wanted = walk.density.smooth, _scores(below, above)
    ends = np.tile([[-FURTHEST], [FURTHEST]], len(rows))
    gaps = ends - wanted  # at the ends, which of these are halved when the other end moves twice
    z, left, last = wanted.copy(), np.arange(len(rows)), np.full(len(rows), -1)
    for step in range(BISECTIONS):
        less, more = walk.uniform_at(j, smooth.restore(j, *uniform_of(z[left]))[:, None], rows[left])
        gap = _scores(less, more)[:, 0] - wanted[left]
        side = (gap > 0).astype(np.intp)
        again = side == last[left]
        gaps[1 - side[again], left[again]] /= 2
        ends[side, left], gaps[side, left], last[left] = z[left], gap, side
        low, high = ends[:, left]
        left = left[(np.abs(gap) > NEAR_ENOUGH) & (high - low > NEAR_ENOUGH * np.maximum(np.abs(low), 1.0))]
        if len(left) == 0:
            break
        (low, high), (below_it, above_it) = ends[:, left], gaps[:, left]
        secant = high - above_it * (high - low) / np.maximum(above_it - below_it, np.finfo(float).tiny)
        z[left] = (low + high) / 2 if step % 3 == 2 else np.clip(secant, low, high)
    return walk.density.numbers.on_lattice(j, smooth.restore(j, *uniform_of(z)))


def _lattice_at(walk, j, below, above, rows):
    """Between the edges of whose cell the number lies, by Newton's method in normal scores, and bisection likewise."""
    smooth, numbers = walk.density.smooth, walk.density.numbers
    half, wanted = numbers.step[j] / 2, _scores(below, above)

    def told(z):
        return numbers.on_lattice(j, smooth.restore(j, *uniform_of(z)))

    low, high = told(np.tile([[-FURTHEST], [FURTHEST]], len(rows)))
    x, left = told(wanted), np.arange(len(rows))
    for step in range(BISECTIONS):
        edges = np.column_stack([x[left] - half, x[left] + half])
        less, more = walk.uniform_at(j, edges, rows[left])
        is_beyond = np.where((below < above)[left, None], less > below[left, None], more < above[left, None])
        low[left] = np.where(is_beyond[:, 1], low[left], numbers.on_lattice(j, x[left] + 2 * half))
        high[left] = np.where(is_beyond[:, 0], numbers.on_lattice(j, x[left] - 2 * half), high[left])
        x[left] = np.clip(x[left], low[left], high[left])
        some = (low[left] < high[left]) & (is_beyond[:, 0] | ~is_beyond[:, 1])
        left, edges, gap = left[some], smooth.scores(j, edges[some]), _scores(less[some], more[some])
        if len(left) == 0:
            break
        if step % 3 == 2:
            z = smooth.scores(j, np.stack([low[left], high[left]])).mean(axis=0)
        else:
            gap -= wanted[left, None]
            slope = (gap[:, 1] - gap[:, 0]) / np.maximum(edges[:, 1] - edges[:, 0], np.finfo(float).tiny)
            z = edges.mean(axis=1) - gap.mean(axis=1) / np.maximum(slope, FLATTEST)
        x[left] = np.clip(told(np.clip(z, -FURTHEST, FURTHEST)), low[left], high[left])
    return x


def _scores(below, above):
    return np.clip(normal_scores(below, above)[0], -FURTHEST, FURTHEST)
