"""Simple models to compare with: independent columns, and a Chow-Liu tree or, of tables with numbers, trees alone.

A Chow-Liu tree (IEEE Transactions on Information Theory 14, 1968) tells each column given one other, those of the tree
of largest mutual information.
"""

from dataclasses import dataclass

import numpy as np

from ..densities.density import Density, OrderedDensity
from ..densities.independent import CONCENTRATIONS, leave_one_out
from ..densities.mixed import MixedDensity
from ..learning.multisets import repeated
from ..learning.numbers import learn_mixed
from ..learning.orders import mutual_information

TIE = 1e-9  # nats


INDEPENDENT, CHOW_LIU, TREES = "independent columns", "Chow-Liu tree", "trees alone"


def baselines(domain):
    """What to compare with on tables of a domain: dict of str to learner, independent columns first."""
    if domain.numeric.any():
        return {INDEPENDENT: NumberTrees(dependent=False), TREES: NumberTrees(dependent=True)}
    return {INDEPENDENT: ColumnTree(False), CHOW_LIU: ColumnTree(True)}


class NumberTrees:
    """Columns of numbers and categories, told by trees of digits and their marginals alone.

    Parameters
    ----------
    dependent : bool
        Whether a column is told given those before it; else by itself alone.
    """

    def __init__(self, dependent):
        self.dependent = dependent

    def learn_numbers(self, values, domain, rng, threads):
        """Learn a density from rows of numbers and codes."""
        seed, k, step, bounds = int(rng.integers(2**31)), domain.n_categories, domain.step, domain.bounds

        def learn(chosen):
            of = values[:, chosen], domain.numeric[chosen], k[chosen]
            on = {"step": step[chosen], "bounds": bounds[:, chosen], "may_lack": domain.may_lack[chosen]}
            return learn_mixed(*of, **on, mixtures=(), boosts=False, seed=seed, threads=threads)

        n_columns = len(k)
        if self.dependent:
            return learn(np.arange(n_columns))
        return Apart(k, tuple(learn([j]) for j in range(n_columns)))


@dataclass(frozen=True, eq=False)
class Apart(Density):
    """Densities of single columns, independent of each other.

    Attributes
    ----------
    columns : tuple of MixedDensity
    """

    columns: tuple[MixedDensity, ...]
    order = None

    def score(self, values, threads=1):
        """Log-density of each row, nats: (n_rows,)."""
        return self.marginal(values, np.ones(values.shape, dtype=bool), threads)[0]

    def marginal(self, values, observed, threads=1):
        """Log-density of the observed cells of each row, and its standard error, which is 0; nats."""
        scores = np.zeros(len(values))
        for j, part in enumerate(self.columns):
            scores[observed[:, j]] += part.score(values[observed[:, j]][:, [j]], threads)
        return scores, np.zeros(len(values))


class ColumnTree:
    """Columns that each depend on one other at most: on none, or by a Chow-Liu tree.

    Parameters
    ----------
    dependent : bool
        Whether to learn a tree; else the columns are independent.
    """

    def __init__(self, dependent):
        self.dependent = dependent

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None):
        """Count; each column's smoothing is the one of highest leave-one-out likelihood."""
        k = n_categories
        order, parent = np.arange(len(k)), np.full(len(k), -1)
        if self.dependent:
            from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

            codes, weight = repeated(codes, weight), None
            edges = minimum_spanning_tree(-1 - mutual_information(codes, k, threads))  # a zero would be no edge
            order, parent = breadth_first_order(edges, 0, directed=False)
        tables = {}
        for j in order.tolist():
            given = None if parent[j] < 0 else int(parent[j])
            context = 0 if given is None else codes[:, given].astype(np.int64)
            n_contexts = 1 if given is None else k[given]
            counts = np.bincount(context * k[j] + codes[:, j], weight, n_contexts * k[j])
            tables[j] = given, _smoothed(counts.astype(np.float64).reshape(n_contexts, k[j]))
        return ColumnTables(n_categories, tables)


@dataclass(frozen=True, eq=False)
class ColumnTables(OrderedDensity):
    """A table of each column's distribution given one other column, or none.

    Attributes
    ----------
    tables : dict of int to (int or None, ndarray of shape (n_contexts, n_categories))
        Of each column, in order, the column that it is told by and its distributions.
    """

    tables: dict

    @property
    def order(self):
        """The columns in order."""
        return np.array(list(self.tables))

    def probabilities(self, codes, threads=1, start=0):
        """Probability of every value given the one that tells it, in the order of the columns from place ``start``."""
        return np.column_stack([self._distribution(j, codes, codes[:, j]) for j in self.order[start:].tolist()])

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution in each row."""
        for j in self.tables:
            yield j, self._distribution(j, codes)

    def _distribution(self, j, codes, values=slice(None)):
        given, table = self.tables[j]
        return table[np.zeros(len(codes), dtype=np.intp) if given is None else codes[:, given], values]


def _smoothed(counts):
    """Distributions of contexts from counts, (n_contexts, n_categories), with one concentration for all of them."""
    k = counts.shape[1]
    known = counts[counts.sum(axis=1) > 0]
    scores = leave_one_out(known.ravel(), np.arange(0, known.size + 1, k), CONCENTRATIONS).sum(axis=1)
    # of few rows many concentrations tell the same, and the smallest of them would take one row for certainty
    best = CONCENTRATIONS[scores >= scores.max() - TIE]
    smoothed = counts + max(best[np.abs(best - 0.5).argmin()], 1 / (2 * k))
    return smoothed / smoothed.sum(axis=1, keepdims=True)
