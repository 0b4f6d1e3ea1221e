"""Rows that are not all in memory: the same trees, orders and models as of rows that are."""

import numpy as np
import pytest
from conftest import random_table, small_tables
from hypothesis import given, settings
from hypothesis import strategies as st

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, PackedTable, TreeFlowMixture
from treeflows._ext.distinct import DistinctRows
from treeflows._ext.growing import GrowthRules, grow_trees
from treeflows._ext.levels import Block, Top
from treeflows.learning.blocks import RowsInBlocks, distinct_rows, sorted_rows
from treeflows.learning.costs import cost_table
from treeflows.learning.multisets import distinct
from treeflows.learning.objective import Objective
from treeflows.learning.orders import pairwise_information
from treeflows.learning.passes import grow_in_passes
from treeflows.learning.prunings import COST_BITS
from treeflows.tables.policy import TablePolicy


def in_blocks(codes, block_rows, memory=10**9):
    codes = np.asarray(codes, dtype=np.uint8)
    asked = []

    def read(start, stop, columns):
        asked.append(list(columns))
        return codes[start:stop][:, columns]

    rows = RowsInBlocks(read, codes.shape, memory, block_rows)
    rows.asked = asked
    return rows


def assert_same_trees(codes, k, block_rows, memory, order=None, n_threads=1, which=None, **options):
    codes, k = np.asarray(codes, dtype=np.uint8), np.array(k, dtype=np.int32)
    order = np.arange(len(k), dtype=np.int32) if order is None else np.array(order, dtype=np.int32)
    n_ordered = options.pop("n_ordered", None)
    how = k, order, cost_table(len(codes), 1, COST_BITS), GrowthRules(**options)
    told = {
        "n_ordered": None if n_ordered is None else np.array(n_ordered, dtype=np.int32),
        "which": None if which is None else np.array(which, dtype=np.int32),
        "n_threads": n_threads,
    }
    expected = grow_trees(codes, *how, **told)
    rows = in_blocks(codes, block_rows, memory)
    for one, other in zip(grow_in_passes(rows, *how, **told), expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    return rows


@settings(max_examples=40)
@given(
    small_tables(20),
    st.integers(1, 400),
    st.sampled_from([1, 1000, 5000, 10**9]),
    st.integers(1, 6),
    st.integers(0, 3),
    st.booleans(),
    st.randoms(),
)
def test_growth_in_passes_is_growth_in_memory(table, block_rows, memory, min_leaf, max_features, ranged, random):
    codes, k = table
    order = list(range(len(k)))
    random.shuffle(order)
    assert_same_trees(
        codes,
        k,
        block_rows,
        memory,
        order,
        min_samples_leaf=min_leaf,
        max_features=max_features,
        n_ordered=[random.randint(0, each) for each in k] if ranged else None,
    )


@pytest.mark.parametrize("k", [[2] * 8, [2, 17, 3, 16, 40, 2], [40, 25, 3]])
@pytest.mark.parametrize("memory", [1, 20_000, 200_000])
def test_growth_in_passes_of_larger_tables(each_isa, k, memory):
    codes = random_table(3, 3000, k)
    assert_same_trees(codes, k, 1000, memory, min_samples_leaf=8, n_threads=2, n_ordered=k)


def test_a_criterion_of_a_user_in_passes():
    pytest.importorskip("numba")

    def gini(counts, n):
        squares = 0.0
        for c in counts:
            squares += c * c
        return n - squares / n if n else 0.0

    k = [2, 3, 4, 2]
    assert_same_trees(random_table(1, 600, k), k, 100, 3000, objective=Objective(gini), min_samples_leaf=5)


def test_trees_of_some_columns_read_those_before_them_alone():
    k, order = [2, 3, 2, 4, 2], [3, 0, 4, 1, 2]
    rows = assert_same_trees(random_table(1, 500, k), k, 100, 2000, order, which=[0, 2], min_samples_leaf=5)
    assert {tuple(asked) for asked in rows.asked} == {(3, 0, 4)}


def test_trees_that_stay_a_root_and_an_end_from_another_thread():
    k = np.array([2, 3, 2], dtype=np.int32)
    codes, order = random_table(1, 500, k).astype(np.uint8), np.arange(3, dtype=np.int32)
    how = k, order, cost_table(500, 1, COST_BITS), GrowthRules(5)
    splitting = np.array([1, 0, 1], dtype=np.uint8)
    rows = in_blocks(codes, 100, 2000)
    for one, other in zip(
        grow_in_passes(rows, *how, splitting=splitting), grow_trees(codes, *how, splitting=splitting), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(KeyboardInterrupt):
        grow_in_passes(rows, *how, stop=np.ones(1, dtype=np.uint8))


def test_rows_that_change_meanwhile_are_told():
    k, order = np.array([2, 3, 2], dtype=np.int32), np.arange(3, dtype=np.int32)
    tables = [random_table(seed, 500, k).astype(np.uint8) for seed in (0, 1)]
    passes = []

    def read(start, stop, columns):
        passes.append(start == 0)
        return tables[sum(passes) > 3][start:stop]

    rows = RowsInBlocks(read, (500, 3), 2000, 100)
    with pytest.raises(ValueError, match="have changed"):
        grow_in_passes(rows, k, order, cost_table(500, 1, COST_BITS), GrowthRules(5))


def test_counts_that_cannot_be_are_known_before_their_costs_are_looked_up():
    k, order = np.array([3, 4], dtype=np.int32), np.arange(2, dtype=np.int32)
    before, now = (random_table(seed, 500, k).astype(np.uint8) for seed in (0, 1))
    told = k, order, None, cost_table(500, 1, COST_BITS), GrowthRules(5), np.bincount(before[:, 1], minlength=4)
    for rows, fits in ((before, True), (now, False)):
        top = Top(1, *told)
        top.open([0])
        top.count(Block(rows, k, order, None))
        assert top.fits() == fits


@pytest.mark.parametrize("block_rows", [1, 77, 5000])
def test_pairs_are_summed_over_blocks(block_rows):
    k = np.array([2, 5, 1, 30, 2], dtype=np.int32)
    codes = random_table(2, 300, k).astype(np.uint8)
    cost = cost_table(300, 1, COST_BITS)
    expected = pairwise_information(codes, k, cost)
    np.testing.assert_array_equal(pairwise_information(in_blocks(codes, block_rows), k, cost), expected)


# ---- distinct rows ----


@settings(max_examples=40)
@given(small_tables(9), st.integers(1, 400), st.integers(1, 2))
def test_distinct_rows_of_blocks_are_those_of_the_table(table, block_rows, threads):
    codes, k = table
    expected = distinct(codes.astype(np.uint8))
    found = distinct_rows(in_blocks(codes, block_rows), k, 10**6, threads)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_distinct_rows_of_many_columns_and_categories():
    rng = np.random.default_rng(0)
    k = np.append(rng.integers(1, 257, 60), 256)
    codes = rng.integers(0, k, (4000, len(k)), dtype=np.uint8)
    codes = codes[rng.integers(0, len(codes), 20_000)]
    for one, other in zip(distinct_rows(in_blocks(codes, 3000), k, 10**6, 2), distinct(codes), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_many_distinct_rows_are_not_counted_to_the_end():
    codes = np.random.default_rng(0).integers(0, 256, (50_000, 4), dtype=np.uint8)
    rows = in_blocks(codes, 1000)
    assert distinct_rows(rows, [256] * 4, 1500) is None
    assert len(rows.asked) < 10
    assert distinct_rows(in_blocks(codes, 1000), [256] * 4, len(np.unique(codes, axis=0)) - 1) is None


def test_weights_of_distinct_rows_add_up():
    counted = DistinctRows([3, 200], 10)
    rows = np.array([[0, 7], [2, 199], [0, 7]], dtype=np.uint8)
    assert counted.add(rows, np.array([5, 1, 2**33]))
    codes, times = counted.rows()
    assert dict(zip(map(tuple, codes.tolist()), times.tolist(), strict=True)) == {(0, 7): 5 + 2**33, (2, 199): 1}
    with pytest.raises(ValueError, match="rows of 3 columns"):
        counted.add(np.zeros((2, 3), dtype=np.uint8))


# ---- packed tables ----


def as_frame(codes, holes=0.0):
    pd = pytest.importorskip("pandas")
    values = np.array(["a", "b", "c", "d", "e", "f", "g"])[codes].astype(object)
    values[np.random.default_rng(1).random(values.shape) < holes] = None
    return pd.DataFrame(values, columns=[f"column {j}" for j in range(codes.shape[1])])


def packed(X, folder, memory=None):
    pytest.importorskip("pyarrow")
    treeflows.pack(X, folder)
    return PackedTable(folder, memory=memory)


@pytest.mark.parametrize(
    "model",
    [
        AutoregressiveTreeFlow(order="natural"),
        AutoregressiveTreeFlow(max_features=2, random_state=3),
        TreeFlowMixture(n_components=4, n_trees=1, random_state=0),
        AutoregressiveTreeFlow(missing="marginalize", random_state=1),
    ],
)
def test_a_model_of_rows_that_are_counted_is_that_of_the_rows(model, tmp_path, file_of):
    X = as_frame(random_table(0, 4000, [2, 3, 2, 2]), holes=0.002 if model.missing == "marginalize" else 0.0)
    table = packed(X, tmp_path / "table")
    assert len(X.drop_duplicates()) < 4000 // 32
    assert file_of(model.fit(table)) == file_of(model.fit(X))


@pytest.mark.parametrize("k", [[2, 3, 4, 2, 5, 3], [2, 3, 4, 2] * 5])  # rows that repeat, and rows that do not
def test_rows_of_a_packed_table_that_are_read_in_order(k, tmp_path, file_of, monkeypatch):
    X = as_frame(random_table(0, 2000, k))
    table = packed(X, tmp_path / "table")
    monkeypatch.setattr(treeflows.learning.blocks, "FEWEST_ROWS", 300)
    monkeypatch.setattr(treeflows.learning.blocks, "MOST_ROWS", 300)
    rows = RowsInBlocks.of_packed(table, table.domain(TablePolicy.of(DiscreteTreeFlow())))
    codes, weight = sorted_rows(rows)
    for one, other in zip((codes, weight), distinct(np.concatenate(list(rows.blocks()))), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(codes) > 2000 // 32
    for model in DiscreteTreeFlow(2), TreeFlowMixture(n_components=4, n_trees=2, logistic=False, random_state=0):
        assert file_of(model.fit(table)) == file_of(model.fit(X))


@pytest.mark.parametrize("order", ["natural", "evidence"])
def test_a_tree_flow_of_more_rows_than_memory_is_that_of_rows_in_memory(order, tmp_path, file_of, monkeypatch):
    X = as_frame(random_table(0, 4000, [2, 7, 2, 3, 5, 4]))
    table = packed(X, tmp_path / "table", memory=20_000)
    flow = AutoregressiveTreeFlow(order=order, n_jobs=2)
    monkeypatch.setattr(treeflows.learning.blocks, "FEWEST_ROWS", 300)
    monkeypatch.setattr(PackedTable, "rows", at_most(700, PackedTable.rows))
    in_passes = file_of(flow.fit(table))
    assert in_passes == file_of(flow.fit(X))


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("n_columns", "memory"),
    [(24, None), (24, 1e8), (14, 1e8)],  # all rows, in passes, rows that differ
)
def test_ten_million_rows_that_are_packed_give_the_model_of_rows_in_memory(n_columns, memory, tmp_path, file_of):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (10**7, n_columns), dtype=np.int8)
    for j in range(3, n_columns):
        copied = rng.random(len(codes)) < 0.7
        codes[copied, j] = codes[copied, j - 3]
    X = pd.DataFrame({f"x{j}": pd.Categorical.from_codes(codes[:, j], ["no", "yes"]) for j in range(n_columns)})
    flow = AutoregressiveTreeFlow(order="natural", n_jobs=2)
    assert file_of(flow.fit(packed(X, tmp_path / "table", memory))) == file_of(flow.fit(X))


def at_most(n, read):
    def rows(self, domain, start=0, stop=None, *args, **options):
        assert stop is not None
        assert stop - start <= n
        return read(self, domain, start, stop, *args, **options)

    return rows


def test_what_does_not_learn_in_passes_says_what_memory_it_needs(tmp_path):
    X = as_frame(random_table(0, 4000, [2, 7, 2, 3, 5, 4]), holes=0.01)
    table = packed(X, tmp_path / "table", memory=20_000)
    with pytest.raises(ValueError, match=r"4,000 rows .* TreeFlowMixture learns from rows in memory"):
        TreeFlowMixture(random_state=0).fit(table)
    with pytest.raises(ValueError, match="marginalize"):
        AutoregressiveTreeFlow(missing="marginalize").fit(table)
    with pytest.raises(ValueError, match="here they are read into memory"):
        AutoregressiveTreeFlow(numeric=["number"]).fit(
            packed(X.assign(number=range(4000)), tmp_path / "numbers", 10**5)
        )
    with pytest.raises(ValueError, match="sample_weight"):
        AutoregressiveTreeFlow().fit(table, sample_weight=np.full(4000, 2))
    with pytest.raises(ValueError, match="memory"):
        PackedTable(tmp_path / "table", memory=0)


def test_more_rows_than_counts_can_hold_are_refused(tmp_path):
    table = packed(as_frame(random_table(0, 50, [2, 3])), tmp_path / "table")
    table.n_rows = 2**31
    with pytest.raises(ValueError, match="2,147,483,648 rows; a model learns from 2,147,483,647 at most"):
        AutoregressiveTreeFlow().fit(table)


def test_weights_of_as_many_rows_as_counts_can_hold():
    codes = random_table(0, 300, [2, 3, 4])
    weight = np.full(len(codes), (2**31 - 1) // len(codes))
    flow = AutoregressiveTreeFlow(order="natural", max_depth=2).fit(codes, sample_weight=weight)
    few = AutoregressiveTreeFlow(order="natural", max_depth=2, min_samples_leaf=1).fit(codes)
    assert np.isfinite(flow.evidence_).all()
    k, order = np.array([2, 3, 4], dtype=np.int32), np.arange(3, dtype=np.int32)
    many, one = (
        grow_trees(
            codes.astype(np.uint8),
            k,
            order,
            cost_table(int(w.sum()), 1, COST_BITS),
            GrowthRules(int(w[0]), max_depth=3),
            weight=w,
        )
        for w in (weight.astype(np.int32), np.ones(len(codes), dtype=np.int32))
    )
    for of_many, of_one in zip(many[:-1], one[:-1], strict=True):
        np.testing.assert_array_equal(of_many, of_one)
    assert flow.score(codes) == pytest.approx(few.score(codes), abs=0.2)
