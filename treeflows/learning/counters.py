"""Counts of rows that have weights, by the digits of the weights, and of rows of several groups."""

from functools import reduce

import numpy as np

from .._ext.counting import Counter
from .blocks import RowsInBlocks


def counter_of(codes, n_categories, threads, weight=None):
    """What counts rows, and splits them into cells: a `Counter`, or a `WeightedCounter` that looks like one."""
    if isinstance(codes, RowsInBlocks):
        return CounterOfBlocks(codes, n_categories, threads)
    if weight is None or (weight == 1).all():
        return Counter(codes, n_categories, threads)
    return WeightedCounter(codes, n_categories, threads, weight)


class WeightedCounter:
    """A counter for each binary digit of the weights: those of its rows count so many times.

    A row is in as many of them as its weight has digits that are 1, never more often than the weight says.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories : ndarray of shape (n_columns,), int32
    threads : int
    weight : ndarray of shape (n_rows,), int32
    """

    def __init__(self, codes, n_categories, threads, weight):
        self.parts = []
        for digit in range(int(weight.max()).bit_length()):
            rows = (weight >> digit & 1).astype(bool)
            if rows.any():
                self.parts.append((digit, Counter(codes[rows], n_categories, threads)))
        first = self.parts[0][1]
        self.n_threads, self.slabs, self.n_planes = first.n_threads, first.slabs, first.n_planes
        self.n_categories, self.first_category = first.n_categories, first.first_category
        self.first_plane, self.plane_column = first.first_plane, first.plane_column

    @property
    def cell_rows(self):
        """Rows of each cell: ndarray of shape (n_cells,), int64."""
        return _total([part.cell_rows << digit for digit, part in self.parts])

    @property
    def counts(self):
        """Rows of each category in each cell: ndarray of shape (n_cells, sum of n_categories), int32."""
        return _total([part.counts << digit for digit, part in self.parts])

    def batches(self, n):
        """Slices of n cells whose tables are counted together."""
        return self.parts[0][1].batches(n)

    def cooccurrences(self, which, slab):
        """Tables of cells, as a `Counter` gives them."""
        tables = [[table << digit for table in part.cooccurrences(which, slab)] for digit, part in self.parts]
        return list(map(_total, zip(*tables, strict=True)))

    def partition(self, columns, categories):
        """Split the cells."""
        for _, part in self.parts:
            part.partition(columns, categories)

    def merge(self, tables):
        """Make the cells one again, each permuted by a table of its own."""
        for _, part in self.parts:
            part.merge(tables)


class CounterByGroup:
    """A counter for each group, all of which are split alike; what it tells of cells is that of all groups together.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns + 1), uint8
        The last column is the group.
    n_categories : ndarray of shape (n_columns + 1,), int32
    threads : int
    weight : ndarray of shape (n_rows,), int32
    """

    def __init__(self, codes, n_categories, threads, weight):
        rows = [np.flatnonzero(codes[:, -1] == group) for group in range(n_categories[-1])]
        own = np.ascontiguousarray(codes[:, :-1])
        self.groups = [counter_of(own[some], n_categories[:-1], threads, weight[some]) for some in rows]
        first = self.groups[0]
        self.n_threads, self.slabs, self.n_planes = first.n_threads, first.slabs, first.n_planes
        self.n_categories, self.first_category = first.n_categories, first.first_category
        self.first_plane, self.plane_column = first.first_plane, first.plane_column

    @property
    def cell_rows(self):
        """Rows of each cell: ndarray of shape (n_cells,), int64."""
        return _total([group.cell_rows for group in self.groups])

    @property
    def counts(self):
        """Rows of each category in each cell: ndarray of shape (n_cells, sum of n_categories), int32."""
        return _total([group.counts for group in self.groups])

    def batches(self, n):
        """Slices of n cells whose tables are counted together."""
        return self.groups[0].batches(n)

    def cooccurrences(self, which, slab):
        """Tables of cells, as a `Counter` gives them."""
        return list(map(_total, zip(*(group.cooccurrences(which, slab) for group in self.groups), strict=True)))

    def partition(self, columns, categories):
        """Split the cells."""
        for group in self.groups:
            group.partition(columns, categories)

    def merge(self, tables):
        """Make the cells one again, each permuted by a table of its group, as `layer_of_groups` orders them."""
        of_groups = np.split(tables[:, : self.first_category[-1]], len(self.groups))
        for group, own in zip(self.groups, of_groups, strict=True):
            group.merge(own)


class CounterOfBlocks:
    """What a `Counter` tells of all rows in one cell, summed over blocks.

    Parameters
    ----------
    rows : RowsInBlocks
    n_categories : ndarray of shape (n_columns,), int32
    threads : int
    """

    def __init__(self, rows, n_categories, threads):
        def counters():
            return (Counter(codes, n_categories, threads) for codes in rows.blocks())

        first = next(counters())
        self.slabs, self.n_planes, self.plane_column = first.slabs, first.n_planes, first.plane_column
        self.first_category, self.first_plane = first.first_category, first.first_plane
        self._counters = counters

    @property
    def counts(self):
        """Rows of each category: ndarray of shape (1, sum of n_categories), int32."""
        return reduce(np.add, (counter.counts for counter in self._counters()))

    def cooccurrences(self, which, slab):
        """The table of the one cell, as a `Counter` gives it."""
        return [reduce(np.add, (counter.cooccurrences(which, slab)[0] for counter in self._counters()))]


def _total(arrays):
    return reduce(np.add, arrays)
