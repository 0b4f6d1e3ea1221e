"""The writer of packed tables: arrays of Arrow in, column by column, in memory that does not grow with the rows."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from decimal import Context, Decimal
from itertools import pairwise

import numpy as np

from .._version import __version__
from ..machine.errors import TableError
from .containers import CATEGORICAL, PANDAS, PYARROW, Table
from .domain import listing
from .packed import (
    BLOCK,
    DECIMAL,
    FORMAT,
    HEADER,
    MOST_PLANES,
    NUMBER,
    TEXT,
    VERSION,
    bits_for,
    read_header,
)

MOST_PLACES = 2**16  # in a dictionary: as many as groups of rare values may be made of
MOST_NUMBERS = 256  # distinct ones, from which on a column of numbers has them instead of a dictionary
MOST_TEXT = 2**24  # characters in a dictionary, which is in memory
RUN = 16 * BLOCK  # rows that are copied at a time
CELL = np.dtype([("cell", "<i8"), ("there", "?")])


@contextlib.contextmanager
def packing(folder, names, dtypes, container, extended=None, append=None):
    """A `TableWriter`, whose folder is there once all is written, or not at all.

    Parameters
    ----------
    folder : Path
    names : sequence of str or int
        Of the columns to write.
    dtypes : sequence of str
        As `Table` tells them.
    container : str
    extended : PackedTable, default=None
        The table in the folder, which gets more rows or columns; None for none.
    append : "rows" or "columns", default=None
        Which of these.
    """
    if extended is None:
        check_free(folder)
    writer = TableWriter(folder, names, dtypes, container, extended, append)
    try:
        writer.go_on()
        yield writer
        writer.finish()
    finally:
        writer.discard()


class TableWriter:
    """A packed table as it is written, in a folder of its own until it is whole; `packing` makes one.

    Attributes
    ----------
    n_rows : int
        Rows that were added.
    sources : list of dict
        What the rows came from, for the header.
    """

    def __init__(self, folder, names, dtypes, container, extended, append):
        self.n_rows, self.sources = 0, []
        self._folder, self._container = folder.resolve(), container
        self._extended, self._append = extended, append
        self._header: dict = {} if extended is None else read_header(folder)
        self._place = self._folder.with_name(f".{self._folder.name}.{secrets.token_hex(4)}.tmp")
        try:
            self._place.mkdir()
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(folder)) from None
        paths = [self._place / str(j) for j in range(len(names))]
        self._columns = [_ColumnWriter(*column) for column in zip(names, dtypes, paths, strict=True)]

    def go_on(self):
        """Start from the rows of the table that gets more of them, if there is one."""
        if self._append == "rows":
            for j, column in enumerate(self._columns):
                column.go_on(self._extended, j)

    def append(self, arrays):
        """Add rows: an Arrow array for each column.

        Raises
        ------
        TableError
            For a column of a type whose values are neither categories nor numbers, or with too many distinct ones.
        """
        for column, array in zip(self._columns, arrays, strict=True):
            column.append(array)
        self.n_rows += len(arrays[0])

    def finish(self):
        """Write what is left, and put the table where it belongs.

        Raises
        ------
        TableError
            If there are no rows, nothing in a column, not as many rows as the columns that are there have, or the
            table has changed meanwhile.
        """
        if self.n_rows == 0:
            raise TableError("there are no rows")
        before, n_rows = self._header, self.n_rows
        if self._append == "columns" and n_rows != before["n_rows"]:
            raise TableError(f"columns of {n_rows:,} rows do not fit a table of {before['n_rows']:,} rows")
        columns = [column.finish() for column in self._columns]
        sources = self.sources
        if self._append == "rows":
            n_rows += before["n_rows"]
        elif self._append == "columns":
            columns = before["columns"] + columns
        if before:
            sources = before["sources"] + sources
        header = {
            "format": FORMAT,
            "version": VERSION,
            "package": __version__,
            "container": self._container,
            "n_rows": n_rows,
            "sources": sources,
            "columns": columns,
        }
        with (self._place / HEADER).open("w", encoding="utf-8") as file:
            json.dump(header, file, ensure_ascii=False)
            _sync(file)
        _sync_folder(self._place)
        if before:
            self._replace(header)
        else:
            self._place.rename(self._folder)
        _sync_folder(self._folder.parent)

    def discard(self):
        """Take away what is not where it belongs."""
        shutil.rmtree(self._place, ignore_errors=True)

    def _replace(self, header):
        """Have the table in the folder be that of the header: its header is replaced, all at once."""
        if read_header(self._folder) != self._header:
            raise TableError(f"{self._folder} has changed meanwhile: append again")
        needed = {column["file"] for column in header["columns"]}
        for name in needed:
            if (self._place / name).exists():
                (self._place / name).replace(self._folder / name)
        _sync_folder(self._folder)
        (self._place / HEADER).replace(self._folder / HEADER)
        for path in self._folder.iterdir():
            if path.name not in needed | {HEADER}:
                path.unlink()


class _ColumnWriter:
    """A column: its dictionary as it grows, and the file of places in it; or the file of its numbers."""

    def __init__(self, name, dtype, path):
        self.name, self.dtype, self.path = name, dtype, path
        self.kind: str | None = None  # of values: None as long as all are missing
        self.place_of: dict = {}  # of each value, as JSON has it
        self.counts = np.zeros(0, dtype=np.int64)
        self.firsts = np.zeros(0, dtype=np.int64)
        self.bits, self.n_written, self.n_characters = 1, 0, 0
        self._pending: list = []  # rows that do not make a block yet
        self._n_pending = 0
        self._plane = path.with_suffix(".plane")  # of numbers, those that are there
        path.touch()

    def go_on(self, table, j):
        """Start from a column of a packed table, whose last rows may make no whole block."""
        column, n = table.columns[j], table.n_rows // BLOCK * BLOCK
        self.kind, self.bits, self.n_written = column.kind, column.bits, n
        self._n_pending = table.n_rows - n
        with (table.folder / column.file).open("rb") as old:
            if column.bits == NUMBER:
                _copy(old, self.path, 8 * n)
                old.seek(8 * table.n_rows)
                _copy(old, self._plane, n // 8)
                self._pending = [np.rec.fromarrays(table.numbers(j, n, table.n_rows), dtype=CELL).view(np.ndarray)]
                return
            _copy(old, self.path, column.size(n))
        self.place_of = {entry: place for place, entry in enumerate(column.entries)}
        self.n_characters = sum(len(entry) for entry in column.entries if isinstance(entry, str))
        places = np.array(table.places(j, n, table.n_rows))
        self.counts, self.firsts = column.counts - _counted(places, len(column.counts)), column.firsts.copy()
        self._pending = [places]

    def append(self, array):
        """Add cells."""
        rows = self._read(array)  # which may change what is pending
        self._pending.append(rows)
        self._n_pending += len(rows)
        if self._n_pending >= BLOCK:
            rows = np.concatenate(self._pending)
            whole = len(rows) // BLOCK * BLOCK
            self._write(rows[:whole])
            self._pending, self._n_pending = [rows[whole:].copy()], len(rows) - whole

    def finish(self):
        """What the header tells of the column, whose file has its name: dict."""
        if self._n_pending:
            self._write(np.concatenate(self._pending))
        if self.bits != NUMBER and not any(entry is not None for entry in self.place_of):
            told = f"column {str(self.name)!r} has no value that is not missing: leave it out"
            raise TableError(told, column=self.name)
        if self.bits == NUMBER:
            with self._plane.open("rb") as plane:
                _copy(plane, self.path, self._plane.stat().st_size)
            self._plane.unlink()
        with self.path.open("rb+") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()
            _sync(file)
        self.path.replace(self.path.with_name(name))
        return {
            "name": self.name,
            "dtype": self.dtype,
            "file": name,
            "bits": self.bits,
            "kind": self.kind,
            "values": list(self.place_of),
            "counts": self.counts.tolist(),
            "firsts": self.firsts.tolist(),
        }

    @property
    def _is_declared(self):
        return self.dtype.startswith(CATEGORICAL)

    def _read(self, array):
        """Cells as they are written: places, or numbers as `CELL`."""
        import pyarrow as pa

        is_dictionary = pa.types.is_dictionary(array.type)
        array = array if is_dictionary else without_nan(array)
        kind = kind_of(array.type, self.name)
        if kind is not None and self.kind not in (None, kind):
            told = f"column {str(self.name)!r} holds {array.type} after values of kind {self.kind}: convert it to one"
            raise TableError(told, column=self.name)
        self.kind = self.kind or kind
        if self.bits == NUMBER:
            return _cells(array)
        encoded = array if is_dictionary else array.dictionary_encode()
        if self.kind in (TEXT, None) or self._is_declared:
            return self._places(encoded)
        if len(encoded.dictionary) <= MOST_NUMBERS:
            places = self._places(encoded)
            if len(self.place_of) <= MOST_NUMBERS:
                return places
        self._become_numbers()
        return _cells(array.cast(array.type.value_type) if is_dictionary else array)

    def _places(self, array):
        """Places of the cells of a dictionary array in the dictionary, which takes in what is new: ndarray."""
        import pyarrow as pa

        entries, indices, n = _entries(array.dictionary), array.indices, len(self.place_of)
        if indices.null_count:
            indices = indices.cast(pa.int64()).fill_null(len(entries))
            entries = [*entries, None]
        lookup = [self.place_of.setdefault(entry, len(self.place_of)) for entry in entries]
        if len(self.place_of) > n:
            self._check_new(list(self.place_of)[n:])
        if self.dtype.startswith(CATEGORICAL[True]):
            self._check_order([place for place, entry in zip(lookup, entries, strict=True) if entry is not None], n)
        places = indices.to_numpy(zero_copy_only=False)
        if len(self.place_of) > 256:
            return np.array(lookup, dtype=np.uint16)[places]
        places = places.astype(np.uint8)
        if lookup == list(range(len(lookup))):
            return places
        return np.frombuffer(places.tobytes().translate(bytes(lookup).ljust(256)), dtype=np.uint8)

    def _check_new(self, entries):
        """Raise if a dictionary with new entries is too large to be in memory."""
        self.n_characters += sum(len(entry) for entry in entries if isinstance(entry, str))
        why = None
        if len(self.place_of) > MOST_PLACES:
            why = f"more than {MOST_PLACES:,} distinct values"
        elif self.n_characters > MOST_TEXT:
            why = f"distinct values of more than {MOST_TEXT:,} characters together"
        if why is not None:
            raise TableError(
                f"column {str(self.name)!r} has {why}, such as {entries[-1]!r}, which are no categories: leave it out "
                f"with drop=[{self.name!r}]",
                column=self.name,
            )

    def _check_order(self, places, n):
        """Raise unless categories come in the order of the first n of the dictionary, new ones last."""
        if any(a > b for a, b in pairwise(places)):
            entries = list(self.place_of)
            declared = listing([entries[place] for place in places])
            told = f"column {str(self.name)!r} declares {declared} in this order, which does not go on from "
            raise TableError(told + listing([e for e in entries[:n] if e is not None]), column=self.name)

    def _write(self, rows):
        """Write rows that make whole blocks, or are the last."""
        if self.bits != NUMBER:
            self._count(rows)
            if (bits := bits_for(len(self.place_of))) != self.bits:
                self._rewrite(bits)
        self._append(rows)
        self.n_written += len(rows)

    def _append(self, rows):
        if self.bits == NUMBER:
            with self._plane.open("ab") as file:
                file.write(np.packbits(rows["there"], bitorder="little").data)
            rows = np.ascontiguousarray(rows["cell"])
        with self.path.open("ab") as file:
            file.write(rows.data if self.bits == NUMBER else _as_file(rows, self.bits))

    def _count(self, places):
        """Note what occurs in further rows."""
        grown = len(self.place_of) - len(self.counts)
        self.counts = np.append(self.counts, np.zeros(grown, dtype=np.int64))
        self.firsts = np.append(self.firsts, np.full(grown, -1, dtype=np.int64))
        found = _counted(places, len(self.counts))
        for place in np.flatnonzero((found > 0) & (self.firsts < 0)):
            self.firsts[place] = self.n_written + int(np.argmax(places == place))
        self.counts += found

    def _become_numbers(self):
        """Have the numbers themselves instead of places in a dictionary of them."""
        cells = _numbers(list(self.place_of), self.kind)
        self._rewrite(NUMBER, cells)
        self._pending = [cells[places] for places in self._pending]
        self.place_of, self.counts, self.firsts = {}, self.counts[:0], self.firsts[:0]

    def _rewrite(self, bits, cells=None):
        """Write the file anew, of places of other bits, or of what each place stands for."""
        narrow, other = self.bits, self.path.with_suffix(".old")
        self.path.replace(other)
        self.path.touch()
        self.bits = bits
        with other.open("rb") as old:
            for row in range(0, self.n_written, RUN):
                places = _places_from(old, min(RUN, self.n_written - row), narrow)
                self._append(places if cells is None else cells[places])
        other.unlink()


def check_free(folder):
    """Raise unless a packed table can take the name of a folder."""
    if folder.exists() or folder.is_symlink():
        told = f"{folder} is there already; name another folder, or append rows or columns to a packed table"
        raise FileExistsError(told)


def arrow_columns(X, columns=None):
    """Columns of a dataframe as chunked arrays of Arrow.

    Parameters
    ----------
    X : dataframe
        Of pandas, polars or pyarrow.
    columns : sequence of int, default=None
        Their numbers; None for all.

    Returns
    -------
    arrays : list of ChunkedArray

    Raises
    ------
    TableError
        For a column whose values are not of one kind, or neither categories nor numbers.
    """
    import pyarrow as pa

    table, arrays = Table(X), []
    for j in range(len(table.dtypes)) if columns is None else columns:
        name, dtype = table.label(j), table.dtypes[j]
        if dtype.startswith("dictionary"):
            told = f"column {str(name)!r} has dtype {dtype}; convert it to pandas' own categories"
            raise TableError(told, column=name)
        try:
            if table.container == PANDAS:
                array = pa.array(X[name], from_pandas=True)
            else:
                array = X.column(j).unify_dictionaries() if table.container == PYARROW else X[name].to_arrow()
        except (pa.ArrowException, TypeError, OverflowError) as error:
            told = f"column {str(name)!r} has values that are not of one kind ({error}): convert it to one dtype"
            raise TableError(told, column=name) from None
        arrays.append(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]))
        kind_of(array.type, name)
    return arrays


def one_chunk(array):
    """A chunked array of Arrow as one array."""
    import pyarrow as pa

    made = array.combine_chunks()
    return made if isinstance(made, pa.Array) else made.chunk(0)


def without_nan(array):
    """An Arrow array with null for NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(array.type):
        return array
    if pa.types.is_float16(array.type):  # which few of Arrow's functions take
        array = array.cast(pa.float32())
    return pc.if_else(pc.is_nan(array), None, array)


def kind_of(dtype, name):
    """Kind of the values of an Arrow type, as `PackedColumn` has it; None if it has none.

    Parameters
    ----------
    dtype : DataType
    name : str or int
        Of the column, for messages.

    Raises
    ------
    TableError
        For a type whose values are neither categories nor numbers.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(dtype):
        return kind_of(dtype.value_type, name)
    if types.is_null(dtype):
        return None
    if types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype):
        return TEXT
    if types.is_decimal(dtype):
        return f"{DECIMAL} {dtype.scale}"
    if types.is_date(dtype):
        return f"<M8[{'D' if types.is_date32(dtype) else 'ms'}]"
    if types.is_timestamp(dtype) or types.is_duration(dtype):
        return f"<{'M' if types.is_timestamp(dtype) else 'm'}8[{dtype.unit}]"
    if types.is_boolean(dtype) or types.is_integer(dtype) or types.is_floating(dtype):
        return np.dtype(dtype.to_pandas_dtype()).newbyteorder("<").str
    raise TableError(f"column {str(name)!r} has dtype {dtype}; convert it to strings or integer codes", column=name)


def _entries(values):
    """Values of an Arrow array as JSON holds them, None for null: list."""
    import pyarrow as pa

    types = pa.types
    if types.is_decimal(values.type):
        return [None if value is None else str(value) for value in values.to_pylist()]
    if types.is_temporal(values.type):
        values = _ticks(values)
    return values.to_pylist()


def _ticks(array):
    """Times and durations of Arrow as whole numbers of their units."""
    import pyarrow as pa

    return (array.cast(pa.int32()) if pa.types.is_date32(array.type) else array).cast(pa.int64())


def _cells(array):
    """Numbers of an Arrow array: ndarray of `CELL`."""
    import pyarrow as pa

    types, made = pa.types, np.zeros(len(array), dtype=CELL)
    made["there"] = array.is_valid().to_numpy(zero_copy_only=False)
    if types.is_decimal(array.type):
        made["cell"] = _unscaled(array, made["there"])
        return made
    array = _ticks(array) if types.is_temporal(array.type) else array
    wide = pa.float64() if types.is_floating(array.type) else pa.uint64() if array.type == pa.uint64() else pa.int64()
    numbers = array.cast(wide).fill_null(0).to_numpy(zero_copy_only=False)
    made["cell"] = numbers.view("<i8")
    return made


def _unscaled(array, there):
    """Decimals of Arrow without their point: ndarray of int64."""
    import pyarrow as pa

    array = array.cast(pa.decimal128(38, array.type.scale))
    words = np.frombuffer(array.buffers()[1], dtype="<i8").reshape(-1, 2)[array.offset :][: len(array)]
    low, high = words.T
    if (there & (high != low >> 63)).any():
        raise TableError("decimals of more than 18 digits are not packed: convert them to floats or strings")
    return np.where(there, low, 0)


def _numbers(entries, kind):
    """Numbers as JSON has them, None for missing: ndarray of `CELL`."""
    made = np.zeros(len(entries), dtype=CELL)
    made["there"] = [entry is not None for entry in entries]
    if kind.startswith(DECIMAL):
        digits, exact = int(kind.removeprefix(DECIMAL)), Context(prec=40)
        made["cell"] = [0 if entry is None else int(exact.scaleb(Decimal(entry), digits)) for entry in entries]
        return made
    dtype = np.dtype(kind)
    numbers = [0 if entry is None else entry for entry in entries]
    made["cell"] = np.array(numbers, dtype={"f": "<f8", "u": "<u8"}.get(dtype.kind, "<i8")).view("<i8")
    return made


def _counted(places, n):
    """How often each of n places occurs: ndarray of int64."""
    if n <= 2**MOST_PLANES:
        return np.array([np.count_nonzero(places == place) for place in range(n)], dtype=np.int64)
    return np.bincount(places, minlength=n)


def _as_file(rows, bits):
    """Places as the file of a column has them: bytes-like."""
    if bits > MOST_PLANES:
        return np.ascontiguousarray(rows, dtype=f"<u{bits // 8}").data
    if len(rows) % BLOCK:
        rows = np.append(rows, np.zeros(-len(rows) % BLOCK, dtype=rows.dtype))
    blocks = rows.astype(np.uint8, copy=False).reshape(-1, BLOCK)
    planes = [np.packbits(blocks & np.uint8(1 << digit), axis=1, bitorder="little") for digit in range(bits)]
    return np.stack(planes, axis=1).data


def _places_from(file, n, bits):
    """The next n places of a file: ndarray."""
    if bits > MOST_PLANES:
        return np.frombuffer(file.read(n * bits // 8), dtype=f"<u{bits // 8}")
    planes = np.frombuffer(file.read(-(-n // BLOCK) * bits * BLOCK // 8), dtype=np.uint8)
    digits = np.unpackbits(planes.reshape(-1, bits, BLOCK // 8), axis=2, bitorder="little")
    return np.bitwise_or.reduce(digits << np.arange(bits, dtype=np.uint8)[:, None], axis=1).ravel()[:n]


def _copy(file, path, n):
    """Append the next n bytes of an open file to another."""
    with path.open("ab") as other:
        for at in range(0, n, RUN):
            other.write(file.read(min(RUN, n - at)))


def _sync(file):
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder):
    """Have the names in a folder on the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
