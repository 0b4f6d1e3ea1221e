"""A packed table: a folder with the codes of each column, mapped into memory and read in blocks of rows.

A column is a *dictionary* of the values that occur in it, in the order in which they came, None for a missing cell, and
for each row the place of its value in the dictionary. Places below 16 are *bit planes*, a plane for each binary digit,
in blocks of 65,536 rows; others are whole numbers of one or two bytes. A column of numbers that takes more than a few
values has these themselves instead of places, in eight bytes each, and a bit for each row that says whether it is there.

What a column is, a number or a category, is not decided when a table is packed: its dictionary is a table of its own,
each row of which stands for as many as have that value, and from such a table `TablePolicy` learns the same domain.
"""

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import numpy as np

from ..machine.errors import ParameterError, TableError
from .containers import CATEGORICAL, CONTAINERS, Table, make_table
from .domain import Domain, Rows

FORMAT = "treeflows packed table"
VERSION = 1
HEADER = "table.json"
BLOCK = 2**16  # rows of a block of bit planes
MOST_PLANES = 4  # of a column: from as many digits on, bytes take at most twice as much, and are read faster
TEXT, DECIMAL, OBJECT = "text", "decimal", "object"  # kinds of values that are no dtype of NumPy's


@dataclass(frozen=True, eq=False)
class PackedColumn:
    """A column of a packed table.

    Attributes
    ----------
    name : str or int
    dtype : str
        As `Table` tells it.
    file : str
        Name of its file in the folder.
    sha256 : str
        Of the file, in hexadecimal.
    bits : int
        Of a place: 1 to 4 for bit planes, 8 and 16 for whole numbers.
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
    sha256: str
    bits: int
    values: np.ndarray
    places: np.ndarray
    counts: np.ndarray
    firsts: np.ndarray

    @cached_property
    def shown(self):
        """Places of the dictionary that a domain is learned from: those that occur, or that the dtype declares."""
        declared = self.dtype.startswith(CATEGORICAL)
        return np.flatnonzero((self.counts > 0) | (declared & (self.places >= 0)))


class PackedTable:
    """A table that `pack` has written to a folder.

    Every ``fit`` and ``score_samples`` takes one, or the path of its folder. Its columns are mapped into memory, so that
    processes on one machine share them.

    Parameters
    ----------
    folder : str or path-like

    Attributes
    ----------
    folder : Path
    n_rows : int
    n_columns : int
    names : tuple
        Column names.
    column_names : tuple of str
        The same, to print.
    hashes : tuple of str
        Of each column's content, SHA-256 in hexadecimal.
    container : str
        "pandas", "polars" or "pyarrow": what tables that a model samples are.
    sources : list of dict
        What the rows came from: ``"path"``, ``"bytes"`` and ``"rows"`` of each.

    Raises
    ------
    ValueError
        If the folder holds no packed table, or one of another format version, or a file of it is not as long as it must
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
    ...     table.n_rows, table.column_names
    (3, ('colour', 'size'))
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        header = read_header(self.folder)
        self.n_rows, self.container, self.sources = header["n_rows"], header["container"], header["sources"]
        self.columns = tuple(map(column_from, header["columns"]))
        self.names = tuple(column.name for column in self.columns)
        self.column_names = tuple(map(str, self.names))
        self.n_columns = len(self.columns)
        self.dtypes = tuple(column.dtype for column in self.columns)
        self.hashes = tuple(map(_content_hash, header["columns"]))
        self._mapped: dict = {}
        self._looked_up: tuple = (None, None)
        for column in self.columns:
            self._check_size(column)

    def __repr__(self):
        return f"PackedTable({str(self.folder)!r}): {self.n_rows:,} rows, {self.n_columns} columns"

    def verify(self):
        """Read all files and compare their hashes.

        Raises
        ------
        ValueError
            For a file that is not what was written; the message names it.
        """
        for column in self.columns:
            path = self.folder / column.file
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != column.sha256:
                    raise TableError(f"{path} is damaged: column {str(column.name)!r}", column=column.name)

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
            table, counts = self._entries(j, weight)
            with self._in_rows_of(j):
                learned.append(one.learn_domain(table, counts))
        columns, dtypes = (tuple(of for d in learned for of in getattr(d, what)) for what in ("columns", "dtypes"))
        return Domain(columns, self.names, dtypes, self.container)

    def codes(self, domain, start, stop, columns=None):
        """Codes of rows.

        Parameters
        ----------
        domain : Domain
            Of this table.
        start, stop : int
            Rows from the first on, up to the second.
        columns : sequence of int, default=None
            Their numbers; None for all.

        Returns
        -------
        codes : ndarray of shape (stop - start, n), uint8
            In C order; 0 where a cell is not observed.
        """
        columns = range(self.n_columns) if columns is None else columns
        found = self._lookups(domain)
        out = np.empty((stop - start, len(columns)), dtype=np.uint8)
        for begin in range(start, stop, BLOCK):  # rows that stay in the cache until all of their columns are there
            end = min(begin + BLOCK, stop)
            for i, j in enumerate(columns):
                out[begin - start : end - start, i] = found[j].codes[self.places(j, begin, end)]
        return out

    def observed(self, domain, start, stop, columns=None):
        """Which cells of rows are observed.

        Parameters
        ----------
        domain : Domain
        start, stop : int
        columns : sequence of int, default=None

        Returns
        -------
        observed : ndarray of shape (stop - start, n), bool, or None
            None if all cells of the table are.
        """
        columns = range(self.n_columns) if columns is None else columns
        found = self._lookups(domain)
        if all(found[j].observed is None for j in columns):
            return None
        out = np.ones((stop - start, len(columns)), dtype=bool)
        for i, j in enumerate(columns):
            if found[j].observed is not None:
                out[:, i] = found[j].observed[self.places(j, start, stop)]
        return out

    def places(self, j, start, stop):
        """Places of a column's values in its dictionary: ndarray of shape (stop - start,), uint8 or uint16."""
        column = self.columns[j]
        mapped = self._map(j)
        if column.bits > MOST_PLANES:
            return mapped[start:stop]
        first, last = start // BLOCK, -(-stop // BLOCK)
        places = np.zeros((last - first) * BLOCK, dtype=np.uint8)
        for digit in range(column.bits):
            plane = np.ascontiguousarray(mapped[first:last, digit]).ravel()
            places |= np.unpackbits(plane, bitorder="little") << np.uint8(digit)
        return places[start - first * BLOCK : stop - first * BLOCK]

    def _entries(self, j, weight=None):
        """A column's dictionary as a table, and how many rows each of its rows stands for."""
        column = self.columns[j]
        shown = column.shown
        cells = [(column.values, column.places[shown])]
        table = Table(make_table(self.container, (column.name,), (column.dtype,), cells))
        if weight is None:
            return table, column.counts[shown].astype(np.float64)
        totals = np.zeros(len(column.counts))
        for start in range(0, self.n_rows, BLOCK):
            stop = min(start + BLOCK, self.n_rows)
            totals += np.bincount(self.places(j, start, stop), weight[start:stop], len(totals))
        return table, totals[shown]

    def _lookups(self, domain):
        """What the domain makes of each place of each column's dictionary: list of Rows of one column."""
        if self._looked_up[0] is not domain:
            found = []
            for j, column in enumerate(self.columns):
                alone = replace(
                    domain, columns=(domain.columns[j],), names=(self.names[j],), dtypes=(domain.dtypes[j],)
                )
                with self._in_rows_of(j):
                    rows = alone.encode(self._entries(j)[0], infer=True)
                found.append(_spread(rows, column.shown, len(column.counts)))
            self._looked_up = domain, found
        return self._looked_up[1]

    @contextmanager
    def _in_rows_of(self, j):
        """Have errors about a column's dictionary name the table's rows instead."""
        try:
            yield
        except TableError as error:
            if error.row is None:
                raise
            column = self.columns[j]
            raise error.at_row(int(column.firsts[column.shown[error.row]])) from None

    def _map(self, j):
        if j not in self._mapped:
            column = self.columns[j]
            path = self.folder / column.file
            if column.bits > MOST_PLANES:
                self._mapped[j] = np.memmap(path, f"<u{column.bits // 8}", "r", shape=(self.n_rows,))
            else:
                shape = -(-self.n_rows // BLOCK), column.bits, BLOCK // 8
                self._mapped[j] = np.memmap(path, np.uint8, "r", shape=shape)
        return self._mapped[j]

    def _check_size(self, column):
        path = self.folder / column.file
        if not path.is_file():
            raise TableError(f"{self.folder} lacks the file {column.file} of column {str(column.name)!r}")
        n, needed = path.stat().st_size, size_of(column.bits, self.n_rows)
        if n != needed:
            raise TableError(
                f"{path} of column {str(column.name)!r} is damaged: it has {n:,} bytes instead of {needed:,}",
                column=column.name,
            )


def size_of(bits, n_rows):
    """Bytes that a column's places take."""
    return n_rows * bits // 8 if bits > MOST_PLANES else -(-n_rows // BLOCK) * bits * (BLOCK // 8)


def bits_for(n_places):
    """Bits of a place in a dictionary of so many."""
    digits = max(1, (n_places - 1).bit_length())
    return digits if digits <= MOST_PLANES else 8 if digits <= 8 else 16


def read_header(folder):
    """What the header of a packed table says, checked as far as it can be by itself: dict."""
    path = Path(folder) / HEADER
    if not path.is_file():
        why = "is not there" if not Path(folder).exists() else f"holds no packed table: it has no {HEADER}"
        raise TableError(f"{folder} {why}; treeflows.pack(source, folder) makes one")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        if header["format"] != FORMAT:
            raise ValueError("it is of another format")
    except (ValueError, KeyError, TypeError) as error:
        raise TableError(f"{path} is damaged, or of no packed table ({error})") from None
    if header.get("version") != VERSION:
        raise TableError(
            f"{folder} has version {header.get('version')} of the packed format, and this package reads {VERSION}: "
            "pack the table again"
        )
    try:
        _check_header(header)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise TableError(f"{path} is damaged ({error})") from None
    return header


def _check_header(header):
    n_rows = header["n_rows"]
    if type(n_rows) is not int or n_rows < 1 or not header["columns"]:
        raise ValueError("it has no rows or no columns")
    if header["container"] not in CONTAINERS[1:]:
        raise ValueError(f"unknown container {header['container']!r}")
    names = [column["name"] for column in header["columns"]]
    if len(set(map(str, names))) != len(names):
        raise ValueError("a column name occurs more than once")
    for told in header["columns"]:
        column = column_from(told)
        n = len(column.counts)
        if not len(column.firsts) == len(column.places) == n or n == 0:
            raise ValueError(f"the dictionary of column {column.name!r} does not match its counts")
        if column.bits != bits_for(n) or Path(column.file).name != column.file:
            raise ValueError(f"the file of column {column.name!r} is not what it must be")
        if column.counts.min() < 0 or column.counts.sum() != n_rows:
            raise ValueError(f"the counts of column {column.name!r} do not sum to the rows")
        if column.firsts.min() < -1 or column.firsts.max() >= n_rows:
            raise ValueError(f"column {column.name!r} has a first row that is not there")


def column_from(told):
    """A column as the header tells it: PackedColumn."""
    entries = told["values"]
    there = np.array([entry is not None for entry in entries], dtype=bool)
    places = np.where(there, np.cumsum(there) - 1, -1).astype(np.int32)
    values = values_from([entry for entry in entries if entry is not None], told["of"])
    counts, firsts = (np.array(told[what], dtype=np.int64) for what in ("counts", "firsts"))
    return PackedColumn(
        told["name"], told["dtype"], told["file"], told["sha256"], told["bits"], values, places, counts, firsts
    )


def values_from(entries, kind):
    """Values as an array, of what JSON holds of them."""
    if kind in (TEXT, OBJECT, DECIMAL):
        values = np.empty(len(entries), dtype=object)
        values[:] = list(map(Decimal, entries)) if kind == DECIMAL else entries
        return values
    dtype = np.dtype(kind)
    if dtype.kind not in "biufMm":
        raise ValueError(f"unknown kind of values {kind!r}")
    return np.array(entries, dtype=np.int64).view(dtype) if dtype.kind in "Mm" else np.array(entries, dtype=dtype)


def _content_hash(told):
    """Hash of what a column holds, whatever its file is called."""
    content = {name: value for name, value in told.items() if name != "file"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _spread(rows, shown, n):
    """Rows of one column, of the places that are shown, as arrays over all n places."""

    def spread(values, empty):
        if not isinstance(values, np.ndarray):
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
