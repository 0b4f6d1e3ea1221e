"""The domain of a table: its columns, their categories, and the way from values to codes and back."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import repeat
from numbers import Real

import numpy as np
from sklearn.utils.validation import check_array

from .._ext import encoding
from ..machine.errors import MOST_NAMED, ParameterError, TableError
from ..machine.spelling import nearest
from .columns import MAX_CATEGORIES, Column
from .containers import CATEGORICAL, NUMPY, PANDAS, Table, as_array, is_missing, make_table, narrowed
from .numbers import NotANumber, as_numbers
from .quantities import NEAR, NotExact, Quantity

IGNORE, IMPOSSIBLE = "ignore", "impossible"  # what becomes of unseen values, beside an error
UNSEEN = ("error", IGNORE, IMPOSSIBLE)
ALLOWING = [("missing", "category"), ("missing", "marginalize")]  # what lets values be missing


@dataclass(frozen=True, eq=False)
class Rows:
    """What a table says in terms of a domain.

    Attributes
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
        In C order; 0 where a cell is not observed. Of a domain with quantities float64: beside codes the numbers of
        quantities, NaN where missing or not observed.
    observed : ndarray of shape (n_rows, n_columns), bool, or None
        Which cells are observed; None if all are.
    log_share : ndarray of shape (n_rows,), float64, or float
        Log-probability of the values given their codes, nats: what rare values add.
    """

    codes: np.ndarray
    observed: np.ndarray | None = None
    log_share: np.ndarray | float = 0.0

    def chosen(self, rows):
        """Some of the rows, by their numbers."""
        return Rows(
            self.codes[rows],
            None if self.observed is None else self.observed[rows],
            self.log_share[rows] if isinstance(self.log_share, np.ndarray) else self.log_share,
        )


@dataclass(frozen=True, eq=False)
class Domain:
    """Columns, and their categories or what their numbers are, that a model was fitted to.

    Attributes
    ----------
    columns : tuple of Column or Quantity
    names : tuple or None
        Column names, where the table had them.
    dtypes : tuple of str
        Per column, the name of the dtype that decoded values have.
    container : str
        "numpy", "pandas", "polars" or "pyarrow".
    n_context : int
        How many of the last columns a model is given, and does not tell: they come first in its order.
    """

    columns: tuple
    names: tuple | None
    dtypes: tuple
    container: str
    n_context: int = 0

    @cached_property
    def numeric(self):
        """Which columns are quantities: ndarray of shape (n_columns,), bool."""
        return np.array([isinstance(c, Quantity) for c in self.columns])

    @cached_property
    def step(self):
        """Step of the lattice of each quantity, 0.0 where there is none: ndarray of shape (n_columns,), float64."""
        return np.array([c.step if isinstance(c, Quantity) else 0.0 for c in self.columns])

    @cached_property
    def bounds(self):
        """The least and the greatest number that each quantity may have: ndarray of shape (2, n_columns), float64."""
        return np.array([c.bounds if isinstance(c, Quantity) else (-np.inf, np.inf) for c in self.columns]).T

    @cached_property
    def may_lack(self):
        """Which quantities may be missing, as a value of their own: ndarray of shape (n_columns,), bool."""
        return np.array([isinstance(c, Quantity) and c.missing for c in self.columns])

    def refuse_beyond(self, codes):
        """Raise TableError for a number beyond the bounds of its quantity."""
        if not self.numeric.any():
            return
        beyond = np.abs(codes - self.bounded(codes)) > NEAR * self.step
        if beyond.any():
            row, j = np.argwhere(beyond)[0].tolist()
            cell = self.columns[j].cells(codes[row, [j]])[0][0]
            side = "below" if np.isfinite(self.columns[j].bounds[0]) else "above"
            told = f"column {self.column_names[j]!r} holds {cell} at row {row}, and fit saw nothing {side} 0 in it"
            raise TableError(told, column=self._label(j), row=row, value=cell)

    def bounded(self, codes):
        """The same codes, and for each number beyond the bounds of its quantity the bound, which is possible."""
        return np.clip(codes, *self.bounds) if self.numeric.any() else codes

    @cached_property
    def n_categories(self):
        """Number of codes per column, 0 of a quantity: ndarray of shape (n_columns,), int32."""
        return np.array([c.n_codes for c in self.columns], dtype=np.int32)

    @cached_property
    def n_ordered(self):
        """Number of first codes per column that are in a meaningful order: ndarray of shape (n_columns,), int32."""
        return np.array([c.n_ordered for c in self.columns], dtype=np.int32)

    @cached_property
    def first_category(self):
        """Where each column starts when all codes stand in a row: ndarray of shape (n_columns + 1,), int32."""
        return np.concatenate(([0], np.cumsum(self.n_categories))).astype(np.int32)

    @cached_property
    def column_names(self):
        """Names to print."""
        return _column_names(self.names, len(self.columns))

    @cached_property
    def labels(self):
        """Codes to print: tuple of tuples of str."""
        return tuple(c.labels for c in self.columns)

    @cached_property
    def of_codes(self):
        """The domain of codes: where a flow has permuted a column, its categories no longer go by their names."""
        columns = tuple(Column(np.arange(k, dtype=np.uint8)) for k in self.n_categories)
        return Domain(columns, self.names, ("|u1",) * len(columns), NUMPY)

    def without(self, j):
        """The domain of the other columns."""
        rest = [i for i in range(len(self.columns)) if i != j]
        return replace(
            self,
            columns=tuple(self.columns[i] for i in rest),
            names=None if self.names is None else tuple(self.names[i] for i in rest),
            dtypes=tuple(self.dtypes[i] for i in rest),
        )

    @classmethod
    def learn(
        cls,
        table,
        weight,
        *,
        categories,
        missing,
        handle_unknown,
        min_frequency,
        max_categories,
        numeric=(),
        ordered=(),
    ):
        """Domain of a table, by what it holds or by what ``categories`` or a dtype declares.

        Columns ``numeric``, by their numbers, are quantities, and ``categories`` has None for them; the categories of
        columns ``ordered`` are in their order, whatever their dtype.
        """
        auto = isinstance(categories, str) and categories == "auto"
        declared = None if auto else _declared(table, categories, numeric)
        columns: list = []
        for j, values in enumerate(_found(table, numeric) if declared is None else declared):
            if j in numeric:
                columns.append(_quantity(table, j, missing))
                continue
            if missing == "error":
                _refuse_missing(table, j, "and none is allowed", ALLOWING)
            holes = table.as_bytes is None and table.values(j)[1] is not None
            if declared is not None and values.dtype.kind in "Of":
                named = np.array([not is_missing(v) for v in values])
                holes, values = holes or not named.all(), values[named]
            if len(values) == 0:
                raise TableError(
                    f"{table.column(j)} has no value that is not missing: leave it out", column=table.label(j)
                )
            n_ordered = len(values) if j in ordered or _in_order(table, j, values) else 0
            column = Column(values, None, holes and missing == "category", handle_unknown == "reserve", n_ordered)
            if min_frequency is not None or max_categories is not None:
                counts = _counts(table, j, values, weight)
                column = column.grouped(counts, min_frequency, max_categories)
            if column.n_codes > MAX_CATEGORIES:
                told = f"{table.column(j)} has {column.n_codes:,} categories; at most {MAX_CATEGORIES} are supported"
                if values.dtype.kind in "iuf":
                    raise TableError(f"{told}: bin it if it is a quantity: {table.remedy(j)}", column=table.label(j))
                raise TableError(told, [("max_categories", MAX_CATEGORIES // 2)], column=table.label(j))
            columns.append(column)
        if declared is None:
            return cls(tuple(columns), table.names, table.dtypes, table.container)
        domain = cls(tuple(columns), table.names, _dtypes_that_hold(declared, table), table.container)
        domain._check_declared(table)
        return domain

    def _check_declared(self, table):
        """Raise unless the container gives back each declared category as itself."""
        categorical = np.flatnonzero(~self.numeric).tolist()
        n_rows = max((len(self.columns[j].values) for j in categorical), default=0)
        for j in categorical:
            known = self.columns[j].values
            places = np.arange(n_rows) % len(known)
            if known.dtype.kind in "biuf" and known.dtype.str == self.dtypes[j]:
                continue
            dtypes, name = (self.dtypes[j],), None if self.names is None else (self.names[j],)
            try:
                made = Table(make_table(self.container, name, dtypes, [(known, places)]))
                back = _places(made.values(0)[0], known)
            except ImportError:
                raise
            except Exception as error:  # each library has its own
                told = str(error).splitlines()[0]
                raise ParameterError(
                    f"categories of {table.column(j)} do not fit its dtype ({told}); convert the column first",
                    parameter="categories",
                    value=known,
                ) from error
            if (back != places).any():
                row = int(np.flatnonzero(back != places)[0])
                raise ParameterError(
                    f"categories of {table.column(j)} must be distinct in its dtype, in which "
                    f"{known.tolist()[places[row]]!r} becomes {made.values(0)[0].tolist()[row]!r}",
                    parameter="categories",
                    value=known,
                )

    def encode(self, table, n_threads=1, *, missing="category", ignore=(), infer=False, unseen=None):
        """Codes of a table: Rows. Columns ``ignore`` are not read, and not observed.

        A missing cell is never an unseen value. Where its column has no code for it, it is not observed if ``infer``,
        as befits what is concluded from a row, and else refused, as befits the likelihood of a whole row. A value that
        fit did not see, in a column that has no code for these, is not observed either if ``unseen`` is "ignore", and
        if it is "impossible" the log-probability of its row is minus infinity; else it is refused. None says that the
        caller has no choice.
        """
        ignore = {*ignore, *table.absent}
        if not ignore and self._code_of_byte is not None and table.as_bytes is not None:
            codes, complete = encoding.encode(table.as_bytes, self._code_of_byte, n_threads)
            if complete:
                return Rows(codes)
        codes = np.empty((table.n_rows, len(self.columns)), dtype=np.float64 if self.numeric.any() else np.uint8)
        observed: np.ndarray | None = None
        log_share: np.ndarray | float = 0.0
        for j, column in enumerate(self.columns):
            if j in ignore:
                holes = np.ones(table.n_rows, dtype=bool)
            elif isinstance(column, Quantity):
                codes[:, j], holes = self._numbers(table, j, missing, infer)
            else:
                values, holes = table.values(j)
                places = _places(values, column.values)
                if holes is not None:
                    places[holes] = -1  # a null may stand as the value 0
                known = places >= 0
                codes[:, j] = places if column.grouping is None else column.grouping.code[places]
                if column.grouping is not None:
                    log_share = log_share + np.where(known, column.grouping.log_share[places], 0.0)
                if holes is not None and missing != "marginalize":
                    if missing == "error":
                        _refuse_missing(table, j, "and none is allowed", ALLOWING)
                    if column.missing:
                        codes[holes, j] = column.n_named
                        known |= holes
                        holes = None
                    elif not infer:
                        _refuse_missing(table, j, "and fit saw none in this column", [("missing", "marginalize")])
                bad = ~known if holes is None else ~known & ~holes
                if bad.any() and column.unseen:
                    codes[bad, j] = column.n_codes - 1
                elif bad.any() and unseen in (IGNORE, IMPOSSIBLE):
                    holes = bad if holes is None else holes | bad
                    log_share = np.where(bad & (unseen == IMPOSSIBLE), -np.inf, log_share)
                elif bad.any():
                    self._refuse(table, j, values, int(np.flatnonzero(bad)[0]), ignore, unseen)
            if holes is not None:
                observed = np.ones(codes.shape, dtype=bool) if observed is None else observed
                observed[:, j] = ~holes
                codes[holes, j] = np.nan if isinstance(column, Quantity) else 0
        return Rows(codes, observed, log_share)

    def _numbers(self, table, j, missing, infer):
        """Numbers of a column that is a quantity, NaN where missing; and where they are not observed, or None."""
        column = self.columns[j]
        cells, holes = table.numbers(j)
        if cells is None:
            numbers = np.full(table.n_rows, np.nan)
        else:
            if not column.takes(cells) or (table.zone(j) is not None) != column.zoned:
                row = 0 if holes is None else int(np.flatnonzero(~holes)[0])
                _refuse_cell(table, j, cells, row, f"but fit saw {column.kind} in this column")
            numbers = column.numbers(cells)
            if holes is not None:
                numbers[holes] = np.nan
        if holes is None or missing == "marginalize":
            return numbers, holes
        if missing == "error":
            _refuse_missing(table, j, "and none is allowed", ALLOWING, holes)
        if column.missing:
            return numbers, None
        if not infer:
            _refuse_missing(table, j, "and fit saw none in this column", [("missing", "marginalize")], holes)
        return numbers, holes

    def decode(self, codes, rng=None, places=None, index=None):
        """The table that has these codes, in the container that the domain was learned from.

        A code of rare values is the most common of them, or one drawn if there is ``rng``. ``places`` is a dict of the
        columns whose values are known beforehand, by their places; ``index`` that of the rows of a pandas DataFrame.
        """
        dtype = np.dtype(self.dtypes[0]) if self.container == NUMPY else None
        if dtype is not None and dtype.kind in "iubf" and all(map(_is_its_code, self.columns)):
            return codes.astype(dtype)
        cells = []
        for j, column in enumerate(self.columns):
            if isinstance(column, Quantity):
                known, gone = column.cells(codes[:, j])
                cells.append((known, np.where(gone, -1, np.arange(len(known)))))
                continue
            if column.unseen and (codes[:, j] == column.n_codes - 1).any():
                row = int(np.flatnonzero(codes[:, j] == column.n_codes - 1)[0])
                raise TableError(
                    f"row {row} has an unseen value in column {self.column_names[j]!r}, which has no name",
                    column=self._label(j),
                    row=row,
                )
            given = None if places is None else places.get(j)
            told = codes[:, j].astype(np.uint8, copy=False)
            cells.append((column.values, column.places(told, rng) if given is None else given))
        return make_table(self.container, self.names, self.dtypes, cells, index)

    @property
    def examples(self):
        """A table in which every value that has a name occurs, in the container that the domain was learned from."""
        named = [c.low if isinstance(c, Quantity) else 0 for c in self.columns]
        codes = np.tile(named, (MAX_CATEGORIES + 1, 1))
        for j, column in enumerate(self.columns):
            if isinstance(column, Quantity):
                codes[0, j], codes[1, j] = column.high, np.nan if column.missing else column.low
            else:
                codes[:, j] = np.arange(len(codes)) % (column.n_named + column.missing)
        return self.decode(codes if self.numeric.any() else codes.astype(np.uint8))

    def cells(self, table, j, *, missing):
        """Place of each cell of a column in what `Column.spread` makes; -1 where it is not observed.

        Of a quantity, the number of each cell; NaN where it is missing.
        """
        column = self.columns[j]
        if j in table.absent:
            return np.full(table.n_rows, np.nan if isinstance(column, Quantity) else -1)
        if isinstance(column, Quantity):
            return self._numbers(table, j, "marginalize", True)[0]
        values, holes = table.values(j)
        places = _places(values, column.values)
        places[places < 0] = len(column.values) + column.missing if column.unseen else -1
        if holes is not None:
            places[holes] = len(column.values) if column.missing and missing != "marginalize" else -1
        return places

    def shown(self, table, j):
        """Cells of a column to print: ndarray of shape (n_rows,), object."""
        if not isinstance(self.columns[j], Quantity):
            return table.shown(j)
        cells, holes = table.numbers(j)
        shown = np.full(table.n_rows, "(missing)", dtype=object)
        if cells is not None:
            there = slice(None) if holes is None else ~holes
            shown[there] = list(map(str, cells[there]))
        return shown

    def fill(self, table, codes, rng=None):
        """A table like ``table`` in the container of the domain, with the values of codes where it has none.

        A code of rare values is the most common of them, or one drawn if there is ``rng``.
        """
        cells = []
        for j, column in enumerate(self.columns):
            if isinstance(column, Quantity):
                cells.append(_filled(table, j, column, codes[:, j]))
                continue
            values, holes = table.values(j)
            known, places, offset = values, np.arange(len(values)), 0
            if self.dtypes[j].startswith(CATEGORICAL):  # which has no room for other values
                known, places = column.values, _places(values, column.values)
            elif holes is not None:
                known, offset = np.concatenate([values.astype(object), column.values.astype(object)]), len(values)
            if holes is not None:
                places = np.where(holes, offset + column.places(codes[:, j].astype(np.uint8, copy=False), rng), places)
            if (places < 0).any():
                self._refuse(table, j, values, int(np.flatnonzero(places < 0)[0]))
            cells.append((known, places))
        if self.container == NUMPY and self.numeric.any() and self.dtypes[0][1] in "Mm":
            return make_table(NUMPY, None, self.dtypes, cells)
        if self.container == NUMPY:
            return narrowed(make_table(NUMPY, None, ("object",) * len(cells), cells), self.dtypes[0])
        try:
            return make_table(self.container, self.names, self.dtypes, cells, table.index)
        except ImportError:
            raise
        except Exception as error:  # each library has its own
            raise TableError(f"dtypes that fit saw cannot hold what the table holds ({error})") from error

    def has_name(self, codes):
        """Whether each code has a name: ndarray of shape (n_rows, n_columns), bool; unseen values have none."""
        none = np.nan if self.numeric.any() else MAX_CATEGORIES  # which no code is
        named = self.numeric | np.array([not getattr(c, "unseen", False) for c in self.columns])
        return codes != np.where(named, none, self.n_categories - 1)

    def index(self, column):
        """Number of a column that a user named, by its name or its number."""
        return column_number(self.names, len(self.columns), column)

    def _label(self, j):
        return j if self.names is None else self.names[j]

    def between(self, j, value):
        """The numbers between which a user wants those of a quantity to lie, and why there are none, or None.

        ``value`` is a tuple of the least and the greatest, of which either may be None.
        """
        name, column = self.column_names[j], self.columns[j]
        if len(value) != 2:
            told = f"a range of column {name!r} is two values, the least and the greatest, not {value!r}"
            raise TableError(told, column=self._label(j), value=value)
        ends = [-np.inf, np.inf]
        for i, (end, each) in enumerate(zip(list(ends), value, strict=True)):
            if each is not None and not (isinstance(each, Real) and each == end):
                ends[i] = self.number(j, each, missing=False)
        low, high = ends
        least, greatest = max(low, column.bounds[0]), min(high, column.bounds[1])
        inside = column.stride == 0 or np.floor(greatest / column.step + NEAR) >= np.ceil(least / column.step - NEAR)
        why = None
        if least > greatest or not inside:
            steps = f", which is in steps of {column.step:.12g}" if column.stride else ""
            why = f"there is nothing between {value[0]!r} and {value[1]!r} in column {name!r}{steps}"
        return float(low), float(high), why

    def known_number(self, j, value):
        """Number of a value of a quantity that a user gave, which is on its lattice."""
        number, column = self.number(j, value), self.columns[j]
        if not np.isnan(number) and not (column.has(number) and column.bounds[0] <= number <= column.bounds[1]):
            told = f"column {self.column_names[j]!r} is {column.labels[0]}, and {value!r} is not among these"
            raise TableError(told, column=self._label(j), value=value)
        return number

    def place(self, j, value):
        """Place of a value of a column that a user gave among the known ones, -1 for missing."""
        column = self.columns[j]
        if is_missing(value) and column.missing:
            return -1
        if isinstance(value, tuple) and value not in column.values.tolist():
            told = f"a range is for numbers, and column {self.column_names[j]!r} holds categories: give one of them"
            raise TableError(told, column=self._label(j), value=value)
        place = int(_places(as_array([value]), column.values)[0])
        if place < 0:
            raise TableError(
                f"column {self.column_names[j]!r} has no value {value!r}; it has {choice(value, column.values)}",
                column=self._label(j),
                value=value,
            )
        return place

    def number(self, j, value, missing=True):
        """Number of a value of a quantity that a user gave, NaN for missing, if that may be."""
        column, told = self.columns[j], f"column {self.column_names[j]!r} takes {self.columns[j].kind}, not {value!r}"
        if is_missing(value):
            if missing and column.missing:
                return np.nan
            raise TableError(told, column=self._label(j), value=value)
        if column.is_time and isinstance(value, datetime):
            if (value.tzinfo is not None) != column.zoned:
                has = "no zone" if column.zoned else "a zone"
                raise TableError(f"{told}, which has {has}", column=self._label(j), value=value)
            value = value.astimezone(UTC).replace(tzinfo=None) if column.zoned else value
        one = np.empty(1, dtype=object)
        one[0] = value
        try:
            cells = as_numbers(one)
        except NotANumber as error:
            raise TableError(f"{told}, {error.why}", column=self._label(j), value=value) from None
        if not column.takes(cells):
            raise TableError(told, column=self._label(j), value=value)
        return float(column.numbers(cells)[0])

    def difference(self, other):
        """What tells two domains apart, in words; None if they have the same columns with the same categories."""
        if len(self.columns) != len(other.columns):
            return f"{len(self.columns)} columns and {len(other.columns)}"
        if self.column_names != other.column_names:
            return f"columns {self.column_names} and {other.column_names}"
        for name, a, b in zip(self.column_names, self.columns, other.columns, strict=True):
            if isinstance(a, Quantity) or isinstance(b, Quantity):
                if not (isinstance(a, Quantity) and isinstance(b, Quantity) and a.measures_as(b)):
                    return f"column {name!r} is {listing(a.labels)} and {listing(b.labels)}"
                continue
            if a.labels != b.labels or a.values.tolist() != b.values.tolist():
                return f"column {name!r} has the categories {listing(a.labels)} and {listing(b.labels)}"
            grouped = [(c.grouping.code.tolist(), c.grouping.log_share.tolist()) for c in (a, b) if c.grouping]
            if len(grouped) == 2 and grouped[0] != grouped[1]:
                return f"column {name!r} has other shares of its rare values"
        return None

    @cached_property
    def _code_of_byte(self):
        """Code of each integer value 0..255 per column, -1 for none; None where a category is another value."""
        code_of = np.full((len(self.columns), 256), -1, dtype=np.int16)
        for j, column in enumerate(self.columns):
            if isinstance(column, Quantity):
                return None
            known = column.values
            if column.grouping or known.dtype.kind not in "iubf" or not np.isin(known, np.arange(256)).all():
                return None
            code_of[j, known.astype(np.int64)] = np.arange(len(known))
        return code_of

    def _refuse(self, table, j, values, row, ignore=(), unseen=None):
        """Raise for a value that is not in the domain; how many there are in each column is told with it."""
        table.check(j)
        known = self.columns[j].values
        value = values[row : row + 1].tolist()[0]
        counts = {name: n for name, n in self._unseen_counts(table, ignore) if n}
        told = ", ".join(f"{n:,} in {name!r}" for name, n in list(counts.items())[:MOST_NAMED])
        more = ", …" * (len(counts) > MOST_NAMED)
        raise TableError(
            f"{table.column(j)} holds {value!r} at row {row}, which is not one of the {len(known)} categories of the "
            f"fitted domain: {choice(value, known)}; unseen values: {told}{more}",
            [("handle_unknown", "reserve"), ("categories", None)],
            choices=[] if unseen is None else [("unseen", IGNORE)],
            column=table.label(j),
            row=row,
            value=value,
        )

    def _unseen_counts(self, table, ignore):
        """Each column of categories that has no code for unseen values, and how many of these a table has in it."""
        for j, column in enumerate(self.columns):
            if j in ignore or isinstance(column, Quantity) or column.unseen:
                continue
            try:
                values, holes = table.values(j)
            except TableError:  # whose own message comes once this one is mended
                continue
            unknown = _places(values, column.values) < 0
            yield self.column_names[j], int(np.count_nonzero(unknown if holes is None else unknown & ~holes))


def column_number(names, n_columns, column):
    """Number of a column that a user named, by its name or its number; ``names`` is None where there are none."""
    if names is not None and column in names:
        return names.index(column)
    printed = _column_names(names, n_columns)
    if isinstance(column, str) and column in printed:
        return printed.index(column)
    if isinstance(column, (int, np.integer)) and not isinstance(column, bool) and -n_columns <= column < n_columns:
        return int(column) % n_columns
    raise TableError(f"there is no column {column!r}; there are {choice(column, printed, 20)}", column=column)


def _column_names(names, n_columns):
    return tuple(f"x{j}" for j in range(n_columns)) if names is None else tuple(map(str, names))


def check_codes(Z, n_categories, names=None):
    """Codes given by a user: ndarray of shape (n_rows, n_columns), uint8; ValueError outside the domain."""
    Z = check_array(Z, dtype=None, ensure_min_samples=0)
    if Z.shape[1] != len(n_categories):
        raise TableError(f"Z has {Z.shape[1]} columns of codes, but the domain has {len(n_categories)}")
    if Z.dtype.kind not in "iub" and not (Z.dtype.kind == "f" and (np.floor(Z) == Z).all()):
        raise TableError(f"codes must be integers, got dtype {Z.dtype}")
    bad = (Z < 0) | (n_categories <= Z)
    if bad.any():
        row, j = np.argwhere(bad)[0]
        raise TableError(
            f"column {j if names is None else repr(names[j])} of Z holds {Z[row, j]} at row {row}; "
            f"its codes run from 0 to {n_categories[j] - 1}",
            column=int(j) if names is None else names[j],
            row=int(row),
            value=Z[row, j],
        )
    return np.ascontiguousarray(Z, dtype=np.uint8)


def check_told(Z, n_kinds, numeric, names):
    """What a bijection made of rows of numbers and codes, given by a user: ndarray of float64; ValueError outside."""
    Z = check_array(Z, dtype=np.float64, ensure_min_samples=0)
    if Z.shape[1] != len(n_kinds):
        raise TableError(f"Z has {Z.shape[1]} columns, but the domain has {len(n_kinds)}")
    bad = (Z < 0) | (n_kinds <= Z) | ((np.floor(Z) != Z) & (~numeric | (n_kinds - 1 > Z)))
    if bad.any():
        row, j = np.argwhere(bad)[0]
        told = f"whole numbers from 0 to {n_kinds[j] - 1}" + f", and what lies below {n_kinds[j]}" * bool(numeric[j])
        raise TableError(
            f"column {names[j]!r} of Z holds {Z[row, j]} at row {row}; it takes {told}",
            column=names[j],
            row=int(row),
            value=Z[row, j],
        )
    return Z


def listing(values, most=6):
    """Some of the values, to print."""
    shown = values[:most].tolist() if isinstance(values, np.ndarray) else values[:most]
    return ", ".join(map(repr, shown)) + (", …" if len(values) > most else "")


def choice(named, values, most=6):
    """Some of the values that there are, to print, and the one that is near to what was named."""
    return listing(values, most) + nearest(named, list(values))


def _is_its_code(column):
    if isinstance(column, Quantity):
        return False
    known = column.values
    return column.grouping is None and column.n_codes == len(known) and np.array_equal(known, np.arange(len(known)))


def _quantity(table, j, missing):
    """The quantity that a column is."""
    cells, holes = table.numbers(j)
    if cells is None:
        _refuse_nothing(table, j)
    if holes is not None and missing == "error":
        _refuse_missing(table, j, "and none is allowed", ALLOWING, holes)
    try:
        present = cells if holes is None else cells[~holes]
        return Quantity.learn(present, holes is not None and missing == "category", zoned=table.zone(j) is not None)
    except NotExact as error:
        row = error.place if holes is None else int(np.flatnonzero(~holes)[error.place])
        _refuse_cell(table, j, cells, row, error.why)


def _refuse_nothing(table, j):
    told = f"{table.column(j)} has no value that is not missing: leave it out"
    raise TableError(told, column=table.label(j))


def _refuse_cell(table, j, cells, row, why):
    told = f"{table.column(j)} holds {cells[row]} at row {row}, {why}"
    raise TableError(told, column=table.label(j), row=row, value=cells[row])


def _filled(table, j, column, numbers):
    """Cells of a quantity, and places among them, with those of numbers where the table has none; -1 for NaN."""
    places = np.arange(table.n_rows)
    cells, holes = table.numbers(j)
    if cells is not None:
        try:
            cells = column.as_own(cells)
        except NotExact as error:
            _refuse_cell(table, j, cells, error.place, error.why)
    if holes is None:
        return cells, places
    told, gone = column.cells(numbers[holes])
    if cells is None:
        return told, np.where(gone, -1, places)
    if cells.dtype.kind != told.dtype.kind or cells.dtype.kind == "O":
        cells, told = cells.astype(object), told.astype(object)
    places[holes] = np.where(gone, -1, len(cells) + np.arange(len(told)))
    return np.concatenate([cells, told]), places


def _found(table, numeric=()):
    """Categories of every column: what a dtype declares, else what occurs, sorted; None for quantities."""
    if len(numeric):
        return (None if j in numeric else _found_in(table, j) for j in range(len(table.dtypes)))
    if table.as_bytes is not None:
        return [np.flatnonzero(seen).astype(table.X.dtype) for seen in encoding.presence(table.as_bytes)]
    if table.container == NUMPY and table.X.dtype.kind in "if":
        negative = np.argwhere(table.X < 0)
        if len(negative):  # told before anything else is, as scikit-learn's conventions want
            table.check(int(negative[0, 1]))
    return (_found_in(table, j) for j in range(len(table.dtypes)))


def _found_in(table, j):
    """Categories of a column, in order; where types are mixed, numbers first and each other type by itself."""
    declared = table.declared(j)
    if declared is not None:
        return declared
    table.check(j)
    distinct = table.distinct(j)
    if isinstance(distinct, np.ndarray):
        return distinct
    found, real = np.empty(len(distinct), dtype=object), (bool, int, float, np.number)
    try:
        found[:] = sorted(distinct, key=lambda v: ("" if isinstance(v, real) else type(v).__name__, v))
    except TypeError as error:
        told = f"{table.column(j)} mixes values that have no order ({error})"
        raise TableError(told, column=table.label(j)) from None
    return found


def _in_order(table, j, values):
    """Whether a dtype declares an order of the categories of a column.

    Whole numbers do not: they as often name things, and then "x <= v" costs likelihood (0.028 nats on splice).
    """
    return table.dtypes[j].startswith(CATEGORICAL[True]) and values.tolist() == table.declared(j).tolist()


def _places(values, known):
    """Place of every value among the known ones, -1 for none: ndarray of int32."""
    if values.dtype.kind in "iubf" and known.dtype.kind in "iubf":
        common = np.result_type(values, known)
        if common.kind in "iub" or values.dtype.kind == known.dtype.kind == "f":  # else comparing would round
            order = np.argsort(known, kind="stable")
            found = order[np.minimum(np.searchsorted(known[order], values), len(known) - 1)]
            return np.where(known[found] == values, found, -1).astype(np.int32)
    place_of = {value: place for place, value in enumerate(known.tolist())}
    try:
        places = map(place_of.get, values.tolist(), repeat(-1))
        return np.fromiter(places, dtype=np.int32, count=len(values))
    except TypeError:  # a value that cannot be hashed is no category
        return np.full(len(values), -1, dtype=np.int32)


def _counts(table, j, known, weight):
    """How often each known value occurs in a column: ndarray of float64."""
    values, missing = table.values(j)
    places = _places(values, known)
    seen = places >= 0 if missing is None else (places >= 0) & ~missing
    return np.bincount(places[seen], None if weight is None else weight[seen], len(known)).astype(np.float64)


def _refuse_missing(table, j, why, remedies, missing=None):
    """Raise TableError if a column has missing values; of a quantity, where is known."""
    if missing is None and table.as_bytes is None:
        missing = table.values(j)[1]
    if missing is not None:
        row = int(np.flatnonzero(missing)[0])
        raise TableError(
            f"{table.column(j)} has a missing value (NaN or None) at row {row}, {why}",
            remedies,
            column=table.label(j),
            row=row,
        )


def check_one_each(categories, n_columns):
    """Raise unless a user gives something for each of the columns."""
    if isinstance(categories, (str, dict)) or not hasattr(categories, "__len__") or len(categories) != n_columns:
        raise ParameterError(
            f"categories must be 'auto' or a list with one sequence for each of the {n_columns} columns",
            parameter="categories",
            value=categories,
        )


def _declared(table, categories, numeric=()):
    """Categories given by the user, one sequence a column, checked; None for quantities."""
    check_one_each(categories, len(table.dtypes))
    found = []
    for j, given in enumerate(categories):
        if j in numeric:
            if given is not None:
                told = f"categories of {table.column(j)} must be None, since it is numeric"
                raise ParameterError(told, parameter="categories", value=given)
            found.append(None)
            continue
        told = f"categories of {table.column(j)} must be a sequence of distinct values"
        if isinstance(given, (str, dict)) or not hasattr(given, "__iter__"):
            raise ParameterError(f"{told}, got {given!r}", parameter="categories", value=given)
        c = given if isinstance(given, np.ndarray) else as_array(list(given))
        if c.dtype.kind == "M":
            c = Table(c[:, None]).values(0)[0]
        if c is not given and c.dtype.kind == "f":
            for v, w in zip(given, c.tolist(), strict=True):
                if v != w and v == v:
                    rounded = f"{told}, but {v!r} would be rounded among floats"
                    raise ParameterError(rounded, parameter="categories", value=given)
        marks = [is_missing(v) for v in c.tolist()] if c.ndim == 1 else []
        distinct = {v for v, mark in zip(c.tolist(), marks, strict=True) if not mark} if marks else set()
        if len(distinct) == 0 or sum(marks) > 1 or len(distinct) + sum(marks) != len(c):
            raise ParameterError(told, parameter="categories", value=given)
        found.append(c)
    return found


def _dtypes_that_hold(categories, table):
    """Dtypes of decoded columns: the table's own where they can hold what was declared."""
    if table.container not in (NUMPY, PANDAS):
        return table.dtypes

    def wide_enough(dtype, found):
        if dtype[1] == "M":
            dates = all(isinstance(v, date) or is_missing(v) for c in found for v in c.tolist())
            return dtype if dates else "object"
        text = all(c.dtype.kind in "US" for c in found)
        if dtype[0] not in "<>|":  # a name: pandas' own dtypes and object
            return dtype if dtype in CATEGORICAL or text == dtype.startswith("str") else "object"
        numeric = all(c.dtype.kind in "iubf" for c in found)
        same = text if dtype[1] in "US" else numeric
        return np.result_type(dtype, *found).str if same else "object"

    if table.names is None:
        return (wide_enough(table.dtypes[0], [c for c in categories if c is not None]),) * len(table.dtypes)
    return tuple(
        dtype if c is None else wide_enough(dtype, [c]) for dtype, c in zip(table.dtypes, categories, strict=True)
    )
