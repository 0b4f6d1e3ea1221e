"""Draws of the cells that are not observed, which look ahead to those that are.

Sequential Monte Carlo along the order of the columns (Doucet and Johansen, "A tutorial on particle filtering and
smoothing", 2009), its targets twisted by what a forest says of the observed cells to come (Whiteley and Lee, Annals of
Statistics 42, 2014): in the forest every column depends on one before it (Chow and Liu, IEEE Transactions on
Information Theory 14, 1968), so that what lies ahead is a message from each column to the one that it depends on. The
forest is learned from the density's own samples. It guides the draws and no more: weights make up for what it lacks.
"""

from dataclasses import dataclass

import numpy as np

from .._ext import elementary, encoding
from ..machine.log_sums import logsumexp, softmax

MOST_SAMPLES, FEWEST_SAMPLES = 4096, 256  # that a forest is learned from, fewer the more pairs of columns there are:
PAIRS = 1_000_000_000  # pairs of cells to count
PRIOR = 1.0  # samples' worth of a column's own distribution that is added to each conditional one
FLOOR = 1e-3  # of a message, relative to its largest: the forest's word is not taken for certain


@dataclass(frozen=True, eq=False)
class Draws:
    """Weighted draws of whole rows that agree with what is observed of them.

    Attributes
    ----------
    codes : ndarray of shape (n_rows, n_draws, n_columns), uint8
    log_weight : ndarray of shape (n_rows, n_draws), float64
        Their mean weight is the probability of what is observed; nats.
    root : ndarray of shape (n_rows, n_draws), int64
        The draw of the first column that a draw goes back to: draws of one root are not independent.
    """

    codes: np.ndarray
    log_weight: np.ndarray
    root: np.ndarray

    @property
    def log_mean(self):
        """Log-probability of what is observed of each row, nats."""
        return logsumexp(self.log_weight, axis=1) - elementary.log(self.log_weight.shape[1])

    @property
    def effective(self):
        """Effective number of independent draws: one over the sum of squares of the roots' shares (Kong 1992).

        0 where no draw is possible.
        """
        n_rows, n_draws = self.log_weight.shape
        share = shares(self.log_weight)
        of_root = np.bincount((np.arange(n_rows)[:, None] * n_draws + self.root).ravel(), share.ravel(), share.size)
        squares = (of_root.reshape(share.shape) ** 2).sum(axis=1)
        return np.divide(1.0, squares, out=np.zeros(n_rows), where=squares > 0)

    @property
    def error(self):
        """Standard error of `log_mean`, nats: variance by the roots (Lee and Whiteley, Biometrika 105, 2018).

        At least one draw's worth, since what no draw has met may weigh as much.
        """
        one = 1 / self.root.shape[1]
        with np.errstate(divide="ignore"):
            return np.sqrt(np.maximum(1 / self.effective - one, 0.0)) + one

    def of(self, chosen):
        """The draws of some of the rows."""
        return Draws(self.codes[chosen], self.log_weight[chosen], self.root[chosen])

    def within(self, n_values):
        """The same draws, those with a code beyond the first ``n_values`` of its column weighing nothing."""
        beyond = (self.codes >= n_values).any(axis=2)
        return Draws(self.codes, np.where(beyond, -np.inf, self.log_weight), self.root)

    def resampled(self, n, rngs):
        """So many draws of each row, (n_rows, n, n_columns), all of the same weight."""
        rows = zip(self.codes, shares(self.log_weight), rngs, strict=True)
        return np.stack([codes[systematic(share, n, rng)] for codes, share, rng in rows])


def joined(parts):
    """Several draws of the same rows as one."""
    first = np.cumsum([0, *(part.root.shape[1] for part in parts)])
    return Draws(
        np.concatenate([part.codes for part in parts], axis=1),
        np.concatenate([part.log_weight for part in parts], axis=1),
        np.concatenate([start + part.root for start, part in zip(first, parts, strict=False)], axis=1),
    )


def shares(log_weight):
    """Weights that sum to one in each row; 0 where none is possible."""
    possible = log_weight.max(axis=1, keepdims=True) > -np.inf
    return np.where(possible, softmax(np.where(possible, log_weight, 0.0), axis=1), 0.0)


class Forest:
    """Every column given at most one before it.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_columns), uint8
    n_categories : ndarray of shape (n_columns,), int32
    order : ndarray of shape (n_columns,) or None
        None: each next column is the one that shares most information with one before it.

    Attributes
    ----------
    samples, order : ndarray
    parent : list of int
        By column, that on which it depends; -1 for none.
    tables : list of ndarray of shape (n_categories of the parent, n_categories)
        By column, its distribution given each value of its parent; one row if it has none.
    """

    def __init__(self, samples, n_categories, order=None):
        self.samples = samples
        information = _information(samples, n_categories)
        self.order = _spanning_order(information) if order is None else order
        self.parent, self.tables = [-1] * len(n_categories), [np.empty((0, 0))] * len(n_categories)
        for t, j in enumerate(self.order.tolist()):
            before = self.order[:t]
            if t and information[j, before].max() > 0:
                self.parent[j] = int(before[information[j, before].argmax()])
            k, s = int(n_categories[j]), self.parent[j]
            above = samples[:, s].astype(np.intp) if s >= 0 else np.zeros(len(samples), dtype=np.intp)
            k_above = int(n_categories[s]) if s >= 0 else 1
            counts = np.bincount(above * k + samples[:, j], minlength=k_above * k).reshape(k_above, k)
            own = (counts.sum(axis=0) + 1 / k) / (len(samples) + 1)
            counts = counts + PRIOR * own
            self.tables[j] = counts / counts.sum(axis=1, keepdims=True)

    def walk(self, codes, threads):
        """As that of an ordered density."""
        for j in self.order.tolist():
            s = self.parent[j]
            yield j, self.tables[j][codes[:, s] if s >= 0 else np.zeros(len(codes), dtype=np.intp)]

    def messages(self, codes, observed, within):
        """What the observed cells say of each column's value, from what depends on it.

        ``within`` is by column how much of each code may be, where it is not observed.

        Returns
        -------
        ahead : list of ndarray of shape (n_rows, n_categories)
            By column: how probable each of its values makes the observed cells that depend on it.
        told : list of ndarray of shape (n_rows, n_categories of the parent)
            By column: its part in ``ahead`` of its parent.
        """
        ahead = [np.ones((len(codes), table.shape[1])) for table in self.tables]
        told = [np.ones((len(codes), len(table))) for table in self.tables]
        for j, weight in within.items():
            ahead[j] = np.where(observed[:, [j]], 1.0, weight)
        for j in self.order[::-1].tolist():
            if self.parent[j] >= 0:
                table = self.tables[j]
                seen = np.where(observed[:, [j]], np.arange(table.shape[1]) == codes[:, [j]], 1.0)
                # of each row by itself: a product of matrices would round by the number of rows
                message = (table * (seen * ahead[j])[:, None, :]).sum(axis=2)
                told[j] = np.maximum(message / message.max(axis=1, keepdims=True), FLOOR)
                ahead[self.parent[j]] *= told[j]
        return ahead, told


def forest_of(density):
    """The forest of a density, learned from its samples."""
    n = int(np.clip(PAIRS // len(density.n_categories) ** 2, FEWEST_SAMPLES, MOST_SAMPLES))
    return Forest(density.sample(n, np.random.default_rng(0)), density.n_categories, density.order)


def draw_ahead(density, codes, observed, n_draws, rngs, threads, last=None, within=None):
    """Weighted draws of the cells that are not observed: of each row by itself, whatever the other rows are.

    Parameters
    ----------
    density : Density
    codes, observed : ndarray of shape (n_rows, n_columns), uint8 and bool
    n_draws : int
    rngs : sequence of Generator
        One for each row.
    threads : int
    last : ndarray of shape (n_rows,), int, or None
        Of an ordered density, how many columns, in order, count of each row: draws of the others are left out. None
        for all.
    within : dict of int to ndarray of shape (n_categories,), or None
        How much of each code of a column may be, where it is not observed.

    Returns
    -------
    draws : Draws
    """
    within = within or {}
    forest = density.forest
    ordered = density.order is not None
    n_rows, n_columns = codes.shape
    ahead, told = forest.messages(codes, observed, within)
    drawn = np.repeat(codes, n_draws, axis=0)
    log_weight, of_forest = np.zeros((2, n_rows, n_draws))
    root = np.tile(np.arange(n_draws), (n_rows, 1))
    end = np.full(n_rows, n_columns) if last is None or not ordered else last
    walk = (density.walk if ordered else forest.walk)(drawn, threads)
    exchanged = None
    for t in range(int(end.max(initial=0))):
        j, prob = walk.send(exchanged)
        is_drawn, uniform = ~observed[:, j], np.empty((n_rows, n_draws))
        for i in np.flatnonzero(is_drawn):
            rngs[i].random(out=uniform[i])
        of_column = np.ascontiguousarray(prob), ahead[j], uniform, is_drawn.view(np.uint8), told[j]
        total = encoding.draw_next(*of_column, j, forest.parent[j], drawn, threads)
        counts = t < end
        with np.errstate(divide="ignore"):
            log_weight[counts] += elementary.log(total[counts])
        if not ordered:
            taken = np.take_along_axis(prob, drawn[:, [j]].astype(np.intp), axis=1)
            of_forest += elementary.log(taken.reshape(n_rows, n_draws))
        exchanged = None
        share = shares(log_weight)
        for i in np.flatnonzero(ordered & counts & (t + 1 < end) & (2 * (share**2).sum(axis=1) * n_draws > 4)):
            exchanged = np.arange(len(drawn)) if exchanged is None else exchanged
            chosen = systematic(share[i], n_draws, rngs[i])
            exchanged[i * n_draws : (i + 1) * n_draws] = i * n_draws + chosen
            root[i] = root[i, chosen]
            log_weight[i] = logsumexp(log_weight[i]) - elementary.log(n_draws)
        if exchanged is not None:
            drawn[:] = drawn[exchanged]
    if not ordered:
        log_weight += density.score(drawn, threads).reshape(n_rows, n_draws) - of_forest
    draws = Draws(drawn.reshape(n_rows, n_draws, n_columns), log_weight, root)
    return draws if ordered else _or_samples(draws, forest.samples, codes, observed, within)


def _or_samples(draws, samples, codes, observed, within):
    """The draws; where little is observed, the density's own samples that agree with it, if those are worth more."""
    n_rows, n_draws, _ = draws.codes.shape
    samples = samples[:n_draws]
    agree = np.zeros((n_rows, n_draws))
    for i in range(n_rows):
        agree[i, : len(samples)] = (samples[:, observed[i]] == codes[i, observed[i]]).all(axis=1)
        for j, weight in within.items():
            if not observed[i, j]:
                agree[i, : len(samples)] *= weight[samples[:, j]]
    better = np.flatnonzero(agree.sum(axis=1) > draws.effective)
    draws.codes[better, : len(samples)] = samples
    with np.errstate(divide="ignore"):
        draws.log_weight[better] = elementary.log(agree[better]) + elementary.log(n_draws / len(samples))
    draws.root[better] = np.arange(n_draws)
    return draws


def systematic(share, n, rng):
    """Places of so many draws, each as often as its share of them, rounded."""
    return np.searchsorted(np.cumsum(share)[:-1], (np.arange(n) + rng.random()) / n, side="right")


def _information(samples, n_categories):
    """Mutual information of every two columns beyond what chance makes of it (Miller 1955), nats; 0 on the diagonal."""
    n, n_columns = samples.shape
    first = np.concatenate(([0], np.cumsum(n_categories)))
    cells = samples + first[:-1]
    log_count = elementary.log(np.maximum(np.arange(n + 1), 1))
    information = np.zeros((n_columns, n_columns))
    entropy = np.zeros(n_columns)  # n log n summed over values
    for j, k in enumerate(n_categories.tolist()):
        joint = np.bincount((cells[:, : j + 1] * k + samples[:, [j]]).ravel(), minlength=int(first[j + 1]) * k)
        spread = (joint * log_count[joint]).reshape(-1, k).sum(axis=1)
        sums = np.add.reduceat(spread, first[: j + 1])
        entropy[j] = sums[j]
        chance = (n_categories[:j] - 1.0) * (k - 1) / 2
        information[j, :j] = (sums[:j] - entropy[:j] - entropy[j]) / n + log_count[n] - chance / n
    return np.maximum(information + information.T, 0)


def _spanning_order(information):
    """Columns by Prim's algorithm for the tree of most information."""
    left = np.ones(len(information), dtype=bool)
    nearest = information.sum(axis=1)  # the first is the one that shares most with all others
    order = np.empty(len(information), dtype=np.intp)
    for t in range(len(order)):
        order[t] = np.where(left, nearest, -1.0).argmax()
        left[order[t]] = False
        nearest = information[order[t]] if t == 0 else np.maximum(nearest, information[order[t]])
    return order
