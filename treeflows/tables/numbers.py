"""Objects that are numbers, as an array of one kind: integers, floats, decimals, times or durations."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from numbers import Integral, Real

import numpy as np

WIDEST = np.iinfo(np.int64)
LARGEST = int(np.finfo(np.float64).max)
INFINITE = "which is not finite, as a float: make it missing, or a number less large"
MIXED = "numbers of one column are of one kind"


class BadCell(ValueError):  # noqa: N818 (what it is, not that it is wrong)
    """A cell that is refused; who knows its column and row tells them.

    Parameters
    ----------
    place : int
        Its place among the cells.
    why : str
        What it is, and what helps.
    """

    def __init__(self, place, why):
        super().__init__(why)
        self.place, self.why = place, why


class NotANumber(BadCell):
    """A cell is no number, or not of the kind of those before it."""


def as_numbers(cells):
    """Cells as an array of one kind.

    Parameters
    ----------
    cells : ndarray
        Of any dtype, none of them missing.

    Returns
    -------
    numbers : ndarray
        Of integers, floats, times or durations in a unit that divides days; of objects where they are decimals, or
        integers beyond 64 bits. Integers among floats are floats, and integers among decimals are decimals.

    Raises
    ------
    NotANumber
        For the first cell that is no number, infinite, or of another kind than those before it.
    """
    kind = cells.dtype.kind
    if kind == "O":
        return _of_objects(cells)
    if kind in "Mm":
        return _in_days(cells)
    if kind not in "iuf":
        raise NotANumber(0, f"which is {_what(cells[:1].tolist()[0])}, not a number")
    if kind == "f" and np.isinf(cells).any():
        raise NotANumber(int(np.isinf(cells).argmax()), INFINITE)
    if cells.dtype.itemsize > 8:
        return _narrowed_floats(cells)
    return cells.astype(cells.dtype.newbyteorder("="), copy=False)


def _in_days(cells):
    """Times and durations in a unit of so many to the day, or of days."""
    unit, count = np.datetime_data(cells.dtype)
    if unit == "generic" or (cells.dtype.kind == "m" and unit in "YM"):
        raise NotANumber(0, "a duration in months, years or nothing, which have no length")
    if unit in "YMW":
        return cells.astype(f"{cells.dtype.kind}8[D]")
    return cells if count == 1 and cells.dtype.isnative else cells.astype(f"{cells.dtype.kind}8[{unit}]")


def _narrowed_floats(cells):
    narrow = cells.astype(np.float64)
    other = np.flatnonzero(narrow != cells)
    if len(other):
        raise NotANumber(int(other[0]), "which no float of 64 bits holds: round it")
    return narrow


def _of_objects(cells):
    kinds: dict = {}
    for place, value in enumerate(cells):
        kind = _kind(value)
        if kind is None:
            raise NotANumber(place, f"which is {_what(value)}, not a number")
        if kind not in kinds:
            kinds[kind] = place
    last = max(kinds.values(), default=0)
    if kinds.keys() <= {"integer", "decimal"}:
        _check_size(cells)
    if kinds.keys() <= {"integer"}:
        return _integers([int(value) for value in cells])
    if kinds.keys() <= {"integer", "float"}:
        numbers = np.array([float(value) for value in cells])
        whole = (place for place, value in enumerate(cells) if isinstance(value, Integral))
        rounded = [place for place in whole if int(numbers[place]) != int(cells[place])]
        if rounded:
            raise NotANumber(rounded[0], "an integer that no float beside it holds")
        return as_numbers(numbers)
    if kinds.keys() <= {"integer", "decimal"}:
        return np.array([value if isinstance(value, Decimal) else Decimal(int(value)) for value in cells])
    if kinds.keys() <= {"time"}:
        return _times(cells)
    if kinds.keys() <= {"date"}:
        return np.array([np.datetime64(value, "D") for value in cells])
    if kinds.keys() <= {"duration"}:
        return _to_microseconds(cells, "m8[us]")
    raise NotANumber(last, f"which is {_what(cells[last])}, after {_what(cells[0])}: {MIXED}")


def _check_size(cells):
    """Raise for an integer or a decimal that is beyond all floats."""
    for place, value in enumerate(cells):
        if not -LARGEST <= value <= LARGEST:
            raise NotANumber(place, INFINITE)


def _integers(values):
    if WIDEST.min <= min(values) and max(values) <= WIDEST.max:
        return np.array(values, dtype=np.int64)
    wide = np.empty(len(values), dtype=object)
    wide[:] = values
    return wide


def _times(cells):
    zones: dict = {}
    for place, value in enumerate(cells):
        zones.setdefault(str(getattr(value, "tzinfo", None)), place)
    place = max(zones.values())
    if len(zones) > 1:
        raise NotANumber(place, f"a time in another zone than those before it ({', '.join(zones)}): convert to one")
    if "None" not in zones:
        raise NotANumber(place, f"a time with a zone among objects: convert the column to a dtype of zone {min(zones)}")
    return _to_microseconds(cells, "M8[us]")


def _to_microseconds(cells, dtype):
    """Times or durations of Python, pandas or NumPy as NumPy's; objects are no finer than microseconds."""
    numbers = np.empty(len(cells), dtype=dtype)
    for place, value in enumerate(cells):
        exact = value.to_numpy() if hasattr(value, "to_numpy") else value
        numbers[place] = exact
        if isinstance(exact, np.generic) and numbers[place] != exact:
            raise NotANumber(place, "which is finer than microseconds: round it")
    return numbers


def _kind(value):
    if isinstance(value, (bool, np.bool_)):
        return None
    for kind, types in (
        ("duration", (timedelta, np.timedelta64)),  # NumPy's are integers too
        ("integer", Integral),
        ("decimal", Decimal),
        ("float", Real),
        ("time", (datetime, np.datetime64)),
        ("date", date),
    ):
        if isinstance(value, types):
            return kind
    return None


def _what(value):
    if isinstance(value, complex):
        return "a complex number"
    return f"of type {type(value).__name__}"
