"""The counter against numpy, on every instruction set, thread count and slab size."""

import numpy as np
import pytest
from conftest import random_table

from treeflows._ext.counting import Counter

SHAPES = {
    "binary": [2] * 70,
    "ternary": [3] * 40,
    "mixed": [2, 1, 7, 3, 2, 30, 200, 9, 2, 1, 256, 40],
    "one wide": [91],
    "one binary": [2],
    "constant": [1, 1],
    "two wide": [91, 91],
}


def naive_table(codes, n_categories):
    """Co-occurrences of candidate categories: all of them but the second of a binary column."""
    planes = [codes[:, j] == v for j, k in enumerate(n_categories) for v in range(k if k > 2 else k - 1)]
    planes = np.array(planes, dtype=np.float64).reshape(-1, len(codes))  # exact, and faster than with integers
    return planes @ planes.T


def full_tables(counter, which):
    slabs = [counter.cooccurrences(which, slab) for slab in counter.slabs]
    cut = [[t[:, : end - first] for t in tables] for tables, (first, end) in zip(slabs, counter.slabs, strict=True)]
    return [np.concatenate(parts, axis=1) for parts in zip(*cut, strict=True)] or [np.zeros((0, 0))] * len(which)


def check(counter, cells, n_categories):
    """Every cell of the counter counts what numpy counts in the rows that it should hold."""
    np.testing.assert_array_equal(counter.cell_rows, [len(rows) for rows in cells])
    for i, rows in enumerate(cells):
        expected = [np.bincount(rows[:, j], minlength=k) for j, k in enumerate(n_categories)]
        np.testing.assert_array_equal(counter.counts[i], np.concatenate(expected))
    some = [i for i in range(len(cells)) if i % 3 != 1]  # as when not all cells of a level are open
    for i, table in zip(some, full_tables(counter, some), strict=True):
        np.testing.assert_array_equal(table, naive_table(cells[i], n_categories))


@pytest.mark.parametrize("n_rows", [1, 63, 64, 65, 511, 513, 3000])
@pytest.mark.parametrize("shape", SHAPES)
def test_counts_of_one_cell(each_isa, shape, n_rows):
    k = SHAPES[shape]
    codes = random_table(n_rows, n_rows, k)
    check(Counter(codes.astype(np.uint8), k), [codes], k)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("table_bytes", [1 << 28, 4000, 1], ids=["whole", "slabs", "a column a slab"])
@pytest.mark.parametrize("shape", ["binary", "ternary", "mixed", "two wide"])
def test_partition_and_merge(each_isa, shape, table_bytes, n_threads):
    k = SHAPES[shape]
    codes = random_table(1, 2500, k)
    counter = Counter(codes.astype(np.uint8), k, n_threads, table_bytes)
    cells = [codes]
    check(counter, cells, k)
    rng = np.random.default_rng(0)
    for _ in range(3):
        columns, categories, children = [], [], []
        for rows in cells:
            possible = [(s, v) for s in range(len(k)) for v in range(k[s]) if 0 < (rows[:, s] == v).sum() < len(rows)]
            if not possible or rng.random() < 0.2:
                columns.append(-1)
                categories.append(-1)
                children.append(rows)
                continue
            s, v = possible[rng.integers(len(possible))]
            columns.append(s)
            categories.append(v)
            children += [rows[rows[:, s] == v], rows[rows[:, s] != v]]
        counter.partition(columns, categories)
        cells = children
        check(counter, cells, k)
    tables = np.array([np.concatenate([rng.permutation(size) for size in k]) for _ in cells], dtype=np.uint8)
    first = np.concatenate(([0], np.cumsum(k)))
    moved = [
        np.column_stack([tables[i, first[j] + rows[:, j]].astype(int) for j in range(len(k))])
        for i, rows in enumerate(cells)
    ]
    counter.merge(tables)
    check(counter, [np.concatenate(moved)], k)


def test_slabs_cover_every_candidate_once():
    k = SHAPES["mixed"]
    counter = Counter(random_table(0, 10, k).astype(np.uint8), k, 1, 20_000)
    assert len(counter.slabs) > 1
    assert counter.slabs[0][0] == 0
    assert counter.slabs[-1][1] == counter.n_planes
    assert all(a[1] == b[0] for a, b in zip(counter.slabs, counter.slabs[1:], strict=False))
