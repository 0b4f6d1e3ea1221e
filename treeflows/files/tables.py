"""Tables in files, CSV, TSV, JSON, Parquet or Feather; and the way between their cells and a model's values.

A cell is its text as it is written, without blanks around it, or None where it is missing; in the columns of numbers
and times of Parquet and Feather it is what the file says. What is text becomes a number when a table is learned from,
or when a model has a number there. So a model learned from one kind of file reads the others.
"""

import codecs
import contextlib
import csv
import gc
import gzip
import io
import json
import lzma
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..machine.archives import MODEL_MEMBER
from ..machine.spelling import nearest
from ..tables.bins import Bins
from ..tables.containers import Table
from ..tables.domain import choice, listing
from ..tables.policy import TablePolicy
from ..tables.quantities import Quantity
from ..tables.writing import COMPRESSED, DELIMITERS, OPENING, PARQUET, arrow, endings, pandas
from .numbers import number_cells, numbers_of
from .text import TextFormat

STDIN = "-"
FEATHER = (".feather", ".arrow")
JSON = (".json", ".jsonl", ".ndjson")
OTHERS = {  # by their endings, what pandas can read, and by which function
    "a spreadsheet": ("read_excel", (".xlsx", ".xlsm", ".xls", ".ods")),
    "a file of Stata": ("read_stata", (".dta",)),
    "a file of SPSS": ("read_spss", (".sav",)),
    "a file of SAS": ("read_sas", (".sas7bdat", ".xpt")),
    "a pickle": ("read_pickle", (".pkl", ".pickle")),
    "a file of HDF": ("read_hdf", (".h5", ".hdf5")),
    "a file of ORC": ("read_orc", (".orc",)),
    "a page": ("read_html", (".html", ".htm")),
}
DAMAGE = gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, zlib.error, EOFError
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_file(path, how=TextFormat(), drop=()):  # noqa: B008 - it is frozen
    """A table of a file.

    Parameters
    ----------
    path : str
        By its ending a CSV or TSV file with a header, JSON (records or lines), Parquet or Feather; CSV if the ending
        says nothing. "-" is CSV from standard input.
    how : TextFormat
        Its marks of missing cells are those of every kind of file.
    drop : sequence of str
        Columns to leave out.

    Returns
    -------
    table : DataFrame
        Of str and None; columns of numbers, dates, times and durations of Parquet and Feather in Arrow's dtypes.

    Raises
    ------
    ValueError
        If a row is not as long as the header, a name occurs twice, there is no column to drop, or the file is damaged
        or empty; the message says where.
    """
    with _no_garbage_collection():
        [table] = read_blocks(path, how, drop, None)
    return table


def read_blocks(path, how=TextFormat(), drop=(), n_rows=2**16):  # noqa: B008 - it is frozen
    """The table of a file in blocks of rows, as `read_file` has them all: yields DataFrame.

    Parameters
    ----------
    path : str
    how : TextFormat
    drop : sequence of str
    n_rows : int or None
        Most rows of a block; None for all in one, as those of JSON and Feather are.
    """
    pandas()  # before any work is done
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder; of packed tables, only fit and score take them")
    absent, kind = {"", *how.na}, endings(path)[0]
    _refuse_others(path, kind)
    if kind in (*PARQUET, *FEATHER):
        blocks = _read_arrow(path, drop, n_rows)
    else:
        blocks = _read_json(path, how) if kind in JSON else _read_csv(path, how, n_rows)
    for header, columns in blocks:
        _check_names(path, header, drop)
        table = {}
        for name, cells in zip(header, columns, strict=True):
            if name in drop:
                continue
            if isinstance(cells, pandas().Series):
                table[name] = cells.mask(_text_of(cells).isin(list(absent))) if how.na else cells
                continue
            some = not absent.isdisjoint(cells)
            table[name] = [None if cell in absent else cell for cell in cells] if some else cells
        yield of_objects(table)


def _check_names(path, header, drop):
    for j, name in enumerate(header):
        if name in header[:j]:
            raise ValueError(f"{path}: column names must be unique; {name!r} occurs more than once")
    for name in drop:
        if name not in header:
            raise ValueError(f"{path} has no column {name!r}; it has {choice(name, header, 20)}")
    if not set(header).difference(drop):
        raise ValueError(f"{path}: no column is left")


def as_text(table):
    """A table of a file with every cell as its text, or None."""
    typed = {name: _text_of(table[name]) for name in table.columns if table[name].dtype != object}
    return table.assign(**typed) if typed else table


def with_numbers(table, numeric):
    """A table of a file to learn from, with its numbers as such.

    Parameters
    ----------
    table : DataFrame
        As `read_file` returns it.
    numeric : "auto" or sequence of str
        Which columns are quantities; "auto" for those that `TablePolicy` says are. Where it says so of any, others that
        hold numbers are categories in their order.

    Returns
    -------
    table : DataFrame
        All of text if no column is a quantity.

    Raises
    ------
    ValueError
        For a named column that is not there or holds something else than numbers.
    """
    if numeric != "auto":
        return as_text(table).assign(**{name: _named_numbers(table, name) for name in numeric})
    written = {name: numbers_of(table[name].tolist()) for name in table.columns if table[name].dtype == object}
    typed = table.assign(**{name: cells for name, cells in written.items() if cells is not None})
    quantities, ordered = TablePolicy(numeric="auto").quantities(Table(typed))
    if not quantities:
        return as_text(table)
    text = as_text(table)
    # of others a model file keeps whole numbers as such, and no dates or decimals
    ordered = [j for j in ordered if pandas().api.types.is_numeric_dtype(typed.dtypes.iloc[j])]
    kept = [table.columns[j] for j in (*quantities, *ordered)]
    return text.assign(**{name: typed[name] for name in kept})


def printable(text):
    """Text as a terminal can show it: its lines, with other control characters as Python escapes them."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def called(path):
    """What a message calls a file."""
    return "standard input" if path == STDIN else path


def without_ending(path):
    """The path of a table without what says its kind and compression."""
    path = Path(path)
    return path.with_suffix("").with_suffix("") if path.suffix.lower() in COMPRESSED else path.with_suffix("")


def for_model(model, table, source):
    """The columns of a model out of a table of text, as the model takes them, and those of its context, or None.

    Parameters are those of `for_domain`.
    """
    context = None if model.context_ is None else for_domain(model.context_, table, source)
    return for_domain(model.domain_, table, source), context


def for_domain(domain, table, source):
    """The columns of a domain out of a table of text, as a model takes them.

    Further columns are left out. Numbers are the intervals of a binned column; of a model that was learned from other
    than text, a cell is the number or the category that is written so.

    Raises
    ------
    ValueError
        If a column of the model is not there, or holds no number where the model has one; ``source`` is what the table
        is called.
    """
    lacking = [name for name in domain.column_names if name not in table.columns]
    if lacking:
        raise ValueError(
            f"{source} has no column {lacking[0]!r}, which the model has; it has "
            f"{choice(lacking[0], list(table.columns), 20)}"
        )
    columns = dict(zip(domain.column_names, domain.columns, strict=True))
    read = of_objects({name: _cells_for(c, table[name]) for name, c in columns.items()})
    if domain.names is None:
        return read.to_numpy()
    read.columns = list(domain.names)
    return read


def binned(table, columns, source):
    """The table with these columns cut into bins, by the numbers in them.

    Parameters
    ----------
    table : DataFrame
        As `read_file` returns it.
    columns : dict of str to int or sequence of float
        How many bins of about as many cells each, or the edges between them.
    source : str
        What the table is called.

    Raises
    ------
    ValueError
        If there is no such column, or a cell is no number.
    """
    for name in columns:
        if name not in table.columns:
            raise ValueError(f"{source} has no column {name!r} to bin; it has {choice(name, list(table.columns), 20)}")
    table = table.copy(deep=False)
    for name, how in columns.items():
        cells = _text_of(table[name]).tolist()
        bins = Bins.of(cells, name, how) if isinstance(how, int) else Bins(tuple(how))
        table[name] = pandas().Series(bins.place(cells, name), dtype=object)
    return table


def value_of(domain, column, text):
    """What a user wrote of a column, as `read_given` takes it: a value, a range, or several with commas between them.

    Nothing is None, for missing. A range is LOW..HIGH, of which either may be empty: of a quantity a tuple of both, of
    categories that are numbers those that lie between them.
    """
    known = domain.columns[domain.column_names.index(column)]
    if isinstance(known, Quantity):
        parts = [_range_of(part, lambda end: _number_of(end, column, known)) for part in text.split(",")]
        return parts[0] if len(parts) == 1 else parts
    values = known.values.tolist()

    def value(part):
        try:
            return _categories([part or None], known.values, column)[0]
        except ValueError:
            told = choice(part, known.values, 20)
            raise ValueError(f"column {column!r} has no interval for {part!r}; it has {told}") from None

    with contextlib.suppress(ValueError):
        if (whole := value(text)) is None or whole in values:
            return whole
    found = []
    for part in text.split(","):
        ends = _range_of(part, float) if known.values.dtype.kind in "iuf" and ".." in part else None
        if isinstance(ends, tuple):
            low, high = (end if told is None else told for end, told in zip((-np.inf, np.inf), ends, strict=True))
            found += [each for each in values if low <= each <= high]
        else:
            found.append(value(part))
    known_all = all(each is None or each in values for each in found)
    return found if known_all else value(text)


def _range_of(text, value):
    """A value, or of LOW..HIGH a tuple of two, None for what is empty."""
    ends = text.split("..") if text.count("..") == 1 else [text]
    told = [value(end) if end else None for end in ends]
    return told[0] if len(told) == 1 else tuple(told)


def _number_of(text, column, known):
    """The number, time or duration that a user wrote."""
    try:
        cell = number_cells([text], column, known)[0]
    except ValueError:
        raise ValueError(f"column {column!r} takes {known.kind}, not {text!r}") from None
    return cell.item() if isinstance(cell, (np.integer, np.floating)) else cell  # as a message has them


def typed_like(table, other, source):
    """The columns of a table of a file that another has, of text or of numbers as there; ValueError if one is not."""
    lacking = [name for name in other.columns if name not in table.columns]
    if lacking:
        raise ValueError(f"{source} has no column {lacking[0]!r}; it has {choice(lacking[0], list(table.columns), 20)}")
    names = list(other.columns)
    return pandas().DataFrame(
        {name: _text_of(table[name]) if is_text(other[name]) else _named_numbers(table, name) for name in names}
    )


def typed_alike(tables, numeric, sources):
    """Two tables of files with the same columns, with the numbers of both as such.

    Parameters
    ----------
    tables : sequence of two DataFrame
        As `read_file` returns them.
    numeric : "auto" or sequence of str
        As `with_numbers` takes it.
    sources : list of str
        What the tables are called.

    Returns
    -------
    first, second : DataFrame

    Raises
    ------
    ValueError
        If a column is in one of them alone, or for a named one what `with_numbers` raises.
    """
    first, second = tables
    for one, other, (source, with_more) in ((first, second, sources[::-1]), (second, first, sources)):
        lacking = [name for name in one.columns if name not in other.columns]
        if lacking:
            near = nearest(lacking[0], other.columns)
            raise ValueError(f"{source} has no column {listing(lacking, 20)}, which {with_more} has{near}")
    both = pandas().concat([first, second[list(first.columns)]], ignore_index=True)
    typed = with_numbers(both, numeric)
    return typed[: len(first)], typed[len(first) :]


def is_text(column):
    """Whether all cells of a column of a table of a file are text, or missing."""
    return column.dtype == object and all(cell is None or isinstance(cell, str) for cell in column)


def written(column):
    """Cells of a column of a DataFrame as `writing` writes them: Series of str."""
    return column.astype(str)


def _cells_for(known, column):
    """Cells of a column of a file as a model's column has them."""
    if isinstance(known, Quantity):
        return number_cells(column.tolist(), column.name, known) if column.dtype == object else column
    return _categories(_text_of(column).tolist(), known.values, column.name)


def _named_numbers(table, name):
    """A column of numbers that a user named."""
    if name not in table.columns:
        raise ValueError(f"there is no column {name!r} of numbers; there are {choice(name, list(table.columns), 20)}")
    column = table[name]
    numbers = numbers_of(column.tolist(), named=True) if column.dtype == object else column
    if numbers is not None:
        return numbers
    for row, cell in enumerate(column):
        if cell is not None and numbers_of([cell], named=True) is None:
            raise ValueError(
                f"column {name!r} holds {cell!r} at row {row}, which is no number; if it marks missing values, say so "
                "with --na"
            )
    raise ValueError(f"column {name!r} holds numbers and times, or nothing at all")


def _text_of(column):
    """A column of a file with every cell as its text, or None."""
    if column.dtype == object:
        return column
    pyarrow = arrow()
    cells = pyarrow.array(column)
    try:
        text = cells.cast(pyarrow.string()).to_pylist()
    except pyarrow.ArrowException:
        raise ValueError(
            f"column {column.name!r} holds {cells.type}, which has no text to be a category: --drop {column.name}"
        ) from None
    return pandas().Series(np.fromiter(text, dtype=object, count=len(text)), column.index, dtype=object)


def _categories(cells, known, column):
    """Cells of text as the categories that they stand for; what stands for none stays text."""
    if known.dtype.kind in "OU" and all(isinstance(value, str) for value in known.tolist()):
        bins = Bins.of_labels(known.tolist())
        if bins is not None:
            return bins.place(cells, column)
        padded = {value.strip(): value for value in known.tolist() if value != value.strip()}  # of a table in memory
        return [padded.get(cell, cell) for cell in cells] if padded else cells
    meant = {}
    for value in known.tolist():
        text = str(value)
        # 3.0 is written 3 in files, and Parquet has its own spelling of truth
        meant |= {text: value, text.removesuffix(".0"): value}
        if isinstance(value, bool):
            meant[text.lower()] = value
    return [meant.get(cell, cell) for cell in cells]


def _refuse_others(path, kind):
    """Raise for a file of a kind that is not read."""
    for what, (function, kinds) in OTHERS.items():
        if kind in kinds:
            raise ValueError(
                f"{path} is {what}, which is not read: save it as CSV or Parquet, as pandas.{function}({path!r})"
                ".to_csv('table.csv', index=False) does"
            )


def _trimmed(cells):
    """Cells of text without blanks around them."""
    padded = {cell: cell.strip() for cell in set(cells) if cell and (cell[0].isspace() or cell[-1].isspace())}
    return [padded.get(cell, cell) for cell in cells] if padded else cells


def _columns_of(rows):
    return [_trimmed(cells) for cells in zip(*rows, strict=True)]


def _read_csv(path, how, n_rows):
    """Header and columns of a CSV or TSV file, of so many rows at a time; ValueError if a row is not as the header."""
    kind, compression = endings(path)
    delimiter = how.sep or DELIMITERS.get(kind, ",")
    source, rows, is_first = called(path), [], True
    try:
        with _opened(path, compression, how.encoding) as file:
            # a quote may stand after a blank
            reader = csv.reader(file, strict=True, delimiter=delimiter, skipinitialspace=delimiter != " ")
            try:
                header = next((row for row in reader if row), None)
                if header is None:
                    raise ValueError(f"{source} is empty; a header with column names is needed")
                header = [name.strip() for name in header]
                if len(header) == 1 and how.sep is None:
                    _refuse_separators(header[0], ";\t|", source)
                for row in reader:
                    if len(row) != len(header) and (row or len(header) == 1):
                        raise csv.Error(f"{len(row)} values, but the header names {len(header)} columns")
                    if row:
                        rows.append(row)
                        if len(rows) == n_rows:
                            yield header, _columns_of(rows)
                            rows, is_first = [], False
            except csv.Error as error:
                raise ValueError(f"{source}, line {reader.line_num}: {error}") from None
    except UnicodeError as error:
        raise _not_so_encoded(source, how, error) from None
    except DAMAGE as error:
        raise _damaged(source, error) from None
    if not rows:
        if is_first:
            raise ValueError(f"{source} has a header but no rows")
        return
    if (
        is_first
        and len(header) == 1
        and how.sep is None
        and delimiter != ","
        and header[0].count(",") == rows[0][0].count(",")
    ):
        _refuse_separators(header[0], ",", source)  # a comma may well be text, unless all rows have it
    yield header, _columns_of(rows)


def _damaged(source, error):
    return ValueError(f"{source} is damaged, or not compressed as its name says ({error})")


def _not_so_encoded(source, how, error):
    return ValueError(
        f"{source} is not {how.encoding.upper()} text ({error}); say what it is with --encoding, as latin-1, cp1252 or "
        "utf-16"
    )


def _read_json(path, how):
    """Names and columns of a file of JSON, records or lines, numbers as they are written."""
    source, (_, compression) = called(path), endings(path)
    read = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None).decode
    try:
        with _opened(path, compression, how.encoding) as file:
            text = file.read()
    except UnicodeError as error:
        raise _not_so_encoded(source, how, error) from None
    except DAMAGE as error:
        raise _damaged(source, error) from None
    whole, records = text.lstrip().startswith("["), []
    try:
        for number, line in enumerate([text] if whole else text.splitlines(), 1):  # noqa: B007 - to tell
            records += _records(read(line)) if line.strip() else []
    except ValueError as error:
        where = "" if whole else f"line {number}: "
        raise ValueError(
            f"{source} is no JSON of records, a list of objects or an object on each line: {where}{error}; pandas "
            "writes such with to_json(path, orient='records')"
        ) from None
    header = list(dict.fromkeys(name for record in records for name in record))
    if not header:
        raise ValueError(f"{source} has no rows")
    yield header, [_trimmed([record.get(name) for record in records]) for name in header]


def _records(told):
    """Rows that a value of JSON is, names and text; ValueError if it is none."""
    records = told if isinstance(told, list) else [told]
    for record in records:
        if not isinstance(record, dict):
            raise ValueError(f"it holds {record!r}")
        for name, cell in record.items():
            if isinstance(cell, (dict, list)):
                raise ValueError(f"{name!r} is a list or an object")
            if isinstance(cell, bool):
                record[name] = str(cell).lower()
    return records


def _refuse_separators(name, marks, source):
    """Raise if the name of the only column looks like several."""
    for mark in marks:
        if mark in name:
            raise ValueError(
                f"{source} has one column, {name!r}: its fields seem to be separated by {SEPARATORS[mark]}, but a "
                f".csv has them separated by commas and a .tsv by tabs; if so, say it with --sep {mark!r}"
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
def _opened(path, compression, encoding):
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
        utf8 = codecs.lookup(encoding).name == "utf-8"
        text = io.TextIOWrapper(file, encoding="utf-8-sig" if utf8 else encoding, newline="")
        try:
            yield text
        finally:
            text.detach()  # so that standard input stays open


def _read_arrow(path, drop, n_rows):
    """Names and columns of a Parquet file, of so many rows at a time, or of a Feather file.

    Columns are Series of numbers, lists of text, None for those to drop.
    """
    pyarrow, n_read = arrow(), 0
    from pyarrow import feather, parquet

    is_feather = endings(path)[0] in FEATHER
    with Path(path).open("rb") as file:
        try:
            if is_feather:
                tables = iter([feather.read_table(file)])
            elif n_rows is None:
                tables = iter([parquet.read_table(file)])
            else:
                batches = parquet.ParquetFile(file, buffer_size=2**20, pre_buffer=False).iter_batches(n_rows)
                tables = (pyarrow.Table.from_batches([batch]) for batch in batches)
            for table in tables:
                if table.num_rows and table.num_columns:
                    n_read += table.num_rows
                    yield table.column_names, _parquet_columns(table, drop, path)
        except pyarrow.ArrowException as error:
            kind = "Feather" if is_feather else "Parquet"
            raise ValueError(f"{path} is no {kind} file, or is damaged ({error})") from None
    if n_read == 0:
        raise ValueError(f"{path} has no rows")


def _parquet_columns(table, drop, path):
    pyarrow, columns = arrow(), []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in drop:
            columns.append(None)
            continue
        if _of_numbers(column.type):
            columns.append(_arrow_series(column, name))
            continue
        try:
            if pyarrow.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            cells = column.cast(pyarrow.string()).to_pylist()
        except pyarrow.ArrowException:
            raise ValueError(
                f"{path}: column {name!r} holds {column.type}, which has no text to be a category: --drop {name}"
            ) from None
        columns.append(cells)
    return columns


def _of_numbers(kind):
    """Whether an Arrow type is one of numbers, dates, times or durations."""
    types = arrow().types
    numbers = (types.is_integer, types.is_floating, types.is_decimal)
    return any(each(kind) for each in (*numbers, types.is_date, types.is_timestamp, types.is_duration))


def _arrow_series(column, name):
    """A column of numbers of Arrow; NaN is null there."""
    import pyarrow.compute as pc

    pd = pandas()
    if arrow().types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    return pd.Series(column, dtype=pd.ArrowDtype(column.type), name=name)


def of_objects(columns):
    """A DataFrame of columns, Series as they are, and others of objects: pandas would make its own strings of them."""
    pd = pandas()
    return pd.DataFrame(
        {
            name: cells
            if isinstance(cells, pd.Series)
            else pd.Series(np.fromiter(cells, dtype=object, count=len(cells)), dtype=object)
            for name, cells in columns.items()
        }
    )


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
