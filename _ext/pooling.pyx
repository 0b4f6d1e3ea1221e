"""The logarithmic pool of the voices at every column: p(v) proportional to the product of powers of what they say.

Three voices give distributions: tree, further trees and hidden column. Their average, shared out by column, is a voice
too, and so are the logistic regression and the neural network, whose logits z stand for exp(z): whatever normalises
them cancels.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t

from _ext.kernels cimport TF_LANES, TF_VOICES, current_kernels, tf_kernels

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)

cdef enum:
    WIDEST = 256
    AVERAGED = 3            # tree, further trees, hidden column
    SWEEPS = 200            # of `least_quadratic`
    APART_ROWS = 256        # that `apart` reads together
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


def apart(const double[:, :, ::1] log_prob, const float[:, :, ::1] logits, const int32_t[::1] cell,
          const int32_t[::1] first, const uint8_t[:, ::1] values):
    """How much likelier each voice thinks each other value than the row's own, in logarithms: all that `slopes` asks.

    Parameters
    ----------
    log_prob : ndarray of shape (4, n_rows, n_values), float64
        Logarithms of what the average and the three say; the others are as `pooled` takes them.
    logits : ndarray of shape (1 or 2, n_rows, n_outputs), float32
        Of the regressions, and of the network.
    values : ndarray of shape (n_rows, n_columns), uint8
        Of each row, by column.

    Returns
    -------
    said : ndarray of shape (n_values - n_columns, n_voices, stride), float64
        Column after column; rows up to a multiple of what the engine wants, of zeros.
    """
    cdef int64_t n_rows = values.shape[0], n_columns = values.shape[1], b, r, t, start, at, own, other
    cdef int32_t v, e, n = log_prob.shape[0], n_added = logits.shape[0]
    result = np.zeros((log_prob.shape[2] - n_columns, n + n_added, (n_rows + TF_LANES - 1) // TF_LANES * TF_LANES))
    cdef double[:, :, ::1] out = result
    with nogil:
        for b in range((n_rows + APART_ROWS - 1) // APART_ROWS):
            at, start = 0, b * APART_ROWS
            for t in range(n_columns):
                for r in range(start, min(start + APART_ROWS, n_rows)):
                    own = first[t] + values[r, t]
                    for v in range(first[t + 1] - first[t] - 1):
                        other = first[t] + v + (first[t] + v >= own)
                        for e in range(n):
                            out[at + v, e, r] = log_prob[e, r, other] - log_prob[e, r, own]
                        for e in range(n_added):
                            out[at + v, n + e, r] = (logit(&logits[e, r, 0], cell[other])
                                                     - logit(&logits[e, r, 0], cell[own]))
                at += first[t + 1] - first[t] - 1
    return result


def slopes(const double[:, :, ::1] said, const int32_t[::1] first, int64_t n_rows, const double[:, ::1] exponent,
           const uint8_t[::1] asked, int n_threads=1):
    """Negative log-likelihood of the rows' values, by column, and its derivatives with respect to the exponents.

    Parameters
    ----------
    said : ndarray of shape (n_values - n_columns, n_voices, stride), float64
        As `apart` gives it.
    first : ndarray of shape (n_columns + 1,), int32
        Where the values of each column start.
    n_rows : int
    exponent : ndarray of shape (n_columns, n_voices), float64
    asked : ndarray of shape (n_columns,), uint8
        Which columns to tell of.
    n_threads : int

    Returns
    -------
    sums : ndarray of shape (n_columns, 1 + n_voices + n_voices * (n_voices + 1) / 2), float64
        The sum over rows; by each exponent; by each two of them, the first with all, the second with those from the
        second on, and so on; nats. Zeros of columns that are not asked about.
    """
    cdef int64_t n_columns = exponent.shape[0], stride = said.shape[2], t, others
    cdef const tf_kernels *kernels = current_kernels()
    cdef int64_t n_voices = exponent.shape[1]
    result = np.zeros((n_columns, 1 + n_voices + n_voices * (n_voices + 1) // 2))
    if said.size == 0:
        return result
    cdef double[:, ::1] sums = result, scratch = np.empty((n_threads, WIDEST * TF_LANES))
    for t in prange(n_columns, nogil=True, schedule="dynamic", num_threads=n_threads,
                    use_threads_if=said.shape[0] * stride > PARALLEL_WORK):
        others = first[t + 1] - first[t] - 1
        if asked[t] and others > 0:
            kernels.pool_slopes(&said[first[t] - t, 0, 0], n_voices, others, n_rows, stride, &exponent[t, 0],
                                &scratch[threadid(), 0], &sums[t, 0])
    return result


def share_slopes(const double[:, ::1] present, const double[:, ::1] newcomer, const double[::1] share):
    """Derivatives of the log-likelihood of two voices' average by the share of the second, in each column.

    Parameters
    ----------
    present, newcomer : ndarray of shape (n_rows, n_columns), float64
        Probabilities of the values.
    share : ndarray of shape (n_columns,), float64

    Returns
    -------
    slope, curvature : ndarray of shape (n_columns,), float64
        The second with its sign turned.
    """
    cdef int64_t n_rows = present.shape[0], n_columns = present.shape[1], r, t
    result = np.zeros((2, n_columns))
    cdef double[:, ::1] out = result
    cdef const double *one
    cdef const double *other
    cdef double *slope
    cdef double *curvature
    cdef double gain, part
    if n_rows == 0 or n_columns == 0:
        return result
    slope, curvature = &out[0, 0], &out[1, 0]
    with nogil:
        for r in range(n_rows):
            one, other = &present[r, 0], &newcomer[r, 0]
            for t in range(n_columns):
                gain = other[t] - one[t]
                part = gain / (one[t] + share[t] * gain)
                slope[t] += part
                curvature[t] += part * part
    return result


def least_quadratic(const double[:, ::1] sums, const double[:, ::1] exponent, const uint8_t[::1] free):
    """Where the quadratic of these slopes, column by column, is least among points that are nowhere negative.

    By coordinates in turn, from the exponents on; never higher than there.

    Parameters
    ----------
    sums : ndarray of shape (n_columns, 1 + n_voices + n_voices * (n_voices + 1) / 2), float64
        As `slopes` gives them; the curvatures of each column are positive definite.
    exponent : ndarray of shape (n_columns, n_voices), float64
        Where they are of.
    free : ndarray of shape (n_voices,), uint8
        Whether each exponent may change.

    Returns
    -------
    least : ndarray of shape (n_columns, n_voices), float64
    """
    cdef int64_t n_columns = exponent.shape[0], n_voices = exponent.shape[1], t, e, f, h
    cdef double[TF_VOICES][TF_VOICES] curve
    cdef double slope, new, most
    result = np.array(exponent)
    cdef double[:, ::1] at = result
    with nogil:
        for t in range(n_columns):
            h = 1 + n_voices
            for e in range(n_voices):
                for f in range(e, n_voices):
                    curve[e][f] = curve[f][e] = sums[t, h]
                    h += 1
            for _ in range(SWEEPS):
                most = 0.0
                for e in range(n_voices):
                    if not free[e]:
                        continue
                    slope = sums[t, 1 + e]
                    for f in range(n_voices):
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


cdef inline void normalise(double *scores, int32_t k) noexcept nogil:
    """The softmax of scores, in their place."""
    cdef double most = scores[0], total = 0.0
    cdef int32_t v
    for v in range(1, k):
        most = max(most, scores[v])
    for v in range(k):
        scores[v] = tf_exp(max(scores[v] - most, -600.0))
        total += scores[v]
    for v in range(k):
        scores[v] /= total
