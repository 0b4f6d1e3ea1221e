"""What a model learns is a function of its rows as a multiset, and of the seed."""

import tracemalloc

import numpy as np
import pytest
from conftest import random_table

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowClassifier, TreeFlowEnsemble, TreeFlowMixture
from treeflows.learning import rows
from treeflows.learning.multisets import at_most, distinct, hold_out, n_rows
from treeflows.learning.rows import rows_to_learn_from

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


@pytest.mark.parametrize("base", ["tree", TreeFlowMixture(n_trees=2)])
def test_scores_of_rows_learned_from_depend_on_no_order(tmp_path, base):
    X, weight = table(), np.random.default_rng(3).integers(0, 4, 400)
    one = DiscreteTreeFlow(1, base=base, random_state=0).fit(X, sample_weight=weight)
    other = DiscreteTreeFlow(1, base=base, random_state=0).fit(np.repeat(X, weight, axis=0)[::-1])
    assert stored(one, tmp_path) == stored(other, tmp_path)


def test_heavy_rows_take_no_room(tmp_path):
    X, weight = np.array([[0, 1, 2], [1, 0, 0]]), [10_000_000, 5_000_000]
    for name, model in MODELS.items():
        tracemalloc.start()
        fitted = model().fit(X, sample_weight=weight)
        assert tracemalloc.get_traced_memory()[1] < 200_000_000, name  # most of it rows that layers hold out
        tracemalloc.stop()
        assert fitted.score(X[:1]) == pytest.approx(np.log(2 / 3), abs=0.01)


def test_heavy_rows_with_holes_take_no_room(monkeypatch):
    monkeypatch.setattr(rows, "MOST_CELLS", 3000)
    codes, observed = np.array([[0, 1, 2], [1, 0, 0], [0, 0, 1], [0, 0, 1]], np.uint8), np.ones((4, 3), bool)
    observed[:, 2] = [True, False, False, False]
    codes[~observed] = 0
    weight = np.array([10_000_000, 3_000_001, 3, 700])
    of = np.array([2, 2, 3], np.int32), np.random.default_rng(0), 1
    filled, times = rows_to_learn_from(codes, observed, weight.astype(float), *of)
    assert 990 < len(filled) < 1010
    seen, each = distinct(filled[:, :2], times)
    told = {tuple(row): n for row, n in zip(seen.tolist(), each.tolist(), strict=True)}
    assert told == {(0, 1): 10_000_000, (1, 0): 3_000_001, (0, 0): 703}
    fitted = AutoregressiveTreeFlow(missing="marginalize").fit(np.where(observed, codes, np.nan), sample_weight=weight)
    assert fitted.score([[1, 0, np.nan]]) == pytest.approx(np.log(3 / 13), abs=0.01)


def test_a_weight_of_many_digits_is_so_many_rows(tmp_path):
    X, weight = table(), np.random.default_rng(5).geometric(0.03, 400)
    weight[7] = 3000
    for model in MODELS.values():
        one, other = model().fit(X, sample_weight=weight), model().fit(np.repeat(X, weight, axis=0))
        assert stored(one, tmp_path) == stored(other, tmp_path)


def test_equal_rows_stand_together():
    for n_columns in (1, 7, 8, 9, 30):
        rows = np.random.default_rng(n_columns).integers(0, 2, (500, n_columns), dtype=np.uint8)
        codes, weight = distinct(rows)
        seen, times = np.unique(rows, axis=0, return_counts=True)
        order = np.lexsort(codes.T[::-1])
        np.testing.assert_array_equal(codes[order], seen)
        np.testing.assert_array_equal(weight[order], times)
        for other in (distinct(rows[::-1]), distinct(codes[::-1], weight[::-1])):
            np.testing.assert_array_equal(other[0], codes)
            np.testing.assert_array_equal(other[1], weight)


def test_rows_are_held_out_as_if_each_were_written_out():
    rows = np.random.default_rng(0).integers(0, 3, (50, 2), dtype=np.uint8)
    codes, weight = distinct(rows)
    times = np.zeros(len(weight))
    for seed in range(500):
        unseen, seen, left = hold_out(codes, weight, 10, np.random.default_rng(seed))
        both = distinct(np.vstack([unseen, np.repeat(seen, left, axis=0)]))
        assert len(unseen) == 10
        assert all(map(np.array_equal, both, (codes, weight)))
        assert (left <= weight[(seen[:, None] == codes).all(axis=2).argmax(axis=1)]).all()
        np.add.at(times, (unseen[:, None] == codes).all(axis=2).argmax(axis=1), 1)
    np.testing.assert_allclose(times / 500, weight / 5, atol=0.2)
    some = at_most(codes, weight, 20, np.random.default_rng(0))
    assert n_rows(*some) == 20
    assert at_most(codes, weight, 50, None)[1] is weight
