"""Distinct rows, counted one block of rows after the other: a hash table of rows that are packed into words.

Linear probing (Knuth, TAOCP 3, algorithm 6.4 L) by SplitMix64 (Steele, Lea, Flood 2014), at most half full.
"""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint64_t

from _ext.row_words cimport RowWords, from_words, lay_out_words, to_words

cdef enum:
    FEWEST = 1024  # places of the smallest table


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

    cdef RowWords words
    cdef object kept
    cdef int64_t most, n_places
    cdef readonly int64_t n
    cdef uint64_t[::1] key     # of the row at hand
    cdef uint64_t[:, ::1] keys
    cdef int64_t[::1] counts   # 0 where no row is

    def __init__(self, n_categories, int64_t most):
        self.kept = lay_out_words(&self.words, n_categories, np.arange(len(n_categories)))
        self.most, self.n = most, 0
        self.key = np.empty(self.words.n_words, dtype=np.uint64)
        self._make_room(FEWEST)

    cdef _make_room(self, int64_t n_places):
        self.n_places = n_places
        self.keys = np.empty((n_places, self.words.n_words), dtype=np.uint64)
        self.counts = np.zeros(n_places, dtype=np.int64)

    def add(self, const uint8_t[:, ::1] codes, const int64_t[::1] weight=None):
        """Count rows, each as often as its weight says: False if too many are distinct, and no more may be counted."""
        cdef int64_t r = 0
        if codes.shape[1] != self.words.n_columns:
            raise ValueError(f"rows of {codes.shape[1]} columns, where {self.words.n_columns} are counted")
        while True:
            with nogil:
                r = self._add(codes, weight, r)
            if r == codes.shape[0]:
                return True
            if not self._grow():
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
        cdef int64_t n_rows = codes.shape[0]
        while first < n_rows and 2 * self.n <= self.n_places:
            to_words(&self.words, &codes[first, 0], &self.key[0])
            self._put(&self.key[0], 1 if weight is None else weight[first])
            first += 1
        return first

    cdef inline void _put(self, const uint64_t *key, int64_t times) noexcept nogil:
        cdef uint64_t z = 0
        cdef int64_t w, at
        cdef bint same
        for w in range(self.words.n_words):
            z = (z ^ key[w]) + <uint64_t> 0x9E3779B97F4A7C15
            z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
            z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
            z ^= z >> 31
        at = <int64_t> (z & <uint64_t> (self.n_places - 1))
        while self.counts[at] > 0:
            same = True
            for w in range(self.words.n_words):
                same &= self.keys[at, w] == key[w]
            if same:
                self.counts[at] += times
                return
            at = (at + 1) & (self.n_places - 1)
        for w in range(self.words.n_words):
            self.keys[at, w] = key[w]
        self.counts[at] = times
        self.n += 1

    def rows(self):
        """The rows, in no particular order, and how often each has come: codes (n, n_columns), uint8; (n,), int64."""
        cdef int64_t i, r = 0
        codes = np.empty((self.n, self.words.n_columns), dtype=np.uint8)
        times = np.empty(self.n, dtype=np.int64)
        cdef uint8_t[:, ::1] row = codes
        cdef int64_t[::1] count = times
        with nogil:
            for i in range(self.n_places):
                if self.counts[i] > 0:
                    from_words(&self.words, &self.keys[i, 0], &row[r, 0])
                    count[r] = self.counts[i]
                    r += 1
        return codes, times
