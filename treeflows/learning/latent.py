"""Latent class models by maximum likelihood (Lazarsfeld, Henry, "Latent structure analysis", 1968; Goodman 1974).

Rows are of hidden classes, within each of which the columns are independent. Cells that are not observed are summed
out: full-information maximum likelihood. The likelihood has several maxima, so EM starts from many places, runs a few
steps from each and follows the likeliest to the end (Biernacki, Celeux, Govaert 2003).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._ext import elementary, latent
from ..densities.stored import LEAST_PROBABILITY
from ..densities.trees import starts
from ..machine.log_sums import logsumexp, softmax
from .multisets import distinct

SHORT_STEPS = 10  # from every start, by at most so many rows that differ:
MOST_SHORT_ROWS = 20_000
LIKE_A_ROW = 0.1  # of a class where EM starts; more, and rows are dealt out for good before the classes have a shape
FOLLOWED = 10  # one start in so many is followed to the end
TOLERANCE = 1e-10  # nats per row that a step must gain
MOST_STEPS = 10_000
WORK = 300_000_000  # products between two looks at Ctrl-C
SAME = 0.01  # nats of all rows, that maxima differ by which are the same
BAYES_ROWS = 1.0  # rows' worth of the columns' own distributions in each class, where other rows are told
FOLDS = 5
MOST_WEIGHTS = 4_000_000  # of rows in resamples that are learned from together


@dataclass(frozen=True, eq=False)
class LatentClasses:
    """Classes, and the distribution of every column in each.

    Attributes
    ----------
    n_categories : ndarray of shape (n_columns,), int32
    weight : ndarray of shape (n_classes,), float64
    prob : ndarray of shape (sum of n_categories, n_classes), float64
        Of each category of each column in each class.
    """

    n_categories: np.ndarray
    weight: np.ndarray
    prob: np.ndarray

    @property
    def n_parameters(self):
        """How many numbers are free: int."""
        n = len(self.weight)
        return int(n - 1 + n * (self.n_categories - 1).sum())

    def log_likelihood(self, cells):
        """Log-likelihood of rows in each class: ndarray of shape (n_rows, n_classes), float64.

        ``cells`` are those of `cells_of`.
        """
        # what occurs in no class that was learned has some probability, that a row which has it be in a class, too
        least = np.maximum(self.prob, LEAST_PROBABILITY)
        log_prob = np.vstack([elementary.log(least), np.zeros((1, len(self.weight)))])
        told = np.zeros((len(cells), len(self.weight)))
        for column in cells.T:
            told += log_prob[column]
        return told

    def log_joint(self, cells):
        """Log-probability of rows and classes together: ndarray of shape (n_rows, n_classes), float64."""
        return elementary.log(np.maximum(self.weight, LEAST_PROBABILITY)) + self.log_likelihood(cells)

    def posterior(self, cells):
        """Probability of each class given rows: ndarray of shape (n_rows, n_classes), float64."""
        return softmax(self.log_joint(cells), axis=1)

    def arranged(self, order):
        """The same classes in another order."""
        return LatentClasses(self.n_categories, self.weight[order], np.ascontiguousarray(self.prob[:, order]))

    def by_weight(self):
        """The same classes, the largest first."""
        return self.arranged(np.argsort(-self.weight, kind="stable"))

    def matched(self, other):
        """The same classes in the order of those of another model that are most alike, all in all: LatentClasses.

        Unlike are classes by the total variation between their distributions, summed over the columns.
        """
        apart = np.abs(other.prob[:, :, None] - self.prob[:, None, :]).sum(axis=0)
        return self.arranged(linear_sum_assignment(apart)[1])


def cells_of(codes, observed, n_categories):
    """Numbers of the categories in each cell, those of all columns counted on; their number where not observed.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    observed : ndarray of shape (n_rows, n_columns), bool, or None
        Which cells are observed; None if all are.
    n_categories : ndarray of shape (n_columns,), int32

    Returns
    -------
    cells : ndarray of shape (n_rows, n_columns), int32
    """
    first = starts(n_categories)
    cells = codes + first[:-1].astype(np.int32)
    return np.ascontiguousarray(cells if observed is None else np.where(observed, cells, first[-1]), dtype=np.int32)


def resamples(weight, n, rng):
    """Weights of rows drawn with replacement (Efron 1979), as many as there are, in parts that bound their memory.

    Parameters
    ----------
    weight : ndarray of shape (n_rows,), int32
        Rows that each row stands for.
    n : int
        How often.
    rng : Generator

    Yields
    ------
    drawn : ndarray of shape (n_of_part, n_rows), float64
    """
    ends, step = np.cumsum(weight, dtype=np.int64), max(1, MOST_WEIGHTS // len(weight))
    for first in range(0, n, step):
        drawn = np.zeros((min(step, n - first), len(ends)))
        for one in drawn:
            row = np.searchsorted(ends, rng.integers(ends[-1], size=ends[-1]), side="right")
            one[:] = np.bincount(row, minlength=len(ends))
        yield drawn


class ClassLearner:
    """Latent class models of the rows of one table.

    Parameters
    ----------
    cells : ndarray of shape (n_rows, n_columns), int32
        As `cells_of` has them, no two rows equal, in an order by hash: the first are as good as any.
    weight : ndarray of shape (n_rows,), int32
        Rows that each row stands for.
    n_categories : ndarray of shape (n_columns,), int32
    n_starts : int
    threads : int
    """

    def __init__(self, cells, weight, n_categories, n_starts, threads):
        self.cells, self.weight, self.n_categories = cells, weight, n_categories
        self.first_category, self.n_rows = starts(n_categories).astype(np.int32), int(weight.sum(dtype=np.int64))
        self.n_starts, self.threads = n_starts, threads

    def learn(self, n_classes, rng, others=()):
        """The likeliest classes, the largest first.

        Parameters
        ----------
        n_classes : int
        rng : Generator
        others : sequence of LatentClasses, default=()
            Further ones to start from, such as those of some of the rows.

        Returns
        -------
        classes : LatentClasses
        score : float
            Log-likelihood of all rows, nats.
        n_best : int
            How many of the runs that were followed to the end came to it, and
        n_followed : int
            of how many.
        """
        prior, weight = np.zeros((1, self.first_category[-1])), self.weight[None].astype(np.float64)
        ((classes, scores),) = self._likeliest(n_classes, weight, prior, rng)
        if others:
            begun = np.array([np.vstack([each.weight, each.prob]) for each in others])
            more = self._climb(self.cells, weight, np.zeros(len(begun), np.int32), prior, begun)
            if more.max() > scores.max():
                classes = self._classes(begun[more.argmax()])
            scores = np.append(scores, more)
        best = float(scores.max())
        return classes.by_weight(), best, int((scores > best - SAME).sum()), len(scores)

    def held_out(self, n_classes, row, parts, rng):
        """How well classes tell rows that they were not learned from.

        Each is learned with a row's worth of the columns' own distributions in every class: without, what a class has
        not seen would be impossible there.

        Parameters
        ----------
        n_classes : int
        row : ndarray of shape (n_rows,), int64
            Numbers of the rows in a random order, each as often as its weight says.
        parts : list of slice
            Which of these are held out together.
        rng : Generator

        Returns
        -------
        score : float
            Mean log-likelihood of the rows that are held out, nats per row.
        classes : list of LatentClasses
            By which those of each part are told.
        """
        n = len(self.weight)
        without = np.array([np.bincount(row[part], minlength=n) for part in parts])
        seen = (self.weight - without).astype(np.float64)
        prior = np.array([self._marginal(weight) * BAYES_ROWS for weight in seen])
        found = [classes for classes, _ in self._likeliest(n_classes, seen, prior, rng)]
        scores = np.array([logsumexp(classes.log_joint(self.cells)) for classes in found])
        return float((without * scores).sum() / without.sum()), found

    def relearned(self, classes, weight):
        """Classes learned anew from the same rows by other weights, starting from those of all rows.

        Parameters
        ----------
        classes : LatentClasses
        weight : ndarray of shape (n, n_rows), float64

        Returns
        -------
        classes : list of LatentClasses
            In the order of those that they are most like.
        """
        start = np.tile(np.vstack([classes.weight, classes.prob]), (len(weight), 1, 1))
        each, prior = np.arange(len(weight), dtype=np.int32), np.zeros((len(weight), self.first_category[-1]))
        self._climb(self.cells, weight, each, prior, start)
        return [self._classes(one).matched(classes) for one in start]

    def ratios(self, classes, n, rng):
        """What one class more gains where there is none: of tables drawn from classes (McLachlan 1987).

        Parameters
        ----------
        classes : LatentClasses
        n : int
            Of tables, each of as many rows as there are, with cells missing where they are missing here.
        rng : Generator

        Returns
        -------
        ratio : ndarray of shape (n,), float64
            Twice the difference of the log-likelihoods of one class more and of as many, nats.
        """
        n_classes, found = len(classes.weight), np.empty(n)
        for i in range(n):
            drawn = self.drawn(classes, rng)
            fewer = drawn.learn(n_classes, rng, [classes])[1]
            found[i] = 2 * max(drawn.learn(n_classes + 1, rng)[1] - fewer, 0.0)
        return found

    def drawn(self, classes, rng):
        """A learner of rows drawn from classes, one for each, with cells missing where they are missing here."""
        holes = np.repeat(self.cells == self.first_category[-1], self.weight, axis=0)
        ends = np.cumsum(classes.weight)
        group = np.searchsorted(ends[:-1], rng.random(len(holes)) * ends[-1], side="right")
        codes = np.empty(holes.shape, dtype=np.uint8)
        for j, part in enumerate(map(slice, self.first_category[:-1], self.first_category[1:])):
            below = np.cumsum(classes.prob[part], axis=0)
            x = rng.random(len(codes)) * below[-1, group]
            codes[:, j] = (x >= below[:-1, group]).sum(axis=0)
        codes[holes] = 0
        rows, weight = distinct(np.hstack([codes, ~holes]))
        n = len(self.n_categories)
        cells = cells_of(rows[:, :n], rows[:, n:] == 1, self.n_categories)
        return ClassLearner(cells, weight, self.n_categories, self.n_starts, self.threads)

    def _likeliest(self, n_classes, row_weight, prior, rng):
        """Of each weighting of the rows, the likeliest classes, and the scores of all runs that were followed."""
        n_weightings, n_starts = len(row_weight), self.n_starts if n_classes > 1 else 1
        begun = np.array([self._start(n_classes, w, rng) for w in row_weight for _ in range(n_starts)])
        each = np.repeat(np.arange(n_weightings, dtype=np.int32), n_starts)
        n_followed = -(-n_starts // FOLLOWED)
        if n_followed < n_starts:
            some = self.cells[:MOST_SHORT_ROWS], np.ascontiguousarray(row_weight[:, :MOST_SHORT_ROWS])
            scores, _ = latent.climb(*some, each, prior, self.first_category, begun, 0.0, SHORT_STEPS, self.threads)
            order = np.argsort(-scores.reshape(n_weightings, n_starts), axis=1, kind="stable")[:, :n_followed]
            kept = (order + n_starts * np.arange(n_weightings)[:, None]).ravel()
            begun, each = np.ascontiguousarray(begun[kept]), each[kept]
        scores = self._climb(self.cells, row_weight, each, prior, begun).reshape(n_weightings, -1)
        best = scores.argmax(axis=1) + scores.shape[1] * np.arange(n_weightings)
        return [(self._classes(begun[i]), of) for i, of in zip(best, scores, strict=True)]

    def _climb(self, cells, row_weight, weighting, prior, classes):
        """EM to the end, in place; returns the scores."""
        steps = max(2, WORK // max(1, cells.size * classes.shape[2] * len(classes)))
        scores, left = np.empty(len(classes)), np.arange(len(classes))
        for _ in range(0, MOST_STEPS, steps):
            some = classes[left]
            scores[left], done = latent.climb(
                cells, row_weight, weighting[left], prior, self.first_category, some, TOLERANCE, steps, self.threads
            )
            classes[left] = some
            left = left[done == 0]
            if len(left) == 0:
                break
        return scores

    def _start(self, n_classes, weight, rng):
        """Classes a little like random rows: ndarray of shape (1 + sum of n_categories, n_classes), float64."""
        ends, marginal = np.cumsum(weight), self._marginal(weight)
        rows = np.searchsorted(ends, rng.integers(int(ends[-1]), size=n_classes), side="right")
        classes = np.tile(np.append(1 / n_classes, marginal)[:, None], n_classes)
        for c, row in enumerate(rows.tolist()):
            for j, cell in enumerate(self.cells[row].tolist()):
                if cell < len(marginal):
                    classes[1 + self.first_category[j] : 1 + self.first_category[j + 1], c] *= 1 - LIKE_A_ROW
                    classes[1 + cell, c] += LIKE_A_ROW
        return classes

    def _marginal(self, weight):
        """Distributions of the columns by the cells that are observed, none of them zero."""
        n = int(self.first_category[-1])
        counts = np.bincount(self.cells.ravel(), np.repeat(weight, self.cells.shape[1]), n + 1)[:n] + 0.5
        return counts / np.repeat(np.add.reduceat(counts, self.first_category[:-1]), self.n_categories)

    def _classes(self, found):
        return LatentClasses(self.n_categories, found[0].copy(), found[1:].copy())
