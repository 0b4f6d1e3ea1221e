"""Questions of tables with numbers, against sums and integrals of their likelihood."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, kstest, spearmanr

from treeflows import AutoregressiveTreeFlow, MonteCarloWarning, TreeFlowMixture
from treeflows.densities.weighted import WeightedMean
from treeflows.inference.cells import conditional_cells, conditional_values
from treeflows.inference.marginals import log_values
from treeflows.learning.numbers import learn_mixed
from treeflows.machine.errors import ParameterError, TableError

N = 200
FEW = ((3, 1),)


def table(seed=0, n=N):
    """A count, a kind, a size with an atom at 0, and a day; each tells something of the others."""
    rng = np.random.default_rng(seed)
    count = rng.binomial(9, 0.4, n)
    kind = np.where(rng.random(n) < count / 9, "b", rng.choice(["a", "c"], n))
    size = count + np.where(kind == "b", 2.0, 0.0) + rng.normal(0, 0.8, n)
    size[rng.random(n) < 0.15] = 0.0
    day = np.datetime64("2020-01-01") + np.rint(20 * count + rng.normal(0, 15, n)).astype(int) + 40
    return pd.DataFrame({"count": count, "kind": kind, "size": size, "day": day.astype("datetime64[s]")})


@pytest.fixture(scope="module")
def model():
    return TreeFlowMixture(numeric=["count", "size", "day"], random_state=0).fit(table())


@pytest.fixture(scope="module")
def marginal(model):
    """The same model, to which missing cells are unknown."""
    return TreeFlowMixture(**model.get_params() | {"missing": "marginalize"}).take(model.domain_, model.distribution_)


def with_values(row, column, values):
    rows = row.loc[row.index.repeat(len(values))].reset_index(drop=True)
    rows[column] = values
    return rows


def sizes(model, n=2001):
    """Values of the size, closest where most of them lie, and how much of the line each stands for; the last is 0."""
    edges = model.distribution_.axis(2).value_at(np.linspace(-8, 8, n))
    return np.append((edges[1:] + edges[:-1]) / 2, 0.0), np.append(np.diff(edges), 1.0)


# ---- a column given all others ----


def test_of_a_lattice_all_is_a_sum(model):
    X, at = table(1)[:6], np.arange(-1000, 1000)
    told = model.conditional_density(X, "count", at)
    for i in range(len(X)):
        joint = np.exp(model.score_samples(with_values(X[i : i + 1], "count", at)))
        np.testing.assert_allclose(told[i], joint / joint.sum(), rtol=0, atol=1e-6)
        median = at[(np.cumsum(joint) < joint.sum() / 2).sum()]
        assert model.predict(X[i : i + 1], "count").tolist() == [median]
        assert model.predict_mean(X[i : i + 1], "count")[0] == pytest.approx((joint * at).sum() / joint.sum(), abs=1e-5)
    assert (model.conditional_density(X, "count", [0.5, 3.2]) == 0).all()
    assert model.predict(X, "count").dtype == X["count"].dtype


def test_of_other_numbers_it_is_an_integral(model):
    X, (at, width) = table(1)[:2], sizes(model)
    told = model.conditional_density(X, "size", at)
    np.testing.assert_allclose((told * width).sum(axis=1), 1, atol=3e-3)
    quantiles = model.predict_quantiles(X, "size", [0.01, 0.2, 0.5, 0.9])
    for i in range(len(X)):
        joint = np.exp(model.score_samples(with_values(X[i : i + 1], "size", at))) * width
        share = joint / joint.sum()
        np.testing.assert_allclose(told[i] * width, share, atol=3e-3)
        for q, value in zip([0.01, 0.2, 0.5, 0.9], quantiles[i], strict=True):
            below, upto = share[at < value - 1e-9].sum(), share[at <= value + 1e-9].sum()
            assert below - 0.01 < q < upto + 0.01
        assert model.predict_mean(X[i : i + 1], "size")[0] == pytest.approx((share * at).sum(), abs=0.02)
    assert model.predict(X, "size").tolist() == quantiles[:, 2].tolist()


def test_the_last_column_in_order_is_exact_and_times_are_times(model):
    X = table(1)[:4]
    days = model.predict_quantiles(X, "day", [0.1, 0.5])
    assert days.dtype == "datetime64[s]"
    assert (days[:, 0] < days[:, 1]).all()
    at = days[0, 1] + np.arange(-400, 400) * np.timedelta64(1, "D")
    told = model.conditional_density(X, "day", at)
    for i in range(len(X)):
        joint = np.exp(model.score_samples(with_values(X[i : i + 1], "day", at)))
        before = np.exp(model.distribution_.score_first(model.read(X[i : i + 1]).codes, np.array([3])))
        np.testing.assert_allclose(told[i], joint / before, rtol=1e-6)
        median = at[(np.cumsum(joint) < before / 2).sum()]
        assert abs(days[i, 1] - median) <= np.timedelta64(1, "D")


def test_many_values_of_a_row_are_told_as_one_by_one_and_by_all_voices_as_by_those_heard(model):
    density, rows, n = model.distribution_, model.read(table(1)[:20]).codes, 30
    walk = density.begin(len(rows))
    for j in density.order.tolist():
        if density.numbers.is_number[j]:
            x = np.tile(density.axis(j).value_at(np.linspace(-9, 9, n)), (len(rows), 1)) + rows[:, [0]]
            share, voices = (
                density.number_share[j],
                walk.number_voices(j, x.ravel(), np.repeat(np.arange(len(rows)), n)),
            )
            one_by_one = [np.tensordot(share[share > 0], side, 1) for side in list(zip(*voices, strict=True))[1:]]
            heard = density.telling(j).begin(len(rows))
            for i in density.order[: np.flatnonzero(density.order == j)[0]].tolist():
                heard.observe(i, rows[:, i])
            for told, same, expected in zip(
                walk.uniform_at(j, x, slice(None)),
                heard.uniform_at(j, x, slice(None)),
                one_by_one,
                strict=True,
            ):
                np.testing.assert_allclose(told, expected.reshape(x.shape), rtol=1e-12)
                np.testing.assert_allclose(told, same, rtol=1e-14)
        walk.observe(j, rows[:, j])


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 2, 3, 1]])
def test_all_codes_are_told_by_one_walk(order):
    X = table()
    rows = np.column_stack([X["count"], X["kind"] == "b", X["size"], X["day"].astype(int) % 7]).astype(float)
    density = learn_mixed(rows, [1, 0, 1, 0], [1, 2, 1, 7], order=order, mixtures=FEW)
    told, expected = density.log_values(rows[:30], 1, 2), log_values(density, rows[:30], 1, 2, 1)
    np.testing.assert_allclose(told[:, 1] - told[:, 0], expected[:, 1] - expected[:, 0], rtol=1e-9)


def test_a_number_that_others_make_up_is_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2)).round(6)
    X = np.column_stack([x, x.sum(axis=1) + rng.normal(0, 0.001, N)])
    density = learn_mixed(X, [1, 1, 1], [1, 1, 1], mixtures=((2, 1), (2, 0)))
    ((_, cells, *_),) = conditional_cells(density, X[:20], None, 0, 1)
    assert np.quantile(np.abs(cells.quantiles([0.5])[:, 0] - X[:20, 0]), 0.8) < 0.01


def test_means_of_densities_are_asked_alike():
    X = table()[["count", "size"]].to_numpy(float)
    one, other = (learn_mixed(X, [1, 1], [1, 1], step=[1, 0], order=o, mixtures=FEW) for o in ([0, 1], [1, 0]))
    mean = WeightedMean(one.n_categories, (one, other), np.array([0.3, 0.7]))
    at = np.arange(-30.0, 50)
    told, error = conditional_values(mean, X[:3], None, 0, at, 1)
    rows = np.repeat(X[:3], len(at), axis=0)
    rows[:, 0] = np.tile(at, 3)
    joint = np.exp(mean.score(rows)).reshape(3, -1)
    np.testing.assert_allclose(told, joint / joint.sum(axis=1, keepdims=True), atol=3e-3)
    assert not error.any()
    drawn, _, _ = mean.given(
        np.full((1, 2), np.nan), np.zeros((1, 2), bool), 50, np.random.default_rng(0), 1, {0: (4, 6)}
    )
    assert set(drawn[:, 0]) == {4, 5, 6}


# ---- rows with missing cells ----


def test_marginals_are_sums_and_integrals(marginal):
    row = table(1)[2:3]
    whole = marginal.score_samples(row)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # the last columns in order, and few categories, are summed out exactly
        assert marginal.score_samples(row.assign(day=pd.NaT)) > whole
        each = marginal.score_samples(with_values(row, "kind", ["a", "b", "c"]))
        told = marginal.score_samples(row.assign(kind=None))
        np.testing.assert_allclose(told, np.log(np.exp(each).sum()), rtol=1e-9)
    at, width = sizes(marginal)
    for column, values, weight in (("count", np.arange(-60, 90), 1.0), ("size", at, width)):
        with pytest.warns(MonteCarloWarning, match="missing cells of 1 row"):
            told = marginal.score_samples(row.assign(**{column: np.nan}))[0]
        joint = np.exp(marginal.score_samples(with_values(row, column, values))) * weight
        assert told == pytest.approx(np.log(joint.sum()), abs=0.3)


def test_equal_rows_have_equal_answers_in_any_order(marginal):
    X = table(1)[:8].reset_index(drop=True)
    X.loc[[1, 3, 4], "size"] = np.nan
    X.loc[[3, 5], "count"] = np.nan
    X.loc[7] = X.loc[3]
    order = np.array([7, 2, 3, 0, 1, 5, 6, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonteCarloWarning)
        for ask in (
            marginal.score_samples,
            lambda X: marginal.predict_quantiles(X, "count")[:, 1],
            lambda X: marginal.conditional_proba(X, "kind"),
            lambda X: marginal.impute(X)["size"].to_numpy(),
        ):
            told = ask(X)
            np.testing.assert_array_equal(told[3], told[7])
            np.testing.assert_array_equal(ask(X.iloc[order]), told[order])
        apart = TreeFlowMixture(**marginal.get_params() | {"n_jobs": 2}).take(marginal.domain_, marginal.distribution_)
        np.testing.assert_array_equal(apart.score_samples(X), marginal.score_samples(X))


def test_quantiles_given_what_is_observed(marginal):
    # with all before and after missing, a column has its marginal distribution
    drawn = marginal.sample(4000, random_state=0)
    nothing = table(1)[:1].assign(count=np.nan, kind=None, day=pd.NaT)
    with pytest.warns(MonteCarloWarning):
        told = marginal.predict_quantiles(nothing, "size", [0.3, 0.5, 0.8])[0]
    upto = [(drawn["size"] <= value).mean() for value in told]
    np.testing.assert_allclose(upto, [0.3, 0.5, 0.8], atol=0.12)


# ---- missing cells filled ----


def holes():
    X = table(1)[:30].astype({"count": "Int64"})
    rng = np.random.default_rng(0)
    for column in X:
        X.loc[rng.random(len(X)) < 0.2, column] = pd.NA if column != "day" else pd.NaT
    return X


@pytest.mark.filterwarnings("ignore::treeflows.MonteCarloWarning")
def test_imputed_cells(model):
    X = holes()
    filled = model.impute(X)
    assert filled.dtypes.tolist() == table().dtypes.tolist()
    assert filled.notna().all(axis=None)
    for column in X:
        there = X[column].notna()
        assert (filled[column][there] == X[column][there]).all()
    assert (filled["day"].dt.normalize() == filled["day"]).all()
    alone = X.isna().sum(axis=1) == 1
    for column in ("count", "size", "day", "kind"):
        rows = X[alone & X[column].isna()]
        assert len(rows)
        assert filled.loc[rows.index, column].tolist() == pd.Series(model.predict(rows, column)).tolist()


@pytest.mark.filterwarnings("ignore::treeflows.MonteCarloWarning")
def test_multiple_imputation_draws(model):
    X = table(1)[:1].assign(size=np.nan)
    tables = model.impute(X, n_draws=200, random_state=0)
    drawn = np.concatenate([each["size"] for each in tables])
    low, high = model.predict_quantiles(X, "size", [0.2, 0.7])[0]
    assert 0.1 < (drawn < low).mean() < 0.3
    assert 0.6 < (drawn <= high).mean() < 0.8
    # cells that are filled together are told together: but where it is 0, the size goes with the count
    both = pd.concat(model.impute(X.assign(count=np.nan, day=pd.NaT), n_draws=100, random_state=0))
    assert spearmanr(*both.loc[both["size"] != 0, ["count", "size"]].to_numpy().T).statistic > 0.5
    again = model.impute(X, draw=True, random_state=3)
    pd.testing.assert_frame_equal(model.impute(X, n_draws=1, random_state=3)[0], again)


def test_multiple_imputation_of_categories():
    coin = np.random.default_rng(0).integers(0, 2, 300).astype(float)
    flow = AutoregressiveTreeFlow(random_state=0).fit(np.column_stack([coin, np.roll(coin, 1)]))
    tables = flow.impute([[0, np.nan]], n_draws=40)
    assert {each[0, 1] for each in tables} == {0, 1}
    with pytest.raises(ValueError, match="n_draws"):
        flow.impute([[0, np.nan]], n_draws=0)


# ---- samples given values and ranges ----


def test_a_range_that_comes_first_is_exact(model, marginal):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = model.sample(2000, random_state=0, given={"count": (2, 5)})
        assert (model.sample(50, random_state=0, given={"count": (None, 2)})["count"] <= 2).all()
        assert (model.sample(50, random_state=0, given={"count": 3, "kind": "b"})["count"] == 3).all()
        nothing = table()[:4].assign(count=[2, 3, 4, 5], kind=None, size=np.nan, day=pd.NaT)
        prob = np.exp(marginal.score_samples(nothing))
    count = np.bincount(drawn["count"], minlength=6)
    assert count.sum() == count[2:].sum()
    assert chisquare(count[2:], 2000 * prob / prob.sum()).pvalue > 1e-3


def test_ranges_after_other_columns_weigh_the_draws(model, marginal):
    given = {"size": (3.0, 5.0)}
    with pytest.warns(MonteCarloWarning, match="importance resampling"):
        drawn = model.sample(1500, random_state=0, given=given)
    assert drawn["size"].between(3, 5).all()
    at = np.linspace(3, 5, 41)
    grid = pd.DataFrame([(c, k, s) for c in range(-2, 14) for k in "abc" for s in (at[1:] + at[:-1]) / 2])
    grid.columns = ["count", "kind", "size"]
    grid["weight"] = np.exp(marginal.score_samples(grid.assign(day=pd.NaT)))
    kinds = grid.groupby("kind")["weight"].sum()
    seen = drawn["kind"].value_counts().reindex(kinds.index).fillna(0)
    assert chisquare(seen, 1500 * kinds / kinds.sum()).pvalue > 1e-4
    by_size = grid.groupby("size")["weight"].sum()
    upto = np.append(0, by_size.cumsum() / by_size.sum())
    assert kstest(drawn["size"], lambda x: np.interp(x, at, upto)).statistic < 0.06


def test_atoms_and_days_lie_in_ranges(model):
    with pytest.warns(MonteCarloWarning):
        drawn = model.sample(300, random_state=0, given={"size": (0, 0.5)})
    assert drawn["size"].between(0, 0.5).all()
    assert 0.3 < (drawn["size"] == 0).mean() < 1
    first, last = pd.Timestamp("2020-04-01"), pd.Timestamp("2020-04-03")
    with pytest.warns(MonteCarloWarning):
        drawn = model.sample(100, random_state=0, given={"day": (first, last)})
    assert set(drawn["day"]) == {first, pd.Timestamp("2020-04-02"), last}


# ---- rows that hardly belong ----


def test_tail_probabilities(model):
    X = table(1)[:5].reset_index(drop=True)
    X.loc[2, "size"] = 400.0
    found = model.anomalies(X, 5)
    assert found.rows[0] == 2
    assert "size = 400.0: tail probability" in found.to_text(1).splitlines()[1]
    assert np.isfinite(found.surprise).all()
    assert (found.surprise >= 0).all()
    assert found.surprise[0, 2] > 7
    at, width = sizes(model)
    row = int(found.rows[1])
    share = np.exp(model.score_samples(with_values(X[row : row + 1], "size", at))) * width
    x = X.loc[row, "size"]
    tails = share[at <= x].sum() / share.sum(), share[at >= x].sum() / share.sum()
    assert np.exp(-found.surprise[1, 2]) == pytest.approx(min(1, 2 * min(tails)), abs=0.02)
    kind = model.conditional_proba(X[row : row + 1], "kind")[0, list("abc").index(X.loc[row, "kind"])]
    assert np.exp(-found.surprise[1, 1]) == pytest.approx(kind)


def test_tails_are_resolved(model):
    rows = model.read(table(1)[:1]).codes.repeat(4, axis=0)
    at = np.array([30.0, 1e3, 1e5, 1e12])
    ((_, cells, *_),) = conditional_cells(model.distribution_, rows, None, 2, 1, at)
    below, above = cells.tails(at)
    assert (np.diff(above) < 0).all()
    assert above[3] < 1e-9 < above[0]
    np.testing.assert_allclose(below, 1, atol=0.02)


def test_a_missing_number_may_surprise():
    X = table()[["kind", "size"]]
    X.loc[X["kind"] != "a", "size"] = np.nan
    model = TreeFlowMixture(numeric=["size"], random_state=0).fit(X)
    odd = pd.DataFrame({"kind": ["a", "b"], "size": [np.nan, np.nan]})
    found = model.anomalies(odd, 2)
    assert found.rows.tolist()[0] == 0
    assert found.surprise[0, 1] > 2 > found.surprise[1, 1]
    assert "size = (missing): probability" in found.to_text()
    assert not np.isnan(model.predict(odd, "size")).any()
    filled = model.impute(odd)
    assert filled.notna().all(axis=None)


@pytest.mark.parametrize("values", [np.linspace(-1, 1, 40) * 1e308, np.arange(40) * 5e-324, np.array([0.25])])
@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::treeflows.MonteCarloWarning")
def test_odd_numbers_have_finite_answers(values):
    X = np.column_stack([values, np.arange(len(values)) % 7 / 4])
    model = TreeFlowMixture(numeric=[0, 1], random_state=0).fit(X)
    row = X[:1]
    quantiles = model.predict_quantiles(row, 0)
    assert (np.diff(quantiles) >= 0).all()
    for told in (quantiles, model.predict_mean(row, 0), model.conditional_density(row, 0, row[0, :1])):
        assert np.isfinite(told).all()
    assert np.isfinite(model.anomalies(X, 1).surprise).all()
    assert np.isfinite(model.impute([[np.nan, np.nan]])).all()


# ---- bad input ----


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kind": ("a", "b")}, "a range is for numbers, and column 'kind' holds categories"),
        ({"count": (4, 3)}, "nothing between 4 and 3 in column 'count'"),
        ({"count": (3.2, 3.8)}, "in steps of 1"),
        ({"count": 2.5}, "column 'count' is 0 to .* in steps of 1, and 2.5 is not among these"),
        ({"count": (1, 2, 3)}, "two values"),
        ({"count": (1, "x")}, "column 'count' takes numbers, not 'x'"),
        ({"count": (np.nan, 3)}, "column 'count' takes numbers, not nan"),
        ({"count": None}, "column 'count' takes numbers, not None"),
        ({"day": (3, None)}, "column 'day' takes times, not 3"),
        ({"size": (1.5, 1.5)}, "thinks a row impossible"),
    ],
)
def test_given_values_are_checked(model, given, told):
    with pytest.raises(ValueError, match=told):
        model.sample(3, random_state=0, given=given)


def test_questions_say_what_they_are_of(model):
    X = table()[:2]
    for ask, told in (
        (lambda: model.conditional_proba(X, "size"), "column 'size' holds numbers: ask conditional_density"),
        (lambda: model.predict_quantiles(X, "kind"), "column 'kind' holds categories: ask conditional_proba"),
        (lambda: model.conditional_density(X, "kind", [1]), "column 'kind' holds categories"),
        (lambda: model.predict_mean(X, "day"), "column 'day' holds times, which have no mean"),
        (lambda: model.conditional_density(X, "size", [np.nan]), "column 'size' takes numbers, not nan"),
        (lambda: model.conditional_density(X, "day", [3]), "column 'day' takes times, not 3"),
    ):
        with pytest.raises(TableError, match=told):
            ask()
    for bad in ([0.0], [0.5, 1.0], 0.5, [np.nan]):
        with pytest.raises(ParameterError, match="quantiles must be"):
            model.predict_quantiles(X, "size", bad)
