"""Cells that are not observed, filled: by enumeration, else by averages over weighted draws or by Gibbs sampling.

Averages of conditional distributions are more exact than counts of draws (Gelfand and Smith, Journal of the American
Statistical Association 85, 1990). Gibbs sampling: Geman and Geman, IEEE Transactions on Pattern Analysis and Machine
Intelligence 6, 1984.
"""

from functools import partial

import numpy as np

from ..machine.log_sums import softmax
from .ahead import shares as draw_shares
from .cells import conditional_cells
from .estimates import CELLS, blocks, choose, enumerated, few_states, patterns, possible
from .marginals import FEWEST_EFFECTIVE, KEPT, conditional, row_generators, weighted_draws

PROPOSALS = 64  # of which one is the start of Gibbs sampling
DOUBTFUL = 2.0  # standard errors by which a value must lead the next


def complete(density, codes, observed, shares, n_sweeps, rng, threads, *, draw):
    """Fill the cells that are not observed.

    By enumeration where the states are few. Beyond, with ``draw`` from their joint posterior by ``n_sweeps`` sweeps of
    Gibbs sampling; else each with the code whose most common value is the most probable, as `most_probable` finds it.

    Parameters
    ----------
    shares : sequence of ndarray
        Per column, of the codes that may stand there, which are its first, the share of the most common value.

    Returns
    -------
    filled : ndarray of shape (n_rows, n_columns), uint8
    n_doubtful : int
        Cells whose two most probable values are nearer to each other than the estimates are exact.
    """
    n_values = np.array([len(share) for share in shares])
    filled, n_doubtful = codes.copy(), 0
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
        if draw:
            score = partial(density.score, threads=threads)
            started = _started(density, codes[rows], observed[rows], n_values, rng, threads)
            filled[rows] = gibbs(score, started, observed[rows], n_values, n_sweeps, rng)
        else:
            filled[rows], doubtful = most_probable(density, codes[rows], observed[rows], shares, threads)
            n_doubtful = int(np.count_nonzero(doubtful))
    return filled, n_doubtful


def most_probable(density, codes, observed, shares, threads):
    """Fill each unobserved cell with its most probable code, by the average over weighted draws of the others.

    Equal rows are filled alike, in every table.

    Returns
    -------
    filled : ndarray of shape (n_rows, n_columns), uint8
    doubtful : ndarray of shape (n_rows, n_columns), bool
        Where the two most probable values are nearer to each other than the estimate is exact.
    """
    told = np.where(observed, codes, 0).astype(np.uint8)
    _, first, again = np.unique(np.hstack([told, observed]), axis=0, return_index=True, return_inverse=True)
    filled, doubtful = told[first], np.zeros((len(first), codes.shape[1]), dtype=bool)
    n_values = np.array([len(share) for share in shares])
    asked = observed[first]
    for part, draws in weighted_draws(density, told[first], asked, np.arange(len(first)), threads):
        draws = draws.within(n_values)
        effective = draws.effective
        kept = draws.resampled(KEPT, row_generators(filled[part], asked[part]))
        for j in np.flatnonzero(~asked[part].all(axis=0)).tolist():
            holes = np.flatnonzero(~asked[part, j])
            worth = conditional(density, kept[holes], j, n_values[j], threads) * shares[j]
            best = worth.mean(axis=1).argmax(axis=1)
            filled[part[holes], j] = best
            # how far the best leads each other value, and how well that is known
            lead = np.take_along_axis(worth, best[:, None, None], axis=2) - worth
            known = np.minimum(effective[holes], KEPT)[:, None]
            unsure = lead.mean(axis=1) < DOUBTFUL * lead.std(axis=1) / np.sqrt(np.maximum(known, 1))
            doubtful[part[holes], j] = unsure.any(axis=1) | (effective[holes] < FEWEST_EFFECTIVE)
    return np.where(observed, codes, filled[again.reshape(-1)]), doubtful[again.reshape(-1)]


def complete_numbers(density, values, observed, shares, within, threads):
    """Fill the cells of rows of numbers and codes that are not observed: numbers with their medians.

    A single one of a row by its distribution given all others; where there are several, by weighted draws. Equal rows
    are filled alike, in every table.

    Parameters
    ----------
    density : MixedDensity
    values, observed : ndarray of shape (n_rows, n_columns), float64 and bool
    shares : list of ndarray
        As `complete` takes them; of numbers None.
    within : dict
        What cells may be, as `draw_along` takes it.
    threads : int

    Returns
    -------
    filled : ndarray of shape (n_rows, n_columns), float64
    n_doubtful : int
        Cells of codes of which another value is as probable within the error, and of numbers without an estimate.
    """
    filled, n_doubtful = values.copy(), 0
    for j, rows in _single(observed):
        for part, told in _told(density, values[rows], j, shares[j], threads):
            filled[rows[part], j] = (
                told.quantiles([0.5])[:, 0] if shares[j] is None else (told * shares[j]).argmax(axis=1)
            )
    several = np.flatnonzero((~observed).sum(axis=1) > 1)
    if len(several) == 0:
        return filled, 0
    for part, draws in weighted_draws(density, values, observed, several, threads, None, within):
        share, effective = draw_shares(draws.log_weight), draws.effective
        for j in np.flatnonzero(~observed[part].all(axis=0)).tolist():
            holes = np.flatnonzero(~observed[part, j])
            drawn, weight, worth = draws.codes[holes, :, j], share[holes], effective[holes]
            doubtful = worth < FEWEST_EFFECTIVE
            if shares[j] is None:
                order = np.argsort(drawn, axis=1, kind="stable")
                cumulative = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
                middle = (cumulative < cumulative[:, -1:] / 2).sum(axis=1)
                best = np.take_along_axis(np.take_along_axis(drawn, order, axis=1), middle[:, None], axis=1)[:, 0]
            else:
                prob = (
                    np.stack([(weight * (drawn == k)).sum(axis=1) for k in range(len(shares[j]))], axis=1) * shares[j]
                )
                best = prob.argmax(axis=1)
                lead = prob.max(axis=1, keepdims=True) - prob
                unsure = (lead > 0) & (lead < DOUBTFUL * np.sqrt(prob.max(axis=1, keepdims=True) / worth[:, None]))
                doubtful |= unsure.any(axis=1)
            filled[part[holes], j] = best
            n_doubtful += int(np.count_nonzero(doubtful))
    return filled, n_doubtful


def draw_numbers(density, values, observed, shares, within, n_tables, rng, threads):
    """Cells of rows of numbers and codes that are not observed, drawn from their joint distribution.

    Parameters as `complete_numbers` takes them.

    Returns
    -------
    filled : ndarray of shape (n_tables, n_rows, n_columns), float64
    """
    filled = np.repeat(values[None], n_tables, axis=0)
    for j, rows in _single(observed):
        for part, told in _told(density, values[rows], j, shares[j], threads):
            n = len(rows[part])
            if shares[j] is None:
                drawn = told.quantiles(rng.random((n, n_tables)))
            else:
                drawn = np.stack([choose(told, rng) for _ in range(n_tables)], axis=1)
            filled[:, rows[part], j] = drawn.T
    several = np.flatnonzero((~observed).sum(axis=1) > 1)
    for block in blocks(len(several), PROPOSALS * values.shape[1], CELLS):
        rows = several[block]
        rngs = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=len(rows))]
        draws = density.draw_ahead(values[rows], observed[rows], density.n_draws[0], rngs, threads, None, within)
        drawn = draws.resampled(n_tables, rngs)
        for i, each in enumerate(rngs):  # in any order
            filled[:, rows[i]] = drawn[i, each.permutation(n_tables)]
    return filled


def _single(observed):
    """Columns, and the rows in which nothing but they are not observed."""
    alone = (~observed).sum(axis=1) == 1
    for j in np.flatnonzero((~observed[alone]).any(axis=0)).tolist():
        yield j, np.flatnonzero(alone & ~observed[:, j])


def _told(density, values, j, share, threads):
    """What is said of a column given all others: rows, and their cells, or the distributions of codes."""
    if share is None:
        for part, cells, *_ in conditional_cells(density, values, None, j, threads):
            yield part, cells
    else:
        yield slice(None), softmax(possible(density.log_values(values, j, len(share), threads)), axis=1)


def _started(density, codes, observed, n_values, rng, threads):
    """Each row with the cells that are not observed drawn, one of some weighted draws, by their weights.

    So a row agrees with what is observed after the drawn cells too, which sweeps over single cells may never reach.
    """
    started = codes.copy()
    for block in blocks(len(codes), PROPOSALS * codes.shape[1], CELLS):
        rngs = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=block.stop - block.start)]
        draws = density.draw_ahead(codes[block], observed[block], PROPOSALS, rngs, threads)
        started[block] = draws.within(n_values).resampled(1, rngs)[:, 0]
    return np.where(observed, codes, np.minimum(started, n_values - 1)).astype(np.uint8)


def resampled(density, codes, observed, n_proposals, rng, threads):
    """Each row with the cells that are not observed drawn: one of so many proposals, by their weights.

    So a row agrees with what is observed after the drawn cells too, which sweeps over single cells may never reach.
    """
    codes = codes.copy()
    for block in blocks(len(codes), n_proposals * codes.shape[1], CELLS):
        repeated = (np.repeat(x[block], n_proposals, axis=0) for x in (codes, observed))
        drawn, log_weight = density.propose(*repeated, rng, threads)
        chosen = choose(softmax(possible(log_weight.reshape(-1, n_proposals)), axis=1), rng)
        codes[block] = drawn[np.arange(len(chosen)) * n_proposals + chosen]
    return codes


def gibbs(score, codes, observed, n_values, n_sweeps, rng):
    """Sweeps of Gibbs sampling over the cells that are not observed, from where ``codes`` are.

    Each cell in turn is drawn from its distribution given all others, which ``score(codes)`` makes exact.
    """
    codes = codes.copy()
    cells = {j: np.flatnonzero(~observed[:, j]) for j in np.flatnonzero(~observed.all(axis=0)).tolist()}
    log_prob = score(codes)
    for _ in range(n_sweeps):
        for j, rows in cells.items():
            some, present = codes[rows], codes[rows, j].astype(np.intp)
            joint = np.empty((len(rows), n_values[j]))
            each = np.arange(len(rows))
            joint[each, present] = log_prob[rows]
            for further in range(1, n_values[j]):
                other = (present + further) % n_values[j]
                some[:, j] = other
                joint[each, other] = score(some)
            drawn = choose(softmax(possible(joint), axis=1), rng)
            codes[rows, j], log_prob[rows] = drawn, joint[each, drawn]
    return codes
