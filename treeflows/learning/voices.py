"""The voices of a mixture, pooled by what they say of rows that are held out of them."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .._ext import elementary
from ..densities.logarithmic import LogarithmicPool, average_in
from ..densities.pool import Pool, trees_say
from ..machine.parts import together
from ..machine.progress import progress_bar
from .adding import add_voices
from .em import CountedStates, Learner
from .grown import GrownTrees
from .logistic import MOST_CELLS
from .multisets import Fold, at_most, distinct, repeated
from .pooling import learn_shares
from .prunings import average

MOST_ROWS = 50_000  # that EM learns from
LEAST_SHARE = 0.15  # of further trees, unless they gain so much:
LEAST_GAIN = 3.0  # nats on the rows held out
FEWEST_TREES, MOST_TREES = 8, 24  # of each column, that "auto" grows
SHORT_OF_ALL = 2e-3  # of the negative log-likelihood, that an average of further trees may be short of endlessly many


def learn_voices(
    codes,
    weight,
    held_out,
    n_categories,
    order,
    grow,
    n_trees,
    numbers,
    regressed,
    seed,
    threads,
    verbose,
    told=None,
    keep=True,
):
    """Pools of voices learned from all rows, and for each fold from the rows outside it; shares and exponents alike.

    Parameters
    ----------
    codes : ndarray of shape (n_distinct, n_columns), uint8
    weight : ndarray of shape (n_distinct,), int32
        As `distinct` gives them.
    held_out : list of Fold
        As `folds` gives them. If there are none, all rows say what the voices know that have seen them.
    n_categories, order : ndarray of shape (n_columns,), int32
    grow : callable
        Of rows, their weights, which trees, a range, and which columns' further trees may split: these trees in this
        order; 0 is that of the tree flow.
    n_trees : int or None
        Of each column; None for as many as help.
    numbers : list of int
        Numbers of states to try in turn, each twice the one before it.
    regressed : bool
        Whether there are logistic regressions and a neural network.
    seed : int
        Of what EM draws.
    threads, verbose : int
    told : ndarray of shape (n_columns,), bool, or None
        Columns that are to be told as well as can be; what is said of others, which tell of them, does not matter.
        None for all.
    keep : bool
        Whether what is known of each fold is wanted: of a wide table it takes as much memory as the whole.

    Returns
    -------
    whole : Pool or LogarithmicPool
    known : list of the same
        For each fold, if they are kept.
    """
    parts = held_out or [Fold(repeated(codes, weight), codes, weight)]
    place = np.argsort(order)
    places = slice(None) if told is None else np.flatnonzero(told[order])

    def hear(trees):
        heard = _heard(trees_say(of, part.unseen, threads) for of, part in zip(trees, parts, strict=True))
        return [np.ascontiguousarray(said[:, places]) for said in heard]

    trees = together([partial(grow, part.seen, part.weight, range(n_trees or FEWEST_TREES)) for part in parts])
    tree, forest = hear(trees)
    of_forest = _shares_of_forest(tree, forest) if len(trees[0]) > 1 else np.zeros(tree.shape[1])
    if n_trees is None:
        half = [of[: len(of) // 2] for of in trees]
        n_trees = _enough_trees((tree, hear(half)[1], len(half[0]) - 1), (tree, forest, len(trees[0]) - 1))
    splitting = np.zeros(len(order), dtype=np.uint8)
    splitting[order[places]] = of_forest > 0
    trees = [(one, *(other.with_roots(splitting) for other in further)) for one, *further in trees]
    more = range(len(trees[0]), n_trees)
    if more:  # exponents of fewer trees than the whole has would be too small
        others = together([partial(grow, part.seen, part.weight, more, splitting) for part in parts])
        trees = [of + its for of, its in zip(trees, others, strict=True)]
        forest = hear(trees)[1]
        of_forest = np.where(of_forest > 0, learn_shares(tree, forest), 0.0)
    grown = (1 - of_forest) * tree + of_forest * forest

    def learner(codes, weight):
        codes, weight = at_most(codes, weight, MOST_ROWS, np.random.default_rng([seed, 0]))
        return Learner(codes, n_categories, threads, weight)

    learners = [learner(part.seen, part.weight) for part in parts]

    def say(products):
        heard = ((of.conditionals(part.unseen, order, threads),) for of, part in zip(products, parts, strict=True))
        return np.ascontiguousarray(_heard(heard)[0][:, places])

    products, of_hidden, scores = _choose_states(learners, numbers, grown, say, seed, verbose)
    share = np.tile([1.0, 0.0, 0.0], (len(order), 1))
    share[places] = np.column_stack([(1 - of_hidden) * (1 - of_forest), (1 - of_hidden) * of_forest, of_hidden])
    tried, score = np.array(list(scores), dtype=np.int32), np.array(list(scores.values()))

    def pool(trees, products):
        return Pool(n_categories, trees, products, share[place], tried, score)

    known = [pool(*of) for of in zip(trees, products, strict=True)]
    add = None
    if regressed and held_out and np.sum(n_categories - 1) <= MOST_CELLS:
        known, add = add_voices(codes, weight, parts, known, seed, threads, told)
    if not keep:
        known = trees = []
    # rows that were held out come in: trees afresh, states from where they are
    improve = partial(learner(codes, weight).improve, products[0])
    trees, improved = together([partial(grow, codes, weight, range(n_trees), splitting), improve])
    whole = pool(trees, improved.by_weight())
    return add(whole) if add else whole, known if held_out and keep else []


def _enough_trees(fewer, more):
    """How many trees a column gets, by what the average of more further trees tells held-out rows better than of fewer.

    What an average of n is short of endlessly many falls as 1 / n, as the variance of a mean does. Both arguments are
    what the first tree says, what the further ones do, and how many these are.
    """

    def score(tree, forest, _):
        share = learn_shares(tree, forest)
        return float(elementary.log((1 - share) * tree + share * forest).sum(axis=1).mean())

    reached = score(*more)
    short = (reached - score(*fewer)) / (1 / fewer[2] - 1 / more[2])  # of one tree, nats a row
    enough = short / (SHORT_OF_ALL * -reached) if reached < 0 else 0.0
    return int(np.clip(np.ceil(enough) + 1, FEWEST_TREES, MOST_TREES))


def _shares_of_forest(tree, forest):
    """Shares of the further trees; none where what they tell of held-out rows may be chance.

    Trees of columns drawn keep leaves by the thousand of a table of noise, and a share of nearly nothing.
    """
    share = learn_shares(tree, forest)
    gain = (elementary.log((1 - share) * tree + share * forest) - elementary.log(tree)).sum(axis=0)
    return np.where((share < LEAST_SHARE) & (gain < LEAST_GAIN), 0.0, share)


def _heard(parts):
    """What each of several voices says of all held-out rows, from what they say of each fold."""
    return [np.concatenate(said) for said in zip(*parts, strict=True)]


def _choose_states(learners, numbers, grown, say, seed, verbose):
    """Mixtures of products that held-out rows like best, one of each learner; their share in each place; all scores.

    ``grown`` is the probability of their values by the trees, ``say(products)`` that by mixtures of products.
    """
    tried, scores = [], {0: float(elementary.log(grown).sum(axis=1).mean())}
    with progress_bar(len(numbers), "learning the hidden column", verbose) as progress:
        for n in numbers:
            starts = []
            for i, learner in enumerate(learners):
                draws = np.random.default_rng([seed, n, i] if i else [seed, n])
                starts.append(learner.split(tried[-1][1][i], draws) if tried else learner.start(n, draws))
            steps = zip(learners, starts, strict=True)
            products = together([partial(learner.improve, start) for learner, start in steps])
            hidden = say(products)
            share = learn_shares(grown, hidden)
            score = float(elementary.log((1 - share) * grown + share * hidden).sum(axis=1).mean())
            scores[n] = score
            tried.append((score, products, share))
            progress(len(tried))
            if len(tried) > 2 and max(tried[-2:], key=_score)[0] < max(tried, key=_score)[0]:
                break
    return *max(tried, key=_score)[1:], scores


def _score(tried):
    return tried[0]


@dataclass(frozen=True, eq=False)
class CountedVoices:
    """A pool of voices whose trees and hidden column go on counting rows; all else in it stays.

    Attributes
    ----------
    pool : Pool or LogarithmicPool
        As it was learned.
    trees : tuple of GrownTrees
        Those of the pool.
    states : CountedStates
        Its hidden column's.
    """

    pool: Pool | LogarithmicPool
    trees: tuple[GrownTrees, ...]
    states: CountedStates

    @classmethod
    def of(cls, pool, trees, codes, weight, threads=1):
        """A pool learned from rows that its trees know: ``codes`` and ``weight`` as `distinct` has them."""
        states = CountedStates.of(average_in(pool).products)
        return cls(pool, trees, states.counted(codes, weight, threads))

    @property
    def n_rows(self):
        """How many rows were counted: int."""
        return self.trees[0].n_rows

    def counted(self, codes, weight=None, threads=1):
        """With more rows, as `GrownTrees.counted` takes them."""
        codes, weight = distinct(codes, weight)
        trees = tuple(grown.counted(codes, weight, threads) for grown in self.trees)
        return replace(self, trees=trees, states=self.states.counted(codes, weight, threads))

    def emptied(self):
        """Before any row was counted."""
        trees = tuple(grown.emptied() for grown in self.trees)
        return replace(self, trees=trees, states=CountedStates.of(self.states.mixture))

    def density(self, threads=1):
        """The pool by all rows that were counted."""
        trees = tuple(average(grown, threads) for grown in self.trees)
        pool = replace(average_in(self.pool), trees=trees, products=self.states.improved())
        return replace(self.pool, average=pool) if isinstance(self.pool, LogarithmicPool) else pool
