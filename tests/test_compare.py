"""What differs between two tables, against tables whose difference is known and computations by hand."""

import json
from threading import Lock

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import treeflows
from treeflows import AutoregressiveTreeFlow, ComparisonDisplay, compare
from treeflows.command.main import main
from treeflows.learning import differences
from treeflows.machine.errors import ParameterError, TableError


def rows(n, seed, *, broken=(), holes=False):
    """A mixed table whose columns tell each other; those ``broken`` are told by nothing, and have their marginals."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n).astype(np.float64)
    job = np.where(rng.random(n) < 0.9, np.where(age < 40, "clerk", "smith"), "judge")
    pay = np.round(20 + age / 2 + 10 * (job == "judge") + rng.normal(0, 3, n), 1)
    town = np.where(rng.random(n) < 0.8, np.where(job == "smith", "Ulm", "Bonn"), "Kiel")
    table = pd.DataFrame({"age": age, "job": job, "pay": pay, "town": town, "coin": rng.choice(["head", "tail"], n)})
    for name in broken:
        table[name] = rng.permutation(table[name])
    if holes:
        table.loc[rng.random(n) < 0.2, ["pay", "town"]] = None
    return table


@pytest.fixture(scope="module")
def broken():
    return compare(rows(1500, 0), rows(1200, 1, broken=["town"]))


def test_tables_that_do_not_differ():
    found = compare(rows(1000, 0), rows(800, 1))
    assert found.bayes_factor < 0
    assert found.blamed == found.differences == ()
    assert found.n_rows == (1000, 800)
    assert abs(found.js) < 4 * found.js_error + 1e-3
    assert abs(found.accuracy - 0.5) < 0.03
    assert "no difference is found" in str(found)
    assert "columns to blame" not in str(found)


def test_a_column_whose_marginal_is_kept(broken):
    assert broken.blamed == ("town",)
    assert broken.bayes_factor > 100
    assert np.argmax(broken.bayes_factors) == np.argmax(broken.divergences[0]) == broken.names.index("town")
    np.testing.assert_allclose(broken.divergences.sum(axis=1), broken.kl)
    assert broken.js > 20 * broken.js_error
    assert all(each.column == "town" and each.nats > 0 for each in broken.differences)
    assert "without them the other 4 agree" in str(broken)
    assert "told apart by one row" in str(broken)


def test_where_is_told_in_words():
    def sick(n, seed, share):
        table = rows(n, seed)
        ill = np.random.default_rng(seed).random(n) < np.where(table["age"] > 50, share, 0.1)
        return table[["age", "coin"]].assign(state=np.where(ill, "ill", "well"))

    found = compare(sick(2000, 0, 0.2), sick(2000, 1, 0.6))
    assert found.blamed == ("state",)
    place = found.differences[0]
    assert place.where in {(f"age > {age}.0",) for age in (48, 49, 50, 51, 52)}
    (what, before, after), *_ = place.told
    assert what in ("ill", "well")
    assert abs(before - after) == pytest.approx(0.4, abs=0.07)
    assert sum(place.rows) == pytest.approx(4000 * 29 / 62, rel=0.1)


def test_divergences_are_those_of_the_distributions():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    rng = np.random.default_rng(0)
    A, B = (np.column_stack([rng.choice(3, 20_000, p=of), rng.integers(0, 2, 20_000)]) for of in (p, q))
    found = compare(A, B)
    m = (p + q) / 2
    js = (p * np.log(p / m) + q * np.log(q / m)).sum() / 2
    assert found.kl[0] == pytest.approx((p * np.log(p / q)).sum(), abs=4 * found.kl_error[0])
    assert found.kl[1] == pytest.approx((q * np.log(q / p)).sum(), abs=4 * found.kl_error[1])
    assert found.js == pytest.approx(js, abs=4 * found.js_error)
    assert found.accuracy == pytest.approx(0.5 + 0.5 * abs(p - q).sum() / 2, abs=0.01)
    np.testing.assert_allclose(found.divergence_errors[:, 0], found.kl_error, rtol=0.05)
    assert (found.divergence_errors[:, 1] < found.divergence_errors[:, 0] / 5).all()
    assert found.kl_error[0] == pytest.approx(found.log_ratios[0].std() / np.sqrt(20_000), rel=1e-3)
    ratio = np.log(p / q)[A[:, 0]]
    np.testing.assert_allclose(found.log_ratios[0], ratio, atol=0.1)


@pytest.mark.parametrize(("seed", "is_below"), [(0, False), (1, True)])
def test_a_divergence_below_zero_is_said_to_be_chance(seed, is_below):
    found = compare(*np.random.default_rng(seed).integers(0, 3, (2, 30, 5)))
    assert (min(found.js, *found.kl) < 0) == is_below
    assert ("below 0 by chance" in found.to_text()) == is_below


def test_rows_most_typical_of_either_side():
    A, B = rows(500, 0), rows(500, 1)
    A.loc[[3, 77], "job"] = "pope"
    B.loc[:, "town"] = np.where(np.arange(500) < 450, B["town"], "Rome")
    found = compare(A, B)
    first, second = found.typical(20)
    assert set(second) <= set(range(450, 500))
    assert len(first) <= 20
    assert (np.diff(found.log_ratios[1][second]) >= 0).all()


def test_the_factor_of_a_column_is_that_of_trees_that_are_grown_as_models():
    """The chain of all columns, beside the evidence of `AutoregressiveTreeFlow` with the table as a column."""
    rng = np.random.default_rng(0)
    A, B = rng.integers(0, 3, (2, 300, 4)).astype(np.uint8)
    B[:, 2] = B[:, 1]
    X, side = np.concatenate([A, B]), np.repeat([0, 1], 300).astype(np.uint8)
    asks = AutoregressiveTreeFlow(order=[4, 0, 1, 2, 3]).fit(np.column_stack([X, side]))
    not_asks = AutoregressiveTreeFlow(order="natural").fit(X)
    found = compare(A, B)
    [blamed] = found.blamed
    assert blamed in ("x1", "x2")
    codes = np.ascontiguousarray(np.column_stack([X, side]))
    k = np.array([3, 3, 3, 3, 2], dtype=np.int32)
    sides = differences.CodedSides(codes, k, 0 * k, ([0], [1], [2], [3]), (0, 1, 2, 3))
    factors = differences.Factors(sides).chain([0, 1, 2, 3])
    np.testing.assert_allclose(factors, asks.evidence_[:4] - not_asks.evidence_, atol=1e-9)


def test_containers_and_the_order_of_columns_and_rows_do_not_matter():
    A, B = rows(200, 0, holes=True), rows(150, 1, holes=True, broken=["job"])
    A["coin"] = A["coin"].astype("category")
    expected = compare(A, B).figures()
    assert expected["blamed"]

    def but_rows(figures):
        return {name: figures[name] for name in figures if name != "typical"}

    arrow = pl.from_pandas(A).to_arrow()
    for first, second in (
        (A, B[["town", "coin", "age", "pay", "job"]]),
        (pl.from_pandas(A.astype({"coin": str})), pl.from_pandas(B)),
        (A, pl.from_pandas(B)),
        (arrow, B),
    ):
        assert compare(first, second).figures() == expected
    again = compare(A.sample(frac=1, random_state=0), B.sample(frac=1, random_state=1)).figures()
    assert json.dumps(but_rows(again)) == json.dumps(but_rows(expected))
    assert compare(A, B, n_jobs=2).figures() == expected


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_more_trees_grow_side_by_side_than_jobs(monkeypatch, n_jobs):
    grow, lock, now, most = differences.grow, Lock(), [0], [0]

    def counted(*args, n_threads, **options):
        with lock:
            now[0] += n_threads
            most[0] = max(most[0], now[0])
        try:
            return grow(*args, n_threads=n_threads, **options)
        finally:
            with lock:
                now[0] -= n_threads

    monkeypatch.setattr(differences, "grow", counted)
    compare(rows(120, 0), rows(120, 1, broken=["job"]), n_jobs=n_jobs, n_permutations=1)
    assert most[0] == n_jobs


def test_arrays_of_objects_and_units_of_numbers():
    A, B = rows(400, 0), rows(300, 1, broken=["pay"])
    found = compare(A, B)
    arrays = compare(A.to_numpy(), B.to_numpy().tolist())
    assert arrays.blamed == tuple(f"x{A.columns.get_loc(name)}" for name in found.blamed)
    assert arrays.bayes_factor == found.bayes_factor
    logs = [table.assign(pay=np.log(table["pay"]), age=1000 * table["age"]) for table in (A, B)]
    np.testing.assert_array_equal(compare(*logs).bayes_factors, found.bayes_factors)


def test_missing_cells_tell():
    A, B = rows(500, 0), rows(500, 1)
    B.loc[B["age"] > 60, "pay"] = np.nan
    found = compare(A, B)
    assert found.blamed == ("pay",)
    assert found.differences[0].told[0][0] == "missing"
    assert found.differences[0].told[0][1] == 0
    B["pay"] = np.nan
    assert compare(A, B).blamed == ("pay",)


def test_disjoint_categories():
    A, B = rows(300, 0), rows(300, 1)
    found = compare(A.assign(coin="old"), B.assign(coin="new"))
    assert found.blamed == ("coin",)
    assert found.accuracy == 1
    assert found.js == pytest.approx(np.log(2), abs=0.02)
    assert found.differences[0].where == ()


def test_few_rows_and_constant_columns():
    A = rows(200, 0)
    one = compare(A, rows(1, 1))
    assert one.blamed == ()
    assert one.bayes_factor <= 0
    assert np.isnan(one.kl_error[1])
    assert one.figures()["kl_standard_error"][1] is None
    assert "±" in str(one)
    json.dumps(one.figures(), allow_nan=False)
    both = compare(rows(1, 0), rows(1, 1))
    assert both.accuracy == 0.5
    assert both.js == 0
    constant = compare(np.ones((20, 2), dtype=int), np.ones((10, 2), dtype=int), n_permutations=3)
    assert (constant.bayes_factor, constant.p_value, constant.blamed) == (0, 1, ())
    numbers = compare(A.assign(pay=2.5), rows(100, 1).assign(pay=2.5))
    assert numbers.bayes_factors[2] == 0
    single = compare(A[["job"]], rows(200, 1)[["job"]].replace("judge", "clerk"))
    assert single.blamed == ("job",)


def test_p_values():
    A = rows(150, 0)
    shifted = compare(A, rows(150, 1, broken=["town"]), n_permutations=9)
    assert shifted.p_value == 1 / 10
    assert "p = 0.1" in str(shifted)
    small = rows(60, 2)[["job", "coin"]]
    equal = [compare(small[:30], small[30:], n_permutations=9, random_state=seed).p_value for seed in (0, 0, 1)]
    assert equal[0] == equal[1]
    assert min(equal) > 0.1


def test_weak_dependence_that_no_single_tree_sees_is_found_by_forests(monkeypatch):
    rng = np.random.default_rng(0)

    def tokens(n):
        hidden = rng.integers(0, 2, n)
        return (rng.random((n, 14)) < np.where(hidden, 0.72, 0.28)[:, None]).astype(np.uint8)

    A, B = tokens(500), tokens(500)
    B[:, 4] = rng.permutation(B[:, 4])
    assert compare(A, B).blamed == ("x4",)
    monkeypatch.setattr(differences, "FEWEST_WITNESSED", 10_000)
    assert compare(A, B).blamed == ()


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (rows(5, 0), rows(5, 1).drop(columns="pay"), "the first table has the column 'pay', and the second has not"),
        (rows(5, 0).drop(columns=["pay", "job"]), rows(5, 1), "the second table has the columns 'job', 'pay'"),
        (rows(5, 0), rows(5, 1).assign(pay="much"), "column 'pay' holds numbers in the first table, and not in"),
        (rows(5, 0), rows(5, 1).to_numpy(), "one table has names of its columns"),
        (np.zeros((5, 2)), np.zeros((5, 3)), "the first table has 2 columns, and the second has 3"),
        (rows(5, 0), rows(0, 1), r"the second table: Found a table with 0 row\(s\)"),
        (rows(5, 0), pd.concat([rows(5, 0), rows(5, 0)[["pay"]]], axis=1), "the second table: column names must be"),
        (
            rows(30, 0).to_numpy()[:, :1],
            np.array([[1.5], [np.inf]], dtype=object),
            "the second table: column 0 holds inf at row 1,",
        ),
    ],
)
def test_tables_that_cannot_be_compared(first, second, told):
    with pytest.raises(TableError, match=told):
        compare(first, second)


def test_bad_parameters():
    with pytest.raises(ParameterError, match="n_permutations"):
        compare(rows(5, 0), rows(5, 1), n_permutations=-1)
    with pytest.raises(ParameterError, match="numeric"):
        compare(rows(5, 0), rows(5, 1), numeric="all")


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows(400, 0).to_csv("a.csv", index=False)
    rows(400, 1).to_csv("same.csv", index=False)
    rows(400, 1, broken=["job"])[["town", "coin", "pay", "age", "job"]].to_csv("other.csv.gz", index=False)
    rows(400, 1)[["age", "job"]].to_parquet("few.parquet")
    assert main(["compare", "a.csv", "same.csv", "--threshold", "3"]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["compare", "a.csv", "other.csv.gz"]) == 0
    assert "  job: " in capsys.readouterr().out
    assert main(["compare", "a.csv", "other.csv.gz", "--threshold", "3", "--json", "--permutations", "1"]) == 1
    figures = json.loads(capsys.readouterr().out)
    assert figures["blamed"] == ["job"]
    assert figures["p_value"] == 0.5
    expected = compare(rows(400, 0), rows(400, 1, broken=["job"]), n_permutations=1).figures()
    assert figures["bayes_factor"] == expected["bayes_factor"]
    assert main(["compare", "a.csv", "few.parquet", "--threshold", "3"]) == 2
    assert "few.parquet has no column 'pay', 'town', 'coin'" in capsys.readouterr().err
    assert main(["compare", "a.csv", "few.parquet", "--drop", "pay", "--drop", "town", "--drop", "coin"]) == 2
    assert main(["compare", "a.csv", "same.csv", "--numeric", "none", "--drop", "pay"]) == 0


def test_the_picture_of_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows(300, 0).to_csv("a.csv", index=False)
    rows(300, 1, broken=["job"]).to_csv("b.csv", index=False)
    assert main(["compare", "a.csv", "b.csv", "-o", "found.svg", "--threshold", "3"]) == 1
    assert "<svg" in (tmp_path / "found.svg").read_text()
    before = (tmp_path / "b.csv").read_bytes()
    for output, told in (("found.txt", "must end in .png, .svg, .pdf"), ("b.csv", "b.csv is the data, which would be")):
        capsys.readouterr()
        assert main(["compare", "a.csv", "b.csv", "-o", output]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert told in printed.err
    assert (tmp_path / "b.csv").read_bytes() == before
    assert not (tmp_path / "found.txt").exists()


def test_the_display(broken):
    display = ComparisonDisplay(broken).plot()
    columns, where, of_rows = display.ax_
    assert columns.get_yticklabels()[0].get_text() == "town"
    assert len(columns.patches) == len(broken.names)
    sizes = [bar.get_width() for bar in columns.patches]
    np.testing.assert_allclose(sizes[0], broken.divergences.mean(axis=0)[broken.names.index("town")])
    colors = {bar.get_facecolor() for bar in columns.patches[1:]}
    assert len(colors) == 1
    assert columns.patches[0].get_facecolor() not in colors
    assert where.texts[0].get_text().startswith("town, job ")
    place = broken.differences[0]
    drawn = where.collections[0].get_offsets()[:, 0]
    np.testing.assert_allclose(drawn, place.told[0][1:])
    assert f"{broken.accuracy:.1%}" in of_rows.get_title()
    few = ComparisonDisplay(broken).plot(max_columns=2, max_places=1)
    assert len(few.ax_[0].patches) == 2
    assert "3 columns that add less" in few.ax_[0].get_xlabel()
    assert len(few.ax_[1].texts) == 1
    pyplot.close("all")
    axes = Figure().subplots(1, 3)
    same = ComparisonDisplay.from_tables(rows(60, 0)[["coin"]], rows(1, 1)[["coin"]], ax=axes)
    assert list(same.ax_) == list(axes)
    assert same.ax_[1].get_title() == "no column is to blame"
    same.figure_.canvas.draw()


def test_public_names():
    assert {"Comparison", "Difference", "compare"} <= set(treeflows.__all__)
