"""Growing one tree for each column on the columns before it: every split the one that tells most about the target.

A node is a set of rows. Its table holds, for every question that could split it, how many rows of each category of the
target answer yes; the costs of all splits follow from it. Of two children the smaller is counted, and subtracted from
the parent's table for the larger. A node that holds less than half of its domain gets a domain of its own; any other
is a mask over it. Trees grow depth first, the smaller child before the larger, so that memory stays below twice that of
the root.

One concept a file: `asked` has the questions, `node_counts` the rows and the tables, `choosing` the best split, `rules`
what may split and what is drawn, `grown` the tree, `arena` the memory, `stopping` what ends it all early.
"""

from typing import NamedTuple

import numpy as np

from cpython.pythread cimport (
    PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock, PyThread_type_lock,
)
from cpython.ref cimport PyObject
from cython.parallel cimport parallel, prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from _ext.arena cimport Arena, Mark, arena_free, arena_mark, arena_release, arena_take
from _ext.choosing cimport Failure, choose
from _ext.costs cimport tf_costs
from _ext.grown cimport Grown, grown_append, grown_free
from _ext.kernels cimport objective_function
from _ext.node_counts cimport (
    Domain, Node, Training, all_rows, count_node, count_target, first_domain, is_sparse, left_counts, narrow,
    narrow_rows, part, take_away, take_table,
)
from _ext.rules cimport Rules, may_split, path_of_child, path_of_root
from _ext.stopping cimport Stop, Watch, look, stopped
from _ext.training cimport lay_out, pack_word

cdef extern from "pythread.h" nogil:
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int is_interrupted)

cdef enum:
    PARALLEL_WORK = 65536  # rows x columns below which waking threads costs more than it saves
    WAIT = 1000            # microseconds between looks at whether the other threads are done


class GrowthRules(NamedTuple):
    """What decides which nodes split, and how.

    Attributes
    ----------
    min_samples_leaf : int
        Rows that a split must leave on both sides.
    max_depth : int
    max_features : int
        Columns drawn for each split, of those that have one; 0 for all.
    seed : int
        Of the draws.
    objective : Objective or None
        A user's own cost in place of the likelihood.
    """

    min_samples_leaf: int = 1
    max_depth: int = 2**30
    max_features: int = 0
    seed: int = 0
    objective: object = None


# A thread at work.
ctypedef struct Work:
    const Training *training
    const Rules *rules
    Arena arena
    Grown *tree
    int32_t *buffer
    Watch watch
    Failure failure


# The trees to grow, which the threads take one after the other.
ctypedef struct Queue:
    PyThread_type_lock lock
    PyThread_type_lock never       # is held from the start: to wait for it is to sleep
    const int32_t *which           # places of the order
    const uint8_t *splitting       # of each column; NULL if all may
    int32_t depth                  # of the nodes to grow from
    bint is_root                   # or else:
    uint64_t path
    Grown *trees
    int64_t n
    int64_t n_taken
    int64_t n_grown
    PyObject *progress             # NULL for none


class Start(NamedTuple):
    """A node of a tree to grow from, as if its rows were the table.

    Attributes
    ----------
    numbers : ndarray of shape (n_columns,), int32
        Of each column the number that it has in the table from which it is drawn.
    depth : int
    path : int
        Of its place below the root, that columns are drawn by; None for a root.
    """

    numbers: object
    depth: int = 0
    path: object = None


def grow_trees(const uint8_t[:, ::1] codes, const int32_t[::1] n_categories, const int32_t[::1] order, cost, rules, *,
               const int32_t[::1] n_ordered=None, const int32_t[::1] weight=None, const int32_t[::1] which=None,
               const uint8_t[::1] splitting=None, const uint8_t[::1] stop=None, start=None, int n_threads=1,
               progress=None):
    """Grow the trees of columns on the columns before them.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories, order : ndarray of shape (n_columns,), int32
        ``order[t]`` is the t-th column: its tree splits on ``order[:t]``.
    cost : Costs
        c -> c log c in fixed point.
    rules : GrowthRules
    n_ordered : ndarray of shape (n_columns,), int32, or None
        Codes of each column, the first, that are in order: asked "<=" as well as "=".
    weight : ndarray of shape (n_rows,), int32, or None
        Rows that each row stands for: counted by the binary digits of the weights or, where these are more than the
        repetitions, one by one.
    which : ndarray of int32, or None
        Places of the order whose trees to grow; None for all.
    splitting : ndarray of shape (n_columns,), uint8, or None
        0 of columns whose trees stay a root; None for none.
    stop : ndarray of shape (1,), uint8, or None
        Growth ends soon after another thread has set it.
    start : Start or None
        Where in the trees the rows are; None at the root.
    n_threads : int
    progress : callable or None
        Told the number of trees grown, now and then.

    Returns
    -------
    first_node : ndarray of shape (n_trees + 1,), int64
        Where the nodes of each tree start, in the order of the trees.
    column : ndarray of shape (n_nodes,), int32
        -1 at a leaf.
    low, high : ndarray of shape (n_nodes,), uint8
        The node asks whether low <= x[column] <= high.
    left : ndarray of shape (n_nodes,), int32
        Its left child, numbered within the tree, of the rows whose answer is yes; the right child is the next. Children
        come after their parent.
    candidates : ndarray of shape (n_nodes,), int32
        Splits that the node chose among.
    counts : ndarray of shape (sum of n_nodes * n_categories,), int32
        Rows of each category of the target, node after node.

    Raises
    ------
    ValueError
        If the objective's cost of any counts is no finite number.
    KeyboardInterrupt
        If ``stop`` was set.
    """
    cdef int64_t n_rows = codes.shape[0], n_columns = codes.shape[1], t
    total = n_rows if weight is None else int(np.sum(weight, dtype=np.int64))
    if total >= 2**31:
        raise ValueError(f"{total:,} rows; at most {2**31 - 1:,} are supported")
    cdef const int32_t[::1] places_to_grow = np.arange(n_columns, dtype=np.int32) if which is None else which
    if len(places_to_grow) == 0:
        raise ValueError("no trees to grow")

    cdef Training training
    at = Start(numbers=np.arange(n_columns, dtype=np.int32)) if start is None else start
    n_digits, rows = 0 if weight is None else int(np.max(weight)).bit_length(), None
    if weight is not None and total <= n_digits * n_rows:
        if total > n_rows or np.min(weight) < 1:
            rows = np.repeat(np.arange(n_rows, dtype=np.int32), weight)
        n_rows, n_digits, weight = total, 0, None
    _kept = lay_out(&training, np.asarray(codes), n_categories, order, n_ordered, weight, n_digits, at.numbers, rows)
    cdef int64_t n_words = training.n_words
    for t in prange(n_words, nogil=True, schedule="static", num_threads=n_threads,
                    use_threads_if=n_rows * n_columns > PARALLEL_WORK):
        pack_word(&training, t)

    cdef Rules growth
    cdef const int64_t[::1] tabled = cost.table
    growth.costs = tf_costs(&tabled[0], tabled.shape[0], 2.0**<int> cost.bits)
    growth.min_samples_leaf, growth.max_depth = rules.min_samples_leaf, rules.max_depth
    growth.max_features, growth.seed, growth.objective = rules.max_features, rules.seed, NULL
    if rules.objective is not None:
        growth.objective = <objective_function> <uintptr_t> rules.objective.address
    errors = []
    cdef Stop ending
    ending.now, ending.asked, ending.errors = 0, NULL, <PyObject *> errors
    if stop is not None:
        ending.asked = &stop[0]
    cdef Queue queue
    queue.n, queue.n_taken, queue.n_grown, queue.which = len(places_to_grow), 0, 0, &places_to_grow[0]
    queue.splitting, queue.progress = NULL, NULL
    queue.depth, queue.is_root, queue.path = at.depth, at.path is None, at.path or 0
    if splitting is not None:
        queue.splitting = &splitting[0]
    if progress is not None:
        queue.progress = <PyObject *> progress
    queue.lock, queue.never = PyThread_allocate_lock(), PyThread_allocate_lock()
    queue.trees = <Grown *> calloc(queue.n, sizeof(Grown))
    cdef Work *works = <Work *> calloc(n_threads, sizeof(Work))
    try:
        if queue.lock == NULL or queue.never == NULL or queue.trees == NULL or works == NULL:
            raise MemoryError
        PyThread_acquire_lock(queue.never, 1)
        for t in range(n_threads):
            works[t].training, works[t].rules, works[t].watch.stop = &training, &growth, &ending
        with nogil, parallel(num_threads=n_threads, use_threads_if=n_rows * n_columns > PARALLEL_WORK):
            take_turns(&works[threadid()], &queue, threadid() == 0)
        if errors:
            raise errors[0]
        for t in range(n_threads):
            if works[t].failure.n_categories > 0:
                raise rules.objective.failure(
                    np.array(<int64_t[:works[t].failure.n_categories]> works[t].failure.counts))
        if stop is not None and stop[0]:
            raise KeyboardInterrupt
        if ending.now:
            raise MemoryError("growing a tree takes more memory than there is")
        return collect(queue.trees, queue.n)
    finally:
        for t in range(queue.n if queue.trees != NULL else 0):
            grown_free(&queue.trees[t])
        for t in range(n_threads if works != NULL else 0):
            arena_free(&works[t].arena)
        free(queue.trees)
        free(works)
        if queue.lock != NULL:
            PyThread_free_lock(queue.lock)
        if queue.never != NULL:
            PyThread_release_lock(queue.never)
            PyThread_free_lock(queue.never)


cdef collect(Grown *trees, int64_t n_trees):
    """Arrays of all trees, one after the other; each tree is freed once it is copied."""
    cdef int64_t t, n, i, at = 0, at_counts = 0, k
    first_node = np.zeros(n_trees + 1, dtype=np.int64)
    n_counts = 0
    for t in range(n_trees):
        first_node[t + 1] = first_node[t] + trees[t].n_nodes
        n_counts += trees[t].n_nodes * trees[t].n_categories
    columns, lows, highs, lefts, among = (
        np.empty(first_node[n_trees], dtype=dtype) for dtype in (np.int32, np.uint8, np.uint8, np.int32, np.int32))
    counts = np.empty(n_counts, dtype=np.int32)
    cdef int32_t[::1] column = columns, left = lefts, candidates = among, all_counts = counts
    cdef uint8_t[::1] low = lows, high = highs
    for t in range(n_trees):
        n, k = trees[t].n_nodes, trees[t].n_categories
        for i in range(n):
            column[at + i] = trees[t].asked[i].column
            low[at + i], high[at + i] = trees[t].asked[i].low, trees[t].asked[i].high
        memcpy(&left[at], trees[t].left, n * sizeof(int32_t))
        memcpy(&candidates[at], trees[t].candidates, n * sizeof(int32_t))
        memcpy(&all_counts[at_counts], trees[t].counts, n * k * sizeof(int32_t))
        at += n
        at_counts += n * k
        grown_free(&trees[t])
    return first_node, columns, lows, highs, lefts, among, counts


# ---- the trees of a thread ----

cdef void take_turns(Work *work, Queue *queue, bint is_caller) noexcept nogil:
    """Grow trees until none is left; the calling thread stays until the others are done, to see what stops them."""
    cdef int64_t i, n_grown
    cdef bint is_done
    work.watch.is_caller = is_caller
    while True:
        PyThread_acquire_lock(queue.lock, 1)
        i = queue.n_taken
        queue.n_taken += 1
        PyThread_release_lock(queue.lock)
        if i >= queue.n:
            break
        # the last columns have the most questions: they go first, so that all threads end together
        i = queue.n - 1 - i
        if not stopped(&work.watch, 0) and grow_tree(work, queue, i) < 0:
            work.watch.stop.now = 1
        PyThread_acquire_lock(queue.lock, 1)
        queue.n_grown += 1
        n_grown = queue.n_grown
        PyThread_release_lock(queue.lock)
        if is_caller and queue.progress != NULL and not work.watch.stop.now:
            tell(work.watch.stop, queue, n_grown)
    while is_caller:
        PyThread_acquire_lock(queue.lock, 1)
        is_done = queue.n_grown == queue.n
        PyThread_release_lock(queue.lock)
        if is_done:
            break
        PyThread_acquire_lock_timed(queue.never, WAIT, 0)
        look(&work.watch)


cdef void tell(Stop *stop, Queue *queue, int64_t n_grown) noexcept nogil:
    with gil:
        try:
            (<object> queue.progress)(n_grown)
        except BaseException as error:
            (<list> stop.errors).append(error)
            stop.now = 1


cdef int grow_tree(Work *work, Queue *queue, int64_t i) noexcept nogil:
    """Grow the i-th tree; -1 if that failed."""
    cdef Domain domain
    cdef Node root
    cdef int64_t n_rows = work.training.n_rows
    cdef int64_t t = queue.which[i]
    cdef int32_t target = work.training.order[t], v
    cdef Grown *tree = &queue.trees[i]
    cdef Mark mark = arena_mark(&work.arena)
    cdef int32_t *all_counts
    work.tree = tree
    tree.n_categories = work.training.n_categories[target]
    all_counts = <int32_t *> arena_take(&work.arena, tree.n_categories * sizeof(int32_t))
    root.counts = <int32_t *> arena_take(&work.arena, tree.n_categories * sizeof(int32_t))
    if all_counts == NULL or root.counts == NULL:
        return -1
    count_target(work.training, target, all_counts)
    if (first_domain(&domain, work.training, t, all_counts, root.counts, &work.arena) < 0
            or all_rows(&domain, &root, &work.arena) < 0):
        return -1
    root.n, root.depth, root.split, root.table = 0, queue.depth, -1, take_table(&domain, &work.arena)
    if root.table == NULL:
        return -1
    for v in range(domain.n_targets):
        root.n += root.counts[v]
    root.path = path_of_root(work.rules, work.training.numbers[target]) if queue.is_root else queue.path
    if domain.n_coded > 0:
        work.buffer = <int32_t *> arena_take(&work.arena, n_rows * sizeof(int32_t))
        if work.buffer == NULL:
            return -1
    root.id = grown_append(tree, domain.targets, domain.n_targets, root.counts)
    if root.id < 0:
        return -1
    if ((queue.splitting == NULL or queue.splitting[target])
            and may_split(work.rules, root.n, root.depth, root.counts, domain.n_targets)):
        if count_node(&domain, &root, &work.arena) < 0 or find_split(work, &domain, &root) < 0:
            return -1
        if root.split >= 0 and grow_subtree(work, &domain, root) < 0:
            return -1
    arena_release(&work.arena, mark)
    return 0


cdef int grow_subtree(Work *work, const Domain *given, Node node) noexcept nogil:
    """Grow what is below a node that has a split; -1 if that failed."""
    cdef Domain domains[2]     # the one in use, and the one that replaces it
    cdef Domain few            # of a smaller child of few rows
    cdef const Domain *domain = given
    cdef const Domain *of_small
    cdef const Rules *rules = work.rules
    cdef Node small, large
    cdef Mark mark = arena_mark(&work.arena), before
    cdef int64_t w, at = 0
    cdef int32_t n_left, v
    cdef bint left_is_small, small_may, large_may
    while True:
        if stopped(&work.watch, domain.n_targets * domain.width + node.n_rows):
            return -1
        if 2 * node.n_rows <= domain.n_rows and (domain.n_words > 1 or domain.n_coded > 0):
            if narrow(domain, &domains[at], &node, node.table + (domain.n_targets - 1) * domain.width, rules,
                      &work.arena) < 0:
                return -1
            domain = &domains[at]
            at = 1 - at
        before = arena_mark(&work.arena)
        n_left = node.table[(domain.n_targets - 1) * domain.width + node.split]
        left_is_small = n_left <= node.n - n_left
        small, large = node, node
        small.n = min(n_left, node.n - n_left)
        large.n = node.n - small.n
        small.depth = large.depth = node.depth + 1
        small.path, large.path = path_of_child(node.path, not left_is_small), path_of_child(node.path, left_is_small)
        small.split = large.split = -1
        small.counts = <int32_t *> arena_take(&work.arena, domain.n_targets * sizeof(int32_t))
        small.mask = <uint64_t *> arena_take(&work.arena, domain.n_words * sizeof(uint64_t))
        if small.counts == NULL or small.mask == NULL:
            return -1
        part(domain, &node, &small, &large, left_is_small, work.buffer)
        # the counts of the larger child take the place of the node's
        left_counts(domain, &node, small.counts)
        for v in range(domain.n_targets):
            if not left_is_small:
                small.counts[v] = node.counts[v] - small.counts[v]
            node.counts[v] -= small.counts[v]
        if append_children(work.tree, domain, &node, &small, &large, left_is_small) < 0:
            return -1
        small_may = may_split(rules, small.n, small.depth, small.counts, domain.n_targets)
        large_may = may_split(rules, large.n, large.depth, large.counts, domain.n_targets)
        of_small = domain
        if domain.n_words == 0 and is_sparse(domain, small.n_rows):
            if large_may and (take_away(domain, &small, large.table, &work.arena) < 0
                              or find_split(work, domain, &large) < 0):
                return -1
            if small_may:
                of_small = &few
                if (narrow_rows(domain, &few, &small, rules, &work.arena) < 0
                        or find_split(work, &few, &small) < 0):
                    return -1
        elif small_may or large_may:
            small.table = take_table(domain, &work.arena)
            if small.table == NULL or count_node(domain, &small, &work.arena) < 0:
                return -1
            for w in range(domain.n_targets * domain.width if large_may else 0):
                large.table[w] -= small.table[w]
            if small_may and find_split(work, domain, &small) < 0:
                return -1
            if large_may and find_split(work, domain, &large) < 0:
                return -1
        if small.split >= 0 and grow_subtree(work, of_small, small) < 0:
            return -1
        arena_release(&work.arena, before)
        if large.split < 0:
            break
        node = large
    arena_release(&work.arena, mark)
    return 0


cdef int find_split(Work *work, const Domain *domain, Node *node) noexcept nogil:
    """Choose the split of a node that has a table; -1 if that failed."""
    cdef int64_t n = choose(domain, work.rules, node, &work.arena, &work.watch, &work.failure)
    if n < 0:
        return -1
    work.tree.candidates[node.id] = <int32_t> n
    return 0


cdef int append_children(Grown *tree, const Domain *domain, const Node *node, Node *small, Node *large,
                         bint left_is_small) noexcept nogil:
    """Give a node its two children; -1 if memory ran out."""
    cdef Node *left = small if left_is_small else large
    cdef Node *right = large if left_is_small else small
    left.id = grown_append(tree, domain.targets, domain.n_targets, left.counts)
    right.id = grown_append(tree, domain.targets, domain.n_targets, right.counts)
    if left.id < 0 or right.id < 0:
        return -1
    tree.asked[node.id], tree.left[node.id] = domain.asked[node.split], <int32_t> left.id
    return 0
