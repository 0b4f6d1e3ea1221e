"""What a density over codes is: what models own, and what inference asks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._ext import elementary
from ..inference.ahead import draw_ahead, forest_of
from ..inference.estimates import blocks, choose
from ..inference.given import sample_given
from ..inference.marginals import DRAWS, log_marginal, log_values, row_generators
from ..machine.draws import uniform_blocks
from .stored import LEAST_PROBABILITY, Stored


@dataclass(frozen=True, eq=False)
class Density(Stored):
    """A distribution over rows of codes. It knows nothing of tables.

    A density says ``order``: the columns in order, if it tells each given those before it, else None; ``score`` and
    ``sample``. What can be asked of it follows from these. One that is a bijection of the domain too says ``transform``
    and ``invert``.
    """

    def score(self, codes, threads=1):
        """Log-likelihood of each row: ndarray of shape (n_rows,), nats."""
        raise TypeError(f"{type(self).__name__} does not score rows")

    @property
    def n_states(self):
        """How many values each column has, infinity of numbers: ndarray of shape (n_columns,)."""
        return self.n_categories

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8."""
        raise TypeError(f"{type(self).__name__} does not draw rows")

    def transform(self, codes, threads=1):
        """The row that the bijection makes of each: ndarray of shape (n_rows, n_columns), uint8."""
        raise TypeError(f"{type(self).__name__} is no bijection")

    def invert(self, codes, threads=1):
        """Rows by what `transform` made of them."""
        raise TypeError(f"{type(self).__name__} is no bijection")

    def log_values(self, codes, j, n_values, threads=1):
        """Log-probability of whole rows with each of the first codes of a column; see `log_values`."""
        return log_values(self, codes, j, n_values, threads)

    def tree_codes(self, codes, j, threads=1):
        """What the tree of a column asks about, of each row: the codes themselves, unless there are numbers.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns)
        j, threads : int

        Returns
        -------
        codes : ndarray of shape (n_rows, n_code_columns), uint8
        """
        return codes

    def marginal(self, codes, observed, threads=1, *within):
        """Log-probability of the observed cells of each row, and its standard error, 0 where it is exact; nats.

        NaN and infinity where there is no estimate. With what others may be, as `draw_ahead` takes it, that of both;
        then an estimate.
        """
        if not within:
            return log_marginal(self, codes, observed, threads)
        rngs = row_generators(codes, observed)
        draws = self.draw_ahead(codes, observed, self.n_draws[1], rngs, threads, None, *within)
        return draws.log_mean, draws.error

    @property
    def n_draws(self):
        """How many draws to take of a row, as `weighted_draws` does: (int, int, int)."""
        return DRAWS

    def given(self, codes, observed, n_samples, rng, threads=1, *within):
        """Rows with given values; see `sample_given`."""
        return sample_given(self, codes, observed, n_samples, rng, threads, *within)

    def draw_ahead(self, codes, observed, n_draws, rngs, threads=1, last=None, *within):
        """Weighted draws of the unobserved cells of each row; see `draw_ahead`."""
        return draw_ahead(self, codes, observed, n_draws, rngs, threads, last, *within)

    def sample_telling(self, codes, observed, n_samples, rng, threads=1):
        """Random rows given some columns that come first in order, and what is said of others on the way.

        Parameters
        ----------
        codes, observed : ndarray of shape (n_columns,)

        Returns
        -------
        drawn : ndarray of shape (n_samples, n_columns)
        told : dict of int to ndarray of shape (n_samples, n_categories), float32
            By column of codes, its distribution given those before it; of none if there are too many. None of a density
            that does not draw on.
        """
        if not observed.any():
            return self.sample(n_samples, rng, threads), None
        return self.given(codes[None], observed[None], n_samples, rng, threads)[0], None

    def draw_on(self, values, observed, first, rng, threads=1, *rest):
        """Weighted draws of what comes from a place of the order on; see `draw_on` in inference.particles."""
        raise TypeError(f"{type(self).__name__} does not draw on")

    def axis(self, j):
        """The values that a column of numbers may have: NumberAxis."""
        raise TypeError(f"{type(self).__name__} has no columns of numbers")

    def cells_of(self, values, j, threads=1, last=None):
        """What tells log-probabilities of cells of a column's numbers, with all else; see `MixedDensity`."""
        raise TypeError(f"{type(self).__name__} has no columns of numbers")

    def guesses(self, values, j, threads=1, last=None):
        """Values around which a column's numbers may lie closely given all others; see `MixedDensity`."""
        raise TypeError(f"{type(self).__name__} has no columns of numbers")

    @cached_property
    def kept(self):
        """Draws and states that are kept from question to question: dict."""
        return {}

    @cached_property
    def kept_bins(self):
        """Bins of columns of numbers, by their numbers: dict."""
        return {}

    @cached_property
    def forest(self):
        """What guides those draws."""
        return forest_of(self)


@dataclass(frozen=True, eq=False)
class OrderedDensity(Density):
    """A density that tells each column given those before it: ``order``, ``walk`` and ``probabilities``.

    What it scores, draws and makes of rows follows from these.
    """

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution in each row, (n_rows, n_categories).

        The caller has until the next step to write the column's values into ``codes``. ``send(rows)`` in place of the
        next step says that the caller has exchanged the rows of ``codes`` for others of them.
        """
        raise TypeError(f"{type(self).__name__} does not walk")

    def probabilities(self, codes, threads=1, start=0):
        """Probability of every value given those before it, in the order of the columns from place ``start`` on.

        An array of shape (n_rows, n_columns - start).
        """
        raise TypeError(f"{type(self).__name__} has no probabilities of cells")

    def score(self, codes, threads=1, start=0):
        """Log-likelihood of each row, of what stands in the order from place ``start`` on, nats: (n_rows,)."""
        scores = np.empty(len(codes))
        for block in blocks(*codes.shape):
            scores[block] = elementary.log(self.probabilities(codes[block], threads, start)).sum(axis=1)
        return scores

    def score_first(self, codes, last, threads=1):
        """Log-likelihood of so many columns, in order, of each row, nats: ndarray of shape (n_rows,)."""
        told = np.arange(codes.shape[1]) < last[:, None]
        return np.where(told, elementary.log(self.probabilities(codes, threads)), 0.0).sum(axis=1)

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8."""
        n_columns = len(self.n_categories)
        codes = np.empty((n_samples, n_columns), dtype=np.uint8)
        for start, uniform in uniform_blocks(n_samples, n_columns, rng):
            for block in blocks(*uniform.shape):
                drawn = np.zeros((block.stop - block.start, n_columns), dtype=np.uint8)
                for t, (j, prob) in enumerate(self.walk(drawn, threads)):
                    cumulative = np.cumsum(prob, axis=1)[:, :-1]
                    drawn[:, j] = (uniform[block][:, [t]] >= cumulative).sum(axis=1)
                codes[start + block.start : start + block.start + len(drawn)] = drawn
        return codes

    def transform(self, codes, threads=1):
        """The rank of every value among those of its column in its context, the least probable 0, ties by code."""
        ranks = np.empty_like(codes)
        for block in blocks(*codes.shape):
            for j, prob in self.walk(codes[block], threads):
                order = np.argsort(prob, axis=1, kind="stable")
                ranks[block, j] = (order == codes[block, j, None]).argmax(axis=1)
        return ranks

    def invert(self, ranks, threads=1):
        """Rows by the ranks of their values."""
        codes = np.zeros_like(ranks)
        for block in blocks(*codes.shape):
            for j, prob in self.walk(codes[block], threads):
                order = np.argsort(prob, axis=1, kind="stable")
                codes[block, j] = np.take_along_axis(order, ranks[block, j, None].astype(np.intp), axis=1)[:, 0]
        return codes

    def propose(self, codes, observed, rng, threads=1, within=None):
        """Cells are drawn given all before them, so that the weight is the product of what the observed ones are.

        ``within`` says of others how much of each code may be.
        """
        codes, log_weight = codes.copy(), np.zeros(len(codes))
        for block in blocks(*codes.shape):
            for j, prob in self.walk(codes[block], threads):
                seen, log_total = observed[block, j], np.zeros(1)
                if within is not None and j in within:
                    total = (prob * within[j]).sum(axis=1)
                    with np.errstate(divide="ignore"):
                        log_total = elementary.log(total)
                    prob = prob * within[j] / np.maximum(total, LEAST_PROBABILITY)[:, None]
                codes[block, j] = np.where(seen, codes[block, j], choose(prob, rng))
                told = np.take_along_axis(prob, codes[block, j, None].astype(np.intp), axis=1)[:, 0]
                log_weight[block] += np.where(seen, elementary.log(told), log_total)
        return codes, log_weight
