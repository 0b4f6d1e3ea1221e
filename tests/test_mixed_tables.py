"""Tables with numbers, from cells to cells: fit, likelihood, samples, codes, files, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowClassifier, TreeFlowEnsemble, TreeFlowMixture
from treeflows.machine.errors import TableError

N = 400


def table(seed=0, n=N):
    """Numbers of every kind beside categories; some are missing, some recur."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n)
    height = rng.normal(np.where(sex == "f", 1.65, 1.78), 0.07)
    money = np.round(rng.exponential(30, n), 2)
    money[rng.random(n) < 0.3] = 0.0
    born = np.datetime64("1950-01-01") + rng.integers(0, 18_000, n)
    weight = 22 * height**2 + rng.normal(0, 4, n)
    weight[::17] = np.nan
    return pd.DataFrame(
        {
            "sex": sex,
            "height": height,
            "age": rng.integers(18, 90, n),
            "money": money,
            "born": born.astype("datetime64[s]"),
            "weight": weight,
        }
    )


@pytest.fixture(scope="module")
def model():
    return TreeFlowMixture(numeric="auto", random_state=0).fit(table())


def test_what_counts_as_a_number(model):
    assert model.domain_.numeric.tolist() == [False, True, True, True, True, True]
    assert [c is None for c in model.categories_] == model.domain_.numeric.tolist()
    told = model.summary()[1]
    assert "5 columns of numbers" in told
    assert "(missing)" in told


@pytest.mark.parametrize("convert", [lambda X: X, pl.from_pandas, lambda X: pa.Table.from_pandas(X)])
def test_samples_and_codes_are_of_the_container_that_fit_saw(convert):
    X = convert(table())
    model = TreeFlowMixture(numeric="auto", random_state=0).fit(X)
    drawn = model.sample(50, random_state=1)
    assert type(drawn) is type(X)
    schema = "dtypes" if isinstance(X, pd.DataFrame) else "schema"
    assert list(getattr(drawn, schema)) == list(getattr(X, schema))
    # what is drawn can be scored, and goes through the bijection and back
    scores = model.score_samples(drawn)
    assert np.isfinite(scores).all()
    back = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(model.score_samples(back), model.score_samples(X), rtol=1e-6)


def test_cents_whole_years_and_days_come_back_as_such(model):
    drawn = model.sample(300, random_state=0)
    assert (np.round(drawn["money"], 2) == drawn["money"]).all()
    assert 0.15 < (drawn["money"] == 0).mean() < 0.45
    assert (drawn["born"].dt.normalize() == drawn["born"]).all()
    assert 0 < drawn["weight"].isna().mean() < 0.2
    both = drawn.groupby("sex")["height"].mean()
    assert both["m"] - both["f"] > 0.07


def test_the_density_integrates_to_one():
    rng = np.random.default_rng(0)
    letter = rng.choice(["a", "b"], 300)
    numbers = {"whole": rng.integers(0, 40, 300), "real": rng.normal(size=300) + (letter == "a")}
    steps = {"whole": np.arange(-4000, 4000), "real": np.linspace(-60, 60, 24_001)}
    for name, seen in numbers.items():
        X = pd.DataFrame({"letter": letter, name: seen})
        model = TreeFlowMixture(numeric=[name], random_state=0).fit(X)
        assert model.domain_.step.tolist() == [0.0, 1.0 if name == "whole" else 0.0]
        every = [pd.DataFrame({"letter": which, name: steps[name]}) for which in "ab"]
        total = sum(np.exp(model.score_samples(each)) for each in every)
        assert total.sum() * (steps[name][1] - steps[name][0]) == pytest.approx(1, abs=0.01)


def test_files_hold_numbers(model, tmp_path):
    treeflows.save(model, tmp_path / "m.treeflow")
    copy = treeflows.load(tmp_path / "m.treeflow")
    X = table(1)
    np.testing.assert_array_equal(copy.score_samples(X), model.score_samples(X))
    pd.testing.assert_frame_equal(copy.sample(20, random_state=3), model.sample(20, random_state=3))


def test_rows_in_any_order_and_any_threads_give_the_same_bytes(model, tmp_path):
    order = np.random.default_rng(1).permutation(N)
    other = TreeFlowMixture(numeric="auto", random_state=0, n_jobs=2).fit(table().iloc[order])
    other.set_params(n_jobs=None)
    for name, each in (("a", model), ("b", other)):
        treeflows.save(each, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_categories_are_predicted_from_numbers(model):
    X = table(2)
    assert (model.predict(X, "sex") == X["sex"]).mean() > 0.75
    prob = model.conditional_proba(X[:20], "sex")
    np.testing.assert_allclose(prob.sum(axis=1), 1)


def test_unseen_categories_may_be_reserved():
    X = table()
    model = TreeFlowMixture(numeric="auto", handle_unknown="reserve", random_state=0).fit(X)
    Y = X[:5].assign(sex="x")
    assert np.isfinite(model.score_samples(Y)).all()
    assert set(model.sample(2000, random_state=0)["sex"]) == {"f", "m"}
    with pytest.raises(TableError, match="'x' at row 0"):
        TreeFlowMixture(numeric="auto", random_state=0).fit(X).score_samples(Y)


def test_options_that_do_not_go_together_are_refused():
    X = table()
    with pytest.raises(ValueError, match="numeric of the estimator TreeFlowMixture has no effect"):
        TreeFlowEnsemble(TreeFlowMixture(numeric=[])).fit(X[["sex"]])
    with pytest.raises(ValueError, match="numeric of the estimator TreeFlowMixture has no effect"):
        TreeFlowClassifier(TreeFlowMixture(numeric=["age"])).fit(X[["sex"]], X["sex"])
    for attribute in ("weights_", "share_", "exponent_", "flows_"):
        with pytest.raises(AttributeError, match="table with numbers"):
            getattr(TreeFlowMixture(numeric="auto", random_state=0).fit(X[["sex", "age"]][:50]), attribute)


def test_curves_are_not_of_numbers(model):
    with pytest.raises(TableError, match="is not for numbers yet, and column 'height' holds numbers"):
        model.likelihood_curves()
    with pytest.raises(TableError, match="column 'age' holds numbers, each binary digit of which has a tree"):
        model.tree("age")


def test_voices_of_codes_are_of_the_kinds_that_have_trees(model):
    density = model.distribution_
    with pytest.raises(ValueError, match="coded is no Pool or LogarithmicPool or several"):
        replace(density, coded=density.trees[:1]).check()


def is_true(said, cell, kinds):
    """Whether what a tree asks holds of a cell: "= label", "<= label", "> label and <= label" or "> label"."""
    sign, label = said.split(" ", 1)
    if sign == ">" and " and " in said:
        return all(is_true(part, cell, kinds) for part in said.split(" and "))
    if label == "(missing)":
        return pd.isna(cell)
    if label == "(another number)":
        return not pd.isna(cell) and str(cell) not in kinds
    if sign == "=":
        return str(cell) == label
    return not pd.isna(cell) and (cell <= type(cell)(label)) == (sign == "<=")


@pytest.mark.parametrize("kind", [AutoregressiveTreeFlow, TreeFlowMixture])
def test_trees_of_categories_ask_about_numbers(kind):
    X = table(1, 1200)[["height", "age", "money", "born", "weight", "sex"]]
    X["odd"] = np.where((X["money"] == 0) ^ X["weight"].isna() ^ (X["born"] < pd.Timestamp("1970-01-01")), "x", "y")
    flow = AutoregressiveTreeFlow(order="natural", random_state=0)
    model = (flow if kind is AutoregressiveTreeFlow else TreeFlowMixture(flow, random_state=0)).fit(X)
    density, rows, asked = model.distribution_, model.read(X[:150]), set()
    scores = np.exp(density.conditional_scores(rows.codes))
    for name in ("sex", "odd"):
        j, tree = list(X).index(name), model.tree(name, full=True)
        atoms = {i: set(tree.labels[tree.names.index(i)]) for i in X}
        assert tree.before == tuple(X)[:j]
        for i, codes in enumerate(density.tree_codes(rows.codes, j)):
            for node, answer in tree.path(codes):
                column, said = tree.question(node)
                if not column.startswith("binary digit"):
                    assert is_true(said, X[column].iloc[i], atoms[column]) == answer
                    asked.add((column, said.split(" ", 1)[0]))
            if kind is AutoregressiveTreeFlow:  # whose trees tell all of it
                leaf = tree.children[node, 0 if answer else 1]
                assert tree.prob[~leaf, int(rows.codes[i, j])] == pytest.approx(scores[i, j], rel=1e-9)
    assert {("height", "<="), ("money", "="), ("born", "<=")} <= asked
    shown = model.tree("odd").to_text()
    assert "born <= 19" in shown
    assert "weight = (missing)? (posterior 1.00)" in shown


@pytest.fixture(scope="module")
def holes():
    """A table of which a fifth of the cells is missing by chance, and the same without these."""
    X = table(5, 150)[["sex", "height", "age", "money"]]
    gone = np.random.default_rng(0).random(X.shape) < 0.2
    return X.mask(gone), X


def test_what_is_missing_by_chance_is_drawn(holes, tmp_path):
    with_holes, _ = holes
    models = [
        kind(missing="marginalize", random_state=0).fit(with_holes.iloc[order])
        for kind in (AutoregressiveTreeFlow, TreeFlowMixture)
        for order in (slice(None), np.random.default_rng(1).permutation(len(with_holes)))
    ]
    for i, model in enumerate(models):  # the rows in any order give the same bytes
        treeflows.save(model, tmp_path / str(i))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
    assert (tmp_path / "2").read_bytes() == (tmp_path / "3").read_bytes()
    drawn = models[0].sample(200, random_state=0)
    assert not drawn.isna().any(axis=None)
    # the likelihood of a row is that of what is observed of it
    some = with_holes[:3].copy()
    some.iloc[:, 1:] = np.nan
    some.iloc[0, 0] = np.nan
    told = models[0].score_samples(some)
    assert told[0] == 0
    np.testing.assert_array_less(told[1:], 0)


def test_pictures_and_codes_of_what_is_missing_by_chance(holes):
    with_holes, _ = holes
    model = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(with_holes)
    pytest.importorskip("matplotlib").use("agg")
    shown = treeflows.DependenceDisplay.from_estimator(model, with_holes, random_state=0)
    assert set(shown.information) == {"data", "samples", "codes"}
    with pytest.raises(TableError, match="impute first"):
        model.transform(with_holes)
    assert not model.impute(with_holes, draw=True, random_state=0).isna().any(axis=None)


def test_what_is_drawn_hangs_together_as_what_is_observed_does():
    x, noise = np.random.default_rng(0).normal(size=(2, 300))
    X = np.column_stack([x, 10 * x + noise])
    with_holes = X.copy()
    with_holes[:200, 1] = np.nan  # so that no more than a third of the rows tells
    model = TreeFlowMixture(missing="marginalize", random_state=0).fit(with_holes)
    told = model.predict_quantiles(X[:50], 1, [0.1, 0.5, 0.9])
    assert np.abs(told[:, 1] - 10 * x[:50]).mean() < 1.5
    assert (told[:, 2] - told[:, 0]).mean() < 10  # 2.6 by the truth, 26 with no knowledge of the other


def test_a_weight_is_as_many_rows_of_what_is_drawn(holes, tmp_path):
    with_holes, _ = holes
    weight = np.arange(len(with_holes)) % 3
    flow = AutoregressiveTreeFlow(missing="marginalize", random_state=0)
    treeflows.save(flow.fit(with_holes, sample_weight=weight), tmp_path / "a")
    treeflows.save(flow.fit(with_holes.iloc[np.repeat(np.arange(len(weight)), weight)]), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numbers_of_all_sizes_in_one_column(tmp_path):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=100) * 10.0 ** rng.integers(-300, 300, 100))[:, None]
    model = AutoregressiveTreeFlow(random_state=0).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.sample(50, random_state=0)).all()
    treeflows.save(model, tmp_path / "m.treeflow")
    treeflows.load(tmp_path / "m.treeflow")


def test_times_are_given_with_the_zone_that_fit_saw_or_without():
    at = pd.date_range("2024-01-01", periods=60, tz="Europe/Rome", freq="h")
    X = pd.DataFrame({"at": at, "x": np.arange(60) % 3})
    zoned = AutoregressiveTreeFlow(random_state=0).fit(X)
    plain = AutoregressiveTreeFlow(random_state=0).fit(X.assign(at=at.tz_localize(None)))
    for same in (at[5], at[5].tz_convert("UTC"), at[5].to_pydatetime()):
        assert (zoned.sample(5, given={"at": same})["at"] == at[5]).all()
    assert zoned.sample(50, given={"at": (at[5], at[9])})["at"].between(at[5], at[9]).all()
    with pytest.raises(TableError, match="which has no zone"):
        zoned.sample(given={"at": at[5].tz_localize(None)})
    with pytest.raises(TableError, match="which has a zone"):
        plain.sample(given={"at": at[5]})


@pytest.mark.parametrize("odd", ["n/a", True])
def test_what_is_no_number_among_numbers_is_named(odd):
    X = pd.DataFrame({"x": pd.Series([1.5, 2.5, odd] * 10, dtype=object)})
    with pytest.raises(TableError, match=f"holds 1.5 at row 0, which is no category, and {odd!r} at row 2"):
        TreeFlowMixture().fit(X)


@pytest.mark.parametrize(
    "values",
    [
        np.full(60, 2.5),
        np.tile([0.5, 1.5], 30),
        np.linspace(-1, 1, 60) * 1e308,
        np.arange(60) * 5e-324,
        np.append(np.zeros(59), 1e300),
        np.array([0.25]),
    ],
    ids=["constant", "two values", "largest", "subnormal", "one far away", "one row"],
)
def test_odd_numbers(values):
    X = pd.DataFrame({"x": values, "c": np.resize(["a", "b"], len(values))})
    model = TreeFlowMixture(numeric=["x"], random_state=0).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.sample(20, random_state=0)["x"]).all()


def test_a_column_that_numbers_the_rows_is_named():
    with pytest.warns(UserWarning, match="column 'id' names the rows"):
        TreeFlowMixture(numeric="auto", random_state=0).fit(pd.DataFrame({"id": np.arange(100), "c": list("ab") * 50}))


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused_by_name(model, bad):
    X = table()
    X.loc[3, "height"] = bad
    with pytest.raises(TableError, match=r"column 'height' holds -?inf at row 3"):
        model.score_samples(X)
    with pytest.raises(TableError, match=r"column 'height' holds -?inf at row 3"):
        TreeFlowMixture(numeric="auto").fit(X)


def test_codes_of_the_bijection_are_checked(model):
    Z = model.transform(table()[:3])
    assert Z.dtype == np.float64
    for j, value in ((0, 0.5), (0, 2.0), (1, -0.1), (1, 99.0)):
        bad = Z.copy()
        bad[1, j] = value
        with pytest.raises(TableError, match=r"at row 1; it takes whole numbers from 0"):
            model.inverse_transform(bad)


def test_models_of_categories_alone_see_none_but_categories():
    X = table()[["sex"]].assign(k=np.arange(N) % 30)
    for model in (
        TreeFlowMixture(numeric=(), random_state=0),
        TreeFlowEnsemble(DiscreteTreeFlow(2), 2),
        DiscreteTreeFlow(2),
    ):
        assert model.fit(X).domain_.numeric.tolist() == [False, False]
        with pytest.raises(ValueError, match="no category"):
            model.fit(table())
    with pytest.raises(TableError, match="a DiscreteTreeFlow takes no numbers, and column 'k' holds numbers"):
        TreeFlowEnsemble(DiscreteTreeFlow(2), 2, numeric=["k"]).fit(X)


def test_an_array_of_bytes_holds_codes():
    X = np.random.default_rng(0).integers(0, 40, (200, 2))
    flow = AutoregressiveTreeFlow()
    assert flow.fit(X).domain_.numeric.all()
    assert not flow.fit(X.astype(np.uint8)).domain_.numeric.any()
    assert not flow.fit(X.astype(np.uint8)).domain_.n_ordered.any()
    assert flow.fit(X % 15).domain_.n_ordered.tolist() == [15, 15]
