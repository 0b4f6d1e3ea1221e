"""Costs of counts in fixed point, so that sums of them are exact in any order and on any machine."""

import numpy as np


def cost_table(n_rows, n_columns, most_bits=32):
    """The entropy cost c -> c log c of every possible count, in fixed point.

    Integers make every sum of costs exact: the same split wins on any machine and for any order of summation. The
    scale is the largest that cannot overflow, up to ``most_bits``.

    Returns
    -------
    cost : ndarray of shape (n_rows + 1,), int64
    bits : int
        Costs are in units of 2**-bits nats.
    """
    c = np.arange(n_rows + 1, dtype=np.float64)
    nats = c * _log(np.maximum(c, 1.0))
    bits = min(most_bits, 61 - int(np.ceil(np.log2(n_columns * nats[-1] + 1.0))))
    return np.rint(nats * 2.0**bits).astype(np.int64), bits


def _log(x):
    """Natural logarithm by additions, multiplications and divisions alone, which round alike on every machine.

    ``log(m 2**e) = e log 2 + 2 artanh((m - 1) / (m + 1))`` with m between sqrt(1/2) and sqrt(2).
    """
    m, e = np.frexp(x)
    small = m < 0.7071067811865476
    m, e = np.where(small, 2 * m, m), e - small
    s = (m - 1) / (m + 1)
    t = s * s
    series = np.zeros_like(t)
    for k in range(11, -1, -1):
        series = series * t + 1 / (2 * k + 1)
    return e * 0.6931471805599453 + 2 * s * series
