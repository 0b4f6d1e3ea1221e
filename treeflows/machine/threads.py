"""How many threads a call may use."""

import os

from joblib import cpu_count, effective_n_jobs

from .errors import ParameterError

# GCC's OpenMP keeps its threads for later. A forked process inherits the list without the threads, and would wait for
# them for ever: there, work goes on in one thread.
_started = False
_lost = False


def n_threads(n_jobs):
    """Number of threads for an ``n_jobs`` in scikit-learn's meaning.

    None is 1 unless a joblib context says otherwise, -1 is every core that this process may use (cgroups and affinity
    included), a context that counts the workers of a cluster not more, and OMP_NUM_THREADS bounds what a negative
    number gives. A process forked from one that has used threads has one.
    """
    global _started
    if n_jobs == 0:
        raise ParameterError("n_jobs must not be 0; -1 is every core", parameter="n_jobs", value=n_jobs)
    threads = effective_n_jobs(n_jobs)
    if n_jobs is None or n_jobs < 0:  # a joblib context may count the workers of a cluster, and threads are here
        threads = min(threads, cpu_count())
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if n_jobs is not None and n_jobs < 0 and limit.isdigit():
        threads = min(threads, max(1, int(limit)))
    if _lost:
        return 1
    _started |= threads > 1
    return threads


def _after_fork():
    global _lost
    _lost |= _started


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
