"""Boosted trees: what the engine grows is what the definition says, and what adds up is told by it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from treeflows._ext import boosting
from treeflows._ext.routing import Router
from treeflows.densities.boosted import FACTORS, UNIT, BoostedDestructor
from treeflows.densities.trees import starts
from treeflows.learning.boosting import BoostingLearner
from treeflows.learning.numbers import describe_numbers, learn_mixed

N_CODES, N_ORDERED = np.array([6, 3, 9], dtype=np.int32), np.array([6, 0, 8], dtype=np.int32)
LEAVES, ROWS, RIDGE, SLOWNESS = 5, 4, 2, 3


def rows_and_targets(seed, n):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, N_CODES, (n, 3)).astype(np.uint8)
    target = 0.7 * codes[:, 0] - (codes[:, 1] == 2) + 0.3 * rng.standard_normal(n)
    return codes, np.rint(target * UNIT).astype(np.int32)


def questions(k, n_ordered):
    """All (low, high) in the order of the catalogue."""
    yield from ((v, v) for v in range(k if k > 2 else k - 1))
    yield from ((0, v + 1) for v in range(max(0, min(n_ordered - 1, k - 3))))


def readable_tree(codes, left):
    """Questions of the inner nodes in turn, their children, and the rows of each leaf, by exact fractions."""

    def cost(rows):
        return Fraction(int(left[rows].sum(dtype=np.int64)) ** 2, len(rows) + RIDGE)

    def best(rows):
        most, found = Fraction(0), None
        for c, (k, n) in enumerate(zip(N_CODES.tolist(), N_ORDERED.tolist(), strict=True)):
            for low, high in questions(k, n):
                yes = (codes[rows, c] >= low) & (codes[rows, c] <= high)
                if min(yes.sum(), (~yes).sum()) >= ROWS:
                    gain = cost(rows[yes]) + cost(rows[~yes]) - cost(rows)
                    if gain > most:
                        most, found = gain, (c, low, high)
        return most, found

    leaves, asked, children, hangs = [np.arange(len(codes))], [], [], [None]
    while len(leaves) < LEAVES:
        gains = [best(rows) for rows in leaves]
        at = max(range(len(leaves)), key=lambda i: gains[i][0])
        if gains[at][1] is None:
            break
        c, low, high = gains[at][1]
        yes = (codes[leaves[at], c] >= low) & (codes[leaves[at], c] <= high)
        node = len(asked)
        if hangs[at] is not None:
            children[hangs[at][0]][hangs[at][1]] = node
        asked.append((c, low, high))
        children.append([~at, ~len(leaves)])
        hangs[at] = node, 0
        hangs.append((node, 1))
        leaves.append(leaves[at][~yes])
        leaves[at] = leaves[at][yes]
    return asked, children, leaves


def grown(codes, target, unseen, unseen_target, rounds=6, patience=2):
    left, unseen_left = target.copy(), unseen_target.copy()
    of = LEAVES, ROWS, RIDGE, SLOWNESS
    trees = boosting.boost(codes, N_CODES, N_ORDERED, left, unseen, unseen_left, rounds, patience, *of)
    return trees, left, unseen_left


def added(codes, n_inner, column, low, high, children, value, threads=1):
    first = starts(n_inner)
    router = Router(np.zeros(len(n_inner), dtype=np.int32), N_CODES, first, column, low, high, children, first)
    return router.sum_leaves(0, len(n_inner), codes, value, threads)


@pytest.mark.parametrize("n", [40, 300])
def test_trees_are_those_of_the_definition(n):
    codes, target = rows_and_targets(0, n)
    trees, left, _ = grown(codes, target, codes[:0], target[:0])
    n_inner, column, low, high, children, value = trees
    rest, node, leaf = target.astype(np.int64), 0, 0
    for inner in n_inner:
        asked, below, leaves = readable_tree(codes, rest)
        here = slice(node, node + inner)
        assert list(zip(column[here], low[here], high[here], strict=True)) == asked
        assert children[here].tolist() == below
        for i, rows in enumerate(leaves):
            total = int(rest[rows].sum())
            told = abs(total) // ((len(rows) + RIDGE) * SLOWNESS) * (1 if total > 0 else -1)
            assert value[leaf + i] == told
            rest[rows] -= told
        node, leaf = node + inner, leaf + inner + 1
    assert len(n_inner) == 6
    assert np.array_equal(left, rest)
    assert np.array_equal(added(codes, *trees), target - rest)
    assert np.array_equal(added(np.tile(codes, (100, 1)), *trees, threads=2), np.tile(target - rest, 100))


def test_the_last_tree_is_the_last_that_helps_rows_held_out():
    codes, target = rows_and_targets(1, 60)
    noise = np.random.default_rng(2).permutation(target)  # which the codes say nothing of
    unseen, unseen_target = rows_and_targets(3, 500)
    trees, _, left = grown(codes, target, unseen, unseen_target, rounds=40)
    told, long = added(unseen, *trees), grown(codes, target, codes[:0], target[:0], rounds=40)[0]
    assert np.array_equal(left, unseen_target - told)
    losses = []
    for n in range(41):
        inner = long[0][:n]
        nodes, leaves = inner.sum(), inner.sum() + n
        some = inner, *(part[:nodes] for part in long[1:5]), long[5][:leaves]
        rest = unseen_target - added(unseen, *some)
        losses.append(((rest >> 6) ** 2).sum())
    best = len(trees[0])
    assert losses[best] == min(losses[: best + 3])
    assert best > 0
    assert len(grown(codes, noise, unseen, np.zeros_like(unseen_target))[0][0]) == 0
    assert len(grown(codes[:0], target[:0], unseen, unseen_target)[0][0]) == 0


def table(n=500, seed=0):
    """Six numbers, and a last one that is the sum of functions of them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 6))
    return np.column_stack([x, np.sin(2 * x).sum(axis=1) + 0.2 * rng.standard_normal(n)])


@pytest.fixture(scope="module")
def density():
    return learn_mixed(table(), np.ones(7), np.ones(7), mixtures=((4, 1),))


def test_what_adds_up_is_boosted(density):
    density.check()
    (boosted,) = density.boosted
    assert density.number_share[6, -2:].sum() > 0.5
    assert np.diff(boosted.first_tree)[6] > 20
    unseen = table(2000, 1)
    codes = np.column_stack([boosted.codes_of(j, x) for j, x in enumerate(unseen.T)])
    place = -boosted.predict(6, codes)[:, 0] * boosted.scale[6] * FACTORS[0]
    scores = density.smooth.scores(6, unseen[:, 6])
    assert ((scores - place) ** 2).mean() < 0.4 * (scores**2).mean()
    assert np.array_equal(boosted.predict(6, codes), boosted.predict(6, codes, 2))
    assert density.conditional_scores(unseen)[:, 6].mean() > -1.1  # -1.77 without


def test_a_column_told_alone_keeps_what_is_boosted(density):
    alone, rows = density.telling(6), table(50, 2)
    assert len(alone.boosted) == 1
    assert np.array_equal(alone.conditional_scores(rows)[:, 6], density.conditional_scores(rows)[:, 6])
    share = density.number_share.copy()
    share[:, -2:] = 0.0
    share[:, 0] += 1 - share.sum(axis=1)
    deaf = density.with_shares(density.code_share, share)
    assert deaf.telling(6).boosted == ()
    assert np.array_equal(deaf.telling(6).conditional_scores(rows)[:, 6], deaf.conditional_scores(rows)[:, 6])


def test_codes_and_missing_cells_are_asked_too():
    rng = np.random.default_rng(5)
    code, x = rng.integers(0, 4, 900).astype(float), rng.normal(size=900)
    x[rng.random(900) < 0.3] = np.nan
    rows = np.column_stack([code, x, np.array([0, 3, -2, 1])[code.astype(int)] + 2.0 * np.isnan(x)])
    rows[:, 2] += 0.01 * rng.normal(size=900)
    numbers = describe_numbers(
        rows, np.array([0, 1, 1], dtype=np.uint8), [4, 0, 0], np.zeros(3), np.tile([[-np.inf], [np.inf]], 3), None
    )
    learner = BoostingLearner(rows, numbers, np.arange(3, dtype=np.int32), 1)
    scores = np.column_stack([x, (rows[:, 2] - rows[:, 2].mean()) / rows[:, 2].std()])
    first, last = learner.boost(scores, np.arange(600), np.arange(600, 900))
    assert first.left.shape == (np.isfinite(x[600:]).sum(),)
    assert (last.left**2).mean() < 0.01
    assert set(last.column.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("name", "what", "told"),
    [
        ("column", lambda b: np.full_like(b.column, 6), "does not come before"),
        ("children", lambda b: b.children[::-1].copy(), "no tree"),
        ("weight", lambda b: b.weight / 2, "do not sum to one"),
        ("cut", lambda b: b.cut[::-1].copy(), "do not ascend"),
        ("low", lambda b: np.full_like(b.low, 255), "asks for no code"),
        ("first_leaf", lambda b: b.first_node.copy(), "do not follow each other|ends at"),
        ("first_tree", lambda b: np.append(b.first_tree[:-1], 10**6), "ends at"),
    ],
)
def test_damage_is_named(density, name, what, told):
    (boosted,) = density.boosted
    damaged = replace(boosted, **{name: what(boosted)})
    with pytest.raises(ValueError, match=told):
        damaged.check()
        replace(density, boosted=(damaged,)).check()


def test_numbers_are_boosted_once(density):
    twice = replace(density, boosted=density.boosted * 2, residuals=density.residuals + density.residuals[-1:])
    with pytest.raises(ValueError, match="more than once"):
        twice.check()
    assert isinstance(density.boosted[0], BoostedDestructor)
