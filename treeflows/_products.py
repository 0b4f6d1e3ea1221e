"""Mixtures of products: a hidden state, and independent columns given the state. Learned by EM."""

from functools import cached_property
from itertools import pairwise

import numpy as np

from ._ext import elementary, products
from ._log_sums import softmax

SMOOTHING = 1.0  # rows' worth of the column's own distribution that is added to each state's
TOLERANCE = 1e-3  # nats per row that a step of EM must gain
MOST_STEPS = 60
MULTIPLE = 8  # of which the engine wants the number of states
LANES = 16  # the same of EM


class ProductMixture:
    """p(x) = sum over states s of weight_s times the product over columns j of p_s(x_j).

    Parameters
    ----------
    first_category : ndarray of shape (n_columns + 1,), int32
        Where each column starts when all categories stand in a row.
    weight : ndarray of shape (n_states,), float64
        Probability of each state.
    prob : ndarray of shape (n, n_states), float64
        Probability of each category of each column in each state.
    """

    def __init__(self, first_category, weight, prob):
        self.first_category = first_category
        self.weight = weight
        self.prob = np.ascontiguousarray(prob)

    @property
    def n_states(self):
        """Number of states."""
        return len(self.weight)

    def by_weight(self):
        """The same mixture with its states in the order of their weights, the largest first."""
        order = np.argsort(-self.weight, kind="stable")
        return ProductMixture(self.first_category, self.weight[order], self.prob[:, order])

    def conditionals(self, codes, order, threads=1):
        """Probability of every value given the values before it: (n_rows, n_columns), in the order of the columns."""
        prob, weight = self._padded
        return products.conditionals(codes, order, self.first_category, prob, weight, threads)

    def begin(self, n_rows):
        """Posterior of the states before any column is known, a row for each: to be handed to the next two."""
        return np.tile(self._padded[1], (n_rows, 1))

    def predict(self, posterior, column, threads=1):
        """Distribution of a column: (n_rows, n_categories)."""
        return products.predict(posterior, self._of(column), threads)

    def observe(self, posterior, column, values, threads=1):
        """Update the posterior, in place, by each row's value of a column."""
        products.observe(posterior, self._of(column), values, threads)

    def posterior(self, codes, observed=None):
        """Posterior of the states given rows, or those cells of them that are observed: (n_rows, n_states)."""
        log_prob = elementary.log(self.prob)
        joint = np.tile(elementary.log(self.weight), (len(codes), 1))
        for j in range(codes.shape[1]):
            told = log_prob[self.first_category[j] + codes[:, j]]
            joint += told if observed is None else np.where(observed[:, [j]], told, 0.0)
        return softmax(joint, axis=1)

    def __getstate__(self):
        return {name: getattr(self, name) for name in ("first_category", "weight", "prob")}  # not what was cached

    def _of(self, column):
        return self._padded[0][self.first_category[column] : self.first_category[column + 1]]

    @cached_property
    def _padded(self):
        """Probabilities and weights with states of weight zero, up to a multiple that the engine wants."""
        extra = -self.n_states % MULTIPLE
        if extra == 0:
            return self.prob, self.weight
        prob = np.ascontiguousarray(np.pad(self.prob, ((0, 0), (0, extra))))
        return prob, np.pad(self.weight, (0, extra))


class Learner:
    """EM on the rows of one table.

    What a row has in common with most rows is told once for all: only the cells that differ from their column's most
    common category are visited, so a step takes time linear in those.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    first_category : ndarray of shape (n_columns + 1,), int32
    threads : int
    """

    def __init__(self, codes, first_category, threads=1):
        n_rows, n_columns = codes.shape
        n = int(first_category[-1])
        k = np.diff(first_category)
        self.threads = threads
        self.first_category, self.column = first_category, np.repeat(np.arange(n_columns), k)
        cells = codes + first_category[:-1]
        counts = np.bincount(cells.ravel(), minlength=n).astype(np.float64)
        self.common = np.array([start + counts[start:end].argmax() for start, end in pairwise(first_category)])
        rare = cells != self.common
        self.marginal = (counts + 0.5) / (n_rows + 0.5 * np.repeat(k, k))
        self.starts = np.concatenate(([0], np.cumsum(rare.sum(axis=1)))).astype(np.int64)
        self.rare = np.append(cells[rare], 0).astype(np.int32)  # not empty, whatever the table

    def start(self, n_states, rng):
        """A mixture whose states resemble random rows."""
        centres = np.zeros((len(self.marginal), n_states))
        for state, row in enumerate(rng.integers(len(self.starts) - 1, size=n_states).tolist()):
            centres[self.rare[self.starts[row] : self.starts[row + 1]], state] = 1
        centres[self.common] = 1 - np.add.reduceat(centres, self.first_category[:-1], axis=0)
        prob = (centres + self.marginal[:, None]) / 2
        return ProductMixture(self.first_category, np.full(n_states, 1 / n_states), prob)

    def split(self, mixture, rng):
        """A mixture of twice as many states: each stays, and has a twin on half its way to a random row."""
        start = self.start(mixture.n_states, rng)
        prob = np.concatenate([mixture.prob, (mixture.prob + start.prob) / 2], axis=1)
        return ProductMixture(self.first_category, np.tile(mixture.weight / 2, 2), prob)

    def improve(self, mixture, most_steps=MOST_STEPS):
        """EM from a mixture until a step gains less than `TOLERANCE`."""
        n_states, before = mixture.n_states, -np.inf
        extra = -n_states % LANES
        for _ in range(most_steps):
            log_prob = elementary.log(mixture.prob)
            # single precision, since a step is bound by memory; what is kept is normalised in double
            told = (log_prob - log_prob[self.common][self.column]).astype(np.float32)
            base = (elementary.log(mixture.weight) + log_prob[self.common].sum(axis=0)).astype(np.float32)
            counts, rows, score = products.expect(
                self.rare,
                self.starts,
                np.pad(base, (0, extra), constant_values=-np.inf),
                np.ascontiguousarray(np.pad(told, ((0, 0), (0, extra)))),
                self.threads,
            )
            counts, rows = counts[:, :n_states], rows[:n_states]
            counts[self.common] = rows - np.add.reduceat(counts, self.first_category[:-1], axis=0)
            prob = np.maximum(counts, 0) + SMOOTHING * self.marginal[:, None]
            prob /= np.add.reduceat(prob, self.first_category[:-1], axis=0)[self.column]
            mixture = ProductMixture(self.first_category, (rows + 1) / (rows + 1).sum(), prob)
            if score - before < TOLERANCE:
                break
            before = score
        return mixture
