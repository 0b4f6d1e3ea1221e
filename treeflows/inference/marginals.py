"""Marginals of densities over codes, and what follows from them.

Sums over the states of unobserved columns are exact up to `MOST_STATES` states of a row. Beyond, marginals are
estimated by weighted draws (`ahead`), more of them where few of them count; where hardly any counts there is no
estimate.
"""

from zlib import crc32

import numpy as np

from .._ext import elementary
from ..machine.log_sums import logsumexp, softmax
from .estimates import blocks, enumerated, few_states, patterns, possible

DRAWS = (1024, 8192, 100)  # for each row; the second number where the first has not the third's effective ones
FEWEST_EFFECTIVE = 10  # draws, below which there is no estimate: few weights may miss most of the sum
KEPT = 128  # draws to average conditionals over
CELLS = 2_000_000  # of a block of draws


def log_marginal(density, codes, observed, threads):
    """What `Density.marginal` says: of each row by itself, whatever the other rows are."""
    needed, last = needed_cells(density, observed)
    log_prob, error, many = np.zeros(len(codes)), np.zeros(len(codes)), []
    some = np.flatnonzero(observed.any(axis=1))  # the marginal of nothing is 0, exactly
    for places, columns in patterns(needed[some]):
        rows = some[places]
        if not few_states(density.n_states[columns]):
            many.append(rows)
            continue
        for part, _, joint in enumerated(density, codes, rows, columns, density.n_categories, last, threads):
            log_prob[part] = logsumexp(joint, axis=1)
    if many:
        rows = np.sort(np.concatenate(many))
        for part, draws in weighted_draws(density, codes, observed, rows, threads, last):
            log_prob[part], error[part] = draws.log_mean, draws.error
            none = draws.effective < FEWEST_EFFECTIVE
            log_prob[part[none]], error[part[none]] = np.nan, np.inf
    return log_prob, error


def weighted_draws(density, codes, observed, rows, threads, last=None, *within):
    """Draws of the unobserved cells of some rows, enough of them if that can be: pairs of rows and `Draws`.

    ``within`` is what cells of a density of numbers may be, as `draw_along` takes it. The same of a row in every table
    and on every call, and of different rows independent.
    """
    few, most, wanted = density.n_draws
    for n_draws in (few, most):
        poor = []
        for block in blocks(len(rows), n_draws * codes.shape[1], CELLS):
            part = rows[block]
            rngs, told = row_generators(codes[part], observed[part]), None if last is None else last[part]
            draws = density.draw_ahead(codes[part], observed[part], n_draws, rngs, threads, told, *within)
            enough = draws.effective >= wanted if n_draws < most else np.ones(len(part), dtype=bool)
            poor.append(part[~enough])
            if enough.any():
                yield part[enough], draws.of(enough)
        rows = np.concatenate(poor)
        if len(rows) == 0:
            break


def row_generators(codes, observed):
    """A generator for each row, told by what is observed of it."""
    return [
        np.random.default_rng(crc32((np.where(seen, row, 0) + 0).astype(row.dtype).tobytes() + seen.tobytes()))
        for row, seen in zip(codes, observed, strict=True)
    ]


def log_joint(density, codes, observed, column, n_values, threads):
    """Log-probability of each row with each of the first ``n_values`` codes of a column: (n_rows, n_values), nats.

    Up to a constant of each row. And its standard error, 0 where it is exact: columns that are not observed are summed
    out (``observed`` is None if all are); NaN and infinity where there is no estimate. Raises ValueError where the
    model thinks nothing possible.
    """
    joint, error = np.zeros((len(codes), n_values)), np.zeros(len(codes))
    if observed is None:
        return possible(density.log_values(codes, column, n_values, threads)), error
    seen, asked = observed.copy(), observed.copy()
    seen[:, column], asked[:, column] = True, False
    whole = seen.all(axis=1)
    if whole.any():
        joint[whole] = possible(density.log_values(codes[whole], column, n_values, threads))
    needed, exact, many = needed_cells(density, seen)[0], [], []
    partly = np.flatnonzero(~whole)
    for places, columns in patterns(needed[partly]):
        (exact if few_states(density.n_states[columns]) else many).append(partly[places])
    if exact:
        rows = np.sort(np.concatenate(exact))
        some = codes[rows]
        for value in range(n_values):
            some[:, column] = value
            joint[rows, value], _ = density.marginal(some, seen[rows], threads)
        joint[rows] = possible(joint[rows])
    if many:
        rows = np.sort(np.concatenate(many))
        for part, draws in weighted_draws(density, codes, asked, rows, threads):
            kept = draws.resampled(KEPT, row_generators(codes[part], asked[part]))
            told = conditional(density, kept, column, n_values, threads).mean(axis=1)
            none = draws.effective < FEWEST_EFFECTIVE
            with np.errstate(divide="ignore"):
                joint[part] = np.where(none[:, None], np.nan, elementary.log(told))
            error[part] = np.where(none, np.inf, draws.error)
    return joint, error


def conditional(density, draws, column, n_values, threads):
    """Distribution of a column given all others, in draws of rows: (n_rows, n_draws, n_values)."""
    joint = density.log_values(draws.reshape(-1, draws.shape[2]), column, n_values, threads)
    return softmax(possible(joint), axis=1).reshape(*draws.shape[:2], n_values)


def log_values(density, codes, column, n_values, threads):
    """Log-probability of whole rows with each of the first codes of a column, (n_rows, n_values), nats.

    Up to a constant of each row: of an ordered density only what comes from the column on is told.
    """
    # what comes before the column is the same for all of its values
    start = () if density.order is None else (int(np.flatnonzero(density.order == column)[0]),)
    joint = np.empty((len(codes), n_values))
    for block in blocks(len(codes), n_values * codes.shape[1]):
        whole = np.repeat(codes[block], n_values, axis=0)
        whole[:, column] = np.tile(np.arange(n_values), len(whole) // n_values)
        joint[block] = density.score(whole, threads, *start).reshape(-1, n_values)
    return joint


def needed_cells(density, observed):
    """Which cells are to be summed out, and how many columns, in order, are told of each row; None without an order.

    Those up to the last observed one: what comes after it sums to one.
    """
    needed = ~observed
    if density.order is None:
        return needed, None
    in_order = observed[:, density.order]
    last = np.where(in_order.any(axis=1), in_order.shape[1] - np.argmax(in_order[:, ::-1], axis=1), 0)
    needed[:, density.order] &= np.arange(observed.shape[1]) < last[:, None]
    return needed, last
