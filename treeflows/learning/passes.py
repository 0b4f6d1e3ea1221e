"""Trees from rows that do not fit into memory: the top of each in passes over blocks, what is below it in memory.

The top of a tree grows node by node: in a pass over the rows, all blocks are counted at the nodes that are open, which
then split as they would in memory (`_ext/levels.pyx`). A node whose rows fit into memory is closed; in a further pass
its rows are taken out, and it grows there like a tree of its own that starts so far below the root. Nothing of this
shows in the trees: counts are sums over blocks, columns are drawn by a node's path, and nodes are numbered as if all
had been in memory.
"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import numpy as np

from .._ext.growing import Start, grow_trees
from .._ext.levels import Block, Top, add_counts
from ..machine.errors import TableError
from .blocks import bytes_of_row

CHANGED = "the rows have changed while a model was learned from them"


def grow_in_passes(
    rows,
    n_categories,
    order,
    cost,
    rules,
    *,
    n_ordered=None,
    which=None,
    splitting=None,
    stop=None,
    n_threads=1,
    progress=None,
):
    """Grow the trees of columns on the columns before them, like `grow_trees`.

    Of two trees of which one comes later in the order, the columns before the later one are read.

    Parameters
    ----------
    rows : RowsInBlocks
    n_categories, order, cost, rules, n_ordered, which, splitting, stop, n_threads, progress
        As `grow_trees` takes them.

    Returns
    -------
    grown : tuple of ndarray
        As `grow_trees` gives them.
    """
    which = list(range(len(order))) if which is None else np.asarray(which).tolist()
    stop = np.zeros(1, dtype=np.uint8) if stop is None else stop
    below: dict = defaultdict(dict)
    with ThreadPoolExecutor(n_threads) as pool, _ending(stop):
        passes = _Passes(rows, n_categories, order, cost, rules, n_ordered, which, stop, pool, n_threads)
        nodes = sorted(passes.grow_tops(splitting))
        for batch in _batches(nodes, passes.bytes_taken, rows.memory // 2):
            for (t, node), grown in passes.grow_below(batch):
                below[t][node] = grown
            if progress is not None:
                progress(len(which) - len({t for t, node in nodes if node not in below[t]}))
    trees = [_joined(passes.tops[t], below[t]) for t in which]
    first = np.concatenate(([0], np.cumsum([len(tree[0]) for tree in trees]))).astype(np.int64)
    return first, *(np.concatenate([part.ravel() for part in parts]) for parts in zip(*trees, strict=True))


@contextmanager
def _ending(stop):
    """Have other threads end if this one is interrupted, or fails."""
    try:
        yield
    except BaseException:
        stop[0] = 1
        raise


class _Passes:
    """What passes over the rows know."""

    def __init__(self, rows, n_categories, order, cost, rules, n_ordered, which, stop, pool, n_threads):
        self.rows, self.n_categories, self.order, self.cost, self.rules = rows, n_categories, order, cost, rules
        self.n_ordered, self.stop, self.pool = n_ordered, stop, pool
        self.most = rows.memory // (2 * n_threads)  # bytes of a node that grows in memory; half is for rows taken out
        self.needed = order[: max(which) + 1]
        counts = np.zeros((len(n_categories), 256), dtype=np.int64)
        for codes in self._blocks():
            add_counts(codes, counts)
        self.tops = {}
        for t in which:
            of_target = counts[order[t], : n_categories[order[t]]]
            self.tops[t] = Top(t, n_categories, order, n_ordered, cost, rules, of_target)

    def grow_tops(self, splitting):
        """Grow from the roots down to nodes whose rows fit into memory: list of these, (place of the order, node)."""
        fitting, waiting = [], []

        def sort(t, nodes):
            for node in nodes:
                taken = self.tops[t].n[node] * bytes_of_row(self.n_categories[self.order[: t + 1]])
                (fitting if taken <= self.most else waiting).append((t, node))

        for t, top in self.tops.items():
            if (splitting is None or splitting[self.order[t]]) and top.may_split(0):
                sort(t, [0])
        while waiting:
            batch = next(_batches(waiting, self._table_bytes, self.rows.memory))
            waiting = waiting[len(batch) :]
            tops = _by_tree(batch)
            for t, nodes in tops.items():
                self.tops[t].open(nodes)
            for codes in self._blocks():
                block = Block(codes, self.n_categories, self.order, self.n_ordered)
                list(self.pool.map(partial(Top.count, block=block), [self.tops[t] for t in tops]))
            for t in tops:
                if not self.tops[t].fits():
                    raise TableError(CHANGED)
                sort(t, self.tops[t].split())
        return fitting

    def grow_below(self, batch):
        """Take out the rows of nodes in one pass, and grow what is below them: iterator of (node, arrays)."""
        taken = [_Taken(self.tops[t], nodes) for t, nodes in _by_tree(batch).items()]
        for codes in self._blocks():
            list(self.pool.map(partial(_Taken.add, codes=codes), taken))
        rows = [part for of_tree in taken for part in of_tree.parts()]
        return zip(batch, self.pool.map(self._grow, batch, rows), strict=True)

    def bytes_taken(self, of):
        """Of a node's rows that are taken out."""
        top = self.tops[of[0]]
        return 8 * top.n[of[1]] * top.n_words

    def _grow(self, of, taken):
        """Grow what is below a node in memory."""
        t, node = of
        columns, top = self.order[: t + 1], self.tops[t]
        _, column, low, high, left, candidates, counts = grow_trees(
            top.codes_of(taken),
            self.n_categories[columns],
            np.arange(t + 1, dtype=np.int32),
            self.cost,
            self.rules,
            n_ordered=None if self.n_ordered is None else self.n_ordered[columns],
            which=np.array([t], dtype=np.int32),
            stop=self.stop,
            start=Start(columns, top.depth[node], top.path[node]),
        )
        column = np.where(column < 0, -1, columns[column]).astype(np.int32)
        return column, low, high, left, candidates, counts.reshape(len(column), -1)

    def _blocks(self):
        for codes in self.rows.blocks(self.needed):
            if self.stop[0]:
                raise KeyboardInterrupt
            yield codes

    def _table_bytes(self, of):
        return self.tops[of[0]].table_bytes


class _Taken:
    """Rows that are taken out of blocks, for nodes of one tree."""

    def __init__(self, top, nodes):
        self.top = top
        self.first = np.cumsum([0, *(top.n[node] for node in nodes)])
        self.ends = self.first[:-1].copy()
        self.slots = np.full(len(top.n), -1, dtype=np.int32)
        self.slots[nodes] = np.arange(len(nodes))
        self.rows = np.empty((self.first[-1], top.n_words), dtype=np.uint64)

    def add(self, codes):
        """Take out the rows of a block."""
        self.top.take(codes, self.slots, self.first, self.ends, self.rows)

    def parts(self):
        """The rows of each node, once all blocks have been read."""
        if (self.ends != self.first[1:]).any():
            raise TableError(CHANGED)
        return [self.rows[start:stop] for start, stop in pairwise(self.first.tolist())]


def _by_tree(nodes):
    """Numbers of nodes by their trees: dict of list."""
    by_tree = defaultdict(list)
    for t, node in nodes:
        by_tree[t].append(node)
    return by_tree


def _batches(nodes, bytes_of, memory):
    """Nodes in the order in which they are given, of which each batch takes no more than so many bytes, or is one."""
    batch, taken = [], 0
    for node in nodes:
        if batch and taken + bytes_of(node) > memory:
            yield batch
            batch, taken = [], 0
        batch.append(node)
        taken += bytes_of(node)
    if batch:
        yield batch


def _joined(top, below):
    """The arrays of a tree, of its top and of what has grown below some of its leaves.

    Nodes are numbered as in memory: a node's children come next, then what is below the smaller, then the other.
    """
    arrays = top.arrays()
    left, n = arrays[3], len(arrays[3]) + sum(len(grown[0]) - 1 for grown in below.values())
    joined = [np.empty((n, *part.shape[1:]), dtype=part.dtype) for part in arrays]
    at, end, todo = {0: 0}, 1, [0]
    while todo:
        node = todo.pop()
        here, parts, of, stop = at[node], arrays, node, end
        if node in below:
            parts, of, stop = below[node], 0, end + len(below[node][0]) - 1
        for out, part in zip(joined, parts, strict=True):
            out[here] = part[of]
            out[end:stop] = part[1 : 1 + stop - end]
        lefts = joined[3]
        if node in below:
            for one in (slice(here, here + 1), slice(end, stop)):
                lefts[one] = np.where(lefts[one] > 0, lefts[one] + end - 1, 0)
            end = stop
        elif left[node] > 0:
            children = [left[node], left[node] + 1]
            at[children[0]], at[children[1]], lefts[here] = end, end + 1, end
            end += 2
            small_is_left = 2 * top.n[children[0]] <= top.n[node]
            todo += children[::-1] if small_is_left else children
    return joined
