# The rules of growth: which nodes may split, how, and by what it is judged.

from libc.stdint cimport int32_t, int64_t, uint64_t

from _ext.costs cimport tf_costs
from _ext.kernels cimport objective_function

cdef enum:
    PATHS = 3  # draws of a node: one for each side, to name its children by, and one for each column


ctypedef struct Rules:
    tf_costs costs                 # c -> c log c in fixed point
    objective_function objective   # a user's own cost instead; NULL for the likelihood
    int32_t min_samples_leaf
    int32_t max_depth
    int32_t max_features           # columns drawn for each split; 0 for all
    uint64_t seed


cdef inline bint splits(const Rules *rules, int32_t n_left, int32_t n) noexcept nogil:
    """Whether both sides are large enough."""
    return min(n_left, n - n_left) >= rules.min_samples_leaf


cdef inline bint may_split(const Rules *rules, int32_t n, int32_t depth, const int32_t *counts,
                           int32_t n_counts) noexcept nogil:
    """Whether a node of n rows is large enough and not pure."""
    cdef int32_t v
    if n // 2 < rules.min_samples_leaf or depth >= rules.max_depth:
        return False
    for v in range(n_counts):
        if counts[v] == n:
            return False
    return True


# Random numbers are by the seed, the target and the answers on the path from the root alone: not by the order in which
# nodes are made (SplitMix64, Steele, Lea, Flood 2014).

cdef inline uint64_t path_of_root(const Rules *rules, int32_t target) noexcept nogil:
    return drawn(rules.seed, target + 1)


cdef inline uint64_t path_of_child(uint64_t path, bint right) noexcept nogil:
    return drawn(path, 1 + right)


cdef inline uint64_t draw_of_column(uint64_t path, int32_t column) noexcept nogil:
    return drawn(path, PATHS + column)


cdef inline uint64_t drawn(uint64_t key, uint64_t i) noexcept nogil:
    cdef uint64_t z = key + <uint64_t> 0x9E3779B97F4A7C15 * i
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)
