"""EM of latent class models, of many at a time: from many starts, or of many weightings of the same rows.

In a class columns are independent: p(x) = sum over classes c of weight_c times the product over columns j of
theta_cj(x_j). A cell that is not observed is summed out, which is to leave its column out of the product. Each run goes
through the rows in order and in double precision, on one thread, so that its bits depend on nothing else.

EM (Dempster, Laird, Rubin, Journal of the Royal Statistical Society B 39, 1977) crawls where classes overlap. Every two
steps are therefore followed by an extrapolation of them, which is undone if it is less likely: SQUAREM (Varadhan,
Roland, Scandinavian Journal of Statistics 35, 2008).
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)

cdef enum:
    PARALLEL_WORK = 262144  # products below which waking threads costs more than it saves

cdef double LEAST = 1e-8        # of the square of a step, that the square of its bend is taken for
cdef double LEAST_SHARE = 0.01  # of a probability, that is left of it by extrapolation


# One run of EM. Its classes are one array, `at`: their weights, and for each category its probability in each class.
ctypedef struct Run:
    const int32_t *cells      # n_rows x n_columns: number of a category, n_categories where not observed
    const double *row_weight  # n_rows
    const double *prior       # n_categories
    const int32_t *first      # n_columns + 1
    int64_t n_rows, n_columns, n_categories, n_classes
    double *at                # (1 + n_categories) x n_classes
    double *log_at            # one row more, scratch, as are the others
    double *counts            # of log_at's shape: expected rows of each class, and those with each category in it
    double *joint             # n_classes, of one row
    double *before            # of the shape of `at`, one step ago,
    double *earlier           # and two


def climb(const int32_t[:, ::1] cells, const double[:, ::1] row_weight, const int32_t[::1] weighting,
          const double[:, ::1] prior, const int32_t[::1] first_category, double[:, :, ::1] classes, double tolerance,
          int64_t most_steps, int n_threads=1):
    """Improve latent class models in place.

    Parameters
    ----------
    cells : ndarray of shape (n_rows, n_columns), int32
        Number of the category in each cell, those of all columns counted on; n_categories where it is not observed.
    row_weight : ndarray of shape (n_weightings, n_rows), float64
        Rows that each row stands for.
    weighting : ndarray of shape (n_runs,), int32
        Which of these each run takes.
    prior : ndarray of shape (n_weightings, n_categories), float64
        Rows that are added to each class, as many in each column; zeros for maximum likelihood.
    first_category : ndarray of shape (n_columns + 1,), int32
    classes : ndarray of shape (n_runs, 1 + n_categories, n_classes), float64
        Where each run starts: the weights of the classes, and below them the probability of each category in each
        class. Overwritten by where it ends.
    tolerance : float
        Nats per row that a step must gain for another to follow.
    most_steps : int
    n_threads : int

    Returns
    -------
    score : ndarray of shape (n_runs,), float64
        Log-likelihood of all rows, nats, of what ``classes`` have become, and that of the rows of the prior.
    done : ndarray of shape (n_runs,), int32
        Whether a run ended because it gained no more.
    """
    cdef int64_t n_runs = classes.shape[0], n_rows = cells.shape[0], n_columns = cells.shape[1], r
    cdef int64_t n_categories = classes.shape[1] - 1, n_classes = classes.shape[2]
    cdef double[:, ::1] scratch = np.empty((n_threads, (4 * n_categories + 7) * n_classes))
    scores, ended = np.empty(n_runs), np.empty(n_runs, dtype=np.int32)
    cdef double[::1] score = scores
    cdef int32_t[::1] done = ended
    for r in prange(n_runs, nogil=True, schedule="dynamic", num_threads=n_threads,
                    use_threads_if=n_runs * n_rows * n_columns * n_classes * most_steps > PARALLEL_WORK):
        done[r] = climb_one(&cells[0, 0], &row_weight[weighting[r], 0], &prior[weighting[r], 0], &first_category[0],
                            n_rows, n_columns, n_categories, n_classes, &classes[r, 0, 0], &scratch[threadid(), 0],
                            tolerance, most_steps, &score[r])
    return scores, ended


cdef bint climb_one(const int32_t *cells, const double *row_weight, const double *prior, const int32_t *first,
                    int64_t n_rows, int64_t n_columns, int64_t n_categories, int64_t n_classes, double *at,
                    double *scratch, double tolerance, int64_t most_steps, double *score) noexcept nogil:
    """One run; returns whether it gains no more."""
    cdef int64_t table = (n_categories + 1) * n_classes, longer = table + n_classes, step = 0, r
    cdef Run run = Run(cells, row_weight, prior, first, n_rows, n_columns, n_categories, n_classes, at, scratch,
                       scratch + longer, scratch + 2 * longer, scratch + 2 * longer + n_classes,
                       scratch + 2 * longer + n_classes + table)
    cdef double reached, total = 0.0
    for r in range(n_rows):
        total += row_weight[r]
    score[0] = expect(&run)
    while step < most_steps:
        memcpy(run.earlier, at, table * sizeof(double))
        maximize(&run)
        reached = expect(&run)
        if reached - score[0] < tolerance * total:
            score[0] = reached
            return True
        memcpy(run.before, at, table * sizeof(double))
        maximize(&run)
        extrapolate(&run)  # and `before` has the second step
        score[0] = expect(&run)
        if not score[0] >= reached:
            memcpy(at, run.before, table * sizeof(double))
            score[0] = expect(&run)
        step += 2
    return False


cdef double expect(Run *run) noexcept nogil:
    """Expected rows of each class, and with each category in it; returns the log-likelihood."""
    cdef int64_t n_classes = run.n_classes, n_columns = run.n_columns, r, j, c, i
    cdef double *joint = run.joint
    cdef double *log_prob = run.log_at + n_classes
    cdef double *counts = run.counts + n_classes
    cdef const int32_t *cells = run.cells
    cdef const double *told
    cdef double *count
    cdef double most, total, score = 0.0
    for i in range((1 + run.n_categories) * n_classes):
        run.log_at[i] = tf_log(run.at[i])
    for c in range(n_classes):
        run.counts[c] = 0.0
        log_prob[run.n_categories * n_classes + c] = 0.0  # what is not observed has probability one
        counts[run.n_categories * n_classes + c] = 0.0
    for i in range(run.n_categories):
        for c in range(n_classes):
            counts[i * n_classes + c] = run.prior[i]
            if i < run.first[1]:
                run.counts[c] += run.prior[i]
            if run.prior[i] > 0.0:
                score += run.prior[i] * log_prob[i * n_classes + c]
    for c in range(n_classes):
        if run.counts[c] > 0.0:
            score += run.counts[c] * run.log_at[c]
    for r in range(run.n_rows):
        if run.row_weight[r] > 0.0:
            for c in range(n_classes):
                joint[c] = run.log_at[c]
            for j in range(n_columns):
                told = log_prob + cells[j] * n_classes
                for c in range(n_classes):
                    joint[c] += told[c]
            most = joint[0]
            for c in range(1, n_classes):
                most = max(most, joint[c])
            total = 0.0
            for c in range(n_classes):
                joint[c] = tf_exp(joint[c] - most)
                total += joint[c]
            score += run.row_weight[r] * (most + tf_log(total))
            total = run.row_weight[r] / total
            for c in range(n_classes):
                joint[c] *= total
                run.counts[c] += joint[c]
            for j in range(n_columns):
                count = counts + cells[j] * n_classes
                for c in range(n_classes):
                    count[c] += joint[c]
        cells += n_columns
    return score


cdef void maximize(Run *run) noexcept nogil:
    """The likeliest classes given the expected counts."""
    memcpy(run.log_at, run.counts, (1 + run.n_categories) * run.n_classes * sizeof(double))
    normalize(run, run.log_at)


cdef void extrapolate(Run *run) noexcept nogil:
    """Go on in the direction of the last two steps, by how much the second was shorter; and keep where these led."""
    cdef int64_t n = (1 + run.n_categories) * run.n_classes, i
    cdef double step, bend, length = 0.0, bent = 0.0, factor
    for i in range(n):
        step = run.before[i] - run.earlier[i]
        bend = run.at[i] - run.before[i] - step
        length += step * step
        bent += bend * bend
    if length <= bent:  # which is not to go on
        memcpy(run.before, run.at, n * sizeof(double))
        return
    factor = sqrt(length / max(bent, LEAST * length))
    for i in range(n):
        step = run.before[i] - run.earlier[i]
        bend = run.at[i] - run.before[i] - step
        run.before[i] = run.at[i]
        # no probability becomes zero by this
        run.log_at[i] = max(run.earlier[i] + 2.0 * factor * step + factor * factor * bend, LEAST_SHARE * run.at[i])
    normalize(run, run.log_at)


cdef void normalize(Run *run, const double *counts) noexcept nogil:
    """Let the classes be shares of counts; a class that has none in a column stays there as it is."""
    cdef int64_t n_classes = run.n_classes, j, c, i, first, last
    cdef double *total = run.joint
    cdef double n_rows = 0.0
    for c in range(n_classes):
        n_rows += counts[c]
    for c in range(n_classes):
        run.at[c] = counts[c] / n_rows
    for j in range(run.n_columns):
        first, last = 1 + run.first[j], 1 + run.first[j + 1]
        for c in range(n_classes):
            total[c] = 0.0
        for i in range(first, last):
            for c in range(n_classes):
                total[c] += counts[i * n_classes + c]
        for i in range(first, last):
            for c in range(n_classes):
                if total[c] > 0.0:
                    run.at[i * n_classes + c] = counts[i * n_classes + c] / total[c]
