"""Checks of parameters that several models have."""

from numbers import Integral, Real

import numpy as np

from ..machine.errors import check_number

MOST_JOBS = 4096
MIN_SMOOTHING, MAX_SMOOTHING = 1e-12, 1e12  # far beyond any use, and far from underflow and overflow


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
