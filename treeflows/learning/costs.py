"""Costs of counts in fixed point, so that sums of them are exact in any order and on any machine."""

from math import frexp

import numpy as np

from .._ext import elementary

BLOCK = 2**16  # counts whose costs are computed together, in the cache


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
    most = n_rows * float(elementary.log(max(n_rows, 1)))
    mantissa, exponent = frexp(n_columns * most + 1.0)
    bits = min(most_bits, 61 - exponent + (mantissa == 0.5))
    cost = np.empty(n_rows + 1, dtype=np.int64)
    for start in range(0, n_rows + 1, BLOCK):
        c = np.arange(start, min(start + BLOCK, n_rows + 1), dtype=np.float64)
        cost[start : start + BLOCK] = np.rint(c * elementary.log(np.maximum(c, 1.0)) * 2.0**bits)
    return cost, bits
