"""Learning one tree for each column on those before it: grown greedily, then averaged over all its prunings."""

import numpy as np

from .._ext import elementary
from .._ext.averaging import DROPPED, INNER, LEAF, average_prunings
from ..densities.conditionals import Conditionals
from .grown import grow

NEGLIGIBLE = 1e-4  # posterior probability of entering what lies below a node, under which it is not kept
MOST_SPLIT = 0.9  # bound of the prior probability that a node splits
N_CONCENTRATIONS = 4
N_TABLED = 1024  # counts whose log Gamma is tabled
COST_BITS = 40  # of the cost table's fixed point: the low ones serve to tell ties from rounding
NO_LIMIT = 2**30  # depth of trees without a bound


def concentrations(n_categories):
    """The concentrations to choose from: from 1 / (2 K) to 1/2 per category, evenly spaced in their logarithm."""
    return elementary.exp(elementary.log(n_categories) * np.linspace(0, 1, N_CONCENTRATIONS)) / (2 * n_categories)


def learn_conditionals(codes, n_categories, order, cost, *, n_threads=1, **options):
    """Grow a tree for each column and average over its prunings.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8, or RowsInBlocks
        The latter have no weights.
    n_categories, order : ndarray of shape (n_columns,), int32
    cost : Costs
        `cost_table` of one column, with `COST_BITS`, of the sum of the weights.
    n_threads : int
    **options
        As `grow` takes them.

    Returns
    -------
    conditionals : Conditionals
    """
    return average(grow(codes, n_categories, order, cost, n_threads=n_threads, **options), n_threads)


def average(grown, n_threads=1):
    """Average over all prunings of the trees of all columns.

    Parameters
    ----------
    grown : GrownTrees
    n_threads : int

    Returns
    -------
    conditionals : Conditionals
    """
    shapes, smoothing, k = grown.shapes, grown.smoothing, grown.shapes.told
    sizes, grid = np.unique(k, return_inverse=True)
    choices = np.array([concentrations(size) if smoothing == "evidence" else [float(smoothing)] for size in sizes])
    evidence, chosen, kind, prob, split = average_prunings(
        shapes.first_node,
        shapes.left,
        shapes.candidates,
        grown.counts,
        k,
        choices,
        np.array(
            [[[_log_rising(a), _log_rising(size * a)] for a in row] for size, row in zip(sizes, choices, strict=True)]
        ),
        grid.astype(np.int32),
        grown.prior_split,
        MOST_SPLIT,
        NEGLIGIBLE,
        n_threads,
    )
    by_column = np.argsort(shapes.order)
    return Conditionals(
        n_categories=shapes.n_categories,
        order=shapes.order,
        prob=prob,
        evidence=evidence[by_column],
        concentration=choices[grid, chosen][by_column],
        leaf_rows=grown.node_rows[kind == LEAF],
        posterior=split[kind == INNER],
        **shapes.compact(kind != DROPPED, kind == INNER),
    )


def _log_rising(b):
    """Of the counts c that are tabled, log Gamma(c + b) - log Gamma(b), nats."""
    return np.concatenate(([0.0], np.cumsum(elementary.log(b + np.arange(N_TABLED - 1)))))
