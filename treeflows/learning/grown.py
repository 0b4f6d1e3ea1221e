"""Trees as they grew, with how many rows of each category came to each node: what can be counted on."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._ext.averaging import add_counts
from .._ext.growing import GrowthRules, grow_trees
from .._ext.routing import Router
from ..densities.trees import starts
from ..machine.parts import computed, digest, fingerprint, fingerprints, in_parts, pure
from .blocks import RowsInBlocks
from .costs import cost_table
from .multisets import n_rows
from .passes import grow_in_passes

MOST_WORK = 3e7  # rows times planes of both columns, of all pairs that the trees in one part count: tenths of a second
FEWEST_IN_PASSES = 4  # trees in one part, where each pass over the rows is for all of them


@dataclass(frozen=True, eq=False)
class Shapes:
    """Trees of columns on those before them: what each node asks.

    Attributes
    ----------
    n_categories : ndarray of shape (n_columns,), int32
    order : ndarray of shape (n_trees,), int32
        The column that each tree tells.
    first_node : ndarray of shape (n_trees + 1,), int64
        Where the nodes of each tree start.
    column, left, candidates : ndarray of shape (n_nodes,), int32
    low, high : ndarray of shape (n_nodes,), uint8
        As `grow_trees` gives them.
    """

    n_categories: np.ndarray
    order: np.ndarray
    first_node: np.ndarray
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    left: np.ndarray
    candidates: np.ndarray

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "router"}  # which points into memory

    @property
    def told(self):
        """Categories of each tree's column: ndarray of shape (n_trees,), int32."""
        return self.n_categories[self.order]

    def compact(self, kept, inner):
        """Trees of numbered nodes to trees of inner nodes and leaves, each numbered by themselves.

        Parameters
        ----------
        kept, inner : ndarray of shape (n_nodes,), bool
            Which nodes to keep, and which of these are no leaves.

        Returns
        -------
        arrays : dict of str to ndarray
            As `Conditionals` has them.
        """
        n_trees, first = len(self.order), self.first_node
        tree = np.repeat(np.arange(n_trees), np.diff(first))
        leaf = kept & ~inner
        first_node = starts(np.bincount(tree[inner], minlength=n_trees))
        first_leaf = starts(np.bincount(tree[leaf], minlength=n_trees))
        number = np.where(
            inner,
            np.cumsum(inner) - 1 - first_node[tree],
            ~(np.cumsum(leaf) - 1 - first_leaf[tree]),
        ).astype(np.int32)
        child = (self.left + first[tree])[inner]
        return {
            "first_node": first_node,
            "first_leaf": first_leaf,
            "column": self.column[inner],
            "low": self.low[inner],
            "high": self.high[inner],
            "children": np.stack([number[child], number[child + 1]], axis=1),
        }

    @cached_property
    def router(self):
        """The way of rows to the leaves: Router."""
        inner = self.left > 0
        arrays = self.compact(np.ones(len(inner), dtype=bool), inner)
        first_value = starts(np.diff(arrays.pop("first_leaf")) * self.told)
        return Router(self.order, self.n_categories, first_value=first_value, **arrays)


@dataclass(frozen=True, eq=False)
class GrownTrees:
    """Trees with the rows that came to each of their nodes, and how all their prunings are to be averaged.

    Attributes
    ----------
    shapes : Shapes
    counts : ndarray of shape (sum of n_nodes * n_categories,), int32
        Rows of each category of the column told, node after node.
    prior_split : float
    smoothing : "evidence" or float
        As `average` takes them.
    """

    shapes: Shapes
    counts: np.ndarray
    prior_split: float
    smoothing: object

    @property
    def n_rows(self):
        """How many rows were counted: int."""
        return int(self.counts[: self.shapes.told[0]].sum(dtype=np.int64))

    @property
    def node_rows(self):
        """Rows of each node: ndarray of shape (n_nodes,), int32."""
        sizes = np.repeat(self.shapes.told, np.diff(self.shapes.first_node))
        return np.add.reduceat(self.counts, starts(sizes)[:-1], dtype=np.int32)

    def counted(self, codes, weight=None, threads=1):
        """The same trees with more rows counted, in every node that they pass.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns), uint8
        weight : ndarray of shape (n_rows,), int32, or None
            Rows that each row stands for; together with those before fewer than 2**31.
        threads : int

        Returns
        -------
        grown : GrownTrees
        """
        shapes, counts = self.shapes, self.counts.copy()  # the old ones stay, should the caller be interrupted
        at_leaves = shapes.router.count(codes, weight, threads)
        add_counts(shapes.first_node, shapes.left, shapes.told, at_leaves, counts)
        return replace(self, counts=counts)

    @classmethod
    def joined(cls, parts):
        """Trees that grew apart, each part's on its own columns and those of the parts before it."""
        shapes = [part.shapes for part in parts]
        ends = np.cumsum([0, *(of.first_node[-1] for of in shapes)])
        first_node = [of.first_node[:-1] + end for of, end in zip(shapes, ends, strict=False)]
        together = Shapes(
            shapes[-1].n_categories,
            first_node=np.append(np.concatenate(first_node), ends[-1]),
            **{
                name: np.concatenate([getattr(of, name) for of in shapes])
                for name in ("order", "column", "low", "high", "left", "candidates")
            },
        )
        return replace(parts[0], shapes=together, counts=np.concatenate([part.counts for part in parts]))

    def emptied(self):
        """The same trees before any row was counted."""
        return replace(self, counts=np.zeros_like(self.counts))


def grow(
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
    which=None,
    splitting=None,
    stop=None,
    n_threads=1,
    progress=None,
):
    """Grow a tree for each column on those before it.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8, or RowsInBlocks
        The latter have no weights.
    n_categories, order : ndarray of shape (n_columns,), int32
    cost : Costs
        `cost_table` of one column, with `COST_BITS`, of the sum of the weights.
    min_samples_leaf, max_depth, max_features, seed, objective
        As `GrowthRules` has them.
    prior_split : float
        The prior probability of splitting is ``prior_split / (1 + candidates)``, at most `MOST_SPLIT`.
    smoothing : "evidence" or float
        Concentration per category.
    n_ordered, weight, which, splitting, stop, progress
        As `grow_trees` takes them.
    n_threads : int

    Returns
    -------
    grown : GrownTrees
    """
    arrays = {"codes": codes, "n_categories": n_categories, "order": order}
    arrays |= {"n_ordered": n_ordered, "weight": weight, "splitting": splitting}
    rules = {
        "min_samples_leaf": int(min_samples_leaf),
        "max_depth": int(max_depth),
        "max_features": int(max_features),
        "seed": int(seed),
    }
    places = np.arange(len(order), dtype=np.int32) if which is None else which
    can_be_named = objective is None and (not isinstance(codes, RowsInBlocks) or codes.packed is not None)
    if in_parts() and can_be_named and (np.diff(places) == 1).all():
        parts = _in_parts(arrays, rules | {"cost_bits": int(cost.bits)}, places, n_threads, progress)
    else:
        further = {"objective": objective, "cost": cost, "stop": stop, "progress": progress, "threads": n_threads}
        parts = [trees_of_places(**arrays, **rules, **further, which=which)]
    of = {name: parts[0][name] if len(parts) == 1 else np.concatenate([p[name] for p in parts]) for name in parts[0]}
    counts, first_node = of.pop("counts"), starts(of.pop("n_nodes"))
    return GrownTrees(Shapes(n_categories, order[places], first_node, **of), counts, prior_split, smoothing)


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
    cost_bits=None,
    first=0,
    end=None,
    which=None,
    threads=1,
    packed=None,
    lookup=None,
    cost=None,
    objective=None,
    stop=None,
    progress=None,
):
    """Trees of some places of the order, which depend on no later column.

    Parameters
    ----------
    codes, n_categories, order, n_ordered, weight, splitting
        As `grow` takes them.
    min_samples_leaf, max_depth, max_features, seed, cost, objective, stop, progress
        As `grow` takes them.
    cost_bits : int
        Those of the cost, if that is not given.
    first, end : int
        From which place to which, if that is not told by ``which``.
    which : ndarray of int32 or None
        Places.
    threads : int
    packed : dict or None
    lookup : ndarray or None
        What `RowsInBlocks` told, in place of codes.

    Returns
    -------
    trees : dict of str to ndarray
        Of each place the number of nodes; the arrays of nodes, as `Shapes` has them, and their counts.
    """
    if packed is not None:
        codes = RowsInBlocks.of_told(**packed, lookup=lookup)
    if end is not None:
        which = np.arange(first, end, dtype=np.int32)
    if cost is None:
        cost = cost_table(n_rows(codes, weight), 1, cost_bits)
    how = n_categories, order, cost, GrowthRules(min_samples_leaf, max_depth, max_features, seed, objective)
    options = {"n_ordered": n_ordered, "which": which, "splitting": splitting, "stop": stop, "n_threads": threads}
    if isinstance(codes, RowsInBlocks):
        grown = grow_in_passes(codes, *how, progress=progress, **options)
    else:
        grown = grow_trees(codes, *how, weight=weight, progress=progress, **options)
    first_node, column, low, high, left, candidates, counts = grown
    told = {"column": column, "low": low, "high": high, "left": left, "candidates": candidates, "counts": counts}
    return {"n_nodes": np.diff(first_node), **told}


def _in_parts(arrays, options, places, threads, progress):
    """Trees of places one after the other, by runs of them, each of which is named by the columns up to its end alone.

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
    begin = at = int(places[0])
    runs, depends, n_pairs, n_planes = [], [], 0, 0
    for t, j in enumerate(order[: int(places[-1]) + 1].tolist()):
        own = int(k[j]) - 1
        if t >= max(at, begin) + fewest and len(codes) * (n_pairs + n_planes * own) > MOST_WORK:
            runs.append({"first": at, "end": t})
            depends.append([told, at])
            at, n_pairs = t, 0
        told = [digest("columns", told), of_column[j], j, int(k[j]), *(of[j] for of in further)]
        n_pairs, n_planes = n_pairs + n_planes * own * (t >= begin), n_planes + own
    runs.append({"first": at, "end": int(places[-1]) + 1})
    depends.append([told, at])
    done = None if progress is None else lambda n: progress(runs[n - 1]["end"] - begin if n else 0)
    return computed(
        trees_of_places,
        arrays,
        shared,
        runs,
        depends=depends,
        columns=[order[run["first"] : run["end"]].tolist() for run in runs],
        threads=threads,
        progress=done,
        rest=lambda run: trees_of_places(**(arrays | {"splitting": np.zeros_like(k, np.uint8)}), **shared, **run),
    )
