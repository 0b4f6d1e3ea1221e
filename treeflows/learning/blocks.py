"""Rows that are not all in memory: read a block at a time, or counted as distinct ones, where these are few."""

from functools import partial

import numpy as np

from .._ext.distinct import DistinctRows
from ..machine.errors import TableError
from ..machine.parts import digest, fingerprint
from ..machine.progress import side_by_side
from ..tables.packed import PackedTable
from .multisets import distinct, first_of_equals, hashes

BLOCK_BYTES = 2**24
FEWEST_ROWS = 2**16  # of a block,
MOST_ROWS = 2**20
WIDE = 16  # categories of columns that are counted by planes (`_ext/kernels.c`); others row by row
REPEATED = 32  # times that rows are there on average, from which on they are counted by the digits of their weights


class RowsInBlocks:
    """Codes of rows, to be read a block at a time.

    Parameters
    ----------
    read : callable
        ``read(start, stop, columns)`` gives the codes of rows, (stop - start, n), uint8.
    shape : (int, int)
        Rows and columns.
    memory : int
        Bytes that rows and counts may take.
    block_rows : int, default=None
        Rows of a block; nothing but time depends on it.
    packed : tuple of PackedTable and list of ndarray, default=None
        The table that they are of, and the codes of its places, if other processes may read them there.
    """

    def __init__(self, read, shape, memory, block_rows=None, packed=None):
        self.read, self.shape, self.memory, self.packed = read, shape, memory, packed
        fitting = min(BLOCK_BYTES, memory // 8) // shape[1]
        self.block_rows = max(FEWEST_ROWS, min(MOST_ROWS, fitting)) if block_rows is None else block_rows

    @classmethod
    def of_packed(cls, table, domain):
        """The rows of a packed table, by their codes in a domain."""
        lookups = table.lookups(domain)
        packed = None if lookups is None else (table, lookups)
        return cls(partial(table.codes, domain), (table.n_rows, table.n_columns), table.memory, packed=packed)

    def told(self):
        """What other processes need to read the table: plain values, and the codes of its places one after another.

        And names of the columns by what is in them.
        """
        table, lookups = self.packed
        told = {"folder": str(table.folder.absolute()), "hashes": table.hashes, "memory": self.memory}
        names = [digest("packed", [of, fingerprint(lookup)]) for of, lookup in zip(table.hashes, lookups, strict=True)]
        return told | {"sizes": list(map(len, lookups))}, np.concatenate(lookups), names

    @classmethod
    def of_told(cls, folder, hashes, memory, sizes, lookup):
        """The rows that `told` told of.

        Raises
        ------
        TableError
            If the table is another by now.
        """
        table = PackedTable(folder)
        if list(table.hashes) != list(hashes):
            raise TableError(f"the packed table {folder} has changed since its parts were asked for")
        read = partial(table.looked_up, np.split(lookup, np.cumsum(sizes)[:-1]))
        return cls(read, (table.n_rows, table.n_columns), memory)

    def __len__(self):
        return self.shape[0]

    def block(self, start, columns=None):
        """Codes of the rows from one on: ndarray of shape (n, n_columns), uint8; 0 in columns not asked for."""
        stop, n_columns = min(start + self.block_rows, len(self)), self.shape[1]
        if columns is None or len(columns) == n_columns:
            return np.ascontiguousarray(self.read(start, stop, range(n_columns)), dtype=np.uint8)
        codes = np.zeros((stop - start, n_columns), dtype=np.uint8)
        codes[:, columns] = self.read(start, stop, columns)
        return codes

    def blocks(self, columns=None):
        """The rows, block after block."""
        for start in range(0, len(self), self.block_rows):
            yield self.block(start, columns)


def bytes_of_row(n_categories):
    """Bytes that a row takes while trees grow in memory, about: its codes, twice its planes, and its number."""
    in_planes = n_categories[n_categories <= WIDE]
    planes = int(np.where(in_planes > 2, in_planes, in_planes - 1).sum())
    wide = len(in_planes) < len(n_categories)
    return len(n_categories) * (1 + wide) + 2 * (planes + 32) // 8 + 8 * wide + 1


def bytes_of_distinct(n_categories):
    """Bytes that a row takes that is counted, and then learned from with a weight of any number of digits, about."""
    return bytes_of_row(n_categories) + 64 + 6 * len(n_categories)


def distinct_rows(rows, n_categories, most, threads=1):
    """The distinct rows and how often each is there, as `distinct` gives them; None if there are more than so many.

    One pass, in memory that is bounded by ``most``.

    Parameters
    ----------
    rows : RowsInBlocks
    n_categories : ndarray of shape (n_columns,), int32
    most, threads : int

    Returns
    -------
    codes : ndarray of shape (n_distinct, n_columns), uint8
    weight : ndarray of shape (n_distinct,), int32
    """
    starts = range(0, len(rows), rows.block_rows)
    threads = min(threads, len(starts))
    tasks = [partial(_count, rows, n_categories, most, starts[i::threads]) for i in range(threads)]
    every, *others = side_by_side(tasks, threads)
    for counted in [every, *others]:
        if counted is None or (counted is not every and not every.add(*counted.rows())) or every.n > most:
            return None
    codes, weight = every.rows()
    return distinct(codes, weight.astype(np.int32))


def sorted_rows(rows):
    """All rows as `distinct` gives them: read twice, so that no other copy of them is ever in memory.

    Parameters
    ----------
    rows : RowsInBlocks

    Returns
    -------
    codes : ndarray of shape (n_distinct, n_columns), uint8
    weight : ndarray of shape (n_distinct,), int32
    """
    order = np.argsort(np.concatenate([hashes(block) for block in rows.blocks()]), kind="stable")
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    codes = np.empty(rows.shape, dtype=np.uint8)
    for start, block in zip(range(0, len(rows), rows.block_rows), rows.blocks(), strict=True):
        codes[place[start : start + len(block)]] = block
    firsts = first_of_equals(codes)
    weight = np.diff(np.append(firsts, len(codes))).astype(np.int32)
    if len(firsts) < len(codes):
        for start in range(0, len(firsts), rows.block_rows):  # each comes from where it goes or from behind
            moved = firsts[start : start + rows.block_rows]
            codes[start : start + len(moved)] = codes[moved]
    return codes[: len(firsts)], weight


def _count(rows, n_categories, most, starts):
    """Counted distinct rows of some blocks; None if they are too many."""
    counted = DistinctRows(n_categories, most)
    for start in starts:
        if not counted.add(rows.block(start)):
            return None
    return counted
