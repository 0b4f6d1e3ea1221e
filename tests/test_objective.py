"""Objectives of a user's own: the same trees for the same objective, and one clear error for a bad one."""

import numpy as np
import pytest
from conftest import declared, random_table

from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow
from treeflows.learning import prunings

numba = pytest.importorskip("numba")

MODELS = {
    "trees": lambda **o: AutoregressiveTreeFlow(**o),
    "layers": lambda **o: DiscreteTreeFlow(3, min_samples_split=10, **o),
}


def entropy(counts, n):
    cost = 0.0
    for c in counts:
        if c > 0:
            cost -= c * np.log(c / n)
    return cost


def gini(counts, n):
    return n - (counts * counts).sum() / n


def splits(model):
    """Everything that a criterion decides."""
    if isinstance(model, AutoregressiveTreeFlow):
        trees = model.distribution_
        return trees.column, trees.low, trees.high, trees.children
    return tuple(array for layer in model.layers_ for array in (layer.column, layer.input_sets, layer.tables))


def assert_same(a, b):
    assert len(splits(a)) == len(splits(b))
    for x, y in zip(splits(a), splits(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("k", [[2] * 10, [2, 3, 4, 1, 5], [40, 25, 3], [17] * 4])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_entropy_by_a_user_gives_the_trees_of_the_built_in(model, k, n_jobs):
    codes = random_table(1, 1500, k)
    options = {"categories": declared(k), "n_jobs": n_jobs}
    own = MODELS[model](criterion=entropy, **options).fit(codes)
    built_in = MODELS[model](**options).fit(codes)
    assert_same(own, built_in)
    np.testing.assert_array_equal(own.score_samples(codes), built_in.score_samples(codes))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["mushroom", "plants", "car"])
def test_the_entropy_by_a_user_gives_the_trees_of_the_built_in_on_real_tables(shared_npz, model, name):
    data = shared_npz(name)
    codes, k = data["train"][:3000, :25], data["n_categories"][:25]
    assert_same(*(MODELS[model](categories=declared(k), **o).fit(codes) for o in ({"criterion": entropy}, {})))


@pytest.mark.parametrize("model", MODELS)
def test_another_objective_gives_other_trees(model, monkeypatch):
    monkeypatch.setattr(prunings, "NEGLIGIBLE", 0.0)  # whole trees
    k = [2, 3, 4, 5]
    codes = random_table(1, 1500, k)
    own, built_in = (MODELS[model](categories=declared(k), **o).fit(codes) for o in ({"criterion": gini}, {}))
    assert any(len(x) != len(y) or (x != y).any() for x, y in zip(splits(own), splits(built_in), strict=True))
    compiled = MODELS[model](categories=declared(k), criterion=numba.njit(gini)).fit(codes)
    assert_same(own, compiled)


def test_gini_splits_where_gini_says():
    # two candidates: one makes a small pure leaf, one an even gain; the likelihood and Gini disagree
    rows = [(1, 0, 1)] * 30 + [(0, 1, 1)] * 140 + [(0, 0, 0)] * 140 + [(0, 1, 0)] * 60 + [(0, 0, 1)] * 30
    codes = np.array(rows)

    def cost(target):
        return gini(np.bincount(target, minlength=2), len(target))

    expected = min((0, 1), key=lambda s: sum(cost(codes[codes[:, s] == v, 2]) for v in (0, 1)))
    flow = AutoregressiveTreeFlow(criterion=gini, max_depth=1).fit(codes)
    assert flow.trees_[2].column.tolist() == [expected]


def one_argument(counts):
    return 0.0


def text(counts, n):
    return "cost"


def not_compiled(counts, n):
    return open("file")


def undefined_at_sixteen(counts, n):
    return 1.0 / (n - 16)


def not_a_number(counts, n):
    return np.log(-1.0) if counts[0] > 3 else 0.0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("criterion", "told"),
    [
        (one_argument, r"criterion 'one_argument' must be a function f\(counts, n\) -> float"),
        (text, "must be a function .* but it returns"),
        (not_compiled, "that Numba can compile"),
        (not_a_number, r"criterion\(\[.*\], \d+\) gave nan"),
        (undefined_at_sixteen, r"criterion\(\[.*\], 16\) raised ZeroDivisionError"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_objectives_get_one_clear_error(model, criterion, told):
    codes = random_table(0, 16, [2, 3, 4])
    with pytest.raises(ValueError, match=told):
        MODELS[model](criterion=criterion, n_jobs=2, min_samples_leaf=1).fit(codes)


def test_files_keep_what_was_fitted(tmp_path):
    import treeflows

    codes = random_table(0, 300, [2, 3, 4])
    flow = AutoregressiveTreeFlow(criterion=gini).fit(codes)
    treeflows.save(flow, tmp_path / "m")
    loaded = treeflows.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.score_samples(codes), flow.score_samples(codes))
    assert loaded.criterion == "likelihood"


def test_a_criterion_that_changes_its_counts_is_refused():
    def careless(counts, n):
        counts[0] = 0
        return float(n - counts.max())

    with pytest.raises(ValueError, match="leaves its counts as they are"):
        AutoregressiveTreeFlow(criterion=careless).fit(random_table(0, 50, [2, 2]))
