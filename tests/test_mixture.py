"""The tree flow with a hidden column: its parts, their shares, EM, and what it promises of its parents."""

import numpy as np
import pytest
from conftest import declared, random_table, whole_domain
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble, TreeFlowMixture
from treeflows._ext import isa, products
from treeflows.densities.products import ProductMixture
from treeflows.learning import voices
from treeflows.learning.em import Learner
from treeflows.learning.pooling import learn_shares
from treeflows.learning.voices import FEWEST_TREES, MOST_TREES, _enough_trees

K = [3, 2, 4, 1, 2]
FIRST = np.concatenate(([0], np.cumsum(K))).astype(np.int32)


def random_products(seed, n_states, first=FIRST):
    rng = np.random.default_rng(seed)
    prob = np.concatenate([rng.dirichlet(np.ones(k), n_states).T for k in np.diff(first)])
    return ProductMixture(np.diff(first), rng.dirichlet(np.ones(n_states)), prob)


def joint(mixture, rows):
    """p(row, state) by the formula: (n_rows, n_states)."""
    cells = rows + mixture.first_category[:-1]
    return mixture.weight * mixture.prob[cells].prod(axis=1)


# ---- the mixture of products ----


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.permutations(range(5)))
def test_conditionals_like_the_ratios_of_marginals(seed, n_states, order):
    mixture, rows = random_products(seed, n_states), whole_domain(K).astype(np.uint8)
    conditionals = mixture.conditionals(rows, np.array(order, dtype=np.int32), 2)
    np.testing.assert_allclose(conditionals.prod(axis=1), joint(mixture, rows).sum(axis=1), rtol=1e-10)
    posterior = mixture.begin(len(rows))
    for t, j in enumerate(order):
        prob = mixture.predict(posterior, j)
        np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_array_equal(prob[np.arange(len(rows)), rows[:, j]], conditionals[:, t])
        mixture.observe(posterior, j, np.ascontiguousarray(rows[:, j]))
    expected = joint(mixture, rows)
    np.testing.assert_allclose(posterior[:, :n_states], expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(mixture.posterior(rows), posterior[:, :n_states], rtol=1e-9)


def test_the_posterior_of_states_does_not_underflow():
    # fifty columns speak for one state, then fifty for the other
    k = np.full(100, 2)
    first = np.concatenate(([0], np.cumsum(k))).astype(np.int32)
    prob = np.full((200, 2), 0.5)
    prob[::2, 0][:50] = prob[::2, 1][50:] = 1e-9
    prob[::2, 1][:50] = prob[::2, 0][50:] = 1 - 1e-9
    prob[1::2] = 1 - prob[::2]
    mixture = ProductMixture(np.diff(first), np.array([0.5, 0.5]), prob)
    np.testing.assert_allclose(mixture.posterior(np.zeros((1, 100), dtype=np.uint8)), [[0.5, 0.5]])


def test_large_tables_do_not_depend_on_threads():
    mixture = random_products(0, 40)
    rows = random_table(0, 5000, K).astype(np.uint8)
    order = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(mixture.conditionals(rows, order, 1), mixture.conditionals(rows, order, 3))
    posterior = mixture.begin(len(rows))
    np.testing.assert_array_equal(mixture.predict(posterior, 2, 1), mixture.predict(posterior, 2, 3))
    other = posterior.copy()
    mixture.observe(posterior, 2, np.ascontiguousarray(rows[:, 2]), 1)
    mixture.observe(other, 2, np.ascontiguousarray(rows[:, 2]), 3)
    np.testing.assert_array_equal(posterior, other)
    assert products.conditionals(rows[:0], order, FIRST, *mixture._padded, 2).shape == (0, 5)


def em_step(mixture, rows, marginal, smoothing):
    """One step of EM by the formulas, cell by cell."""
    responsibility = joint(mixture, rows)
    responsibility /= responsibility.sum(axis=1, keepdims=True)
    counts = np.zeros_like(mixture.prob)
    for row, r in zip(rows, responsibility, strict=True):
        counts[row + mixture.first_category[:-1]] += r
    weight = (responsibility.sum(axis=0) + 1) / (len(rows) + mixture.n_states)
    return weight, (counts + smoothing * marginal[:, None]) / (responsibility.sum(axis=0) + smoothing)


def test_a_step_of_em_like_the_formulas():
    rows = random_table(3, 200, K).astype(np.uint8)
    mixture, learner = random_products(1, 6), Learner(rows, np.array(K))
    improved = learner.improve(mixture, most_steps=1)
    weight, prob = em_step(mixture, rows, learner.marginal, 1.0)
    np.testing.assert_allclose(improved.weight, weight, rtol=1e-5)  # responsibilities are in single precision
    np.testing.assert_allclose(improved.prob, prob, rtol=1e-5)
    np.testing.assert_allclose(np.add.reduceat(improved.prob, FIRST[:-1]), 1, rtol=1e-12)


@pytest.mark.parametrize("n_rows", [1, 7, 3000])
def test_sums_of_posteriors_are_the_same_on_every_path(n_rows):
    learner = Learner(random_table(1, n_rows, K).astype(np.uint8), np.array(K))
    rng = np.random.default_rng(0)
    log_prob, base = (20 * rng.normal(size=shape).astype(np.float32) for shape in ((FIRST[-1], 32), (32,)))
    results, before = [], isa.current()
    for kernels in isa.available():
        isa.use(kernels)
        results += [products.expect(learner.rare, learner.starts, learner.weight, base, log_prob, t) for t in (1, 2)]
    isa.use(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    counts, rows, score = results[0]
    expected, likelihood = np.zeros((FIRST[-1], 32)), 0.0
    for r in range(n_rows):
        cells = learner.rare[learner.starts[r] : learner.starts[r + 1]]
        told = base + log_prob[cells].sum(axis=0, dtype=np.float64)
        likelihood += logsumexp(told) / n_rows
        expected[cells] += softmax(told)
    np.testing.assert_allclose(counts, expected, rtol=1e-4, atol=1e-4)
    assert rows.sum() == pytest.approx(n_rows, rel=1e-5)
    assert score == pytest.approx(likelihood, rel=1e-5)


def test_em_never_lowers_its_objective():
    # likelihood of the rows and of the prior, whose maximum the smoothed steps climb to
    rows = random_table(3, 400, K).astype(np.uint8)
    mixture, learner = random_products(1, 6), Learner(rows, np.array(K))
    objective = []
    for _ in range(12):
        prior = np.log(mixture.weight).sum() + (learner.marginal[:, None] * np.log(mixture.prob)).sum()
        objective.append(np.log(joint(mixture, rows).sum(axis=1)).sum() + prior)
        mixture = learner.improve(mixture, most_steps=1)
    assert (np.diff(objective) > -1e-3).all()
    assert objective[-1] > objective[0] + 10


def test_a_split_keeps_what_was_learned():
    rows = random_table(3, 400, K).astype(np.uint8)
    learner = Learner(rows, np.array(K))
    one = learner.improve(learner.start(3, np.random.default_rng(0)))
    two = learner.split(one, np.random.default_rng(1))
    assert two.n_states == 6
    np.testing.assert_array_equal(two.prob[:, :3], one.prob)
    assert two.weight.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.add.reduceat(two.prob, FIRST[:-1]), 1)


def test_em_finds_groups():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 3000)
    centre = np.array([[0.1] * 10, [0.9] * 5 + [0.1] * 5, [0.1] * 5 + [0.9] * 5])
    X = (rng.random((3000, 10)) < centre[group]).astype(int)
    model = TreeFlowMixture(n_components=3, random_state=0).fit(X)
    assert model.weights_ == pytest.approx([1 / 3] * 3, abs=0.05)
    assert (np.diff(model.weights_) <= 0).all()
    states = model.predict_state(X)
    of_group = [np.bincount(states[group == g], minlength=3) for g in range(3)]
    assert sorted(np.argmax(of_group, axis=1)) == [0, 1, 2]
    assert np.max(of_group, axis=1).sum() > 0.9 * 3000
    np.testing.assert_allclose(model.predict_state_proba(X).sum(axis=1), 1)


# ---- shares ----


def test_shares_are_those_of_highest_likelihood():
    rng = np.random.default_rng(0)
    present, newcomer = rng.uniform(0.05, 0.95, (2, 4000, 3))
    newcomer[:, 1] = 0.01  # bad at this column, good at that
    newcomer[:, 2] = 0.99
    grid = np.linspace(0, 1, 1001)[1:-1]
    shares = learn_shares(present, newcomer)
    for j in range(3):
        mixed = np.log((1 - grid) * present[:, [j]] + grid * newcomer[:, [j]]).sum(axis=0)
        assert shares[j] == pytest.approx(grid[mixed.argmax()], abs=0.02)
    assert shares[1] < 0.01
    assert shares[2] > 0.98
    assert ((shares > 0) & (shares < 1)).all()
    few = learn_shares(present[:2], newcomer[:2])  # little is known of each column: the table's share
    assert np.ptp(few) < np.ptp(shares)


def test_as_many_trees_as_held_out_rows_ask_for():
    rng = np.random.default_rng(0)
    # means of so many noisy voices of one truth
    noise = rng.uniform(-0.4, 0.4, (7, 5000, 20))
    tree, truth = np.full((5000, 20), 0.5), 0.55
    noisy = [(tree, truth + noise[:n].mean(axis=0), n) for n in (3, 7)]
    same = [(tree, np.full((5000, 20), truth), n) for n in (3, 7)]
    assert _enough_trees(*same) == FEWEST_TREES
    assert FEWEST_TREES < _enough_trees(*noisy) <= MOST_TREES
    assert _enough_trees(*[(np.ones((5, 2)), np.ones((5, 2)), n) for n in (3, 7)]) == FEWEST_TREES


def test_further_trees_in_two_steps_are_those_of_one(monkeypatch):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (900, 6)).astype(np.uint8)
    for j in range(2, 6):  # noisy sums, that trees of drawn columns tell better together
        noise = rng.integers(0, 3, 900) * (rng.random(900) < 0.3)
        codes[:, j] = (codes[:, j - 1] + codes[:, j - 2] + noise) % 3
    options = {"categories": declared([3] * 6), "random_state": 0}
    at_once = TreeFlowMixture(n_trees=5, **options).fit(codes)
    assert (at_once.share_[:, 1] > 0).all()
    monkeypatch.setattr(voices, "FEWEST_TREES", 3)
    monkeypatch.setattr(voices, "_enough_trees", lambda fewer, more: 5)
    in_two = TreeFlowMixture(**options).fit(codes)
    for name in ("share_", "exponent_"):
        np.testing.assert_array_equal(getattr(in_two, name), getattr(at_once, name))
    np.testing.assert_array_equal(in_two.score_samples(codes), at_once.score_samples(codes))


def test_the_model_is_the_shares_of_its_parts():
    codes = random_table(0, 600, K).astype(np.uint8)
    model = TreeFlowMixture(n_components=4, n_trees=3, logistic=False, categories=declared(K), random_state=0).fit(
        codes
    )
    order = model.flows_[0].order_
    tree, *others = (flow.distribution_.probabilities(codes) for flow in model.flows_)
    hidden = model.distribution_.products.conditionals(codes, order)
    share = model.share_[order]
    expected = share[:, 0] * tree + share[:, 1] * np.mean(others, axis=0) + share[:, 2] * hidden
    np.testing.assert_allclose(model.score_samples(codes), np.log(expected).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(model.share_.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(tree).sum(axis=1), model.flows_[0].score_samples(codes), rtol=1e-12)
    assert all((flow.order_ == order).all() for flow in model.flows_)
    assert (np.diff(model.weights_) <= 0).all()


def test_options():
    codes = random_table(0, 400, [2] * 12)
    one = TreeFlowMixture(n_components=5, n_trees=1, random_state=0).fit(codes)
    assert len(one.flows_) == 1
    assert (one.share_[:, 1] == 0).all()
    assert len(one.weights_) == 5
    assert list(one.validation_score_) == [0, 5]
    model = TreeFlowMixture(AutoregressiveTreeFlow(max_features=3, prior_split=2.0), random_state=0).fit(codes)
    assert [flow.max_features for flow in model.flows_] == [3] * 8
    assert model.flows_[1].prior_split == 10.0
    tried = model.validation_score_
    assert len(model.weights_) == max((n for n in tried if n), key=tried.get)
    assert TreeFlowMixture(random_state=1).fit(codes).score(codes) != TreeFlowMixture(random_state=0).fit(codes).score(
        codes
    )


def test_noise_is_not_kept(tmp_path):
    X = np.random.default_rng(0).integers(0, 10, (20_000, 12), dtype=np.uint8)
    model = TreeFlowMixture(n_components=8, random_state=0, n_jobs=2).fit(X)
    treeflows.save(model, tmp_path / "model")
    assert (tmp_path / "model").stat().st_size < 2 * X.nbytes
    assert all(len(tree.leaf_rows) == 1 for flow in model.flows_[1:] for tree in flow.trees_)
    unseen = np.random.default_rng(1).integers(0, 10, (5_000, 12), dtype=np.uint8)
    assert model.score(unseen) > -12 * np.log(10) - 0.01


def test_further_trees_of_the_columns_that_they_tell_of_are_kept():
    X = np.random.default_rng(0).integers(0, 10, (20_000, 12), dtype=np.uint8)
    X[:, 11] = (X[:, :8] < 5).sum(axis=1)
    trees = AutoregressiveTreeFlow(order="natural")
    model = TreeFlowMixture(trees, n_components=1, random_state=0, n_jobs=2, logistic=False).fit(X)
    kept = [j for j in range(12) if any(len(flow.trees_[j].leaf_rows) > 1 for flow in model.flows_[1:])]
    assert kept == [11]
    assert model.share_[11, 1] > 0.3


def test_domains_are_declared_to_the_model_and_not_to_what_it_is_made_of():
    codes = random_table(0, 100, [2, 2])
    domains = declared([3, 4])
    for model in (
        TreeFlowMixture(n_components=2, n_trees=2, categories=domains),
        TreeFlowEnsemble(n_estimators=2, categories=domains),
    ):
        assert [len(c) for c in model.fit(codes).categories_] == [3, 4]
        assert np.exp(model.score_samples(whole_domain([3, 4]))).sum() == pytest.approx(1)
    for options in ({"categories": domains}, {"missing": "marginalize"}, {"min_frequency": 2}):
        flow = AutoregressiveTreeFlow(**options)
        for whole in (TreeFlowMixture(flow, 2, 2), TreeFlowEnsemble(flow, 2), DiscreteTreeFlow(1, base=flow)):
            with pytest.raises(ValueError, match=rf"{min(options)} of the .* set {min(options)} of the model"):
                whole.fit(codes)


def test_the_order_drawn_does_not_depend_on_the_rows():
    codes = random_table(0, 300, [2] * 8)
    model = TreeFlowMixture(AutoregressiveTreeFlow(order="random"), 2, 2, random_state=3)
    orders = [model.fit(codes[:n]).flows_[0].order_.tolist() for n in (300, 200, 11)]
    assert orders[0] == orders[1] == orders[2]


def test_the_default_ensemble_is_of_mixtures_in_random_orders():
    codes = random_table(0, 300, K)
    ensemble = TreeFlowEnsemble(n_estimators=3, random_state=0).fit(codes)
    assert all(isinstance(member, TreeFlowMixture) for member in ensemble.estimators_)
    assert len({tuple(member.flows_[0].order_) for member in ensemble.estimators_}) > 1


@pytest.mark.parametrize("name", ["mushroom", "nltcs", "car", "splice", "nursery"])
def test_never_worse_than_its_parents(shared_npz, name):
    data = shared_npz(name)
    categories = declared(data["n_categories"])
    train, valid = data["train"], data["valid"]
    model = TreeFlowMixture(n_trees=4, logistic=False, categories=categories, random_state=0).fit(train)
    score = model.score(valid)
    assert score > model.flows_[0].score(valid) - 0.005
    alone = model.distribution_.products.conditionals(valid, np.arange(valid.shape[1], dtype=np.int32))
    assert score > np.log(alone).sum(axis=1).mean() - 0.005


# ---- bad input ----


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"n_components": 5000}, ValueError, "n_components"),
        ({"categories": "manual"}, ValueError, "categories"),
        ({"estimator": AutoregressiveTreeFlow(), "categories": "manual"}, ValueError, "categories"),
        ({"n_components": 0}, ValueError, "n_components"),
        ({"n_components": 2.5}, TypeError, "n_components"),
        ({"n_components": "many"}, TypeError, "n_components"),
        ({"n_trees": 0}, ValueError, "n_trees"),
        ({"n_jobs": "all"}, TypeError, "n_jobs"),
        ({"estimator": TreeFlowEnsemble()}, TypeError, "estimator must be an AutoregressiveTreeFlow"),
        ({"estimator": AutoregressiveTreeFlow(min_samples_leaf=0)}, ValueError, "min_samples_leaf"),
    ],
)
def test_bad_parameters(options, error, told):
    with pytest.raises(error, match=told):
        TreeFlowMixture(**options).fit([[0, 1], [1, 0]])
