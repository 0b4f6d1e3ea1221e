"""Densities of codes, and what can be asked of them: marginals, conditionals, completions.

Sums over the states of unobserved columns are exact up to `MOST_STATES` states of a row. Beyond, marginals are
estimated by importance sampling (likelihood weighting along the order of the columns: Fung and Chang, "Weighing and
integrating evidence for stochastic simulation in Bayesian networks", UAI 1989) and completions by Gibbs sampling (Geman
and Geman, IEEE Transactions on Pattern Analysis and Machine Intelligence 6, 1984).
"""

from zlib import crc32

import numpy as np

from .._ext import elementary
from ..machine.log_sums import logsumexp, softmax

MOST_STATES = 1024  # of the unobserved columns of a row, to be enumerated
DRAWS = 1000  # of importance sampling, for each row
FEWEST_PROPOSALS = 1000  # for rows with given values, in each of at most so many batches:
MOST_BATCHES = 20
PROPOSALS = 64  # of which one is the start of Gibbs sampling
CELLS = 4_000_000  # of one block of work


def log_marginal(density, codes, observed, threads):
    """What `Density.marginal` says: of each row by itself, whatever the other rows are."""
    needed, last = ~observed, None
    if density.order is not None:
        # what comes after the last observed column sums to one
        in_order = observed[:, density.order]
        last = in_order.shape[1] - np.argmax(in_order[:, ::-1], axis=1)
        last[~in_order.any(axis=1)] = 0
        needed[:, density.order] &= np.arange(in_order.shape[1]) < last[:, None]
    log_prob, error = np.empty(len(codes)), np.zeros(len(codes))
    for rows, columns in patterns(needed):
        n_states = _n_states(density.n_categories[columns])
        if n_states <= MOST_STATES:
            for part, _, joint in _enumerated(density, codes, rows, columns, density.n_categories, last, threads):
                log_prob[part] = logsumexp(joint, axis=1)
        else:
            for row in rows.tolist():
                repeated = (np.repeat(x[[row]], DRAWS, axis=0) for x in (codes, observed))
                # a row has the same estimate in every table and on every call, and different rows independent ones
                told = np.where(observed[row], codes[row], 0).tobytes() + observed[row].tobytes()
                rng = np.random.default_rng(crc32(told))
                _, log_weight = density.propose(*repeated, rng, threads)
                log_prob[row] = logsumexp(log_weight) - elementary.log(DRAWS)
                error[row] = elementary.exp(log_weight - log_prob[row]).std(ddof=1) / np.sqrt(DRAWS)
    return log_prob, error


def log_joint(density, codes, observed, column, n_values, threads):
    """Log-probability of each row with each of the first ``n_values`` codes of a column: (n_rows, n_values), nats.

    And its standard error, 0 where it is exact: columns that are not observed are summed out (``observed`` is None if
    all are). Raises ValueError where the model thinks nothing possible.
    """
    codes = codes.copy()
    joint, error = np.zeros((2, len(codes), n_values))
    if observed is not None:
        observed = observed.copy()
        observed[:, column] = True
        if observed.all():
            observed = None
    for value in range(n_values):
        codes[:, column] = value
        if observed is None:
            joint[:, value] = density.score(codes, threads)
        else:
            joint[:, value], error[:, value] = density.marginal(codes, observed, threads)
    return _possible(joint), error


def complete(density, codes, observed, shares, n_sweeps, rng, threads, *, draw):
    """Fill the cells that are not observed.

    By enumeration where the states are few, else by ``n_sweeps`` sweeps of Gibbs sampling: with ``draw`` from their
    joint posterior, else each with the code whose most common value is the most probable (of Gibbs sampling the last
    half of the sweeps is averaged).

    Parameters
    ----------
    shares : sequence of ndarray
        Per column, of the codes that may stand there, which are its first, the share of the most common value.
    """
    n_values = np.array([len(share) for share in shares])
    filled = codes.copy()
    many = []
    for rows, columns in patterns(~observed):
        if len(columns) == 0:
            continue
        if _n_states(n_values[columns]) > MOST_STATES:
            many.append(rows)
            continue
        for part, states, joint in _enumerated(density, codes, rows, columns, n_values, None, threads):
            posterior = softmax(_possible(joint), axis=1)
            if draw:
                filled[np.ix_(part, columns)] = states[_drawn(posterior, rng)]
                continue
            for i, j in enumerate(columns):
                of_value = (states[:, i, None] == np.arange(n_values[j])).astype(np.float64)
                filled[part, j] = (posterior @ of_value * shares[j]).argmax(axis=1)
    if many:
        rows = np.sort(np.concatenate(many))
        start = resampled(density, codes[rows], observed[rows], PROPOSALS, rng, threads)
        filled[rows] = gibbs(
            lambda codes: density.score(codes, threads),
            np.where(observed[rows], codes[rows], np.minimum(start, n_values - 1)).astype(np.uint8),
            observed[rows],
            shares,
            n_sweeps,
            rng,
            draw=draw,
        )
    return filled


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
        Effective number of proposals: the squared sum of their weights over the sum of the squares (Kong 1992).
    n_proposed : int
        0 where the rows are exact.
    """
    repeated = (np.repeat(x, n_samples, axis=0) for x in (codes, observed))
    drawn, log_weight = density.propose(*repeated, rng, threads)
    if density.order is not None and observed[0, density.order[: observed.sum()]].all():
        return drawn, float(n_samples), 0
    proposals, log_weights = [drawn], [log_weight]
    for _ in range(MOST_BATCHES):
        repeated = (np.repeat(x, max(n_samples, FEWEST_PROPOSALS), axis=0) for x in (codes, observed))
        drawn, log_weight = density.propose(*repeated, rng, threads)
        proposals.append(drawn)
        log_weights.append(log_weight)
        share = softmax(_possible(np.concatenate(log_weights)[None])[0])
        effective = 1 / np.sum(share**2)
        if effective >= 2 * n_samples:
            break
    # systematic: a proposal of weight w is taken w n times, rounded
    chosen = np.searchsorted(np.cumsum(share)[:-1], (np.arange(n_samples) + rng.random()) / max(n_samples, 1))
    return np.concatenate(proposals)[rng.permutation(chosen)], float(effective), len(share)


def resampled(density, codes, observed, n_proposals, rng, threads):
    """Each row with the cells that are not observed drawn: one of so many proposals, by their weights.

    So a row agrees with what is observed after the drawn cells too, which sweeps over single cells may never reach.
    """
    codes = codes.copy()
    for block in blocks(len(codes), n_proposals * codes.shape[1], CELLS):
        repeated = (np.repeat(x[block], n_proposals, axis=0) for x in (codes, observed))
        drawn, log_weight = density.propose(*repeated, rng, threads)
        chosen = _drawn(softmax(_possible(log_weight.reshape(-1, n_proposals)), axis=1), rng)
        codes[block] = drawn[np.arange(len(chosen)) * n_proposals + chosen]
    return codes


def gibbs(score, codes, observed, shares, n_sweeps, rng, *, draw):
    """Sweeps of Gibbs sampling over the cells that are not observed, from where ``codes`` are.

    Each cell in turn is drawn from its distribution given all others, which ``score(codes)`` makes exact. Returns the
    last state with ``draw``, else the most probable codes on average over the last half of the sweeps, as `complete`.
    """
    codes, n_values = codes.copy(), [len(share) for share in shares]
    columns = np.flatnonzero(~observed.all(axis=0))
    cells = {j: np.flatnonzero(~observed[:, j]) for j in columns.tolist()}
    mean = {} if draw else {j: np.zeros((len(rows), n_values[j])) for j, rows in cells.items()}
    log_prob = score(codes)
    for sweep in range(n_sweeps):
        for j, rows in cells.items():
            some, present = codes[rows], codes[rows, j].astype(np.intp)
            joint = np.empty((len(rows), n_values[j]))
            each = np.arange(len(rows))
            joint[each, present] = log_prob[rows]
            for further in range(1, n_values[j]):
                other = (present + further) % n_values[j]
                some[:, j] = other
                joint[each, other] = score(some)
            posterior = softmax(_possible(joint), axis=1)
            drawn = _drawn(posterior, rng)
            codes[rows, j], log_prob[rows] = drawn, joint[each, drawn]
            if not draw and 2 * sweep >= n_sweeps - 1:
                mean[j] += posterior
    for j, prob in mean.items():
        codes[cells[j], j] = (prob * shares[j]).argmax(axis=1)
    return codes


def patterns(chosen):
    """Rows that have the same columns chosen: pairs of ndarrays (rows, columns)."""
    kinds, kind = np.unique(np.packbits(chosen, axis=1), axis=0, return_inverse=True)
    order = np.argsort(kind.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(kind.reshape(-1), minlength=len(kinds)))
    for rows in np.split(order, ends[:-1]):
        yield rows, np.flatnonzero(chosen[rows[0]])


def blocks(n_rows, n_columns, cells=CELLS // 8):
    """Slices of rows that bound the memory of what is computed for each cell."""
    step = max(1, cells // n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _n_states(n_values):
    """Number of joint states of columns, at most one more than will be enumerated."""
    n = 1
    for k in n_values.tolist():
        n = min(n * k, MOST_STATES + 1)
    return n


def _enumerated(density, codes, rows, columns, n_values, last, threads):
    """Blocks of rows with all states of some columns: (rows, states, log-probability of each), nats.

    ``last`` is the number of columns, in order, to tell of each row; None for all.
    """
    sizes = n_values[columns].tolist()
    states = np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), sizes or (1,)), axis=1)[:, : len(sizes)]
    states = states.astype(np.uint8)
    for block in blocks(len(rows), len(states) * codes.shape[1], CELLS):
        part = rows[block]
        whole = np.repeat(codes[part], len(states), axis=0)
        whole[:, columns] = np.tile(states, (len(part), 1))
        if last is None:
            joint = density.score(whole, threads)
        else:
            log_prob = elementary.log(density.probabilities(whole, threads))
            told = np.arange(codes.shape[1]) < np.repeat(last[part], len(states))[:, None]
            joint = np.where(told, log_prob, 0.0).sum(axis=1)
        yield part, states, joint.reshape(len(part), len(states))


def _drawn(prob, rng):
    """A place in each row of probabilities, drawn."""
    cumulative = np.cumsum(prob, axis=1)[:, :-1]
    return (rng.random((len(prob), 1)) >= cumulative).sum(axis=1)


def _possible(joint):
    if not np.isfinite(joint.max(axis=1, initial=-np.inf)).all():
        raise ValueError("the model thinks a row impossible, whatever stands in the cells that were asked for")
    return joint
