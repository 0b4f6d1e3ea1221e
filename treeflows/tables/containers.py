"""Tables of every container: columns of values going in, and a table of the same container coming out.

The policy for dtypes, the same for pandas, polars and pyarrow:

- strings, booleans, integers and objects are categories as they are; floats where they are whole numbers;
- pandas' categorical, polars' Enum and pyarrow's dictionary declare the categories of a column, in their order;
  polars' Categorical shares its categories with other columns and so declares none;
- dates and times without a zone are categories in their order, down to microseconds;
- null, NaN, None, NA, NaT and what an array masks are missing;
- times with a zone, durations and decimals of frames are numbers or nothing;
- lists and the like are refused.
"""

import numbers
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

import numpy as np
from sklearn.utils.validation import validate_data

from ..machine.errors import TableError
from .numbers import NotANumber, as_numbers

CATEGORICAL = ("category", "ordered")  # names of the dtypes that declare categories: unordered, ordered
AS_NUMBER = "take it for a number: TreeFlowMixture(numeric='auto')"
NUMPY, PANDAS, POLARS, PYARROW = CONTAINERS = ("numpy", "pandas", "polars", "pyarrow")


def is_frame(X):
    """Whether a table has named columns: a pandas, polars or pyarrow one."""
    if isinstance(X, (np.ndarray, list, tuple)):
        return False
    import narwhals.stable.v2 as nw

    return nw.dependencies.is_into_dataframe(X)


def read_table(estimator, X, *, reset):
    """Check a table as scikit-learn does (shape, number and names of columns) and note its columns if ``reset``."""
    if not is_frame(X):
        if type(X).__name__ == "LazyFrame":
            raise TypeError("a LazyFrame holds no rows yet; collect() it first")
        if type(X).__name__ == "PackedTable":
            raise TypeError("this takes tables in memory, and a packed one is not: take some of its rows, table[:1000]")
        if type(X) is dict or (isinstance(X, (list, tuple)) and len(X) and isinstance(X[0], Mapping)):
            what = "a dict" if type(X) is dict else "a list of dicts"
            raise TypeError(f"{what} is no table yet; pandas.DataFrame(X) makes one of it")
        X = as_array(X) if isinstance(X, (list, tuple)) else X
        X = _unmasked(X) if isinstance(X, np.ma.MaskedArray) else X
        X = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        return Table(X.astype(object) if X.dtype.kind == "T" else X)
    table = Table.of_frame(X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return table


class Table:
    """One way to read arrays and dataframes, column by column.

    Attributes
    ----------
    container : str
        "numpy", "pandas", "polars" or "pyarrow".
    names : tuple or None
        Column names, where there are any.
    dtypes : tuple of str
        Per column; "category" and "ordered" for dtypes that declare categories.
    absent : frozenset of int
        Columns that the table lacks: there are cells, and none is observed.
    """

    absent: frozenset = frozenset()

    def __init__(self, X):
        self.X = X
        self._read: tuple = (None, None)  # number of the column that was read last, and what was read
        self._distinct: dict = {}
        self._numbers: dict = {}
        self.names: tuple | None = None
        if not is_frame(X):
            self.container = NUMPY
            self.n_rows, n_columns = X.shape
            self.dtypes = (X.dtype.str if X.dtype.kind != "O" else "object",) * n_columns
            return
        import narwhals.stable.v2 as nw

        self.names = _names(X)
        self._frame = nw.from_native(X, eager_only=True)
        self.container = self._frame.implementation.value
        if self.container not in CONTAINERS:
            raise TypeError(f"tables of {self.container} are not read; convert to pandas, polars or pyarrow")
        self.n_rows = len(self._frame)
        self._series = list(self._frame.iter_columns())  # to look one up, a frame may list the names of all
        self.dtypes = tuple(_dtype_name(series.to_native(), self.container) for series in self._series)

    @classmethod
    def of_frame(cls, X):
        """The table of a dataframe, of which there are rows and columns, whose names tell them apart."""
        names: dict = {}
        for name in _names(X):
            if str(name) in names:
                other = names[str(name)]
                if type(other) is not type(name):
                    told = f"column names {other!r} and {name!r} print alike; rename one of them"
                    raise TableError(told, column=name)
                raise TableError(f"column names must be unique; {str(name)!r} occurs more than once", column=name)
            names[str(name)] = name
        table = cls(X)
        if table.n_rows == 0 or not names:
            raise TableError(
                f"Found a table with {table.n_rows} row(s) and {len(names)} column(s); at least one of each is needed"
            )
        return table

    def arranged(self, names):
        """The table of the columns of these names, those that it lacks without a value."""
        import narwhals.stable.v2 as nw

        there = set(self.names or ())
        columns = [nw.col(n) if n in there else nw.lit(None, dtype=nw.String).alias(n) for n in names]
        return Table(self._frame.select(columns).to_native())

    @property
    def index(self):
        """The index of a pandas DataFrame, else None."""
        return self.X.index if self.container == PANDAS else None

    def rows(self, chosen):
        """The table of the rows where ``chosen`` (ndarray of bool) holds."""
        part = Table(self.X[chosen] if self.container == NUMPY else self._frame.filter(chosen.tolist()).to_native())
        part.absent = self.absent
        return part

    def column(self, j):
        """How to name a column in a message."""
        return f"column {j}" if self.names is None else f"column {str(self.names[j])!r}"

    def label(self, j):
        """Name of a column, or its number where columns have no names."""
        return j if self.names is None else self.names[j]

    def values(self, j):
        """Values of a column, and which are missing: ndarrays of shape (n_rows,), the second None if none is."""
        if self._read[0] != j:
            values, missing = self._array_column(j) if self.container == NUMPY else self._frame_column(j)
            if not missing.any():
                missing = None
            elif values.dtype.kind == "O":
                values = np.where(missing, None, values)  # one mark for all: some of a kind cannot even be hashed
            self._read = j, (values, missing)
        return self._read[1]

    def numbers(self, j):
        """Cells of a column of numbers, exactly, and which are missing: ndarrays, the second None if none is.

        Cells are of one kind, as `as_numbers` has them; where one is missing, another of the column's stands. Where all
        are, the first is None. A TableError names what is no number.
        """
        if j not in self._numbers:
            cells, missing = self._array_numbers(j) if self.container == NUMPY else self._frame_numbers(j)
            present = np.flatnonzero(~missing)
            if len(present) == 0:
                self._numbers[j] = None, missing
                return self._numbers[j]
            try:
                numbers = as_numbers(cells[present])
            except NotANumber as error:
                row = int(present[error.place])
                value = cells[row]
                raise TableError(
                    f"{self.column(j)} holds {value} at row {row}, {error.why}",
                    column=self.label(j),
                    row=row,
                    value=value,
                ) from None
            if len(present) == len(cells):
                self._numbers[j] = numbers, None
            else:
                whole = np.full(len(cells), numbers[0])
                whole[present] = numbers
                self._numbers[j] = whole, missing
        return self._numbers[j]

    def may_be_numbers(self, j):
        """Whether the dtype of a column is one of numbers, times, durations or objects."""
        if self.container == NUMPY:
            return self.X.dtype.kind in "iufcMmO"
        import narwhals.stable.v2 as nw

        dtype = self._series[j].dtype
        return dtype.is_numeric() or dtype in (nw.Date, nw.Datetime, nw.Duration, nw.Object, nw.Unknown)

    def zone(self, j):
        """Time zone that the dtype of a column names, or None."""
        if self.container == NUMPY:
            return None
        return getattr(self._series[j].dtype, "time_zone", None)

    def _array_numbers(self, j):
        cells = self.X[:, j]
        if cells.dtype.kind == "f":
            return cells, np.isnan(cells)
        if cells.dtype.kind in "Mm":
            return cells, np.isnat(cells)
        if cells.dtype.kind == "O":
            return cells, np.fromiter(map(is_missing, cells), dtype=bool, count=len(cells))
        return cells, np.zeros(len(cells), dtype=bool)

    def _frame_numbers(self, j):
        import narwhals.stable.v2 as nw

        series = self._series[j]
        dtype = series.dtype
        try:
            missing = series.is_null().to_numpy().astype(bool)
            if missing.all():
                return np.full(len(missing), None, dtype=object), missing
            if dtype.is_integer() and not str(dtype).endswith("128"):
                return (series.fill_null(0) if missing.any() else series).to_numpy(), missing
            if dtype in (nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.List, nw.Struct, nw.Array, nw.Binary):
                told = f"{self.column(j)} has dtype {dtype}, which is not one of numbers"
                raise TableError(told, column=self.label(j))
            cells = np.array([*series.to_list(), None], dtype=object)[:-1] if dtype.is_integer() else series.to_numpy()
        except (TableError, ImportError, MemoryError):
            raise
        except Exception as error:  # each library has its own for a dtype that it cannot give away
            self._refuse_dtype(j, dtype, error)
        if cells.dtype.kind == "f":
            return cells, missing | np.isnan(cells)
        if cells.dtype.kind in "Mm":
            return cells, missing | np.isnat(cells)
        return cells, missing | np.fromiter(map(is_missing, cells), dtype=bool, count=len(cells))

    def declared(self, j):
        """The categories that the dtype of a column declares, or None."""
        if not self.dtypes[j].startswith(CATEGORICAL):
            return None
        series = self._series[j].to_native()
        if self.container == PANDAS:
            return np.asarray(series.cat.categories)
        if self.container == POLARS:
            return np.array(series.dtype.categories.to_list(), dtype=object)
        # of the dictionaries of all chunks; null and what stands there twice declare nothing
        entries = series.unify_dictionaries().chunk(0).dictionary.to_pylist() if series.num_chunks else []
        return np.array(list(dict.fromkeys(entry for entry in entries if entry is not None)), dtype=object)

    @cached_property
    def as_bytes(self):
        """The table as bytes, if it is an array of whole numbers from 0 to 255, else None."""
        X = self.X
        if self.container != NUMPY or X.dtype.kind not in "iubf":
            return None
        if X.dtype != np.uint8 and not (X.min() >= 0 and X.max() <= 255):
            return None
        values = np.ascontiguousarray(X, dtype=np.uint8)
        return values if X.dtype.kind != "f" or (values == X).all() else None

    def distinct(self, j):
        """The values that occur in a column: a sorted ndarray, or a set where they are objects."""
        if j not in self._distinct:
            values, missing = self.values(j)
            present = values if missing is None else values[~missing]
            self._distinct[j] = set(present.tolist()) if present.dtype.kind == "O" else np.unique(present)
        return self._distinct[j]

    def shown(self, j):
        """Values of a column to print: ndarray of shape (n_rows,), object."""
        values, missing = self.values(j)
        shown = np.array(list(map(str, values.tolist())), dtype=object)
        if missing is not None:
            shown[missing] = "(missing)"
        return shown

    def check(self, j):
        """Raise ValueError unless a column's values may be categories: numbers are whole and not negative."""
        values, missing = self.values(j)
        present = values if missing is None else values[~missing]
        if present.dtype.kind in "iuf":
            bad = present < 0
            if present.dtype.kind == "f" and not bad.any():
                bad = (present != np.floor(present)) | np.isinf(present)
        elif present.dtype.kind == "O":
            try:
                refused = any(map(_is_no_category, self.distinct(j)))
            except TypeError as error:
                raise TableError(
                    f"{self.column(j)} holds values that cannot be categories ({error})", column=self.label(j)
                ) from None
            bad = np.array([_is_no_category(value) for value in present]) if refused else np.zeros(1, dtype=bool)
        else:
            return
        if bad.any():
            rows = np.arange(len(values)) if missing is None else np.flatnonzero(~missing)
            row = int(rows[np.flatnonzero(bad)[0]])
            self._refuse(j, row, values[row])

    def remedy(self, j):
        """One line that makes categories of a quantity."""
        name = repr(self.names[j]) if self.names else ""
        if self.container == PANDAS:
            return f"X[{name}] = pandas.qcut(X[{name}], 10, duplicates='drop').astype(str)"
        values = f"X[:, {j}]" if self.container == NUMPY else f"X[{name}].to_numpy()"
        bins = f"numpy.digitize({values}, numpy.nanquantile({values}, numpy.linspace(0.1, 0.9, 9)))"
        if self.values(j)[1] is not None:  # else what is missing would be the highest bin
            bins = f"numpy.where(numpy.isnan({values}), numpy.nan, {bins})"
        if self.container == POLARS:
            return f"X = X.with_columns(polars.Series({name}, {bins}))"
        if self.container == PYARROW:
            return f"X = X.set_column({j}, {name}, [{bins}])"
        return f"{values} = {bins}"

    def _array_column(self, j):
        values = self.X[:, j]
        if values.dtype.kind == "f":
            return values, np.isnan(values)
        if values.dtype.kind == "O":
            return values, np.fromiter(map(is_missing, values), dtype=bool, count=len(values))
        if values.dtype.kind == "M":
            return self._dates(j, values)
        if values.dtype.kind not in "iubUS":
            self._refuse_dtype(j, values.dtype)
        return values, np.zeros(1, dtype=bool)

    def _dates(self, j, values):
        """Dates and times as objects, so that they are the same category whatever they were stored as."""
        missing = np.isnat(values)
        if np.datetime_data(values.dtype)[0] in ("ns", "ps", "fs", "as"):
            rounded = values.astype("M8[us]")
            finer = ~missing & (rounded != values)
            if finer.any():
                row = int(np.flatnonzero(finer)[0])
                raise TableError(
                    f"{self.column(j)} holds {values[row]} at row {row}, a time finer than microseconds; round it",
                    column=self.label(j),
                    row=row,
                    value=values[row],
                )
            values = rounded
        return values.astype(object), missing

    def _frame_column(self, j):
        series = self._series[j]
        try:
            return self._read_series(j, series)
        except (TableError, ImportError, MemoryError):
            raise
        except Exception as error:  # each library has its own for a dtype that it cannot give away
            self._refuse_dtype(j, series.dtype, error)

    def _read_series(self, j, series):
        import narwhals.stable.v2 as nw

        missing = series.is_null().to_numpy().astype(bool)
        if missing.all():  # whatever its dtype, which is that of nothing where all rows are missing
            return np.full(len(missing), None, dtype=object), missing
        if series.dtype.is_float():
            values = series.to_numpy()
            return values, missing | np.isnan(values)
        if series.dtype.is_integer() and str(series.dtype).endswith("128"):  # wider than NumPy's
            return np.array(series.to_list(), dtype=object), missing
        if series.dtype == nw.Date or (series.dtype == nw.Datetime and series.dtype.time_zone is None):
            return self._dates(j, series.to_numpy())
        if series.dtype.is_integer() or series.dtype == nw.Boolean:
            if missing.any():  # else integers come as floats and booleans as objects
                series = series.fill_null(0 if series.dtype.is_integer() else False)
            return series.to_numpy(), missing
        if series.dtype == nw.Object and self.container == POLARS:  # to which NaN among objects is no null
            values = series.to_numpy()
            return values, missing | np.fromiter(map(is_missing, values), dtype=bool, count=len(values))
        if series.dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object):
            return series.to_numpy(), missing
        self._refuse_dtype(j, series.dtype)

    def _refuse_dtype(self, j, dtype, error=None):
        why = "" if error is None else f", which cannot be read ({error})"
        message = f"{self.column(j)} has dtype {dtype}{why}; convert it to strings or integer codes"
        raise TableError(message, column=self.label(j)) from error

    def _no_number(self, j):
        """The error of the first cell of a column that is no number at all; None if there is none."""
        try:
            self.numbers(j)
        except TableError as error:
            is_number = isinstance(error.value, numbers.Number) and not isinstance(error.value, (bool, np.bool_))
            return None if error.row is None or is_number else error
        return None

    def _refuse(self, j, row, value):
        """Raise for a value that is no category."""
        where = {"column": self.label(j), "row": row, "value": value}
        other = self._no_number(j)
        if other is not None:
            raise TableError(
                f"{self.column(j)} holds {value} at row {row}, which is no category, and {other.value!r} at row "
                f"{other.row}, which is no number: convert the column to strings, or make the latter missing",
                **where,
            )
        if value < 0:
            raise TableError(
                f"{self.column(j)} holds {value} at row {row}: categories that are numbers must not be negative "
                "(Negative values in data); if it marks missing values, make it None or NaN, else convert to strings, "
                f"or bin a quantity: {self.remedy(j)}, or {AS_NUMBER}",
                **where,
            )
        raise TableError(
            f"{self.column(j)} holds {value} at row {row}, which is no category (inf or a fraction); "
            f"bin a quantity: {self.remedy(j)}, or {AS_NUMBER}",
            **where,
        )


def make_table(container, names, dtypes, columns, index=None):
    """A table of a container.

    Parameters
    ----------
    container : str
    names : tuple or None
    dtypes : tuple of str
        As `Table` tells them.
    columns : iterable of (values, places)
        Known values of a column, and for each row the place among them; -1 where it is missing.
    index : Index, default=None
        Of the rows of a pandas DataFrame.
    """
    if container == NUMPY:
        return _make_array(dtypes[0], list(columns))
    named = [(n, dtype, *column) for n, dtype, column in zip(names, dtypes, columns, strict=True)]
    if container == PANDAS:
        return _make_pandas(named, index)
    return (_make_polars if container == POLARS else _make_pyarrow)(named)


def gathered(tables, order):
    """Rows of several tables of one container, in an order.

    Parameters
    ----------
    tables : list of array or dataframe
    order : ndarray of int
        Of each row of the result its number in the tables, those of all counted on.
    """
    if not is_frame(tables[0]):
        return np.concatenate(tables)[order]
    import narwhals.stable.v2 as nw

    frames = [nw.from_native(table, eager_only=True) for table in tables]
    return nw.maybe_reset_index(nw.concat(frames)[order.tolist()]).to_native()


def narrowed(table, dtype):
    """An array of objects as one of ``dtype``, if that holds all of them as they are; else as it is."""
    try:
        narrow = table.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return table
    finest = narrow.dtype.kind == "M" and np.datetime_data(narrow.dtype)[0] == "ns"  # of which no object is as fine
    return narrow if ((narrow.astype("M8[us]") if finest else narrow) == table).all() else table


def dtype_for(values, container):
    """Name of a dtype that holds values, in a container of dataframes."""
    kind = {"b": 0, "i": 1, "u": 1, "f": 2}.get(values.dtype.kind, 3)
    known = {
        PANDAS: ("bool", "int64", "float64", "object"),
        POLARS: ("Boolean", "Int64", "Float64", "String"),
        PYARROW: ("bool", "int64", "double", "string"),
    }
    return known[container][kind]


def as_array(values):
    """Array of a sequence; numpy would turn everything to strings where some of it is."""
    array = np.array(values)
    if array.dtype.kind not in "US":
        return array
    as_they_are = np.array(values, dtype=object)
    return array if all(isinstance(v, (str, bytes)) for v in as_they_are.flat) else as_they_are


def is_missing(value):
    """Whether an object marks a missing value."""
    if isinstance(value, str):  # as most are
        return False
    if isinstance(value, Decimal):
        return value.is_nan()  # a signalling one cannot even be compared
    unknown = value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant")
    return unknown or (_is_number(value) and value != value) or (isinstance(value, np.datetime64) and np.isnat(value))


def _unmasked(X):
    """An array with missing values where a mask hides some."""
    if not np.ma.is_masked(X):
        return X.data
    if X.dtype.kind == "f":
        return X.filled(np.nan)
    cells = X.data.astype(object)
    cells[np.ma.getmaskarray(X)] = None
    return cells


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _is_no_category(value):
    return _is_number(value) and (value < 0 or value % 1 != 0)


def _names(X):
    """Column names; narwhals refuses tables that have one twice."""
    import narwhals.stable.v2 as nw

    return tuple(X.column_names if nw.dependencies.is_pyarrow_table(X) else X.columns)


def _dtype_name(series, container):
    """Name of the dtype of a native series."""
    if container == PANDAS:
        dtype = series.dtype
        if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):
            return CATEGORICAL[bool(dtype.ordered)]
        return dtype.str if isinstance(dtype, np.dtype) and dtype.kind != "O" else str(dtype)
    if container == POLARS:
        name = series.dtype.base_type().__name__
        if name in ("Datetime", "Duration"):
            zone = getattr(series.dtype, "time_zone", None)
            return f"{name} {series.dtype.time_unit}{f' {zone}' if zone else ''}"
        if name == "Decimal":
            return f"{name} {series.dtype.precision} {series.dtype.scale}"
        return CATEGORICAL[True] if name == "Enum" else name
    if hasattr(series.type, "value_type") and hasattr(series.type, "index_type"):
        kind = CATEGORICAL[bool(series.type.ordered)]
        return f"{kind} {series.type.index_type} {series.type.value_type}"
    return str(series.type)


def _make_array(dtype, columns):
    dtype = np.dtype(dtype)
    if dtype.kind not in "OfMm" and any((places < 0).any() for _, places in columns):
        dtype = np.dtype(object)
    table = np.empty((len(columns[0][1]), len(columns)), dtype=dtype)
    for j, (known, places) in enumerate(columns):
        table[:, j] = (_as_objects(known) if dtype.kind == "O" else known)[places]
        if (places < 0).any():
            table[places < 0, j] = None
    return table


def _make_pandas(columns, index):
    import pandas as pd

    made = {}
    for name, dtype, known, places in columns:
        if dtype in CATEGORICAL:
            made[name] = pd.Categorical.from_codes(places, known, ordered=dtype == CATEGORICAL[True])
        elif dtype.endswith("[pyarrow]") and (known.dtype.kind in "Mm" or dtype.startswith("decimal")):
            arrow = _arrow_array(known, places, dtype.removesuffix("[pyarrow]"))
            made[name] = pd.Series(arrow, dtype=pd.ArrowDtype(arrow.type))
        elif known.dtype.kind in "Mm" and dtype != "object":
            values = pd.Series(_with_nat(known, places))
            made[name] = values.dt.tz_localize("UTC").astype(dtype) if ", " in dtype else values.astype(dtype)
        else:
            values = pd.Series((_as_objects(known) if known.dtype.kind in "Mm" else known)[places])
            if (places < 0).any():
                values = (values if dtype == known.dtype.str else values.astype(object)).mask(places < 0)
            made[name] = values.astype(dtype)
    made = pd.DataFrame(made)
    return made if index is None else made.set_axis(index)


def _make_polars(columns):
    import polars as pl

    def native(dtype, known):
        if dtype in CATEGORICAL:
            return pl.Enum(known)
        name, *rest = dtype.split()
        if name == "Decimal":
            precision, scale = rest
            return pl.Decimal(int(precision) if precision.isdecimal() else None, int(scale))
        return getattr(pl, name)(*rest)

    def series(name, dtype, known, places):
        if known.dtype.name == dtype.lower() and (places >= 0).all():
            return pl.Series(name, known[places])
        if known.dtype.kind not in "Mm" or dtype == "Object":
            return pl.Series(name, _with_nulls(known, places), native(dtype, known))
        values = pl.Series(name, _with_nat(known, places))
        if len(dtype.split()) == 3:  # a time with a zone
            values = values.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.split()[2])
        return values.cast(native(dtype, known))

    return pl.DataFrame([series(*column) for column in columns])


def _make_pyarrow(columns):
    import pyarrow as pa

    made = {}
    for name, dtype, known, places in columns:
        if dtype.startswith(CATEGORICAL):
            kind, index, value = dtype.split()
            made[name] = pa.DictionaryArray.from_arrays(
                pa.array(places, pa.type_for_alias(index), mask=places < 0),
                pa.array(known.tolist(), pa.type_for_alias(value)),
                ordered=kind == CATEGORICAL[True],
            )
        else:
            made[name] = _arrow_array(known, places, dtype)
    return pa.table(made)


def _arrow_array(known, places, dtype):
    import pyarrow as pa

    kind = _arrow_type(dtype)
    if known.dtype.kind in "Mm" or (known.dtype.kind in "iuf" and pa.from_numpy_dtype(known.dtype) == kind):
        return pa.array(known[places], mask=places < 0).cast(kind)
    cells = _with_nulls(known, places)
    if dtype == "halffloat":  # which older versions make of NumPy's scalars alone
        cells = [None if cell is None else np.float16(cell) for cell in cells]
    return pa.array(cells, kind)


def _arrow_type(name):
    """The Arrow type of a name that it prints as."""
    import pyarrow as pa

    if zoned := re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", name):
        return pa.timestamp(*zoned.groups())
    if decimal := re.fullmatch(r"decimal(\d+)\((\d+), (-?\d+)\)", name):
        width, *digits = map(int, decimal.groups())
        return getattr(pa, f"decimal{width}")(*digits)
    return pa.type_for_alias(name)


def _with_nulls(known, places):
    values = _as_objects(known)[places]
    values[places < 0] = None
    return values.tolist()


def _with_nat(known, places):
    values = known[places]
    values[places < 0] = "NaT"
    return values


def _as_objects(known):
    """An array as objects of Python, of which no time is finer than microseconds."""
    if known.dtype.kind in "Mm" and np.datetime_data(known.dtype)[0] in ("ns", "ps", "fs", "as"):
        known = known.astype(f"{known.dtype.kind}8[us]")
    return known.astype(object)
