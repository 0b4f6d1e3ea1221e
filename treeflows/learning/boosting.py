"""Learning places of numbers by boosted trees, which add up, from the columns before them."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from .._ext import boosting, elementary
from ..densities.boosted import FACTORS, MOST_CUTS, UNIT, BoostedDestructor, cut_up, deviations
from ..densities.destructors import LOG_SQRT_2PI
from ..densities.trees import starts
from .marginals import between_quantiles
from .pooling import learn_shares_of_voices

MOST_ROUNDS = 200
PATIENCE = 10  # rounds that may come to nothing for the rows held out, before they end
N_LEAVES = 31
MIN_ROWS = 20  # of a leaf
RIDGE = 1  # rows' worth of nothing in each leaf
SLOWNESS = 10  # a tree says so many times less than it would alone
FURTHEST = 6.0  # normal score that is learned from
LEAST_SCALE = 1e-6  # of what is left, normal scores
LEAST_WEIGHT = 1e-6


class Told(NamedTuple):
    """Trees of one number as `boosting.boost` gives them, and what they leave of rows that are held out."""

    n_inner: np.ndarray
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    children: np.ndarray
    value: np.ndarray
    left: np.ndarray


class BoostingLearner:
    """Boosted trees on rows of one table.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns), float64
    numbers : NumberColumns
    order : ndarray of shape (n_columns,), int32
    threads : int
    """

    def __init__(self, table, numbers, order, threads):
        self.numbers, self.order, self.threads = numbers, order, threads
        self.place = np.flatnonzero(numbers.is_number[order])  # of each number
        self.codes, self.n_codes = np.empty(table.shape, dtype=np.uint8), numbers.n_categories.copy()
        self.n_ordered, cuts = numbers.n_categories.copy(), []
        n_quantiles = min(MOST_CUTS + 1, len(table) // MIN_ROWS)
        for j, x in enumerate(table.T):
            cuts.append(np.empty(0))
            if not numbers.is_number[j]:
                self.codes[:, j] = x
                continue
            cuts[j] = between_quantiles(np.sort(x[~np.isnan(x)]), n_quantiles)
            self.codes[:, j] = cut_up(cuts[j], x)
            self.n_ordered[j], self.n_codes[j] = len(cuts[j]) + 1, len(cuts[j]) + 2
        self.first_cut, self.cut = starts([len(each) for each in cuts]), np.concatenate(cuts)

    def boost(self, scores, seen, unseen=(), rounds=None):
        """Trees of each number, in order, from rows that are seen: list of Told.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_numbers), float64
            Normal scores of all rows in order; NaN where a number does not lie elsewhere.
        seen, unseen : ndarray of int
            Numbers of rows; those unseen say how many trees there are.
        rounds : sequence of int, or None
            How many there are of each number, where none are unseen.
        """
        target = np.rint(np.clip(scores, -FURTHEST, FURTHEST) * UNIT)

        def of(i, rows):
            """Codes of the columns before a number, and its targets, where rows have them."""
            rows = np.asarray(rows, dtype=np.intp)
            rows = rows[~np.isnan(scores[rows, i])]
            before = self.order[: self.place[i]]
            return np.ascontiguousarray(self.codes[rows][:, before]), target[rows, i].astype(np.int32)

        def boosted(i):
            before, (codes, left), (others, of_others) = self.order[: self.place[i]], of(i, seen), of(i, unseen)
            n_inner, column, low, high, children, value = boosting.boost(
                codes,
                self.n_codes[before],
                self.n_ordered[before],
                left,
                others,
                of_others,
                MOST_ROUNDS if rounds is None else rounds[i],
                PATIENCE,
                N_LEAVES,
                MIN_ROWS,
                RIDGE,
                SLOWNESS,
            )
            return Told(n_inner, before[column], low, high, children, value, of_others / UNIT)

        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(boosted, range(len(self.place))))

    def scales(self, left):
        """Weights and scales of what is left of each number in rows held out, a list of ndarray for each."""
        scale = np.array([max(np.sqrt((each**2).mean()) if len(each) else 0.0, LEAST_SCALE) for each in left])
        said = []
        for each, s in zip(left, scale, strict=True):
            own = 1 / deviations(s)[:, None]
            said.append([elementary.log(own) - 0.5 * (own * each) ** 2 - LOG_SQRT_2PI] if len(each) else [])
        weight = np.maximum(learn_shares_of_voices(said, len(FACTORS), True), LEAST_WEIGHT)
        return weight / weight.sum(axis=1, keepdims=True), scale

    def density(self, trees, weight, scale):
        """Trees of each number as a part of a density: BoostedDestructor."""
        n_inner, column, low, high, children, value, _ = map(np.concatenate, zip(*trees, strict=True))
        return BoostedDestructor(
            self.numbers.n_categories,
            self.first_cut,
            self.cut,
            starts([len(of.n_inner) for of in trees]),
            starts(n_inner),
            starts(n_inner + 1),
            column,
            low,
            high,
            children,
            value,
            weight,
            scale,
        )
