"""The density of an ensemble: p(x) is the weighted mean of the members' p(x)."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from .._ext import elementary
from ..inference.ahead import joined
from ..machine.log_sums import logsumexp, softmax
from .density import Density
from .stored import LEAST_PROBABILITY, MOST_PROBABILITY, Array

FEWEST_DRAWS = 16  # of a member, among weighted draws


@dataclass(frozen=True, eq=False)
class WeightedMean(Density):
    """Mixture of densities.

    Attributes
    ----------
    members : tuple of Density
    weight : ndarray of shape (n_members,), float64
        Their probabilities.
    """

    members: tuple[Density, ...]
    weight: Annotated[np.ndarray, Array(np.float64, "members", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]
    order = None

    def check(self):
        """Raise ValueError unless there is a member for every weight; for what comes from a file."""
        super().check()
        if len(self.members) != len(self.weight) or abs(self.weight.sum() - 1) > 1e-9:
            raise ValueError("the weights of the members do not sum to one")

    def score(self, codes, threads=1):
        """Log-likelihood of each row, nats."""
        scores = np.stack([member.score(codes, threads) for member in self.members])
        return logsumexp(scores + elementary.log(self.weight)[:, None], axis=0)

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), of codes or with numbers as members draw them."""
        chosen = self._choose(n_samples, rng)
        drawn = np.concatenate([member.sample(len(rows), rng, threads) for member, rows in self._parts(chosen)])
        return drawn[np.argsort(np.argsort(chosen, kind="stable"), kind="stable")]

    def marginal(self, codes, observed, threads=1):
        """Log-probability of the observed cells of each row, and its standard error, nats."""
        told = [member.marginal(codes, observed, threads) for member in self.members]
        log_prob, error = (np.stack(x) for x in zip(*told, strict=True))
        joint = log_prob + elementary.log(self.weight)[:, None]
        total = np.where(observed.any(axis=1), logsumexp(joint, axis=0), 0.0)
        none = np.isnan(total)
        # members' draws are of the same random numbers: at worst their errors add up
        return total, np.where(none, np.inf, np.sum(elementary.exp(joint - total) * np.where(none, 0.0, error), axis=0))

    def given(self, codes, observed, n_samples, rng, threads=1, *within):
        """Rows with given values; a member's part is how probable it thinks what is given."""
        told = [member.marginal(codes, observed, threads, *within) for member in self.members]
        part = softmax(elementary.log(self.weight) + np.concatenate([log_prob for log_prob, _ in told]))
        if np.isnan(part).any():  # no estimate of some member's part
            return super().given(codes, observed, n_samples, rng, threads, *within)
        estimated = any(error.any() for _, error in told)
        drawn, effective, n_proposed = np.repeat(codes, n_samples, axis=0), 0.0, 0
        for member, rows in self._parts(rng.choice(len(part), n_samples, p=part)):
            if len(rows):
                drawn[rows], worth, proposed = member.given(codes, observed, len(rows), rng, threads, *within)
                effective += worth
                n_proposed += proposed or (len(rows) if estimated else 0)
        return drawn, effective, n_proposed

    def draw_ahead(self, codes, observed, n_draws, rngs, threads=1, last=None, *within):
        """Weighted draws of all members: of each as many as its weight says, and at least a few."""
        parts = []
        for member, weight in zip(self.members, self.weight, strict=True):
            n = max(FEWEST_DRAWS, round(n_draws * weight))
            part = member.draw_ahead(codes, observed, n, rngs, threads, None, *within)
            parts.append(replace(part, log_weight=part.log_weight + elementary.log(weight) - elementary.log(n)))
        draws = joined(parts)
        return replace(draws, log_weight=draws.log_weight + elementary.log(draws.log_weight.shape[1]))

    @property
    def n_states(self):
        """How many values each column has, infinity of numbers: ndarray of shape (n_columns,)."""
        return self.members[0].n_states

    @property
    def n_draws(self):
        """How many draws to take of a row, as `weighted_draws` does: (int, int, int)."""
        return self.members[0].n_draws

    def axis(self, j):
        """The values that a column of numbers may have: NumberAxis."""
        return self.members[0].axis(j)

    def cells_of(self, values, j, threads=1, last=None):
        """What tells log-probabilities of cells, as `MixedDensity.cells_of` has it."""
        members, log_weight = [m.cells_of(values, j, threads, last) for m in self.members], elementary.log(self.weight)

        def tell(*cells):
            told = [np.stack(member(*cells)) + log for member, log in zip(members, log_weight, strict=True)]
            return logsumexp(np.stack(told, axis=1), axis=1)

        return tell

    def guesses(self, values, j, threads=1, last=None):
        """Values around which a column's numbers may lie closely given all others, by all members."""
        return np.hstack([member.guesses(values, j, threads, last) for member in self.members])

    def _choose(self, n_rows, rng):
        return np.searchsorted(np.cumsum(self.weight)[:-1], rng.random(n_rows), side="right")

    def _parts(self, chosen):
        """Each member, and the rows for which it was chosen."""
        for i, member in enumerate(self.members):
            yield member, np.flatnonzero(chosen == i)
