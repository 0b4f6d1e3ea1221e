"""Tables to files, block by block: CSV, TSV or Parquet, compressed or not."""

import bz2
import contextlib
import gzip
import io
import lzma
import sys
import zipfile
from pathlib import Path

import numpy as np

from ..machine.archives import whole_file
from .containers import PANDAS, POLARS, PYARROW, Table, is_frame
from .packing import arrow_columns, one_chunk, packing

STDOUT = "-"
OPENING: dict = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESSED = (*OPENING, ".zip")
DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
ENDINGS = (*DELIMITERS, ".txt", *PARQUET)  # of tables to write


def check_ending(path):
    """ValueError if a table cannot be written as the ending of the path says; an ending that is not there is CSV."""
    kind, _ = endings(path)
    if kind and kind not in ENDINGS:
        raise ValueError(f"cannot write {path}: a table ends in {', '.join(ENDINGS)}, perhaps compressed")


def endings(path):
    """Endings of a path in lower case: that of its kind, and that of its compression, "" for none."""
    endings = [ending.lower() for ending in Path(path).suffixes[-2:]]
    compression = endings.pop() if endings and endings[-1] in COMPRESSED else ""
    return (endings[-1] if endings else ""), compression


def to_frame(X, names):
    """A table of any container as a DataFrame to write: null where a cell is missing.

    Parameters
    ----------
    X : array or dataframe of shape (n_rows, n_columns)
    names : sequence
        Of its columns.

    Returns
    -------
    table : DataFrame
    """
    table, made = Table(X), {}
    if table.container == PANDAS:
        return X.set_axis(list(names), axis=1)
    if table.container == PYARROW:
        return X.to_pandas(types_mapper=pandas().ArrowDtype).set_axis(list(names), axis=1)
    if table.container == POLARS:
        return X.to_pandas(use_pyarrow_extension_array=True).set_axis(list(names), axis=1)
    for j, name in enumerate(names):
        values, holes = table.values(j)
        made[name] = values if holes is None else np.where(holes, None, values)
    return pandas().DataFrame(made)


@contextlib.contextmanager
def writing(path, like=None):
    """A function that writes a DataFrame after those before it, to a file that is there once all are written.

    Parameters
    ----------
    path : str, path-like or None
        A file, of the kind that its ending says; standard output, as CSV, if it is None or "-".
    like : DataFrame, default=None
        One whose columns have the types that those in a Parquet file shall have; None for the first that is written.
    """
    with contextlib.ExitStack() as stack:
        if path in (None, STDOUT):
            yield _as_text(sys.stdout, ",")
            return
        kind, compression = endings(path)
        if kind in PARQUET:
            arrow()
            file = stack.enter_context(whole_file(path))
            yield _as_parquet(file, like, stack)
            return
        file = stack.enter_context(whole_file(path))
        yield _as_text(stack.enter_context(_compressed(file, compression, kind)), DELIMITERS.get(kind, ","))


def write_blocks(path, blocks, names, like):
    """Write tables one after another: to a file of the kind that its ending says, or to a packed table.

    Parameters
    ----------
    path : Path
        Without an ending, a folder for a packed table.
    blocks : iterable of tables
        Of one container, with the same columns.
    names : sequence
        Names of the columns.
    like : table
        One whose columns have the types of those to be written.

    Raises
    ------
    ValueError
        If the path has another ending.
    OSError
        If it cannot be written, or a folder is there already.
    """
    if path.suffix:
        check_ending(path)
        with writing(path, to_frame(like, names)) as append:
            for X in blocks:
                append(to_frame(X, names))
        return
    arrow()  # which must be there
    like = like if is_frame(like) else to_frame(like, names)
    table = Table(like)
    with packing(path, table.names, table.dtypes, table.container) as writer:
        for X in blocks:
            columns = arrow_columns(X if is_frame(X) else to_frame(X, names))
            writer.append(list(map(one_chunk, columns)))


def _as_text(file, delimiter):
    first = [True]

    def append(table):
        table.to_csv(file, index=False, sep=delimiter, header=first[0])
        first[0] = False

    return append


def _as_parquet(file, like, stack):
    from pyarrow import parquet

    def made(table, schema=None):
        return arrow().Table.from_pandas(table, schema, preserve_index=False)

    opened: list = []

    def append(table):
        if not opened:
            schema = made(table if like is None else like).schema
            opened.append(stack.enter_context(parquet.ParquetWriter(file, schema)))
        opened[0].write_table(made(table, opened[0].schema))

    return append


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


def pandas():
    """The module pandas; ImportError if it is not there, with what helps."""
    try:
        import pandas
    except ImportError:
        raise ImportError("tables in files need pandas: pip install 'treeflows[cli]'") from None
    return pandas


def arrow():
    """The module pyarrow; ImportError if it is not there, with what helps."""
    try:
        import pyarrow
        import pyarrow.compute
    except ImportError:
        raise ImportError("Parquet files and packed tables need pyarrow: pip install 'treeflows[parquet]'") from None
    return pyarrow
