"""Neural networks of every column, and the logarithmic pool with one."""

import numpy as np
import pytest
from conftest import declared, random_table, whole_domain
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp

import treeflows
from treeflows import TreeFlowMixture
from treeflows._ext import neural
from treeflows.densities.logarithmic import AVERAGE_ALONE, LogarithmicPool
from treeflows.densities.logistic import Cells
from treeflows.densities.neural import NeuralConditionals
from treeflows.densities.trees import starts
from treeflows.learning import adding
from treeflows.learning.multisets import distinct, repeated
from treeflows.learning.neural import UNITS, density_of, learn_network
from treeflows.learning.pooling import gain_by_last

K = np.array([3, 2, 4, 1, 2], dtype=np.int32)
ORDER = np.array([2, 0, 4, 3, 1], dtype=np.int32)
REFERENCE = np.array([1, 0, 3, 0, 1], dtype=np.uint8)
CELLS = Cells.of(K, ORDER, REFERENCE)


def random_network(seed, n_units=32, order=ORDER):
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, K).astype(np.uint8)
    n = Cells.of(K, order, reference).n
    bias, *weights, constant = (rng.normal(size=s).astype(np.float32) for s in (n_units, *[(n, n_units)] * 2, n))
    return NeuralConditionals(K, order, reference, bias, *weights, constant)


def readable(network, cells, rows):
    """Logits of all cells by the formula, place by place."""
    number = np.split(cells.number, np.cumsum(K)[:-1])
    told = []
    for row in rows:
        sums, line = network.bias.astype(np.float64), []
        for t, j in enumerate(network.order.tolist()):
            of_place = np.flatnonzero(cells.place == t)
            line.extend(network.constant[of_place] + network.outward[of_place] @ np.maximum(sums, 0))
            c = number[j][row[j]]
            if c >= 0:
                sums = sums + network.inward[c]
        told.append(line)
    return np.array(told)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.permutations(range(5)))
def test_logits_are_those_of_the_formula(seed, order):
    network = random_network(seed, order=np.array(order, dtype=np.int32))
    network.check()
    rows = random_table(seed, 6, K).astype(np.uint8)
    found = network.logits(rows, 2)
    np.testing.assert_allclose(found, readable(network, network.cells, rows), rtol=1e-4, atol=1e-4)
    # place after place the same bits, and those of later columns change nothing
    sums, first = network.begin(len(rows)), network.cells.first
    for t, j in enumerate(order):
        np.testing.assert_array_equal(network.predict(sums, t), found[:, first[t] : first[t + 1]])
        changed = rows.copy()
        changed[:, order[t:]] = 0
        np.testing.assert_array_equal(network.logits(changed)[:, : first[t + 1]], found[:, : first[t + 1]])
        network.observe(sums, j, np.ascontiguousarray(rows[:, j]))


def slopes(parameter, rows, told):
    """Mean loss of rows, and its gradient, by the chain rule, row by row."""
    n, units = CELLS.n, 16
    bias, inward, outward, constant = np.split(parameter, [units, units + n * units, units + 2 * n * units])
    inward, outward = inward.reshape(n, units), outward.reshape(n, units)
    to = [np.zeros_like(part) for part in (bias, inward, outward, constant)]
    number = np.split(CELLS.number, np.cumsum(K)[:-1])
    loss = 0.0
    for row in rows:
        cells = [number[j][row[j]] for j in ORDER]
        for t in range(len(ORDER)):
            before = [c for c in cells[:t] if c >= 0]
            sums = bias + inward[before].sum(axis=0)
            own, units_on = np.flatnonzero(CELLS.place == t), np.maximum(sums, 0)
            if not told[t] or not len(own):
                continue
            log_prob = log_softmax(np.append(0.0, constant[own] + outward[own] @ units_on))
            loss -= log_prob[0] if cells[t] < 0 else log_prob[1 + cells[t] - own[0]]
            error = np.exp(log_prob[1:]) - (own == cells[t])
            to[3][own] += error
            to[2][own] += np.outer(error, units_on)
            back = (error @ outward[own]) * (sums > 0)
            to[0] += back
            for c in before:
                to[1][c] += back
    return loss / len(rows), np.concatenate([part.ravel() for part in to]) / len(rows)


def test_steps_are_those_of_adam(each_isa):
    rng = np.random.default_rng(0)
    rows, told = random_table(0, 50, K).astype(np.uint8), np.array([1, 1, 0, 1, 1], dtype=np.uint8)
    n, units, pull, n_batch = CELLS.n, 16, 0.1, 16
    start = rng.normal(size=units + 2 * n * units + n).astype(np.float32)
    visited, rate = rng.integers(0, 50, 6 * n_batch), np.linspace(0.1, 0.02, 6)

    def train(threads):
        parameter, moments, faded = start.copy(), np.zeros((2, len(start)), np.float32), np.ones(2)
        first_category, first = starts(K).astype(np.int32), CELLS.first.astype(np.int32)
        of = ORDER, first_category, CELLS.number, first, told, units, pull, parameter, moments, faded
        for steps in (slice(0, 2), slice(2, 6)):
            neural.train(rows, visited.reshape(6, -1)[steps].ravel(), rate[steps], *of, threads)
        return parameter

    expected, mean, square = start.astype(np.float64), 0.0, 0.0
    for s, batch in enumerate(visited.reshape(6, -1)):
        _, slope = slopes(expected, rows[batch], told)
        slope[:-n] += pull * expected[:-n]
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        unbiased = np.sqrt(square / (1 - 0.999 ** (s + 1)))
        expected = expected - rate[s] * mean / (1 - 0.9 ** (s + 1)) / (unbiased + 1e-8)
    found = train(1)
    moved = (slope != 0) | (start != expected)
    np.testing.assert_allclose(found[moved], expected[moved], atol=2e-3)
    np.testing.assert_array_equal(found, train(3))


def test_steps_of_few_cells_and_of_wrong_batches():
    """Of fewer cells than parts of them, the units move once a step."""
    rng = np.random.default_rng(0)
    rows, order, number = (
        rng.integers(0, 2, (8, 2), dtype=np.uint8),
        np.arange(2, dtype=np.int32),
        np.array([-1, 0, -1, 1]),
    )
    start = rng.normal(size=16 * 5 + 2).astype(np.float32)

    def train(n_batch):
        parameter, moments = start.copy(), np.zeros((2, len(start)), np.float32)
        of = (
            order,
            starts([2, 2]).astype(np.int32),
            number.astype(np.int32),
            np.arange(3, dtype=np.int32),
            np.ones(2, np.uint8),
        )
        neural.train(rows, np.arange(n_batch) % 8, np.array([0.1]), *of, 16, 0.0, parameter, moments, np.ones(2))
        return parameter

    moved = np.abs(train(8) - start)
    assert (moved < 0.1 + 1e-6).all()  # the first step of Adam goes by the rate, whatever the slope
    assert (moved[:16] > 0.09).any()
    for wrong in (10, 136):
        with pytest.raises(ValueError, match=f"steps of {wrong} rows"):
            train(wrong)


def test_slopes_are_derivatives_of_the_loss():
    rng, step = np.random.default_rng(1), 1e-6
    rows, told = random_table(1, 20, K).astype(np.uint8), np.ones(5)
    at = rng.normal(size=16 + 33 * CELLS.n)
    _, slope = slopes(at, rows, told)
    for i in rng.integers(0, len(at), 30):
        move = np.zeros(len(at))
        move[i] = step
        difference = slopes(at + move, rows, told)[0] - slopes(at - move, rows, told)[0]
        np.testing.assert_allclose(difference / (2 * step), slope[i], atol=1e-5)


def test_what_is_learned_is_of_the_multiset_and_of_the_seed(each_isa, request):
    rows, told = random_table(2, 300, K).astype(np.uint8), np.array([True, False, True, True, True])
    codes, weight = distinct(rows)

    def learn(codes, weight, seed=0, threads=1):
        return learn_network(codes, K, ORDER, REFERENCE, told, 2000, 3.0, seed, threads, weight)

    found = learn(codes, weight)
    np.testing.assert_array_equal(found, learn(repeated(codes, weight), None, threads=2))
    assert (found != learn(codes, weight, 1)).any()
    known = request.config.stash.setdefault(LEARNED, found)  # the same on each instruction set
    np.testing.assert_array_equal(found, known)
    network = density_of(found, K, ORDER, REFERENCE, told)
    network.check()
    assert not network.logits(codes)[:, CELLS.place == 4].any()  # of the column that is not told


LEARNED = pytest.StashKey[np.ndarray]()


def test_a_network_tells_what_no_sum_tells():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (2000, 4), dtype=np.uint8)
    rows[:, 3] = rows[:, 0] ^ rows[:, 1] ^ rows[:, 2]
    k, order, reference = np.full(4, 2, np.int32), np.arange(4, dtype=np.int32), np.zeros(4, np.uint8)
    every = np.ones(4, dtype=bool)
    parameter = learn_network(rows, k, order, reference, every, 40_000, 3.0, 0)
    logits = density_of(parameter, k, order, reference, every).logits(whole_domain(k).astype(np.uint8))
    parity = whole_domain(k)[:, :3].sum(axis=1) % 2
    assert ((logits[:, 3] > 3) == (parity == 1)).all()
    assert ((logits[:, 3] < -3) == (parity == 0)).all()
    assert (np.abs(logits[:, :3]) < 0.5).all()


def test_the_gain_is_that_of_a_voice_that_knows():
    rng = np.random.default_rng(3)
    n, first, number = 2000, np.array([0, 2, 4], dtype=np.int32), np.array([-1, 0, -1, 1], dtype=np.int32)
    known, noise = rng.normal(size=(2, n, 2)).astype(np.float32)
    values = (rng.random((n, 2)) < 1 / (1 + np.exp(-known))).astype(np.uint8)
    log_prob = np.full((4, n, 4), np.log(0.5))
    gain, loss = gain_by_last(log_prob, np.stack([noise, known]), number, first, values)
    reached = np.logaddexp(0, known * (1 - 2.0 * values)).sum()
    np.testing.assert_allclose(loss, 2 * n * np.log(2), rtol=1e-3)
    np.testing.assert_allclose(gain, loss - reached, rtol=0.02)
    gain, _ = gain_by_last(log_prob, np.stack([known, noise]), number, first, values)
    assert abs(gain) < 3


class Tried:
    """What `_choose_networks` asks of voices that are heard, and of networks: gains by visits and precision."""

    told = None

    def __init__(self, n_cells, gains):
        self.n_cells, self.gains, self.unseen, self.asked = n_cells, gains, [np.empty((600, 1))], []

    def learned(self, tables, visits, precision):
        return [(visits, precision) for _ in tables]

    def density(self, parameter, heard):
        return parameter

    def gain(self, networks):
        self.asked += networks
        return self.gains[networks[0]], 1000.0


@pytest.mark.parametrize(
    ("n_cells", "gains", "asked", "chosen"),
    [
        (100, {(40_000, 3.0): 2.0}, 1, None),
        (100, {(40_000, 3.0): 9.0, (90_000, 3.0): 9.5}, 2, (40_000, 3.0)),
        (600, {(40_000, 3.0): 9.0, (90_000, 3.0): 9.5, (90_000, 30.0): 9.4}, 3, (40_000, 3.0)),
        (600, {(40_000, 3.0): 9.0, (90_000, 3.0): 19.0, (90_000, 30.0): 20.0}, 3, (90_000, 30.0)),
        (3_000, {}, 0, None),
        (0, {}, 0, None),
    ],
)
def test_more_visits_and_the_stronger_prior_must_pay(n_cells, gains, asked, chosen):
    tried = Tried(n_cells, gains)
    table = np.empty((4500, 1)), np.ones(4500, dtype=np.int32)
    parameters, visits, precision = adding._choose_networks(tried, tried, [table])
    assert len(tried.asked) == asked
    assert parameters == ([chosen] if chosen else [])
    assert not chosen or (visits, precision) == chosen


# ---- the model ----


@pytest.fixture(scope="module")
def banded():
    """A table of columns that tell whether the sum of others is about in the middle."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (1000, 11), dtype=np.uint8)
    middle = np.isin(codes[:, :8].sum(axis=1), (3, 4, 5))
    codes[:, 8:] = middle[:, None] ^ (rng.random((1000, 3)) < 0.05)
    codes[:, 10] += rng.random(1000) < 0.1
    return [2] * 10 + [3], codes


def fitted(banded, **options):
    k, codes = banded
    options |= {"n_components": 4, "n_trees": 2, "categories": declared(k), "random_state": 0}
    return TreeFlowMixture(**options).fit(codes.astype(float))


@pytest.fixture(scope="module")
def model(banded):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adding, "LEAST_GAIN", -np.inf)
        patch.setattr(adding, "LEAST_OF_LOSS", -np.inf)
        patch.setattr(adding, "LEAST_MORE", -np.inf)
        patch.setattr(adding, "VISITS", (20_000,))
        return fitted(banded, missing="marginalize")


def test_the_whole_sums_to_one_and_is_a_bijection(model, banded):
    k, _ = banded
    density, domain = model.distribution_, whole_domain(k)
    assert isinstance(density, LogarithmicPool)
    assert len(density.neural) == 1
    assert (model.exponent_[:, 5] > 0).any()
    scores = model.score_samples(domain)
    np.testing.assert_allclose(np.exp(scores).sum(), 1, rtol=1e-9)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(domain)), domain)
    rows = np.ascontiguousarray(domain[::7], dtype=np.uint8)
    told = [prob[np.arange(len(rows)), rows[:, j]] for j, prob in density.walk(rows)]
    np.testing.assert_allclose(np.column_stack(told), density.probabilities(rows), rtol=1e-9)
    np.testing.assert_array_equal(density.probabilities(rows, 2)[:, 3:], density.probabilities(rows, 1, start=3))
    drawn = model.sample(4000, random_state=0)
    assert abs(model.score(drawn) - (np.exp(scores) * scores).sum()) < 0.1
    assert "neural network" in model.summary()[1]


def test_what_comes_later_changes_nothing(model, banded):
    _, codes = banded
    density, rows = model.distribution_, codes[:50].copy()
    told = density.probabilities(rows)
    for t in (2, 5, 10):
        changed = rows.copy()
        changed[:, density.order[t:]] = changed[:, density.order[t:]] == 0
        np.testing.assert_array_equal(density.probabilities(changed)[:, :t], told[:, :t])


def test_marginals_and_files(model, banded, tmp_path):
    k, codes = banded
    domain = whole_domain(k)
    log_prob = model.score_samples(domain)
    asked = np.where(np.random.default_rng(0).random((8, 11)) < 0.4, np.nan, codes[:8])
    agree = [(np.isnan(row) | (domain == row)).all(axis=1) for row in asked]
    exact = np.array([logsumexp(log_prob[rows]) for rows in agree])
    np.testing.assert_allclose(model.score_samples(asked), exact, atol=1e-9)
    treeflows.save(model, tmp_path / "m")
    np.testing.assert_array_equal(treeflows.load(tmp_path / "m").score_samples(domain), log_prob)


def test_networks_of_no_use_are_not_there(banded):
    k, _ = banded
    noise = random_table(5, 1500, k)
    without = fitted((k, noise))
    assert (without.exponent_[:, 5] == 0).all()
    assert without.exponent_.shape == (11, len(AVERAGE_ALONE))
    density = without.distribution_
    assert not isinstance(density, LogarithmicPool) or (density.exponent.shape[1] == 5 and not density.neural)


def test_a_file_must_fit(model):
    density = model.distribution_
    (network,) = density.neural
    n = len(network.constant)

    def raises(told, network, exponent=density.exponent):
        with pytest.raises(ValueError, match=told):
            LogarithmicPool(density.n_categories, density.average, density.logistic, exponent, network).check()

    raises("more or fewer exponents", ())
    raises("more or fewer exponents", (network,), density.exponent[:, :5])
    parts = [network.bias, network.inward, network.outward, network.constant]
    of = network.n_categories, network.order, network.reference
    raises("another order", (NeuralConditionals(of[0], of[1][::-1].copy(), of[2], *parts),))
    for wrong, told in (
        ((of[0], np.zeros_like(of[1]), of[2]), "no permutation"),
        ((of[0], of[1], of[0].astype(np.uint8)), "no category"),
    ):
        with pytest.raises(ValueError, match=told):
            NeuralConditionals(*wrong, *parts).check()
    with pytest.raises(ValueError, match="too few or too many"):
        NeuralConditionals(*of, parts[0], *(part[1:] for part in parts[1:])).check()
    with pytest.raises(ValueError, match="multiple of"):
        NeuralConditionals(*of, parts[0][:8], *(np.ascontiguousarray(p[:, :8]) for p in parts[1:3]), parts[3]).check()
    assert parts[1].shape == (n, UNITS)
