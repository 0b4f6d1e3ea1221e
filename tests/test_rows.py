"""What a model learns is a function of its rows as a multiset, and of the seed."""

import numpy as np
import pytest
from conftest import random_table

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowClassifier, TreeFlowEnsemble, TreeFlowMixture
from treeflows.learning.rows import in_order

K = [3, 2, 4, 2]
MODELS = {
    "trees": lambda **o: AutoregressiveTreeFlow(order="random", max_features=2, random_state=0, **o),
    "layers": lambda **o: DiscreteTreeFlow(2, min_samples_split=20, early_stopping=True, random_state=0, **o),
    "mixture": lambda **o: TreeFlowMixture(n_trees=3, random_state=0, **o),
    "ensemble": lambda **o: TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 3, random_state=0, **o),
}


def table(holes=False):
    X = random_table(0, 400, K).astype(float)
    if holes:
        X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    return X


def stored(model, tmp_path):
    """What a model is, to the byte."""
    treeflows.save(model, tmp_path / "m")
    return (tmp_path / "m").read_bytes()


@pytest.mark.parametrize("missing", ["category", "marginalize"])
@pytest.mark.parametrize("name", MODELS)
def test_any_order_of_the_rows_gives_the_same_bytes(tmp_path, name, missing):
    X = table(holes=True)
    shuffled = X[np.random.default_rng(2).permutation(len(X))]
    one, other = (stored(MODELS[name](missing=missing).fit(rows), tmp_path) for rows in (X, shuffled))
    assert one == other


@pytest.mark.parametrize("missing", ["category", "marginalize"])
@pytest.mark.parametrize("name", MODELS)
def test_a_weight_is_so_many_rows(tmp_path, name, missing):
    X = table(holes=True)
    weight = np.random.default_rng(3).integers(0, 4, len(X))
    weighted = MODELS[name](missing=missing).fit(X, sample_weight=weight)
    repeated = MODELS[name](missing=missing).fit(np.repeat(X, weight, axis=0)[::-1])
    assert stored(weighted, tmp_path) == stored(repeated, tmp_path)


def test_fractions_of_weights_depend_on_no_order(tmp_path):
    X, weight = table(), np.random.default_rng(3).random(400)
    order = np.random.default_rng(4).permutation(400)
    one = MODELS["mixture"]().fit(X, sample_weight=weight)
    other = MODELS["mixture"]().fit(X[order], sample_weight=weight[order])
    assert stored(one, tmp_path) == stored(other, tmp_path)


def test_classes_depend_on_no_order(tmp_path):
    X = table()
    y, order = X[:, 1], np.random.default_rng(4).permutation(400)
    one, other = (TreeFlowClassifier(random_state=0).fit(X[o][:, [0, 2, 3]], y[o]) for o in (np.arange(400), order))
    assert stored(one, tmp_path) == stored(other, tmp_path)


def test_equal_rows_stand_together():
    for n_columns in (1, 7, 8, 9, 30):
        rows = np.random.default_rng(n_columns).integers(0, 2, (500, n_columns), dtype=np.uint8)
        ordered = in_order(rows)
        np.testing.assert_array_equal(np.unique(ordered, axis=0), np.unique(rows, axis=0))
        changes = (ordered[1:] != ordered[:-1]).any(axis=1).sum()
        assert changes == len(np.unique(rows, axis=0)) - 1
        np.testing.assert_array_equal(in_order(rows[::-1]), ordered)
