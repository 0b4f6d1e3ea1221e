"""exp, log and log1p of arrays: within one unit in the last place, and the same bits on every processor."""

import numpy as np

from libc.stdint cimport int64_t

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    void tf_log_all(const double *, double *, int64_t)
    double tf_log1p(double)


def exp(x):
    """e to the power of each number: ndarray of float64, of the shape of ``x``."""
    cdef const double[::1] values = _flat(x)
    result = np.empty(np.shape(x))
    cdef double[::1] out = result.reshape(-1)
    cdef int64_t i
    with nogil:
        for i in range(values.shape[0]):
            out[i] = tf_exp(values[i])
    return result


def log(x):
    """Natural logarithm of each number: minus infinity of zero, NaN below it."""
    cdef const double[::1] values = _flat(x)
    result = np.empty(np.shape(x))
    cdef double[::1] out = result.reshape(-1)
    if values.shape[0] > 0:
        with nogil:
            tf_log_all(&values[0], &out[0], values.shape[0])
    return result


def log1p(x):
    """Natural logarithm of one more than each number, exact where it is small."""
    cdef const double[::1] values = _flat(x)
    result = np.empty(np.shape(x))
    cdef double[::1] out = result.reshape(-1)
    cdef int64_t i
    with nogil:
        for i in range(values.shape[0]):
            out[i] = tf_log1p(values[i])
    return result


def _flat(x):
    return np.ascontiguousarray(x, dtype=np.float64).reshape(-1)
