"""Learning logistic regressions of every column on those before it, all at once.

Every column's problem is convex and its own, so L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989) runs on all
of them side by side: each has its own curvature, step and end, and all share the passes over the rows. Steps are
measured by slopes alone, which a convex function allows. The sums of a library's L-BFGS would depend on the machine.
"""

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._ext import elementary, logistic
from ..densities.logistic import LANES, Cells, LogisticConditionals
from ..densities.trees import starts
from ..machine.parts import computed, in_parts, pure, together
from .multisets import distinct, n_parts_of

PENALTIES = 100.0 * 10.0 ** -np.arange(0, 3.6, 0.5)  # halves of which times the squared coefficients are added, nats
SHARED = 100.0  # held-out rows' worth of all columns' loss in the choice of each column's penalty
ENOUGH_HELD_OUT = 500  # rows, that penalties are chosen by
MEMORY = 6  # steps that the curvature is known from
PASSES = 20  # over the rows for each penalty on the way
MOST_PASSES = 300  # at the end
TOLERANCE = 2e-4  # nats per row, of all columns together, that steps still promise at the end
FLATTER = 0.5  # than at its start a step's slope is at its end, if uphill; otherwise the step is shortened
PRIOR_ROWS = 1.0  # of a column's own distribution, that each regression sees besides the data
BLOCK_COEFFICIENTS = 60_000  # of columns that are learned together: they stay in the second-level cache
MOST_CELLS = 10_000  # of a table whose columns are regressed; the coefficients of more would fill the memory
BLOCK_CELLS = 4_000_000  # of rows that are made cells at a time
MOST_WORK = 1e9  # cells of rows times outputs, of the passes in one part: tenths of a second
OFF = -100.0  # logit of an output that is none
NOT_CONVERGED = (
    f"some logistic regressions of a column on those before it still improve after {MOST_PASSES} passes over the rows; "
    "what they say is used as it is, at a share that held-out rows find best. Columns of hundreds of rare values are a "
    "usual cause: max_categories groups them"
)


@dataclass(frozen=True)
class Regressions:
    """Constants ``parameter[0]`` and coefficients ``parameter[1:]`` of all cells; by place in the order, penalties.

    An infinite penalty leaves a column its constants alone.
    """

    parameter: np.ndarray
    penalty: np.ndarray


@dataclass(frozen=True)
class CellsOfRows:
    """Rows as the cells that they have, of logistic regressions: as the engine takes them.

    Attributes
    ----------
    cells : Cells
    n_categories : ndarray of shape (n_columns,), int32
    told : ndarray of int32
        Cells of the rows, row after row.
    starts : ndarray of shape (n_distinct + 1,), int64
        Where those of each row start.
    weight : ndarray of shape (n_distinct,), float32
    counts : ndarray of shape (n_cells,), float64
        Rows that have each cell.
    n_rows : float
    threads : int
    """

    cells: Cells
    n_categories: np.ndarray
    told: np.ndarray
    starts: np.ndarray
    weight: np.ndarray
    counts: np.ndarray
    n_rows: float
    threads: int

    @property
    def frequency(self):
        """Of each cell among the rows."""
        return self.counts / self.n_rows

    @property
    def marginal(self):
        """Of each cell, with half a row more of each category."""
        k = self.n_categories[self.cells.order][self.cells.place]
        return (self.counts + 0.5) / (self.n_rows + 0.5 * k)


class LogisticLearner:
    """Logistic regressions on the rows of one table.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories, order : ndarray of shape (n_columns,), int32
    reference : ndarray of shape (n_columns,), uint8
    threads : int
    weight : ndarray of shape (n_rows,), int32, or None
        Rows that each row stands for.
    told : ndarray of shape (n_columns,), bool, or None
        Columns that are regressed; constants alone tell the others. None for all.
    """

    def __init__(self, codes, n_categories, order, reference, threads=1, weight=None, told=None):
        self.n_categories, self.order, self.reference, self.threads = n_categories, order, reference, threads
        self.regressed = np.ones(len(order), dtype=bool) if told is None else told[order]
        self.cells = Cells.of(n_categories, order, reference)
        rows, weight = distinct(codes, weight)
        ends = np.append(0, np.cumsum(np.count_nonzero(rows != reference, axis=1))).astype(np.int64)
        told, counts = np.zeros(ends[-1] + 1, dtype=np.int32), np.zeros(self.cells.n)  # not empty, whatever the table
        step = max(1, BLOCK_CELLS // len(order))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            number = self.cells.number[rows[part][:, order] + starts(n_categories)[order]]
            number = number[number >= 0]
            told[ends[start] : ends[start] + len(number)] = number
            times = np.repeat(weight[part], np.diff(ends[start : start + step + 1]))
            counts += np.bincount(number, times, self.cells.n)  # exact: whole numbers
        n_rows = float(weight.sum())
        self.rows = CellsOfRows(
            self.cells, n_categories, told, ends, weight.astype(np.float32), counts, n_rows, threads
        )

    def start(self):
        """Regressions that know of no other column."""
        parameter, place = np.zeros((1 + self.cells.n, self.cells.n), dtype=np.float32), self.cells.place
        marginal = self.rows.marginal
        reference = 1 - np.bincount(place, marginal, len(self.order))
        parameter[0] = elementary.log(marginal) - elementary.log(reference)[place]
        return Regressions(parameter, np.full(len(self.order), np.inf))

    def improve(self, regressions, most_passes):
        """Regressions from where others are, with their penalties; whether all got to the end."""
        told, start = np.isfinite(regressions.penalty)[self.cells.place], self.start().parameter
        improved = Regressions(np.where(told, regressions.parameter, start), regressions.penalty)
        blocks = self.blocks(np.isfinite(regressions.penalty))
        there = together([partial(self._improve, improved, columns, most_passes) for columns in blocks])
        return improved, all(there)

    def _improve(self, regressions, columns, most_passes):
        """Improve those of a block of columns where they are; whether they got to the end."""
        block, every = _Block(self.rows, columns), np.ones(len(columns), dtype=bool)
        of = self.part_of(regressions, columns)
        at, there = block.improve(block.centred(of), regressions.penalty[columns], every, most_passes)
        block.write(at, of, every)
        return there

    def part_of(self, regressions, columns):
        """The parameters that a block of columns learns, of those of all cells: a view."""
        first, end = self.cells.first[columns[0]], self.cells.first[columns[-1] + 1]
        return regressions.parameter[: 1 + end, first:end]

    def finish(self, regressions):
        """The same, in as many passes as it takes; a warning tells if those are too many."""
        improved, converged = self.improve(regressions, MOST_PASSES)
        if not converged:
            warnings.warn(NOT_CONVERGED, ConvergenceWarning, stacklevel=2)
        return improved

    def density(self, regressions):
        """The regressions as a part of a density."""
        n, bears = self.cells.n, self.cells.bears_from
        parameter = regressions.parameter
        return LogisticConditionals(
            self.n_categories,
            self.order,
            self.reference,
            parameter[0].copy(),
            parameter[1:][np.arange(n) >= bears[:, None]],
        )

    def blocks(self, among=True):
        """Columns that are regressed and have cells, in order: runs without gaps, of not too many coefficients.

        Only those ``among`` them, by place in the order, if that is told.
        """
        first, runs, run = self.cells.first, [], []
        for t in np.flatnonzero((np.diff(first) > 0) & self.regressed & among).tolist():
            apart = run and first[t] > first[run[-1] + 1]
            if apart or (run and (first[t + 1] - first[run[0]]) * first[t + 1] > BLOCK_COEFFICIENTS):
                runs.append(np.array(run))
                run = []
            run.append(t)
        return [*runs, np.array(run)] if run else runs


def choose_penalties(learners, held_out):
    """Regressions by learners of parts of a table: those of each column by the penalty that tells held-out rows best.

    Parameters
    ----------
    learners : list of LogisticLearner
        Of rows of the same columns, in one order.
    held_out : list of ndarray of shape (n_rows, n_columns), uint8
        For each of them rows that it has not seen; the penalty of a column is the one that is best for the first of
        them together, as many as have `ENOUGH_HELD_OUT` rows.

    Returns
    -------
    regressions : list of Regressions
    """
    n_choosing = n_parts_of(held_out, ENOUGH_HELD_OUT)
    choosing, held_out = learners[:n_choosing], held_out[:n_choosing]
    best = [learner.start() for learner in choosing]
    together([partial(_choose, choosing, best, held_out, columns) for columns in learners[0].blocks()])
    # the others' problems are convex too: where they start from is forgotten
    rest = together([partial(learner.improve, best[0], PASSES) for learner in learners[n_choosing:]])
    return best + [regressions for regressions, _ in rest]


def _choose(learners, best, held_out, columns):
    """Make the best regressions of a block of columns those of the penalties that tell held-out rows best."""
    n_rows, parts = (
        sum(map(len, held_out)),
        [learner.part_of(of, columns) for learner, of in zip(learners, best, strict=True)],
    )
    blocks, worse = [_Block(learner.rows, columns) for learner in learners], np.zeros(len(columns), dtype=np.int64)
    at = [block.centred(part) for block, part in zip(blocks, parts, strict=True)]
    start, least = _loss(blocks, at, held_out), np.zeros(len(columns))
    for penalty in PENALTIES:
        # a column that two weaker penalties in turn have told worse stays as it is
        penalties = np.full(len(columns), penalty)
        improve = [partial(block.improve, a, penalties, worse < 2, PASSES) for block, a in zip(blocks, at, strict=True)]
        at = [a for a, _ in together(improve)]
        more = _loss(blocks, at, held_out) - start
        more += SHARED / n_rows * more.mean()
        better = more < least
        worse, least = np.where(better, 0, worse + 1), np.minimum(more, least)
        for block, a, part, of in zip(blocks, at, parts, best, strict=True):
            of.penalty[columns[better]] = penalty
            block.write(a, part, better)
        if (worse >= 2).all():
            break


def _loss(blocks, at, held_out):
    return sum(block.loss(a, rows) for block, a, rows in zip(blocks, at, held_out, strict=True))


@pure
def searched_regressions(
    n_categories,
    told,
    starts,
    weight,
    counts,
    order,
    first_cell,
    number,
    penalty,
    *,
    n_rows,
    first,
    end,
    passes,
    threads=1,
    **search,
):
    """What `_Block.go_on` makes of a search, of columns from ``first`` to ``end``: dict of its arrays."""
    cells = Cells(order, first_cell, number)
    block = _Block(
        CellsOfRows(cells, n_categories, told, starts, weight, counts, n_rows, threads), np.arange(first, end)
    )
    return block.go_on(_Search.of(**search), penalty, passes).arrays()


@dataclass(frozen=True)
class _Search:
    """Where L-BFGS is: all that its next pass depends on.

    ``slope`` and ``direction`` are None at the start; ``pairs`` are the last steps, what they bent the slope by, and
    the inverse of the inner product of both.
    """

    at: np.ndarray
    active: np.ndarray
    step: np.ndarray
    scale: np.ndarray
    slope: np.ndarray | None
    direction: np.ndarray | None
    pairs: list

    @classmethod
    def start(cls, at, active):
        return cls(at, active, np.ones(len(active)), np.ones(len(active)), None, None, [])

    @classmethod
    def of(cls, active, moved, bent, inverse, slope=None, direction=None, **others):
        """The search that `arrays` told."""
        pairs = list(zip(moved, bent, inverse, strict=True))
        return cls(active=active.astype(bool), slope=slope, direction=direction, pairs=pairs, **others)

    def arrays(self):
        """The search as a dict of arrays; one that is over tells no more than where it got."""
        told = {"at": self.at, "active": self.active.astype(np.uint8), "step": self.step, "scale": self.scale}
        pairs = self.pairs if self.active.any() else []
        if self.slope is not None and self.direction is not None and self.active.any():
            told |= {"slope": self.slope, "direction": self.direction}
        moved, bent, inverse = zip(*pairs, strict=True) if pairs else ((), (), ())
        shape = (len(moved), *self.at.shape)
        told |= {
            "moved": np.reshape(moved, shape).astype(np.float32),
            "bent": np.reshape(bent, shape).astype(np.float32),
        }
        return told | {"inverse": np.reshape(inverse, (len(inverse), len(self.step))).astype(np.float64)}


class _Block:
    """Columns that are learned together: their cells are outputs, theirs and all earlier ones what they are told by.

    Constants are those at the mean of the cells, which bears less upon the coefficients; pads of the outputs, up to the
    width that the engine wants, count as the last column's and stay 0.
    """

    def __init__(self, rows, columns):
        first, n_cells = rows.cells.first, int(rows.cells.first[columns[-1] + 1])
        self.rows, self.columns = rows, columns
        self.first_output, self.end = int(first[columns[0]]), int(columns[-1]) + 1
        n = n_cells - self.first_output
        width = n + -n % LANES
        self.first = first[columns] - self.first_output
        ends = first[columns + 1] - self.first_output
        self.column = np.repeat(np.arange(len(columns)), np.append(ends[:-1], width) - self.first)
        self.wide = np.column_stack([self.first, ends])[ends - self.first > 1].astype(np.int32)
        bears = np.maximum(rows.cells.bears_from[:n_cells] - self.first_output, 0)
        self.bears = (bears - bears % LANES).astype(np.int32)
        self.free = np.zeros((1 + n_cells, width), dtype=np.float32)
        self.free[:, :n] = np.arange(n) >= np.append(0, bears)[:, None]
        frequency = rows.frequency[:n_cells]
        self.mean = frequency.astype(np.float32)[:, None]
        self.marginal = np.pad(rows.marginal[self.first_output : n_cells], (0, width - n))
        # the diagonal of the Hessian at the start, but for the penalty
        spread = rows.n_rows * np.append(1.0, frequency * (1 - frequency))
        self.curvature = (spread[:, None] * (self.marginal * (1 - self.marginal)) + PRIOR_ROWS).astype(np.float32)

    def centred(self, part):
        """The part of the parameters that the block learns, as it learns them."""
        at = np.zeros_like(self.free)
        at[:, : part.shape[1]] = part
        at[0] += (self.mean * at[1:]).sum(axis=0)
        return at

    def write(self, at, part, which):
        """Write those of some columns into the part of the parameters that the block learns."""
        at = np.vstack([self._base(at), at[1:]])[:, : part.shape[1]]
        part[:] = np.where(which[self.column[: part.shape[1]]], at, part)

    def improve(self, at, penalty, active, most_passes):
        """L-BFGS until no active column's step promises more than its part of `TOLERANCE`; whether it got there too."""
        passes = most_passes
        if in_parts():
            passes = int(min(max(MOST_WORK / (len(self.rows.told) * self.free.shape[1]), 1), most_passes))
        search = _Search.start(at, active)
        for done in range(0, most_passes, passes):
            search = self._search(search, penalty, min(passes, most_passes - done))
            if not search.active.any():
                break
        return search.at, not search.active.any()

    def _search(self, search, penalty, passes):
        """The search some passes further; a part, in parts."""
        if not in_parts():
            return self.go_on(search, penalty, passes)
        rows = self.rows
        arrays = {name: getattr(rows, name) for name in ("n_categories", "told", "starts", "weight", "counts")}
        arrays |= {"order": rows.cells.order, "first_cell": rows.cells.first, "number": rows.cells.number}
        arrays |= {"penalty": penalty} | search.arrays()
        options = {"n_rows": rows.n_rows, "first": int(self.columns[0]), "end": self.end, "passes": passes}
        of = [rows.cells.order[self.columns].tolist()]
        (found,) = computed(searched_regressions, arrays, options, columns=of, threads=rows.threads)
        return _Search.of(**found)

    def go_on(self, search, penalty, passes):
        """The search some passes further, here."""
        penalty = penalty.astype(np.float32)[self.column]
        enough = TOLERANCE * self.rows.n_rows / len(self.rows.cells.order)
        diagonal = self.curvature + np.append(0.0, np.ones(len(search.at) - 1))[:, None].astype(np.float32) * penalty
        at, active, step, pairs, scale = search.at, search.active, search.step, search.pairs, search.scale
        slope_at, direction = search.slope, search.direction
        if direction is None:
            slope_at = self._gradient(at, penalty)
            direction = self._direction(slope_at, diagonal, pairs, scale, active)
        promised = self._dot(direction, slope_at)
        for _ in range(passes):
            active = active & (promised < -2 * enough)
            if not active.any():
                break
            trial = at + self._by_cell(np.where(active, step, 0.0)) * direction
            slope = self._gradient(trial, penalty)
            uphill = self._dot(direction, slope)
            taken = uphill <= -FLATTER * promised
            # where the slope is zero if it changes evenly
            shorter = step * np.clip(promised / (promised - np.maximum(uphill, 0.0) - 1e-300), 0.1, 0.9)
            took = self._by_cell(taken)
            moved, bent = took * (trial - at), took * (slope - slope_at)
            at, slope_at = at + moved, slope_at + bent
            product = self._dot(moved, bent)
            known = product > 0
            pairs = [
                *pairs[1 - MEMORY :],
                (moved, bent, np.divide(1.0, product, where=known, out=np.zeros_like(product))),
            ]
            scale = np.divide(product, self._dot(bent, bent / diagonal), where=known, out=scale.copy())
            turned = self._direction(slope_at, diagonal, pairs, scale, active)
            direction = np.where(took > 0, turned, direction)
            promised = self._dot(direction, slope_at)
            step = np.where(taken, 1.0, shorter)
        return _Search(at, active, step, scale, slope_at, direction, pairs)

    def loss(self, at, codes):
        """Negative log-likelihood of rows by each column, nats: ndarray of shape (n_columns,)."""
        rows = self.rows
        order, first_category = rows.cells.order[: self.end], starts(rows.n_categories).astype(np.int32)
        number = rows.cells.number
        told = logistic.logits(
            codes, order, first_category, number, self._base(at), at[1:], self.bears, rows.threads
        ).astype(np.float64)
        total = elementary.log(1 + np.add.reduceat(elementary.exp(told), self.first, axis=1)).sum(axis=0)
        cell = number[first_category[order] + codes[:, order]] - self.first_output
        row, place = np.nonzero(cell >= 0)
        cell = cell[row, place]
        return total - np.bincount(self.column[cell], told[row, cell], len(total))

    def _base(self, at):
        """Constants where no cell is."""
        base = at[0] - (self.mean * at[1:]).sum(axis=0)
        base[self.free[0] == 0] = OFF
        return base

    def _gradient(self, at, penalty):
        rows = self.rows
        slope = logistic.gradient(
            rows.told,
            rows.starts,
            rows.weight,
            self._base(at),
            at[1:],
            self.bears,
            self.wide,
            self.first_output,
            rows.threads,
        )
        slope[1:] -= self.mean * slope[0]
        likely = elementary.exp(at[0].astype(np.float64)) * self.free[0]
        likely /= 1 + np.add.reduceat(likely, self.first)[self.column]
        slope[0] += PRIOR_ROWS * (likely - self.marginal)
        slope[1:] += penalty * at[1:]
        return slope.astype(np.float32) * self.free

    def _direction(self, slope, diagonal, pairs, scale, active):
        """The two loops of L-BFGS, for each column by its own steps: minus the inverse Hessian times the slope."""
        ahead, parts = slope, []
        for moved, bent, inverse in reversed(pairs):
            parts.append(inverse * self._dot(moved, ahead))
            ahead = ahead - self._by_cell(parts[-1]) * bent
        ahead = self._by_cell(scale) * ahead / diagonal
        for (moved, bent, inverse), part in zip(pairs, reversed(parts), strict=True):
            ahead = ahead + self._by_cell(part - inverse * self._dot(bent, ahead)) * moved
        return -self._by_cell(active) * ahead

    def _dot(self, a, b):
        """Inner products by column: ndarray of shape (n_columns,), float64."""
        return np.add.reduceat((a * b).sum(axis=0, dtype=np.float64), self.first)

    def _by_cell(self, by_column):
        return by_column.astype(np.float32)[self.column]
