"""The slow, readable autoregressive tree flow: the specification that the compiled engine is held to.

Plain loops and recursion, no engine and no package code. Splits and counts must equal what stands here exactly;
probabilities to rounding.
"""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from readable import entropy_table


@dataclass
class Node:
    rows: np.ndarray
    counts: np.ndarray
    candidates: int = 0
    column: int = -1
    low: int = 0
    high: int = 0  # asks whether low <= x[column] <= high
    children: list = field(default_factory=list)  # of rows whose answer is yes, and no


def log_likelihood(phi, sides):
    """Of values with these counts at their own frequencies, in fixed point without the bits that rounding touches."""
    exact = sum(int(phi[counts].sum() - phi[counts.sum()]) for counts in sides)
    return (exact + 2**11) // 2**12


def questions(k, n_ordered):
    """What a column of k codes is asked, as (low, high): of those that make the same split, the first."""
    asked, splits = [], set()
    for low, high in [(v, v) for v in range(k)] + [(0, v) for v in range(n_ordered)]:
        inside = frozenset(range(low, high + 1))
        split = frozenset([inside, frozenset(range(k)) - inside])
        if split not in splits and len(inside) < k:
            asked.append((low, high))
        splits.add(split)
    return asked


def grow(codes, n_categories, target, before, min_samples_leaf, max_depth=math.inf, n_ordered=None, rows=None):
    """The tree of a target column on the columns before it."""
    phi, _ = entropy_table(len(codes), 1, 40)
    n_ordered = [0] * len(n_categories) if n_ordered is None else n_ordered
    rows = np.arange(len(codes)) if rows is None else rows
    k = n_categories[target]
    node = Node(rows, np.bincount(codes[rows, target], minlength=k))
    if max_depth == 0 or len(rows) < 2 * min_samples_leaf or node.counts.max() == len(rows):
        return node
    best = None
    for s in before:
        for low, high in questions(n_categories[s], n_ordered[s]):
            goes_left = (low <= codes[rows, s]) & (codes[rows, s] <= high)
            if min(goes_left.sum(), (~goes_left).sum()) < min_samples_leaf:
                continue
            if low < high and (codes[rows, s] != high).all():  # the same split as "<= high - 1"
                continue
            node.candidates += 1
            sides = [np.bincount(codes[side, target], minlength=k) for side in (rows[goes_left], rows[~goes_left])]
            score = log_likelihood(phi, sides)
            if best is None or score > best[0]:
                best = (score, s, low, high)
    if best is not None:
        _, node.column, node.low, node.high = best
        goes_left = (node.low <= codes[rows, node.column]) & (codes[rows, node.column] <= node.high)
        node.children = [
            grow(codes, n_categories, target, before, min_samples_leaf, max_depth - 1, n_ordered, side)
            for side in (rows[goes_left], rows[~goes_left])
        ]
    return node


def leaf_evidence(counts, a):
    """Dirichlet-multinomial likelihood of a sequence of values with these counts, log."""
    k, n = len(counts), counts.sum()
    return math.lgamma(k * a) - math.lgamma(n + k * a) + sum(math.lgamma(c + a) - math.lgamma(a) for c in counts)


def split_prior(node, prior_split):
    return min(0.9, prior_split / (1 + node.candidates))


def prunings(node, prior_split):
    """Every pruning of a tree: (prior probability, leaves)."""
    if not node.children:
        yield 1.0, [node]
        return
    p = split_prior(node, prior_split)
    yield 1 - p, [node]
    for (p_left, left), (p_right, right) in itertools.product(*(prunings(c, prior_split) for c in node.children)):
        yield p * p_left * p_right, left + right


def average(root, a, prior_split):
    """Log-evidence of the tree, and each leaf's predictive distribution, by summing over all prunings one by one."""
    leaves = leaves_of(root)
    evidence, mean = 0.0, np.zeros((len(leaves), len(root.counts)))
    for prior, kept in prunings(root, prior_split):
        weight = prior * math.exp(sum(leaf_evidence(node.counts, a) for node in kept))
        evidence += weight
        for i, leaf in enumerate(leaves):
            node = next(node for node in kept if np.isin(leaf.rows, node.rows).all())
            mean[i] += weight * (node.counts + a) / (node.counts.sum() + len(node.counts) * a)
    return math.log(evidence), mean / evidence


def posteriors(root, a, prior_split):
    """Of each node, parents before children and the side of yes first, the posterior of the prunings that split it."""
    nodes, evidence = nodes_of(root), 0.0
    split = np.zeros(len(nodes))
    for prior, kept in prunings(root, prior_split):
        weight = prior * math.exp(sum(leaf_evidence(node.counts, a) for node in kept))
        evidence += weight
        below = [set(map(id, nodes_of(node))) for node in kept]  # where the pruned tree has ended
        split += [weight * (not any(id(node) in ended for ended in below)) for node in nodes]
    return split / evidence


def nodes_of(node):
    return [node, *(below for child in node.children for below in nodes_of(child))]


def leaves_of(node):
    return [leaf for child in node.children for leaf in leaves_of(child)] if node.children else [node]


def leaf_at(node, row):
    while node.children:
        node = node.children[0] if node.low <= row[node.column] <= node.high else node.children[1]
    return node
