"""Distinct rows, counted one block of rows after the other: a hash table of rows that are packed into words.

Linear probing (Knuth, TAOCP 3, algorithm 6.4 L) by SplitMix64 (Steele, Lea, Flood 2014), at most half full.
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef enum:
    FEWEST = 1024  # places of the smallest table
    SOME = 256     # rows packed at a time


cdef class DistinctRows:
    """Rows that differ, and how often each has come.

    Parameters
    ----------
    n_categories : ndarray of shape (n_columns,), int32
    most : int
        Of distinct rows.

    Attributes
    ----------
    n : int
        Distinct rows so far.
    """

    cdef int64_t most, n_words, n_columns, n_places
    cdef readonly int64_t n
    cdef int32_t[::1] word, shift, mask  # where the codes of each column are
    cdef uint64_t[:, ::1] keys
    cdef int64_t[::1] counts   # 0 where no row is

    def __init__(self, n_categories, int64_t most):
        bits = [int(k - 1).bit_length() for k in n_categories]
        words, shifts, at, used = [], [], 0, 0
        for b in bits:
            if used + b > 64:
                at, used = at + 1, 0
            words.append(at)
            shifts.append(used if b else 0)
            used += b
        self.word, self.shift = np.array(words, dtype=np.int32), np.array(shifts, dtype=np.int32)
        self.mask = np.array([(1 << b) - 1 for b in bits], dtype=np.int32)
        self.most, self.n_words, self.n_columns, self.n = most, at + 1, len(bits), 0
        self._make_room(FEWEST)

    cdef _make_room(self, int64_t n_places):
        self.n_places = n_places
        self.keys, self.counts = np.empty((n_places, self.n_words), dtype=np.uint64), np.zeros(n_places, dtype=np.int64)

    def add(self, const uint8_t[:, ::1] codes, const int64_t[::1] weight=None):
        """Count rows, each as often as its weight says: False if there are too many distinct ones, and none may follow."""
        cdef int64_t r = 0
        if codes.shape[1] != self.n_columns:
            raise ValueError(f"rows of {codes.shape[1]} columns, where {self.n_columns} are counted")
        while True:
            with nogil:
                r = self._add(codes, weight, r)
            if r == codes.shape[0]:
                return True
            if 2 * self.n > self.n_places - 2 * SOME and not self._grow():
                return False

    cdef bint _grow(self):
        """Move all to a table of twice the size, unless there are too many."""
        cdef uint64_t[:, ::1] keys = self.keys
        cdef int64_t[::1] counts = self.counts
        cdef int64_t i, n_places = self.n_places
        if self.n > self.most:
            return False
        self._make_room(2 * n_places)
        self.n = 0
        for i in range(n_places):
            if counts[i] > 0:
                self._put(&keys[i, 0], counts[i])
        return True

    cdef int64_t _add(self, const uint8_t[:, ::1] codes, const int64_t[::1] weight, int64_t first) noexcept nogil:
        """Count rows from the first on, until all are, or the table is half full; returns the next."""
        cdef uint64_t[SOME] keys
        cdef uint64_t key
        cdef int64_t n_rows = codes.shape[0], n, r, j, w, j_first, j_end
        cdef const uint8_t *row
        if self.n_words > SOME:
            return -1
        n = SOME // self.n_words
        while first < n_rows and 2 * self.n <= self.n_places - 2 * SOME:
            n = min(n, n_rows - first)
            for r in range(n):
                row = &codes[first + r, 0]
                j_first = 0
                for w in range(self.n_words):
                    key, j_end = 0, j_first
                    while j_end < self.n_columns and self.word[j_end] == w:
                        key |= <uint64_t> row[j_end] << self.shift[j_end]
                        j_end += 1
                    keys[r * self.n_words + w] = key
                    j_first = j_end
            for r in range(n):
                self._put(&keys[r * self.n_words], 1 if weight is None else weight[first + r])
            first += n
        return first

    cdef inline void _put(self, const uint64_t *key, int64_t times) noexcept nogil:
        cdef uint64_t z = 0
        cdef int64_t w, at
        cdef bint same
        for w in range(self.n_words):
            z = (z ^ key[w]) + <uint64_t> 0x9E3779B97F4A7C15
            z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
            z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
            z ^= z >> 31
        at = <int64_t> (z & <uint64_t> (self.n_places - 1))
        while self.counts[at] > 0:
            same = True
            for w in range(self.n_words):
                same &= self.keys[at, w] == key[w]
            if same:
                self.counts[at] += times
                return
            at = (at + 1) & (self.n_places - 1)
        for w in range(self.n_words):
            self.keys[at, w] = key[w]
        self.counts[at] = times
        self.n += 1

    def rows(self):
        """The rows, in no particular order, and how often each has come: codes (n, n_columns), uint8; (n,), int64."""
        cdef int64_t i, j, r = 0
        codes, times = np.empty((self.n, self.n_columns), dtype=np.uint8), np.empty(self.n, dtype=np.int64)
        cdef uint8_t[:, ::1] row = codes
        cdef int64_t[::1] count = times
        with nogil:
            for i in range(self.n_places):
                if self.counts[i] > 0:
                    for j in range(self.n_columns):
                        row[r, j] = <uint8_t> ((self.keys[i, self.word[j]] >> self.shift[j]) & self.mask[j])
                    count[r] = self.counts[i]
                    r += 1
        return codes, times
