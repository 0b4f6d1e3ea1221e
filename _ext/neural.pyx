"""Neural networks that tell every column of a row by those before it, with one layer of rectified units.

Cells are those of `logistic`. A unit's sum grows by what each cell that comes in says, and what the sum exceeds 0 by
bears upon the logits of the next column; so a row costs its cells times the units. Sums run in one order whatever the
machine and the threads.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from _ext.kernels cimport TF_MOST_UNITS, TF_ROWS, current_kernels, tf_batch, tf_kernels, tf_network

MOST_UNITS = TF_MOST_UNITS

cdef enum:
    MOST_PARTS = 16        # of a batch, each of TF_ROWS
    SHARES = 4             # of the cells, that threads step apart
    PARALLEL_WORK = 65536  # cells times units below which waking threads costs more than it saves


def train(const uint8_t[:, ::1] rows, const int64_t[::1] visited, const double[::1] rate, const int32_t[::1] order,
          const int32_t[::1] first_category, const int32_t[::1] cell, const int32_t[::1] first,
          const uint8_t[::1] told, int64_t n_units, double pull, float[::1] parameter, float[:, ::1] moments,
          double[::1] faded, int n_threads=1):
    """Steps of Adam down the negative log-likelihood of rows, batch after batch, in place.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns), uint8
    visited : ndarray of shape (n_steps * n_batch,), int64
        Numbers of the rows of all batches; n_batch is a multiple of 8, at most 128.
    rate : ndarray of shape (n_steps,), float64
        How far each step goes.
    order : ndarray of shape (n_columns,), int32
    first_category : ndarray of shape (n_columns + 1,), int32
    cell : ndarray of shape (n_categories,), int32
        Of each category, column after column; -1 for the reference.
    first : ndarray of shape (n_columns + 1,), int32
        Where the cells of each column start, in order.
    told : ndarray of shape (n_columns,), uint8
        Whether the network is to tell the column, in order.
    n_units : int
        A multiple of 16, at most `MOST_UNITS`.
    pull : float
        Half of which times the squares of all parameters but constants is added to the mean over rows.
    parameter : ndarray of shape (n_units + 2 * n_cells * n_units + n_cells,), float32
        Of the units: bias, inward (n_cells, n_units), outward (n_cells, n_units); of the cells: constant.
    moments : ndarray of shape (2, n_parameters), float32
        Faded means of slopes and of their squares.
    faded : ndarray of shape (2,), float64
        What part of these is of the time before the first step: 1 and 1 then.
    n_threads : int
    """
    cdef int64_t n_steps = rate.shape[0], n_columns = order.shape[0], n_cells = first[order.shape[0]], n_parts
    cdef int64_t n_batch = visited.shape[0] // max(n_steps, 1), s, b, r, t, i
    cdef const tf_kernels *kernels = current_kernels()
    cdef tf_network of = network(&parameter[0], first, told, n_units)
    cdef tf_batch parts[MOST_PARTS]
    cdef float by
    if n_batch % TF_ROWS or n_batch > MOST_PARTS * TF_ROWS:
        raise ValueError(f"steps of {n_batch} rows: not a multiple of {TF_ROWS}, or more than {MOST_PARTS * TF_ROWS}")
    n_parts = n_batch // TF_ROWS
    cdef int32_t[:, :, :, ::1] whole = np.empty((2, n_parts, n_columns, TF_ROWS), dtype=np.int32)
    # as large as rows could ask for, of which most is never touched
    cdef float[:, :, ::1] units = np.empty((2, n_parts, n_columns * TF_ROWS * n_units), dtype=np.float32)
    cdef float[:, ::1] errors = np.empty((n_parts, n_cells * TF_ROWS), dtype=np.float32)
    cdef float[:, ::1] scratch = np.empty((n_parts, 2 * TF_ROWS * n_units), dtype=np.float32)
    cdef bint parallel = n_batch * n_cells * n_units > PARALLEL_WORK
    for b in range(n_parts):
        parts[b].cell, parts[b].held = &whole[0, b, 0, 0], &whole[1, b, 0, 0]
        parts[b].units, parts[b].slopes = &units[0, b, 0], &units[1, b, 0]
        parts[b].errors, parts[b].scratch = &errors[b, 0], &scratch[b, 0]
    for s in range(n_steps):
        for b in prange(n_parts, nogil=True, num_threads=n_threads, use_threads_if=parallel):
            for i in range(TF_ROWS):
                r = visited[s * n_batch + b * TF_ROWS + i]
                for t in range(n_columns):
                    parts[b].cell[t * TF_ROWS + i] = cell[first_category[order[t]] + rows[r, order[t]]]
            kernels.descend(&of, &parts[b])
        faded[0] *= 0.9
        faded[1] *= 0.999
        by = <float> (rate[s] * sqrt(1.0 - faded[1]) / (1.0 - faded[0]))
        for b in prange(SHARES, nogil=True, num_threads=n_threads, use_threads_if=parallel):
            kernels.step(&of, &parts[0], n_parts, n_cells * b // SHARES, n_cells * (b + 1) // SHARES, &moments[0, 0],
                         &moments[1, 0], <float> (1.0 / n_batch), <float> pull, by)


def logits(const uint8_t[:, ::1] rows, const int32_t[::1] order, const int32_t[::1] first_category,
           const int32_t[::1] cell, const int32_t[::1] first, const uint8_t[::1] told, int64_t n_units,
           const float[::1] parameter, int n_threads=1):
    """Logits of every cell given the columns before its own: ndarray of shape (n_rows, n_cells), float32.

    0 of columns that are not told. Parameters as `train` takes them.
    """
    cdef int64_t n_rows = rows.shape[0], n_columns = order.shape[0], n_cells = first[order.shape[0]], r, t
    cdef const tf_kernels *kernels = current_kernels()
    cdef tf_network of = network(<float *> &parameter[0], first, told, n_units)
    cdef int32_t c
    cdef float *sums
    result = np.zeros((n_rows, n_cells), dtype=np.float32)
    cdef float[:, ::1] out = result, scratch = np.empty((n_threads, n_units), dtype=np.float32)
    if n_cells == 0:
        return result
    for r in prange(n_rows, nogil=True, num_threads=n_threads,
                    use_threads_if=n_rows * n_cells * n_units > PARALLEL_WORK):
        sums = &scratch[threadid(), 0]
        memcpy(sums, of.bias, n_units * sizeof(float))
        for t in range(n_columns):
            if told[t] and first[t + 1] > first[t]:
                kernels.tell(&of, sums, first[t], first[t + 1], &out[r, first[t]])
            c = cell[first_category[order[t]] + rows[r, order[t]]]
            if c >= 0:
                add(&parameter[0], c, n_units, sums)
    return result


def logits_at(const float[:, ::1] sums, int64_t t, const int32_t[::1] first, const uint8_t[::1] told,
              const float[::1] parameter, int n_threads=1):
    """Logits of the cells of one place of the order: (n_rows, n), float32. ``sums`` are those of the rows' units."""
    cdef int64_t n_rows = sums.shape[0], n_units = sums.shape[1], start = first[t], end = first[t + 1], r
    cdef const tf_kernels *kernels = current_kernels()
    cdef tf_network of = network(<float *> &parameter[0], first, told, n_units)
    result = np.zeros((n_rows, end - start), dtype=np.float32)
    cdef float[:, ::1] out = result
    if told[t] and end > start:
        for r in prange(n_rows, nogil=True, num_threads=n_threads,
                        use_threads_if=n_rows * (end - start) * n_units > PARALLEL_WORK):
            kernels.tell(&of, &sums[r, 0], start, end, &out[r, 0])
    return result


def observe(float[:, ::1] sums, const int32_t[::1] cell, const uint8_t[::1] values, const float[::1] parameter):
    """Add to the sums of each row's units, in place, what its value of one column, with these cells, says."""
    cdef int64_t n_rows = sums.shape[0], n_units = sums.shape[1], r
    with nogil:
        for r in range(n_rows):
            if cell[values[r]] >= 0:
                add(&parameter[0], cell[values[r]], n_units, &sums[r, 0])


cdef inline void add(const float *parameter, int64_t c, int64_t n_units, float *sums) noexcept nogil:
    cdef const float *of = parameter + (1 + c) * n_units
    cdef int64_t i
    for i in range(n_units):
        sums[i] += of[i]


cdef inline tf_network network(float *parameter, const int32_t[::1] first, const uint8_t[::1] told,
                               int64_t n_units) noexcept nogil:
    cdef tf_network of
    cdef int64_t n_cells = first[first.shape[0] - 1]
    of.bias = parameter
    of.inward = of.bias + n_units
    of.outward = of.inward + n_cells * n_units
    of.constant = of.outward + n_cells * n_units
    of.first, of.told = &first[0], &told[0]
    of.n_places, of.n_units = told.shape[0], n_units
    return of
