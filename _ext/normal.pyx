"""The normal distribution function and its inverse, the same bits on every processor: those of SciPy are not.

The one by Mills' ratio, as the kernels have it; the other by the rational approximations of Wichura (Algorithm AS 241,
Applied Statistics 37, 1988); both to about 1e-15 of the result, in both tails.
"""

import numpy as np

from libc.math cimport INFINITY, NAN, fabs, floor, sqrt
from libc.stdint cimport int64_t

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)
    double tf_mills(double)

cdef double PEAK = 0.398942280401432677939946059934  # of the density: 1 / sqrt(2 pi)

# numerators and denominators, the highest power first: in the middle, by its square; further out and in the tails, by
# the root of the logarithm
cdef double[3][8] ABOVE = [
    [2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608],
    [7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734],
    [2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772],
]
cdef double[3][8] BELOW = [
    [5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0],
    [1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0],
    [2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0],
]


def ndtr(x):
    """Probability of less than each number: ndarray of float64, of the shape of ``x``."""
    cdef const double[::1] values = np.ascontiguousarray(x, dtype=np.float64).reshape(-1)
    result = np.empty(np.shape(x))
    cdef double[::1] out = result.reshape(-1)
    cdef int64_t i
    with nogil:
        for i in range(values.shape[0]):
            out[i] = _ndtr(values[i])
    return result


def ndtri(p):
    """The number that has each probability below it: infinite of 0 and 1, NaN beyond."""
    cdef const double[::1] values = np.ascontiguousarray(p, dtype=np.float64).reshape(-1)
    result = np.empty(np.shape(p))
    cdef double[::1] out = result.reshape(-1)
    cdef int64_t i
    with nogil:
        for i in range(values.shape[0]):
            out[i] = _ndtri(values[i])
    return result


cdef inline double _ratio(const double *above, const double *below, int n, double x) noexcept nogil:
    cdef double a = above[0], b = below[0]
    cdef int i
    for i in range(1, n):
        a = a * x + above[i]
        b = b * x + below[i]
    return a / b


cdef double _ndtr(double x) noexcept nogil:
    cdef double y = fabs(x), whole, tail
    if x != x:
        return x
    if y > 40.0:
        return 1.0 if x > 0 else 0.0
    # e^(-y^2 / 2), of which the first factor's exponent is exact
    whole = floor(y * 16.0) / 16.0
    tail = PEAK * tf_mills(y) * tf_exp(-0.5 * whole * whole) * tf_exp(-0.5 * (y - whole) * (y + whole))
    tail = min(tail, 0.5)
    return 1.0 - tail if x > 0 else tail


cdef double _ndtri(double p) noexcept nogil:
    cdef double q = p - 0.5, r
    if not 0.0 < p < 1.0:
        return -INFINITY if p == 0.0 else INFINITY if p == 1.0 else NAN
    if fabs(q) <= 0.425:
        return q * _ratio(ABOVE[0], BELOW[0], 8, 0.180625 - q * q)
    r = sqrt(-tf_log(p if q < 0 else 1.0 - p))
    r = _ratio(ABOVE[1], BELOW[1], 8, r - 1.6) if r <= 5.0 else _ratio(ABOVE[2], BELOW[2], 8, r - 5.0)
    return -r if q < 0 else r
