"""Tables of any size, of files or in memory, into packed ones."""

from pathlib import Path

from ..machine.progress import progress_bar
from ..tables.containers import PANDAS, PYARROW, Table, is_frame
from ..tables.packed import BLOCK, PackedTable
from ..tables.packing import packing

BATCH = 4 * BLOCK  # rows


def pack(source, folder, *, verbose=0):
    """Write a table to a folder from which models learn without having it in memory.

    Parameters
    ----------
    source : str, path-like or dataframe
        A Parquet file, or a pandas, polars or pyarrow table.
    folder : str or path-like
        Where to; it must not be there.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    table : PackedTable
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; name another folder")
    _pyarrow()
    if is_frame(source):
        _pack_frame(source, folder, verbose)
    else:
        _pack_parquet(Path(source), folder, verbose)
    return PackedTable(folder)


def _pack_frame(X, folder, verbose):
    pa = _pyarrow()
    table = Table(X)
    names = table.names
    if table.container == PANDAS:
        arrays = [pa.chunked_array([pa.array(X[name], from_pandas=True)]) for name in names]
    else:
        arrow = X if table.container == PYARROW else X.to_arrow()
        arrays = [column.unify_dictionaries() for column in arrow.columns]
    with (
        packing(folder, names, table.dtypes, table.container) as writer,
        progress_bar(table.n_rows, "packing", verbose) as step,
    ):
        for start in range(0, table.n_rows, BATCH):
            writer.append([_one(array.slice(start, BATCH)) for array in arrays])
            step(writer.n_rows)
        writer.sources.append({"path": None, "bytes": None, "rows": table.n_rows})


def _pack_parquet(path, folder, verbose):
    pa = _pyarrow()
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    schema = file.schema_arrow
    text = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    file = parquet.ParquetFile(path, read_dictionary=text)
    dtypes = Table(schema.empty_table()).dtypes
    with (
        packing(folder, schema.names, dtypes, PYARROW) as writer,
        progress_bar(file.metadata.num_rows, "packing", verbose) as step,
    ):
        for batch in file.iter_batches(batch_size=BATCH):
            writer.append(batch.columns)
            step(writer.n_rows)
        writer.sources.append({"path": str(path), "bytes": path.stat().st_size, "rows": writer.n_rows})


def _one(chunked):
    """A chunked array as one."""
    return chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)


def _pyarrow():
    try:
        import pyarrow
    except ImportError:
        raise ImportError("packing needs pyarrow: pip install 'treeflows[parquet]'") from None
    return pyarrow
