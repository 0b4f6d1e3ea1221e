"""Distribution functions on the unit interval whose first binary digits have probabilities: linear within each cell.

Each is told from both ends, so that small probabilities are exact in both tails.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t

cdef enum:
    PARALLEL_CELLS = 262144  # below which waking threads costs more than it saves


def add_cells(const double[:, ::1] ones, double scale, const double[::1] share, double[:, ::1] cells, int n_threads=1):
    """Add the probabilities of the cells by voices that tell some digits, and all after these as uniform.

    Parameters
    ----------
    ones : ndarray of shape (n_rows, 2**bits), float64
        At 2**t plus the number that t digits make, the probability that the next one is 1,
    scale : float
        times this.
    share : ndarray of shape (bits + 1,), float64
        Of the voice that tells none, one, ... digits.
    cells : ndarray of shape (n_rows, 2**bits), float64
    n_threads : int
    """
    cdef int64_t n_rows = ones.shape[0], n = ones.shape[1], r
    cdef double[:, ::1] scratch = np.empty((n_threads, 4 * n))
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n > PARALLEL_CELLS):
        add_cells_of(&ones[r, 0], scale, &share[0], n, &scratch[threadid(), 0], &cells[r, 0])


cdef void add_cells_of(const double *ones, double scale, const double *share, int64_t n, double *scratch,
                       double *cells) noexcept nogil:
    """Down the tree of digits: the probability of each node, and what voices say of it that tell its digits or less."""
    cdef double *path = scratch
    cdef double *mass = scratch + 2 * n
    cdef double own, one, zero
    cdef int64_t first = 1, i
    path[1], mass[1] = 1.0, share[0]
    while first < n:
        share = share + 1
        own = share[0]
        for i in range(first, 2 * first):
            one = path[i] * (scale * ones[i])
            zero = path[i] - one
            path[2 * i], path[2 * i + 1] = zero, one
            mass[2 * i], mass[2 * i + 1] = 0.5 * mass[i] + own * zero, 0.5 * mass[i] + own * one
        first = 2 * first
    for i in range(n):
        cells[i] += mass[n + i]


def cumulated(const double[:, ::1] cells, int n_threads=1):
    """Probabilities below and above the edges of cells: ndarray of shape (n_rows, n_cells + 1, 2), float64."""
    cdef int64_t n_rows = cells.shape[0], n = cells.shape[1], r
    result = np.empty((n_rows, n + 1, 2))
    cdef double[:, :, ::1] out = result
    for r in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n > PARALLEL_CELLS):
        cumulate(&cells[r, 0], n, &out[r, 0, 0])
    return result


cdef void cumulate(const double *cells, int64_t n, double *out) noexcept nogil:
    cdef double below = 0.0, above = 0.0
    cdef int64_t c
    for c in range(n):
        out[2 * c], out[2 * (n - c) + 1] = below, above
        below = below + cells[c]
        above = above + cells[n - 1 - c]
    out[2 * n], out[1] = below, above


def add_uniform(const double[:, :, ::1] edges, const int64_t[::1] rows, const double[:, ::1] below,
                const double[:, ::1] above, double[:, ::1] low, double[:, ::1] high, int n_threads=1):
    """Add F(u) and 1 - F(u) of several uniform numbers of each of some rows.

    Parameters
    ----------
    edges : ndarray of shape (n_rows, n_cells + 1, 2), float64
        As `cumulated` gives them.
    rows : ndarray of shape (n_chosen,), int64
    below, above : ndarray of shape (n_chosen, n_places), float64
        u and 1 - u.
    low, high : ndarray of shape (n_chosen, n_places), float64
        Where F(u) and 1 - F(u) are added.
    n_threads : int
    """
    cdef int64_t n_rows = rows.shape[0], n_places = below.shape[1], n = edges.shape[1] - 1, i, k, c
    cdef const double *of
    cdef double at
    for i in prange(n_rows, nogil=True, num_threads=n_threads, use_threads_if=n_rows * n_places > PARALLEL_CELLS):
        for k in range(n_places):
            if below[i, k] < above[i, k]:
                c = min(<int64_t> (below[i, k] * n), n - 1)
            else:
                c = n - 1 - min(<int64_t> (above[i, k] * n), n - 1)
            of = &edges[rows[i], c, 0]
            at = min(max(below[i, k] * n - c, 0.0), 1.0)
            low[i, k] += of[0] + (of[2] - of[0]) * at
            at = min(max(above[i, k] * n - (n - 1 - c), 0.0), 1.0)
            high[i, k] += of[3] + (of[1] - of[3]) * at
