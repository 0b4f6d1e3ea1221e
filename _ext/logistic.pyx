"""Logistic regressions of every column on those before it, all at once.

A column's reference is its most common value; every other value is a cell, numbered column after column in order. A
row is its cells: the logits of the columns after a cell's own each get the cell's coefficient, so that a row costs
what it has uncommon. Sums run in one order whatever the machine and the threads.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from _ext.kernels cimport current_kernels, tf_kernels, tf_regression

cdef enum:
    BLOCKS = 16             # of rows at most, each with sums of its own
    BLOCK_ROWS = 512        # and at least so many rows in each
    BLOCK_SUMS = 16777216   # of all blocks together
    PARALLEL_WORK = 262144  # cells below which waking threads costs more than it saves


def gradient(const int32_t[::1] cells, const int64_t[::1] starts, const float[::1] weight, const float[::1] base,
             const float[:, ::1] coefficient, const int32_t[::1] first, const int32_t[:, ::1] wide,
             int64_t first_output, int n_threads=1):
    """Gradient of the weighted negative log-likelihood of some columns that follow each other.

    Parameters
    ----------
    cells : ndarray of shape (n,), int32
        Cells of the rows, row after row, ascending in each.
    starts : ndarray of shape (n_rows + 1,), int64
    weight : ndarray of shape (n_rows,), float32
    base : ndarray of shape (n_outputs,), float32
        A multiple of 16; the outputs are the columns' cells, and after them some that do not count.
    coefficient : ndarray of shape (n_cells, n_outputs), float32
        Of all cells up to the last column's; 0 where the output is of the cell's own column or of one before it.
    first : ndarray of shape (n_cells,), int32
        The first output on which each cell bears, rounded down to a multiple of 16.
    wide : ndarray of shape (n_wide, 2), int32
        Outputs of each column of more than two values: the first, and one after the last.
    first_output : int
        The cell that is the first output.
    n_threads : int

    Returns
    -------
    gradient : ndarray of shape (1 + n_cells, n_outputs), float64
        With respect to ``base``, and to ``coefficient``; also where that is 0.
    """
    cdef int64_t n_rows = starts.shape[0] - 1, n_outputs = base.shape[0], size = (1 + coefficient.shape[0]) * n_outputs
    cdef int64_t n_blocks = max(1, min(BLOCKS, n_rows // BLOCK_ROWS, BLOCK_SUMS // size)), b, start, end
    cdef const tf_kernels *kernels = current_kernels()
    cdef tf_regression of
    summed = np.zeros((n_blocks, 1 + coefficient.shape[0], n_outputs), dtype=np.float32)
    cdef float[:, :, ::1] sums = summed
    cdef float[:, ::1] scratch = np.empty((n_threads, 2 * n_outputs), dtype=np.float32)
    of.base, of.n_outputs, of.n_cells, of.first_output = &base[0], n_outputs, coefficient.shape[0], first_output
    of.coefficient = &coefficient[0, 0] if of.n_cells else NULL
    of.from_ = &first[0] if of.n_cells else NULL
    of.n_wide = wide.shape[0]
    of.wide = &wide[0, 0] if of.n_wide else NULL
    for b in prange(n_blocks, nogil=True, num_threads=n_threads, schedule="dynamic",
                    use_threads_if=n_rows * n_outputs > PARALLEL_WORK):
        start = n_rows * b // n_blocks
        end = n_rows * (b + 1) // n_blocks
        kernels.regress(&of, &cells[0], &starts[start], &weight[start], end - start, &scratch[threadid(), 0],
                        &sums[b, 0, 0])
    return summed.sum(axis=0, dtype=np.float64)


def logits(const uint8_t[:, ::1] rows, const int32_t[::1] order, const int32_t[::1] first_category,
           const int32_t[::1] cell, const float[::1] base, const float[:, ::1] coefficient, const int32_t[::1] first,
           int n_threads=1):
    """Logits of every value that is not its column's reference, given the columns before.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns), uint8
    order : ndarray of shape (n_columns,), int32
    first_category : ndarray of shape (n_columns + 1,), int32
    cell : ndarray of shape (n_categories,), int32
        Of each category, column after column; -1 for the reference.
    base, coefficient, first
        As `gradient` takes them, of all columns.
    n_threads : int

    Returns
    -------
    logits : ndarray of shape (n_rows, n_outputs), float32
    """
    cdef int64_t n_rows = rows.shape[0], n_columns = order.shape[0], n_outputs = base.shape[0], r, t, n
    cdef const tf_kernels *kernels = current_kernels()
    cdef int32_t c
    cdef int32_t *found
    result = np.empty((n_rows, n_outputs), dtype=np.float32)
    cdef float[:, ::1] out = result
    cdef int32_t[:, ::1] scratch = np.empty((n_threads, n_columns), dtype=np.int32)
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_outputs > PARALLEL_WORK):
        found = &scratch[threadid(), 0]
        n = 0
        for t in range(n_columns):
            c = cell[first_category[order[t]] + rows[r, order[t]]]
            if c >= 0:
                found[n] = c
                n = n + 1
        memcpy(&out[r, 0], &base[0], n_outputs * sizeof(float))
        if n > 0:
            kernels.add_cells(found, n, &coefficient[0, 0], &first[0], n_outputs, &out[r, 0])
    return result


def observe(float[:, ::1] logits, const int32_t[::1] cell, const uint8_t[::1] values, const float[:, ::1] coefficient,
            const int32_t[::1] first, int n_threads=1):
    """Add to the logits of each row, in place, what its value of one column, with these cells, says."""
    cdef int64_t n_rows = logits.shape[0], n_outputs = logits.shape[1], r
    cdef const tf_kernels *kernels = current_kernels()
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_outputs > PARALLEL_WORK):
        if cell[values[r]] >= 0:
            kernels.add_cells(&cell[values[r]], 1, &coefficient[0, 0], &first[0], n_outputs, &logits[r, 0])
