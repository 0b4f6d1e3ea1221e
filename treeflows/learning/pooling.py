"""Exponents of a logarithmic pool of two voices, by held-out likelihood, which is concave in them."""

import numpy as np

from .._ext import elementary, pooling
from ..densities.logarithmic import MOST_EXPONENT

STATUS_QUO = np.array([1.0, 0.0])  # the first voice alone
DOUBT = 10.0  # rows' worth of it in the exponents that all columns share
STRENGTHS = 10.0 ** np.arange(1, 5)  # rows' worth of the shared exponents in each column's, of which evidence chooses
STEPS = 30
ENOUGH = 1e-6  # nats a row that a step must gain


def learn_exponents(prob, logits, number, first, values, threads=1):
    """Exponents of both voices for each column.

    A column's exponents have a normal prior around those that are best for all columns together; how narrow it is is
    chosen by its evidence (MacKay, Neural Computation 4, 1992), the integral over the exponents approximated by
    Laplace's method. No exponent is negative: on tables whose rows never repeat, a negative one would tell held-out
    rows by their absence from those learned from.

    Parameters
    ----------
    prob, logits, number, first, threads
        As `pooling.pooled` takes them, of held-out rows.
    values : ndarray of shape (n_rows, n_columns), uint8
        In the order of the columns.

    Returns
    -------
    exponent : ndarray of shape (n_columns, 2), float64
    """
    n_columns, log_prob = values.shape[1], elementary.log(prob)

    def slopes(exponent):
        return pooling.slopes(log_prob, logits, number, first, exponent, values, threads)

    def shared(exponent):
        return slopes(np.repeat(exponent, n_columns, axis=0)).sum(axis=0, keepdims=True)

    enough = ENOUGH * len(values)
    common, _ = _newton(shared, STATUS_QUO[None], DOUBT, STATUS_QUO[None], enough)
    best = exponent = np.repeat(common, n_columns, axis=0)
    most = -np.inf
    for strength in STRENGTHS[::-1]:
        exponent, evidence = _newton(slopes, common, strength, exponent, enough)
        if evidence <= most:
            break
        best, most = exponent, evidence
    status_quo = np.tile(STATUS_QUO, (n_columns, 1))
    gain = slopes(status_quo)[:, 0] - slopes(best)[:, 0]
    # a voice that brings nothing is not computed
    return np.where((gain > 0)[:, None], np.minimum(best, MOST_EXPONENT), status_quo)


def _newton(slopes, centre, strength, exponent, enough):
    """Exponents of least loss, (n, 2), each not below 0 and drawn to ``centre``; and the log-evidence of that prior."""
    at = _penalised(slopes(exponent), exponent, centre, strength)
    for _ in range(STEPS):
        target = _least_quadratic(at[:, 1:3], at[:, 3:], exponent)
        move, step = target - exponent, np.ones(len(exponent))
        for _ in range(STEPS):
            tried = exponent + step[:, None] * move
            new = _penalised(slopes(tried), tried, centre, strength)
            worse = new[:, 0] > at[:, 0]
            if not worse.any():
                break
            step[worse] /= 2
        kept = ~worse
        gained = (at[kept, 0] - new[kept, 0]).sum()
        exponent, at = np.where(kept[:, None], tried, exponent), np.where(kept[:, None], new, at)
        if gained < enough:
            break
    determinant = at[:, 3] * at[:, 5] - at[:, 4] ** 2
    return exponent, float((-at[:, 0] + elementary.log(strength) - 0.5 * elementary.log(determinant)).sum())


def _penalised(sums, exponent, centre, strength):
    """Loss and derivatives with those of the prior."""
    away = exponent - centre
    sums = sums.copy()
    sums[:, 0] += 0.5 * strength * (away**2).sum(axis=1)
    sums[:, 1:3] += strength * away
    sums[:, [3, 5]] += strength
    return sums


def _least_quadratic(slope, hessian, at):
    """Where the quadratic with this slope and Hessian, (n, 2) and (n, 3), at a point is least among points >= 0."""
    (aa, ab, bb), (a, b) = hessian.T, at.T
    # of the quadratic u'Hu / 2 - c'u
    c, d = aa * a + ab * b - slope[:, 0], ab * a + bb * b - slope[:, 1]
    determinant = aa * bb - ab**2
    free = np.column_stack([bb * c - ab * d, aa * d - ab * c]) / determinant[:, None]
    first = np.column_stack([np.maximum(c / aa, 0.0), np.zeros(len(at))])
    second = np.column_stack([np.zeros(len(at)), np.maximum(d / bb, 0.0)])
    edge = np.where((c**2 / aa * (c > 0) >= d**2 / bb * (d > 0))[:, None], first, second)
    return np.where((free >= 0).all(axis=1)[:, None], free, edge)
