"""Cells that are not observed, filled: by enumeration or by Gibbs sampling.

Geman and Geman, IEEE Transactions on Pattern Analysis and Machine Intelligence 6, 1984.
"""

import numpy as np
from scipy.special import softmax

from .estimates import CELLS, blocks, choose, enumerated, few_states, patterns, possible

PROPOSALS = 64  # of which one is the start of Gibbs sampling


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
        if not few_states(n_values[columns]):
            many.append(rows)
            continue
        for part, states, joint in enumerated(density, codes, rows, columns, n_values, None, threads):
            posterior = softmax(possible(joint), axis=1)
            if draw:
                filled[np.ix_(part, columns)] = states[choose(posterior, rng)]
                continue
            for i, j in enumerate(columns):
                of_value = (states[:, i, None] == np.arange(n_values[j])).astype(np.float64)
                filled[part, j] = (posterior @ of_value * shares[j]).argmax(axis=1)
    if many:
        rows = np.sort(np.concatenate(many))
        start = resampled(density, codes[rows], observed[rows], PROPOSALS, rng, threads)
        filled[rows] = gibbs(
            lambda codes: density._score_codes(codes, threads),
            np.where(observed[rows], codes[rows], np.minimum(start, n_values - 1)).astype(np.uint8),
            observed[rows],
            shares,
            n_sweeps,
            rng,
            draw=draw,
        )
    return filled


def resampled(density, codes, observed, n_proposals, rng, threads):
    """Each row with the cells that are not observed drawn: one of so many proposals, by their weights.

    So a row agrees with what is observed after the drawn cells too, which sweeps over single cells may never reach.
    """
    codes = codes.copy()
    for block in blocks(len(codes), n_proposals * codes.shape[1], CELLS):
        repeated = (np.repeat(x[block], n_proposals, axis=0) for x in (codes, observed))
        drawn, log_weight = density._propose(*repeated, rng, threads)
        chosen = choose(softmax(possible(log_weight.reshape(-1, n_proposals)), axis=1), rng)
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
            posterior = softmax(possible(joint), axis=1)
            drawn = choose(posterior, rng)
            codes[rows, j], log_prob[rows] = drawn, joint[each, drawn]
            if not draw and 2 * sweep >= n_sweeps - 1:
                mean[j] += posterior
    for j, prob in mean.items():
        codes[cells[j], j] = (prob * shares[j]).argmax(axis=1)
    return codes
