"""Checks of parameters that several models have."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from ..machine.errors import check_number

MOST_JOBS = 4096
MIN_SMOOTHING, MAX_SMOOTHING = 1e-12, 1e12  # far beyond any use, and far from underflow and overflow


class Composed(BaseEstimator):
    """Base class of estimators whose ``estimator=None`` stands for one, which their own ``part`` is."""

    def part(self):
        """The unfitted estimator that is learned.

        Returns
        -------
        estimator : estimator
        """
        raise NotImplementedError

    def set_params(self, **params):
        """Set parameters of the estimator and of what it is made of.

        Parameters
        ----------
        **params
            ``estimator__name`` is a parameter of the default estimator too, where ``estimator`` is None, so that
            searches reach it.

        Returns
        -------
        self : object
        """
        nested = any(name.startswith("estimator__") for name in params)
        if nested and params.get("estimator", self.estimator) is None:
            params["estimator"] = self.part()
        return super().set_params(**params)


def check_criterion(criterion, names):
    """Raise ValueError unless a criterion is one of the names or a function."""
    if not callable(criterion) and not (isinstance(criterion, str) and criterion in names):
        known = " or ".join(map(repr, names))
        raise ValueError(f"criterion must be {known} or a function f(counts, n) -> float, got {criterion!r}")


def check_smoothing(smoothing, automatic):
    """Raise unless a concentration is a number in range, or the word for an automatic choice."""
    if not (isinstance(smoothing, str) and smoothing == automatic):
        if isinstance(smoothing, (bool, np.bool_)):
            raise TypeError(f"smoothing must be {automatic!r} or a number, got {smoothing!r}")
        check_number(smoothing, "smoothing", Real)
        if not MIN_SMOOTHING <= smoothing <= MAX_SMOOTHING:
            raise ValueError(f"smoothing must be {automatic!r} or from {MIN_SMOOTHING:g} to {MAX_SMOOTHING:g}")


def check_n_jobs(n_jobs):
    """Raise unless a number of jobs is an integer that threads can be counted by, or None."""
    if n_jobs is not None:
        check_number(n_jobs, "n_jobs", Integral, min_val=-MOST_JOBS, max_val=MOST_JOBS)
