"""The domain of a table: its columns, their categories, and the way from values to codes and back."""

import numbers
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ._ext import encoding

MAX_CATEGORIES = 256  # codes are bytes
CATEGORICAL = ("category", "ordered")  # names of pandas' categorical dtypes: unordered, ordered


def read_table(estimator, X, *, reset):
    """Check a table as scikit-learn does (shape, number and names of columns) and note its columns if ``reset``.

    Returns the table: a pandas DataFrame as it is, anything else as a two-dimensional array.
    """
    if not _is_frame(X):
        X = _array(X) if isinstance(X, (list, tuple)) else X
        X = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        return X.astype(object) if X.dtype.kind == "T" else X
    names = set()
    for name in X.columns:
        if str(name) in names:
            raise ValueError(f"column names must be unique; {str(name)!r} occurs more than once")
        names.add(str(name))
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"Found a table with {X.shape[0]} row(s) and {X.shape[1]} column(s); at least one of each is needed"
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


@dataclass(frozen=True, eq=False)
class Domain:
    """Columns and categories that a model was fitted to.

    Attributes
    ----------
    categories : tuple of ndarray
        Per column; the place of a category is its code.
    names : tuple or None
        Column names, where the table had them.
    dtypes : tuple of str
        Per column, the name of the dtype that decoded values have; "category" and "ordered" for pandas categoricals.
        An array has the same in every column.
    """

    categories: tuple
    names: tuple | None
    dtypes: tuple

    @cached_property
    def n_categories(self):
        """Number of categories per column: ndarray of shape (n_columns,), int32."""
        return np.array([len(c) for c in self.categories], dtype=np.int32)

    @cached_property
    def first_category(self):
        """Where each column starts when all categories stand in a row: ndarray of shape (n_columns + 1,), int32."""
        return np.concatenate(([0], np.cumsum(self.n_categories))).astype(np.int32)

    @cached_property
    def column_names(self):
        """Names to print."""
        if self.names is None:
            return tuple(f"x{j}" for j in range(len(self.categories)))
        return tuple(map(str, self.names))

    @cached_property
    def labels(self):
        """Categories to print: tuple of tuples of str."""
        return tuple(tuple(map(str, c.tolist())) for c in self.categories)

    @cached_property
    def of_codes(self):
        """The domain of codes: where a flow has permuted a column, its categories no longer go by their names."""
        categories = tuple(np.arange(k, dtype=np.uint8) for k in self.n_categories)
        return Domain(categories, self.names, ("|u1",) * len(categories))

    @classmethod
    def learn(cls, X, categories="auto"):
        """Domain of a table, by what it holds or by what ``categories`` or a categorical dtype declares."""
        table = _Table(X)
        dtypes = table.dtypes
        if isinstance(categories, str) and categories == "auto":
            found = table.categories()
        else:
            found = _declared(table, categories)
            dtypes = _dtypes_that_hold(found, table)
        for j, c in enumerate(found):
            if len(c) > MAX_CATEGORIES:
                raise ValueError(
                    f"{table.column(j)} has {len(c):,} categories; at most {MAX_CATEGORIES} are supported. "
                    "Group its rare values, or bin it if it is a quantity."
                )
        return cls(tuple(found), table.names, dtypes)

    def encode(self, X, n_threads=1):
        """Codes of a table: ndarray of shape (n_rows, n_columns), uint8, in C order."""
        table = _Table(X)
        if self._code_of_byte is not None and table.as_bytes is not None:
            codes, complete = encoding.encode(table.as_bytes, self._code_of_byte, n_threads)
            if complete:
                return codes
        codes = np.empty((table.n_rows, len(self.categories)), dtype=np.uint8)
        for j, known in enumerate(self.categories):
            values = table.values(j)
            found = _codes(values, known)
            if (found < 0).any():
                table.check(j)
                row = int(np.flatnonzero(found < 0)[0])
                raise ValueError(
                    f"{table.column(j)} holds {values[row : row + 1].tolist()[0]!r} at row {row}, which is not one of "
                    f"the {len(known)} categories of the fitted domain: {_listing(known)}. "
                    "Declare all values that can occur with categories=, or a categorical dtype."
                )
            codes[:, j] = found
        return codes

    def decode(self, codes):
        """The table that has these codes, in the container that the domain was learned from."""
        if self.names is not None:
            return _frame(codes, self)
        dtype = np.dtype(self.dtypes[0])
        if dtype.kind in "iubf" and all(np.array_equal(c, np.arange(len(c))) for c in self.categories):
            return codes.astype(dtype)
        table = np.empty(codes.shape, dtype=dtype)
        for j, known in enumerate(self.categories):
            table[:, j] = known[codes[:, j]]
        return table

    def difference(self, other):
        """What tells two domains apart, in words; None if they have the same columns with the same categories."""
        if len(self.categories) != len(other.categories):
            return f"{len(self.categories)} columns and {len(other.categories)}"
        if self.column_names != other.column_names:
            return f"columns {self.column_names} and {other.column_names}"
        for name, a, b in zip(self.column_names, self.categories, other.categories, strict=True):
            if a.tolist() != b.tolist():
                return f"column {name!r} has the categories {_listing(a)} and {_listing(b)}"
        return None

    def check_codes(self, Z):
        """Codes given by a user: ndarray of shape (n_rows, n_columns), uint8; ValueError outside the domain."""
        Z = check_array(Z, dtype=None, ensure_min_samples=0)
        if Z.shape[1] != len(self.categories):
            raise ValueError(f"Z has {Z.shape[1]} columns of codes, but the domain has {len(self.categories)}")
        if Z.dtype.kind not in "iub" and not (Z.dtype.kind == "f" and (np.floor(Z) == Z).all()):
            raise ValueError(f"codes must be integers, got dtype {Z.dtype}")
        bad = (Z < 0) | (self.n_categories <= Z)
        if bad.any():
            row, j = np.argwhere(bad)[0]
            raise ValueError(
                f"column {self.column_names[j]!r} of Z holds {Z[row, j]} at row {row}; "
                f"its codes run from 0 to {self.n_categories[j] - 1}"
            )
        return np.ascontiguousarray(Z, dtype=np.uint8)

    @cached_property
    def _code_of_byte(self):
        """Code of each integer value 0..255 per column, -1 for none; None where a category is another value."""
        code_of = np.full((len(self.categories), 256), -1, dtype=np.int16)
        for j, c in enumerate(self.categories):
            if c.dtype.kind not in "iubf" or not np.isin(c, np.arange(256)).all():
                return None
            code_of[j, c.astype(np.int64)] = np.arange(len(c))
        return code_of


class _Table:
    """One way to read arrays and pandas dataframes, column by column."""

    def __init__(self, X):
        self.X = X
        self.n_rows = X.shape[0]
        if _is_frame(X):
            self.names = tuple(X.columns)
            self.dtypes = tuple(map(_dtype_name, X.dtypes))
        else:
            self.names = None
            self.dtypes = (_dtype_name(X.dtype),) * X.shape[1]

    def column(self, j):
        """How to name a column in a message."""
        return f"column {j}" if self.names is None else f"column {str(self.names[j])!r}"

    def values(self, j):
        """Values of a column, none missing from a dataframe."""
        if self.names is None:
            return self.X[:, j]
        series = self.X.iloc[:, j]
        missing = series.isna().to_numpy()
        if missing.any():
            self._refuse(j, int(np.flatnonzero(missing)[0]), None)
        return series.to_numpy()

    @cached_property
    def as_bytes(self):
        """The table as bytes, if it is an array of whole numbers from 0 to 255, else None."""
        X = self.X
        if self.names is not None or X.dtype.kind not in "iubf":
            return None
        if X.dtype != np.uint8 and not (X.min() >= 0 and X.max() <= 255):
            return None
        values = np.ascontiguousarray(X, dtype=np.uint8)
        return values if X.dtype.kind != "f" or (values == X).all() else None

    def check(self, j):
        """Raise ValueError unless a column's values may be categories: numbers are whole and not negative."""
        values = self.values(j)
        if values.dtype.kind in "iubf":
            bad = values < 0 if values.dtype.kind != "f" else ~((values >= 0) & (values == np.floor(values)))
            bad |= np.isinf(values)
        elif values.dtype.kind == "O":
            try:
                refused = {value for value in set(values.tolist()) if _is_no_category(value)}
            except TypeError as error:
                raise ValueError(f"{self.column(j)} holds values that cannot be categories ({error})") from None
            bad = np.array([_is_no_category(value) for value in values]) if refused else np.zeros(1, dtype=bool)
        elif values.dtype.kind in "US":
            return
        else:
            raise ValueError(f"{self.column(j)} has dtype {values.dtype}; convert it to strings or integer codes")
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            self._refuse(j, row, values[row])

    def categories(self):
        """Categories of every column: what a categorical dtype declares, else what occurs, sorted."""
        if self.as_bytes is not None:
            return [np.flatnonzero(seen).astype(self.X.dtype) for seen in encoding.presence(self.as_bytes)]
        found = []
        for j, dtype in enumerate(self.dtypes):
            if dtype in CATEGORICAL:
                found.append(self.X.iloc[:, j].cat.categories.to_numpy())
                continue
            self.check(j)
            try:
                found.append(_distinct(self.values(j)))
            except TypeError as error:
                raise ValueError(f"{self.column(j)} mixes values that have no order ({error})") from None
        return found

    def _refuse(self, j, row, value):
        """Raise for a value that is no category."""
        if _is_missing(value):
            raise ValueError(
                f"{self.column(j)} has a missing value (NaN or None) at row {row}; encode missing values as a category "
                "of their own, for example with fillna('missing')"
            )
        if value < 0 and value % 1 == 0:
            raise ValueError(
                f"{self.column(j)} holds {value} at row {row}: integer categories must not be negative "
                "(Negative values in data); if it marks missing values, give them a category of their own, else convert"
                " to strings"
            )
        raise ValueError(
            f"{self.column(j)} holds {value} at row {row}, which is no category (inf or a fraction); "
            "bin a quantity, for example with numpy.digitize or pandas.cut, or convert the column to strings"
        )


def _is_frame(X):
    return hasattr(X, "iloc") and hasattr(X, "columns")


def _dtype_name(dtype):
    if hasattr(dtype, "categories"):
        return CATEGORICAL[bool(dtype.ordered)]
    return dtype.str if isinstance(dtype, np.dtype) and dtype.kind != "O" else str(dtype)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _is_missing(value):
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (_is_number(value) and value != value)


def _is_no_category(value):
    return _is_missing(value) or (_is_number(value) and (value < 0 or value % 1 != 0))


def _array(values):
    """Array of a sequence; numpy would turn everything to strings where some of it is."""
    array = np.array(values)
    if array.dtype.kind not in "US":
        return array
    as_they_are = np.array(values, dtype=object)
    return array if all(isinstance(v, (str, bytes)) for v in as_they_are.flat) else as_they_are


def _distinct(values):
    """Sorted distinct values; where types are mixed, numbers first and each other type by itself."""
    if values.dtype.kind != "O":
        return np.unique(values)
    distinct = sorted(set(values.tolist()), key=lambda v: ("" if isinstance(v, numbers.Real) else type(v).__name__, v))
    found = np.empty(len(distinct), dtype=object)
    found[:] = distinct
    return found


def _codes(values, known):
    """Code of every value among the known categories, -1 for none: ndarray of int16."""
    if values.dtype.kind in "iubf" and known.dtype.kind in "iubf":
        common = np.result_type(values, known)
        if common.kind in "iub" or values.dtype.kind == known.dtype.kind == "f":  # else comparing would round
            order = np.argsort(known, kind="stable")
            found = order[np.minimum(np.searchsorted(known[order], values), len(known) - 1)]
            return np.where(known[found] == values, found, -1).astype(np.int16)
    code_of = {value: code for code, value in enumerate(known.tolist())}
    try:
        return np.fromiter((code_of.get(v, -1) for v in values.tolist()), dtype=np.int16, count=len(values))
    except TypeError:  # a value that cannot be hashed is no category
        return np.full(len(values), -1, dtype=np.int16)


def _declared(table, categories):
    """Categories given by the user, one sequence a column, checked."""
    n_columns = len(table.dtypes)
    if isinstance(categories, (str, dict)) or not hasattr(categories, "__len__") or len(categories) != n_columns:
        raise ValueError(f"categories must be 'auto' or a list with one sequence for each of the {n_columns} columns")
    found = []
    for j, given in enumerate(categories):
        told = f"categories of {table.column(j)} must be a sequence of distinct values"
        if isinstance(given, (str, dict)) or not hasattr(given, "__iter__"):
            raise ValueError(f"{told}, got {given!r}")
        c = given if isinstance(given, np.ndarray) else _array(list(given))
        if c.ndim != 1 or len(c) == 0 or len(set(c.tolist())) != len(c):
            raise ValueError(told)
        found.append(c)
    return found


def _dtypes_that_hold(categories, table):
    """Dtypes of decoded columns: the table's own where they can hold what was declared."""

    def wide_enough(dtype, found):
        text = all(c.dtype.kind in "US" for c in found)
        if dtype[0] not in "<>|":  # a name: pandas' own dtypes and object
            return dtype if dtype in CATEGORICAL or text == dtype.startswith("str") else "object"
        numeric = all(c.dtype.kind in "iubf" for c in found)
        same = text if dtype[1] in "US" else numeric
        return np.result_type(dtype, *found).str if same else "object"

    if table.names is None:
        return (wide_enough(table.dtypes[0], categories),) * len(table.dtypes)
    return tuple(wide_enough(dtype, [c]) for dtype, c in zip(table.dtypes, categories, strict=True))


def _frame(codes, domain):
    """A pandas DataFrame with the dtypes that fit saw."""
    import pandas as pd

    made = {}
    for j, (name, dtype) in enumerate(zip(domain.names, domain.dtypes, strict=True)):
        known = domain.categories[j]
        if dtype in CATEGORICAL:
            made[name] = pd.Categorical.from_codes(codes[:, j], known, ordered=dtype == CATEGORICAL[True])
        else:
            made[name] = pd.Series(known[codes[:, j]]).astype(dtype)
    return pd.DataFrame(made)


def _listing(values, most=6):
    return ", ".join(repr(v) for v in values[:most].tolist()) + (", …" if len(values) > most else "")
