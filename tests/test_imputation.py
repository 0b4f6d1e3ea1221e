"""Multiple imputation: what comes back, how tables differ, Rubin's rules, and intervals that hold the truth."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from treeflows import (
    AutoregressiveTreeFlow,
    TreeFlowClassifier,
    TreeFlowMixture,
    multiply_impute,
    pool_estimates,
)


def holed(n=100, seed=0):
    """A table of all kinds of columns, with holes where ``kept`` is not."""
    rng = np.random.default_rng(seed)
    low = rng.random(n) < 0.5
    X = pd.DataFrame(
        {
            "low": low,
            "few": np.where(rng.random(n) < 0.9, low, ~low).astype(np.int64) + 1,
            "size": pd.Categorical.from_codes(low + rng.integers(0, 2, n), ["S", "M", "L"], ordered=True),
            "cents": (5 + 3 * low + rng.exponential(2, n)).round(2),
        },
        index=pd.Index(np.arange(n) + 1000, name="person"),
    )
    kept = rng.random((n, 4)) > 0.2
    return X, kept


def test_tables_come_back_as_they_went_in():
    X, kept = holed()
    asked = X.astype({"low": "boolean", "few": "Int64"}).where(kept)
    tables = multiply_impute(asked, n_draws=3, random_state=0)
    assert len(tables) == 3
    for table in tables:
        assert table.index.equals(asked.index)
        assert (table.dtypes == asked.dtypes).all()
        assert table["size"].cat.ordered
        assert not table.isna().any(axis=None)
        assert table.where(kept).equals(asked)
        cents = table["cents"] * 100
        np.testing.assert_allclose(cents, cents.round())
        assert (cents > 0).all()
    differ = tables[0].astype(object) != tables[1].astype(object)
    assert differ.any(axis=0).all()
    assert not differ.to_numpy()[kept].any()


def test_one_column_of_numbers_beside_few_categories_with_holes():
    """Whether numbers count rows is not asked of rows whose categories are unknown."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.choice(["x", "y"], 40), "b": rng.choice(list("uvw"), 40), "n": np.arange(40) * 3})
    X.loc[3, "a"] = None
    tables = multiply_impute(X, n_draws=2, random_state=0)
    assert all(set(table["a"]) == {"x", "y"} for table in tables)


def test_the_one_row_with_a_hole_need_not_be_drawn():
    """It is not, in every third table: then nothing is to be filled where the model is learned."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.choice(["x", "y"], 60), "n": rng.integers(0, 60, 60)})
    X.loc[3, "a"] = None
    assert all(table["a"].isin(["x", "y"]).all() for table in multiply_impute(X, n_draws=6, random_state=0))
    X["a"] = pd.Series(rng.choice(["x", "y"], 60)).mask(X.index == 3)
    assert all(table["a"].notna().all() for table in multiply_impute(X[["a"]], n_draws=6, random_state=0))


def test_tables_depend_on_the_seed_alone():
    X, kept = holed()
    X = X.drop(columns="cents").where(kept[:, :3])
    once, again, other = (multiply_impute(X, n_draws=2, random_state=seed) for seed in (1, 1, 2))
    assert all(a.equals(b) for a, b in zip(once, again, strict=True))
    assert not once[0].equals(other[0])
    two = multiply_impute(
        X, AutoregressiveTreeFlow(missing="marginalize", random_state=5, n_jobs=2), n_draws=2, random_state=1
    )
    assert two[1].equals(once[1])


def test_other_containers_and_whole_tables():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (60, 3)).astype(float)
    for table in multiply_impute(codes, n_draws=2, random_state=0):
        np.testing.assert_array_equal(table, codes)
    frame = pl.DataFrame({"a": ["x", None, "y"] * 20, "b": ["u", "v", "v"] * 20})
    (table,) = multiply_impute(frame, n_draws=1, random_state=0)
    assert isinstance(table, pl.DataFrame)
    assert table.null_count().sum_horizontal().item() == 0
    (one,) = multiply_impute(pd.DataFrame({"a": ["x"], "b": ["y"]}), n_draws=1)
    assert one.to_numpy().tolist() == [["x", "y"]]


def test_a_rare_value_that_no_drawn_row_has():
    X = pd.DataFrame({"a": ["x"] * 30 + ["rare"], "b": ["u", None, "v"] * 10 + [None]})
    tables = multiply_impute(X, n_draws=8, random_state=0)  # "rare" is in none of the drawn rows in a third of them
    assert all(table["a"].tolist() == X["a"].tolist() and table["b"].notna().all() for table in tables)


def test_weights_are_rows():
    a = np.array(["x", "y", "x", "y", "z"], dtype=object)
    b = np.array(["u", "v", "v", "u", None], dtype=object)
    X = pd.DataFrame({"a": a, "b": b})
    X.loc[len(X)] = [None, "u"]
    weight = np.array([400.0, 400.0, 0.0, 0.0, 1.0, 1.0])  # of "u" almost all have "x"
    tables = multiply_impute(X, n_draws=20, sample_weight=weight, random_state=0)
    assert sum(table["a"].iloc[-1] == "x" for table in tables) > 15
    with pytest.raises(ValueError, match="sample_weight has shape"):
        multiply_impute(X, sample_weight=weight[:3])


def test_given_a_context():
    group = np.repeat(["left", "right"], 150)
    X = pd.DataFrame({"hand": np.where(group == "left", "l", "r"), "other": ["x", "y"] * 150})
    asked = X.mask(np.random.default_rng(0).random((300, 2)) < 0.3)
    for table in multiply_impute(asked, n_draws=2, context=group, random_state=0):
        assert (table["hand"] == X["hand"]).mean() > 0.97


def test_what_is_refused():
    X = pd.DataFrame({"a": ["x", None, "y"], "b": ["u", "v", "v"]})
    with pytest.raises(ValueError, match="estimator takes missing cells by missing='category'.*marginalize"):
        multiply_impute(X, TreeFlowMixture())
    for estimator in (TreeFlowClassifier(), AutoregressiveTreeFlow, "mixture"):
        with pytest.raises(TypeError, match="estimator must be an unfitted model of tables"):
            multiply_impute(X, estimator)
    with pytest.raises(ValueError, match="prior_split"):
        multiply_impute(X, AutoregressiveTreeFlow(missing="marginalize", prior_split=-1))
    with pytest.raises(ValueError, match="n_draws"):
        multiply_impute(X, n_draws=0)
    with pytest.raises(ValueError, match="column 'b' has no value that is not missing"):
        multiply_impute(X.assign(b=None))


def test_models_are_not_known():
    """Shares of columns that are half missing: the tables spread by what the cells may be, and what the shares may."""
    n, m, rng = 400, 25, np.random.default_rng(0)
    coins = rng.permuted(
        np.repeat([[0.0, 1.0], [np.nan, np.nan]], n // 4, axis=1).reshape(1, n).repeat(4, axis=0), axis=1
    ).T
    model = AutoregressiveTreeFlow(missing="marginalize", random_state=0).fit(coins)
    spread = [
        np.var([table.mean(axis=0) for table in tables], axis=0, ddof=1).mean()
        for tables in (
            multiply_impute(coins, n_draws=m, random_state=0),
            model.impute(coins, n_draws=m, random_state=0),
        )
    ]
    # of n/2 cells that are drawn, each of variance 1/4; and half of what n/2 rows leave open of a share
    drawn, known = (n / 2) / 4 / n**2, (1 / 4) / (n / 2) / 4
    np.testing.assert_allclose(spread, [drawn + known, drawn], rtol=0.4)
    assert spread[0] > 1.4 * spread[1]


def test_rubins_rules_by_hand():
    # within (0.04 + 0.05 + 0.03) / 3 = 0.04, between 0.01; total 0.04 + 4/3 * 0.01
    pooled = pool_estimates([1.1, 1.2, 1.0], [0.04, 0.05, 0.03])
    total, share = 0.04 + 0.04 / 3, 0.25  # of the total, that the holes make
    np.testing.assert_allclose([pooled.estimate, pooled.std_error], [1.1, np.sqrt(total)])
    np.testing.assert_allclose(pooled.df, 2 / share**2)  # (m - 1) (1 + within / ((1 + 1/m) between))^2 = 2 * 4^2
    more = 1 / 3  # (0.04 / 3) / 0.04
    np.testing.assert_allclose(pooled.missing_information, (more + 2 / (32 + 3)) / (more + 1))
    np.testing.assert_allclose(pooled.interval(0.9), 1.1 + stats.t.ppf([0.05, 0.95], 32) * np.sqrt(total))
    # Barnard and Rubin: of 19 degrees, 20/22 * 19 * 3/4 are observed
    small = pool_estimates([1.1, 1.2, 1.0], [0.04, 0.05, 0.03], df_complete=19)
    np.testing.assert_allclose(small.df, 1 / (1 / 32 + 1 / (20 / 22 * 19 * 0.75)))
    assert small.df < 19


def test_pooling_many_estimates_and_edges():
    rng = np.random.default_rng(0)
    q, u = rng.normal(size=(5, 2, 3)), rng.random((5, 2, 3))
    whole = pool_estimates(q, u, df_complete=30)
    assert whole.interval()[0].shape == (2, 3)
    np.testing.assert_allclose(whole.df[1, 2], pool_estimates(q[:, 1, 2], u[:, 1, 2], df_complete=30).df)
    named = pool_estimates(pd.DataFrame(q[:, 0], columns=list("abc")), u[:, 0], df_complete=30).to_frame(0.9)
    assert named.index.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(named["low"], pool_estimates(q[:, 0], u[:, 0], df_complete=30).interval(0.9)[0])
    assert len(whole.to_frame()) == 6

    alike = pool_estimates([2.0, 2.0], [1.0, 1.0])  # nothing was missing: the normal distribution
    assert alike.df == np.inf
    assert alike.missing_information == 0
    np.testing.assert_allclose(alike.interval(), 2 + stats.norm.ppf([0.025, 0.975]))
    np.testing.assert_allclose(pool_estimates([2.0, 2.0], [1.0, 1.0], df_complete=9).df, 10 / 12 * 9)
    alone = pool_estimates([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])  # of this table, not of a population
    np.testing.assert_allclose([alone.df, alone.missing_information], [2, 1])

    for estimates, variances, told in (
        ([1.0], [1.0], "two tables"),
        ([1.0, 2.0], [1.0], "variances has shape"),
        ([1.0, 2.0], [1.0, -1.0], "variances holds -1.0 of table 1"),
        ([1.0, np.nan], [1.0, 1.0], "estimates holds nan of table 1"),
    ):
        with pytest.raises(ValueError, match=told):
            pool_estimates(estimates, variances)
    with pytest.raises(ValueError, match="df_complete"):
        pool_estimates([1.0, 2.0], [1.0, 1.0], df_complete=0)
    with pytest.raises(ValueError, match="level"):
        alike.interval(95)


def test_intervals_hold_the_truth_where_complete_rows_mislead():
    """Half of those who say yes do not answer further: missing at random given what they said."""
    truth, held, held_by_answers = 0.5 * 0.8 + 0.5 * 0.3, [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        first = rng.random(300) < 0.5
        then = rng.random(300) < np.where(first, 0.8, 0.3)
        X = pd.DataFrame({"first": first, "then": then.astype(object)})
        X.loc[first & (rng.random(300) < 0.7), "then"] = None
        shares = np.array(
            [table["then"].astype(bool).mean() for table in multiply_impute(X, n_draws=5, random_state=0)]
        )
        low, high = pool_estimates(shares, shares * (1 - shares) / 300, df_complete=299).interval()
        held.append(low < truth < high)
        answered = X["then"].dropna().astype(bool)
        held_by_answers.append(abs(answered.mean() - truth) < 1.96 * answered.std() / np.sqrt(len(answered)))
    assert sum(held) >= 12  # 14 are expected
    assert sum(held_by_answers) < 8
