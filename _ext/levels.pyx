"""The top of a tree, grown from blocks of rows that are not all in memory at once.

A block's rows go down the tree as it is so far, and are counted at the nodes that are open. When all blocks have been
counted, a node's table is what it would be of all its rows at once, so that the same split is chosen: growth in passes
over blocks gives the trees of `growing`, of which it is the slower way.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t
from libc.string cimport memset

from _ext.arena cimport Arena, Mark, arena_free, arena_mark, arena_release, arena_take
from _ext.asked cimport goes_left
from _ext.choosing cimport Failure, choose
from _ext.costs cimport tf_costs
from _ext.grown cimport Grown, grown_append, grown_free
from _ext.kernels cimport objective_function
from _ext.node_counts cimport (
    Domain, Node, Training, all_rows, count_node, first_domain, left_counts, n_bits, part, take_table,
)
from _ext.row_words cimport RowWords, from_words, lay_out_words, to_words
from _ext.rules cimport Rules, may_split, path_of_child, path_of_root
from _ext.stopping cimport Stop, Watch
from _ext.training cimport lay_out, pack_word


def add_counts(const uint8_t[:, ::1] codes, int64_t[:, ::1] counts):
    """Add the rows of each code of each column to counts of shape (n_columns, 256)."""
    cdef int64_t r, j
    with nogil:
        for r in range(codes.shape[0]):
            for j in range(codes.shape[1]):
                counts[j, codes[r, j]] += 1


cdef class Block:
    """Rows to count, laid out for all trees.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
        In C order, at least one row.
    n_categories, order, n_ordered
        As `grow_trees` takes them.
    """

    cdef Training training
    cdef list kept

    def __init__(self, codes, n_categories, order, n_ordered):
        cdef int64_t w
        numbers = np.arange(len(n_categories), dtype=np.int32)
        self.kept = lay_out(&self.training, codes, n_categories, order, n_ordered, None, 0, numbers, None)
        with nogil:
            for w in range(self.training.n_words):
                pack_word(&self.training, w)


cdef class Top:
    """A tree that grows from the root, node by node.

    Parameters
    ----------
    t : int
        Place in the order of the column whose tree it is.
    n_categories, order, n_ordered, cost, rules
        As `grow_trees` takes them.
    counts : ndarray of shape (n_categories of the column,), int64
        Rows of each of its categories.

    Attributes
    ----------
    n, depth, path : list of int
        Of each node: its rows, its depth, and what columns are drawn by.
    table_bytes : int
        Memory that a node takes that is counted.
    n_words : int
        Of 64 bits, that a row takes that is taken out.
    """

    cdef Domain domain
    cdef Training training
    cdef Rules rules
    cdef RowWords words
    cdef Arena arena, scratch
    cdef Grown tree
    cdef list kept
    cdef object objective
    cdef int32_t[::1] slots, below, cells
    cdef int32_t[:, ::1] tables
    cdef list nodes
    cdef readonly list n, depth, path
    cdef readonly int64_t table_bytes, n_words

    def __init__(self, t, n_categories, order, n_ordered, cost, rules, counts):
        cdef const int64_t[::1] tabled = cost.table
        cdef int32_t target = order[t]
        numbers = np.arange(len(n_categories), dtype=np.int32)
        none = np.empty((0, len(n_categories)), dtype=np.uint8)
        self.kept = [cost, lay_out(&self.training, none, n_categories, order, n_ordered, None, 0, numbers, None),
                     lay_out_words(&self.words, n_categories[order[:t + 1]], order[:t + 1])]
        self.n_words = self.words.n_words
        self.rules.costs = tf_costs(&tabled[0], tabled.shape[0], 2.0**<int> cost.bits)
        self.rules.min_samples_leaf, self.rules.max_depth = rules.min_samples_leaf, rules.max_depth
        self.rules.max_features, self.rules.seed, self.objective = rules.max_features, rules.seed, rules.objective
        self.rules.objective = NULL
        if rules.objective is not None:
            self.rules.objective = <objective_function> <uintptr_t> rules.objective.address
        self.tree.n_categories = len(counts)
        cdef const int32_t[::1] all_counts = np.ascontiguousarray(counts, dtype=np.int32)
        cdef int32_t[::1] of_targets = np.empty(len(counts), dtype=np.int32)
        if first_domain(&self.domain, &self.training, t, &all_counts[0], &of_targets[0], &self.arena) < 0:
            raise MemoryError
        if grown_append(&self.tree, self.domain.targets, self.domain.n_targets, &of_targets[0]) < 0:
            raise MemoryError
        self.n, self.depth, self.path = [int(np.sum(counts))], [0], [path_of_root(&self.rules, target)]
        self.cells = np.full(1, -1, dtype=np.int32)
        self.table_bytes = self.domain.n_targets * self.domain.width * sizeof(int32_t)

    def __dealloc__(self):
        arena_free(&self.arena)
        arena_free(&self.scratch)
        grown_free(&self.tree)

    def may_split(self, int64_t i):
        """Whether a node is large enough and not pure: bool."""
        cdef int32_t[256] counts
        self._counts(i, counts)
        return bool(may_split(&self.rules, self.n[i], self.depth[i], counts, self.domain.n_targets))

    cdef void _counts(self, int64_t i, int32_t *counts) noexcept:
        cdef int32_t v
        for v in range(self.domain.n_targets):
            counts[v] = self.tree.counts[i * self.tree.n_categories + self.domain.targets[v]]

    def open(self, nodes):
        """Make room for the tables of some nodes, to be counted."""
        cdef int64_t i
        self.nodes = list(nodes)
        self.tables = np.zeros((len(self.nodes), self.domain.n_targets * self.domain.width), dtype=np.int32)
        self.slots = np.full(self.tree.n_nodes, -1, dtype=np.int32)
        self.below = np.zeros(self.tree.n_nodes, dtype=np.int32)
        for slot, node in enumerate(self.nodes):
            self.slots[node] = slot
        for i in range(self.tree.n_nodes - 1, -1, -1):
            self.below[i] = self.slots[i] >= 0
            if self.tree.left[i] > 0:
                self.below[i] = self.below[self.tree.left[i]] or self.below[self.tree.left[i] + 1]

    def count(self, Block block):
        """Count the rows of a block at the open nodes."""
        cdef Domain domain = self.domain
        cdef Node root
        cdef Mark mark = arena_mark(&self.scratch)
        cdef int32_t *buffer
        cdef int done = -1
        domain.training, domain.n_rows = &block.training, block.training.n_rows
        domain.words, domain.stride = block.training.words, block.training.stride
        domain.n_words = block.training.n_words if domain.n_planes > 0 else 0
        with nogil:
            buffer = <int32_t *> arena_take(&self.scratch, domain.n_rows * sizeof(int32_t))
            root.id = 0
            if buffer != NULL and all_rows(&domain, &root, &self.scratch) == 0:
                done = self._count_below(&domain, &root, buffer)
            arena_release(&self.scratch, mark)
        if done < 0:
            raise MemoryError

    cdef int _count_below(self, const Domain *domain, Node *node, int32_t *buffer) noexcept nogil:
        """Count the rows of a node at it, or at what is open below it; -1 if memory ran out."""
        cdef Mark mark = arena_mark(&self.scratch)
        cdef int32_t slot = self.slots[node.id]
        cdef int32_t *table
        cdef Node left, right
        cdef int64_t w
        if node.n_rows == 0 or not self.below[node.id]:
            return 0
        if slot >= 0:
            node.table = take_table(domain, &self.scratch)
            if node.table == NULL or count_node(domain, node, &self.scratch) < 0:
                return -1
            table = &self.tables[slot, 0]
            for w in range(self.tables.shape[1]):
                table[w] += node.table[w]
            arena_release(&self.scratch, mark)
            return 0
        left.mask = <uint64_t *> arena_take(&self.scratch, domain.n_words * sizeof(uint64_t))
        if left.mask == NULL:
            return -1
        node.split = self.cells[node.id]
        right.mask, right.rows, left.rows, left.n = node.mask, NULL, NULL, 0
        part(domain, node, &left, &right, True, buffer)
        if domain.n_coded == 0:
            for w in range(domain.n_words):
                left.n += n_bits(left.mask[w])
            left.n_rows, right.n_rows = left.n, node.n_rows - left.n
        left.id = self.tree.left[node.id]
        right.id = left.id + 1
        if self._count_below(domain, &left, buffer) < 0 or self._count_below(domain, &right, buffer) < 0:
            return -1
        arena_release(&self.scratch, mark)
        return 0

    def fits(self):
        """Whether what was counted at the open nodes can be of their rows, which it is unless these have changed: bool.

        The kernels look up costs of counts, and of what is left of a node's, without asking.
        """
        cdef int64_t slot, i, j, rest, width = self.domain.width
        cdef int32_t v, last = self.domain.n_targets - 1
        cdef int32_t[256] counts
        cdef const int32_t *table
        for slot, i in enumerate(self.nodes):
            self._counts(i, counts)
            table = &self.tables[slot, 0]
            for j in range(width):
                if self.domain.asked[j].column < 0:
                    continue
                rest = table[last * width + j]
                for v in range(last):
                    rest -= table[v * width + j]
                    if not 0 <= table[v * width + j] <= counts[v]:
                        return False
                if not 0 <= rest <= counts[last]:
                    return False
        return True

    def split(self):
        """Split the open nodes, whose rows have all been counted, and fit.

        Returns
        -------
        children : list of int
            Those that may split.

        Raises
        ------
        ValueError
            If the objective's cost of any counts is no finite number.
        """
        cdef Node node
        cdef Failure failure
        cdef Stop ending
        cdef Watch watch
        cdef int32_t[256] counts
        cdef int64_t n, slot, i, left, n_left
        cdef uint64_t path
        memset(&watch, 0, sizeof(Watch))
        memset(&ending, 0, sizeof(Stop))
        failure.n_categories = 0
        watch.stop = &ending
        children = []
        for slot, i in enumerate(self.nodes):
            node.counts, node.table, node.n = counts, &self.tables[slot, 0], self.n[i]
            node.path = path = self.path[i]
            self._counts(i, counts)
            n = choose(&self.domain, &self.rules, &node, &self.scratch, &watch, &failure)
            if n < 0 and failure.n_categories:
                raise self.objective.failure(np.array(<int64_t[:failure.n_categories]> failure.counts))
            if n < 0:
                raise MemoryError
            self.tree.candidates[i] = <int32_t> n
            if node.split < 0:
                continue
            n_left = node.table[(self.domain.n_targets - 1) * self.domain.width + node.split]
            left = self._append(&node, i, n_left)
            self.tree.asked[i], self.tree.left[i] = self.domain.asked[node.split], <int32_t> left
            self.cells[i] = <int32_t> node.split
            self.cells = np.append(self.cells, np.array([-1, -1], dtype=np.int32))
            self.n += [n_left, self.n[i] - n_left]
            self.depth += [self.depth[i] + 1] * 2
            self.path += [path_of_child(path, False), path_of_child(path, True)]
            children += [child for child in (left, left + 1) if self.may_split(child)]
        self.tables = None
        return children

    cdef int64_t _append(self, Node *node, int64_t i, int64_t n_left) except -1:
        """Add the children of a node; returns the left one."""
        cdef int32_t[256] sides
        cdef int32_t v
        cdef int64_t left
        left_counts(&self.domain, node, sides)
        left = grown_append(&self.tree, self.domain.targets, self.domain.n_targets, sides)
        for v in range(self.domain.n_targets):
            sides[v] = node.counts[v] - sides[v]
        if left < 0 or grown_append(&self.tree, self.domain.targets, self.domain.n_targets, sides) < 0:
            raise MemoryError
        return left

    def take(self, const uint8_t[:, ::1] codes, const int32_t[::1] slots, const int64_t[::1] first, int64_t[::1] ends,
             uint64_t[:, ::1] out):
        """Take out the rows of a block that end in some nodes, with nothing below them so far.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns), uint8
        slots : ndarray of shape (n_nodes,), int32
            Of each node; -1 for those whose rows are left.
        first : ndarray of shape (n_slots + 1,), int64
            Where in ``out`` the rows of each slot start.
        ends : ndarray of shape (n_slots,), int64
            Where the next row of each is to go; is counted up, though no row goes where the next slot starts.
        out : ndarray of shape (n, n_words), uint64
            Gets the target and the columns before it, as `codes_of` reads them.
        """
        cdef int64_t r
        cdef int32_t i, slot
        with nogil:
            for r in range(codes.shape[0]):
                i = 0
                while self.tree.left[i] > 0:
                    i = self.tree.left[i] + (not goes_left(self.tree.asked[i], codes[r, self.tree.asked[i].column]))
                slot = slots[i]
                if slot >= 0:
                    if ends[slot] < first[slot + 1]:
                        to_words(&self.words, &codes[r, 0], &out[ends[slot], 0])
                    ends[slot] += 1

    def codes_of(self, const uint64_t[:, ::1] taken):
        """Codes of rows that were taken out, of the columns in order: ndarray of shape (n, t + 1), uint8."""
        codes = np.empty((taken.shape[0], self.words.n_columns), dtype=np.uint8)
        cdef uint8_t[:, ::1] rows = codes
        cdef int64_t r
        with nogil:
            for r in range(taken.shape[0]):
                from_words(&self.words, &taken[r, 0], &rows[r, 0])
        return codes

    def arrays(self):
        """The tree as it is, as `grow_trees` gives one: column, low, high, left, candidates, counts."""
        cdef int64_t n = self.tree.n_nodes, i
        asked = np.array([[self.tree.asked[i].column, self.tree.asked[i].low, self.tree.asked[i].high]
                          for i in range(n)])
        left = np.array([self.tree.left[i] for i in range(n)], dtype=np.int32)
        candidates = np.array([self.tree.candidates[i] for i in range(n)], dtype=np.int32)
        counts = np.array(<int32_t[:n, :self.tree.n_categories]> self.tree.counts)
        return asked[:, 0].astype(np.int32), *asked[:, 1:].T.astype(np.uint8), left, candidates, counts
