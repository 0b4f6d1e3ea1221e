"""The counter: how often do two categories occur together in these rows?

Training rows are held as bit planes, one for each category of a column but its last, and, for columns of many
categories, as one byte a row. The rows are kept in cells, one for each leaf of the tree grown so far, in tree order;
`Counter.partition` replaces a cell by its two children, `Counter.merge` permutes the cells and makes them one again.
"""

import math

import numpy as np

from cython.parallel cimport parallel, prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from _ext.kernels cimport TF_LANES, current_kernels, tf_kernels

cdef enum:
    TILE = 32            # planes of a tile: two tiles' worth of 512 words stay in the second-level cache
    BLOCK_ROWS = 512     # rows packed at a time: one cache line of every plane
    SCRATCH = 65536      # counts of a pair of columns of 256 categories
    PARALLEL_WORK = 1048576  # rows x columns to touch, below which waking threads costs more than it saves

# Memory for co-occurrence tables: those kept for the next level, and one slab where the whole table is larger.
TABLE_BYTES = 1 << 29


def aligned(shape, dtype):
    """Zeroed array on a 64-byte boundary."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n_bytes].view(dtype).reshape(shape)


ctypedef struct Rows:
    uint64_t *planes     # [n_planes, n_words]
    uint8_t *codes       # [n_coded, n_rows]
    int64_t n_rows
    int64_t n_words


ctypedef struct SplitJob:
    Rows parent
    Rows left
    Rows right
    uint64_t *goes_left  # planes of the rows for either side
    uint64_t *goes_right


ctypedef struct TableJob:
    Rows rows
    const int32_t *counts
    int32_t *table       # [n_planes, width], candidates first .. end - 1 along the second axis
    int32_t *parent      # the parent's table, to become the sibling's, or NULL
    int64_t first
    int64_t end
    int64_t width


cdef class Cell:
    """Rows of one leaf: planes (n_planes, n_words), codes (n_coded, n_rows), counts of every category."""

    cdef int64_t n_rows
    cdef uint64_t[:, ::1] planes
    cdef uint8_t[:, ::1] codes
    cdef Rows rows              # where they lie
    cdef object counts
    cdef object table           # co-occurrences, once counted

    def __init__(self, n_planes, n_coded, n_rows):
        self.n_rows = n_rows
        self.planes = aligned((n_planes, (n_rows + 511) // 512 * 8), np.uint64)
        self.codes = aligned((n_coded, n_rows), np.uint8)
        self.rows = Rows(&self.planes[0, 0], &self.codes[0, 0], n_rows, self.planes.shape[1])


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
    cdef dict halves    # of a cell whose parent's table is known: its sibling, and that table
    cdef bint keep_tables
    cdef int64_t table_bytes, histogram_cells
    cdef int32_t[::1] _k, _first_category, _first_plane, column_of
    cdef int32_t[::1] plane_row, code_row     # where a column is stored, -1 for not in this form
    cdef int32_t[::1] row_plane               # candidate of each stored plane
    cdef int64_t n_all                        # categories of all columns
    cdef int64_t n_stored, n_narrow, n_coded  # the first n_narrow stored planes are paired in tiles
    cdef int32_t[:, ::1] tiles, pairs

    def __init__(self, const uint8_t[:, ::1] codes, n_categories, int n_threads=1, int64_t table_bytes=TABLE_BYTES):
        if codes.shape[0] >= 2**31:
            raise ValueError(f"{codes.shape[0]:,} rows; counts of at most {2**31 - 1:,} are supported")
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
        self.cells, self.halves = [root], {}
        self._count(self.cells)
        self.keep_tables = self._room_for(1)

    def _choose_forms(self):
        """Planes, codes or both for each column, by how its pairs are counted fastest."""
        self.histogram_cells = current_kernels().histogram_cells
        cdef int64_t limit = self.histogram_cells
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
    def cell_rows(self):
        """Rows in each cell: ndarray of shape (n_cells,), int64."""
        return np.array([(<Cell> cell).n_rows for cell in self.cells], dtype=np.int64)

    @property
    def counts(self):
        """Rows of each category in each cell: ndarray of shape (n_cells, sum of n_categories), int32."""
        return np.stack([(<Cell> cell).counts for cell in self.cells])

    def batches(self, n):
        """Slices of a sequence of n cells whose tables have room at the same time."""
        if self.keep_tables:
            return [slice(n)]
        widest = max(end - first for first, end in self.slabs)
        size = max(1, self.table_bytes // (4 * self.n_planes * widest))
        return [slice(start, start + size) for start in range(0, n, size)]

    def cooccurrences(self, which, slab):
        """Rows of cells in which two categories occur together.

        Parameters
        ----------
        which : sequence of int
            Cells.
        slab : (int, int)
            One of `slabs`.

        Returns
        -------
        tables : list of ndarray of shape (n_planes, width), int32
            Of each cell, every category that is a candidate with every candidate of the slab; zeros in the columns
            that round the width up to whole vectors.
        """
        cdef Cell cell
        wanted = [self.cells[i] for i in which]
        if not self.keep_tables:
            return self._tables(wanted, [None] * len(wanted), slab)
        # Of two siblings the smaller is counted; their parent's table, less the smaller's, becomes the larger's.
        to_count, parents = [], []
        for cell in wanted:
            if cell.table is not None or cell in to_count:
                continue
            if cell not in self.halves:
                to_count.append(cell)
                parents.append(None)
                continue
            sibling, table = self.halves.pop(cell)
            del self.halves[sibling]
            small, large = (cell, sibling) if cell.n_rows <= (<Cell> sibling).n_rows else (sibling, cell)
            to_count.append(small)
            parents.append(table)
            (<Cell> large).table = table
        for cell, table in zip(to_count, self._tables(to_count, parents, slab), strict=True):
            cell.table = table
        return [(<Cell> cell).table for cell in wanted]

    # ---- moving ----

    def partition(self, columns, categories):
        """Split cells: rows with ``x[column] == category`` become one child, the rest the other.

        Parameters
        ----------
        columns, categories : sequence of int, one a cell
            A column of -1 leaves the cell as it is. A split must leave rows on both sides.
        """
        cdef Cell cell, left, right
        cdef int64_t n_jobs = 0, n_rows = 0, n_planes = self.n_stored, n_items = self.n_stored + self.n_coded, i
        cdef int32_t column, category
        cdef uint64_t[:, ::1] masks
        cdef const tf_kernels *kernels = current_kernels()
        cdef SplitJob *jobs = <SplitJob *> malloc(max(1, len(self.cells)) * sizeof(SplitJob))
        cdef SplitJob *job
        if jobs == NULL:
            raise MemoryError
        cells, parents, alive = [], [], []
        try:
            for cell, column, category in zip(self.cells, columns, categories, strict=True):
                if column < 0:
                    cells.append(cell)
                    continue
                i = cell.counts[self._first_category[column] + category]
                left = Cell(self.n_stored, self.n_coded, i)
                right = Cell(self.n_stored, self.n_coded, cell.n_rows - i)
                masks = aligned((2, cell.planes.shape[1]), np.uint64)
                cells += [left, right]
                parents.append((cell, left, right))
                alive.append(masks)
                job = &jobs[n_jobs]
                n_jobs += 1
                n_rows += cell.n_rows
                job.parent, job.left, job.right = cell.rows, left.rows, right.rows
                job.goes_left, job.goes_right = &masks[0, 0], &masks[1, 0]
                if self.plane_row[column] >= 0:
                    plane_masks(job.parent.planes + self.plane_row[column] * job.parent.n_words, job.parent.n_words,
                                cell.n_rows, self._k[column], category, job.goes_left, job.goes_right)
                else:
                    code_masks(job.parent.codes + self.code_row[column] * cell.n_rows, cell.n_rows, category,
                               job.goes_left, job.goes_right)
            for i in prange(n_jobs * n_items, nogil=True, schedule="dynamic", chunksize=4, num_threads=self.n_threads,
                            use_threads_if=(self.n_stored + 8 * self.n_coded) * n_rows > PARALLEL_WORK):
                compress(kernels, &jobs[i // n_items], i % n_items, n_planes)
        finally:
            free(jobs)
        self.keep_tables = self._room_for(len(cells))
        self.halves = {}
        small = [left if left.n_rows <= right.n_rows else right for _, left, right in parents]
        self._count(small)
        for (cell, left, right), counted in zip(parents, small, strict=True):
            (right if counted is left else left).counts = cell.counts - (<Cell> counted).counts
            if self.keep_tables and cell.table is not None:
                self.halves[left], self.halves[right] = (right, cell.table), (left, cell.table)
        self.cells = cells

    def merge(self, tables):
        """Permute every cell's columns and gather all rows in one cell.

        Parameters
        ----------
        tables : ndarray of shape (n_cells, sum of n_categories), uint8
            Where each category of each column goes.
        """
        cdef const uint8_t[:, ::1] where = np.ascontiguousarray(tables)
        cdef Cell root = Cell(self.n_stored, self.n_coded, self.n_rows), cell
        cdef int32_t j, n_columns = self._k.shape[0]
        cdef int64_t n_cells = len(self.cells), i = 0
        cdef Rows *parts = <Rows *> malloc(n_cells * sizeof(Rows))
        if parts == NULL:
            raise MemoryError
        counts = np.zeros(self.n_all, dtype=np.int32)
        base = np.repeat(self.first_category[:n_columns], self.n_categories)
        for cell in self.cells:
            parts[i] = cell.rows
            counts[base + tables[i]] += cell.counts
            i += 1
        for j in prange(n_columns, nogil=True, schedule="dynamic", num_threads=self.n_threads,
                        use_threads_if=self.n_all * self.n_rows > PARALLEL_WORK):
            append_column(parts, n_cells, &root.rows, self.plane_row[j], self.code_row[j], self._k[j],
                          &where[0, self._first_category[j]], self.n_all)
        free(parts)
        root.counts = counts
        self.cells, self.halves = [root], {}
        self.keep_tables = self._room_for(1)

    # ---- counting ----

    cdef _count(self, list cells):
        """Rows of every category in each of these cells, the last of each column by subtraction where in planes."""
        cdef int64_t n_columns = self._k.shape[0], n_cells = len(cells), n_rows = 0, i = 0
        counts = np.zeros((n_cells, self.n_all), dtype=np.int32)
        cdef int32_t[:, ::1] out = counts
        cdef const tf_kernels *kernels = current_kernels()
        cdef Rows *parts = <Rows *> malloc(max(1, n_cells) * sizeof(Rows))
        cdef Cell cell
        if parts == NULL:
            raise MemoryError
        for cell in cells:
            cell.counts = counts[i]
            parts[i] = cell.rows
            n_rows += cell.n_rows
            i += 1
        for i in prange(n_cells * n_columns, nogil=True, schedule="static", num_threads=self.n_threads,
                        use_threads_if=n_columns * n_rows > PARALLEL_WORK):
            count_column(kernels, &parts[i // n_columns], self.plane_row[i % n_columns], self.code_row[i % n_columns],
                         self._k[i % n_columns], &out[i // n_columns, self._first_category[i % n_columns]])
        free(parts)

    cdef list _tables(self, list cells, list parents, slab):
        """Tables of cells; from each parent's table, where there is one, the cell's is subtracted in place."""
        cdef int64_t first = slab[0], end = slab[1], n_jobs = len(cells), n_rows = 0, i
        cdef int64_t width = (end - first + TF_LANES - 1) // TF_LANES * TF_LANES, n_columns = self._k.shape[0]
        cdef int32_t[:, ::1] tiles = self.tiles, pairs = self.pairs, table, parent
        cdef int32_t[::1] counts
        cdef Cell cell
        if len(self.slabs) > 1:
            tiles, pairs = self._tasks_of(slab)
        cdef int64_t n_tiles = tiles.shape[0], n_tasks = n_tiles + pairs.shape[0]
        cdef const tf_kernels *kernels = current_kernels()
        cdef int32_t[:, ::1] scratch = np.empty((self.n_threads, SCRATCH), dtype=np.int32)
        tables = [aligned((self.n_planes, width), np.int32) for _ in cells]
        cdef TableJob *jobs = <TableJob *> malloc(max(1, n_jobs) * sizeof(TableJob))
        if jobs == NULL:
            raise MemoryError
        for i in range(n_jobs):
            cell = cells[i]
            table, counts = tables[i], cell.counts
            jobs[i].rows, jobs[i].counts, jobs[i].table = cell.rows, &counts[0], &table[0, 0]
            jobs[i].first, jobs[i].end, jobs[i].width = first, end, width
            jobs[i].parent = NULL
            if parents[i] is not None:
                parent = parents[i]
                jobs[i].parent = &parent[0, 0]
            n_rows += cell.n_rows
        with nogil, parallel(num_threads=self.n_threads,
                             use_threads_if=self.n_planes * width * n_rows > 16 * PARALLEL_WORK):
            for i in prange(n_jobs * n_tasks, schedule="dynamic"):
                if i % n_tasks < n_tiles:
                    self._count_tile(kernels, &jobs[i // n_tasks], tiles[i % n_tasks, 0], tiles[i % n_tasks, 1],
                                     &scratch[threadid(), 0])
                else:
                    self._count_pair(kernels, &jobs[i // n_tasks], pairs[i % n_tasks - n_tiles, 0],
                                     pairs[i % n_tasks - n_tiles, 1], &scratch[threadid(), 0])
            for i in prange(n_jobs * n_columns, schedule="dynamic"):
                self._complete(&jobs[i // n_columns], i % n_columns)
        free(jobs)
        return tables

    def _tasks_of(self, slab):
        """The tiles and pairs that have a candidate of the slab on either side."""
        row_plane = np.asarray(self.row_plane)[: self.n_narrow]
        inside = np.add.reduceat((slab[0] <= row_plane) & (row_plane < slab[1]), np.arange(0, self.n_narrow, TILE))
        tiles, pairs = np.asarray(self.tiles), np.asarray(self.pairs)
        in_slab = (slab[0] <= self.first_plane) & (self.first_plane < slab[1])
        return tiles[inside[tiles // TILE].any(axis=1)], pairs[in_slab[pairs].any(axis=1)]

    cdef void _count_tile(self, const tf_kernels *kernels, const TableJob *job, int64_t first_a, int64_t first_b,
                          int32_t *scratch) noexcept nogil:
        """Pairs of two runs of at most TILE narrow planes."""
        cdef int64_t n_a = min(TILE, self.n_narrow - first_a), n_b = min(TILE, self.n_narrow - first_b), i, j
        cdef int64_t n_words = job.rows.n_words
        memset(scratch, 0, TILE * TILE * sizeof(int32_t))
        kernels.cooccurrence(job.rows.planes + first_a * n_words, n_a, job.rows.planes + first_b * n_words, n_b,
                             n_words, n_words, scratch, TILE)
        for i in range(n_a):
            for j in range(n_b):
                put(job, self.row_plane[first_a + i], self.row_plane[first_b + j], scratch[i * TILE + j])

    cdef void _count_pair(self, const tf_kernels *kernels, const TableJob *job, int32_t column_a, int32_t column_b,
                          int32_t *scratch) noexcept nogil:
        """Categories of one column with those of another."""
        cdef int64_t n_a = self._k[column_a], n_b = self._k[column_b], width = n_b, i, j
        cdef int64_t n_words = job.rows.n_words, n_rows = job.rows.n_rows
        cdef const uint8_t *x
        cdef const uint8_t *y
        memset(scratch, 0, n_a * n_b * sizeof(int32_t))
        if n_a * n_b < self.histogram_cells:
            n_a -= 1
            n_b -= 1
            kernels.cooccurrence(job.rows.planes + self.plane_row[column_a] * n_words, n_a,
                                 job.rows.planes + self.plane_row[column_b] * n_words, n_b, n_words, n_words, scratch,
                                 width)
        else:
            x = job.rows.codes + self.code_row[column_a] * n_rows
            y = job.rows.codes + self.code_row[column_b] * n_rows
            for i in range(n_rows):
                scratch[x[i] * width + y[i]] += 1
            n_a = min(n_a, self._first_plane[column_a + 1] - self._first_plane[column_a])
            n_b = min(n_b, self._first_plane[column_b + 1] - self._first_plane[column_b])
        for i in range(n_a):
            for j in range(n_b):
                put(job, self._first_plane[column_a] + i, self._first_plane[column_b] + j, scratch[i * width + j])

    cdef void _complete(self, const TableJob *job, int32_t column) noexcept nogil:
        """The rows of one column: what was left out of the counting, then what is the sibling's."""
        cdef int64_t first = job.first, width = job.width, last = self._first_plane[column + 1] - 1, p, q, i
        cdef int32_t j, rest
        cdef int32_t *row
        # the last category's row is what the other rows leave of the counts
        if self._k[column] > 2:
            row = job.table + last * width
            for q in range(first, job.end):
                row[q - first] = job.counts[self._category_of(q)]
            for p in range(self._first_plane[column], last):
                for i in range(job.end - first):
                    row[i] -= job.table[p * width + i]
        for p in range(self._first_plane[column], last + 1):
            row = job.table + p * width
            for j in range(self.column_of[first], self.column_of[job.end - 1] + 1):
                if j == column:
                    for q in range(self._first_plane[j], self._first_plane[j + 1]):
                        row[q - first] = 0
                    row[p - first] = job.counts[self._category_of(p)]
                elif self._k[j] > 2:
                    # and in every row, the last category of a column is what the others leave of the row's own count
                    rest = job.counts[self._category_of(p)]
                    for q in range(self._first_plane[j], self._first_plane[j + 1] - 1):
                        rest = rest - row[q - first]
                    row[self._first_plane[j + 1] - 1 - first] = rest
            if job.parent != NULL:
                for i in range(job.end - first):
                    job.parent[p * width + i] -= row[i]

    cdef inline int64_t _category_of(self, int64_t plane) noexcept nogil:
        cdef int32_t j = self.column_of[plane]
        return self._first_category[j] + plane - self._first_plane[j]

    # ---- packing ----

    cdef _pack(self, const uint8_t[:, ::1] codes, Cell root):
        """Codes to planes, BLOCK_ROWS rows at a time, so that whole cache lines of a plane are written."""
        cdef int64_t n_blocks = (self.n_rows + BLOCK_ROWS - 1) // BLOCK_ROWS, block
        cdef uint64_t[:, ::1] lines = np.empty((self.n_threads, self.n_all * BLOCK_ROWS // 64), dtype=np.uint64)
        for block in prange(n_blocks, nogil=True, schedule="static", num_threads=self.n_threads,
                            use_threads_if=self.n_rows * codes.shape[1] > PARALLEL_WORK):
            self._pack_block(codes, block * BLOCK_ROWS, &lines[threadid(), 0], root.planes, root.codes)

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


cdef inline void put(const TableJob *job, int64_t a, int64_t b, int32_t count) noexcept nogil:
    """Both places of a symmetric table, where they lie within the slab."""
    if job.first <= b < job.end:
        job.table[a * job.width + b - job.first] = count
    if job.first <= a < job.end:
        job.table[b * job.width + a - job.first] = count


cdef void compress(const tf_kernels *kernels, const SplitJob *job, int64_t item, int64_t n_planes) noexcept nogil:
    """One plane, or one column of codes, to both children."""
    if item < n_planes:
        kernels.compress_plane(job.parent.planes + item * job.parent.n_words, job.goes_left, job.goes_right,
                               (job.parent.n_rows + 63) // 64, job.left.planes + item * job.left.n_words,
                               job.right.planes + item * job.right.n_words)
    else:
        item -= n_planes
        kernels.compress_codes(job.parent.codes + item * job.parent.n_rows, job.goes_left, job.parent.n_rows,
                               job.left.codes + item * job.left.n_rows, job.right.codes + item * job.right.n_rows)


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


cdef void count_column(const tf_kernels *kernels, const Rows *rows, int32_t plane_row, int32_t code_row, int32_t k,
                       int32_t *out) noexcept nogil:
    cdef int32_t v, rest = rows.n_rows
    cdef int64_t r
    cdef const uint64_t *planes = rows.planes + plane_row * rows.n_words
    cdef const uint8_t *codes = rows.codes + code_row * rows.n_rows
    if plane_row < 0:
        for r in range(rows.n_rows):
            out[codes[r]] += 1
        return
    for v in range(k - 1):
        kernels.cooccurrence(planes + v * rows.n_words, 1, planes + v * rows.n_words, 1, rows.n_words, rows.n_words,
                             out + v, 1)
        rest = rest - out[v]
    out[k - 1] = rest


cdef void append_column(const Rows *parts, int64_t n_parts, const Rows *out, int32_t plane_row, int32_t code_row,
                        int32_t k, const uint8_t *where, int64_t where_stride) noexcept nogil:
    """One column of all parts, one after the other; category v of part i becomes where[i * where_stride + v]."""
    cdef int64_t start = 0, i, r
    cdef const uint8_t *codes
    for i in range(n_parts):
        if plane_row >= 0:
            append_planes(parts[i].planes + plane_row * parts[i].n_words, parts[i].n_words, parts[i].n_rows,
                          out.planes + plane_row * out.n_words, out.n_words, start, k, where)
        if code_row >= 0:
            codes = parts[i].codes + code_row * parts[i].n_rows
            for r in range(parts[i].n_rows):
                out.codes[code_row * out.n_rows + start + r] = where[codes[r]]
        start += parts[i].n_rows
        where += where_stride


cdef void append_planes(const uint64_t *planes, int64_t n_words, int64_t n_rows, uint64_t *out, int64_t out_words,
                        int64_t start, int32_t k, const uint8_t *where) noexcept nogil:
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
