"""Numbers as files of text write them: which columns hold them, and how they come back as they went in.

The policy, for a column whose every cell that is there is written so:

- ``-?(0|[1-9][0-9]*)``: integers. Leading zeros make a name of a number, as in postal codes;
- decimal numbers, with or without an exponent: floats, if a float is written as each of them is, or they have not all
  the same number of digits after the point; else decimals, so that 4.50 stays 4.50;
- ``2024-01-31`` and ``2024-01-31 12:30:00.5`` (or with a T): dates and times without a zone;
- all else is text, and so is a column of dates or of decimals without fractions that takes but a few values.
"""

import contextlib
import re
from datetime import datetime
from decimal import Decimal

import numpy as np

from ..machine.errors import TableError
from ..tables.quantities import DECIMAL, MOST_FEW

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.([0-9]*))?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?")
EXACT = np.finfo(np.float64).precision  # digits that every float of 64 bits holds


def numbers_of(cells, *, named=False):
    """A column of numbers or times that is written in cells of text.

    Parameters
    ----------
    cells : sequence of str or None
    named : bool, default=False
        Whether somebody says that they are numbers, however few they are.

    Returns
    -------
    numbers : Series or None
        None where they are text.
    """
    written = set(cells) - {None}
    if not written:
        return None
    if all(map(INTEGER.fullmatch, written)):
        return _series(cells, {text: int(text) for text in written})
    matches = [match for text in written if (match := NUMBER.fullmatch(text))]
    if len(matches) == len(written):
        floats = {text: float(text) for text in written}
        if not np.isfinite(list(floats.values())).all():
            return None
        n_digits = {match[1] and len(match[1]) for match in matches}
        as_written = all(repr(value) == text for text, value in floats.items())
        if as_written or len(n_digits) > 1 or None in n_digits or max(map(len, written)) > EXACT:
            return _series(cells, floats)
        few = (
            not named
            and len(written) <= MOST_FEW
            and all(value.is_integer() and value >= 0 for value in floats.values())
        )
        return None if few else _series(cells, {text: Decimal(text) for text in written})
    if (named or len(written) > MOST_FEW) and all(map(TIME.fullmatch, written)):
        with contextlib.suppress(ValueError):  # no such day
            return _series(cells, {text: _time(text) for text in written})
    return None


def number_cells(cells, column, quantity):
    """Cells of text as those of a quantity.

    Parameters
    ----------
    cells : sequence of str or None
    column : str
        Its name, for messages.
    quantity : Quantity

    Returns
    -------
    numbers : Series

    Raises
    ------
    TableError
        For a cell that is written otherwise; the message names column and row.
    """
    value_of = {}
    for row, text in enumerate(cells):
        if text is None or text in value_of:
            continue
        try:
            value_of[text] = _value(text, quantity)
        except (ValueError, OverflowError):
            raise TableError(
                f"column {column!r} holds {text!r} at row {row}, where the model has {quantity.kind}; if it marks "
                "missing values, say so with --na",
                column=column,
                row=row,
                value=text,
            ) from None
    return _series(cells, value_of)


def odd_cell(cells):
    """Row of the first cell that is no number, of a column that else holds numbers; None if many are none."""
    written = set(cells) - {None}
    odd = {text for text in written if not NUMBER.fullmatch(text)}
    if not odd or len(odd) > len(written) / 10:
        return None
    return next(row for row, cell in enumerate(cells) if cell in odd)


def _value(text, quantity):
    """What stands in a cell, in the kind that a quantity has, or as a float; ValueError for what is no such thing."""
    import pandas as pd

    if quantity.is_time:
        value = _time(text)
        return value.tz_localize("UTC") if quantity.zoned and value.tzinfo is None else value
    if quantity.is_duration:
        return pd.Timedelta(text)
    if quantity.dtype == DECIMAL:
        return Decimal(text) if NUMBER.fullmatch(text) else Decimal(repr(_finite(text)))
    return int(text) if "int" in quantity.dtype and INTEGER.fullmatch(text) else _finite(text)


def _time(text):
    import pandas as pd

    return pd.Timestamp(datetime.fromisoformat(text))


def _finite(text):
    value = float(text)
    if not np.isfinite(value):
        raise ValueError("infinities and NaN are no numbers")
    return value


def _series(cells, value_of):
    """A column of values, by text; integers are nullable where some are missing."""
    import pandas as pd

    column = [None if cell is None else value_of[cell] for cell in cells]
    kinds, values = set(map(type, value_of.values())), value_of.values()
    if kinds == {int} and -(2**63) <= min(values) <= max(values) < 2**63:
        return pd.Series(column, dtype="Int64" if None in column else "int64")
    if kinds and kinds <= {int, float} and float in kinds:
        return pd.Series(column, dtype="float64")
    if kinds == {pd.Timestamp}:
        return pd.Series(column).dt.as_unit("us")
    if kinds == {pd.Timedelta}:
        return pd.Series(column)
    return pd.Series(np.fromiter(column, dtype=object, count=len(column)), dtype=object)
