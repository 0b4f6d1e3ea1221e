"""Tables of any size, in files or in memory, to packed ones: what is in them is read in batches, never as a whole."""

import contextlib
import glob
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..machine.errors import ParameterError, TableError
from ..machine.progress import progress_bar
from ..tables.containers import PYARROW, Table, is_frame
from ..tables.domain import choice, listing
from ..tables.packed import BLOCK, PackedTable
from ..tables.packing import arrow_columns, check_free, kind_of, one_chunk, packing
from ..tables.quantities import MOST_FEW
from ..tables.writing import DELIMITERS, PARQUET, arrow
from .numbers import INTEGER, NUMBER, TIME
from .text import TextFormat

BATCH = 2 * BLOCK  # rows of Parquet that are read at a time
CSV_BYTES = 2**22  # of text
COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
TEXTS = (*DELIMITERS, ".txt")
WRITTEN = {"int64": INTEGER, "double": NUMBER, "timestamp[us]": TIME}  # how values of a type are written, as text
APPENDED = ("rows", "columns")


def pack(source, folder, *, append=None, na=(), drop=(), sep=None, encoding="utf-8", verbose=0):
    r"""Write a table to a folder, from where models learn without having it in memory.

    What is packed is read in batches: memory does not grow with rows or files. The folder is there when all is written,
    or not at all.

    Parameters
    ----------
    source : str, path-like, list of these, or dataframe
        Parquet files, or files of text with a header: CSV, TSV, perhaps compressed (.gz, .bz2, .zst, .lz4). A path may
        be that of a folder, whose files are taken with those in folders below it, or a pattern, such as
        ``"rows/*.parquet"``; files are taken in the order of their names. Or a pandas, polars or pyarrow table.
    folder : str or path-like
        Where to. It must not be there, unless something is appended.
    append : "rows" or "columns", default=None
        Add rows or columns to the packed table in the folder: rows of the same columns, or further columns of the same
        rows.
    na : sequence of str, default=()
        What marks a missing cell in files of text, beside an empty one.
    drop : sequence of str, default=()
        Columns to leave out.
    sep : str, default=None
        What stands between the fields of files of text; None for a comma, or a tab where their names end so.
    encoding : str, default="utf-8"
        Of files of text, whose cells are without the blanks around them.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    table : PackedTable
        Files become pyarrow tables, whose columns of text are whole numbers (int64), decimal numbers (double), or dates
        and times (timestamp) if each of their cells in all files is written as such, and else strings. Leading zeros
        make a name of a number, as in postal codes; dates of at most 20 days are strings.

    Raises
    ------
    ValueError
        If there is no such file, files do not have the same columns, a column has values that are neither categories
        nor numbers, more than 65,536 distinct ones that are no numbers, or nothing but missing cells; or if what is
        appended does not fit. The message names file and column.
    OSError
        If something cannot be read or written, or the folder is there already.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import treeflows
    >>> with TemporaryDirectory() as folder:
    ...     for day, cell in enumerate(["red", "blue"]):
    ...         _ = Path(folder, f"{day}.csv").write_text(f"colour,price\n{cell},1.50\n")
    ...     table = treeflows.pack(f"{folder}/*.csv", f"{folder}/table")
    ...     table.n_rows, table.dtypes
    (2, ('string', 'double'))
    """
    arrow()  # which must be there
    folder = Path(folder)
    extended = _extended(folder, append)
    for name, told in (("na", na), ("drop", drop)):
        if isinstance(told, str):
            raise ParameterError(f"{name} must be a list, got {told!r}", parameter=name, value=told)
    how = TextFormat(tuple(na), sep, encoding)
    opened = _opened(source, how, drop, extended if append == "rows" else None, verbose)
    if extended is not None:
        _check_fits(opened, extended, append)
    names, dtypes = opened.names, opened.dtypes
    if append == "rows":
        names, dtypes = extended.names, extended.dtypes
    writing = packing(folder, names, dtypes, opened.container, extended, append)
    with writing as writer, progress_bar(opened.total, "packing", verbose) as step:
        sources: dict = {}
        for path, arrays, done in opened.batches(names):
            with _in_file(path), _told_why(opened.odd):
                writer.append(arrays)
            sources[path] = sources.get(path, 0) + len(arrays[0])
            step(done)
        for path, n_rows in sources.items():
            told = (None, None) if path is None else (str(path), path.stat().st_size)
            writer.sources.append({"path": told[0], "bytes": told[1], "rows": n_rows})
    return PackedTable(folder)


@dataclass(frozen=True, eq=False)
class _Source:
    """A table to read in batches.

    Attributes
    ----------
    names, dtypes : tuple
        Of its columns, as `Table` tells them.
    container : str
    total : int
        Size of all.
    batches : callable
        Of the names of columns: yields the path of a file, an Arrow array of each column, and the size of what is read.
    odd : dict of str to str
        Of columns of text that began with numbers, what came then.
    """

    names: tuple
    dtypes: tuple
    container: str
    total: int
    batches: Callable
    odd: dict = field(default_factory=dict)


def _extended(folder, append):
    """The table to append to, None for none."""
    if append is None:
        check_free(folder)
        return None
    if append not in APPENDED:
        told = f"append must be {' or '.join(map(repr, APPENDED))}, got {append!r}"
        raise ParameterError(told, parameter="append", value=append)
    return PackedTable(folder)


def _opened(source, how, drop, extended, verbose):
    """The source that a user named, without the columns to drop: _Source."""
    if is_frame(source):
        return _of_frame(source, drop)
    if not isinstance(source, (str, Path, list, tuple)):
        told = f"a table to pack is a path, or a pandas, polars or pyarrow table, not {type(source).__name__}"
        raise TypeError(told)
    paths = _paths(source)
    kinds = [_ending(path)[0] in PARQUET for path in paths]
    if any(kinds) and not all(kinds):
        raise TableError(f"{paths[kinds.index(False)]} is a file of text, and {paths[kinds.index(True)]} of Parquet")
    if kinds[0]:
        return _of_parquet(paths, drop)
    return _of_text(paths, how, drop, extended, verbose)


def _of_frame(X, drop):
    table = Table(X)
    names = table.names or ()
    kept = _kept(names, drop, "the table")
    columns = {names[j]: column for j, column in zip(kept, arrow_columns(X, kept), strict=True)}

    def batches(names):
        for start in range(0, table.n_rows, BATCH):
            parts = [one_chunk(columns[name].slice(start, BATCH)) for name in names]
            yield None, parts, start + len(parts[0])

    dtypes = tuple(table.dtypes[j] for j in kept)
    return _Source(tuple(columns), dtypes, table.container, table.n_rows, batches)


def _of_parquet(paths, drop):
    with _in_file(paths[0]), _parquet(paths[0]) as file:
        schema = file.schema_arrow
        names = tuple(schema.names[j] for j in _kept(schema.names, drop, "the file"))
        for name in names:
            kind_of(schema.field(name).type, name)
    for path in paths[1:]:
        with _in_file(path), _parquet(path) as file:
            _check_same(file.schema_arrow, schema, names, drop, paths[0])
    text = [name for name in names if kind_of(schema.field(name).type, name) == "text"]
    sizes = [path.stat().st_size for path in paths]

    def batches(names):
        done = 0
        for path, size in zip(paths, sizes, strict=True):
            with _in_file(path), _parquet(path, text) as file:
                n_rows, row = file.metadata.num_rows, 0
                for batch in file.iter_batches(BATCH, columns=list(names)):
                    row += len(batch)
                    yield path, [batch.column(name) for name in names], done + size * row // n_rows
            done += size

    dtypes = Table(arrow().schema([schema.field(name) for name in names]).empty_table()).dtypes
    return _Source(names, dtypes, PYARROW, sum(sizes), batches)


@contextlib.contextmanager
def _parquet(path, text=()):
    """An open Parquet file, of which these columns are read as dictionaries."""
    from pyarrow import parquet

    with Path(path).open("rb") as file:
        try:
            opened = parquet.ParquetFile(file, read_dictionary=list(text), buffer_size=2**20, pre_buffer=False)
        except arrow().ArrowException as error:
            raise TableError(f"it is no Parquet file, or is damaged ({error})") from None
        yield opened


def _check_same(found, schema, names, drop, first):
    """Raise unless the schema of a file has the columns of the first's."""
    others = [name for name in found.names if name not in drop]
    for name in (*names, *others):
        if name not in others or name not in names:
            which = f"lacks column {name!r}, which {first} has" if name in names else f"has column {name!r}, which "
            raise TableError(which + f"{first} lacks" * (name not in names), column=name)
    if len(others) != len(names):
        raise TableError("column names must be unique")
    for name in names:
        kinds = found.field(name).type, schema.field(name).type
        if kinds[0] != kinds[1]:
            raise TableError(f"column {name!r} holds {kinds[0]}, but {kinds[1]} in {first}", column=name)


def _of_text(paths, how, drop, extended, verbose):
    """Files of text. They are read twice, since only the last cell says whether a column holds numbers."""
    names, types, columns = _types(paths, how, drop, extended, verbose)
    odd = {name: written.odd for name, written in columns.items() if written.odd}
    sizes = [path.stat().st_size for path in paths]
    text = arrow().dictionary(arrow().int32(), arrow().string())
    padded = {name for name, written in columns.items() if written.padded}
    as_read = {name: text if kind == "string" or name in padded else _type(kind) for name, kind in types.items()}

    def column(batch, name):
        array = batch.column(name)
        if name not in padded:
            return array
        array = _trimmed(array, how.na)
        return array if types[name] == "string" else array.cast(arrow().string()).cast(_type(types[name]))

    def batches(names):
        done = 0
        for path, size in zip(paths, sizes, strict=True):
            for batch, read in _text_batches(path, how, as_read):
                yield path, [column(batch, name) for name in names], done + min(read, size)
            done += size

    return _Source(names, tuple(types[name] for name in names), PYARROW, sum(sizes), batches, odd)


def _types(paths, how, drop, extended, verbose):
    """Names of the columns of files of text, the type of each, and how their cells are written.

    Parameters
    ----------
    paths : list of Path
    how : TextFormat
    drop : sequence of str
    extended : PackedTable or None
        The table that the rows are for, whose types the columns must have.

    Returns
    -------
    names : tuple of str
    types : dict of str to str
        "int64", "double", "timestamp[us]" or "string".
    columns : dict of str to _Written
    """
    columns: dict = {}
    text = arrow().dictionary(arrow().int32(), arrow().string())
    sizes = [path.stat().st_size for path in paths]
    with progress_bar(sum(sizes), "looking for numbers", verbose) as step:
        for i, path in enumerate(paths):
            row = 0
            for batch, read in _text_batches(path, how, text):
                with _in_file(path):
                    found = [name for name in batch.schema.names if name not in drop]
                    if not columns:
                        kept = _kept(batch.schema.names, drop, "the file")
                        columns = {batch.schema.names[j]: _Written() for j in kept}
                    if sorted(found) != sorted(columns):
                        told = f"its columns are {listing(found, 20)}, but {listing(list(columns), 20)} in {paths[0]}"
                        raise TableError(told)
                    for name, written in columns.items():
                        cells = batch.column(name)
                        array = _trimmed(cells, how.na)
                        written.padded |= array is not cells
                        written.take(array, path, row)
                row += len(batch)
                step(sum(sizes[:i]) + read)
    if not columns:
        raise TableError(f"{paths[0]} has a header but no rows")
    types = {name: written.type for name, written in columns.items()}
    if extended is not None:
        _check_types(columns, types, extended)
    return tuple(columns), types, columns


class _Written:
    """How the cells of a column of text are written, as far as it has been read."""

    def __init__(self):
        self.may_be = dict.fromkeys(WRITTEN)  # types, each with the first cell that is of none: text, file and row
        self.some: set = set()  # of the cells
        self.padded = False  # with blanks
        self.n_read = 0

    def take(self, array, path, row):
        """Look at further cells, which start at a row of a file."""
        cells = array.dictionary
        if len(cells) == 0:
            return
        if len(self.some) <= MOST_FEW:
            self.some.update(cells[: MOST_FEW + 1].to_pylist())
        for kind, bad in self.may_be.items():
            if bad is None and (cell := _first_not(cells, kind)) is not None:
                at = arrow().compute.index(array.cast(arrow().string()), cell).as_py()
                self.may_be[kind] = cell, path, row + at, self.n_read > 0 or at > 0
        self.n_read += len(array)

    @property
    def type(self):
        """The narrowest type that holds all cells."""
        for kind, bad in self.may_be.items():
            if bad is None and self.some and (kind != "timestamp[us]" or len(self.some) > MOST_FEW):
                return kind
        return "string"

    @property
    def odd(self):
        """What came after numbers, in words; None if nothing did."""
        bad = self.may_be["double"]
        if bad is None or not bad[3]:
            return None
        cell, path, row, _ = bad
        return f"it holds numbers, but {cell!r} at row {row} of {path}: if that marks missing cells, na=[{cell!r}]"


def _trimmed(array, na):
    """A dictionary array of text without blanks around it; the same if there are none."""
    trimmed = arrow().compute.utf8_trim_whitespace(array.dictionary)
    if trimmed.equals(array.dictionary):
        return array
    cells = trimmed.take(array.indices)
    absent = arrow().compute.is_in(cells, arrow().array(["", *na]))
    return arrow().compute.if_else(absent, None, cells).dictionary_encode()


def _first_not(cells, kind):
    """The first of some distinct cells that is not written as one of a type; None if all are."""
    compute = arrow().compute
    fits = compute.match_substring_regex(cells, f"^(?:{WRITTEN[kind].pattern})$")
    if not compute.all(fits).as_py():
        return cells[compute.index(fits, False).as_py()].as_py()
    try:
        made = cells.cast(_type(kind))
    except arrow().ArrowException:  # too large, or no such day
        return next(cell for cell in cells.to_pylist() if not _is_of(cell, kind))
    finite = compute.is_finite(made) if kind == "double" else None
    if finite is not None and not compute.all(finite).as_py():
        return cells[compute.index(finite, False).as_py()].as_py()
    return None


def _is_of(cell, kind):
    try:
        arrow().array([cell]).cast(_type(kind))
    except arrow().ArrowException:
        return False
    return True


def _check_types(columns, types, extended):
    """Have the columns the types that they have in a packed table, or raise for the first cell that is of none."""
    for name, dtype in zip(extended.names, extended.dtypes, strict=True):
        if name not in columns or dtype == "string":
            types[name] = dtype
            continue
        if dtype not in WRITTEN:
            told = f"column {name!r} is of dtype {dtype} in {extended.folder}, which files of text have not"
            raise TableError(told, column=name)
        if (bad := columns[name].may_be[dtype]) is not None:
            told = f"{bad[1]}: column {name!r} holds {bad[0]!r} at row {bad[2]}, but {dtype} in {extended.folder}"
            raise TableError(told, column=name, row=bad[2], value=bad[0])
        types[name] = dtype


def _text_batches(path, how, types):
    """Record batches of a file of text, and how much of it is read; ``types`` of columns by name, or one for all."""
    from pyarrow import csv

    ending, compression = _ending(path)
    reading = csv.ReadOptions(block_size=CSV_BYTES, encoding=how.encoding)
    parsing = csv.ParseOptions(delimiter=how.sep or DELIMITERS.get(ending, ","), newlines_in_values=True)
    options = {"null_values": ["", *how.na], "strings_can_be_null": True, "quoted_strings_can_be_null": True}
    with _in_file(path):
        with _stream(path, compression)[1] as file:
            header = csv.open_csv(file, reading, parsing, csv.ConvertOptions(**options)).schema.names
        names = [name.strip() for name in header]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise TableError(f"column names must be unique; {twice!r} occurs more than once", column=twice)
        type_of = types if isinstance(types, dict) else dict.fromkeys(names, types)
        told = {raw: type_of[name] for raw, name in zip(header, names, strict=True) if name in type_of}
        raw, file = _stream(path, compression)
        with file:
            for batch in csv.open_csv(file, reading, parsing, csv.ConvertOptions(column_types=told, **options)):
                yield batch.rename_columns(names), raw.tell()


def _stream(path, compression):
    """An open file, and what is in it."""
    raw = arrow().OSFile(str(path))
    return raw, arrow().CompressedInputStream(raw, COMPRESSED[compression]) if compression else raw


@contextlib.contextmanager
def _in_file(path):
    """Have what is told of a table name the file; None for none."""
    try:
        yield
    except TableError as error:
        if path is None:
            raise
        told = f"{path}: {error.message}"
        raise TableError(told, error.remedies, column=error.column, row=error.row, value=error.value) from None
    except (arrow().ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:  # what the system says names its file
            raise
        raise TableError(f"{path}: {error}") from None


@contextlib.contextmanager
def _told_why(odd):
    """Have what is told of a column of too many values say what else it holds, where that is known."""
    try:
        yield
    except TableError as error:
        if error.column not in odd:
            raise
        raise TableError(f"{error.message}; {odd[error.column]}", column=error.column) from None


def _kept(names, drop, what):
    """Numbers of the columns that are not left out."""
    for name in drop:
        if name not in names:
            raise TableError(
                f"{what} has no column {name!r} to drop; there are {choice(name, list(names), 20)}", column=name
            )
    if len(set(map(str, names))) < len(names):
        raise TableError("column names must be unique")
    kept = [j for j, name in enumerate(names) if name not in drop]
    if not kept:
        raise TableError("no column is left")
    for j in kept:
        if not isinstance(names[j], (str, int)):
            raise TableError(f"column name {names[j]!r} is neither a text nor a whole number", column=names[j])
    return kept


def _check_fits(opened, extended, append):
    """Raise unless a source can be appended to a packed table."""
    if opened.container != extended.container:
        told = f"{extended.folder} is packed of tables of {extended.container}, not of {opened.container}"
        raise TableError(f"{told}: files count as pyarrow tables")
    if append == "columns":
        for name in opened.names:
            if str(name) in extended.column_names:
                raise TableError(f"{extended.folder} has column {str(name)!r} already", column=name)
        return
    dtype_of = dict(zip(opened.names, opened.dtypes, strict=True))
    for name in {**dict.fromkeys(extended.names), **dtype_of}:
        if name not in extended.names or name not in dtype_of:
            where = "what is appended" if name in extended.names else str(extended.folder)
            raise TableError(f"{where} has no column {str(name)!r}", column=name)
    for name, dtype in zip(extended.names, extended.dtypes, strict=True):
        if dtype_of[name] != dtype:
            told = f"column {str(name)!r} is of dtype {dtype_of[name]}, but {dtype} in {extended.folder}"
            raise TableError(told, column=name)


def _paths(source):
    """Files that a path, a folder, a pattern, or a list of these names."""
    if isinstance(source, (list, tuple)):
        paths = [path for each in source for path in _paths(each)]
        if not paths:
            raise TableError("no file is named")
        return paths
    path = Path(source)
    if path.is_dir():
        hidden = (".", "_")
        below = (p for p in path.rglob("*") if not any(part.startswith(hidden) for part in p.relative_to(path).parts))
        paths = sorted(p for p in below if p.is_file() and _is_table(p))
        if not paths:
            raise TableError(f"{path} holds no files of Parquet, CSV or TSV")
        return paths
    if path.exists():
        paths = [path]
    else:
        paths = sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())  # noqa: PTH207 - any root
        if not paths:
            raise FileNotFoundError(f"there is no file {path}")
    for each in paths:
        if not _is_table(each):
            told = f"{each} does not end in {', '.join((*PARQUET, *TEXTS))}, the latter perhaps with "
            raise TableError(told + f"{', '.join(COMPRESSED)}: it is not read")
    return paths


def _is_table(path):
    ending, compression = _ending(path)
    return ending in TEXTS or (ending in PARQUET and not compression)


def _ending(path):
    """Endings of a path in lower case: that of its kind, and that of its compression, "" for none."""
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    compression = endings.pop() if endings and endings[-1] in COMPRESSED else ""
    return (endings[-1] if endings else ""), compression


def _type(name):
    return arrow().timestamp("us") if name == "timestamp[us]" else arrow().type_for_alias(name)
