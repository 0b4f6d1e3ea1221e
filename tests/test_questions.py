"""Conditionals, marginals, missing cells, given columns and anomalies, against sums over the whole domain."""

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from conftest import declared, random_table, whole_domain
from scipy.special import logsumexp
from scipy.stats import chisquare
from sklearn.base import clone
from test_models import MODELS, fitted

from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, MonteCarloWarning, TreeFlowEnsemble, TreeFlowMixture
from treeflows._ext import encoding
from treeflows.densities.density import Density
from treeflows.densities.weighted import WeightedMean
from treeflows.inference import estimates
from treeflows.inference.ahead import Forest

K = [2, 3, 1, 4, 2]
ORDERED = ["trees", "trees of random order", "mixture"]


def table(seed=3, n_rows=400):
    return random_table(seed, n_rows, K)


def model_and_domain(name, **options):
    """A fitted model, every row of the domain, and its log-probability."""
    model = fitted(name, table(), K, **options)
    rows = whole_domain(K)
    return model, rows, model.score_samples(rows)


def rows_with_holes(seed, n_rows, share):
    rows = table(seed, n_rows).astype(float)
    rows[np.random.default_rng(seed).random(rows.shape) < share] = np.nan
    return rows


def agreeing(rows, observed):
    """Which rows of the domain agree with the observed cells of a row."""
    return ((rows == observed) | np.isnan(observed)).all(axis=1)


# ---- conditionals ----


@pytest.mark.parametrize("name", MODELS)
def test_conditionals_are_those_of_the_joint(name):
    model, rows, log_prob = model_and_domain(name)
    asked = table(5, 30)
    for j, k in enumerate(K):
        probability = model.conditional_proba(asked, j)
        assert probability.shape == (30, k)
        for row, told in zip(asked, probability, strict=True):
            others = np.delete(rows, j, axis=1) == np.delete(row, j)
            np.testing.assert_allclose(
                told, np.exp(log_prob[others.all(axis=1)]) / np.exp(log_prob[others.all(axis=1)]).sum()
            )
        np.testing.assert_array_equal(model.predict(asked, j), probability.argmax(axis=1))


def test_what_stands_in_the_column_does_not_matter():
    X = pd.DataFrame({"a": list("xyxy") * 20, "b": list("pqpq") * 20})
    model = AutoregressiveTreeFlow().fit(X)
    asked = pd.DataFrame({"a": ["x", "y"], "b": ["never seen", "p"]})
    assert model.predict(asked, "b").tolist() == ["p", "q"]
    np.testing.assert_array_equal(model.conditional_proba(asked, "b").argmax(axis=1), [0, 1])
    with pytest.raises(ValueError, match="no column 'c'; there are 'a', 'b'"):
        model.predict(asked, "c")
    with pytest.raises(ValueError, match="column 'b' holds 'never seen'"):
        model.predict(asked, "a")
    pd.testing.assert_frame_equal(model.predict(X), X)  # every column, each given the other


def test_mixture_predicts_states_and_columns():
    model = fitted("mixture", table(), K)
    assert model.predict_state(table()).max() < 3
    assert model.predict(table()).shape == (400, 5)
    assert model.predict(table(), 3).shape == (400,)


def test_states_given_what_is_observed():
    model = fitted("mixture", table(), K)
    model.missing = "marginalize"
    density, first = model.distribution_, model.domain_.first_category
    states = getattr(density, "average", density).products
    told = model.predict_state_proba([[np.nan, 2, np.nan, np.nan, 1], [np.nan] * 5])
    expected = states.weight * states.prob[first[1] + 2] * states.prob[first[4] + 1]
    np.testing.assert_allclose(told[0], expected / expected.sum())
    np.testing.assert_allclose(told[1], states.weight)
    assert model.predict_state([[np.nan] * 5]).tolist() == [0]


# ---- marginals ----


@pytest.mark.parametrize("name", MODELS)
def test_marginals_are_sums_over_the_domain(name):
    model, rows, log_prob = model_and_domain(name)
    model.missing = "marginalize"
    asked = rows_with_holes(7, 40, 0.4)
    expected = [logsumexp(log_prob[agreeing(rows, row)]) for row in asked]
    np.testing.assert_allclose(model.score_samples(asked), expected, atol=1e-9)
    nothing = np.full((1, len(K)), np.nan)
    assert model.score_samples(nothing)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_estimated_marginals_say_their_error(name, monkeypatch):
    model, rows, log_prob = model_and_domain(name)
    model.missing = "marginalize"
    asked = rows_with_holes(7, 60, 0.5)
    expected = np.array([logsumexp(log_prob[agreeing(rows, row)]) for row in asked])
    monkeypatch.setattr(estimates, "MOST_STATES", 1)
    with pytest.warns(MonteCarloWarning, match="standard error of at most"):
        scores = model.score_samples(asked)
    with warnings.catch_warnings(action="ignore"):  # the same on every call, and whatever the other rows are
        np.testing.assert_array_equal(model.score_samples(asked), scores)
        np.testing.assert_array_equal(model.score_samples(asked[17:19]), scores[17:19])
    codes = np.nan_to_num(asked).astype(np.uint8)
    log_prob, error = model.distribution_.marginal(codes, ~np.isnan(asked), 1)
    np.testing.assert_array_equal(log_prob, scores)
    np.testing.assert_array_equal(model.distribution_.marginal(codes, ~np.isnan(asked), 2)[0], scores)
    off = np.abs(scores - expected)
    assert (off[error == 0] < 1e-9).all()
    assert (off <= 5 * error + 1e-9).all()
    assert np.mean(off[error > 0] <= error[error > 0]) > 0.4  # about two thirds of normal errors


def copies(n_rows):
    half = np.random.default_rng(0).integers(0, 2, (n_rows, 30))
    return np.hstack([half, half]).astype(float)


@pytest.mark.parametrize(
    "model",
    [
        AutoregressiveTreeFlow(order="natural"),
        AutoregressiveTreeFlow(),
        TreeFlowMixture(n_components=2, n_trees=2, random_state=0),
        TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, random_state=0),
    ],
)
def test_marginals_do_not_collapse_where_all_that_is_missing_is_told_later(model):
    """Of 30 coins and their copies the copies alone are seen; no draw that does not look ahead agrees with them."""
    X = copies(3000)
    model = clone(model).set_params(missing="marginalize").fit(X)
    holes = X[:5].copy()
    holes[:, :30] = np.nan
    with pytest.warns(MonteCarloWarning, match="worth at least") as warned:
        scores = model.score_samples(holes)
    np.testing.assert_allclose(scores, 30 * np.log(0.5), atol=0.5)
    assert float(re.search("at most ([0-9.]+) nats", str(warned[0].message))[1]) < 0.05


def test_marginals_of_layers_sum_to_one_or_are_refused():
    X = copies(3000)
    model = DiscreteTreeFlow(5, missing="marginalize").fit(X)
    one = np.full((2, 60), np.nan)
    one[:, 0] = [0, 1]
    with pytest.warns(MonteCarloWarning):
        assert np.exp(model.score_samples(one)).sum() == pytest.approx(1, abs=0.1)
    assert model.score_samples(np.full((1, 60), np.nan))[0] == 0


@pytest.mark.parametrize("name", MODELS)
def test_the_marginal_of_nothing_is_one(name):
    model = fitted(name, table(), K)
    model.missing = "marginalize"
    assert model.score_samples(np.full((2, len(K)), np.nan)).tolist() == [0, 0]


def chain(n_rows, rng):
    turns = np.where(rng.random((n_rows, 10)) < 0.1, 1, 0)
    turns[:, 0] = rng.integers(0, 2, n_rows)
    return np.cumsum(turns, axis=1) % 2


def parity(n_rows, rng):
    bits = rng.integers(0, 2, (n_rows, 4))
    return np.column_stack([bits, bits.sum(axis=1) % 2])


def pairs(n_rows, rng):
    return np.repeat(rng.integers(0, 3, (n_rows, 3)), 2, axis=1)


@pytest.mark.parametrize("make", [chain, parity, pairs])
@pytest.mark.parametrize(
    "model",
    [
        AutoregressiveTreeFlow(order="natural"),
        TreeFlowMixture(n_components=2, n_trees=2, random_state=0),
        DiscreteTreeFlow(3),
        TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, random_state=0),
    ],
)
def test_estimated_marginals_of_structured_tables(make, model, monkeypatch):
    rng = np.random.default_rng(1)
    X = make(2000, rng)
    k = X.max(axis=0) + 1
    rows = whole_domain(k)
    model = clone(model).set_params(missing="marginalize", categories=declared(k)).fit(X)
    log_prob = model.score_samples(rows)
    asked = X[:30].astype(float)
    asked[rng.random(asked.shape) < rng.random((30, 1))] = np.nan
    expected = np.array([logsumexp(log_prob[agreeing(rows, row)]) for row in asked])
    monkeypatch.setattr(estimates, "MOST_STATES", 1)
    scores, error = model.distribution_.marginal(np.nan_to_num(asked).astype(np.uint8), ~np.isnan(asked), 1)
    assert np.count_nonzero(error) > 10
    assert (np.abs(scores - expected) <= 5 * error + 1e-9).all()
    assert error.max() < 0.2


@dataclass(frozen=True, eq=False)
class Parities(Density):
    """Three columns times over: two coins, and nearly always their parity, which no pair of columns tells."""

    order = None

    def score(self, codes, threads=1):
        odd = codes[:, 0::3] ^ codes[:, 1::3] ^ codes[:, 2::3]
        return np.where(odd, np.log(0.25 * 0.001), np.log(0.25 * 0.999)).sum(axis=1)

    def sample(self, n_samples, rng, threads=1):
        codes = rng.integers(0, 2, (n_samples, len(self.n_categories)), dtype=np.uint8)
        codes[:, 2::3] = codes[:, 0::3] ^ codes[:, 1::3] ^ (rng.random((n_samples, codes.shape[1] // 3)) < 0.001)
        return codes


def test_there_is_no_estimate_where_no_draws_count():
    X = np.random.default_rng(0).integers(0, 2, (500, 60)).astype(float)
    model = AutoregressiveTreeFlow(missing="marginalize").fit(X)
    model.take(model.domain_, Parities(model.domain_.n_categories))
    asked = X[:3].copy()
    asked[0, 0::3] = asked[0, 1::3] = np.nan
    asked[1, :6] = np.nan
    with pytest.warns(MonteCarloWarning, match=r"of 1 row\(s\) no estimate can be trusted: they are NaN"):
        scores = model.score_samples(asked)
    assert np.isnan(scores).tolist() == [True, False, False]
    with pytest.warns(MonteCarloWarning, match="no estimate"):
        assert np.isnan(model.conditional_proba(asked, 0)).all(axis=1).tolist() == [True, False, False]
    with (
        pytest.warns(MonteCarloWarning, match="no estimate"),
        pytest.raises(ValueError, match="row 0 has so many missing cells that column 'x0' cannot be told"),
    ):
        model.predict(asked, 0)


def test_a_member_without_an_estimate_does_not_stop_draws():
    codes = np.random.default_rng(0).integers(0, 2, (1, 60)).astype(np.uint8)
    k = np.full(60, 2, dtype=np.int32)
    ensemble = WeightedMean(k, (Parities(k), Parities(k)), np.array([0.5, 0.5]))
    observed = np.arange(60)[None] % 3 == 2
    drawn, effective, n_proposed = ensemble.given(codes, observed, 50, np.random.default_rng(0))
    assert (drawn[:, 2::3] == codes[0, 2::3]).all()
    assert effective < 50 < n_proposed


def test_fewer_parities_are_told():
    codes = np.random.default_rng(0).integers(0, 2, (3, 12)).astype(np.uint8)
    density = Parities(np.full(12, 2, dtype=np.int32))
    observed = np.tile(np.arange(12) % 3 == 2, (3, 1))
    exact, _ = density.marginal(codes, observed)
    np.testing.assert_allclose(exact, 4 * np.log(0.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "MOST_STATES", 1)
        log_prob, error = density.marginal(codes, observed)
    assert (np.abs(log_prob - exact) <= 4 * error).all()
    assert error.max() < 0.2


def test_what_a_forest_says_of_the_cells_to_come():
    """Messages by enumeration: how probable a value makes the observed cells that depend on it."""
    samples = pairs(500, np.random.default_rng(0))[:, [0, 2, 1, 3]].astype(np.uint8)
    forest = Forest(samples, np.full(4, 3, dtype=np.int32), np.arange(4))
    assert forest.parent[2:] == [0, 1]
    codes, observed = np.array([[0, 0, 2, 1]], dtype=np.uint8), np.array([[False, True, True, False]])
    ahead, _ = forest.messages(codes, observed, {})
    told = forest.tables[2][:, 2]
    np.testing.assert_allclose(ahead[0][0], np.maximum(told / told.max(), 1e-3))
    np.testing.assert_allclose(ahead[1][0], 1)  # what is not observed says nothing


@pytest.mark.parametrize("name", ORDERED)
def test_what_comes_from_a_place_of_the_order_on(name):
    model = fitted(name, table(), K)
    codes = table(5, 50).astype(np.uint8)
    told = np.log(model.distribution_.probabilities(codes, 1))
    for start in range(len(K)):
        np.testing.assert_allclose(model.distribution_.score(codes, 1, start), told[:, start:].sum(axis=1))
    np.testing.assert_array_equal(model.distribution_.score(codes, 1, 0), model.distribution_.score(codes, 1))


@pytest.mark.parametrize("name", ORDERED)
def test_a_prefix_of_the_order_is_exact_whatever_follows(name, monkeypatch):
    model, rows, log_prob = model_and_domain(name)
    model.missing = "marginalize"
    monkeypatch.setattr(estimates, "MOST_STATES", 1)
    asked = table(8, 20).astype(float)
    asked[:, model.distribution_.order[2:]] = np.nan
    expected = [logsumexp(log_prob[agreeing(rows, row)]) for row in asked]
    np.testing.assert_allclose(model.score_samples(asked), expected, atol=1e-9)


def test_conditionals_given_what_is_observed():
    model, rows, log_prob = model_and_domain("trees", missing="marginalize")
    asked = rows_with_holes(9, 20, 0.3)
    for row, told in zip(asked, model.conditional_proba(asked, 3), strict=True):
        row = row.copy()
        row[3] = np.nan
        joint = [logsumexp(log_prob[agreeing(rows, row) & (rows[:, 3] == v)]) for v in range(4)]
        np.testing.assert_allclose(told, np.exp(joint - logsumexp(joint)))


def test_estimated_conditionals_say_so(monkeypatch):
    model = fitted("trees", table(), K, missing="marginalize")
    asked = rows_with_holes(9, 20, 0.5)
    exact = model.conditional_proba(asked, 3)
    monkeypatch.setattr(estimates, "MOST_STATES", 1)
    with pytest.warns(MonteCarloWarning, match="standard error"):
        estimated = model.conditional_proba(asked, 3)
    np.testing.assert_allclose(estimated, exact, atol=0.05)
    assert (estimated != exact).any()


def test_missing_cells_have_no_codes():
    model = fitted("trees", table(), K, missing="marginalize")
    with pytest.raises(ValueError, match="column 'x1' has a missing value at row 2.*impute"):
        model.transform([[0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, np.nan, 0, 0, 0]])


# ---- fitting around missing cells ----


@pytest.mark.parametrize("model", [AutoregressiveTreeFlow(), TreeFlowMixture(random_state=0)])
def test_marginalizing_recovers_what_is_hidden(model):
    """Two columns that agree in nine rows of ten, a third of their cells hidden."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 4000)
    X = np.column_stack([first, np.where(rng.random(4000) < 0.9, first, rng.integers(0, 3, 4000))]).astype(float)
    whole = clone(model).fit(X)
    X[rng.random(X.shape) < 0.33] = np.nan
    model = model.set_params(missing="marginalize").fit(X)
    domain = whole_domain([3, 3])
    assert np.exp(model.score_samples(domain)).sum() == pytest.approx(1)
    np.testing.assert_allclose(np.exp(model.score_samples(domain)), np.exp(whole.score_samples(domain)), atol=0.02)
    assert model.categories_[0].tolist() == [0, 1, 2]  # no category for missing


@pytest.mark.parametrize("n_columns", [2, 4])
@pytest.mark.parametrize("share", [0.5, 0.7])
def test_marginalizing_keeps_what_copies_share(n_columns, share):
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 4, (4000, 1)), n_columns, axis=1).astype(float)
    X[rng.random(X.shape) < share] = np.nan
    model = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(X)
    assert np.exp(model.score_samples([[v] * n_columns for v in range(4)])).sum() > 0.98


def test_weighted_rows_with_holes_are_repeated_rows():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 2000)
    y = np.where(rng.random(2000) < 0.5, x, 1 - x)
    weight = np.where(x == y, 9, 1)
    X = np.column_stack([x, np.where(rng.random(2000) < 0.5, np.nan, y)])
    weighted = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(X, sample_weight=weight)
    repeated = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(np.repeat(X, weight, axis=0))
    agree = [np.exp(model.score_samples([[0, 0], [1, 1]])).sum() for model in (weighted, repeated)]
    np.testing.assert_allclose(agree, 0.9, atol=0.02)


def test_missing_of_a_column_of_256_categories():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.permutation(np.arange(1024) % 256), rng.integers(0, 2, 1024)]).astype(float)
    X[rng.random(X.shape) < 0.2] = np.nan
    model = AutoregressiveTreeFlow(missing="marginalize", categories=declared([256, 2]), random_state=0).fit(X)
    assert np.exp(model.score_samples([[np.nan, 0], [np.nan, 1]])).sum() == pytest.approx(1)


def test_a_column_that_is_never_observed():
    X = np.array([[0, np.nan], [1, np.nan]], dtype=object)
    with pytest.raises(ValueError, match="column 1 has no value that is not missing"):
        AutoregressiveTreeFlow().fit(X)
    model = AutoregressiveTreeFlow(missing="marginalize", categories=[[0, 1], [0, 1, 2]]).fit(X)
    assert np.isfinite(model.score_samples(X)).all()


# ---- imputation ----


@pytest.mark.parametrize("name", MODELS)
def test_most_probable_values(name):
    model, rows, log_prob = model_and_domain(name)
    asked = rows_with_holes(11, 60, 0.4)
    filled = model.impute(asked)
    np.testing.assert_array_equal(filled[~np.isnan(asked)], asked[~np.isnan(asked)])
    for row, told in zip(asked, filled, strict=True):
        prob = np.where(agreeing(rows, row), np.exp(log_prob), 0)
        for j in np.flatnonzero(np.isnan(row)):
            marginal = np.bincount(rows[:, j], prob, K[j])
            assert marginal[int(told[j])] == pytest.approx(marginal.max())


@pytest.mark.parametrize("most_states", [1024, 0])
@pytest.mark.parametrize("name", ["trees", "mixture", "layers", "ensemble"])
def test_drawn_values_are_from_the_posterior(name, most_states, monkeypatch):
    """By enumeration and by Gibbs sampling."""
    monkeypatch.setattr(estimates, "MOST_STATES", most_states)
    model, rows, log_prob = model_and_domain(name)
    row = np.array([1, np.nan, 0, np.nan, np.nan])
    n = 4000
    filled = model.impute(np.tile(row, (n, 1)), draw=True, random_state=0, n_sweeps=30).astype(int)
    some = agreeing(rows, row)
    expected = n * np.exp(log_prob[some] - logsumexp(log_prob[some]))
    place = {tuple(r): i for i, r in enumerate(rows[some].tolist())}
    observed = np.bincount([place[tuple(r)] for r in filled.tolist()], minlength=len(expected))
    few = expected < 5
    if few.any():
        observed, expected = (np.append(x[~few], x[few].sum()) for x in (observed, expected))
    assert chisquare(observed, expected).pvalue > 1e-3
    again = model.impute(np.tile(row, (n, 1)), draw=True, random_state=0, n_sweeps=30)
    np.testing.assert_array_equal(again, filled)


@pytest.mark.parametrize("name", ["trees", "mixture", "layers", "ensemble"])
def test_estimates_find_the_most_probable_values(name, monkeypatch):
    model, rows, log_prob = model_and_domain(name)
    asked = rows_with_holes(11, 200, 0.4)
    exact = model.impute(asked)
    monkeypatch.setattr(estimates, "MOST_STATES", 0)
    with pytest.warns(MonteCarloWarning, match="as probable within their error") as warned:
        estimated = model.impute(asked, random_state=0)
    n_doubtful = int(re.search(r"(\d+) cell", str(warned[0].message))[1])
    n_other = np.count_nonzero((estimated != exact) & np.isnan(asked))
    assert n_other <= n_doubtful < 0.2 * np.isnan(asked).sum()
    for row, told, best in zip(asked, estimated, exact, strict=True):
        prob = np.where(agreeing(rows, row), np.exp(log_prob - logsumexp(log_prob[agreeing(rows, row)])), 0)
        for j in np.flatnonzero(told != best):
            marginal = np.bincount(rows[:, j], prob, K[j])
            assert marginal[int(told[j])] == pytest.approx(marginal[int(best[j])], abs=0.06)
    with warnings.catch_warnings(action="ignore"):  # of equal rows equal cells, in any table and from any seed
        np.testing.assert_array_equal(model.impute(asked[60:90], random_state=1), estimated[60:90])
        alike = model.impute(np.tile(asked[3], (5, 1)), random_state=2)
    np.testing.assert_array_equal(alike, np.tile(estimated[3], (5, 1)))


def test_the_minority_is_never_the_most_probable_value():
    X = (np.random.default_rng(0).random((3000, 14)) < 0.3).astype(float)
    model = AutoregressiveTreeFlow().fit(X)
    holes = np.full((20, 14), np.nan)
    holes[:, 0] = 1
    np.testing.assert_array_equal(model.impute(holes)[:, 1:], 0)


@pytest.mark.parametrize("model", [AutoregressiveTreeFlow(order="natural"), TreeFlowMixture(random_state=0)])
def test_many_missing_cells_agree_with_what_comes_after_them(model):
    """Copies of a coin that no sweep over single cells can turn together."""
    rng = np.random.default_rng(0)
    coin = rng.integers(0, 2, (3000, 1))
    X = np.hstack([np.repeat(coin, 12, axis=1), np.where(rng.random((3000, 1)) < 0.95, coin, 1 - coin)]).astype(float)
    model = clone(model).fit(X)
    holes = X[:300].copy()
    holes[:, :12] = np.nan  # 4,096 states
    assert (model.impute(holes, random_state=0)[:, :12] == X[:300, 12:]).mean() > 0.95
    drawn = model.impute(holes, draw=True, random_state=0)
    assert (drawn[:, :12] == X[:300, 12:]).mean() == pytest.approx(0.95, abs=0.04)


def test_groups_of_rare_values():
    X = np.array([["c"]] * 500 + [[f"r{i % 50}"] for i in range(600)])
    X = np.hstack([X, np.where(X == "c", "common", "rare")])
    model = AutoregressiveTreeFlow(max_categories=2, random_state=0).fit(X)
    asked = np.array([["c", "rare"]] * 10, dtype=object)
    probability = model.conditional_proba(asked, 0)
    assert model.predict(asked, 0)[0] == model.categories_[0][probability[0].argmax()]
    holes = np.array([[None, "rare"]] * 400, dtype=object)
    assert len(set(model.impute(holes, draw=True, random_state=0)[:, 0])) > 30
    # one rare value is less probable than the common one, though all together are more
    unknown = np.array([[None, None]], dtype=object)
    assert model.impute(unknown)[0, 0] == "c"


def test_missing_is_filled_where_it_is_a_category_too():
    X = pd.DataFrame({"a": ["x", "y"] * 50, "b": ["p", "q"] * 49 + [None, "q"], "c": ["u"] * 100})
    model = AutoregressiveTreeFlow().fit(X)
    assert model.categories_[1].tolist() == ["p", "q", None]
    filled = model.impute(X)
    assert filled["b"].tolist() == ["p", "q"] * 50
    pd.testing.assert_frame_equal(filled[["a", "c"]], X[["a", "c"]])
    with pytest.raises(ValueError, match="n_sweeps"):
        model.impute(X, n_sweeps=0)


# ---- given columns ----


@pytest.mark.parametrize("name", MODELS)
def test_rows_with_given_values(name):
    model, rows, log_prob = model_and_domain(name)
    given = {0: 1, 3: 2}
    n = 3000
    with warnings.catch_warnings(action="ignore", category=MonteCarloWarning):
        drawn = model.sample(n, random_state=0, given=given)
        np.testing.assert_array_equal(model.sample(n, random_state=0, given=given), drawn)
    assert drawn.shape == (n, 5)
    assert (drawn[:, [0, 3]] == [1, 2]).all()
    some = (rows[:, 0] == 1) & (rows[:, 3] == 2)
    expected = np.exp(log_prob[some] - logsumexp(log_prob[some]))
    place = {tuple(r): i for i, r in enumerate(rows[some].tolist())}
    observed = np.bincount([place[tuple(r)] for r in drawn.tolist()], minlength=len(expected)) / n
    np.testing.assert_allclose(observed, expected, atol=0.05)


def test_given_columns_that_come_first_are_exact():
    order = [3, 0, 1, 2, 4]
    model = AutoregressiveTreeFlow(order=order, categories=declared(K)).fit(table())
    with warnings.catch_warnings(action="error"):
        drawn = model.sample(500, random_state=0, given={0: 1, 3: 2})
        assert model.sample(0, given={3: 1}).shape == (0, 5)
    assert (drawn[:, [0, 3]] == [1, 2]).all()
    with pytest.warns(MonteCarloWarning, match=r"effective rows out of [\d,]+ proposals"):
        model.sample(500, random_state=0, given={4: 1})


def test_a_rare_state_that_the_given_value_tells_is_not_lost():
    rng = np.random.default_rng(0)
    cause = rng.random(200_000) < 1e-3
    effect = np.where(cause, rng.random(200_000) < 0.99, rng.random(200_000) < 1e-3)
    model = AutoregressiveTreeFlow(order="natural").fit(np.column_stack([cause, effect]))
    told = model.conditional_proba([[False, True]], 0)[0, 1]
    assert told > 0.3
    with pytest.warns(MonteCarloWarning, match="effective rows"):
        drawn = np.concatenate([model.sample(1000, random_state=s, given={1: True}) for s in range(10)])
    assert drawn[:, 0].mean() == pytest.approx(told, abs=0.1)


def test_ensembles_are_exact_where_their_members_are():
    model = TreeFlowEnsemble(AutoregressiveTreeFlow(order="natural", max_features=1), 3, random_state=0)
    model.set_params(categories=declared(K)).fit(table())
    with warnings.catch_warnings(action="error"):
        drawn = model.sample(4000, random_state=0, given={0: 1, 1: 2})
    rows = whole_domain(K)
    log_prob = np.where((rows[:, :2] == [1, 2]).all(axis=1), model.score_samples(rows), -np.inf)
    expected = np.bincount(rows[:, 3], np.exp(log_prob - logsumexp(log_prob)))
    np.testing.assert_allclose(np.bincount(drawn[:, 3], minlength=4) / 4000, expected, atol=0.03)


def test_given_values_are_checked():
    X = pd.DataFrame({"a": ["x", "y", None] * 30, "b": ["p", "q", "r"] * 30})
    model = AutoregressiveTreeFlow(order="natural").fit(X)
    assert model.sample(20, random_state=0, given={"a": None})["a"].isna().all()
    with pytest.raises(ValueError, match="no column 'c'"):
        model.sample(1, given={"c": "x"})
    with pytest.raises(ValueError, match="column 'a' has no value 'z'; it has 'x', 'y'"):
        model.sample(1, given={"a": "z"})
    for bad in ({}, ["a"], "a"):
        with pytest.raises(ValueError, match="given must be a dict"):
            model.sample(1, given=bad)


# ---- anomalies ----


@pytest.mark.parametrize("name", ["trees", "mixture", "layers", "ensemble"])
def test_anomalies_are_the_least_likely_rows(name):
    model = fitted(name, table(), K)
    X = table(12, 100)
    found = model.anomalies(X, 7)
    scores = model.score_samples(X)
    np.testing.assert_array_equal(found.log_likelihood, np.sort(scores)[:7])
    np.testing.assert_array_equal(scores[found.rows], found.log_likelihood)
    for j in range(len(K)):
        told = model.conditional_proba(X[found.rows], j)[np.arange(7), X[found.rows, j]]
        np.testing.assert_allclose(found.surprise[:, j], -np.log(told))
    np.testing.assert_array_equal(found.values, X[found.rows].astype(str))
    assert str(found).startswith(f"row {found.rows[0]}: log-likelihood {found.log_likelihood[0]:.2f} nats\n  x")
    assert len(model.anomalies(X, 1000).rows) == 100
    with pytest.raises(ValueError, match="n == 0"):
        model.anomalies(X, 0)


def test_a_planted_anomaly_is_explained():
    coin = np.random.default_rng(0).integers(0, 2, 500)
    X = pd.DataFrame({"a": coin, "same": coin, "other": np.random.default_rng(1).integers(0, 2, 500)})
    X.loc[77, "same"] = 1 - X.loc[77, "same"]
    found = TreeFlowMixture(random_state=0).fit(X).anomalies(X, 1)
    assert found.rows.tolist() == [77]
    assert found.surprise[0, :2].min() > 2 > found.surprise[0, 2]
    assert found.names == ("a", "same", "other")


def test_a_table_is_read_once_for_all_columns(monkeypatch):
    model, reads = fitted("trees", table(), K), []
    encode = type(model.domain_).encode
    monkeypatch.setattr(type(model.domain_), "encode", lambda *a, **o: (reads.append(1), encode(*a, **o))[1])
    model.predict(table())
    assert len(reads) == 1
    model.anomalies(table(), 3)
    assert len(reads) == 3  # all rows for their scores, the least likely for their cells


def test_anomalies_of_rows_with_holes():
    model = fitted("trees", table(), K, missing="marginalize")
    X = rows_with_holes(3, 50, 0.2)
    found = model.anomalies(X, 50)
    assert (found.surprise[np.isnan(X[found.rows])] == 0).all()
    assert (found.values[np.isnan(X[found.rows])] == "(missing)").all()


# ---- a member that is none of this package's ----


class Uniform:
    """A user's density of codes, the same for all rows."""

    def __init__(self, log_prob):
        self.log_prob = log_prob

    def get_params(self, deep=False):
        return {"log_prob": self.log_prob}

    def fit(self, X):
        return self

    def score_samples(self, X):
        return np.full(len(X), self.log_prob)

    def sample(self, n):
        return np.random.default_rng(0).integers(0, K, (n, len(K)))


def test_other_densities_answer_as_well():
    model = TreeFlowEnsemble(Uniform(-np.log(np.prod(K))), 1, categories=declared(K)).fit(table())
    np.testing.assert_allclose(model.conditional_proba(table(1, 5), 3), 0.25)
    model.missing = "marginalize"
    assert model.score_samples([[np.nan, 0, 0, 0, 0]])[0] == pytest.approx(np.log(2) - np.log(np.prod(K)))


def test_impossible_rows_are_named():
    model = TreeFlowEnsemble(Uniform(-np.inf), 1, categories=declared(K)).fit(table())
    with pytest.raises(ValueError, match="thinks a row impossible"):
        model.conditional_proba(table(1, 5), 3)


def test_many_patterns_of_missing_cells():
    """More columns than a machine word has bits, and blocks of bounded memory."""
    k = [3] * 70
    codes = random_table(0, 300, k)
    model = DiscreteTreeFlow(1, categories=declared(k)).fit(codes)
    X = codes.astype(float)
    X[np.random.default_rng(0).random(X.shape) < 0.02] = np.nan
    filled = model.impute(X)
    assert not np.isnan(filled).any()
    assert (filled == codes)[np.isnan(X)].mean() > 0.5


def test_one_column_of_all_draws():
    rng = np.random.default_rng(0)
    prob, ahead, told = rng.random((4 * 50, 5)), rng.random((4, 5)), rng.random((4, 3))
    uniform, is_drawn = rng.random((4, 50)), np.array([1, 0, 1, 0], dtype=np.uint8)
    before = rng.integers(0, 3, (4 * 50, 2)).astype(np.uint8)
    codes = before.copy()
    total = encoding.draw_next(prob, ahead, uniform, is_drawn, told, 1, 0, codes, 2)
    np.testing.assert_array_equal(codes[:, 0], before[:, 0])
    for row in range(4):
        for d in range(50):
            i = 50 * row + d
            joint = prob[i] * ahead[row]
            if is_drawn[row]:
                assert codes[i, 1] == min(np.searchsorted(np.cumsum(joint), uniform[row, d] * joint.sum(), "right"), 4)
            else:
                assert codes[i, 1] == before[i, 1]
            weight = joint.sum() if is_drawn[row] else joint[codes[i, 1]]
            assert total[row, d] == pytest.approx(weight / told[row, codes[i, 0]])
