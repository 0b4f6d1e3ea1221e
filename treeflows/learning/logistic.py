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
OFF = -100.0  # logit of an output that is none
NOT_CONVERGED = (
    f"some logistic regressions of a column on those before it still improve after {MOST_PASSES} passes over the rows; "
    "what they say is used as it is, at a share that held-out rows find best. Columns of hundreds of rare values are a "
    "usual cause: max_categories groups them"
)


@dataclass(frozen=True)
class Regressions:
    """Constants ``parameter[0]`` and coefficients ``parameter[1:]`` of all cells; by place in the order, penalties."""

    parameter: np.ndarray
    penalty: np.ndarray


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
        self.columns = {"n_categories": n_categories, "order": order, "reference": reference}
        self.columns |= {"regressed": None if told is None else told.astype(np.uint8)}
        self.cells = Cells.of(n_categories, order, reference)
        rows, weight = self.rows = distinct(codes, weight)
        number = self.cells.number[rows[:, order] + starts(n_categories)[order]]
        told = number >= 0
        self.starts = np.concatenate(([0], np.cumsum(told.sum(axis=1)))).astype(np.int64)
        self.told = np.append(number[told], 0).astype(np.int32)  # not empty, whatever the table
        self.weight, self.n_rows = weight.astype(np.float32), float(weight.sum())
        counts = np.bincount(self.told[:-1], np.repeat(weight, np.diff(self.starts)), self.cells.n)
        self.frequency = counts / self.n_rows
        k = n_categories[order][self.cells.place]
        self.marginal = (counts + 0.5) / (self.n_rows + 0.5 * k)

    def start(self):
        """Regressions that know of no other column."""
        parameter, place = np.zeros((1 + self.cells.n, self.cells.n), dtype=np.float32), self.cells.place
        reference = 1 - np.bincount(place, self.marginal, len(self.order))
        parameter[0] = elementary.log(self.marginal) - elementary.log(reference)[place]
        return Regressions(parameter, np.full(len(self.order), PENALTIES[0]))

    def improve(self, regressions, most_passes):
        """Regressions from where others are, with their penalties; whether all got to the end."""
        improved, blocks = Regressions(regressions.parameter.copy(), regressions.penalty), self.blocks()
        found = together([partial(self._improved, regressions, columns, most_passes) for columns in blocks])
        for columns, of in zip(blocks, found, strict=True):
            self.part_of(improved, columns)[:] = of["parameter"]
        return improved, all(bool(of["converged"][0]) for of in found)

    def _improved(self, regressions, columns, most_passes):
        """Those of a block of columns; a part, in parts."""
        start = {"parameter": self.part_of(regressions, columns), "penalty": regressions.penalty[columns]}
        if not in_parts():
            return improve_block(self, columns, **start, most_passes=most_passes)
        arrays = self.columns | dict(zip(("rows", "weight"), self.rows, strict=True)) | start
        options = {"first": int(columns[0]), "end": int(columns[-1]) + 1, "most_passes": most_passes}
        told = [self.order[columns].tolist()]
        return computed(improved_regressions, arrays, options, columns=told, threads=self.threads)[0]

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

    def blocks(self):
        """Columns that are regressed and have cells, in order: runs without gaps, of not too many coefficients."""
        first, runs, run = self.cells.first, [], []
        for t in np.flatnonzero((np.diff(first) > 0) & self.regressed).tolist():
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
    best, blocks = [learner.start() for learner in choosing], learners[0].blocks()
    for columns, found in zip(
        blocks, together([partial(_chosen, choosing, held_out, columns) for columns in blocks]), strict=True
    ):
        for i, (learner, of) in enumerate(zip(choosing, best, strict=True)):
            learner.part_of(of, columns)[:] = found[f"parameter{i}"]
            of.penalty[columns] = found["penalty"]
    # the others' problems are convex too: where they start from is forgotten
    rest = together([partial(learner.improve, best[0], PASSES) for learner in learners[n_choosing:]])
    return best + [regressions for regressions, _ in rest]


def _chosen(learners, held_out, columns):
    """Those of a block of columns; a part, in parts."""
    if not in_parts():
        return choose_block(learners, held_out, columns)
    arrays = dict(learners[0].columns)
    for i, (learner, unseen) in enumerate(zip(learners, held_out, strict=True)):
        rows, weight = learner.rows
        arrays |= {f"rows{i}": rows, f"weight{i}": weight, f"unseen{i}": unseen}
    options = {"first": int(columns[0]), "end": int(columns[-1]) + 1, "n_folds": len(learners)}
    told = [learners[0].order[columns].tolist()]
    return computed(chosen_regressions, arrays, options, columns=told, threads=learners[0].threads)[0]


@pure
def chosen_regressions(n_categories, order, reference, regressed, *, first, end, n_folds, threads=1, **folds):
    """What `choose_block` makes of columns from ``first`` to ``end``, of rows of each fold."""
    learners = [
        _learner(folds[f"rows{i}"], folds[f"weight{i}"], n_categories, order, reference, regressed, threads)
        for i in range(n_folds)
    ]
    return choose_block(learners, [folds[f"unseen{i}"] for i in range(n_folds)], np.arange(first, end))


@pure
def improved_regressions(
    n_categories,
    order,
    reference,
    regressed,
    rows,
    weight,
    parameter,
    penalty,
    *,
    first,
    end,
    most_passes,
    threads=1,
):
    """What `improve_block` makes of columns from ``first`` to ``end``."""
    learner = _learner(rows, weight, n_categories, order, reference, regressed, threads)
    return improve_block(learner, np.arange(first, end), parameter, penalty, most_passes)


def _learner(rows, weight, n_categories, order, reference, regressed, threads):
    told = None if regressed is None else regressed.astype(bool)
    return LogisticLearner(rows, n_categories, order, reference, threads, weight, told)


def choose_block(learners, held_out, columns):
    """Regressions of columns that are learned together, by the penalties that tell held-out rows best.

    Returns
    -------
    found : dict of str to ndarray
        ``"penalty"``, and of learner i ``"parameter{i}"``, of the block's cells.
    """
    best, n_rows = [learner.part_of(learner.start(), columns) for learner in learners], sum(map(len, held_out))
    blocks, worse = [_Block(learner, columns) for learner in learners], np.zeros(len(columns), dtype=np.int64)
    at = [block.centred(of) for block, of in zip(blocks, best, strict=True)]
    start, least, chosen = _loss(blocks, at, held_out), np.zeros(len(columns)), np.full(len(columns), PENALTIES[0])
    for penalty in PENALTIES:
        # a column that two weaker penalties in turn have told worse stays as it is
        penalties = np.full(len(columns), penalty)
        at = [block.improve(a, penalties, worse < 2, PASSES)[0] for block, a in zip(blocks, at, strict=True)]
        more = _loss(blocks, at, held_out) - start
        more += SHARED / n_rows * more.mean()
        better = more < least
        worse, least = np.where(better, 0, worse + 1), np.minimum(more, least)
        chosen[better] = penalty
        for block, a, of in zip(blocks, at, best, strict=True):
            block.write(a, of, better)
        if (worse >= 2).all():
            break
    return {f"parameter{i}": of for i, of in enumerate(best)} | {"penalty": chosen}


def improve_block(learner, columns, parameter, penalty, most_passes):
    """Regressions of columns that are learned together, from where others are.

    Returns
    -------
    found : dict of str to ndarray
        ``"parameter"``, of the block's cells, and ``"converged"``.
    """
    block, every = _Block(learner, columns), np.ones(len(columns), dtype=bool)
    at, there = block.improve(block.centred(parameter), penalty, every, most_passes)
    improved = parameter.copy()
    block.write(at, improved, every)
    return {"parameter": improved, "converged": np.array([there], dtype=np.uint8)}


def _loss(blocks, at, held_out):
    return sum(block.loss(a, rows) for block, a, rows in zip(blocks, at, held_out, strict=True))


class _Block:
    """Columns that are learned together: their cells are outputs, theirs and all earlier ones what they are told by.

    Constants are those at the mean of the cells, which bears less upon the coefficients; pads of the outputs, up to the
    width that the engine wants, count as the last column's and stay 0.
    """

    def __init__(self, learner, columns):
        first, n_cells = learner.cells.first, int(learner.cells.first[columns[-1] + 1])
        self.learner, self.first_output, self.end = learner, int(first[columns[0]]), int(columns[-1]) + 1
        n = n_cells - self.first_output
        width = n + -n % LANES
        self.first = first[columns] - self.first_output
        ends = first[columns + 1] - self.first_output
        self.column = np.repeat(np.arange(len(columns)), np.append(ends[:-1], width) - self.first)
        self.wide = np.column_stack([self.first, ends])[ends - self.first > 1].astype(np.int32)
        bears = np.maximum(learner.cells.bears_from[:n_cells] - self.first_output, 0)
        self.bears = (bears - bears % LANES).astype(np.int32)
        self.free = np.zeros((1 + n_cells, width), dtype=np.float32)
        self.free[:, :n] = np.arange(n) >= np.append(0, bears)[:, None]
        frequency = learner.frequency[:n_cells]
        self.mean = frequency.astype(np.float32)[:, None]
        self.marginal = np.pad(learner.marginal[self.first_output : n_cells], (0, width - n))
        # the diagonal of the Hessian at the start, but for the penalty
        spread = learner.n_rows * np.append(1.0, frequency * (1 - frequency))
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
        penalty = penalty.astype(np.float32)[self.column]
        enough = TOLERANCE * self.learner.n_rows / len(self.learner.order)
        diagonal = self.curvature + np.append(0.0, np.ones(len(at) - 1))[:, None].astype(np.float32) * penalty
        slope_at = self._gradient(at, penalty)
        pairs, scale = [], np.ones(len(active))
        direction, step = self._direction(slope_at, diagonal, pairs, scale, active), np.ones(len(active))
        promised = self._dot(direction, slope_at)
        for _ in range(most_passes):
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
            scale = np.divide(product, self._dot(bent, bent / diagonal), where=known, out=scale)
            turned = self._direction(slope_at, diagonal, pairs, scale, active)
            direction = np.where(took > 0, turned, direction)
            promised = self._dot(direction, slope_at)
            step = np.where(taken, 1.0, shorter)
        return at, not active.any()

    def loss(self, at, codes):
        """Negative log-likelihood of rows by each column, nats: ndarray of shape (n_columns,)."""
        learner = self.learner
        order, first_category = learner.order[: self.end], starts(learner.n_categories).astype(np.int32)
        number = learner.cells.number
        told = logistic.logits(
            codes, order, first_category, number, self._base(at), at[1:], self.bears, learner.threads
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
        learner = self.learner
        slope = logistic.gradient(
            learner.told,
            learner.starts,
            learner.weight,
            self._base(at),
            at[1:],
            self.bears,
            self.wide,
            self.first_output,
            learner.threads,
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
