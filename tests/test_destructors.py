"""Destructors: their maps undo each other, their densities are what they say, and what is none is told so."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import kstest
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from treeflows import (
    DeepDestructor,
    IndependentDestructor,
    MixtureDestructor,
    RotationDestructor,
    TreeDestructor,
    check_destructor,
)

LAYERS = {
    "independent": IndependentDestructor(),
    "independent in the cube": IndependentDestructor(canonical=True),
    "mixture": MixtureDestructor(2),
    "mixture in the cube": MixtureDestructor(canonical=True),
    "rotation": RotationDestructor(),
    "principal axes": RotationDestructor("pca"),
    "trees": TreeDestructor(4, 2),
    "deep": DeepDestructor([IndependentDestructor(), TreeDestructor(3, 2)]),
    "deep in deep": DeepDestructor(
        [MixtureDestructor(1), DeepDestructor([RotationDestructor(), IndependentDestructor()])]
    ),
}


def spiral(seed=0, n=400):
    """Two numbers whose dependence no normal distribution tells, and a third that follows from them but for noise."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(1, 7, n)
    x = np.column_stack([t * np.cos(t), 10 + t * np.sin(t)]) + rng.normal(0, 0.3, (n, 2))
    return np.column_stack([x, x.sum(axis=1) + rng.normal(0, 0.5, n)])


@pytest.fixture(scope="module")
def deep():
    layers = [MixtureDestructor(2), TreeDestructor(3, 2), RotationDestructor(), IndependentDestructor()]
    return DeepDestructor(layers, random_state=0).fit(spiral())


@pytest.mark.parametrize("name", LAYERS)
def test_each_is_a_destructor(name):
    check_destructor(LAYERS[name])


@pytest.mark.parametrize(
    "name", ["independent", "independent in the cube", "mixture", "mixture in the cube", "trees", "deep"]
)
def test_no_number_depends_on_later_columns(name):
    X = spiral()
    X = X if name in ("independent", "mixture", "deep") else IndependentDestructor().fit_transform(X)
    layer = clone(LAYERS[name]).fit(X)
    told, changed = layer.transform(X), X.copy()
    for t in (2, 1):
        changed[:, t] = X[::-1, t]
        np.testing.assert_array_equal(layer.transform(changed)[:, :t], told[:, :t])
        assert (layer.transform(changed)[:, t] != told[:, t]).any()


@pytest.mark.parametrize("layers", [[MixtureDestructor(3)], [IndependentDestructor(), TreeDestructor(3, 2)]])
def test_they_are_destructors_of_more_columns(layers):
    check_destructor(DeepDestructor(layers), spiral(n=300))


@parametrize_with_checks(
    [
        IndependentDestructor(),
        MixtureDestructor(1),
        DeepDestructor([IndependentDestructor(), RotationDestructor(), TreeDestructor(2, 1)]),
    ]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


# ---- what the check finds ----


class Logistic(BaseEstimator):
    """A destructor of one's own: logistic distributions side by side."""

    def fit(self, X, y=None):
        self.centre_, self.scale_ = np.mean(X, axis=0), np.std(X, axis=0) / 2
        return self

    def units(self, X):
        return (np.asarray(X) - self.centre_) / self.scale_

    def transform(self, X):
        return expit(self.units(X))

    def inverse_transform(self, U):
        return logit(U) * self.scale_ + self.centre_

    def score_samples(self, X):
        t = self.units(X)
        return -(np.logaddexp(0, t) + np.logaddexp(0, -t) + np.log(self.scale_)).sum(axis=1)


class NoInverse(Logistic):
    inverse_transform = None


class NotCloned(Logistic):
    def __init__(self, layers=()):
        self.layers = list(layers)


class NoSelf(Logistic):
    def fit(self, X, y=None):
        super().fit(X)


class SetsParameter(Logistic):
    def __init__(self, shift=0):
        self.shift = shift

    def fit(self, X, y=None):
        self.shift = 1
        return super().fit(X)


class Forgetful(Logistic):
    def fit(self, X, y=None):
        super().fit(X)
        self.scale_ = self.scale_ * np.random.default_rng().uniform(0.5, 1)
        return self


class FitCentres(Logistic):
    def fit(self, X, y=None):
        super().fit(X)
        X -= self.centre_
        return self


class TransformCentres(Logistic):
    def transform(self, X):
        u = super().transform(X)
        X -= self.centre_
        return u


class Single(Logistic):
    def transform(self, X):
        return super().transform(X).astype(np.float32)


class Percent(Logistic):
    def transform(self, X):
        return 100 * super().transform(X)


class Undefined(Logistic):
    def transform(self, X):
        u = super().transform(X)
        return np.where(u < 0.1, np.nan, u)


class MeanScore(Logistic):
    def score_samples(self, X):
        return super().score_samples(X).mean()


class WrongInverse(Logistic):
    def inverse_transform(self, U):
        return super().inverse_transform(U) * (1 + 1e-7)


class Folded(Logistic):
    """Two to one: the inverse finds one of them."""

    def transform(self, X):
        u = super().transform(X)
        return np.abs(2 * u - 1)

    def inverse_transform(self, U):
        return super().inverse_transform((1 + np.asarray(U)) / 2)


class TwiceAsMuch(Logistic):
    def score_samples(self, X):
        return super().score_samples(X) + np.log(2)


class Squared(Logistic):
    """A map other than that of the density."""

    def transform(self, X):
        return super().transform(X) ** 2

    def inverse_transform(self, U):
        return super().inverse_transform(np.sqrt(U))


class WrongCopula(Logistic):
    """The density of numbers that depend on each other, each by itself as the map has them."""

    def score_samples(self, X):
        return super().score_samples(X) + np.log1p(0.9 * np.prod(1 - 2 * self.transform(X), axis=1))


BROKEN = {
    NoInverse: "interface: .* has no method inverse_transform",
    NotCloned: "clone: ",
    NoSelf: "fit: it does not return",
    SetsParameter: "fit: it changes the destructor's parameters",
    Forgetful: "fit: a clone fitted to the same table transforms it otherwise, by ",
    FitCentres: "mutation: fit changes",
    TransformCentres: "mutation: transform changes",
    Single: "cube: transform gives float32",
    Percent: "cube: transform gives numbers from .* to [89]",
    Undefined: "cube: transform gives NaN in ",
    MeanScore: "density: score_samples gives shape",
    WrongInverse: "inversion: inverse_transform.*is not X, but away from it by up to",
    Folded: "inversion: inverse_transform.*is not X",
    TwiceAsMuch: r"integral: the density integrates to 2\.0",
    Squared: "uniformity: .* column 0 of transform is not uniform",
    WrongCopula: "uniformity: .* the columns of transform are not independent",
}


def test_one_of_ones_own_is_a_destructor():
    check_destructor(Logistic())
    check_destructor(Logistic(), spiral())
    check_destructor(DeepDestructor([Logistic(), TreeDestructor(3, 1)]))


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_named(broken):
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_destructor(broken())


def test_a_wrong_jacobian_is_found_where_nothing_is_integrated():
    with pytest.raises(AssertionError, match=r"Jacobian: in \d+ of 40 rows .* at the median by 0\.69"):
        check_destructor(TwiceAsMuch(), spiral())


def test_numbers_outside_the_cube_are_found():
    with pytest.raises(AssertionError, match="cube: inverse_transform gives .* rows outside the unit cube"):
        check_destructor(Logistic(), canonical=True)


# ---- layers on layers ----


def test_log_densities_of_the_layers_add_up(deep):
    x = spiral(1)
    stages, left_over, u, total = list(deep.staged_score_samples(x)), list(deep.staged_transform(x)), x, 0.0
    for layer, stage, rest in zip(deep.layers_, stages, left_over, strict=True):
        total, u = total + layer.score_samples(u), layer.transform(u)
        np.testing.assert_array_equal(stage, total)
        np.testing.assert_array_equal(rest, u)
    np.testing.assert_array_equal(deep.score_samples(x), total)
    np.testing.assert_array_equal(deep.transform(x), u)
    assert deep.score(x) == pytest.approx(total.mean())
    assert deep.train_score_[-1] == pytest.approx(deep.score(spiral()))
    assert deep.n_layers_ == len(deep.layers_) == 4
    assert deep.validation_score_ is None


def test_later_layers_are_told_that_they_are_in_the_cube(deep):
    assert [layer.canonical for layer in deep.layers_] == [False, True, True, True]
    inner = DeepDestructor([DeepDestructor([IndependentDestructor(), MixtureDestructor(1)]), MixtureDestructor(1)])
    first, second = inner.fit(spiral()).layers_
    assert [layer.canonical for layer in (first, *first.layers_, second)] == [False, False, True, True]
    assert not inner.layers[1].canonical  # the parameters stay as they were


def test_depth_pays_where_one_layer_is_wrong():
    train, test = spiral(0, 1500), spiral(1, 1500)
    deep = DeepDestructor([MixtureDestructor(1), TreeDestructor()], random_state=0).fit(train)
    one, two = (score.mean() for score in deep.staged_score_samples(test))
    assert two > one + 0.5


def test_samples_are_by_the_density(deep):
    drawn = deep.sample(1000, random_state=3)
    for column in deep.transform(drawn).T:
        assert kstest(column, "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(deep.sample(1000, random_state=3), drawn)
    np.testing.assert_allclose(np.median(drawn, axis=0), np.median(spiral(), axis=0), atol=1)


def test_early_stopping_keeps_what_held_out_rows_like_best():
    layers = [MixtureDestructor(2), *10 * [TreeDestructor(3, 1)]]
    noise = np.random.default_rng(0).standard_normal((300, 2))
    deep = DeepDestructor(layers, early_stopping=True, n_iter_no_change=2, random_state=0).fit(noise)
    scores = deep.validation_score_
    assert deep.n_layers_ == np.argmax(scores) + 1
    assert len(scores) == len(deep.train_score_) == min(deep.n_layers_ + 2, len(layers))


def test_results_depend_on_rows_and_seed_alone():
    x = spiral(n=300)
    layers = [MixtureDestructor(2, n_jobs=1), RotationDestructor(), TreeDestructor(3, 2, n_jobs=1)]
    deep = DeepDestructor(layers, early_stopping=True, random_state=0)
    once = deep.fit(x).transform(x)
    np.testing.assert_array_equal(clone(deep).fit(x[::-1]).transform(x), once)
    threads = [MixtureDestructor(2, n_jobs=2), RotationDestructor(), TreeDestructor(3, 2, n_jobs=2)]
    np.testing.assert_array_equal(clone(deep).set_params(layers=threads).fit(x).transform(x), once)
    np.testing.assert_array_equal(np.concatenate([deep.transform(part) for part in np.split(x, 4)]), once)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(deep)).transform(x), once)
    assert (clone(deep).set_params(random_state=1).fit(x).transform(x) != once).any()


def test_seeds_that_are_set_stay():
    deep = DeepDestructor([IndependentDestructor(), RotationDestructor(random_state=7), RotationDestructor()])
    _, one, other = deep.set_params(random_state=0).fit(spiral()).layers_
    assert one.random_state == 7
    assert other.random_state not in (None, 7)


@pytest.mark.parametrize("layer", [IndependentDestructor(), MixtureDestructor(2)])
def test_a_number_ten_ranges_away_has_a_density(layer):
    x = spiral()
    away = x[:1] + 10 * np.ptp(x, axis=0) * [1, 0, 0]
    fitted = clone(layer).set_params(random_state=0).fit(x)
    assert np.isfinite(fitted.score_samples(away)).all()
    u = fitted.transform(away)
    assert u.min() >= 0
    assert u.max() <= 1
    if isinstance(layer, IndependentDestructor):
        np.testing.assert_allclose(fitted.inverse_transform(u), away, rtol=1e-6)  # 1 - u has few digits


@pytest.mark.parametrize("layer", [IndependentDestructor(), MixtureDestructor(2)])
@pytest.mark.parametrize("unit", [1e-200, 1e140])
def test_units_do_not_matter(layer, unit):
    x = spiral()
    one, other = (clone(layer).set_params(random_state=0).fit(t) for t in (x, unit * x))
    # other bytes, other draws
    assert other.score(unit * x) + 3 * np.log(unit) == pytest.approx(one.score(x), abs=0.3)


def test_the_mixture_takes_as_many_states_as_held_out_rows_like():
    rng = np.random.default_rng(0)
    assert MixtureDestructor(random_state=0).fit(rng.standard_normal((400, 2))).n_components_ == 1
    clusters = rng.standard_normal((600, 2)) + 20 * rng.integers(0, 2, (600, 2))
    mixture = MixtureDestructor(random_state=0).fit(clusters)
    assert mixture.n_components_ == len(mixture.weights_) == 4
    np.testing.assert_allclose(mixture.weights_, 0.25, atol=0.08)


def test_principal_axes_come_first():
    z = np.random.default_rng(0).standard_normal(500)
    u = expit(1.7 * np.column_stack([z, z + 0.1 * np.random.default_rng(1).standard_normal(500)]))
    rotation = RotationDestructor("pca").fit(u).rotation_
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(rotation[0], np.sqrt([0.5, 0.5]), atol=0.05)


def test_a_deep_destructor_in_a_pipeline_of_named_columns():
    table = pd.DataFrame(spiral(), columns=["x", "y", "sum"])
    deep = DeepDestructor([IndependentDestructor(), TreeDestructor(2, 1)], random_state=0)
    pipeline = make_pipeline(StandardScaler(), deep).set_output(transform="pandas").fit(table)
    u = pipeline.transform(table)
    assert list(u.columns) == ["x", "y", "sum"]
    np.testing.assert_allclose(pipeline.inverse_transform(u), table)
    assert np.isfinite(pipeline.score(table))


# ---- bad input ----


@pytest.mark.parametrize("layer", [IndependentDestructor(), MixtureDestructor(1)])
def test_what_is_no_table_of_numbers_is_refused(layer):
    deep, x = DeepDestructor([layer]), spiral(n=40)
    for bad, told in ((np.nan, "NaN"), (np.inf, "infinity"), (1e200, "column 1 .* 1e.200 at row 3, but .* 1e.150")):
        wrong = x.copy()
        wrong[3, 1] = bad
        with pytest.raises(ValueError, match=told):
            deep.fit(wrong)
        with pytest.raises(ValueError, match=told):
            clone(deep).fit(x).score_samples(wrong)
    with pytest.raises(ValueError, match="1 sample"):
        deep.fit(x[:1])
    with pytest.raises(ValueError, match="column 'b' has the value 2 in every row, which has no density: leave"):
        deep.fit(pd.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 2, 2]}))
    with pytest.raises(ValueError, match="2 features, but DeepDestructor is expecting 3"):
        deep.fit(x).transform(x[:, :2])
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"column 0 has the value {wrong} at row 0, but a uniform number"):
            deep.inverse_transform([[wrong, 0.5, 0.5]])


@pytest.mark.parametrize("layer", [TreeDestructor(), RotationDestructor(), IndependentDestructor(canonical=True)])
def test_the_first_layer_must_take_the_table(layer):
    with pytest.raises(ValueError, match=r"column .* at row .* takes numbers from 0 to 1: put a layer"):
        clone(layer).fit(spiral())


@pytest.mark.parametrize(
    ("deep", "error", "told"),
    [
        (DeepDestructor([]), ValueError, "layers must be a list of one or more destructors"),
        (DeepDestructor(MixtureDestructor()), ValueError, "layers must be a list"),
        (DeepDestructor([MixtureDestructor]), TypeError, r"layers\[0\] must be .* is a class"),
        (DeepDestructor([MixtureDestructor(), StandardScaler()]), TypeError, r"layers\[1\] .* has no score_samples"),
        (DeepDestructor([MixtureDestructor(0)]), ValueError, "n_components"),
        (DeepDestructor([MixtureDestructor(41)]), ValueError, "n_components must be at most the number of rows, 40"),
        (DeepDestructor([IndependentDestructor(), RotationDestructor("ica")]), ValueError, "rotation must be 'random'"),
        (DeepDestructor([IndependentDestructor(), TreeDestructor(0)]), ValueError, "n_digits"),
        (DeepDestructor([IndependentDestructor()], validation_fraction=1.0), ValueError, "validation_fraction"),
        (DeepDestructor([IndependentDestructor()], n_iter_no_change=0), ValueError, "n_iter_no_change"),
        (
            DeepDestructor([IndependentDestructor()], early_stopping=True, validation_fraction=0.99),
            ValueError,
            "would hold out 40 row",
        ),
        (DeepDestructor([Percent()]), ValueError, "layer 0, .* gave what are no rows in the unit cube"),
        (DeepDestructor([MeanScore()]), ValueError, "score_samples of layer 0, .* no log-density of 40 row"),
    ],
)
def test_layers_that_are_none_are_named(deep, error, told):
    with pytest.raises(error, match=told):
        deep.fit(spiral(n=40))
