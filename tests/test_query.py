"""Distributions given evidence, against sums over the whole domain."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import random_table, whole_domain
from test_models import MODELS, fitted

from treeflows import AutoregressiveTreeFlow, MonteCarloWarning
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
            np.testing.assert_array_equal(told.probability[sure], expected[sure])
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


@pytest.mark.parametrize(("given", "agrees"), PEOPLE)
def test_numbers_are_those_of_samples(people, samples, given, agrees, monkeypatch):
    monkeypatch.setattr(evidence, "_of_draws", lambda *args: None)  # but led to the evidence
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


def test_equal_questions_have_equal_answers_and_are_not_stored(people):
    size = len(pickle.dumps(people))
    asked = {"given": {"sex": "f"}, "n_draws": 8000}
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


def test_rare_values_and_orders():
    rng = np.random.default_rng(1)
    size = pd.Categorical(rng.choice(["s", "m", "l"], 500), ["s", "m", "l"], ordered=True)
    town = rng.choice([*"abcdefgh"], 500, p=[0.4, 0.4, *[0.2 / 6] * 6])
    X = pd.DataFrame({"size": size, "town": town, "old": rng.choice(["y", "n"], 500)})
    model = AutoregressiveTreeFlow(min_frequency=50).fit(X)
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
