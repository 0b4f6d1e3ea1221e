"""A mixture of products, column after column: what a hidden state with independent columns says of the next one.

The posterior of the states given the columns so far, w, weighs their distributions of the next column:
p(x_j = v) = sum over s of w_s theta_sj(v); once x_j is known, w_s becomes w_s theta_sj(x_j) / p(x_j).
Sums run over the states in eight strands, the same on every machine, and states are padded to a multiple of eight with
ones of weight zero.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t

from _ext.kernels cimport current_kernels, tf_kernels

cdef extern from "elementary.h" nogil:
    double exp "tf_exp"(double)

cdef enum:
    BLOCKS = 16             # of rows at most, each with sums of its own
    BLOCK_SUMS = 16777216   # of all blocks together
    PARALLEL_WORK = 262144  # products below which waking threads costs more than it saves
    BLOCK_ROWS = 1024       # that a thread counts at a time

cpdef enum:
    SHARE_BITS = 31  # of the fixed point of `count_states`: shares of fewer than 2**31 rows add up in 64 bits


def conditionals(const uint8_t[:, ::1] rows, const int32_t[::1] order, const int32_t[::1] first_category,
                 const double[:, ::1] prob, const double[::1] weight, int n_threads=1):
    """Probability of every value given the columns before it.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns), uint8
    order : ndarray of shape (n_columns,), int32
    first_category : ndarray of shape (n_columns + 1,), int32
    prob : ndarray of shape (n_categories, n_states), float64
        Of each category, column after column, in each state; above 0 where the state's weight is.
    weight : ndarray of shape (n_states,), float64
        Of the states before any column; a multiple of eight of them.
    n_threads : int

    Returns
    -------
    probability : ndarray of shape (n_rows, n_columns), float64
        In the order of the columns given by ``order``.
    """
    cdef int64_t n_rows = rows.shape[0], n_columns = rows.shape[1], n_states = weight.shape[0], r, t, s
    cdef const tf_kernels *kernels = current_kernels()
    cdef int32_t j
    result = np.empty((n_rows, n_columns))
    cdef double[:, ::1] out = result, scratch = np.empty((n_threads, n_states))
    cdef double *w
    for r in prange(n_rows, nogil=True, num_threads=n_threads,
                    use_threads_if=n_rows * n_columns * n_states > PARALLEL_WORK):
        w = &scratch[threadid(), 0]
        for s in range(n_states):
            w[s] = weight[s]
        for t in range(n_columns):
            j = order[t]
            out[r, t] = meet(kernels, w, &prob[first_category[j] + rows[r, j], 0], n_states)
    return result


def distributions(const uint8_t[:, ::1] rows, const int32_t[::1] order, const int32_t[::1] first_category,
                  const double[:, ::1] prob, const double[::1] weight, const uint8_t[::1] whole, int n_threads=1):
    """Probability of every category given the columns before its own.

    Other arguments are those of `conditionals`.

    Parameters
    ----------
    whole : ndarray of shape (n_columns,), uint8
        Which columns, in order, to tell of. Of others only the row's value is told, and the rest of their part left 0.

    Returns
    -------
    probability : ndarray of shape (n_rows, n_categories), float64
        In the order of the columns given by ``order``.
    """
    cdef int64_t n_rows = rows.shape[0], n_columns = rows.shape[1], n_states = weight.shape[0], r, t, s, at
    cdef int32_t j, k
    cdef const tf_kernels *kernels = current_kernels()
    result = np.zeros((n_rows, prob.shape[0]))
    cdef double[:, ::1] out = result, scratch = np.empty((n_threads, n_states))
    cdef double *w
    for r in prange(n_rows, nogil=True, num_threads=n_threads,
                    use_threads_if=n_rows * prob.shape[0] * n_states > PARALLEL_WORK):
        w = &scratch[threadid(), 0]
        for s in range(n_states):
            w[s] = weight[s]
        at = 0
        for t in range(n_columns):
            j = order[t]
            k = first_category[j + 1] - first_category[j]
            if whole[t]:
                kernels.state_sums(w, &prob[first_category[j], 0], k, n_states, &out[r, at])
                move(w, &prob[first_category[j] + rows[r, j], 0], out[r, at + rows[r, j]], n_states)
            else:
                out[r, at + rows[r, j]] = meet(kernels, w, &prob[first_category[j] + rows[r, j], 0], n_states)
            at = at + k
    return result


def observe(double[:, ::1] weights, const double[:, ::1] prob, const uint8_t[::1] values, int n_threads=1):
    """Update the states' weights of each row, (n_rows, n_states), in place by the row's value of one column."""
    cdef int64_t n_rows = weights.shape[0], n_states = weights.shape[1], r
    cdef const tf_kernels *kernels = current_kernels()
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_states > PARALLEL_WORK):
        meet(kernels, &weights[r, 0], &prob[values[r], 0], n_states)


def predict(const double[:, ::1] weights, const double[:, ::1] prob, int n_threads=1):
    """Distribution of one column by the states' weights of each row: ndarray of shape (n_rows, n_categories)."""
    cdef int64_t n_rows = weights.shape[0], n_states = weights.shape[1], k = prob.shape[0], r
    cdef const tf_kernels *kernels = current_kernels()
    result = np.empty((n_rows, k))
    cdef double[:, ::1] out = result
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * k * n_states > PARALLEL_WORK):
        kernels.state_sums(&weights[r, 0], &prob[0, 0], k, n_states, &out[r, 0])
    return result


def expect(const int32_t[::1] cells, const int64_t[::1] starts, const float[::1] weight, const float[::1] base,
           const float[:, ::1] log_prob, int n_threads=1):
    """Posterior of the states in each row, summed up: the E step of EM.

    Parameters
    ----------
    cells : ndarray of shape (n_cells,), int32
        Rows of ``log_prob`` that each table row adds to ``base``, row after row.
    starts : ndarray of shape (n_rows + 1,), int64
        Where the cells of each row start.
    weight : ndarray of shape (n_rows,), float32
        Rows that each row stands for.
    base : ndarray of shape (n_states,), float32
        A multiple of 16; minus infinity where there is no state.
    log_prob : ndarray of shape (n_categories, n_states), float32
    n_threads : int

    Returns
    -------
    counts : ndarray of shape (n_categories, n_states), float64
        Posterior of the rows that have a cell; the same whatever the threads and the instruction set.
    rows : ndarray of shape (n_states,), float64
        Posterior of all rows.
    score : float
        Mean log-likelihood, nats.
    """
    cdef int64_t n_rows = starts.shape[0] - 1, n_states = base.shape[0], block, first, last
    cdef const tf_kernels *kernels = current_kernels()
    # blocks of rows are summed by themselves, so that sums do not depend on the threads; fewer where sums are large
    cdef int64_t n_blocks = max(1, min(BLOCKS, BLOCK_SUMS // (log_prob.shape[0] * n_states)))
    counted = np.zeros((n_blocks, log_prob.shape[0], n_states), dtype=np.float32)
    met = np.zeros((n_blocks, n_states), dtype=np.float32)
    cdef float[:, :, ::1] counts = counted
    cdef float[:, ::1] rows = met, joint = np.empty((n_threads, n_states), dtype=np.float32)
    scored = np.zeros(n_blocks)
    cdef double[::1] score = scored
    for block in prange(n_blocks, nogil=True, num_threads=n_threads, schedule="dynamic",
                        use_threads_if=n_rows * n_states > PARALLEL_WORK):
        first = n_rows * block // n_blocks
        last = n_rows * (block + 1) // n_blocks
        score[block] = kernels.expect(&cells[0], &starts[first], &weight[first], last - first, &base[0],
                                      &log_prob[0, 0], n_states, &joint[threadid(), 0], &counts[block, 0, 0],
                                      &rows[block, 0])
    n = np.sum(weight, dtype=np.float64)
    return counted.sum(axis=0, dtype=np.float64), met.sum(axis=0, dtype=np.float64), scored.sum() / n


def count_states(const uint8_t[:, ::1] rows, const int32_t[::1] weight, const int32_t[::1] first_category,
                 const double[:, ::1] log_prob, const double[::1] log_weight, int n_threads=1):
    """Posterior of the states in each row, summed up in fixed point: the same in any order and for any parts.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns), uint8
    weight : ndarray of shape (n_rows,), int32
        Rows that each row stands for.
    first_category : ndarray of shape (n_columns + 1,), int32
    log_prob : ndarray of shape (n_categories, n_states), float64
    log_weight : ndarray of shape (n_states,), float64
    n_threads : int

    Returns
    -------
    counts : ndarray of shape (n_categories, n_states), int64
        Posterior of the rows that have each category, in units of ``2**-SHARE_BITS`` rows.
    """
    cdef int64_t n_rows = rows.shape[0], n_states = log_weight.shape[0], n_blocks, b
    counted = np.zeros((n_threads, log_prob.shape[0], n_states), dtype=np.int64)
    cdef int64_t[:, :, ::1] counts = counted
    cdef int64_t[:, ::1] shares = np.empty((n_threads, n_states), dtype=np.int64)
    cdef double[:, ::1] joint = np.empty((n_threads, n_states))
    n_blocks = (n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                    use_threads_if=n_rows * n_states > PARALLEL_WORK):
        count_block(&rows[b * BLOCK_ROWS, 0], &weight[b * BLOCK_ROWS], min(BLOCK_ROWS, n_rows - b * BLOCK_ROWS),
                    rows.shape[1], &first_category[0], &log_prob[0, 0], &log_weight[0], n_states,
                    &joint[threadid(), 0], &shares[threadid(), 0], &counts[threadid(), 0, 0])
    return counted.sum(axis=0)


cdef void count_block(const uint8_t *rows, const int32_t *weight, int64_t n_rows, int64_t n_columns,
                      const int32_t *first_category, const double *log_prob, const double *log_weight,
                      int64_t n_states, double *joint, int64_t *shares, int64_t *counts) noexcept nogil:
    cdef int64_t r, j, s
    cdef double most, total
    cdef const double *told
    cdef int64_t *cell
    for r in range(n_rows):
        for s in range(n_states):
            joint[s] = log_weight[s]
        for j in range(n_columns):
            told = log_prob + (first_category[j] + rows[j]) * n_states
            for s in range(n_states):
                joint[s] = joint[s] + told[s]
        most, total = joint[0], 0.0
        for s in range(1, n_states):
            most = max(most, joint[s])
        for s in range(n_states):
            joint[s] = exp(joint[s] - most)
            total = total + joint[s]
        for s in range(n_states):
            shares[s] = <int64_t> (joint[s] / total * (<int64_t> 1 << SHARE_BITS) + 0.5) * weight[r]
        for j in range(n_columns):
            cell = counts + (first_category[j] + rows[j]) * n_states
            for s in range(n_states):
                cell[s] += shares[s]
        rows += n_columns


cdef inline double meet(const tf_kernels *kernels, double *w, const double *theta, int64_t n_states) noexcept nogil:
    """Probability of a value; the weights become those given the value."""
    cdef double p
    kernels.state_sums(w, theta, 1, n_states, &p)
    move(w, theta, p, n_states)
    return p


cdef inline void move(double *w, const double *theta, double p, int64_t n_states) noexcept nogil:
    """The weights become those given a value that had the probability p."""
    cdef double scale = 1.0 / p
    cdef int64_t s
    for s in range(n_states):
        w[s] = w[s] * theta[s] * scale
