"""Mixtures whose states have a normal distribution of the numbers and independent distributions of the codes.

States stand next to each other, so that loops over them are vectors, and sums run over the rows in one order, block
after block: the same bits on every machine, whatever the threads. The numbers of a row are told one after the other:
with the precision of a state factored as P'P, P lower triangular, those before place t make of it a normal variable
y_t = sum over s up to t of P_ts z_s - (P mean)_t.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t

from _ext.kernels cimport current_kernels, tf_gaussians, tf_kernels

cdef enum:
    BLOCKS = 16             # of rows at most, each with sums of its own
    BLOCK_ROWS = 256        # and at least so many rows in each
    BLOCK_SUMS = 16777216   # of all blocks together
    PARALLEL_WORK = 262144  # products below which waking threads costs more than it saves


def expect(const double[:, ::1] z, const int32_t[:, ::1] cells, const double[::1] base, const double[:, ::1] factor,
           const double[:, ::1] shift, const double[:, ::1] log_prob, int n_threads=1):
    """Expected sums of the states over rows, given what the states are: the first half of a step of EM.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_numbers), float64
    cells : ndarray of shape (n_rows, n_coded), int32
        Where the code of each column that has codes stands in ``log_prob``.
    base : ndarray of shape (n_states,), float64
        log weight + log det P - n_numbers / 2 log(2 pi).
    factor : ndarray of shape (n_numbers * (n_numbers + 1) / 2, n_states), float64
        P, row after row up to its diagonal.
    shift : ndarray of shape (n_numbers, n_states), float64
        P mean.
    log_prob : ndarray of shape (n_values, n_states), float64
    n_threads : int

    Returns
    -------
    rows : ndarray of shape (n_states,), float64
    first : ndarray of shape (n_numbers, n_states), float64
        Sums of the numbers.
    second : ndarray of the shape of ``factor``
        Sums of their products.
    counts : ndarray of the shape of ``log_prob``
    score : float
        Mean log-likelihood of the rows, nats.
    """
    cdef int64_t n_rows = z.shape[0], n_numbers = z.shape[1], n_coded = cells.shape[1], n_states = base.shape[0]
    cdef int64_t n_pairs = factor.shape[0], n_values = log_prob.shape[0]
    cdef int64_t n_sums = (1 + n_numbers + n_pairs + n_values) * n_states
    cdef int64_t n_blocks = max(1, min(BLOCKS, n_rows // BLOCK_ROWS, BLOCK_SUMS // n_sums)), b, r
    summed, scores = np.zeros((n_blocks, n_sums)), np.zeros(n_blocks)
    cdef double[:, ::1] sums = summed, scratch = np.empty((n_threads, 2 * n_states))
    cdef double[::1] score = scores
    cdef const tf_kernels *kernels = current_kernels()
    cdef const double *numbers
    cdef const int32_t *codes
    cdef tf_gaussians of
    of.n_numbers, of.n_coded, of.n_states, of.base = n_numbers, n_coded, n_states, &base[0]
    of.factor = &factor[0, 0] if n_pairs > 0 else NULL
    of.shift = &shift[0, 0] if n_numbers > 0 else NULL
    of.log_prob = &log_prob[0, 0] if n_values > 0 else NULL
    for b in prange(n_blocks, nogil=True, num_threads=n_threads, schedule="dynamic",
                    use_threads_if=n_rows * n_sums > PARALLEL_WORK):
        for r in range(n_rows * b // n_blocks, n_rows * (b + 1) // n_blocks):
            numbers = &z[r, 0] if n_numbers > 0 else NULL
            codes = &cells[r, 0] if n_coded > 0 else NULL
            score[b] += kernels.respond(&of, numbers, codes, &scratch[threadid(), 0], &scratch[threadid(), n_states])
            kernels.collect(&of, numbers, codes, &scratch[threadid(), n_states], &sums[b, 0])
    total = summed[0]
    for part in summed[1:]:
        total += part
    rows, first, second, counts = np.split(
        total.reshape(-1, n_states), np.cumsum([1, n_numbers, n_pairs]).tolist())
    return rows[0], first, second, counts, float(sum(scores.tolist())) / n_rows


def predict(const double[:, ::1] z, int64_t t, const double[:, ::1] factor, const double[:, ::1] shift,
            int n_threads=1):
    """What the numbers before place t make of y_t: ndarray of shape (n_rows, n_states), float64.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_numbers), float64
    t : int
    factor, shift
        As `expect` takes them.
    n_threads : int
    """
    cdef int64_t n_rows = z.shape[0], n_states = factor.shape[1], first = t * (t + 1) // 2, r, s, k
    result = np.empty((n_rows, n_states))
    cdef double[:, ::1] out = result
    cdef double x
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_states * t > PARALLEL_WORK):
        for k in range(n_states):
            out[r, k] = -shift[t, k]
        for s in range(t):
            x = z[r, s]
            for k in range(n_states):
                out[r, k] += x * factor[first + s, k]
    return result
