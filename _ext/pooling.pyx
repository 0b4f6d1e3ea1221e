"""The logarithmic pool of the voices at every column: p(v) proportional to the product of powers of what they say.

Three voices give distributions: tree, further trees and hidden column. Their average, shared out by column, is a voice
too, and so is the logistic regression, whose logits z stand for exp(z): whatever normalises them cancels.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)

cdef enum:
    WIDEST = 256
    AVERAGED = 3            # tree, further trees, hidden column
    VOICES = 5              # their average, the three by themselves, the logistic regression
    MOMENTS = 15            # of each two of them
    SUMS = 21               # of `slopes`
    SWEEPS = 200            # of `least_quadratic`
    BLOCKS = 16             # of rows, each with sums of its own
    PARALLEL_WORK = 16384   # values below which waking threads costs more than it saves


cdef struct place:
    # of one row and column
    const double *said[AVERAGED]
    const double *share
    const float *logits
    const int32_t *cell
    const double *exponent
    int32_t k


def pooled(const double[:, ::1] tree, const double[:, ::1] forest, const double[:, ::1] hidden,
           const double[:, ::1] share, const float[:, ::1] logits, const int32_t[::1] cell,
           const int32_t[::1] first, const double[:, ::1] exponent, int n_threads=1):
    """Distribution of every column by all voices.

    Parameters
    ----------
    tree, forest, hidden : ndarray of shape (n_rows, n_values), float64
        Probabilities of the values of each column, column after column.
    share : ndarray of shape (n_columns, 3), float64
        Of the three in their average.
    logits : ndarray of shape (n_rows, n_outputs), float32
    cell : ndarray of shape (n_values,), int32
        Which of the logits is of each value; -1 for 0.
    first : ndarray of shape (n_columns + 1,), int32
        Where the values of each column start.
    exponent : ndarray of shape (n_columns, 5), float64
        Of the average, of the three by themselves, of the logits.
    n_threads : int

    Returns
    -------
    pooled : ndarray of shape (n_rows, n_values), float64
    """
    cdef int64_t n_rows = tree.shape[0], n_columns = exponent.shape[0], r, t
    result = np.empty((n_rows, tree.shape[1]))
    cdef double[:, ::1] out = result
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * tree.shape[1] > PARALLEL_WORK):
        for t in range(n_columns):
            pool(place_of(tree, forest, hidden, share, logits, cell, first, exponent, r, t), &out[r, first[t]])
    return result


def pooled_values(const double[:, ::1] tree, const double[:, ::1] forest, const double[:, ::1] hidden,
                  const double[:, ::1] share, const float[:, ::1] logits, const int32_t[::1] cell,
                  const int32_t[::1] first, const double[:, ::1] exponent, const uint8_t[:, ::1] values,
                  int n_threads=1):
    """What `pooled` says of one value of each column: ndarray of shape (n_rows, n_columns), float64."""
    cdef int64_t n_rows = tree.shape[0], n_columns = exponent.shape[0], r, t
    result = np.empty((n_rows, n_columns))
    cdef double[:, ::1] out = result, scratch = np.empty((n_threads, WIDEST))
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * tree.shape[1] > PARALLEL_WORK):
        for t in range(n_columns):
            pool(place_of(tree, forest, hidden, share, logits, cell, first, exponent, r, t), &scratch[threadid(), 0])
            out[r, t] = scratch[threadid(), values[r, t]]
    return result


def slopes(const double[:, :, ::1] log_prob, const float[:, ::1] logits, const int32_t[::1] cell,
           const int32_t[::1] first, const double[:, ::1] exponent, const uint8_t[:, ::1] values, int n_threads=1):
    """Negative log-likelihood of values, by column, and its derivatives with respect to the exponents.

    Parameters
    ----------
    log_prob : ndarray of shape (4, n_rows, n_values), float64
        Logarithms of what the average and the three say; the others are as `pooled` takes them.
    values : ndarray of shape (n_rows, n_columns), uint8

    Returns
    -------
    sums : ndarray of shape (n_columns, 21), float64
        The sum over rows; by each exponent; by each two of them, the first with all, the second with those from the
        second on, and so on; nats.
    """
    cdef int64_t n_rows = log_prob.shape[1], n_columns = exponent.shape[0], b, r, t
    summed = np.zeros((BLOCKS, n_columns, SUMS))
    cdef double[:, :, ::1] sums = summed
    cdef double[:, :, ::1] scratch = np.empty((n_threads, VOICES + 1, WIDEST))
    for b in prange(BLOCKS, nogil=True, num_threads=n_threads,
                    use_threads_if=n_rows * log_prob.shape[2] > PARALLEL_WORK):
        for r in range(n_rows * b // BLOCKS, n_rows * (b + 1) // BLOCKS):
            for t in range(n_columns):
                told(log_prob, logits, cell, first, r, t, &scratch[threadid(), 0, 0])
                add_slopes(&scratch[threadid(), 0, 0], first[t + 1] - first[t], &exponent[t, 0], values[r, t],
                           &sums[b, t, 0])
    return summed.sum(axis=0)


def least_quadratic(const double[:, ::1] sums, const double[:, ::1] exponent, const uint8_t[::1] free):
    """Where the quadratic of these slopes, column by column, is least among points that are nowhere negative.

    By coordinates in turn, from the exponents on; never higher than there.

    Parameters
    ----------
    sums : ndarray of shape (n_columns, 21), float64
        As `slopes` gives them; the curvatures of each column are positive definite.
    exponent : ndarray of shape (n_columns, 5), float64
        Where they are of.
    free : ndarray of shape (5,), uint8
        Whether each exponent may change.

    Returns
    -------
    least : ndarray of shape (n_columns, 5), float64
    """
    cdef int64_t n_columns = exponent.shape[0], t, e, f, h
    cdef double[VOICES][VOICES] curve
    cdef double slope, new, most
    result = np.array(exponent)
    cdef double[:, ::1] at = result
    with nogil:
        for t in range(n_columns):
            h = 1 + VOICES
            for e in range(VOICES):
                for f in range(e, VOICES):
                    curve[e][f] = curve[f][e] = sums[t, h]
                    h += 1
            for _ in range(SWEEPS):
                most = 0.0
                for e in range(VOICES):
                    if not free[e]:
                        continue
                    slope = sums[t, 1 + e]
                    for f in range(VOICES):
                        slope += curve[e][f] * (at[t, f] - exponent[t, f])
                    new = max(at[t, e] - slope / curve[e][e], 0.0)
                    most = max(most, abs(new - at[t, e]))
                    at[t, e] = new
                if most < 1e-9:
                    break
    return result


cdef inline place place_of(const double[:, ::1] tree, const double[:, ::1] forest, const double[:, ::1] hidden,
                           const double[:, ::1] share, const float[:, ::1] logits, const int32_t[::1] cell,
                           const int32_t[::1] first, const double[:, ::1] exponent, int64_t r,
                           int64_t t) noexcept nogil:
    cdef place at
    at.said[0] = &tree[r, first[t]]
    at.said[1] = &forest[r, first[t]]
    at.said[2] = &hidden[r, first[t]]
    at.share, at.logits, at.cell = &share[t, 0], &logits[r, 0], &cell[first[t]]
    at.exponent, at.k = &exponent[t, 0], first[t + 1] - first[t]
    return at


cdef inline double logit(const float *logits, int32_t cell) noexcept nogil:
    return logits[cell] if cell >= 0 else 0.0


cdef inline void pool(place at, double *out) noexcept nogil:
    cdef double difference
    cdef const double *a = at.exponent
    cdef int32_t v, e
    for v in range(at.k):
        out[v] = at.share[0] * at.said[0][v] + at.share[1] * at.said[1][v] + at.share[2] * at.said[2][v]
    if a[0] == 1.0 and a[1] == 0.0 and a[2] == 0.0 and a[3] == 0.0 and a[4] == 0.0:
        return
    if at.k == 2:
        difference = a[0] * tf_log(out[1] / out[0]) if a[0] > 0.0 else 0.0
        for e in range(AVERAGED):
            if a[1 + e] > 0.0:
                difference += a[1 + e] * tf_log(at.said[e][1] / at.said[e][0])
        difference += a[4] * (logit(at.logits, at.cell[1]) - logit(at.logits, at.cell[0]))
        # neither value becomes impossible
        difference = min(max(difference, -600.0), 600.0)
        out[0] = 1.0 / (1.0 + tf_exp(difference))
        out[1] = 1.0 / (1.0 + tf_exp(-difference))
        return
    for v in range(at.k):
        out[v] = a[0] * tf_log(out[v]) if a[0] > 0.0 else 0.0
        for e in range(AVERAGED):
            if a[1 + e] > 0.0:
                out[v] += a[1 + e] * tf_log(at.said[e][v])
        out[v] += a[4] * logit(at.logits, at.cell[v])
    normalise(out, at.k)


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


cdef inline void told(const double[:, :, ::1] log_prob, const float[:, ::1] logits, const int32_t[::1] cell,
                      const int32_t[::1] first, int64_t r, int64_t t, double *said) noexcept nogil:
    """What the voices say of one column in one row, `WIDEST` apart."""
    cdef int32_t e, v
    for v in range(first[t + 1] - first[t]):
        for e in range(VOICES - 1):
            said[e * WIDEST + v] = log_prob[e, r, first[t] + v]
        said[(VOICES - 1) * WIDEST + v] = logit(&logits[r, 0], cell[first[t] + v])


cdef inline void add_slopes(double *said, int32_t k, const double *a, int32_t value,
                            double *sums) noexcept nogil:
    cdef double *p = said + VOICES * WIDEST
    cdef double[VOICES] mean
    cdef double[MOMENTS] moment
    cdef double both
    cdef int32_t e, f, v, h
    for v in range(k):
        p[v] = 0.0
        for e in range(VOICES):
            p[v] += a[e] * said[e * WIDEST + v]
    both = p[value]
    sums[0] += normalise(p, k) - both
    for e in range(VOICES):
        mean[e] = 0.0
    for h in range(MOMENTS):
        moment[h] = 0.0
    for v in range(k):
        h = 0
        for e in range(VOICES):
            both = p[v] * said[e * WIDEST + v]
            mean[e] += both
            for f in range(e, VOICES):
                moment[h] += both * said[f * WIDEST + v]
                h += 1
    h = 0
    for e in range(VOICES):
        sums[1 + e] += mean[e] - said[e * WIDEST + value]
        for f in range(e, VOICES):
            sums[1 + VOICES + h] += moment[h] - mean[e] * mean[f]
            h += 1
