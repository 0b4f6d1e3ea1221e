"""Distributions given evidence, against sums over the whole domain."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import random_table, whole_domain
from sklearn.model_selection import GridSearchCV
from test_models import MODELS, fitted

import treeflows
from treeflows import AutoregressiveTreeFlow, MonteCarloWarning, TreeFlowClassifier, TreeFlowMixture
from treeflows.densities import mixed
from treeflows.inference import evidence

K = [2, 3, 1, 4, 2]
ASKED = [  # what is given, and which rows of the domain agree
    (None, lambda x: x[:, 0] >= 0),
    ({3: 2}, lambda x: x[:, 3] == 2),
    ({4: 1, 1: [0, 2]}, lambda x: (x[:, 4] == 1) & (x[:, 1] != 1)),
    ({3: {"not": [0, 3]}, 0: 1}, lambda x: np.isin(x[:, 3], [1, 2]) & (x[:, 0] == 1)),
    ({1: {"not": 2}, 3: {1, 2, 3}}, lambda x: (x[:, 1] != 2) & (x[:, 3] != 0)),
]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return fitted(request.param, random_table(3, 400, K), K)


@pytest.fixture
def drawn(monkeypatch):
    """Nothing is enumerated."""
    monkeypatch.setattr(evidence, "MOST_STATES", 0)
    monkeypatch.setattr(evidence, "MOST_STATES_ONCE", 0)


def whole(model):
    rows = whole_domain(K)
    return rows, np.exp(model.score_samples(rows))


def test_answers_are_sums_over_the_domain(model):
    rows, p = whole(model)
    for given, agrees in ASKED:
        result = model.query(given=given)
        part = agrees(rows)
        assert result.exact
        np.testing.assert_allclose([result.probability, result.error], [p[part].sum(), 0.0])
        for j, k in enumerate(K):
            told = result[f"x{j}"]
            expected = np.bincount(rows[part, j], p[part], k) / p[part].sum()
            np.testing.assert_allclose(told.probability, expected)
            assert not told.error.any()


@pytest.mark.parametrize("by_draws", ["kept", "led"])
def test_draws_are_within_their_errors(model, drawn, by_draws, monkeypatch):
    if by_draws == "led":
        monkeypatch.setattr(evidence, "_of_draws", lambda *args: None)
    rows, p = whole(model)
    away = []
    for given, agrees in ASKED:
        result = model.query(given=given, n_draws=8000)
        part = agrees(rows)
        assert not result.exact
        if given:
            away.append((result.probability - p[part].sum()) / result.error)
        for j, k in enumerate(K):
            told, expected = result[f"x{j}"], np.bincount(rows[part, j], p[part], k) / p[part].sum()
            assert told.error.max() < 0.011
            sure = told.error == 0
            np.testing.assert_allclose(told.probability[sure], expected[sure], rtol=1e-12)
            away.extend((told.probability - expected)[~sure] / told.error[~sure])
    assert 0.02 < np.mean(np.square(away)) < 2
    assert np.abs(away).max() < 4.5


def test_groups_are_told_apart(model):
    rows, p = whole(model)
    result = model.query(3, given={4: 1}, by=[0, 1])
    assert result.by == ("x0", "x1")
    assert list(result.groups)[:2] == [("0", "0"), ("0", "1")]
    for (a, b), part in result.groups.items():
        here = (rows[:, 4] == 1) & (rows[:, 0] == int(a)) & (rows[:, 1] == int(b))
        np.testing.assert_allclose(part.probability, p[here].sum())
        np.testing.assert_allclose(part["x3"].probability, np.bincount(rows[here, 3], p[here], 4) / p[here].sum())
    shares = [part.share_of(result)[0] for part in result.groups.values()]
    np.testing.assert_allclose(sum(shares), 1.0)
    assert str(result).count("x0 = ") == 6
    assert result._repr_html_().count("<tr>") == 1 + 6 * 4
    frame = result.to_frame()
    assert list(frame.columns) == ["x0", "x1", "column", "value", "probability", "error"]
    assert len(frame) == 6 * 4


@pytest.fixture(scope="module")
def people():
    """Numbers, categories, missing ones, and a column that follows from another."""
    rng = np.random.default_rng(0)
    n = 600
    sex = rng.choice(["f", "m"], n)
    age = rng.integers(18, 80, n).astype(float)
    cm = np.where(sex == "m", 178, 165) + 7 * rng.normal(size=n)
    job = np.where(age < 25, "study", rng.choice(["work", "none"], n)).astype(object)
    age[rng.random(n) < 0.1] = np.nan
    job[rng.random(n) < 0.1] = None
    X = pd.DataFrame({"sex": sex, "age": age, "cm": cm, "job": job})
    return AutoregressiveTreeFlow(numeric=["age", "cm"], handle_unknown="reserve", random_state=0).fit(X)


@pytest.fixture(scope="module")
def samples(people):
    return people.sample(10_000, random_state=1)


PEOPLE = [
    ({"age": (30, 40)}, lambda x: x.age.between(30, 40)),
    ({"age": [20, 21, (70, None)]}, lambda x: x.age.isin([20, 21]) | (x.age >= 70)),
    ({"age": None, "sex": "m"}, lambda x: x.age.isna() & (x.sex == "m")),
    ({"age": {"not": (30, None)}}, lambda x: (x.age < 30) | x.age.isna()),
    ({"cm": (None, 160), "job": ["work", None]}, lambda x: (x.cm <= 160) & ((x.job == "work") | x.job.isna())),
    ({"cm": {"not": [(160, 170), (175, 180)]}}, lambda x: ~(x.cm.between(160, 170) | x.cm.between(175, 180))),
    ({"job": {"not": "study"}, "age": 50}, lambda x: (x.job != "study") & (x.age == 50)),
]


@pytest.mark.parametrize("told", [mixed.MOST_TOLD, 0])
@pytest.mark.parametrize(("given", "agrees"), PEOPLE)
def test_numbers_are_those_of_samples(people, samples, given, agrees, told, monkeypatch):
    monkeypatch.setattr(evidence, "_of_draws", lambda *args: None)  # but led to the evidence
    monkeypatch.setattr(mixed, "MOST_TOLD", told)
    people.distribution_.kept.clear()
    part = samples[agrees(samples)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonteCarloWarning)
        result = people.query(given=given, n_draws=3000)
    share = len(part) / len(samples)
    assert abs(result.probability - share) < 4 * np.hypot(result.error, np.sqrt(share / len(samples))) + 1e-3
    for name in ("sex", "job"):
        told = result[name]
        counts = np.array([(part[name].isna() if v is None else part[name] == v).mean() for v in told.values])
        error = np.hypot(told.error, np.sqrt(counts * (1 - counts) / len(part)))
        assert (np.abs(told.probability - counts) < 4 * error + 3e-3).all()
    if given.get("age", 0) is not None:
        away = result["cm"].mean - part["cm"].mean()
        assert abs(away) < 4 * np.hypot(result["cm"].mean_error, part["cm"].std() / np.sqrt(len(part)))
    ages = result["age"]
    np.testing.assert_allclose(np.nansum(ages.probability), 1.0)
    for (low, high), p in zip(ages.values[:-1], ages.probability, strict=False):
        if p > 0.05:
            inside = part["age"].between(-np.inf if low is None else low, np.inf if high is None else high).mean()
            assert abs(inside - p) < 0.06


@pytest.mark.filterwarnings("ignore::treeflows.MonteCarloWarning")
@pytest.mark.parametrize(
    ("given", "name", "may_be"),
    [
        ({"sex": "m", "cm": (170, None)}, "sex", {"m"}),
        ({"sex": {"not": "m"}, "cm": (170, None)}, "sex", {"f", "(unseen)"}),
        ({"age": 30, "cm": (170, None)}, "age", {"30 to 34"}),
        ({"age": None, "cm": (170, None)}, "age", {"(missing)"}),
        ({"age": [30, 70], "cm": (170, None)}, "age", {"30 to 34", "70 to 74"}),
        ({"age": {"not": [(None, 40), (41, None)]}, "cm": (170, None)}, "age", {"(missing)"}),
    ],
)
def test_of_what_is_given_only_what_may_be_has_an_error(people, given, name, may_be):
    result = people.query(name, given=given)
    told = result[name]
    assert not result.exact
    could = np.isin(told.labels, list(may_be))
    assert could.any()
    assert not told.probability[~could].any()
    assert not told.error[~could].any()
    if could.sum() == 1:
        assert told.probability[could].tolist() == [1.0]
        assert not told.error.any()
        assert "±" not in told.to_text().partition("mean")[0]
    else:
        assert (told.error[could] > 0).any()


def test_equal_questions_have_equal_answers_and_are_not_stored(people):
    asked = {"given": {"sex": "f"}, "n_draws": 8000}
    people.query(given={"sex": "m"}, n_draws=8000)
    size = len(pickle.dumps(people))
    one, two = people.query(**asked), pickle.loads(pickle.dumps(people)).query(**asked)
    np.testing.assert_array_equal(one["cm"].probability, two["cm"].probability)
    assert one.probability == two.probability
    assert len(pickle.dumps(people)) == size
    other = people.query(**asked, random_state=1)
    assert other["cm"].mean != one["cm"].mean


def test_an_exact_number_has_a_density(people):
    result = people.query("sex", given={"cm": 190.0})
    assert result.is_density
    by_model = people.query("cm")["cm"]
    assert 0.001 < result.probability < 0.05
    assert result["sex"].probability[1] > 0.9
    assert by_model.mean == pytest.approx(171.5, abs=2)


def test_what_cannot_be_is_said(people):
    for given, why in [
        ({"age": (30.2, 30.8)}, "there is nothing between 30.2 and 30.8 in column 'age'"),
        ({"sex": []}, "column 'sex' cannot be none: no value of it is left"),
        ({"age": (-5, -1)}, "there is nothing between -5 and -1"),
    ]:
        result = people.query(given=given)
        assert (result.probability, result.exact) == (0.0, True)
        assert why in result.impossible
        assert "impossible" in str(result)
        with pytest.raises(ValueError, match="no value of it is left|there is nothing between"):
            people.sample(3, given=given)


def test_what_is_too_rare_is_said(people):
    with pytest.warns(MonteCarloWarning, match="what is given is too rare to be estimated"):
        result = people.query("sex", given={"cm": (150, 160)}, n_draws=5)
    assert result.effective == 0
    assert np.isnan(result.probability)
    assert np.isnan(result["sex"].probability).all()
    assert "too rare" in str(result)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("sex", "given must be a dict of column: value, or a Series"),
        ({"sex": {"is": "f"}}, "of a column given takes a value"),
        ({"sex": "x"}, "column 'sex' has no value 'x'; it has 'f', 'm'"),
        ({"sex": ("f", "m")}, "a range is for numbers"),
        ({"size": 3}, "no column 'size'"),
        ({"age": ["old"]}, "column 'age' takes numbers, not 'old'"),
        ({"sex": "f", 0: "m"}, "given names column 'sex' twice"),
    ],
)
def test_bad_evidence_is_refused(people, given, told):
    with pytest.raises(ValueError, match=told):
        people.query(given=given)
    with pytest.raises(ValueError, match=told):
        people.sample(2, given=given)


def test_given_takes_series_sets_and_ranges_for_samples(people):
    rows = people.sample(200, random_state=0, given=pd.Series({"sex": "f"}))
    assert (rows.sex == "f").all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonteCarloWarning)
        rows = people.sample(200, random_state=0, given={"job": ["none", "study"], "age": {"not": (25, 60)}})
    assert set(rows.job) == {"none", "study"}
    assert not rows.age.between(25, 60).any()
    assert rows.age.isna().any()


def test_rare_values_and_orders(tmp_path):
    rng = np.random.default_rng(1)
    size = pd.Categorical(rng.choice(["s", "m", "l"], 500), ["s", "m", "l"], ordered=True)
    town = rng.choice([*"abcdefgh"], 500, p=[0.4, 0.4, *[0.2 / 6] * 6])
    X = pd.DataFrame({"size": size, "town": town, "old": rng.choice(["y", "n"], 500)})
    model = AutoregressiveTreeFlow(min_frequency=50).fit(X)
    treeflows.save(model, tmp_path / "model")
    model = treeflows.load(tmp_path / "model")
    both = model.query(given={"size": ("m", None)})
    assert both["size"].probability[0] == 0
    assert both.probability == pytest.approx(1 - model.query("size")["size"].probability[0])
    towns = model.query("town")["town"].probability
    for values in (["c"], ["c", "d"], ["a", "c", "h"]):
        told = model.query(given={"town": values})
        places = ["abcdefgh".index(v) for v in values]
        assert told.probability == pytest.approx(towns[places].sum())
        np.testing.assert_allclose(told["town"].probability[places], towns[places] / towns[places].sum())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MonteCarloWarning)
            assert set(model.sample(300, random_state=0, given={"town": values}).town) == set(values)


def test_contexts_are_conditioned_on():
    rng = np.random.default_rng(2)
    c = rng.choice(["p", "q"], 500)
    a = np.where(rng.random(500) < np.where(c == "p", 0.8, 0.2), "x", "y")
    X = pd.DataFrame({"a": a, "b": np.where(rng.random(500) < 0.9, a, "z")})
    model = AutoregressiveTreeFlow().fit(X, context=pd.DataFrame({"c": c}))
    for value, expected in (("p", 0.8), ("q", 0.2)):
        told = model.query(context=[value], given={"b": {"not": "z"}})
        assert told["a"].probability[0] == pytest.approx(expected, abs=0.06)
        assert told.probability == pytest.approx(0.9, abs=0.05)
        assert told.exact
    with pytest.raises(TypeError, match="context must be given"):
        model.query()
    with pytest.raises(ValueError, match="given names 'c', which the model was fitted to: it goes into context="):
        model.query(context=["p"], given={"c": "p"})

    cm = np.where(a == "x", 180, 165) + 5.0 * rng.normal(size=500)
    model = AutoregressiveTreeFlow(numeric=["cm"]).fit(X.assign(cm=cm), context=pd.DataFrame({"c": c}))
    drawn = model.sample(4000, random_state=0, context=["q"])
    for given, agrees in (({"b": "z"}, drawn.b == "z"), ({"cm": (178, 180), "b": "x"}, drawn.cm.between(178, 180))):
        told = model.query("a", context=["q"], given=given, n_draws=2000, max_error=0.02)
        part = drawn[agrees & ((drawn.b == given["b"]) if "cm" in given else True)]
        assert told.probability == pytest.approx(len(part) / 4000, abs=0.02)
        assert told["a"].probability[0] == pytest.approx((part.a == "x").mean(), abs=0.1)


# ---- tables with some of the columns, and values that fit did not see ----


def votes():
    rng = np.random.default_rng(4)
    sex, town = rng.choice(["f", "m"], 400), rng.choice(["a", "b", "c"], 400)
    vote = np.where(rng.random(400) < np.where(sex == "f", 0.8, 0.3), "yes", "no")
    return pd.DataFrame({"sex": sex, "town": town, "vote": vote, "age": rng.choice(["young", "old"], 400)})


@pytest.fixture(scope="module")
def voting():
    return AutoregressiveTreeFlow().fit(votes())


def test_columns_that_lack_are_unknown(voting):
    asked = pd.DataFrame({"sex": ["f", "m", "f"]}, index=[7, 8, 9])
    told = voting.conditional_proba(asked, "vote")
    for row, sex in zip(told, asked.sex, strict=True):
        np.testing.assert_allclose(row, voting.query("vote", given={"sex": sex})["vote"].probability)
    assert voting.predict(asked, "vote").tolist() == ["yes", "no", "yes"]
    filled = voting.impute(asked)
    assert list(filled.columns) == ["sex", "town", "vote", "age"]
    assert filled.index.tolist() == [7, 8, 9]
    assert filled.vote.tolist() == ["yes", "no", "yes"]
    scores = AutoregressiveTreeFlow(missing="marginalize").fit(votes()).score_samples(asked)
    np.testing.assert_allclose(np.exp(scores[0]) + np.exp(scores[1]), 1.0)
    assert voting.predict(votes()[["vote", "sex"]].assign(vote="what?"), "vote").shape == (400,)


def test_numbers_are_told_from_some_columns(people):
    asked = pd.DataFrame({"sex": ["f", "m"] * 50})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonteCarloWarning)
        cm = people.predict(asked, "cm")
    assert len(set(cm)) == 2
    assert cm[0] < 170 < cm[1]


def test_unseen_values_are_counted_and_may_be_unknown(voting):
    new = votes()[:6].assign(town=list("axaxya"), sex=["f", "m", "?", "f", "f", "m"])
    told = "column 'sex' holds '[?]' at row 2.*; unseen values: 1 in 'sex', 3 in 'town'; ask with unseen='ignore'"
    with pytest.raises(ValueError, match=told):
        voting.score_samples(new)
    known = voting.score_samples(new, unseen="ignore")
    assert known[0] == voting.score_samples(new[:1])[0]
    expected = voting.query(given=new.iloc[1][["sex", "vote", "age"]]).probability
    np.testing.assert_allclose(known[1], np.log(expected))
    np.testing.assert_array_equal(
        voting.score_samples(new, unseen="impossible"), np.where([0, 1, 1, 1, 1, 0], -np.inf, known)
    )
    np.testing.assert_allclose(
        voting.conditional_proba(new[1:2], "vote", unseen="ignore")[0],
        voting.query("vote", given={"sex": "m", "age": new.age[1]})["vote"].probability,
    )
    assert len(voting.anomalies(new, 3, unseen="ignore").rows) == 3
    with pytest.raises(ValueError, match="unseen must be 'error' or 'ignore', got 'impossible'"):
        voting.predict(new, "vote", unseen="impossible")


def test_anomalies_keep_labels():
    X = votes().set_axis([f"p{i}" for i in range(400)])
    model = AutoregressiveTreeFlow(handle_unknown="reserve").fit(X)
    found = model.anomalies(X, rate=0.02)
    assert len(found.rows) == 8
    assert found.index.tolist() == [f"p{i}" for i in found.rows]
    assert found.threshold == np.sort(model.score_samples(X))[7]
    assert str(found).startswith(f"row {found.index[0]}: log-likelihood")
    frame = found.to_frame(n_cells=2)
    assert frame.index.tolist() == np.repeat(found.index, 2).tolist()
    assert list(frame.columns) == ["log_likelihood", "column", "value", "surprise"]
    assert found._repr_html_().count("<b>") == 3 * 8
    assert model.value_labels("vote") == ("no", "yes", "(unseen)")
    assert model.conditional_proba(X[:1], "vote").shape == (1, 3)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (__file__, "is no folder of a packed table.*; read a file first, as pandas.read_csv does"),
        ([{"a": 1}], "a list of dicts is no table yet; pandas.DataFrame"),
        ({"a": [1]}, "a dict is no table yet; pandas.DataFrame"),
    ],
)
def test_what_is_no_table_is_refused(table, told):
    with pytest.raises((ValueError, TypeError), match=told):
        AutoregressiveTreeFlow().fit(table)


def test_searches_reach_the_default_density():
    X = votes()
    model = TreeFlowClassifier(random_state=0)
    search = GridSearchCV(model, {"estimator__estimator__min_samples_leaf": [1, 40]}, cv=2)
    search.fit(X[:80].drop(columns="vote"), X.vote[:80])
    assert search.best_params_ == {"estimator__estimator__min_samples_leaf": 1}
    assert search.best_estimator_.estimator.estimator.min_samples_leaf == 1
    assert model.estimator is None
    assert TreeFlowMixture().set_params(estimator__max_depth=2).estimator.max_depth == 2
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        TreeFlowMixture().set_params(estimator__depth=2)


# ---- groups ----


def test_groups_are_found_and_told_in_words():
    rng = np.random.default_rng(5)
    group = (rng.random(600) < 0.3).astype(int)
    X = pd.DataFrame({f"q{j}": np.where(rng.random(600) < np.where(group, 0.9, 0.1), "yes", "no") for j in range(5)})
    X["age"] = np.where(group, rng.integers(50, 80, 600), rng.integers(20, 60, 600))
    X = X.set_axis(rng.permutation(600))
    model = AutoregressiveTreeFlow(numeric=["age"]).fit(X)
    found = model.find_groups(X, random_state=0)
    assert len(found.weight) == 2
    assert (found.group == group).mean() > 0.95
    np.testing.assert_allclose(found.weight, [0.7, 0.3], atol=0.05)
    np.testing.assert_allclose(found.probability.sum(axis=1), 1.0)
    assert found.to_series().index.tolist() == X.index.tolist()
    assert found.to_frame().shape == (5 * 2 + 5, 3)
    assert not found.means_nothing
    assert re.search(r"group 1, 3\d\.\d% of the rows\n  .* = .*: \d+%, of all rows \d+%", str(found))
    assert len(model.find_groups(X, 3, random_state=0).weight) == 3


def test_groups_that_mean_nothing_are_said():
    X = np.random.default_rng(6).integers(0, 2, (500, 4))
    with pytest.warns(UserWarning, match="there are none to speak of"):
        found = AutoregressiveTreeFlow().fit(X).find_groups(X, random_state=0)
    assert len(found.weight) == 1
    assert str(found).startswith("no groups")
    with pytest.warns(UserWarning, match="has hardly a say in what the model tells"):
        TreeFlowMixture(n_components=2, n_trees=1, random_state=0).fit(np.column_stack([X, X])).predict_state(
            X[:, [0] * 8]
        )
    with pytest.warns(UserWarning, match="there are none to speak of"):
        assert AutoregressiveTreeFlow().fit(X).find_groups(X, 2, random_state=0).means_nothing
