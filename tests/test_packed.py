"""Packed tables: they are what was packed, and models learn from them what they learn from tables in memory."""

import datetime
import gzip
import json
import signal
import tracemalloc
from dataclasses import asdict, replace
from decimal import Decimal

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

import treeflows  # noqa: E402
from treeflows import AutoregressiveTreeFlow, PackedTable, TreeFlowClassifier, TreeFlowMixture, pack  # noqa: E402
from treeflows.command.main import main  # noqa: E402
from treeflows.models import questions  # noqa: E402
from treeflows.tables import packing  # noqa: E402
from treeflows.tables.containers import Table  # noqa: E402
from treeflows.tables.packed import BLOCK  # noqa: E402
from treeflows.tables.policy import TablePolicy  # noqa: E402
from treeflows.tables.quantities import Quantity  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::treeflows.MonteCarloWarning")


def mixed(n=400, seed=0):
    """A table of text, whole numbers, fractions and booleans, with missing cells."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, 4, n)
    X = pd.DataFrame(
        {
            "word": np.array(["née", "two, three", "x", "y"])[of],
            "size": (rng.gamma(2, 10, n) + of).round(2),
            "n": rng.poisson(3, n) + of,
            "flag": rng.random(n) < 0.2 + 0.1 * of,
            "level": pd.Categorical.from_codes(rng.integers(0, 3, n), ["lo", "mid", "hi", "never"], ordered=True),
        }
    )
    X.loc[rng.random(n) < 0.1, ["word", "size"]] = None
    return X


def stored(model, tmp_path):
    treeflows.save(model, tmp_path / "model")
    return (tmp_path / "model").read_bytes()


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


# ---- the same model ----

FLOW = AutoregressiveTreeFlow(order="natural", random_state=0)
MODELS = [
    AutoregressiveTreeFlow(missing="marginalize", max_categories=4, handle_unknown="reserve", random_state=0),
    AutoregressiveTreeFlow(numeric=["size"], min_frequency=0.1, random_state=0),
    FLOW,
]


@pytest.mark.parametrize("container", ["pandas", "polars", "pyarrow", "parquet"])
def test_the_model_of_a_packed_table_is_that_of_the_table_byte_for_byte(container, tmp_path):
    X = source = mixed()
    if container == "polars":
        X = source = pl.from_pandas(X)
    elif container != "pandas":
        X = source = pa.Table.from_pandas(X)
    if container == "parquet":
        pq.write_table(X, tmp_path / "x.parquet", row_group_size=130)
        X, source = pq.read_table(tmp_path / "x.parquet"), tmp_path / "x.parquet"
    table = pack(source, tmp_path / "table")
    mixture = TreeFlowMixture(FLOW, n_components=2, n_trees=1, random_state=0)
    for model in [mixture, *MODELS] if container == "parquet" else MODELS:
        in_memory = stored(model.fit(X), tmp_path)
        assert stored(model.fit(table), tmp_path) == in_memory
    assert stored(model.fit(str(table.folder)), tmp_path) == in_memory


def test_weights_count_rows_of_a_packed_table(tmp_path):
    X = mixed()
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    table = pack(X, tmp_path / "table")
    model = AutoregressiveTreeFlow(min_frequency=30, random_state=0)
    assert stored(model.fit(table, sample_weight=weight), tmp_path) == stored(
        model.fit(X, sample_weight=weight), tmp_path
    )
    weight[7] = 0
    with pytest.raises(ValueError, match="sample_weight is 0 at row 7"):
        model.fit(table, sample_weight=weight)


def test_classes_are_learned_from_a_packed_table(tmp_path):
    X = mixed()
    y, X = X.pop("flag"), X
    table = pack(X, tmp_path / "table")
    model = TreeFlowClassifier(FLOW, random_state=0)
    assert stored(model.fit(table, y), tmp_path) == stored(model.fit(X, y), tmp_path)


def columns_of_all_kinds(n=600):
    rng = np.random.default_rng(0)
    start = np.datetime64("2020-01-01T00:00:00", "us")
    day = datetime.date(2020, 1, 1)
    minutes = start + rng.integers(0, 10**6, n) * 60_000_000
    kinds = {
        "prices": (rng.normal(size=n).round(2), pa.float64()),
        "single": (rng.normal(size=n).astype("f4"), pa.float32()),
        "half": ((rng.integers(0, 400, n) / 8).astype("f2"), pa.float16()),
        "whole floats": (rng.integers(0, 4, n) * 1.0, pa.float64()),
        "fractions": (rng.integers(0, 4, n) * 0.5, pa.float64()),
        "bytes": (rng.integers(-128, 128, n), pa.int8()),
        "large": (rng.integers(0, 10**9, n) * 100, pa.int64()),
        "unsigned": (rng.integers(0, 1000, n).astype("u8") + np.uint64(2**63), pa.uint64()),
        "times": (minutes, pa.timestamp("us")),
        "zoned": (minutes.tolist(), pa.timestamp("ms", "Europe/Zurich")),
        "days": ([day + datetime.timedelta(int(k)) for k in rng.integers(0, 1000, n)], pa.date32()),
        "few days": ([day + datetime.timedelta(int(k)) for k in rng.integers(0, 5, n)], pa.date32()),
        "durations": (rng.integers(0, 1000, n).tolist(), pa.duration("s")),
        "decimals": ([Decimal(int(k)).scaleb(-2) for k in rng.integers(0, 5000, n)], pa.decimal128(10, 2)),
        "few decimals": ([Decimal(int(k)).scaleb(-2) for k in rng.integers(0, 5, n)], pa.decimal128(10, 2)),
        "flags": (rng.random(n) < 0.2, pa.bool_()),
        "words": ([f"v{k}" for k in rng.integers(0, 30, n)], pa.string()),
        "rare": ([f"w{k}" for k in rng.exponential(60, n).astype(int)], pa.large_string()),
        "ids": (np.arange(n), pa.int64()),
        "ages": (np.arange(n) % 90 + 10, pa.int64()),
    }
    columns = {}
    for name, (cells, kind) in kinds.items():
        columns[name] = pa.array(list(cells), kind)
        columns[f"{name}, some missing"] = pa.array([None if k % 7 == 3 else c for k, c in enumerate(cells)], kind)
    columns["declared"] = columns["words"].dictionary_encode()
    return pa.table(columns)


def without_half(X):
    return X.drop_columns(["half", "half, some missing"])


@pytest.mark.parametrize(
    "made",
    [
        lambda X: X,
        lambda X: pl.from_arrow(without_half(X)),
        lambda X: X.to_pandas(),
        lambda X: without_half(X).to_pandas().convert_dtypes(),
        lambda X: X.drop_columns(["declared"]).to_pandas(types_mapper=pd.ArrowDtype),
    ],
)
@pytest.mark.filterwarnings("ignore:.*names the rows")
def test_what_a_column_is_and_its_codes_are_those_in_memory(made, tmp_path):
    X = made(columns_of_all_kinds())
    packed, table = pack(X, tmp_path / "table"), Table(X)
    n_numeric = []
    for policy in (
        TablePolicy(max_categories=40),
        TablePolicy(missing="marginalize", min_frequency=3, max_categories=100),
        TablePolicy(
            numeric=[name for name in table.names if "s" in name[:3]], max_categories=9, handle_unknown="reserve"
        ),
    ):
        if policy.handle_unknown == "reserve":  # of the others some can be no categories
            names = [name for name in table.names if "whole" in name or "large" in name or name in policy.numeric]
            names = [name for name in names if not name.startswith(("words", "flags"))]
            X = X.select(names) if not isinstance(X, pd.DataFrame) else X[names]
            policy = replace(policy, numeric=[name for name in policy.numeric if name in names])
            packed, table = pack(X, tmp_path / "some"), Table(X)
        domain, other = policy.learn_domain(table), packed.domain(policy)
        assert list(map(described, other.columns)) == list(map(described, domain.columns))
        assert (other.names, other.dtypes, other.container) == (domain.names, domain.dtypes, domain.container)
        assert bits(packed.rows(other)) == bits(policy.encode(domain, table))
        n_numeric.append(int(domain.numeric.sum()))
    assert n_numeric[0] == n_numeric[1] > 20
    assert 0 < n_numeric[2] < len(table.names)


def described(column):
    if isinstance(column, Quantity):
        return asdict(column)
    grouping = column.grouping and (column.grouping.code.tolist(), column.grouping.log_share.tolist())
    values = [(type(value), value) for value in column.values.tolist()]
    return values, grouping, column.missing, column.unseen, column.n_ordered


def bits(rows):
    observed = None if rows.observed is None else rows.observed.tobytes()
    return rows.codes.tobytes(), observed, np.asarray(rows.log_share).tobytes()


# ---- blocks, rows and columns that are appended ----


def long(n, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "two": pa.array(np.array(["a", "b"])[rng.integers(0, 2, n)]),
            "nine": pa.array(
                np.array(list("abcdefghi"))[np.minimum(rng.geometric(0.5, n), 9) - 1], mask=rng.random(n) < 0.1
            ),
            "many": pa.array(rng.integers(0, 200, n).astype("i4")),
            "number": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.1),
        }
    )


def test_rows_are_read_in_any_blocks(tmp_path):
    X = long(BLOCK + 1003)
    table = pack(X, tmp_path / "table")
    domain = table.domain(TablePolicy(missing="marginalize"))
    whole = table.rows(domain)
    assert whole.codes.shape == (BLOCK + 1003, 4)
    assert table[:].equals(X)
    for start, stop in ((0, 1), (5, 5), (BLOCK - 3, BLOCK + 9), (BLOCK, BLOCK + 1003), (777, BLOCK + 778)):
        some = table.rows(domain, start, stop)
        np.testing.assert_array_equal(some.codes, whole.codes[start:stop])
        np.testing.assert_array_equal(some.observed, whole.observed[start:stop])
        np.testing.assert_array_equal(table.codes(domain, start, stop, [1, 0]), whole.codes[start:stop, [1, 0]])
        assert table[start:stop].equals(X[start:stop])
    with pytest.raises(TypeError, match=r"table\[start:stop\], not 3"):
        table[3]


def test_rows_that_are_appended_give_the_same_table(tmp_path):
    X = pa.concat_tables([long(3, 1), long(BLOCK + 5, 2), long(900, 3)])
    whole = pack(X, tmp_path / "whole")
    for part in (X[:3], X[3:8], X[8 : BLOCK + 8], X[BLOCK + 8 :]):
        table = pack(part, tmp_path / "table", append="rows" if (tmp_path / "table").exists() else None)
    assert table.hashes == whole.hashes
    assert [source["rows"] for source in table.sources] == [3, 5, BLOCK, 900]
    assert {path.name for path in table.folder.iterdir()} == {path.name for path in whole.folder.iterdir()}
    table.verify()


def test_columns_that_are_appended_give_the_same_table(tmp_path):
    X = long(100)
    whole = pack(X, tmp_path / "whole")
    pack(X.select(["two", "nine"]), tmp_path / "table")
    assert pack(X.select(["many", "number"]), tmp_path / "table", append="columns").hashes == whole.hashes


def test_the_last_column_of_numbers_to_have_few_values_has_them_all(tmp_path):
    cells = np.concatenate([np.repeat(np.arange(5), 30_000), np.arange(10_000)])  # beyond 256 after two blocks
    X = pa.table({"late": pa.array(cells), "rare": pa.array(np.where(cells > 5000, None, cells))})
    table = pack(X, tmp_path / "table")
    assert table[:].equals(X)
    assert table.columns[0].bits == 64


def test_memory_does_not_grow_with_rows_and_files(tmp_path):
    for k in range(12):
        pq.write_table(long(BLOCK // 2, k), tmp_path / f"{k:02d}.parquet")
    peaks = []
    for pattern in ("0[012]", "*"):
        pack(str(tmp_path / "00.parquet"), tmp_path / f"warm {len(pattern)}")
        tracemalloc.start()
        pack(str(tmp_path / f"{pattern}.parquet"), tmp_path / f"table {len(pattern)}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


# ---- files of text ----


def test_files_of_text_have_numbers_times_and_names(tmp_path):
    rows = ["key,price,zip,when,day,word"]
    rows += [
        f'{k},{k}.50,{k:05d},2024-01-{1 + k % 25:02d} 12:00,2024-01-{1 + k % 3:02d},"a, {k % 3}"' for k in range(300)
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows[:100]))
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write("\n".join([rows[0], *rows[100:], "?,,,,,"]))
    table = pack([tmp_path / "a.csv", tmp_path / "b.csv.gz"], tmp_path / "table", na=["?"])
    assert table.dtypes == ("int64", "double", "string", "timestamp[us]", "string", "string")
    assert table[99:100].to_pylist() == [
        {
            "key": 99,
            "price": 99.5,
            "zip": "00099",
            "when": datetime.datetime(2024, 1, 25, 12),
            "day": "2024-01-01",
            "word": "a, 0",
        }
    ]
    assert set(table[300:][0:1].to_pylist()[0].values()) == {None}
    assert [source["rows"] for source in table.sources] == [99, 202]
    assert pack(tmp_path, tmp_path / "table 2", na=["?"]).hashes == table.hashes
    assert pack(str(tmp_path / "*.csv*"), tmp_path / "table 3", na=["?"], drop=["zip"]).hashes == (
        *table.hashes[:2],
        *table.hashes[3:],
    )


def test_a_column_of_text_that_began_with_numbers_tells_where_it_changes(tmp_path):
    cells = [str(k) for k in range(66_000)]
    cells[65_900] = "n/a"
    (tmp_path / "a.csv").write_text("\n".join(["key,b", *(f"{cell},1" for cell in cells)]))
    with pytest.raises(
        ValueError, match=r"a.csv: column 'key' has more than 65,536 .* 'n/a' at row 65900 .*na=\['n/a'\]"
    ):
        pack(tmp_path / "a.csv", tmp_path / "table")
    assert pack(tmp_path / "a.csv", tmp_path / "table", na=["n/a"]).dtypes == ("int64", "int64")


def test_rows_of_text_are_appended_if_they_are_of_the_same_types(tmp_path):
    for name, text in (("a", "n,w\n1,x\n2,y"), ("b", "w,n\nz,3"), ("c", "n,w\n4,x\n4.5,x")):
        (tmp_path / f"{name}.csv").write_text(text)
    pack(tmp_path / "a.csv", tmp_path / "table")
    table = pack(tmp_path / "b.csv", tmp_path / "table", append="rows")
    assert table[:].to_pydict() == {"n": [1, 2, 3], "w": ["x", "y", "z"]}
    with pytest.raises(ValueError, match=r"c.csv: column 'n' holds '4.5' at row 1, but int64 in .*table"):
        pack(tmp_path / "c.csv", tmp_path / "table", append="rows")
    assert PackedTable(tmp_path / "table").n_rows == 3


# ---- what is refused ----


def written(tmp_path, **tables):
    for name, table in tables.items():
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    return [tmp_path / f"{name}.parquet" for name in tables]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            {"a": [1], "b": ["x"]},
            {"a": [1.5], "b": ["x"]},
            "second.*: column 'a' holds double, but int64 in .*first",
        ),
        ({"a": [1], "b": ["x"]}, {"a": [1]}, "second.parquet: lacks column 'b', which .*first.parquet has"),
        ({"a": [1]}, {"a": [1], "c": [2]}, "second.parquet: has column 'c', which .*first.parquet lacks"),
        ({"a": [1], "b": [[1]]}, {"a": [1], "b": [[1]]}, "first.parquet: column 'b' has dtype list"),
        (
            {"a": pd.Categorical(["lo"], ["lo", "hi"], ordered=True)},
            {"a": pd.Categorical(["mid"], ["lo", "mid", "hi"], ordered=True)},
            "second.parquet: column 'a' declares 'lo', 'mid', 'hi' in this order",
        ),
        ({"a": [1]}, {"a": pa.array([None], pa.int64()), "b": [1]}, "has column 'b'"),
        ({"a": pa.array([None], pa.string())}, {"a": pa.array([None], pa.string())}, "'a' has no value"),
        ({"a": pa.array([], pa.string())}, {"a": pa.array([], pa.string())}, "no rows"),
        (
            {"a": pa.array([Decimal(10**20 + k) for k in range(300)], pa.decimal128(30, 0))},
            {"a": pa.array([Decimal(1)], pa.decimal128(30, 0))},
            "first.parquet: .*more than 18 digits",
        ),
    ],
)
def test_files_that_do_not_fit_are_told_by_file_and_column(first, second, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        pack(written(tmp_path, first=first, second=second), tmp_path / "table")
    assert not (tmp_path / "table").exists()
    assert not hidden(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.csv", b"a,b\n1,2\n3\n", "x.csv: .*Expected 2 columns, got 1"),
        ("x.csv", b"a,a\n1,2\n", "x.csv: column names must be unique; 'a'"),
        ("x.csv", b"a,b\n", "x.csv has a header but no rows"),
        ("x.csv", b"", "x.csv: .*[Ee]mpty"),
        ("x.csv", b"a,b\n1,\xff\n", "x.csv: .*invalid UTF8"),
        ("x.csv.gz", b"a,b\n", "x.csv.gz: "),
        ("x.parquet", b"a,b\n", "x.parquet: it is no Parquet file"),
        ("x.xlsx", b"", "x.xlsx does not end in"),
    ],
)
def test_damaged_files_are_refused_by_name(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=told):
        pack(tmp_path / name, tmp_path / "table")
    assert not hidden(tmp_path)


@pytest.mark.parametrize(
    ("X", "options", "error", "told"),
    [
        (pd.DataFrame({"a": [1, "x"]}), {}, ValueError, "column 'a' has values that are not of one kind"),
        (pd.DataFrame({("a", 1): [1]}), {}, ValueError, "neither a text nor a whole number"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, ValueError, "unique"),
        (pd.DataFrame({"a": ["x"]}), {"drop": ["a"]}, ValueError, "no column is left"),
        (pd.DataFrame({"a": ["x"]}), {"drop": ["b"]}, ValueError, "no column 'b' to drop"),
        (pd.DataFrame({"a": ["x"]}), {"drop": "a"}, ValueError, "drop must be a list"),
        (pd.DataFrame({"a": ["x"]}), {"append": "up"}, ValueError, "append must be 'rows' or 'columns'"),
        (pd.DataFrame({"a": ["x"]}), {"append": "rows"}, ValueError, "no folder of a packed table"),
        (pd.DataFrame({"a": [f"{k}" for k in range(70_000)]}), {}, ValueError, r"leave it out with drop=\['a'\]"),
        (pd.DataFrame({"a": ["x" * 10**6 + str(k) for k in range(17)]}), {}, ValueError, "16,777,216 characters"),
        (np.zeros((2, 2)), {}, TypeError, "not ndarray"),
        ("nowhere/*.parquet", {}, FileNotFoundError, "no file nowhere"),
        ([], {}, ValueError, "no file is named"),
    ],
)
def test_what_cannot_be_packed_is_refused(X, options, error, told, tmp_path):
    with pytest.raises(error, match=told):
        pack(X, tmp_path / "table", **options)
    assert not list(tmp_path.iterdir())


def test_what_does_not_fit_a_packed_table_leaves_it_as_it_was(tmp_path):
    X = pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    table = pack(X, tmp_path / "table")
    files = {path.name: path.read_bytes() for path in table.folder.iterdir()}
    for other, options, told in (
        (X, {}, "is there already"),
        (X, {"append": "columns"}, "has column 'a' already"),
        (pd.DataFrame({"c": [1]}), {"append": "columns"}, "1 rows do not fit a table of 2 rows"),
        (X[["a"]], {"append": "rows"}, "what is appended has no column 'b'"),
        (X.assign(c=1), {"append": "rows"}, "table has no column 'c'"),
        (X.astype({"b": "float64"}), {"append": "rows"}, "'b' is of dtype <f8, but <i8 in"),
        (pl.from_pandas(X), {"append": "rows"}, "of pandas, not of polars"),
    ):
        with pytest.raises((ValueError, FileExistsError), match=told):
            pack(other, table.folder, **options)
        assert {path.name: path.read_bytes() for path in table.folder.iterdir()} == files
    assert not hidden(tmp_path)


@pytest.mark.parametrize("append", [None, "rows"])
def test_an_interrupt_leaves_nothing_half(append, tmp_path, monkeypatch):
    X = long(3 * BLOCK)
    if append:
        before = pack(X[:10], tmp_path / "table").hashes
    write, calls = packing.TableWriter.append, []

    def interrupted(self, arrays):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(self, arrays)

    monkeypatch.setattr(packing.TableWriter, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(X, tmp_path / "table", append=append)
    assert not hidden(tmp_path)
    assert not (tmp_path / "table").exists() if append is None else PackedTable(tmp_path / "table").hashes == before


@pytest.mark.parametrize("limit", [1000, 600_000])  # while the table is copied, and while more rows are written
def test_a_full_disk_leaves_nothing_half(limit, tmp_path):
    resource = pytest.importorskip("resource")
    X = long(2 * BLOCK)
    before = pack(X[: BLOCK + 1], tmp_path / "table").hashes
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        for folder, append in (("table", "rows"), ("other", None)):
            with pytest.raises(OSError, match="too large"):
                pack(X, tmp_path / folder, append=append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert PackedTable(tmp_path / "table").hashes == before
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/table"):
        pack(mixed(5), tmp_path / "file" / "table")


def test_a_table_that_another_has_changed_is_not_extended(tmp_path, monkeypatch):
    X = mixed(20)
    pack(X, tmp_path / "table")
    write = packing.TableWriter.finish

    def late(self):
        monkeypatch.setattr(packing.TableWriter, "finish", write)
        pack(X, tmp_path / "table", append="rows")
        write(self)

    monkeypatch.setattr(packing.TableWriter, "finish", late)
    with pytest.raises(ValueError, match="has changed meanwhile"):
        pack(X, tmp_path / "table", append="rows")
    assert PackedTable(tmp_path / "table").n_rows == 40


def test_damage_is_told(tmp_path):
    table = pack(long(1000), tmp_path / "table")
    header = tmp_path / "table" / "table.json"
    told = json.loads(header.read_text())
    for change, why in (
        ({"version": 9}, "has version 9 of the packed format, and this package reads version 1"),
        ({"format": "x"}, "damaged, or of no packed table"),
        ({"n_rows": -1}, "damaged"),
        ({"n_rows": 70_000}, "damaged"),
        ({"container": "numpy"}, "unknown container"),
        ({"columns": told["columns"][:1] * 2}, "more than once"),
        ({"columns": [told["columns"][0] | {"bits": 64}]}, "does not match"),
        ({"columns": [told["columns"][0] | {"file": "../../x"}]}, "in no file"),
        ({"columns": [told["columns"][0] | {"counts": [1, 1]}]}, "are not those of"),
        ({"columns": [told["columns"][0] | {"kind": "O"}]}, "kind"),
    ):
        header.write_text(json.dumps(told | change))
        with pytest.raises(ValueError, match=why):
            PackedTable(table.folder)
    header.write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        PackedTable(table.folder)
    header.write_text(json.dumps(told))
    for column in table.columns:
        path = table.folder / column.file
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        with pytest.raises(ValueError, match=rf"column '{column.name}', is damaged: it has [\d,]+ bytes instead of"):
            PackedTable(table.folder)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ValueError, match=f"column '{column.name}', is damaged: its hash is another"):
            PackedTable(table.folder).verify()
        path.unlink()
        with pytest.raises(ValueError, match="it is not there"):
            PackedTable(table.folder)
        path.write_bytes(whole)
    many = table.folder / table.columns[2].file
    many.write_bytes(b"\xff" * 1000)
    with pytest.raises(ValueError, match="column 'many', is damaged: it holds places that"):
        AutoregressiveTreeFlow().fit(table.folder)


# ---- what is asked ----


def test_rows_of_a_packed_table_are_scored_in_blocks(tmp_path, monkeypatch):
    X = mixed()
    table = pack(X, tmp_path / "table")
    for model in (AutoregressiveTreeFlow(), AutoregressiveTreeFlow(missing="marginalize", max_categories=3)):
        model.fit(X)
        whole = model.score_samples(X)
        monkeypatch.setattr("treeflows.models.questions.BLOCK_CELLS", 333)
        np.testing.assert_array_equal(model.score_samples(table), whole)
        assert model.score(table.folder) == model.score(X)
        monkeypatch.undo()


def test_a_value_that_fit_did_not_see_is_told_by_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr("treeflows.models.questions.BLOCK_CELLS", 10)
    X = pd.DataFrame({"a": ["x", "y"] * 200, "b": np.arange(400) / 8})
    model = AutoregressiveTreeFlow().fit(X)
    other = X.assign(a=X.a.where(X.index != 77, "z"))
    with pytest.raises(ValueError, match="'z' at row 77"):
        model.score_samples(pack(other, tmp_path / "other"))
    holed = X.assign(b=X.b.where(X.index != 300))
    with pytest.raises(ValueError, match="column 'b' has a missing value .* at row 300"):
        model.score_samples(pack(holed, tmp_path / "holed"))
    with pytest.raises(ValueError, match="has the columns 'b', 'a', and the model has 'a', 'b'"):
        model.score_samples(pack(X[["b", "a"]], tmp_path / "turned"))


def test_what_takes_tables_in_memory_alone_says_so(tmp_path):
    X = mixed()
    table = pack(X, tmp_path / "table")
    model = AutoregressiveTreeFlow().fit(table)
    for ask in (model.anomalies, model.impute, model.transform, lambda t: model.conditional_proba(t, "word")):
        with pytest.raises(TypeError, match=r"take some of its rows, table\[:1000\]"):
            ask(table)
    assert len(model.impute(table[:20])) == 20


@pytest.mark.parametrize("made", [lambda X: X, pl.from_pandas, pa.Table.from_pandas])
def test_samples_are_written_in_blocks(made, tmp_path, monkeypatch):
    X = made(mixed())
    model = AutoregressiveTreeFlow().fit(X)
    drawn = model.sample(300, random_state=1)
    for name in ("a.csv", "a.tsv.gz", "a.parquet", "packed"):
        assert model.sample(300, random_state=1, out=tmp_path / name) is None
    assert PackedTable(tmp_path / "packed")[:].equals(drawn)
    back = pd.read_csv(tmp_path / "a.csv")
    assert list(back.columns) == list(mixed().columns)
    sizes = pq.read_table(tmp_path / "a.parquet")["size"]
    assert pa.array(back["size"], from_pandas=True).equals(sizes.combine_chunks())
    assert pd.read_csv(tmp_path / "a.tsv.gz", sep="\t").equals(back)
    monkeypatch.setattr("treeflows.models.questions.BLOCK_CELLS", 100)
    blocks = list(model.sampled_in_blocks(300, 1, most=100))
    assert [len(block) for block in blocks] == [20] * 15


def test_samples_of_arrays_and_with_given_values_are_written(tmp_path):
    model = AutoregressiveTreeFlow(order="natural").fit(np.random.default_rng(0).integers(0, 3, (200, 2)))
    model.sample(50, out=tmp_path / "table")
    assert PackedTable(tmp_path / "table").names == ("x0", "x1")
    assert model.score_samples(tmp_path / "table").shape == (50,)
    model.sample(50, given={0: 2}, out=tmp_path / "given.csv")
    assert set(pd.read_csv(tmp_path / "given.csv").x0) == {2}
    model.sample(0, out=tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "x0,x1\n"
    with pytest.raises(FileExistsError, match="is there already"):
        model.sample(5, out=tmp_path / "table")
    with pytest.raises(ValueError, match="a table ends in"):
        model.sample(5, out=tmp_path / "table.doc")


# ---- the command line ----


def test_the_command_line_packs_fits_scores_and_samples(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = mixed(300).drop(columns="level")
    X.to_csv("x.csv", index=False)
    X[:100].to_csv("more.csv", index=False)
    assert main(["pack", "x.csv", "table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) | {"bytes": 0} == {
        "rows": 300,
        "columns": 4,
        "bytes": 0,
        "folder": "table",
    }
    assert main(["fit", "table", "--model", "tree", "--jobs", "1"]) == 0
    by_hand = AutoregressiveTreeFlow(random_state=0, n_jobs=1, verbose=1).fit("table")
    assert (tmp_path / "table.treeflow").read_bytes() == stored(by_hand, tmp_path)
    capsys.readouterr()
    told = []
    for source in ("table", "x.csv"):
        assert main(["score", "table.treeflow", source, "--json", "-o", "scores.csv"]) == 0
        told.append(json.loads(capsys.readouterr().out))
        np.testing.assert_allclose(pd.read_csv("scores.csv").log_likelihood, by_hand.score_samples("table"))
    assert told[0] == pytest.approx(told[1])
    assert told[0]["log_likelihood"] == pytest.approx(by_hand.score("table"))
    assert main(["pack", "more.csv", "table", "--append", "rows", "--na", "?"]) == 0
    assert PackedTable("table").n_rows == 400
    monkeypatch.setattr("treeflows.command.commands.BLOCK", 7)
    assert main(["score", "table.treeflow", "x.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == pytest.approx(told[0])


@pytest.mark.parametrize(
    ("n_columns", "options", "memory", "scored"),
    [
        (3, [], 1e9, [26]),  # rows that differ
        (3, ["--max-categories", "2"], 1e9, [4000]),  # of a group its values tell, too
        (7, [], 1e9, [4000]),
        (7, [], 2e4, []),  # in passes
    ],
)
def test_the_command_line_reads_a_packed_table_as_fit_does(
    n_columns, options, memory, scored, tmp_path, capsys, monkeypatch
):
    cells = np.random.default_rng(0).choice(["a", "b", "c"], (4000, n_columns), p=[0.7, 0.2, 0.1])
    X = pd.DataFrame(cells, columns=list("tuvwxyz")[:n_columns])
    X.to_csv(tmp_path / "x.csv", index=False)
    told, asked = {}, []

    def log_likelihood(distribution, rows, threads):
        asked.append(len(rows.codes))
        return questions.log_likelihood(distribution, rows, threads)

    for source in (tmp_path / "x.csv", pack(X, tmp_path / "table").folder):
        asked.clear()
        monkeypatch.setattr("treeflows.command.commands.log_likelihood", log_likelihood)
        monkeypatch.setattr("treeflows.tables.packed.memory_for_rows", lambda: int(memory))
        fit = ["fit", str(source), "--model", "tree", "--json", "--no-held-out", "-o", f"{source}.treeflow"]
        assert main([*fit, *options]) == 0
        told[source.name] = json.loads(capsys.readouterr().out)
    assert asked == scored
    models = [treeflows.load(tmp_path / f"{name}.treeflow") for name in told]
    np.testing.assert_array_equal(models[0].score_samples(X), models[1].score_samples(X))
    for name, value in told["table"].items():
        if name == "train_nll":
            assert value == (pytest.approx(told["x.csv"][name]) if scored else None)
        elif name not in ("seconds", "model"):
            assert value == told["x.csv"][name]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["pack", "x.csv", "table"], "table is there already"),
        (
            ["fit", "table", "--drop", "word"],
            "--drop is for files, and table is a packed table: give it to treeflows pack",
        ),
        (["evaluate", "table"], "table is a folder"),
        (["fit", "table", "--weight", "n"], "--weight is for files"),
        (["anomalies", "model", "table"], "table is a folder"),
        (["score", "model", "table", "--na", "?"], "--na is for files"),
    ],
)
def test_the_command_line_refuses(command, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = mixed(100)
    pack(X, "table")
    X.to_csv("x.csv")
    treeflows.save(AutoregressiveTreeFlow().fit(X), "model")
    assert main(command) == 2
    assert told in capsys.readouterr().err
