"""Learned layers against the readable implementation: the same trees, tables, sets and codes, exactly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import readable
from conftest import random_table, small_tables
from hypothesis import given
from hypothesis import strategies as st

from treeflows._ext.counting import Counter
from treeflows._ext.growing import GrowthRules, grow_trees
from treeflows._ext.permuting import Program, rank_tables
from treeflows.learning import costs
from treeflows.learning.costs import cost_table
from treeflows.learning.layers import RandomCriterion, learn_layer, likelihood_criterion
from treeflows.learning.orders import pairwise_information


def learn(counter, n_categories, min_samples_leaf=1, min_gain=0.0, **options):
    criterion = likelihood_criterion(counter.n_rows, len(n_categories), min_samples_leaf, min_gain)
    return learn_layer(counter, criterion, **options)


def forward(layer, codes):
    program = Program([(layer.column, layer.children, layer.input_sets, layer.tables)], layer.first_category)
    return program.apply(codes.astype(np.uint8))


def assert_same_layers(codes, n_categories, n_layers=3, n_threads=1, table_bytes=1 << 28, **options):
    counter = Counter(codes.astype(np.uint8), n_categories, n_threads, table_bytes)
    for _ in range(n_layers):
        layer = learn(counter, n_categories, **options)
        nodes, z = readable.learn_tsp(codes, n_categories, **options)
        layer.check()
        inner = [node for node in nodes if node.children]
        assert layer.column.tolist() == [node.column for node in inner]
        assert [np.flatnonzero(s).tolist() for s in layer.input_sets] == [[node.category] for node in inner]
        assert [np.flatnonzero(s).tolist() for s in layer.output_sets] == [node.output_set for node in inner]
        np.testing.assert_array_equal(forward(layer, codes), z)
        np.testing.assert_array_equal(layer.counts, np.concatenate(readable.column_counts(z, n_categories)))
        assert layer.leaf_rows.sum() == len(codes)
        counter.merge(layer.tables)
        codes = z


@pytest.mark.parametrize("n_categories", [[2] * 20, [2, 3, 4, 1, 5], [40, 25], [17] * 4, [2, 60, 3]])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_like_the_readable_implementation(each_isa, n_categories, n_threads):
    codes = random_table(5, 700, n_categories)
    options = {"max_depth": 4, "min_samples_split": 30}
    assert_same_layers(codes, n_categories, n_threads=n_threads, **options)
    assert_same_layers(codes, n_categories, 1, n_threads, table_bytes=2000, **options)


@given(
    small_tables(),
    st.integers(0, 5),
    st.integers(2, 40),
    st.integers(1, 20),
    st.sampled_from([0.0, -np.inf, 0.01]),
)
def test_like_the_readable_implementation_on_any_options(table, depth, split, leaf, gain):
    codes, n_categories = table
    assert_same_layers(
        codes, n_categories, 2, max_depth=depth, min_samples_split=split, min_samples_leaf=leaf, min_gain=gain
    )


def test_real_table_like_the_readable_implementation(each_isa, shared_npz):
    data = shared_npz("mushroom")
    options = {"max_depth": 3, "min_samples_split": 200}
    assert_same_layers(data["train"].astype(int), data["n_categories"], 1, 2, **options)


@given(small_tables())
def test_a_split_never_costs_likelihood_in_the_first_layer(table):
    codes, n_categories = table
    counter = Counter(codes.astype(np.uint8), n_categories)
    before = readable.independent_nll(codes, n_categories, 1e-9)
    layer = learn(counter, n_categories, max_depth=3, min_samples_split=2)
    assert readable.independent_nll(forward(layer, codes), n_categories, 1e-9) <= before + 1e-9


def test_random_criterion_draws_only_splits_that_leave_rows_on_both_sides():
    k = [2, 3, 1, 6]
    codes = random_table(2, 400, k)
    for seed in range(20):
        counter = Counter(codes.astype(np.uint8), k)
        criterion = RandomCriterion(np.random.default_rng(seed), 5)
        layer = learn_layer(counter, criterion, max_depth=6, min_samples_split=2)
        layer.check()
        assert layer.leaf_rows.min() >= 5
        assert layer.n_leaves > 4


def test_cost_table_is_exact_and_cannot_overflow():
    cost = cost_table(1000, 5)
    c = np.arange(1, 1001)
    np.testing.assert_allclose(cost.of(c) / 2.0**cost.bits, c * np.log(c), atol=2.0**-cost.bits)
    assert cost.of(0) == 0
    for n_rows, n_columns in [(1, 1), (2, 1), (50_000, 784), (10**6, 10**5), (2**31 - 1, 1)]:
        cost = cost_table(n_rows, n_columns)
        assert n_columns * int(cost.of(n_rows)) < 2**62
        assert cost.bits > 10


def test_costs_are_the_same_whether_tabled_or_computed(each_isa, monkeypatch):
    k = [2, 5, 3, 2, 30, 2]
    codes = random_table(0, 4000, k).astype(np.uint8)
    order = np.arange(6, dtype=np.int32)

    def learned():
        layer = learn_layer(
            Counter(codes, k, 1), likelihood_criterion(4000, 6, 1, 0.0), max_depth=3, min_samples_split=9
        )
        trees = grow_trees(codes, np.array(k, dtype=np.int32), order, cost_table(4000, 1, 40), GrowthRules(5))
        information = pairwise_information(codes, np.array(k), cost_table(4000, 1, 40))
        return [layer.tables, layer.column, layer.counts, information, *trees]

    tabled = learned()
    monkeypatch.setattr(costs, "MOST_TABLED", 40)
    for one, other in zip(tabled, learned(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_costs_of_many_rows_take_no_room():
    assert cost_table(2**31 - 1, 1).table.nbytes < 2**23


def test_rank_tables_order_by_count_then_category_within_the_cell():
    counts = np.array([[5, 0, 5, 2, 9]], dtype=np.int32)
    first = np.array([0, 5], dtype=np.int32)
    full = rank_tables(counts, np.ones((1, 5), dtype=np.uint8), first)
    assert full.tolist() == [[2, 0, 3, 1, 4]]
    part = rank_tables(counts, np.array([[1, 0, 0, 1, 1]], dtype=np.uint8), first)
    assert part.tolist() == [[3, 1, 2, 0, 4]]


GUARDED = """
import ctypes, mmap
import numpy as np
from conftest import random_table
from treeflows._ext.counting import Counter
from treeflows._ext.splitting import best_splits
from treeflows._ext.costs import Costs
from treeflows.learning.costs import cost_table

n_rows, k = 20_000, [2, 2, *[40] * 3]
table = random_table(0, n_rows, k)
table[:, 2:] = np.minimum(table[:, 2:], 1)  # the next slab's first categories hold most rows
codes = table.astype(np.uint8)
counter = Counter(codes, k, 1, 1)
assert len(counter.slabs) == len(k)
cost, bits = cost_table(n_rows, len(k))
mapped = mmap.mmap(-1, mmap.PAGESIZE * 64 + cost.nbytes)
address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE * 64), 0) == 0
guarded = np.frombuffer(mapped, np.int64, len(cost), mmap.PAGESIZE * 64)
guarded[:] = cost
for slab in counter.slabs:
    best_splits(counter.cooccurrences([0], slab), *slab, counter.first_plane, counter.first_category,
                counter.counts[0], counter.counts, np.ones_like(counter.counts, dtype=np.uint8),
                Costs(guarded, bits), 1, 1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory is protected by mprotect")
def test_no_lane_past_the_end_of_a_slab_reads_outside_the_costs():
    """The pages before the costs are out of bounds: whoever reads them ends the process."""
    done = subprocess.run([sys.executable, "-c", GUARDED], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
