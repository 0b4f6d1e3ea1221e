"""Shares of a linear pool of voices and exponents of a logarithmic one, by held-out likelihood, concave in both."""

import numpy as np

from .._ext import elementary, pooling
from ..densities.logarithmic import AVERAGE_ALONE, MOST_EXPONENT

SHARED = 20.0  # rows' worth of the whole table in the share of each column
HALVINGS = 24  # of the interval that has the share, at most
ENOUGH_OF_A_SHARE = 1e-6  # that a step must move it
DOUBT = 1.0  # rows' worth, of each column, of the average alone in the exponents that all share
STRENGTHS = 10.0 ** np.arange(1, 5)  # rows' worth of the shared exponents in each column's, of which evidence chooses
STEPS = 30
MOST_ROUNDS = 100  # of EM for the shares of many voices
LEAST_SHARE = 1e-3  # of a voice that has any
ENOUGH_SHARE = 1e-4  # that a round must move one
ENOUGH = 1e-5  # nats a row, of all columns together, that steps must promise


def learn_shares(present, newcomer):
    """The share of a newcomer in each column's say of highest likelihood on held-out rows, drawn to that of the table.

    By Newton's method, and where that leaves the interval that has the share, by halving it.

    Parameters
    ----------
    present, newcomer : ndarray of shape (n_rows, n_columns), float64
        Probabilities of the values.

    Returns
    -------
    share : ndarray of shape (n_columns,), float64
    """

    def best(slopes, mean, strength, n):
        low, high, share = np.zeros(n), np.ones(n), np.full(n, 0.5)
        for _ in range(HALVINGS):
            slope, curvature = slopes(share)
            slope += strength * (mean / share - (1 - mean) / (1 - share))
            curvature += strength * (mean / share**2 + (1 - mean) / (1 - share) ** 2)
            low, high = np.where(slope > 0, share, low), np.where(slope > 0, high, share)
            newton = share + slope / curvature
            moved = np.where((low < newton) & (newton < high), newton, (low + high) / 2)
            if np.abs(moved - share).max() < ENOUGH_OF_A_SHARE:
                break
            share = moved
        return share

    def by_column(share):
        return pooling.share_slopes(present, newcomer, share)

    n = present.shape[1]
    common = best(lambda share: by_column(np.repeat(share, n)).sum(axis=1, keepdims=True), 0.5, 1.0, 1)[0]
    return best(by_column, common, SHARED, n)


def learn_shares_of_voices(said, n_voices, of_logarithms):
    """Shares of many voices in each column's say, by EM: of highest likelihood, drawn to those of the table.

    Parameters
    ----------
    said : list of list of ndarray of shape (n_voices, n_rows), float64
        Of each column what the voices say of its values, in parts; columns of none take the shares of the table.
    n_voices : int
    of_logarithms : bool
        Whether that is log-densities, and not probabilities.

    Returns
    -------
    share : ndarray of shape (n_columns, n_voices), float64
        0 of a voice that would have less than `LEAST_SHARE`.
    """
    parts = []
    for each in said:
        heard = np.concatenate(each, axis=1) if each else np.empty((n_voices, 0))
        parts.append(elementary.exp(heard - heard.max(axis=0, keepdims=True)) if of_logarithms else heard)

    def best(heard, start, centre, strength):
        share = start
        for _ in range(MOST_ROUNDS):
            weight = share[:, None] * heard
            moved = (weight / weight.sum(axis=0)).sum(axis=1) + strength * centre
            moved /= moved.sum()
            if np.abs(moved - share).max() < ENOUGH_SHARE:
                return moved
            share = moved
        return share

    equal = np.full(n_voices, 1 / n_voices)
    common = best(np.concatenate(parts, axis=1), equal, equal, 1.0)
    share = np.array([best(heard, common, common, SHARED) if heard.shape[1] else common for heard in parts])
    share[share < np.minimum(LEAST_SHARE, share.max(axis=1, keepdims=True))] = 0.0
    return share / share.sum(axis=1, keepdims=True)


def learn_exponents(log_prob, logits, number, first, values, threads=1):
    """Exponents of all voices for each column.

    A column's exponents have a normal prior around those that are best for all columns together; how narrow it is is
    chosen by its evidence (MacKay, Neural Computation 4, 1992), the integral over the exponents approximated by
    Laplace's method. No exponent is negative: on tables whose rows never repeat, a negative one would tell held-out
    rows by their absence from those learned from. A voice that all columns together give nothing has no say in any.

    Parameters
    ----------
    log_prob, logits, number, first, values, threads
        As `pooling.apart` takes them, of held-out rows.

    Returns
    -------
    exponent : ndarray of shape (n_columns, n_voices), float64
    """
    n_rows, n_columns = values.shape
    said = pooling.apart(log_prob, logits, number, first, values)
    slopes = _slopes_of(said, first, n_rows, threads)
    alone, all_columns = AVERAGE_ALONE[: said.shape[1]], np.ones(n_columns, dtype=np.uint8)
    common = _common(slopes, n_rows, n_columns, np.ones(len(alone), dtype=np.uint8))
    best = exponent = np.repeat(common, n_columns, axis=0)
    free, most = (common[0] > 0).astype(np.uint8), -np.inf
    for strength in STRENGTHS[::-1]:
        exponent, evidence = _newton(slopes, common, strength, exponent, free, ENOUGH * n_rows)
        if evidence <= most:
            break
        best, most = exponent, evidence
    status_quo = np.tile(alone, (n_columns, 1))
    gain = slopes(status_quo, all_columns)[:, 0] - slopes(best, all_columns)[:, 0]
    # a column that gains nothing costs nothing
    return np.where((gain > 0)[:, None], np.minimum(best, MOST_EXPONENT), status_quo)


def gain_by_last(log_prob, logits, number, first, values, threads=1):
    """What the last voice adds to the log-likelihood of held-out rows where all columns share their exponents.

    Parameters
    ----------
    log_prob, logits, number, first, values, threads
        As `learn_exponents` takes them.

    Returns
    -------
    gain, loss : float
        Nats of all rows; the second is minus the log-likelihood without it.
    """
    n_rows, n_columns = values.shape
    said = pooling.apart(log_prob, logits, number, first, values)
    slopes = _slopes_of(said, first, n_rows, threads)
    loss = []
    for last in (0, 1):
        free = np.append(np.ones(said.shape[1] - 1), last).astype(np.uint8)
        common = np.repeat(_common(slopes, n_rows, n_columns, free), n_columns, axis=0)
        loss.append(float(slopes(common, np.ones(n_columns, dtype=np.uint8))[:, 0].sum()))
    return loss[0] - loss[1], loss[0]


def _slopes_of(said, first, n_rows, threads):
    """`pooling.slopes` of exponents and columns asked about."""

    def slopes(exponent, asked):
        return pooling.slopes(said, first, n_rows, exponent, asked, threads)

    return slopes


def _common(slopes, n_rows, n_columns, free):
    """The exponents that are best for all columns together: ndarray of shape (1, n_voices)."""
    all_columns, alone = np.ones(n_columns, dtype=np.uint8), AVERAGE_ALONE[None, : len(free)]

    def shared(exponent, _):
        return slopes(np.repeat(exponent, n_columns, axis=0), all_columns).sum(axis=0, keepdims=True)

    return _newton(shared, alone, DOUBT * n_columns, alone, free, ENOUGH * n_rows)[0]


def _newton(slopes, centre, strength, exponent, free, enough):
    """Exponents of least loss, not below 0 and drawn to ``centre``, of the free ones; log-evidence of that prior.

    A column is done when a step promises less than its part of ``enough``.
    """

    def penalised(exponent, asked):
        return _penalised(slopes(exponent, asked.astype(np.uint8)), exponent, centre, strength)

    n_columns, n = exponent.shape
    active = np.ones(n_columns, dtype=bool)
    at = penalised(exponent, active)
    for _ in range(STEPS):
        move, step = pooling.least_quadratic(at, exponent, free) - exponent, np.ones(n_columns)
        bend = (at[:, _curves(n)] * move[:, None, :]).sum(axis=2)
        promised = -((at[:, 1 : 1 + n] + 0.5 * bend) * move).sum(axis=1)
        active &= promised >= enough / n_columns
        worse = active.copy()
        for _ in range(STEPS):
            if not worse.any():
                break
            tried = exponent + step[:, None] * move
            new = penalised(tried, worse)
            better = worse & (new[:, 0] <= at[:, 0])
            exponent, at = np.where(better[:, None], tried, exponent), np.where(better[:, None], new, at)
            worse &= ~better
            step[worse] /= 2
        active &= ~worse
        if not active.any():
            break
    prior = 0.5 * free.sum() * elementary.log(strength)
    return exponent, float((prior - at[:, 0] - 0.5 * _log_determinant(at, free)).sum())


def _penalised(sums, exponent, centre, strength):
    """Loss and derivatives with those of the prior."""
    away, n = exponent - centre, exponent.shape[1]
    sums = sums.copy()
    sums[:, 0] += 0.5 * strength * (away**2).sum(axis=1)
    sums[:, 1 : 1 + n] += strength * away
    sums[:, _curves(n).diagonal()] += strength
    return sums


def _curves(n):
    """Where the second derivatives by each two of n exponents stand in the sums."""
    curves = np.zeros((n, n), dtype=np.intp)
    above = np.triu_indices(n)
    curves[above] = 1 + n + np.arange(len(above[0]))
    return np.maximum(curves, curves.T)


def _log_determinant(sums, free):
    """Of the second derivatives by the free exponents, column by column: twice the logarithms of Cholesky's pivots."""
    curves = _curves(len(free))[np.ix_(free == 1, free == 1)]
    rest, total = sums[:, curves], np.zeros(len(sums))
    for _ in range(len(curves)):
        pivot, beside = rest[:, 0, 0], rest[:, 0, 1:]
        total += elementary.log(pivot)
        rest = rest[:, 1:, 1:] - beside[:, :, None] * beside[:, None, :] / pivot[:, None, None]
    return total
