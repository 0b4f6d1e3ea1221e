"""Learning one tree for each column on those before it: grown greedily, then averaged over all its prunings."""

import numpy as np

from .._ext import elementary
from .._ext.averaging import INNER, LEAF, average_prunings
from .._ext.growing import GrowthRules, grow_trees
from ..densities.conditionals import Conditionals
from ..densities.trees import starts
from ..machine.parts import computed, digest, fingerprint, fingerprints, in_parts, pure
from .blocks import RowsInBlocks
from .costs import cost_table
from .multisets import n_rows, repeated
from .passes import grow_in_passes

NEGLIGIBLE = 1e-4  # posterior probability of entering what lies below a node, under which it is not kept
MOST_SPLIT = 0.9  # bound of the prior probability that a node splits
N_CONCENTRATIONS = 4
N_TABLED = 1024  # counts whose log Gamma is tabled
COST_BITS = 40  # of the cost table's fixed point: the low ones serve to tell ties from rounding
FEWEST_IN_PASSES = 4  # trees in one part, where each pass over the rows is for all of them
NO_LIMIT = 2**30  # depth of trees without a bound
MOST_WORK = 3e7  # rows times planes of both columns, of all pairs that the trees in one part count: tenths of a second


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
    arrays = {"codes": codes, "n_categories": n_categories, "order": order}
    arrays |= {"n_ordered": n_ordered, "weight": weight, "splitting": splitting}
    options = {
        "min_samples_leaf": int(min_samples_leaf),
        "max_depth": int(max_depth),
        "max_features": int(max_features),
        "seed": int(seed),
        "prior_split": float(prior_split),
        "smoothing": smoothing if isinstance(smoothing, str) else float(smoothing),
    }
    can_be_named = objective is None and (not isinstance(codes, RowsInBlocks) or codes.packed is not None)
    if in_parts() and can_be_named:
        grown = _in_parts(arrays, options, n_threads, progress)
    else:
        places = {"objective": objective, "cost": cost, "stop": stop, "progress": progress, "threads": n_threads}
        grown = [trees_of_places(**arrays, **options, **places)]
    names = grown[0].keys()
    of = {name: grown[0][name] if len(grown) == 1 else np.concatenate([g[name] for g in grown]) for name in names}
    by_column = np.argsort(order)
    return Conditionals(
        n_categories=n_categories,
        order=order,
        first_node=starts(of.pop("n_nodes")),
        first_leaf=starts(of.pop("n_leaves")),
        evidence=of.pop("evidence")[by_column],
        concentration=of.pop("concentration")[by_column],
        **of,
    )


@pure
def trees_of_places(
    codes,
    n_categories,
    order,
    n_ordered,
    weight,
    splitting,
    *,
    min_samples_leaf,
    max_depth,
    max_features,
    seed,
    prior_split,
    smoothing,
    first=0,
    end=None,
    threads=1,
    packed=None,
    lookup=None,
    cost=None,
    objective=None,
    stop=None,
    progress=None,
):
    """Trees of some places of the order, averaged over their prunings; they depend on no later column.

    Parameters
    ----------
    codes, n_categories, order, n_ordered, weight, splitting
        As `learn_conditionals` takes them, and so the others.
    min_samples_leaf, max_depth, max_features, seed, prior_split, smoothing, cost, objective, stop, progress
        As `learn_conditionals` takes them.
    first : int
        Of the places.
    end : int or None
        After the last of them; None for all.
    threads : int
    packed : dict or None
    lookup : ndarray or None
        What `RowsInBlocks` told, in place of codes.

    Returns
    -------
    trees : dict of str to ndarray
        The arrays of `Conditionals` that tell of nodes and leaves; by place the numbers of both, evidence and
        concentration.
    """
    if packed is not None:
        codes = RowsInBlocks.of_told(**packed, lookup=lookup)
    which = np.arange(first, len(order) if end is None else end, dtype=np.int32)
    if cost is None:
        cost = cost_table(n_rows(codes, weight), 1, COST_BITS)
    how = n_categories, order, cost, GrowthRules(min_samples_leaf, max_depth, max_features, seed, objective)
    options = {"n_ordered": n_ordered, "which": which, "splitting": splitting, "stop": stop}
    options |= {"n_threads": threads, "progress": progress}
    if isinstance(codes, RowsInBlocks):
        grown = grow_in_passes(codes, *how, **options)
    else:
        grown = grow_trees(codes, *how, weight=weight, **options)
    first_node, column, low, high, left, candidates, counts = grown
    k = n_categories[order[which]]
    sizes, grid = np.unique(k, return_inverse=True)
    choices = np.array([concentrations(size) if smoothing == "evidence" else [float(smoothing)] for size in sizes])
    evidence, chosen, kind, prob = average_prunings(
        first_node,
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
        threads,
    )
    return {
        "evidence": evidence,
        "concentration": choices[grid, chosen],
        "prob": prob,
        **_compact(k, first_node, column, low, high, left, counts, kind),
    }


def _in_parts(arrays, options, threads, progress):
    """Trees of all places by runs of them, each of which is named by the columns up to its end alone.

    A column that is appended leaves all runs as they are, but for the last.
    """
    codes, k, order, weight, fewest = arrays["codes"], arrays["n_categories"], arrays["order"], arrays["weight"], 1
    if isinstance(codes, RowsInBlocks):
        packed, lookup, of_column = codes.told()
        arrays, shared = arrays | {"codes": None, "lookup": lookup}, options | {"packed": packed}
        fewest = FEWEST_IN_PASSES
    else:
        of_column, shared = fingerprints(codes), options
    further = [[0] * len(k) if of is None else of.tolist() for of in (arrays["n_ordered"], arrays["splitting"])]
    told = [options, len(codes), None if weight is None else fingerprint(weight)]
    ends, n_pairs, n_planes, at = [], 0, 0, 0
    for t, own in enumerate((k[order].astype(np.int64) - 1).tolist()):
        if t >= at + fewest and len(codes) * (n_pairs + n_planes * own) > MOST_WORK:
            ends.append(t)
            at, n_pairs = t, 0
        n_pairs, n_planes = n_pairs + n_planes * own, n_planes + own
    ends.append(len(order))
    first, runs, depends = 0, [], []
    for t, j in enumerate(order.tolist()):
        told = [digest("columns", told), of_column[j], j, int(k[j]), *(of[j] for of in further)]
        if t + 1 == ends[len(runs)]:
            runs.append({"first": first, "end": t + 1})
            depends.append([told, first])
            first = t + 1
    columns = [order[run["first"] : run["end"]].tolist() for run in runs]
    done = None if progress is None else lambda n: progress(runs[n - 1]["end"] if n else 0)
    return computed(
        trees_of_places,
        arrays,
        shared,
        runs,
        depends=depends,
        columns=columns,
        threads=threads,
        progress=done,
        rest=lambda run: trees_of_places(**(arrays | {"splitting": np.zeros_like(k, np.uint8)}), **shared, **run),
    )


def _compact(k, first, column, low, high, left, counts, kind):
    """Trees of numbered nodes to trees of the inner nodes and leaves that are kept, each numbered by themselves."""
    n_trees = len(k)
    tree = np.repeat(np.arange(n_trees), np.diff(first))
    inner, leaf = kind == INNER, kind == LEAF
    n_nodes, n_leaves = (np.bincount(tree[of], minlength=n_trees) for of in (inner, leaf))
    number = np.where(
        inner,
        np.cumsum(inner) - 1 - starts(n_nodes)[tree],
        ~(np.cumsum(leaf) - 1 - starts(n_leaves)[tree]),
    ).astype(np.int32)
    child = (left + first[tree])[inner]
    sizes = np.repeat(k, np.diff(first))
    rows = np.add.reduceat(counts, starts(sizes)[:-1], dtype=np.int32)
    return {
        "n_nodes": n_nodes,
        "n_leaves": n_leaves,
        "column": column[inner],
        "low": low[inner],
        "high": high[inner],
        "children": np.stack([number[child], number[child + 1]], axis=1),
        "leaf_rows": rows[leaf],
    }


def _log_rising(b):
    """Of the counts c that are tabled, log Gamma(c + b) - log Gamma(b), nats."""
    return np.concatenate(([0.0], np.cumsum(elementary.log(b + np.arange(N_TABLED - 1)))))
