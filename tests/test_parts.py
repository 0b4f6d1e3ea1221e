"""Parts: the same model whoever computes it, through kills, damage and folders that go away."""

import contextlib
import errno
import functools
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
import pytest
from conftest import random_table

import treeflows
from treeflows import AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture
from treeflows.learning import prunings
from treeflows.machine import parts as machine
from treeflows.machine.errors import PartError


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """One tree a part, however small the table."""
    monkeypatch.setattr(prunings, "MOST_WORK", 1)


def in_file(model, path):
    """The bytes of a model's file."""
    treeflows.save(model, path / "model")
    return (path / "model").read_bytes()


def table(n_rows=300, n_columns=6, seed=0):
    return random_table(seed, n_rows, [2, 3, 2, 4, 2, 3, 2, 2][:n_columns])


def with_numbers():
    rng = np.random.default_rng(0)
    a, kind = rng.normal(size=250), rng.choice(["x", "y"], 250)
    return pd.DataFrame({"a": a, "kind": kind, "b": np.where(kind == "x", a, 3.0) + rng.normal(size=250)})


def with_holes():
    cells = pd.DataFrame(table().astype(str))
    return cells.mask(np.random.default_rng(1).random(cells.shape) < 0.1)


MODELS = {
    "trees": (AutoregressiveTreeFlow, {}, table),
    "mixture": (TreeFlowMixture, {}, table),
    "holes": (AutoregressiveTreeFlow, {"missing": "marginalize"}, with_holes),
    "ensemble": (TreeFlowEnsemble, {"n_estimators": 2, "estimator": AutoregressiveTreeFlow(order="random")}, table),
    "numbers": (TreeFlowMixture, {}, with_numbers),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model_with_and_without_parts(name, tmp_path):
    kind, options, make = MODELS[name]
    X, model = make(), kind(random_state=0, **options)
    whole = in_file(model.fit(X), tmp_path)
    with treeflows.parts(tmp_path / "run") as first:
        assert in_file(model.fit(X), tmp_path) == whole
    assert first.n_computed > 0
    with treeflows.parts(tmp_path / "run") as again:
        assert in_file(model.fit(X), tmp_path) == whole
    assert (again.n_computed, again.n_found) == (0, first.n_computed + first.n_found)
    with ThreadPoolExecutor(3) as executor, treeflows.parts(tmp_path / "threads", executor) as run:
        assert in_file(model.fit(X), tmp_path) == whole
    assert run.n_computed >= first.n_computed


def test_an_appended_column_keeps_all_earlier_parts(tmp_path):
    X = table(n_columns=7)
    with treeflows.parts(tmp_path / "run") as run:
        AutoregressiveTreeFlow(order="natural").fit(X[:, :6])
        before = run.n_computed
        model = AutoregressiveTreeFlow(order="natural").fit(X)
        assert (before, run.n_computed) == (6, 7)
        AutoregressiveTreeFlow(order="natural", min_samples_leaf=6).fit(X)  # other parameters: other parts
        assert run.n_computed == 14
    assert in_file(model, tmp_path) == in_file(AutoregressiveTreeFlow(order="natural").fit(X), tmp_path)


def test_damaged_parts_are_computed_again(tmp_path):
    X = table()
    whole = in_file(AutoregressiveTreeFlow(order="natural").fit(X), tmp_path)
    with treeflows.parts(tmp_path / "run"):
        AutoregressiveTreeFlow(order="natural").fit(X)
    kept = sorted(tmp_path.glob("run/*/parts/*.npz"))
    data = bytearray(kept[0].read_bytes())
    kept[0].write_bytes(data[: len(data) // 2])
    data = bytearray(kept[1].read_bytes())
    at = data.index(b"NUMPY") + 140
    data[at] ^= 1
    kept[1].write_bytes(data)
    kept[2].write_bytes(kept[3].read_bytes())  # whole, but another's
    with treeflows.parts(tmp_path / "run") as run:
        assert in_file(AutoregressiveTreeFlow(order="natural").fit(X), tmp_path) == whole
    assert (run.n_computed, run.n_found) == (3, 3)
