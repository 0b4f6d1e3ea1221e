"""The discrete tree flow: learning, stages, early stopping, bases, parameters."""

import pickle

import numpy as np
import pandas as pd
import pytest
import readable
from conftest import declared, random_table, small_tables, whole_domain
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble
from treeflows.densities import layered
from treeflows.densities.independent import CONCENTRATIONS, IndependentColumns, leave_one_out
from treeflows.learning.multisets import distinct, hold_out
from treeflows.machine.draws import generator


def fitted(codes, n_categories, **options):
    options = {"n_layers": 3, "min_samples_split": 10, "random_state": 0} | options
    return DiscreteTreeFlow(categories=declared(n_categories), **options).fit(codes)


def options():
    return st.fixed_dictionaries(
        {
            "n_layers": st.integers(0, 4),
            "max_depth": st.integers(0, 4),
            "criterion": st.sampled_from(["likelihood", "random"]),
            "base": st.sampled_from(["independent", "tree"]),
            "min_samples_split": st.integers(2, 50),
            "min_gain": st.sampled_from([0.0, -np.inf, 0.05]),
            "smoothing": st.sampled_from(["auto", 0.5, 0.001]),
        }
    )


@given(small_tables(), options())
def test_every_stage_is_a_distribution(table, options):
    codes, k = table
    for scores in fitted(codes, k, **options).staged_score_samples(whole_domain(k)):
        assert np.exp(scores).sum() == pytest.approx(1, abs=1e-9)


def test_like_the_readable_implementation():
    k = [2, 3, 4, 7]
    codes = random_table(3, 500, k)
    flow = fitted(codes, k, smoothing=0.001)
    z = codes
    for t in range(3):
        assert flow.train_score_[t] == pytest.approx(-readable.independent_nll(z, k, 0.001), abs=1e-9)
        _nodes, z = readable.learn_tsp(z, k, 4, 10)
    np.testing.assert_array_equal(flow.transform(codes), z)
    assert flow.score(codes) == pytest.approx(-readable.independent_nll(z, k, 0.001), abs=1e-9)


def test_inverse_like_the_readable_implementation():
    k = [2, 3, 4, 7]
    codes = random_table(3, 500, k)
    flow = fitted(codes, k, n_layers=1)
    nodes, _ = readable.learn_tsp(codes, k, 4, 10)
    for x, z in zip(whole_domain(k), flow.transform(whole_domain(k)), strict=True):
        assert readable.forward(nodes[0], x) == z.tolist()
        assert readable.inverse(nodes[0], z) == x.tolist()


# ---- by group ----


def grouped(seed=3, n=600, k=(2, 3, 4, 7)):
    codes = random_table(seed, n, [*k, 3])
    return codes[:, :-1], np.array(["x", "y", "z"])[codes[:, -1]], list(k)


def test_groups_are_aligned_like_the_readable_implementation():
    codes, groups, k = grouped()
    flow = DiscreteTreeFlow(3, categories=declared(k), min_samples_split=10, smoothing=0.001).fit(codes, context=groups)
    z = codes
    for t in range(3):
        assert flow.train_score_[t] == pytest.approx(-readable.independent_nll(z, k, 0.001), abs=1e-9)
        nodes, z = readable.learn_tsp_by_group(z, groups, k, 4, 10)
        if t == 0:
            first = nodes
    np.testing.assert_array_equal(flow.transform(codes, groups), z)
    assert flow.score(codes, context=groups) == pytest.approx(-readable.independent_nll(z, k, 0.001), abs=1e-9)
    one = DiscreteTreeFlow(1, categories=declared(k), min_samples_split=10).fit(codes, context=groups)
    rows = whole_domain(k)
    for group in "xyz":
        told = one.transform(rows, np.repeat(group, len(rows)))
        assert [readable.forward(first[group][0], row) for row in rows] == told.tolist()
        assert [readable.inverse(first[group][0], row) for row in told] == rows.tolist()


@settings(max_examples=25)
@given(small_tables(), options(), st.integers(1, 5))
def test_in_every_group_every_stage_is_a_distribution_and_a_bijection(table, options, n_groups):
    codes, k = table
    groups = np.random.default_rng(0).integers(0, n_groups, len(codes)).astype(str)
    flow = DiscreteTreeFlow(categories=declared(k), random_state=0, **(options | {"base": "independent"}))
    flow.fit(codes, context=groups)
    rows = whole_domain(k)
    for group in np.unique(groups):
        context = np.repeat(group, len(rows))
        for scores in flow.staged_score_samples(rows, context):
            assert np.exp(scores).sum() == pytest.approx(1, abs=1e-9)
        told = flow.transform(rows, context)
        assert len(np.unique(told, axis=0)) == len(rows)
        np.testing.assert_array_equal(flow.inverse_transform(told, context), rows)


def test_one_group_is_the_flow_without_a_context_and_groups_of_other_values_are_carried_to_each_other():
    codes, _, k = grouped()
    alone = fitted(codes, k)
    one = DiscreteTreeFlow(3, categories=declared(k), min_samples_split=10).fit(codes, context=["all"] * len(codes))
    np.testing.assert_array_equal(one.transform(codes, ["all"] * len(codes)), alone.transform(codes))
    np.testing.assert_allclose(one.score_samples(codes, ["all"] * len(codes)), alone.score_samples(codes), atol=1e-12)
    np.testing.assert_array_equal(one.train_score_, alone.train_score_)
    assert len(one.base_.n_categories) == len(k)
    # the other group is the first one with all values renamed
    renamed = (codes + 1) % np.array(k)
    both, group = np.vstack([codes, renamed]), np.repeat(["a", "b"], len(codes))
    flow = DiscreteTreeFlow(1, max_depth=0, categories=declared(k)).fit(both, context=group)
    told = flow.inverse_transform(flow.transform(codes, group[: len(codes)]), group[len(codes) :])
    for j in range(len(k)):
        counts = [np.sort(np.bincount(x[:, j], minlength=k[j])).tolist() for x in (told, renamed)]
        assert counts[0] == counts[1]


def test_a_declared_group_without_rows_and_held_out_rows_of_groups():
    codes, groups, k = grouped()
    declared_groups = pd.Series(pd.Categorical(groups, categories=[*"wxyz"]), name="group")
    flow = DiscreteTreeFlow(3, categories=declared(k), min_samples_split=10).fit(codes, context=declared_groups)
    rows = whole_domain(k)
    of_none = pd.Series(["w"] * len(rows), name="group")
    assert np.exp(flow.score_samples(rows, of_none)).sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_array_equal(flow.inverse_transform(flow.transform(rows, of_none), of_none), rows)
    weight = np.random.default_rng(0).integers(1, 4, len(codes))
    repeated = DiscreteTreeFlow(2, categories=declared(k), min_samples_split=10)
    some, same = (
        clone(repeated).fit(np.repeat(codes, weight, axis=0), context=np.repeat(groups, weight)),
        clone(repeated).fit(codes, sample_weight=weight, context=groups),
    )
    np.testing.assert_array_equal(some.transform(codes, groups), same.transform(codes, groups))
    stopped = DiscreteTreeFlow(5, early_stopping=True, n_iter_no_change=1, min_samples_split=10, random_state=0)
    stopped.fit(codes, context=groups)
    assert stopped.validation_score_[len(stopped.layers_)] == stopped.validation_score_.max()
    assert -5 < stopped.validation_score_[0] < -4  # of the rows, and not of their groups


# ---- learning ----


def test_no_layers_leave_the_base_alone():
    k = [2, 4]
    codes = random_table(0, 100, k)
    flow = fitted(codes, k, n_layers=0, smoothing=1.0)
    np.testing.assert_array_equal(flow.transform(codes), codes)
    counts = np.concatenate(readable.column_counts(codes, k)) + 1.0
    expected = np.log(counts[:2] / 102)[codes[:, 0]] + np.log(counts[2:] / 104)[codes[:, 1]]
    np.testing.assert_allclose(flow.score_samples(codes), expected, rtol=0, atol=1e-12)


def test_early_stopping_keeps_the_best_number_of_layers():
    k = [2] * 12
    codes = random_table(4, 600, k)
    flow = fitted(codes, k, n_layers=30, early_stopping=True, n_iter_no_change=2, min_samples_split=20)
    best = int(np.argmax(flow.validation_score_))
    assert len(flow.layers_) == best < 30
    assert len(flow.validation_score_) == len(flow.train_score_) == best + 3
    held_out, *_ = hold_out(*distinct(codes.astype(np.uint8)), 60, generator(0).spawn(2)[1])
    assert flow.score(held_out) == pytest.approx(flow.validation_score_[best], abs=1e-12)
    stages = [scores.mean() for scores in flow.staged_score_samples(held_out)]
    np.testing.assert_allclose(stages, flow.validation_score_[: best + 1], rtol=0, atol=1e-12)
    assert fitted(codes, k).validation_score_ is None


def test_last_stage_is_the_flow_itself():
    k = [3] * 6
    codes = random_table(8, 300, k)
    flow = fitted(codes, k)
    *_, last = flow.staged_score_samples(codes)
    np.testing.assert_array_equal(last, flow.score_samples(codes))
    assert flow.score(codes) == pytest.approx(flow.train_score_[-1], abs=1e-12)


def test_stages_of_rare_values_and_of_missing_cells():
    X = random_table(8, 300, [3, 2, 9]).astype(float)
    grouped = DiscreteTreeFlow(2, max_categories=3, min_samples_split=20).fit(X)
    *_, last = grouped.staged_score_samples(X)
    np.testing.assert_array_equal(last, grouped.score_samples(X))
    X[::3, 1] = np.nan
    flow = DiscreteTreeFlow(2, missing="marginalize", min_samples_split=20, random_state=0).fit(X)
    *_, last = flow.staged_score_samples(X)
    np.testing.assert_array_equal(last, flow.score_samples(X))
    rows = np.repeat(X[:1], 3, axis=0)
    rows[1:, 1] = 0, 1
    for missing, *told in flow.staged_score_samples(rows):
        assert np.exp(missing) == pytest.approx(np.exp(told).sum(), rel=1e-9)


def test_stages_of_what_is_not_fitted():
    with pytest.raises(NotFittedError):
        next(DiscreteTreeFlow().staged_score_samples([[0, 1]]))


def test_random_criterion_is_by_seed():
    k = [4] * 5
    codes = random_table(0, 500, k)
    a, b, c = (fitted(codes, k, criterion="random", random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.transform(codes), b.transform(codes))
    assert (a.transform(codes) != c.transform(codes)).any()


def test_layers_print_names_and_categories():
    pandas = pytest.importorskip("pandas")
    codes = random_table(0, 400, [3, 2, 2])
    table = pandas.DataFrame(
        {"colour": np.array(["red", "green", "blue"])[codes[:, 0]], "b": codes[:, 1], "c": codes[:, 2]}
    )
    flow = DiscreteTreeFlow(2, min_samples_split=20, max_depth=2).fit(table)
    text = str(flow.layers_[0])
    assert text.splitlines()[0] == f"TreePermutation of 3 columns, leaves: {flow.layers_[0].n_leaves}"
    assert "colour" in text
    assert any(name in text for name in ("red", "green", "blue"))
    assert "rows" in text
    assert text.count("leaf ") == flow.layers_[0].n_leaves
    assert not any(name in str(flow.layers_[1]) for name in ("red", "green", "blue"))


# ---- the base ----


def test_leave_one_out_likelihood_is_what_it_says():
    columns = [np.array([0, 0, 1, 1, 1, 3]), np.array([0, 0, 0, 0, 0, 0]), np.array([0, 1, 0, 1, 0, 1])]
    sizes = [5, 1, 2]
    counts = np.concatenate([np.bincount(c, minlength=k) for c, k in zip(columns, sizes, strict=True)]).astype(float)
    first = np.concatenate(([0], np.cumsum(sizes)))
    concentrations = np.array([0.01, 0.5, 2.0])
    found = leave_one_out(counts, first, concentrations)
    for j, (rows, k) in enumerate(zip(columns, sizes, strict=True)):
        for i, a in enumerate(concentrations):
            others = [np.bincount(np.delete(rows, r), minlength=k)[v] for r, v in enumerate(rows)]
            expected = np.log((np.array(others) + a) / (5 + k * a)).sum()
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


def test_smoothing_is_chosen_per_column():
    counts = np.array([50, 50, 1, 1, 1, 1, 1, 0])  # no rare value; nothing but rare values
    first = np.array([0, 2, 8], dtype=np.int32)
    base = IndependentColumns.from_counts(counts, np.diff(first))
    best = leave_one_out(counts.astype(float), first, CONCENTRATIONS).max(axis=0)
    chosen = np.diag(leave_one_out(counts.astype(float), first, base.concentration))
    np.testing.assert_array_equal(chosen, best)
    for j in range(2):
        assert base.prob[first[j] : first[j + 1]].sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_tree_base_is_an_autoregressive_flow_of_the_codes(early_stopping):
    k = [3, 2, 4, 2]
    codes = random_table(1, 600, k)
    flow = fitted(codes, k, base="tree", n_layers=2, early_stopping=early_stopping)
    z = flow.transform(codes)
    assert isinstance(flow.base_, AutoregressiveTreeFlow)
    np.testing.assert_array_equal(flow.base_.score_samples(z), flow.score_samples(codes))
    if not early_stopping:
        again = AutoregressiveTreeFlow(categories=declared(k)).fit(z)
        np.testing.assert_array_equal(again.score_samples(z), flow.score_samples(codes))
    stages = [scores.mean() for scores in flow.staged_score_samples(codes)]
    if not early_stopping:
        np.testing.assert_allclose(stages, flow.train_score_, rtol=0, atol=1e-12)
    assert len(stages) == len(flow.layers_) + 1


def test_any_model_of_the_package_as_base():
    k = [3, 2, 4]
    codes = random_table(1, 300, k)
    base = TreeFlowEnsemble(DiscreteTreeFlow(1, criterion="random", min_samples_split=20), 3)
    flow = fitted(codes, k, base=base, n_layers=1)
    assert np.exp(flow.score_samples(whole_domain(k))).sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_array_equal(
        flow.score_samples(codes), fitted(codes, k, base=base, n_layers=1).score_samples(codes)
    )
    assert not hasattr(base, "estimators_")


def test_another_estimator_as_base():
    class Coins(BaseEstimator):
        def fit(self, X, y=None):
            self.p_ = (X.mean(axis=0) + 0.1) / 1.2
            return self

        def score_samples(self, X):
            return np.log(np.where(X == 1, self.p_, 1 - self.p_)).sum(axis=1)

        def sample(self, n_samples):
            return np.random.default_rng(0).random((n_samples, len(self.p_))) < self.p_

    k = [2, 2, 2]
    codes = random_table(1, 300, k)
    flow = fitted(codes, k, base=Coins(), n_layers=2)
    assert isinstance(flow.base_, Coins)
    assert np.exp(flow.score_samples(whole_domain(k))).sum() == pytest.approx(1, abs=1e-9)
    samples = flow.sample(50_000)
    observed = np.bincount(np.ravel_multi_index(samples.T, k), minlength=8) / 50_000
    np.testing.assert_allclose(observed, np.exp(flow.score_samples(whole_domain(k))), atol=0.01)


def test_bases_without_the_protocol_are_named():
    X = np.zeros((5, 2), dtype=int)
    with pytest.raises(TypeError, match="base must be .* has no score_samples and no sample"):
        DiscreteTreeFlow(base=LogisticRegression()).fit(X)
    with pytest.raises(TypeError, match="is a class"):
        DiscreteTreeFlow(base=KernelDensity).fit(X)
    flow = DiscreteTreeFlow(1, base=KernelDensity()).fit(random_table(0, 100, [2, 2]))
    with pytest.raises(ValueError, match="codes must be integers"):
        flow.sample(10)
    flow = DiscreteTreeFlow(1, base=GaussianMixture(2)).fit(random_table(0, 100, [3, 3]))
    with pytest.raises(ValueError, match="codes must be integers"):
        flow.sample(10)


# ---- parameters ----


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_layers", -1),
        ("n_layers", 1.5),
        ("max_depth", -1),
        ("criterion", "gini"),
        ("base", "trees"),
        ("min_samples_split", 1),
        ("min_samples_leaf", 0),
        ("min_gain", "much"),
        ("smoothing", 0.0),
        ("smoothing", np.nan),
        ("smoothing", np.inf),
        ("min_gain", np.nan),
        ("n_jobs", 1.5),
        ("smoothing", "none"),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("categories", "none"),
    ],
)
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        DiscreteTreeFlow(**{name: value}).fit(np.zeros((5, 2), dtype=int))


def test_early_stopping_needs_a_row_to_learn_from():
    with pytest.raises(ValueError, match="early_stopping"):
        DiscreteTreeFlow(early_stopping=True).fit(np.zeros((1, 2), dtype=int))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_one_row_and_constant_columns(seed):
    k = [1, 3, 2]
    flow = fitted(random_table(seed, 1, k), k)
    assert np.exp(flow.score_samples(whole_domain(k))).sum() == pytest.approx(1, abs=1e-9)


def test_what_applies_the_layers_is_built_once_and_not_pickled(monkeypatch):
    X = random_table(0, 500, [3, 2, 4])
    flow = DiscreteTreeFlow(2, min_samples_split=20).fit(X)
    before = len(pickle.dumps(flow))
    expected = flow.score_samples(X), flow.transform(X), flow.sample(5, random_state=0)
    assert len(pickle.dumps(flow)) == before
    monkeypatch.setattr(layered, "Program", None)
    np.testing.assert_array_equal(flow.score_samples(X), expected[0])
    np.testing.assert_array_equal(flow.transform(X), expected[1])
    np.testing.assert_array_equal(flow.sample(5, random_state=0), expected[2])
