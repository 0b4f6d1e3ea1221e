"""A column of numbers: what is needed to go from its cells to floats of 64 bits and back, exactly.

Cells stand at *ticks*: whole numbers of the smallest unit that the column has, a cent or a microsecond. A cell's number
is (tick - origin) times the size of a tick, in seconds for times and durations. Ticks are integers, so no digit is lost
on the way. The ticks that occur are on a lattice: `stride` ticks apart, through the origin. A column of floats that are
no short decimals has no ticks and no lattice: its numbers are its cells.
"""

from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from math import gcd

import numpy as np

from .numbers import LARGEST, BadCell

TIMES = {"D": (86400, 1), "h": (3600, 1), "m": (60, 1), "s": (1, 1)} | {
    unit: (1, 10**digits) for unit, digits in (("ms", 3), ("us", 6), ("ns", 9), ("ps", 12), ("fs", 15), ("as", 18))
}  # sizes in seconds
MOST_DIGITS = 15  # after the point: more are no decimal that somebody wrote
MOST_DECIMALS = 22  # after the point of a decimal: powers of ten up to here are floats
MOST_POINTS = 2**51  # from the origin, each of which is a float of its own after a division, too
MOST_FEW = 20  # distinct values that show no lattice but by how they are written
SOME = 1_000  # cells, which mostly tell that there are more distinct values
LEAST_YEAR, GREATEST_YEAR = np.datetime64("0001-01-01", "D"), np.datetime64("9999-12-31", "D")
NEAR = 1e-6  # of a step from a point of the lattice: on it, but for rounding
MORE_DIGITS = "which has more digits than a float of 64 bits: round it, or convert the column to strings"
WHOLE = "integer"  # of any size, as objects
DECIMAL = "decimal"


class NotExact(BadCell):
    """A cell is lost on the way to numbers."""


@dataclass(frozen=True)
class Quantity:
    """A column of numbers.

    Attributes
    ----------
    dtype : str
        Of the cells: the name of a NumPy dtype of floats, integers, times or durations; "integer" and "decimal" for
        objects.
    low, high : float
        The least and the greatest number that fit saw.
    tick : tuple of int
        Numerator and denominator of the size of a tick; (0, 1) where there are no ticks.
    stride : int
        Ticks from each point of the lattice to the next; 0 where there are no ticks.
    origin : int
        The tick whose number is 0.
    missing : bool
        Whether missing is a value of its own.
    zoned : bool
        Whether cells are times of a known zone.
    """

    dtype: str
    low: float
    high: float
    tick: tuple = (0, 1)
    stride: int = 0
    origin: int = 0
    missing: bool = False
    zoned: bool = False

    n_codes = 0  # a number is no code
    n_ordered = 0

    @classmethod
    def learn(cls, cells, missing=False, *, zoned=False):
        """The quantity that cells are of.

        Parameters
        ----------
        cells : ndarray of shape (n_rows,)
            As `as_numbers` has them, none missing.
        missing : bool, default=False
        zoned : bool, default=False

        Raises
        ------
        NotExact
            For a cell that does not come back from its number.
        """
        dtype = _dtype_of(cells)
        tick = _tick(cells, dtype)
        if tick == (0, 1):
            numbers = cells.astype(np.float64)
            return cls(dtype, float(numbers.min()), float(numbers.max()), missing=missing)
        ticks = _ticks(cells, tick)[0]
        lowest, highest = int(ticks.min()), int(ticks.max())
        if takes_few(ticks):
            stride = _natural(dtype, tick, _greatest_common(ticks))
        else:
            stride = _greatest_common(ticks - lowest if highest - lowest < 2**63 else ticks.astype(object) - lowest)
        origin = lowest % stride
        if max(highest - origin, origin - lowest) > MOST_POINTS * stride:
            origin = lowest
        found = cls(dtype, 0.0, 0.0, tick, stride, origin, missing, zoned)
        numbers = found.numbers(cells)
        found = replace(found, low=float(numbers.min()), high=float(numbers.max()))
        lost = np.flatnonzero(found.cells(numbers)[0] != cells)
        if len(lost):
            raise NotExact(int(lost[0]), found._why_lost())
        return found

    @cached_property
    def is_time(self):
        """Whether cells are times, in numbers seconds: bool."""
        return self.dtype.startswith("datetime64")

    @cached_property
    def is_duration(self):
        """Whether cells are durations, in numbers seconds: bool."""
        return self.dtype.startswith("timedelta64")

    @cached_property
    def kind(self):
        """What cells are, to print: str."""
        if self.is_time:
            return "times with a zone" if self.zoned else "times"
        return "durations" if self.is_duration else "numbers"

    @cached_property
    def step(self):
        """From each point of the lattice to the next, in numbers; 0.0 where there is no lattice: float."""
        return self.stride * self.tick[0] / self.tick[1]

    @cached_property
    def bounds(self):
        """The least and the greatest number that there may be, infinite where any may: (float, float).

        Where fit saw nothing below 0, in the column's own units, nothing lies there, and else the same of what is
        above. Times have no bounds.
        """
        if not self.is_time:
            points = (-(self.origin // self.stride), -self.origin // self.stride) if self.stride else (0, 0)
            least, greatest = (point * self.step for point in points)  # the numbers next to a cell of 0
            if self.low >= least:
                return least, np.inf
            if self.high <= greatest:
                return -np.inf, greatest
        return -np.inf, np.inf

    @cached_property
    def labels(self):
        """The range, to print: tuple of str."""
        low, high = self.cells(np.array([self.low, self.high]))[0]
        unit = " s" if self.is_time or self.is_duration else ""
        steps = f" in steps of {self.step:.12g}{unit}" if self.stride else ""
        return (f"{low} to {high}{steps}", *["(missing)"] * self.missing)

    def takes(self, cells):
        """Whether cells are of the same kind: numbers, times or durations."""
        return (cells.dtype.kind == "M") == self.is_time and (cells.dtype.kind == "m") == self.is_duration

    def measures_as(self, other):
        """Whether a number means the same in another quantity, and both have the same lattice."""
        a, b = [(q.kind, Fraction(q.stride * q.tick[0], q.tick[1]), q.missing) for q in (self, other)]
        if a != b:
            return False
        return self.stride == 0 or Fraction(self.origin * self.tick[0], self.tick[1]) == Fraction(
            other.origin * other.tick[0], other.tick[1]
        )

    def numbers(self, cells):
        """Numbers of cells.

        Parameters
        ----------
        cells : ndarray of shape (n_rows,)
            As `as_numbers` has them, of any dtype of the same kind.

        Returns
        -------
        numbers : ndarray of shape (n_rows,), float64
            On the lattice where the cell is a point of it, as its dtype writes it; else between.
        """
        if self.stride == 0:
            return cells.astype(np.float64)
        ticks, rest = _ticks(cells, self.tick)
        points, between = _divided(_minus(ticks, self.origin), self.stride)
        step = Fraction(self.stride * self.tick[0], self.tick[1])
        numbers = points.astype(np.float64) * step.numerator / step.denominator  # one rounding, if the points are few
        if between.any():
            numbers += _sized(between, self.tick)
        return numbers if rest is None else numbers + rest

    def cells(self, numbers):
        """Cells that have numbers, rounded to the lattice and to what the dtype holds.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows,), float64
            NaN where missing.

        Returns
        -------
        cells : ndarray of shape (n_rows,)
        missing : ndarray of shape (n_rows,), bool
        """
        missing = np.isnan(numbers)
        numbers = np.where(missing, 0.0, numbers)
        dtype: np.dtype = np.dtype(object if self.dtype in (WHOLE, DECIMAL) else self.dtype)
        if dtype.kind == "f":
            if self.stride:
                with np.errstate(over="ignore"):
                    points = np.rint(numbers / self.step)
                    numbers = _sized(self.origin + self.stride * points, self.tick)
            largest = float(np.finfo(dtype).max)
            return np.clip(numbers, -largest, largest).astype(dtype), missing
        ticks = self._ticks_at(numbers)
        if self.dtype == WHOLE:
            return ticks.astype(object), missing
        if self.dtype == DECIMAL:
            digits, exact = _digits(self.tick), Context(prec=1000)
            decimals = np.empty(len(ticks), dtype=object)
            decimals[:] = [exact.scaleb(Decimal(tick), -digits) for tick in ticks.tolist()]
            return decimals, missing
        return ticks.astype(np.int64 if dtype.kind in "Mm" else dtype).astype(dtype, copy=False), missing

    def unrounded(self, numbers):
        """Floats that numbers are in the column's own units, whether on its lattice or not.

        Not of times; of durations, seconds.
        """
        return numbers + _sized(np.array([self.origin]), self.tick)[0] if self.stride else numbers

    def plain(self, numbers):
        """Cells that have numbers, as floats, times or durations: NaN or NaT where missing."""
        cells, missing = self.cells(numbers)
        if self.is_time or self.is_duration:
            cells[missing] = np.datetime64("NaT") if self.is_time else np.timedelta64("NaT")
            return cells
        return np.where(missing, np.nan, cells.astype(np.float64))

    def has(self, numbers):
        """Whether numbers are on the lattice, if there is one: ndarray of bool."""
        if self.stride == 0:
            return np.ones(np.shape(numbers), dtype=bool)
        points = numbers / self.step
        return np.abs(points - np.rint(points)) < NEAR

    def as_own(self, cells):
        """Cells of another dtype in that of the quantity, as a column of times, durations or decimals must have them.

        Raises
        ------
        NotExact
            For a cell that this dtype does not hold.
        """
        if cells.dtype.name == self.dtype or not (self.is_time or self.is_duration or self.dtype == DECIMAL):
            return cells
        if self.dtype == DECIMAL:
            own = cells if cells.dtype.kind == "O" else self.cells(self.numbers(cells))[0]
            lost = np.flatnonzero(self.numbers(own) != self.numbers(cells))
        else:
            own = cells.astype(self.dtype)
            lost = np.flatnonzero(own != cells)
        if len(lost):
            raise NotExact(int(lost[0]), "which the dtype that fit saw cannot hold")
        return own

    def check(self):
        """Raise ValueError unless the parts fit together; for what comes from a file."""
        numbers = (self.low, self.high)
        if not all(isinstance(v, float) and np.isfinite(v) for v in numbers) or self.low > self.high:
            raise ValueError("a quantity has no range")
        whole = (*self.tick, self.stride, self.origin)
        if len(self.tick) != 2 or any(isinstance(v, bool) or not isinstance(v, int) for v in whole):
            raise ValueError("ticks of a quantity are no integers")
        if self.dtype not in _TICKS:
            raise ValueError(f"unknown dtype of a quantity {self.dtype!r}")
        allowed, most = _TICKS[self.dtype], LARGEST if self.dtype in (WHOLE, DECIMAL) else 2**64
        if self.tick not in allowed or (self.stride > 0) != (self.tick != (0, 1)) or not 0 <= self.stride <= most:
            raise ValueError(f"a quantity of dtype {self.dtype} has no ticks {self.tick}, {self.stride} apart")
        if abs(self.origin) > most or (self.stride == 0 and self.origin):
            raise ValueError("the origin of a quantity is out of range")
        if self.zoned and not self.is_time:
            raise ValueError("what is no time has no zone")
        cells, _ = self.cells(np.array(numbers))
        if not np.array_equal(self.numbers(cells), numbers):
            raise ValueError("the range of a quantity is not on its lattice")

    def _ticks_at(self, numbers):
        """The ticks of the lattice next to numbers, within what the dtype holds: ndarray of int64, or of objects."""
        num, den = self.tick
        with np.errstate(over="ignore"):
            points = np.nan_to_num(np.rint(numbers * den / (num * self.stride)))
        low, high = self._limits
        furthest = float(np.abs(points).max(initial=0.0)) * self.stride + abs(self.origin)
        if max(furthest, self.stride) < 2**62 and (high is None or (-furthest >= low and furthest <= high)):
            return self.origin + self.stride * points.astype(np.int64)
        ticks = np.empty(len(points), dtype=object)
        ticks[:] = [self.origin + self.stride * int(point) for point in points.tolist()]
        if high is None:
            return ticks
        last = self.origin + (high - self.origin) // self.stride * self.stride
        first = self.origin - (self.origin - low) // self.stride * self.stride
        ticks[:] = [min(max(tick, first), last) for tick in ticks]
        return ticks

    @cached_property
    def _limits(self):
        """The least and the greatest tick that the dtype holds; None, None where there are none."""
        if self.dtype == WHOLE:
            return None, None
        if self.dtype == DECIMAL:  # as many digits as were seen
            size = Fraction(*self.tick)
            furthest = max(abs(round(Fraction(v) / size) + self.origin) for v in (self.low, self.high))
            most = 10 ** len(str(furthest)) - 1
            return -most, most
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":
            return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        most = 2**63 - 1
        if dtype.kind == "m":
            return -most, most
        day = Fraction(86400) / Fraction(*self.tick)
        years = [int(v.astype(np.int64)) for v in (LEAST_YEAR, GREATEST_YEAR + 1)]
        return max(-most, int(years[0] * day)), min(most, int(years[1] * day) - 1)

    def _why_lost(self):
        if self.is_time or self.is_duration:
            return "which is too fine for so long a time: round it"
        return MORE_DIGITS


def takes_few(cells):
    """Whether cells have but a few distinct values: bool."""
    return len(np.unique(cells[:SOME])) <= MOST_FEW and len(np.unique(cells)) <= MOST_FEW


_TICKS: dict = {  # of which sizes each dtype can be
    f"float{bits}": {(0, 1), *((1, 10**digits) for digits in range(MOST_DIGITS + 1))} for bits in (16, 32, 64)
}
_TICKS |= {f"{sign}int{bits}": {(1, 1)} for sign in ("", "u") for bits in (8, 16, 32, 64)} | {WHOLE: {(1, 1)}}
_TICKS |= {DECIMAL: {(1, 10**digits) for digits in range(MOST_DECIMALS + 1)}}
_TICKS |= {f"{kind}64[{unit}]": {size} for kind in ("datetime", "timedelta") for unit, size in TIMES.items()}


def _dtype_of(cells):
    if cells.dtype.kind == "O":
        return DECIMAL if isinstance(cells[0], Decimal) else WHOLE
    return cells.dtype.name


def _digits(tick):
    """Digits after the point of a tick that is a power of ten."""
    return len(str(tick[1])) - 1


def _tick(cells, dtype):
    """Size of a tick of cells, as numerator and denominator; (0, 1) for floats that are no short decimals."""
    if cells.dtype.kind in "Mm":
        return TIMES[np.datetime_data(cells.dtype)[0]]
    if dtype == DECIMAL:
        decimals = [-value.as_tuple().exponent for value in cells]
        if max(decimals) > MOST_DECIMALS:
            raise NotExact(int(np.argmax(decimals)), MORE_DIGITS)
        return 1, 10 ** max(0, *decimals)
    if cells.dtype.kind != "f":
        return 1, 1
    digits, n = 0, 1
    while digits <= MOST_DIGITS:  # few cells first: most that are no decimals tell soon
        some = cells[:n]
        if _at_ticks(some, 10**digits)[1].all():
            if n >= len(cells):
                return 1, 10**digits
            n *= 10
        else:
            digits += 1
    return 0, 1


def _at_ticks(cells, den):
    """Nearest ticks of floats, and which of them the dtype writes as that tick: ndarrays of float64 and bool."""
    with np.errstate(over="ignore"):
        ticks = np.rint(cells.astype(np.float64) * den)
        exact = (np.abs(ticks) < 10.0 ** np.finfo(cells.dtype).precision) & ((ticks / den).astype(cells.dtype) == cells)
    return ticks, exact


def _ticks(cells, tick):
    """Ticks of cells, and what is left over in numbers: ndarray of int64 or object; of float64, or None."""
    num, den = tick
    if cells.dtype.kind in "Mm":
        size = Fraction(*TIMES[np.datetime_data(cells.dtype)[0]]) / Fraction(num, den)
        return _rescaled(cells.astype(np.int64), size, num / den)
    if cells.dtype.kind == "f":
        ticks, exact = _at_ticks(cells, den)
        if exact.all():
            return ticks.astype(np.int64), None
        near = np.where(exact, ticks, 0.0)
        return near.astype(np.int64), np.where(exact, 0.0, cells)
    if cells.dtype.kind == "O" and isinstance(cells[0], Decimal):
        return _of_decimals(cells, den)
    whole = cells.dtype.kind == "O" or (cells.dtype.kind == "u" and cells.max() >= 2**63)
    return _rescaled(cells.astype(object if whole else np.int64), Fraction(den, num), num / den)


def _of_decimals(cells, den):
    digits, exact = len(str(den)) - 1, Context(prec=1000)
    scaled = [exact.scaleb(value, digits) for value in cells]
    ticks = np.empty(len(cells), dtype=object)
    ticks[:] = [int(value) for value in scaled]
    rest = np.array([float(value - int(value)) / den for value in scaled])
    if max(map(abs, ticks), default=0) < 2**62:
        ticks = ticks.astype(np.int64)
    return ticks, rest if rest.any() else None


def _rescaled(units, size, tick):
    """Ticks of whole numbers of units of a size in ticks, and what is left over in numbers."""
    if size == 1:
        return units, None
    if size.denominator == 1:
        furthest = max(abs(int(units.min())), abs(int(units.max()))) * size.numerator
        return (units if furthest < 2**62 else units.astype(object)) * int(size), None
    ticks, rest = _divided(units * size.numerator, size.denominator)
    return ticks, rest.astype(np.float64) / size.denominator * tick if rest.any() else None


def _divided(whole, by):
    """Quotient and remainder of integers, objects among them."""
    quotient = whole // by
    return quotient, whole - quotient * by


def _minus(ticks, origin):
    """Ticks from the origin on: ndarray of int64, or of objects where they are too many."""
    if origin == 0:
        return ticks
    narrow = ticks.dtype.kind == "i" and abs(origin) < 2**62 and np.abs(ticks.astype(np.float64)).max() < 2**62
    return ticks - origin if narrow else ticks.astype(object) - origin


def _sized(ticks, tick):
    """Numbers of ticks from the origin."""
    num, den = tick
    return ticks.astype(np.float64) * num / den


def _greatest_common(ticks):
    """Greatest common divisor of integers, 0 of nothing but 0."""
    if ticks.dtype.kind != "O":
        return int(np.gcd.reduce(ticks))
    common = 0
    for value in ticks.tolist():
        common = gcd(common, value)
    return common


def _natural(dtype, tick, common):
    """The greatest unit of a clock or of decimal numbers, in ticks, that divides a number of ticks."""
    if dtype[:8] in ("datetime", "timedelt"):
        units = [Fraction(*size) / Fraction(*tick) for size in TIMES.values()]
    else:
        units = [Fraction(10**digits) for digits in range(_digits(tick), -1, -1)]
    return next(int(unit) for unit in units if unit.denominator == 1 and common % unit == 0)
