"""Mixtures of products: a hidden state, and independent columns given the state."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import elementary, products
from ..machine.log_sums import softmax
from .stored import LEAST_PROBABILITY, MOST_PROBABILITY, Array, Stored

MULTIPLE = 8  # of which the engine wants the number of states


@dataclass(frozen=True, eq=False)
class ProductMixture(Stored):
    """p(x) = sum over states s of weight_s times the product over columns j of p_s(x_j).

    Attributes
    ----------
    weight : ndarray of shape (n_states,), float64
        Probability of each state.
    prob : ndarray of shape (n, n_states), float64
        Probability of each category of each column in each state.
    """

    weight: Annotated[np.ndarray, Array(np.float64, "states", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]
    prob: Annotated[np.ndarray, Array(np.float64, "values", "states", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]

    def check(self):
        """Raise ValueError unless these are distributions; for what comes from a file."""
        super().check()
        sums = [self.weight.sum(keepdims=True), np.add.reduceat(self.prob, self.first_category[:-1], axis=0)]
        if not all(np.allclose(s, 1, rtol=0, atol=1e-9) for s in sums):
            raise ValueError("probabilities of the hidden column do not sum to one")

    @property
    def n_states(self):
        """Number of states."""
        return len(self.weight)

    def by_weight(self):
        """The same mixture with its states in the order of their weights, the largest first."""
        order = np.argsort(-self.weight, kind="stable")
        return ProductMixture(self.n_categories, self.weight[order], np.ascontiguousarray(self.prob[:, order]))

    def conditionals(self, codes, order, threads=1):
        """Probability of every value given the values before it: (n_rows, n_columns), in the order of the columns."""
        prob, weight = self._padded
        return products.conditionals(codes, order, self.first_category, prob, weight, threads)

    def distributions(self, codes, order, whole, threads=1):
        """Probability of every category given the columns before its own: (n_rows, sum of n_categories).

        Where ``whole``, (n_columns,), is 0 of a column in order, of the row's value alone.
        """
        prob, weight = self._padded
        return products.distributions(codes, order, self.first_category, prob, weight, whole, threads)

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

    def _of(self, column):
        return self._padded[0][self.first_category[column] : self.first_category[column + 1]]

    @cached_property
    def _padded(self):
        """Probabilities and weights with states of weight zero, up to a multiple that the engine wants."""
        extra = -self.n_states % MULTIPLE
        if extra == 0:
            return np.ascontiguousarray(self.prob), self.weight
        prob = np.ascontiguousarray(np.pad(self.prob, ((0, 0), (0, extra))))
        return prob, np.pad(self.weight, (0, extra))
