"""How many threads a call may use."""

import os

from joblib import effective_n_jobs


def n_threads(n_jobs):
    """Number of threads for an ``n_jobs`` in scikit-learn's meaning.

    None is 1 unless a joblib context says otherwise, -1 is every core that this process may use (cgroups and affinity
    included), and OMP_NUM_THREADS bounds what a negative number gives.
    """
    threads = effective_n_jobs(n_jobs)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if n_jobs is not None and n_jobs < 0 and limit.isdigit():
        threads = min(threads, max(1, int(limit)))
    return threads
