"""Checks of parameters that several models have."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..machine.errors import check_number

MOST_JOBS = 4096
MIN_SMOOTHING, MAX_SMOOTHING = 1e-12, 1e12  # far beyond any use, and far from underflow and overflow


class DefaultPart(BaseEstimator):
    """What has a part as the parameter ``estimator``, where None stands for a default, whose parameters can be set too.

    So that searches reach them: ``GridSearchCV(TreeFlowClassifier(), {"estimator__n_trees": [4, 8]})``.
    """

    estimator: Any

    def default_part(self):
        """The unfitted estimator that None stands for.

        Returns
        -------
        estimator : estimator
        """
        raise NotImplementedError

    def set_params(self, **params):
        """Set parameters, of parts as ``estimator__parameter``; of the default if there is no other.

        Parameters
        ----------
        **params
            By name.

        Returns
        -------
        self : object
        """
        of_part = any(name.startswith("estimator__") for name in params)
        if of_part and params.get("estimator", self.estimator) is None:
            params["estimator"] = self.default_part()
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
