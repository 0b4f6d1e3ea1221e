"""Containers and dtypes in and out, on every backend alike; missing, unseen and rare values; weights."""

import datetime
import time
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowClassifier, TreeFlowEnsemble, TreeFlowMixture
from treeflows.machine.errors import TableError
from treeflows.tables.containers import Table, read_table
from treeflows.tables.policy import TablePolicy

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 90
RNG = np.random.default_rng(0)
CITIES = RNG.choice(["Rome", "Oslo", "Bonn"], N)
CELLS = {
    "city": CITIES.tolist(),
    "flag": (CITIES == "Rome").tolist(),
    "code": RNG.integers(0, 5, N).astype(np.int16),
    "whole": RNG.integers(0, 3, N).astype(float),
    "level": RNG.choice(["low", "high"], N).tolist(),
    "gap": [None if i % 9 == 0 else "yes" if i % 2 else "no" for i in range(N)],
    "hole": [None if i % 7 == 0 else i % 3 for i in range(N)],
}
LEVELS = ["low", "middle", "high"]  # "middle" never occurs


def as_pandas():
    X = pd.DataFrame(CELLS)
    X["code"] = X["code"].astype(np.int16)
    X["level"] = pd.Categorical(CELLS["level"], LEVELS, ordered=True)
    X["hole"] = pd.array(CELLS["hole"], dtype="Int64")
    X["gap"] = pd.array(CELLS["gap"], dtype="string")
    return X


def as_polars():
    X = pl.DataFrame(CELLS | {"code": pl.Series(CELLS["code"], dtype=pl.Int16)}, strict=False)
    return X.with_columns(pl.Series("level", CELLS["level"], dtype=pl.Enum(LEVELS)))


def as_pyarrow():
    level = pa.DictionaryArray.from_arrays(
        pa.array([LEVELS.index(v) for v in CELLS["level"]], pa.int8()), pa.array(LEVELS), ordered=True
    )
    return pa.table({name: level if name == "level" else pa.array(values) for name, values in CELLS.items()})


BACKENDS = {"pandas": as_pandas, "polars": as_polars, "pyarrow": as_pyarrow}


def same(a, b):
    """Whether two tables of one backend are equal, dtypes and missing cells included."""
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    else:
        assert a.schema == b.schema
        assert a.equals(b)


# ---- containers ----


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", [AutoregressiveTreeFlow(), DiscreteTreeFlow(2, min_samples_split=10)])
def test_tables_come_back_as_they_were(backend, model):
    X = BACKENDS[backend]()
    model = clone(model).fit(X)
    same(model.inverse_transform(model.transform(X)), X)
    sample = model.sample(200, random_state=0)
    assert type(sample) is type(X)
    assert list(model.feature_names_in_) == list(CELLS)
    empty = model.sample(0)
    if backend == "pandas":
        assert sample.dtypes.equals(X.dtypes)
        assert empty.dtypes.equals(X.dtypes)
    else:
        assert sample.schema == X.schema == empty.schema


def test_backends_give_the_same_model():
    told = {}
    for backend, make in BACKENDS.items():
        model = AutoregressiveTreeFlow().fit(make())
        told[backend] = [
            [c.tolist() for c in model.categories_],
            model.score_samples(make()),
            model.transform(make()),
            model.distribution_.sample(50, np.random.default_rng(0), 1),
        ]
        assert told[backend][0][4] == LEVELS
        assert told[backend][0][5] == ["no", "yes", None]
    for backend in ("polars", "pyarrow"):
        assert told[backend][0] == told["pandas"][0]
        for a, b in zip(told[backend][1:], told["pandas"][1:], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_questions_return_the_container(backend, tmp_path):
    X = BACKENDS[backend]()
    model = TreeFlowMixture(random_state=0, n_components=2, n_trees=2).fit(X)
    filled = model.impute(X)
    assert type(filled) is type(X)
    frame = filled if backend == "pandas" else filled.to_pandas()
    assert not frame.isna().any().any()
    assert frame["city"].tolist() == CELLS["city"]
    with warnings.catch_warnings(action="ignore"):
        given = model.sample(20, random_state=0, given={"city": "Rome"})
    assert set(given["city"].to_pylist() if backend == "pyarrow" else given["city"]) == {"Rome"}
    assert set(model.predict(X, "flag")) <= {True, False}
    treeflows.save(model, tmp_path / "m")
    same(treeflows.load(tmp_path / "m").sample(30), model.sample(30))


def test_a_model_reads_other_containers_than_it_was_fitted_to():
    model = AutoregressiveTreeFlow().fit(as_pandas())
    for make in (as_polars, as_pyarrow):
        np.testing.assert_array_equal(model.score_samples(make()), model.score_samples(as_pandas()))


@pytest.mark.parametrize("backend", ["polars", "pyarrow"])
def test_columns_are_matched_by_name(backend):
    X = BACKENDS[backend]()
    model = AutoregressiveTreeFlow().fit(X)
    np.testing.assert_array_equal(model.score_samples(X.select(list(CELLS)[::-1])), model.score_samples(X))
    some = X.select(list(CELLS)[:2])
    assert np.isfinite(model.conditional_proba(some, list(CELLS)[-1])).all()
    assert model.impute(some).shape == X.shape
    with pytest.raises(ValueError, match="Found a table with 0 row"):
        model.score_samples(X[:0])


def test_polars_categorical_declares_nothing():
    both = pl.Series(["x", "y", "z"], dtype=pl.Categorical)
    model = AutoregressiveTreeFlow().fit(pl.DataFrame({"a": both.filter([True, True, False])}))
    assert model.categories_[0].tolist() == ["x", "y"]


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_output_container_of_codes(container):
    Z = AutoregressiveTreeFlow().set_output(transform=container).fit_transform(as_pandas())
    assert list(Z.columns) == list(CELLS)
    assert type(Z).__module__.startswith(container)


@pytest.mark.parametrize(
    ("X", "told"),
    [
        (pl.DataFrame({"q": [0.5, 1.5]}), r"column 'q' holds 0.5 at row 0.*X = X.with_columns\(polars.Series"),
        (pd.DataFrame({"q": [0.5, 1.5]}), r"X\['q'\] = pandas.qcut\(X\['q'\], 10"),
        (pa.table({"q": [0.5, 1.5]}), r"numpy.digitize"),
        (np.array([[0.5], [1.5]]), r"X\[:, 0\] = numpy.digitize"),
        (pl.DataFrame({"q": range(1000)}), r"column 'q' has 1,000 categories.*bin it if it is a quantity"),
        (pl.DataFrame({"q": [f"{i}" for i in range(1000)]}), r"at most 256 are supported; fit with max_categories=128"),
        (pl.DataFrame({"q": [[1], [2]]}), r"column 'q' has dtype List"),
        (pl.DataFrame({"q": [None, None]}, schema={"q": pl.String}), "column 'q' has no value that is not missing"),
        (pa.table({"q": pa.array([1], pa.duration("s"))}), "column 'q' has dtype Duration"),
        (pa.table({"q": pa.array([1], pa.timestamp("us", "UTC"))}), "column 'q' has dtype Datetime.*UTC"),
        (pl.DataFrame({"q": [Decimal(1)]}), "column 'q' has dtype Decimal"),
        (np.array([["2020-01-01T00:00:00.000000001"]], dtype="M8[ns]"), "column 0 holds .*01 at row 0, a time finer"),
        (pd.DataFrame({1: [0], "1": [0]}), "column names 1 and '1' print alike"),
    ],
)
def test_refused_columns_are_named(X, told):
    with pytest.raises(ValueError, match=told):
        DiscreteTreeFlow().fit(X)


@pytest.mark.parametrize(
    "make", [lambda q: q[:, None].copy(), lambda q: pl.DataFrame({"q": q}), lambda q: pa.table({"q": q})]
)
def test_the_remedies_keep_what_is_missing(make):
    q = RNG.normal(size=500)
    q[::7] = np.nan
    scope = {"X": make(q), "numpy": np, "polars": pl}
    exec(treeflows.tables.containers.Table(scope["X"]).remedy(0), scope)
    model = AutoregressiveTreeFlow().fit(scope["X"])
    assert len(model.domain_.columns[0].values) == 10
    assert model.domain_.columns[0].missing


def test_the_remedies_work():
    q = RNG.normal(size=500)
    X = pd.DataFrame({"q": q})
    scope = {"X": X, "pandas": pd}
    exec(treeflows.tables.containers.Table(X).remedy(0), scope)
    assert len(AutoregressiveTreeFlow().fit(scope["X"]).categories_[0]) == 10
    X = pl.DataFrame({"q": q})
    scope = {"X": X, "polars": pl, "numpy": np}
    exec(treeflows.tables.containers.Table(X).remedy(0), scope)
    assert len(AutoregressiveTreeFlow().fit(scope["X"]).categories_[0]) == 10
    scope = {"X": pa.table({"q": q}), "numpy": np}
    exec(treeflows.tables.containers.Table(scope["X"]).remedy(0), scope)
    assert len(AutoregressiveTreeFlow().fit(scope["X"]).categories_[0]) == 10
    scope = {"X": q[:, None].copy(), "numpy": np}
    exec(treeflows.tables.containers.Table(scope["X"]).remedy(0), scope)
    assert len(AutoregressiveTreeFlow().fit(scope["X"]).categories_[0]) == 10


# ---- dtypes that few tables have ----


DAYS = [datetime.date(2020, 2, 29), datetime.date(1969, 12, 31), None, datetime.date(2020, 2, 29)] * 5
TIMES = [datetime.datetime(2020, 2, 29, 1, 2, 3, 4), datetime.datetime(1969, 12, 31), None, None] * 5
FEW = {
    "days": np.array(DAYS, dtype="M8[D]")[:, None],
    "times": np.array(TIMES, dtype="M8[us]")[:, None],
    "nanoseconds": np.array(TIMES, dtype="M8[ns]")[:, None],
    "pandas": pd.DataFrame({"a": pd.Series(TIMES, dtype="M8[us]"), "b": pd.Series(TIMES, dtype="M8[ns]")}),
    "polars": pl.DataFrame({"a": DAYS, "b": pl.Series(TIMES, dtype=pl.Datetime("ms"))}),
    "polars ns": pl.DataFrame({"a": pl.Series(TIMES, dtype=pl.Datetime("ns"))}),
    "pyarrow": pa.table({"a": pa.array(DAYS, pa.date32()), "b": pa.array(TIMES, pa.timestamp("ns"))}),
    "128 bits": pl.DataFrame({"a": pl.Series([2**100, 3, None, 3] * 5, dtype=pl.Int128)}),
    "views": pa.table({"a": pa.array(["x", "y", None, "x"] * 5, pa.string_view())}),
}


@pytest.mark.parametrize("kind", FEW)
def test_dtypes_that_few_tables_have_come_back(kind):
    X = FEW[kind]
    model = AutoregressiveTreeFlow().fit(X)
    back = model.inverse_transform(model.transform(X))
    if isinstance(X, np.ndarray):
        assert back.dtype == X.dtype
        np.testing.assert_array_equal(back, X)
        rest = X[~np.isnat(X)][:, None]
        np.testing.assert_array_equal(model.impute(rest), rest)
        assert model.impute(X).dtype == X.dtype
    else:
        same(back, X)
        filled = model.impute(X)
        assert filled.dtypes.equals(X.dtypes) if isinstance(X, pd.DataFrame) else filled.schema == X.schema
    assert np.isfinite(model.score_samples(X)).all()
    known = [value for value in model.categories_[0].tolist() if value is not None]
    assert known == sorted(known)


def test_a_date_is_the_same_category_whatever_it_is_stored_as():
    model = AutoregressiveTreeFlow().fit(FEW["days"])
    objects = np.array(DAYS, dtype=object)[:, None]
    np.testing.assert_array_equal(model.score_samples(objects), model.score_samples(FEW["days"]))


def test_a_string_view_in_pandas_is_read_or_refused_by_name():
    X = pd.DataFrame({"a": pd.array(["x", "y"], dtype=pd.ArrowDtype(pa.string_view()))})
    with pytest.raises(TableError, match="column 'a' has dtype .*convert it to strings"):
        AutoregressiveTreeFlow().fit(X)


@pytest.mark.parametrize("nan", ["NaN", "sNaN"])
def test_a_decimal_that_is_no_number_is_missing(nan):
    X = np.array([[Decimal(1)], [Decimal(nan)], [Decimal(2)]], dtype=object)
    assert AutoregressiveTreeFlow().fit(X).categories_[0].tolist() == [Decimal(1), Decimal(2), None]


def test_a_decimal_that_pandas_cannot_compare_is_refused_by_column():
    X = pd.DataFrame({"a": [Decimal(1), Decimal("NaN")]})
    assert DiscreteTreeFlow().fit(X).categories_[0].tolist() == [Decimal(1), None]
    for model in (DiscreteTreeFlow(), AutoregressiveTreeFlow()):  # read as categories, and as numbers
        with pytest.raises(TableError, match="column 'a' has dtype Object, which cannot be read"):
            model.fit(pd.DataFrame({"a": [Decimal(1), Decimal("sNaN")]}))


@pytest.mark.parametrize("cells", [[[0], [1], [2]], [[0.0], [1.0], [2.0]], [["a"], ["b"], ["c"]]])
def test_what_a_mask_hides_is_missing(cells):
    X = np.ma.masked_array(cells, mask=[[0], [1], [0]])
    model = AutoregressiveTreeFlow().fit(X)
    assert len(model.categories_[0]) == 3
    assert model.domain_.columns[0].missing
    assert model.score_samples(X)[1] == model.score_samples([[None]])[0]
    assert AutoregressiveTreeFlow().fit(np.ma.masked_array(cells)).categories_[0].tolist() == [cell for [cell] in cells]


@pytest.mark.parametrize(
    ("X", "categories", "told"),
    [
        ([[0.0]], [[0.0, np.nan, np.nan]], "distinct"),
        ([[0]], [[np.nan]], "distinct"),
        ([[0]], [[0, 2**63, 2**63 + 1, 0.5]], "rounded"),
        (pd.DataFrame({"a": pd.Series([1.0], dtype="Float64")}), [[1, 2**53, 2**53 + 1]], "becomes"),
        (pl.DataFrame({"a": [1.0]}), [[1, 2**53, 2**53 + 1]], "becomes"),
        (pl.DataFrame({"a": [1]}), [[1, 2.5]], "do not fit"),
        (pl.DataFrame({"a": ["1"]}), [["1", 1]], "do not fit"),
    ],
)
def test_declared_categories_that_become_equal_are_refused(X, categories, told):
    with pytest.raises(ValueError, match=f"categories of column .*{told}"):
        AutoregressiveTreeFlow(categories=categories).fit(X)


def test_a_missing_category_may_be_declared_in_any_type():
    for mark in (np.nan, None, Decimal("NaN"), pd.NA):
        model = AutoregressiveTreeFlow(categories=[[0, 1, mark]]).fit([[0], [1]])
        assert len(model.categories_[0]) == 3
        assert np.isfinite(model.score_samples(np.array([[None]], dtype=object))).all()


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_many_columns_are_read_in_seconds(make):
    X = make({f"c{j}": [0, 1] for j in range(8_000)})
    start = time.process_time()
    table = read_table(AutoregressiveTreeFlow(), X, reset=True)
    TablePolicy().learn_domain(table)
    assert time.process_time() - start < 12


def test_columns_know_their_order():
    X = as_pandas()
    n_ordered = AutoregressiveTreeFlow().fit(X).domain_.n_ordered
    assert n_ordered.dtype == np.int32
    assert dict(zip(CELLS, n_ordered.tolist(), strict=True)) == {
        "city": 0, "flag": 0, "code": 5, "whole": 3, "level": 3, "gap": 0, "hole": 3
    }  # fmt: skip
    for make in (as_polars, as_pyarrow):
        assert AutoregressiveTreeFlow().fit(make()).domain_.n_ordered.tolist() == n_ordered.tolist()
    rare = pd.DataFrame({"x": pd.Categorical(np.repeat(list("abcd"), [20, 1, 20, 1]), list("abcd"), ordered=True)})
    grouped = AutoregressiveTreeFlow(min_frequency=5, handle_unknown="reserve").fit(rare).domain_.columns[0]
    assert (grouped.n_ordered, grouped.n_named, grouped.n_codes) == (2, 3, 4)


@pytest.mark.parametrize("model", [AutoregressiveTreeFlow, TreeFlowMixture])
def test_a_declared_order_is_asked(model):
    rng = np.random.default_rng(0)
    level = rng.integers(0, 20, 2000)
    X = pd.DataFrame({"level": level, "high": np.where(level > 11, "yes", "no")})
    options = {"random_state": 0} if model is TreeFlowMixture else {"order": "natural"}
    asked = []
    for ordered in (False, True):
        X["level"] = pd.Categorical(level, range(20), ordered=ordered)
        trees = model(**options).fit(X)
        trees = trees.flows_[0].trees_ if model is TreeFlowMixture else trees.trees_
        asked.append([tree.question(0)[1] for tree in trees if len(tree.column)])
    assert not any("<=" in question for question in asked[0])
    assert "<= 11" in asked[1]


def test_a_policy_is_what_an_estimator_says():
    policy = TablePolicy.of(AutoregressiveTreeFlow(missing="marginalize", max_categories=3))
    assert policy == TablePolicy(missing="marginalize", max_categories=3)
    table = Table(np.array([[0.0], [1.0], [np.nan]]))
    rows = policy.encode(policy.learn_domain(table), table)
    assert rows.observed[:, 0].tolist() == [True, True, False]
    with pytest.raises(ValueError, match="missing must be"):
        TablePolicy(missing=["category"]).check()


@pytest.mark.parametrize("given", [{"a": 1, 0: 0}, {"a": 1, -2: 0}, {1: 0, -1: 0}])
def test_given_names_a_column_once(given):
    model = AutoregressiveTreeFlow().fit(pd.DataFrame({"a": [0, 1], "b": [1, 0]}))
    with pytest.raises(ValueError, match=r"given names column '[ab]' twice"):
        model.sample(2, given=given)


def test_errors_say_where():
    model = AutoregressiveTreeFlow().fit(pd.DataFrame({"a": ["x", "y"], "b": [1, 0]}))
    with pytest.raises(TableError, match="fit with handle_unknown='reserve' or categories=") as refused:
        model.score_samples(pd.DataFrame({"a": ["x", "z"], "b": [1, 0]}))
    error = refused.value
    assert (error.column, error.row, error.value) == ("a", 1, "z")
    assert error.remedies == (("handle_unknown", "reserve"), ("categories", None))


def test_arguments_that_read_as_others_are_refused(tmp_path):
    X = [["a", "b"], ["b", "a"]]
    with pytest.raises(ValueError, match="order must be"):
        AutoregressiveTreeFlow(order=[0, True]).fit(X)
    model = AutoregressiveTreeFlow().fit(X)
    with pytest.raises(TypeError, match="n_samples must be an integer, got True"):
        model.sample(True)
    with pytest.raises(ValueError, match="y mixes strings and other labels: 'p' at row 0 and 3 at row 1"):
        TreeFlowClassifier().fit(X, np.array(["p", 3], dtype=object))
    with pytest.raises(ValueError, match="must be real, got dtype complex128"):
        AutoregressiveTreeFlow().fit(X, sample_weight=[1j, 1])
    model = AutoregressiveTreeFlow().fit(np.array([["a"], ["b\ud800"]], dtype=object))
    with pytest.raises(ValueError, match=r"column 'x0' has the category 'b\\ud800'"):
        treeflows.save(model, tmp_path / "m")
    with pytest.raises(ValueError, match="column 'x0' has categories that are neither numbers nor strings"):
        treeflows.save(AutoregressiveTreeFlow().fit(FEW["days"]), tmp_path / "m")


# ---- missing values ----


MISSING = {
    "floats": np.array([[0, np.nan], [1, 2], [0, 2], [np.nan, 0]] * 10),
    "objects": np.array([["a", None], ["b", "x"], ["a", "y"], [None, "x"]] * 10, dtype=object),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_is_a_category_of_its_own(kind, tmp_path):
    X = MISSING[kind]
    model = AutoregressiveTreeFlow().fit(X)
    back = model.inverse_transform(model.transform(X))
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, X)
    domain = np.array([[a, b] for a in model.categories_[0] for b in model.categories_[1]], dtype=X.dtype)
    assert len(domain) == 9
    assert np.exp(model.score_samples(domain)).sum() == pytest.approx(1)
    treeflows.save(model, tmp_path / "m")
    np.testing.assert_array_equal(treeflows.load(tmp_path / "m").score_samples(X), model.score_samples(X))
    assert "(missing)" in str(model.trees_[0]) + str(model.trees_[1])


def test_missing_that_fit_did_not_see():
    model = AutoregressiveTreeFlow().fit([["a"], ["b"]])
    with pytest.raises(TableError, match=r"column 0 has a missing value .* at row 1, and fit saw none") as refused:
        model.score_samples([["a"], [None]])
    assert refused.value.remedies == (("missing", "marginalize"),)
    assert (refused.value.column, refused.value.row) == (0, 1)


@pytest.mark.parametrize("unknown", ["error", "reserve"])
def test_a_missing_cell_is_never_an_unseen_value(unknown):
    X = np.array([["a", "x"], ["b", "y"]] * 50 + [["a", "y"]] * 20, dtype=object)
    model = AutoregressiveTreeFlow(handle_unknown=unknown, order="natural").fit(X)
    unobserved = AutoregressiveTreeFlow(handle_unknown=unknown, order="natural", missing="marginalize").fit(X)
    hole = np.array([["a", None], [None, "y"], ["b", "y"]], dtype=object)
    with pytest.raises(TableError, match="column 0 has a missing value .* at row 1.*missing='marginalize'"):
        model.score_samples(hole)
    for column in (0, 1):  # what is concluded from a row is concluded from what is known of it
        np.testing.assert_array_equal(model.conditional_proba(hole, column), unobserved.conditional_proba(hole, column))
        assert model.predict(hole, column).tolist() == unobserved.predict(hole, column).tolist()
    assert model.impute(hole).tolist() == unobserved.impute(hole).tolist()
    y = np.where(X[:, 0] == "a", "p", "q")
    told = TreeFlowClassifier(AutoregressiveTreeFlow(), handle_unknown=unknown).fit(X, y).predict_proba(hole)
    marginal = TreeFlowClassifier(AutoregressiveTreeFlow(), handle_unknown=unknown, missing="marginalize").fit(X, y)
    np.testing.assert_array_equal(told, marginal.predict_proba(hole))


@pytest.mark.parametrize(
    ("parameter", "bad"),
    [
        ("missing", "drop"),
        ("handle_unknown", "ignore"),
        ("min_frequency", 0),
        ("min_frequency", 1.5),
        ("max_categories", 0),
        ("max_categories", 2.5),
    ],
)
def test_parameters_are_checked(parameter, bad):
    for model in (AutoregressiveTreeFlow(), TreeFlowMixture(), TreeFlowEnsemble(), DiscreteTreeFlow()):
        with pytest.raises((ValueError, TypeError), match=parameter):
            model.set_params(**{parameter: bad}).fit([[0], [1]])
    with pytest.raises((ValueError, TypeError), match=parameter):
        TreeFlowClassifier(**{parameter: bad}).fit([[0], [1]], [0, 1])


NULLS = {
    "Int64": lambda cells: pd.DataFrame({"a": pd.array(cells, dtype="Int64")}),
    "float": lambda cells: pd.DataFrame({"a": pd.array(cells, dtype="Float64").to_numpy(float, na_value=np.nan)}),
    "object": lambda cells: pd.DataFrame({"a": np.array(cells, dtype=object)}),
    "polars": lambda cells: pl.DataFrame({"a": cells}, schema={"a": pl.Int64}),
    "pyarrow": lambda cells: pa.table({"a": pa.array(cells, pa.int64())}),
}


@pytest.mark.parametrize("kind", NULLS)
def test_a_null_is_no_zero(kind):
    make = NULLS[kind]
    model = AutoregressiveTreeFlow(handle_unknown="reserve").fit(make([0, 1, 1] * 20))
    with pytest.raises(TableError, match="missing value"):
        model.score_samples(make([None]))
    cells = [0, 2, 3] + [1] * 20 + [4] * 20 + [None] * 9
    model = AutoregressiveTreeFlow(min_frequency=5).fit(make(cells))
    assert np.exp(model.score_samples(make([0, 1, 2, 3, 4, None]))).sum() == pytest.approx(1)
    model = AutoregressiveTreeFlow(min_frequency=5, missing="marginalize").fit(make(cells))
    assert model.score_samples(make([None]))[0] == pytest.approx(0)


@pytest.mark.parametrize("unknown", ["error", "reserve"])
def test_missing_is_refused_where_that_is_asked(unknown):
    model = AutoregressiveTreeFlow(missing="error", handle_unknown=unknown).fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="column 0 has a missing value .* at row 0"):
        model.score_samples([[np.nan]])


def test_what_was_there_is_as_it_was():
    model = AutoregressiveTreeFlow(handle_unknown="reserve").fit(np.array([["a", "b"], ["c", "d"]] * 9))
    assert model.impute(np.array([["longname", None]], dtype=object))[0, 0] == "longname"
    model = AutoregressiveTreeFlow(handle_unknown="reserve").fit(np.array([[0, 1], [2, 3]] * 9, dtype=np.uint8))
    assert model.impute([[300, np.nan]])[0, 0] == 300
    assert model.impute([[2, np.nan]]).dtype == np.uint8


def test_rows_keep_their_index():
    X = pd.DataFrame({"a": ["x", "y"] * 20, "b": ["p", "q"] * 20}, index=range(100, 140))
    model = AutoregressiveTreeFlow().fit(X)
    assert model.predict(X).index.equals(X.index)
    X.loc[103, "b"] = None
    assert model.impute(X).index.equals(X.index)


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_a_column_of_nulls_is_missing(make):
    model = AutoregressiveTreeFlow().fit(make({"a": ["x", "y"] * 20, "b": ["p", "q"] * 20}))
    filled = model.impute(make({"a": ["y"], "b": [None]}))
    assert filled["b"].to_pylist() == ["q"] if make is pa.table else filled["b"].to_list() == ["q"]


def test_dictionaries_with_nulls_and_doubles():
    for entries, codes in ((["a", None, "b"], [0, 1, 2]), (["a", "b", "a"], [0, 1, 2])):
        column = pa.DictionaryArray.from_arrays(pa.array(codes * 9, pa.int8()), pa.array(entries))
        model = AutoregressiveTreeFlow().fit(pa.table({"a": column, "b": ["p", "q", "r"] * 9}))
        names = model.categories_[0].tolist()
        assert names[:2] == ["a", "b"]
        domain = pa.table({"a": [a for a in names for _ in "pqr"], "b": list("pqr") * len(names)})
        assert np.exp(model.score_samples(domain)).sum() == pytest.approx(1)


def test_names_that_tables_have_for_themselves():
    X = pd.DataFrame({"column_names": ["x", "x"], "schema": ["y", "z"]})
    assert AutoregressiveTreeFlow().fit(X).feature_names_in_.tolist() == ["column_names", "schema"]
    with pytest.raises(TypeError, match="collect"):
        AutoregressiveTreeFlow().fit(pl.LazyFrame({"a": [1]}))


# ---- unseen values ----


@pytest.mark.parametrize(
    "model", [AutoregressiveTreeFlow(), TreeFlowMixture(random_state=0, n_trees=2), DiscreteTreeFlow(2)]
)
def test_unseen_values_have_a_place(model):
    X = np.array([["a", "x"], ["b", "y"], ["a", "y"]] * 20)
    model = clone(model).set_params(handle_unknown="reserve").fit(X)
    domain = [[a, b] for a in ("a", "b", "new") for b in ("x", "y", "other")]
    assert np.exp(model.score_samples(domain)).sum() == pytest.approx(1)
    assert model.score_samples([["new", "x"]])[0] < model.score_samples(X).min()
    assert set(np.unique(model.sample(5000, random_state=0))) == {"a", "b", "x", "y"}
    probability = model.conditional_proba(X[:2], 0)
    assert probability.shape == (2, 3)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert model.conditional_proba([["a", "never"]], 0)[0, :2].sum() > 0.5
    with warnings.catch_warnings(action="ignore"):
        assert set(np.unique(model.sample(3000, random_state=0, given={1: "x"})[:, 0])) == {"a", "b"}
    z = model.transform([["new", "x"]])
    with pytest.raises(ValueError, match="row 0 has an unseen value in column 'x0', which has no name"):
        model.inverse_transform(z)
    assert "(unseen)" in model.domain_.labels[0]


def test_samples_of_many_columns_and_few_rows_have_names():
    X = RNG.choice(["a", "b"], (5, 300))
    model = AutoregressiveTreeFlow(handle_unknown="reserve").fit(X)
    assert set(np.unique(model.sample(50, random_state=0))) == {"a", "b"}


def test_dtypes_that_cannot_hold_unseen_values():
    X = pd.DataFrame({"a": pd.Categorical(["x", "y"] * 20), "b": ["p", "q"] * 20})
    model = AutoregressiveTreeFlow(handle_unknown="reserve").fit(X)
    other = pd.DataFrame({"a": pd.Categorical(["x", "z"]), "b": [None, "q"]})
    with pytest.raises(ValueError, match="column 'a' holds 'z' at row 1"):
        model.impute(other)
    model_of_numbers = AutoregressiveTreeFlow(handle_unknown="reserve").fit([[0, 1], [1, 0]] * 20)
    filled = model_of_numbers.impute(np.array([[0, None], ["z", 1]], dtype=object))
    assert filled.tolist() == [[0, 1], ["z", 1]]  # no array of integers has room for it
    with pytest.raises(ValueError, match="cannot hold"):
        AutoregressiveTreeFlow(handle_unknown="reserve").fit(pd.DataFrame({"a": [0, 1]})).impute(
            pd.DataFrame({"a": [None, "z"]})
        )
    assert model.impute(other.astype({"a": "object"}).assign(a=["x", "y"]))["b"].tolist() == ["p", "q"]


# ---- rare values ----


def rare_table(n=3000):
    """A column of some hundred names of falling frequency, and one that goes with them."""
    rank = RNG.zipf(1.5, n) % 400
    return np.column_stack([np.char.add("name", rank.astype(str)), np.where(rank < 3, "head", "tail")])


@pytest.mark.parametrize("options", [{"min_frequency": 20}, {"min_frequency": 0.01}, {"max_categories": 7}])
@pytest.mark.parametrize("model", [AutoregressiveTreeFlow(), DiscreteTreeFlow(2)])
def test_rare_values_share_a_code(model, options, tmp_path):
    X = rare_table()
    model = clone(model).set_params(**options).fit(X)
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", **options).fit(X)
    infrequent = set(encoder.infrequent_categories_[0])
    column = model.domain_.columns[0]
    group = column.grouping.code == column.n_codes - 1
    assert set(column.values[group]) == infrequent
    assert column.n_codes == len(encoder.get_feature_names_out(["name", "kind"])) - 2
    names = model.categories_[0]
    domain = [[a, b] for a in names for b in model.categories_[1]]
    assert np.exp(model.score_samples(domain)).sum() == pytest.approx(1)
    sample = model.sample(20_000, random_state=0)
    rare = sorted(infrequent)[0]
    share = np.exp(model.score_samples([[rare, "head"], [rare, "tail"]])).sum()
    count = (sample[:, 0] == rare).sum()
    assert binom.cdf(count, 20_000, share) > 1e-4
    assert binom.sf(count - 1, 20_000, share) > 1e-4
    assert model.conditional_proba(X[:5], 0).shape == (5, len(names))
    np.testing.assert_allclose(model.conditional_proba(X[:5], 0).sum(axis=1), 1)
    np.testing.assert_array_equal(model.impute(X), X)
    treeflows.save(model, tmp_path / "m")
    loaded = treeflows.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(loaded.sample(50, random_state=0), model.sample(50, random_state=0))
    assert any("rare values" in label for label in model.domain_.labels[0])


def test_given_rare_values():
    X = rare_table()
    model = AutoregressiveTreeFlow(max_categories=5, order="natural").fit(X)
    column = model.domain_.columns[0]
    rare = column.values[column.grouping.code == column.n_codes - 1][3]
    assert set(model.sample(50, random_state=0, given={0: rare})[:, 0]) == {rare}


def test_a_group_of_one_is_no_group():
    X = np.array([["a"]] * 50 + [["b"]] * 50 + [["c"]])
    model = AutoregressiveTreeFlow(min_frequency=5).fit(X)
    assert model.domain_.columns[0].grouping is None


# ---- weights ----


def weighted_table():
    X = RNG.choice(["a", "b", "c"], (60, 4))
    X[:, 1] = X[:, 0]
    return X, RNG.integers(0, 5, 60)


@pytest.mark.parametrize(
    "model",
    [
        AutoregressiveTreeFlow(),
        DiscreteTreeFlow(2, min_samples_split=20),
        DiscreteTreeFlow(2, early_stopping=True, random_state=0),
        TreeFlowMixture(random_state=0, n_components=2, n_trees=3),
        TreeFlowEnsemble(n_estimators=2, random_state=0),
        AutoregressiveTreeFlow(min_frequency=0.1),
    ],
)
def test_integer_weights_are_repetitions(model):
    X, weight = weighted_table()
    order = np.random.default_rng(1).permutation(60)
    weighted = clone(model).fit(X[order], sample_weight=weight[order])
    repeated = np.repeat(X, weight, axis=0)
    by_ones = clone(model).fit(repeated, sample_weight=np.ones(len(repeated)))
    np.testing.assert_array_equal(weighted.score_samples(X[weight > 0]), by_ones.score_samples(X[weight > 0]))
    assert weighted.score(X[weight > 0], sample_weight=weight[weight > 0]) == pytest.approx(by_ones.score(repeated))
    if not hasattr(model, "estimator") and not getattr(model, "early_stopping", False):  # what holds out no rows
        np.testing.assert_array_equal(
            clone(model).fit(repeated).score_samples(repeated), by_ones.score_samples(repeated)
        )


def test_fractions_are_rounded_at_random_without_bias():
    X = np.repeat([[0], [1], [2]], 10_000, axis=0)
    weight = np.repeat([0.25, 1.5, 0.0], 10_000)
    model = DiscreteTreeFlow(0, random_state=0).fit(X, sample_weight=weight)
    assert model.categories_[0].tolist() == [0, 1]
    np.testing.assert_allclose(np.exp(model.score_samples([[0], [1]])), [1 / 7, 6 / 7], atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_no_weight_are_not_there(backend):
    X = BACKENDS[backend]()
    weight = (CITIES != "Bonn").astype(float)
    model = AutoregressiveTreeFlow().fit(X, sample_weight=weight)
    assert model.categories_[0].tolist() == ["Oslo", "Rome"]


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ([1, 2], r"shape \(2,\); \(3,\) is needed"),
        ([1, -1, 1], "holds -1.0 at row 1"),
        ([1, np.nan, 1], "holds nan at row 1"),
        ([0, 0, 0], "zero for every row"),
        ([1e-9, 0, 0], "less than one row"),
        ([1e12, 1, 1], "divide the weights by their mean"),
    ],
)
def test_bad_weights_are_named(weight, told):
    X = [[0], [1], [0]]
    with pytest.raises(ValueError, match=told):
        AutoregressiveTreeFlow(random_state=1).fit(X, sample_weight=weight)
    if "row" not in told or "zero" in told:
        with pytest.raises(ValueError, match=told):
            AutoregressiveTreeFlow().fit(X).score(X, sample_weight=weight)
