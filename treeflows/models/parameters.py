"""Checks of the parameters that several models share."""

from numbers import Integral, Real

from sklearn.utils.validation import check_scalar

MISSING = ("category", "marginalize", "error")
UNKNOWN = ("error", "reserve")
MOST_JOBS = 4096
MAX_SMOOTHING = 1e12  # far beyond any use, and far from overflow


def check_criterion(criterion, names):
    """Raise ValueError unless a criterion is one of the names or a function."""
    if not callable(criterion) and not (isinstance(criterion, str) and criterion in names):
        known = " or ".join(map(repr, names))
        raise ValueError(f"criterion must be {known} or a function f(counts, n) -> float, got {criterion!r}")


def check_smoothing(smoothing, automatic):
    """Raise unless a concentration is a number in range, or the word for an automatic choice."""
    if not (isinstance(smoothing, str) and smoothing == automatic):
        check_scalar(smoothing, "smoothing", Real)
        if not 0 < smoothing <= MAX_SMOOTHING:
            raise ValueError(f"smoothing must be {automatic!r} or above 0 and at most {MAX_SMOOTHING:g}")


def check_table_parameters(estimator):
    """Raise unless the parameters that say what becomes of missing, unseen and rare values are in range."""
    for name, known in (("missing", MISSING), ("handle_unknown", UNKNOWN)):
        if getattr(estimator, name) not in known:
            raise ValueError(f"{name} must be {' or '.join(map(repr, known))}, got {getattr(estimator, name)!r}")
    fewest = estimator.min_frequency
    if isinstance(fewest, Integral):
        check_scalar(fewest, "min_frequency", Integral, min_val=1)
    elif fewest is not None:
        check_scalar(fewest, "min_frequency", Real, min_val=0, max_val=1, include_boundaries="neither")
    if estimator.max_categories is not None:
        check_scalar(estimator.max_categories, "max_categories", Integral, min_val=1)


def check_n_jobs(n_jobs):
    """Raise unless a number of jobs is an integer that threads can be counted by, or None."""
    if n_jobs is not None:
        check_scalar(n_jobs, "n_jobs", Integral, min_val=-MOST_JOBS, max_val=MOST_JOBS)
