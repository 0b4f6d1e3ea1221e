"""A packed table: a folder with the cells of each column, mapped into memory and read in blocks of rows.

A column has a *dictionary* of the values that occur in it, in the order in which they came, None for a missing cell,
and for each row the place of its value in the dictionary. The places of up to 16 values are *bit planes*, one for each
binary digit, in blocks of 65,536 rows; others are whole numbers of one or two bytes. A column of numbers that takes
more than 256 values has these themselves instead, in eight bytes each, and then a plane that says which are there.

What a column is, a number or a category, is not decided when a table is packed: a dictionary is a table of its own,
each row of which stands for as many as have that value, and from such a table `TablePolicy` learns the same domain.
"""

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from functools import cached_property
from numbers import Real
from pathlib import Path

import numpy as np

from ..machine.errors import TableError, check_number
from ..machine.memory import memory_for_rows
from .containers import CATEGORICAL, CONTAINERS, Table, make_table
from .domain import Domain, Rows

FORMAT = "treeflows packed table"
VERSION = 1
HEADER = "table.json"
BLOCK = 2**16  # rows
MOST_PLANES = 4  # of a column: bytes are read faster, and take at most twice as much as five planes or more
NUMBER = 64  # bits of what is no place
TEXT, DECIMAL = "text", "decimal"  # kinds of values that are no dtype of NumPy's; "decimal 2" has two digits


@dataclass(frozen=True, eq=False)
class PackedColumn:
    """A column of a packed table.

    Attributes
    ----------
    name : str or int
    dtype : str
        As `Table` tells it.
    file : str
        Name of its file in the folder, which is the SHA-256 of what is in it, in hexadecimal.
    bits : int
        Of a cell: 1 to 4 for bit planes, 8 and 16 for whole numbers, 64 for the values of a column of numbers.
    kind : str
        Of values: the name of a NumPy dtype, "text", or "decimal" with the digits after the point.
    entries : list
        The dictionary as JSON has it, None for missing; empty if the cells are numbers themselves.
    values : ndarray of shape (n_values,)
        What occurs, or is declared by the dtype.
    places : ndarray of shape (n_places,), int32
        For each place of the dictionary that of its value in ``values``, -1 for missing.
    counts : ndarray of shape (n_places,), int64
        Rows that have each of them.
    firsts : ndarray of shape (n_places,), int64
        The first row that has it; -1 if none has.
    """

    name: object
    dtype: str
    file: str
    bits: int
    kind: str
    entries: list
    values: np.ndarray
    places: np.ndarray
    counts: np.ndarray
    firsts: np.ndarray

    @classmethod
    def of(cls, told):
        """The column that a header tells of.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it tells of none.
        """
        entries = told["values"]
        there = np.array([entry is not None for entry in entries], dtype=bool)
        column = cls(
            told["name"],
            told["dtype"],
            told["file"],
            told["bits"],
            told["kind"],
            entries,
            _values([entry for entry in entries if entry is not None], told["kind"]),
            np.where(there, np.cumsum(there) - 1, -1).astype(np.int32),
            *(np.array(told[what], dtype=np.int64) for what in ("counts", "firsts")),
        )
        if not isinstance(column.name, (str, int)) or not isinstance(column.dtype, str):
            raise ValueError("the name of a column or of its dtype is none")
        if len(column.file) != 64 or set(column.file) - set("0123456789abcdef"):
            raise ValueError(f"column {column.name!r} is in no file")
        n = len(entries)
        if column.bits != (bits_for(n) if n else NUMBER) or not len(column.counts) == len(column.firsts) == n:
            raise ValueError(f"the dictionary of column {column.name!r} does not match its cells")
        return column

    def size(self, n_rows):
        """Bytes that its file has for so many rows."""
        if self.bits <= MOST_PLANES:
            return -(-n_rows // BLOCK) * self.bits * BLOCK // 8
        return n_rows * self.bits // 8 + (-(-n_rows // 8) if self.bits == NUMBER else 0)

    @cached_property
    def shown(self):
        """Places of the dictionary that a domain is learned from: those that occur, or that the dtype declares."""
        declared = self.dtype.startswith(CATEGORICAL)
        return np.flatnonzero((self.counts > 0) | (declared & (self.places >= 0)))

    def own(self, cells):
        """Numbers as they are, of eight bytes of each."""
        if self.kind.startswith(DECIMAL):
            digits, exact = int(self.kind.removeprefix(DECIMAL)), Context(prec=40)
            values = np.empty(len(cells), dtype=object)
            values[:] = [exact.scaleb(Decimal(cell), -digits) for cell in cells.tolist()]
            return values
        dtype = np.dtype(self.kind)
        wide = {"f": "<f8", "u": "<u8", "i": "<i8"}.get(dtype.kind, dtype)
        return cells.view(wide).astype(dtype, copy=False)


class PackedTable:
    """A table that `pack` has written to a folder.

    Every ``fit``, ``score_samples`` and ``score`` takes one, or the path of its folder. Its columns are mapped into
    memory, so that processes on one machine share them. ``table[start:stop]`` are some of its rows, as a table in
    memory.

    Parameters
    ----------
    folder : str or path-like
    memory : float, default=None
        Bytes that rows and their counts may take while a model learns from the table; None for half of the machine's
        memory. A model learned is the same for any: rows are counted in passes over the table if they do not fit.

    Attributes
    ----------
    folder : Path
    memory : int
    n_rows : int
    n_columns : int
    names : tuple
        Column names.
    column_names : tuple of str
        The same, to print.
    dtypes : tuple of str
        Names of the columns' dtypes.
    container : str
        "pandas", "polars" or "pyarrow": what tables of its rows are, and those that a model samples.
    hashes : tuple of str
        Of each column's content, SHA-256 in hexadecimal.
    sources : list of dict
        What the rows came from: ``"path"``, ``"bytes"`` and ``"rows"`` of each.

    Raises
    ------
    ValueError
        If ``memory`` is no positive number, or the folder holds no packed table, or one of another format version, or a
        file of it is not as long as it must
        be; the message names it.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> import treeflows
    >>> X = pd.DataFrame({"colour": ["red", "blue", "red"], "size": ["S", "L", "S"]})
    >>> with TemporaryDirectory() as folder:
    ...     table = treeflows.pack(X, f"{folder}/table")
    ...     model = treeflows.AutoregressiveTreeFlow().fit(table)
    ...     table.n_rows, table.column_names, table[1:2].to_dict("records")
    (3, ('colour', 'size'), [{'colour': 'blue', 'size': 'L'}])
    """

    def __init__(self, folder, *, memory=None):
        self.folder = Path(folder)
        if memory is not None:
            check_number(memory, "memory", Real, min_val=1, max_val=2**62)
        self.memory = memory_for_rows() if memory is None else int(memory)
        header = read_header(self.folder)
        self.n_rows, self.container, self.sources = header["n_rows"], header["container"], header["sources"]
        self.columns = tuple(map(PackedColumn.of, header["columns"]))
        self.names = tuple(column.name for column in self.columns)
        self.column_names = tuple(map(str, self.names))
        self.n_columns = len(self.columns)
        self.dtypes = tuple(column.dtype for column in self.columns)
        self.hashes = tuple(
            hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest() for told in header["columns"]
        )
        self._mapped: dict = {}
        self._looked_up: tuple = (None, None)
        for column in self.columns:
            self._check_size(column)

    def __repr__(self):
        return f"PackedTable({str(self.folder)!r}): {self.n_rows:,} rows, {self.n_columns} columns"

    def __len__(self):
        return self.n_rows

    def __getitem__(self, rows):
        """Some of the rows, as a table in memory: ``table[start:stop]``."""
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError(f"rows of a packed table are told as table[start:stop], not {rows!r}")
        start, stop, _ = rows.indices(self.n_rows)
        cells = [self._cells(j, start, max(start, stop)) for j in range(self.n_columns)]
        return make_table(self.container, self.names, self.dtypes, cells)

    def verify(self):
        """Read all files and compare their hashes.

        Raises
        ------
        ValueError
            For a file that is not what was written; the message names it and its column.
        """
        for column in self.columns:
            path = self.folder / column.file
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != column.file:
                    raise self._damaged(column, "its hash is another")

    def domain(self, policy, weight=None):
        """The domain of the table under a policy, as it would be learned in memory.

        Parameters
        ----------
        policy : TablePolicy
        weight : ndarray of shape (n_rows,), float64, default=None
            Rows that each row stands for, none of them 0.

        Returns
        -------
        domain : Domain

        Raises
        ------
        ValueError
            As that of tables in memory does.
        """
        learned = []
        for j, one in enumerate(policy.by_column(self.names)):
            with self._in_rows_of(j):
                learned.append(one.learn_domain(self._table(j), self._weight(j, weight)))
        columns, dtypes = (tuple(of for d in learned for of in getattr(d, what)) for what in ("columns", "dtypes"))
        return Domain(columns, self.names, dtypes, self.container)

    def rows(self, domain, start=0, stop=None, columns=None, *, missing="category", infer=True):
        """What rows say in terms of a domain, as ``Domain.encode`` has it.

        Parameters
        ----------
        domain : Domain
        start, stop : int
            From the first on, up to the second; None for all.
        columns : sequence of int, default=None
            Numbers of the columns to read; None for all.
        missing : str
        infer : bool

        Returns
        -------
        rows : Rows
            Of these columns alone.
        """
        stop = self.n_rows if stop is None else stop
        columns = range(self.n_columns) if columns is None else columns
        found = self._lookups(domain, missing, infer)
        n, mixed = max(0, stop - start), any(domain.numeric[j] for j in columns)
        codes = np.empty((n, len(columns)), dtype=np.float64 if mixed else np.uint8)
        observed = None if all(found[j].observed is None for j in columns) else np.ones(codes.shape, dtype=bool)
        log_share = np.zeros(n) if any(isinstance(found[j].log_share, np.ndarray) for j in columns) else 0.0
        for begin in range(start, stop, BLOCK):  # rows that stay in the cache until all of their columns are there
            part = slice(begin - start, min(begin + BLOCK, stop) - start)
            for i, j in enumerate(columns):
                if self.columns[j].bits == NUMBER:
                    told = self._told(domain, j, begin, part.stop + start, missing, infer)
                else:
                    told = self._chosen(j, found[j], begin, part.stop + start)
                codes[part, i] = told.codes
                if told.observed is not None:
                    observed = np.ones(codes.shape, dtype=bool) if observed is None else observed
                    observed[part, i] = told.observed
                if isinstance(told.log_share, np.ndarray):
                    log_share = log_share if isinstance(log_share, np.ndarray) else np.zeros(n)
                    log_share[part] += told.log_share
        return Rows(codes, observed, log_share)

    def codes(self, domain, start, stop, columns=None):
        """Codes of rows.

        Parameters
        ----------
        domain : Domain
        start, stop : int
        columns : sequence of int, default=None

        Returns
        -------
        codes : ndarray of shape (stop - start, n), uint8
            As those of `rows`; float64 if one of the columns is a quantity.
        """
        return self.rows(domain, start, stop, columns).codes

    def lookups(self, domain):
        """The code of each place of each column's dictionary.

        Parameters
        ----------
        domain : Domain

        Returns
        -------
        lookups : list of ndarray of uint8, or None
            None if a column holds numbers.
        """
        if any(column.bits == NUMBER for column in self.columns):
            return None
        return [found.codes.astype(np.uint8) for found in self._lookups(domain, "category", True)]

    def looked_up(self, lookups, start, stop, columns):
        """Codes of rows as `codes` gives them.

        Parameters
        ----------
        lookups : list of ndarray of uint8
            As `lookups` gives them.
        start, stop : int
        columns : sequence of int

        Returns
        -------
        codes : ndarray of shape (stop - start, n), uint8
        """
        codes = np.empty((stop - start, len(columns)), dtype=np.uint8)
        for begin in range(start, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            for i, j in enumerate(columns):
                codes[begin - start : end - start, i] = self._take(j, lookups[j], begin, end)
        return codes

    def places(self, j, start, stop):
        """Places of a column's cells in its dictionary.

        Parameters
        ----------
        j : int
            Number of the column.
        start, stop : int

        Returns
        -------
        places : ndarray of shape (stop - start,), uint8 or uint16
        """
        bits, mapped = self.columns[j].bits, self._map(j)
        if bits > MOST_PLANES:
            return mapped[start:stop]
        first, last = start // BLOCK, -(-stop // BLOCK)
        places = np.zeros((last - first) * BLOCK, dtype=np.uint8)
        for digit in range(bits):
            plane = np.unpackbits(np.ascontiguousarray(mapped[first:last, digit]).ravel(), bitorder="little")
            places |= np.left_shift(plane, np.uint8(digit), out=plane)
        return places[start - first * BLOCK : stop - first * BLOCK]

    def numbers(self, j, start, stop):
        """Cells of a column of numbers as they are stored.

        Parameters
        ----------
        j : int
            Number of the column.
        start, stop : int

        Returns
        -------
        cells : ndarray of shape (stop - start,), int64
            What ``PackedColumn.own`` makes its values of.
        there : ndarray of shape (stop - start,), bool
            Which are not missing.
        """
        cells, plane = self._map(j)
        first = start // 8
        there = np.unpackbits(plane[first : -(-stop // 8)], bitorder="little")
        return cells[start:stop], there[start - 8 * first : stop - 8 * first].astype(bool)

    def _cells(self, j, start, stop):
        """Known values of a column, and places of rows among them, as `make_table` takes them."""
        column = self.columns[j]
        if column.bits == NUMBER:
            cells, there = self.numbers(j, start, stop)
            return column.own(cells), np.where(there, np.arange(len(cells)), -1)
        return column.values, self._take(j, column.places, start, stop)

    def _table(self, j):
        """A column as a table to learn a domain from: its dictionary, or its numbers."""
        column = self.columns[j]
        cells = column.values, column.places[column.shown]
        if column.bits == NUMBER:
            cells = self._cells(j, 0, self.n_rows)
        table = Table(make_table(self.container, (column.name,), (column.dtype,), [cells]))
        table.dtypes = (column.dtype,)  # of names that print alike, pandas takes another
        return table

    def _weight(self, j, weight):
        """How many rows each row of `_table` stands for."""
        column = self.columns[j]
        if column.bits == NUMBER:
            return weight
        if weight is None:
            return column.counts[column.shown].astype(np.float64)
        totals = np.zeros(len(column.counts))
        for start in range(0, self.n_rows, BLOCK):
            places = self.places(j, start, min(start + BLOCK, self.n_rows))
            totals += np.bincount(places, weight[start : start + BLOCK], len(totals))
        return totals[column.shown]

    def _lookups(self, domain, missing, infer):
        """What the domain makes of each place of each column's dictionary: list of Rows of one column."""
        asked = domain, missing, infer
        if self._looked_up[0] != asked:
            found = []
            for j, column in enumerate(self.columns):
                rows = Rows(np.zeros(0))
                if column.bits != NUMBER:
                    with self._in_rows_of(j):
                        rows = _of_one(domain, j).encode(self._table(j), missing=missing, infer=infer)
                found.append(_spread(rows, column.shown, len(column.counts)))
            self._looked_up = asked, found
        return self._looked_up[1]

    def _chosen(self, j, found, start, stop):
        """What a dictionary says of rows: Rows of one column, as vectors."""
        return Rows(
            self._take(j, found.codes, start, stop),
            None if found.observed is None else self._take(j, found.observed, start, stop),
            self._take(j, found.log_share, start, stop) if isinstance(found.log_share, np.ndarray) else 0.0,
        )

    def _take(self, j, values, start, stop):
        """Of values for the places of a dictionary, those of rows."""
        places = self.places(j, start, stop)
        if places.max(initial=0) >= len(values):
            raise self._damaged(self.columns[j], "it holds places that its dictionary does not have")
        if values.dtype.itemsize > 1 or places.dtype.itemsize > 1:
            return values[places]
        if values.dtype == np.uint8 and np.array_equal(values, np.arange(len(values))):
            return places
        table = values.tobytes().ljust(256)  # as text is translated: several times as fast as to take by index
        return np.frombuffer(places.tobytes().translate(table), dtype=values.dtype)

    def _told(self, domain, j, start, stop, missing, infer):
        """What numbers say in terms of a domain: Rows of one column, as vectors."""
        cells = [self._cells(j, start, stop)]
        table = Table(make_table(self.container, (self.names[j],), (self.dtypes[j],), cells))
        try:
            rows = _of_one(domain, j).encode(table, missing=missing, infer=infer)
        except TableError as error:
            raise (error if error.row is None else error.at_row(start + error.row)) from None
        return Rows(rows.codes[:, 0], None if rows.observed is None else rows.observed[:, 0], rows.log_share)

    @contextmanager
    def _in_rows_of(self, j):
        """Have errors about a column's dictionary name the table's rows instead."""
        column = self.columns[j]
        try:
            yield
        except TableError as error:
            if error.row is None or column.bits == NUMBER:
                raise
            raise error.at_row(int(column.firsts[column.shown[error.row]])) from None

    def _map(self, j):
        """The file of a column as an array; of numbers as two, the cells and the plane of those that are there."""
        if j not in self._mapped:
            column = self.columns[j]
            file = np.memmap(self.folder / column.file, np.uint8, "r").view(np.ndarray)
            if column.bits == NUMBER:
                at = 8 * self.n_rows
                self._mapped[j] = file[:at].view("<i8"), file[at:]
            elif column.bits > MOST_PLANES:
                self._mapped[j] = file.view(f"<u{column.bits // 8}")
            else:
                self._mapped[j] = file.reshape(-1, column.bits, BLOCK // 8)
        return self._mapped[j]

    def _check_size(self, column):
        path = self.folder / column.file
        if not path.is_file():
            raise self._damaged(column, "it is not there")
        n, needed = path.stat().st_size, column.size(self.n_rows)
        if n != needed:
            raise self._damaged(column, f"it has {n:,} bytes instead of {needed:,}")

    def _damaged(self, column, why):
        told = f"{self.folder / column.file}, column {str(column.name)!r}, is damaged: {why}; pack the table again"
        return TableError(told, column=column.name)


def bits_for(n_places):
    """Bits of a place in a dictionary of so many."""
    digits = max(1, (n_places - 1).bit_length())
    return digits if digits <= MOST_PLANES else 8 if digits <= 8 else 16


def read_header(folder):
    """What the header of a packed table says: dict.

    Raises
    ------
    TableError
        If there is none, or it is damaged or of another version.
    """
    path = folder / HEADER
    if not path.is_file():
        why = f"holds no packed table: it has no {HEADER}" if folder.is_dir() else "is no folder of a packed table"
        read = "; read a file first, as pandas.read_csv does" if folder.is_file() else ""
        raise TableError(f"{folder} {why}; treeflows.pack(source, folder) makes one{read}")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}")
        if header["version"] == VERSION:
            _check(header)
            return header
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, ArithmeticError) as error:
        raise TableError(f"{path} is damaged, or of no packed table ({error})") from None
    raise TableError(
        f"{folder} has version {header['version']} of the packed format, and this package reads version {VERSION}: "
        "pack the table again"
    )


def _check(header):
    """Raise unless a header tells of a table."""
    n_rows = header["n_rows"]
    if type(n_rows) is not int or n_rows < 1 or not header["columns"] or not isinstance(header["sources"], list):
        raise ValueError("it has no rows or no columns")
    if header["container"] not in CONTAINERS[1:]:
        raise ValueError(f"unknown container {header['container']!r}")
    columns = list(map(PackedColumn.of, header["columns"]))
    if len({str(column.name) for column in columns}) < len(columns):
        raise ValueError("a column name occurs more than once")
    for column in columns:
        counts, firsts = column.counts, column.firsts
        if len(counts) and (counts.min() < 0 or counts.sum() != n_rows or firsts.min() < -1 or firsts.max() >= n_rows):
            raise ValueError(f"the counts of column {column.name!r} are not those of {n_rows} rows")


def _values(entries, kind):
    """Values as an array, of what JSON holds of them."""
    if kind.startswith((TEXT, DECIMAL)):
        if not all(isinstance(entry, str) for entry in entries):
            raise ValueError(f"a value of kind {kind} is no text")
        values = np.empty(len(entries), dtype=object)
        values[:] = list(map(Decimal, entries)) if kind.startswith(DECIMAL) else entries
        return values
    dtype = np.dtype(kind)
    if dtype.kind not in "biufMm":
        raise ValueError(f"unknown kind of values {kind!r}")
    return np.array(entries, dtype=np.int64).view(dtype) if dtype.kind in "Mm" else np.array(entries, dtype=dtype)


def _of_one(domain, j):
    """The domain of one column alone."""
    names = None if domain.names is None else (domain.names[j],)
    return replace(domain, columns=(domain.columns[j],), names=names, dtypes=(domain.dtypes[j],))


def _spread(rows, shown, n):
    """Rows of one column, of the places that are shown, as vectors over all n places."""

    def spread(values, empty):
        if not isinstance(values, np.ndarray) or n == 0:
            return values
        out = np.full(n, empty, dtype=values.dtype)
        out[shown] = values.reshape(len(shown))
        return out

    return Rows(spread(rows.codes, 0), spread(rows.observed, True), spread(rows.log_share, 0.0))


def as_packed(X):
    """The packed table that X is, or that lies where X says; None if it is a table of another kind."""
    if isinstance(X, PackedTable):
        return X
    return PackedTable(X) if isinstance(X, (str, Path)) else None
