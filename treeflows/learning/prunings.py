"""Learning one tree for each column on those before it: grown greedily, then averaged over all its prunings."""

import numpy as np

from .._ext import elementary
from .._ext.averaging import INNER, LEAF, average_prunings
from .._ext.growing import GrowthRules, grow_trees
from ..densities.conditionals import Conditionals
from ..densities.trees import starts
from .blocks import RowsInBlocks
from .multisets import n_rows, repeated
from .passes import grow_in_passes

NEGLIGIBLE = 1e-4  # posterior probability of entering what lies below a node, under which it is not kept
MOST_SPLIT = 0.9  # bound of the prior probability that a node splits
N_CONCENTRATIONS = 4
N_TABLED = 1024  # counts whose log Gamma is tabled
COST_BITS = 40  # of the cost table's fixed point: the low ones serve to tell ties from rounding
NO_LIMIT = 2**30  # depth of trees without a bound


def concentrations(n_categories):
    """The concentrations to choose from: from 1 / (2 K) to 1/2 per category, evenly spaced in their logarithm."""
    return elementary.exp(elementary.log(n_categories) * np.linspace(0, 1, N_CONCENTRATIONS)) / (2 * n_categories)


def learn_conditionals(
    codes,
    n_categories,
    order,
    cost,
    *,
    min_samples_leaf,
    max_depth,
    max_features,
    seed,
    prior_split,
    smoothing,
    objective=None,
    n_ordered=None,
    weight=None,
    splitting=None,
    stop=None,
    n_threads=1,
    progress=None,
):
    """Grow a tree for each column and average over its prunings.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8, or RowsInBlocks
        The latter have no weights.
    n_categories, order : ndarray of shape (n_columns,), int32
    cost : Costs
        `cost_table` of one column, with `COST_BITS`, of the sum of the weights.
    min_samples_leaf, max_depth, max_features, seed, objective
        As `GrowthRules` has them.
    n_ordered, weight, splitting, stop, progress
        As `grow_trees` takes them.
    prior_split : float
        The prior probability of splitting is ``prior_split / (1 + candidates)``, at most `MOST_SPLIT`.
    smoothing : "evidence" or float
        Concentration per category.
    n_threads : int

    Returns
    -------
    conditionals : Conditionals
    """
    if weight is not None and n_rows(codes, weight) <= int(weight.max()).bit_length() * len(codes):
        # each digit of the weights is counted by itself: then repetitions are fewer
        codes, weight = repeated(codes, weight), None
    in_passes = isinstance(codes, RowsInBlocks)
    first, column, low, high, left, candidates, counts = (grow_in_passes if in_passes else grow_trees)(
        codes,
        n_categories,
        order,
        cost,
        GrowthRules(min_samples_leaf, max_depth, max_features, seed, objective),
        n_ordered=n_ordered,
        splitting=splitting,
        stop=stop,
        n_threads=n_threads,
        progress=progress,
        **({} if in_passes else {"weight": weight}),
    )
    k = n_categories[order]
    sizes, grid = np.unique(k, return_inverse=True)
    choices = np.array([concentrations(size) if smoothing == "evidence" else [float(smoothing)] for size in sizes])
    evidence, chosen, kind, prob = average_prunings(
        first,
        left,
        candidates,
        counts,
        k,
        choices,
        np.array(
            [[[_log_rising(a), _log_rising(size * a)] for a in row] for size, row in zip(sizes, choices, strict=True)]
        ),
        grid.astype(np.int32),
        prior_split,
        MOST_SPLIT,
        NEGLIGIBLE,
        n_threads,
    )
    by_column = np.argsort(order)
    return Conditionals(
        n_categories=n_categories,
        order=order,
        prob=prob,
        evidence=evidence[by_column],
        concentration=choices[grid, chosen][by_column],
        **_compact(order, n_categories, first, column, low, high, left, counts, kind),
    )


def _compact(order, n_categories, first, column, low, high, left, counts, kind):
    """Trees of numbered nodes to trees of the inner nodes and leaves that are kept, each numbered by themselves."""
    n_columns = len(order)
    tree = np.repeat(np.arange(n_columns), np.diff(first))
    inner, leaf = kind == INNER, kind == LEAF
    first_node = starts(np.bincount(tree[inner], minlength=n_columns))
    first_leaf = starts(np.bincount(tree[leaf], minlength=n_columns))
    number = np.where(
        inner,
        np.cumsum(inner) - 1 - first_node[tree],
        ~(np.cumsum(leaf) - 1 - first_leaf[tree]),
    ).astype(np.int32)
    child = (left + first[tree])[inner]
    sizes = np.repeat(n_categories[order], np.diff(first))
    rows = np.add.reduceat(counts, starts(sizes)[:-1], dtype=np.int32)
    return {
        "first_node": first_node,
        "first_leaf": first_leaf,
        "column": column[inner],
        "low": low[inner],
        "high": high[inner],
        "children": np.stack([number[child], number[child + 1]], axis=1),
        "leaf_rows": rows[leaf],
    }


def _log_rising(b):
    """Of the counts c that are tabled, log Gamma(c + b) - log Gamma(b), nats."""
    return np.concatenate(([0.0], np.cumsum(elementary.log(b + np.arange(N_TABLED - 1)))))
