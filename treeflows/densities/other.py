"""A user's own estimator as a density of codes."""

from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from ..tables.domain import check_codes
from .density import Density


@dataclass(frozen=True, eq=False)
class OtherDensity(Density):
    """A fitted estimator with ``score_samples`` and ``sample`` on arrays of codes.

    Attributes
    ----------
    estimator : object
    """

    estimator: Any
    order = None

    def score(self, codes, threads=1):
        """Log-likelihood of each row, nats; ValueError where the estimator's is none."""
        scores = np.asarray(self.estimator.score_samples(codes), dtype=np.float64)
        if np.isnan(scores).any() or (scores == np.inf).any():
            raise ValueError(f"score_samples of {self.estimator!r} gave what is no log-likelihood: NaN or infinity")
        return scores

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), uint8; ValueError if there is a code outside."""
        if n_samples == 0:
            return np.empty((0, len(self.n_categories)), dtype=np.uint8)
        if "random_state" in signature(self.estimator.sample).parameters:
            drawn = self.estimator.sample(n_samples, random_state=int(rng.integers(2**31)))
        else:
            drawn = self.estimator.sample(n_samples)
        # scikit-learn's mixtures return the rows and their components
        return check_codes(drawn[0] if isinstance(drawn, tuple) else drawn, self.n_categories)
