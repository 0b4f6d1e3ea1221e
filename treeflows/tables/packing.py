"""The writer of packed tables: batches of Arrow in, a column at a time, in memory that does not grow with the rows."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path

import numpy as np

from .._version import __version__
from ..machine.errors import TableError
from .containers import CATEGORICAL
from .packed import (
    BLOCK,
    DECIMAL,
    FORMAT,
    HEADER,
    MOST_PLANES,
    TEXT,
    VERSION,
    bits_for,
)

MOST_VALUES = 2**16  # distinct ones of a column that is kept by their places
PATIENCE = 100  # blocks read at a time


class TableWriter:
    """A packed table that is being written, in a folder of its own until it is whole.

    Parameters
    ----------
    folder : Path
        Where it will be.
    names : sequence
        Column names.
    dtypes : sequence of str
        As `Table` tells them.
    container : str
    """

    def __init__(self, folder, names, dtypes, container):
        self.folder, self.container = folder, container
        self.n_rows = 0
        self.sources: list = []
        self._place = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        self._place.mkdir()
        self._columns = [
            _ColumnWriter(name, dtype, self._place / f"{j}.tmp")
            for j, (name, dtype) in enumerate(zip(names, dtypes, strict=True))
        ]

    def append(self, arrays):
        """Add rows: an Arrow array for each column.

        Raises
        ------
        TableError
            For a column of a type that has no values to be categories or numbers, or with too many distinct ones.
        """
        for column, array in zip(self._columns, arrays, strict=True):
            column.append(array)
        self.n_rows += len(arrays[0])

    def finish(self):
        """Write what is left, and give the folder its name.

        Raises
        ------
        TableError
            If there are no rows, or nothing in a column.
        """
        if self.n_rows == 0:
            raise TableError("the table has no rows")
        header = {
            "format": FORMAT,
            "version": VERSION,
            "package": __version__,
            "container": self.container,
            "n_rows": self.n_rows,
            "sources": self.sources,
            "columns": [column.finish() for column in self._columns],
        }
        with (self._place / HEADER).open("w", encoding="utf-8") as file:
            json.dump(header, file, ensure_ascii=False)
            _sync(file)
        _sync_folder(self._place)
        self._place.rename(self.folder)
        _sync_folder(self.folder.parent)

    def discard(self):
        """Take away what was written."""
        shutil.rmtree(self._place, ignore_errors=True)


@contextlib.contextmanager
def packing(folder, names, dtypes, container):
    """A `TableWriter`, whose folder is there once all is written, or not at all."""
    writer = TableWriter(Path(folder), names, dtypes, container)
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.discard()
        raise


class _ColumnWriter:
    """The dictionary of a column as it grows, and the file of places in it."""

    def __init__(self, name, dtype, path):
        self.name, self.dtype, self.path = name, dtype, path
        self.kind: str | None = None  # of values: None as long as all are missing
        self.place_of: dict = {}  # of each value, as JSON has it
        self.counts = np.zeros(0, dtype=np.int64)
        self.firsts = np.zeros(0, dtype=np.int64)
        self.bits, self.n_written = 1, 0
        self._pending: list = []
        self._n_pending = 0
        path.touch()

    def append(self, array):
        places = self._places(array)
        self._pending.append(places)
        self._n_pending += len(places)
        if self._n_pending >= BLOCK:
            places = np.concatenate(self._pending)
            whole = len(places) // BLOCK * BLOCK
            self._write(places[:whole])
            self._pending, self._n_pending = [places[whole:].copy()], len(places) - whole

    def finish(self):
        """What the header tells of the column: dict."""
        if self._n_pending:
            self._write(np.concatenate(self._pending))
        if self.kind is None:
            told = f"column {str(self.name)!r} has no value that is not missing: leave it out"
            raise TableError(told, column=self.name)
        with self.path.open("rb+") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            _sync(file)
        self.path.replace(self.path.with_name(sha256))
        return {
            "name": self.name,
            "dtype": self.dtype,
            "file": sha256,
            "sha256": sha256,
            "bits": self.bits,
            "of": self.kind,
            "values": list(self.place_of),
            "counts": self.counts.tolist(),
            "firsts": self.firsts.tolist(),
        }

    def _places(self, array):
        """Places of the cells of an Arrow array in the dictionary, which takes in what is new: ndarray."""
        import pyarrow as pa

        if not pa.types.is_dictionary(array.type):
            array = without_nan(array).dictionary_encode()
        entries, kind = entries_of(array.dictionary, self.name)
        if self.kind not in (None, kind) and kind is not None:
            told = f"column {str(self.name)!r} holds {self.kind} and {kind}: convert it to one type"
            raise TableError(told, column=self.name)
        self.kind = self.kind or kind
        indices = array.indices
        if indices.null_count:
            indices = indices.cast(pa.int64()).fill_null(len(entries))
            entries = [*entries, None]
        lookup = [self.place_of.setdefault(entry, len(self.place_of)) for entry in entries]
        if len(self.place_of) > MOST_VALUES:
            raise TableError(
                f"column {str(self.name)!r} has more than {MOST_VALUES:,} distinct values, too many for categories: if "
                "it names the rows, leave it out",
                column=self.name,
            )
        indices = indices.to_numpy(zero_copy_only=False)
        if len(lookup) > 256 or len(self.place_of) > 256:
            return np.array(lookup, dtype=np.uint16)[indices]
        places = indices.astype(np.uint8)
        if lookup == list(range(len(lookup))):
            return places
        table = bytes(lookup).ljust(256, b"\0")
        return np.frombuffer(places.tobytes().translate(table), dtype=np.uint8)

    def _write(self, places):
        n, row = len(self.place_of), self.n_written
        grown = n - len(self.counts)
        self.counts = np.append(self.counts, np.zeros(grown, dtype=np.int64))
        self.firsts = np.append(self.firsts, np.full(grown, -1, dtype=np.int64))
        found = _counted(places, n)
        for place in np.flatnonzero((found > 0) & (self.firsts < 0)):
            self.firsts[place] = row + int(np.argmax(places == place))
        self.counts += found
        if (bits := bits_for(n)) != self.bits:
            self._widen(bits)
        with self.path.open("ab") as file:
            file.write(_as_file(places, self.bits))
        self.n_written += len(places)

    def _widen(self, bits):
        """Write the file anew, of wider places."""
        wider = self.path.with_suffix(".wider")
        rows = range(0, self.n_written, BLOCK * PATIENCE)
        with self.path.open("rb") as old, wider.open("wb") as new:
            for row in rows:
                n = min(BLOCK * PATIENCE, self.n_written - row)
                new.write(_as_file(_from_file(old, n, self.bits), bits))
        wider.replace(self.path)
        self.bits = bits


def without_nan(array):
    """An Arrow array with null for NaN."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(array.type):
        return array
    if pa.types.is_float16(array.type):  # which few of Arrow's functions take
        array = array.cast(pa.float32())
    return pc.if_else(pc.is_nan(array), None, array)


def entries_of(values, name):
    """Values of an Arrow array as JSON holds them, None for null, and their kind, None if there is none.

    Raises
    ------
    TableError
        For a type of which values are neither categories nor numbers.
    """
    import pyarrow as pa

    kind, types = values.type, pa.types
    if types.is_null(kind):
        return values.to_pylist(), None
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return values.to_pylist(), TEXT
    if types.is_decimal(kind):
        return [None if v is None else str(v) for v in values.to_pylist()], DECIMAL
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return values.to_pylist(), np.dtype(kind.to_pandas_dtype()).newbyteorder("<").str
    if types.is_date32(kind):
        return values.cast(pa.int32()).to_pylist(), "<M8[D]"
    if types.is_date64(kind):
        return values.cast(pa.int64()).to_pylist(), "<M8[ms]"
    if types.is_timestamp(kind) or types.is_duration(kind):
        letter = "M" if types.is_timestamp(kind) else "m"
        return values.cast(pa.int64()).to_pylist(), f"<{letter}8[{kind.unit}]"
    told = f"column {str(name)!r} has dtype {kind}; convert it to strings or integer codes"
    raise TableError(told, column=name)


def _counted(places, n):
    """How often each of n places occurs: ndarray of int64."""
    if n <= 2**MOST_PLANES:
        return np.array([np.count_nonzero(places == place) for place in range(n)], dtype=np.int64)
    return np.bincount(places, minlength=n)


def _as_file(places, bits):
    """Places as the file of a column has them: bytes-like."""
    if bits > MOST_PLANES:
        return np.ascontiguousarray(places, dtype=f"<u{bits // 8}").data
    if len(places) % BLOCK:
        places = np.append(places, np.zeros(-len(places) % BLOCK, dtype=places.dtype))
    blocks = places.astype(np.uint8, copy=False).reshape(-1, BLOCK)
    planes = [np.packbits(blocks & np.uint8(1 << digit), axis=1, bitorder="little") for digit in range(bits)]
    return np.stack(planes, axis=1).data


def _from_file(file, n, bits):
    """The next n places of a file: ndarray."""
    if bits > MOST_PLANES:
        return np.frombuffer(file.read(n * bits // 8), dtype=f"<u{bits // 8}")
    blocks = -(-n // BLOCK)
    planes = np.frombuffer(file.read(blocks * bits * BLOCK // 8), dtype=np.uint8).reshape(blocks, bits, -1)
    digits = np.unpackbits(planes, axis=2, bitorder="little")
    return np.bitwise_or.reduce(digits << np.arange(bits, dtype=np.uint8)[:, None], axis=1).ravel()[:n]


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
