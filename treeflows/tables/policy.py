"""What becomes of numbers, and of declared, missing, unseen and rare values, in one place.

With ``numeric="auto"`` a column is a quantity if it holds numbers, times or durations and takes more than a few
distinct values, or such as are no categories: fractions, negative numbers. One of few is of categories in their order.
Strings, booleans and what a dtype or ``categories`` declares are categories, as are arrays of bytes (uint8), which are
taken for codes of categories. A list in ``numeric`` says it all.
"""

import math
import warnings
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from numbers import Integral, Number, Real
from typing import Any

import numpy as np

from ..machine.errors import ParameterError, TableError, check_number
from .containers import NUMPY
from .domain import Domain, check_one_each, column_number
from .quantities import MOST_FEW, takes_few

MISSING = ("category", "marginalize", "error")
UNKNOWN = ("error", "reserve")


@dataclass(frozen=True)
class TablePolicy:
    """How a table becomes codes.

    Attributes
    ----------
    categories : "auto" or list of array-like
        The values that each column can take; "auto" for what its dtype declares, else what it holds.
    missing : "category", "marginalize" or "error"
        Whether a missing cell is a value of its own where fit saw one, not observed, or refused.
    handle_unknown : "error" or "reserve"
        Whether a value that fit did not see is refused, or has a code with all others.
    min_frequency : int, float or None
        Values that occur less often are grouped.
    max_categories : int or None
        At most so many codes for the values of a column, that of the group included.
    numeric : "auto", sequence of str or int, or mask
        Which columns are quantities; "auto" for what is a number and takes more than a few values.
    """

    categories: object = "auto"
    missing: str = "category"
    handle_unknown: str = "error"
    min_frequency: float | None = None
    max_categories: int | None = None
    numeric: object = "auto"

    @classmethod
    def of(cls, estimator):
        """The policy that the parameters of an estimator make."""
        told: dict = {field.name: getattr(estimator, field.name, field.default) for field in fields(cls)}
        auto = isinstance(told["numeric"], str) and told["numeric"] == "auto"
        if auto and not getattr(estimator, "takes_numbers", False):
            told["numeric"] = ()
        return cls(**told)

    @property
    def takes_numbers(self):
        """Whether any column may be a quantity: bool."""
        return not (isinstance(self.numeric, (list, tuple)) and len(self.numeric) == 0)

    def check(self):
        """Raise unless all but the categories are in range; those are checked against a table."""
        for name, known in (("missing", MISSING), ("handle_unknown", UNKNOWN)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise ParameterError(
                    f"{name} must be {' or '.join(map(repr, known))}, got {value!r}", parameter=name, value=value
                )
        if isinstance(self.min_frequency, Integral):
            check_number(self.min_frequency, "min_frequency", Integral, min_val=1)
        elif self.min_frequency is not None:
            check_number(self.min_frequency, "min_frequency", Real, min_val=0, max_val=1, include_boundaries="neither")
        if self.max_categories is not None:
            check_number(self.max_categories, "max_categories", Integral, min_val=1)

    def learn_domain(self, table, weight=None):
        """The domain of a table: Domain."""
        numeric, ordered = self.quantities(table)
        domain = Domain.learn(table, weight, **vars(self) | {"numeric": numeric, "ordered": ordered})
        once = weight is None or (weight == 1).all()
        if self._is_auto and once:
            for j in numeric:
                if names_rows(table, j, domain.columns[j]):
                    warnings.warn(
                        f"{table.column(j)} names the rows: its {table.n_rows:,} values are all distinct, in steps of "
                        "one; a model learns nothing of it, so leave it out",
                        UserWarning,
                        stacklevel=2,
                    )
            if len(numeric) == 1 and counts_rows(table, numeric[0], domain, self.missing):
                warnings.warn(
                    f"{table.column(numeric[0])} may count rows: whole numbers beside most combinations of the other "
                    "columns' values, each of which is there once; if so, make weights of them: treeflows.from_counts, "
                    "or --weight on the command line",
                    UserWarning,
                    stacklevel=2,
                )
        return domain

    def by_column(self, names):
        """The policy of each column of a table with these names, as a table by itself: list of TablePolicy."""
        n_columns = len(names)
        numeric: list = ["auto"] * n_columns
        if not self._is_auto:
            named = _named(self.numeric, names, n_columns)
            numeric = [(0,) if j in named else () for j in range(n_columns)]
        categories: list = ["auto"] * n_columns
        if not (isinstance(self.categories, str) and self.categories == "auto"):
            declared: Any = self.categories
            check_one_each(declared, n_columns)
            categories = [[given] for given in declared]
        return [replace(self, numeric=n, categories=c) for n, c in zip(numeric, categories, strict=True)]

    @property
    def _is_auto(self):
        return isinstance(self.numeric, str) and self.numeric == "auto"

    def quantities(self, table):
        """Which columns of a table are quantities, and which numbers are categories in their order: tuples of int.

        Raises
        ------
        ParameterError
            If ``numeric`` is no list of columns or names one twice.
        TableError
            If there is no such column.
        """
        n_columns = len(table.dtypes)
        if not self._is_auto:
            return _named(self.numeric, table.names, n_columns), ()
        if table.container == NUMPY and table.X.dtype == np.uint8:
            return (), ()
        declared: Any = self.categories
        if isinstance(declared, str) or not hasattr(declared, "__len__") or len(declared) != n_columns:
            declared = [None] * n_columns  # nothing, or what `Domain.learn` refuses
        numbers = [j for j in range(n_columns) if declared[j] is None and holds_numbers(table, j)]
        quantities = tuple(j for j in numbers if not may_be_categories(table, j))
        return quantities, tuple(j for j in numbers if j not in quantities)

    def encode(self, domain, table, n_threads=1, ignore=(), *, infer=False, unseen=None):
        """What a table says in terms of a domain: Rows, as `Domain.encode` makes them."""
        return domain.encode(table, n_threads, missing=self.missing, ignore=ignore, infer=infer, unseen=unseen)


def holds_numbers(table, j):
    """Whether a column that nobody says anything of holds numbers, times or durations.

    Raises
    ------
    TableError
        For a number or a time that none of its column can be: an infinity, another zone than those before.
    """
    if not table.may_be_numbers(j):
        return False
    try:
        return table.numbers(j)[0] is not None
    except TableError as error:
        number = isinstance(error.value, (Number, Decimal, datetime)) and not isinstance(error.value, bool)
        if number:
            raise
        return False


def may_be_categories(table, j):
    """Whether a column of numbers takes but a few, and such as are categories."""
    cells, missing = table.numbers(j)
    if not takes_few(cells if missing is None else cells[~missing]):
        return False
    try:
        table.check(j)
    except TableError:
        return False
    return True


def names_rows(table, j, quantity):
    """Whether a quantity numbers the rows of the table that it was learned from: all distinct, in steps of one."""
    cells, missing = table.numbers(j)
    if missing is not None or quantity.step != 1 or quantity.is_time or quantity.is_duration:
        return False
    n_values = quantity.high - quantity.low + 1
    return n_values == table.n_rows > MOST_FEW and len(np.unique(cells)) == table.n_rows


def counts_rows(table, j, domain, missing):
    """Whether a quantity may say how many rows each row stands for, as a contingency table that is written out has it.

    Of the combinations of the other columns' categories at least half are there, and none twice.
    """
    quantity, others = domain.columns[j], [column for k, column in enumerate(domain.columns) if k != j]
    is_whole = quantity.tick[0] > 0 and quantity.tick[1] == 1 and not (quantity.is_time or quantity.is_duration)
    if not is_whole or quantity.low < 0 or not 2 <= math.prod(column.n_codes for column in others) <= 2 * table.n_rows:
        return False
    rows = domain.encode(table, missing=missing, ignore=(j,))
    if not np.delete(rows.observed, j, axis=1).all():
        return False
    return len(np.unique(np.delete(rows.codes, j, axis=1), axis=0)) == table.n_rows


def _named(numeric, names, n_columns):
    """Numbers of columns that a user named, by names, numbers or a mask."""
    named = None if isinstance(numeric, str) or not hasattr(numeric, "__iter__") else list(numeric)
    if named is None or isinstance(numeric, dict):
        raise ParameterError(
            f"numeric must be 'auto', a list of columns or a mask of them, got {numeric!r}",
            parameter="numeric",
            value=numeric,
        )
    if named and all(isinstance(each, (bool, np.bool_)) for each in named):
        if len(named) != n_columns:
            raise ParameterError(
                f"numeric is a mask of {len(named)} columns, but the table has {n_columns}",
                parameter="numeric",
                value=numeric,
            )
        return tuple(np.flatnonzero(named).tolist())
    chosen = [column_number(names, n_columns, each) for each in named]
    if len(set(chosen)) != len(chosen):
        raise ParameterError(f"numeric names a column twice: {numeric!r}", parameter="numeric", value=numeric)
    return tuple(sorted(chosen))
