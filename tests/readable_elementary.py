"""exp, log and log1p in numpy, number by number the operations of _ext/elementary.h: what the engine is held to."""

import numpy as np

LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
SQRT_HALF = np.array(0x3FE6A09E << 32, dtype=np.uint64).view(np.float64)  # to 32 bits


def split(x):
    """Exponent k and m from sqrt(1/2) to sqrt(2) with x = m 2**k."""
    m, k = np.frexp(x)
    small = m < SQRT_HALF
    return np.where(small, 2 * m, m), k - small


def polynomial(z, coefficients):
    value = np.zeros_like(z)
    for c in reversed(coefficients):
        value = c + z * value
    return value


def log_of(k, f, c):
    s = f / (2 + f)
    z = s * s
    w = z * z
    half_square = 0.5 * f * f
    even = w * polynomial(w, [3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01])
    odd = z * polynomial(
        w, [6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01]
    )
    return ((s * (half_square + (odd + even)) + (k * LN2_LOW + c)) - half_square) + f + k * LN2_HIGH


def log(x):
    with np.errstate(all="ignore"):
        m, k = split(x)
        value = np.where(x == np.inf, x, log_of(k, m - 1, 0.0))
        return np.where(x > 0, value, np.where(x == 0, -np.inf, np.nan))


def log1p(x):
    with np.errstate(all="ignore"):
        u = 1 + x
        m, k = split(u)
        lost = np.where(k >= 2, 1 - (u - x), x - (u - 1)) / u
        value = np.where(k == 0, log_of(0, x, 0.0), log_of(k, m - 1, lost))
        value = np.where((abs(x) < 2.0**-53) | (x == np.inf), x, value)
        return np.where(x > -1, value, np.where(x == -1, -np.inf, np.nan))


def exp(x):
    with np.errstate(all="ignore"):
        told = np.clip(x, -746, 710)
        n = np.rint(told * 1.44269504088896338700)
        high, low = told - n * LN2_HIGH, n * LN2_LOW
        r = high - low
        z = r * r
        c = r - z * polynomial(
            z,
            [
                1.66666666666666019037e-01,
                -2.77777777770155933842e-03,
                6.61375632143793436117e-05,
                -1.65339022054652515390e-06,
                4.13813679705723846039e-08,
            ],
        )
        y = 1 + ((r * c / (2 - c) - low) + high)
        value = np.ldexp(y, np.nan_to_num(n).astype(int))
        return np.where(x > 710, np.inf, np.where(x < -746, 0.0, value))
