"""Columns that hold nothing below 0, or nothing above it: what tables say of them, and what questions answer."""

import warnings

import numpy as np
import pandas as pd
import pytest

import treeflows
from treeflows import AutoregressiveTreeFlow, TreeFlowClassifier, TreeFlowEnsemble, TreeFlowMixture, TreeFlowRegressor
from treeflows.machine.errors import TableError
from treeflows.tables.quantities import Quantity

pytestmark = pytest.mark.filterwarnings("ignore::treeflows.models.questions.MonteCarloWarning")


def table(n=200):
    rng = np.random.default_rng(0)
    age = rng.integers(0, 90, n)
    pay = np.round(rng.exponential(1 + age / 30, n), 2)
    return pd.DataFrame(
        {
            "age": age,
            "kind": np.where(pay > 1.5, "a", "b"),
            "pay": pay,
            "debt": -rng.gamma(2, 1 + age / 40, n),
            "change": rng.normal(0, 1, n),
        }
    )


@pytest.fixture(scope="module")
def model():
    return TreeFlowMixture(numeric="auto", random_state=0).fit(table())


@pytest.fixture
def beyond():
    """Rows of which the first three cannot be, each by one cell; the last can."""
    X = table()[:4].astype({"age": float})
    X.loc[0, "age"], X.loc[1, "pay"], X.loc[2, "debt"] = -1, -0.5, 0.25
    return X


@pytest.mark.parametrize(
    ("cells", "bounds"),
    [
        (np.arange(50) / 7, (0, np.inf)),
        (-np.arange(50) / 7 - 1, (-np.inf, 0)),
        (np.arange(-1, 50) / 7, (-np.inf, np.inf)),
        (np.zeros(3), (0, np.inf)),
        (np.arange(50) / 100 + 1, (0, np.inf)),
        (np.arange(50) * 5 + 8, (0, np.inf)),  # 3, 8 …: 3 is the number 0
        (np.arange(50) * -5 - 8, (-np.inf, -5)),  # -3, -8 …: 2 is the number 0
        (np.arange(50).astype("m8[s]"), (0, np.inf)),
        (np.arange(50).astype("M8[s]"), (-np.inf, np.inf)),
        (np.arange(50, dtype=np.uint64) + 2**63, (0, np.inf)),
    ],
)
def test_what_bounds_a_quantity(cells, bounds):
    quantity = Quantity.learn(cells)
    least, greatest = quantity.bounds
    if quantity.origin < 2**50:
        assert (least, greatest) == bounds
    assert least <= quantity.low
    assert quantity.high <= greatest


@pytest.mark.parametrize("ensemble", [False, True])
def test_answers_keep_within_bounds(model, beyond, ensemble):
    if ensemble:
        model = TreeFlowEnsemble(AutoregressiveTreeFlow(numeric="auto"), n_estimators=2, random_state=0).fit(table())
    X = model.sample(2000, random_state=0)
    assert (X[["age", "pay"]] >= 0).all(axis=None)
    assert (X["debt"] <= 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        scores = model.score_samples(beyond)
        assert (scores[:3] == -np.inf).all()
        assert np.isfinite(scores[3])
        found = model.anomalies(beyond, 3)
        assert sorted(found.rows) == [0, 1, 2]
        worst = found.surprise.argmax(axis=1)
        assert [found.names[j] for j in worst[np.argsort(found.rows)]] == ["age", "pay", "debt"]
        assert (found.surprise.max(axis=1) > 600).all()
        for column in ("age", "debt"):
            low, middle, high = model.predict_quantiles(beyond, column, [1e-4, 0.5, 1 - 1e-4]).T
            assert (low >= 0).all() if column == "age" else (high <= 0).all()
            assert (low < middle).all()
            assert (middle < high).all()
        assert (model.conditional_density(beyond, "age", [-1, 0, 30])[:, 0] == 0).all()
        told = model.conditional_density(beyond, "debt", [-1.0, 1e-6])
        assert (told[:, 0] > 0).all()
        assert (told[:, 1] == 0).all()
        assert np.isfinite(model.conditional_proba(beyond, "kind")).all()


def test_what_is_beyond_counts_as_the_bound_in_what_follows_from_it(model, beyond):
    at = beyond.assign(age=beyond["age"].clip(0), pay=beyond["pay"].clip(0), debt=beyond["debt"].clip(None, 0))
    assert np.array_equal(model.conditional_proba(beyond, "kind"), model.conditional_proba(at, "kind"))
    holes = [X.assign(change=np.nan) for X in (beyond, at)]
    filled = [model.impute(X) for X in holes]
    assert filled[0]["change"].equals(filled[1]["change"])
    assert filled[0]["age"].tolist() == beyond["age"].tolist()


def test_what_cannot_be_is_no_condition_and_has_no_codes(model, beyond):
    for given in ({"age": -1}, {"age": (None, -1)}, {"debt": (0.5, 3)}):
        with pytest.raises(TableError, match=r"not among these|nothing between"):
            model.sample(3, given=given)
    assert model.sample(50, random_state=0, given={"age": (-5, 3)})["age"].between(0, 3).all()
    flow = AutoregressiveTreeFlow(numeric="auto", random_state=0).fit(table())
    with pytest.raises(TableError, match="column 'age' holds -1 at row 0, and fit saw nothing below 0"):
        flow.transform(beyond)
    with pytest.raises(TableError, match=r"column 'debt' holds 0\.25 at row 1, and fit saw nothing above 0"):
        flow.transform(beyond[2:].iloc[::-1])


def test_classes_and_targets(beyond):
    X = table()
    classifier = TreeFlowClassifier(numeric="auto", random_state=0).fit(X[["age", "debt"]], X["kind"])
    assert np.isfinite(classifier.predict_proba(beyond[["age", "debt"]])).all()
    flow = AutoregressiveTreeFlow(order="natural")
    regressor = TreeFlowRegressor(flow, numeric="auto", random_state=0).fit(X[["age", "kind"]], X["pay"])
    told = regressor.predict_quantiles(beyond[["age", "kind"]], [1e-4, 0.5])
    assert (told >= 0).all()
    log_density = regressor.log_density(beyond[["age", "kind"]], beyond["pay"])
    assert np.isfinite(log_density).tolist() == [True, False, True, True]


def test_a_file_keeps_bounds(model, beyond, tmp_path):
    treeflows.save(model, tmp_path / "model.treeflow")
    again = treeflows.load(tmp_path / "model.treeflow")
    assert np.array_equal(again.score_samples(beyond), model.score_samples(beyond))
