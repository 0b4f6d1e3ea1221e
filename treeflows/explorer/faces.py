"""How a page shows a column: its values, or bins of its numbers, as codes with labels and with the Python for them."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

MOST_TICKS = 5


@dataclass(frozen=True, eq=False)
class Face:
    """A column as a page shows it.

    Attributes
    ----------
    name : str
    labels : list of str
        Of each code: values of categories, those that are rare together; of numbers bins in order; last missing.
    said : list of list
        Of each code the values that it stands for, a bin being a range, as `TableModel.query` is given them.
    ordered : bool
        Whether values have an order.
    edges : ndarray of shape (n_bins + 1,), float64, or None
        Of bins of numbers, less `offset`.
    code_of_cell : ndarray of int, or None
        Of categories, by value as a distribution has them; unseen values, which have no name, come last.
    """

    name: str
    labels: list
    said: list
    ordered: bool
    edges: np.ndarray | None = None
    code_of_cell: np.ndarray | None = None

    @classmethod
    def of(cls, column, told):
        """The face of a column.

        Parameters
        ----------
        column : Column or Quantity
        told : Distribution
            Any of this column.
        """
        if told.edges is not None:
            said = [[value] for value in told.values.tolist()]
            offset = float(column.unrounded(np.zeros(1))[0])
            return cls(told.name, list(told.labels), said, True, edges=told.edges - offset)
        named = column.n_codes - column.unseen
        code, values = column.code_of_cell, told.values.tolist()
        said = [[values[i] for i in np.flatnonzero(code == k)] for k in range(named)]
        return cls(told.name, list(column.labels[:named]), said, column.n_ordered > 0, code_of_cell=code)

    def listed(self, shares):
        """Codes in the order in which a page lists them; bins are drawn instead.

        Parameters
        ----------
        shares : list of float
            Of the codes, which order those that have no order.

        Returns
        -------
        codes : list of int
        """
        codes = range(self.n_bins, len(self.labels))
        if self.ordered:
            return list(codes)
        numbers = [_number(values[0]) for values in self.said]
        if None not in numbers[: len(numbers) - (self.said[-1] == [None])]:  # text of numbers, as files hold it
            return sorted(codes, key=lambda code: (len(self.said[code]) > 1, numbers[code] is None, numbers[code]))
        return sorted(codes, key=lambda code: -shares[code])

    @property
    def n_bins(self):
        """How many of the codes are bins: int."""
        return 0 if self.edges is None else len(self.edges) - 1

    def codes(self, column):
        """Codes of a column as a density has it: ndarray of shape (n_rows,), uint8."""
        if self.edges is None:
            return column.astype(np.uint8)
        place = np.searchsorted(self.edges[1:-1], column, side="right")
        return np.where(np.isnan(column), self.n_bins, place).astype(np.uint8)

    def shares(self, told):
        """Probabilities of the codes, and their greatest standard error, of a distribution: list of float, float.

        None and None where nothing can be told.
        """
        shares, error = told.probability, told.error
        if np.isnan(shares).any():
            return None, None
        if self.code_of_cell is not None:
            shares, error = (np.bincount(self.code_of_cell, each)[: len(self.labels)] for each in (shares, error))
        return shares.tolist(), float(error.max())

    def given(self, codes, negated, run):
        """What evidence says, as `TableModel.query` is given it.

        Parameters
        ----------
        codes : list of int
            That may be.
        negated : bool
            Whether all others may be instead.
        run : tuple of (int, int), or None
            The first and the last bin, if what is meant is all from one to the other.

        Returns
        -------
        said : value, list, tuple or dict
        """
        values = [value for code in codes for value in self.said[code]]
        said = values[0] if len(values) == 1 else values
        if run is not None:
            said = (self.said[run[0]][0][0], self.said[run[1]][0][1])
        return {"not": said} if negated else said

    def _literals(self):
        """Of each code the Python of its values; None if these are the labels, and nothing but text."""
        if all([label] == values for label, values in zip(self.labels, self.said, strict=True)):
            return None
        return [[_literal(value) for value in values] for values in self.said]

    def figures(self):
        """What the page needs of all this: dict."""
        told = {
            "name": self.name,
            "literal": repr(self.name),
            "labels": self.labels,
            "literals": self._literals(),
            "ordered": self.ordered,
            "bins": self.n_bins,
        }
        if not self.n_bins:
            return told
        ends = [[value[side] for [value] in self.said[: self.n_bins]] for side in (0, 1)]
        told["low"], told["high"] = ([_literal(end) for end in each] for each in ends)
        starts, _ = told["starts"], told["ends"] = [[_text(end) for end in each] for each in ends]
        every = -(-self.n_bins // MOST_TICKS)
        places = range(every // 2, self.n_bins, every)
        width = ends[0][-1] - ends[0][-2] if self.n_bins > 2 else 0
        are_days = isinstance(width, timedelta) and isinstance(ends[0][-1], datetime) and width >= timedelta(days=1)
        told["ticks"] = [[k / self.n_bins, starts[k][:10] if are_days else starts[k]] for k in places]
        return told


def middle(told):
    """Where the numbers of a distribution lie, in words; "" of categories, and where nothing can be told."""
    if not told.quantiles:
        return ""
    low, median, high = (_text(told.quantiles[q], 4) for q in (0.05, 0.5, 0.95))
    return f"median {median}, 90% from {low} to {high}"


def _number(value):
    """The number that a category is, or says as text; None if it is none."""
    try:
        return None if math.isnan(float(value)) else float(value)
    except (TypeError, ValueError):
        return None


def _literal(value):
    """A value as Python has it; whole numbers without their point."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)


def _text(end, digits=6):
    """The end of a bin, short, of a fraction some digits; "" of one that is open."""
    if isinstance(end, float):
        return f"{end:.{digits}g}" if abs(end) < 10.0**digits else f"{end:.6g}"
    return "" if end is None else str(end).removesuffix(" 00:00:00")
