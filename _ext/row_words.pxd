# Rows as a few words of 64 bits: the codes of some columns, one after the other, none of them in two words.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t
from libc.string cimport memset


ctypedef struct RowWords:
    int64_t n_columns
    int64_t n_words
    const int32_t *column  # in the row, of each
    const int32_t *word    # where its code lies
    const int32_t *shift
    const int32_t *mask


cdef inline lay_out_words(RowWords *of, n_categories, columns):
    """The words of rows of columns that have so many categories; returns what has to stay alive with them."""
    import numpy as np

    places, used, word = [], 0, 0
    for k in n_categories:
        bits = int(k - 1).bit_length()
        if used + bits > 64:
            word, used = word + 1, 0
        places.append((word, used if bits else 0, (1 << bits) - 1))
        used += bits
    kept = np.ascontiguousarray(np.column_stack([columns, places]).T, dtype=np.int32)
    of.n_columns, of.n_words = len(places), word + 1
    of.column = <const int32_t *> <uintptr_t> kept.ctypes.data
    of.word, of.shift, of.mask = of.column + of.n_columns, of.column + 2 * of.n_columns, of.column + 3 * of.n_columns
    return kept


cdef inline void to_words(const RowWords *of, const uint8_t *row, uint64_t *words) noexcept nogil:
    cdef int64_t j
    memset(words, 0, of.n_words * sizeof(uint64_t))
    for j in range(of.n_columns):
        words[of.word[j]] |= <uint64_t> row[of.column[j]] << of.shift[j]


cdef inline void from_words(const RowWords *of, const uint64_t *words, uint8_t *row) noexcept nogil:
    """The codes of the columns, one after the other."""
    cdef int64_t j
    for j in range(of.n_columns):
        row[j] = <uint8_t> ((words[of.word[j]] >> of.shift[j]) & of.mask[j])
