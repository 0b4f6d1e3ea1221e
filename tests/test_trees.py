"""Trees of one column against the readable implementation, and sums over all prunings."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import readable_trees as readable
from conftest import random_table, small_tables
from hypothesis import given
from hypothesis import strategies as st

from treeflows._ext import isa
from treeflows._ext.averaging import DROPPED, INNER, LEAF, average_prunings
from treeflows._ext.growing import GrowthRules, grow_trees
from treeflows.learning.costs import cost_table
from treeflows.learning.prunings import COST_BITS, N_CONCENTRATIONS, N_TABLED, _log_rising, concentrations

NO_LIMIT = 2**30


def grow(codes, n_categories, order, n_threads=1, n_ordered=None, weight=None, stop=None, **options):
    which, splitting = options.pop("which", None), options.pop("splitting", None)
    n = len(codes) if weight is None else int(np.sum(weight))
    return grow_trees(
        codes.astype(np.uint8),
        np.array(n_categories, dtype=np.int32),
        np.array(order, dtype=np.int32),
        cost_table(n, 1, COST_BITS),
        GrowthRules(**options),
        n_ordered=None if n_ordered is None else np.array(n_ordered, dtype=np.int32),
        weight=None if weight is None else np.array(weight, dtype=np.int32),
        which=None if which is None else np.array(which, dtype=np.int32),
        splitting=None if splitting is None else np.array(splitting, dtype=np.uint8),
        stop=stop,
        n_threads=n_threads,
    )


def assert_same_tree(node, i, column, low, high, left, candidates, counts):
    assert counts[i].tolist() == node.counts.tolist()
    assert candidates[i] == node.candidates
    assert column[i] == node.column
    if node.children:
        assert (low[i], high[i]) == (node.low, node.high)
        for child, at in zip(node.children, (left[i], left[i] + 1), strict=True):
            assert at > i
            assert_same_tree(child, at, column, low, high, left, candidates, counts)


def assert_same_trees(codes, n_categories, order, min_samples_leaf, max_depth=NO_LIMIT, n_threads=1, n_ordered=None):
    first, *parts, counts = grow(
        codes,
        n_categories,
        order,
        min_samples_leaf=min_samples_leaf,
        max_depth=max_depth,
        n_threads=n_threads,
        n_ordered=n_ordered,
    )
    start = 0
    for t, target in enumerate(order):
        nodes = slice(first[t], first[t + 1])
        k, n_nodes = n_categories[target], first[t + 1] - first[t]
        tree = readable.grow(codes, n_categories, target, order[:t], min_samples_leaf, max_depth, n_ordered)
        own = counts[start : start + n_nodes * k].reshape(n_nodes, k)
        assert_same_tree(tree, 0, *(part[nodes] for part in parts), own)
        start += n_nodes * k


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "n_categories", [[2] * 12, [2, 3, 4, 1, 5], [40, 25, 3], [2, 17, 3, 16, 40, 2], [100, 2, 9, 2], [16] * 4]
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_like_the_readable_implementation(each_isa, n_categories, n_threads):
    codes = random_table(5, 900, n_categories)
    order = np.random.default_rng(0).permutation(len(n_categories)).tolist()
    assert_same_trees(codes, n_categories, order, 2, n_threads=n_threads)
    assert_same_trees(codes, n_categories, order, 5, 3, n_threads)


@given(small_tables(), st.integers(1, 12), st.integers(0, 6), st.randoms())
def test_like_the_readable_implementation_on_any_options(table, min_samples_leaf, max_depth, random):
    codes, n_categories = table
    order = list(range(len(n_categories)))
    random.shuffle(order)
    assert_same_trees(codes, n_categories, order, min_samples_leaf, max_depth)


def test_real_table_like_the_readable_implementation(each_isa, shared_npz):
    data = shared_npz("mushroom")
    codes, k = data["train"][:1500].astype(int), data["n_categories"]
    assert_same_trees(codes[:, :9], k[:9], list(range(9)), 5, n_threads=2)


def test_more_rows_than_a_domain_holds_at_once(each_isa):
    # node after node of one domain, and domains within domains, in trees of thousands of rows
    n_categories = [2, 3, 2, 2, 20, 2]
    assert_same_trees(random_table(1, 5000, n_categories), n_categories, list(range(6)), 5)


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("in_order", [False, True])
def test_targets_of_many_categories(each_isa, in_order, skewed):
    # children of fewer rows than a table has cells; counts of 0, below 16 and above in one row of it
    n_categories = [40, 2, 200]
    codes = np.random.default_rng(0).random((600, 3)) ** (4 if skewed else 1) * n_categories
    n_ordered = n_categories if in_order else None
    assert_same_trees(codes.astype(int), n_categories, [0, 1, 2], 3, n_ordered=n_ordered)


# ---- columns in order ----


@pytest.mark.parametrize(
    "n_categories", [[4, 5, 9, 2, 3], [40, 25, 6], [7, 17, 3, 16, 40, 12], [100, 4, 9, 5], [16] * 4]
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_codes_in_order_like_the_readable_implementation(each_isa, n_categories, n_threads):
    codes = random_table(6, 900, n_categories)
    order = np.random.default_rng(1).permutation(len(n_categories)).tolist()
    for lacking in (0, 1, 2):  # codes that come last and are in no order
        n_ordered = [max(0, k - lacking) for k in n_categories]
        assert_same_trees(codes, n_categories, order, 2, n_threads=n_threads, n_ordered=n_ordered)
    n_ordered[1] = 0
    assert_same_trees(codes, n_categories, order, 5, 3, n_threads, n_ordered)


@given(small_tables(9), st.integers(1, 12), st.integers(0, 6), st.randoms())
def test_codes_in_order_like_the_readable_implementation_on_any_options(table, min_samples_leaf, max_depth, random):
    codes, n_categories = table
    order = list(range(len(n_categories)))
    random.shuffle(order)
    n_ordered = [random.randint(0, k) for k in n_categories]
    assert_same_trees(codes, n_categories, order, min_samples_leaf, max_depth, n_ordered=n_ordered)


def test_a_large_table_of_codes_in_order(each_isa):
    n_categories = [9, 6, 20, 5, 2, 12]
    assert_same_trees(random_table(1, 5000, n_categories), n_categories, list(range(6)), 5, n_ordered=n_categories)


# ---- weights ----


@given(small_tables(20), st.integers(1, 8), st.integers(1, 9), st.integers(0, 3), st.booleans())
def test_weights_are_repeated_rows(table, min_samples_leaf, most, max_features, in_order):
    codes, n_categories = table
    weight = np.random.default_rng(len(codes)).integers(0, most + 1, len(codes))
    weight[0] += 1
    options = {
        "min_samples_leaf": min_samples_leaf,
        "max_features": max_features,
        "n_ordered": n_categories if in_order else None,
    }
    order = range(len(n_categories))
    repeated = grow(np.repeat(codes, weight, axis=0), n_categories, order, **options)
    assert_equal(grow(codes, n_categories, order, weight=weight, **options), repeated)


@pytest.mark.parametrize("n_categories", [[2, 3, 2, 4, 2, 6], [2, 17, 3, 16, 40, 2], [200, 256, 2, 256, 30, 256]])
def test_weights_of_a_large_table(each_isa, n_categories):
    codes = random_table(4, 3000, n_categories)
    weight = np.random.default_rng(0).integers(0, 6, len(codes))
    repeated = grow(np.repeat(codes, weight, axis=0), n_categories, range(6), min_samples_leaf=5)
    assert_equal(grow(codes, n_categories, range(6), min_samples_leaf=5, weight=weight, n_threads=2), repeated)


# ---- some of the trees, and an early end ----


def test_some_places_of_the_order():
    k = [2, 3, 17, 2, 4]
    codes, order = random_table(3, 800, k), [3, 0, 2, 4, 1]
    first, *_, counts = every = grow(codes, k, order)
    starts = np.cumsum([0, *(np.diff(first) * np.array(k)[order])])
    for which in ([2], [0, 3, 4], [4, 1]):
        some_first, *some, some_counts = grow(codes, k, order, which=which)
        nodes = np.concatenate([np.arange(first[t], first[t + 1]) for t in which])
        np.testing.assert_array_equal(np.diff(some_first), np.diff(first)[which])
        assert_equal(some, [part[nodes] for part in every[1:-1]])
        np.testing.assert_array_equal(some_counts, np.concatenate([counts[starts[t] : starts[t + 1]] for t in which]))


def test_trees_that_stay_a_root():
    k, splitting = [2, 3, 17, 2, 4], np.array([1, 0, 1, 0, 1])
    codes, order = random_table(3, 800, k), [3, 0, 2, 4, 1]
    first, *_, counts = grow(codes, k, order, splitting=splitting, n_threads=2)
    starts, split = np.cumsum([0, *(np.diff(first) * np.array(k)[order])]), splitting[order] > 0
    assert (np.diff(first)[~split] == 1).all()
    np.testing.assert_array_equal(np.diff(first)[split], np.diff(grow(codes, k, order)[0])[split])
    for t in np.flatnonzero(~split):
        seen = np.bincount(codes[:, order[t]], minlength=k[order[t]])
        np.testing.assert_array_equal(counts[starts[t] : starts[t + 1]], seen)


def test_a_stop_from_another_thread_ends_growth():
    codes = np.random.default_rng(0).integers(0, 256, (20_000, 8))
    stop = np.zeros(1, dtype=np.uint8)
    threading.Timer(0.1, stop.fill, [1]).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        grow(codes, [256] * 8, range(8), stop=stop, n_threads=2)
    assert time.perf_counter() - start < 1.1


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupt_within_a_column_is_answered(n_threads):
    codes = np.random.default_rng(0).integers(0, 256, (20_000, 8))
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        grow(codes, [256] * 8, range(8), n_threads=n_threads)
    assert time.perf_counter() - start < 1.1


# ---- columns drawn for each split ----


def test_drawn_columns_are_by_seed_alone():
    k = [2, 3, 17, 2, 4, 2, 2]
    codes = random_table(3, 800, k)
    one = grow(codes, k, range(7), max_features=2, seed=1)
    before = isa.current()
    for name in isa.available():
        isa.use(name)
        for a, b in zip(one, grow(codes, k, range(7), max_features=2, seed=1, n_threads=3), strict=True):
            np.testing.assert_array_equal(a, b)
    isa.use(before)
    other = grow(codes, k, range(7), max_features=2, seed=2)
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(one, other, strict=True))
    for a, b in zip(grow(codes, k, range(7), max_features=7), grow(codes, k, range(7)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_drawn_column_has_all_its_candidates():
    k = [4, 4, 4, 2]
    codes = random_table(3, 4000, k)
    first, *_, candidates, _ = grow(codes, k, range(4), max_features=1)
    assert set(candidates[first[3] : first[3] + 1]) == {4}


# ---- averaging over prunings ----


def average(grown, n_categories, choices, prior_split, n_threads=1):
    sizes, grid = np.unique(n_categories, return_inverse=True)
    concentration = np.array([np.broadcast_to(choices(size), np.shape(choices(2))) for size in sizes])
    rising = [[[_log_rising(a), _log_rising(k * a)] for a in row] for k, row in zip(sizes, concentration, strict=True)]
    first, _, _, _, left, candidates, counts = grown
    k = np.array(n_categories, dtype=np.int32)
    return average_prunings(
        first,
        left,
        candidates,
        counts,
        k,
        concentration,
        np.array(rising),
        grid.astype(np.int32),
        prior_split,
        0.9,
        1e-12,
        n_threads,
    )


def of_nodes(kind, left, prob, k):
    """Distribution at each node of one tree that is no inner node: of a dropped one, that of the leaf above it."""
    by_node = np.zeros((len(kind), k))
    by_node[kind == LEAF] = prob.reshape(-1, k)
    for i in range(len(kind)):
        if kind[i] != INNER and left[i]:
            by_node[left[i]] = by_node[left[i] + 1] = by_node[i]
    return by_node


def values_of_leaves(root, i, left, values, out, inner=False):
    """Values of the leaves in the order of the readable tree, or of all nodes, from those in the order of the nodes."""
    if inner or not root.children:
        out.append(values[i])
    if root.children:
        for child, at in zip(root.children, (left[i], left[i] + 1), strict=True):
            values_of_leaves(child, at, left, values, out, inner)
    return out


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 1.0, 5.0]), st.sampled_from([0.05, 0.5, 2.0]))
def test_like_the_sum_over_all_prunings(seed, prior_split, a):
    k = [2, 3, 2, 4]
    codes = random_table(seed, 60, k)
    grown = grow(codes, k, range(4), min_samples_leaf=4, max_depth=4)
    evidence, _, kind, prob, split = average(grown, k, lambda size: [a], prior_split)
    first, left = grown[0], grown[4]
    start = 0
    for t in range(4):
        root = readable.grow(codes, k, t, range(t), 4, 4)
        expected_evidence, expected = readable.average(root, a, prior_split)
        assert evidence[t] == pytest.approx(expected_evidence, rel=1e-10)
        own = left[first[t] : first[t + 1]]
        own_kind = kind[first[t] : first[t + 1]]
        assert ((own_kind == INNER) <= (own > 0)).all()
        n_values = int((own_kind == LEAF).sum()) * k[t]
        by_node = of_nodes(own_kind, own, prob[start : start + n_values], k[t])
        np.testing.assert_allclose(values_of_leaves(root, 0, own, by_node, []), expected, rtol=1e-9)
        of_nodes_split = values_of_leaves(root, 0, own, split[first[t] : first[t + 1]], [], inner=True)
        np.testing.assert_allclose(of_nodes_split, readable.posteriors(root, a, prior_split), rtol=1e-6, atol=1e-11)
        start += n_values
    assert start == len(prob)


def test_what_lies_below_a_node_that_is_hardly_ever_passed_is_dropped():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (4000, 6))  # nothing depends on anything
    grown = grow(codes, [2] * 6, range(6), min_samples_leaf=5)
    kind = average(grown, [2] * 6, lambda size: [0.5], 1e-4)[2]
    assert (kind == LEAF).sum() < 0.5 * (grown[4] == 0).sum()
    assert (kind == DROPPED).any()
    everything = average(grown, [2] * 6, lambda size: [0.5], 5.0)[2]
    assert (everything == DROPPED).sum() < (kind == DROPPED).sum()


def test_evidence_is_the_probability_of_the_rows_one_after_the_other():
    # without columns before it, a column's evidence is that of drawing from an urn
    values = random_table(0, 50, [3])[:, 0]
    a, expected, seen = 0.25, 0.0, np.zeros(3)
    for v in values:
        expected += np.log((seen[v] + a) / (seen.sum() + 3 * a))
        seen[v] += 1
    evidence, _, _, prob, _ = average(grow(values[:, None], [3], [0]), [3], lambda k: [a], 1.0)
    assert evidence[0] == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(prob, (seen + a) / (50 + 3 * a))


def test_the_concentration_of_highest_evidence_is_chosen():
    k = [2, 6, 17]
    codes = random_table(2, 3000, k)
    codes[:, 2] = codes[:, 1]  # leaves with one category each: the lowest concentration
    grown = grow(codes, k, range(3), min_samples_leaf=5)
    averaged = evidence, chosen, *_ = average(grown, k, concentrations, 1.0)
    alone = [average(grown, k, lambda size, i=i: concentrations(size)[i : i + 1], 1.0) for i in range(N_CONCENTRATIONS)]
    np.testing.assert_array_equal(evidence, np.max([e for e, *_ in alone], axis=0))
    np.testing.assert_array_equal(chosen, np.argmax([e for e, *_ in alone], axis=0))
    assert len(set(chosen)) > 1
    for other in (2, 3):
        for x, y in zip(averaged, average(grown, k, concentrations, 1.0, other), strict=True):
            np.testing.assert_array_equal(x, y)


def test_counts_too_large_for_the_table():
    n = 50 * N_TABLED
    column = (np.arange(n) % 7 == 0).astype(np.uint8)[:, None]
    evidence, *_ = average(grow(column, [2], [0]), [2], lambda k: [0.3], 1.0)
    counts = np.array([n - column.sum(), column.sum()])
    assert evidence[0] == pytest.approx(readable.leaf_evidence(counts, 0.3), rel=1e-12)


@given(small_tables())
def test_leaves_hold_distributions(table):
    codes, k = table
    grown = grow(codes, k, range(len(k)))
    _, _, kind, prob, _ = average(grown, k, concentrations, 1.0)
    assert (prob > 0).all()
    first = grown[0]
    start = 0
    for t, size in enumerate(k):
        n_leaves = int((kind[first[t] : first[t + 1]] == LEAF).sum())
        sums = prob[start : start + n_leaves * size].reshape(n_leaves, size).sum(axis=1)
        np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-12)
        start += n_leaves * size
    assert start == len(prob)
