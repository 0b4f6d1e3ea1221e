"""Every model takes numbers: tree flows, ensembles, classifiers and regressors; and weights of rows with numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp, softmax
from sklearn.utils.estimator_checks import parametrize_with_checks

import treeflows
from treeflows import (
    AutoregressiveTreeFlow,
    DiscreteTreeFlow,
    TreeFlowClassifier,
    TreeFlowEnsemble,
    TreeFlowMixture,
    TreeFlowRegressor,
)
from treeflows.learning import rows
from treeflows.machine.errors import ParameterError, TableError

N = 240
FLOW = AutoregressiveTreeFlow(order="natural")


def table(seed=0, n=N):
    """A category, a number that recurs at 0, whole numbers, and a number that the others make up."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["a", "b"], n)
    paid = np.where(rng.random(n) < 0.3, 0.0, rng.exponential(3, n))
    age = rng.integers(18, 90, n)
    size = np.where(kind == "a", 0.0, 2.0) + 0.02 * age + rng.normal(0, 0.5, n)
    return pd.DataFrame({"kind": kind, "paid": paid, "age": age, "size": size})


@pytest.fixture(scope="module")
def flow():
    return AutoregressiveTreeFlow(numeric="auto", order="natural").fit(table())


@pytest.fixture(scope="module")
def ensemble():
    members = [AutoregressiveTreeFlow(max_depth=0), AutoregressiveTreeFlow(order="random")]
    return TreeFlowEnsemble(members, 2, numeric="auto", random_state=0).fit(table())


@pytest.fixture(scope="module")
def regressor():
    X = table()
    return TreeFlowRegressor(random_state=0).fit(X[["kind", "paid", "age"]], X["size"])


@pytest.mark.parametrize("name", ["flow", "ensemble", "regressor"])
def test_no_term_depends_on_later_columns(name, request):
    whole = request.getfixturevalue(name).distribution_
    for density in getattr(whole, "members", [whole]):
        values, other = (density.sample(100, np.random.default_rng(seed)) for seed in (0, 1))
        told = density.conditional_scores(values)
        for t in range(1, len(density.order)):
            before, later = density.order[:t], density.order[t:]
            changed = values.copy()
            changed[:, later] = other[:, later]
            said = density.conditional_scores(changed)
            np.testing.assert_array_equal(said[:, before], told[:, before])
            assert (said[:, later] != told[:, later]).any()


def test_a_pool_tells_categories_beside_numbers(flow, regressor):
    assert flow.distribution_.coded == ()
    density = regressor.distribution_
    assert len(density.coded) == 1
    assert not density.code_share[:, :2].any()  # the pool has trees of its own
    assert density.code_share[0, 2] > 0
    values = density.sample(50, np.random.default_rng(0))
    walk, at = density.begin(50), np.arange(50)
    for j in density.order.tolist():
        said, number = walk.codes_say(j), density.numbers.is_number[j]
        np.testing.assert_allclose(said.sum(axis=1), 1, rtol=0, atol=1e-12)
        if not number:
            told = np.log(said[at, values[:, j].astype(int)])
            np.testing.assert_allclose(density.conditional_scores(values)[:, j], told, rtol=1e-12)
        walk.observe(j, values[:, j])


def in_file(model, path):
    treeflows.save(model, path)
    return path.read_bytes()


def test_one_tree_tells_each_part_of_a_number(flow):
    assert flow.domain_.numeric.tolist() == [False, True, True, True]
    assert flow.distribution_.mixtures == ()
    assert len(flow.distribution_.trees) == 1
    figures, told = flow.summary()
    assert figures["order"] == ["kind", "paid", "age", "size"]
    assert "kinds and digits" in told
    assert flow.log_evidence_ == pytest.approx(-N * sum(figures["nll_by_evidence"]))
    assert flow.score(table(1)) > AutoregressiveTreeFlow(numeric="auto", max_depth=0).fit(table()).score(table(1)) + 0.2


def test_parameters_of_the_trees_have_effect(flow):
    leaves = sum(flow.summary()[0]["leaves"])
    for more in ({"max_depth": 1}, {"min_samples_leaf": 60}, {"prior_split": 1e-9}):
        other = AutoregressiveTreeFlow(numeric="auto", order="natural", **more).fit(table())
        assert sum(other.summary()[0]["leaves"]) < leaves
    one, two = (AutoregressiveTreeFlow(numeric="auto", max_features=2, random_state=s).fit(table()) for s in (0, 1))
    assert one.score(table()) != two.score(table())
    smoothed = AutoregressiveTreeFlow(numeric="auto", order="natural", smoothing=1e9).fit(table())
    kinds = smoothed.conditional_proba(table(), "kind")
    np.testing.assert_allclose(kinds, 0.5, atol=1e-3)


def test_orders():
    X = table()[["size", "age", "paid", "kind"]]
    told = {}
    for order in ("natural", "evidence", "random", [3, 1, 2, 0]):
        told[str(order)] = AutoregressiveTreeFlow(numeric="auto", random_state=0, order=order).fit(X)
    assert told["natural"].order_.tolist() == [0, 1, 2, 3]
    assert told["[3, 1, 2, 0]"].order_.tolist() == [3, 1, 2, 0]
    assert told["evidence"].log_evidence_ >= told["natural"].log_evidence_
    with pytest.raises(ValueError, match="order must be"):
        AutoregressiveTreeFlow(numeric="auto", order=[0, 1]).fit(X)


def test_the_density_of_a_flow_integrates_to_one():
    X = table()[["kind", "size"]]
    flow = AutoregressiveTreeFlow(numeric="auto", order="natural").fit(X)
    places = np.linspace(-60, 60, 24_001)
    total = sum(np.exp(flow.score_samples(pd.DataFrame({"kind": k, "size": places}))).sum() for k in "ab")
    assert total * (places[1] - places[0]) == pytest.approx(1, abs=0.01)


def test_a_flow_is_a_bijection(flow):
    back = flow.inverse_transform(flow.transform(table(2)))
    pd.testing.assert_frame_equal(back, table(2), rtol=1e-9)


def test_trees_of_digits_are_not_there_to_read(flow):
    for name in ("trees_", "concentration_"):
        with pytest.raises(AttributeError, match="table with numbers"):
            getattr(flow, name)


def test_a_discrete_tree_flow_says_what_takes_numbers():
    X = table()
    with pytest.raises(ValueError, match=r"pandas\.qcut.*TreeFlowMixture\(numeric='auto'\)"):
        DiscreteTreeFlow().fit(X[["kind", "paid"]])
    with pytest.raises(TableError, match="a DiscreteTreeFlow takes no numbers, and column 'paid'"):
        TreeFlowEnsemble(DiscreteTreeFlow(), 2, numeric=["paid"]).fit(X[["kind", "paid"]])


@pytest.mark.parametrize(
    "model",
    [
        AutoregressiveTreeFlow(numeric="auto", order="random", max_features=2, random_state=0),
        TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, numeric="auto", random_state=0),
        TreeFlowMixture(numeric="auto", random_state=0),
    ],
    ids=["flow", "ensemble", "mixture"],
)
def test_a_weight_is_as_many_rows(model, tmp_path):
    X, weight = table(n=80), np.random.default_rng(0).integers(0, 3, 80)
    weighted = in_file(model.fit(X, sample_weight=weight), tmp_path / "weighted")
    rows = X.loc[X.index.repeat(weight)]
    order = np.random.default_rng(1).permutation(len(rows))
    assert in_file(model.fit(rows.iloc[order]), tmp_path / "repeated") == weighted


def test_heavy_rows_take_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MOST_CELLS", 1200)
    X, weight = table(n=80), np.where(table(n=80)["kind"] == "a", 30_000_000, 1_000_000)
    model = AutoregressiveTreeFlow(random_state=0)
    with pytest.warns(UserWarning, match=r"sums to [\d,]+, .*: 300 rows are learned from"):
        whole = model.fit(X, sample_weight=weight)
    assert whole.distribution_.trees[0].leaf_rows[: whole.distribution_.trees[0].first_leaf[1]].sum() == 300
    told = in_file(whole, tmp_path / "heavy")
    share = model.sample(4000, random_state=0)["kind"].eq("a").mean()
    assert share == pytest.approx(weight[X["kind"] == "a"].sum() / weight.sum(), abs=0.02)
    with pytest.warns(UserWarning, match="in proportion"):
        assert in_file(model.fit(X[::-1], sample_weight=weight[::-1]), tmp_path / "turned") == told


def test_both_zeros_are_one_number(tmp_path):
    X = table(n=100)
    minus = X.assign(paid=np.where(X["paid"] == 0, np.resize([0.0, -0.0], 100), X["paid"]))
    model = AutoregressiveTreeFlow(numeric="auto", random_state=0)
    assert in_file(model.fit(minus), tmp_path / "minus") == in_file(model.fit(X), tmp_path / "plus")


def test_weights_that_are_fractions():
    X = table()
    halves = AutoregressiveTreeFlow(numeric="auto", random_state=0).fit(X, sample_weight=np.full(N, 0.5))
    assert halves.distribution_.trees[0].leaf_rows[0] > 0
    first = halves.distribution_.trees[0]
    assert first.leaf_rows[: first.first_leaf[1]].sum() == N // 2
    with pytest.raises(ValueError, match="less than one row"):
        AutoregressiveTreeFlow(numeric="auto", random_state=1).fit(X, sample_weight=np.full(N, 1e-9))


def test_an_ensemble_is_the_mean_of_its_members(ensemble, tmp_path):
    X = table(1)
    scores = np.stack([member.score_samples(X) for member in ensemble.estimators_])
    mean = logsumexp(scores + np.log(ensemble.weights_)[:, None], axis=0)
    np.testing.assert_allclose(ensemble.score_samples(X), mean, rtol=1e-12)
    assert ensemble.weights_[1] > 0.6  # the first knows of no dependence
    drawn = ensemble.sample(2000, random_state=0)
    assert drawn.dtypes.tolist() == X.dtypes.tolist()
    assert drawn["paid"].eq(0).mean() == pytest.approx(table()["paid"].eq(0).mean(), abs=0.05)
    treeflows.save(ensemble, tmp_path / "e")
    np.testing.assert_array_equal(treeflows.load(tmp_path / "e").score_samples(X), ensemble.score_samples(X))


def test_ensembles_of_models_fitted_elsewhere(flow):
    both = TreeFlowEnsemble.from_members([flow, flow])
    np.testing.assert_allclose(both.score_samples(table(1)), flow.score_samples(table(1)), rtol=1e-12)


def test_a_mixture_weighs_more_than_a_tree_flow():
    ensemble = TreeFlowEnsemble([FLOW, TreeFlowMixture()], 2, numeric="auto", random_state=0).fit(table())
    assert ensemble.weights_[1] > 0.6


@pytest.mark.parametrize("estimator", [FLOW, AutoregressiveTreeFlow(order=[3, 1, 2, 0])])
def test_classes_are_told_by_the_joint_density(estimator, tmp_path):
    X = table()
    y, X = X["kind"], X[["paid", "age", "size"]]
    model = TreeFlowClassifier(estimator, numeric="auto", random_state=0).fit(X, y)
    assert model.categories_ == [None, None, None]
    told = model.predict_proba(X[:50])
    joint = [model.density_.score_samples(X[:50].assign(kind=label)) for label in model.classes_]
    np.testing.assert_allclose(told, softmax(np.column_stack(joint), axis=1), rtol=1e-9)
    assert model.score(*(lambda t: (t[["paid", "age", "size"]], t["kind"]))(table(1))) > 0.85
    treeflows.save(model, tmp_path / "c")
    np.testing.assert_array_equal(treeflows.load(tmp_path / "c").predict_proba(X), model.predict_proba(X))


@parametrize_with_checks([TreeFlowRegressor(FLOW)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_mean_and_quantiles_are_those_of_the_density(regressor):
    X = table(1)[["kind", "paid", "age"]][:3]
    y = np.linspace(-20, 30, 10_001)
    quantiles = [0.001, 0.1, 0.5, 0.9, 0.999]
    means, places = regressor.predict(X), regressor.predict_quantiles(X, quantiles)
    for i in range(len(X)):
        density = np.exp(regressor.log_density(X.iloc[[i] * len(y)], y)) * (y[1] - y[0])
        assert density.sum() == pytest.approx(1, abs=2e-3)
        assert means[i] == pytest.approx((density * y).sum(), abs=0.02)
        below = np.interp(places[i], y, np.cumsum(density) - density / 2)
        np.testing.assert_allclose(below, quantiles, atol=2e-3)


def test_means_are_targets_that_may_be(regressor):
    X = table()[["kind", "paid", "age"]]
    odd = X[:40].assign(paid=np.logspace(-3, 12, 40), age=np.arange(40) * 10**6 - 10**7)
    told = regressor.predict(odd)
    assert table()["size"].min() <= told.min() <= told.max() <= table()["size"].max()


def test_density_of_rows_with_their_targets(regressor):
    X = table(1)
    before = TreeFlowRegressor(random_state=0)
    assert before.part().estimator.order == "natural"
    joint = regressor.density_.score_samples(X.rename(columns={"size": "size"}))
    told = regressor.distribution_.conditional_scores(regressor.density_.read(X).codes)
    np.testing.assert_allclose(regressor.log_density(X[["kind", "paid", "age"]], X["size"]), told[:, -1], rtol=1e-12)
    np.testing.assert_allclose(joint, told.sum(axis=1), rtol=1e-12)


def test_targets_on_a_lattice_that_does_not_start_at_zero():
    X = table()
    cents = np.round(100.005 + X["size"].to_numpy(), 2)
    model = TreeFlowRegressor(FLOW).fit(X[["kind"]], cents)
    told = model.predict_quantiles(X[["kind"]][:20], [0.2, 0.8])
    np.testing.assert_allclose(np.round(told, 2), told, atol=1e-9)
    every = np.round(np.arange(90, 115, 0.01), 2)
    prob = np.exp(model.log_density(X[["kind"]].iloc[[0] * len(every)], every))
    assert prob.sum() == pytest.approx(1, abs=5e-3)
    assert model.predict(X[["kind"]][:1])[0] == pytest.approx((prob * every).sum() / prob.sum(), abs=0.05)
    below = np.cumsum(prob)
    for q, place in zip([0.2, 0.8], told[0], strict=True):
        at = np.argmin(abs(every - place))
        assert below[at - 1] - 0.01 < q <= below[at] + 0.01


def test_targets_that_recur():
    X = table()
    paid = X["paid"].to_numpy()
    model = TreeFlowRegressor(FLOW).fit(X[["kind", "age"]], paid)
    rows = X[["kind", "age"]][:30]
    zero = np.exp(model.log_density(rows, np.zeros(30)))
    assert (zero > 0.05).all()
    np.testing.assert_allclose(model.predict_quantiles(rows, [0.02, 0.04]), 0, atol=1e-6)
    assert abs(model.predict(X[["kind", "age"]]).mean() - paid.mean()) < 0.3


def test_regressors_in_files_and_with_weights(regressor, tmp_path):
    X = table(1)[["kind", "paid", "age"]]
    treeflows.save(regressor, tmp_path / "r")
    np.testing.assert_array_equal(treeflows.load(tmp_path / "r").predict(X), regressor.predict(X))
    y, weight = table(1)["size"], np.random.default_rng(0).integers(0, 3, N)
    one = TreeFlowRegressor(FLOW, random_state=0).fit(X, y, sample_weight=weight)
    other = TreeFlowRegressor(FLOW, random_state=0).fit(X.loc[X.index.repeat(weight)], y.repeat(weight))
    assert in_file(one, tmp_path / "one") == in_file(other, tmp_path / "other")


@pytest.mark.parametrize(
    "y", [["a"] * N, pd.date_range("2020", periods=N), np.append(np.zeros(N - 1), np.inf), [None] * N]
)
def test_targets_that_are_no_numbers_are_refused(y):
    with pytest.raises(ValueError, match="[yY]"):
        TreeFlowRegressor(FLOW).fit(table()[["kind"]], y)


def test_estimators_that_do_not_tell_the_target_last_are_refused():
    X = table()
    with pytest.raises(TypeError, match="estimator must be a TreeFlowMixture or an AutoregressiveTreeFlow"):
        TreeFlowRegressor(TreeFlowEnsemble()).fit(X[["kind"]], X["size"])
    with pytest.raises(ParameterError, match="estimator must have an order in which the target comes last"):
        TreeFlowRegressor(AutoregressiveTreeFlow(order=[1, 0])).fit(X[["kind"]], X["size"])
    for bad in ([0.0], [1.0], [[0.5]], [np.nan]):
        with pytest.raises(ValueError, match="quantiles"):
            TreeFlowRegressor(FLOW).fit(X[["kind"]], X["size"]).predict_quantiles(X[["kind"]], bad)


def test_threads_change_nothing(regressor, ensemble):
    members = ensemble.get_params(deep=False)["estimator"]
    other = TreeFlowEnsemble(members, 2, numeric="auto", random_state=0, n_jobs=2).fit(table())
    np.testing.assert_array_equal(other.score_samples(table(1)), ensemble.score_samples(table(1)))
    X = table(1, 60)[["kind", "paid", "age"]]
    one = regressor.predict(X), regressor.predict_quantiles(X)
    two = regressor.set_params(n_jobs=2)
    np.testing.assert_array_equal(two.predict(X), one[0])
    np.testing.assert_array_equal(two.predict_quantiles(X), one[1])
    regressor.set_params(n_jobs=None)
    # nor does what stands beside a row
    np.testing.assert_allclose(regressor.predict(X[7:8]), one[0][7:8], rtol=1e-12)
