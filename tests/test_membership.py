"""Groups by what else is known of rows: against logistic regression, plain loops and what rows were drawn from."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from treeflows import AutoregressiveTreeFlow
from treeflows.learning.membership import learn_effects, log_shares


def test_of_known_classes_it_is_logistic_regression():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 2)) * [1, 30] + [0, 100]
    group = np.array([rng.choice(3, p=p) for p in np.exp(log_shares(z / 50, np.array([[0, 0], [1, 0.3], [-1, 0.5]])))])
    weight = rng.integers(1, 4, 400).astype(float)
    known = np.where(group[:, None] == np.arange(3), 0.0, -1e9)
    effects, score = learn_effects(np.column_stack([np.ones(400), z]), known, weight)
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000, solver="newton-cg").fit(z, group, weight)
    expected = np.column_stack([other.intercept_, other.coef_])
    np.testing.assert_allclose(effects, expected - expected[0], rtol=1e-3, atol=1e-4)
    assert score == pytest.approx((weight * other.predict_log_proba(z)[np.arange(400), group]).sum(), abs=1e-5)


def likelihood(design, log_likelihood, weight, effects):
    total = 0.0
    for z, told, w in zip(design, log_likelihood, weight, strict=True):
        odds = [math.exp(sum(a * b for a, b in zip(z, of, strict=True))) for of in effects]
        total += w * math.log(sum(o * math.exp(p) for o, p in zip(odds, told, strict=True)) / sum(odds))
    return total


def test_where_it_ends_is_a_maximum():
    rng = np.random.default_rng(1)
    for _ in range(10):
        n, n_classes, n_terms = rng.integers(20, 60), rng.integers(1, 4), rng.integers(1, 4)
        design = np.column_stack([np.ones(n), rng.normal(size=(n, n_terms - 1))])
        told, weight = 3 * rng.normal(size=(n, n_classes)), rng.integers(1, 4, n).astype(float)
        effects, score = learn_effects(design, told, weight)
        assert score == pytest.approx(likelihood(design, told, weight, effects), rel=1e-10)
        for _ in range(5):
            near = effects.copy()
            near[1:] += 1e-3 * rng.normal(size=near[1:].shape)
            assert likelihood(design, told, weight, near) <= score + 1e-6


def table(n, seed):
    """Rows of three groups by a number and a category, and these."""
    rng = np.random.default_rng(seed)
    number, sex = rng.integers(1, 6, n), rng.choice(["f", "m"], n)
    logits = np.column_stack([np.zeros(n), 2.0 - number + (sex == "m"), 4.0 - 2 * number])
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    group = (rng.random(n)[:, None] > share.cumsum(axis=1)).sum(axis=1)
    p = np.array([[0.9] * 6, [0.9] * 3 + [0.1] * 3, [0.1] * 6])[group]
    X = pd.DataFrame(np.where(rng.random((n, 6)) < p, "yes", "no"), columns=list("abcdef"))
    return X, pd.DataFrame({"number": number, "sex": sex}), group


@pytest.fixture(scope="module")
def case():
    X, context, group = table(1500, 2)
    model = AutoregressiveTreeFlow(random_state=0).fit(X)
    return X, context, group, model, model.find_groups(X, 3, context=context, n_bootstrap=50, random_state=0)


def test_what_rows_were_drawn_from(case):
    X, context, group, _, found = case
    share = pd.crosstab(found.group, group, normalize="columns").to_numpy()
    order = share.argmax(axis=0)  # of the groups that were drawn, which was found
    assert sorted(order) == [0, 1, 2]
    told = found.membership.effects[order] - found.membership.effects[order[0]]
    assert found.membership.terms == ("(intercept)", "number", "sex = m")
    error = found.membership.resampled_effects[:, order] - found.membership.resampled_effects[:, order[:1]]
    error = error.std(axis=0)
    assert (np.abs(told - [[0, 0, 0], [2, -1, 1], [4, -2, 0]])[1:] < 4 * error[1:]).all()
    assert (error[1:, 1] < 0.3).all()
    known = found.membership.predict_proba(context)
    np.testing.assert_allclose(known.sum(axis=1), 1)
    np.testing.assert_allclose(found.predict_proba(X, context), found.probability)
    assert (found.group == order[group]).mean() > (found.predict(X) == order[group]).mean()
    # the classes are those without context, and their likelihood is less
    assert found.criteria[-1].log_likelihood < found.membership.log_likelihood
    frame = found.membership.to_frame()
    assert list(frame) == ["effect", "error", "low", "high"]
    assert frame.loc[("group 1", "number"), "effect"] == found.membership.effects[1, 1]
    assert "log-odds against group 0\ngroup 1\n  (intercept): " in str(found)


def test_the_same_whatever_the_order_and_the_form(case):
    X, context, _, model, found = case
    order = np.random.default_rng(3).permutation(len(X))
    other = model.find_groups(X.iloc[order], 3, context=context.iloc[order], n_bootstrap=50, random_state=0)
    assert other.membership.effects.tobytes() == found.membership.effects.tobytes()
    assert other.membership.resampled_effects.tobytes() == found.membership.resampled_effects.tobytes()
    counted = pd.concat([X, context], axis=1).value_counts().reset_index()
    weighed = model.find_groups(
        counted[X.columns], 3, context=counted[context.columns], sample_weight=counted["count"], random_state=0
    )
    assert weighed.membership.effects.tobytes() == found.membership.effects.tobytes()
    assert weighed.weight.tobytes() == model.find_groups(X, 3, random_state=0).weight.tobytes()


def test_odd_contexts(case):
    X, context, _, model, found = case
    with pytest.raises(TypeError, match="there must be no context"):
        model.find_groups(X, 3).predict_proba(X, context)
    with pytest.raises(ValueError, match="context has 3 rows, and the table 1,500"):
        model.find_groups(X, 3, context=context.head(3))
    with pytest.raises(ValueError, match="fit saw"):
        found.membership.predict_proba(context[["sex"]])
    # terms that say the same, one that says nothing, missing cells, and one that tells a group for sure
    odd = pd.DataFrame({"a": context["sex"], "b": context["sex"], "same": 1, "x": np.linspace(0.0, 1e6, len(X))})
    odd.loc[::7, "x"] = np.nan
    odd["sure"] = np.where(found.group == 2, "u", "v")
    told = model.find_groups(X, 3, context=odd).membership
    assert np.isfinite(told.effects).all()
    assert told.terms == ("(intercept)", "a = m", "b = m", "same", "x", "x = (missing)", "sure = v")
    with pytest.warns(UserWarning, match="there are none to speak of"):
        one = model.find_groups(X, 1, context=context, n_bootstrap=2)
    assert one.membership.effects.tolist() == [[0.0, 0.0, 0.0]]
    assert one.membership.to_frame().empty
