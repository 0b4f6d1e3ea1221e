"""The slow, readable tree-structured permutation: the specification that the compiled engine is held to.

Plain loops over whole tables of codes, no engine and no package code. Every number the engine produces (splits, leaf
tables, output sets, codes, counts) must equal what stands here exactly.
"""

import copy
import math
from dataclasses import dataclass, field

import numpy as np


def entropy_table(n_rows, n_columns, most_bits=32):
    """C -> c log c for c = 0..n_rows, in fixed point: integers add up the same in every order."""
    c = np.arange(n_rows + 1, dtype=np.float64)
    values = c * np.array([math.log(max(v, 1.0)) for v in c])
    bits = min(most_bits, 61 - int(np.ceil(np.log2(n_columns * values[-1] + 1.0))))
    return np.rint(values * 2.0**bits).astype(np.int64), bits


def column_counts(codes, n_categories):
    return [np.bincount(codes[:, j], minlength=k) for j, k in enumerate(n_categories)]


def rank_align(counts, cell):
    """Counts of one column after its smallest count went to the lowest category of the cell, and so on."""
    aligned = np.zeros_like(counts)
    aligned[cell] = np.sort(counts[cell])
    return aligned


def rank_permutation(counts, cell):
    """The permutation that rank-aligns: ties by category code, identity outside the cell."""
    permutation = np.arange(len(counts))
    permutation[np.array(cell)[np.argsort(counts[cell], kind="stable")]] = cell
    return permutation


@dataclass
class Node:
    rows: np.ndarray
    cells: list  # per column, the sorted categories that this node's cell allows
    depth: int
    column: int = -1
    category: int = -1
    children: list = field(default_factory=list)
    output_set: list = field(default_factory=list)
    tables: list = None  # at a leaf: per column, where each category goes


def local_cost(phi, total, local, cells, left=None, split=None):
    """Sum over columns of phi(G - L + aligned L), or of the aligned halves when ``left`` counts are given."""
    cost = 0
    for j, (g, counts, cell) in enumerate(zip(total, local, cells, strict=True)):
        if left is None:
            new = g - counts + rank_align(counts, cell)
        else:
            cell_left, cell_right = cell, cell
            if j == split[0]:
                cell_left, cell_right = [split[1]], [v for v in cell if v != split[1]]
            new = g - counts + rank_align(left[j], cell_left) + rank_align(counts - left[j], cell_right)
        cost += phi[new].sum()
    return int(cost)


def best_split(codes, node, total, n_categories, phi, min_samples_leaf):
    local = column_counts(codes[node.rows], n_categories)
    stay = local_cost(phi, total, local, node.cells)
    best = None
    for s, k in enumerate(n_categories):
        for v in range(k if k > 2 else k - 1):
            goes_left = codes[node.rows, s] == v
            if min(goes_left.sum(), (~goes_left).sum()) < max(1, min_samples_leaf):
                continue
            left = column_counts(codes[node.rows][goes_left], n_categories)
            gain = local_cost(phi, total, local, node.cells, left, (s, v)) - stay
            if best is None or gain > best[0]:
                best = (gain, s, v)
    return best


def grow(codes, n_categories, max_depth, min_samples_split, min_samples_leaf, min_gain):
    phi, bits = entropy_table(len(codes), len(n_categories))
    total = column_counts(codes, n_categories)
    nodes = [Node(np.arange(len(codes)), [list(range(k)) for k in n_categories], 0)]
    for node in nodes:  # the list grows while we walk it: level by level
        if node.depth == max_depth or len(node.rows) < min_samples_split:
            continue
        split = best_split(codes, node, total, n_categories, phi, min_samples_leaf)
        if split is None or split[0] / 2.0**bits / len(codes) < min_gain:
            continue
        _, s, v = split
        node.column, node.category = s, v
        goes_left = codes[node.rows, s] == v
        for side, cell in ((goes_left, [v]), (~goes_left, [u for u in node.cells[s] if u != v])):
            cells = list(node.cells)
            cells[s] = cell
            child = Node(node.rows[side], cells, node.depth + 1)
            node.children.append(child)
            nodes.append(child)
    return nodes


def align(codes, nodes, n_categories):
    """Bottom-up: leaves rank-align every column, inner nodes re-align their split column."""
    z = codes.copy()

    def realign(node, columns):
        """Rank-align the rows of a node as they stand now, and everything already decided below it."""
        for j in columns:
            counts = np.bincount(z[node.rows, j], minlength=n_categories[j])
            permutation = rank_permutation(counts, node.cells[j])
            z[node.rows, j] = permutation[z[node.rows, j]]
            follow(node, j, permutation)

    def follow(node, j, permutation):
        if node.children:
            if node.column == j:
                node.output_set = sorted(permutation[node.output_set])
            for child in node.children:
                follow(child, j, permutation)
        else:
            node.tables[j] = permutation[node.tables[j]]

    for node in nodes:
        if node.children:
            node.output_set = [node.category]
        else:
            node.tables = [np.arange(k) for k in n_categories]
    for node in reversed(nodes):
        realign(node, [node.column] if node.children else range(len(n_categories)))
    return z


def learn_tsp(codes, n_categories, max_depth=4, min_samples_split=200, min_samples_leaf=1, min_gain=0.0):
    """One layer: the nodes in level order (root first), and the codes after the layer."""
    nodes = grow(codes, n_categories, max_depth, min_samples_split, min_samples_leaf, min_gain)
    return nodes, align(codes, nodes, n_categories)


def learn_tsp_by_group(codes, groups, n_categories, max_depth=4, min_samples_split=200):
    """One tree of all rows, and of each group its own alignment: the nodes of each group, and the codes after it."""
    nodes, z, of_groups = grow(codes, n_categories, max_depth, min_samples_split, 1, 0.0), codes.copy(), {}
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        own = of_groups[group] = copy.deepcopy(nodes)
        for node in own:
            node.rows = np.intersect1d(node.rows, rows)
        z[rows] = align(codes, own, n_categories)[rows]
    return of_groups, z


def forward(node, row):
    while node.children:
        node = node.children[0] if row[node.column] == node.category else node.children[1]
    return [node.tables[j][x] for j, x in enumerate(row)]


def inverse(node, row):
    while node.children:
        node = node.children[0] if row[node.column] in node.output_set else node.children[1]
    return [int(np.flatnonzero(node.tables[j] == z)[0]) for j, z in enumerate(row)]


def independent_nll(codes, n_categories, smoothing):
    """Nats per row of the codes under their own smoothed column frequencies."""
    n = len(codes)
    return (
        -sum((c * np.log((c + smoothing) / (n + smoothing * len(c)))).sum() for c in column_counts(codes, n_categories))
        / n
    )
