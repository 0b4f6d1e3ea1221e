"""The command line, as a user runs it."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import random_table

import treeflows
from treeflows._cli import main


def run(*arguments, cwd, code=0):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "treeflows", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Run a command in this process; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def said(*arguments):
        capsys.readouterr()
        assert main(list(map(str, arguments))) == 0
        return capsys.readouterr().out

    return said


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Run a command in this process that must end with exit code 2 and one line; returns the line."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments):
        capsys.readouterr()
        assert main(list(map(str, arguments))) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("treeflows: error: ")
        assert printed.err.count("\n") == 1
        return printed.err

    return refused


@pytest.fixture
def data(tmp_path):
    """A CSV file with awkward values: commas, quotes, empty cells, umlauts."""
    codes = random_table(0, 400, [3, 4, 2])
    values = [["red", 'light "blue"', "a, b"], ["", "NA", "Ä", "0"], ["yes", "no"]]
    with open(tmp_path / "data.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["colour", "code", "ja, nein"])
        writer.writerows([[values[j][v] for j, v in enumerate(row)] for row in codes])
    return tmp_path / "data.csv"


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_fit_score_sample_show(data, tmp_path):
    options = ["--layers", 3, "--min-samples-split", 20]
    done = run("fit", data, "-o", "m.treeflow", "--model", "dtf", *options, cwd=tmp_path)
    assert "400 rows, 3 columns, 9 categories" in done.stdout
    assert "m.treeflow" in done.stdout
    assert done.stderr == ""
    done = run("score", "m.treeflow", data, "-o", "scores.csv", "--json", cwd=tmp_path)
    figures = json.loads(done.stdout)
    scores = np.array(read(tmp_path / "scores.csv")[1:], dtype=float)
    assert figures["rows"] == len(scores) == 400
    assert figures["log_likelihood"] == pytest.approx(scores.mean(), abs=1e-12)
    flow = treeflows.load(tmp_path / "m.treeflow")
    assert figures["log_likelihood"] == pytest.approx(flow.train_score_[-1], abs=1e-12)
    assert "nats per row" in run("score", "m.treeflow", data, cwd=tmp_path).stdout

    run("sample", "m.treeflow", "-n", 50, "-o", "new.csv", cwd=tmp_path)
    rows, original = read(tmp_path / "new.csv"), read(data)
    assert rows[0] == original[0]
    assert len(rows) == 51
    for j in range(3):
        assert {row[j] for row in rows} <= {row[j] for row in original}
    printed = run("sample", "m.treeflow", "-n", 50, cwd=tmp_path).stdout
    assert list(csv.reader(printed.splitlines())) == rows
    assert run("sample", "m.treeflow", "-n", 50, "--seed", 1, cwd=tmp_path).stdout != printed
    run("score", "m.treeflow", "new.csv", cwd=tmp_path)

    shown = run("show", "m.treeflow", cwd=tmp_path).stdout
    assert 'colour: a, b, light "blue", red' in shown
    assert "layer 1: TreePermutation of 3 columns" in shown
    assert json.loads(run("show", "m.treeflow", "--json", cwd=tmp_path).stdout)["layers"] == 3
    shown = run("show", "m.treeflow", "--layer", 2, "--depth", 0, cwd=tmp_path).stdout
    assert "layer 2" in shown
    assert " leaves\n" in shown


def test_trees_and_ensembles(data, said):
    done = said("fit", data, "-o", "m")
    assert "with this TreeFlowMixture" in done
    shown = said("show", "m")
    assert "hidden column: " in shown
    assert "7 further trees" in shown
    assert "columns in order: leaves of the tree" in shown
    shown = said("show", "m", "--column", "ja, nein", "--depth", 1)
    assert "\nja, nein given code, colour\n" in shown
    assert json.loads(said("show", "m", "--json"))["order"] == ["code", "colour", "ja, nein"]
    said("fit", data, "-o", "t", "--model", "tree")
    assert "\nja, nein given code, colour\n" in said("show", "t", "--column", "ja, nein")
    assert "hidden" not in said("show", "t")
    single = json.loads(said("score", "m", data, "--json"))["log_likelihood"]

    figures = json.loads(said("fit", data, "-o", "e", "--model", "ensemble", "--json"))
    assert figures["kind"] == "TreeFlowEnsemble"
    assert "members and their weights:" in said("show", "e")
    assert len(json.loads(said("show", "e", "--json"))["members"]) == 10
    score = json.loads(said("score", "e", data, "--json"))["log_likelihood"]
    assert score == pytest.approx(-figures["nll"], abs=1e-9)
    assert abs(score - single) < 0.1
    assert len(said("sample", "e", "-n", 5).splitlines()) == 6


def test_fit_is_by_seed_and_options(data, tmp_path):
    options = ["--criterion", "random", "--early-stopping"]
    for name in ("a", "b"):
        run("fit", data, "-o", name, "--model", "dtf", *options, "--seed", 3, cwd=tmp_path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    figures = json.loads(run("fit", data, "--drop", "code", "--json", cwd=tmp_path).stdout)
    assert figures["columns"] == 2
    assert figures["model"].endswith("data.treeflow")
    assert treeflows.load(figures["model"]).feature_names_in_.tolist() == ["colour", "ja, nein"]


def test_models_of_arrays_can_be_sampled(tmp_path):
    flow = treeflows.DiscreteTreeFlow(1).fit(np.array([[0, 5], [1, 6]]))
    treeflows.save(flow, tmp_path / "m")
    assert run("sample", "m", "-n", 2, cwd=tmp_path).stdout.startswith("x0,x1\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 values, but the header names 2 columns"),
        ("a,b\n1,2,3\n", "line 2: 3 values"),
        ("", "empty"),
        ("a,b\n", "no rows"),
        ("a\n1\n\n2\n", "line 3: 0 values"),
        ('a,b\n"1,2\n', "line 2"),
        ("a,a\n1,2\n", "'a' occurs more than once"),
        (b"a,b\n\xff,1\n", "not UTF-8"),
        ("id\n" + "\n".join(map(str, range(300))), "column 'id' has 300 categories"),
    ],
)
def test_bad_tables_get_one_line(refused, tmp_path, text, told):
    path = tmp_path / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert told in refused("fit", "bad.csv")
    assert list(tmp_path.iterdir()) == [path]


def test_other_mistakes_get_one_line(refused, data, tmp_path):
    for name, model in (("m", "auto"), ("d", "dtf"), ("e", "ensemble")):
        assert main(["fit", str(data), "-o", name, "--model", model, "--json"]) == 0
    (tmp_path / "other.csv").write_text('colour,code,"ja, nein"\nred,,maybe\n')
    (tmp_path / "fewer.csv").write_text("colour\nred\n")
    for arguments, told in [
        (["fit", "nowhere.csv"], "nowhere.csv"),
        (["fit", data, "-o", "no/such/folder/m"], "no/such/folder"),
        (["fit", data, "--drop", "size"], "no column 'size'"),
        (["fit", data, "-o", data], "would replace the data"),
        (["fit", data, "--model", "dtf", "--layers", "-1"], "n_layers"),
        (["fit", data, "--max-depth", "3"], "--max-depth is an option of --model dtf"),
        (["score", "m", "other.csv"], "column 'ja, nein' holds 'maybe' at row 0"),
        (["score", "m", "fewer.csv"], "feature names"),
        (["score", data, data], "is not a treeflows model file"),
        (["score", "nowhere", data], "nowhere"),
        (["sample", "m", "-n", "-5"], "n_samples"),
        (["sample", "m", "-o", "no/such/folder/x.csv"], "no/such/folder"),
        (["show", "d", "--layer", "99"], "layers 1 to 10"),
        (["show", "d", "--column", "code"], "--column is not for d, a model of the kind DiscreteTreeFlow"),
        (["show", "e", "--column", "code"], "--column is not for e"),
        (["show", "m", "--layer", "1"], "--layer is not for m, a model of the kind TreeFlowMixture"),
        (["show", "m", "--column", "size"], "no column 'size'; there are colour, code, ja, nein"),
        (["show", "m", "--depth", "-1"], "--depth"),
        (["demo", "-o", "other.csv"], "other.csv"),
    ]:
        assert told in refused(*arguments)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "data.csv", "e", "fewer.csv", "m", "other.csv"]


def test_mistakes_end_the_process_with_exit_code_2(tmp_path):
    assert run("fit", "nowhere.csv", cwd=tmp_path, code=2).stderr.count("\n") == 1
    for arguments in (["nothing"], ["fit", "data.csv", "--layers", "many"], ["score", "m"]):
        error = run(*arguments, cwd=tmp_path, code=2).stderr
        assert "--help" in error
        assert error.count("\n") == 1


def test_output_to_what_is_no_file(data, tmp_path):
    run("fit", data, "-o", "m", cwd=tmp_path)
    printed = run("sample", "m", "-n", 5, cwd=tmp_path).stdout
    assert run("sample", "m", "-n", 5, "-o", "/dev/stdout", cwd=tmp_path).stdout == printed


def test_a_closed_pipe_is_no_error(data, tmp_path):
    run("fit", data, "-o", "m", cwd=tmp_path)
    command = f"'{sys.executable}' -m treeflows sample m -n 200000 | head -2"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_interrupted_fit_ends_and_leaves_no_file(data, tmp_path):
    command = [sys.executable, "-m", "treeflows", "fit", str(data), "-o", "m", "--model", "dtf"]
    command += ["--layers", "100000000"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        with pytest.raises(subprocess.TimeoutExpired):  # it is at work, on more layers than anybody waits for
            process.wait(timeout=4)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error == "treeflows: interrupted\n"
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], b"learning the hidden column"),
        (["--model", "tree"], b"growing trees"),
        (["--model", "ensemble"], b"fitting members"),
        (["--model", "dtf"], b"learning layers"),
    ],
)
def test_progress_is_shown_on_a_terminal_alone(data, tmp_path, options, told):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "treeflows", "fit", str(data), "-o", "m", *options]
    subprocess.run(command, cwd=tmp_path, stderr=follower, stdout=subprocess.DEVNULL, check=True)
    os.close(follower)
    shown = b""
    while True:
        try:
            shown += os.read(leader, 65536)
        except OSError:
            break
        if not shown.endswith(b"\n") and told in shown:
            break
    os.close(leader)
    assert told in shown


def test_demo(tmp_path):
    done = run("demo", "-o", "pictures", cwd=tmp_path)
    assert "independent columns" in done.stdout
    assert "exact" in done.stdout
    pictures = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert pictures == ["dependence.png", "digits.png", "likelihood.png"]
    assert all((tmp_path / "pictures" / p).read_bytes().startswith(b"\x89PNG") for p in pictures)
    figures = json.loads(run("demo", "-o", "pictures", "--json", cwd=tmp_path).stdout)
    assert figures["nll"] < figures["nll_independent"]
    assert figures["round_trip_exact"]


@pytest.mark.parametrize(
    ("name", "model"), [("mushroom", "auto"), ("mushroom", "dtf"), ("nursery", "tree"), ("nursery", "ensemble")]
)
def test_real_tables(shared_path, said, name, model):
    path = shared_path(f"data/csv/{name}.csv")
    figures = json.loads(said("fit", path, "-o", "m", "--model", model, "--json"))
    assert figures["nll"] < figures["nll_independent"]
    scored = json.loads(said("score", "m", path, "--json"))
    assert -scored["log_likelihood"] == pytest.approx(figures["nll"], abs=1e-9)
    said("sample", "m", "-n", 100, "-o", "s.csv")
    said("score", "m", "s.csv")


def test_numeric_columns_are_named(refused, shared_path):
    assert "column 'fnlwgt' has" in refused("fit", shared_path("data/csv/adult.csv"), "-o", "m")
