"""Learning densities of rows of numbers and codes: atoms, questions, destructors, trees of digits, shares."""

from copy import copy
from functools import partial

import numpy as np

from ..densities.digits import (
    MARGINAL_BITS,
    MARGINAL_LEVELS,
    MIXTURE_BITS,
    MIXTURE_LEVELS,
    CodeLayout,
    n_number_voices,
)
from ..densities.mixed import MixedDensity, shares_of
from ..densities.numbers import NumberColumns
from ..densities.trees import starts
from ..densities.walk import Walk
from ..machine.parts import called, together
from ..machine.progress import progress_bar
from .boosting import BoostingLearner
from .costs import cost_table
from .gaussians import MixtureLearner
from .growth import Growth, grow_on
from .marginals import between_quantiles, choose_n_knots, learn_marginals
from .multisets import by_hash, held_out_parts, of_one_spelling, parted
from .orders import context_first, informative_order, pairwise_information
from .pooling import learn_shares_of_voices
from .prunings import COST_BITS

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
MOST_CROSSED = 60_000  # cells of a table of which every row is held out once


def learn_mixed(values, is_number, n_categories, *, seed=0, **options):
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
    seed : int
        Of all that is drawn.
    **options
        As `learn_mixed_apart` takes them.

    Returns
    -------
    density : MixedDensity
        It depends on the rows as a multiset, and on the seed.
    """
    rng = np.random.default_rng(seed)
    table = shuffled(values, rng)
    held_out = held_out_parts(len(table), table.shape[1], MOST_CROSSED)
    return learn_mixed_apart(table, held_out, is_number, n_categories, rng=rng, **options)[0]


def shuffled(values, rng):
    """Rows in an order that is drawn, and depends on them as a multiset alone."""
    table = of_one_spelling(values)
    return table[by_hash(table.view(np.uint8))][rng.permutation(len(table))]


def learn_mixed_apart(
    table,
    held_out,
    is_number,
    n_categories,
    *,
    rng,
    step=None,
    bounds=None,
    may_lack=None,
    order=None,
    mixtures=MIXTURES,
    boosts=True,
    n_further=N_FURTHER,
    growth=None,
    learn_codes=None,
    n_context=0,
    threads=1,
    verbose=0,
):
    """Densities of rows of numbers and codes: of all, and for each fold of those outside it; shares are the same.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns), float64
        As `shuffled` gives them.
    held_out : list of slice
        Rows that are held out together; if there are none, all rows say what the voices know that have seen them.
    is_number, n_categories
        As `learn_mixed` takes them.
    rng : Generator
    step : array-like of shape (n_columns,), float64, or None
        Of columns of numbers that lie on a lattice the distance of neighbours, 0 of others; None for all 0.
    bounds : array-like of shape (2, n_columns), float64, or None
        The least and the greatest number that each column may have, on its lattice where it has one; infinite where any
        may be; None for all infinite.
    may_lack : array-like of shape (n_columns,), bool, or None
        Which columns of numbers may be missing, though here none is; None for those that are.
    order : array-like of shape (n_columns,), int, "evidence" or None
        The columns in order; "evidence" for the one of two of which trees have most evidence; None for that of the
        table.
    mixtures : sequence of (int, int)
        Of each mixture the number of states, and 1 if it is of normal scores, 0 if of the numbers themselves; of
        those that the table is long enough for, the last four are taken.
    boosts : bool
        Whether boosted trees tell numbers, too, where there are rows held out.
    n_further : int
        Trees of each code column that see drawn columns alone.
    growth : Growth or None
        None is as trees grow by default.
    learn_codes : callable or None
        What learns a pool of codes, of all rows and of those outside each `Fold`: of a table of codes, the folds, and
        by its columns the number of categories, how many are in order, and which are to be told; and a Generator. None
        for trees alone.
    n_context : int
        How many of the last columns, which are codes, are context: they come first, and are asked about alone.
    threads, verbose : int

    Returns
    -------
    whole : MixedDensity
    known : list of MixedDensity
        For each fold.
    """
    learner = MixedLearner(
        table, is_number, n_categories, step, bounds, may_lack, rng, order, n_further, growth, n_context, threads
    )
    every = np.arange(len(table))
    coded, *coded_apart = learner.learn_codes(learn_codes, held_out) if learn_codes else [()] * (1 + len(held_out))
    kinds = [(n, of_scores) for n, of_scores in mixtures if learner.can_have(n)][-MOST_MIXTURES:]
    with progress_bar(len(held_out) + 1, "learning numbers", verbose) as progress:
        seen = [np.delete(every, fold) for fold in held_out or [[]]]
        marginals = list(map(learner.marginal, seen))
        boosted, boost_all = learner.boost_apart(marginals, seen, held_out if boosts else [])
        folds = zip(seen, marginals, coded_apart or [coded], boosted, strict=True)
        known = together([partial(learner.learn, rows, kinds, *parts) for rows, *parts in folds], progress)
        share = learner.shares(known, held_out or [slice(0, len(table))])
        known = [density.with_shares(*share) for density in known]
        if not held_out:
            return known[0], []
        kept, n_mixtures = _kept(share, len(kinds)), len(kinds)
        of_kinds = [i for i in kept if i < n_mixtures]
        kinds, mixtures = [kinds[i] for i in of_kinds], [known[0].mixtures[i] for i in of_kinds]
        marginal = learner.marginal(every)
        boosted = boost_all(marginal) if n_mixtures in kept else ()
        density = learner.learn(every, kinds, marginal, coded, boosted, mixtures)
    return density.with_shares(*shares_of(kept, n_mixtures, *share)), known


def learn_trees_of_numbers(
    values,
    is_number,
    n_categories,
    *,
    step=None,
    bounds=None,
    may_lack=None,
    seed=0,
    order=None,
    growth=None,
    n_context=0,
    threads=1,
):
    """The density of rows of numbers and codes by one tree of each code column: MixedDensity.

    Parameters are those of `learn_mixed`.
    """
    rng = np.random.default_rng(seed)
    table = shuffled(values, rng)
    of = table, is_number, n_categories, step, bounds, may_lack, rng
    learner = MixedLearner(*of, order, 0, growth, n_context, threads)
    every = np.arange(len(table))
    density = learner.learn(every, [], learner.marginal(every))
    one = np.zeros(n_number_voices(0))
    one[len(MARGINAL_LEVELS) - 1] = 1.0
    return density.with_shares(np.tile([1.0, 0.0], (len(learner.k), 1)), np.tile(one, (len(learner.k), 1)))


def describe_numbers(table, is_number, n_categories, step, bounds, may_lack):
    """Kinds and questions of columns of numbers: NumberColumns."""
    n_columns, missing = table.shape[1], np.isnan(table).any(axis=0)
    missing = (missing if may_lack is None else missing | may_lack).astype(np.uint8)
    k, atoms, thresholds, origin = np.array(n_categories, dtype=np.int32), [], [], np.zeros(n_columns)
    low, high = bounds
    for j in range(n_columns):
        if not is_number[j]:
            atoms.append(np.empty(0))
            thresholds.append(np.empty(0))
            continue
        x = np.sort(table[~np.isnan(table[:, j]), j])
        atoms.append(_atoms(x, step[j]))
        thresholds.append(between_quantiles(x, N_QUANTILES))
        k[j] = len(atoms[j]) + missing[j] + 1
        origin[j] = x[0] if len(x) else 0.0
    return NumberColumns(
        k,
        is_number,
        missing * is_number,
        step,
        origin,
        low,
        high,
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


class MixedLearner:
    """Densities of some of the rows of a table.

    Parameters are those of `learn_mixed_apart`.
    """

    def __init__(
        self,
        table,
        is_number,
        n_categories,
        step,
        bounds,
        may_lack,
        rng,
        order,
        n_further,
        growth,
        n_context,
        threads,
    ):
        n_rows, n_columns = table.shape
        step = np.zeros(n_columns) if step is None else np.asarray(step, dtype=np.float64)
        bounds = [np.full(n_columns, end) for end in (-np.inf, np.inf)] if bounds is None else bounds
        is_number = np.asarray(is_number, dtype=np.uint8)
        self.numbers = numbers = describe_numbers(table, is_number, n_categories, step, bounds, may_lack)
        self.table, self.n_context, self.threads = table, n_context, threads
        self.growth, self.k = growth or Growth(), numbers.n_categories
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
        self.noise = rng.standard_normal((n_rows, numbers.is_number.sum()))  # what a mixture sees of atoms
        self.seeds = rng.integers(2**31, size=1 + n_further).tolist()
        self.order = context_first(np.arange(n_columns - n_context), n_context)
        if isinstance(order, str):
            self.order = self._order_of_most_evidence()
        elif order is not None:
            self.order = np.asarray(order, dtype=np.int32)

    @property
    def in_order(self):
        """Columns of numbers, in order."""
        return self.order[self.numbers.is_number[self.order] == 1]

    def _order_of_most_evidence(self):
        """That of the table, or that in which each next column shares most information with those before it."""
        orders = [self.order, self._informative_order()]
        if np.array_equal(*orders):
            return self.order
        alone, every, reached = copy(self), np.arange(len(self.table)), []
        alone.seeds, marginal = self.seeds[:1], self.marginal(every)
        for alone.order in orders:
            reached.append(alone.learn(every, [], marginal).trees[0].evidence.sum())
        return orders[int(np.argmax(reached))]

    def _informative_order(self):
        """By the columns' codes, or of numbers their kinds and what they answer to questions."""
        codes, k = np.empty(self.table.shape, dtype=np.uint8), self.k.copy()
        for j in range(len(k)):
            x = self.table[:, j]
            if not self.numbers.is_number[j]:
                codes[:, j] = x
                continue
            kind = self.numbers.kind_of(j, x)
            codes[:, j] = np.where(self.elsewhere[:, j], kind + self.numbers.questions(j, x), kind)
            k[j] += self.numbers.n_questions[j]
        cost = cost_table(len(codes), 1, COST_BITS)
        return informative_order(pairwise_information(codes, k, cost, self.threads), self.n_context)

    def can_have(self, n_states):
        """Whether the table is long enough for so many states, and not too big."""
        n, d = len(self.table), len(self.in_order)
        return d > 0 and n_states * (d + 1) <= n and min(n, 50_000) * n_states * (d + 1.0) ** 2 <= MOST_WORK

    def learn_codes(self, learn_codes, held_out):
        """Pools of codes and kinds: of all rows, and of those outside each fold; each is the only one, if any."""
        layout = CodeLayout(self.numbers, self.order, 0)
        told = np.zeros(len(layout.n_categories), dtype=bool)
        told[layout.places(False)] = True
        told &= layout.n_categories > 1
        told[: self.n_context] = False  # whose codes come first
        if not told.any():
            return [()] * (1 + len(held_out))
        codes = np.empty((len(self.table), len(told)), dtype=np.uint8)
        for j in range(len(self.k)):
            x = self.table[:, j]
            if self.numbers.is_number[j]:
                layout.write(
                    codes, j, self.numbers.kind_of(j, x), self.numbers.questions(j, x), np.zeros(len(x), dtype=int)
                )
            else:
                layout.write(codes, j, x.astype(np.uint8))
        parts = [parted(codes, rows) for rows in held_out]
        draws = np.random.default_rng(self.seeds[0])
        with called(layout.columns):
            whole, known = learn_codes(codes, parts, layout.n_categories, layout.n_ordered, told, draws)
        return [(whole,), *((pool,) for pool in known)]

    def marginal(self, rows):
        """The marginal densities of some rows: MarginalDestructor."""
        columns = [
            self.spread[rows, j][self.elsewhere[rows, j]] if self.numbers.is_number[j] else None
            for j in range(len(self.k))
        ]
        return learn_marginals(columns, self.n_knots, self.k)

    def boost_apart(self, marginals, seen, held_out):
        """What is boosted from the rows outside each fold, at most one each, and what boosts all rows by a marginal."""
        if not held_out or not len(self.in_order):
            return [()] * len(seen), None
        learner = BoostingLearner(self.table, self.numbers, self.order, self.threads)
        every = np.arange(len(self.table))

        def scores(marginal):
            z = np.full((len(every), len(self.in_order)), np.nan)
            for t, j in enumerate(self.in_order.tolist()):
                has = self.elsewhere[:, j]
                z[has, t] = marginal.scores(j, self.spread[has, j])
            return z

        trees = [
            learner.boost(scores(marginal), rows, every[fold])
            for marginal, rows, fold in zip(marginals, seen, held_out, strict=True)
        ]
        by_number = list(zip(*trees, strict=True))
        if not any(len(of.n_inner) for each in by_number for of in each):
            return [()] * len(seen), None
        of_left = learner.scales([np.concatenate([of.left for of in each]) for each in by_number])
        rounds = [round(np.mean([len(of.n_inner) for of in each])) for each in by_number]

        def boost_all(marginal):
            return (learner.density(learner.boost(scores(marginal), every, rounds=rounds), *of_left),)

        return [(learner.density(each, *of_left),) for each in trees], boost_all

    def learn(self, rows, kinds, marginal, coded=(), boosted=(), mixtures=None):
        """The density of some rows, with equal shares; mixtures of kinds (states, of scores), anew or from others."""

        def learn_mixture(i, n_states, of_scores):
            learner = self._mixture_learner(rows, marginal, of_scores)
            draws = np.random.default_rng([self.seeds[0], n_states, of_scores])
            return learner.improve(mixtures[i]) if mixtures else learner.learn(n_states, draws)

        learned = together([partial(learn_mixture, i, *kind) for i, kind in enumerate(kinds)])
        bare = MixedDensity(
            n_categories=self.k,
            order=self.order,
            numbers=self.numbers,
            smooth=marginal,
            trees=(),
            coded=coded,
            mixtures=tuple(learned),
            boosted=boosted,
            residuals=(),
            of_scores=np.array([of_scores for _, of_scores in kinds], dtype=np.uint8),
            code_share=_equal_code_share(len(self.k), len(coded), len(kinds)),
            number_share=_equal(len(self.k), n_number_voices(len(kinds) + len(boosted))),
        )
        codes, *residual_codes = bare.code_tables(self.spread[rows], self.threads)
        layout = CodeLayout(self.numbers, self.order, MARGINAL_BITS)
        of_residuals = CodeLayout(self.numbers, self.order, MIXTURE_BITS)
        growth, first, told_apart = self.growth, self.seeds[0], bool(coded)  # codes and kinds are
        grow = [partial(grow_on, codes, layout, told_apart, growth, first)]
        grow += [partial(grow_on, codes, layout, told_apart, growth.of_further_trees(), s) for s in self.seeds[1:]]
        grow += [partial(grow_on, codes, of_residuals, True, growth, first) for codes in residual_codes]
        grown = together([partial(task, self.threads) for task in grow])
        return bare.with_trees(tuple(grown[: len(self.seeds)]), tuple(grown[len(self.seeds) :]))

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
        heard = known[0].code_share[0] > 0
        code_share = np.zeros(known[0].code_share.shape)
        code_share[:, heard] = learn_shares_of_voices(of_codes, int(heard.sum()), False)
        return code_share, learn_shares_of_voices(of_numbers, known[0].number_share.shape[1], True)


def _equal(n_columns, n_voices):
    return np.full((n_columns, n_voices), 1 / n_voices)


def _equal_code_share(n_columns, n_pools, n_mixtures):
    """Shares of code voices: trees have none where a pool tells codes, which has trees of its own."""
    heard = np.concatenate([np.full(2, n_pools == 0), np.full(n_pools + n_mixtures, True)])
    return np.tile(heard / heard.sum(), (n_columns, 1))


def _kept(share, n_mixtures):
    """Mixtures that have a share anywhere, and if what is boosted has one, their number."""
    of_codes, of_numbers = (s.max(axis=0) for s in share)
    kept = of_numbers[n_number_voices(0) :].reshape(-1, len(MIXTURE_LEVELS)).max(axis=1) > 0
    kept[:n_mixtures] |= of_codes[len(of_codes) - n_mixtures :] > 0
    return np.flatnonzero(kept).tolist()
