"""Densities of numbers and codes: they integrate to one, look back alone, and what they draw is what they say."""

import mpmath
import numpy as np
import pytest
from scipy.special import logsumexp, ndtr, ndtri, softmax
from scipy.stats import kstest, norm

from treeflows._ext import digits, gaussians, isa
from treeflows.densities.destructors import MarginalDestructor, uniform_of
from treeflows.densities.digits import cell_of
from treeflows.densities.mixed import MixedDensity
from treeflows.densities.walk import Walk
from treeflows.files.models import _put_together, _take_apart
from treeflows.learning.costs import cost_table
from treeflows.learning.gaussians import MixtureLearner
from treeflows.learning.marginals import choose_n_knots, learn_marginals
from treeflows.learning.numbers import learn_mixed
from treeflows.learning.prunings import COST_BITS, learn_conditionals

FEW = (3, 1), (4, 0)
IS_NUMBER, N_CATEGORIES, STEP = [1, 0, 1, 1, 1], [0, 3, 0, 0, 0], [0, 0, 0, 1.0, 0]


def mixed_table(seed=0, n=400):
    """A number with an atom, codes, a number with missing cells, a lattice, and a number that two others make up."""
    rng = np.random.default_rng(seed)
    a = np.where(rng.random(n) < 0.4, 0.0, rng.exponential(3, n))
    b = 2 * a + rng.normal(0, 0.5, n)
    c = np.where(b > 2, rng.integers(0, 3, n), 0).astype(float)
    d = np.rint(20 + 5 * rng.standard_normal(n) + 5 * c)
    e = a - b + rng.normal(0, 0.01, n)
    b[rng.random(n) < 0.1] = np.nan
    return np.column_stack([a, c, b, d, e])


def learned(table=None, order=None, **options):
    table = mixed_table() if table is None else table
    return learn_mixed(table, IS_NUMBER, N_CATEGORIES, step=STEP, order=order, mixtures=FEW, **options)


@pytest.fixture(scope="module")
def density():
    return learned()


def repeated(row, j, x):
    rows = np.tile(row, (len(x), 1))
    rows[:, j] = x
    return rows


def integral(density, row, j):
    """Of the density of a number elsewhere given those before, by Gauss's rule between all places where it jumps."""
    before = density.order[: np.flatnonzero(density.order == j)[0]].tolist()

    def at(t):
        walk, x = Walk(density, len(t)), density.smooth.restore(j, *uniform_of(t))
        for s in before:
            walk.observe(s, np.full(len(t), row[s]))
        return walk, x

    def cells(t):
        walk, x = at(t)
        told = walk.uniforms(j, x, slice(None))
        return np.stack([cell_of(below, above, 7) for _, below, above, _ in told])

    here = slice(*density.smooth.first_knot[j : j + 2])
    bounds = np.clip(density.smooth.scores(j, np.array(density.numbers.ends(j))), -37, 37)
    edges = np.unique(np.concatenate([np.linspace(-37, 37, 2001), ndtri(density.smooth.level[here]), bounds]))
    found, number = [edges], np.arange(1, 128)
    for source in range(1 + len(density.normals)):
        low, high = np.full(127, -37.0), np.full(127, 37.0)
        for _ in range(60):
            middle = (low + high) / 2
            left = cells(middle)[source] < number
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        found.append(high)
    edges = np.unique(np.concatenate(found))
    node, weight = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges)[:, None] / 2
    t = ((edges[:-1] + edges[1:])[:, None] / 2 + half * node).ravel()
    x = density.smooth.restore(j, *uniform_of(t))
    log_slope = density.smooth.destroy(j, x)[0]
    log_density = density.conditional_scores(repeated(row, j, x))[:, j]
    log_normal = -0.5 * t**2 - 0.5 * np.log(2 * np.pi)
    return float(((half * weight).ravel() * np.exp(log_density - log_slope + log_normal)).sum())


@pytest.mark.parametrize("order", [None, [4, 2, 3, 1, 0]])
def test_conditionals_integrate_to_one(order):
    table = mixed_table()
    density = learned(order=order)
    for row in table[[3, 10]]:
        for j in (0, 2):
            total = integral(density, row, j)
            kinds = [*density.numbers.atoms(j), *[np.nan] * density.numbers.missing[j]]
            total += np.exp(density.conditional_scores(repeated(row, j, kinds))[:, j]).sum()
            assert abs(total - 1) < 1e-6
        codes = density.conditional_scores(repeated(row, 1, [0, 1, 2]))[:, 1]
        assert abs(np.exp(codes).sum() - 1) < 1e-9
        # where the density's tails are heavy a lattice has far points; what lies beyond is known
        far = 30_000
        lattice = np.exp(density.conditional_scores(repeated(row, 3, np.arange(-far, far + 1.0)))[:, 3]).sum()
        walk = Walk(density, 2)
        for j in density.order[: np.flatnonzero(density.order == 3)[0]].tolist():
            walk.observe(j, np.full(2, row[j]))
        below, above = walk.uniform(3, np.array([-far - 0.5, far + 0.5]), slice(None))
        assert density.n_categories[3] == 1
        assert abs(lattice + below[0] + above[1] - 1) < 1e-6


BOUNDS = np.array([[-np.inf, 0, -np.inf, 0], [np.inf, np.inf, 0, np.inf]])


def bounded_table(seed=0, n=300):
    """A number, one that is not negative, one that is not positive, and counts: all make up the first, more or less."""
    rng = np.random.default_rng(seed)
    a = rng.exponential(3, n) ** 1.5
    b = -np.abs(a + rng.normal(0, 3, n))
    return np.column_stack([a + rng.standard_normal(n), a, b, rng.poisson(a / 2 + 0.5)])


@pytest.fixture(scope="module")
def bounded():
    return learn_mixed(bounded_table(), [1] * 4, [0] * 4, step=[0, 0, 0, 1.0], bounds=BOUNDS, mixtures=FEW)


def told_at(density, row, n):
    """Walks of so many rows that are all the same, up to a column."""
    for j in density.order.tolist():
        walk = Walk(density, n)
        for s in density.order[: np.flatnonzero(density.order == j)[0]].tolist():
            walk.observe(s, np.full(n, row[s]))
        yield j, walk


def test_what_is_bounded_has_all_its_probability_within(bounded):
    # of the second, the mixtures of numbers have nothing within
    for row in (bounded_table()[3], np.array([-300.0, 0.01, -1e-9, 5])):
        for j, walk in told_at(bounded, row, 2):
            below, above = walk.uniform(j, np.clip(bounded.numbers.ends(j), -1e300, 1e300), slice(None))
            assert below[0] < 1e-11
            assert above[1] < 1e-11
            if j in (1, 2):
                assert abs(integral(bounded, row, j) - 1) < 1e-6
        counts = repeated(row, 3, np.arange(3_000.0))
        last = list(told_at(bounded, row, 1))[3][1]
        beyond = last.uniform(3, np.array([2_999.5]), slice(None))[1]
        assert abs(np.exp(bounded.conditional_scores(counts)[:, 3]).sum() + beyond[0] - 1) < 1e-6


def test_nothing_lies_beyond_bounds(bounded):
    rows = bounded.sample(2000, np.random.default_rng(0))
    assert (rows[:, [1, 3]] >= 0).all()
    assert (rows[:, 2] <= 0).all()
    assert (rows[:, 0] < 0).any()
    told = bounded.transform(rows)
    np.testing.assert_allclose(bounded.invert(told[:200]), rows[:200], rtol=1e-9, atol=1e-9)
    for j in range(3):
        elsewhere = bounded.n_categories[j] - 1
        assert kstest(told[told[:, j] >= elsewhere, j] - elsewhere, "uniform").pvalue > 1e-3
    for j, x in ((1, -1e-9), (2, 1e-9), (3, -1.0)):
        beyond = repeated(rows[0], j, [x])
        assert bounded.score(beyond) == -np.inf
        observed = np.arange(4) != 0  # the rest of the row is drawn for it
        assert [part.tolist() for part in bounded.marginal(beyond, observed[None])] == [[-np.inf], [0.0]]
    # a uniform number at either end
    told = repeated(told[0], 2, [0.0, np.nextafter(1, 0)]) + (bounded.n_categories[2] - 1) * (np.arange(4) == 2)
    assert (bounded.invert(told)[:, 2] <= 0).all()


def test_bounds_pay(bounded):
    free = learn_mixed(bounded_table(), [1] * 4, [0] * 4, step=[0, 0, 0, 1.0], mixtures=FEW)
    new = bounded_table(1, 1000)
    assert bounded.score(new).mean() > free.score(new).mean()


def test_two_numbers_integrate_to_one():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(300)
    density = learn_mixed(np.column_stack([x, np.sin(3 * x) + 0.1 * rng.random(300)]), [1, 1], [1, 1], mixtures=FEW)
    assert abs(integral(density, np.zeros(2), 0) - 1) < 1e-6
    for first in (-3.0, -0.3, 0.0, 2.0):
        assert abs(integral(density, np.array([first, 0.0]), 1) - 1) < 1e-6


@pytest.mark.parametrize("order", [None, [4, 2, 3, 1, 0]])
def test_no_term_depends_on_later_columns(order):
    table = mixed_table()
    density = learned(order=order)
    told = density.conditional_scores(table)
    assert np.isfinite(told).all()
    np.testing.assert_allclose(told.sum(axis=1), density.score(table), rtol=0, atol=1e-12)
    other = np.random.default_rng(1).permutation(table)
    for t in range(1, 5):
        changed, before, later = table.copy(), density.order[:t], density.order[t:]
        changed[:, later] = other[:, later]
        assert np.array_equal(density.conditional_scores(changed)[:, before], told[:, before])
        assert not np.array_equal(density.conditional_scores(changed)[:, later], told[:, later])


def test_transform_inverts(density):
    for table in (mixed_table(), mixed_table(1), density.sample(300, np.random.default_rng(2))):
        told = density.transform(table)
        assert (told >= 0).all()
        assert (told < density.n_categories).all()
        again = density.invert(told)
        assert np.array_equal(np.isnan(again), np.isnan(table))
        np.testing.assert_allclose(again, table, rtol=1e-9, atol=1e-9)


def test_samples_are_what_the_density_says(density):
    rows = density.sample(4000, np.random.default_rng(3))
    told = density.transform(rows)
    for j in (0, 2, 4):
        elsewhere = density.n_categories[j] - 1
        uniform = told[told[:, j] >= elsewhere, j] - elsewhere
        assert kstest(uniform, "uniform").pvalue > 1e-3
        digits = np.bincount((uniform * 32).astype(int), minlength=32)
        expected = len(uniform) / 32
        assert ((digits - expected) ** 2 / expected).sum() < 65  # of 31 degrees of freedom
    assert np.array_equal(rows[:, 3], np.rint(rows[:, 3]))
    # the first column's kind, and codes given it
    walk = Walk(density, 1)
    assert abs((rows[:, 0] == 0).mean() - walk.codes_say(0)[0, 0]) < 0.03


def test_far_values_and_small_ones_are_unlikely_and_no_more(density):
    table = mixed_table()[:5]
    for far in (1e308, -1e308, np.finfo(float).max, 5e-324, -1e-310, 1e6, 300.0):
        rows = table.copy()
        rows[:, [0, 2, 4]] = far
        assert np.isfinite(density.score(rows)).all()
        rows[:, 3] = np.rint(np.clip(far, -(2.0**53), 2.0**53))
        assert np.isfinite(density.score(rows)).all()


@pytest.mark.parametrize(
    "table",
    [
        np.full((20, 1), 5.0),
        np.tile([[1.0], [2.0]], (5, 1)),
        np.array([[3.0]]),
        np.array([[1e308], [-1e308], [0.0]]),
        np.random.default_rng(0).integers(1, 100, (50, 1)) * 5e-324,
        np.full((5, 1), np.nan),
        np.array([[np.nan], [1.0], [4.0]]),
        np.column_stack([np.ones(30), np.arange(30.0)]),
        1e15 + np.arange(40.0)[:, None],
    ],
)
def test_odd_tables(table):
    n_columns = table.shape[1]
    density = learn_mixed(table, np.ones(n_columns), np.ones(n_columns))
    density.check()
    assert np.isfinite(density.score(table)).all()
    drawn = density.sample(50, np.random.default_rng(0))
    assert np.isfinite(density.score(drawn)).all()
    smallest = 1e-9 * np.nanmax(np.abs(table), initial=1e-300) + 1e-322
    np.testing.assert_allclose(density.invert(density.transform(table)), table, rtol=0, atol=smallest)


def test_threads_and_the_order_of_rows_change_nothing():
    table = mixed_table(n=2600)
    one, other = learned(table), learned(np.random.default_rng(4).permutation(table), threads=2)
    arrays, others = {}, {}
    assert _take_apart(one, "", arrays) == _take_apart(other, "", others)
    assert all(arrays[name].tobytes() == others[name].tobytes() for name in arrays)
    assert np.array_equal(one.score(table), one.score(table, 2))


def test_files_hold_a_density(density):
    assert len(density.boosted) == 1
    arrays = {}
    written = _take_apart(density, "", arrays)
    again = _put_together(written, "", arrays, density.n_categories)
    assert isinstance(again, MixedDensity)
    assert not arrays
    table = mixed_table()
    assert np.array_equal(again.score(table), density.score(table))


def test_scaling_a_column_scales_its_density():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((200, 2)) @ np.array([[1.0, 0.9], [0.0, 0.3]])
    scaled = table * [2.0**-900, 2.0**700]
    one, other = (learn_mixed(t, [1, 1], [1, 1], mixtures=FEW) for t in (table, scaled))
    assert abs(one.score(table).mean() - other.score(scaled).mean() + 200 * np.log(2)) < 0.2


def test_marginal_inverts_and_is_smooth():
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal(500), rng.exponential(size=300) ** 3, np.array([1.0, 2.0])):
        marginal = learn_marginals([x], [choose_n_knots(x, rng)], np.ones(1, dtype=np.int32))
        marginal.check()
        reach = x.max() - x.min()
        t = np.sort(np.concatenate([x, np.linspace(x.min() - 10 * reach, x.max() + 10 * reach, 1001)]))
        log_density, below, above = marginal.destroy(0, t)
        assert np.isfinite(log_density).all()
        np.testing.assert_allclose(below + above, 1, atol=1e-12)
        assert (np.diff(below)[t[1:] < x.min()] > 0)[np.diff(t)[t[1:] < x.min()] > 0].all()
        np.testing.assert_allclose(marginal.restore(0, below, above), t, rtol=1e-9, atol=1e-9 * reach)
        h = 1e-7 * reach
        t = np.linspace(x.min() - reach, x.max() + reach, 998)
        log_density = marginal.destroy(0, t)[0]
        slope = (marginal.destroy(0, t + h)[1] - marginal.destroy(0, t - h)[1]) / (2 * h)
        middle = np.abs(log_density - np.log(np.maximum(slope, 1e-300))) < 1e-3
        assert middle[np.exp(log_density) * reach > 1e-3].mean() > 0.95  # all but at knots, where it is bent


def test_tails_agree_with_exact_arithmetic():
    one = np.ones(1, dtype=np.int32)
    marginal = MarginalDestructor(
        one,
        np.array([0, 2]),
        np.zeros(1, dtype=np.int32),
        np.array([0.0, 1.0]),
        np.array([0.25, 0.75]),
        np.array([0.5, 0.5]),
    )
    for x in (-1e-9, -3.0, -1e150, 1.5, 1e100):
        log_density, below, above = (float(v[0]) for v in marginal.destroy(0, np.array([x])))
        away = mpmath.mpf(max(-x, x - 1))
        tail = mpmath.mpf("0.25") / (1 + away) ** 2
        assert abs((below if x < 0 else above) / tail - 1) < 1e-12
        assert abs(log_density - float(mpmath.log(mpmath.mpf("0.5") / (1 + away) ** 3))) < 1e-9


def test_places_that_are_not_told_have_one_leaf():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (500, 4)).astype(np.uint8)
    codes[:, 3] = codes[:, 0] ^ (rng.random(500) < 0.1)
    k, order = np.full(4, 2, dtype=np.int32), np.array([2, 0, 1, 3], dtype=np.int32)
    options = {"min_samples_leaf": 5, "max_depth": 9, "max_features": 0, "seed": 0, "prior_split": 1.0}
    options |= {"smoothing": "evidence"}
    cost = cost_table(500, 1, COST_BITS)
    whole = learn_conditionals(codes, k, order, cost, **options)
    part = learn_conditionals(
        codes, k, order, cost, splitting=np.isin(np.arange(4), order[[1, 3]]).astype(np.uint8), **options
    )
    part.check()
    for t in range(4):
        said = part.distribution(t, codes)
        if t in (1, 3):
            assert np.array_equal(said, whole.distribution(t, codes))
        else:
            assert part.first_leaf[t + 1] - part.first_leaf[t] == 1
            np.testing.assert_allclose(said[0], np.bincount(codes[:, order[t]]) / 500, atol=2e-3)
    assert len(part.evidence) == 4


def test_expectation_is_that_of_the_definition(each_isa):
    rng = np.random.default_rng(0)
    z, cells = rng.standard_normal((300, 3)), rng.integers(0, 2, (300, 1)).astype(np.int32)
    learner = MixtureLearner(z, cells, np.array([2], dtype=np.int32), np.zeros(3), np.ones(3))
    mixture = learner.improve(learner.start(4, rng))
    factor = np.zeros((4, 3, 3))
    factor[:, *np.tril_indices(3)] = mixture.factor.T
    y = np.einsum("kts,ns->nkt", factor, z) - mixture.shift.T
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    joint = np.log(mixture.weight) + log_det - 1.5 * np.log(2 * np.pi) - (y**2).sum(axis=2) / 2
    joint += np.log(mixture.prob)[cells[:, 0]]
    total = np.log(np.exp(joint).sum(axis=1))
    share = np.exp(joint - total[:, None])
    base = np.log(mixture.weight) + log_det - 1.5 * np.log(2 * np.pi)
    rows, first, second, counts, score = gaussians.expect(
        z, cells, base, mixture.factor, mixture.shift, np.log(mixture.prob)
    )
    np.testing.assert_allclose(rows, share.sum(axis=0))
    np.testing.assert_allclose(first, z.T @ share, atol=1e-9)
    low = np.tril_indices(3)
    np.testing.assert_allclose(second, (z[:, low[0]] * z[:, low[1]]).T @ share, atol=1e-9)
    np.testing.assert_allclose(counts, np.eye(2)[cells[:, 0]].T @ share, atol=1e-9)
    assert abs(score - total.mean()) < 1e-12


def normal_mixtures(n_states, n_rows=200):
    """Mixtures some of whose states are all but impossible, and far from the numbers that are asked about."""
    rng = np.random.default_rng(n_states)
    log_weight, before = rng.normal(0, 10, (n_rows, n_states)), rng.normal(0, 3, (n_rows, n_states))
    z = rng.normal(0, 3, n_rows)
    z[:4] = -1e6, 1e6, -40, 40
    return log_weight, before, np.exp(rng.normal(0, 1, n_states)), z


@pytest.mark.parametrize("threads", [1, 2])
def test_posteriors_are_those_of_the_definition_bit_for_bit(threads):
    rng = np.random.default_rng(0)
    log_weight, before = rng.normal(size=(2, 5000, 64)) * 30
    own, z = rng.uniform(0.1, 9, 64), rng.normal(size=5000)
    told = log_weight + np.log(own) - 0.5 * (before + own * z[:, None]) ** 2
    found = gaussians.observe(log_weight, before, own, np.log(own), z, threads)
    np.testing.assert_array_equal(found, told - told.max(axis=1, keepdims=True))


def test_distribution_functions_of_digits_that_trees_tell(density):
    """Each digit whatever those before it are, the cells of all voices together, and both tails."""
    layout, trees, rng = density.layouts[0], density.trees[0], np.random.default_rng(0)
    codes = density.code_tables(mixed_table(1, 20))[0]
    for j in np.flatnonzero(density.numbers.is_number).tolist():
        at, elsewhere, bits, n = int(layout.first[j]) + 1, int(density.n_categories[j]) - 1, layout.bits, len(codes)
        ones, expected = np.zeros((n, 2**bits)), np.zeros((n, 2**bits))
        trees.add_digits(at, bits, elsewhere, codes, ones, 2)
        share = rng.dirichlet(np.ones(bits + 1))
        known, path = codes.copy(), np.ones((n, 1))
        known[:, at - 1] = elsewhere
        for level in range(bits):
            expected += share[level] * np.repeat(path, 2 ** (bits - level), axis=1) / 2 ** (bits - level)
            one = np.empty((n, 2**level))
            for number in range(2**level):
                known[:, at : at + level] = [number >> (level - 1 - d) & 1 for d in range(level)]
                one[:, number] = trees.distribution(at + level, known)[:, 1]
            np.testing.assert_array_equal(ones[:, 2**level : 2 ** (level + 1)], one)
            path = (path[:, :, None] * np.stack([1 - one, one], axis=2)).reshape(n, -1)
        expected += share[bits] * path
        cells = np.zeros((n, 2**bits))
        digits.add_cells(ones, 1.0, share, cells)
        np.testing.assert_allclose(cells, expected, rtol=1e-12)
        u = np.append(rng.random((n, 30)), np.tile([0.0, 1.0, 0.5, 1e-200], (n, 1)), axis=1)
        sides, some = np.zeros((2, *u.shape)), rng.permutation(n)
        digits.add_uniform(digits.cumulated(cells), some, u, 1 - u, *sides)
        edges = np.linspace(0, 1, 2**bits + 1)
        for i, row in enumerate(some):
            np.testing.assert_allclose(
                sides[0, i], np.interp(u[i], edges, np.append(0, np.cumsum(expected[row]))), atol=1e-14
            )
        np.testing.assert_allclose(sides.sum(axis=0), 1, rtol=1e-12)
        np.testing.assert_allclose(sides[0, :, -1], 1e-200 * 2**bits * expected[some, 0], rtol=1e-12)


def test_a_value_on_a_lattice_is_found_between_the_edges_of_its_cell(density):
    rows, j = mixed_table(2, 40), 3
    walk = density.begin(len(rows))
    for i in density.order[: np.flatnonzero(density.order == j)[0]].tolist():
        walk.observe(i, rows[:, i])
    lattice = np.arange(-300.0, 340.0)
    edges = np.tile(lattice + 0.5, (len(rows), 1))
    below, above = walk.uniform_at(j, edges, slice(None))
    every, rng = np.arange(len(rows)), np.random.default_rng(0)
    at_edges = every, rng.integers(310, 330, len(rows))
    some = [(u, 1 - u) for u in (rng.random(len(rows)), np.full(len(rows), 0.02))]
    for u, rest in (*some, (below[at_edges], above[at_edges])):
        found = walk.number_at(j, u, rest, every)
        np.testing.assert_array_equal(found, lattice[(below <= u[:, None]).sum(axis=1)])
    far = walk.number_at(j, 1 - 1e-4 * above[:, 320], 1e-4 * above[:, 320], every)
    assert (far > lattice[320]).all()


@pytest.mark.parametrize("n_states", [1, 5, 16])
def test_uniform_numbers_of_normal_mixtures(each_isa, n_states):
    log_weight, before, own, z = normal_mixtures(n_states)
    share, y = softmax(log_weight, axis=1), before + own * z[:, None]
    log_density, below, above = gaussians.destroy(log_weight, before, own, z)
    expected = logsumexp(np.log(share) + np.log(own) + norm.logpdf(y), axis=1)
    np.testing.assert_allclose(log_density, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(below, (share * ndtr(y)).sum(axis=1), rtol=1e-11, atol=1e-280)
    np.testing.assert_allclose(above, (share * ndtr(-y)).sum(axis=1), rtol=1e-11, atol=1e-280)
    some = np.arange(len(z))[::-3].copy()
    several = gaussians.Cumulatives(log_weight, before, own, 0.0).at(some, np.column_stack([z, z + 1])[some])
    assert np.array_equal([several[0][:, 0], several[1][:, 0]], [below[some], above[some]])
    of_most = gaussians.Cumulatives(log_weight, before, own, 1e-30)
    np.testing.assert_allclose(of_most.at(some, z[some][:, None])[0][:, 0], below[some])
    back = gaussians.restore(log_weight, before, own[None], below[:, None], above[:, None])[:, 0]
    told = np.minimum(below, above) > 1e-280
    assert told[4:].all()
    again = gaussians.destroy(log_weight, before, own, back)[1:]
    np.testing.assert_allclose(np.minimum(*again)[told], np.minimum(below, above)[told], rtol=1e-9)


def test_tails_of_normal_numbers_are_exact(each_isa):
    zero, z = np.zeros((80, 1)), np.linspace(-37, 5, 80)
    _, below, above = gaussians.destroy(zero, zero, np.ones(1), z)
    for x, low, high in zip(z.tolist(), below.tolist(), above.tolist(), strict=True):
        assert abs(low / mpmath.ncdf(x) - 1) < 2e-15 + 1e-16 * x**2
        assert abs(high / mpmath.ncdf(-x) - 1) < 2e-15 + 1e-16 * x**2


def test_instruction_sets_and_threads_agree_on_normal_mixtures(each_isa):
    log_weight, before, own, z = normal_mixtures(16, 5000)
    told = gaussians.destroy(log_weight, before, own, z, 3)
    back = gaussians.restore(log_weight, before, own[None], *(side[:, None] for side in told[1:]), 3)
    isa.use(isa.available()[-1])
    assert np.array_equal(told, gaussians.destroy(log_weight, before, own, z))
    assert np.array_equal(back, gaussians.restore(log_weight, before, own[None], *(s[:, None] for s in told[1:])))


def test_em_of_many_rows_starts_with_some_of_them():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 1, (45_000, 1)) + 6 * (rng.random((45_000, 1)) < 0.3)
    nothing = np.empty((len(z), 0), dtype=np.int32)
    mixture = MixtureLearner(z, nothing, np.ones(1, dtype=np.int32), np.zeros(1), np.ones(1)).learn(2, rng)
    np.testing.assert_allclose(np.sort(mixture.weight), [0.3, 0.7], atol=0.01)
    np.testing.assert_allclose(np.sort(mixture.shift[0] / mixture.factor[0]), [0, 6], atol=0.05)


def test_instruction_sets_agree(each_isa, density):
    # the fixture was learned under the best of them
    assert np.array_equal(learned().score(mixed_table()), density.score(mixed_table()))
