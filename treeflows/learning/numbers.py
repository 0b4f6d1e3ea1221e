"""Learning densities of rows of numbers and codes: atoms, questions, destructors, trees of digits, shares."""

import numpy as np

from ..densities.conditionals import Conditionals
from ..densities.digits import MARGINAL_BITS, MIXTURE_BITS, CodeLayout, n_number_voices
from ..densities.mixed import MixedDensity
from ..densities.numbers import NumberColumns
from ..densities.trees import starts
from ..densities.walk import Walk
from ..machine.progress import progress_bar
from .costs import cost_table
from .gaussians import MixtureLearner
from .marginals import choose_n_knots, learn_marginals
from .multisets import by_hash, held_out_parts
from .pooling import learn_shares_of_voices
from .prunings import COST_BITS, NO_LIMIT, learn_conditionals

N_QUANTILES = 32  # between which the thresholds of questions lie
ATOM_SHARE = 0.001  # of the rows, that a value must have to be an atom, and at least so many:
ATOM_ROWS = 5
ATOM_EXCESS = 3.0  # times as many as the values next to it on a lattice
NEIGHBOURS = 3  # on each side
MOST_ATOMS = 64
MIXTURES = (4, 1), (16, 1), (64, 1), (16, 0), (64, 0)  # numbers of states, and whether of normal scores
MOST_MIXTURES = 4  # of those that a table is long enough for, the last
MOST_WORK = 4e9  # rows times states times numbers squared, beyond which a mixture is not tried
N_FURTHER = 3  # trees of each code column
DRAWN = 0.2  # of all code columns at each split of theirs, and at least so many:
FEWEST_DRAWN = 4
DRAWN_PRIOR_SPLIT = 5.0
MIN_ROWS = 10  # of a leaf
MOST_CROSSED = 60_000  # cells of a table of which every row is held out once


def learn_mixed(
    values, is_number, n_categories, *, step=None, order=None, mixtures=MIXTURES, seed=0, threads=1, verbose=0
):
    """Learn the density of rows of numbers and codes.

    The voices are learned from some of the rows, and say what they think of the others, from which the shares are
    learned; then from all.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), float64
        Codes as they are; numbers, finite, or NaN where missing.
    is_number : array-like of shape (n_columns,), bool
    n_categories : array-like of shape (n_columns,), int
        Of the columns of codes; what is said of others is not read.
    step : array-like of shape (n_columns,), float64, or None
        Of columns of numbers that lie on a lattice the distance of neighbours, 0 of others; None for all 0.
    order : array-like of shape (n_columns,), int, or None
        The columns in order; None for that of the table.
    mixtures : sequence of (int, int)
        Of each mixture the number of states, and 1 if it is of normal scores, 0 if of the numbers themselves; of
        those that the table is long enough for, the last four are taken.
    seed : int
        Of all that is drawn.
    threads, verbose : int

    Returns
    -------
    density : MixedDensity
        It depends on the rows as a multiset, and on the seed.
    """
    n_rows, n_columns = values.shape
    rng = np.random.default_rng(seed)
    table = np.where(np.isnan(values), np.nan, values) + 0.0  # one NaN, one zero
    in_order = by_hash(np.ascontiguousarray(table).view(np.uint8))  # whatever order the rows come in
    table = table[in_order][rng.permutation(n_rows)]
    is_number = np.asarray(is_number, dtype=np.uint8)
    step = np.zeros(n_columns) if step is None else np.asarray(step, dtype=np.float64)
    order = np.arange(n_columns) if order is None else np.asarray(order)
    numbers = describe_numbers(table, is_number, n_categories, step)
    learner = MixedLearner(table, numbers, order.astype(np.int32), rng, threads)
    held_out = held_out_parts(n_rows, n_columns, MOST_CROSSED)
    kinds = [(n, of_scores) for n, of_scores in mixtures if learner.can_have(n)][-MOST_MIXTURES:]
    with progress_bar(len(held_out) + 1, "learning numbers", verbose) as progress:
        known = []
        for fold in held_out or [None]:
            rows = np.arange(n_rows) if fold is None else np.delete(np.arange(n_rows), fold)
            known.append(learner.learn(rows, kinds))
            progress(len(known))
        share = learner.shares(known, held_out or [slice(0, n_rows)])
        if not held_out:
            return known[0].with_shares(*share)
        kept = _kept(share, len(kinds))
        density = learner.learn(np.arange(n_rows), [kinds[i] for i in kept], [known[0].mixtures[i] for i in kept])
        return density.with_shares(*_of_kept(share, kept))


def describe_numbers(table, is_number, n_categories, step):
    """Kinds and questions of columns of numbers: NumberColumns."""
    n_columns, missing = table.shape[1], np.isnan(table).any(axis=0).astype(np.uint8)
    k, atoms, thresholds, origin = np.array(n_categories, dtype=np.int32), [], [], np.zeros(n_columns)
    for j in range(n_columns):
        if not is_number[j]:
            atoms.append(np.empty(0))
            thresholds.append(np.empty(0))
            continue
        x = np.sort(table[~np.isnan(table[:, j]), j])
        atoms.append(_atoms(x, step[j]))
        thresholds.append(_thresholds(x))
        k[j] = len(atoms[j]) + missing[j] + 1
        origin[j] = x[0] if len(x) else 0.0
    return NumberColumns(
        k,
        is_number,
        missing * is_number,
        step,
        origin,
        starts([len(a) for a in atoms]),
        np.concatenate(atoms),
        starts([len(t) for t in thresholds]),
        np.concatenate(thresholds),
    )


def _atoms(x, step):
    """Values that recur so often that they are categories of their own; of a lattice, more often than those nearby."""
    value, count = np.unique(x, return_counts=True)
    enough = max(2, min(len(x), max(ATOM_ROWS, ATOM_SHARE * len(x))))
    recurs = count >= enough
    if step > 0 and len(value) > 1:
        sums, last = np.concatenate(([0], np.cumsum(count))), len(value) - 1
        low, high = np.maximum(np.arange(last + 1) - NEIGHBOURS, 0), np.minimum(np.arange(last + 1) + NEIGHBOURS, last)
        nearby = sums[high + 1] - sums[low] - count
        steps = np.maximum((value[high] - value[low]) / step, 1)
        recurs &= count > ATOM_EXCESS * nearby / steps
    chosen = np.flatnonzero(recurs)
    most = chosen[np.argsort(-count[chosen], kind="stable")[:MOST_ATOMS]]
    return value[np.sort(most)]


def _thresholds(x):
    """What to ask of sorted values: on which side of quantiles they lie, between two values, so that none is near."""
    value, count = np.unique(x, return_counts=True)
    if len(value) < 2:
        return np.empty(0)
    quantiles = len(x) * np.arange(1, N_QUANTILES) // N_QUANTILES
    at = np.unique(np.searchsorted(np.cumsum(count), quantiles, side="right"))
    at = at[at < len(value) - 1]
    return np.unique(value[at] / 2 + value[at + 1] / 2)


class MixedLearner:
    """Densities of some of the rows of a table.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns), float64
    numbers : NumberColumns
    order : ndarray of shape (n_columns,), int32
    rng : Generator
    threads : int
    """

    def __init__(self, table, numbers, order, rng, threads):
        self.table, self.numbers, self.order, self.threads = table, numbers, order, threads
        n_rows, n_columns = table.shape
        self.k, self.in_order = numbers.n_categories, order[numbers.is_number[order] == 1]
        self.elsewhere = np.zeros(table.shape, dtype=bool)
        cells = np.zeros(table.shape, dtype=np.int32)
        first = starts(self.k)
        spread = table.copy()  # over the cells of lattices
        n_knots = []
        for j in range(n_columns):
            kind = numbers.kind_of(j, table[:, j]) if numbers.is_number[j] else table[:, j].astype(np.uint8)
            cells[:, j] = first[j] + kind
            n_knots.append(0)
            if numbers.is_number[j]:
                has = self.elsewhere[:, j] = kind == self.k[j] - 1
                if numbers.step[j] > 0:
                    spread[has, j] += numbers.step[j] * (rng.random(has.sum()) - 0.5)
                n_knots[j] = choose_n_knots(spread[has, j], rng)
        self.spread, self.n_knots, self.cells = spread, n_knots, cells[:, self.k > 1]
        self.noise = rng.standard_normal((n_rows, len(self.in_order)))  # what a mixture sees of atoms
        self.seeds = rng.integers(2**31, size=1 + N_FURTHER).tolist()

    def can_have(self, n_states):
        """Whether the table is long enough for so many states, and not too big."""
        n, d = len(self.table), len(self.in_order)
        return d > 0 and n_states * (d + 1) <= n and min(n, 50_000) * n_states * (d + 1.0) ** 2 <= MOST_WORK

    def learn(self, rows, kinds, mixtures=None):
        """The density of some rows, with equal shares; mixtures of kinds (states, of scores), anew or from others."""
        columns = [
            self.spread[rows, j][self.elsewhere[rows, j]] if self.numbers.is_number[j] else None
            for j in range(len(self.k))
        ]
        marginal = learn_marginals(columns, self.n_knots, self.k)
        learned = []
        for i, (n_states, of_scores) in enumerate(kinds):
            learner = self._mixture_learner(rows, marginal, of_scores)
            draws = np.random.default_rng([self.seeds[0], n_states, of_scores])
            learned.append(learner.improve(mixtures[i] if mixtures else learner.start(n_states, draws)))
        bare = MixedDensity(
            n_categories=self.k,
            order=self.order,
            numbers=self.numbers,
            smooth=marginal,
            trees=(),
            mixtures=tuple(learned),
            residuals=(),
            of_scores=np.array([of_scores for _, of_scores in kinds], dtype=np.uint8),
            code_share=_equal(len(self.k), 2 + len(kinds)),
            number_share=_equal(len(self.k), n_number_voices(len(kinds))),
        )
        codes, *residual_codes = bare.code_tables(self.spread[rows], self.threads)
        layout = CodeLayout(self.numbers, self.order, MARGINAL_BITS)
        drawn = max(FEWEST_DRAWN, round(DRAWN * len(layout.n_categories)))
        further = [self._grow(codes, layout, False, drawn, seed) for seed in self.seeds[1:]]
        trees = self._grow(codes, layout, False), *further
        layout = CodeLayout(self.numbers, self.order, MIXTURE_BITS)
        return bare.with_trees(trees, tuple(self._grow(codes, layout, True) for codes in residual_codes))

    def _mixture_learner(self, rows, marginal, of_scores):
        z, n = self.noise[rows].copy(), len(self.in_order)
        centre, scale = np.zeros(n), np.ones(n)
        for t, j in enumerate(self.in_order.tolist()):
            has = self.elsewhere[rows, j]
            x = self.spread[rows, j][has]
            if of_scores:
                z[has, t] = marginal.scores(j, x)
            elif len(x):
                u = marginal.units(j, x)
                centre[t] = u.mean()
                scale[t] = max(np.sqrt(((u - centre[t]) ** 2).mean()), 2.0**-40)
                z[has, t] = (u - centre[t]) / scale[t]
        return MixtureLearner(z, self.cells[rows], self.k, centre, scale, self.threads)

    def _grow(self, codes, layout, digits_alone, drawn=0, seed=0) -> Conditionals:
        """Trees of digits; unless they are told alone, of codes and kinds too."""
        k, splitting = layout.n_categories, np.zeros(len(layout.n_categories), dtype=np.uint8)
        splitting[layout.places(digits_alone)] = 1  # the others are asked about, and told by their counts alone
        cost, _ = cost_table(len(codes), 1, COST_BITS)
        return learn_conditionals(
            codes,
            k,
            np.arange(len(k), dtype=np.int32),
            cost,
            min_samples_leaf=MIN_ROWS,
            max_depth=NO_LIMIT,
            max_features=drawn,
            seed=seed,
            prior_split=DRAWN_PRIOR_SPLIT if drawn else 1.0,
            smoothing="evidence",
            n_ordered=layout.n_ordered,
            splitting=splitting,
            n_threads=self.threads,
        )

    def shares(self, known, held_out):
        """Shares of the voices of codes, and of numbers, by what densities say of rows that they have not seen."""
        of_codes, of_numbers = [[] for _ in self.k], [[] for _ in self.k]
        for density, fold in zip(known, held_out, strict=True):
            rows = self.table[fold]
            walk = Walk(density, len(rows), self.threads)
            for j in self.order.tolist():
                x = rows[:, j]
                number = self.numbers.is_number[j]
                kind = self.numbers.kind_of(j, x) if number else x.astype(np.uint8)
                if self.k[j] > 1:
                    of_codes[j].append(np.stack([v[np.arange(len(x)), kind] for v in walk.code_voices(j)]))
                has = np.flatnonzero(kind == self.k[j] - 1)
                if number and len(has):
                    of_numbers[j].append(walk.numbers_say(j, x[has], has))
                walk.observe(j, x)
        n_codes, n_numbers = known[0].code_share.shape[1], known[0].number_share.shape[1]
        return (
            learn_shares_of_voices(of_codes, n_codes, False),
            learn_shares_of_voices(of_numbers, n_numbers, True),
        )


def _equal(n_columns, n_voices):
    return np.full((n_columns, n_voices), 1 / n_voices)


def _kept(share, n_mixtures):
    """Mixtures that have a share anywhere."""
    of_codes, of_numbers = (s.max(axis=0) for s in share)
    each = (of_numbers.shape[0] - n_number_voices(0)) // n_mixtures if n_mixtures else 0
    by_numbers = of_numbers[n_number_voices(0) :].reshape(n_mixtures, each).max(axis=1, initial=0.0)
    return np.flatnonzero((of_codes[2:] > 0) | (by_numbers > 0)).tolist()


def _of_kept(share, kept):
    """Shares without those of mixtures that have none."""
    of_codes, of_numbers = share
    first = n_number_voices(0)
    each = n_number_voices(1) - first
    numbers = [*range(first), *(first + each * i + v for i in kept for v in range(each))]
    return of_codes[:, [0, 1, *(2 + i for i in kept)]], of_numbers[:, numbers]
