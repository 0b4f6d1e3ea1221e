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

cdef extern from "elementary.h" nogil:
    double tf_log(double)

cdef double LOG_SQRT_2PI = 0.91893853320467274178
cdef double SQRT_2PI = 2.50662827463100050242
cdef double LEAST_DENSITY = 1e-250      # below which its logarithm is summed up from logarithms
cdef double CLOSE = 4.5e-16             # of a step, relative, that ends the search for a number

cdef enum:
    FURTHEST = 39           # standard deviations from a state's mean, within which a number is looked for
    MOST_STEPS = 200
    BLOCKS = 16             # of rows at most, each with sums of its own
    BLOCK_ROWS = 256        # and at least so many rows in each
    BLOCK_SUMS = 16777216   # of all blocks together
    PARALLEL_WORK = 262144  # products below which waking threads costs more than it saves,
    PARALLEL_STATES = 32768  # and numbers times states


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


def mean_distributions(const double[:, ::1] log_weight, const double[:, ::1] prob, int n_threads=1):
    """Distributions of codes, averaged over the states: ndarray of shape (n_rows, n_categories), float64.

    Parameters
    ----------
    log_weight : ndarray of shape (n_rows, n_states), float64
        Up to a constant of each row.
    prob : ndarray of shape (n_categories, n_states), float64
        Of each code in each state.
    n_threads : int
    """
    cdef int64_t n_rows = log_weight.shape[0], n_states = log_weight.shape[1], n = prob.shape[0], r
    result = np.zeros((n_rows, n))
    cdef double[:, ::1] out = result, weight = np.empty((n_threads, n_states))
    cdef const double[:, ::1] of_state = np.ascontiguousarray(np.asarray(prob).T)
    cdef const tf_kernels *kernels = current_kernels()
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_states * n > PARALLEL_WORK):
        kernels.softmax(&log_weight[r, 0], n_states, &weight[threadid(), 0])
        add_weighted(&weight[threadid(), 0], &of_state[0, 0], n_states, n, &out[r, 0])
    return result


cdef void add_weighted(const double *weight, const double *parts, int64_t n_parts, int64_t n,
                       double *out) noexcept nogil:
    cdef int64_t s, k
    for s in range(n_parts):
        for k in range(n):
            out[k] += weight[s] * parts[s * n + k]


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


def observe(const double[:, ::1] log_weight, const double[:, ::1] before, const double[::1] own,
            const double[::1] log_own, const double[::1] z, int n_threads=1):
    """Log-weights of states once a number of each row is known, the largest of a row 0: (n_rows, n_states), float64.

    Parameters
    ----------
    log_weight, before, own, z
        As `destroy` takes them.
    log_own : ndarray of shape (n_states,), float64
    n_threads : int
    """
    cdef int64_t n_rows = z.shape[0], n_states = own.shape[0], r, k
    result = np.empty((n_rows, n_states))
    cdef double[:, ::1] out = result
    cdef double most, y
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_states > PARALLEL_WORK):
        for k in range(n_states):
            y = before[r, k] + own[k] * z[r]
            out[r, k] = log_weight[r, k] + log_own[k] - 0.5 * (y * y)
        most = out[r, 0]
        for k in range(1, n_states):
            most = max(most, out[r, k])
        for k in range(n_states):
            out[r, k] = out[r, k] - most
    return result


def destroy(const double[:, ::1] log_weight, const double[:, ::1] before, const double[::1] own, const double[::1] z,
            int n_threads=1):
    """Uniform numbers by mixtures of normal distributions, a mixture for each row.

    Parameters
    ----------
    log_weight : ndarray of shape (n_rows, n_states), float64
        Up to a constant of each row.
    before : ndarray of shape (n_rows, n_states), float64
    own : ndarray of shape (n_states,), float64
        Above zero; ``before + own * z`` is a state's standard normal number.
    z : ndarray of shape (n_rows,), float64
    n_threads : int

    Returns
    -------
    log_density, below, above : ndarray of shape (n_rows,), float64
        log F'(z), nats; F(z); and 1 - F(z).
    """
    cdef int64_t n_rows = z.shape[0], n_states = own.shape[0], r
    result = np.empty((3, n_rows))
    cdef double[:, ::1] out = result, scratch = np.empty((n_threads, 4 * n_states + 3))
    cdef const tf_kernels *kernels = current_kernels()
    cdef double log_total
    cdef double *told
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_states > PARALLEL_STATES):
        told = &scratch[threadid(), 4 * n_states]
        log_total = kernels.softmax(&log_weight[r, 0], n_states, &scratch[threadid(), 0])
        kernels.normals(&scratch[threadid(), 0], &before[r, 0], &own[0], n_states, z[r],
                        &scratch[threadid(), n_states], told)
        if told[0] > LEAST_DENSITY:
            out[0, r] = tf_log(told[0]) - LOG_SQRT_2PI
        else:
            out[0, r] = far_out(kernels, &log_weight[r, 0], &before[r, 0], &own[0], n_states, z[r],
                                &scratch[threadid(), 0]) - log_total - LOG_SQRT_2PI
        out[1, r], out[2, r] = told[1], told[2]
    return tuple(result)


cdef double far_out(const tf_kernels *kernels, const double *log_weight, const double *before, const double *own,
                    int64_t n_states, double z, double *scratch) noexcept nogil:
    """The logarithm of the sum of what states add to the density."""
    cdef int64_t k
    cdef double y
    for k in range(n_states):
        y = before[k] + own[k] * z
        scratch[k] = log_weight[k] + tf_log(own[k]) - 0.5 * y * y
    return kernels.softmax(scratch, n_states, scratch)


cdef class Cumulatives:
    """Distribution functions of mixtures of normal distributions, one for each row.

    Parameters
    ----------
    log_weight, before, own
        As `destroy` takes them.
    least : float
        Share of a state that is not left out.
    n_threads : int
    """

    cdef double[:, :, ::1] states   # of each row, of those that are left: shares, what comes before, own multiples
    cdef int64_t[::1] n_left

    def __init__(self, const double[:, ::1] log_weight, const double[:, ::1] before, const double[::1] own,
                 double least, int n_threads=1):
        cdef int64_t n_rows = log_weight.shape[0], n_states = own.shape[0], r, k, n
        self.states, self.n_left = np.empty((n_rows, 3, n_states)), np.empty(n_rows, dtype=np.int64)
        cdef const tf_kernels *kernels = current_kernels()
        cdef double *share
        for r in prange(n_rows, nogil=True, num_threads=n_threads,
                        use_threads_if=n_rows * n_states > PARALLEL_STATES):
            share = &self.states[r, 0, 0]
            kernels.softmax(&log_weight[r, 0], n_states, share)
            n = 0
            for k in range(n_states):
                if share[k] >= least:
                    share[n], share[n_states + n], share[2 * n_states + n] = share[k], before[r, k], own[k]
                    n = n + 1
            self.n_left[r] = n

    def at(self, const int64_t[::1] rows, const double[:, ::1] z, int n_threads=1):
        """F(z) and 1 - F(z) of several numbers of each of some rows: two ndarrays of shape (len(rows), n_places)."""
        cdef int64_t n_rows = z.shape[0], n_places = z.shape[1], n_states = self.states.shape[2], n, i, k
        below, above = np.empty((2, n_rows, n_places))
        cdef double[:, ::1] low = below, high = above, scratch = np.empty((n_threads, 3 * n_states + 3))
        cdef const tf_kernels *kernels = current_kernels()
        cdef const double *share
        cdef double *told
        for i in prange(n_rows, nogil=True, num_threads=n_threads,
                        use_threads_if=n_rows * n_places * n_states > PARALLEL_STATES):
            share = &self.states[rows[i], 0, 0]
            n = self.n_left[rows[i]]
            told = &scratch[threadid(), 3 * n_states]
            for k in range(n_places):
                kernels.normals(share, share + n_states, share + 2 * n_states, n, z[i, k], &scratch[threadid(), 0],
                                told)
                low[i, k], high[i, k] = told[1], told[2]
        return below, above


def restore(const double[:, ::1] log_weight, const double[:, ::1] before, const double[:, ::1] own,
            const double[:, ::1] below, const double[:, ::1] above, int n_threads=1):
    """Numbers by their uniform ones, the inverse of `destroy`: ndarray of shape (n_rows, n_places).

    By Newton's method on the logarithm of the smaller one, and by bisection where that leaves the interval that has
    the number or gets on too slowly.

    Parameters
    ----------
    log_weight, before
        As `destroy` takes them.
    own : ndarray of shape (n_rows, n_states) or (1, n_states), float64
        That of each row, or of all.
    below, above : ndarray of shape (n_rows, n_places), float64
    n_threads : int
    """
    cdef int64_t n_rows = below.shape[0], n_places = below.shape[1], n_states = own.shape[1], r, i, apart
    cdef double[:, ::1] scratch = np.empty((n_threads, 4 * n_states + 3))
    result = np.empty((n_rows, n_places))
    cdef double[:, ::1] out = result
    cdef const tf_kernels *kernels = current_kernels()
    apart = own.shape[0] > 1
    for r in prange(n_rows, nogil=True, num_threads=n_threads,
                    use_threads_if=n_rows * n_places * n_states > PARALLEL_STATES // 8):
        kernels.softmax(&log_weight[r, 0], n_states, &scratch[threadid(), 0])
        for i in range(n_places):
            out[r, i] = found(kernels, &scratch[threadid(), 0], &before[r, 0], &own[apart * r, 0], n_states,
                              below[r, i], above[r, i], &scratch[threadid(), n_states])
    return result


cdef double found(const tf_kernels *kernels, const double *share, const double *before, const double *own,
                  int64_t n_states, double below, double above, double *scratch) noexcept nogil:
    """Where a mixture has its uniform numbers."""
    cdef int64_t k, _step, side = 2 if above < below else 1
    cdef double *told = scratch + 3 * n_states
    cdef double target = above if above < below else below
    cdef double low = 0.0, high = 0.0, z, reach, step = 0.0, last, moved
    for k in range(n_states):
        reach = FURTHEST / own[k]
        moved = -before[k] / own[k]
        low = moved - reach if k == 0 or moved - reach < low else low
        high = moved + reach if k == 0 or moved + reach > high else high
    z = 0.5 * (low + high)
    last = high - low
    for _step in range(MOST_STEPS):
        kernels.normals(share, before, own, n_states, z, scratch, told)
        if told[side] == target:
            break
        if (told[side] > target) == (side == 1):
            high = z
        else:
            low = z
        moved = z
        step = 0.0
        if told[0] > 0.0 and told[side] > 0.0 and target > 0.0:
            # the derivative of log F is the density over F
            step = tf_log(target / told[side]) * told[side] / told[0] * SQRT_2PI
            step = -step if side == 2 else step
            moved = z + step
        if not low < moved < high or 2.0 * (step if step > 0.0 else -step) > last:
            moved = 0.5 * (low + high)
        step = moved - z
        step = step if step > 0.0 else -step
        last, z = step, moved
        if step <= CLOSE * (z if z > 1.0 else -z if z < -1.0 else 1.0):
            break
    return z
