"""The counter: how often do two categories occur together in these rows?

Training rows are held as bit planes, one for each category of a column but its last, and, for columns of many
categories, as one byte a row. The rows are kept in cells, one for each leaf of the tree grown so far, in tree order;
`Counter.partition` replaces a cell by its two children, `Counter.merge` permutes the cells and makes them one again.
"""

import math

import numpy as np

from cython.parallel cimport parallel, prange
from libc.stdlib cimport free, malloc
from libc.string cimport memset

include "kernels.pxi"

cdef enum:
    TILE = 32            # planes of a tile: two tiles' worth of 512 words stay in the second-level cache
    BLOCK_ROWS = 512     # rows packed at a time: one cache line of every plane
    SCRATCH = 65536      # counts of a pair of columns of 256 categories
    PARALLEL_WORK = 65536  # bytes or words to touch, below which waking threads costs more than it saves

# Memory for co-occurrence tables: those kept for the next level, and one slab where the whole table is larger.
TABLE_BYTES = 1 << 28


def aligned(shape, dtype):
    """Zeroed array on a 64-byte boundary."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n_bytes].view(dtype).reshape(shape)


cdef class Cell:
    """Rows of one leaf: planes (n_planes, n_words), codes (n_coded, n_rows), counts of every category."""

    cdef int64_t n_rows
    cdef uint64_t[:, ::1] planes
    cdef uint8_t[:, ::1] codes
    cdef object counts
    cdef object table           # co-occurrences, once counted
    cdef Cell sibling           # with whom it shares ...
    cdef object parent_table    # ... the table of their parent

    def __init__(self, n_planes, n_coded, n_rows):
        self.n_rows = n_rows
        self.planes = aligned((n_planes, (n_rows + 511) // 512 * 8), np.uint64)
        self.codes = aligned((n_coded, n_rows), np.uint8)


cdef class Counter:
    """Counts over the cells of a partition of the training rows.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories : ndarray of shape (n_columns,), int32
        Codes of column j run from 0 to ``n_categories[j] - 1``.
    n_threads : int

    Notes
    -----
    Categories are numbered column after column: category v of column j is ``first_category[j] + v``. Candidate
    splits, "x_s = v" against the rest, are numbered alike, but the second of a binary column is left out: it makes the
    same split as the first. Candidate v of column s is ``first_plane[s] + v``.

    Co-occurrences come in slabs of candidates, ``slabs``: one for all of them unless the table would take more than
    ``table_bytes``.
    """

    cdef readonly int64_t n_rows
    cdef readonly int n_threads
    cdef readonly object n_categories, first_category, first_plane, plane_column
    cdef readonly int64_t n_planes
    cdef readonly list slabs
    cdef list cells
    cdef bint keep_tables
    cdef int64_t table_bytes
    cdef int32_t[::1] _k, _first_category, _first_plane, column_of
    cdef int32_t[::1] plane_row, code_row     # where a column is stored, -1 for not in this form
    cdef int32_t[::1] row_plane               # candidate of each stored plane
    cdef int64_t n_all                        # categories of all columns
    cdef int64_t n_stored, n_narrow, n_coded  # the first n_narrow stored planes are paired in tiles
    cdef int32_t[:, ::1] tiles, pairs

    def __init__(self, const uint8_t[:, ::1] codes, n_categories, int n_threads=1, int64_t table_bytes=TABLE_BYTES):
        self.n_rows = codes.shape[0]
        self.n_threads = n_threads
        self.n_categories = np.ascontiguousarray(n_categories, dtype=np.int32)
        self.n_all = self.n_categories.sum()
        n_planes_of = np.where(self.n_categories > 2, self.n_categories, self.n_categories - 1)
        self.first_category = np.concatenate(([0], np.cumsum(self.n_categories))).astype(np.int32)
        self.first_plane = np.concatenate(([0], np.cumsum(n_planes_of))).astype(np.int32)
        self.n_planes = n_planes_of.sum()
        self.plane_column = np.repeat(np.arange(len(n_planes_of), dtype=np.int32), n_planes_of)
        self._k, self._first_category, self._first_plane = self.n_categories, self.first_category, self.first_plane
        self.column_of = self.plane_column
        self.table_bytes = table_bytes
        self._choose_forms()
        self._choose_slabs()
        root = Cell(self.n_stored, self.n_coded, self.n_rows)
        self._pack(codes, root)
        root.counts = self._counts(root)
        self.cells = [root]
        self.keep_tables = self._room_for(1)

    def _choose_forms(self):
        """Planes, codes or both for each column, by how its pairs are counted fastest."""
        cdef int64_t limit = current_kernels().histogram_cells
        k = self.n_categories.astype(np.int64)
        in_planes = k * k[k > 1].min(initial=256) < limit
        in_codes = (k * k.max() >= limit) | ~in_planes
        narrow = in_planes & (k * k < limit)
        plane_row, n_stored = np.full(len(k), -1, dtype=np.int32), 0
        for j in [*np.flatnonzero(narrow), *np.flatnonzero(in_planes & ~narrow)]:
            plane_row[j] = n_stored
            n_stored += k[j] - 1
        self.plane_row = plane_row
        self.code_row = np.where(in_codes, np.cumsum(in_codes) - 1, -1).astype(np.int32)
        self.n_stored, self.n_coded = n_stored, in_codes.sum()
        self.n_narrow = (k[narrow] - 1).sum()
        row_plane = np.zeros(n_stored, dtype=np.int32)
        for j in np.flatnonzero(in_planes):
            row_plane[plane_row[j] : plane_row[j] + k[j] - 1] = self.first_plane[j] + np.arange(k[j] - 1)
        self.row_plane = row_plane
        starts = range(0, self.n_narrow, TILE)
        self.tiles = np.array([(a, b) for a in starts for b in starts if b >= a], dtype=np.int32).reshape(-1, 2)
        varying = np.flatnonzero(k > 1)
        pairs = [(a, b) for a in varying if not narrow[a] for b in varying if narrow[b] or b > a]
        self.pairs = np.array(pairs, dtype=np.int32).reshape(-1, 2)

    def _choose_slabs(self):
        """Runs of whole columns whose candidates' tables have room, as (first candidate, one after the last)."""
        cdef int64_t width = max(1, self.table_bytes // (4 * max(1, self.n_planes)))
        self.slabs = []
        start = 0
        for j in range(len(self.n_categories)):
            if self.first_plane[j + 1] - start > width and self.first_plane[j] > start:
                self.slabs.append((start, int(self.first_plane[j])))
                start = int(self.first_plane[j])
        if self.n_planes > start:
            self.slabs.append((start, int(self.n_planes)))

    def _room_for(self, n_tables):
        return 4 * self.n_planes * self.n_planes * n_tables <= self.table_bytes

    # ---- reading ----

    @property
    def n_cells(self):
        return len(self.cells)

    @property
    def cell_rows(self):
        """Rows in each cell: ndarray of shape (n_cells,), int64."""
        return np.array([(<Cell> cell).n_rows for cell in self.cells], dtype=np.int64)

    @property
    def counts(self):
        """Rows of each category in each cell: ndarray of shape (n_cells, sum of n_categories), int32."""
        return np.stack([(<Cell> cell).counts for cell in self.cells])

    def cooccurrences(self, which, slab):
        """Rows of a cell in which two categories occur together.

        Parameters
        ----------
        which : int
            The cell.
        slab : (int, int)
            One of `slabs`.

        Returns
        -------
        table : ndarray of shape (n_planes, width), int32
            Every category that is a candidate with every candidate of the slab; zeros in the columns that round the
            width up to whole vectors.
        """
        cdef Cell cell = self.cells[which]
        if not self.keep_tables:
            return self._table(cell, slab)
        if cell.table is None:
            if cell.parent_table is None:
                cell.table = self._table(cell, slab)
            else:
                self._table_of_pair(cell, slab)
        return cell.table

    cdef _table_of_pair(self, Cell cell, slab):
        """Count the smaller of two siblings; the rest of their parent is the larger."""
        cdef Cell other = cell.sibling
        cdef Cell small = cell if cell.n_rows <= other.n_rows else other
        cdef Cell large = other if small is cell else cell
        small.table = self._table(small, slab)
        large.table = np.subtract(cell.parent_table, small.table, out=cell.parent_table)
        small.parent_table = large.parent_table = small.sibling = large.sibling = None

    # ---- moving ----

    def partition(self, columns, categories):
        """Split cells: rows with ``x[column] == category`` become one child, the rest the other.

        Parameters
        ----------
        columns, categories : sequence of int, one a cell
            A column of -1 leaves the cell as it is. A split must leave rows on both sides.
        """
        cells = []
        for cell, column, category in zip(self.cells, columns, categories, strict=True):
            if column < 0:
                cells.append(cell)
            else:
                cells.extend(self._split(cell, column, category))
        self.cells = cells
        self.keep_tables = self._room_for(len(cells))

    def merge(self, tables):
        """Permute every cell's columns and gather all rows in one cell.

        Parameters
        ----------
        tables : ndarray of shape (n_cells, sum of n_categories), uint8
            Where each category of each column goes.
        """
        cdef const uint8_t[:, ::1] where = np.ascontiguousarray(tables)
        cdef Cell root = Cell(self.n_stored, self.n_coded, self.n_rows), cell
        cdef int64_t start = 0, i
        cdef int32_t j, n_columns = self._k.shape[0]
        counts = np.zeros(self.n_all, dtype=np.int32)
        base = np.repeat(self.first_category[:-1], self.n_categories)
        for i in range(len(self.cells)):
            cell = self.cells[i]
            counts[base + tables[i]] += cell.counts
            for j in prange(n_columns, nogil=True, schedule="dynamic", chunksize=4, num_threads=self.n_threads,
                            use_threads_if=n_columns * cell.n_rows > PARALLEL_WORK):
                if self.plane_row[j] >= 0:
                    append_planes(&cell.planes[self.plane_row[j], 0], cell.planes.shape[1], cell.n_rows,
                                  &root.planes[self.plane_row[j], 0], root.planes.shape[1], start,
                                  self._k[j], &where[i, self._first_category[j]])
                if self.code_row[j] >= 0:
                    append_codes(&cell.codes[self.code_row[j], 0], cell.n_rows, &root.codes[self.code_row[j], start],
                                 &where[i, self._first_category[j]])
            start += cell.n_rows
        root.counts = counts
        self.cells = [root]
        self.keep_tables = self._room_for(1)

    cdef list _split(self, Cell cell, int32_t column, int32_t category):
        cdef int64_t n_words = cell.planes.shape[1], n_used = (cell.n_rows + 63) // 64, i
        cdef int64_t n_left = cell.counts[self._first_category[column] + category]
        cdef Cell left = Cell(self.n_stored, self.n_coded, n_left)
        cdef Cell right = Cell(self.n_stored, self.n_coded, cell.n_rows - n_left)
        cdef uint64_t[:, ::1] masks = aligned((2, n_words), np.uint64)
        cdef const tf_kernels *kernels = current_kernels()
        if self.plane_row[column] >= 0:
            plane_masks(&cell.planes[self.plane_row[column], 0], n_words, cell.n_rows, self._k[column], category,
                        &masks[0, 0], &masks[1, 0])
        else:
            code_masks(&cell.codes[self.code_row[column], 0], cell.n_rows, category, &masks[0, 0], &masks[1, 0])
        for i in prange(self.n_stored + self.n_coded, nogil=True, schedule="dynamic", chunksize=4,
                        num_threads=self.n_threads,
                        use_threads_if=(self.n_stored + 8 * self.n_coded) * cell.n_rows > PARALLEL_WORK):
            if i < self.n_stored:
                kernels.compress_plane(&cell.planes[i, 0], &masks[0, 0], &masks[1, 0], n_used, &left.planes[i, 0],
                                       &right.planes[i, 0])
            else:
                kernels.compress_codes(&cell.codes[i - self.n_stored, 0], &masks[0, 0], cell.n_rows,
                                       &left.codes[i - self.n_stored, 0], &right.codes[i - self.n_stored, 0])
        small, large = (left, right) if left.n_rows <= right.n_rows else (right, left)
        (<Cell> small).counts = self._counts(small)
        (<Cell> large).counts = cell.counts - (<Cell> small).counts
        if cell.table is not None:
            left.sibling, right.sibling = right, left
            left.parent_table = right.parent_table = cell.table
        return [left, right]

    # ---- counting ----

    cdef _counts(self, Cell cell):
        """Rows of every category, the last of each column by subtraction where it is kept in planes."""
        counts = np.zeros(self.n_all, dtype=np.int32)
        cdef int32_t[::1] out = counts
        cdef int64_t n_columns = self._k.shape[0], j
        cdef const tf_kernels *kernels = current_kernels()
        for j in prange(n_columns, nogil=True, schedule="static", num_threads=self.n_threads,
                        use_threads_if=n_columns * cell.n_rows > PARALLEL_WORK):
            if self.plane_row[j] >= 0:
                count_planes(kernels, &cell.planes[self.plane_row[j], 0], cell.planes.shape[1], cell.n_rows,
                             self._k[j], &out[self._first_category[j]])
            else:
                count_codes(&cell.codes[self.code_row[j], 0], cell.n_rows, &out[self._first_category[j]])
        return counts

    cdef _table(self, Cell cell, slab):
        cdef int64_t first = slab[0], end = slab[1]
        cdef int64_t width = (end - first + TF_LANES - 1) // TF_LANES * TF_LANES
        table = aligned((self.n_planes, width), np.int32)
        cdef int32_t[:, ::1] out = table
        cdef int32_t[::1] counts = cell.counts
        cdef int32_t[:, ::1] tiles = self.tiles, pairs = self.pairs
        if len(self.slabs) > 1:
            tiles, pairs = self._tasks_of(slab)
        cdef int64_t n_tiles = tiles.shape[0], n_tasks = n_tiles + pairs.shape[0], i
        cdef int32_t j, n_columns = self._k.shape[0]
        cdef const tf_kernels *kernels = current_kernels()
        cdef int32_t *scratch
        with nogil, parallel(num_threads=self.n_threads,
                             use_threads_if=self.n_planes * width * cell.n_rows > 64 * PARALLEL_WORK):
            scratch = <int32_t *> malloc(SCRATCH * sizeof(int32_t))
            for i in prange(n_tasks, schedule="dynamic"):
                if i < n_tiles:
                    self._count_tile(kernels, cell.planes, tiles[i, 0], tiles[i, 1], scratch, first, end, out)
                else:
                    self._count_pair(kernels, cell.planes, cell.codes, pairs[i - n_tiles, 0], pairs[i - n_tiles, 1],
                                     scratch, first, end, out)
            free(scratch)
        for j in range(n_columns):
            self._complete_rows(j, counts, first, end, out)
        for i in prange(self.n_planes, nogil=True, schedule="static", num_threads=self.n_threads,
                        use_threads_if=self.n_planes * width > PARALLEL_WORK):
            self._complete_columns(i, counts, first, end, out)
        return table

    def _tasks_of(self, slab):
        """The tiles and pairs that have a candidate of the slab on either side."""
        row_plane = np.asarray(self.row_plane)[: self.n_narrow]
        inside = np.add.reduceat((slab[0] <= row_plane) & (row_plane < slab[1]), range(0, self.n_narrow, TILE))
        tiles, pairs = np.asarray(self.tiles), np.asarray(self.pairs)
        in_slab = (slab[0] <= self.first_plane) & (self.first_plane < slab[1])
        return tiles[inside[tiles // TILE].any(axis=1)], pairs[in_slab[pairs].any(axis=1)]

    cdef void _count_tile(self, const tf_kernels *kernels, const uint64_t[:, ::1] planes, int64_t first_a,
                          int64_t first_b, int32_t *scratch, int64_t first, int64_t end,
                          int32_t[:, ::1] out) noexcept nogil:
        """Pairs of two runs of at most TILE narrow planes."""
        cdef int64_t n_a = min(TILE, self.n_narrow - first_a), n_b = min(TILE, self.n_narrow - first_b), i, j
        memset(scratch, 0, TILE * TILE * sizeof(int32_t))
        kernels.cooccurrence(&planes[first_a, 0], n_a, &planes[first_b, 0], n_b, planes.shape[1], planes.shape[1],
                             scratch, TILE)
        for i in range(n_a):
            for j in range(n_b):
                put(self.row_plane[first_a + i], self.row_plane[first_b + j], scratch[i * TILE + j], first, end, out)

    cdef void _count_pair(self, const tf_kernels *kernels, const uint64_t[:, ::1] planes, const uint8_t[:, ::1] codes,
                          int32_t column_a, int32_t column_b, int32_t *scratch, int64_t first, int64_t end,
                          int32_t[:, ::1] out) noexcept nogil:
        """Categories of one column with those of another."""
        cdef int64_t n_a = self._k[column_a], n_b = self._k[column_b], width = n_b, i, j
        cdef const uint8_t *x
        cdef const uint8_t *y
        memset(scratch, 0, n_a * n_b * sizeof(int32_t))
        if n_a * n_b < kernels.histogram_cells:
            n_a -= 1
            n_b -= 1
            kernels.cooccurrence(&planes[self.plane_row[column_a], 0], n_a, &planes[self.plane_row[column_b], 0], n_b,
                                 planes.shape[1], planes.shape[1], scratch, width)
        else:
            x = &codes[self.code_row[column_a], 0]
            y = &codes[self.code_row[column_b], 0]
            for i in range(codes.shape[1]):
                scratch[x[i] * width + y[i]] += 1
            n_a = min(n_a, self._first_plane[column_a + 1] - self._first_plane[column_a])
            n_b = min(n_b, self._first_plane[column_b + 1] - self._first_plane[column_b])
        for i in range(n_a):
            for j in range(n_b):
                put(self._first_plane[column_a] + i, self._first_plane[column_b] + j, scratch[i * width + j], first,
                    end, out)

    cdef void _complete_rows(self, int32_t j, const int32_t[::1] counts, int64_t first, int64_t end,
                             int32_t[:, ::1] out) noexcept nogil:
        """The last category's row of a column is what its other rows leave of the counts."""
        cdef int64_t last = self._first_plane[j + 1] - 1, p, q
        if self._k[j] < 3:
            return
        for q in range(first, end):
            out[last, q - first] = counts[self._category_of(q)]
        for p in range(self._first_plane[j], last):
            for q in range(end - first):
                out[last, q] -= out[p, q]

    cdef void _complete_columns(self, int64_t p, const int32_t[::1] counts, int64_t first, int64_t end,
                                int32_t[:, ::1] out) noexcept nogil:
        """The same for the last category's column, in one row; and the row's own count on the diagonal."""
        cdef int32_t j, own = self.column_of[p]
        cdef int64_t last, q
        cdef int32_t rest
        for j in range(self.column_of[first], self.column_of[end - 1] + 1):
            if j == own:
                for q in range(self._first_plane[j], self._first_plane[j + 1]):
                    out[p, q - first] = 0
                out[p, p - first] = counts[self._category_of(p)]
            elif self._k[j] >= 3:
                last = self._first_plane[j + 1] - 1
                rest = counts[self._category_of(p)]
                for q in range(self._first_plane[j], last):
                    rest = rest - out[p, q - first]
                out[p, last - first] = rest

    cdef inline int64_t _category_of(self, int64_t plane) noexcept nogil:
        cdef int32_t j = self.column_of[plane]
        return self._first_category[j] + plane - self._first_plane[j]

    # ---- packing ----

    cdef _pack(self, const uint8_t[:, ::1] codes, Cell root):
        """Codes to planes, BLOCK_ROWS rows at a time, so that whole cache lines of a plane are written."""
        cdef int64_t n_blocks = (self.n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS, block
        cdef uint64_t *lines
        with nogil, parallel(num_threads=self.n_threads,
                             use_threads_if=self.n_rows * codes.shape[1] > PARALLEL_WORK):
            lines = <uint64_t *> malloc(self.n_all * BLOCK_ROWS // 8)
            for block in prange(n_blocks, schedule="static"):
                self._pack_block(codes, block * BLOCK_ROWS, lines, root.planes, root.codes)
            free(lines)

    cdef void _pack_block(self, const uint8_t[:, ::1] codes, int64_t start, uint64_t *lines, uint64_t[:, ::1] planes,
                          uint8_t[:, ::1] coded) noexcept nogil:
        cdef int64_t stop = min(start + BLOCK_ROWS, self.n_rows), r, v
        cdef int32_t j, n_columns = self._k.shape[0], w
        cdef uint64_t bit
        memset(lines, 0, self.n_all * BLOCK_ROWS // 8)
        for r in range(start, stop):
            w = (r - start) // 64
            bit = (<uint64_t> 1) << (r % 64)
            for j in range(n_columns):
                lines[(self._first_category[j] + codes[r, j]) * (BLOCK_ROWS // 64) + w] |= bit
                if self.code_row[j] >= 0:
                    coded[self.code_row[j], r] = codes[r, j]
        for j in range(n_columns):
            if self.plane_row[j] < 0:
                continue
            for v in range(self._k[j] - 1):
                for w in range(BLOCK_ROWS // 64):
                    planes[self.plane_row[j] + v, start // 64 + w] = lines[
                        (self._first_category[j] + v) * (BLOCK_ROWS // 64) + w]


def pairwise_cooccurrences(const uint64_t[:, ::1] planes, int n_threads=1):
    """Rows in both of every two planes, a pair at a time: the plain loop that `Counter` is measured and tested against.

    Parameters
    ----------
    planes : ndarray of shape (n_planes, n_words), uint64
        From `aligned`, with a multiple of 8 words.
    n_threads : int

    Returns
    -------
    table : ndarray of shape (n_planes, n_planes), int32
        On and above the diagonal; zeros below.
    """
    cdef int64_t n = planes.shape[0], i, j
    table = np.zeros((n, n), dtype=np.int32)
    cdef int32_t[:, ::1] out = table
    cdef const tf_kernels *kernels = current_kernels()
    for i in prange(n, nogil=True, schedule="dynamic", num_threads=n_threads):
        for j in range(i, n):
            kernels.cooccurrence(&planes[i, 0], 1, &planes[j, 0], 1, planes.shape[1], planes.shape[1], &out[i, j], n)
    return table


cdef inline void put(int64_t a, int64_t b, int32_t count, int64_t first, int64_t end,
                     int32_t[:, ::1] out) noexcept nogil:
    """Both places of a symmetric table, where they lie within the slab."""
    if first <= b < end:
        out[a, b - first] = count
    if first <= a < end:
        out[b, a - first] = count


# ---- one column of one cell; `planes` points at the first of its k - 1 planes ----

cdef inline uint64_t category_word(const uint64_t *planes, int64_t n_words, int64_t n_rows, int32_t k,
                                   int32_t category, int64_t w) noexcept nogil:
    """Word w of the plane of a category; the last one's is where no other's is set."""
    cdef uint64_t word = 0
    cdef int32_t v
    if category < k - 1:
        return planes[category * n_words + w]
    for v in range(k - 1):
        word |= planes[v * n_words + w]
    return ~word & row_word(n_rows, w)


cdef inline uint64_t row_word(int64_t n_rows, int64_t w) noexcept nogil:
    """Word w of the plane that holds every row."""
    cdef int64_t n = n_rows - 64 * w
    if n >= 64:
        return ~(<uint64_t> 0)
    return ((<uint64_t> 1) << n) - 1 if n > 0 else 0


cdef void plane_masks(const uint64_t *planes, int64_t n_words, int64_t n_rows, int32_t k, int32_t category,
                      uint64_t *left, uint64_t *right) noexcept nogil:
    cdef int64_t w
    for w in range(n_words):
        left[w] = category_word(planes, n_words, n_rows, k, category, w)
        right[w] = row_word(n_rows, w) & ~left[w]


cdef void code_masks(const uint8_t *codes, int64_t n_rows, int32_t category, uint64_t *left,
                     uint64_t *right) noexcept nogil:
    cdef int64_t r
    for r in range(n_rows):
        (left if codes[r] == category else right)[r // 64] |= (<uint64_t> 1) << (r % 64)


cdef void count_planes(const tf_kernels *kernels, const uint64_t *planes, int64_t n_words, int64_t n_rows, int32_t k,
                       int32_t *out) noexcept nogil:
    cdef int32_t v, rest = n_rows
    for v in range(k - 1):
        kernels.cooccurrence(planes + v * n_words, 1, planes + v * n_words, 1, n_words, n_words, out + v, 1)
        rest = rest - out[v]
    out[k - 1] = rest


cdef void count_codes(const uint8_t *codes, int64_t n_rows, int32_t *out) noexcept nogil:
    cdef int64_t r
    for r in range(n_rows):
        out[codes[r]] += 1


cdef void append_planes(const uint64_t *planes, int64_t n_words, int64_t n_rows, uint64_t *out, int64_t out_words,
                        int64_t start, int32_t k, const uint8_t *where) noexcept nogil:
    """Rows of a column go to rows start, start + 1, ...; category v becomes where[v]."""
    cdef int32_t v
    cdef int64_t w, at
    cdef int shift = start % 64
    cdef uint64_t word
    for v in range(k):
        if where[v] == k - 1:
            continue
        at = where[v] * out_words + start // 64
        for w in range((n_rows + 63) // 64):
            word = category_word(planes, n_words, n_rows, k, v, w)
            out[at + w] |= word << shift
            if shift and word >> (64 - shift):
                out[at + w + 1] |= word >> (64 - shift)


cdef void append_codes(const uint8_t *codes, int64_t n_rows, uint8_t *out, const uint8_t *where) noexcept nogil:
    cdef int64_t r
    for r in range(n_rows):
        out[r] = where[codes[r]]
