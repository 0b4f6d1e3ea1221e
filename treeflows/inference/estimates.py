"""What all answers are made of: patterns of cells, blocks of rows, sums over the states of a few columns."""

from math import prod

import numpy as np

MOST_STATES = 1024  # of the unobserved columns of a row, to be enumerated
CELLS = 4_000_000  # of one block of work
LEAST_LEFT = 2.0**-53  # of a uniform number, which is neither 0 nor 1


def patterns(chosen):
    """Rows that have the same columns chosen: pairs of ndarrays (rows, columns)."""
    if len(chosen) == 0:
        return
    kinds, kind = np.unique(np.packbits(chosen, axis=1), axis=0, return_inverse=True)
    order = np.argsort(kind.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(kind.reshape(-1), minlength=len(kinds)))
    for rows in np.split(order, ends[:-1]):
        yield rows, np.flatnonzero(chosen[rows[0]])


def blocks(n_rows, n_columns, cells=CELLS // 8):
    """Slices of rows that bound the memory of what is computed for each cell."""
    step = max(1, cells // n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def few_states(n_values):
    """Whether columns with so many values have no more joint states than will be enumerated."""
    return prod(n_values.astype(float).tolist()) <= MOST_STATES  # of many columns, infinity


def enumerated(density, codes, rows, columns, n_values, last, threads):
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
            joint = density.score_first(whole, np.repeat(last[part], len(states)), threads)
        yield part, states, joint.reshape(len(part), len(states))


def choose(prob, rng):
    """A place in each row of probabilities, drawn."""
    cumulative = np.cumsum(prob, axis=1)[:, :-1]
    return (rng.random((len(prob), 1)) >= cumulative).sum(axis=1)


def divided(weight, uniform):
    """A place in each row of weights by a uniform number, and the uniform number that is left over of it."""
    cumulative = np.cumsum(weight, axis=1)
    at = uniform * cumulative[:, -1]
    place = (at[:, None] >= cumulative[:, :-1]).sum(axis=1)
    each = np.arange(len(place))
    own, end = weight[each, place], cumulative[each, place]
    rest = np.divide(at - (end - own), own, out=np.full(len(place), 0.5), where=own > 0)
    return place, np.clip(rest, LEAST_LEFT, 1 - LEAST_LEFT)


def possible(joint):
    """The log-probabilities as they are, if in every row one at least is not of what cannot be."""
    if not np.isfinite(joint.max(axis=1, initial=-np.inf)).all():
        raise ValueError("the model thinks a row impossible, whatever stands in the cells that were asked for")
    return joint
