"""The entropy cost c -> c log c of counts in fixed point: tabled of small counts, computed of others."""

from typing import NamedTuple

import numpy as np

from libc.math cimport llrint
from libc.stdint cimport int64_t

from _ext.costs cimport tf_scaled_cost


class Costs(NamedTuple):
    """What the searches for splits know of the costs of counts.

    Attributes
    ----------
    table : ndarray of shape (n_tabled,), int64
        Costs of the counts 0, 1, ..., in units of 2**-bits nats.
    bits : int
    """

    table: object
    bits: int

    def of(self, counts):
        """Costs of an array of counts of any shape, the same integers whether they are tabled or not: int64."""
        counts = np.asarray(counts)
        return self.table[counts] if counts.max(initial=0) < len(self.table) else fixed_costs(counts, self.bits)


def fixed_costs(counts, int bits):
    """c log c of every count, rounded to a multiple of 2**-bits nats, in units of that: int64, of the same shape."""
    cdef const int64_t[::1] c = np.ascontiguousarray(counts, dtype=np.int64).reshape(-1)
    costs = np.empty(np.shape(counts), dtype=np.int64)
    cdef int64_t[::1] out = costs.reshape(-1)
    cdef double scale = 2.0**bits
    cdef int64_t i
    with nogil:
        for i in range(c.shape[0]):
            out[i] = llrint(tf_scaled_cost(<double> c[i], scale))
    return costs
