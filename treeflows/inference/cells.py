"""One column of numbers given all others: its distribution, told by cells that are cut where most of it lies.

Given the columns before it, a number has a distribution function, so that each cell has an exact probability; those
after it are told at one point of the cell. Of the last column in order nothing comes after, and of a lattice whose
cells hold a point each, nothing is between: there all is exact. Cells begin at quantiles of the column by itself, and
of what normal mixtures make of it given all others, so that where it is all but certain it is found; and those that
may hold much are cut, at places where trees may say something else.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._ext import elementary
from ..machine.log_sums import logsumexp, softmax
from .estimates import blocks
from .marginals import FEWEST_EFFECTIVE, needed_cells, row_generators, weighted_draws

BULK = np.linspace(-4, 4, 11)  # normal scores of a column where its cells begin
TAILS = np.array([6.0, 8.0, 11.0, 16.0, 25.0, 37.0])
NEAR = np.array([-0.5, -0.1, 0.1, 0.5])  # normal scores from a value whose tail is asked for
MOST_SHARE = 0.02  # of a cell, which is cut if it can be
LEAST_SHARE = 0.003  # the same where the total or the mean is asked for
NEXT = 2  # cells on either side that are next to one, empty ones among them
CUT, MOST_CUTS = 16, 16  # of a row, cells in a round, and rounds
MOST_GUESSES = 48  # of a row
NARROWEST = 1e-9  # a cell, in normal scores
BEGINNING = 64  # cells, more or less
KEPT = 16  # completions of a row to average over
LARGEST = np.finfo(np.float64).max
EVALUATIONS = 200_000  # cells at a time


@dataclass(frozen=True, eq=False)
class Cells:
    """Distributions of a column of numbers, one a row.

    Attributes
    ----------
    axis : NumberAxis
        The column's.
    low, high : ndarray of shape (n_rows, n_cells), float64
        Edges, ascending; equal where the cell is an atom, or empty.
    start, end : ndarray of shape (n_rows, n_cells), float64
        Their normal scores.
    log_mass : ndarray of shape (n_rows, n_kept, n_cells), float64
        Log-probability of each cell together with all else of each completion of the row, nats.
    """

    axis: Any
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    end: np.ndarray
    log_mass: np.ndarray

    @property
    def share(self):
        """Probability of each cell: ndarray of shape (n_rows, n_cells)."""
        return softmax(self.log_mass, axis=2).mean(axis=1)

    @property
    def log_total(self):
        """Log-probability of all else of each completion, and that the number is there: (n_rows, n_kept), nats."""
        return logsumexp(self.log_mass, axis=2)

    def quantiles(self, at):
        """The values below which parts of each distribution lie.

        Parameters
        ----------
        at : array-like of shape (n_quantiles,) or (n_rows, n_quantiles)
            Probabilities.

        Returns
        -------
        values : ndarray of shape (n_rows, n_quantiles), float64
        """
        share = self.share
        cumulative = np.cumsum(share, axis=1)
        at = np.broadcast_to(at, (len(share), np.shape(at)[-1]))
        values = np.empty(at.shape)
        each = np.arange(len(share))
        for i, q in enumerate(at.T):
            asked = q * cumulative[:, -1]
            k = np.minimum((cumulative < asked[:, None]).sum(axis=1), share.shape[1] - 1)
            own = share[each, k]
            left = np.divide(asked - (cumulative[each, k] - own), own, out=np.full(len(k), 0.5), where=own > 0)
            z = self.start[each, k] + np.clip(left, 0.0, 1.0) * (self.end[each, k] - self.start[each, k])
            values[:, i] = self.axis.inside(self.axis.value_at(z), self.low[each, k], self.high[each, k])
        return values

    def mean(self):
        """Mean of each distribution: ndarray of shape (n_rows,)."""
        middle = self.quantiles([0.5])
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            near, far = self.low - middle, self.high - middle
            straddles = (near < 0) & (far > 0)
            near, far = np.where(near < 0, -far, near), np.where(near < 0, -near, far)  # distances on either side
            # beyond what fit saw, density falls like the third power of the distance
            least, greatest = self.axis.range
            is_tail = (near > 0) & ~self._is_point & ((self.low >= greatest) | (self.high <= least))
            away = np.where(is_tail, 2 * near / (1 + near / far), near / 2 + far / 2)
            away = np.where(straddles, self.low / 2 + self.high / 2 - middle, np.where(self.low < middle, -away, away))
            away = self.share * np.where(np.isfinite(away), away, 0.0)
            return np.clip(middle[:, 0] + away.sum(axis=1), -LARGEST, LARGEST)

    @property
    def _is_point(self):
        """Which cells hold no more than one value: ndarray of shape (n_rows, n_cells)."""
        return (self.high - self.low <= 1.5 * self.axis.step) | (self.high <= self.low)

    def tails(self, x):
        """Probability of at most each row's value, and of at least so much: two ndarrays of shape (n_rows,)."""
        share = self.share
        low, high = self.axis.around(x)
        return [
            np.where(side, share, 0.0).sum(axis=1) for side in (self.high <= high[:, None], self.low >= low[:, None])
        ]


def conditional_cells(density, codes, observed, column, threads, at=None, most_share=MOST_SHARE):
    """Cells of a column of numbers given what is observed of the other columns.

    Where what is not observed counts, it is drawn, and the distributions given several draws are averaged.

    Parameters
    ----------
    density : MixedDensity
    codes, observed : ndarray of shape (n_rows, n_columns), float64 and bool
        ``observed`` is None if all are.
    column, threads : int
    at : ndarray of shape (n_rows,), float64, or None
        Values that are to be edges of cells.
    most_share : float
        Of a cell, more or less, unless it is a single value.

    Yields
    ------
    rows : ndarray of int64
    cells : Cells
        Of these rows.
    completions : ndarray of shape (n_rows, n_kept, n_columns), float64
        The rows, with what was drawn.
    last : ndarray of shape (n_rows,), int, or None
        How many columns, in order, count of each row.
    error : ndarray of shape (n_rows,), float64
        Standard error of log-probabilities, nats: 0 where nothing was drawn, infinity where there is no estimate.
    """
    seen = np.ones(codes.shape, dtype=bool) if observed is None else observed.copy()
    asked = seen.copy()
    seen[:, column], asked[:, column] = True, False
    needed, last = needed_cells(density, seen)
    partly = needed.any(axis=1)

    def told(rows, completions, counts):
        until = None if counts is None else counts[rows]
        edges = None if at is None else at[rows]
        return tell_cells(density, completions, column, threads, until, edges, most_share)

    whole = np.flatnonzero(~partly)
    for block in blocks(len(whole), BEGINNING, EVALUATIONS):
        rows = whole[block]
        completions = codes[rows][:, None]
        yield (
            rows,
            told(rows, completions, last),
            completions,
            None if last is None else last[rows],
            np.zeros(len(rows)),
        )
    if not partly.any():
        return
    for part, draws in weighted_draws(density, codes, asked, np.flatnonzero(partly), threads):
        kept = draws.resampled(KEPT, row_generators(codes[part], asked[part]))
        error = np.where(draws.effective < FEWEST_EFFECTIVE, np.inf, draws.error)
        for block in blocks(len(part), KEPT * BEGINNING, EVALUATIONS):
            yield part[block], told(part[block], kept[block], None), kept[block], None, error[block]


def conditional_values(density, codes, observed, column, values, threads):
    """Density, or probability, of values of a column of numbers given what is observed of the other columns.

    Parameters
    ----------
    density : MixedDensity
    codes, observed : ndarray of shape (n_rows, n_columns), float64 and bool
        ``observed`` is None if all are.
    column : int
    values : ndarray of shape (n_values,), float64
    threads : int

    Returns
    -------
    told : ndarray of shape (n_rows, n_values), float64
        Given that the number is there; NaN where there is no estimate.
    error : ndarray of shape (n_rows,), float64
        Standard error of their logarithms, nats.
    """
    told, error = np.empty((len(codes), len(values))), np.empty(len(codes))
    for rows, cells, completions, last, wrong in conditional_cells(
        density, codes, observed, column, threads, most_share=LEAST_SHARE
    ):
        joint = joint_with(density, completions, column, values, last, threads)
        log_density = np.minimum(joint - cells.log_total[:, :, None], elementary.log(LARGEST / len(completions[0])))
        told[rows] = elementary.exp(log_density).mean(axis=1)
        error[rows] = wrong
    return np.where(np.isinf(error)[:, None], np.nan, told), error


def joint_with(density, completions, column, values, last, threads):
    """Log-density of completions with each value of a column: ndarray of shape (n_rows, n_kept, n_values), nats."""
    n_rows, n_kept, n_columns = completions.shape
    if len(values) == 0:
        return np.empty((n_rows, n_kept, 0))
    flat, joint = completions.reshape(-1, n_columns), np.empty((n_rows * n_kept, len(values)))
    for block in blocks(len(flat), len(values), EVALUATIONS):
        whole = np.repeat(flat[block], len(values), axis=0)
        whole[:, column] = np.tile(values, len(whole) // len(values))
        if last is None:
            told = density.score(whole, threads)
        else:
            counts = np.repeat(np.repeat(last, n_kept)[block], len(values))
            told = density.score_first(whole, counts, threads)
        joint[block] = told.reshape(-1, len(values))
    return joint.reshape(n_rows, n_kept, -1)


def tell_cells(density, completions, column, threads, last=None, at=None, most_share=MOST_SHARE):
    """Cells of a column of numbers given all others.

    Parameters
    ----------
    density : MixedDensity
    completions : ndarray of shape (n_rows, n_kept, n_columns), float64
        What stands in the column itself does not matter.
    column, threads : int
    last : ndarray of shape (n_rows,), int, or None
        How many columns, in order, count of each row; None for all.
    at : ndarray of shape (n_rows,), float64, or None
    most_share : float

    Returns
    -------
    cells : Cells
    """
    n_rows, n_kept, n_columns = completions.shape
    axis = density.axis(column)

    whole, until = completions.reshape(-1, n_columns), None if last is None else np.repeat(last, n_kept)
    tell = density.cells_of(whole, column, threads, until)

    def masses(rows, low, high, start, end):
        point = axis.inside(axis.value_at((start + end) / 2), low, high)
        edges = [np.repeat(x, n_kept, axis=0) for x in (low, high, point)]
        each = (rows[:, None] * n_kept + np.arange(n_kept)).ravel()
        return np.stack(tell(each, *edges)).reshape(2, len(rows), n_kept, -1)

    guesses = np.empty((n_rows, 0))
    if len(axis.points) == 0:
        guesses = density.guesses(whole, column, threads, until).reshape(n_rows, -1)
    parts = _first_cells(axis, guesses, at)
    low, high = parts[:2]
    # of several cells that hold nothing but the same atom one counts, and of those on a lattice none
    again = np.hstack([np.zeros((n_rows, 1), dtype=bool), low[:, 1:] == low[:, :-1]])
    void = (high <= low) & (again | (axis.step > 0))
    # beside the probability of a cell, that without what comes after the column
    told = np.where(void[:, None], -np.inf, masses(np.arange(n_rows), *parts))
    for _ in range(MOST_CUTS):
        low, high, start, end = parts
        share = _largest_share(*told)
        with np.errstate(invalid="ignore"):
            share[(high - low <= 1.5 * axis.step) | (high <= low) | (end - start < NARROWEST)] = 0
        chosen = np.argsort(-share, axis=1, kind="stable")[:, :CUT]
        is_cut = np.take_along_axis(share, chosen, axis=1) > most_share
        rows = np.flatnonzero(is_cut.any(axis=1))
        if len(rows) == 0:
            break
        here, is_cut = (rows[:, None], chosen[rows]), is_cut[rows]
        low, high, start, end = (part[here] for part in parts)
        middle = np.where(is_cut, axis.middle(start, end), end)
        cut = np.where(is_cut, np.clip(axis.edge(axis.value_at(middle)), low, high), high)
        # the left part takes the place of the cell, the right one comes last until cells are put in order
        left, right = (low, cut, start, middle), (cut, high, middle, end)
        both = [np.hstack(pair) for pair in zip(left, right, strict=True)]
        new = np.where((both[1] <= both[0])[:, None], -np.inf, masses(rows, *both))
        each = (slice(None), rows[:, None, None], np.arange(n_kept)[:, None], chosen[rows][:, None])
        told[each] = np.where(is_cut[:, None], new[..., :CUT], told[each])
        further = np.full((2, n_rows, n_kept, CUT), -np.inf)
        further[:, rows] = np.where(is_cut[:, None], new[..., CUT:], -np.inf)
        told = np.concatenate([told, further], axis=3)
        for i, (part, old, other) in enumerate(zip(parts, left, right, strict=True)):
            part[here] = old
            more = np.full((n_rows, CUT), np.inf if i < 2 else TAILS[-1])
            more[rows] = other
            parts[i] = np.hstack([part, more])
        order = np.lexsort((parts[1], parts[0]), axis=1)
        parts = [np.take_along_axis(part, order, axis=1) for part in parts]
        told = np.take_along_axis(told, order[None, :, None], axis=3)
    low, high, start, end = parts
    return Cells(axis, low, high, start, end, told[0])


def _largest_share(log_mass, log_before):
    """Share of each cell, were what comes after as probable as in the cells next to it."""
    possible = log_before > -np.inf
    after = np.where(possible, log_mass - np.where(possible, log_before, 0.0), -np.inf)
    most = after.copy()
    for away in range(1, 1 + NEXT):
        most[..., away:] = np.maximum(most[..., away:], after[..., :-away])
        most[..., :-away] = np.maximum(most[..., :-away], after[..., away:])
    total = logsumexp(log_mass, axis=2)[:, :, None]
    return elementary.exp(np.minimum(np.where(possible, log_before + most, -np.inf) - total, 0.0)).mean(axis=1)


def _first_cells(axis, guesses, at):
    """Where cells begin: edges low and high, and their normal scores, (n_rows, n_cells) each."""
    n_rows = len(guesses)
    if guesses.shape[1] > MOST_GUESSES:
        guesses = np.sort(guesses, axis=1)[:, np.linspace(0, guesses.shape[1] - 1, MOST_GUESSES).astype(int)]
    bulk = np.empty(0) if len(axis.points) else BULK
    scores = [np.tile(np.concatenate([-TAILS[::-1], bulk, TAILS]), (n_rows, 1)), axis.score_at(guesses)]
    alone = np.tile(axis.atoms, (n_rows, 1))
    if at is not None:
        alone = np.hstack([alone, at[:, None]])
        scores.append(axis.score_at(at)[:, None] + NEAR)
    z = np.hstack(scores)
    around = np.hstack([*axis.around(alone), np.tile(axis.points, (n_rows, 1))])
    x = np.sort(np.clip(np.hstack([axis.edge(axis.value_at(z)), around]), *axis.ends), axis=1)
    z = np.sort(np.clip(np.hstack([z, axis.score_at(around)]), *axis.score_at(axis.ends)), axis=1)
    x[:, 0], x[:, -1] = axis.ends
    return [part.copy() for part in (x[:, :-1], x[:, 1:], z[:, :-1], z[:, 1:])]
