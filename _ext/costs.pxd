# What the Cython modules see of costs.h.

from libc.stdint cimport int64_t

cdef extern from "costs.h" nogil:
    ctypedef struct tf_costs:
        const int64_t *table
        int64_t n_tabled
        double scale

    double tf_scaled_cost(double, double)
    int64_t tf_cost(const tf_costs *, int64_t)
