"""Measures of synthetic tables, against straightforward computations and tables of known quality."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression

from treeflows import evaluate_synthetic
from treeflows.machine.errors import TableError
from treeflows.report import synthetic


def rows(n, seed, dependent=True):
    """Two numbers, a category that the first of them tells, and another."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y, what = x + rng.normal(0, 0.5, n), np.where(x + rng.normal(0, 0.3, n) > 0, "high", "low")
    if not dependent:
        y, what = rng.permutation(y), rng.permutation(what)
    return pd.DataFrame({"x": x, "y": y, "what": what, "coin": rng.choice(["head", "tail"], n)})


@pytest.fixture(scope="module")
def good():
    return evaluate_synthetic(rows(400, 0), rows(400, 1), rows(400, 2), "what")


@pytest.fixture(scope="module")
def bad():
    return evaluate_synthetic(rows(400, 0), rows(400, 1, dependent=False), rows(400, 2), "what")


def test_dependence_tells_good_from_bad(good, bad):
    assert good.c2st > 0.85 > 0.6 > bad.c2st
    assert good.figures()["trend"] > 0.9 > bad.figures()["trend"]
    assert min(*good.shape.values(), *bad.shape.values()) > 0.9  # of which marginals say nothing
    assert good.utility["auc"] > 0.9 > 0.65 > bad.utility["auc"]
    assert good.utility["auc_real"] == bad.utility["auc_real"] > 0.9
    assert set(list(bad.telling)[:3]) == {"x", "y", "what"}
    assert 0.4 < good.dcr < 0.6
    assert "C2ST" in str(bad)
    assert "what betrays synthetic rows, by AUC: " in str(bad)


def test_shape_and_trend_by_their_definitions(good):
    real, drawn = rows(400, 0), rows(400, 1)
    assert good.shape["x"] == pytest.approx(1 - ks_2samp(real["x"], drawn["x"]).statistic)
    share = [(table["coin"] == "head").mean() for table in (real, drawn)]
    assert good.shape["coin"] == pytest.approx(1 - abs(share[0] - share[1]))
    of_each = [np.corrcoef(table["x"], table["y"])[0, 1] for table in (real, drawn)]
    assert good.trend["x", "y"] == pytest.approx(1 - abs(of_each[0] - of_each[1]) / 2)
    edges = np.histogram_bin_edges(real["x"], 10)
    edges[[0, -1]] = -np.inf, np.inf
    tables = [pd.crosstab(pd.cut(t["x"], edges, right=False), t["what"], dropna=False) / 400 for t in (real, drawn)]
    assert good.trend["x", "what"] == pytest.approx(1 - np.abs(tables[0] - tables[1]).to_numpy().sum() / 2)


def test_copies_are_near_to_what_they_copy():
    real, test = rows(200, 0), rows(200, 2)
    assert evaluate_synthetic(real, real, test).dcr == 1
    assert evaluate_synthetic(real, test, test).dcr == 0
    assert evaluate_synthetic(real, rows(100, 3), real).dcr == 0.5  # all are ties


def test_distances_are_of_numbers_and_categories():
    seen, new = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.25, 0.0]])
    np.testing.assert_allclose(synthetic._nearest(seen, new, np.array([True, False])), [0.75])


def test_missing_and_unseen_values_count():
    real, drawn = rows(200, 0), rows(200, 1)
    drawn.loc[:99, "coin"] = None
    drawn.loc[100:, "coin"] = "edge"
    drawn.loc[::2, "x"] = np.nan
    found = evaluate_synthetic(real, drawn)
    assert found.shape["coin"] == 0
    assert found.c2st < 0.05
    assert found.utility is None
    assert found.dcr is None


def test_numbers_as_targets_and_arrays():
    tables = [rows(300, seed)[["x", "y"]].to_numpy() for seed in range(3)]
    found = evaluate_synthetic(*tables, target=1)
    assert found.utility["r2"] > 0.6
    assert found.utility["rmse"] == pytest.approx(found.utility["rmse_real"], rel=0.2)
    by_line = evaluate_synthetic(*tables, classifier=LogisticRegression())
    assert by_line.c2st > 0.8


def test_what_does_not_fit_is_refused():
    real = rows(50, 0)
    with pytest.raises(TableError, match="the synthetic table has no column 'coin'"):
        evaluate_synthetic(real, real.drop(columns="coin"))
    with pytest.raises(TableError, match="there is no column 'size'"):
        evaluate_synthetic(real, real, real, "size")
    with pytest.raises(TableError, match="at least 6 rows of either kind"):
        evaluate_synthetic(real, real[:5])
    with pytest.raises(TableError, match="different numbers of columns"):
        evaluate_synthetic(np.zeros((9, 2)), np.zeros((9, 3)))
