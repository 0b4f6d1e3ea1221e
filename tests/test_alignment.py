"""Groups brought to one distribution along directions: alike after it, exactly back, the same in any order of rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm
from sklearn import config_context
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_score

from treeflows import SlicedAligner
from treeflows.learning import sliced

GROUPS = "ab", "cd", "ef"


def three(n=600, seed=0):
    """Groups of other places, spreads and dependences; with an outlier, values that recur, and collinear columns."""
    rng = np.random.default_rng(seed)
    group = rng.choice(GROUPS, n, p=[0.5, 0.3, 0.2])
    x = rng.standard_normal((n, 2))
    x[group == "cd"] = x[group == "cd"] @ [[1, 2], [0, 1]] + 3
    x[group == "ef", 1] = x[group == "ef", 0] ** 2 + 0.3 * x[group == "ef", 1]
    whole = rng.poisson(np.where(group == "ab", 1, 4)).astype(float)
    X = np.column_stack([x, 2 * x[:, 0] - x[:, 1] + 1, whole, np.full(n, 7.0), np.exp(x[:, 0])])
    X[0, 5] = 1e6
    return X, group


@pytest.fixture(scope="module")
def fitted():
    X, group = three()
    return SlicedAligner(random_state=0).fit(X, context=group)


def told_apart(X, group):
    """Area under the curve of a linear discriminant with squares that tells two groups apart."""
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    pairs = np.column_stack([X, *(X * X[:, [j]] for j in range(X.shape[1]))])
    return cross_val_score(LinearDiscriminantAnalysis(), pairs, group, scoring="roc_auc").mean()


def test_groups_are_alike_and_translated_rows_are_as_the_others(fitted):
    X, group = three(seed=1)
    Z = fitted.transform(X, context=group)
    two = group != "ef"
    assert told_apart(X[two, :2], group[two]) > 0.95
    assert told_apart(Z[two, :2], group[two]) < 0.62
    told = fitted.inverse_transform(Z[group == "ab"], context=["cd"] * (group == "ab").sum())
    both = np.concatenate([told, X[group == "cd"]])[:, :2]
    assert told_apart(both, np.arange(len(both)) < len(told)) < 0.62
    before, after = fitted.validation_distance_.T
    assert fitted.n_layers_ == len(before) > 1
    assert (after < before).all()


def test_there_and_back_exactly(fitted):
    X, group = three(seed=2)
    X[:3] += [[1e5], [-1e5], [30]]  # far out of what fit saw
    Z = fitted.transform(X, context=group)
    scale = np.abs(X).max(axis=0)
    assert (np.abs(fitted.inverse_transform(Z, context=group) - X) <= 1e-9 * scale).all()
    np.testing.assert_array_equal(Z[:, 4], X[:, 4])  # constant
    some = np.array([5, 77, 300])
    np.testing.assert_array_equal(fitted.transform(X[some], context=group[some]), Z[some])
    other = np.roll(group, 1)
    into = fitted.inverse_transform(Z, context=other)
    assert (np.abs(fitted.transform(into, context=other) - Z) <= 1e-9 * np.abs(Z).max(axis=0)).all()


def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(fitted):
    X, group = three()
    order = np.random.default_rng(0).permutation(len(X))
    again = SlicedAligner(random_state=0).fit(X[order], context=group[order])
    np.testing.assert_array_equal(again.transform(X, context=group), fitted.transform(X, context=group))
    renamed = np.array([GROUPS.index(each) for each in group])
    numbered = SlicedAligner(random_state=0).fit(X, context=renamed)
    np.testing.assert_array_equal(numbered.transform(X, renamed), fitted.transform(X, group))
    assert (
        clone(fitted).set_params(random_state=1).fit_transform(X, context=group) != fitted.transform(X, group)
    ).any()
    back = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(back.transform(X, group), fitted.transform(X, group))


def test_groups_that_do_not_differ_hardly_move():
    rng = np.random.default_rng(0)
    X, group = rng.standard_normal((3000, 3)), rng.integers(0, 2, 3000)
    assert np.abs(SlicedAligner(random_state=0).fit(X, context=group).transform(X, group) - X).mean() < 0.1


def test_barycentre_of_normal_distributions():
    """Against the definition: maps push each covariance to one, which is the fixed point."""
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((400, 3)) @ rng.standard_normal((3, 3)) + rng.normal(size=3) for _ in range(3)]
    weight = np.array([0.2, 0.3, 0.5])
    step = sliced.normal_step(parts, weight)
    within = sum((part - part.mean(axis=0)).T @ (part - part.mean(axis=0)) for part in parts) / 1200
    covariance = [(np.cov(part, rowvar=False, bias=True) * 400 + 4 * within) / 404 for part in parts]
    common = [there @ each @ there for there, each in zip(step.there, covariance, strict=True)]
    np.testing.assert_allclose(common[1:], common[:1] * 2, atol=1e-6)
    root = sqrtm(common[0]).real
    mean_root = sum(w * sqrtm(root @ each @ root).real for w, each in zip(weight, covariance, strict=True))
    np.testing.assert_allclose(mean_root, common[0], atol=1e-6)
    np.testing.assert_allclose(np.tensordot(weight, step.back, 1), np.eye(3), atol=1e-6)  # the mean of maps stays there
    np.testing.assert_allclose(step.backward(step.forward(parts[0], 0), 0), parts[0], atol=1e-10)


def test_directions_are_those_along_which_groups_are_furthest_apart():
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((500, 5)), rng.standard_normal((300, 5))]
    parts[1][:, 3] *= 4
    parts[1][:, 1] += 2 * np.sign(parts[1][:, 1])
    weight = np.array([0.6, 0.4])
    found = sliced.furthest(parts, weight, 2, rng)
    np.testing.assert_allclose(found.T @ found, np.eye(2), atol=1e-12)
    np.testing.assert_allclose((found[[1, 3]] ** 2).sum(), 2, atol=0.05)
    far = sliced.sliced_distance(parts, weight, found)
    turned = [sliced.sliced_distance(parts, weight, np.linalg.qr(rng.standard_normal((5, 2)))[0]) for _ in range(200)]
    assert far > max(turned)
    step = sliced.sliced_step(parts, weight, 2, np.random.default_rng(0))
    moved = [step.forward(part, g) for g, part in enumerate(parts)]
    assert sliced.sliced_distance(moved, weight, step.directions) < 0.15 * far
    off = np.linalg.svd(step.directions)[0][:, 2:]
    np.testing.assert_allclose(moved[0] @ off, parts[0] @ off, atol=1e-12)


def test_tables_come_back_as_they_came(fitted):
    X, group = three()
    frame = pd.DataFrame(X, columns=list("uvwxyz"), index=np.arange(len(X)) + 5)
    aligner = SlicedAligner(random_state=0)
    told = aligner.fit_transform(frame, context=pd.Series(group))
    pd.testing.assert_frame_equal(told, pd.DataFrame(fitted.transform(X, group), frame.index, frame.columns))
    assert list(aligner.get_feature_names_out()) == list("uvwxyz")
    pl = pytest.importorskip("polars")
    polar = clone(aligner).fit_transform(pl.DataFrame(dict(frame.items())), context=pl.Series("lab", group))
    np.testing.assert_array_equal(polar.to_numpy(), told.to_numpy())
    assert polar.columns == list("uvwxyz")
    with config_context(transform_output="pandas"):
        assert isinstance(clone(aligner).fit_transform(X, context=group), pd.DataFrame)


def test_what_cannot_be_moved_is_refused_by_name(fitted):
    X, group = three()
    frame = pd.DataFrame(X[:, :2], columns=["age", "pay"])
    aligner = SlicedAligner(random_state=0)
    with pytest.raises(TypeError, match="requires context"):
        aligner.fit(X)
    with pytest.raises(ValueError, match="one group, 'ab', and it takes two"):
        aligner.fit(X, context=["ab"] * len(X))
    with pytest.raises(ValueError, match=r"1 row\(s\) of the group 'new', and 10 are needed: leave it out"):
        aligner.fit(X, context=["new", *group[1:]])
    with pytest.raises(ValueError, match=r"column 'pay' is missing \(NaN\) at row 3.*impute"):
        aligner.fit(frame.assign(pay=frame["pay"].mask(frame.index == 3)), context=group)
    with pytest.raises(ValueError, match="column 1 holds inf at row 0"):
        aligner.fit(np.where(X[0, 1] == X, np.inf, X), context=group)
    with pytest.raises(ValueError, match=r"column 1 has the value 1e\+200 at row 0.*change the unit"):
        aligner.fit(np.where(X[0, 1] == X, 1e200, X), context=group)
    with pytest.raises(ValueError, match="column 'lab'"):
        aligner.fit(frame.assign(lab=group), context=group)
    with pytest.raises(ValueError, match="column 'day' holds .* and numbers alone are moved"):
        aligner.fit(frame.assign(day=pd.Timestamp("2020-01-01")), context=group)
    with pytest.raises(ValueError, match=r"did you mean 'ab'\?\)[^=]*$"):
        fitted.transform(X[:2], context=["ab", "Ab"])
    with pytest.raises(TypeError, match="context must be given"):
        fitted.transform(X[:2])
    with pytest.raises(ValueError, match="n_layers"):
        SlicedAligner(0).fit(X, context=group)
    with pytest.raises(ValueError, match="validation_fraction"):
        SlicedAligner(validation_fraction=1.0).fit(X, context=group)
    with pytest.raises(ValueError, match="n_directions"):
        SlicedAligner(n_directions=0).fit(X, context=group)


def test_groups_of_several_columns_and_few_rows_and_no_columns_that_vary():
    X, group = three(200)
    half = np.arange(len(X)) % 2
    context = pd.DataFrame({"lab": np.where(group == "ef", "ab", group), "half": half})
    aligner = SlicedAligner(3, 1, random_state=0).fit(X, context=context)
    assert aligner.n_groups_ == 4
    assert aligner.n_layers_ <= 3
    swapped = SlicedAligner(random_state=0).fit(X[half == 0], context=context[half == 0][["lab"]])
    with pytest.raises(ValueError, match="context has 2 columns|context has the columns"):
        swapped.transform(X, context)
    known = (context["lab"] == "ab") | (half == 0)
    with pytest.raises(ValueError, match=r"a group that fit did not see: \('cd', 1\)"):
        SlicedAligner(random_state=0).fit(X[known], context=context[known]).transform(X, context)
    small = SlicedAligner(random_state=0).fit(X[:20], context=[0, 1] * 10)
    np.testing.assert_allclose(small.inverse_transform(small.transform(X[:2], [0, 1]), [0, 1]), X[:2], rtol=1e-9)
    flat = np.ones((40, 2))
    np.testing.assert_array_equal(SlicedAligner(random_state=0).fit_transform(flat, context=[0, 1] * 20), flat)
