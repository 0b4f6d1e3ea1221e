"""What a density over codes is: what models own, and what inference asks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._ext import elementary
from ..inference.marginals import blocks, log_marginal, sample_given
from .stored import Stored

MARGINAL_ROWS = 10_000  # samples to learn the columns' own distributions from


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

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8."""
        raise TypeError(f"{type(self).__name__} does not draw rows")

    def transform(self, codes, threads=1):
        """The row that the bijection makes of each: ndarray of shape (n_rows, n_columns), uint8."""
        raise TypeError(f"{type(self).__name__} is no bijection")

    def invert(self, codes, threads=1):
        """Rows by what `transform` made of them."""
        raise TypeError(f"{type(self).__name__} is no bijection")

    def marginal(self, codes, observed, threads=1):
        """Log-probability of the observed cells of each row, and its standard error, 0 where it is exact; nats."""
        return log_marginal(self, codes, observed, threads)

    def given(self, codes, observed, n_samples, rng, threads=1):
        """Rows with given values; see `sample_given`."""
        return sample_given(self, codes, observed, n_samples, rng, threads)

    def propose(self, codes, observed, rng, threads=1):
        """Rows with the unobserved cells drawn, and log p(row) - log q(drawn cells), q being what they came from.

        Here q draws each column by itself, from what it is in the density's own samples.
        """
        codes, log_weight = codes.copy(), np.zeros(len(codes))
        for j in np.flatnonzero(~observed.all(axis=0)):
            share = self._own_shares[j]
            rows = np.flatnonzero(~observed[:, j])
            codes[rows, j] = np.searchsorted(np.cumsum(share)[:-1], rng.random(len(rows)), side="right")
            log_weight[rows] -= elementary.log(share[codes[rows, j]])
        return codes, log_weight + self.score(codes, threads)

    @cached_property
    def _own_shares(self):
        """Distribution of each column by itself, estimated: list of ndarray of shape (n_categories,)."""
        samples = self.sample(MARGINAL_ROWS, np.random.default_rng(0))
        counts = [np.bincount(samples[:, j], minlength=k) + 1.0 for j, k in enumerate(self.n_categories)]
        return [c / c.sum() for c in counts]


@dataclass(frozen=True, eq=False)
class OrderedDensity(Density):
    """A density that tells each column given those before it: ``order``, ``walk`` and ``probabilities``."""

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution in each row, (n_rows, n_categories).

        The caller has until the next step to write the column's values into ``codes``.
        """
        raise TypeError(f"{type(self).__name__} does not walk")

    def probabilities(self, codes, threads=1):
        """Probability of every value given those before it: (n_rows, n_columns), in the order of the columns."""
        raise TypeError(f"{type(self).__name__} has no probabilities of cells")

    def propose(self, codes, observed, rng, threads=1):
        """Cells are drawn given all before them, so that the weight is the product of what the observed ones are."""
        codes, log_weight = codes.copy(), np.zeros(len(codes))
        for block in blocks(*codes.shape):
            for j, prob in self.walk(codes[block], threads):
                seen = observed[block, j]
                cumulative = np.cumsum(prob, axis=1)[:, :-1]
                drawn = (rng.random((len(seen), 1)) >= cumulative).sum(axis=1)
                codes[block, j] = np.where(seen, codes[block, j], drawn)
                told = np.take_along_axis(prob, codes[block, j, None].astype(np.intp), axis=1)[:, 0]
                log_weight[block] += np.where(seen, elementary.log(told), 0.0)
        return codes, log_weight
