"""What adds up where averages do not: logistic regressions and a neural network, pooled with a mixture's average."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._ext import elementary
from ..densities.logarithmic import AVERAGE_ALONE, LogarithmicPool
from ..densities.trees import starts
from ..inference.estimates import blocks
from ..machine.parts import together
from .logistic import LogisticLearner, choose_penalties
from .multisets import at_most, n_parts_of, n_rows
from .neural import FEW_CELLS, MORE_PRECISION, MOST_CELLS, MOST_PASSES, PRECISION, VISITS, density_of, learn_network
from .pooling import gain_by_last, learn_exponents

MOST_REGRESSED = 100_000_000  # cells of rows that regressions and networks are learned from
MOST_HEARD = 20_000_000  # held-out rows times values of all columns, that exponents are learned from
BLOCK_VALUES = 2_000_000  # of which that is told at a time: all of a wide table would be a gigabyte
MORE_VISITS = 4  # times as many, by which the stronger prior is tried
ENOUGH_TRIED = 500  # held-out rows, by which the steps of a network are chosen
LEAST_GAIN = 3.0  # nats on these, that the shortest must gain, and a longer one more,
LEAST_MORE = 1e-4  # and of their negative log-likelihood,
LEAST_OF_LOSS = 5e-4  # of which the one that is chosen must have gained so much
MOST_MORE = 2e-3  # gained more by one, below which a still longer one is not worth its time


def add_voices(codes, weight, parts, known, seed, threads, told=None):
    """Averages of folds pooled with regressions and networks that are learned from as many rows, and what adds these.

    Pools are as they were if those are of no use. They are heard before there is an average of all rows, which takes as
    much memory.

    Parameters
    ----------
    codes : ndarray of shape (n_distinct, n_columns), uint8
    weight : ndarray of shape (n_distinct,), int32
        As `distinct` gives them.
    parts : list of Fold
    known : list of Pool
        Of each fold, learned from the rows outside it.
    seed, threads : int
    told : ndarray of shape (n_columns,), bool, or None
        Columns that are to be told; None for all.

    Returns
    -------
    known : list of Pool or LogarithmicPool
    add : callable or None
        Makes of a Pool that is learned from all rows what it is with others, learned from all rows too.
    """
    order, k = known[0].order, known[0].n_categories
    reference = np.array([np.bincount(codes[:, j], weight, n).argmax() for j, n in enumerate(k.tolist())], np.uint8)
    told = np.ones(len(k), dtype=bool) if told is None else told
    tables = [_as_many_as_are_enough(part.seen, part.weight, seed) for part in parts]

    def learner(rows, weight):
        return LogisticLearner(rows, k, order, reference, threads, weight, told)

    learners = [learner(*table) for table in tables]
    regressions = choose_penalties(learners, [part.unseen for part in parts])
    voices = [of.density(r) for of, r in zip(learners, regressions, strict=True)]
    heard = _Heard.of(known, voices, [part.unseen[: MOST_HEARD // int(k.sum())] for part in parts], told, threads)
    networks = _Networks(k, order, reference, told, seed, threads)
    parameters, visits, precision = _choose_networks(heard, networks, tables)
    exponent = heard.exponents([networks.density(each, told) for each in parameters])
    if not exponent[:, 1:].any():
        return known, None
    if not exponent[:, 5:].any():
        exponent, parameters = exponent[:, :5].copy(), []

    def pooled(average, voice, parameters):
        added = tuple(networks.density(each, exponent[:, 5] > 0) for each in parameters)
        return LogarithmicPool(k, average, voice, exponent, added)

    def add(whole):
        everything = _as_many_as_are_enough(codes, weight, seed)
        final = learner(*everything)
        voice = final.density(final.finish(regressions[0]))
        return pooled(whole, voice, networks.learned([everything], visits, precision) if parameters else [])

    of_folds = [[each] for each in parameters] or [[]] * len(known)
    return [pooled(*of) for of in zip(known, voices, of_folds, strict=True)], add


def _as_many_as_are_enough(rows, weight, seed):
    """Rows with their weights; not all distinct ones if these are very many."""
    if rows.size <= MOST_REGRESSED:  # of many repetitions none costs anything
        return rows, weight
    return at_most(rows, weight, MOST_REGRESSED // rows.shape[1], np.random.default_rng([seed, 0]))


@dataclass(frozen=True)
class _Networks:
    """What networks of a table have in common; their parameters are those of `learn_network`."""

    n_categories: np.ndarray
    order: np.ndarray
    reference: np.ndarray
    told: np.ndarray
    seed: int
    threads: int

    def learned(self, tables, visits, precision):
        """A network's parameters from each table of rows and weights, by so many visits of rows: list."""

        def learn(rows, weight):
            of = rows, self.n_categories, self.order, self.reference, self.told
            return learn_network(*of, visits, precision, self.seed, self.threads, weight)

        return together([partial(learn, *table) for table in tables])

    def density(self, parameter, heard):
        """The network of these parameters, that says something of the columns in which it is heard."""
        return density_of(parameter, self.n_categories, self.order, self.reference, heard)


@dataclass(frozen=True)
class _Heard:
    """What voices say of rows held out, fold after fold: as `pooling.apart` takes it.

    Attributes
    ----------
    order : ndarray of shape (n_told,), int32
        Columns that are told, in order.
    n_columns : int
        Of the table.
    unseen : list of ndarray of shape (n_rows, n_columns), uint8
    log_prob : list of ndarray of shape (4, n_rows, n_values), float64
    logits : list of ndarray of shape (n_rows, n_cells), float32
        Of the regressions.
    values : list of ndarray of shape (n_rows, n_told), uint8
    number : ndarray of shape (n_values,), int32
    first : ndarray of shape (n_told + 1,), int32
    threads : int
    """

    order: np.ndarray
    n_columns: int
    unseen: list
    log_prob: list
    logits: list
    values: list
    number: np.ndarray
    first: np.ndarray
    threads: int

    @classmethod
    def of(cls, pools, regressions, unseen, told, threads):
        """What the average and the regressions of each fold say of its rows, in columns ``told``."""
        order, k = pools[0].order, pools[0].n_categories
        places = told[order]
        asked, own = np.tile(np.where(places, 2, 0).astype(np.uint8), (3, 1)), np.repeat(places, k[order])
        shares = np.repeat(pools[0].share[order].T, k[order], axis=1)
        log_prob, logits = [], []
        for pool, voice, rows in zip(pools, regressions, unseen, strict=True):
            heard = np.empty((4, len(rows), int(own.sum())))
            for block in blocks(len(rows), len(own), BLOCK_VALUES):
                said = pool.distributions(rows[block], asked, threads)
                average = sum(s * part for s, part in zip(shares, said, strict=True))
                for to, prob in zip(heard, (average, *said), strict=True):
                    to[block] = elementary.log(np.ascontiguousarray(prob[:, own]))
            log_prob.append(heard)
            logits.append(voice.logits(rows, threads)[:, : voice.cells.n])
        told_in_order = order[places]
        values = [np.take(rows, told_in_order, axis=1) for rows in unseen]
        number, first = regressions[0].number_in_order[own], starts(k[told_in_order]).astype(np.int32)
        return cls(told_in_order, len(k), unseen, log_prob, logits, values, number, first, threads)

    @property
    def n_cells(self):
        """Cells of the table."""
        return self.logits[0].shape[1]

    def exponents(self, networks):
        """Exponents by rows of all folds, with a network of each, or none: (n_columns, n_voices)."""
        exponent = np.tile(AVERAGE_ALONE[: 6 if networks else 5], (self.n_columns, 1))
        log_prob, logits, values = self._with(networks, len(self.unseen))
        of = log_prob, logits, self.number, self.first, values
        exponent[self.order] = learn_exponents(*of, self.threads)
        return exponent

    def gain(self, networks):
        """What networks of the first folds add to the log-likelihood of their rows, and its negative without them."""
        log_prob, logits, values = self._with(networks, len(networks))
        return gain_by_last(log_prob, logits, self.number, self.first, values, self.threads)

    def _with(self, networks, n):
        """Of the first n folds, what is said by the voices that average, by those that add up; and the values."""
        added = [[of] for of in self.logits[:n]]
        for said, network, rows in zip(added, networks, self.unseen, strict=False):
            said.append(network.logits(rows, self.threads))
        # one fold is a large table's, of which a copy may be a gigabyte
        log_prob = self.log_prob[0] if n == 1 else np.concatenate(self.log_prob[:n], axis=1)
        values = np.ascontiguousarray(np.concatenate(self.values[:n]))
        return log_prob, np.concatenate(list(map(np.stack, added)), axis=1), values


def _choose_networks(heard, networks, tables):
    """A network's parameters from each table, or none; how many visits of rows were worth their time; the precision.

    Ever more visits are tried while that gains enough on rows of the first folds. Of a wide table more are tried then
    with the stronger prior, which takes longer to fit and to overfit.
    """
    n, most = n_parts_of(heard.unseen, ENOUGH_TRIED), MOST_PASSES * n_rows(*tables[0])
    chosen, visits, precision, gained, least = [], 0, PRECISION, 0.0, 0.0
    enough = heard.n_cells == 0 or heard.n_cells > MOST_CELLS

    def tried(visits, precision):
        learned = networks.learned(tables[:n], visits, precision)
        return learned, *heard.gain([networks.density(each, networks.told) for each in learned])

    for more in VISITS:
        if enough or min(more, most) < 2 * visits:
            break
        learned, gain, loss = tried(min(more, most), precision)
        if gain - gained < max(LEAST_GAIN, LEAST_MORE * loss):
            break
        enough = visits > 0 and gain - gained < MOST_MORE * loss
        chosen, visits, gained, least = learned, min(more, most), gain, LEAST_OF_LOSS * loss
    if chosen and heard.n_cells > FEW_CELLS:
        more = min(MORE_VISITS * visits, most)
        learned, gain, _ = tried(more, MORE_PRECISION)
        if gain - gained >= least:
            chosen, visits, precision, gained = learned, more, MORE_PRECISION, gain
    if gained < least:
        chosen = []
    return chosen + (networks.learned(tables[n:], visits, precision) if chosen else []), visits, precision
