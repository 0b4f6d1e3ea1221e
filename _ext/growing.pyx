"""Growing one tree for each column on the columns before it: every split the one that tells most about the target.

A node is a set of rows. Its table holds, for every candidate split "x_s = v" against the rest, how many rows of each
category of the target go left; the costs of all candidates follow from it. Of two children the smaller is counted, and
subtracted from the parent's table for the larger. Columns of few categories lie in bit planes and are counted by
popcount; columns of many categories, and everything with a target of many, are counted row by row.

The rows of a subtree are its domain: the planes of the candidates that can still split it, compressed to its rows. A
node that holds less than half of its domain gets a domain of its own; any other is a mask over it. Trees grow depth
first, the smaller child before the larger, so that memory stays below twice that of the root.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.math cimport isfinite, llrint
from libc.stdint cimport INT64_MIN, uintptr_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from treeflows._ext.counting import aligned

include "kernels.pxi"

cdef enum:
    CHUNK_BYTES = 1048576
    PARALLEL_WORK = 65536  # rows x columns below which waking threads costs more than it saves

ctypedef struct Chunk:
    Chunk *before
    char *bytes
    int64_t size
    int64_t used


# Memory of one thread: what was taken last is given back first.
ctypedef struct Arena:
    Chunk *top
    Chunk *spare


ctypedef struct Mark:
    Chunk *top
    int64_t used


# A growing tree, one entry a node; children come after their parent.
ctypedef struct Tree:
    int64_t n_nodes
    int64_t capacity
    int32_t n_categories
    int32_t *column      # -1 at a leaf
    int32_t *category
    int32_t *left        # its left child; the right one comes next
    int32_t *candidates  # splits that the node chose among
    int32_t *counts      # [n_nodes, n_categories]


# What all trees share: the training rows, and the rules of growth.
ctypedef struct Rules:
    const tf_kernels *kernels
    const uint64_t *words          # planes of the narrow columns, word by word
    int64_t stride
    int64_t n_words
    const uint8_t *codes           # [n_columns, n_rows], where any column is wide
    int64_t n_rows
    const int32_t *n_categories
    const int32_t *order
    const int32_t *place           # of each column in the order
    const int32_t *first_plane     # per column; -1 for a wide one
    const int32_t *n_planes        # per place of the order: planes of the columns before it
    const int32_t *plane_column
    const int32_t *plane_category
    const int64_t *cost
    int32_t min_samples_leaf
    int32_t max_depth
    int32_t max_features
    uint64_t seed
    objective_function objective   # NULL for the likelihood


# The rows of a subtree in the form that its counts come from. Candidates: the planes, then the categories of each
# counted column.
ctypedef struct Domain:
    const uint64_t *words
    int64_t stride
    int64_t n_words
    int64_t n_rows
    int32_t n_planes               # the first candidates
    const int32_t *column          # of each candidate, -1 in the padding
    const int32_t *category
    int32_t n_targets              # categories of the target that occur
    const int32_t *targets         # which
    const int32_t *target_planes   # where in `words`, of all but the last
    int32_t n_coded
    const int32_t *coded           # columns counted row by row
    const int32_t *first_coded     # where their candidates start
    int64_t width                  # of tables


ctypedef struct Node:
    int64_t id
    int32_t n_rows
    int32_t depth
    int32_t *counts                # of the domain's targets
    int32_t *table                 # [n_targets, width]; the last row: all rows that go left
    uint64_t *mask                 # of the domain's rows
    int32_t *rows                  # numbers of the rows, where any column is counted row by row
    int64_t split                  # the best candidate, -1 for none


# A thread at work on one column.
ctypedef struct Work:
    const Rules *rules
    Arena arena
    Tree *tree
    int32_t target
    int32_t *row_buffer
    int32_t failed                 # categories of the counts whose cost was no number, 0 for none
    int64_t failure[256]           # those counts


def grow_trees(const uint8_t[:, ::1] codes, const int32_t[::1] n_categories, const int32_t[::1] order,
               const int64_t[::1] cost, int32_t min_samples_leaf, int32_t max_depth, int32_t max_features,
               uint64_t seed, int n_threads=1, objective=None, progress=None):
    """Grow the tree of every column on the columns before it.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories, order : ndarray of shape (n_columns,), int32
        ``order[t]`` is the t-th column: its tree splits on ``order[:t]``.
    cost : ndarray of shape (n_rows + 1,), int64
        c -> c log c in fixed point.
    min_samples_leaf : int
        Rows that a split must leave on both sides.
    max_depth : int
    max_features : int
        Columns drawn for each split; 0 for all.
    seed : int
        Of the draws.
    n_threads : int
    objective : Objective or None
        A user's own cost in place of the likelihood.
    progress : callable or None
        Told the number of trees grown, now and then.

    Returns
    -------
    first_node : ndarray of shape (n_columns + 1,), int64
        Where the nodes of each tree start, in the order of the trees.
    column, category : ndarray of shape (n_nodes,), int32
        Split of each node, a column of -1 at a leaf.
    left : ndarray of shape (n_nodes,), int32
        Its left child, numbered within the tree; the right child is the next. Children come after their parent.
    candidates : ndarray of shape (n_nodes,), int32
        Splits that the node chose among.
    counts : ndarray of shape (sum of n_nodes * n_categories,), int32
        Rows of each category of the target, node after node.

    Raises
    ------
    ValueError
        If the objective's cost of any counts is no finite number.
    """
    cdef int64_t n_rows = codes.shape[0], n_columns = codes.shape[1], t, at
    cdef bint[1] stop  # seen by all threads
    cdef Rules rules
    if n_rows >= 2**31:
        raise ValueError(f"{n_rows:,} rows; at most {2**31 - 1:,} are supported")
    rules.kernels = current_kernels()
    k = np.asarray(n_categories)[order]
    wide = k > rules.kernels.wide
    planes_of = np.where(wide, 0, np.where(k > 2, k, k - 1))
    ends = np.concatenate(([0], np.cumsum(planes_of))).astype(np.int32)
    starts, places = np.empty(n_columns, dtype=np.int32), np.empty(n_columns, dtype=np.int32)
    starts[order] = np.where(wide, -1, ends[:n_columns])
    places[order] = np.arange(n_columns, dtype=np.int32)
    cdef int32_t[::1] first_plane = starts, place = places, n_planes = ends
    # one more than there are: the address of the first of none is asked for
    cdef int32_t[::1] plane_column = np.repeat(np.append(order, 0), np.append(planes_of, 1)).astype(np.int32)
    cdef int32_t[::1] plane_category = (np.arange(ends[n_columns] + 1)
                                        - np.repeat(ends, np.append(planes_of, 1))).astype(np.int32)
    cdef int64_t n_words = (n_rows + 63) // 64, stride = (n_planes[n_columns] + 32) // 32 * 32
    cdef uint64_t[:, ::1] words = aligned((n_words, stride), np.uint64)
    cdef uint8_t[:, ::1] columns = np.ascontiguousarray(np.asarray(codes).T if wide.any() else [[0]], dtype=np.uint8)
    pack(codes, n_categories, first_plane, words, n_threads)

    rules.words, rules.stride, rules.n_words = &words[0, 0], stride, n_words
    rules.codes, rules.n_rows = &columns[0, 0], n_rows
    rules.n_categories, rules.order, rules.place = &n_categories[0], &order[0], &place[0]
    rules.first_plane, rules.n_planes = &first_plane[0], &n_planes[0]
    rules.plane_column, rules.plane_category = &plane_column[0], &plane_category[0]
    rules.cost, rules.min_samples_leaf, rules.max_depth = &cost[0], min_samples_leaf, max_depth
    rules.max_features, rules.seed = max_features, seed
    rules.objective = NULL
    if objective is not None:
        rules.objective = <objective_function> <uintptr_t> objective.address
    cdef Tree *trees = <Tree *> calloc(n_columns, sizeof(Tree))
    cdef Work *works = <Work *> calloc(n_threads, sizeof(Work))
    errors = []
    stop[0] = False
    try:
        if trees == NULL or works == NULL:
            raise MemoryError
        for t in prange(n_columns, nogil=True, schedule="dynamic", chunksize=1, num_threads=n_threads,
                        use_threads_if=n_rows * n_columns > PARALLEL_WORK):
            # the last columns have the most candidates: they go first, so that all threads end together
            at = n_columns - 1 - t
            if not stop[0] and grow_tree(&works[threadid()], &rules, &trees[at], at) < 0:
                stop[0] = True
            if threadid() == 0 and not stop[0]:
                with gil:
                    try:
                        PyErr_CheckSignals()
                        if progress is not None:
                            progress(t + 1)
                    except BaseException as error:
                        errors.append(error)
                        stop[0] = True
        if errors:
            raise errors[0]
        for t in range(n_threads):
            if works[t].failed > 0:
                raise objective.failure(np.array(<int64_t[:works[t].failed]> works[t].failure))
        if stop[0]:
            raise MemoryError("growing a tree takes more memory than there is")
        return collect(trees, n_columns)
    finally:
        for t in range(n_columns if trees != NULL else 0):
            tree_free(&trees[t])
        for t in range(n_threads if works != NULL else 0):
            arena_free(&works[t].arena)
        free(trees)
        free(works)


cdef collect(Tree *trees, int64_t n_columns):
    """Arrays of all trees, one after the other; each tree is freed once it is copied."""
    cdef int64_t t, n, at = 0, at_counts = 0, k
    first_node = np.zeros(n_columns + 1, dtype=np.int64)
    n_counts = 0
    for t in range(n_columns):
        first_node[t + 1] = first_node[t] + trees[t].n_nodes
        n_counts += trees[t].n_nodes * trees[t].n_categories
    arrays = [np.empty(first_node[n_columns], dtype=np.int32) for _ in range(4)]
    cdef int32_t[::1] column = arrays[0], category = arrays[1], left = arrays[2], candidates = arrays[3]
    counts = np.empty(n_counts, dtype=np.int32)
    cdef int32_t[::1] all_counts = counts
    for t in range(n_columns):
        n, k = trees[t].n_nodes, trees[t].n_categories
        memcpy(&column[at], trees[t].column, n * sizeof(int32_t))
        memcpy(&category[at], trees[t].category, n * sizeof(int32_t))
        memcpy(&left[at], trees[t].left, n * sizeof(int32_t))
        memcpy(&candidates[at], trees[t].candidates, n * sizeof(int32_t))
        memcpy(&all_counts[at_counts], trees[t].counts, n * k * sizeof(int32_t))
        at += n
        at_counts += n * k
        tree_free(&trees[t])
    return first_node, *arrays, counts


cdef pack(const uint8_t[:, ::1] codes, const int32_t[::1] n_categories, const int32_t[::1] first_plane,
          uint64_t[:, ::1] words, int n_threads):
    """Codes of the narrow columns to planes; the second category of two has none."""
    cdef int64_t w, n_words = words.shape[0], n_rows = codes.shape[0]
    for w in prange(n_words, nogil=True, schedule="static", num_threads=n_threads,
                    use_threads_if=codes.shape[0] * codes.shape[1] > PARALLEL_WORK):
        pack_word(&codes[64 * w, 0], min(64, n_rows - 64 * w), codes.shape[1], &n_categories[0], &first_plane[0],
                  &words[w, 0])


cdef void pack_word(const uint8_t *codes, int64_t n_rows, int64_t n_columns, const int32_t *n_categories,
                    const int32_t *first_plane, uint64_t *words) noexcept nogil:
    cdef int64_t r, j
    for r in range(n_rows):
        for j in range(n_columns):
            if n_categories[j] > 2:
                if first_plane[j] >= 0:
                    words[first_plane[j] + codes[j]] |= (<uint64_t> 1) << r
            elif n_categories[j] == 2:
                words[first_plane[j]] |= (<uint64_t> (1 - codes[j])) << r
        codes += n_columns


# ---- one tree ----

cdef int grow_tree(Work *work, const Rules *rules, Tree *tree, int64_t t) noexcept nogil:
    """Grow the tree of the t-th column; -1 if memory ran out."""
    cdef Domain domain
    cdef Node root
    cdef int32_t target = rules.order[t], k = rules.n_categories[target], v, j, n, i
    cdef int64_t r
    cdef Mark mark = arena_mark(&work.arena)
    cdef bint wide = rules.first_plane[target] < 0
    work.rules, work.tree, work.target = rules, tree, target
    tree.n_categories = k
    domain.n_planes = 0 if wide else rules.n_planes[t]
    domain.n_coded = 0
    domain.width = padded(domain.n_planes)
    cdef int32_t *coded = <int32_t *> arena_take(&work.arena, t * sizeof(int32_t))
    cdef int32_t *first_coded = <int32_t *> arena_take(&work.arena, t * sizeof(int32_t))
    cdef int32_t *all_counts = <int32_t *> arena_take(&work.arena, k * sizeof(int32_t))
    cdef int32_t *targets = <int32_t *> arena_take(&work.arena, k * sizeof(int32_t))
    cdef int32_t *target_planes = <int32_t *> arena_take(&work.arena, k * sizeof(int32_t))
    root.counts = <int32_t *> arena_take(&work.arena, k * sizeof(int32_t))
    root.mask = <uint64_t *> arena_take(&work.arena, rules.n_words * sizeof(uint64_t))
    if (coded == NULL or first_coded == NULL or all_counts == NULL or targets == NULL or target_planes == NULL
            or root.counts == NULL or root.mask == NULL):
        return -1
    fill_mask(root.mask, rules.n_rows)
    domain.words, domain.stride, domain.n_rows = rules.words, rules.stride, rules.n_rows
    domain.n_words = rules.n_words if domain.n_planes > 0 else 0
    for i in range(t):
        j = rules.order[i]
        if rules.n_categories[j] > 1 and (wide or rules.first_plane[j] < 0):
            coded[domain.n_coded], first_coded[domain.n_coded] = j, domain.width
            domain.width += rules.n_categories[j]
            domain.n_coded += 1
    domain.width = padded(domain.width)
    domain.coded, domain.first_coded = coded, first_coded
    cdef int32_t *column = <int32_t *> arena_take(&work.arena, domain.width * sizeof(int32_t))
    cdef int32_t *category = <int32_t *> arena_take(&work.arena, domain.width * sizeof(int32_t))
    if column == NULL or category == NULL:
        return -1
    for i in range(domain.width):
        column[i], category[i] = -1, 0
    memcpy(column, rules.plane_column, domain.n_planes * sizeof(int32_t))
    memcpy(category, rules.plane_category, domain.n_planes * sizeof(int32_t))
    for i in range(domain.n_coded):
        # the second category of two makes the same split as the first
        for v in range(rules.n_categories[coded[i]] if rules.n_categories[coded[i]] > 2 else 1):
            column[first_coded[i] + v], category[first_coded[i] + v] = coded[i], v
    domain.column, domain.category = column, category

    memset(all_counts, 0, k * sizeof(int32_t))
    if wide:
        for r in range(rules.n_rows):
            all_counts[rules.codes[target * rules.n_rows + r]] += 1
    elif count_target(work, root.mask, all_counts) < 0:
        return -1
    n = 0
    for v in range(k):
        if all_counts[v] > 0:
            targets[n], target_planes[n], root.counts[n] = v, rules.first_plane[target] + v, all_counts[v]
            n += 1
    domain.n_targets, domain.targets, domain.target_planes = n, targets, target_planes

    root.n_rows, root.depth, root.rows = rules.n_rows, 0, NULL
    root.id = tree_append(tree, &domain, root.counts)
    root.table = take_table(work, &domain)
    if domain.n_coded:
        root.rows = <int32_t *> arena_take(&work.arena, rules.n_rows * sizeof(int32_t))
        work.row_buffer = <int32_t *> arena_take(&work.arena, rules.n_rows * sizeof(int32_t))
        if root.rows == NULL or work.row_buffer == NULL:
            return -1
        for r in range(rules.n_rows):
            root.rows[r] = r
    if root.id < 0 or root.table == NULL:
        return -1
    if may_split(rules, &domain, &root):
        if count_node(work, &domain, &root) < 0 or choose(work, &domain, &root) < 0:
            return -1
        if root.split >= 0 and grow_subtree(work, &domain, root) < 0:
            return -1
    arena_release(&work.arena, mark)
    return 0


cdef int grow_subtree(Work *work, const Domain *given, Node node) noexcept nogil:
    """Grow what is below a node that has a split; -1 if memory ran out."""
    cdef Domain domains[2]     # the one in use, and the one that replaces it
    cdef const Domain *domain = given
    cdef const Rules *rules = work.rules
    cdef Node small, large
    cdef Mark mark = arena_mark(&work.arena), before
    cdef int64_t i, w, at = 0
    cdef int32_t n_left, v
    cdef bint left_is_small, small_may, large_may
    while True:
        if 2 * node.n_rows <= domain.n_rows and (domain.n_words > 1 or domain.n_coded > 0):
            if narrow(work, domain, &domains[at], &node) < 0:
                return -1
            domain = &domains[at]
            at = 1 - at
        before = arena_mark(&work.arena)
        n_left = node.table[(domain.n_targets - 1) * domain.width + node.split]
        left_is_small = 2 * n_left <= node.n_rows
        small, large = node, node
        small.n_rows = min(n_left, node.n_rows - n_left)
        large.n_rows = node.n_rows - small.n_rows
        small.depth = large.depth = node.depth + 1
        small.counts = <int32_t *> arena_take(&work.arena, domain.n_targets * sizeof(int32_t))
        small.mask = <uint64_t *> arena_take(&work.arena, domain.n_words * sizeof(uint64_t))
        if small.counts == NULL or small.mask == NULL:
            return -1
        part(work, domain, &node, &small, &large, left_is_small)
        # the counts of the larger child take the place of the node's
        left_counts(domain, &node, small.counts)
        for v in range(domain.n_targets):
            if not left_is_small:
                small.counts[v] = node.counts[v] - small.counts[v]
            node.counts[v] -= small.counts[v]
        i = tree_split(work.tree, domain, &node, small.counts if left_is_small else large.counts,
                       large.counts if left_is_small else small.counts)
        if i < 0:
            return -1
        small.id, large.id = (i, i + 1) if left_is_small else (i + 1, i)
        small.split = large.split = -1
        small_may, large_may = may_split(rules, domain, &small), may_split(rules, domain, &large)
        if small_may or large_may:
            small.table = take_table(work, domain)
            if small.table == NULL or count_node(work, domain, &small) < 0:
                return -1
            for w in range(domain.n_targets * domain.width if large_may else 0):
                large.table[w] -= small.table[w]
            if small_may and choose(work, domain, &small) < 0:
                return -1
            if large_may and choose(work, domain, &large) < 0:
                return -1
        if small.split >= 0 and grow_subtree(work, domain, small) < 0:
            return -1
        arena_release(&work.arena, before)
        if large.split < 0:
            break
        node = large
    arena_release(&work.arena, mark)
    return 0


cdef bint may_split(const Rules *rules, const Domain *domain, const Node *node) noexcept nogil:
    """Whether a node is large enough and not pure."""
    cdef int32_t v
    if node.n_rows < 2 * rules.min_samples_leaf or node.depth >= rules.max_depth:
        return False
    for v in range(domain.n_targets):
        if node.counts[v] == node.n_rows:
            return False
    return True


# ---- counting ----

cdef int count_target(Work *work, uint64_t *mask, int32_t *counts) noexcept nogil:
    """Rows of each category of a narrow target."""
    cdef const Rules *rules = work.rules
    cdef int32_t first = rules.first_plane[work.target], k = rules.n_categories[work.target], v
    cdef int64_t base = first // 8 * 8, n = first + k - 1 - base, w
    cdef Mark mark = arena_mark(&work.arena)
    cdef int32_t *where = <int32_t *> arena_take(&work.arena, rules.n_words * sizeof(int32_t))
    cdef int32_t *out = <int32_t *> arena_take(&work.arena, padded(n) * sizeof(int32_t))
    if where == NULL or out == NULL:
        return -1
    for w in range(rules.n_words):
        where[w] = w
    rules.kernels.count_candidates(rules.words + base, rules.stride, n, where, rules.n_words, mask, 1, out, padded(n))
    counts[k - 1] = rules.n_rows
    for v in range(k - 1):
        counts[v] = out[first - base + v]
        counts[k - 1] -= counts[v]
    arena_release(&work.arena, mark)
    return 0


cdef int count_node(Work *work, const Domain *domain, Node *node) noexcept nogil:
    """Fill a zeroed table; -1 if memory ran out."""
    cdef const Rules *rules = work.rules
    cdef Mark mark = arena_mark(&work.arena)
    cdef int64_t w, n = 0, j, r, v, n_last = (domain.n_targets - 1) * domain.width, i
    cdef int32_t *where
    cdef int32_t *start
    cdef int32_t *cell
    cdef int32_t row_of[256]
    cdef uint64_t *selected
    cdef uint64_t *chosen
    cdef const uint8_t *codes
    if domain.n_planes > 0:
        where = <int32_t *> arena_take(&work.arena, domain.n_words * sizeof(int32_t))
        selected = <uint64_t *> arena_take(&work.arena, domain.n_targets * domain.n_words * sizeof(uint64_t))
        if where == NULL or selected == NULL:
            return -1
        for w in range(domain.n_words):
            where[n] = w
            n += node.mask[w] != 0
        for v in range(domain.n_targets):
            chosen = selected + v * n
            if v < domain.n_targets - 1:
                for j in range(n):
                    chosen[j] = domain.words[where[j] * domain.stride + domain.target_planes[v]] & node.mask[where[j]]
            else:
                for j in range(n):
                    chosen[j] = node.mask[where[j]]
        rules.kernels.count_candidates(domain.words, domain.stride, domain.n_planes, where, n, selected,
                                       domain.n_targets, node.table, domain.width)
    if domain.n_coded > 0:
        start = <int32_t *> arena_take(&work.arena, node.n_rows * sizeof(int32_t))
        if start == NULL:
            return -1
        for v in range(domain.n_targets):
            row_of[domain.targets[v]] = v * domain.width
        codes = rules.codes + work.target * rules.n_rows
        for r in range(node.n_rows):
            start[r] = row_of[codes[node.rows[r]]]
        for j in range(domain.n_coded):
            codes = rules.codes + domain.coded[j] * rules.n_rows
            cell = node.table + domain.first_coded[j]
            for r in range(node.n_rows):
                cell[start[r] + codes[node.rows[r]]] += 1
            for i in range(rules.n_categories[domain.coded[j]]):
                for v in range(domain.n_targets - 1):
                    cell[n_last + i] += cell[v * domain.width + i]
    arena_release(&work.arena, mark)
    return 0


cdef void left_counts(const Domain *domain, const Node *node, int32_t *counts) noexcept nogil:
    """Rows of each target that the node's split sends left."""
    cdef int32_t v, last = domain.n_targets - 1
    counts[last] = node.table[last * domain.width + node.split]
    for v in range(last):
        counts[v] = node.table[v * domain.width + node.split]
        counts[last] -= counts[v]


# ---- choosing ----

cdef int choose(Work *work, const Domain *domain, Node *node) noexcept nogil:
    """Best split of a node that has a table; -1 if memory ran out."""
    cdef const Rules *rules = work.rules
    cdef Mark mark = arena_mark(&work.arena)
    cdef int64_t *scores = <int64_t *> arena_take(&work.arena, domain.width * sizeof(int64_t))
    cdef int64_t j, best = -1
    cdef int32_t n = 0
    cdef uint64_t limit = 0
    if scores == NULL:
        return -1
    if rules.objective == NULL:
        rules.kernels.candidate_scores(node.table, domain.width, domain.width, node.counts, domain.n_targets,
                                       node.n_rows, rules.min_samples_leaf, rules.cost, scores)
    elif objective_scores(work, domain, node, scores) < 0:
        return -1
    if rules.max_features > 0 and draw_columns(work, domain, node, scores, &limit) < 0:
        return -1
    for j in range(domain.width):
        if scores[j] == INT64_MIN or domain.column[j] < 0:
            continue
        if rules.max_features > 0 and draw(work, node, domain.column[j]) > limit:
            continue
        n += 1
        # among equals the first in the order; the counted columns come after the planes
        if best < 0 or scores[j] > scores[best] or (
                scores[j] == scores[best] and rules.place[domain.column[j]] < rules.place[domain.column[best]]):
            best = j
    node.split = best
    work.tree.candidates[node.id] = n
    arena_release(&work.arena, mark)
    return 0


cdef int objective_scores(Work *work, const Domain *domain, const Node *node, int64_t *scores) noexcept nogil:
    """Like the kernel `candidate_scores`, by the user's objective; -1 if a cost is no number."""
    cdef const Rules *rules = work.rules
    cdef int64_t left[256]
    cdef int64_t right[256]
    cdef int64_t j
    cdef int32_t v, last = domain.n_targets - 1, n_left, k = rules.n_categories[work.target]
    cdef const int32_t *row
    cdef double whole, cost
    memset(left, 0, k * sizeof(int64_t))
    memset(right, 0, k * sizeof(int64_t))
    for v in range(domain.n_targets):
        left[domain.targets[v]] = node.counts[v]
    whole = objective_cost(work, left, k, node.n_rows)
    cdef double scale = 2.0**OBJECTIVE_BITS / (abs(whole) if whole != 0 else 1.0)
    for j in range(domain.width):
        scores[j] = INT64_MIN
        n_left = node.table[last * domain.width + j]
        if domain.column[j] < 0 or not splits(rules, n_left, node.n_rows):
            continue
        left[domain.targets[last]] = n_left
        for v in range(last):
            row = node.table + v * domain.width
            left[domain.targets[v]] = row[j]
            left[domain.targets[last]] -= row[j]
        for v in range(domain.n_targets):
            right[domain.targets[v]] = node.counts[v] - left[domain.targets[v]]
        cost = objective_cost(work, left, k, n_left) + objective_cost(work, right, k, node.n_rows - n_left)
        scores[j] = llrint(max(-9e18, min(9e18, -cost * scale)))
    return -1 if work.failed else 0


cdef inline double objective_cost(Work *work, const int64_t *counts, int32_t k, int64_t n) noexcept nogil:
    cdef double cost = work.rules.objective(counts, k, n)
    if not isfinite(cost):
        memcpy(work.failure, counts, k * sizeof(int64_t))
        work.failed = k
        return 0.0
    return cost


cdef int draw_columns(Work *work, const Domain *domain, const Node *node, const int64_t *scores,
                      uint64_t *limit) noexcept nogil:
    """Draw max_features of the columns that have a split: those whose draw is at most the limit."""
    cdef int32_t most = work.rules.max_features, n = 0, i, column = -1
    cdef int64_t j
    cdef uint64_t key
    cdef Mark mark = arena_mark(&work.arena)
    cdef uint64_t *lowest = <uint64_t *> arena_take(&work.arena, (most + 1) * sizeof(uint64_t))
    if lowest == NULL:
        return -1
    for j in range(domain.width):
        if scores[j] == INT64_MIN or domain.column[j] < 0 or domain.column[j] == column:
            continue
        column = domain.column[j]
        key = draw(work, node, column)
        i = n
        while i > 0 and lowest[i - 1] > key:
            lowest[i] = lowest[i - 1]
            i -= 1
        lowest[i] = key
        n = min(n + 1, most)
    limit[0] = lowest[n - 1] if n > 0 else 0
    arena_release(&work.arena, mark)
    return 0


cdef inline uint64_t draw(const Work *work, const Node *node, int32_t column) noexcept nogil:
    """A random number by the seed, the target, the node and the column alone (SplitMix64, Steele et al. 2014)."""
    cdef uint64_t z = work.rules.seed
    z = mixed(z + <uint64_t> 0x9E3779B97F4A7C15 * <uint64_t> (work.target + 1))
    z = mixed(z + <uint64_t> 0x9E3779B97F4A7C15 * <uint64_t> (node.id + 1))
    return mixed(z + <uint64_t> 0x9E3779B97F4A7C15 * <uint64_t> (column + 1))


cdef inline uint64_t mixed(uint64_t z) noexcept nogil:
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


# ---- moving ----

cdef void part(Work *work, const Domain *domain, const Node *node, Node *small, Node *large,
               bint left_is_small) noexcept nogil:
    """Rows of a node to its children. The smaller gets a mask of its own, the larger the node's."""
    cdef const Rules *rules = work.rules
    cdef int32_t column = domain.column[node.split], category = domain.category[node.split], n_left = 0, n_right = 0
    cdef const uint8_t *codes = rules.codes + column * rules.n_rows
    cdef int32_t r = 0
    cdef int64_t w
    cdef uint64_t left, rest, bit
    for w in range(domain.n_words):
        if node.split < domain.n_planes:
            left = domain.words[w * domain.stride + node.split] & node.mask[w]
        else:
            # the rows of the node are those of the mask, in the same order
            left, rest = 0, node.mask[w]
            while rest:
                bit = rest & (~rest + 1)
                if codes[node.rows[r]] == category:
                    left |= bit
                rest ^= bit
                r += 1
        small.mask[w] = left if left_is_small else node.mask[w] & ~left
        large.mask[w] = node.mask[w] & ~small.mask[w]
    if domain.n_coded > 0:
        for r in range(node.n_rows):
            if codes[node.rows[r]] == category:
                node.rows[n_left] = node.rows[r]
                n_left += 1
            else:
                work.row_buffer[n_right] = node.rows[r]
                n_right += 1
        memcpy(node.rows + n_left, work.row_buffer, n_right * sizeof(int32_t))
        small.rows, large.rows = node.rows, node.rows + n_left
        if not left_is_small:
            small.rows, large.rows = large.rows, small.rows


cdef int narrow(Work *work, const Domain *wide, Domain *domain, Node *node) noexcept nogil:
    """Give a node a domain of its own: its rows, the candidates that can still split it, the targets that occur."""
    cdef const Rules *rules = work.rules
    cdef int64_t most = wide.n_planes + wide.n_targets, n_words = (node.n_rows + 63) // 64, i, j, n = 0, width
    cdef int32_t v, k, first, last = wide.n_targets - 1, n_targets = 0
    cdef int32_t *which = <int32_t *> arena_take(&work.arena, (most + 1) * sizeof(int32_t))
    cdef int32_t *kept = <int32_t *> arena_take(&work.arena, wide.width * sizeof(int32_t))
    cdef int32_t *column = <int32_t *> arena_take(&work.arena, wide.width * sizeof(int32_t))
    cdef int32_t *category = <int32_t *> arena_take(&work.arena, wide.width * sizeof(int32_t))
    cdef int32_t *targets = <int32_t *> arena_take(&work.arena, wide.n_targets * sizeof(int32_t))
    cdef int32_t *target_planes = <int32_t *> arena_take(&work.arena, wide.n_targets * sizeof(int32_t))
    cdef int32_t *coded = <int32_t *> arena_take(&work.arena, (wide.n_coded + 1) * sizeof(int32_t))
    cdef int32_t *first_coded = <int32_t *> arena_take(&work.arena, (wide.n_coded + 1) * sizeof(int32_t))
    cdef int32_t *counts = <int32_t *> arena_take(&work.arena, wide.n_targets * sizeof(int32_t))
    cdef int32_t *row_of = <int32_t *> arena_take(&work.arena, wide.n_targets * sizeof(int32_t))
    cdef uint64_t *words
    cdef uint64_t *mask
    cdef int32_t *table
    cdef const int32_t *n_left = node.table + last * wide.width
    if (which == NULL or kept == NULL or column == NULL or category == NULL or targets == NULL
            or target_planes == NULL or coded == NULL or first_coded == NULL or counts == NULL or row_of == NULL):
        return -1
    domain[0] = wide[0]
    domain.n_rows, domain.n_planes, domain.n_coded = node.n_rows, 0, 0
    for i in range(wide.n_planes):
        if splits(rules, n_left[i], node.n_rows):
            which[n] = kept[n] = i
            column[n], category[n] = wide.column[i], wide.category[i]
            n += 1
    domain.n_planes = n
    for i in range(n, padded(n)):
        kept[i] = column[i] = -1
    width = padded(n)
    for j in range(wide.n_coded):
        k, first = rules.n_categories[wide.coded[j]], wide.first_coded[j]
        for v in range(k):
            if splits(rules, n_left[first + v], node.n_rows):
                coded[domain.n_coded], first_coded[domain.n_coded] = wide.coded[j], width
                domain.n_coded += 1
                for i in range(k):
                    kept[width + i] = first + i
                    column[width + i], category[width + i] = wide.column[first + i], wide.category[first + i]
                width += k
                break
    for i in range(width, padded(width)):
        kept[i] = column[i] = -1
    domain.width = padded(width)
    for v in range(wide.n_targets):
        if node.counts[v] > 0:
            targets[n_targets], counts[n_targets], row_of[n_targets] = wide.targets[v], node.counts[v], v
            if v < last:
                which[n + n_targets] = wide.target_planes[v]
            target_planes[n_targets] = n + n_targets
            n_targets += 1
    domain.n_targets = n_targets
    domain.column, domain.category, domain.targets, domain.target_planes = column, category, targets, target_planes
    domain.coded, domain.first_coded = coded, first_coded

    table = take_table(work, domain)
    if table == NULL:
        return -1
    for v in range(n_targets):
        for i in range(domain.width):
            # the last row holds all rows that go left
            if kept[i] >= 0:
                table[v * domain.width + i] = node.table[
                    (row_of[v] if v < n_targets - 1 else last) * wide.width + kept[i]]
    for i in range(domain.width):
        if kept[i] == node.split:
            node.split = i
            break
    node.table, node.counts = table, counts
    if wide.n_words == 0:
        return 0
    domain.stride = (n + n_targets - 1 + 7) // 8 * 8
    words = <uint64_t *> arena_take(&work.arena, n_words * domain.stride * sizeof(uint64_t))
    mask = <uint64_t *> arena_take(&work.arena, n_words * sizeof(uint64_t))
    if words == NULL or mask == NULL:
        return -1
    rules.kernels.compress_candidates(wide.words, wide.stride, which, n + n_targets - 1, node.mask, wide.n_words, words,
                                      domain.stride)
    domain.words, domain.n_words, node.mask = words, n_words, mask
    fill_mask(mask, node.n_rows)
    return 0


cdef inline bint splits(const Rules *rules, int32_t n_left, int32_t n_rows) noexcept nogil:
    return min(n_left, n_rows - n_left) >= rules.min_samples_leaf


cdef void fill_mask(uint64_t *mask, int64_t n_rows) noexcept nogil:
    """The mask of all rows."""
    cdef int64_t w
    for w in range(n_rows // 64):
        mask[w] = ~(<uint64_t> 0)
    if n_rows % 64:
        mask[n_rows // 64] = ((<uint64_t> 1) << (n_rows % 64)) - 1


cdef inline int64_t padded(int64_t width) noexcept nogil:
    return (width + TF_LANES - 1) // TF_LANES * TF_LANES


cdef int32_t *take_table(Work *work, const Domain *domain) noexcept nogil:
    """A zeroed table."""
    cdef int64_t n_bytes = domain.n_targets * domain.width * sizeof(int32_t)
    cdef int32_t *table = <int32_t *> arena_take(&work.arena, n_bytes)
    if table != NULL:
        memset(table, 0, n_bytes)
    return table


# ---- the growing tree ----

cdef int64_t tree_append(Tree *tree, const Domain *domain, const int32_t *counts) noexcept nogil:
    """Add a leaf; returns its number, or -1 if memory ran out."""
    cdef int64_t i = tree.n_nodes, capacity = max(64, 2 * tree.capacity)
    cdef int32_t v
    cdef int32_t *row
    if i == tree.capacity:
        if (extend(&tree.column, capacity) < 0 or extend(&tree.category, capacity) < 0
                or extend(&tree.left, capacity) < 0 or extend(&tree.candidates, capacity) < 0
                or extend(&tree.counts, capacity * tree.n_categories) < 0):
            return -1
        tree.capacity = capacity
    tree.column[i], tree.category[i], tree.left[i], tree.candidates[i] = -1, 0, 0, 0
    row = tree.counts + i * tree.n_categories
    memset(row, 0, tree.n_categories * sizeof(int32_t))
    for v in range(domain.n_targets):
        row[domain.targets[v]] = counts[v]
    tree.n_nodes += 1
    return i


cdef int64_t tree_split(Tree *tree, const Domain *domain, const Node *node, const int32_t *left,
                        const int32_t *right) noexcept nogil:
    """Give a node its two children; returns the number of the left one, or -1 if memory ran out."""
    cdef int64_t i = tree_append(tree, domain, left)
    if i < 0 or tree_append(tree, domain, right) < 0:
        return -1
    tree.column[node.id], tree.category[node.id] = domain.column[node.split], domain.category[node.split]
    tree.left[node.id] = i
    return i


cdef int extend(int32_t **array, int64_t n) noexcept nogil:
    cdef int32_t *longer = <int32_t *> realloc(array[0], n * sizeof(int32_t))
    if longer == NULL:
        return -1
    array[0] = longer
    return 0


cdef void tree_free(Tree *tree) noexcept nogil:
    free(tree.column)
    free(tree.category)
    free(tree.left)
    free(tree.candidates)
    free(tree.counts)
    memset(tree, 0, sizeof(Tree))


# ---- memory of one thread ----

cdef void *arena_take(Arena *arena, int64_t n_bytes) noexcept nogil:
    """Memory on a 64-byte boundary, until the arena is released to a mark before; NULL if there is none."""
    cdef int64_t size = (max(n_bytes, 1) + 63) // 64 * 64
    cdef Chunk *chunk = arena.top
    cdef void *place
    if chunk == NULL or chunk.used + size > chunk.size:
        chunk = arena.spare
        arena.spare = NULL
        if chunk != NULL and chunk.size < size:
            free(chunk)
            chunk = NULL
        if chunk == NULL:
            chunk = <Chunk *> malloc(sizeof(Chunk) + max(size, CHUNK_BYTES) + 64)
            if chunk == NULL:
                return NULL
            chunk.size = max(size, CHUNK_BYTES)
            chunk.bytes = <char *> (((<uintptr_t> chunk) + sizeof(Chunk) + 63) // 64 * 64)
        chunk.before, chunk.used = arena.top, 0
        arena.top = chunk
    place = chunk.bytes + chunk.used
    chunk.used += size
    return place


cdef Mark arena_mark(Arena *arena) noexcept nogil:
    cdef Mark mark
    mark.top, mark.used = arena.top, arena.top.used if arena.top != NULL else 0
    return mark


cdef void arena_release(Arena *arena, Mark mark) noexcept nogil:
    """Give back what was taken since the mark; one chunk is kept for the next to come."""
    cdef Chunk *chunk
    while arena.top != mark.top:
        chunk = arena.top
        arena.top = chunk.before
        free(arena.spare)
        arena.spare = chunk
    if arena.top != NULL:
        arena.top.used = mark.used


cdef void arena_free(Arena *arena) noexcept nogil:
    cdef Mark nothing
    nothing.top, nothing.used = NULL, 0
    arena_release(arena, nothing)
    free(arena.spare)
