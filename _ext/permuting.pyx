"""Layers at work: rank tables learned from counts, and rows sent through layers."""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _ext.kernels cimport current_kernels, tf_kernels, tf_layer

cdef enum:
    BLOCK_BYTES = 16384  # rows of a block stay in the first-level cache while they go through all layers


def rank_tables(const int32_t[:, ::1] counts, const uint8_t[:, ::1] cells, const int32_t[::1] first_category):
    """Rank-align every column of every leaf within its cell.

    Parameters
    ----------
    counts : ndarray of shape (n_leaves, n), int32
    cells : ndarray of shape (n_leaves, n), uint8
        1 where the leaf's cell allows the category.
    first_category : ndarray of shape (n_columns + 1,), int32

    Returns
    -------
    tables : ndarray of shape (n_leaves, n), uint8
        Where each category goes: the rarest to the lowest category of the cell, and so on, ties by category code;
        categories outside the cell stay.
    """
    cdef int64_t n_leaves = counts.shape[0], i
    cdef int32_t j, n_columns = first_category.shape[0] - 1, v, k, n, at
    cdef int32_t places[256]
    cdef int32_t order[256]
    tables = np.empty((n_leaves, counts.shape[1]), dtype=np.uint8)
    cdef uint8_t[:, ::1] out = tables
    cdef const int32_t *count
    with nogil:
        for i in range(n_leaves):
            for j in range(n_columns):
                count = &counts[i, first_category[j]]
                k = first_category[j + 1] - first_category[j]
                n = 0
                for v in range(k):
                    out[i, first_category[j] + v] = v
                    if cells[i, first_category[j] + v]:
                        places[n] = v
                        at = n
                        while at > 0 and count[order[at - 1]] > count[v]:
                            order[at] = order[at - 1]
                            at = at - 1
                        order[at] = v
                        n = n + 1
                for v in range(n):
                    out[i, first_category[j] + order[v]] = places[v]
    return tables


cdef class Program:
    """Layers compiled for the apply loop, in one direction.

    Parameters
    ----------
    layers : sequence of (column, children, sets, tables)
        In the order of application. column (n_inner,), int32; children (n_inner, 2), int32, a leaf as ``~leaf``; sets
        (n_inner, max n_categories), uint8, 1 where the category goes left; tables (n_leaves, n), uint8, where each
        category goes.
    first_category : ndarray of shape (n_columns + 1,), int32
    """

    cdef list arrays  # keeps alive what `layers` points into
    cdef tf_layer *layers
    cdef int64_t n_layers, n_columns
    cdef int32_t[::1] first_category, wide

    def __cinit__(self, layers, first_category):
        self.layers = <tf_layer *> malloc(max(1, len(layers)) * sizeof(tf_layer))
        if self.layers == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.layers)

    def __init__(self, layers, first_category):
        cdef const int32_t[::1] column
        cdef const int32_t[:, ::1] children
        cdef const uint8_t[:, ::1] sets, flips, tables
        cdef int64_t t
        k = np.diff(first_category)
        starts = first_category[: len(k)]
        self.first_category = np.array(first_category, dtype=np.int32)
        self.wide = np.flatnonzero(k > 2).astype(np.int32)
        self.n_columns, self.n_layers, self.arrays = len(k), len(layers), []
        for t in range(self.n_layers):
            column, children, sets, tables = layers[t]
            # the first entry of a table of two categories is 1 if it swaps them
            flips = np.where(k == 2, np.asarray(tables)[:, starts], 0).astype(np.uint8, order="C")
            self.arrays.append((column, children, sets, flips, tables))
            self.layers[t].n_inner = column.shape[0]
            self.layers[t].column, self.layers[t].children = &column[0], &children[0, 0]
            self.layers[t].sets, self.layers[t].set_stride = &sets[0, 0], sets.shape[1]
            self.layers[t].tables, self.layers[t].table_stride = &tables[0, 0], tables.shape[1]
            self.layers[t].flips = &flips[0, 0]

    def apply(self, const uint8_t[:, ::1] rows, int n_threads=1):
        """Rows after all layers: ndarray of shape (n_rows, n_columns), uint8."""
        result = np.array(rows)
        cdef uint8_t[:, ::1] out = result
        cdef int64_t per_block = max(1, BLOCK_BYTES // max(1, self.n_columns))
        cdef int64_t n_rows = rows.shape[0], n_blocks = (n_rows + per_block - 1) // per_block, block
        cdef const tf_kernels *kernels = current_kernels()
        for block in prange(n_blocks, nogil=True, schedule="static", num_threads=n_threads,
                            use_threads_if=n_blocks > 1):
            kernels.apply_layers(self.layers, self.n_layers, &out[block * per_block, 0],
                                 min(per_block, n_rows - block * per_block), self.n_columns, &self.wide[0],
                                 self.wide.shape[0], &self.first_category[0])
        return result

    def apply_and_sum(self, const uint8_t[:, ::1] rows, const double[::1] values, int n_threads=1):
        """Sum over columns of ``values[category]`` after all layers: ndarray of shape (n_rows,), float64."""
        result = np.empty(rows.shape[0])
        cdef double[::1] out = result
        cdef int64_t per_block = max(1, BLOCK_BYTES // max(1, self.n_columns))
        cdef int64_t n_rows = rows.shape[0], n_blocks = (n_rows + per_block - 1) // per_block, block, start, n
        cdef const tf_kernels *kernels = current_kernels()
        cdef uint8_t[:, ::1] buffer = np.empty((n_threads, per_block * self.n_columns), dtype=np.uint8)
        for block in prange(n_blocks, nogil=True, schedule="static", num_threads=n_threads,
                            use_threads_if=n_blocks > 1):
            start = block * per_block
            n = min(per_block, n_rows - start)
            memcpy(&buffer[threadid(), 0], &rows[start, 0], n * self.n_columns)
            kernels.apply_layers(self.layers, self.n_layers, &buffer[threadid(), 0], n, self.n_columns, &self.wide[0],
                                 self.wide.shape[0], &self.first_category[0])
            sum_rows(&buffer[threadid(), 0], n, self.n_columns, &self.first_category[0], &values[0], &out[start])
        return result


cdef void sum_rows(const uint8_t *rows, int64_t n_rows, int64_t n_columns, const int32_t *first_category,
                   const double *values, double *out) noexcept nogil:
    """Four partial sums, always the same four: the result is one and the same on every machine."""
    cdef int64_t r, j
    cdef double s0, s1, s2, s3
    cdef const uint8_t *row
    for r in range(n_rows):
        row = rows + r * n_columns
        s0 = s1 = s2 = s3 = 0.0
        j = 0
        while j + 4 <= n_columns:
            s0 = s0 + values[first_category[j] + row[j]]
            s1 = s1 + values[first_category[j + 1] + row[j + 1]]
            s2 = s2 + values[first_category[j + 2] + row[j + 2]]
            s3 = s3 + values[first_category[j + 3] + row[j + 3]]
            j = j + 4
        while j < n_columns:
            s0 = s0 + values[first_category[j] + row[j]]
            j = j + 1
        out[r] = (s0 + s1) + (s2 + s3)
