"""Columns of numbers: from the cells of any container to floats and back, exactly, and what is refused."""

import datetime
import json
import warnings
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from fuzzing import changed_json
from hypothesis import given, settings
from hypothesis import strategies as st

from treeflows.files import models as files
from treeflows.machine.errors import ParameterError, TableError
from treeflows.tables.containers import Table, make_table
from treeflows.tables.given import read_given
from treeflows.tables.policy import TablePolicy
from treeflows.tables.quantities import Quantity

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 60
RNG = np.random.default_rng(0)
HOLES = np.arange(N) % 7 == 3
DAYS = np.datetime64("2019-03-01") + RNG.integers(0, 900, N)
MOMENTS = DAYS.astype("M8[us]") + RNG.integers(0, 86_400_000_000, N)
SPANS = RNG.integers(-(10**9), 10**10, N).astype("m8[us]")
CENTS = [Decimal(int(v)).scaleb(-2) for v in RNG.integers(-5000, 10**6, N)]


def domain_of(X, numeric="auto", **policy):
    """The domain of a table, and what the table says in terms of it."""
    table, policy = Table(X), TablePolicy(numeric=numeric, **policy)
    domain = policy.learn_domain(table)
    return domain, policy.encode(domain, table)


def same(a, b):
    """Whether two tables are equal, containers, dtypes and missing cells included."""
    assert type(a) is type(b)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a.schema == b.schema
        assert a.equals(b)


# ---- in and out ----


def with_holes(values, mark=None):
    return [mark if hole else value for value, hole in zip(list(values), HOLES, strict=True)]


def pandas_columns():
    holes = pd.Series(HOLES)
    numbers = pd.Series(RNG.integers(-300, 300, N))
    moments = pd.Series(MOMENTS)
    return {
        "float64": pd.Series(RNG.normal(size=N)),
        "float32": pd.Series(RNG.normal(size=N).astype(np.float32)),
        "cents": pd.Series(np.round(RNG.normal(size=N) * 100, 2)),
        "cents32": pd.Series(np.round(RNG.normal(size=N) * 100, 2).astype(np.float32)),
        "int16": numbers.astype(np.int16),
        "Int64": numbers.astype("Int64").mask(holes),
        "UInt64": pd.Series(RNG.integers(0, 10**6, N)).astype("UInt64").mask(holes),
        "Float32": pd.Series(RNG.normal(size=N)).astype("Float32").mask(holes),
        "holes": pd.Series(RNG.normal(size=N)).mask(holes),
        "ns": moments.astype("M8[ns]").mask(holes),
        "s": moments.astype("M8[s]"),
        "berlin": moments.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").mask(holes),
        "spans": pd.Series(SPANS).mask(holes),
        "dates": pd.Series(with_holes(DAYS.tolist(), np.nan), dtype=object),
        "decimals": pd.Series(with_holes(CENTS, np.nan), dtype=object),
        "integers": pd.Series([10**20 + 10**5 * int(v) for v in RNG.integers(0, 10**4, N)], dtype=object),
        "arrow decimal": pd.Series(with_holes(CENTS), dtype=pd.ArrowDtype(pa.decimal128(12, 2))),
        "arrow time": moments.astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))).mask(holes),
        "arrow date": pd.Series(with_holes(DAYS.tolist()), dtype=pd.ArrowDtype(pa.date32())),
        "arrow int": pd.Series(with_holes(range(N)), dtype="int16[pyarrow]"),
        "arrow float": pd.Series(with_holes(RNG.normal(size=N)), dtype="double[pyarrow]"),
    }


def polars_columns():
    moments = pl.Series(with_holes(MOMENTS.tolist()))
    return {
        "Float32": pl.Series(RNG.normal(size=N), dtype=pl.Float32),
        "Float64": pl.Series(with_holes(RNG.normal(size=N))),
        "Int8": pl.Series(with_holes(RNG.integers(-100, 100, N)), dtype=pl.Int8),
        "UInt64": pl.Series([2**63 + int(v) for v in RNG.integers(0, 9, N)], dtype=pl.UInt64),
        "Int128": pl.Series(with_holes([2**80 + 2**70 * v for v in range(N)]), dtype=pl.Int128),
        "Decimal": pl.Series(with_holes(CENTS), dtype=pl.Decimal(12, 3)),
        "Date": pl.Series(with_holes(DAYS.tolist()), dtype=pl.Date),
        "ms": pl.Series(with_holes(MOMENTS.tolist()), dtype=pl.Datetime("ms")),
        "us": moments,
        "ns": moments.cast(pl.Datetime("ns")),
        "zone": moments.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        "Duration": pl.Series(with_holes(SPANS.tolist())),
        "ns spans": pl.Series(SPANS.tolist(), dtype=pl.Duration("ns")),
    }


def arrow_columns():
    cells = {
        "double": (pa.float64(), with_holes(RNG.normal(size=N).tolist())),
        "half": (pa.float16(), (np.round(RNG.normal(size=N), 1) + 0.0).astype(np.float16)),
        "int8": (pa.int8(), with_holes(RNG.integers(-100, 100, N).tolist())),
        "uint32": (pa.uint32(), RNG.integers(0, 2**32, N).tolist()),
        "decimal": (pa.decimal128(12, 4), with_holes(CENTS)),
        "wide": (pa.decimal256(50, 2), CENTS),
        "date32": (pa.date32(), with_holes(DAYS.tolist())),
        "date64": (pa.date64(), DAYS.tolist()),
        "s": (pa.timestamp("s"), DAYS.astype("M8[s]").tolist()),
        "us": (pa.timestamp("us"), with_holes(MOMENTS.tolist())),
        "zone": (pa.timestamp("us", "America/New_York"), with_holes(MOMENTS.tolist())),
        "duration": (pa.duration("us"), with_holes(SPANS.tolist())),
    }
    return {name: pa.array(values, kind) for name, (kind, values) in cells.items()}


FRAMES = [
    *((pd.DataFrame, name, column) for name, column in pandas_columns().items()),
    *((pl.DataFrame, name, column) for name, column in polars_columns().items()),
    *((pa.table, name, column) for name, column in arrow_columns().items()),
]


@pytest.mark.parametrize(("frame", "name", "column"), FRAMES, ids=[f"{f.__name__}-{n}" for f, n, _ in FRAMES])
def test_columns_of_frames_come_back_as_they_were(frame, name, column):
    X = frame({name: column, "kind": ["a", "b"] * (N // 2)})
    domain, rows = domain_of(X, [name])
    assert rows.codes.dtype == np.float64
    assert set(rows.codes[:, 1]) == {0.0, 1.0}
    assert domain.numeric.tolist() == [True, False]
    same(domain.decode(rows.codes), X)
    same(domain.fill(Table(X), rows.codes), X)
    holes = np.isnan(rows.codes[:, 0])
    assert domain.columns[0].missing == holes.any()
    number = np.where(holes, domain.columns[0].low, rows.codes[:, 0])
    filled = domain.fill(Table(X), np.column_stack([number, rows.codes[:, 1]]))
    back = domain.encode(Table(filled))
    np.testing.assert_array_equal(back.codes[:, 0], number)
    np.testing.assert_array_equal(back.codes[~holes], rows.codes[~holes])
    assert domain.decode(rows.codes[:0]).shape == (0, 2)
    restored = files._restore_domain(json.loads(json.dumps(described(domain))))
    same(restored.decode(rows.codes), X)
    assert restored.columns[0] == domain.columns[0]


ARRAYS = {
    "float": RNG.normal(size=(N, 2)),
    "float with holes": np.where(HOLES[:, None], np.nan, RNG.normal(size=(N, 2))),
    "float16": RNG.normal(size=(N, 2)).astype(np.float16),
    "big endian": RNG.normal(size=(N, 2)).astype(">f4"),
    "int8": RNG.integers(-128, 128, (N, 2)).astype(np.int8),
    "uint64": RNG.integers(0, 1000, (N, 2)).astype(np.uint64) + np.uint64(2**63),
    "large": RNG.integers(0, 1000, (N, 2)) + 10**17,
    "days": DAYS[:, None],
    "months": DAYS.astype("M8[M]")[:, None],
    "hours": MOMENTS.astype("M8[h]")[:, None],
    "nanoseconds": (MOMENTS[0].astype("M8[ns]") + RNG.integers(0, 10**12, N))[:, None],
    "spans": SPANS[:, None],
    "weeks": RNG.integers(0, 50, N).astype("m8[W]")[:, None],
    "decimals": np.array(with_holes(CENTS), dtype=object)[:, None],
    "times": np.array(with_holes(MOMENTS.tolist()), dtype=object)[:, None],
    "integers": np.array(with_holes(range(N)), dtype=object)[:, None],
    "floats": np.array(with_holes(RNG.normal(size=N).tolist()), dtype=object)[:, None],
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_come_back_as_they_were(kind):
    X = ARRAYS[kind]
    domain, rows = domain_of(X, range(X.shape[1]))
    back = domain.decode(rows.codes)
    same(back, X)
    if X.dtype != np.float64:
        same(domain.fill(Table(X), rows.codes), X)
    if X.dtype == object:
        assert list(map(type, back.flat)) == list(map(type, X.flat))
    filled = domain.fill(Table(X), np.where(np.isnan(rows.codes), domain.columns[0].high, rows.codes))
    assert not np.isnan(domain.encode(Table(filled)).codes).any()
    same(files._restore_domain(json.loads(json.dumps(described(domain)))).decode(rows.codes), X)


@given(
    st.data(),
    st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u1", "u8", "M8[D]", "M8[ns]", "m8[s]", "m8[us]", "cents"]),
    st.integers(1, 40),
)
@settings(max_examples=300)
def test_any_numbers_come_back_or_are_refused_by_name(data, dtype, n):
    kind = dtype[0]
    if dtype == "cents":
        cells = np.array(data.draw(st.lists(st.integers(-(10**9), 10**9), min_size=n, max_size=n))) / 100
    elif kind == "f":
        width = 8 * int(dtype[1])
        floats = st.floats(allow_nan=False, allow_infinity=False, width=width)
        cells = np.array(data.draw(st.lists(floats, min_size=n, max_size=n)), dtype=dtype)
    else:
        whole = np.dtype(dtype if kind in "iu" else "i8")
        low = np.iinfo(whole).min + (kind in "Mm")
        integers = st.integers(low, np.iinfo(whole).max) | st.integers(0, 100)
        cells = np.array(data.draw(st.lists(integers, min_size=n, max_size=n)), dtype=whole).astype(dtype)
    try:
        domain, rows = domain_of(cells[:, None], [0])
    except TableError as refused:
        error = refused
    else:
        error = None
    if error is not None:
        assert dtype in ("i8", "u8", "M8[ns]", "m8[s]", "m8[us]", "M8[D]")
        assert error.column == 0
        assert error.value == cells[error.row]
        return
    assert np.isfinite(rows.codes).all()
    same(domain.decode(rows.codes), cells[:, None])
    quantity = domain.columns[0]
    quantity.check()
    if quantity.step:  # what is drawn is rounded to what the dtype has
        drawn = data.draw(st.lists(st.floats(-1e300, 1e300), min_size=5, max_size=5))
        known, missing = quantity.cells(np.array([*drawn, np.nan]))
        assert missing.tolist() == [False] * 5 + [True]
        again = quantity.numbers(known)  # far off there are more ticks than floats
        np.testing.assert_allclose(quantity.numbers(quantity.cells(again)[0]), again, rtol=1e-15)


@given(st.integers(1, 2000), st.integers(-(10**6), 10**6), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_step_is_the_greatest_common_one(stride, first, digits, seed):
    rng = np.random.default_rng(seed)
    places = np.concatenate([[0, 1], rng.integers(0, 1000, 100)])
    cells = (first + stride * places) / 10**digits
    quantity = Quantity.learn(cells)
    assert quantity.step == stride / 10**digits
    points = quantity.numbers(cells) / quantity.step
    np.testing.assert_allclose(points, np.rint(points), atol=1e-6)


def test_steps():
    def step(cells):
        return Quantity.learn(np.array(cells)).step

    assert step(range(100)) == 1
    assert step([18, 30, 42]) == 1  # too few to tell of a lattice
    assert step([0.25, 1.0]) == 0.01
    assert step([100.0, 300.0]) == 1
    assert step(RNG.normal(size=50)) == 0
    assert step(RNG.normal(size=50).astype(np.float32)) == 0
    assert step(RNG.integers(0, 256, 100) / 256) == 1 / 256
    assert step([0.5, 1e308]) == 0
    assert step([5e-324, 1.0]) == 0
    assert step([1e308]) == 0
    assert step([3.0]) == 1
    assert step(DAYS) == 86400
    assert step(DAYS.astype("M8[ns]")) == 86400
    assert step(np.datetime64("2024-01-01") + 7 * np.arange(30)) == 7 * 86400
    assert step(MOMENTS) == 1e-6
    assert step(np.array([3600, 7200]).astype("m8[s]")) == 3600


def test_numbers_are_those_of_the_unit():
    X = pd.DataFrame({"age": range(18, 60), "when": pd.Series(DAYS[:42]), "pay": np.arange(42) / 4 - 3})
    domain, rows = domain_of(X, ["age", "when", "pay"])
    np.testing.assert_array_equal(rows.codes[:, 0], X["age"])
    np.testing.assert_array_equal(rows.codes[:, 1], DAYS[:42].astype("M8[s]").astype(np.int64))
    np.testing.assert_array_equal(rows.codes[:, 2], X["pay"])
    assert domain.step.tolist() == [1, 86400, 0.25]
    assert domain.columns[0].low == 18
    assert domain.labels[0] == ("18 to 59 in steps of 1",)
    assert domain.labels[2] == ("-3.0 to 7.25 in steps of 0.25",)


def test_containers_and_units_give_the_same_numbers():
    seconds = MOMENTS.astype("M8[s]")
    cells = {"t": seconds.tolist(), "d": CENTS, "i": list(range(N))}
    kinds = {"t": pa.timestamp("ms"), "d": pa.decimal128(12, 2), "i": pa.int32()}
    tables = [
        pd.DataFrame({"t": seconds.astype("M8[ns]"), "d": np.array(CENTS, dtype=float), "i": range(N)}),
        pl.DataFrame(cells),
        pa.table({name: pa.array(cells[name], kind) for name, kind in kinds.items()}),
    ]
    domains = [domain_of(X, [0, 1, 2]) for X in tables]
    for domain, rows in domains:
        np.testing.assert_array_equal(rows.codes, domains[0][1].codes)
        assert domains[0][0].difference(domain) is None
        for X in tables:
            np.testing.assert_array_equal(domain.encode(Table(X)).codes, rows.codes)
            np.testing.assert_array_equal(Table(domain.fill(Table(X), rows.codes)).n_rows, N)


def test_draws_are_rounded_to_the_lattice_and_what_the_dtype_holds():
    quantity = Quantity.learn(np.array([1, 5, 7], dtype=np.int8))
    assert quantity.cells(np.array([2.4, 300.0, -1e300, np.nan]))[0].tolist() == [2, 127, -128, 0]
    quantity = Quantity.learn(np.array([0.5, 1.25]))
    assert quantity.cells(np.array([0.1 + 0.2, 1e300]))[0].tolist() == [0.3, 1e300]
    quantity = Quantity.learn(np.array([1.5], dtype=np.float32))
    assert np.isfinite(quantity.cells(np.array([1e300]))[0]).all()
    quantity = Quantity.learn(DAYS)
    far = quantity.cells(np.array([1e300, -1e300]))[0]
    assert far.tolist() == [datetime.date(9999, 12, 31), datetime.date(1, 1, 1)]
    quantity = Quantity.learn(np.array([Decimal("123.45"), Decimal("0.5")]))
    assert quantity.cells(np.array([0.333, 1e9]))[0].tolist() == [Decimal("0.33"), Decimal("999.99")]


# ---- missing cells ----


def test_what_is_missing():
    X = pd.DataFrame({"q": np.where(HOLES, np.nan, np.arange(N) / 3), "k": ["a", "b"] * (N // 2)})
    domain, rows = domain_of(X, ["q"])
    assert rows.observed is None
    assert np.array_equal(np.isnan(rows.codes[:, 0]), HOLES)
    assert domain.labels[0][1] == "(missing)"
    domain, rows = domain_of(X, ["q"], missing="marginalize")
    assert np.array_equal(~rows.observed[:, 0], HOLES)
    assert rows.observed[:, 1].all()
    assert not domain.columns[0].missing
    with pytest.raises(
        TableError, match=r"'q' has a missing value .* at row 3, and none is allowed; fit with missing="
    ):
        domain_of(X, ["q"], missing="error")
    whole, _ = domain_of(X[~HOLES], ["q"])
    with pytest.raises(TableError, match="'q' has a missing value .* at row 3, and fit saw none"):
        whole.encode(Table(X))
    assert not whole.encode(Table(X), infer=True).observed[3, 0]
    ignored = whole.encode(Table(X), ignore=(0,))
    assert np.isnan(ignored.codes[:, 0]).all()
    nothing = X.assign(q=None)
    assert not whole.encode(Table(nothing), infer=True).observed[:, 0].any()
    filled = whole.fill(Table(nothing), np.column_stack([np.full(N, 1.0), rows.codes[:, 1]]))
    assert filled["q"].tolist() == [1.0] * N


# ---- the policy ----


def test_what_is_a_number():
    many = np.arange(100)
    X = pd.DataFrame(
        {
            "price": RNG.normal(size=100),
            "age": 17 + many % 73,
            "legs": many % 4,
            "flag": many % 2 == 0,
            "name": [f"n{i % 50}" for i in many],
            "size": pd.Categorical(many % 30),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(many % 40, unit="D"),
            "quarter": pd.Timestamp("2020-01-01") + pd.to_timedelta(many % 4, unit="D"),
            "mark": (many % 5) / 2,
            "sign": many % 3 - 1,
            "mixed": pd.Series([1, "a"] * 50, dtype=object),
            "span": pd.to_timedelta(many % 3, unit="h"),
            "paid": pd.Series([Decimal(v % 33) / 4 for v in many.tolist()], dtype=object),
        }
    )
    domain, _ = domain_of(X)
    numeric = {name for name, is_one in zip(X.columns, domain.numeric, strict=True) if is_one}
    assert numeric == {"price", "age", "day", "mark", "sign", "span", "paid"}
    ordered = {name for name, n in zip(X.columns, domain.n_ordered, strict=True) if n}
    assert ordered == {"legs", "quarter"}
    assert domain_of(X[["age", "legs"]], ["legs"])[0].numeric.tolist() == [False, True]
    assert domain_of(X[["age", "legs"]], [True, False])[0].numeric.tolist() == [True, False]
    assert domain_of(X[["age", "legs"]], np.array([False, True]))[0].numeric.tolist() == [False, True]
    assert domain_of(X[["age", "legs"]], [-1, 0])[0].numeric.all()
    assert not domain_of(X[["age", "legs"]], ())[0].numeric.any()
    declared = [range(17, 90), None]
    domain, _ = domain_of(X[["age", "price"]], categories=declared)
    assert domain.numeric.tolist() == [False, True]
    same(domain.decode(domain.encode(Table(X[["age", "price"]])).codes), X[["age", "price"]])
    with pytest.raises(ParameterError, match="categories of column 'age' must be None, since it is numeric"):
        domain_of(X[["age", "price"]], ["age", "price"], categories=declared)


def test_a_table_of_categories_is_as_ever():
    X = np.column_stack([RNG.integers(0, 4, N), RNG.integers(0, 3, N)])
    for numeric in ("auto", ()):
        domain, rows = domain_of(X, numeric)
        assert rows.codes.dtype == np.uint8
        same(domain.decode(rows.codes), X)


@pytest.mark.parametrize(
    ("numeric", "error", "told"),
    [
        ("age", ParameterError, "numeric must be 'auto', a list of columns or a mask"),
        (3, ParameterError, "numeric must be 'auto'"),
        ({"a": 1}, ParameterError, "numeric must be 'auto'"),
        (["a", 0], ParameterError, "numeric names a column twice"),
        ([True], ParameterError, "numeric is a mask of 1 columns, but the table has 2"),
        (["x"], TableError, "there is no column 'x'; there are 'a', 'b'"),
        (["b"], TableError, "column 'b' has dtype String, which is not one of numbers"),
    ],
)
def test_numeric_is_checked(numeric, error, told):
    with pytest.raises(error, match=told):
        domain_of(pd.DataFrame({"a": range(30), "b": ["x"] * 30}), numeric)


def test_a_column_that_names_rows_is_named():
    X = pd.DataFrame(
        {"id": RNG.permutation(N) + 1000, "age": RNG.integers(0, 90, N), "year": [2000 + i for i in range(N)]}
    )
    with pytest.warns(UserWarning, match="names the rows") as warned:
        domain, rows = domain_of(X)
    told = [str(warning.message) for warning in warned]
    assert [message.split("'")[1] for message in told] == ["id", "year"]
    assert "all distinct, in steps of one" in told[0]
    same(domain.decode(rows.codes), X)


def test_a_column_that_may_count_rows_is_named():
    cells = pd.MultiIndex.from_product([list("abcdef"), list("uvwxyz"), [False, True]], names=list("pqr")).to_frame(
        index=False
    )
    counts = RNG.permutation(72) * 3
    with pytest.warns(UserWarning, match="column 'n' may count rows.*from_counts"):
        domain_of(cells.assign(n=counts))
    with pytest.warns(UserWarning, match="may count rows"):
        domain_of(cells.assign(n=counts)[:50])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        domain_of(cells.assign(n=counts + 0.5))  # fractions
        domain_of(cells.assign(n=counts - 9))
        domain_of(pd.concat([cells.assign(n=counts), cells.assign(n=counts)[:1]]))  # a combination twice
        domain_of(cells.assign(n=counts).sample(30, random_state=0))  # of most combinations nothing is told
        domain_of(cells.assign(n=counts, m=counts[::-1]))
        domain_of(cells.assign(n=counts), numeric=["n"])


# ---- bad input ----


@pytest.mark.parametrize(
    ("cells", "row", "told"),
    [
        ([1.5, np.inf, 2.0], 1, "holds inf at row 1, which is not finite"),
        ([1.5, None, -np.inf], 2, "holds -inf at row 2"),
        ([Decimal(1), Decimal("Infinity")], 1, "holds Infinity at row 1, which is not finite"),
        ([1, 10**400], 1, "at row 1, which is not finite, as a float"),
        ([1.0, 2j], 1, "holds 2j at row 1, which is a complex number"),
        ([1, "two"], 1, "holds two at row 1, which is of type str"),
        ([1, True], 1, "holds True at row 1, which is of type bool"),
        ([0, 2**53 + 1], 1, "holds 9007199254740993 at row 1, which has more digits than a float"),
        ([0.5, 2**53 + 1], 1, "an integer that no float beside it holds"),
        ([Decimal(1), Decimal("1e-17")], 0, "which has more digits than a float"),
        ([Decimal(1), Decimal("1e-400")], 1, "which has more digits than a float"),
        ([Decimal(1), 0.1], 1, "which is of type float, after of type Decimal: numbers of one column are of one kind"),
        ([1, datetime.date(2020, 1, 1)], 1, "which is of type date, after of type int"),
        ([None, None], None, "has no value that is not missing"),
        (
            [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2020, 1, 1)],
            1,
            r"a time in another zone than those before it \(UTC, None\)",
        ),
        ([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)], 0, "convert the column to a dtype of zone UTC"),
        ([pd.Timestamp("2020-01-01 00:00:00.000000001")], 0, "finer than microseconds"),
    ],
)
def test_bad_cells_are_named(cells, row, told):
    for X in (pd.DataFrame({"q": pd.Series(cells, dtype=object)}), np.array([*cells, None], dtype=object)[:-1, None]):
        with pytest.raises(TableError, match=told) as caught:
            domain_of(X, [0])
        assert caught.value.column in ("q", 0)
        assert caught.value.row == row


def test_bad_arrays_are_named():
    for cells, told in [
        (np.array([1.0, np.inf]), "column 0 holds inf at row 1"),
        (np.array([1j, 2]), "a complex number"),
        (np.array([0, 2**53 + 1]), "column 0 holds 9007199254740993 at row 1"),
        (np.array([0, 2**62 + 1, 5], dtype="M8[ns]"), "column 0 holds .* which is too fine for so long a time"),
        (np.array([1, 2], dtype="m8[M]"), "have no length"),
        (np.array([True, False]), "which is of type bool"),
        (np.array([np.nan, np.nan]), "has no value that is not missing"),
    ]:
        with pytest.raises(TableError, match=told):
            domain_of(cells[:, None], [0])
    X = pd.DataFrame({"q": pd.period_range("2020-01", periods=30, freq="M")})
    with pytest.raises(TableError, match="column 'q' has dtype Unknown"):
        domain_of(X)
    with pytest.raises(TableError, match="which is of type Period"):
        domain_of(X, ["q"])
    with pytest.raises(TableError, match="column 'q' holds 1j at row 0"):
        domain_of(pd.DataFrame({"q": [1j, 2.0]}))
    with pytest.raises(TableError, match="column 'q' holds inf at row 0"):
        domain_of(pl.DataFrame({"q": [np.inf, 1.0]}))


def test_extremes_come_back():
    for cells in ([1e308, -1e308, 5e-324], [5e-324], [7.0] * 9, [1.0, 2.0], [0.1]):
        X = np.array(cells)[:, None]
        domain, rows = domain_of(X, [0])
        assert np.isfinite(rows.codes).all()
        same(domain.decode(rows.codes), X)


def test_other_kinds_than_fit_saw_are_named():
    domain, _ = domain_of(pd.DataFrame({"q": MOMENTS}), ["q"])
    for column, told in [
        (pd.Series([1.5]), r"holds 1.5 at row 0, but fit saw times in this column"),
        (pd.Series(MOMENTS[:1]).dt.tz_localize("UTC"), "but fit saw times in this column"),
        (pd.Series(["a"]), "which is not one of numbers"),
    ]:
        with pytest.raises(TableError, match=told):
            domain.encode(Table(pd.DataFrame({"q": column})))
    domain, _ = domain_of(pd.DataFrame({"q": range(0, 300, 2)}), ["q"])
    assert domain.encode(Table(pd.DataFrame({"q": [3.5, 1000.0]}))).codes.tolist() == [[3.5], [1000.0]]
    with pytest.raises(TableError, match="column 'q' holds inf at row 0"):
        domain.encode(Table(pd.DataFrame({"q": [np.inf]})))


# ---- what is given, and domains compared ----


def test_given_numbers():
    X = pd.DataFrame({"age": RNG.integers(0, 90, N), "k": ["a", "b"] * (N // 2), "day": DAYS})
    domain, _ = domain_of(X)
    codes, observed, within, log_share = read_given(domain, {"age": 30, "k": "b"}).to_codes()
    assert codes[:2].tolist() == [30.0, 1.0]
    assert np.isnan(codes[2])
    assert observed.tolist() == [True, True, False]
    assert (within, log_share) == ({}, 0.0)
    codes, *_ = read_given(domain, {"day": pd.Timestamp("2020-01-02")}).to_codes()
    assert codes[2] == np.datetime64("2020-01-02T00:00:00").astype(np.int64)
    assert read_given(domain, {"day": datetime.date(2020, 1, 2)}).points[2] == codes[2]
    for value in ("thirty", np.inf, None, True, datetime.date(2020, 1, 1)):
        with pytest.raises(TableError, match="column 'age' takes numbers, not"):
            read_given(domain, {"age": value})
    assert domain.has_name(np.array([[256.0, 1.0, np.nan]])).all()


def test_what_a_table_holds_is_filled_as_it_is_or_refused():
    for frame in (pd.DataFrame, pl.DataFrame, lambda cells: pa.table(cells)):
        domain, _ = domain_of(frame({"t": MOMENTS.astype("M8[s]").astype("M8[ms]"), "k": [1, 2] * (N // 2)}), [0])
        other = np.array(["2020-01-01T00:00:00.5", "NaT"], dtype="M8[us]")[:, None]
        filled = domain.fill(Table(pd.DataFrame({"t": other[:, 0], "k": [1, 2]})), np.array([[0.0, 0], [60.0, 1]]))
        assert Table(filled).numbers(0)[0].astype("M8[ms]").tolist() == [
            datetime.datetime(2020, 1, 1, 0, 0, 0, 500_000),
            datetime.datetime(1970, 1, 1, 0, 1),
        ]
        other[0, 0] += 1
        with pytest.raises(TableError, match=r"'t' holds .*500001 at row 0, which the dtype that fit saw cannot hold"):
            domain.fill(Table(pd.DataFrame({"t": other[:, 0], "k": [1, 2]})), np.array([[0.0, 0], [60.0, 1]]))


def test_domains_compared():
    X = pd.DataFrame({"age": RNG.integers(0, 90, N), "k": ["a", "b"] * (N // 2)})
    a, _ = domain_of(X, ["age"])
    assert a.difference(domain_of(X, ["age"])[0]) is None
    assert a.difference(domain_of(X[10:], ["age"])[0]) is None  # another range, the same lattice
    assert "column 'age' is" in a.difference(domain_of(X, ())[0])
    assert "in steps of 1" in a.difference(domain_of(X.assign(age=X["age"] / 2), ["age"])[0])
    assert a.without(0).numeric.tolist() == [False]
    assert a.without(1).columns == a.columns[:1]
    assert a.cells(Table(X), 0, missing="category").tolist() == X["age"].tolist()
    assert a.n_categories.tolist() == [0, 2]


def test_cells_to_print():
    X = pd.DataFrame({"pay": with_holes(CENTS), "when": MOMENTS.astype("M8[s]"), "k": ["a", "b"] * (N // 2)})
    domain, _ = domain_of(X)
    assert domain.shown(Table(X), 0)[[0, 3]].tolist() == ["1089.29", "(missing)"]
    assert domain.shown(Table(X), 1)[0] == str(X["when"][0]).replace(" ", "T")
    assert domain.shown(Table(X), 2)[:2].tolist() == ["a", "b"]
    assert set(domain.shown(Table(X.assign(pay=None)), 0)) == {"(missing)"}


# ---- files ----


def described(domain):
    """A domain as a model file has it."""
    names = domain.column_names
    return {
        "names": None if domain.names is None else list(domain.names),
        "container": domain.container,
        "dtypes": list(domain.dtypes),
        "columns": [files._describe_column(c, name) for c, name in zip(domain.columns, names, strict=True)],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "complex128"},
        {"dtype": "U"},
        {"low": np.inf},
        {"low": 1},
        {"low": 99.0},
        {"low": 0.5},
        {"tick": (1, 10)},
        {"tick": (0, 1)},
        {"tick": (1,)},
        {"stride": 0},
        {"stride": -1},
        {"stride": 2**70},
        {"stride": True},
        {"origin": 2**64},
        {"origin": 0.5},
        {"zoned": True},
    ],
)
def test_damaged_quantities_are_refused(change):
    quantity = Quantity.learn(np.arange(0, 90, 3))
    quantity.check()
    with pytest.raises(ValueError):
        replace(quantity, **change).check()


def test_damaged_domains_are_refused_or_true():
    X = pd.DataFrame(
        {"i": range(N), "f": with_holes(RNG.normal(size=N)), "t": MOMENTS, "d": CENTS, "k": ["a", "b"] * 30}
    )
    with warnings.catch_warnings(action="ignore"):
        domain, rows = domain_of(X)
    whole, fates = described(domain), {"refused": 0, "true": 0}
    for i in range(3000):
        rng = np.random.default_rng(i)
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            try:
                changed = files._restore_domain(changed_json(json.loads(json.dumps(whole)), rng, [whole]))
            except (KeyError, AttributeError, TypeError, IndexError, ValueError, OverflowError):
                fates["refused"] += 1
                continue
            fates["true"] += 1
            if len(changed.columns) == len(domain.columns) and np.array_equal(changed.numeric, domain.numeric):
                changed.decode(rows.codes)
            assert all(isinstance(label, str) for labels in changed.labels for label in labels)
    assert min(fates.values()) > 100


def test_containers_make_times_in_any_unit():
    """A time of a finer unit than an object of Python is rounded to microseconds, by which objects are told."""
    made = make_table("numpy", None, ("object",), [(np.array([1_500], dtype="M8[ns]"), np.array([0, -1]))])
    assert made[0, 0] == datetime.datetime(1970, 1, 1, 0, 0, 0, 1)
    assert made[1, 0] is None
