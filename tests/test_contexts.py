"""Models of rows given a context: densities of the rows whatever the context is, asked as all others are."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import random_table, whole_domain
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import treeflows
from treeflows import (
    AutoregressiveTreeFlow,
    DiscreteTreeFlow,
    MonteCarloWarning,
    TreeFlowEnsemble,
    TreeFlowMixture,
)

K = [2, 3, 2]
MODELS = {
    "tree": AutoregressiveTreeFlow(random_state=0),
    "natural": AutoregressiveTreeFlow(order="natural"),
    "ordered": AutoregressiveTreeFlow(order=[2, 0, 1]),
    "mixture": TreeFlowMixture(random_state=0),
    "random": TreeFlowMixture(AutoregressiveTreeFlow(order="random"), random_state=0),
    "ensemble": TreeFlowEnsemble(n_estimators=2, random_state=0),
    "layers": DiscreteTreeFlow(3, min_samples_split=20),
}


def table(n=600, seed=0):
    """Codes, and a group that they depend on."""
    codes = random_table(seed, n, [*K, 3])
    return codes[:, :3], np.array(["x", "y", "z"])[codes[:, 3]]


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param])


def test_it_is_a_density_of_the_rows_in_every_context(model):
    X, groups = table()
    other = np.random.default_rng(0).integers(0, 2, len(X)).astype(str)
    for context, contexts in ((groups, ["x", "y", "z"]), (np.column_stack([groups, other]), [["x", "1"], ["z", "0"]])):
        if isinstance(model, DiscreteTreeFlow) and context.ndim > 1:
            continue
        model.fit(X, context=context)
        for c in contexts:
            given = np.array([c] * len(whole_domain(K)))
            assert np.exp(model.score_samples(whole_domain(K), given)).sum() == pytest.approx(1, abs=1e-9)


def test_a_tree_flow_given_a_context_is_the_rest_of_one_that_tells_it_first():
    X, groups = table()
    codes = np.column_stack([X, np.unique(groups, return_inverse=True)[1]])
    joint = AutoregressiveTreeFlow(order=[3, 0, 1, 2]).fit(codes)
    given = AutoregressiveTreeFlow(order="natural").fit(X, context=groups)
    log_group = joint.score_samples(codes) - given.score_samples(X, groups)
    for group in "xyz":
        np.testing.assert_allclose(log_group[groups == group], np.log(np.mean(groups == group)), atol=0.01)
        assert np.ptp(log_group[groups == group]) < 1e-12
    assert given.order_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(given.evidence_, joint.evidence_[:3])
    assert "context = " in str(given.trees_[0])


def test_rows_are_drawn_from_the_density_of_their_context(model):
    X, groups = table()
    model.fit(X, context=groups)
    context, rows = np.repeat(["z", "x"], [9_000, 3_000]), whole_domain(K)
    drawn = model.sample(len(context), 0, context=context)
    for c in "xz":
        of = drawn[context == c]
        found = np.array([(of == row).all(axis=1).mean() for row in rows])
        prob = np.exp(model.score_samples(rows, np.repeat(c, len(rows))))
        assert np.abs(found - prob).max() < 5 * np.sqrt(0.25 / len(of))
    np.testing.assert_array_equal(model.sample(5, 1, context=["z"]), model.sample(5, 1, context=["z"] * 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonteCarloWarning)
        drawn = model.sample(300, 0, context=["y"], given={1: 2})
    assert (drawn[:, 1] == 2).all()
    prob = np.exp(model.score_samples(rows, np.repeat("y", len(rows)))) * (rows[:, 1] == 2)
    assert np.mean(drawn[:, 0]) == pytest.approx(prob @ rows[:, 0] / prob.sum(), abs=0.15)


def test_what_follows_from_the_density_in_a_context(model):
    X, groups = table()
    model.fit(X, context=groups)
    rows = whole_domain(K)
    context = np.repeat("y", len(rows))
    prob = np.exp(model.score_samples(rows, context)).reshape(K)
    told = model.conditional_proba(rows, 1, context=context).reshape([*K, 3])
    np.testing.assert_allclose(told[:, 0], np.moveaxis(prob / prob.sum(axis=1, keepdims=True), 1, 2), atol=1e-9)
    np.testing.assert_array_equal(model.predict(rows, 1, context), told.reshape(-1, 3).argmax(axis=1))
    holes = rows.astype(float)
    holes[:, 1] = np.nan
    np.testing.assert_array_equal(model.impute(holes, context=context)[:, 1], told.reshape(-1, 3).argmax(axis=1))
    least = model.anomalies(rows, 3, context)
    assert least.rows.tolist() == np.argsort(prob.ravel(), kind="stable")[:3].tolist()
    assert least.names == ("x0", "x1", "x2")
    some = clone(model).set_params(missing="marginalize").fit(X, context=groups)
    at = some.score_samples(holes, context)
    of_all = np.exp(some.score_samples(rows, context)).reshape(K).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(at).reshape(K), np.broadcast_to(of_all, K), atol=1e-9)


@pytest.mark.parametrize("name", ["tree", "mixture", "layers"])
def test_it_is_a_bijection_in_every_context(name):
    X, groups = table()
    model = clone(MODELS[name]).fit(X, context=groups)
    rows = whole_domain(K)
    for c in "xyz":
        context = np.repeat(c, len(rows))
        Z = model.transform(rows, context)
        assert len(np.unique(Z, axis=0)) == len(rows)
        np.testing.assert_array_equal(model.inverse_transform(Z, context), rows)


def mixed(n=250):
    rng = np.random.default_rng(0)
    group, year = rng.choice(["a", "b"], n), rng.integers(2000, 2024, n).astype(float)
    year[:10] = np.nan
    x = rng.normal(size=n) + np.where(group == "a", 5, -5) + np.nan_to_num(year - 2012)
    X = pd.DataFrame({"x": x, "k": np.where(x + rng.normal(size=n) > 0, "pos", "neg")})
    return X, pd.DataFrame({"group": group, "year": year})


@pytest.mark.parametrize("name", ["tree", "mixture", "ensemble"])
def test_numbers_on_either_side(name, file_of, tmp_path):
    X, context = mixed()
    model = clone(MODELS[name]).fit(X, context=context)
    one = pd.DataFrame({"group": ["b"], "year": [2020.0]})
    grid = np.linspace(-80, 80, 6_001)
    of_number = clone(MODELS[name]).fit(X[["x"]], context=context)
    at = np.exp(of_number.score_samples(pd.DataFrame({"x": grid}), one.loc[np.zeros(len(grid), int)]))
    assert np.trapezoid(at, grid) == pytest.approx(1, abs=0.02)
    assert model.sample(300, 0, context=one).x.mean() == pytest.approx(3, abs=1)
    assert model.predict_mean(X[:1].assign(k="pos"), "x", context=one)[0] == pytest.approx(3, abs=1.5)
    assert model.predict_quantiles(X[:1], "x", [0.5], context=one).shape == (1, 1)
    assert model.conditional_density(X[:1], "x", [3.0, 30.0], context=one)[0].argmax() == 0
    if name != "ensemble":
        back = model.inverse_transform(model.transform(X, context), context)
        np.testing.assert_allclose(back.x, X.x, atol=1e-8)
        assert (back.k == X.k).all()
    told = file_of(model)
    assert (treeflows.load(tmp_path / "model").score_samples(X, context) == model.score_samples(X, context)).all()
    if name == "ensemble":
        return
    order = np.random.default_rng(1).permutation(len(X))
    again = clone(MODELS[name]).set_params(n_jobs=2).fit(X.loc[order], context=context.loc[order])
    assert file_of(again.set_params(n_jobs=None)) == told


def test_a_numeric_context_of_categories():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = (x + 0.1 * rng.normal(size=2000) > 0).astype(int)
    model = TreeFlowMixture(random_state=0).fit(y[:, None], context=x)
    assert model.score(y[:, None], context=x) > -0.2
    assert model.sample(200, 0, context=[2.0]).mean() > 0.95
    assert model.sample(200, 0, context=[-2.0]).mean() < 0.05


def test_context_comes_as_users_have_it(tmp_path):
    X, groups = table()
    frame = pd.DataFrame(X, columns=list("abc")).astype(str)
    said = AutoregressiveTreeFlow().fit(frame, context=groups).score(frame, context=groups)
    for context in (
        groups.tolist(),
        pd.Series(groups, name="group"),
        pl.Series("group", groups),
        pd.DataFrame({"group": pd.Categorical(groups)}),
        pl.DataFrame({"group": groups}),
    ):
        model = AutoregressiveTreeFlow().fit(frame, context=context)
        assert model.score(frame, context=context) == said
        treeflows.save(model, tmp_path / "model")
        assert treeflows.load(tmp_path / "model").score(frame, context=context) == said
    assert "group = " in str(model.trees_[0])
    weight = np.arange(len(X)) % 3.0
    weighted = AutoregressiveTreeFlow().fit(frame, sample_weight=weight, context=groups)
    rows = np.repeat(np.arange(len(X)), weight.astype(int))
    repeated = AutoregressiveTreeFlow().fit(frame.loc[rows], context=groups[rows])
    assert weighted.score(frame, context=groups) == repeated.score(frame, context=groups)


def test_context_is_routed_as_metadata():
    X, groups = table()
    with config_context(enable_metadata_routing=True):
        model = AutoregressiveTreeFlow().set_fit_request(context=True).set_score_request(context=True)
        pipeline = make_pipeline(model).fit(X, context=groups)
        assert pipeline.score(X, context=groups) == model.fit(X, context=groups).score(X, context=groups)


def test_missing_cells_of_a_context_are_a_group():
    X, groups = table()
    context = np.where(groups == "x", None, groups.astype(object))
    model = AutoregressiveTreeFlow().fit(X, context=context)
    assert model.score(X, context=context) == pytest.approx(
        AutoregressiveTreeFlow().fit(X, context=groups).score(X, context=groups)
    )
    with pytest.raises(ValueError, match="context|fit saw none"):
        AutoregressiveTreeFlow().fit(X, context=groups).score(X, context=context)


def test_groups_that_tell_nothing():
    X, _ = table()
    rng = np.random.default_rng(0)
    plain = AutoregressiveTreeFlow(order="natural").fit(X)
    for context in (np.repeat("one", len(X)), np.where(np.arange(len(X)) == 7, "rare", "all")):
        model = AutoregressiveTreeFlow(order="natural").fit(X, context=context)
        np.testing.assert_allclose(model.score_samples(X, context), plain.score_samples(X), atol=0.2)
    many = rng.integers(0, 250, len(X))
    assert AutoregressiveTreeFlow().fit(X, context=many).score(X, context=many) >= plain.score(X) - 0.05
    with pytest.raises(ValueError, match="'context'.* 600 categories"):
        AutoregressiveTreeFlow().fit(X, context=pd.Series(np.arange(600)).astype(str))


def test_what_is_wrong_is_told():
    X, groups = table()
    frame = pd.DataFrame(X, columns=list("abc")).astype(str)
    model = AutoregressiveTreeFlow().fit(frame, context=pd.Series(groups, name="group"))
    with pytest.raises(TypeError, match="context must be given: this AutoregressiveTreeFlow was fitted to 'group'"):
        model.score_samples(frame)
    with pytest.raises(TypeError, match="must be no context.* fitted to none"):
        AutoregressiveTreeFlow().fit(frame).score_samples(frame, context=groups)
    with pytest.raises(ValueError, match="context has 3 rows, and the table 600"):
        model.score_samples(frame, context=groups[:3])
    with pytest.raises(ValueError, match="column 'group' .*'new'.* row 2"):
        model.score_samples(frame[:3], context=["x", "y", "new"])
    with pytest.raises(ValueError, match="columns 'other', and fit saw 'group'"):
        model.score_samples(frame, context=pd.DataFrame({"other": groups}))
    with pytest.raises(ValueError, match="column 'a' is in the table and in its context"):
        AutoregressiveTreeFlow().fit(frame, context=frame[["a"]])
    with pytest.raises(TypeError, match="DiscreteTreeFlow takes no context"):
        DiscreteTreeFlow(base="tree").fit(X, context=groups)
    with pytest.raises(ValueError, match="takes one column of context, the group of each row, got 2"):
        DiscreteTreeFlow().fit(X, context=np.column_stack([groups, groups]))
    with pytest.raises(TypeError, match="TreeFlowEnsemble takes no context"):
        TreeFlowEnsemble([DiscreteTreeFlow(base="tree")] * 2, 2).fit(X, context=groups)
    with pytest.raises(ValueError, match="member 0 was fitted to a context"):
        TreeFlowEnsemble.from_members([model])
    with pytest.raises(ValueError, match="context has 2 rows, and the table 5"):
        model.sample(5, context=["x", "y"])
    with pytest.raises(ValueError, match="order must be .* permutation of 0 to 2"):
        AutoregressiveTreeFlow(order=[3, 0, 1, 2]).fit(X, context=groups)


def test_packed_tables_have_no_context(tmp_path):
    X, groups = table()
    treeflows.pack(pd.DataFrame(X, columns=list("abc")).astype(str), tmp_path / "packed")
    packed = treeflows.PackedTable(tmp_path / "packed")
    with pytest.raises(TypeError, match="packed table has no context"):
        AutoregressiveTreeFlow().fit(packed, context=groups)
    model = AutoregressiveTreeFlow().fit(packed[:600], context=groups)
    with pytest.raises(TypeError, match="packed table has no context"):
        model.score_samples(packed, context=groups)


def test_a_file_whose_context_does_not_come_first_is_refused(tmp_path):
    X, groups = table()
    model = AutoregressiveTreeFlow(order="natural").fit(X, context=groups)
    told = AutoregressiveTreeFlow(order="natural").fit(np.column_stack([X, np.unique(groups, return_inverse=True)[1]]))
    model.distribution_ = told.distribution_
    treeflows.save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="context does not come first"):
        treeflows.load(tmp_path / "model")
