"""Learning one layer: grow a tree level by level on local likelihood, then rank-align it bottom-up.

Elkady, Lim, Inouye, "Discrete tree flows via tree-structured permutations", ICML 2022: construction in three passes,
here one over the data (`grow`) and one over its counts (`align`).
"""

import numpy as np

from .._ext.permuting import rank_tables
from .._ext.splitting import best_splits, best_splits_by_objective
from ..densities.permutation import TreePermutation
from .costs import cost_table


class GreedyCriterion:
    """The split that most lowers a cost of the training counts, summed over columns.

    Parameters
    ----------
    search : callable
        `best_splits` or `best_splits_by_objective`.
    cost : Costs or Objective
        What the search knows of the cost.
    gain_dtype : type
        Of the gains that the search finds.
    min_samples_leaf : int
    min_gain : float
        In the units in which the search counts gains.
    """

    def __init__(self, search, cost, gain_dtype, min_samples_leaf, min_gain):
        self.search = search
        self.cost = cost
        self.gain_dtype = gain_dtype
        self.min_samples_leaf = min_samples_leaf
        self.min_gain = min_gain

    def choose(self, counter, which, total, local, cells):
        """Columns and categories of the best splits of cells; a column of -1 keeps the cell a leaf."""
        planes, gains = np.full(len(which), -1), np.zeros(len(which), dtype=self.gain_dtype)
        for slab in counter.slabs:
            for batch in counter.batches(len(which)):
                p, g = self.search(
                    counter.cooccurrences(which[batch], slab),
                    *slab,
                    counter.first_plane,
                    counter.first_category,
                    total,
                    local[batch],
                    cells[batch],
                    self.cost,
                    self.min_samples_leaf,
                    counter.n_threads,
                )
                better = (p >= 0) & ((planes[batch] < 0) | (g > gains[batch]))
                planes[batch] = np.where(better, p, planes[batch])
                gains[batch] = np.where(better, g, gains[batch])
        columns, categories = np.full((2, len(which)), -1)
        taken = np.flatnonzero((planes >= 0) & (gains >= self.min_gain))
        columns[taken] = counter.plane_column[planes[taken]]
        categories[taken] = planes[taken] - counter.first_plane[columns[taken]]
        return columns, categories


def likelihood_criterion(n_rows, n_columns, min_samples_leaf, min_gain):
    """Greedy local permutation (GLP): the split that most raises the training likelihood under independent columns."""
    cost = cost_table(n_rows, n_columns)
    return GreedyCriterion(best_splits, cost, np.int64, min_samples_leaf, min_gain * n_rows * 2.0**cost.bits)


def objective_criterion(objective, n_rows, min_samples_leaf, min_gain):
    """The split that most lowers an `Objective`."""
    return GreedyCriterion(best_splits_by_objective, objective, np.float64, min_samples_leaf, min_gain * n_rows)


class RandomCriterion:
    """RND: a random column, then a random one of its categories, among those that split the cell."""

    def __init__(self, rng, min_samples_leaf):
        self.rng = rng
        self.min_samples_leaf = min_samples_leaf

    def choose(self, counter, which, total, local, cells):
        """Columns and categories of random splits of cells; a column of -1 keeps the cell a leaf."""
        column_of = np.repeat(np.arange(len(counter.n_categories)), counter.n_categories)
        columns, categories = np.full(len(which), -1), np.full(len(which), -1)
        for i, counts in enumerate(local):
            n_rows = counts[: counter.first_category[1]].sum()
            possible = np.minimum(counts, n_rows - counts) >= self.min_samples_leaf
            if possible.any():
                column = self.rng.choice(np.unique(column_of[possible]))
                category = self.rng.choice(np.flatnonzero(possible & (column_of == column)))
                columns[i], categories[i] = column, category - counter.first_category[column]
        return columns, categories


def grow(counter, criterion, *, max_depth, min_samples_split):
    """Split the counter's one cell into the leaves of a tree, level by level.

    Returns
    -------
    column, category : list of int
        Of each inner node, in level order.
    children : list of [int, int]
        Inner nodes, or ``~leaf``.
    cells : ndarray of shape (n_leaves, sum of n_categories), uint8
        Categories that each leaf's cell allows.
    """
    column, category, children = [], [], []
    total = counter.counts[0]
    cells = np.ones((1, len(total)), dtype=np.uint8)
    links: list = [None]  # of each leaf, left to right: its parent and side
    fresh = [True]  # leaves of the last level; older ones have been asked before
    for _ in range(max_depth):
        n_rows, counts = counter.cell_rows, counter.counts
        which = np.flatnonzero(fresh & (n_rows >= min_samples_split))
        columns, categories = np.full((2, len(n_rows)), -1)
        if len(which):
            columns[which], categories[which] = criterion.choose(counter, which, total, counts[which], cells[which])
        if (columns < 0).all():
            break
        counter.partition(columns, categories)
        new_cells, new_links, fresh = [], [], []
        for i, (s, v) in enumerate(zip(columns.tolist(), categories.tolist(), strict=True)):
            if s < 0:
                new_cells.append(cells[i])
                new_links.append(links[i])
                fresh.append(False)
                continue
            node = len(column)
            if links[i] is not None:
                parent, side = links[i]
                children[parent][side] = node
            column.append(s)
            category.append(v)
            children.append([None, None])
            first, end = counter.first_category[s], counter.first_category[s + 1]
            left, right = cells[i].copy(), cells[i].copy()
            left[first:end] = 0
            left[first + v] = 1
            right[first + v] = 0
            new_cells += [left, right]
            new_links += [(node, 0), (node, 1)]
            fresh += [True, True]
        cells, links = np.array(new_cells), new_links
    for leaf, link in enumerate(links):
        if link is not None:
            children[link[0]][link[1]] = ~leaf
    return column, category, children, cells


def leaf_ranges(children):
    """Of each inner node in level order, its first leaf and the one after its last."""
    ranges: list = [None] * len(children)
    for node in reversed(range(len(children))):
        spans = [(~c, ~c + 1) if c < 0 else ranges[c] for c in children[node]]
        ranges[node] = (spans[0][0], spans[1][1])
    return np.array(ranges, dtype=np.int64).reshape(-1, 2)


def align(column, category, children, cells, counts, first_category):
    """Bottom-up: leaves rank-align every column, inner nodes re-align their split column over what is below them.

    Returns
    -------
    tables : ndarray of shape (n_leaves, sum of n_categories), uint8
    output_sets : ndarray of shape (n_inner, max n_categories), uint8
    aligned : ndarray of shape (n_leaves, sum of n_categories), int32
        The leaves' counts after their tables.
    """
    n_categories = np.diff(first_category)
    tables = rank_tables(counts, cells, first_category)
    aligned = np.empty_like(counts)
    base = np.repeat(first_category[:-1], n_categories)
    np.put_along_axis(aligned, base + tables, counts, axis=1)
    output_sets = np.zeros((len(column), max(n_categories)), dtype=np.uint8)
    output_sets[np.arange(len(column)), category] = 1
    ranges = leaf_ranges(children)
    column = np.array(column, dtype=np.int32)
    for node in reversed(range(len(column))):
        first, end = ranges[node]
        s = column[node]
        k = n_categories[s]
        here = slice(first_category[s], first_category[s] + k)
        where = rank_tables(
            aligned[first:end, here].sum(axis=0, dtype=np.int32)[None],
            cells[first:end, here].max(axis=0)[None],
            np.array([0, k], dtype=np.int32),
        )[0]
        tables[first:end, here] = where[tables[first:end, here]]
        back = np.argsort(where)
        aligned[first:end, here] = aligned[first:end, here][:, back]
        below = (column == s) & (ranges[:, 0] >= first) & (ranges[:, 1] <= end)
        output_sets[below, :k] = output_sets[below, :k][:, back]
    return tables, output_sets, aligned


def learn_layer(counter, criterion, *, max_depth, min_samples_split):
    """Learn one `TreePermutation` from the rows of a counter, and leave the counter split by its tree."""
    tree = grow(counter, criterion, max_depth=max_depth, min_samples_split=min_samples_split)
    return _layer(counter.n_categories, tree, counter.counts, counter.cell_rows)


def learn_layer_by_group(counter, criterion, *, max_depth, min_samples_split):
    """Learn one `TreePermutation` of a `CounterByGroup`: one tree for all groups, aligned by the counts of each.

    Of a group without rows, by those of all.
    """
    tree = grow(counter, criterion, max_depth=max_depth, min_samples_split=min_samples_split)
    layers = []
    for group in counter.groups:
        counts, rows = group.counts, group.cell_rows
        layers.append(_layer(counter.n_categories, tree, counts if rows.any() else counter.counts, rows))
    return layer_of_groups(layers)


def _layer(n_categories, tree, counts, leaf_rows):
    """The layer of a tree as `grow` has it, by the counts of its leaves."""
    column, category, children, cells = tree
    first_category = np.concatenate(([0], np.cumsum(n_categories))).astype(np.int32)
    tables, output_sets, aligned = align(column, category, children, cells, counts, first_category)
    input_sets = np.zeros_like(output_sets)
    input_sets[np.arange(len(column)), category] = 1
    return TreePermutation(
        n_categories=n_categories,
        column=np.array(column, dtype=np.int32),
        children=np.array(children, dtype=np.int32).reshape(-1, 2),
        input_sets=input_sets,
        output_sets=output_sets,
        tables=tables,
        counts=aligned.sum(axis=0, dtype=np.int32),
        leaf_rows=leaf_rows,
    )


def layer_of_groups(layers):
    """Layers of groups, whose trees have the same shape, as one: its tree asks for the group first.

    Parameters
    ----------
    layers : list of TreePermutation

    Returns
    -------
    layer : TreePermutation
        Of one column more, the last one, which is the group and stays as it is.
    """
    n_groups, n_inner = len(layers), len(layers[0].column)
    n_categories = np.append(layers[0].n_categories, np.int32(n_groups))
    spans = [(0, n_groups)]  # of groups; each of several is halved
    for low, high in spans:
        if high - low > 1:
            spans += [(low, (low + high) // 2), ((low + high) // 2, high)]
    asked = [span for span in spans if span[1] - span[0] > 1]

    def node_of(span):
        return asked.index(span) if span in asked else n_groups - 1 + span[0] * n_inner if n_inner else ~span[0]

    halves = [[(low, (low + high) // 2), ((low + high) // 2, high)] for low, high in asked]
    children = [np.array([[node_of(half) for half in both] for both in halves], dtype=np.int32).reshape(-1, 2)]
    sets = np.zeros((2, len(asked) + n_groups * n_inner, n_categories.max()), dtype=np.uint8)
    for node, ((low, end), _) in enumerate(halves):
        sets[:, node, low:end] = 1
    for group, layer in enumerate(layers):
        first, first_leaf = n_groups - 1 + group * n_inner, group * (n_inner + 1)
        children.append(np.where(layer.children < 0, layer.children - first_leaf, layer.children + first))
        of_layer = np.stack([layer.input_sets, layer.output_sets])
        sets[:, first : first + n_inner, : of_layer.shape[2]] = of_layer
    tables = np.concatenate([layer.tables for layer in layers])
    rows = [layer.leaf_rows for layer in layers]
    return TreePermutation(
        n_categories=n_categories,
        column=np.concatenate(
            [np.full(len(asked), len(n_categories) - 1), *(layer.column for layer in layers)], dtype=np.int32
        ),
        children=np.concatenate(children, dtype=np.int32),
        input_sets=sets[0],
        output_sets=sets[1],
        tables=np.hstack([tables, np.tile(np.arange(n_groups, dtype=np.uint8), (len(tables), 1))]),
        counts=np.concatenate([sum(layer.counts for layer in layers), [own.sum() for own in rows]], dtype=np.int32),
        leaf_rows=np.concatenate(rows),
    )
