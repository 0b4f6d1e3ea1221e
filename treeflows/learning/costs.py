"""Costs of counts in fixed point, so that sums of them are exact in any order and on any machine."""

from math import frexp

import numpy as np

from .._ext import elementary
from .._ext.costs import Costs, fixed_costs

MOST_TABLED = 2**16  # counts that are tabled


def cost_table(n_rows, n_columns, most_bits=32):
    """The entropy cost c -> c log c of every possible count, in fixed point.

    Integers make every sum of costs exact: the same split wins on any machine and for any order of summation. The
    scale is the largest that cannot overflow, up to ``most_bits``.

    Returns
    -------
    cost : Costs
        In units of 2**-bits nats.
    """
    most = n_rows * float(elementary.log(max(n_rows, 1)))
    mantissa, exponent = frexp(n_columns * most + 1.0)
    bits = min(most_bits, 61 - exponent + (mantissa == 0.5))
    return Costs(fixed_costs(np.arange(min(n_rows + 1, MOST_TABLED)), bits), bits)
