# The questions that a node may ask of a row, and the catalogue of those of a column.
#
# A column of k codes is asked "= v" for each code; of two codes the second asks what the first does. Where its first
# n_ordered codes are in order, it is asked "<= v" too, unless that is one of the others: "<= 0" is "= 0", and what
# leaves a single code out is "= " that code.

from libc.stdint cimport int32_t, uint8_t


# Whether low <= x[column] <= high.
ctypedef struct Question:
    int32_t column  # -1 where nothing is asked
    uint8_t low
    uint8_t high


cdef inline bint goes_left(Question asked, uint8_t code) noexcept nogil:
    """The answer of a row that has this code in the question's column."""
    return <uint8_t> (code - asked.low) <= <uint8_t> (asked.high - asked.low)


cdef inline int32_t n_equalities(int32_t k) noexcept nogil:
    """The i-th asks "= i"."""
    return k if k > 2 else k - 1


cdef inline int32_t n_ranges(int32_t k, int32_t n_ordered) noexcept nogil:
    """The i-th asks "<= i + 1"."""
    return max(0, min(n_ordered - 1, k - 3))


cdef inline Question equality(int32_t column, int32_t i) noexcept nogil:
    return Question(column, <uint8_t> i, <uint8_t> i)


cdef inline Question up_to(int32_t column, int32_t i) noexcept nogil:
    return Question(column, 0, <uint8_t> (i + 1))
