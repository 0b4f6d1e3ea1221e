"""The generative classifier: conventions, the joint, tables, files, and accuracy beside boosted trees."""

import numpy as np
import pandas as pd
import pytest
from conftest import random_table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import treeflows
from treeflows import AutoregressiveTreeFlow, TreeFlowClassifier, TreeFlowEnsemble

CHEAP = AutoregressiveTreeFlow(order="natural")


@parametrize_with_checks([TreeFlowClassifier(CHEAP), TreeFlowClassifier(random_state=0)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def labelled(n_rows=300):
    X = random_table(0, n_rows, [3, 2, 4, 2])
    return X, np.array(["no", "yes", "perhaps"])[(X[:, 0] + X[:, 1]) % 3]


@pytest.mark.parametrize("estimator", [None, CHEAP, TreeFlowEnsemble(CHEAP, 2)])
def test_probabilities_are_those_of_the_joint(estimator):
    X, y = labelled()
    model = TreeFlowClassifier(estimator, random_state=0).fit(X, y)
    assert model.classes_.tolist() == ["no", "perhaps", "yes"]
    told = model.predict_proba(X[:20])
    for v, label in enumerate(model.classes_):
        rows = np.column_stack([X[:20].astype(object), np.full(20, label)])
        joint = model.density_.score_samples(rows)
        marginal = np.logaddexp.reduce(
            [
                model.density_.score_samples(np.column_stack([X[:20].astype(object), np.full(20, c)]))
                for c in model.classes_
            ]
        )
        np.testing.assert_allclose(told[:, v], np.exp(joint - marginal))
    np.testing.assert_array_equal(model.predict(X[:20]), model.classes_[told.argmax(axis=1)])
    assert model.score(X, y) > 0.95


def test_density_draws_labelled_rows():
    X, y = labelled()
    X = pd.DataFrame(X, columns=list("abcd"))
    model = TreeFlowClassifier(random_state=0).fit(X, pd.Series(y, name="answer"))
    drawn = model.density_.sample(5, random_state=0)
    assert list(drawn.columns) == ["a", "b", "c", "d", "answer"]
    assert set(drawn["answer"]) <= set(y)
    assert "answer given a, b, c, d" in str(model.density_.flows_[0].trees_[4])
    assert list(model.feature_names_in_) == list("abcd")


def test_labels_have_a_name_of_their_own(tmp_path):
    X = pd.DataFrame({"class": ["first", "third"] * 20, "0": ["a", "b"] * 20})
    for y in (np.array([0, 1] * 20), pd.Series([0, 1] * 20, name=0)):
        model = TreeFlowClassifier(CHEAP).fit(X, y)
        drawn = model.density_.sample(5, random_state=0)
        assert drawn.shape == (5, 3)
        assert set(drawn["class"]) <= {"first", "third"}
        assert np.isfinite(model.density_.score_samples(drawn)).all()
        treeflows.save(model, tmp_path / "m")
        assert treeflows.load(tmp_path / "m").score(X, y) == 1


def test_the_density_takes_the_rows_that_the_classifier_takes():
    X, y = labelled()
    model = TreeFlowClassifier(CHEAP, missing="marginalize").fit(X, y)
    rows = np.column_stack([X[:3].astype(object), y[:3]])
    rows[0, 1] = None
    assert model.density_.score_samples(rows)[0] > model.density_.score_samples(np.array([[9, *rows[0, 1:]]]))[0]


@pytest.mark.parametrize("missing", ["category", "marginalize"])
def test_missing_and_unseen_values(missing):
    X, y = labelled(600)
    X = X.astype(float)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    model = TreeFlowClassifier(random_state=0, missing=missing).fit(X, y)
    assert model.score(X, y) > 0.8
    np.testing.assert_allclose(model.predict_proba([[9, 0, np.nan, 1]]).sum(), 1)
    with pytest.raises(ValueError, match="column 0 holds 9"):
        TreeFlowClassifier(CHEAP, handle_unknown="error").fit(X, y).predict([[9, 0, 0, 0]])


def test_weights_are_repetitions():
    X, y = labelled(60)
    weight = np.random.default_rng(0).integers(0, 4, 60)
    weighted = TreeFlowClassifier(CHEAP).fit(X, y, sample_weight=weight)
    repeated = TreeFlowClassifier(CHEAP).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    some = X[weight > 0]
    np.testing.assert_array_equal(weighted.predict_proba(some), repeated.predict_proba(some))


@pytest.mark.parametrize("estimator", [None, CHEAP])
@pytest.mark.parametrize("named", [False, True])
def test_file(estimator, named, tmp_path):
    X, y = labelled()
    X = pd.DataFrame(X, columns=list("abcd")) if named else X
    model = TreeFlowClassifier(estimator, random_state=0).fit(X, y)
    treeflows.save(model, tmp_path / "m")
    loaded = treeflows.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.n_features_in_ == 4
    assert hasattr(loaded, "feature_names_in_") == named
    treeflows.save(loaded, tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


def test_bad_labels_are_named():
    X, y = labelled()
    with pytest.raises(ValueError, match="y is None"):
        TreeFlowClassifier().fit(X, None)
    with pytest.raises(ValueError, match="300 classes; at most 256"):
        TreeFlowClassifier().fit(np.repeat(X, 3, axis=0), np.repeat(np.arange(300), 3).astype(str))
    with pytest.raises(ValueError, match="y has a missing label at row 7"):
        TreeFlowClassifier().fit(X, [None if i == 7 else "a" for i in range(300)])
    for weight in (None, np.arange(300)):
        with pytest.raises(ValueError, match="inconsistent"):
            TreeFlowClassifier().fit(X, y[:-1], sample_weight=weight)
    with pytest.raises(TypeError, match="fit, score_samples and sample"):
        TreeFlowClassifier(HistGradientBoostingClassifier()).fit(X, y)


@pytest.mark.parametrize(("name", "column"), [("mushroom", 0), ("adult_cat", 8)])
def test_accuracy_is_near_that_of_boosted_trees(shared_npz, name, column):
    data = shared_npz(name)
    train, valid = data["train"][:6000], data["valid"]
    X, y = np.delete(train, column, axis=1), train[:, column]
    other, label = np.delete(valid, column, axis=1), valid[:, column]
    boosted = HistGradientBoostingClassifier(categorical_features=list(range(X.shape[1])), random_state=0).fit(X, y)
    model = TreeFlowClassifier(random_state=0).fit(X, y)
    assert model.score(other, label) > boosted.score(other, label) - 0.01
