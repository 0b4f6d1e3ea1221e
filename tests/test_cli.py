"""The command line, as a user runs it."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import random_table, whole_domain
from pyarrow import parquet
from sklearn.base import clone

import treeflows
from treeflows.command.commands import COMMANDS, one_line
from treeflows.command.explanation import to_text
from treeflows.command.main import main
from treeflows.files.numbers import numbers_of
from treeflows.files.tables import as_text, for_model, read_file, value_of, with_numbers
from treeflows.learning import rows as learned_rows
from treeflows.learning.orders import mutual_information
from treeflows.machine.errors import ParameterError, TableError
from treeflows.models.baselines import ColumnTree, _smoothed
from treeflows.pictures.saving import inline
from treeflows.report import evaluation, page
from treeflows.report.evaluation import read_domain
from treeflows.tables.bins import Bins


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

    def said(*arguments, checked=False):
        """Fits are not checked on held-out rows unless that is asked for: it takes as long again."""
        capsys.readouterr()
        unchecked = ["--no-held-out"] * (arguments[0] == "fit" and not checked)
        assert main([*map(str, arguments), *unchecked]) == 0
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


def test_a_process_of_its_own(data, said, tmp_path):
    done = run("fit", data, "--model", "tree", cwd=tmp_path)
    assert "400 rows, 3 columns, 9 categories" in done.stdout
    assert done.stderr == ""
    # what is no file is written to as it is
    printed = run("sample", "data.treeflow", "-n", 5, "-o", "/dev/stdout", cwd=tmp_path).stdout
    assert printed == said("sample", "data.treeflow", "-n", 5)
    assert len(list(csv.reader(printed.splitlines()))) == 6


def test_fit_score_sample_show(data, said, tmp_path):
    options = ["--layers", 3, "--min-samples-split", 20]
    done = said("fit", data, "-o", "m.treeflow", "--model", "dtf", *options)
    assert "400 rows, 3 columns, 9 categories" in done
    assert "m.treeflow" in done
    figures = json.loads(said("score", "m.treeflow", data, "-o", "scores.csv", "--json"))
    scores = np.array(read(tmp_path / "scores.csv")[1:], dtype=float)
    assert figures["rows"] == len(scores) == 400
    assert figures["log_likelihood"] == pytest.approx(scores.mean(), abs=1e-12)
    flow = treeflows.load(tmp_path / "m.treeflow")
    assert figures["log_likelihood"] == pytest.approx(flow.train_score_[-1], abs=1e-12)
    assert "nats per row" in said("score", "m.treeflow", data)

    said("sample", "m.treeflow", "-n", 50, "-o", "new.csv")
    rows, original = read(tmp_path / "new.csv"), read(data)
    assert rows[0] == original[0]
    assert len(rows) == 51
    for j in range(3):
        assert {row[j] for row in rows} <= {row[j] for row in original}
    printed = said("sample", "m.treeflow", "-n", 50)
    assert list(csv.reader(printed.splitlines())) == rows
    assert said("sample", "m.treeflow", "-n", 50, "--seed", 1) != printed
    said("score", "m.treeflow", "new.csv")

    shown = said("show", "m.treeflow")
    assert 'colour: a, b, light "blue", red' in shown
    assert "layer 1: TreePermutation of 3 columns" in shown
    assert json.loads(said("show", "m.treeflow", "--json"))["layers"] == 3
    shown = said("show", "m.treeflow", "--layer", 2, "--depth", 0)
    assert "layer 2" in shown
    assert "\n… 400 rows in " in shown


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "csv.gz", "tsv.bz2", "csv.xz", "CSV.ZIP"])
def test_files_of_every_kind(data, said, tmp_path, ending):
    said("fit", data, "-o", "m", "--model", "tree")
    said("sample", "m", "-n", 100, "-o", f"new.{ending}")
    said("sample", "m", "-n", 100, "-o", "new.csv")
    table, plain = read_file(f"new.{ending}"), read_file("new.csv")
    assert table.equals(plain)
    assert plain.isna().to_numpy().any()
    assert said("score", "m", f"new.{ending}") == said("score", "m", "new.csv")
    figures = json.loads(said("fit", f"new.{ending}", "--model", "tree", "--json"))
    assert figures["model"] == "new.treeflow"
    written = (tmp_path / f"new.{ending}").read_bytes()
    said("sample", "m", "-n", 100, "-o", f"new.{ending}")
    assert (tmp_path / f"new.{ending}").read_bytes() == written


def test_parquet_of_other_than_text(said, refused):
    table = pa.table(
        {
            "whole": pa.array([1, 2, None, 1]),
            "float": pa.array([0.0, float("nan"), 1.0, 1.0]),
            "truth": pa.array([True, False, True, None]),
            "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
            "list": pa.array([[1], [2], [3], [4]]),
        }
    )
    parquet.write_table(table, "t.parquet")
    assert "column 'list' holds list<" in refused("fit", "t.parquet")
    read = as_text(read_file("t.parquet", drop=["list"]))
    assert read.to_numpy().tolist() == [
        ["1", "0", "true", "a"],
        ["2", None, "false", "b"],
        [None, "1", "true", "a"],
        ["1", "1", None, "b"],
    ]
    said("fit", "t.parquet", "--drop", "list", "--model", "tree")
    # a model that was learned in Python, of other than text, reads the text of a file as its categories
    flow = treeflows.AutoregressiveTreeFlow().fit(table.select(["whole", "float", "truth"]))
    treeflows.save(flow, "python")
    read.to_csv("t.csv", index=False)
    scored = json.loads(said("score", "python", "t.csv", "--json"))["log_likelihood"]
    assert scored == pytest.approx(flow.score(table.select(["whole", "float", "truth"])))
    assert said("sample", "python", "-n", 3, "--given", "truth=true").count("True") == 3
    assert said("sample", "python", "-n", 3, "--given", "whole=2").startswith("whole,float,truth\n2,")


def test_standard_input(data, said, refused, tmp_path, monkeypatch):
    def give():
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.read_bytes())))

    give()
    assert json.loads(said("fit", "-", "--model", "tree", "--json"))["model"] == "model.treeflow"
    give()
    printed = said("score", "model.treeflow", "-")
    assert printed == said("score", "model.treeflow", data)
    for command in ("score", "impute"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"colour\nred\n")))
        assert "standard input has no column" in refused(command, "model.treeflow", "-")


def test_tables_filled_several_times(said, refused, tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"who": range(200), "sex": rng.choice(["f", "m"], 200), "age": rng.integers(18, 80, 200)})
    X["vote"] = np.where((rng.random(200) < 0.8) == (X["sex"] == "f"), "yes", "no")
    holed = X.assign(**{name: X[name].astype(object).mask(rng.random(200) < 0.3) for name in ("age", "vote")})
    holed.to_csv("h.csv", index=False)
    holed.astype({"age": "Int64"}).to_parquet("h.parquet")
    said("fit", "h.csv", "-o", "m", "--model", "tree", "--drop", "who")
    n = int(holed.isna().sum().sum())
    printed = said("impute", "m", "h.csv", "--draws", 3, "-o", "three.csv")
    assert printed.startswith(f"filled {n} cells of ")
    assert printed.endswith("in each of 3 tables, wrote three.csv\n")
    three = pd.read_csv("three.csv")
    assert list(three) == [".imp", ".id", *X]
    assert not three.isna().any(axis=None)
    tables = [table.drop(columns=[".imp", ".id"]) for _, table in three.groupby(".imp")]
    assert three[".imp"].tolist() == sorted([1, 2, 3] * 200)
    assert three[".id"].tolist() == list(range(200)) * 3
    for table in tables:
        assert table.reset_index(drop=True)[holed.notna()].astype(object).equals(X[holed.notna()].astype(object))
    assert (tables[0].to_numpy() != tables[1].to_numpy()).any()
    like = treeflows.load("m").set_params(missing="marginalize", n_jobs=1)
    read, _ = for_model(like, read_file("h.csv"), "h.csv")
    first = treeflows.multiply_impute(read, clone(like), n_draws=3, random_state=0)[0]
    assert first["vote"].tolist() == tables[0]["vote"].tolist()
    said("impute", "m", "h.parquet", "--draws", 3, "-o", "three.parquet")
    assert (pd.read_parquet("three.parquet").astype(str) == three.astype(str)).all(axis=None)
    assert said("impute", "m", "h.csv", "--draws", 3) == (tmp_path / "three.csv").read_text()
    assert said("impute", "m", "h.csv", "--draws", 1, "--seed", 1).count("\n") == 201

    said("fit", "h.csv", "-o", "within", "--model", "tree", "--drop", "who", "--context", "sex")
    assert said("impute", "within", "h.csv", "--draws", 2).count("\n") == 401
    assert "takes no --draws" in refused("impute", "m", "h.csv", "--draws", "2", "--sweeps", "2")
    assert "three.csv has '.imp' already" in refused("impute", "m", "three.csv", "--draws", "2")


def test_missing_cells(said, refused, tmp_path):
    codes = random_table(1, 500, [3, 3, 2])
    table = np.array([["a", "b", "c"], ["d", "e", "?"], ["f", "g", "?"]], dtype=object)
    rows = [[table[j][v] for j, v in enumerate(row)] for row in codes]
    for row in rows[::7]:
        row[0] = ""
    for row in rows[::11]:
        row[2] = ""
    with open("t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["x", "y", "z"], *rows])
    said("fit", "t.csv", "-o", "m", "--model", "tree")
    model = treeflows.load("m")
    assert [c.tolist()[-1] for c in model.categories_] == [None, "e", None]  # "?" is a value like any other
    assert "(missing)" in said("show", "m")
    assert said("sample", "m", "--given", "x=", "-n", 3).count("\n,") == 3
    said("impute", "m", "t.csv", "-o", "whole.csv")
    whole = read("whole.csv")[1:]
    assert all(cell for row in whole for cell in row)
    assert all(b in ("", a) for old, new in zip(rows, whole, strict=True) for a, b in zip(new, old, strict=True))
    assert list(csv.reader(said("impute", "m", "t.csv").splitlines()))[1:] == whole
    assert "a value of column 'y'; fit with --na ? too" in refused("impute", "m", "t.csv", "--na", "?")
    drawn = said("impute", "m", "t.csv", "--draw", "--seed", 1)
    assert drawn == said("impute", "m", "t.csv", "--draw", "--seed", 1)
    assert drawn != said("impute", "m", "t.csv", "--draw", "--seed", 2)

    assert "'y' has a missing value (NaN or None)" in refused(
        "fit", "t.csv", "--missing", "error", "--na", "?", "--drop", "x"
    )
    figures = json.loads(said("fit", "t.csv", "-o", "n", "--missing", "marginalize", "--model", "tree", "--json"))
    assert figures["train_nll"] is None
    fit = ["fit", "t.csv", "-o", "n", "--missing", "marginalize", "--model", "tree"]
    assert "held-out" not in said(*fit, checked=True)  # which may take longer than the fit
    assert "marginalize" in treeflows.load("n").missing
    said("evaluate", "t.csv", "--folds", 2, "--missing", "marginalize", "--model", "tree")
    said("report", "t.csv", "--missing", "marginalize", "--model", "tree")


def test_rare_and_unseen_values(said, refused, tmp_path):
    rng = np.random.default_rng(0)
    names = [f"town {i}" for i in rng.geometric(0.01, 2000)]
    with open("t.csv", "w") as file:
        file.write("town,size\n" + "".join(f"{town},{len(town)}\n" for town in names))
    told = refused("fit", "t.csv")
    assert "column 'town' has" in told
    assert "--drop 'town', or group its rare values with --max-categories 128" in told
    assert "--bin" not in told
    assert "--max-categories 128" in refused("fit", "t.csv", "--max-categories", 300)
    for options in (["--max-categories", 20], ["--min-frequency", 5], ["--min-frequency", 0.01]):
        said("fit", "t.csv", "-o", "m", "--model", "tree", "--unknown", "reserve", *options)
        assert "rare values)" in treeflows.load("m").domain_.labels[0][-2]
        rows = list(csv.reader(said("sample", "m", "-n", 50).splitlines()))
        assert {row[0] for row in rows[1:]} <= set(names)
    with open("other.csv", "w") as file:
        file.write("size,town\n7,nowhere\n")
    said("score", "m", "other.csv")
    said("fit", "t.csv", "-o", "m", "--model", "tree", "--max-categories", 20)
    assert "fit with --unknown reserve" in refused("score", "m", "other.csv")


def test_bins(said, refused, tmp_path):
    rng = np.random.default_rng(0)
    age, gain = rng.integers(17, 90, 1000), np.where(rng.random(1000) < 0.9, 0, rng.integers(1, 500, 1000) / 4)
    old = np.where(age > 50, "old", "young")
    with open("t.csv", "w") as file:
        rows = zip(age, gain, old, range(1000), strict=True)
        file.write("age,gain,what,id\n" + "".join(f"{a},{g:g},{o},{i}\n" for a, g, o, i in rows))
    told = refused("fit", "t.csv", "--bin", "age", "--bin", "gain", "--numeric", "none")
    assert (
        "column 'id' has 1,000 categories; at most 256 are supported: cut it at its deciles with --bin 'id', or" in told
    )
    said("fit", "t.csv", "--bin", "age", "--bin", "gain", "--drop", "id", "-o", "m")
    categories = treeflows.load("m").categories_
    assert len(categories[0]) == 10
    assert categories[1].tolist() == [f"(-inf, {gain[gain > 0].min()})", f"[{gain[gain > 0].min()}, inf)"]
    # the raw file, in which no model has seen a number, and a column that it does not have
    shown = json.loads(said("score", "m", "t.csv", "--json"))
    said("sample", "m", "-n", 100, "-o", "new.csv")
    said("score", "m", "new.csv")
    drawn = list(csv.reader(said("sample", "m", "-n", 20, "--given", "age=18.5").splitlines()))[1:]
    assert {row[0] for row in drawn} == {label for label in categories[0] if label.startswith("(-inf")}
    assert sum(row[2] == "young" for row in drawn) >= 18
    told = refused("sample", "m", "--given", "age=abc")
    assert "column 'age' has no interval for 'abc'; it has '(-inf, " in told
    assert "--na" not in told
    learning = ["--bin", "age", "--bin", "gain", "--drop", "id"]
    said("fit", "t.csv", *learning, *learning, "-o", "twice")
    assert json.loads(said("score", "twice", "t.csv", "--json")) == shown
    with open("far.csv", "w") as file:
        file.write("what,gain,age\nyoung,1e300,-5\nold,,500\n")
    assert "'gain' has a missing value" in refused("score", "m", "far.csv")
    said("impute", "m", "far.csv", "-o", "far2.csv")
    assert read("far2.csv")[2][1] in categories[1]
    assert "2 rows" in said("score", "m", "far2.csv")
    assert shown["rows"] == 1000
    for how, labels in {
        "age=2": ["(-inf, 55)", "[55, inf)"],
        "age=65,18": ["(-inf, 18)", "[18, 65)", "[65, inf)"],
        "age=40,": ["(-inf, 40)", "[40, inf)"],
    }.items():
        said("fit", "t.csv", "--bin", how, "--drop", "id", "-o", "n", "--model", "tree")
        assert treeflows.load("n").categories_[0].tolist() == labels
    for how in ("1", "x", "1,x", "2,2", "", ",", "inf,"):
        assert "a number of bins from 2 to 256 is needed, or edges" in refused("fit", "t.csv", "--bin", f"age={how}")
    with open("bad.csv", "w") as file:
        file.write("what,gain,age\nyoung,n/a,20\n")
    assert "column 'gain' is to be cut into bins, but holds 'n/a' at row 0" in refused("score", "m", "bad.csv")
    assert "all of it is missing" in refused("fit", "bad.csv", "--bin", "gain", "--na", "n/a")


@pytest.mark.parametrize(
    ("numbers", "labels"),
    [
        (range(10), ["(-inf, 1)", *(f"[{i}, {i + 1})" for i in range(1, 8)), "[8, inf)"]),
        ([0] * 95 + [1, 2, 3, 4, 5], ["(-inf, 1)", "[1, inf)"]),
        ([9] * 95 + [1, 2, 3, 4, 5], ["(-inf, 9)", "[9, inf)"]),
        ([1, 2, 3] + [5] * 94 + [7, 8, 9], ["(-inf, 5)", "[5, 7)", "[7, inf)"]),
        ([4, 4], ["(-inf, inf)"]),
        ([-1.5, 0.1], ["(-inf, 0.1)", "[0.1, inf)"]),
    ],
)
def test_edges_of_bins(numbers, labels):
    cells = [f"{number:g}" for number in numbers]
    bins = Bins.of([*cells, None], "x")
    assert bins.labels == labels
    assert Bins.of_labels(labels[::-1]) == bins
    placed = bins.place([*cells, None, labels[0]], "x")
    assert set(placed[:-2]) == set(labels)
    assert placed[-2:] == [None, labels[0]]


def test_what_are_no_bins():
    for labels in (["a"], ["(-inf, 1)", "[2, inf)"], ["(-inf, 1)", "(1, inf)"], [1, 2], ["(-inf, x)"], ["(-inf, 1)"]):
        assert Bins.of_labels(labels) is None


def test_given_values(said, refused, data):
    said("fit", data, "-o", "m", "--model", "tree")
    rows = list(
        csv.reader(said("sample", "m", "-n", 30, "--given", "ja, nein=yes", "--given", "colour=a, b").splitlines())
    )
    assert {(row[0], row[2]) for row in rows[1:]} == {("a, b", "yes")}
    assert "has no value 'maybe'" in refused("sample", "m", "--given", "ja, nein=maybe")
    assert "COLUMN=VALUE is needed, with one of the columns 'colour'" in refused("sample", "m", "--given", "size=1")
    assert "--given tells column 'colour' twice" in refused(
        "sample", "m", "--given", "colour=red", "--given", "colour=a, b"
    )


def test_notes_are_one_line(said, data, capsys):
    main(["fit", str(data), "-o", "m", "--model", "tree", "--json"])
    order = json.loads(capsys.readouterr().out) and treeflows.load("m").order_
    last = treeflows.load("m").feature_names_in_[order[-1]]
    value = {"colour": "red", "code": "NA", "ja, nein": "yes"}[last]
    assert main(["sample", "m", "--given", f"{last}={value}"]) == 0
    note = capsys.readouterr().err
    assert note.startswith("treeflows: note: the given columns do not come first")
    assert note.count("\n") == 1


def test_anomalies(said, data):
    said("fit", data, "-o", "m", "--model", "tree")
    assert said("anomalies", "m", data, "-n", 2, "--cells", 1).count("\n") == 4
    found = json.loads(said("anomalies", "m", data, "-n", 3, "--json"))
    assert len(found) == 3
    assert set(found[0]) == {"row", "log_likelihood", "values", "surprise"}
    row = read(data)[1 + found[0]["row"]]
    assert [v.replace("(missing)", "") for v in found[0]["values"].values()] == row


def test_groups(said, refused, tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.random((300, 5)) < np.where(rng.random(300) < 0.3, 0.9, 0.1)[:, None], columns=list("abcde"))
    X.value_counts().reset_index(name="n").to_csv(tmp_path / "t.csv", index=False)
    said("fit", "t.csv", "--weight", "n", "-o", "m", "--model", "tree")
    told = said("groups", "m", "t.csv", "--weight", "n", "-n", 1, 2, "--bootstrap", 20)
    assert re.search(r"^2 groups\n.*\ngroup 1, \d\d\.\d% of the rows \(", told, re.DOTALL)
    figures = json.loads(said("groups", "m", "t.csv", "--weight", "n", "-n", 2, "--json"))
    assert [each["n_groups"] for each in figures["criteria"]] == [1, 2]
    assert len(figures["profiles"]["a"]) == len(figures["weight"]) == 2
    assert figures["weight_interval"] is None
    tested = json.loads(said("groups", "m", "t.csv", "--weight", "n", "-n", 2, "--simulations", 9, "--json"))
    assert [each["p_value"] for each in tested["criteria"]] == [None, 0.1]
    said("groups", "m", "t.csv", "--weight", "n", "-n", 2, "-o", "who.csv")
    who = pd.read_csv(tmp_path / "who.csv")
    assert list(who) == ["group", "group 0", "group 1"]
    np.testing.assert_allclose(who["group 0"] + who["group 1"], 1)
    assert "--groups is 99" in refused("groups", "m", "t.csv", "--weight", "n", "-n", 99)


def test_json_is_strict(said, data, monkeypatch):
    said("fit", data, "-o", "m", "--model", "tree")
    result = treeflows.load("m").query("code")
    unknown = replace(result, probability=np.nan, error=np.inf)  # as of evidence that hardly any draw agrees with
    monkeypatch.setattr(treeflows.AutoregressiveTreeFlow, "query", lambda *_, **__: unknown)
    figures = json.loads(said("query", "m", "code", "--json"), parse_constant=pytest.fail)
    assert figures["probability"] is None
    assert figures["error"] is None
    assert len(figures["told"]) == len(result.to_frame())


def test_query(said, refused, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    model = treeflows.load("m")
    told = json.loads(said("query", "m", "code", "--given", "colour=a, b", "--given", "ja, nein=yes", "--json"))
    expected = model.query("code", given={"colour": "a, b", "ja, nein": "yes"})
    assert told["exact"]
    assert [each["probability"] for each in told["told"]] == pytest.approx(expected["code"].probability.tolist())
    assert told["probability"] == pytest.approx(expected.probability)
    assert (
        said("query", "m", "code", "--given", "ja, nein=yes") == f"{model.query('code', given={'ja, nein': 'yes'})}\n"
    )
    # several values, which may hold commas themselves, and all but some
    several = said("query", "m", "code", "--given", 'colour=red,light "blue"')
    expected = model.query("code", given={"colour": ["red", 'light "blue"']})
    assert several == f"{expected}\n"
    assert said("query", "m", "code", "--given", "colour!=a, b").splitlines()[1:] == several.splitlines()[1:]
    said("query", "m", "--by", "colour", "-o", "t.csv")
    assert len(read("t.csv")) == 1 + 3 * 9
    apart = model.query("code", by="colour").groups.values()
    assert sum(each.probability for each in apart) == pytest.approx(1)
    assert "(did you mean 'code'?)" in refused("query", "m", "Code")
    assert "(did you mean 'colour'?)" in refused("query", "m", "--given", "color!=red")
    assert "twice: values of which any may be have commas" in refused(
        "query", "m", "--given", "code=0", "--given", "code!=NA"
    )


def test_predict(said, refused, data, tmp_path, monkeypatch):
    said("fit", data, "-o", "m", "--model", "tree")
    model, X = treeflows.load("m"), read_file(str(data))
    printed = said("predict", "m", data, "code")
    assert [row[0] for row in csv.reader(printed.splitlines())] == ["code", *model.predict(X, "code").tolist()]
    monkeypatch.setattr("treeflows.command.commands.BLOCK", 7)
    X.drop(columns="code").to_csv("without.csv", index=False)
    said("predict", "m", "without.csv", "code", "-o", "p.csv")
    assert (tmp_path / "p.csv").read_text() == printed
    chances = pd.read_csv(io.StringIO(said("predict", "m", data, "ja, nein", "--proba")))
    assert list(chances) == ["no", "yes"]
    np.testing.assert_allclose(chances, model.conditional_proba(X, "ja, nein"))
    (tmp_path / "odd.csv").write_text('colour,"ja, nein"\n' + "red,yes\n" * 8 + "red,maybe\n")
    assert "holds 'maybe' at row 8" in refused("predict", "m", "odd.csv", "code", "-o", "o.csv")
    assert not (tmp_path / "o.csv").exists()
    assert "(did you mean 'code'?)" in refused("predict", "m", data, "cod")
    assert "--quantiles are of numbers" in refused("predict", "m", data, "code", "--quantiles", 0.5)


def test_explain(said, refused, data):
    said("fit", data, "-o", "m", "--model", "tree")
    model, X = treeflows.load("m"), read_file(str(data))
    told = json.loads(said("explain", "m", data, "--row", 3, "--json"))
    scores = model.score_samples(X)
    assert told["log_likelihood"] == pytest.approx(scores[3])
    assert told["n_less_likely"] == (scores < scores[3]).sum()
    surprises = [cell["surprise"] for cell in told["cells"].values()]
    assert surprises == sorted(surprises, reverse=True)
    for name, cell in told["cells"].items():
        prob = model.conditional_proba(X[3:4], name)[0]
        assert max(cell["probability"].values()) == pytest.approx(prob.max())
        tree = model.tree(name)
        node = 0 if len(tree.column) else ~0
        for question, answer in cell["questions"]:
            asked, of = tree.question(node)
            assert question == f"{asked} {of}"
            value = X[asked].iloc[3]
            assert answer == ("yes" if of.removeprefix("= ") == ("(missing)" if value is None else value) else "no")
            node = tree.children[node, 0 if answer == "yes" else 1]
        assert node < 0
    printed = said("explain", "m", data, "--row", 3, "--cells", 1)
    assert printed.startswith("row 3: log-likelihood ")
    assert " = ".join(next((n, c["value"]) for n, c in told["cells"].items())) in printed
    assert "has the rows 0 to 399" in refused("explain", "m", data, "--row", 400)


def test_values_that_fit_did_not_see_may_be_unknown(said, refused, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    (tmp_path / "odd.csv").write_text('colour,code,"ja, nein"\n' + "red,NA,yes\n" * 9 + "pink,NA,maybe\n")
    ignoring = ["--unseen", "ignore"]
    for command in (["score"], ["anomalies"], ["explain", "--row", 9], ["predict"]):
        asked = [command[0], "m", "odd.csv", *command[1:], *["code"] * (command == ["predict"])]
        told = refused(*asked)
        assert "; ask with --unseen ignore; fit with --unknown reserve" in told
        assert "unseen values: 1 in 'colour', 1 in 'ja, nein'" in told
        said(*asked, *ignoring)
    model, X = treeflows.load("m"), read_file("odd.csv")
    scored = json.loads(said("score", "m", "odd.csv", *ignoring, "--json"))["log_likelihood"]
    assert scored == pytest.approx(model.score(X, unseen="ignore"))
    assert len(json.loads(said("anomalies", "m", data, "--rate", 0.05, "--json"))) == 20
    (tmp_path / "odd.csv").write_text('colour,code,"ja, nein"\nn/a,NA,yes\n')
    assert refused("score", "m", "odd.csv").endswith("; if 'n/a' marks a missing cell, say so with --na 'n/a'\n")
    treeflows.pack("odd.csv", "packed")
    assert "--unseen is for files" in refused("score", "m", "packed", *ignoring)


def test_evaluate(said, data):
    figures = json.loads(said("evaluate", data, "--folds", 4, "--json"))
    models = figures["models"]
    assert set(models) == {"independent columns", "Chow-Liu tree", "TreeFlowMixture"}
    assert models["TreeFlowMixture"]["nll"] < models["independent columns"]["nll"]
    gain = models["independent columns"]["nll"] - models["TreeFlowMixture"]["nll"]
    assert figures["gain"] == pytest.approx(gain)
    printed = said("evaluate", data, "--model", "tree")
    assert "each row held out once in 5 folds" in printed
    assert "AutoregressiveTreeFlow gains" in printed
    lines = [line for line in printed.splitlines() if "±" in line][:3]
    assert len({line.index("±") for line in lines}) == 1
    for model in ("dtf", "ensemble"):
        said("evaluate", data, "--model", model, "--folds", 2)


def test_a_verdict_says_when_nothing_is_gained(said, tmp_path):
    rng = np.random.default_rng(0)
    coins = rng.integers(0, 2, (300, 4))

    def verdict(table):
        pd.DataFrame(table, columns=list("abcd")).to_csv(tmp_path / "t.csv", index=False)
        return json.loads(said("evaluate", tmp_path / "t.csv", "--model", "tree", "--json"))["verdict"]

    assert "show no dependence" in verdict(coins)
    chain = np.column_stack([coins[:, 0], coins[:, 0], coins[:, 2], coins[:, 2]])
    assert "The simpler model tells held-out rows as well" in verdict(chain)
    parity = np.column_stack([coins[:, :3], coins[:, :3].sum(axis=1) % 2])
    assert "gains over the better of the two" in verdict(parity)


def test_concentrations_of_few_rows():
    # one row of each context tells nothing of the concentration
    assert _smoothed(np.array([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(np.array([[0.75, 0.25], [0.25, 0.75]]))
    # nor do a hundred equal rows tell that there is nothing else
    assert _smoothed(np.array([[100.0, 0, 0, 0]])).min() == pytest.approx(0.125 / 100.5)


def test_baselines_are_densities():
    codes = random_table(2, 300, [3, 2, 4])
    table = pd.DataFrame(codes.astype(str), columns=["a", "b", "c"])
    domain, rows = read_domain(treeflows.AutoregressiveTreeFlow(), table)
    every = whole_domain([3, 2, 4]).astype(np.uint8)
    scores = {}
    for dependent in (False, True):
        tree = ColumnTree(dependent).learn(rows.codes, domain.n_categories, None, 1)
        scores[dependent] = tree.score(rows.codes, 1).mean()
        assert np.exp(tree.score(every, 1)).sum() == pytest.approx(1)
        observed = np.ones((24, 3), dtype=bool)
        observed[:, 0] = False
        seen = np.exp(tree.marginal(every, observed, 1)[0])
        assert seen.reshape(3, 8)[0].sum() == pytest.approx(1)
    counts = [np.bincount(column) for column in rows.codes.T]
    entropy = sum(-(c / 300 * np.log(c / 300)).sum() for c in counts)
    assert -scores[False] == pytest.approx(entropy, abs=1e-3)
    information = mutual_information(rows.codes, domain.n_categories)[np.triu_indices(3, 1)]
    assert scores[True] - scores[False] == pytest.approx(information.sum() - information.min(), abs=0.02)


def test_of_two_parameters_out_of_range_every_way_of_learning_names_the_same():
    model, table = treeflows.AutoregressiveTreeFlow(max_depth=-1, missing="none"), pd.DataFrame({"a": ["x", "y"]})
    told = []
    for learn in (model.fit, lambda X: read_domain(model, X)):
        with pytest.raises(ValueError) as error:
            learn(table)
        told.append(str(error.value))
    assert told[0] == told[1] == "max_depth == -1, must be >= 0."


@pytest.mark.parametrize("what", ["curve", "tree", "dependence", "marginals", "anomalies"])
def test_plot(said, data, tmp_path, what):
    for model in ("auto", "dtf"):
        said("fit", data, "-o", model, "--model", model)
        options = [["--column", "code"], ["--layer", 1]][model == "dtf"] if what == "tree" else []
        said("plot", model, data, "--what", what, "-o", f"{model}.png", *options)
        assert (tmp_path / f"{model}.png").read_bytes().startswith(b"\x89PNG")
    if what == "curve":
        said("plot", "auto", "--what", what, "-o", "p.svg")
        assert "<svg" in (tmp_path / "p.svg").read_text()


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.text, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("options", [[], ["--model", "dtf", "--bin", "n", "--max-categories", "5"]])
def test_report(said, tmp_path, options):
    rng = np.random.default_rng(0)
    with open("<b>.csv", "w") as file:
        file.write("n,<script>,$title,&amp;\n")
        for a in rng.integers(0, 20, 300):
            file.write(f'{a},"<i>{a % 3}</i>",{"" if a % 5 == 0 else a % 5},"""{a % 2}"\n')
    figures = json.loads(said("report", "<b>.csv", "--json", *options))
    html = (tmp_path / figures["page"]).read_text(encoding="utf-8")
    parsed = _Page()
    parsed.feed(html)
    assert parsed.open == []
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in parsed.links)
    assert {"#columns", "#fit", "#dependence", "#samples", "#repeats", "#odd"} <= set(parsed.links)
    for text in ("<b>.csv", "<script>", "$title", "&amp;"):
        assert text in parsed.text
    assert any("<i>" in text for text in parsed.text)
    assert "<i>0" not in html
    assert html.count("url(") == html.count("url(#")
    assert figures["fit"]["gain"] > 0
    assert figures["dependence"]["rows"] == 30
    assert ("&amp;", "n") in {(each["column"], each["depends_on"]) for each in figures["dependence"]["found"]}
    assert figures["missing"]["columns"] == {"$title": figures["missing"]["cells"]}
    assert len(figures["anomalies"]) == 10
    assert "wrote page.html" in said("report", "<b>.csv", "-o", "page.html")
    assert figures["rows"] == 300


def test_report_of_a_fitted_model(said, refused, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    figures = json.loads(said("report", "m", data, "-o", "page.html", "--json"))
    assert figures["fit"]["seen"] is None
    assert "privacy" not in figures
    own = json.loads(said("score", "m", data, "--json"))
    assert figures["fit"]["models"]["AutoregressiveTreeFlow"]["nll"] == pytest.approx(-own["log_likelihood"])
    assert figures["dependence"]["rows"] == figures["rows"] == own["rows"]
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "which it may have seen" in html
    assert "Do samples repeat rows" not in html
    told = "--min-frequency says how to learn, and m has learned already"
    assert told in refused("report", "m", data, "--min-frequency", 3)
    assert "--model says how" in refused("report", "m", data, "--model", "dtf")


def test_what_differs_in_a_report(said, refused, tmp_path):
    rng = np.random.default_rng(0)
    now = pd.DataFrame({"job": rng.choice(["clerk", "smith"], 900), "age": rng.integers(18, 80, 900)})
    rich = rng.random((2, 900)) < np.where(now["job"] == "smith", [[0.1], [0.5]], 0.9)
    now["<pay>"] = np.where(rich[1], "rich", "<poor>")
    now.assign(**{"<pay>": np.where(rich[0], "rich", "<poor>")}).to_csv("<then>.csv", index=False)
    now.loc[5, "age"] = np.nan
    now.to_csv("now.csv", index=False)
    told = ["report", "now.csv", "--model", "tree", "--json", "--against"]
    figures = json.loads(said(*told, "<then>.csv"))["differences"]
    assert (figures["against"], figures["blamed"]) == ("<then>.csv", ["<pay>"])
    assert figures["differences"] == json.loads(said("compare", "<then>.csv", "now.csv", "--json"))["differences"]
    html = (tmp_path / "now.html").read_text(encoding="utf-8")
    parsed = _Page()
    parsed.feed(html)
    assert parsed.open == []
    assert "#differs" in parsed.links
    assert "<pay>" in parsed.text
    assert "job = smith" in parsed.text
    assert any("The tables differ" in text for text in parsed.text)
    assert any("without them the other 2 agree" in text for text in parsed.text)
    said("fit", "now.csv", "-o", "m", "--model", "tree")
    figures = json.loads(said("report", "m", "now.csv", "--json", "--against", "now.csv"))["differences"]
    assert (figures["blamed"], figures["bayes_factor"] < 0) == ([], True)
    assert "No difference is found" in (tmp_path / "now.html").read_text(encoding="utf-8")
    now.drop(columns="age").to_csv("less.csv", index=False)
    assert "less.csv has no column 'age', which now.csv has" in refused(*told, "less.csv")


def test_small_tables_and_noise_in_a_report(said, tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 93))
    pd.DataFrame({"a": a, "b": b, "c": a}).astype(str).add("x").to_csv("small.csv", index=False)
    figures = json.loads(said("report", "small.csv", "--model", "tree", "--json"))["dependence"]
    assert (figures["folds"], figures["rows"]) == (5, 93)
    assert {(each["column"], each["depends_on"]) for each in figures["found"]} == {("a", "c"), ("c", "a")}
    pd.DataFrame({"a": a, "b": b}).astype(str).add("x").to_csv("noise.csv", index=False)
    figures = json.loads(said("report", "noise.csv", "--model", "tree", "--json"))
    assert figures["dependence"]["found"] == []
    html = (tmp_path / "noise.html").read_text(encoding="utf-8")
    assert "None that the 93 rows can tell from chance" in html
    assert "nothing that is told from chance" in html
    assert "each held out once, in 5 folds" in html


def test_a_report_asks_for_what_it_needs(refused, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "a report needs Jinja2: pip install 'treeflows[report]'" in refused("report", data)
    assert not (tmp_path / "data.html").exists()


def test_pictures_in_a_page_have_its_colours(numbers):
    model = treeflows.load(numbers / "m")
    display = treeflows.PairDisplay.from_estimator(model, pd.read_parquet(numbers / "t.parquet"), random_state=0)
    told = inline(display.figure_, "one")
    assert told.startswith("<svg ")
    assert told.rstrip().endswith("</svg>")
    assert "currentColor" in told
    assert "#000000" not in told
    assert 'id="one-figure_1"' in told
    assert told.count("url(#") == told.count("url(#one-")
    assert "DejaVu" not in told
    assert told == inline(treeflows.PairDisplay(display.data, display.samples, display.names).plot().figure_, "one")


def test_privacy_is_told_by_the_cells(said, tmp_path, monkeypatch):
    # names that occur once are one category of codes, but hardly any is drawn with the number that it has
    with open("t.csv", "w") as file:
        file.write("name,number\n" + "".join(f"name {i},{'' if i % 2 else i % 50}\n" for i in range(400)))
    options = ["--max-categories", 3, "--model", "tree", "--json"]
    privacy = json.loads(said("report", "t.csv", *options))["privacy"]
    assert privacy["samples"]["verbatim"] < 0.9
    assert privacy["held_out"]["verbatim"] == 0
    assert privacy["held_out"]["nearest_mean"] == pytest.approx(1, abs=0.2)
    assert privacy["distinct_training_rows"] == privacy["distinct_training_rows_compared"] == 360
    assert "intervals" not in (tmp_path / "t.html").read_text()
    # of missing cells that are summed out none is drawn
    privacy = json.loads(said("report", "t.csv", *options, "--missing", "marginalize", "--numeric", "none"))["privacy"]
    assert privacy["samples"]["verbatim"] < 0.6
    monkeypatch.setattr(page, "MOST_SEEN", 100)
    said("report", "t.csv", "--bin", "number", *options)
    html = (tmp_path / "t.html").read_text()
    assert "compared by their intervals" in html
    assert "that among 100 drawn from 360 distinct ones" in html
    assert "in geometric mean" in html


def test_trees_and_ensembles(data, said):
    done = said("fit", data, "-o", "m")
    assert "fitted in " in done
    shown = said("show", "m")
    assert "hidden column: " in shown
    assert "7 further trees" in shown
    assert "columns in order: leaves of the tree" in shown
    shown = said("show", "m", "--column", "ja, nein", "--depth", 1)
    assert shown.startswith("ja, nein given code, colour\n")
    assert shown.count("\n") <= 5
    assert said("show", "m", "--column", "ja, nein", "--full").count("\n") > shown.count("\n")
    assert json.loads(said("show", "m", "--json"))["order"] == ["code", "colour", "ja, nein"]
    said("fit", data, "-o", "t", "--model", "tree")
    assert "\n  ja, nein: " in said("show", "t")
    assert said("show", "t", "--column", "ja, nein").startswith("ja, nein given code, colour\n")
    assert "hidden" not in said("show", "t")
    single = json.loads(said("score", "m", data, "--json"))["log_likelihood"]

    figures = json.loads(said("fit", data, "-o", "e", "--model", "ensemble", "--json"))
    assert figures["kind"] == "TreeFlowEnsemble"
    assert "members and their weights:" in said("show", "e")
    assert 3 <= len(json.loads(said("show", "e", "--json"))["members"]) <= 10  # as many as gain
    score = json.loads(said("score", "e", data, "--json"))["log_likelihood"]
    assert score == pytest.approx(-figures["train_nll"], abs=1e-9)
    assert abs(score - single) < 0.1
    assert len(said("sample", "e", "-n", 5).splitlines()) == 6


def test_fit_is_by_seed_and_options(data, said, tmp_path):
    options = ["--criterion", "random", "--early-stopping"]
    for name in ("a", "b"):
        said("fit", data, "-o", name, "--model", "dtf", *options, "--seed", 3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    figures = json.loads(said("fit", data, "--drop", "code", "--json"))
    assert figures["columns"] == 2
    assert figures["model"].endswith("data.treeflow")
    assert treeflows.load(figures["model"]).feature_names_in_.tolist() == ["colour", "ja, nein"]
    # the command learns what fit learns
    model = treeflows.TreeFlowMixture(random_state=0).fit(read_file(str(data), drop=["code"]))
    assert -figures["train_nll"] == model.score(read_file(str(data)).drop(columns="code"))
    # a table may have more columns than the model
    assert json.loads(said("score", figures["model"], data, "--json"))["log_likelihood"] == -figures["train_nll"]


def test_models_of_arrays(said, tmp_path):
    flow = treeflows.DiscreteTreeFlow(1).fit(np.array([[0, 5], [1, 6]]))
    treeflows.save(flow, tmp_path / "m")
    assert said("sample", "m", "-n", 2, "-o", "s.csv") == ""
    assert (tmp_path / "s.csv").read_text().startswith("x0,x1\n")
    assert "2 rows" in said("score", "m", "s.csv")


def test_a_classifier_is_its_density(said, tmp_path):
    X = pd.DataFrame(random_table(0, 200, [3, 2]).astype(str), columns=["a", "b"])
    treeflows.save(treeflows.TreeFlowClassifier(random_state=0).fit(X[["a"]], X["b"]), "m")
    X.to_csv("t.csv", index=False)
    assert "200 rows" in said("score", "m", "t.csv")
    assert "hidden column" in said("show", "m")


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
        (b"a,b\n\xff,1\n", "say what it is with --encoding"),
        ("id\n" + "\n".join(f"n{i}" for i in range(300)), "column 'id' has 300 categories"),
        ("a;b\n1;2\n", "seem to be separated by semicolons"),
        ("a;b\n1,5;2,5\n", "seem to be separated by semicolons"),
        ("a\tb\n1\n", "seem to be separated by tabs"),
        ("a|b\n1\n", "seem to be separated by bars"),
        ("a,b\n1,\n2,\n", "column 'b' has no value that is not missing"),
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
    for ending in ("csv.gz", "csv.zip", "csv.xz", "parquet"):
        (tmp_path / f"damaged.{ending}").write_text("colour\nred\n")
    before = sorted(p.name for p in tmp_path.iterdir())
    for arguments, told in [
        (["fit", "nowhere.csv"], "nowhere.csv"),
        (["fit", data, "-o", "no/such/folder/m"], "no/such/folder"),
        (["fit", data, "--drop", "size"], "no column 'size'"),
        (["fit", data, "--bin", "size"], "no column 'size' to bin"),
        (["fit", data, "--bin", "colour"], "column 'colour' is to be cut into bins, but holds"),
        (["fit", data, "--min-frequency", "-1"], "--min-frequency"),
        (["fit", data, "--max-categories", "0"], "--max-categories"),
        (["fit", data, "--drop", "code", "--drop", "colour", "--drop", "ja, nein"], "no column is left"),
        (["fit", data, "--jobs", "0"], "--jobs"),
        (["fit", "m"], "m is a model file, not a table"),
        (["fit", "damaged.csv.gz"], "damaged"),
        (["fit", "damaged.csv.zip"], "damaged"),
        (["fit", "damaged.csv.xz"], "damaged"),
        (["fit", "damaged.parquet"], "damaged"),
        (["fit", data, "-o", data], "is the data"),
        (["fit", data, "--model", "dtf", "--layers", "-1"], "--layers"),
        (["fit", data, "--max-depth", "3"], "--max-depth is an option of --model dtf"),
        (["score", "m", "other.csv"], "column 'ja, nein' holds 'maybe' at row 0"),
        (["score", "m", "fewer.csv"], "fewer.csv has no column 'code', which the model has"),
        (["score", "m", data, "-o", "no/such/folder/x.csv"], "no/such/folder"),
        (["impute", "m", "fewer.csv"], "no column 'code'"),
        (["impute", "m", data, "--sweeps", "0"], "--sweeps"),
        (["anomalies", "m", data, "-n", "0"], "--rows == 0"),
        (["anomalies", "m", "nowhere.csv"], "nowhere.csv"),
        (["evaluate", data, "--folds", "1"], "number of folds"),
        (["evaluate", "fewer.csv"], "number of folds"),
        (["report", "fewer.csv"], "fewer.csv has 1 rows; a report needs at least 20"),
        (["report", data, "-o", data], "is the data"),
        (["plot", "m", "--what", "anomalies", "-o", "a.png"], "needs DATA"),
        (["plot", "m", "--what", "tree", "-o", "a.png"], "--column must be given: each has a tree of its own"),
        (["plot", "m", "--what", "tree", "--column", "size", "-o", "a.png"], "there are 'colour', 'code', 'ja, nein'"),
        (["plot", "m", "--what", "curve", "--column", "code", "-o", "a.png"], "--column is an option of --what tree"),
        (["plot", "m", "--what", "curve", "-o", "a.gif"], ".png, .svg, .pdf"),
        (["score", data, data], "is not a treeflows model file"),
        (["score", "nowhere", data], "nowhere"),
        (["sample", "m", "-n", "-5"], "--rows"),
        (["sample", "m", "-o", "no/such/folder/x.csv"], "no/such/folder"),
        (["show", "d", "--layer", "99"], "--layer must be one of the model's layers 1 to 10, got 99"),
        (["show", "d", "--column", "code"], "--column is not for a model of the kind DiscreteTreeFlow"),
        (["show", "e", "--column", "code"], "--column is not for a model of the kind TreeFlowEnsemble"),
        (["show", "m", "--full"], "--full is of the tree of a column: say which with --column NAME"),
        (["show", "m", "--layer", "1"], "--layer is not for a model of the kind TreeFlowMixture"),
        (["show", "m", "--column", "size"], "no column 'size'; there are 'colour', 'code', 'ja, nein'"),
    ]:
        assert told in refused(*arguments)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_what_was_perhaps_meant_is_told(refused, data, tmp_path, capsys):
    assert main(["fit", str(data), "-o", "m", "--model", "tree", "--no-held-out"]) == 0
    for arguments, told in [
        (["fit", "dat.csv"], "there is no file dat.csv (did you mean 'data.csv'?)"),
        (["score", "M", data], "there is no file M (did you mean 'm'?)"),
        (["fit", "no/where.csv"], "there is no file no/where.csv: there is no folder no"),
        (["fit", data, "--drop", "color"], "(did you mean 'colour'?)"),
        (["fit", data, "--weight", "Code"], "(did you mean 'code'?)"),
        (["fit", data, "--context", "Code"], "(did you mean 'code'?)"),
        (["fit", data, "--numeric", "Code"], "(did you mean 'code'?)"),
        (["fit", data, "--bin", "Code"], "(did you mean 'code'?)"),
        (
            ["sample", "m", "--given", "colour=Red"],
            "has no value 'Red'; it has 'a, b', 'light \"blue\"', 'red' (did you",
        ),
        (["sample", "m", "--given", "Colour=red"], "(did you mean 'colour'?)"),
        (["show", "m", "--column", "ja,nein"], "(did you mean 'ja, nein'?)"),
    ]:
        assert told in refused(*arguments)
    for arguments, told in [
        (["fitt", "data.csv"], "treeflows: error: there is no command 'fitt' (did you mean 'fit'?)"),
        (["fit", "data.csv", "--modle", "tree"], "fit: error: there is no option --modle (did you mean '--model'?)"),
        (["fit", "data.csv", "more.csv"], "fit: error: 'more.csv' is one argument too many"),
    ]:
        with pytest.raises(SystemExit):
            main(arguments)
        assert told in capsys.readouterr().err


def test_held_out_rows_are_told_by_a_fit(said, data, tmp_path):
    fit = ["fit", data, "-o", "m", "--model", "tree"]
    told = json.loads(said(*fit, "--json", checked=True))["held_out"]
    assert (told["rows"], told["learned_from"]) == (40, 360)
    assert list(told["models"]) == ["independent columns", "Chow-Liu tree", "AutoregressiveTreeFlow"]
    printed = said(*fit, checked=True)
    assert "checked on 40 held-out rows, learned from 360 others" in printed
    assert f"{told['models']['AutoregressiveTreeFlow']['nll']:.3f} nats per row" in printed
    assert told["verdict"] in printed
    (tmp_path / "few.csv").write_text("a,b\n" + "x,y\n" * 19)
    assert "held_out" not in json.loads(said("fit", "few.csv", "--json", checked=True))
    assert "checked" not in said("fit", "few.csv", checked=True)


def test_the_rows_that_a_check_sees_are_few(monkeypatch):
    table = pd.DataFrame(random_table(0, 300, [2, 3, 2]).astype(str), columns=list("abc"))
    model = treeflows.AutoregressiveTreeFlow()
    domain, rows = read_domain(model, table)
    monkeypatch.setattr(evaluation, "FEWEST_LEARNED", 60)
    monkeypatch.setattr(evaluation, "MOST_LEARNED", 0)
    weight = np.arange(300.0)
    for each, n_held_out in ((None, 30), (weight, 4485)):
        found, n_seen = evaluation.check_held_out(model, domain, rows, each)
        assert (len(found.scores["Chow-Liu tree"]), n_seen) == (n_held_out, 60)
    assert evaluation.check_held_out(model, domain, rows, weight / 2) == (None, 0)


def test_a_number_that_only_held_out_rows_lack(said, tmp_path):
    """A fold's model gives what is missing a probability, though none of its rows is."""
    x = np.random.default_rng(0).normal(size=60).round(3)
    pd.DataFrame({"x": [None, *x], "y": ["a", *np.where(x > 0, "b", "c")]}).to_csv("t.csv", index=False)
    said("evaluate", "t.csv", "--folds", 2, "--model", "tree")


def test_other_separators_and_encodings(said, refused, tmp_path):
    rows = "grün;1\nrot;2\n" * 20
    (tmp_path / "t.csv").write_bytes(("Farbe;n\n" + rows).encode("cp1252"))
    (tmp_path / "u.csv").write_bytes(("Farbe,n\n" + rows.replace(";", ",")).encode("utf-16"))
    (tmp_path / "v.csv").write_text("Farbe,n\n" + rows.replace(";", ","), encoding="utf-8")
    windows, excel = ["--sep", ";", "--encoding", "cp1252"], ["--encoding", "utf-16"]
    assert "say what it is with --encoding" in refused("fit", "t.csv")
    assert "--sep ';'" in refused("fit", "t.csv", "--encoding", "cp1252")
    said("fit", "t.csv", *windows, "-o", "m", "--model", "tree")
    plain = said("score", "m", "v.csv")
    assert said("score", "m", "t.csv", *windows) == said("score", "m", "u.csv", *excel) == plain
    said("pack", "t.csv", "packed", *windows)
    assert treeflows.PackedTable("packed").column_names == ("Farbe", "n")
    (tmp_path / "w.csv").write_text("Farbe\tn\n" + rows.replace(";", "\t"), encoding="utf-8")
    assert said("score", "m", "w.csv", "--sep", r"\t") == plain
    assert "'utf-99' is not known" in refused("fit", "t.csv", "--encoding", "utf-99")
    assert "--sep must be one character, got ';;'" in refused("fit", "t.csv", "--sep", ";;")
    assert "--sep is for files" in refused("fit", "packed", "--sep", ";")


def test_blanks_around_cells_are_no_part_of_them(said, tmp_path):
    lines = [f"{i % 7} ,  red, {i}.5" if i % 2 else f'{i % 7}, "a, b",' for i in range(60)]
    (tmp_path / "padded.csv").write_text("k, colour ,x\n" + "\n".join(lines) + "\n")
    assert read_file("padded.csv").to_numpy().tolist()[:2] == [["0", "a, b", None], ["1", "red", "1.5"]]
    lines = [line.replace('"a, b"', "blue") for line in lines]
    (tmp_path / "padded.csv").write_text("k, colour ,x\n" + "\n".join(lines) + "\n")
    (tmp_path / "plain.csv").write_text("\n".join(["k,colour,x", *(line.replace(" ", "") for line in lines)]) + "\n")
    assert read_file("padded.csv").equals(read_file("plain.csv"))
    said("fit", "plain.csv", "-o", "m", "--model", "tree")
    for name in ("padded", "plain"):
        packed = treeflows.pack(f"{name}.csv", name)
        assert packed.dtypes == ("int64", "string", "double")
        said("fit", name, "-o", f"{name}.model", "--model", "tree")
    assert (tmp_path / "padded.model").read_bytes() == (tmp_path / "plain.model").read_bytes()
    assert said("score", "m", "padded.csv") == said("score", "m", "plain.csv")
    # a model that was learned from a table in memory has them in its values
    X = pd.read_csv("padded.csv", dtype=str)[[" colour "]].set_axis(["colour"], axis=1)
    treeflows.save(treeflows.AutoregressiveTreeFlow().fit(X), "p")
    assert "60 rows" in said("score", "p", "padded.csv")


def test_json_and_feather(said, refused, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    table = pd.read_csv(data, keep_default_na=False, na_values=[""])
    table.to_json("t.json", orient="records")
    table.to_json("t.jsonl.gz", orient="records", lines=True)
    table.to_feather("t.feather")
    for name in ("t.json", "t.jsonl.gz", "t.feather"):
        assert said("score", "m", name) == said("score", "m", data)
    (tmp_path / "n.jsonl").write_text('{"a": 1.50, "b": true}\n\n{"b": false, "c": null}\n{"a": NaN, "c": "x "}\n')
    assert read_file("n.jsonl").to_numpy().tolist() == [
        ["1.50", "true", None],
        [None, "false", None],
        [None, None, "x"],
    ]
    for text, told in {
        '{"a": {"0": 1}}': "a list of objects or an object on each line: line 1: 'a' is a list or an object",
        '{"a": 1}\n{"a"': "line 2: ",
        "[1]": "it holds '1'",
        "[]": "has no rows",
    }.items():
        (tmp_path / "bad.json").write_text(text)
        assert told in refused("fit", "bad.json")
    (tmp_path / "bad.feather").write_text("a,b\n1,2\n")
    assert "is no Feather file, or is damaged" in refused("fit", "bad.feather")
    (tmp_path / "bad.xlsx").write_text("")
    assert "is a spreadsheet, which is not read: save it as CSV or Parquet, as pandas.read_excel" in refused(
        "fit", "bad.xlsx"
    )


def test_mistakes_end_the_process_with_exit_code_2(tmp_path, capsys):
    assert run("fit", "nowhere.csv", cwd=tmp_path, code=2).stderr.count("\n") == 1
    for arguments in (
        ["nothing"],
        ["fit", "data.csv", "--layers", "many"],
        ["score", "m"],
        ["fit", "data.csv", "--min-frequency", "often"],
        ["plot", "m", "--what", "is this", "-o", "a.png"],
        ["sample", "m", "-n", "few"],
        ["fit", "data.csv", "--min-frequency", "nan"],
        ["fit", "data.csv", "--jobs", "99999999999"],
        ["fit", "data.csv", "--jobs", "-4097"],
        ["sample", "m", "--seed", "-1"],
        ["show", "m", "--depth", "-1"],
        ["anomalies", "m", "data.csv", "--cells", "-1"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert "--help" in error
        assert "_" not in error  # no name of a function
        assert all(option in error for option in arguments[-2:-1] if option.startswith("--"))
        assert error.count("\n") == 1


def test_outputs_replace_no_inputs(said, refused, data, tmp_path, monkeypatch):
    said("fit", data, "-o", "m", "--model", "tree")
    (tmp_path / "link.csv").symlink_to(data)
    (tmp_path / "hard.csv").hardlink_to(data)
    (tmp_path / "folder.csv").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for output in (data, "link.csv", "hard.csv", "../" + tmp_path.name + "/data.csv"):
        for arguments in (["score", "m", data], ["impute", "m", data], ["fit", data], ["report", data]):
            assert "is the data, which would be replaced" in refused(*arguments, "-o", output)
    for arguments in (["sample", "m"], ["score", "m", data], ["plot", "m", "--what", "tree", "--column", "code"]):
        assert "m is the model, which would be replaced" in refused(*arguments, "-o", "m")
    # before any work is done: there is no such model
    for arguments in (["sample", "no"], ["score", "no", data], ["impute", "no", data]):
        assert "it is a folder" in refused(*arguments, "-o", "folder.csv")
        assert "there is no folder no/such" in refused(*arguments, "-o", "no/such/x.csv")
        for ending in ("xlsx", "json", "treeflow", "json.gz"):
            assert "a table ends in .csv, .tsv" in refused(*arguments, "-o", f"x.{ending}")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "is not writable" in refused("fit", data, "-o", "new")
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_replaced_file_keeps_its_permissions(said, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    (tmp_path / "s.csv").touch()
    (tmp_path / "s.csv").chmod(0o604)
    said("sample", "m", "-o", "s.csv")
    assert (tmp_path / "s.csv").stat().st_mode & 0o777 == 0o604
    assert len(read("s.csv")) == 11


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("command", "told"),
    [("sample m >&-", "standard output is closed"), ("score m - <&-", "standard input is closed")],
)
def test_closed_streams_get_one_line(said, data, tmp_path, command, told):
    said("fit", data, "-o", "m", "--model", "tree")
    command = f"'{sys.executable}' -m treeflows {command}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"treeflows: error: {told}\n"


def test_standard_output_is_named_by_a_dash(said, refused, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    assert said("sample", "m", "-o", "-") == said("sample", "m")
    assert said("impute", "m", data, "-o", "-") == said("impute", "m", data)
    said("score", "m", data, "-o", "s.csv")
    assert said("score", "m", data, "-o", "-") == (tmp_path / "s.csv").read_text()
    assert "only tables are written to standard output" in refused("fit", data, "-o", "-")
    assert not (tmp_path / "-").exists()


def test_links_in_a_circle(refused, data, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "cannot write a: its links lead in a circle" in refused("fit", data, "-o", "a")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_notes_stay_out_of_the_table_where_standard_error_is_closed(said, data, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
    last = treeflows.load("m").feature_names_in_[treeflows.load("m").order_[-1]]
    value = {"colour": "red", "code": "NA", "ja, nein": "yes"}[last]
    command = f"'{sys.executable}' -m treeflows sample m -n 3 --given '{last}={value}'"
    done = subprocess.run(["bash", "-c", f"{command} 2>&-"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(list(csv.reader(done.stdout.splitlines()))) == 4
    assert "note" not in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_a_write_leaves_no_file(said, data, tmp_path, number):
    said("fit", data, "-o", "m", "--model", "tree")
    before = set(tmp_path.iterdir())
    stopped = f"""if True:
        import os, sys
        from pandas import DataFrame
        from treeflows.command.main import main
        DataFrame.to_csv = lambda *_, **__: os.kill(os.getpid(), {int(number)})
        sys.exit(main(["sample", "m", "-o", "s.csv"]))
    """
    done = subprocess.run([sys.executable, "-c", stopped], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number
    assert set(tmp_path.iterdir()) == before


def test_columns_that_rows_are_conditioned_on(said, refused):
    rng = np.random.default_rng(0)
    group, year = rng.choice(["m", "w"], 600), rng.integers(2000, 2024, 600)
    x = np.where(group == "m", 10.0, -10.0) + rng.normal(size=600).round(3)
    size = np.where(rng.random(600) < np.where(year > 2012, 0.9, 0.1), "L", "S")
    table = pd.DataFrame({"group": group, "x": x, "year": year, "size": size})
    table.to_csv("t.csv", index=False)
    fit = ["fit", "t.csv", "-o", "m", "--model", "tree", "--context", "group", "--context", "year"]
    told = json.loads(said(*fit, "--json"))
    assert told["columns"] == 2
    model = treeflows.load("m")
    assert model.context_.column_names == ("group", "year")
    scored = json.loads(said("score", "m", "t.csv", "--json"))
    assert scored["log_likelihood"] == pytest.approx(-told["train_nll"], abs=1e-9)
    context = table[["group", "year"]]
    assert scored["log_likelihood"] == pytest.approx(model.score(table[["x", "size"]], context=context), abs=1e-9)
    drawn = pd.read_csv(io.StringIO(said("sample", "m", "-n", "200", "--given", "group=w", "--given", "year=2020")))
    assert list(drawn) == ["x", "size"]
    assert -13 < drawn.x.mean() < -7
    assert (drawn["size"] == "L").mean() > 0.8
    both = ["--given", "group=m", "--given", "year=2001", "--given", "size=L"]
    assert set(pd.read_csv(io.StringIO(said("sample", "m", "-n", "5", *both)))["size"]) == {"L"}
    holed = table.assign(size=table["size"].where(np.arange(600) != 3))
    holed.to_csv("h.csv", index=False)
    filled = pd.read_csv(io.StringIO(said("impute", "m", "h.csv")))
    assert list(filled) == list(table)
    assert filled["size"].notna().all()
    assert "x = " in said("anomalies", "m", "t.csv", "-n", "1")
    assert "rows are told given 'group', 'year'" in refused("sample", "m", "--given", "group=w")
    assert "has no column 'group'" in refused("score", "m", _without(table, "group"))
    assert "there is no such column" in refused("fit", "t.csv", "--context", "nothing")
    alone = [part for name in table for part in ("--context", name)]
    assert "no other column is left" in refused("fit", "t.csv", *alone)
    layers = ["fit", "t.csv", "-o", "layers", "--model", "dtf", "--drop", "x", "--context", "group"]
    assert json.loads(said(*layers, "--drop", "year", "--json"))["columns"] == 1
    assert "takes one column of context" in refused(*layers, "--context", "year")
    plot = ["plot", "m", "t.csv", "-o", "p.png", "--what"]
    assert "given 'group', 'year': of DATA, only --what graph is drawn" in refused(*plot, "marginals")
    assert "--what graph needs DATA" in refused("plot", "m", "-o", "p.png", "--what", "graph")
    said(*plot, "graph")
    table.assign(id=range(600), year=2000).to_csv("other.csv", index=False)
    figures = json.loads(said("report", "m", "t.csv", "--against", "other.csv", "-o", "page.html", "--json"))
    assert {(each["column"], each["depends_on"]) for each in figures["dependence"]["found"]} == {
        ("x", "group"),
        ("size", "year"),
    }
    own = figures["fit"]["models"]["AutoregressiveTreeFlow"]
    assert own["nll"] == pytest.approx(-scored["log_likelihood"], abs=1e-9)
    assert figures["fit"]["gain"] > 10 * figures["fit"]["gain_standard_error"]
    assert figures["columns"] == 2
    assert "year" in figures["differences"]["blamed"]
    html = Path("page.html").read_text(encoding="utf-8")
    assert "tells of this table, given group, year</p>" in html
    assert "know nothing of group, year" in html
    assert html.count("<svg") >= 3


def _without(table, name):
    table.drop(columns=name).to_csv("without.csv", index=False)
    return "without.csv"


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_process_that_calls_the_command_ends_as_before(said, data):
    """Workers forked from it could not be ended otherwise."""
    said("fit", data, "-o", "m", "--model", "tree")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_control_characters_reach_no_terminal(said, refused, tmp_path):
    with open("t.csv", "w") as file:
        file.write("a,b\n" + "\x1b[31mred,1\nblue,2\n" * 30)
    said("fit", "t.csv", "-o", "m", "--model", "tree")
    for printed in (said("show", "m", "--column", "b"), said("anomalies", "m", "t.csv")):
        assert "\x1b" not in printed
        assert "\\x1b[31mred" in printed
    assert "\x1b" not in refused("sample", "m", "--given", "a=\x1b[2J")


def test_values_that_look_like_parameters_stay_as_they_are(said, refused):
    for value in ("missing=yes", "it's layer=", 'column="x"', "max_categories='a'\\"):
        error = TableError(f"a column has {value!r}", [("handle_unknown", "reserve"), ("categories", None)])
        assert one_line(error) == f"a column has {value!r}; fit with --unknown reserve"
        assert one_line(ParameterError(f"n is {value!r}", parameter="n")) == f"--rows is {value!r}"
    with open("t.csv", "w") as file:
        file.write("a,b\nmissing=no,1\nlayer=2,2\n")
    said("fit", "t.csv", "-o", "m", "--model", "tree")
    assert "'missing=yes'" in refused("sample", "m", "--given", "a=missing=yes")
    assert "'missing=yes'" in refused("sample", "m", "--given", "missing=yes")


def test_tables_of_one_value_or_one_row(said, data):
    with open("t.csv", "w") as file:
        file.write("a,b\n" + 30 * "x,y\n")
    printed = said("fit", "t.csv", "-o", "m", "--model", "tree", checked=True)
    assert "0.000 nats per row, 0.000 with independent columns, 0.000 with" in printed
    assert "-0.000" not in printed
    with open("one.csv", "w") as file:
        file.write("a,b\nx,y\n")
    assert "±" not in said("score", "m", "one.csv")
    assert json.loads(said("score", "m", "one.csv", "--json"))["standard_error"] is None
    assert "±" in said("score", "m", "t.csv")


def test_help_and_version_import_no_models(tmp_path):
    for option in ("--version", "--help"):
        command = f"import sys; from treeflows.command.main import main; sys.argv[1:] = [{option!r}]\n"
        command += "try: main()\nfinally: assert not {'numpy', 'sklearn'}.intersection(sys.modules)"
        subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, check=True)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell's completion")
def test_what_is_typed_can_be_completed(tmp_path):
    pytest.importorskip("argcomplete")
    told = tmp_path / "told"
    line = "treeflows fit data.csv --no"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(told), "COMP_LINE": line, "COMP_TYPE": "9"}
    environment = os.environ | asked | {"COMP_POINT": str(len(line))}
    subprocess.run([sys.executable, "-m", "treeflows"], env=environment, check=True)
    assert told.read_text().split() == ["--no-held-out"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_interrupt_while_the_models_are_imported_gets_one_line(tmp_path):
    command = """if True:
        import signal, sys
        from treeflows.command.main import main
        class Interrupts:
            def find_spec(self, name, *_):
                if name.endswith("models.mixture"):
                    signal.raise_signal(signal.SIGINT)
        sys.meta_path.insert(0, Interrupts())
        sys.exit(main(["show", "m"]))
    """
    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "treeflows: interrupted\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "usage: treeflows" in printed
    assert f"examples:\n  treeflows {command} " in printed


def test_a_closed_pipe_is_no_error(data, said, tmp_path):
    said("fit", data, "-o", "m", "--model", "tree")
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


INTERRUPTED = """
import signal, sys, threading, time
import numpy as np
from treeflows import TreeFlowEnsemble

X = np.random.default_rng(0).integers(0, 10, (30_000, 50))
threading.Timer(2, lambda: signal.raise_signal(signal.SIGINT)).start()
try:
    TreeFlowEnsemble(n_jobs=2, random_state=0).fit(X)
except KeyboardInterrupt:
    busy = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    sys.exit(7 if not any("ThreadPool" in thread.name for thread in busy) else 8)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_interrupted_ensemble_leaves_no_thread_at_work(tmp_path):
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("fit", [], "learning the hidden column"),
        ("fit", ["--model", "tree"], "growing trees"),
        ("fit", ["--model", "ensemble"], "fitting members"),
        ("fit", ["--model", "dtf"], "learning layers"),
        ("evaluate", ["--model", "tree"], "fitting folds"),
    ],
)
def test_progress_is_shown_on_a_terminal(data, said, monkeypatch, command, options, told):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    said(command, data, *options)
    assert told in terminal.getvalue()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_progress_on_a_pseudo_terminal(data, tmp_path):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "treeflows", "fit", str(data), "-o", "m"]
    subprocess.run(command, cwd=tmp_path, stderr=follower, stdout=subprocess.DEVNULL, check=True)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):
        while b"learning the hidden column" not in shown and (more := os.read(leader, 65536)):
            shown += more
    os.close(leader)
    assert b"learning the hidden column" in shown


ADULT = [
    "--drop",
    "fnlwgt",
    "--bin",
    "age",
    "--bin",
    "capital-gain",
    "--bin",
    "capital-loss",
    "--bin",
    "hours-per-week",
]


@pytest.mark.parametrize(
    ("name", "model", "options"),
    [
        ("mushroom", "auto", []),
        ("nursery", "dtf", []),
        ("adult", "tree", ADULT),
    ],
)
def test_real_tables(shared_path, said, tmp_path, name, model, options):
    path = shared_path(f"data/csv/{name}.csv")
    learning = ["--model", model, *options]
    figures = json.loads(said("fit", path, "-o", "m", *learning, "--json"))
    scored = json.loads(said("score", "m", path, "--json"))
    assert -scored["log_likelihood"] == pytest.approx(figures["train_nll"], abs=1e-9)
    said("sample", "m", "-n", 100, "-o", "s.csv")
    said("score", "m", "s.csv")
    column = read("s.csv")[0][-1]
    said("show", "m")
    assert len(json.loads(said("anomalies", "m", path, "--json"))) == 10
    said("impute", "m", path, "-o", "i.csv.gz")
    assert read_file("i.csv.gz").equals(read_file(str(path)))
    with open("holes.csv", "w", newline="") as file:  # every tenth cell of a column missing
        rows = read(path)[:200]
        for row in rows[1::10]:
            row[-1] = ""
        csv.writer(file).writerows(rows)
    assert "filled 20 cells" in said("impute", "m", "holes.csv", "-o", "i.csv")
    said("plot", "m", path, "--what", "marginals", "-o", "p.png")
    said("plot", "m", "--what", "tree", *(["--layer", 1] if model == "dtf" else ["--column", column]), "-o", "p.png")
    evaluated = json.loads(said("evaluate", path, *learning, "--folds", 2, "--json"))
    assert evaluated["gain"] > 10 * evaluated["gain_standard_error"]
    assert json.loads(said("report", path, *learning, "-o", "r.html", "--json"))["fit"]["gain"] > 0


def test_numeric_columns_are_named(refused, shared_path):
    told = refused("fit", shared_path("data/csv/adult.csv"), "-o", "m", "--numeric", "none")
    assert "column 'fnlwgt' has 21,648 categories; at most 256 are supported: cut it at its deciles with --bin" in told


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A folder with a CSV file of numbers as people write them, the same as Parquet, and a model of it."""
    folder, rng = tmp_path_factory.mktemp("numbers"), np.random.default_rng(0)
    n = 300
    sex = rng.choice(["f", "m"], n)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D")
    table = pd.DataFrame(
        {
            "sex": sex,
            "cm": rng.normal(np.where(sex == "m", 180, 165), 6).round().astype(int),
            "pay": [f"{x:.2f}" for x in rng.exponential(50, n)],
            "zip": [f"0{x}" for x in rng.integers(100, 110, n)],
            "day": day.strftime("%Y-%m-%d"),
            "legs": rng.choice([1, 2, 10], n),
            "kg": [None if i % 7 == 0 else x for i, x in enumerate(rng.normal(70, 9, n).round(3))],
        }
    )
    table.to_csv(folder / "t.csv", index=False)
    typed = table.astype({"cm": "int16", "kg": "float32"})
    typed["day"], typed["pay"] = day.date, table["pay"].map(Decimal)
    typed.to_parquet(folder / "t.parquet")
    assert main(["fit", str(folder / "t.csv"), "-o", str(folder / "m")]) == 0
    return folder


def test_numbers_are_predicted_and_explained(numbers, said, refused):
    table = "few.csv"
    with_numbers(read_file(str(numbers / "t.csv")), "auto").head(2).to_csv(table, index=False)
    model = treeflows.load(numbers / "m")
    X, _ = for_model(model, read_file(table), table)
    pay = said("predict", numbers / "m", table, "pay").split()
    assert pay[1:] == [f"{x:.2f}" for x in model.predict(X, "pay")]
    quantiles = pd.read_csv(io.StringIO(said("predict", numbers / "m", table, "cm", "--quantiles", "0.1", "0.9")))
    assert list(quantiles) == ["cm 0.1", "cm 0.9"]
    np.testing.assert_allclose(quantiles, model.predict_quantiles(X, "cm", [0.1, 0.9]))
    assert "--proba is for categories" in refused("predict", numbers / "m", table, "cm", "--proba")
    told = json.loads(said("explain", numbers / "m", table, "--row", 1, "--json"))
    assert list(told["cells"]["cm"]["quantiles"]) == ["0.05", "0.5", "0.95"]
    assert "in nine of ten such rows" in to_text(told, 7)


def test_numbers_need_no_option_and_come_back_as_they_went_in(numbers, said, refused):
    table = numbers / "t.csv"
    model = treeflows.load(numbers / "m")
    assert model.domain_.numeric.tolist() == [False, True, True, False, True, False, True]
    assert model.categories_[5].tolist() == [1, 2, 10]  # in their order
    rows = list(csv.reader(said("sample", numbers / "m", "-n", 200).splitlines()))
    assert rows[0] == read(table)[0]
    columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    written = {
        "cm": "[0-9]{3}",
        "pay": r"-?[0-9]+\.[0-9]{2}",
        "zip": "010[0-9]",
        "day": "202[34]-[0-9]{2}-[0-9]{2}",
        "legs": "1|2|10",
        "kg": r"[0-9]+\.[0-9]{1,3}|",
    }
    for name, pattern in written.items():
        assert all(re.fullmatch(pattern, cell) for cell in columns[name]), name
    assert any(cell.endswith("0") for cell in columns["pay"])
    assert "" in columns["kg"]
    scored = json.loads(said("score", numbers / "m", table, "--json"))["log_likelihood"]
    assert scored == pytest.approx(model.score(with_numbers(read_file(str(table)), "auto")))
    assert scored == json.loads(said("score", numbers / "m", numbers / "t.parquet", "--json"))["log_likelihood"]
    assert "cm: 1" in said("show", numbers / "m")


def test_values_of_numbers_as_users_write_them(numbers):
    model = treeflows.load(numbers / "m")
    assert value_of(model.domain_, "cm", "170") == 170
    assert value_of(model.domain_, "pay", "2.50..10") == (Decimal("2.50"), Decimal(10))
    assert value_of(model.domain_, "kg", "..80.5") == (None, 80.5)
    assert value_of(model.domain_, "kg", "") is None
    assert value_of(model.domain_, "cm", "150..160,170") == [(150, 160), 170]
    assert value_of(model.domain_, "legs", "2..") == [2, 10]
    assert value_of(model.domain_, "sex", "f,m") == ["f", "m"]
    assert value_of(model.domain_, "day", "2024-02-01..") == (pd.Timestamp("2024-02-01"), None)
    assert repr(value_of(model.domain_, "cm", "170.5")) == "170.5"  # as messages have it
    with pytest.raises(ValueError, match="takes numbers, not '1..2..3'"):
        value_of(model.domain_, "cm", "1..2..3")


def test_pictures_that_are_not_of_numbers_are_refused_by_name(numbers, refused):
    told = refused("plot", numbers / "m", "--what", "curve", "-o", "a.png")
    assert "is not for numbers yet, and column 'cm' holds numbers" in told
    told = refused("plot", numbers / "m", "--what", "tree", "--column", "cm", "-o", "a.png")
    assert "column 'cm' holds numbers, each binary digit of which has a tree" in told


def test_numbers_of_parquet_keep_their_types(numbers, said):
    said("fit", numbers / "t.parquet", "-o", "p", "--drop", "zip")
    said("sample", "p", "-n", 50, "-o", "new.parquet")
    before, after = (parquet.read_schema(path) for path in (numbers / "t.parquet", "new.parquet"))
    for name in ("cm", "day", "kg"):
        assert after.field(name).type == before.field(name).type
    assert pa.types.is_decimal(after.field("pay").type)


def test_which_columns_are_numbers_can_be_told(numbers, said, refused):
    table = numbers / "t.csv"
    dropped, named = ["--drop", "pay", "--drop", "kg"], ["--numeric", "cm", "--numeric", "legs"]
    figures = json.loads(said("fit", table, "-o", "m", *dropped, *named, "--json"))
    assert figures["numbers"] == 2
    assert "column 'sex' holds" in refused("fit", table, "--numeric", "sex")
    assert "no column 'height' of numbers" in refused("fit", table, "--numeric", "height")
    assert "column 'pay' has 29" in refused("fit", table, "--numeric", "none")
    assert "is no option of --model dtf" in refused("fit", table, "--numeric", "cm", "--model", "dtf")


def test_a_mark_among_numbers_is_named(refused, tmp_path):
    cells = [*map(str, range(100, 500)), "n/a"]
    (tmp_path / "t.csv").write_text("x\n" + "\n".join(cells) + "\n")
    assert "it holds numbers, but 'n/a' at row 400; if that marks missing values, say so with --na" in refused(
        "fit", "t.csv"
    )


def test_a_cell_that_is_no_number_to_the_model_is_named(numbers, refused, tmp_path):
    lines = (numbers / "t.csv").read_text().splitlines()[:3]
    lines[2] = lines[2].replace(lines[2].split(",")[1], "tall", 1)
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    assert "column 'cm' holds 'tall' at row 1, where the model has numbers" in refused("score", numbers / "m", "t.csv")


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2", None], "Int64"),
        (["0.5", "3.0"], "float64"),
        (["0.50", "0.25"], "object"),
        (["0.5", "3"], "float64"),
        (["1e3", "2.5"], "float64"),
        (["01", "2"], None),
        (["1.00", "2.00"], None),
        (["inf", "1"], None),
        ([None], None),
        (["2024-01-31"], None),
        ([f"2024-01-{d}" for d in range(10, 32)], "datetime64[us]"),
        ([f"2024-02-{d}" for d in range(10, 32)], None),
    ],
)
def test_what_text_is_a_number(cells, dtype):
    found = numbers_of(cells)
    assert (found is None) if dtype is None else (str(found.dtype) == dtype)


def test_evaluate_of_numbers(numbers, said):
    table = numbers / "t.csv"
    columns = ["--drop", "kg", "--drop", "zip", "--drop", "pay", "--drop", "legs"]
    found = json.loads(said("evaluate", table, *columns, "--folds", 2, "--json"))
    assert set(found["models"]) == {"independent columns", "trees alone", "TreeFlowMixture"}
    assert found["gain"] > 3 * found["gain_standard_error"]


def test_a_report_of_numbers(numbers, said, tmp_path):
    figures = json.loads(said("report", numbers / "t.parquet", "-o", "r.html", "--json", "--drop", "legs"))
    parsed = _Page()
    parsed.feed((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert parsed.open == []
    assert sum(text.endswith(", in data and samples") for text in parsed.text) == 2
    assert (tmp_path / "r.html").stat().st_size < 500_000
    for text in ("in steps of 0.001", "in steps of 1 day", "; median ", "times,"):
        assert any(text in told for told in parsed.text), text
    assert figures["fit"]["gain"] > 0
    assert figures["quality"]["distance_max"] < 0.3


def test_a_synthetic_table_is_evaluated(numbers, said, refused):
    said("sample", numbers / "m", "-n", 200, "-o", "s.csv")
    telling = ["--synthetic", "s.csv", "--test", numbers / "t.parquet", "--target", "sex", "--drop", "kg"]
    found = json.loads(said("evaluate", numbers / "t.csv", *telling, "--json"))
    assert found["shape"] > 0.85
    assert found["utility"]["auc_real"] > 0.9
    assert "C2ST" in said("evaluate", numbers / "t.csv", "--synthetic", "s.csv", "--drop", "kg")
    assert "--target needs --test" in refused("evaluate", numbers / "t.csv", *telling[:2], *telling[4:])
    assert "--test is an option of --synthetic" in refused("evaluate", numbers / "t.csv", *telling[2:4])
    assert "has no column 'sex'" in refused("evaluate", numbers / "t.csv", "--synthetic", _lacking("sex"))


def _lacking(name):
    pd.read_csv("s.csv").drop(columns=name).to_csv("less.csv", index=False)
    return "less.csv"


@pytest.mark.parametrize("what", ["marginals", "dependence", "pair"])
def test_pictures_of_numbers(numbers, said, refused, tmp_path, what):
    said("plot", numbers / "m", numbers / "t.csv", "--what", what, "-o", "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
    assert "needs two columns of numbers" in refused(
        "plot", numbers / "m", numbers / "t.csv", "--what", "pair", "--columns", "sex", "cm", "-o", "p.png"
    )


def test_missing_cells_are_equal_whatever_stands_for_them():
    table = pd.DataFrame({"a": np.array(["x", None, "y"], dtype=object)}, dtype=object)
    ours, theirs = page._shared_codes(table, pd.DataFrame({"a": ["y", np.nan, "x"]}))
    assert ours[:, 0].tolist() == theirs[::-1, 0].tolist()


def test_weights_are_a_column_of_the_table(said, tmp_path):
    """A table of frequencies learns what the rows that it stands for teach."""
    table = pd.DataFrame({"a": list("xyzxyz"), "b": list("uuuvvv"), "n": ["7", "0", "12", "3.0", "9", "4"]})
    table.to_csv("counted.csv", index=False)
    rows = table.loc[table.index.repeat(table["n"].astype(float).astype(int)), ["a", "b"]]
    rows.to_csv("rows.csv", index=False)
    for model in ("tree", "auto"):
        fit = ["--model", model, "--json", "-o"]
        counted = json.loads(said("fit", "counted.csv", "--weight", "n", *fit, "c", checked=True))
        repeated = json.loads(said("fit", "rows.csv", *fit, "r", checked=True))
        assert (tmp_path / "c").read_bytes() == (tmp_path / "r").read_bytes()
        assert (counted["columns"], counted["rows"], counted["weight"]) == (2, 6, repeated["rows"])
        assert counted["train_nll"] == pytest.approx(repeated["train_nll"], abs=1e-12)
        assert counted["held_out"]["rows"] == repeated["held_out"]["rows"] == 3


def test_weights_of_very_many_rows_with_numbers_are_told_once(said, capsys, monkeypatch):
    monkeypatch.setattr(learned_rows, "MOST_CELLS", 100)
    pd.DataFrame({"c": list("xy") * 20, "x": np.arange(40) / 8, "n": 1000}).to_csv("t.csv", index=False)
    for _ in range(2):
        assert main(["fit", "t.csv", "-o", "m", "--weight", "n", "--model", "tree"]) == 0
        note = capsys.readouterr().err
        assert note.count("\n") == 1
        assert "sums to 40,000, and rows with numbers are repeated: 50 rows are learned from" in note


def test_weights_that_are_none_are_refused(refused):
    pd.DataFrame({"a": ["x", "y"], "n": ["1", "many"], "m": ["1", None], "k": ["-1", "1"]}).to_csv("t.csv", index=False)
    for column, told in {
        "w": "no such column; the table has 'a', 'n', 'm', 'k'",
        "n": "'many' stands at row 1",
        "m": "None stands at row 1",
        "k": "'-1' stands at row 0",
    }.items():
        assert told in refused("fit", "t.csv", "--weight", column)
    pd.DataFrame({"n": ["1", "2"]}).to_csv("n.csv", index=False)
    assert "no other column" in refused("fit", "n.csv", "--weight", "n")
