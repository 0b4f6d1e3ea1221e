"""The split search of greedy local permutation: which split of a node lowers the cost of the counts most?

After a split on (s, v), and with both children rank-aligned, the counts of the training rows become
G - L + sort(L_left) + sort(L_right) in every column, each sort within the categories that the child's cell allows; G
are the counts of all rows, L those of the node (Elkady, Lim, Inouye 2022, section 4). The cost of a column is the sum
of c log c over its counts, in fixed point: integers that add up to the same on any machine, in any order.
"""

import numpy as np

from cython.parallel cimport parallel, prange, threadid
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from _ext.costs cimport tf_cost, tf_costs
from _ext.kernels cimport OBJECTIVE_BITS, TF_LANES, current_kernels, objective_function, tf_kernels, tf_node


def best_splits(list tables, int64_t first, int64_t end, const int32_t[::1] first_plane,
                const int32_t[::1] first_category, const int32_t[::1] total, const int32_t[:, ::1] local,
                const uint8_t[:, ::1] cells, cost, int64_t min_samples_leaf, int n_threads):
    """Best of the splits first .. end - 1 of every node.

    Parameters
    ----------
    tables : list of ndarray of shape (n_planes, width), int32
        Co-occurrences of each node with these candidates, as `Counter.cooccurrences` gives them.
    first, end : int
    first_plane, first_category : ndarray of shape (n_columns + 1,), int32
        Where each column's candidates and categories start, as `Counter` numbers them.
    total : ndarray of shape (n,), int32
        Counts of every category in all rows (G).
    local : ndarray of shape (n_nodes, n), int32
        Counts in each node (L).
    cells : ndarray of shape (n_nodes, n), uint8
        1 where the node's cell allows the category.
    cost : Costs
        c -> c log c in fixed point.
    min_samples_leaf : int
        Rows that a split must leave on both sides.
    n_threads : int

    Returns
    -------
    planes : ndarray of shape (n_nodes,), int64
        The candidate, lowest first among equals; -1 where none leaves enough rows on both sides.
    gains : ndarray of shape (n_nodes,), int64
        Sum of the costs after the split less the sum after rank-aligning the node as it is.
    """
    cdef int64_t n_nodes = len(tables), n = local.shape[1], n_planes = first_plane[first_plane.shape[0] - 1]
    cdef int64_t width = (end - first + TF_LANES - 1) // TF_LANES * TF_LANES, n_blocks = width // TF_LANES, i
    cdef int64_t n_columns = first_plane.shape[0] - 1, padded = n_planes + TF_LANES
    cdef int32_t[:, ::1] n_left = np.zeros((n_nodes, padded), dtype=np.int32)
    cdef int32_t[::1] plane_column = np.full(padded, -1, dtype=np.int32)
    cdef int64_t[:, ::1] own = np.zeros((n_nodes, padded), dtype=np.int64)
    cdef int64_t[:, ::1] costs = np.empty((n_nodes, width), dtype=np.int64)
    cdef int32_t[:, ::1] cell_first = np.zeros((n_nodes, n_columns + 1), dtype=np.int32)
    cdef int32_t[:, :, ::1] cell_lists = np.empty((n_nodes, 3, n), dtype=np.int32)
    cdef const int32_t[:, ::1] table
    cdef int64_t[::1] n_rows = np.sum(local[:, : first_category[1]], axis=1, dtype=np.int64)
    planes, gains = np.empty(n_nodes, dtype=np.int64), np.empty(n_nodes, dtype=np.int64)
    cdef int64_t[::1] stay = np.empty(n_nodes, dtype=np.int64), best = planes, gain = gains
    cdef const tf_kernels *kernels = current_kernels()
    cdef const int64_t[::1] tabled = cost.table
    cdef tf_costs costs_of = tf_costs(&tabled[0], tabled.shape[0], 2.0**<int> cost.bits)
    cdef bint all_tabled = np.sum(total[: first_category[1]], dtype=np.int64) < tabled.shape[0]
    cdef int32_t[:, ::1] scratch = np.empty((n_threads, 2 * 256 * TF_LANES), dtype=np.int32)
    cdef tf_node *nodes = <tf_node *> malloc(max(1, n_nodes) * sizeof(tf_node))
    if nodes == NULL:
        raise MemoryError
    for i in range(n_columns):
        plane_column[first_plane[i] : first_plane[i + 1]] = i
    plane_column[end:] = -1  # lanes past the last candidate score nothing: they send no row left, and are no one's
    for i in range(n_nodes):
        table = tables[i]
        nodes[i].table, nodes[i].stride = &table[0, 0], table.shape[1]
        nodes[i].n_left, nodes[i].plane_column, nodes[i].own = &n_left[i, first], &plane_column[first], &own[i, first]
        nodes[i].cell_first, nodes[i].cell_plane = &cell_first[i, 0], &cell_lists[i, 0, 0]
        nodes[i].local, nodes[i].others = &cell_lists[i, 1, 0], &cell_lists[i, 2, 0]
        nodes[i].costs, nodes[i].all_tabled, nodes[i].n_columns = &costs_of, all_tabled, n_columns
    with nogil, parallel(num_threads=n_threads, use_threads_if=n_nodes * width * n > 262144):
        for i in prange(n_nodes, schedule="dynamic"):
            stay[i] = prepare(first_plane, first_category, total, local[i], cells[i], &costs_of, &n_left[i, 0],
                              &own[i, 0], &cell_first[i, 0], &cell_lists[i, 0, 0], &cell_lists[i, 1, 0],
                              &cell_lists[i, 2, 0])
            memset(&n_left[i, end], 0, (padded - end) * sizeof(int32_t))
        for i in prange(n_nodes * n_blocks, schedule="dynamic"):
            if not any_split(&n_left[i // n_blocks, first + i % n_blocks * TF_LANES], n_rows[i // n_blocks]):
                continue
            kernels.split_costs(&nodes[i // n_blocks], i % n_blocks * TF_LANES, &scratch[threadid(), 0],
                                &costs[i // n_blocks, i % n_blocks * TF_LANES])
    free(nodes)
    for i in range(n_nodes):
        pick(&costs[i, 0], &n_left[i, 0], first, end, stay[i], min_samples_leaf, n_rows[i], &best[i], &gain[i])
    return planes, gains


def best_splits_by_objective(list tables, int64_t first, int64_t end, const int32_t[::1] first_plane,
                             const int32_t[::1] first_category, const int32_t[::1] total, const int32_t[:, ::1] local,
                             const uint8_t[:, ::1] cells, objective, int64_t min_samples_leaf, int n_threads):
    """Best of the splits first .. end - 1 of every node by a user's own cost of a column's counts.

    Parameters and what is returned are those of `best_splits`, but for an ``objective`` in place of the cost table, and
    gains in its units: cost of the node rank-aligned as it is less the cost after the split.

    Raises
    ------
    ValueError
        If the cost of any counts is no finite number.
    """
    cdef int64_t n_nodes = len(tables), n = local.shape[1], width = end - first, i
    cdef int64_t n_all = np.sum(total[: first_category[1]], dtype=np.int64)
    cdef objective_function cost = <objective_function> <uintptr_t> objective.address
    cdef const int32_t[:, ::1] table
    cdef int64_t[::1] n_rows = np.sum(local[:, : first_category[1]], axis=1, dtype=np.int64)
    cdef double[:, ::1] costs = np.empty((n_nodes, width + 1))
    cdef int64_t[:, ::1] failures = np.zeros((n_threads, 257), dtype=np.int64)
    cdef ColumnsJob *jobs = <ColumnsJob *> malloc(max(1, n_nodes) * sizeof(ColumnsJob))
    if jobs == NULL:
        raise MemoryError
    for i in range(n_nodes):
        table = tables[i]
        jobs[i] = ColumnsJob(&table[0, 0], table.shape[1], first, &first_plane[0], &first_category[0],
                             first_plane.shape[0] - 1, &total[0], &local[i, 0], &cells[i, 0], n_rows[i], n_all, cost)
    # candidate -1 + first is the node as it is
    for i in prange(n_nodes * (width + 1), nogil=True, schedule="dynamic", chunksize=8, num_threads=n_threads,
                    use_threads_if=n_nodes * width * n > 16384):
        costs[i // (width + 1), i % (width + 1)] = split_cost(
            &jobs[i // (width + 1)], i % (width + 1) - 1, min_samples_leaf, &failures[threadid(), 0])
    free(jobs)
    for i in range(n_threads):
        if failures[i, 0] > 0:
            raise objective.failure(np.asarray(failures[i, 1 : failures[i, 0] + 1]))
    after, before = np.asarray(costs)[:, 1:], np.asarray(costs)[:, :1]
    unit = np.where(before == 0, 1.0, abs(before)) * 2.0**-OBJECTIVE_BITS
    gains = np.rint((before - after) / unit) * unit
    best = gains.argmax(axis=1)
    gain = gains[np.arange(n_nodes), best]
    return np.where(np.isfinite(gain), best + first, -1), np.where(np.isfinite(gain), gain, 0.0)


# What the cost of a node's splits follows from.
ctypedef struct ColumnsJob:
    const int32_t *table
    int64_t stride
    int64_t first
    const int32_t *first_plane
    const int32_t *first_category
    int64_t n_columns
    const int32_t *total
    const int32_t *local
    const uint8_t *cell
    int64_t n_rows
    int64_t n_all
    objective_function cost


cdef double split_cost(const ColumnsJob *job, int64_t candidate, int64_t min_samples_leaf,
                       int64_t *failure) noexcept nogil:
    """Cost of all columns once both sides are rank-aligned; infinite for no split. Candidate -1: the node as it is."""
    cdef int64_t sides[2][256]
    cdef int64_t after[256]
    cdef int32_t n[2]
    cdef int64_t n_left = 0, count, at
    cdef int32_t own = -1, category = -1, j, v, side, i, start, k, n_present
    cdef double sum = 0.0, cost
    if candidate >= 0:
        for j in range(job.n_columns):
            if job.first_plane[j] <= job.first + candidate < job.first_plane[j + 1]:
                own = j
        category = job.first + candidate - job.first_plane[own]
        n_left = job.local[job.first_category[own] + category]
        if min(n_left, job.n_rows - n_left) < min_samples_leaf:
            return INFINITY
    for j in range(job.n_columns):
        start, k = job.first_category[j], job.first_category[j + 1] - job.first_category[j]
        n_present = 0
        for v in range(k):
            n_present += job.local[start + v] > 0
        if n_present < 2:
            continue  # one category keeps its place whatever the split
        n[0] = n[1] = 0
        for v in range(k):
            after[v] = job.total[start + v] - job.local[start + v]
            if not job.cell[start + v]:
                continue
            for side in range(2):
                if j == own and (side == 0) != (v == category):
                    continue
                if candidate < 0 and side == 0:
                    continue
                count = job.local[start + v]
                if candidate >= 0 and j != own:
                    count = left_rows(job, j, v, candidate, n_left)
                    if side == 1:
                        count = job.local[start + v] - count
                at = n[side]
                while at > 0 and sides[side][at - 1] > count:
                    sides[side][at] = sides[side][at - 1]
                    at -= 1
                sides[side][at] = count
                n[side] += 1
        n[0] = n[1] = 0
        for v in range(k):
            if not job.cell[start + v]:
                continue
            for side in range(2):
                if (j == own and (side == 0) != (v == category)) or (candidate < 0 and side == 0):
                    continue
                after[v] += sides[side][n[side]]
                n[side] += 1
        cost = job.cost(after, k, job.n_all)
        if not isfinite(cost):
            failure[0] = k
            for i in range(k):
                failure[i + 1] = after[i]
        sum += cost
    return sum


cdef inline int64_t left_rows(const ColumnsJob *job, int32_t column, int32_t category, int64_t candidate,
                              int64_t n_left) noexcept nogil:
    """Rows of a category that a candidate sends left; the second category of two has no place in the table."""
    cdef int32_t first = job.first_plane[column]
    if first + category < job.first_plane[column + 1]:
        return job.table[(first + category) * job.stride + candidate]
    return n_left - job.table[first * job.stride + candidate]


cdef bint any_split(const int32_t *n_left, int64_t n_rows) noexcept nogil:
    """Whether any candidate of a block leaves rows on both sides."""
    cdef int lane
    for lane in range(TF_LANES):
        if 0 < n_left[lane] < n_rows:
            return True
    return False


cdef void pick(const int64_t *costs, const int32_t *n_left, int64_t first, int64_t end, int64_t stay,
               int64_t min_samples_leaf, int64_t n_rows, int64_t *best, int64_t *gain) noexcept nogil:
    cdef int64_t p
    best[0], gain[0] = -1, 0
    for p in range(first, end):
        if min(n_left[p], n_rows - n_left[p]) < min_samples_leaf:
            continue
        if best[0] < 0 or costs[p - first] - stay > gain[0]:
            best[0], gain[0] = p, costs[p - first] - stay


cdef int64_t prepare(const int32_t[::1] first_plane, const int32_t[::1] first_category, const int32_t[::1] total,
                     const int32_t[::1] local, const uint8_t[::1] cell, const tf_costs *costs, int32_t *n_left,
                     int64_t *own, int32_t *cell_first, int32_t *cell_plane, int32_t *cell_local,
                     int32_t *cell_others) noexcept nogil:
    """What `tf_node` wants to know of a node; returns its cost rank-aligned as it is.

    Categories that do not occur in the node stay at the bottom of every ranking: they are left out here, with the
    places of the cell that they fill, and their cost is left out of all sums.
    """
    cdef int32_t plane[256]
    cdef int32_t counts[256]
    cdef int32_t others[256]
    cdef int32_t n_columns = first_plane.shape[0] - 1, j, k, i, n_absent, p = 0, q
    cdef int64_t v, stay = 0, absent
    for j in range(n_columns):
        cell_first[j] = p
        k = n_absent = 0
        for v in range(first_category[j], first_category[j + 1]):
            q = first_plane[j] + v - first_category[j]
            if q < first_plane[j + 1]:
                n_left[q] = local[v]
            else:
                q = -1
            if cell[v]:
                plane[k], counts[k], others[k] = q, local[v], total[v] - local[v]
                n_absent += local[v] == 0
                k += 1
        if k - n_absent < 2:
            continue
        absent = 0
        for i in range(n_absent):
            absent += tf_cost(costs, others[i])
        stay += own_costs(plane, counts, others, k, costs, own) - absent
        for i in range(k):
            if plane[i] >= 0:
                own[plane[i]] -= absent
            if i >= n_absent:
                cell_others[p + i - n_absent] = others[i]
        for i in range(k):
            if counts[i] > 0:
                cell_plane[p], cell_local[p] = plane[i], counts[i]
                p += 1
    cell_first[n_columns] = p
    return stay


cdef int64_t own_costs(const int32_t *plane, const int32_t *local, const int32_t *others, int32_t k,
                       const tf_costs *costs, int64_t *own) noexcept nogil:
    """Cost of a column after each split on itself: the category keeps its place, the others are sorted around it.

    Returns the cost of the whole column sorted.
    """
    cdef int32_t order[256]
    cdef int32_t i, at, count, rank
    cdef int64_t stay = 0, sum
    for i in range(k):
        count = local[i]
        at = i
        while at > 0 and order[at - 1] > count:
            order[at] = order[at - 1]
            at -= 1
        order[at] = count
    for i in range(k):
        stay += tf_cost(costs, others[i] + order[i])
    for at in range(k):
        if plane[at] < 0:
            continue
        rank = 0
        while order[rank] != local[at]:
            rank += 1
        sum = tf_cost(costs, others[at] + local[at])
        for i in range(k):
            # place i holds the next smallest of the others, the place `at` and the rank of its count left out
            if i < at:
                sum += tf_cost(costs, others[i] + order[i if i < rank else i + 1])
            elif i > at:
                sum += tf_cost(costs, others[i] + order[i - 1 if i <= rank else i])
        own[plane[at]] = sum
    return stay
