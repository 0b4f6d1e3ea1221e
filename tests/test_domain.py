"""Tables in and out: dtypes, containers, and what a bad value is told."""

import numpy as np
import pandas as pd
import pytest

from treeflows import DiscreteTreeFlow

RNG = np.random.default_rng(0)


def fit(X, **options):
    return DiscreteTreeFlow(2, min_samples_split=10, **options).fit(X)


ARRAYS = {
    "uint8": RNG.integers(0, 4, (60, 3)).astype(np.uint8),
    "int64": RNG.integers(0, 4, (60, 3)),
    "gaps": RNG.choice([0, 7, 200], (60, 3)),
    "large integers": RNG.choice([10_115, 90_210, 2**40], (60, 3)),
    "whole floats": RNG.integers(0, 4, (60, 3)).astype(float),
    "bool": RNG.integers(0, 2, (60, 3)).astype(bool),
    "strings": RNG.choice(["low", "middle", "high"], (60, 3)),
    "objects": RNG.choice(np.array(["a", 3, True, (1, 2)], dtype=object)[:3], (60, 3)),
    "fortran order": np.asfortranarray(RNG.integers(0, 4, (60, 3))),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_come_back_as_they_were(kind):
    X = ARRAYS[kind]
    flow = fit(X)
    z = flow.transform(X)
    back = flow.inverse_transform(z)
    assert back.dtype == X.dtype
    assert z.dtype == np.uint8
    np.testing.assert_array_equal(back, X)
    sample = flow.sample(20, random_state=0)
    assert sample.dtype == X.dtype
    for j in range(3):
        assert set(sample[:, j].tolist()) <= set(flow.categories_[j].tolist())


def frame():
    return pd.DataFrame(
        {
            "city": RNG.choice(["Rome", "Oslo"], 80),
            "level": pd.Categorical(RNG.choice(["low", "high"], 80), ["low", "middle", "high"], ordered=True),
            "colour": pd.Categorical(RNG.choice(["red", "blue"], 80)),
            "code": RNG.integers(0, 5, 80).astype(np.int16),
            "zip": RNG.choice([10_115, 90_210], 80),
            "flag": RNG.integers(0, 2, 80).astype(bool),
            "whole": RNG.integers(0, 3, 80).astype(float),
            "mixed": RNG.choice(np.array(["a", 1], dtype=object), 80),
            "text": pd.array(RNG.choice(["x", "y"], 80), dtype="string"),
            "nullable": pd.array(RNG.integers(0, 3, 80), dtype="Int64"),
        }
    )


def test_frames_come_back_as_they_were():
    X = frame()
    flow = fit(X)
    back = flow.inverse_transform(flow.transform(X))
    pd.testing.assert_frame_equal(back, X)
    sample = flow.sample(30, random_state=0)
    assert sample.dtypes.equals(X.dtypes)
    assert list(flow.feature_names_in_) == list(X.columns)
    assert flow.get_feature_names_out().tolist() == list(X.columns)


def test_a_categorical_dtype_declares_the_domain():
    X = frame()
    flow = fit(X)
    assert flow.categories_[1].tolist() == ["low", "middle", "high"]  # "middle" never occurs
    other = X.copy()
    other["level"] = pd.Categorical(["middle"] * len(X), ["low", "middle", "high"], ordered=True)
    assert np.isfinite(flow.score_samples(other)).all()


def test_an_array_and_a_frame_give_the_same_flow():
    X = RNG.choice(["a", "b", "c"], (100, 3))
    a, b = fit(X), fit(pd.DataFrame(X, columns=list("pqr")))
    np.testing.assert_array_equal(a.score_samples(X), b.score_samples(pd.DataFrame(X, columns=list("pqr"))))


def test_declared_categories():
    X = np.array([[0, 0], [1, 2], [0, 2]])
    flow = fit(X, categories=[range(3), [2, 1, 0]])
    assert np.exp(flow.score_samples([[a, b] for a in range(3) for b in range(3)])).sum() == pytest.approx(1)
    assert flow.categories_[1].tolist() == [2, 1, 0]
    np.testing.assert_array_equal(flow.inverse_transform(flow.transform(X)), X)
    with pytest.raises(ValueError, match=r"column 1 holds 3 at row 0.*categories="):
        fit([[0, 3]], categories=[range(3), range(3)])
    for bad in (5, [range(3)], [range(3), [1, 1]], [range(3), []], [range(3), None], [range(3), "abc"]):
        with pytest.raises(ValueError, match="categories"):
            fit(X, categories=bad)


def inverse(X, categories, codes):
    flow = DiscreteTreeFlow(0, categories=categories).fit(X)
    return flow.inverse_transform(codes)


@pytest.mark.parametrize(
    ("X", "categories"),
    [
        (np.array([["a"], ["b"]]), [["a", "b", "long"]]),
        (np.array([[0], [1]], dtype=np.uint8), [[0, 1, 300]]),
        (np.array([[0], [1]]), [[0, 1, 1.5]]),
        (np.array([[False], [True]]), [[0, 1, 2]]),
        (np.array([["a"], ["b"]]), [["a", "b", 3]]),
        (np.array([[0], [1]]), [[0, 1, "x"]]),
        (np.array([[False], [True]], dtype=object), [[False, True, None]]),
        (np.array([[0], [1]]), [[-1, 0, 1]]),
    ],
)
@pytest.mark.parametrize("container", ["array", "frame"])
def test_what_was_declared_comes_back_whatever_the_dtype(X, categories, container):
    X = pd.DataFrame(X) if container == "frame" else X
    back = inverse(X, categories, np.arange(len(categories[0]))[:, None])
    values = back.iloc[:, 0] if container == "frame" else back[:, 0]
    assert [None if pd.isna(value) else value for value in values.tolist()] == categories[0]


def test_values_are_not_taken_for_others():
    flow = DiscreteTreeFlow(0, categories=[[-1, 0, 1]]).fit([[0], [1]])
    assert np.isfinite(flow.score_samples([[-1]])).all()
    with pytest.raises(ValueError, match="holds 255"):
        flow.score_samples(np.array([[255]], dtype=np.uint8))
    X = np.array([[1e300], [3.0], [2.0**63], [2.0**64]])
    flow = DiscreteTreeFlow(0).fit(X)
    assert flow.categories_[0].tolist() == sorted(X[:, 0])
    with pytest.raises(ValueError, match="holds 9223372036854775807"):
        flow.score_samples(np.array([[2**63 - 1]]))
    frame = pd.DataFrame({"x": pd.Categorical([-1, 2])})
    flow = DiscreteTreeFlow(0).fit(frame)
    assert np.isfinite(flow.score_samples(pd.DataFrame({"x": [2, -1]}))).all()


def test_integer_column_names_come_back():
    X = pd.DataFrame(RNG.integers(0, 3, (50, 2)))
    flow = fit(X)
    pd.testing.assert_frame_equal(flow.inverse_transform(flow.transform(X)), X)


def test_lists_are_not_turned_to_strings():
    flow = fit([["a", np.nan], ["b", "c"]])
    assert flow.categories_[1].tolist() == ["c", None]
    flow = fit([["a", 1], ["b", 2]])
    assert flow.categories_[1].tolist() == [1, 2]


def test_values_without_an_order_are_named():
    X = np.empty((2, 1), dtype=object)
    X[:, 0] = [(1, 2), (1, "a")]
    with pytest.raises(ValueError, match="column 0 mixes values that have no order"):
        fit(X)


def test_a_list_of_lists():
    flow = fit([["a", "x"], ["b", "y"], ["a", "y"]])
    assert flow.sample(3, random_state=0).shape == (3, 2)


def test_256_categories_and_no_more():
    X = np.arange(256)[:, None] * np.array([[1, 1]])
    np.testing.assert_array_equal(fit(X).inverse_transform(fit(X).transform(X)), X)
    with pytest.raises(ValueError, match=r"column 1 has 257 categories.*256"):
        fit(np.column_stack([np.zeros(257, dtype=int), np.arange(257)]))
    with pytest.raises(ValueError, match="column 'id' has 300 categories"):
        fit(pd.DataFrame({"id": [f"person {i}" for i in range(300)]}))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.nan, "column 1 has a missing value .* at row 2"),
        (np.inf, "column 1 holds inf at row 2"),
        (0.5, "column 1 holds 0.5 at row 2.*digitize"),
        (-1, "column 1 holds -1.* at row 2.*negative"),
    ],
)
@pytest.mark.parametrize("dtype", [float, object])
def test_bad_numbers_are_named(value, told, dtype):
    X = np.zeros((4, 2), dtype=dtype)
    X[2, 1] = value
    with pytest.raises(ValueError, match=told):
        fit(X, missing="error")
    good = fit(np.zeros((4, 2), dtype=dtype))
    with pytest.raises(ValueError, match=told):
        good.score_samples(X)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_objects_are_named(missing):
    X = np.array([["a", "b"], ["a", "c"]], dtype=object)
    X[1, 1] = missing
    with pytest.raises(ValueError, match="column 1 has a missing value .* at row 1"):
        fit(X, missing="error")
    with pytest.raises(ValueError, match="column 'q' has a missing value .* at row 1"):
        fit(pd.DataFrame(X, columns=["p", "q"]), missing="error")
    with pytest.raises(ValueError, match="column 'q' has a missing value .* at row 1"):
        fit(pd.DataFrame(X, columns=["p", "q"]).astype("category"), missing="error")


def test_values_that_cannot_be_categories_are_named():
    X = np.array([["a", "b"], ["a", "c"]], dtype=object)
    X[1, 1] = ["b", "c"]
    with pytest.raises(ValueError, match="column 1 holds values that cannot be categories"):
        fit(X)


def test_negative_integers_are_named():
    with pytest.raises(ValueError, match=r"column 'n' holds -3 at row 1.*negative"):
        fit(pd.DataFrame({"n": [0, -3]}))


def test_unknown_dtypes_are_named():
    with pytest.raises(ValueError, match=r"column 'when' has dtype Datetime"):
        fit(pd.DataFrame({"when": pd.to_datetime(["2024-01-01", "2024-01-02"]).tz_localize("UTC")}))


@pytest.mark.parametrize("method", ["score_samples", "transform", "score"])
def test_unseen_values_are_named(method):
    flow = fit(np.array([[0, 5], [1, 6]]))
    with pytest.raises(ValueError, match=r"column 1 holds 7 at row 1.*5, 6"):
        getattr(flow, method)(np.array([[0, 5], [0, 7]]))
    with pytest.raises(ValueError, match=r"column 0 holds 70000 at row 0"):
        getattr(flow, method)(np.array([[70_000, 5]]))
    flow = fit(pd.DataFrame({"city": ["Rome", "Oslo"], "n": [0, 1]}))
    with pytest.raises(ValueError, match=r"column 'city' holds 'Bonn' at row 0.*'Oslo', 'Rome'"):
        getattr(flow, method)(pd.DataFrame({"city": ["Bonn"], "n": [0]}))


def test_shapes_and_names_are_checked():
    X = frame()
    flow = fit(X)
    scores = flow.score_samples(X)
    np.testing.assert_array_equal(flow.score_samples(X.iloc[:, ::-1]), scores)
    with pytest.warns(UserWarning, match="columns that fit did not see, which are left out: 'more'"):
        np.testing.assert_array_equal(flow.score_samples(X.assign(more=0)), scores)
    with pytest.raises(ValueError, match="the table lacks 'zip', and whole rows are wanted"):
        flow.score_samples(X.drop(columns="zip"))
    with pytest.raises(ValueError, match="the table has none of the columns that fit saw"):
        flow.predict(X.add_prefix("the "), "zip")
    with pytest.raises(ValueError, match="unique; 'a' occurs more than once"):
        fit(pd.DataFrame([[0, 1]], columns=["a", "a"]))
    for empty in (np.zeros((0, 3), dtype=int), np.zeros((3, 0), dtype=int), frame().iloc[:0], frame().iloc[:, :0]):
        with pytest.raises(ValueError, match="Found"):
            fit(empty)
    with pytest.raises(ValueError, match="2D array"):
        fit(np.zeros(5, dtype=int))
    with pytest.raises(ValueError, match="3 features"):
        fit(np.zeros((4, 3), dtype=int)).score_samples(np.zeros((4, 2), dtype=int))


def test_codes_are_checked():
    flow = fit(frame()[["city", "level"]])
    with pytest.raises(ValueError, match="column 'level' of Z holds 3 at row 0; its codes run from 0 to 2"):
        flow.inverse_transform([[0, 3]])
    with pytest.raises(ValueError, match="holds -1"):
        flow.inverse_transform([[-1, 0]])
    with pytest.raises(ValueError, match="3 columns"):
        flow.inverse_transform([[0, 0, 0]])
    with pytest.raises(ValueError, match="integers"):
        flow.inverse_transform([[0.5, 0]])
    assert flow.inverse_transform([[1.0, 2.0]]).shape == (1, 2)


def test_sets_output_container():
    X = frame()
    z = fit(X).set_output(transform="pandas").transform(X)
    assert list(z.columns) == list(X.columns)
