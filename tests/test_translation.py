"""Translation between groups: distributed as the target is, with the fewest changes, back by the noise."""

import numpy as np
import pandas as pd
import pytest
from conftest import random_table, whole_domain
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from treeflows import Aligner, AutoregressiveTreeFlow, DiscreteTreeFlow, Translator, TreeFlowEnsemble, TreeFlowMixture
from treeflows.densities.coupling import couple

K = [2, 3, 2]
ESTIMATORS = {"tree": AutoregressiveTreeFlow(random_state=0), "mixture": TreeFlowMixture(random_state=0)}


def table(n=900, seed=0):
    codes = random_table(seed, n, [*K, 3])
    return codes[:, :3], np.array(["x", "y", "z"])[codes[:, 3]]


def mixed(n=300):
    """Numbers on a lattice with an atom, and others; a category that depends on them; missing cells."""
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], n)
    age = np.clip(np.round(rng.normal(np.where(group == "a", 30, 45), 8)), 1, 90)
    age[rng.random(n) < 0.2] = 40
    pay = np.exp(rng.normal(size=n) + np.where(group == "a", 0, 1) + age / 40)
    pay[rng.random(n) < np.where(group == "a", 0.3, 0.1)] = 0.0
    pay[:12] = np.nan
    kind = np.where(rng.random(n) < np.where(group == "a", 0.2, 0.7), "new", "old")
    return pd.DataFrame({"age": age.astype(int), "pay": pay, "kind": kind}), group


def enumerated(model, group):
    rows = whole_domain(K)
    return rows, np.exp(model.score_samples(rows, np.repeat(group, len(rows))))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_rows_of_a_group_become_rows_of_another(name):
    X, groups = table()
    translator = Translator(clone(ESTIMATORS[name]), random_state=0).fit(X, context=groups)
    model = translator.model_
    rows = model.sample(30_000, 0, context=["x"])
    told = translator.translate(rows, ["x"] * len(rows), "z")
    domain, prob = enumerated(model, "z")
    found = np.array([(told.table == row).all(axis=1).mean() for row in domain])
    assert np.abs(found - prob).max() < 4 * np.sqrt(0.25 / len(rows))
    np.testing.assert_array_equal(told.changed, told.table != rows)
    np.testing.assert_allclose(told.changed.mean(axis=0), told.least, atol=0.012)
    back = translator.inverse_transform(told.table, ["x"] * len(rows), "z", told.noise)
    np.testing.assert_array_equal(back, rows)
    assert ((told.noise >= 0) & (told.noise < 1)).all()
    assert abs(told.noise[:, :, 0].mean(axis=0) - 0.5).max() < 0.012
    same = translator.translate(rows, ["y"] * len(rows), "y")
    assert not same.changed.any()
    assert not same.least.any()


def test_no_cell_changes_more_often_than_it_must():
    """Column by column, given what was translated before, as the readable definition has it."""
    X, groups = table()
    translator = Translator(AutoregressiveTreeFlow(order="natural"), random_state=0).fit(X, context=groups)
    rows = X[groups == "x"]
    told = translator.translate(rows, ["x"] * len(rows), "y")
    density = translator.model_.distribution_
    before, after = np.column_stack([rows, np.zeros(len(rows))]), np.column_stack([told.table, np.ones(len(rows))])
    walks = (density.walk(codes.astype(np.uint8)) for codes in (before, after))
    for (j, p), (_, q) in zip(*walks, strict=True):
        if j < 3:
            assert told.least[j] == pytest.approx(0.5 * np.abs(p - q).sum(axis=1).mean(), abs=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_numbers_go_to_their_quantiles_and_back(name):
    X, group = mixed()
    translator = Translator(clone(ESTIMATORS[name]), random_state=0).fit(X, context=group)
    rows = X[group == "a"]
    of = ["a"] * len(rows)
    told = translator.translate(rows, of, "b")
    assert told.table.dtypes.tolist() == X.dtypes.tolist()
    back = translator.inverse_transform(told.table, of, "b", told.noise)
    assert (back.age == rows.age).all()
    assert (back.kind == rows.kind).all()
    np.testing.assert_allclose(back.pay, rows.pay, rtol=1e-6)
    assert not translator.translate(rows, of, "a").changed.any()
    many = translator.model_.sample(1500, 1, context=["a"])
    drawn = translator.model_.sample(1500, 2, context=["b"])
    moved = translator.transform(many, ["a"] * 1500, "b")
    for part in (moved, drawn):
        part["pay"] = part.pay.fillna(-1)
    assert abs((moved.kind == "new").mean() - (drawn.kind == "new").mean()) < 0.06
    for name in ("age", "pay"):  # Kolmogorov and Smirnov's statistic, 1e-4 of the null beyond
        grid = np.sort(drawn[name])
        apart = [np.searchsorted(np.sort(part[name]), grid, side="right") / 1500 for part in (moved, drawn)]
        assert np.abs(apart[0] - apart[1]).max() < 0.08


@pytest.mark.parametrize("name", ESTIMATORS)
def test_aligned_groups_are_all_alike(name):
    X, groups = table()
    aligner = Aligner(clone(ESTIMATORS[name]), random_state=0).fit(X, context=groups)
    assert aligner.n_groups_ == 3
    domain = whole_domain(K)
    whole = sum(np.mean(groups == g) * enumerated(aligner.model_, g)[1] for g in "xyz")
    for group in "xy":
        rows = aligner.model_.sample(20_000, 0, context=[group])
        told = aligner.align(rows, [group] * len(rows))
        found = np.array([(told.table == row).all(axis=1).mean() for row in domain])
        assert np.abs(found - whole).max() < 4 * np.sqrt(0.25 / len(rows))
        np.testing.assert_allclose(told.changed.mean(axis=0), told.least, atol=0.015)


def test_numbers_are_aligned():
    X, group = mixed()
    aligner = Aligner(clone(ESTIMATORS["tree"]), random_state=0).fit(X, context=group)
    a, b = (aligner.transform(aligner.model_.sample(2500, 0, context=[g]), [g] * 2500) for g in "ab")
    for name in ("age", "pay"):
        grid = np.sort(b[name].fillna(-1))
        apart = [np.searchsorted(np.sort(part[name].fillna(-1)), grid, side="right") / 2500 for part in (a, b)]
        assert np.abs(apart[0] - apart[1]).max() < 0.06
    assert abs((a.kind == "new").mean() - (b.kind == "new").mean()) < 0.05


def test_an_aligner_stands_before_a_classifier():
    X, groups = table()
    with config_context(enable_metadata_routing=True):
        aligner = Aligner(AutoregressiveTreeFlow(), random_state=0)
        aligner.set_fit_request(context=True).set_transform_request(context=True)
        pipeline = make_pipeline(aligner, LogisticRegression()).fit(X, X[:, 0], context=groups)
        assert pipeline.predict(X, context=groups).shape == (len(X),)


def test_rows_do_not_depend_on_each_other():
    X, groups = table()
    translator = Translator(AutoregressiveTreeFlow(), random_state=3).fit(X, context=groups)
    whole = translator.transform(X, groups, "x")
    np.testing.assert_array_equal(translator.transform(X[:50], groups[:50], "x"), whole[:50])
    np.testing.assert_array_equal(translator.transform(X, groups, ["x"] * len(X)), whole)
    mixed_targets = np.where(np.arange(len(X)) < 50, "x", "z")
    np.testing.assert_array_equal(translator.transform(X, groups, mixed_targets)[:50], whole[:50])


def test_rare_values_that_stay_are_themselves():
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 800)
    X = pd.DataFrame({"v": np.where(rng.random(800) < 0.05, rng.choice(["r1", "r2", "r3"], 800), "often")})
    translator = Translator(AutoregressiveTreeFlow(min_frequency=30), random_state=0).fit(X, context=group)
    told = translator.translate(X, group, "b")
    stays = ~told.changed[:, 0]
    assert (told.table.v[stays] == X.v[stays]).all()


def test_groups_that_have_nothing_in_common():
    X = np.array([["p", "s"], ["q", "s"], ["q", "t"]] * 40)
    group = np.where(X[:, 0] == "p", "one", "two")
    translator = Translator(AutoregressiveTreeFlow(), random_state=0).fit(X, context=group)
    told = translator.transform(X[:30], group[:30], "one")
    assert (told[:, 0] == "p").mean() > 0.9


def test_what_is_wrong_is_told():
    X, groups = table()
    translator = Translator(AutoregressiveTreeFlow(), random_state=0).fit(X, context=groups)
    with pytest.raises(TypeError, match="requires context"):
        Translator(AutoregressiveTreeFlow()).fit(X)
    with pytest.raises(
        TypeError, match="columns in one order, and a DiscreteTreeFlow does not; by itself it translates"
    ):
        Translator(DiscreteTreeFlow()).fit(X, context=groups)
    for estimator in (DiscreteTreeFlow(base="tree"), LogisticRegression()):
        with pytest.raises(TypeError, match="must be a TreeFlowMixture or an AutoregressiveTreeFlow"):
            Aligner(estimator).fit(X, context=groups)
    with pytest.raises(TypeError, match="TreeFlowEnsemble does not"):
        Translator(TreeFlowEnsemble(n_estimators=2)).fit(X, context=groups)
    with pytest.raises(TypeError, match="to must be given"):
        translator.transform(X, groups)
    with pytest.raises(ValueError, match="'context' holds 'new'"):
        translator.transform(X, groups, "new")
    with pytest.raises(ValueError, match="context has 2 rows"):
        translator.transform(X, groups, ["x", "y"])
    with pytest.raises(ValueError, match="noise must be what translate returned"):
        translator.inverse_transform(X, groups, "x", np.zeros((len(X), 2, 2)))
    with pytest.raises(ValueError, match="has 100 groups; .* at most 64"):
        Aligner(AutoregressiveTreeFlow()).fit(X, context=np.arange(len(X)) % 100)
    with pytest.raises(ValueError, match="handle_unknown"):
        Translator(AutoregressiveTreeFlow(handle_unknown="reserve")).fit(X, context=groups)
    holes = X.astype(float)
    holes[3, 1] = np.nan
    with pytest.raises(ValueError, match="missing value"):
        translator.transform(holes, groups, "x")
    density, other = (AutoregressiveTreeFlow(order=o).fit(X).distribution_ for o in ([0, 1, 2], [2, 1, 0]))
    with pytest.raises(ValueError, match="different orders"):
        couple(density, other, X.astype(np.uint8), X.astype(np.uint8), np.zeros((len(X), 3, 2)))
