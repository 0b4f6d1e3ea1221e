"""Tables of text in files, CSV, TSV or Parquet, compressed or not; and the way between text and a model's categories.

Whatever the file, a cell is its text as it is written, or None where it is missing. So a model learned from one kind of
file reads the others.
"""

import bz2
import contextlib
import csv
import gc
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..machine.archives import MODEL_MEMBER, whole_file
from ..tables.bins import Bins
from ..tables.containers import Table
from ..tables.domain import listing

STDIN = STDOUT = "-"
OPENING: dict = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESSED = (*OPENING, ".zip")
DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
ENDINGS = (*DELIMITERS, ".txt", *PARQUET)  # of tables to write
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_file(path, na=(), drop=()):
    """A table of a file.

    Parameters
    ----------
    path : str
        By its ending a CSV, TSV or Parquet file, with a header; CSV if the ending says nothing. "-" is CSV from
        standard input.
    na : sequence of str
        What marks a missing cell, beside an empty field and a null.
    drop : sequence of str
        Columns to leave out.

    Returns
    -------
    table : DataFrame
        Of str and None.

    Raises
    ------
    ValueError
        If a row is not as long as the header, a name occurs twice, there is no column to drop, or the file is damaged
        or empty; the message says where.
    """
    _pandas()  # before any work is done
    with _no_garbage_collection():
        header, columns = _read_parquet(path, drop) if _kind(path)[0] in PARQUET else _read_csv(path)
    for j, name in enumerate(header):
        if name in header[:j]:
            raise ValueError(f"{path}: column names must be unique; {name!r} occurs more than once")
    for name in drop:
        if name not in header:
            raise ValueError(f"{path} has no column {name!r}; it has {listing(header, 20)}")
    if not set(header).difference(drop):
        raise ValueError(f"{path}: no column is left")
    absent = {"", *na}
    table = {}
    for name, cells in zip(header, columns, strict=True):
        if name in drop:
            continue
        some = not absent.isdisjoint(cells)
        table[name] = [None if cell in absent else cell for cell in cells] if some else cells
    return _of_objects(table)


def printable(text):
    """Text as a terminal can show it: its lines, with other control characters as Python escapes them."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def check_ending(path):
    """ValueError if a table cannot be written as the ending of the path says; an ending that is not there is CSV."""
    kind, _ = _kind(path)
    if kind and kind not in ENDINGS:
        raise ValueError(f"cannot write {path}: a table ends in {', '.join(ENDINGS)}, perhaps compressed")


def write_file(path, table):
    """Write a DataFrame as the ending of the path says; to standard output, as CSV, if it is None or "-"."""
    if path in (None, STDOUT):
        table.to_csv(sys.stdout, index=False)
        return
    kind, compression = _kind(path)
    if kind in PARQUET:
        _pyarrow()
        with whole_file(path) as file:
            table.to_parquet(file, engine="pyarrow", index=False)
        return
    with whole_file(path) as file, _compressed(file, compression, kind) as packed:
        table.to_csv(packed, index=False, sep=DELIMITERS.get(kind, ","))


def called(path):
    """What a message calls a file."""
    return "standard input" if path == STDIN else path


def without_ending(path):
    """The path of a table without what says its kind and compression."""
    path = Path(path)
    return path.with_suffix("").with_suffix("") if path.suffix.lower() in COMPRESSED else path.with_suffix("")


def for_model(model, table, source):
    """The columns of a model out of a table of text, as the model takes them.

    Further columns are left out. Numbers are the intervals of a binned column; of a model that was learned in Python
    from other than text, a cell is the category that is written so.

    Raises
    ------
    ValueError
        If a column of the model is not there; ``source`` is what the table is called.
    """
    domain = model.domain_
    lacking = [name for name in domain.column_names if name not in table.columns]
    if lacking:
        raise ValueError(
            f"{source} has no column {lacking[0]!r}, which the model has; it has {listing(list(table.columns), 20)}"
        )
    columns = dict(zip(domain.column_names, domain.columns, strict=True))
    read = _of_objects({name: _categories(table[name].tolist(), c.values, name) for name, c in columns.items()})
    if domain.names is None:
        return read.to_numpy()
    read.columns = list(domain.names)
    return read


def binned(table, columns, source):
    """The table with these columns cut into bins, by the numbers in them.

    Raises
    ------
    ValueError
        If there is no such column, or a cell is no number; ``source`` is what the table is called.
    """
    for name in columns:
        if name not in table.columns:
            raise ValueError(f"{source} has no column {name!r} to bin; it has {listing(list(table.columns), 20)}")
    table = table.copy(deep=False)
    for name in columns:
        cells = table[name].tolist()
        table[name] = _pandas().Series(Bins.of(cells, name).place(cells, name), dtype=object)
    return table


def category(model, column, text):
    """The category of a column of a model that a user wrote as text; None for an empty one."""
    domain = model.domain_
    known = domain.columns[domain.column_names.index(column)].values
    try:
        return _categories([text or None], known, column)[0]
    except ValueError:
        raise ValueError(f"column {column!r} has no interval for {text!r}; it has {listing(known, 20)}") from None


def to_frame(X, names):
    """A table of any container as a DataFrame to write: null where a cell is missing."""
    table, made = Table(X), {}
    for j, name in enumerate(names):
        values, holes = table.values(j)
        made[name] = values if holes is None else np.where(holes, None, values)
    return _pandas().DataFrame(made)


def _categories(cells, known, column):
    """Cells of text as the categories that they stand for; what stands for none stays text."""
    if known.dtype.kind in "OU" and all(isinstance(value, str) for value in known.tolist()):
        bins = Bins.of_labels(known.tolist())
        return cells if bins is None else bins.place(cells, column)
    meant = {}
    for value in known.tolist():
        text = str(value)
        # 3.0 is written 3 in files, and Parquet has its own spelling of truth
        meant |= {text: value, text.removesuffix(".0"): value}
        if isinstance(value, bool):
            meant[text.lower()] = value
    return [meant.get(cell, cell) for cell in cells]


def _kind(path):
    """Endings of a path in lower case: that of its kind, and that of its compression."""
    endings = [ending.lower() for ending in Path(path).suffixes[-2:]]
    compression = endings.pop() if endings and endings[-1] in COMPRESSED else ""
    return (endings[-1] if endings else ""), compression


def _read_csv(path):
    """Header and columns of a CSV or TSV file; ValueError if any row is not as long as the header."""
    kind, compression = _kind(path)
    delimiter = DELIMITERS.get(kind, ",")
    source, rows = called(path), []
    try:
        with _opened(path, compression) as file:
            reader = csv.reader(file, strict=True, delimiter=delimiter)
            try:
                header = next((row for row in reader if row), None)
                if header is None:
                    raise ValueError(f"{source} is empty; a header with column names is needed")
                if len(header) == 1:
                    _refuse_separators(header[0], ";\t|", source)
                for row in reader:
                    if len(row) != len(header) and (row or len(header) == 1):
                        raise csv.Error(f"{len(row)} values, but the header names {len(header)} columns")
                    if row:
                        rows.append(row)
            except csv.Error as error:
                raise ValueError(f"{source}, line {reader.line_num}: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not UTF-8 text ({error}); save it as UTF-8") from None
    except (gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{source} is damaged, or not compressed as its name says ({error})") from None
    if not rows:
        raise ValueError(f"{source} has a header but no rows")
    if len(header) == 1 and delimiter != "," and header[0].count(",") == rows[0][0].count(","):
        _refuse_separators(header[0], ",", source)  # a comma may well be text, unless all rows have it
    return header, list(zip(*rows, strict=True))


def _refuse_separators(name, marks, source):
    """Raise if the name of the only column looks like several."""
    for mark in marks:
        if mark in name:
            raise ValueError(
                f"{source} has one column, {name!r}: its fields seem to be separated by {SEPARATORS[mark]}, but a "
                ".csv has them separated by commas and a .tsv by tabs"
            )


def _refuse_model(file, path):
    """Raise if an open file is a model."""
    if file.peek(4)[:4] != b"PK\x03\x04" or not file.seekable():
        return
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
        if MODEL_MEMBER in archive.namelist():
            raise ValueError(f"{path} is a model file, not a table")
    file.seek(0)


@contextlib.contextmanager
def _opened(path, compression):
    """A file of text to read."""
    with contextlib.ExitStack() as stack:
        if path == STDIN:
            if sys.stdin is None:
                raise ValueError("standard input is closed")
            file = sys.stdin.buffer
        elif compression == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path))
            members = [info for info in archive.infolist() if not info.is_dir()]
            if len(members) != 1:
                raise ValueError(f"{path} holds {len(members)} files; a table in a .zip must be the only one")
            file = stack.enter_context(archive.open(members[0]))
        elif compression:
            file = stack.enter_context(OPENING[compression](path))
        else:
            file = stack.enter_context(Path(path).open("rb"))
            _refuse_model(file, path)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            yield text
        finally:
            text.detach()  # so that standard input stays open


@contextlib.contextmanager
def _compressed(file, compression, kind):
    """A file of text to write, around a binary one."""
    with contextlib.ExitStack() as stack:
        packed = file
        if compression == ".gz":  # without a date: equal tables give equal files
            packed = stack.enter_context(gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0))
        elif compression == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(file, "w"))
            member = zipfile.ZipInfo(f"table{kind or '.csv'}")
            member.compress_type = zipfile.ZIP_DEFLATED
            packed = stack.enter_context(archive.open(member, "w", force_zip64=True))
        elif compression:
            packed = stack.enter_context(OPENING[compression](file, "wb"))
        text = io.TextIOWrapper(packed, encoding="utf-8", newline="")
        yield text
        text.detach()  # writes what is left; others close the file


def _read_parquet(path, drop):
    """Names and columns of a Parquet file, as text; None for those to drop, whatever they hold."""
    pyarrow = _pyarrow()
    from pyarrow import parquet

    with Path(path).open("rb") as file:
        try:
            table = parquet.read_table(file)
        except pyarrow.ArrowException as error:
            raise ValueError(f"{path} is no Parquet file, or is damaged ({error})") from None
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in drop:
            columns.append(None)
            continue
        try:
            if pyarrow.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            cells = column.cast(pyarrow.string()).to_pylist()
        except pyarrow.ArrowException:
            raise ValueError(
                f"{path}: column {name!r} holds {column.type}, which has no text to be a category: --drop {name}"
            ) from None
        floating = pyarrow.types.is_floating(column.type)
        columns.append([None if cell == "nan" else cell for cell in cells] if floating else cells)
    if table.num_rows == 0 or not columns:
        raise ValueError(f"{path} has no rows")
    return table.column_names, columns


def _of_objects(columns):
    """A DataFrame of columns of objects: pandas would make strings of its own kind of them."""
    made = {name: np.fromiter(cells, dtype=object, count=len(cells)) for name, cells in columns.items()}
    return _pandas().DataFrame(made, dtype=object)


@contextlib.contextmanager
def _no_garbage_collection():
    """Rows by the ten thousand are no garbage, but have it searched for again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError("the command line needs pandas: pip install 'treeflows[cli]'") from None
    return pandas


def _pyarrow():
    try:
        import pyarrow
    except ImportError:
        raise ImportError("Parquet files need pyarrow: pip install 'treeflows[parquet]'") from None
    return pyarrow
