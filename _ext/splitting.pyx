"""The split search of greedy local permutation: which split of a node lowers the cost of the counts most?

After a split on (s, v), and with both children rank-aligned, the counts of the training rows become
G - L + sort(L_left) + sort(L_right) in every column, each sort within the categories that the child's cell allows; G
are the counts of all rows, L those of the node (Elkady, Lim, Inouye 2022, section 4). The cost of a column is the sum
of c log c over its counts, in fixed point: integers that add up to the same on any machine, in any order.
"""

import numpy as np

from cython.parallel cimport parallel, prange
from libc.stdlib cimport free, malloc

include "kernels.pxi"


def best_split(const int32_t[:, ::1] table, int64_t first, int64_t end, const int32_t[::1] first_plane,
               const int32_t[::1] first_category, const int32_t[::1] total, const int32_t[::1] local,
               const uint8_t[::1] cell, const int64_t[::1] cost, int64_t min_samples_leaf, int n_threads):
    """Best of the splits first .. end - 1 of one node.

    Parameters
    ----------
    table : ndarray of shape (n_planes, width), int32
        Co-occurrences of the node with these candidates, as `Counter.cooccurrences` gives them.
    first, end : int
    first_plane, first_category : ndarray of shape (n_columns + 1,), int32
        Where each column's candidates and categories start, as `Counter` numbers them.
    total, local : ndarray of shape (n,), int32
        Counts of every category in all rows (G) and in the node (L).
    cell : ndarray of shape (n,), uint8
        1 where the node's cell allows the category.
    cost : ndarray of shape (n_rows + 1,), int64
        c -> c log c in fixed point.
    min_samples_leaf : int
        Rows that a split must leave on both sides.
    n_threads : int

    Returns
    -------
    plane : int
        The candidate, lowest first among equals; -1 where none leaves enough rows on both sides.
    gain : int
        Sum of the costs after the split less the sum after rank-aligning the node as it is.
    """
    cdef int32_t n_columns = first_plane.shape[0] - 1, j, n_rows = 0
    cdef int64_t width = table.shape[1], n_blocks = width // TF_LANES, n_planes = table.shape[0], v, block, p
    cdef int64_t gain = 0, best = -1, stay = 0
    cdef int32_t[::1] n_left = np.zeros(n_planes + TF_LANES, dtype=np.int32)
    cdef int32_t[::1] plane_column = np.full(n_planes + TF_LANES, -1, dtype=np.int32)
    cdef int64_t[::1] own = np.zeros(n_planes + TF_LANES, dtype=np.int64)
    cdef int64_t[::1] costs = np.empty(width, dtype=np.int64)
    cdef int32_t[::1] cell_first = np.empty(n_columns + 1, dtype=np.int32)
    cdef int32_t[::1] cell_plane = np.empty(local.shape[0], dtype=np.int32)
    cdef int32_t[::1] cell_local = np.empty(local.shape[0], dtype=np.int32)
    cdef int32_t[::1] cell_others = np.empty(local.shape[0], dtype=np.int32)
    cdef const tf_kernels *kernels = current_kernels()
    cdef int32_t *scratch
    cdef tf_node node
    with nogil:
        for v in range(first_category[1]):
            n_rows += local[v]
        p = 0
        for j in range(n_columns):
            cell_first[j] = p
            for v in range(first_category[j], first_category[j + 1]):
                block = first_plane[j] + v - first_category[j]
                if block < first_plane[j + 1]:
                    n_left[block] = local[v]
                    plane_column[block] = j
                else:
                    block = -1
                if cell[v]:
                    cell_plane[p] = block
                    cell_local[p] = local[v]
                    cell_others[p] = total[v] - local[v]
                    p += 1
            cell_first[j + 1] = p
            if p - cell_first[j] > 1:
                stay += own_costs(&cell_plane[cell_first[j]], &cell_local[cell_first[j]], &cell_others[cell_first[j]],
                                  p - cell_first[j], &cost[0], &own[0])
        node.table, node.stride = &table[0, 0], width
        node.n_left, node.plane_column, node.own = &n_left[first], &plane_column[first], &own[first]
        node.cell_first, node.cell_plane = &cell_first[0], &cell_plane[0]
        node.local, node.others, node.cost = &cell_local[0], &cell_others[0], &cost[0]
        node.n_columns = n_columns
        with parallel(num_threads=n_threads, use_threads_if=width * local.shape[0] > 8192):
            scratch = <int32_t *> malloc(2 * 256 * TF_LANES * sizeof(int32_t))
            for block in prange(n_blocks, schedule="dynamic"):
                kernels.split_costs(&node, block * TF_LANES, scratch, &costs[block * TF_LANES])
            free(scratch)
        for p in range(first, end):
            v = costs[p - first] - stay
            if min(n_left[p], n_rows - n_left[p]) >= min_samples_leaf and (best < 0 or v > gain):
                best, gain = p, v
    return best, gain


cdef int64_t own_costs(const int32_t *plane, const int32_t *local, const int32_t *others, int32_t k,
                       const int64_t *cost, int64_t *own) noexcept nogil:
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
        stay += cost[others[i] + order[i]]
    for at in range(k):
        if plane[at] < 0:
            continue
        rank = 0
        while order[rank] != local[at]:
            rank += 1
        sum = cost[others[at] + local[at]]
        for i in range(k):
            # place i holds the next smallest of the others, the place `at` and the rank of its count left out
            if i < at:
                sum += cost[others[i] + order[i if i < rank else i + 1]]
            elif i > at:
                sum += cost[others[i] + order[i - 1 if i <= rank else i]]
        own[plane[at]] = sum
    return stay
