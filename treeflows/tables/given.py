"""What a user says of columns, as evidence or of rows to be drawn: values, sets of them, ranges, and all but these.

One small language for all surfaces: of a column a value, missing among them; a list or set, of which any; a tuple of
the least and the greatest, of numbers and of categories in an order; or ``{"not": ...}`` with any of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .._ext import elementary
from ..machine.errors import ParameterError
from .containers import is_missing
from .domain import Domain

NOT = "not"  # of the mapping that says what a column is not
MANY = (list, set, frozenset, np.ndarray)
MOST_TOLD = 6  # values of a set, in words


@dataclass(frozen=True, eq=False)
class Given:
    """What is said of some columns of a domain.

    Attributes
    ----------
    domain : Domain
    cells : dict of int to ndarray of bool
        By column of categories, which of its cells, in the order of `Column.spread`, may be.
    ranges : dict of int to ndarray of shape (n_ranges, 2), float64
        By column of numbers, between which they lie, both included; NaN and NaN where they may be missing.
    points : dict of int to float
        By column of numbers, the one that it is; NaN if it is missing.
    words : dict of int to str
        By column, what was said, to print.
    impossible : str or None
        Why no row can be so, if none can.
    """

    domain: Domain
    cells: dict = field(default_factory=dict)
    ranges: dict = field(default_factory=dict)
    points: dict = field(default_factory=dict)
    words: dict = field(default_factory=dict)
    impossible: str | None = None

    @property
    def columns(self):
        """Numbers of the columns of which something is said: list of int."""
        return sorted([*self.cells, *self.ranges, *self.points])

    def code_weight(self, j):
        """How much of each code of a column of categories may be: ndarray of shape (n_codes,), float64 from 0 to 1."""
        column = self.domain.columns[j]
        return np.minimum(np.bincount(column.code_of_cell, column.share_of_cell * self.cells[j], column.n_codes), 1.0)

    def to_codes(self):
        """The same in terms of codes.

        Returns
        -------
        codes : ndarray of shape (n_columns,), uint8
            0 where nothing is said, or not what code. Of a domain with quantities float64, with their numbers, NaN
            where nothing is said or the cell is missing.
        observed : ndarray of shape (n_columns,), bool
            Which codes and numbers are known.
        within : dict of int to ndarray
            By column of which more than one may be: ranges, or weights of codes.
        log_share : float
            Log-probability that the values are among those that were said, given their codes, of known ones; nats.
        """
        domain = self.domain
        mixed, n_columns = domain.numeric.any(), len(domain.columns)
        codes = np.where(domain.numeric, np.nan, 0.0) if mixed else np.zeros(n_columns, dtype=np.uint8)
        observed, within, log_share = np.zeros(n_columns, dtype=bool), dict(self.ranges), 0.0
        for j, number in self.points.items():
            codes[j], observed[j] = number, True
        for j in self.cells:
            weight = self.code_weight(j)
            some = np.flatnonzero(weight)
            if len(some) == 1:
                codes[j], observed[j] = some[0], True
                log_share += float(elementary.log(weight[some])[0])
            elif (weight < 1).any():
                within[j] = weight
        return codes, observed, within, log_share

    def places(self, codes, rng):
        """Places of values with these codes that are among those that were said, drawn by their shares.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns)
        rng : Generator

        Returns
        -------
        places : dict of int to ndarray of shape (n_rows,), int32
            By column of categories that are grouped, or of which one value was said; -1 for missing.
        """
        found = {}
        for j, cells in self.cells.items():
            column = self.domain.columns[j]
            may_be = np.flatnonzero(cells)
            if len(may_be) > 1 and column.grouping is None:
                continue
            told = np.full(len(codes), -1, dtype=np.int32)
            for code in np.unique(codes[:, j]).tolist():
                members = may_be[column.code_of_cell[may_be] == code]
                rows = np.flatnonzero(codes[:, j] == code)
                drawn = members[:1]
                if len(members) > 1:
                    cumulative = np.cumsum(column.share_of_cell[members])
                    uniform = rng.random(len(rows)) * cumulative[-1]
                    drawn = members[np.searchsorted(cumulative[:-1], uniform, side="right")]
                told[rows] = np.where(drawn < len(column.values), drawn, -1)
            found[j] = told
        return found

    def named(self):
        """The same of rows whose values all have names: none of them unseen."""
        cells, impossible = {}, self.impossible
        for j, may_be in self.cells.items():
            cells[j] = may_be.copy()
            if self.domain.columns[j].unseen:
                cells[j][-1] = False
            if not cells[j].any():
                impossible = impossible or f"no value of column {self.domain.column_names[j]!r} that has a name is left"
        return replace(self, cells=cells, impossible=impossible)

    def and_cells(self, j, cells):
        """The same and of a column of categories one of these cells; None if that cannot be."""
        both = self.cells[j] & cells if j in self.cells else cells
        return replace(self, cells=self.cells | {j: both}) if both.any() else None

    def and_range(self, j, low, high):
        """The same and of a column of numbers one that lies between two, or is missing if these are NaN; or None."""
        if j in self.points:
            x = self.points[j]
            return self if low <= x <= high or (np.isnan(x) and np.isnan(low)) else None
        ranges = np.array([[low, high]])
        if j in self.ranges:
            old = self.ranges[j]
            if np.isnan(low):
                ranges = old[np.isnan(old[:, 0])]
            else:
                ranges = np.column_stack([np.maximum(old[:, 0], low), np.minimum(old[:, 1], high)])
                ranges = ranges[ranges[:, 0] <= ranges[:, 1]]  # false of NaN
        return replace(self, ranges=self.ranges | {j: ranges}) if len(ranges) else None


def read_given(domain, values):
    """What a user says of columns.

    Parameters
    ----------
    domain : Domain
    values : mapping or Series of column to what is said of it, or None for nothing
        Columns by name or number.

    Returns
    -------
    given : Given

    Raises
    ------
    ParameterError
        If that is no mapping, or a column is named twice.
    TableError
        If there is no such column or value.
    """
    named: dict = {}
    cells, ranges, points, words, impossible = {}, {}, {}, {}, None
    for column, said in _items(values):
        j, name = domain.index(column), None
        name = domain.column_names[j]
        if j in named:
            told = f"given names column {name!r} twice, as {named[j]!r} and {column!r}"
            raise ParameterError(told, parameter="given", value=values)
        named[j] = column
        why = None
        if domain.numeric[j]:
            found, why = _ranges(domain, j, said)
            if not isinstance(found, np.ndarray):
                points[j] = found
            elif not (len(found) == 1 and np.isinf(found).all() and not domain.columns[j].missing):
                ranges[j] = found
        else:
            cells[j] = _cells(domain, j, said)
            if not cells[j].any():
                why = f"column {name!r} cannot be {_words(said).removeprefix('is ')}: no value of it is left"
        words[j], impossible = f"{name} {_words(said)}", impossible or why
    return Given(domain, cells, ranges, points, words, impossible)


def _items(values):
    """Pairs of columns and what is said of them."""
    if values is None:
        return []
    if not isinstance(values, Mapping) and hasattr(values, "items") and getattr(values, "ndim", 0) == 1:
        values = dict(values.items())  # a series
    if not isinstance(values, Mapping) or not values:
        told = f"given must be a dict of column: value, or a Series, got {values!r}"
        raise ParameterError(told, parameter="given", value=values)
    return values.items()


def _is_negation(said):
    if not isinstance(said, Mapping):
        return False
    if list(said) != [NOT]:
        told = f"of a column given takes a value, a list, a tuple of two, or {{'not': ...}}, got {said!r}"
        raise ParameterError(told, parameter="given", value=said)
    return True


def _several(said):
    """The values of a list or a set, or a series of them; None of anything else."""
    if isinstance(said, np.ndarray) and said.ndim == 0:
        return None
    if isinstance(said, (set, frozenset)):
        return sorted(said, key=repr)
    if isinstance(said, MANY):
        return list(said)
    return said.to_list() if hasattr(said, "to_list") and hasattr(said, "dtype") else None


def _words(said):
    if isinstance(said, Mapping):
        told = _words(said[NOT])
        return told.replace("is ", "is not ", 1)
    several = _several(said)
    if several is not None:
        shown = [_words(each).removeprefix("is ") for each in several[:MOST_TOLD]]
        return f"is {' or '.join(shown) or 'none'}{' or …' if len(several) > MOST_TOLD else ''}"
    if isinstance(said, tuple) and len(said) == 2:
        low, high = said
        if low is None or high is None:
            return "is any" if low is high else f"is at most {high}" if low is None else f"is at least {low}"
        return f"is {low} to {high}"
    return "is missing" if is_missing(said) else f"is {said}"


def _cells(domain, j, said):
    """Which cells of a column of categories may be: ndarray of bool."""
    column = domain.columns[j]
    if _is_negation(said):
        return ~_cells(domain, j, said[NOT])
    may_be, several = np.zeros(len(column.code_of_cell), dtype=bool), _several(said)
    if several is not None:
        for each in several:
            may_be |= _cells(domain, j, each)
        return may_be
    if isinstance(said, tuple) and len(said) == 2 and column.n_ordered and said not in column.values.tolist():
        first, last = (
            end if each is None else domain.place(j, each)
            for each, end in zip(said, (0, len(column.values) - 1), strict=True)
        )
        may_be[first : last + 1] = True
        return may_be
    place = domain.place(j, said)
    may_be[place if place >= 0 else len(column.values)] = True
    return may_be


def _ranges(domain, j, said):
    """Ranges of a column of numbers that may be, or one number; and why there are none, or None."""
    column, name = domain.columns[j], domain.column_names[j]
    if _is_negation(said):
        found, why = _ranges(domain, j, said[NOT])
        if not isinstance(found, np.ndarray):
            found = np.array([[found, found]])
        left = _complement(found, column.step, column.missing)
        return left, None if len(left) else f"column {name!r} has nothing else than that"
    several = _several(said)
    if several is not None:
        parts, why = [], f"column {name!r} is none of no values"
        for each in several:
            part, why = _ranges(domain, j, each)
            parts.append(part if isinstance(part, np.ndarray) else np.array([[part, part]]))
        if len(several) == 1:
            return part, why
        found = _merged(np.concatenate(parts) if parts else np.empty((0, 2)))
        return found, None if len(found) else why
    if isinstance(said, tuple):
        low, high, why = domain.between(j, said)
        return (np.empty((0, 2)) if why else np.array([[low, high]])), why
    return domain.known_number(j, said), None


def _merged(ranges):
    """The same ranges in order, without overlaps."""
    missing = np.isnan(ranges[:, 0])
    merged = []
    for low, high in sorted(ranges[~missing].tolist()):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return np.array([*merged, *[[np.nan, np.nan]] * bool(missing.any())]).reshape(-1, 2)


def _complement(ranges, step, missing):
    """All that lies in none of some ranges."""
    left, at = [], -np.inf
    for low, high in _merged(ranges).tolist():
        if np.isnan(low):
            missing = False
            continue
        before = low - step if step else np.nextafter(low, -np.inf)
        if low > -np.inf and before >= at:
            left.append([at, before])
        at = high + step if step else np.nextafter(high, np.inf)
        if high == np.inf:
            at = np.nan
    if not np.isnan(at):
        left.append([at, np.inf])
    return np.array([*left, *[[np.nan, np.nan]] * bool(missing)]).reshape(-1, 2)
