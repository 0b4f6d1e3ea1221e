"""Logistic regressions of every column, and their logarithmic pool with the average of trees and hidden column."""

import numpy as np
import pytest
from conftest import declared, random_table, whole_domain
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.exceptions import ConvergenceWarning

import treeflows
from treeflows import TreeFlowMixture
from treeflows._ext import isa, logistic, pooling
from treeflows.densities.logarithmic import AVERAGE_ALONE, LogarithmicPool
from treeflows.densities.logistic import Cells, LogisticConditionals
from treeflows.densities.trees import starts
from treeflows.learning.logistic import PRIOR_ROWS, LogisticLearner, Regressions, choose_penalties
from treeflows.learning.multisets import distinct, folds
from treeflows.learning.pooling import DOUBT, learn_exponents

K = np.array([3, 2, 4, 1, 2], dtype=np.int32)
ORDER = np.array([2, 0, 4, 3, 1], dtype=np.int32)


def random_logistic(seed, k=K, order=ORDER):
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, k).astype(np.uint8)
    cells = Cells.of(k, order, reference)
    n = cells.n
    size = int((n - cells.bears_from).sum())
    return LogisticConditionals(
        k, order, reference, rng.normal(size=n).astype(np.float32), rng.normal(size=size).astype(np.float32)
    )


def readable(density, rows):
    """Log p(value | before) of each value of each column in order, by the formula, cell by cell."""
    k, order, cells = density.n_categories, density.order.tolist(), density.cells
    first_category = np.concatenate(([0], np.cumsum(k)))
    coefficient, at = {}, 0
    for c in range(cells.n):
        for o in range(int(cells.bears_from[c]), cells.n):
            coefficient[c, o] = density.coefficient[at]
            at += 1
    told = []
    for row in rows:
        line = []
        for t, j in enumerate(order):
            scores = np.zeros(k[j])
            for v in range(k[j]):
                o = cells.number[first_category[j] + v]
                if o < 0:
                    continue
                scores[v] = density.constant[o]
                for i in order[:t]:
                    c = cells.number[first_category[i] + row[i]]
                    scores[v] += coefficient[c, o] if c >= 0 else 0.0
            line.extend(log_softmax(scores))
        told.append(line)
    return np.array(told)


def log_distributions(density, rows):
    """The same by the engine's logits."""
    logits = np.pad(density.logits(rows), ((0, 0), (0, 1))).astype(np.float64)
    logits[:, -1] = 0
    scores = logits[:, density.number_in_order]
    ends = np.cumsum(density.n_categories[density.order])[:-1]
    return np.concatenate([log_softmax(part, axis=1) for part in np.split(scores, ends, axis=1)], axis=1)


# ---- logistic regressions ----


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.permutations(range(5)))
def test_logits_are_sums_of_what_earlier_cells_say(seed, order):
    density = random_logistic(seed, order=np.array(order, dtype=np.int32))
    density.check()
    rows = random_table(seed, 6, K).astype(np.uint8)
    np.testing.assert_allclose(log_distributions(density, rows), readable(density, rows), atol=1e-5)
    logits = density.begin(len(rows))
    for j in order:
        density.observe(logits, j, np.ascontiguousarray(rows[:, j]), 2)
    np.testing.assert_array_equal(logits, density.logits(rows, 2))


def loss(parameter, cells, rows, weight, penalty, marginal, frequency):
    """What is minimised: negative log-likelihood, half the penalised squares, a prior row in the mean."""
    hot = np.zeros((len(rows), cells.n))
    for r, row in enumerate(rows):
        hot[r, [c for c in row if c >= 0]] = 1
    mean = hot * 0 + frequency
    total = 0.0
    for x, w in ((hot, weight), (mean[:1], np.array([PRIOR_ROWS]))):
        scores = parameter[0] + x @ parameter[1:]
        target = hot if x is hot else marginal[None]
        for start, end in zip(cells.first[:-1], cells.first[1:], strict=True):
            part = np.column_stack([np.zeros(len(x)), scores[:, start:end]])
            wanted = np.column_stack([1 - target[:, start:end].sum(axis=1), target[:, start:end]])
            total -= (w[:, None] * wanted * log_softmax(part, axis=1)).sum()
    return total + 0.5 * (penalty[cells.place] * parameter[1:] ** 2).sum()


def numbers(cells, codes):
    first_category = np.concatenate(([0], np.cumsum(K)))
    return cells.number[codes + first_category[:-1]][:, ORDER]


def test_the_minimum_is_that_of_a_library():
    codes = random_table(3, 300, K).astype(np.uint8)
    codes[:, 1] = codes[:, 0] > 0  # dependence, and separable
    penalty = np.array([1.0, 3.0, 0.5, 1.0, 10.0])
    learner = LogisticLearner(codes, K, ORDER, np.zeros(5, dtype=np.uint8))
    cells = learner.cells
    rows, weight = distinct(codes)
    args = numbers(cells, rows), weight, penalty, learner.rows.marginal, learner.rows.frequency
    free = np.arange(cells.n) >= np.append(0, cells.bears_from)[:, None]

    def whole(values):
        parameter = np.zeros(free.shape)
        parameter[free] = values
        return parameter

    best = minimize(lambda v: loss(whole(v), cells, *args), np.zeros(free.sum()), method="L-BFGS-B", tol=1e-12)
    found = learner.finish(Regressions(learner.start().parameter, penalty)).parameter
    assert (found[~free] == 0).all()
    assert loss(found, cells, *args) < best.fun + 1e-4 * len(codes)
    np.testing.assert_allclose(found[free], best.x, atol=0.05)


@pytest.mark.parametrize("first_output", [0, 7])
def test_the_gradient_is_the_same_on_every_path_and_that_of_the_formula(first_output):
    rng = np.random.default_rng(0)
    k = np.array([3, 2, 5, 2, 4, 2], dtype=np.int32)
    codes = np.column_stack([rng.integers(0, n, 3000) for n in k]).astype(np.uint8)
    order = np.arange(6, dtype=np.int32)
    cells = Cells.of(k, order, np.zeros(6, dtype=np.uint8))
    number = cells.number[codes + np.concatenate(([0], np.cumsum(k)))[:-1]]
    told = number >= 0
    starts = np.concatenate(([0], np.cumsum(told.sum(axis=1))))
    weight = rng.integers(1, 4, 3000).astype(np.float32)
    n = cells.n - first_output
    columns = [t for t in range(6) if cells.first[t] >= first_output]
    coefficient = np.zeros((cells.n, 16), dtype=np.float32)
    bears = np.maximum(cells.bears_from - first_output, 0)
    free = np.arange(n) >= bears[:, None]
    coefficient[:, :n] = np.where(free, rng.normal(size=(cells.n, n)), 0)
    base = np.pad(rng.normal(size=n), (0, 16 - n), constant_values=-100).astype(np.float32)
    ends = np.column_stack([cells.first[columns], cells.first[np.array(columns) + 1]]) - first_output
    wide = ends[np.diff(ends)[:, 0] > 1].astype(np.int32)
    told_of = number[told], starts, weight, base, coefficient, (bears - bears % 16).astype(np.int32), wide, first_output
    found, before = [], isa.current()
    for path in isa.available():
        isa.use(path)
        found += [logistic.gradient(*told_of, threads) for threads in (1, 2)]
    isa.use(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    hot = np.zeros((3000, cells.n))
    hot[np.nonzero(told)[0], number[told]] = 1
    scores = base[:n] + hot @ coefficient[:, :n]
    residual = np.zeros((3000, n))
    for start, end in ends:
        part = softmax(np.column_stack([np.zeros(3000), scores[:, start:end]]), axis=1)[:, 1:]
        residual[:, start:end] = weight[:, None] * (part - hot[:, first_output + start : first_output + end])
    np.testing.assert_allclose(found[0][0, :n], residual.sum(axis=0), atol=0.02)
    np.testing.assert_allclose(found[0][1:, :n][free], (hot.T @ residual)[free], atol=0.02)


def test_blocks_of_columns_learn_what_all_together_do(monkeypatch):
    codes = random_table(5, 400, K).astype(np.uint8)
    learner = LogisticLearner(codes, K, ORDER, np.zeros(5, dtype=np.uint8))
    start = Regressions(learner.start().parameter, np.full(5, 100.0))
    together = learner.finish(start)
    monkeypatch.setattr("treeflows.learning.logistic.BLOCK_COEFFICIENTS", 1)
    apart = learner.finish(start)
    np.testing.assert_allclose(apart.parameter, together.parameter, atol=1e-3)


def test_cells_of_rows_in_blocks_are_those_of_all(monkeypatch):
    codes, weight = distinct(random_table(5, 400, K).astype(np.uint8))
    of = codes, K, ORDER, np.array([1, 0, 3, 0, 1], dtype=np.uint8), 1, weight
    whole = LogisticLearner(*of).rows
    monkeypatch.setattr("treeflows.learning.logistic.BLOCK_CELLS", 70)
    blocks = LogisticLearner(*of).rows
    for name in ("told", "starts", "counts"):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))
    rows = np.split(whole.told[:-1], whole.starts[1:-1])
    for row, cells in zip(codes, rows, strict=True):
        number = whole.cells.number[row[ORDER] + starts(K)[ORDER]]
        assert cells.tolist() == number[number >= 0].tolist()
    hot = np.array([np.bincount(cells, minlength=whole.cells.n) for cells in rows])
    np.testing.assert_array_equal(whole.counts, weight @ hot)


def test_regressions_of_many_rows_are_of_some_that_do_not_depend_on_their_order(monkeypatch, file_of):
    X = random_table(2, 700, [4] * 8)
    model = TreeFlowMixture(n_trees=2, n_components=8, random_state=0)
    of_all = file_of(model.fit(X))
    learned, learner = [], LogisticLearner.__init__

    def spy(self, codes, *args):
        learned.append(len(codes))
        learner(self, codes, *args)

    monkeypatch.setattr(LogisticLearner, "__init__", spy)
    monkeypatch.setattr("treeflows.learning.adding.MOST_REGRESSED", 8 * 200)
    whole = file_of(model.fit(X))
    assert max(learned) <= 200
    assert whole != of_all
    assert file_of(model.fit(X[::-1])) == whole
    learned.clear()
    model.fit(np.repeat(X[:150], 5, axis=0))  # few rows differ: all of them, with their weights
    assert learned[-1] == len(np.unique(X[:150], axis=0))


def test_repeated_rows_are_weights():
    codes = random_table(6, 50, K).astype(np.uint8)
    rows, weight = distinct(np.repeat(codes, 3, axis=0))
    assert weight.sum() == 150
    np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(codes, axis=0))
    assert len(rows) == len(np.unique(rows, axis=0))


@pytest.mark.parametrize(
    ("k", "n_rows"), [([1, 1], 5), ([2, 3], 1), ([2] * 40, 8), ([256, 2], 300), ([1], 3), ([2, 2], 4)]
)
def test_odd_tables(k, n_rows):
    k = np.array(k, dtype=np.int32)
    codes = np.random.default_rng(0).integers(0, k, (n_rows, len(k))).astype(np.uint8)
    learner = LogisticLearner(codes, k, np.arange(len(k), dtype=np.int32), np.zeros(len(k), dtype=np.uint8))
    density = learner.density(learner.finish(*choose_penalties([learner], [codes])))
    density.check()
    assert np.isfinite(log_distributions(density, codes)).all()


def test_what_does_not_converge_is_told_once(monkeypatch):
    codes = np.repeat(np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8), 200, axis=0)
    k, order = np.full(3, 2, dtype=np.int32), np.arange(3, dtype=np.int32)
    learner = LogisticLearner(codes, k, order, np.zeros(3, dtype=np.uint8))
    monkeypatch.setattr("treeflows.learning.logistic.MOST_PASSES", 1)
    monkeypatch.setattr("treeflows.learning.logistic.BLOCK_COEFFICIENTS", 1)  # a block for each column
    with pytest.warns(ConvergenceWarning, match="max_categories") as told:
        learner.finish(Regressions(learner.start().parameter, np.full(3, 0.01)))
    assert len(told) == 1


@pytest.mark.parametrize("repeat", [1, 3])
def test_a_penalty_is_chosen_by_all_folds(repeat):
    codes = random_table(7, 400, K).astype(np.uint8)
    codes[:, 1] = codes[:, 0] > 0
    of = K, ORDER, np.zeros(5, dtype=np.uint8)
    halves = [codes[:200], codes[200:]] * repeat
    found = choose_penalties([LogisticLearner(half, *of) for half in halves], halves[::-1])
    assert len(found) == 2 * repeat
    for one in found[1:]:
        np.testing.assert_array_equal(one.penalty, found[0].penalty)
    assert found[0].penalty.min() < found[0].penalty.max()  # what depends is penalised less


def test_noise_is_given_no_penalty_but_an_infinite_one():
    codes = np.random.default_rng(8).integers(0, K, (600, 5)).astype(np.uint8)
    learner = LogisticLearner(codes[:40], K, ORDER, np.zeros(5, dtype=np.uint8))
    (found,) = choose_penalties([learner], [codes[40:]])
    assert np.isinf(found.penalty).all()
    np.testing.assert_array_equal(found.parameter, learner.start().parameter)


def test_a_column_of_infinite_penalty_keeps_the_frequencies_of_all_rows():
    codes = random_table(8, 60, K).astype(np.uint8)
    of = K, ORDER, np.zeros(5, dtype=np.uint8)
    start = LogisticLearner(codes[:40], *of).start()
    found = Regressions(start.parameter, np.array([1.0, np.inf, 10.0, np.inf, 1.0]))
    learner = LogisticLearner(codes, *of)
    whole, apart = learner.finish(found), np.isinf(found.penalty)[learner.cells.place]
    np.testing.assert_array_equal(whole.parameter[:, apart], learner.start().parameter[:, apart])
    assert not whole.parameter[1:, apart].any()
    assert whole.parameter[1:, ~apart].any()


# ---- the pool ----

N_ROWS = 200


@pytest.fixture
def said():
    """What four voices say of random rows, and the value of each column, in order."""
    rng = np.random.default_rng(0)
    density, rows = random_logistic(1), random_table(1, N_ROWS, K).astype(np.uint8)
    k, first = K[ORDER], np.concatenate(([0], np.cumsum(K[ORDER]))).astype(np.int32)
    three = [np.concatenate([rng.dirichlet(np.ones(n), N_ROWS) for n in k], axis=1) for _ in range(3)]
    told = density.logits(rows), density.number_in_order, first
    return k, three, told, log_distributions(density, rows), np.take(rows, ORDER, axis=1)


def test_the_pool_is_the_product_of_powers(said):
    k, three, told, logistic_says, values = said
    first = told[-1]
    share = np.random.default_rng(1).dirichlet(np.ones(3), 5)
    exponent = np.array(
        [AVERAGE_ALONE[:5], [0.3, 0, 0, 0, 0.9], [0, 0, 0, 0, 2.0], [1.0, 0.2, 0.5, 0.1, 1.0], [0, 0.7, 0, 0.2, 0]]
    )
    found = pooling.pooled(*three, share, *told, exponent, 2)
    average = sum(np.repeat(s, k) * part for s, part in zip(share.T, three, strict=True))
    voices = [np.log(average), *np.log(three), logistic_says]
    scores = sum(np.repeat(a, k) * voice for a, voice in zip(exponent.T, voices, strict=True))
    expected = np.concatenate([softmax(part, axis=1) for part in np.split(scores, first[1:-1], axis=1)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    by_value = pooling.pooled_values(*three, share, *told, exponent, values, 1)
    np.testing.assert_array_equal(by_value, np.take_along_axis(found, values + first[:-1], axis=1))


def test_slopes_are_derivatives(said, each_isa):
    _, three, told, _, values = said
    share, every = np.full((5, 3), 1 / 3), np.ones(5, dtype=np.uint8)
    log_prob = np.log([sum(three) / 3, *three])
    of = pooling.apart(log_prob, told[0][None], *told[1:], values), told[-1], N_ROWS

    def sums(exponent, threads=2):
        return pooling.slopes(*of, exponent, every, threads)

    at, step = np.random.default_rng(2).random((5, 5)), 1e-5
    here = sums(at)
    loss = -np.log(pooling.pooled_values(*three, share, *told, at, values)).sum(axis=0)
    np.testing.assert_allclose(here[:, 0], loss, rtol=1e-6)
    np.testing.assert_array_equal(here, sums(at, 1))
    assert not pooling.slopes(*of, at, np.zeros(5, dtype=np.uint8)).any()
    curves = np.zeros((5, 5), dtype=int)
    curves[np.triu_indices(5)] = np.arange(6, 21)
    curves = np.maximum(curves, curves.T)
    for side in range(5):
        move = np.zeros((5, 5))
        move[:, side] = step
        slopes = (sums(at + move) - sums(at - move)) / (2 * step)
        np.testing.assert_allclose(slopes[:, 0], here[:, 1 + side], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(slopes[:, 1:6], here[:, curves[side]], rtol=1e-4, atol=1e-3)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_least_quadratic_is_the_least_that_is_nowhere_negative(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(5, 5))
    hessian, slope, at = root @ root.T + 0.3 * np.eye(5), rng.normal(size=5), rng.random(5)
    free = (rng.random(5) < 0.8).astype(np.uint8)
    at[free == 0] = 0.0
    sums = np.concatenate([[0.0], slope, hessian[np.triu_indices(5)]])[None]
    found = pooling.least_quadratic(sums, at[None], free)[0]
    slopes = slope + hessian @ (found - at)
    assert (found >= 0).all()
    assert (found[free == 0] == 0).all()
    # no slope where it is inside, and uphill where it is at the edge (Karush, Kuhn, Tucker)
    np.testing.assert_allclose(slopes[(found > 0)], 0, atol=1e-5)
    assert (slopes[free == 1] > -1e-5).all()


def test_exponents_are_those_of_highest_likelihood_and_not_negative():
    rng = np.random.default_rng(4)
    n, k = 4000, np.array([2, 3], dtype=np.int32)
    first = np.array([0, 2, 5], dtype=np.int32)
    number = np.array([-1, 0, -1, 1, 2], dtype=np.int32)
    logits = rng.normal(size=(n, 3)).astype(np.float32)
    noise = np.stack([np.concatenate([rng.dirichlet(np.ones(m), n) for m in k], axis=1) for _ in range(4)])
    # the truth is the logits alone, in the second column with half of what one voice says, and against another
    z = np.pad(logits, ((0, 0), (0, 1)))[:, number].astype(np.float64)
    against = 0.5 * np.log(noise[1, :, 2:]) - 0.5 * np.log(noise[2, :, 2:])
    truth = [softmax(z[:, :2], axis=1), softmax(z[:, 2:] + against, axis=1)]
    values = np.column_stack([(rng.random((n, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1) for p in truth])
    exponent = learn_exponents(np.log(noise), logits[None], number, first, values.astype(np.uint8))
    assert (exponent >= 0).all()
    assert exponent[1, 2] == 0
    np.testing.assert_allclose(exponent[0], [0, 0, 0, 0, 1], atol=0.15)
    np.testing.assert_allclose(exponent[1, [1, 4]], [0.5, 1], atol=0.15)
    # of no rows, nothing is known
    none = learn_exponents(np.log(noise[:, :0]), logits[None, :0], number, first, values[:0].astype(np.uint8))
    np.testing.assert_allclose(none, np.tile(AVERAGE_ALONE[:5], (2, 1)))
    assert DOUBT > 0


@pytest.mark.parametrize(
    ("shape", "n"), [((1, 5), 0), ((2, 5), 2), ((77, 5), 5), ((77, 600), 2), ((5000, 50), 5), ((10**5, 20), 1)]
)
def test_folds_are_of_rows_that_others_are_not(shape, n):
    codes, weight = distinct(np.random.default_rng(0).integers(0, 2, shape, dtype=np.uint8))
    held_out = folds(codes, weight, np.random.default_rng(0))
    assert len(held_out) == n
    for unseen, seen, left in held_out:
        both = distinct(np.vstack([unseen, np.repeat(seen, left, axis=0)]))
        assert all(map(np.array_equal, both, (codes, weight)))
    if n > 1:
        every = distinct(np.concatenate([fold.unseen for fold in held_out]))
        assert all(map(np.array_equal, every, (codes, weight)))


# ---- the model ----


@pytest.fixture(scope="module")
def additive():
    """A table whose columns depend on sums of many others."""
    rng = np.random.default_rng(0)
    k = [2, 3, 2, 2, 3, 2, 2, 2, 2, 2]
    codes = np.zeros((5000, 10), dtype=np.uint8)
    for j, n in enumerate(k):
        scores = np.zeros((5000, n))
        for i in range(j):
            scores += rng.normal(size=(k[i], n))[codes[:, i]]
        codes[:, j] = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((5000, 1))).sum(axis=1)
    return k, codes


def test_the_whole_sums_to_one_and_is_a_bijection(additive):
    k, codes = additive
    model = TreeFlowMixture(n_components=4, n_trees=3, categories=declared(k), random_state=0).fit(codes)
    assert isinstance(model.distribution_, LogarithmicPool)
    domain = whole_domain(k)
    scores = model.score_samples(domain)
    np.testing.assert_allclose(np.exp(scores).sum(), 1, rtol=1e-9)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(domain)), domain)
    assert len(np.unique(model.transform(domain), axis=0)) == len(domain)
    # what is said column by column is what is scored, also from a place in the order on
    density, rows = model.distribution_, np.ascontiguousarray(domain[::7], dtype=np.uint8)
    told = [prob[np.arange(len(rows)), rows[:, j]] for j, prob in density.walk(rows)]
    np.testing.assert_allclose(np.column_stack(told), density.probabilities(rows), rtol=1e-9)
    np.testing.assert_array_equal(density.probabilities(rows, 2)[:, 3:], density.probabilities(rows, 1, start=3))
    drawn = model.sample(4000, random_state=0)
    assert abs(model.score(drawn) - (np.exp(scores) * scores).sum()) < 0.1


def test_what_adds_up_is_told_better(additive):
    k, codes = additive
    options = {"categories": declared(k), "random_state": 0}
    without = TreeFlowMixture(logistic=False, **options).fit(codes[:4000])
    model = TreeFlowMixture(**options).fit(codes[:4000])
    assert (without.exponent_ == AVERAGE_ALONE).all()
    assert (model.exponent_ >= 0).all()
    assert model.score(codes[4000:]) > without.score(codes[4000:]) + 0.01
    assert "logistic" in model.summary()[1]


def test_marginals_and_files_of_the_whole(additive, tmp_path):
    k, codes = additive
    options = {"n_components": 4, "n_trees": 2, "categories": declared(k), "missing": "marginalize", "random_state": 0}
    model = TreeFlowMixture(**options).fit(codes.astype(float))
    assert isinstance(model.distribution_, LogarithmicPool)
    domain = whole_domain(k)
    log_prob = model.score_samples(domain)
    rng = np.random.default_rng(0)
    asked = np.where(rng.random((8, 10)) < 0.5, np.nan, codes[:8])
    agree = [(np.isnan(row) | (domain == row)).all(axis=1) for row in asked]
    exact = np.array([logsumexp(log_prob[rows]) for rows in agree])
    np.testing.assert_allclose(model.score_samples(asked), exact, atol=1e-9)
    # by draws that look ahead, whose rows are exchanged on the way
    draws = model.distribution_.draw_ahead(
        np.nan_to_num(asked).astype(np.uint8), ~np.isnan(asked), 4000, [np.random.default_rng(i) for i in range(8)]
    )
    assert (np.abs(draws.log_mean - exact) < 5 * draws.error).all()
    treeflows.save(model, tmp_path / "m")
    copy = treeflows.load(tmp_path / "m")
    np.testing.assert_array_equal(copy.score_samples(domain), log_prob)
    order = np.random.default_rng(1).permutation(len(codes))
    treeflows.save(TreeFlowMixture(**options, n_jobs=2).fit(codes[order].astype(float)), tmp_path / "other")
    other = treeflows.load(tmp_path / "other")
    np.testing.assert_array_equal(other.score_samples(domain), log_prob)
