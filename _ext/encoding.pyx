"""Tables of small integers to category codes, and uniform draws to category codes."""

import numpy as np

from cython.parallel cimport prange
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t


def presence(const uint8_t[:, ::1] values):
    """Which values occur in each column: ndarray of shape (n_columns, 256), bool."""
    seen = np.zeros((values.shape[1], 256), dtype=bool)
    cdef uint8_t[:, ::1] out = seen.view(np.uint8)
    cdef int64_t r, j
    with nogil:
        for r in range(values.shape[0]):
            for j in range(values.shape[1]):
                out[j, values[r, j]] = 1
    return seen


def encode(const uint8_t[:, ::1] values, const int16_t[:, ::1] code_of, int n_threads=1):
    """Look every value up in its column's table.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), uint8
    code_of : ndarray of shape (n_columns, 256), int16
        The code of each value, -1 for a value outside the domain.

    Returns
    -------
    codes : ndarray of shape (n_rows, n_columns), uint8
    complete : bool
        Whether every value has a code.
    """
    codes = np.empty((values.shape[0], values.shape[1]), dtype=np.uint8)
    cdef uint8_t[:, ::1] out = codes
    cdef int64_t n_rows = values.shape[0], n_columns = values.shape[1], r
    cdef int32_t all_bits = 0
    for r in prange(n_rows, nogil=True, schedule="static", num_threads=n_threads,
                    use_threads_if=n_rows * n_columns > 65536):
        all_bits |= encode_row(&values[r, 0], &code_of[0, 0], n_columns, &out[r, 0])
    return codes, all_bits >= 0


cdef int32_t encode_row(const uint8_t *values, const int16_t *code_of, int64_t n_columns, uint8_t *out) noexcept nogil:
    """Negative where a value had no code."""
    cdef int32_t all_bits = 0, code
    cdef int64_t j
    for j in range(n_columns):
        code = code_of[256 * j + values[j]]
        all_bits |= code
        out[j] = <uint8_t> code
    return all_bits


def draw(const double[:, ::1] uniform, const double[::1] cumulative, const int32_t[::1] first_category,
         int n_threads=1):
    """Turn uniform draws into categories by the inverse of each column's distribution function.

    Parameters
    ----------
    uniform : ndarray of shape (n_rows, n_columns), float64 in [0, 1)
    cumulative : ndarray of shape (n,), float64
        Cumulative probabilities within each column.
    first_category : ndarray of shape (n_columns + 1,), int32

    Returns
    -------
    codes : ndarray of shape (n_rows, n_columns), uint8
    """
    codes = np.empty((uniform.shape[0], uniform.shape[1]), dtype=np.uint8)
    cdef uint8_t[:, ::1] out = codes
    cdef int64_t n_rows = uniform.shape[0], n_columns = uniform.shape[1], r
    for r in prange(n_rows, nogil=True, schedule="static", num_threads=n_threads,
                    use_threads_if=n_rows * n_columns > 65536):
        draw_row(&uniform[r, 0], &cumulative[0], &first_category[0], n_columns, &out[r, 0])
    return codes


cdef void draw_row(const double *uniform, const double *cumulative, const int32_t *first_category, int64_t n_columns,
                   uint8_t *out) noexcept nogil:
    cdef int64_t j
    cdef int32_t low, high, middle
    for j in range(n_columns):
        low = first_category[j]
        high = first_category[j + 1] - 1  # the last category takes what rounding leaves
        while low < high:
            middle = (low + high) // 2
            if uniform[j] < cumulative[middle]:
                high = middle
            else:
                low = middle + 1
        out[j] = <uint8_t> (low - first_category[j])


def draw_next(const double[:, ::1] prob, const double[:, ::1] ahead, const double[:, ::1] uniform,
              const uint8_t[::1] is_drawn, const double[:, ::1] told, int64_t column, int64_t parent,
              uint8_t[:, ::1] codes, int n_threads=1):
    """Go on by one column with several draws of each row: where it is not observed, its code is drawn, in place.

    Parameters
    ----------
    prob : ndarray of shape (n_rows * n_draws, n_categories), float64
        Distribution of the column in each draw.
    ahead : ndarray of shape (n_rows, n_categories), float64
        What each value is weighed by besides.
    uniform : ndarray of shape (n_rows, n_draws), float64 in [0, 1)
    is_drawn : ndarray of shape (n_rows,), uint8
        0 where the code that stands in the draws is observed.
    told : ndarray of shape (n_rows, n_categories of the parent), float64
        By what the column's weight is divided, for each value of its parent.
    column, parent : int
        The latter -1 for none.
    codes : ndarray of shape (n_rows * n_draws, n_columns), uint8
    n_threads : int

    Returns
    -------
    total : ndarray of shape (n_rows, n_draws), float64
        Weight of what was drawn: of all values together, or of the observed one.
    """
    result = np.empty((uniform.shape[0], uniform.shape[1]))
    cdef double[:, ::1] out = result
    cdef int64_t n_rows = uniform.shape[0], n_draws = uniform.shape[1], k = prob.shape[1], r
    for r in prange(n_rows, nogil=True, schedule="static", num_threads=n_threads,
                    use_threads_if=n_rows * n_draws * k > 65536):
        draw_of_row(&prob[r * n_draws, 0], &ahead[r, 0], &uniform[r, 0], is_drawn[r], &told[r, 0], column, parent,
                    n_draws, k, codes.shape[1], &codes[r * n_draws, 0], &out[r, 0])
    return result


cdef void draw_of_row(const double *prob, const double *ahead, const double *uniform, bint is_drawn,
                      const double *told, int64_t column, int64_t parent, int64_t n_draws, int64_t k,
                      int64_t n_columns, uint8_t *codes, double *out) noexcept nogil:
    cdef int64_t d
    cdef int32_t v, value
    cdef double total, wanted
    cdef double cumulative[256]
    for d in range(n_draws):
        if is_drawn:
            total = prob[0] * ahead[0]
            cumulative[0] = total
            for v in range(1, k):
                total = total + prob[v] * ahead[v]
                cumulative[v] = total
            wanted, value = uniform[d] * total, 0
            for v in range(k - 1):
                value += wanted >= cumulative[v]
            codes[column] = <uint8_t> value
        else:
            total = prob[codes[column]] * ahead[codes[column]]
        out[d] = total if parent < 0 else total / told[codes[parent]]
        prob += k
        codes += n_columns
