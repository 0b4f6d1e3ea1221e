"""Mixtures whose states have a normal distribution of the numbers and independent distributions of the codes.

States stand next to each other, so that loops over them are vectors, and sums run over the rows in one order, block
after block: the same bits on every machine, whatever the threads. The numbers of a row are told one after the other:
with the precision of a state factored as P'P, P lower triangular, those before place t make of it a normal variable
y_t = sum over s up to t of P_ts z_s - (P mean)_t.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)

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
    cdef const double *factors = &factor[0, 0] if n_pairs > 0 else NULL
    cdef const double *shifts = &shift[0, 0] if n_numbers > 0 else NULL
    cdef const double *probs = &log_prob[0, 0] if n_values > 0 else NULL
    cdef const double *numbers
    cdef const int32_t *codes
    for b in prange(n_blocks, nogil=True, num_threads=n_threads, schedule="dynamic",
                    use_threads_if=n_rows * n_pairs * n_states > PARALLEL_WORK):
        for r in range(n_rows * b // n_blocks, n_rows * (b + 1) // n_blocks):
            numbers = &z[r, 0] if n_numbers > 0 else NULL
            codes = &cells[r, 0] if n_coded > 0 else NULL
            score[b] += respond(numbers, n_numbers, codes, n_coded, n_states, &base[0], factors, shifts, probs,
                                &scratch[threadid(), 0], &scratch[threadid(), n_states])
            collect(numbers, n_numbers, codes, n_coded, n_states, &scratch[threadid(), 0], &sums[b, 0])
    total = summed[0]
    for part in summed[1:]:
        total += part
    rows, first, second, counts = np.split(
        total.reshape(-1, n_states), np.cumsum([1, n_numbers, n_pairs]).tolist())
    return rows[0], first, second, counts, float(sum(scores.tolist())) / n_rows


cdef double respond(const double *z, int64_t n_numbers, const int32_t *cells, int64_t n_coded, int64_t n_states,
                    const double *base, const double *factor, const double *shift, const double *log_prob,
                    double *share, double *y) noexcept nogil:
    """Posterior of the states given a row; returns its log-likelihood."""
    cdef int64_t t, s, k, c
    cdef double most, total = 0
    for k in range(n_states):
        share[k] = base[k]
    for c in range(n_coded):
        for k in range(n_states):
            share[k] += log_prob[cells[c] * n_states + k]
    for t in range(n_numbers):
        for k in range(n_states):
            y[k] = -shift[t * n_states + k]
        for s in range(t + 1):
            add(y, factor, z[s], n_states)
            factor += n_states
        for k in range(n_states):
            share[k] -= 0.5 * y[k] * y[k]
    most = share[0]
    for k in range(n_states):
        if share[k] > most:
            most = share[k]
    for k in range(n_states):
        share[k] = tf_exp(share[k] - most)
        total += share[k]
    for k in range(n_states):
        share[k] /= total
    return most + tf_log(total)


cdef void collect(const double *z, int64_t n_numbers, const int32_t *cells, int64_t n_coded, int64_t n_states,
                  const double *share, double *sums) noexcept nogil:
    """Add a row to the sums of the states."""
    cdef int64_t t, s, c
    add(sums, share, 1.0, n_states)
    sums += n_states
    for t in range(n_numbers):
        add(sums, share, z[t], n_states)
        sums += n_states
    for t in range(n_numbers):
        for s in range(t + 1):
            add(sums, share, z[t] * z[s], n_states)
            sums += n_states
    for c in range(n_coded):
        add(sums + cells[c] * n_states, share, 1.0, n_states)


cdef inline void add(double *to, const double *values, double times, int64_t n) noexcept nogil:
    cdef int64_t k
    for k in range(n):
        to[k] += times * values[k]


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
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_states * t > PARALLEL_WORK):
        for k in range(n_states):
            out[r, k] = -shift[t, k]
        for s in range(t):
            add(&out[r, 0], &factor[first + s, 0], z[r, s], n_states)
    return result
