"""EM for mixtures of products (Dempster, Laird, Rubin, Journal of the Royal Statistical Society B 39, 1977)."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .._ext import elementary, products
from ..densities.products import ProductMixture
from ..densities.trees import starts
from ..machine.parts import computed, in_parts, pure

SMOOTHING = 1.0  # rows' worth of the column's own distribution that is added to each state's
TOLERANCE = 1e-3  # nats per row that a step of EM must gain
MOST_STEPS = 60
STEPS_OF_PART = 10
LANES = 16  # of which the engine wants the number of states


class Learner:
    """EM on the rows of one table.

    What a row has in common with most rows is told once for all: only the cells that differ from their column's most
    common category are visited, so a step takes time linear in those.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories : ndarray of shape (n_columns,), int32
    threads : int
    weight : ndarray of shape (n_rows,), int32, or None
        Rows that each row stands for.
    """

    def __init__(self, codes, n_categories, threads=1, weight=None):
        n_columns, weight = codes.shape[1], np.ones(len(codes), dtype=np.int32) if weight is None else weight
        k, first_category = n_categories, starts(n_categories)
        self.rows, self.threads = {"codes": codes, "weight": weight}, threads
        self.n_categories, self.first_category, self.column = k, first_category, np.repeat(np.arange(n_columns), k)
        self.ends, self.weight = np.cumsum(weight, dtype=np.int64), weight.astype(np.float32)
        counts = np.concatenate([np.bincount(codes[:, j], weight, size) for j, size in enumerate(k.tolist())])
        self.common = np.array([start + counts[start:end].argmax() for start, end in pairwise(first_category)])
        self.marginal = _marginal(counts, k)
        rare = codes != self.common - first_category[:-1]
        self.starts = np.concatenate(([0], np.cumsum(rare.sum(axis=1)))).astype(np.int64)
        cells = codes[rare] + first_category[np.nonzero(rare)[1]]
        self.rare = np.append(cells, 0).astype(np.int32)  # not empty, whatever the table

    def start(self, n_states, rng):
        """A mixture whose states resemble random rows."""
        centres = np.zeros((len(self.marginal), n_states))
        rows = np.searchsorted(self.ends, rng.integers(self.ends[-1], size=n_states), side="right")
        for state, row in enumerate(rows.tolist()):
            centres[self.rare[self.starts[row] : self.starts[row + 1]], state] = 1
        centres[self.common] = 1 - np.add.reduceat(centres, self.first_category[:-1], axis=0)
        prob = (centres + self.marginal[:, None]) / 2
        return ProductMixture(self.n_categories, np.full(n_states, 1 / n_states), prob)

    def split(self, mixture, rng):
        """A mixture of twice as many states: each stays, and has a twin on half its way to a random row."""
        start = self.start(mixture.n_states, rng)
        prob = np.concatenate([mixture.prob, (mixture.prob + start.prob) / 2], axis=1)
        return ProductMixture(self.n_categories, np.tile(mixture.weight / 2, 2), prob)

    def improve(self, mixture, most_steps=MOST_STEPS):
        """EM from a mixture until a step gains less than `TOLERANCE`; a few steps are a part."""
        if not in_parts():
            return self.climb(mixture, most_steps)[0]
        score = -np.inf
        for done in range(0, most_steps, STEPS_OF_PART):
            start = {"state_weight": mixture.weight, "prob": mixture.prob, "before": np.array([score])}
            arrays = self.rows | {"n_categories": self.n_categories} | start
            options = {"most_steps": min(STEPS_OF_PART, most_steps - done)}
            (found,) = computed(improved_products, arrays, options, threads=self.threads)
            mixture = ProductMixture(self.n_categories, found["weight"], found["prob"])
            score = float(found["score"][0])
            if score == np.inf:
                break
        return mixture

    def climb(self, mixture, most_steps, before=-np.inf):
        """Steps of EM, here, and the score before the last; infinity if that gained too little to go on."""
        n_states = mixture.n_states
        extra = -n_states % LANES
        for _ in range(most_steps):
            log_prob = elementary.log(mixture.prob)
            # single precision, since a step is bound by memory; what is kept is normalised in double
            told = (log_prob - log_prob[self.common][self.column]).astype(np.float32)
            base = (elementary.log(mixture.weight) + log_prob[self.common].sum(axis=0)).astype(np.float32)
            counts, rows, score = products.expect(
                self.rare,
                self.starts,
                self.weight,
                np.pad(base, (0, extra), constant_values=-np.inf),
                np.ascontiguousarray(np.pad(told, ((0, 0), (0, extra)))),
                self.threads,
            )
            counts, rows = counts[:, :n_states], rows[:n_states]
            counts[self.common] = rows - np.add.reduceat(counts, self.first_category[:-1], axis=0)
            mixture = _expected(self.n_categories, np.maximum(counts, 0), rows, self.marginal)
            if score - before < TOLERANCE:
                return mixture, np.inf
            before = score
        return mixture, before


@pure
def improved_products(codes, weight, n_categories, state_weight, prob, before, *, most_steps, threads=1):
    """What `Learner.climb` makes of a mixture: dict of arrays."""
    learner = Learner(codes, n_categories, threads, weight)
    start = ProductMixture(n_categories, state_weight, prob)
    mixture, score = learner.climb(start, most_steps, float(before[0]))
    return {"weight": mixture.weight, "prob": mixture.prob, "score": np.array([score])}


@dataclass(frozen=True, eq=False)
class CountedStates:
    """What rows tell of the states of a mixture that stays: sums that more rows can be added to, in any order.

    Attributes
    ----------
    mixture : ProductMixture
        By which the states of the rows are told.
    counts : ndarray of shape (n, n_states), int64
        Posterior of the rows that have each category of each column, as `count_states` has it.
    cells : ndarray of shape (n,), int64
        Rows that have it.
    """

    mixture: ProductMixture
    counts: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, mixture):
        """No rows so far."""
        return cls(mixture, np.zeros(mixture.prob.shape, np.int64), np.zeros(len(mixture.prob), np.int64))

    def counted(self, codes, weight, threads=1):
        """With more rows: ``codes``, (n_rows, n_columns), uint8, and ``weight``, (n_rows,), int32."""
        of = self.mixture
        counts = products.count_states(
            codes, weight, of.first_category, elementary.log(of.prob), elementary.log(of.weight), threads
        )
        cells = (codes + of.first_category[:-1]).ravel()
        times = np.bincount(cells, np.repeat(weight, codes.shape[1]), len(self.cells))  # exact: whole numbers
        return replace(self, counts=self.counts + counts, cells=self.cells + times.astype(np.int64))

    def improved(self):
        """The mixture after one step of EM by the rows that were counted, the largest state first."""
        k, counts = self.mixture.n_categories, self.counts * 2.0**-products.SHARE_BITS
        rows = counts[: k[0]].sum(axis=0)
        return _expected(k, counts, rows, _marginal(self.cells, k)).by_weight()


def _marginal(cells, k):
    """Distributions of the columns by how many rows have each category."""
    first = starts(k)
    return (cells + 0.5) / (cells[: first[1]].sum() + 0.5 * np.repeat(k, k))


def _expected(k, counts, rows, marginal):
    """The mixture of these expected counts of categories and rows in each state: the M step of EM."""
    prob = counts + SMOOTHING * marginal[:, None]
    prob /= np.repeat(np.add.reduceat(prob, starts(k)[:-1], axis=0), k, axis=0)
    return ProductMixture(k, (rows + 1) / (rows + 1).sum(), prob)
