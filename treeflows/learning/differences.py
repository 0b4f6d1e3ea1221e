"""How the rows of two sides differ: trees of columns that may ask for the side, against trees that may not.

A side is one more code column, of two categories. For each column a tree tells it given others, and by the average
over all prunings both trees have an evidence: how much more the one has that may ask for the side is a Bayes factor for
"given the others, this column differs between the sides".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._ext import elementary
from .costs import cost_table
from .grown import grow
from .growth import Growth
from .prunings import COST_BITS, average

MIN_ROWS = 5  # of a leaf
ODDS = 3.0  # nats of evidence, beyond what so many columns to choose from cost, from which on a column is to blame
MOST_WORK = 5e8  # rows times columns times categories, of the rows by which columns are found
FOLDS = 5  # so many parts of the rows are scored by trees of the others,
FEW_FOLDS, MOST_CELLS = 2, 4_000_000  # or fewer of a larger table


@dataclass(frozen=True, eq=False)
class CodedSides:
    """Rows of two sides as codes.

    Attributes
    ----------
    codes : ndarray of shape (n_rows, n_codes), uint8
        In C order. The last code column is the side, 0 or 1.
    n_categories : ndarray of shape (n_codes,), int32
    n_ordered : ndarray of shape (n_codes,), int32
        How many of the first codes of each are in an order that trees may ask by.
    told : tuple of list of int
        Of each column of the table, the code columns that tell it, one after the other.
    asked : tuple of int
        Of each column of the table, the code column that others' trees ask.
    threads : int
    """

    codes: np.ndarray
    n_categories: np.ndarray
    n_ordered: np.ndarray
    told: tuple
    asked: tuple
    threads: int = 1

    @property
    def side(self):
        """The side of each row: ndarray of shape (n_rows,), uint8."""
        return self.codes[:, -1]

    @cached_property
    def varying(self):
        """Columns of the table that are not constant: list of int."""
        return [j for j, told in enumerate(self.told) if (self.n_categories[told] > 1).any()]

    def rows(self, chosen):
        """Some of the rows, by their numbers."""
        return CodedSides(
            np.ascontiguousarray(self.codes[chosen]),
            self.n_categories,
            self.n_ordered,
            self.told,
            self.asked,
            self.threads,
        )

    def with_side(self, side):
        """The same rows, were they all of one side, or each of its own of an array."""
        codes = self.codes.copy()
        codes[:, -1] = side
        return CodedSides(codes, self.n_categories, self.n_ordered, self.told, self.asked, self.threads)

    def grown(self, told, given, asks_side):
        """Trees that tell code columns, each given those of columns of the table, and those before it.

        Parameters
        ----------
        told : list of int
            Code columns.
        given : list of int
            Columns of the table.
        asks_side : bool

        Returns
        -------
        grown : GrownTrees
        """
        before = [len(self.n_categories) - 1] * asks_side + [self.asked[i] for i in given]
        last = sorted(set(range(len(self.n_categories))) - {*before, *told})
        return grow(
            self.codes,
            self.n_categories,
            np.array([*before, *told, *last], dtype=np.int32),
            self._cost,
            **vars(Growth(min_samples_leaf=MIN_ROWS)) | {"max_features": 0},
            seed=0,
            n_ordered=self.n_ordered,
            which=np.arange(len(before), len(before) + len(told), dtype=np.int32),
            n_threads=self.threads,
        )

    def conditionals(self, told, given, asks_side):
        """Those trees averaged over all their prunings: Conditionals of so many trees."""
        return average(self.grown(told, given, asks_side), self.threads)

    @cached_property
    def _cost(self):
        return cost_table(len(self.codes), 1, COST_BITS)


def evidence(sides, order, asks_side):
    """Log-evidence of the trees of columns, each given those before it: ndarray of shape (n_columns,), nats.

    Parameters
    ----------
    sides : CodedSides
    order : list of int
        The columns; others have 0.
    asks_side : bool
    """
    found = np.zeros(len(sides.told))
    for t, j in enumerate(order):
        found[j] = sides.conditionals(sides.told[j], order[:t], asks_side).evidence.sum()
    return found


def columns_to_blame(sides, rng):
    """The columns to blame for what differs, the worst first: list of int.

    The column whose Bayes factor given all others is largest is left out, and the others are asked again, until none
    has more than `ODDS`: after that, the columns that are left do not tell the sides apart.

    Parameters
    ----------
    sides : CodedSides
    rng : numpy.random.Generator
        Draws rows, of a table of more than are needed.
    """
    left, blamed = list(sides.varying), []
    n, most = len(sides.codes), MOST_WORK / (len(sides.told) * max(1, sides.n_categories.sum()))
    if n > most:
        sides = sides.rows(np.sort(rng.choice(n, int(most), replace=False)))
    least = ODDS + float(elementary.log(np.array([len(left) or 1.0]))[0])
    factor: dict[int, float] = {}
    asked: dict[int, set] = {}
    while left:
        for j in left:
            if j not in factor:
                given = [i for i in left if i != j]
                factor[j], asked[j] = _factor(sides, j, given)
        worst = max(left, key=lambda j: factor[j])
        if factor[worst] <= least:
            break
        left.remove(worst)
        blamed.append(worst)
        for j in left:  # trees that did not ask for it stay as they are
            if sides.asked[worst] in asked[j]:
                del factor[j]
    return blamed


def _factor(sides, j, given):
    """Bayes factor of a column given others, nats, and the code columns that its trees ask."""
    found, asked = [], set()
    for asks_side in (False, True):
        grown = sides.grown(sides.told[j], given, asks_side)
        asked.update(np.unique(grown.shapes.column[grown.shapes.left > 0]).tolist())
        found.append(float(average(grown, sides.threads).evidence.sum()))
    return found[1] - found[0], asked


def log_ratios(sides, order, rng):
    """Log-probability of each cell on the first side less that on the second, given the cells before it, nats.

    Parameters
    ----------
    sides : CodedSides
    order : list of int
        The columns.
    rng : numpy.random.Generator
        Deals the rows to parts, each of which is told by trees of the others.

    Returns
    -------
    ratio : ndarray of shape (n_rows, n_columns), float64
    """
    n, n_columns = len(sides.codes), len(sides.told)
    ratio, part = np.zeros((n, n_columns)), np.empty(n, dtype=np.int64)
    n_folds = FOLDS if n * n_columns <= MOST_CELLS else FEW_FOLDS
    for side in (0, 1):
        rows = np.flatnonzero(sides.side == side)
        part[rng.permutation(rows)] = np.arange(len(rows)) % n_folds
    for fold in range(n_folds):
        seen, unseen = sides.rows(part != fold), sides.rows(part == fold)
        if not len(seen.codes) or not len(unseen.codes):
            continue
        both = [unseen.with_side(side) for side in (0, 1)]
        for t, j in enumerate(order):
            conditionals = seen.conditionals(sides.told[j], order[:t], True)
            if (conditionals.column == len(sides.n_categories) - 1).any():
                told = [_log_probability(conditionals, of.codes, sides.threads) for of in both]
                ratio[part == fold, j] = told[0] - told[1]
    return ratio


def _log_probability(conditionals, codes, threads):
    """Log-probability of the code columns that trees tell, together: ndarray of shape (n_rows,), nats."""
    total = np.zeros(len(codes))
    for j, prob in conditionals.walk(codes, threads):
        total += elementary.log(np.take_along_axis(prob, codes[:, [j]].astype(np.intp), axis=1)[:, 0])
    return total


@dataclass(frozen=True, eq=False)
class Context:
    """Where the tree of a column asks for the side.

    Attributes
    ----------
    path : list of (int, int, int, bool)
        Code columns that are asked on the way, whether the code is between two, and the answer.
    rows : ndarray of int64
        That come there.
    nats : float
        By how much the likelihood of the column's values there is higher, of these rows, if each side has a
        distribution of its own.
    """

    path: list
    rows: np.ndarray
    nats: float


def contexts(sides, target, given):
    """Where the tree of a code column asks for the side: list of Context, that of most nats first.

    Parameters
    ----------
    sides : CodedSides
    target : int
        Code column.
    given : list of int
        Columns of the table.
    """
    tree, found = sides.conditionals([target], given, True), []
    stack: list = [(0, [], np.arange(len(sides.codes)))] if len(tree.column) else []
    while stack:
        node, path, rows = stack.pop()
        if node < 0:
            continue
        column, low, high = int(tree.column[node]), int(tree.low[node]), int(tree.high[node])
        if column == len(sides.n_categories) - 1:
            found.append(Context(path, rows, _gain(sides.codes[rows, target], sides.side[rows])))
            continue
        codes = sides.codes[rows, column]
        yes = (codes >= low) & (codes <= high)
        for child, answer in zip(tree.children[node].tolist(), (True, False), strict=True):
            stack.append((child, [*path, (column, low, high, answer)], rows[yes if answer else ~yes]))
    return sorted(found, key=lambda context: -context.nats)


def _gain(codes, side):
    """Log-likelihood of codes that each side has a distribution for, less that of one for both, nats."""

    def cost(codes):
        counts = np.bincount(codes)
        counts = counts[counts > 0].astype(np.float64)
        return float((counts * (elementary.log(counts.sum()) - elementary.log(counts))).sum())

    return cost(codes) - cost(codes[side == 0]) - cost(codes[side == 1])
