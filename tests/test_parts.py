"""Parts: the same model whoever computes it, through kills, damage and folders that go away."""

import contextlib
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
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import random_table
from sklearn.base import clone

import treeflows
from treeflows import AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture
from treeflows.command.main import main
from treeflows.learning import grown, logistic
from treeflows.machine import parts as machine
from treeflows.machine.errors import PartError, TableError
from treeflows.machine.workers import Task, Workers, processes

FLOW = AutoregressiveTreeFlow(order="natural")


@pytest.fixture
def small_parts(monkeypatch):
    """One tree a part, however small the table."""
    monkeypatch.setattr(grown, "MOST_WORK", 1)


@pytest.fixture
def on_trees(monkeypatch, small_parts):
    """Have something happen first whenever a tree is learned in parts, here and in workers that are forked."""
    plain = grown.trees_of_places

    def have(happen):
        @functools.wraps(plain)
        def trees_of_places(*arrays, **options):
            happen(options.get("first"))
            return plain(*arrays, **options)

        monkeypatch.setattr(grown, "trees_of_places", trees_of_places)
        monkeypatch.setitem(machine._functions, f"{plain.__module__}:{plain.__name__}", trees_of_places)

    return have


@pytest.fixture
def forked():
    """Of a number of workers, what makes pools of them that know what this process knows."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this platform")
    return lambda n: functools.partial(ProcessPoolExecutor, n, mp_context=multiprocessing.get_context("fork"))


def table(n_rows=300, n_columns=6, seed=0):
    return random_table(seed, n_rows, [2, 3, 2, 4, 2, 3, 2, 2][:n_columns])


def with_numbers():
    rng = np.random.default_rng(0)
    a, kind = rng.normal(size=80), rng.choice(["x", "y"], 80)
    return pd.DataFrame({"a": a, "kind": kind, "b": np.where(kind == "x", a, 3.0) + rng.normal(size=80)})


def with_holes():
    cells = pd.DataFrame(table().astype(str))
    return cells.mask(np.random.default_rng(1).random(cells.shape) < 0.1)


MODELS = {
    "trees": (AutoregressiveTreeFlow, {}, table),
    "mixture": (TreeFlowMixture, {"n_trees": 2, "n_components": 8}, table),
    "holes": (AutoregressiveTreeFlow, {"missing": "marginalize"}, with_holes),
    "ensemble": (TreeFlowEnsemble, {"n_estimators": 2, "estimator": AutoregressiveTreeFlow(order="random")}, table),
    "numbers": (TreeFlowMixture, {"n_trees": 2, "n_components": 8}, with_numbers),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model_with_and_without_parts(name, tmp_path, monkeypatch, file_of):
    monkeypatch.setattr(logistic, "MOST_WORK", 1e5)  # a few passes a part
    kind, options, make = MODELS[name]
    X, model = make(), kind(random_state=0, **options)
    whole = file_of(model.fit(X))
    with treeflows.parts(tmp_path / "run") as first:
        assert file_of(model.fit(X)) == whole
    assert first.n_computed > 0
    with treeflows.parts(tmp_path / "run") as again:
        assert file_of(model.fit(X)) == whole
    assert (again.n_computed, again.n_found) == (0, first.n_computed + first.n_found)
    with ThreadPoolExecutor(3) as executor, treeflows.parts(tmp_path / "threads", executor) as run:
        assert file_of(model.fit(X)) == whole
    assert run.n_computed > 0


@pytest.mark.usefixtures("small_parts")
def test_an_appended_column_keeps_all_earlier_parts(tmp_path, file_of):
    X = table(n_columns=7)
    with treeflows.parts(tmp_path / "run") as run:
        FLOW.fit(X[:, :6])
        before = run.n_computed
        model = FLOW.fit(X)
        assert (before, run.n_computed) == (6, 7)
        AutoregressiveTreeFlow(order="natural", min_samples_leaf=6).fit(X)  # other parameters: other parts
        assert run.n_computed == 14
    assert file_of(model) == file_of(FLOW.fit(X))


@pytest.mark.usefixtures("small_parts")
def test_a_partial_model_says_what_is_missing_and_answers_what_it_can(tmp_path):
    X = pd.DataFrame(table(), columns=list("abcdef"))
    kept = []
    for n_columns in (2, 3, 6):
        with treeflows.parts(tmp_path / "run"):
            whole = clone(FLOW).fit(X.iloc[:, :n_columns])
        kept.append(set(tmp_path.glob("run/*/parts/*.npz")))
    (of_c,) = kept[1] - kept[0]
    of_c.unlink()
    with pytest.warns(UserWarning, match="no trees are in .* of 'c'"):  # noqa: SIM117
        with treeflows.parts(tmp_path / "run", partial=True) as run:
            model = clone(FLOW).fit(X)
    assert (run.missing, run.n_found, run.n_computed) == (["c"], 5, 0)
    codes = np.ascontiguousarray(X.to_numpy(dtype=np.uint8))
    said, expected = (of.distribution_.probabilities(codes) for of in (model, whole))
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(said[:, others], expected[:, others])
    np.testing.assert_allclose(said[:, 2], np.bincount(codes[:, 2])[codes[:, 2]] / len(codes), atol=0.01)
    with pytest.raises(PartError, match="no model does without"), treeflows.parts(tmp_path / "none", partial=True):
        TreeFlowMixture(n_trees=1, n_components=8).fit(X)


def test_litter_is_as_old_as_the_clock_of_its_folder_says(tmp_path, monkeypatch):
    """A client whose clock is days ahead takes nothing from under another that writes."""
    with treeflows.parts(tmp_path / "run"):
        FLOW.fit(table())
    (parts,) = tmp_path.glob("run/*/parts")
    old, young = parts / ".a.tmp", parts / ".b.tmp"
    for path, age in ((old, 2 * 86_400), (young, 60)):
        path.touch()
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    with treeflows.parts(tmp_path / "run") as run:
        FLOW.fit(table())
    assert (run.n_computed, old.exists(), young.exists()) == (0, False, True)


@pytest.mark.usefixtures("small_parts")
def test_damaged_parts_are_computed_again(tmp_path, file_of):
    X = table()
    whole = file_of(FLOW.fit(X))
    with treeflows.parts(tmp_path / "run"):
        FLOW.fit(X)
    kept = sorted(tmp_path.glob("run/*/parts/*.npz"))
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    data = bytearray(kept[1].read_bytes())
    data[data.index(b"NUMPY") + 128] ^= 1  # in the first array
    kept[1].write_bytes(data)
    kept[2].write_bytes(kept[3].read_bytes())  # whole, but another's
    with treeflows.parts(tmp_path / "run") as run:
        assert file_of(FLOW.fit(X)) == whole
    assert (run.n_computed, run.n_found) == (3, 3)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_killed_workers_cost_no_finished_part(tmp_path, on_trees, forked, file_of, n_workers):
    X = table(n_columns=8)
    whole = file_of(FLOW.fit(X))

    def die_once(place):
        with contextlib.suppress(FileExistsError):
            (tmp_path / f"died{place}").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)

    on_trees(die_once)
    with treeflows.parts(tmp_path / "run", forked(n_workers)) as run:
        assert file_of(FLOW.fit(X)) == whole
    assert run.n_computed == len(list(tmp_path.glob("died*"))) == 8
    if n_workers == 1:  # else one may go on for a moment after the other's death, beside the next that does the same
        assert run.n_lost == 8
        assert not list(tmp_path.glob("run/*/starts/*"))


def test_a_part_that_always_kills_its_worker_is_told_by_its_column(tmp_path, on_trees, forked, file_of):
    X = pd.DataFrame(table(n_columns=8), columns=list("abcdefgh"))

    def die(place):
        if place == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    on_trees(die)
    with (
        treeflows.parts(tmp_path / "run", forked(2)) as run,
        pytest.raises(PartError, match="failed 6 times") as caught,
    ):
        FLOW.fit(X)
    assert caught.value.columns == ("d",)
    assert "column 'd'" in str(caught.value)
    assert f"{run.store.n_parts()} parts are kept in" in str(caught.value)
    assert run.store.n_parts() >= 6
    on_trees(lambda place: None)
    with treeflows.parts(tmp_path / "run") as again:
        model = FLOW.fit(X)
    assert again.n_found == run.store.n_parts() - again.n_computed
    assert file_of(model) == file_of(FLOW.fit(X))


def test_an_error_of_the_part_itself_is_raised_at_once(tmp_path, on_trees, forked):
    starts = tmp_path / "starts"

    def fail(place):
        with starts.open("a") as file:
            file.write(f"{place}\n")
        if place == 1:
            raise MemoryError("too little")

    on_trees(fail)
    with treeflows.parts(tmp_path / "run", forked(2)), pytest.raises(MemoryError, match="too little"):
        FLOW.fit(table())
    assert starts.read_text().split().count("1") == 1


class Flaky(Executor):
    """Runs what it is given at once, after the pickle that a scheduler would carry; and fails as it is told."""

    def __init__(self, fail=lambda n: None):
        self.fail, self.sizes = fail, []

    def submit(self, function, *arguments):
        carried = pickle.dumps((function, arguments))
        self.sizes.append(len(carried))
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            self.fail(len(self.sizes))
            function, arguments = pickle.loads(carried)
            future.set_result(function(*arguments))
        except ConnectionError as error:
            future.set_exception(error)
        return future


@pytest.mark.usefixtures("small_parts")
def test_the_engine_carries_names_alone_and_its_errors_are_not_the_last_word(tmp_path, file_of):
    X = table(3000, 8)
    whole = file_of(FLOW.fit(X))

    def lose(n):
        if n % 2:
            raise ConnectionError("lost")

    executor = Flaky(lose)
    with treeflows.parts(tmp_path / "run", executor) as run:
        assert file_of(FLOW.fit(X)) == whole
    assert max(executor.sizes) <= 1000
    assert run.n_computed == 8
    broken = Flaky(lambda n: lose(1))
    with treeflows.parts(tmp_path / "other", broken), pytest.raises(PartError, match="failed 6 times.*lost"):
        FLOW.fit(X)


@pytest.mark.usefixtures("small_parts")
def test_executors_that_take_no_more(tmp_path, forked):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with treeflows.parts(tmp_path, executor), pytest.raises(PartError, match=r"takes no more work \(RuntimeError"):
        FLOW.fit(table())
    with forked(2)() as pool:
        os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
        with treeflows.parts(tmp_path, pool), pytest.raises(PartError, match=r"executor broke .*functools.partial"):
            FLOW.fit(table())
    for wrong in ("two", 0):
        with pytest.raises((TypeError, ValueError), match="executor"), treeflows.parts(tmp_path, wrong):
            pass


@pytest.mark.usefixtures("small_parts")
def test_of_a_packed_table_that_is_not_read_whole_the_path_travels(tmp_path, file_of):
    X = pd.DataFrame(table(4000, 8).astype(str))
    whole = file_of(FLOW.fit(X))
    treeflows.pack(X, tmp_path / "table")
    packed, executor = treeflows.PackedTable(tmp_path / "table", memory=20_000), Flaky()
    with treeflows.parts(tmp_path / "run", executor) as run:
        assert file_of(FLOW.fit(packed)) == whole
    assert run.n_computed == 2
    assert max(path.stat().st_size for path in run.store.root.glob("arrays/*")) < 1000
    with treeflows.parts(tmp_path / "run") as run:
        assert file_of(FLOW.fit(packed)) == whole
    assert (run.n_found, run.n_computed) == (2, 0)
    shutil.move(tmp_path / "table", tmp_path / "old")
    treeflows.pack(X[::-1], tmp_path / "table")
    with treeflows.parts(tmp_path / "other", executor), pytest.raises(TableError, match="has changed"):
        FLOW.fit(packed)


@pytest.mark.usefixtures("small_parts")
def test_two_clients_share_a_folder(tmp_path, file_of):
    X, models = table(), []

    def fit():
        with ThreadPoolExecutor(2) as executor, treeflows.parts(tmp_path / "run", executor):
            models.append(AutoregressiveTreeFlow(order="natural").fit(X))

    clients = [threading.Thread(target=fit) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert {file_of(model) for model in models} == {file_of(FLOW.fit(X))}
    assert len(models) == 3


def test_a_folder_that_goes_away_is_told(tmp_path, on_trees):
    on_trees(lambda place: place == 2 and shutil.rmtree(tmp_path / "run"))
    for executor in (None, ThreadPoolExecutor(1)):
        with treeflows.parts(tmp_path / "run", executor), pytest.raises(OSError, match="no part can be kept in .*run"):
            FLOW.fit(table())


@pytest.mark.usefixtures("small_parts")
def test_a_full_disk_leaves_what_is_there(tmp_path):
    resource = pytest.importorskip("resource")
    X = table()
    with treeflows.parts(tmp_path / "run") as run:
        FLOW.fit(X[:, :3])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(OSError, match="no part can be kept in .*those that are there stay"):
                FLOW.fit(X)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert run.store.n_parts() == 3
        assert [path.name[-4:] for path in run.store.root.glob("parts/.*")] == []
        FLOW.fit(X)
        assert run.n_found == 6  # three each time


def test_parts_of_another_version_are_told_and_not_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # one's own are not told
        with treeflows.parts("run"):
            FLOW.fit(table())
    monkeypatch.setattr(machine, "FORMAT", machine.FORMAT + 1)
    with pytest.warns(UserWarning, match="holds 1 parts of treeflows .* not used"), treeflows.parts(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_written(tmp_path, file_of):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), treeflows.parts(tmp_path / "file"):
        pass
    with treeflows.parts(tmp_path / "run"):
        model = FLOW.fit(table())
    kept = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
    for path in kept:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if os.access(tmp_path / "run", os.W_OK):
            pytest.skip("this user may write everywhere")
        with treeflows.parts(tmp_path / "run") as run:
            assert file_of(FLOW.fit(table())) == file_of(model)
            with pytest.raises(PermissionError, match="no part can be kept in"):
                FLOW.fit(table(200))
        assert (run.n_found, run.n_computed) == (1, 0)
    finally:
        for path in kept:
            path.chmod(0o755)


def test_workers_make_nothing_but_parts(tmp_path):
    store = machine.Store(tmp_path)
    store.open()
    for function in ("os:system", "treeflows.machine.archives:write_archive"):
        job = store.put_job(function, {}, {}, {})
        _, error = machine.work(str(store.root), job, json.dumps({}), "0" * 64, "me", 1)
        assert isinstance(error, PartError)
    job = store.put_job("treeflows.learning.grown:trees_of_places", {}, {"codes": np.zeros(3)}, {"codes": "0" * 64})
    _, error = machine.work(str(store.root), job, "{}", "0" * 64, "me", 1)
    assert "damaged" in str(error)
    _, error = machine.work(str(tmp_path / "0.0.0-1"), job, "{}", "0" * 64, "me", 1)
    assert "parts of 0.0.0-1 are wanted" in str(error)


def test_processes_of_this_machine(tmp_path, capsys):
    """The command line, with as many workers as one says: a server of processes, which end when it does."""
    pd.DataFrame(table(n_columns=4).astype(str), columns=list("abcd")).to_csv(tmp_path / "x.csv", index=False)
    fit = ["fit", str(tmp_path / "x.csv"), "--model", "tree", "--json"]
    assert main([*fit, "-o", str(tmp_path / "whole")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "parts" not in told
    for n_found in (0, 2):  # two orders
        in_parts = ["--parts", str(tmp_path / "run"), "--workers", "1"]
        assert main([*fit, "-o", str(tmp_path / "parts"), *in_parts]) == 0
        told = json.loads(capsys.readouterr().out)["parts"]
        assert (told["found"], told["computed"], told["left"], told["workers_lost"]) == (n_found, 2 - n_found, 0, 0)
        assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert main([*fit, "--workers", "2"]) == 2
    assert "--parts FOLDER" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs signals and pipes that have a name")
def test_processes_die_one_by_one(tmp_path):
    executor, pipe = processes(2)(), tmp_path / "pipe"
    os.mkfifo(pipe)
    try:
        other = executor.submit(pipe.read_text)
        with pytest.raises(ChildProcessError, match="terminated abruptly"):
            executor.submit(signal.raise_signal, signal.SIGKILL).result()
        assert not other.done()
        pipe.write_text("alive")
        assert other.result() == "alive"
    finally:
        executor.shutdown()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_task_that_always_kills_its_process_costs_others_nothing():
    workers, ran = Workers(eval, processes(2)), []
    others = [Task(("(1, None)",), lambda: 0, "other", (0,)) for _ in range(50)]
    killer = Task(("__import__('signal').raise_signal(9)",), lambda: 0, "killer", (3,))
    try:
        with pytest.raises(PartError, match=r"\(killer\) failed 6 times before they began it.*abruptly") as caught:
            workers.run([killer, *others], ran.append)
        assert caught.value.columns == (3,)
        assert [task.n_failures for task in others] == [0] * 50
        workers.run(others[:1], ran.append)
    finally:
        workers.close()
    assert (ran[-1], workers.n_lost) == (1, 0)


CLIENT = """
import sys
import numpy as np
import treeflows

if __name__ == "__main__":
    table, folder = sys.argv[1:]
    flow = treeflows.AutoregressiveTreeFlow(order="random")
    model = treeflows.TreeFlowEnsemble(flow, n_estimators=4, weights="uniform", random_state=0)
    with treeflows.parts(folder, 2):
        treeflows.save(model.fit(np.load(table)), f"{folder}.treeflow")
"""


def children(pid):
    """Processes that a process has started: list of int."""
    told = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in told for child in path.read_text().split()]


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_worker_killed_every_second_and_the_client_once(tmp_path, file_of):
    X = random_table(0, 400_000, [2, 3, 2, 4, 2, 3, 2, 2] * 3)
    model = TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), n_estimators=4, weights="uniform", random_state=0)
    whole = file_of(model.fit(X))
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "client.py").write_text(CLIENT)
    command = [sys.executable, tmp_path / "client.py", tmp_path / "X.npy", tmp_path / "run"]
    client, kept, rng = subprocess.Popen(command), {}, np.random.default_rng(0)
    n_killed, n_clients, due = 0, 1, time.monotonic() + 1
    while client.poll() is None:
        time.sleep(0.02)
        before, kept = kept, {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/*/parts/*.npz")}
        assert before.items() <= kept.items()  # none is written again
        if time.monotonic() > due:
            due += 1
            with contextlib.suppress(OSError):  # one that has just ended
                workers = [worker for server in children(client.pid) for worker in children(server)]
                if workers:
                    os.kill(int(rng.choice(workers)), signal.SIGKILL)
                    n_killed += 1
        if len(kept) >= 40 and n_clients == 1:
            client.kill()
            client.wait()
            client, n_clients = subprocess.Popen(command), 2
    assert (client.returncode, n_clients) == (0, 2)
    assert n_killed > 3
    assert (tmp_path / "run.treeflow").read_bytes() == whole


@pytest.mark.usefixtures("small_parts")
def test_dask(tmp_path, file_of):
    distributed = pytest.importorskip("distributed")
    X = table()
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
        treeflows.parts(tmp_path / "run", client.get_executor(pure=False)) as run,
    ):
        model = FLOW.fit(X)
    assert run.n_computed == 6
    assert file_of(model) == file_of(FLOW.fit(X))
