"""Quantities as categories: intervals, by their text.

The category of a bin is its interval as text: "(-inf, 25)", "[25, 31)", "[63, inf)". So a model file remembers the bins
as it remembers any categories, and no model needs to know of them. A column whose categories all are such intervals,
disjoint and covering the line, is taken for a binned one: numbers of a file are read as the interval that they lie in,
and an interval, such as `sample` writes, as itself.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

DECILES = 10
INTERVAL = re.compile(r"[\[(](\S+), (\S+)\)")


@dataclass(frozen=True)
class Bins:
    """Half-open intervals that cover the line.

    Attributes
    ----------
    edges : tuple of float
        Where each interval but the first starts, ascending.
    """

    edges: tuple

    @classmethod
    def of(cls, cells, column, n_bins=DECILES):
        """Bins of about as many cells each.

        A value that fills more cells than that has a bin of its own, and each edge is a value that occurs.

        Parameters
        ----------
        cells : sequence of str or None
            Numbers, and None where one is missing.
        column : str
            To name it in a message.
        n_bins : int

        Raises
        ------
        ValueError
            For a cell that is no number, or if there is none.
        """
        number_of = {}
        for row, cell in enumerate(cells):
            if cell not in number_of and cell is not None:
                number_of[cell] = _number(cell, row, column)
        found = np.array([number_of[cell] for cell in cells if cell is not None])
        if len(found) == 0:
            raise ValueError(f"column {column!r} cannot be cut into bins: all of it is missing")
        values = np.unique(found)
        at = np.arange(1, n_bins) / n_bins
        quantiles, times = np.unique(np.quantile(found, at, method="inverted_cdf"), return_counts=True)
        after = values[np.minimum(np.searchsorted(values, quantiles, side="right"), len(values) - 1)]
        edges = np.union1d(quantiles, after[times > 1])
        return cls(tuple(edges[edges > values[0]].tolist()))

    @classmethod
    def of_labels(cls, labels):
        """The bins whose labels these are, in any order; None if they are not intervals that cover the line."""
        ends = []
        for label in labels:
            match = INTERVAL.fullmatch(label) if isinstance(label, str) else None
            if match is None:
                return None
            try:
                ends.append((float(match[1]), float(match[2])))
            except ValueError:
                return None
        ends.sort()
        lower, upper = [-np.inf] + [end for _, end in ends], [start for start, _ in ends] + [np.inf]
        bins = cls(tuple(lower[1:-1]))
        return bins if lower == upper and set(bins.labels) == set(labels) else None

    @property
    def labels(self):
        """Intervals as text, ascending: list of str."""
        # numbers as short as they read back the same
        ends = ["-inf", *(repr(edge).removesuffix(".0") for edge in self.edges), "inf"]
        return [f"{'[' if i else '('}{ends[i]}, {ends[i + 1]})" for i in range(len(ends) - 1)]

    def place(self, cells, column):
        """The label of the interval that each cell lies in; labels and None stay as they are: list of str or None.

        Raises
        ------
        ValueError
            For a cell that is neither a number nor one of the labels.
        """
        labels = self.labels
        place_of = {None: None} | {label: label for label in labels}
        placed = []
        for row, cell in enumerate(cells):
            if cell not in place_of:
                place_of[cell] = labels[bisect_right(self.edges, _number(cell, row, column))]
            placed.append(place_of[cell])
        return placed


def _number(cell, row, column):
    try:
        number = float(cell)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(
            f"column {column!r} is to be cut into bins, but holds {cell!r} at row {row}, which is no number; "
            "if it marks missing values, say so with --na"
        )
    return number
