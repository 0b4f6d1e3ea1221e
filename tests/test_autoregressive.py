"""The autoregressive tree flow and its ensemble: likelihoods, ranks, orders, evidence, printing, parameters."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import readable_trees as readable
from conftest import declared, random_table, whole_domain
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score

from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble
from treeflows.learning import prunings
from treeflows.learning.layers import cost_table
from treeflows.learning.orders import informative_order, pairwise_information
from treeflows.learning.prunings import concentrations
from treeflows.models import autoregressive
from treeflows.models.ensemble import _weights, _while_gaining

K = [3, 2, 4, 2, 20]


def fitted(codes, n_categories=K, **options):
    return AutoregressiveTreeFlow(categories=declared(n_categories), **options).fit(codes)


# ---- the model ----


@pytest.mark.parametrize("order", ["natural", [4, 2, 0, 1, 3]])
@pytest.mark.parametrize("negligible", [0.0, prunings.NEGLIGIBLE])
def test_likelihood_is_the_product_of_the_averaged_leaves(order, negligible, monkeypatch):
    monkeypatch.setattr(prunings, "NEGLIGIBLE", negligible)
    codes = random_table(0, 120, K)
    flow = fitted(codes, order=order, smoothing=0.4, min_samples_leaf=12)
    expected, least = np.zeros(len(codes)), np.zeros(len(codes))
    for t, j in enumerate(flow.order_.tolist()):
        root = readable.grow(codes, K, j, flow.order_[:t].tolist(), 12)
        evidence, mean = readable.average(root, 0.4, 1.0)
        assert flow.evidence_[j] == pytest.approx(evidence, rel=1e-9)
        number = {id(leaf): i for i, leaf in enumerate(readable.leaves_of(root))}
        for i, row in enumerate(codes):
            prob = mean[number[id(readable.leaf_at(root, row))], row[j]]
            expected[i] += np.log(prob)
            least[i] += np.log(prob / (prob + negligible))
    # what is left out moves no probability by more than the posterior of entering it
    assert (np.abs(flow.score_samples(codes) - expected) <= 1e-9 - least).all()
    assert flow.log_evidence_ == pytest.approx(flow.evidence_.sum())


def test_codes_are_ranks_within_the_leaf():
    k = [2, 4]
    codes = random_table(3, 500, k)
    flow = fitted(codes, k)
    domain = whole_domain(k)
    z, log_prob = flow.transform(domain), flow.score_samples(domain)
    for first in range(2):  # given the first column, a more probable second value has the higher code
        rows = np.flatnonzero(domain[:, 0] == first)
        assert z[rows[np.argsort(log_prob[rows], kind="stable")], 1].tolist() == [0, 1, 2, 3]


def test_concentrations_are_chosen_from_the_grid_by_column():
    codes = random_table(0, 400, K)
    flow = fitted(codes, order=[4, 2, 0, 1, 3])
    for a, k in zip(flow.concentration_, K, strict=True):
        assert a in concentrations(k)
    fixed = [fitted(codes, order=[4, 2, 0, 1, 3], smoothing=a).log_evidence_ for a in (0.01, 0.1, 0.5)]
    assert flow.log_evidence_ > max(fixed) - 5  # each column's own is as good as any common one, but for the grid


def test_evidence_prefers_what_explains_the_table():
    rng = np.random.default_rng(0)
    coin = rng.integers(0, 2, 500)
    X = np.column_stack([coin, coin, rng.integers(0, 2, 500)])
    related, unrelated = fitted(X, [2, 2, 2]), fitted(X, [2, 2, 2], max_depth=0)
    assert related.evidence_[1] > unrelated.evidence_[1] + 300
    assert related.evidence_[2] == pytest.approx(
        unrelated.evidence_[2], abs=2
    )  # nothing is lost where nothing is found


def test_a_strict_prior_prunes_everything():
    codes = random_table(0, 300, K)
    np.testing.assert_allclose(
        fitted(codes, prior_split=1e-200).score_samples(codes), fitted(codes, max_depth=0).score_samples(codes)
    )


def test_orders():
    codes = random_table(0, 300, K)
    assert fitted(codes, order="natural").order_.tolist() == [0, 1, 2, 3, 4]
    assert fitted(codes, order=np.array([1, 0, 4, 3, 2])).order_.tolist() == [1, 0, 4, 3, 2]
    a, b, c = (fitted(codes, order="random", random_state=seed).order_.tolist() for seed in (0, 0, 1))
    assert a == b != c
    assert sorted(a) == [0, 1, 2, 3, 4]
    assert fitted(codes, order=[4, 3, 2, 1, 0]).trees_[4].before == ()


def information(codes, n_categories, n_threads=1):
    cost = cost_table(len(codes), 1, 40)
    return pairwise_information(codes.astype(np.uint8), np.array(n_categories, dtype=np.int32), cost, n_threads)


def test_the_order_of_more_evidence_is_kept():
    for seed in range(4):
        codes = random_table(seed, 300, K)
        best, natural = fitted(codes), fitted(codes, order="natural")
        other = fitted(codes, order=informative_order(information(codes, K)))
        assert best.log_evidence_ == max(natural.log_evidence_, other.log_evidence_)
        chosen = natural if best.order_.tolist() == natural.order_.tolist() else other
        np.testing.assert_array_equal(best.score_samples(codes), chosen.score_samples(codes))
        np.testing.assert_array_equal(best.evidence_, chosen.evidence_)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_categories", [[2] * 9, [2, 1, 3, 40, 2, 1], [5, 4]])
def test_mutual_information_like_scikit_learn(n_categories, n_threads):
    codes = random_table(1, 500, n_categories).astype(np.uint8)
    found = information(codes, n_categories, n_threads)
    assert (found == found.T).all()
    pairs = [(i, j) for i in range(len(n_categories)) for j in range(i)]
    ours = np.array([found[i, j] for i, j in pairs], dtype=float)
    expected = np.array([mutual_info_score(codes[:, i], codes[:, j]) for i, j in pairs])
    np.testing.assert_allclose(ours / ours.sum(), expected / expected.sum(), atol=1e-6)
    assert (np.diagonal(found) == 0).all()


def test_orders_of_many_alike_columns_do_not_overflow():
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.integers(0, 16, (20_000, 1)), 80, axis=1)
    codes[:, 70] = rng.integers(0, 16, 20_000)
    shared = information(codes, [16] * 80)
    assert (shared.sum(axis=1) > 0).all()
    assert informative_order(shared)[-1] == 70


def test_informative_order_appends_what_shares_most():
    shared = np.array([[0, 1, 9, 0], [1, 0, 2, 0], [9, 2, 0, 4], [0, 0, 4, 0]])
    assert informative_order(shared).tolist() == [2, 0, 3, 1]
    assert informative_order(np.zeros((3, 3), dtype=np.int64)).tolist() == [0, 1, 2]


def test_depth_and_leaf_size_are_bounded():
    codes = random_table(0, 2000, K)
    flow = fitted(codes, min_samples_leaf=40, max_depth=3)
    for tree in flow.trees_:
        assert tree.leaf_rows.min() >= 40
        assert len(tree.leaf_rows) <= 8
        assert tree.leaf_rows.sum() == 2000
    assert max(len(tree.leaf_rows) for tree in fitted(codes).trees_) > 8


def test_columns_per_split():
    codes = random_table(0, 2000, K)
    flow = fitted(codes, max_features=1, random_state=0)
    np.testing.assert_array_equal(
        flow.score_samples(codes), fitted(codes, max_features=0.2, random_state=0).score_samples(codes)
    )
    assert (flow.score_samples(codes) != fitted(codes, max_features=1, random_state=1).score_samples(codes)).any()
    np.testing.assert_array_equal(
        fitted(codes, max_features=1.0).score_samples(codes), fitted(codes).score_samples(codes)
    )
    np.testing.assert_array_equal(
        fitted(codes, max_features="sqrt", random_state=0).score_samples(codes),
        fitted(codes, max_features=2, random_state=0).score_samples(codes),
    )


def test_trees_print_names_categories_and_probabilities():
    coin = np.array(["heads", "tails"])[random_table(0, 400, [2])[:, 0]]
    table = pd.DataFrame({"coin": coin, "bet": np.where(coin == "heads", "won", "lost"), "day": ["Monday"] * 400})
    flow = AutoregressiveTreeFlow(smoothing=0.5).fit(table)
    heads = int((coin == "heads").sum())
    assert str(flow.trees_[1]).splitlines() == [
        "bet given coin",
        "coin = heads? (posterior 1.00)",
        f"├─ yes: {heads} rows: won {100 * (heads + 0.5) / (heads + 1):.1f}%, lost {50 / (heads + 1):.1f}%",
        f"└─ no:  {400 - heads} rows: lost {100 * (400.5 - heads) / (401 - heads):.1f}%, won {50 / (401 - heads):.1f}%",
    ]
    assert str(flow.trees_[0]).startswith("coin given nothing\n400 rows: ")
    [line] = flow.trees_[1].to_text(max_depth=0).splitlines()[1:]
    assert line.startswith(f"… 400 rows in 2 leaves: {'won' if heads > 200 else 'lost'} ")
    assert str(flow.trees_[2]) == "day given coin, bet\n400 rows: Monday 100.0%"


# Trees as they are believed


@pytest.fixture(scope="module")
def chain():
    """A table whose last column depends on two others, weakly on one of them, and not on the rest; its fitted flow."""
    codes = np.random.default_rng(0).integers(0, 4, (3000, 6))
    noise = np.random.default_rng(1).random(3000)
    codes[:, 5] = np.where(noise < 0.6, codes[:, 0], np.where(noise < 0.75, codes[:, 1] // 2, codes[:, 5]))
    return codes, AutoregressiveTreeFlow(order="natural", min_samples_leaf=2).fit(codes)


@pytest.mark.parametrize("least", [0.02, 0.5, 0.9])
def test_the_believed_tree_tells_the_conditionals(chain, least):
    codes, flow = chain
    whole = flow.tree(5, full=True)
    tree = whole.believed(least)
    assert len(tree.leaf_rows) < len(whole.leaf_rows) / 3
    assert tree.leaf_rows.sum() == 3000
    assert (tree.posterior >= least).all()
    assert least < 0.5 or set(tree.column) == {0, 1}
    told = tree.prob[leaves_of(tree, codes)]
    distance = np.abs(told - flow.conditional_proba(codes, 5)).sum(axis=1) / 2
    assert distance.max() <= least + 1e-3  # in total variation, what is left out being less probable than that
    assert distance.mean() < 0.02
    # each leaf is the mean of what it stands for
    of = leaves_of(whole, codes)
    for leaf in range(len(tree.leaf_rows)):
        rows = leaves_of(tree, codes) == leaf
        np.testing.assert_allclose(tree.prob[leaf], whole.prob[of[rows]].mean(axis=0), atol=1e-12)


def leaves_of(tree, codes):
    """Leaf of every row, walked."""
    at = np.zeros(len(codes), dtype=np.int64)
    while (inner := at >= 0).any():
        asked = codes[inner, tree.column[at[inner]]]
        yes = (tree.low[at[inner]] <= asked) & (asked <= tree.high[at[inner]])
        at[inner] = tree.children[at[inner], np.where(yes, 0, 1)]
    return ~at


def test_a_column_without_dependence_is_one_leaf(chain):
    _, flow = chain
    assert len(flow.tree(4, full=True).leaf_rows) > 1
    [_, line] = str(flow.tree(4)).splitlines()
    assert line.startswith("3,000 rows: ")
    assert flow.summary(column=4)[1] == str(flow.tree(4))


def test_leaves_that_say_the_same_are_one(chain):
    _, flow = chain
    whole = flow.tree(5, full=True)
    certain = replace(whole, posterior=np.ones_like(whole.posterior), prob=np.full_like(whole.prob, 0.25))
    assert len(certain.believed().leaf_rows) == 1
    many = replace(certain, leaf_rows=np.full_like(whole.leaf_rows, 2**31 - 1))  # as a file may say
    assert many.believed().leaf_rows.tolist() == [len(whole.leaf_rows) * (2**31 - 1)]
    certain.prob[0] = 0.2, 0.3, 0.25, 0.25
    assert 1 < len(certain.believed().leaf_rows) < len(whole.leaf_rows)


def test_trees_without_posteriors(chain):
    """As in files of earlier versions: nothing is left out but what says the same."""
    _, flow = chain
    whole = replace(flow.tree(5, full=True), posterior=None)
    assert len(flow.tree(5).leaf_rows) < len(whole.believed().leaf_rows) < len(whole.leaf_rows)
    assert "posterior" not in str(whole)


def test_the_text_is_bounded(chain):
    _, flow = chain
    assert len(flow.summary(column=5)[1].splitlines()) < 20
    assert len(flow.summary(column=5, max_depth=None, full=True)[1].splitlines()) > 60


def test_real_table(shared_npz):
    data = shared_npz("nltcs")
    flow = fitted(data["train"], data["n_categories"], n_jobs=2)
    assert -flow.score(data["valid"]) < 6.0
    np.testing.assert_array_equal(flow.inverse_transform(flow.transform(data["valid"])), data["valid"])


# ---- parameters ----


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", "sorted"),
        ("order", [0, 0]),
        ("order", [0]),
        ("order", [0.0, 1.0]),
        ("order", [1, 2]),
        ("criterion", "gini"),
        ("max_depth", -1),
        ("min_samples_leaf", 0),
        ("prior_split", 0.0),
        ("prior_split", np.inf),
        ("prior_split", np.nan),
        ("smoothing", "auto"),
        ("smoothing", 0),
        ("max_features", 0),
        ("max_features", 1.5),
        ("max_features", 0.0),
        ("max_features", "log2"),
        ("n_jobs", "all"),
    ],
)
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        AutoregressiveTreeFlow(**{name: value}).fit(np.zeros((5, 2), dtype=int))


# ---- the ensemble ----


def test_weights_of_members_are_those_of_highest_likelihood():
    rng = np.random.default_rng(0)
    prob = rng.uniform(0.05, 0.95, (2, 500))
    prob[0] *= 0.8
    weights = _weights(np.log(prob))
    grid = np.linspace(0, 1, 1001)[1:-1, None]
    score = np.log(grid * prob[0] + (1 - grid) * prob[1]).sum(axis=1) + np.log(grid * (1 - grid))[:, 0]
    assert weights[0] == pytest.approx(grid[score.argmax(), 0], abs=2e-3)
    impossible = np.full((2, 1), -np.inf)
    np.testing.assert_array_equal(_weights(np.hstack([np.log(prob), impossible])), weights)
    assert _weights(np.array([[-1.0, -2.0], [-np.inf, -np.inf]])) == pytest.approx([0.75, 0.25])
    assert _weights(impossible) == pytest.approx([0.5, 0.5])


def test_an_ensemble_is_the_mean_of_its_members():
    codes = random_table(0, 400, K)
    ensemble = TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 4, categories=declared(K), random_state=0).fit(
        codes
    )
    members = np.array([member.score_samples(codes) for member in ensemble.estimators_])
    expected = np.log(np.average(np.exp(members), axis=0, weights=ensemble.weights_))
    np.testing.assert_allclose(ensemble.score_samples(codes), expected, rtol=1e-12)
    assert ensemble.weights_.sum() == pytest.approx(1)
    assert np.ptp(ensemble.weights_) > 0
    uniform = clone(ensemble).set_params(weights="uniform").fit(codes)
    np.testing.assert_array_equal(uniform.weights_, [0.25] * 4)
    for a, b in zip(uniform.estimators_, ensemble.estimators_, strict=True):
        np.testing.assert_array_equal(a.score_samples(codes), b.score_samples(codes))
    assert len({tuple(member.order_) for member in ensemble.estimators_}) > 1
    table = pd.DataFrame(codes, columns=list("abcde"))
    named = TreeFlowEnsemble(n_estimators=2, random_state=0).fit(table)
    assert named.feature_names_in_.tolist() == list("abcde")
    assert named.estimators_[0].sample(3).columns.tolist() == list("abcde")


def test_no_more_members_are_added_than_gain():
    codes = random_table(0, 400, [2, 3])  # two columns: the second order is as good as all further ones
    ensemble = TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 8, categories=declared([2, 3]), random_state=0)
    kept = ensemble.fit(codes)
    assert len(kept.estimators_) == len(kept.weights_) < 8
    threads = clone(ensemble).set_params(n_jobs=3).fit(codes)
    np.testing.assert_array_equal(threads.weights_, kept.weights_)
    np.testing.assert_array_equal(threads.score_samples(codes), kept.score_samples(codes))
    for whole in ({"weights": "uniform"}, {"estimator": [AutoregressiveTreeFlow(order="random")] * 8}):
        assert len(clone(ensemble).set_params(**whole).fit(codes).weights_) == 8
    rng = np.random.default_rng(0)
    scores = list(np.log(rng.uniform(0.05, 0.95, (6, 200))))
    scores[3:] = [scores[0]] * 3  # nothing new: the second and third of these together gain nothing
    assert len(list(_while_gaining(enumerate(scores)))) == 5
    impossible = [np.append(score, -np.inf) for score in scores]
    assert len(list(_while_gaining(enumerate(impossible)))) == 6


def test_members_fitted_elsewhere():
    k = [2, 3]
    halves = np.split(random_table(0, 400, k), 2)
    members = [fitted(half, k) for half in halves]
    ensemble = TreeFlowEnsemble.from_members(members)
    domain = whole_domain(k)
    assert np.exp(ensemble.score_samples(domain)).sum() == pytest.approx(1)
    expected = np.mean([np.exp(member.score_samples(domain)) for member in members], axis=0)
    np.testing.assert_allclose(np.exp(ensemble.score_samples(domain)), expected)
    assert ensemble.n_estimators == 2
    assert ensemble.sample(5).shape == (5, 2)


def test_members_that_do_not_go_together():
    codes = random_table(0, 200, [2, 3])
    member = fitted(codes, [2, 3])
    with pytest.raises(ValueError, match="at least one member"):
        TreeFlowEnsemble.from_members([])
    with pytest.raises(ValueError, match="members 0 and 1 were fitted on different domains: column 'x1' has"):
        TreeFlowEnsemble.from_members([member, fitted(codes, [2, 4])])
    with pytest.raises(ValueError, match="different domains: 2 columns and 1"):
        TreeFlowEnsemble.from_members([member, fitted(codes[:, :1], [2])])
    with pytest.raises(ValueError, match="different domains: columns"):
        TreeFlowEnsemble.from_members([member, AutoregressiveTreeFlow().fit(pd.DataFrame(codes, columns=["a", "b"]))])
    with pytest.raises(TypeError, match="member 0 must be a fitted model of treeflows"):
        TreeFlowEnsemble.from_members([LogisticRegression()])
    with pytest.raises(ValueError, match="not fitted"):
        TreeFlowEnsemble.from_members([AutoregressiveTreeFlow()])


def test_what_an_ensemble_cannot_be_made_of():
    X = np.zeros((5, 2), dtype=int)
    with pytest.raises(ValueError, match="n_estimators"):
        TreeFlowEnsemble(n_estimators=0).fit(X)
    with pytest.raises(TypeError, match="estimator must be .* has no score_samples and no sample"):
        TreeFlowEnsemble(LogisticRegression()).fit(X)
    with pytest.raises(ValueError, match="max_depth"):
        TreeFlowEnsemble(AutoregressiveTreeFlow(max_depth=-1)).fit(X)


def test_an_ensemble_of_layers_and_of_ensembles():
    codes = random_table(0, 300, [2, 3])
    inner = TreeFlowEnsemble(DiscreteTreeFlow(1, criterion="random"), 2)
    ensemble = TreeFlowEnsemble(inner, 2, categories=declared([2, 3]), random_state=0).fit(codes)
    assert np.exp(ensemble.score_samples(whole_domain([2, 3]))).sum() == pytest.approx(1)


@pytest.mark.parametrize("model", [AutoregressiveTreeFlow, DiscreteTreeFlow])
@pytest.mark.parametrize("smoothing", [1, np.float32(0.5), np.int64(2), Fraction(1, 2)])
def test_smoothing_is_a_number_of_any_type(model, smoothing):
    X = random_table(0, 200, [3, 2, 4])
    expected = model(smoothing=float(smoothing)).fit(X).score_samples(X)
    np.testing.assert_array_equal(model(smoothing=smoothing).fit(X).score_samples(X), expected)


@pytest.mark.parametrize("model", [AutoregressiveTreeFlow, DiscreteTreeFlow])
def test_smoothing_is_no_truth_value(model):
    with pytest.raises(TypeError, match="or a number, got True"):
        model(smoothing=True).fit(random_table(0, 200, [3, 2, 4]))


def test_of_very_many_columns_no_two_are_compared(monkeypatch):
    monkeypatch.setattr(autoregressive, "MOST_PAIRED", 3)
    monkeypatch.setattr(autoregressive, "pairwise_information", None)
    assert fitted(random_table(0, 100, K)).order_.tolist() == [0, 1, 2, 3, 4]
