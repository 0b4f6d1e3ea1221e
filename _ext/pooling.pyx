"""The logarithmic pool of two voices at every column: p(v) proportional to q(v)^a exp(b z_v) over the column's values.

q is the distribution that one voice gives the column, z the logits of the other: whatever normalises those cancels.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)

cdef enum:
    WIDEST = 256
    SUMS = 6                # of `slopes`
    BLOCKS = 16             # of rows, each with sums of its own
    PARALLEL_WORK = 16384   # values below which waking threads costs more than it saves


def pooled(const double[:, ::1] prob, const float[:, ::1] logits, const int32_t[::1] cell, const int32_t[::1] first,
           const double[:, ::1] exponent, int n_threads=1):
    """Distribution of every column by both voices.

    Parameters
    ----------
    prob : ndarray of shape (n_rows, n_values), float64
        Of the values of each column, column after column.
    logits : ndarray of shape (n_rows, n_outputs), float32
    cell : ndarray of shape (n_values,), int32
        Which of the logits is of each value; -1 for 0.
    first : ndarray of shape (n_columns + 1,), int32
        Where the values of each column start.
    exponent : ndarray of shape (n_columns, 2), float64
        a and b.
    n_threads : int

    Returns
    -------
    pooled : ndarray of shape (n_rows, n_values), float64
    """
    cdef int64_t n_rows = prob.shape[0], n_columns = exponent.shape[0], r, t
    result = np.empty((n_rows, prob.shape[1]))
    cdef double[:, ::1] out = result
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * prob.shape[1] > PARALLEL_WORK):
        for t in range(n_columns):
            pool(&prob[r, first[t]], &logits[r, 0], &cell[first[t]], first[t + 1] - first[t], exponent[t, 0],
                 exponent[t, 1], &out[r, first[t]])
    return result


def pooled_values(const double[:, ::1] prob, const float[:, ::1] logits, const int32_t[::1] cell,
                  const int32_t[::1] first, const double[:, ::1] exponent, const uint8_t[:, ::1] values,
                  int n_threads=1):
    """What `pooled` says of one value of each column: ndarray of shape (n_rows, n_columns), float64."""
    cdef int64_t n_rows = prob.shape[0], n_columns = exponent.shape[0], r, t
    result = np.empty((n_rows, n_columns))
    cdef double[:, ::1] out = result, scratch = np.empty((n_threads, WIDEST))
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * prob.shape[1] > PARALLEL_WORK):
        for t in range(n_columns):
            pool(&prob[r, first[t]], &logits[r, 0], &cell[first[t]], first[t + 1] - first[t], exponent[t, 0],
                 exponent[t, 1], &scratch[threadid(), 0])
            out[r, t] = scratch[threadid(), values[r, t]]
    return result


def slopes(const double[:, ::1] log_prob, const float[:, ::1] logits, const int32_t[::1] cell,
           const int32_t[::1] first, const double[:, ::1] exponent, const uint8_t[:, ::1] values, int n_threads=1):
    """Negative log-likelihood of values, by column, and its derivatives with respect to the exponents.

    Parameters
    ----------
    log_prob : ndarray of shape (n_rows, n_values), float64
        Logarithms of ``prob`` as `pooled` takes it; so are the others.
    values : ndarray of shape (n_rows, n_columns), uint8

    Returns
    -------
    sums : ndarray of shape (n_columns, 6), float64
        The sum over rows; by a, by b; by a twice, by a and b, by b twice; nats.
    """
    cdef int64_t n_rows = log_prob.shape[0], n_columns = exponent.shape[0], b, r, t
    summed = np.zeros((BLOCKS, n_columns, SUMS))
    cdef double[:, :, ::1] sums = summed
    cdef double[:, ::1] scratch = np.empty((n_threads, WIDEST))
    for b in prange(BLOCKS, nogil=True, num_threads=n_threads,
                    use_threads_if=n_rows * log_prob.shape[1] > PARALLEL_WORK):
        for r in range(n_rows * b // BLOCKS, n_rows * (b + 1) // BLOCKS):
            for t in range(n_columns):
                add_slopes(&log_prob[r, first[t]], &logits[r, 0], &cell[first[t]], first[t + 1] - first[t],
                           exponent[t, 0], exponent[t, 1], values[r, t], &scratch[threadid(), 0], &sums[b, t, 0])
    return summed.sum(axis=0)


cdef inline double logit(const float *logits, int32_t cell) noexcept nogil:
    return logits[cell] if cell >= 0 else 0.0


cdef inline void pool(const double *prob, const float *logits, const int32_t *cell, int32_t k, double a, double b,
                      double *out) noexcept nogil:
    cdef double difference
    cdef int32_t v
    if a == 1.0 and b == 0.0:
        for v in range(k):
            out[v] = prob[v]
    elif k == 2:
        difference = a * tf_log(prob[1] / prob[0]) + b * (logit(logits, cell[1]) - logit(logits, cell[0]))
        # neither value becomes impossible
        difference = min(max(difference, -600.0), 600.0)
        out[0] = 1.0 / (1.0 + tf_exp(difference))
        out[1] = 1.0 / (1.0 + tf_exp(-difference))
    else:
        for v in range(k):
            out[v] = a * tf_log(prob[v]) + b * logit(logits, cell[v])
        normalise(out, k)


cdef inline double normalise(double *scores, int32_t k) noexcept nogil:
    """The softmax of scores, in their place; the logarithm of what they are divided by."""
    cdef double most = scores[0], total = 0.0
    cdef int32_t v
    for v in range(1, k):
        most = max(most, scores[v])
    for v in range(k):
        scores[v] = tf_exp(max(scores[v] - most, -600.0))
        total += scores[v]
    for v in range(k):
        scores[v] /= total
    return most + tf_log(total)


cdef inline void add_slopes(const double *log_prob, const float *logits, const int32_t *cell, int32_t k, double a,
                            double b, int32_t value, double *p, double *sums) noexcept nogil:
    cdef double q, z, mean_q = 0.0, mean_z = 0.0, qq = 0.0, qz = 0.0, zz = 0.0
    cdef int32_t v
    for v in range(k):
        p[v] = a * log_prob[v] + b * logit(logits, cell[v])
    sums[0] += normalise(p, k) - a * log_prob[value] - b * logit(logits, cell[value])
    for v in range(k):
        q, z = log_prob[v], logit(logits, cell[v])
        mean_q += p[v] * q
        mean_z += p[v] * z
        qq += p[v] * q * q
        qz += p[v] * q * z
        zz += p[v] * z * z
    sums[1] += mean_q - log_prob[value]
    sums[2] += mean_z - logit(logits, cell[value])
    sums[3] += qq - mean_q * mean_q
    sums[4] += qz - mean_q * mean_z
    sums[5] += zz - mean_z * mean_z
