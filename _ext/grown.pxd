# The record of a grown tree, an entry a node; children come after their parent.

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from _ext.asked cimport Question


ctypedef struct Grown:
    int64_t n_nodes
    int64_t capacity
    int32_t n_categories  # of the target
    Question *asked       # of no column at a leaf
    int32_t *left         # its left child, of the rows whose answer is yes; the right one comes next; 0 at a leaf
    int32_t *candidates   # splits that the node chose among
    int32_t *counts       # [n_nodes, n_categories]


cdef inline int64_t grown_append(Grown *tree, const int32_t *targets, int32_t n_targets,
                                 const int32_t *counts) noexcept nogil:
    """Add a leaf, with the counts of some targets; returns its number, or -1 if memory ran out."""
    cdef int64_t i = tree.n_nodes, capacity = max(64, 2 * tree.capacity)
    cdef int32_t v
    cdef int32_t *row
    if i == tree.capacity:
        if (longer(<void **> &tree.asked, capacity * sizeof(Question)) < 0
                or longer(<void **> &tree.left, capacity * sizeof(int32_t)) < 0
                or longer(<void **> &tree.candidates, capacity * sizeof(int32_t)) < 0
                or longer(<void **> &tree.counts, capacity * tree.n_categories * sizeof(int32_t)) < 0):
            return -1
        tree.capacity = capacity
    tree.asked[i], tree.left[i], tree.candidates[i] = Question(-1, 0, 0), 0, 0
    row = tree.counts + i * tree.n_categories
    memset(row, 0, tree.n_categories * sizeof(int32_t))
    for v in range(n_targets):
        row[targets[v]] = counts[v]
    tree.n_nodes += 1
    return i


cdef inline int longer(void **array, int64_t n_bytes) noexcept nogil:
    cdef void *moved = realloc(array[0], n_bytes)
    if moved == NULL:
        return -1
    array[0] = moved
    return 0


cdef inline void grown_free(Grown *tree) noexcept nogil:
    free(tree.asked)
    free(tree.left)
    free(tree.candidates)
    free(tree.counts)
    memset(tree, 0, sizeof(Grown))
