"""How the rows of two sides differ: trees of columns that may ask for the side, against trees that may not.

A side is one more code column, of two categories. For each column a tree tells it given others, and by the average
over all prunings both trees have an evidence: how much more the one has that may ask for the side is a Bayes factor for
"given the others, this column differs between the sides".
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from .._ext import elementary
from ..machine.log_sums import logsumexp
from ..machine.progress import side_by_side
from .costs import cost_table
from .grown import grow
from .growth import Growth
from .prunings import COST_BITS, average

MIN_ROWS = 5  # of a leaf
ODDS = 3.0  # nats, from which on a place is told, and beyond what so many columns to choose from cost, one is to blame
MOST_WORK = 1e9  # rows times columns times categories, of the rows that trees grow from
STRONG = 30.0  # nats, with which a column is found before witnesses are heard
FEWEST_WITNESSED = 100  # rows of either side, for witnesses
MOST_WITNESSED = 6e7  # as `MOST_WORK`, of rows that witnesses are learned from and heard on
ERRORS, WITNESSED_ODDS = 3.5, 1.75  # standard errors at least, and as `ODDS`, from which on witnesses are believed
TREES, FEW_TREES, SUSPICIOUS = 8, 2, 0.5  # of a forest; so many first, and all if their score is above that
FOLDS = 5  # so many parts of the rows are told by trees of the others,
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
        return replace(self, codes=self.codes[chosen])

    def with_side(self, side):
        """The same rows, were they all of one side, or each of its own of an array."""
        codes = self.codes.copy()
        codes[:, -1] = side
        return replace(self, codes=codes)

    def grown(self, told, given, asks_side, growth=None, seed=0):
        """Trees that tell code columns, each given those of columns of the table, and those before it.

        Parameters
        ----------
        told : list of int
            Code columns.
        given : list of int
            Columns of the table.
        asks_side : bool
        growth : Growth or None
        seed : int

        Returns
        -------
        grown : GrownTrees
        """
        growth = growth or Growth(MIN_ROWS)
        before = [len(self.n_categories) - 1] * asks_side + [self.asked[i] for i in given]
        last = sorted(set(range(len(self.n_categories))) - {*before, *told})
        return grow(
            self.codes,
            self.n_categories,
            np.array([*before, *told, *last], dtype=np.int32),
            self._cost,
            **vars(growth) | {"max_features": growth.max_features(len(before) + len(told) - 1)},
            seed=seed,
            n_ordered=self.n_ordered,
            which=np.arange(len(before), len(before) + len(told), dtype=np.int32),
            n_threads=self.threads,
        )

    def conditionals(self, *how):
        """The trees that ``grown`` has, averaged over all their prunings: Conditionals of so many trees."""
        return average(self.grown(*how), self.threads)

    @cached_property
    def in_one_thread(self):
        """The same, for one of several that work side by side."""
        return replace(self, threads=1)

    @cached_property
    def _cost(self):
        return cost_table(len(self.codes), 1, COST_BITS)


class Factors:
    """Bayes factors of columns given others: evidence of trees that may ask for the side, against others.

    Parameters
    ----------
    sides : CodedSides
    """

    def __init__(self, sides):
        self.sides = sides
        self._known: dict[tuple, tuple] = {}
        self._given: dict[int, list] = {}  # the others when `worst` was asked last, and their trees were grown

    def of(self, j, given):
        """Log of the factor of a column given others, nats: float."""
        without, asking, _ = self._of(j, given)
        return asking - without

    def chain(self, order):
        """Log of the factors of columns, each given those before it, nats; others have 0: ndarray of (n_columns,)."""
        found = np.zeros(len(self.sides.told))
        self._learn([(j, order[:t]) for t, j in enumerate(order)])
        for t, j in enumerate(order):
            found[j] = self.of(j, order[:t])
        return found

    def worst(self, left, least):
        """The column, of some, of the greatest factor given the others, or None if none is above ``least``.

        Trees that did not ask for a column stay as they are when that is left out.
        """
        for j in left:
            given = _without(left, j)
            if j in self._given:
                asked = self._of(j, self._given[j])[2]
                if not any(self.sides.asked[i] in asked for i in self._given[j] if i not in given):
                    continue
            self._given[j] = given
        self._learn([(j, self._given[j]) for j in left])
        found = {j: self.of(j, self._given[j]) for j in left}
        worst = max(left, key=lambda j: found[j])
        return worst if found[worst] > least else None

    def overall(self, side=None):
        """Log of the factor for that the sides differ, whichever way they differ, nats: float.

        Every column may differ given those before it; or one column alone, by itself; or one alone, given all others.
        The factors of these are averaged: each way is as likely, and in it each column. So a difference of one column
        of many is not lost among the others, nor one that is small everywhere.

        Parameters
        ----------
        side : ndarray of shape (n_rows,), default=None
            Other sides to deal the rows to.
        """
        columns = self.sides.varying
        if not columns:
            return 0.0
        n = len(columns)
        asked = [(j, columns[:t]) for t, j in enumerate(columns)]  # the chain
        asked += [(j, []) for j in columns] + [(j, _without(columns, j)) for j in columns]
        self._learn(asked)
        if side is None:
            found = [self.of(*each) for each in asked]
        else:
            dealt = self.sides.with_side(side)
            tasks = [partial(_evidence, dealt.in_one_thread, j, given, True) for j, given in asked]
            of_dealt = side_by_side(tasks, dealt.threads)
            found = [asking - self._of(*each)[0] for each, (asking, _) in zip(asked, of_dealt, strict=True)]
        chain, alone, given_all = sum(found[:n]), np.array(found[n : 2 * n]), np.array(found[2 * n :])
        of_one = [logsumexp(factors) - elementary.log(float(len(columns))) for factors in (alone, given_all)]
        return float(logsumexp(np.array([chain, *of_one])) - elementary.log(3.0))

    def _of(self, j, given):
        """Evidence of the trees that may not ask for the side, and of those that may; code columns that either ask."""
        key = j, *given
        if key not in self._known:
            self._known[key] = _evidences(self.sides, j, given)
        return self._known[key]

    def _learn(self, asked):
        """What `_of` has of columns and those that they are given, many side by side."""
        new = {(j, *given): (j, given) for j, given in asked if (j, *given) not in self._known}
        tasks = [partial(_evidences, self.sides.in_one_thread, *each) for each in new.values()]
        self._known.update(zip(new, side_by_side(tasks, self.sides.threads), strict=True))


def _evidences(sides, j, given):
    """What `Factors` know of a column: evidence without and with questions for the side, and columns asked."""
    (without, asked), (asking, further) = (_evidence(sides, j, given, asks_side) for asks_side in (False, True))
    return without, asking, asked | further


def _evidence(sides, j, given, asks_side):
    """Evidence of a column's trees, nats, and the code columns that they ask."""
    grown = sides.grown(sides.told[j], given, asks_side)
    asked = np.unique(grown.shapes.column[grown.shapes.left > 0]).tolist()
    return float(average(grown, sides.threads).evidence.sum()), set(asked)


def columns_to_blame(factors, rng):
    """The columns to blame for what differs, in the order in which they are found: list of int.

    The column that differs most given all others is left out, and the others are asked again, until none is left that
    differs: then the columns that are left do not tell the sides apart. First a difference is what the evidence of
    trees says, then, where that finds no more, what held-out rows say of `Witnesses`.

    Parameters
    ----------
    factors : Factors
    rng : numpy.random.Generator
        Draws rows, of a table of more than are needed, and deals them to halves.
    """
    sides, blamed = factors.sides, []
    left = list(sides.varying)
    choice = float(elementary.log(np.array([len(left) or 1.0]))[0])
    least = ODDS + choice
    finders = [lambda: factors.worst(left, max(least, STRONG))]
    if min(np.bincount(sides.side, minlength=2)) >= FEWEST_WITNESSED:
        witnesses = Witnesses(at_most(sides, MOST_WITNESSED, rng), rng)
        finders.append(lambda: witnesses.worst(left, max(ERRORS, np.sqrt(2 * (WITNESSED_ODDS + choice)))))
    finders.append(lambda: factors.worst(left, least))
    for find in finders:
        while left and (worst := find()) is not None:
            left.remove(worst)
            blamed.append(worst)
    return blamed


def _without(columns, j):
    return [i for i in columns if i != j]


def at_most(sides, work, rng):
    """All rows, or as many as may be worked on, drawn; of either side as many, if it has them.

    Parameters
    ----------
    sides : CodedSides
    work : float
        Rows times columns times categories, at most.
    rng : numpy.random.Generator

    Returns
    -------
    sides : CodedSides
    """
    most = max(2, int(work / (len(sides.told) * sides.n_categories.sum())))
    if len(sides.codes) <= most:
        return sides
    rows = [np.flatnonzero(sides.side == side) for side in (0, 1)]
    least = min(min(map(len, rows)), most // 2)
    drawn = [rng.choice(of, min(len(of), most - least), replace=False) for of in rows]
    return sides.rows(np.sort(np.concatenate(drawn)))


class Witnesses:
    """What forests that are learned from one side say of a column given others: where sides differ, it differs.

    How much more probable a forest holds a value than the column's distribution by itself does, less what was to be
    expected of it, is 0 on average on both sides if the column is, given the others, what it is on the other: rows
    that the forest has not seen bear witness. Each part of the rows is told by forests of the others.

    Parameters
    ----------
    sides : CodedSides
    rng : numpy.random.Generator
    """

    def __init__(self, sides, rng):
        self.told, self.parts, self.threads = sides.told, [], sides.threads
        part = _dealt(sides, FOLDS, rng)
        for which in range(FOLDS):
            seen, unseen = (sides.in_one_thread.rows(rows) for rows in (part != which, part == which))
            self.parts.append((seen, [seen.rows(seen.side == side) for side in (0, 1)], unseen))
        self.scores: dict[int, tuple] = {}  # of each column, and the columns that it is given

    def worst(self, left, least):
        """The column, of some, of the greatest score given the others, or None if none is above ``least``.

        A score that was found when more columns were left counts until the column is the first of them; then it is
        found anew. Where no other is above, all are.
        """
        while True:
            stale = [j for j in left if j not in self.scores or self.scores[j][1] != len(left)]
            first = max(left, key=lambda j: self.scores[j][0] if j in self.scores else np.inf)
            if first not in stale:
                if self.scores[first][0] <= least and stale:
                    first = stale[0]
                else:
                    return first if self.scores[first][0] > least else None
            given = _without(left, first)
            score = self.score(first, given, FEW_TREES)
            if score > SUSPICIOUS:
                score = self.score(first, given, TREES)
            self.scores[first] = score, len(left)

    def score(self, j, given, n_trees):
        """By how many standard errors the means of the log-ratio differ.

        Parameters
        ----------
        j : int
        given : list of int
            Columns.
        n_trees : int
            Of each forest.

        Returns
        -------
        score : float
        """
        gap, variance = np.zeros(2), np.zeros(2)
        tasks = [
            partial(_forest, of, self.told[j], given, n_trees, unseen.codes)
            for _, of_sides, unseen in self.parts
            for of in of_sides
        ]
        told_by = list(side_by_side(tasks, self.threads))
        for (seen, _, unseen), *forests in zip(self.parts, told_by[::2], told_by[1::2], strict=True):
            alone = seen.conditionals(self.told[j], [], False)
            gain = np.zeros((2, len(unseen.codes)))
            for t, column in enumerate(self.told[j]):
                own = unseen.codes[:, [column]].astype(np.intp)
                pooled = elementary.exp(np.stack([forest[t] for forest in forests])).mean(axis=0)
                of_alone = elementary.log(alone.distribution(t, unseen.codes, unseen.threads))
                for i, forest in enumerate(forests):
                    more = forest[t] - of_alone
                    gain[i] += np.take_along_axis(more, own, axis=1)[:, 0] - (pooled * more).sum(axis=1)
            for side, sign in ((0, 1), (1, -1)):
                of = gain[:, unseen.side == side]
                gap += sign * of.mean(axis=1)
                variance += of.var(axis=1) / of.shape[1]
        score = gap * [1, -1] / np.sqrt(np.where(variance > 0, variance, np.inf))
        return float(score.max())


def _dealt(sides, n_parts, rng):
    """To which part each row is dealt, of either side as many to each: ndarray of (n_rows,), int64."""
    part = np.empty(len(sides.codes), dtype=np.int64)
    for side in (0, 1):
        rows = rng.permutation(np.flatnonzero(sides.side == side))
        part[rows] = np.arange(len(rows)) % n_parts
    return part


def _forest(sides, told, given, n_trees, codes):
    """Log-probabilities of code columns by trees that see drawn columns, pooled by geometric means.

    A list of ndarray of shape (n_rows, n_categories), of each code column given those before it.
    """
    trees = [
        sides.conditionals(told, given, False, Growth(MIN_ROWS).of_further_trees(), seed) for seed in range(n_trees)
    ]
    found = []
    for t in range(len(told)):
        pooled = sum(elementary.log(tree.distribution(t, codes, sides.threads)) for tree in trees) / n_trees
        found.append(pooled - logsumexp(pooled)[:, None])
    return found


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
    ratio = np.zeros((n, n_columns))
    n_folds = FOLDS if n * n_columns <= MOST_CELLS else FEW_FOLDS
    part = _dealt(sides, n_folds, rng)
    for fold in range(n_folds):
        seen, unseen = at_most(sides.rows(part != fold), MOST_WORK, rng), sides.rows(part == fold)
        if not len(seen.codes) or not len(unseen.codes):
            continue
        both = [unseen.with_side(side).codes for side in (0, 1)]
        tasks = [partial(_log_ratio, seen.in_one_thread, both, j, order[:t]) for t, j in enumerate(order)]
        for j, told in zip(order, side_by_side(tasks, sides.threads), strict=True):
            ratio[part == fold, j] = told
    return ratio


def _log_ratio(sides, both, j, given):
    """Log-ratio of a column's cells in rows that are once of the one side, and once of the other; 0 if it is theirs."""
    conditionals = sides.conditionals(sides.told[j], given, True)
    if not (conditionals.column == len(sides.n_categories) - 1).any():
        return 0.0
    first, second = (_log_probability(conditionals, codes, sides.threads) for codes in both)
    return first - second


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
    """Where the tree of a code column asks for the side and learns more than `ODDS`: list of Context, the most first.

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
            nats = _gain(sides.codes[rows, target], sides.side[rows])
            found += [Context(path, rows, nats)] * (nats > ODDS)
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
