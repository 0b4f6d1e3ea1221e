"""Latent classes: against plain loops, sums over whole domains, published figures and known standard errors."""

import itertools
import math
import pickle
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
import readable_latent
from matplotlib import pyplot

from treeflows import AutoregressiveTreeFlow, GroupsDisplay, from_counts
from treeflows._ext import latent
from treeflows.learning.latent import BAYES_ROWS, ClassLearner, LatentClasses, cells_of

matplotlib.use("Agg")

# Landis and Koch 1977: seven pathologists, 118 slides, who saw a carcinoma; as in Agresti, "Categorical data analysis"
CARCINOMA = {
    "0000000": 34, "0000100": 2, "0100000": 6, "0100001": 1, "0100100": 4, "0100101": 5, "1000000": 2, "1010101": 1,
    "1100000": 2, "1100001": 1, "1100100": 2, "1100101": 7, "1100111": 1, "1101001": 1, "1101101": 2, "1101111": 3,
    "1110101": 13, "1110111": 5, "1111101": 10, "1111111": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
def carcinoma():
    X = pd.DataFrame([[["no", "yes"][int(c)] for c in row] for row in CARCINOMA], columns=list("ABCDEFG"))
    return X, np.array(list(CARCINOMA.values()))


@pytest.fixture(scope="module")
def found(carcinoma):
    X, weight = carcinoma
    model = AutoregressiveTreeFlow(random_state=0).fit(X, sample_weight=weight)
    return model.find_groups(X, range(1, 5), sample_weight=weight, n_bootstrap=100)


def random_case(rng):
    """Rows with holes and weights, numbers of categories, and classes."""
    k = rng.integers(1, 5, rng.integers(1, 5)).astype(np.int32)
    n, n_classes = int(rng.integers(1, 30)), int(rng.integers(1, 5))
    codes = rng.integers(0, k, (n, len(k))).astype(np.uint8)
    observed = rng.random(codes.shape) < 0.8
    prob = np.vstack([rng.dirichlet(np.ones(m), n_classes).T for m in k])
    return codes, observed, k, rng.integers(1, 4, n).astype(np.int32), rng.dirichlet(np.ones(n_classes)), prob


def as_lists(codes, observed, k, prob):
    rows = [[int(v) if o else None for v, o in zip(*row, strict=True)] for row in zip(codes, observed, strict=True)]
    first = np.concatenate(([0], np.cumsum(k)))
    by_class = [[p[a:b].tolist() for a, b in itertools.pairwise(first)] for p in prob.T]
    return rows, by_class


def climb(codes, observed, k, times, weight, prob, tolerance, most_steps):
    first = np.concatenate(([0], np.cumsum(k))).astype(np.int32)
    classes = np.vstack([weight, prob])[None].copy()
    run = np.zeros(1, np.int32), np.zeros((1, len(prob))), first, classes
    cells = cells_of(codes, observed, k)
    [score], [done] = latent.climb(cells, times[None].astype(float), *run, tolerance, most_steps)
    return score, done, classes[0, 0], classes[0, 1:]


def test_a_step_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    for _ in range(40):
        codes, observed, k, times, weight, prob = random_case(rng)
        observed[:, :] |= codes.shape[0] < 2  # of each column something is observed
        observed[0] = True
        rows, by_class = as_lists(codes, observed, k, prob)
        expected, told = readable_latent.step(rows, times.tolist(), weight.tolist(), by_class)
        score, _, got, got_prob = climb(codes, observed, k, times, weight, prob, np.inf, 1)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        np.testing.assert_allclose(got_prob, np.array([np.concatenate(each) for each in told]).T, rtol=1e-10)
        assert score == pytest.approx(readable_latent.log_likelihood(rows, times, expected, told), rel=1e-12)


def test_where_it_ends_is_a_maximum():
    rng = np.random.default_rng(1)
    for _ in range(20):
        codes, observed, k, times, weight, prob = random_case(rng)
        observed[0] = True
        rows, by_class = as_lists(codes, observed, k, prob)
        before = readable_latent.log_likelihood(rows, times, weight.tolist(), by_class)
        score, done, weight, prob = climb(codes, observed, k, times, weight, prob, 1e-12, 20_000)
        assert done
        assert score >= before - 1e-9
        told = readable_latent.step(rows, times.tolist(), weight.tolist(), as_lists(codes, observed, k, prob)[1])
        assert readable_latent.log_likelihood(rows, times, *told) <= score + 1e-8 * times.sum()


def test_classes_sum_to_one_over_the_whole_domain():
    rng = np.random.default_rng(2)
    for _ in range(10):
        *_, k, _, weight, prob = random_case(rng)
        domain = np.array(list(itertools.product(*map(range, k))), dtype=np.uint8)
        classes = LatentClasses(k, weight, prob)
        joint = np.exp(classes.log_joint(cells_of(domain, None, k)))
        assert joint.sum() == pytest.approx(1, abs=1e-9)
        np.testing.assert_allclose(classes.posterior(cells_of(domain, None, k)), joint / joint.sum(1)[:, None])
        # a cell that is not observed is summed out
        hidden = np.zeros_like(domain, dtype=bool)
        hidden[:, :-1] = True
        summed = np.exp(classes.log_joint(cells_of(domain[:: k[-1]], hidden[:: k[-1]], k)))
        np.testing.assert_allclose(summed, joint.reshape(-1, k[-1], len(weight)).sum(axis=1))


def test_published_figures(found):
    """Linzer, Lewis, "poLCA", Journal of Statistical Software 42(10), 2011: likelihoods, criteria, shares, profiles."""
    told = {each.n_groups: each for each in found.criteria}
    assert [told[n].log_likelihood for n in (2, 3, 4)] == pytest.approx([-317.2568, -293.7050, -289.2858], abs=1e-4)
    assert [told[n].aic for n in (2, 3, 4)] == pytest.approx([664.5137, 633.4100, 640.5717], abs=1e-4)
    assert [told[n].bic for n in (2, 3, 4)] == pytest.approx([706.0739, 697.1357, 726.4629], abs=1e-4)
    np.testing.assert_allclose(found.weight, [0.4447, 0.3736, 0.1817], atol=1e-4)
    assert found.profiles["A"][2, 1] == pytest.approx(0.5128, abs=1e-3)
    assert found.profiles["C"][0, 1] == pytest.approx(0.8575, abs=1e-3)
    assert found.names[1] == "G = no, E = no"
    assert max(told, key=lambda n: told[n].held_out) == 3
    assert all(each.held_out < each.log_likelihood for each in found.criteria)


def test_intervals(found):
    low, high = found.weight_interval()
    assert (low < found.weight).all()
    assert (found.weight < high).all()
    # published standard errors of the shares, by other means: 0.0487, 0.0506, 0.0383
    np.testing.assert_allclose(found.resampled_weight.std(axis=0), [0.05, 0.05, 0.04], rtol=0.35)
    assert found.profile_interval("A", 0.5).shape == (2, 3, 2)
    frame = found.to_frame()
    assert list(frame)[:3] == ["group 0", "group 0 low", "group 0 high"]
    assert (frame["group 2 low"] <= frame["group 2"] + 1e-9).all()
    assert "group 1, 37.4% of the rows (" in str(found)


def test_standard_errors_of_one_class_are_those_of_proportions():
    X = np.random.default_rng(3).integers(0, 2, (300, 2))
    model = AutoregressiveTreeFlow(random_state=0).fit(X)
    with pytest.warns(UserWarning, match="there are none"):
        found = model.find_groups(X, 1, n_bootstrap=300)
    error = found.resampled_profiles["x0"].std(axis=0)[0, 1]
    assert error == pytest.approx(math.sqrt(0.25 / 300), rel=0.15)


def test_the_same_whatever_the_order_the_threads_and_the_form(carcinoma, found):
    X, weight = carcinoma
    rows = X.loc[np.repeat(X.index, weight)].sample(frac=1, random_state=1)
    model = AutoregressiveTreeFlow(random_state=0, n_jobs=2).fit(rows)
    other = model.find_groups(rows, [3, 1], n_bootstrap=100)
    assert other.weight.tobytes() == found.weight.tobytes()
    assert other.resampled_weight.tobytes() == found.resampled_weight.tobytes()
    told = pd.DataFrame([each for each in found.criteria if each.n_groups in (1, 3)])
    of_one_fewer = {"likelihood_ratio": np.nan}  # which was not tried
    pd.testing.assert_frame_equal(told.assign(**of_one_fewer), pd.DataFrame(other.criteria))
    np.testing.assert_array_equal(found.predict(rows), other.group)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).predict(rows), other.group)


def test_tables_drawn_from_classes_are_like_them():
    rng, k = np.random.default_rng(0), np.array([2, 3, 4], dtype=np.int32)
    codes, observed = rng.integers(0, k, (12, 3)).astype(np.uint8), rng.random((12, 3)) < 0.8
    times, prob = np.full(12, 2000, dtype=np.int32), np.vstack([rng.dirichlet(np.ones(m), 2).T for m in k])
    classes = LatentClasses(k, np.array([0.7, 0.3]), prob)
    cells, n = cells_of(codes, observed, k), k.sum()
    drawn = ClassLearner(cells, times, k, 1, 1).drawn(classes, rng)
    before, after = (
        np.repeat(each == n, w, axis=0) @ [1, 2, 4] for each, w in ((cells, times), (drawn.cells, drawn.weight))
    )
    assert np.bincount(before).tolist() == np.bincount(after).tolist()
    whole = (drawn.cells < n).all(axis=1)
    joint = np.zeros(k)
    joint[tuple((drawn.cells[whole] - [0, 2, 5]).T)] = drawn.weight[whole] / drawn.weight[whole].sum()
    told = np.einsum("ag,bg,cg,g->abc", prob[:2], prob[2:5], prob[5:], classes.weight)
    np.testing.assert_allclose(joint, told, atol=0.01)


def test_one_group_fewer_is_refused_as_often_as_said():
    """Where there is one fewer, p-values are uniform, on 1/20, 2/20, …; where there is not, they are least."""
    rng, found = np.random.default_rng(0), []
    for seed in range(20):
        X = (rng.random((60, 4)) < 0.4).astype(int)
        model = AutoregressiveTreeFlow(random_state=0, n_jobs=1).fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = model.find_groups(X, 2, n_starts=5, n_simulations=19, random_state=seed).criteria
        found.append(told[1].p_value)
        assert told[1].likelihood_ratio == pytest.approx(2 * (told[1].log_likelihood - told[0].log_likelihood))
    assert 0.35 < np.mean(found) < 0.7
    assert np.mean(np.array(found) <= 0.1) <= 0.25


def test_each_number_is_tested_against_one_fewer(carcinoma, found):
    assert all(math.isnan(each.p_value) for each in found.criteria)
    X, weight = carcinoma
    model = AutoregressiveTreeFlow(random_state=0, n_jobs=1).fit(X, sample_weight=weight)
    few = model.find_groups(X, 3, sample_weight=weight, n_simulations=19)
    assert [each.n_groups for each in few.criteria] == [1, 2, 3]
    assert [each.p_value for each in few.criteria[1:]] == [0.05, 0.05]
    assert math.isnan(few.criteria[0].p_value)
    assert few.weight.tobytes() == found.weight.tobytes()
    assert "entropy  p of one fewer\n" in few.to_text()
    assert "p of one fewer" not in found.to_text()
    rows = X.loc[np.repeat(X.index, weight)].sample(frac=1, random_state=1)
    other = model.set_params(n_jobs=2).find_groups(rows, 4, n_simulations=19)
    assert other.criteria[-1].p_value > 0.05
    again = model.set_params(n_jobs=1).find_groups(X, 4, sample_weight=weight, n_simulations=19)
    assert again.criteria[-1] == other.criteria[-1]
    with pytest.raises(ValueError, match="n_simulations"):
        model.find_groups(X, 2, n_simulations=-1)


def test_held_out_likelihood_of_one_class():
    codes, times = np.array([[0], [1]], dtype=np.uint8), np.array([6, 4], dtype=np.int32)
    learner = ClassLearner(cells_of(codes, None, np.array([2], np.int32)), times, np.array([2], np.int32), 1, 1)
    row = np.repeat([0, 1, 0, 1], [3, 2, 3, 2])
    told, _ = learner.held_out(1, row, [slice(0, 5), slice(5, 10)], np.random.default_rng(0))
    p = (3 + BAYES_ROWS * 3.5 / 6) / (5 + BAYES_ROWS)  # of both halves, which have the same rows
    assert told == pytest.approx(0.6 * math.log(p) + 0.4 * math.log(1 - p))


def test_missing_cells_are_summed_out():
    """What is missing where another column says so biases what is left; the likelihood of what is observed does not."""
    rng = np.random.default_rng(4)
    group = rng.random(4000) < 0.4
    X = pd.DataFrame(rng.random((4000, 5)) < np.where(group, 0.9, 0.1)[:, None], columns=list("abcde")).astype(object)
    X.loc[X["a"].astype(bool) & (rng.random(4000) < 0.7), "b"] = None
    model = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(X)
    found = model.find_groups(X, 2)
    np.testing.assert_allclose(found.weight, [0.6, 0.4], atol=0.03)
    np.testing.assert_allclose(found.profiles["b"][:, 1], [0.1, 0.9], atol=0.04)
    assert abs(X["b"].dropna().mean() - 0.42) > 0.08
    # of a table that lacks columns, by those that it has
    told = found.predict_proba(X[["a", "c"]].head(50))
    rows = LatentClasses(found.columns.n_categories, found.weight, found.classes.prob)
    codes, observed = np.zeros((50, 5), np.uint8), np.tile([True, False, True, False, False], (50, 1))
    codes[:, 0], codes[:, 2] = X["a"].head(50).astype(int), X["c"].head(50).astype(int)
    np.testing.assert_allclose(told, rows.posterior(cells_of(codes, observed, found.columns.n_categories)))


def test_numbers_are_cut_at_quintiles_by_weight():
    rng = np.random.default_rng(5)
    group = rng.random(300) < 0.5
    X = pd.DataFrame(
        {"x": np.where(group, rng.integers(0, 40, 300), rng.integers(50, 99, 300)), "y": group, "z": group}
    )
    X.loc[::9, "x"] = None
    X["x"] = X["x"].astype("Float64")
    X["more"] = np.where(group, "a", "b")
    model = AutoregressiveTreeFlow(numeric=["x"], random_state=0).fit(X)
    rows, weight = from_counts(X.value_counts(dropna=False))
    rows = rows.astype(X.dtypes.to_dict())
    one, other = model.find_groups(X, 2), model.find_groups(rows, 2, sample_weight=weight)
    assert one.labels == other.labels
    assert one.labels["x"][-1] == "(missing)"
    assert len(one.labels["x"]) == 6
    assert one.weight.tobytes() == other.weight.tobytes()
    assert (one.predict(X.assign(x=-1.0)) == one.predict(X.assign(x=0.0))).all()


@pytest.mark.filterwarnings("ignore:one group tells")
def test_small_and_odd_tables():
    one = pd.DataFrame({"a": ["x"], "b": ["y"]})
    found = AutoregressiveTreeFlow(random_state=0).fit(one).find_groups(one, n_bootstrap=3)
    assert len(found.criteria) == 1
    assert math.isnan(found.criteria[0].held_out)
    assert found.criteria[0].log_likelihood == pytest.approx(0)
    assert found.probability.tolist() == [[1.0]]
    same = pd.DataFrame({"a": ["x"] * 30, "b": ["y"] * 30})
    model = AutoregressiveTreeFlow(random_state=0).fit(same)
    assert model.find_groups(same, n_bootstrap=3).weight.tolist() == [1.0]
    with pytest.raises(ValueError, match="n_groups is 2, and only 1 of the rows differ"):
        model.find_groups(same, 2)
    for bad in ([], 0, 1.5, [3, 0]):
        with pytest.raises((TypeError, ValueError), match="n_groups"):
            model.find_groups(same, bad)
    rng = np.random.default_rng(6)
    group = rng.random(200) < 0.5
    X = pd.DataFrame(rng.random((200, 4)) < np.where(group, 0.9, 0.1)[:, None], columns=list("abcd")).astype(str)
    X["constant"] = "c"
    model = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(X)
    found = model.find_groups(X)
    assert len(found.weight) == 2
    assert found.criteria[1].n_parameters == 9
    assert found.profiles["constant"].tolist() == [[1.0], [1.0]]
    # a column of which nothing is observed, and a row
    X["a"], X.loc[3] = None, None
    found = model.find_groups(X, 2)
    assert np.isfinite(found.probability).all()
    np.testing.assert_allclose(found.probability[3], found.weight, atol=1e-12)
    with pytest.warns(UserWarning, match="n_groups is 4: other groups are as likely"):
        model.find_groups(X, 4)
    # a row that no class allows is in one nevertheless
    told = model.find_groups(X.head(6), 2).predict_proba(pd.DataFrame({"b": ["True"], "c": ["False"], "d": ["True"]}))
    assert told.sum() == pytest.approx(1)


def test_pictures(found):
    try:
        display = GroupsDisplay(found).plot()
        assert len(display.values_) == 7
        assert display.axes_[0].get_legend().get_texts()[0].get_text() == "group 0, 44%"
        assert display.axes_[1].get_legend() is not None
        display = GroupsDisplay(found).plot(ax=pyplot.subplots(1, 2)[1])
        assert display.figure_ is display.axes_[1].figure
    finally:
        pyplot.close("all")
