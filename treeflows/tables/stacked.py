"""Two tables as one: the rows of the first, then those of the second, in the same columns."""

import numpy as np

from ..machine.errors import TableError
from .containers import CATEGORICAL, NUMPY, Table
from .domain import listing
from .policy import holds_numbers


def stacked(first, second):
    """The rows of one table and then those of another, whose columns are the same; containers may differ.

    Parameters
    ----------
    first, second : Table
        Columns that have names are matched by these, others by their places.

    Returns
    -------
    table : Table

    Raises
    ------
    TableError
        If a column is in one of them alone, or holds numbers in one of them and something else in the other.
    """
    places = _matched(first, second)
    parts = (first, list(range(len(places)))), (second, places)
    for j in range(len(places)):
        _check_kinds([(part, columns[j]) for part, columns in parts], j)
    if first.container == second.container == NUMPY:
        return Table(_joined([first.X, second.X]))
    return _StackedTable(first.names, parts)


def in_table(error, what, row):
    """A TableError that says in which table it is, and in which row of this."""
    told = error if row is None else error.at_row(row)
    return TableError(
        f"the {what} table: {told.message}", told.remedies, column=error.column, row=row, value=error.value
    )


class _StackedTable(Table):
    """Tables below each other, each with its own numbers of their columns."""

    def __init__(self, names, parts):
        self.X, self._parts = None, parts
        self._read, self._distinct, self._numbers = (None, None), {}, {}
        self.names, self.n_rows = names, sum(part.n_rows for part, _ in parts)
        self.container = parts[0][0].container
        self.dtypes = tuple(map(self._dtype, range(len(names))))

    def values(self, j):
        if self._read[0] != j:
            values, missing = self._both([part.values(i) for part, i in self._of(j)])
            self._read = j, (values, missing if missing.any() else None)
        return self._read[1]

    def may_be_numbers(self, j):
        return all(part.may_be_numbers(i) for part, i in self._of(j))

    def zone(self, j):
        zones = [part.zone(i) for part, i in self._of(j)]
        if (zones[0] is None) != (zones[1] is None):
            told = f"{self.column(j)} holds times of a zone in one table and of none in the other"
            raise TableError(told, column=self.label(j))
        return zones[0]

    def declared(self, j):
        if not self.dtypes[j].startswith(CATEGORICAL):
            return None
        return np.array(list(dict.fromkeys(v for part, i in self._of(j) for v in part.declared(i).tolist())), object)

    def _of(self, j):
        """The two tables, each with its own number of a column."""
        return [(part, columns[j]) for part, columns in self._parts]

    def _frame_numbers(self, j):
        return self._both([part.numbers(i) for part, i in self._of(j)])

    def _both(self, told):
        """Values of both tables, and which are missing; a table that has none at all takes one of the other's."""
        present = [values for values, _ in told if values is not None]
        filler = present[0][:1] if present else np.array([None], dtype=object)
        sizes = [part.n_rows for part, _ in self._parts]
        values = [np.repeat(filler, n) if of is None else of for (of, _), n in zip(told, sizes, strict=True)]
        missing = [np.zeros(n, dtype=bool) if of is None else of for (_, of), n in zip(told, sizes, strict=True)]
        return _joined(values), np.concatenate(missing)

    def _dtype(self, j):
        dtypes = [part.dtypes[i] for part, i in self._of(j)]
        if dtypes[0].startswith(CATEGORICAL) and dtypes[1].startswith(CATEGORICAL):
            alike = np.array_equal(*(part.declared(i) for part, i in self._of(j)))
            return dtypes[0] if dtypes[0] == dtypes[1] and alike else CATEGORICAL[0]
        return dtypes[0] if dtypes[0] == dtypes[1] else "object"


def _check_kinds(of, j):
    """Raise if a column, told as each table and its number there, holds numbers in one of them alone."""
    kinds = {}
    for what, (part, i) in zip(("first", "second"), of, strict=True):
        try:
            kinds[what] = holds_numbers(part, i)
            if not kinds[what] and part.values(i)[1] is not None and part.values(i)[1].all():
                del kinds[what]  # nothing is there
        except TableError as error:
            raise in_table(error, what, error.row) from None
    if set(kinds.values()) == {True, False}:
        has = next(what for what, is_so in kinds.items() if is_so)
        told = f"{of[0][0].column(j)} holds numbers in the {has} table, and not in the other: convert one of them"
        raise TableError(told, column=of[0][0].label(j))


def _matched(first, second):
    """The number in the second table of each column of the first: list of int."""
    if (first.names is None) != (second.names is None):
        raise TableError("one table has names of its columns and the other has none: give two dataframes or two arrays")
    n_columns = len(first.dtypes)
    if first.names is None or second.names is None:
        if len(second.dtypes) != n_columns:
            raise TableError(f"the first table has {n_columns} columns, and the second has {len(second.dtypes)}")
        return list(range(n_columns))
    for one, other, what in ((first, second, ("first", "second")), (second, first, ("second", "first"))):
        lacking = [name for name in one.names or () if name not in (other.names or ())]
        if lacking:
            told = f"the {what[0]} table has the column{'s' * (len(lacking) > 1)} {listing(lacking, 20)}"
            raise TableError(f"{told}, and the {what[1]} has not", column=lacking[0])
    return [second.names.index(name) for name in first.names]


def _joined(arrays):
    """Arrays below each other: of numbers as numbers, else of one kind, or of objects."""
    kinds = {array.dtype.kind for array in arrays}
    alike = len(kinds) == 1 or kinds <= set("iuf")
    return np.concatenate(arrays if alike else [array.astype(object) for array in arrays])
