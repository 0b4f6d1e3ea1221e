"""Threads: in forked processes, and while they wait."""

import os
import subprocess
import sys

import pytest
from joblib import cpu_count

from treeflows.machine import threads

FORK = """
import os
import numpy as np
from joblib import cpu_count

from treeflows.machine import threads
from treeflows import AutoregressiveTreeFlow

X = np.random.default_rng(0).integers(0, 3, (5000, 40))
flow = AutoregressiveTreeFlow(n_jobs=2)
scores = flow.fit(X).score_samples(X)
if child := os.fork():
    _pid, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
os._exit(0 if (flow.fit(X).score_samples(X) == scores).all() else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_forked_after_a_threaded_fit_fits_too():
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", FORK], timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("told", [None, "active"])
def test_the_environment_is_as_before_the_engine_was_loaded(told):
    names = os.environ.keys() - {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    environment = {name: os.environ[name] for name in names}
    if told is not None:
        environment["OMP_WAIT_POLICY"] = told
    code = "import os, treeflows._ext; print(os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(told)


def test_a_cluster_lends_no_local_threads(monkeypatch):
    monkeypatch.setattr(threads, "effective_n_jobs", lambda n_jobs: 100_000)
    assert threads.n_threads(None) <= cpu_count()
    assert threads.n_threads(-1) <= cpu_count()
