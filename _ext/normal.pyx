"""The normal distribution function and its inverse, the same bits on every processor: those of SciPy are not.

Rational approximations by Cody (Mathematics of Computation 23, 1969, and Algorithm 715, ACM TOMS 19, 1993) and by
Wichura (Algorithm AS 241, Applied Statistics 37, 1988), to about 1e-15 of the result, in both tails.
"""

import numpy as np

from libc.math cimport INFINITY, NAN, fabs, floor, sqrt
from libc.stdint cimport int64_t

cdef extern from "elementary.h" nogil:
    double tf_exp(double)
    double tf_log(double)

cdef double MEDIAN_DEVIATION = 0.67448975  # half of all numbers are nearer to 0
cdef double FAR = 5.656854249492381  # sqrt(32)
cdef double PEAK = 0.398942280401432677939946059934  # of the density: 1 / sqrt(2 pi)

# numerators and denominators, the highest power first
cdef double[5] A = [0.065682337918207449113, 2.2352520354606839287, 161.02823106855587881, 1067.6894854603709582,
                    18154.981253343561249]
cdef double[5] B = [1.0, 47.20258190468824187, 976.09855173777669322, 10260.932208618978205, 45507.789335026729956]
cdef double[9] C = [1.0765576773720192317e-8, 0.39894151208813466764, 8.8831497943883759412, 93.506656132177855979,
                    597.27027639480026226, 2494.5375852903726711, 6848.1904505362823326, 11602.651437647350124,
                    9842.7148383839780218]
cdef double[9] D = [1.0, 22.266688044328115691, 235.38790178262499861, 1519.377599407554805, 6485.558298266760755,
                    18615.571640885098091, 34900.952721145977266, 38912.003286093271411, 19685.429676859990727]
cdef double[6] P = [0.02307344176494017303, 0.21589853405795699, 0.1274011611602473639, 0.022235277870649807,
                    0.001421619193227893466, 2.9112874951168792e-5]
cdef double[6] Q = [1.0, 1.28426009614491121, 0.468238212480865118, 0.0659881378689285515, 0.00378239633202758244,
                    7.29751555083966205e-5]

# of the inverse: in the middle, by its square; further out and in the tails, by the root of the logarithm
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
    cdef double y = fabs(x), square, whole, tail
    if x != x:
        return x
    if y <= MEDIAN_DEVIATION:
        return 0.5 + x * _ratio(A, B, 5, x * x)
    if y > 40.0:
        return 1.0 if x > 0 else 0.0
    if y <= FAR:
        tail = _ratio(C, D, 9, y)
    else:
        square = 1.0 / (y * y)
        tail = (PEAK - square * _ratio(P, Q, 6, square)) / y
    # e^(-y^2 / 2), of which the first factor's exponent is exact
    whole = floor(y * 16.0) / 16.0
    tail *= tf_exp(-0.5 * whole * whole) * tf_exp(-0.5 * (y - whole) * (y + whole))
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
