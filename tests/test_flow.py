"""The estimator: exactness over whole domains, bijections, samples, scores, parameters."""

import pickle

import numpy as np
import pytest
import readable
from conftest import declared, random_table, small_tables, whole_domain
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from treeflows import DiscreteTreeFlow
from treeflows._ext import isa
from treeflows._independent import CONCENTRATIONS, IndependentColumns, leave_one_out


@parametrize_with_checks(
    [DiscreteTreeFlow(), DiscreteTreeFlow(criterion="random", early_stopping=True, random_state=0)]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def fitted(codes, n_categories, **options):
    options = {"n_layers": 3, "min_samples_split": 10, "random_state": 0} | options
    return DiscreteTreeFlow(categories=declared(n_categories), **options).fit(codes)


def options():
    return st.fixed_dictionaries(
        {
            "n_layers": st.integers(0, 4),
            "max_depth": st.integers(0, 4),
            "criterion": st.sampled_from(["likelihood", "random"]),
            "min_samples_split": st.integers(2, 50),
            "min_gain": st.sampled_from([0.0, -np.inf, 0.05]),
            "smoothing": st.sampled_from(["auto", 0.5, 0.001]),
        }
    )


# ---- exact over the whole domain ----


@given(small_tables(), options())
def test_probabilities_of_the_whole_domain_sum_to_one(table, options):
    codes, k = table
    flow = fitted(codes, k, **options)
    domain = whole_domain(k)
    assert np.exp(flow.score_samples(domain)).sum() == pytest.approx(1, abs=1e-9)
    for scores in flow.staged_score_samples(domain):
        assert np.exp(scores).sum() == pytest.approx(1, abs=1e-9)


@given(small_tables(), options())
def test_transform_is_a_bijection_of_the_whole_domain(table, options):
    codes, k = table
    flow = fitted(codes, k, **options)
    domain = whole_domain(k)
    z = flow.transform(domain)
    assert len(np.unique(z, axis=0)) == len(domain)
    np.testing.assert_array_equal(flow.inverse_transform(z), domain)
    np.testing.assert_array_equal(flow.transform(flow.inverse_transform(domain)), domain)


@given(small_tables(), options())
def test_results_do_not_depend_on_threads_or_instruction_set(table, options):
    codes, k = table
    domain = whole_domain(k)
    results = []
    before = isa.current()
    for name in isa.available():
        isa.use(name)
        for n_jobs in (1, 2, 3):
            flow = fitted(codes, k, n_jobs=n_jobs, **options)
            results.append((flow.transform(domain), flow.score_samples(domain), flow.sample(50)))
    isa.use(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_columns", [3, 50, 700])
def test_scores_do_not_depend_on_batches(n_columns):
    k = [2, 5] * n_columns
    codes = random_table(0, 600, k)
    flow = fitted(codes, k, n_jobs=2)
    whole = flow.score_samples(codes)
    parts = [flow.score_samples(codes[start : start + 7]) for start in range(0, 600, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    parts = [flow.transform(codes[start : start + 7]) for start in range(0, 600, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), flow.transform(codes))


def test_like_the_readable_implementation():
    k = [2, 3, 4, 7]
    codes = random_table(3, 500, k)
    flow = fitted(codes, k, smoothing=0.001)
    z = codes
    for t in range(3):
        assert flow.train_score_[t] == pytest.approx(-readable.independent_nll(z, k, 0.001), abs=1e-9)
        _nodes, z = readable.learn_tsp(z, k, 4, 10)
    np.testing.assert_array_equal(flow.transform(codes), z)
    assert flow.score(codes) == pytest.approx(-readable.independent_nll(z, k, 0.001), abs=1e-9)


def test_inverse_like_the_readable_implementation():
    k = [2, 3, 4, 7]
    codes = random_table(3, 500, k)
    flow = fitted(codes, k, n_layers=1)
    nodes, _ = readable.learn_tsp(codes, k, 4, 10)
    for x, z in zip(whole_domain(k), flow.transform(whole_domain(k)), strict=True):
        assert readable.forward(nodes[0], x) == z.tolist()
        assert readable.inverse(nodes[0], z) == x.tolist()


# ---- samples ----


@pytest.mark.parametrize("criterion", ["likelihood", "random"])
def test_sampled_frequencies_match_the_probabilities(criterion):
    k = [2, 3, 1, 4]
    flow = fitted(random_table(11, 400, k), k, criterion=criterion)
    domain = whole_domain(k)
    n = 200_000
    samples = flow.sample(n, random_state=1)
    observed = np.bincount(np.ravel_multi_index(samples.T, k), minlength=len(domain))
    expected = n * np.exp(flow.score_samples(domain))
    kept = expected > 5
    rest = n - expected[kept].sum()
    observed = np.append(observed[kept], n - observed[kept].sum())
    assert chisquare(observed, np.append(expected[kept], rest)).pvalue > 1e-3


def test_sampling_is_by_seed():
    k = [3, 4, 5]
    flow = fitted(random_table(0, 300, k), k)
    np.testing.assert_array_equal(flow.sample(40, random_state=5), flow.sample(40, random_state=5))
    np.testing.assert_array_equal(flow.sample(40), flow.sample(40))  # the estimator's own seed
    assert (flow.sample(40, random_state=5) != flow.sample(40, random_state=6)).any()
    state = np.random.RandomState(0)
    assert (flow.sample(40, random_state=state) != flow.sample(40, random_state=state)).any()
    np.testing.assert_array_equal(flow.sample(1000, random_state=5)[:40], flow.sample(40, random_state=5))
    assert flow.sample(0).shape == (0, 3)


# ---- learning ----


def test_no_layers_leave_the_base_alone():
    k = [2, 4]
    codes = random_table(0, 100, k)
    flow = fitted(codes, k, n_layers=0, smoothing=1.0)
    np.testing.assert_array_equal(flow.transform(codes), codes)
    counts = np.concatenate(readable.column_counts(codes, k)) + 1.0
    expected = np.log(counts[:2] / 102)[codes[:, 0]] + np.log(counts[2:] / 104)[codes[:, 1]]
    np.testing.assert_allclose(flow.score_samples(codes), expected, rtol=0, atol=1e-12)


def test_early_stopping_keeps_the_best_number_of_layers():
    k = [2] * 12
    codes = random_table(4, 600, k)
    flow = fitted(codes, k, n_layers=30, early_stopping=True, n_iter_no_change=2, min_samples_split=20)
    best = int(np.argmax(flow.validation_score_))
    assert len(flow.layers_) == best < 30
    assert len(flow.validation_score_) == len(flow.train_score_) == best + 3
    held_out = codes[np.random.RandomState(0).permutation(600)[:60]]
    assert flow.score(held_out) == pytest.approx(flow.validation_score_[best], abs=1e-12)
    stages = [scores.mean() for scores in flow.staged_score_samples(held_out)]
    np.testing.assert_allclose(stages, flow.validation_score_[: best + 1], rtol=0, atol=1e-12)
    assert fitted(codes, k).validation_score_ is None


def test_last_stage_is_the_flow_itself():
    k = [3] * 6
    codes = random_table(8, 300, k)
    flow = fitted(codes, k)
    *_, last = flow.staged_score_samples(codes)
    np.testing.assert_array_equal(last, flow.score_samples(codes))
    assert flow.score(codes) == pytest.approx(flow.train_score_[-1], abs=1e-12)


def test_random_criterion_is_by_seed():
    k = [4] * 5
    codes = random_table(0, 500, k)
    a, b, c = (fitted(codes, k, criterion="random", random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.transform(codes), b.transform(codes))
    assert (a.transform(codes) != c.transform(codes)).any()


def test_pickle_and_clone():
    k = [3, 2, 4]
    codes = random_table(0, 200, k)
    flow = fitted(codes, k)
    copy = pickle.loads(pickle.dumps(flow))
    np.testing.assert_array_equal(copy.score_samples(codes), flow.score_samples(codes))
    again = clone(flow).fit(codes)
    np.testing.assert_array_equal(again.score_samples(codes), flow.score_samples(codes))


def test_layers_print_names_and_categories():
    pandas = pytest.importorskip("pandas")
    codes = random_table(0, 400, [3, 2, 2])
    table = pandas.DataFrame(
        {"colour": np.array(["red", "green", "blue"])[codes[:, 0]], "b": codes[:, 1], "c": codes[:, 2]}
    )
    flow = DiscreteTreeFlow(2, min_samples_split=20, max_depth=2).fit(table)
    text = str(flow.layers_[0])
    assert text.splitlines()[0] == f"TreePermutation of 3 columns, leaves: {flow.layers_[0].n_leaves}"
    assert "colour" in text
    assert any(name in text for name in ("red", "green", "blue"))
    assert "rows" in text
    assert text.count("leaf ") == flow.layers_[0].n_leaves
    assert not any(name in str(flow.layers_[1]) for name in ("red", "green", "blue"))


# ---- the base ----


def test_leave_one_out_likelihood_is_what_it_says():
    columns = [np.array([0, 0, 1, 1, 1, 3]), np.array([0, 0, 0, 0, 0, 0]), np.array([0, 1, 0, 1, 0, 1])]
    sizes = [5, 1, 2]
    counts = np.concatenate([np.bincount(c, minlength=k) for c, k in zip(columns, sizes, strict=True)]).astype(float)
    first = np.concatenate(([0], np.cumsum(sizes)))
    concentrations = np.array([0.01, 0.5, 2.0])
    found = leave_one_out(counts, first, concentrations)
    for j, (rows, k) in enumerate(zip(columns, sizes, strict=True)):
        for i, a in enumerate(concentrations):
            others = [np.bincount(np.delete(rows, r), minlength=k)[v] for r, v in enumerate(rows)]
            expected = np.log((np.array(others) + a) / (5 + k * a)).sum()
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


def test_smoothing_is_chosen_per_column():
    counts = np.array([50, 50, 1, 1, 1, 1, 1, 0])  # no rare value; nothing but rare values
    first = np.array([0, 2, 8], dtype=np.int32)
    base = IndependentColumns.from_counts(counts, first)
    best = leave_one_out(counts.astype(float), first, CONCENTRATIONS).max(axis=0)
    chosen = np.diag(leave_one_out(counts.astype(float), first, base.concentration))
    np.testing.assert_array_equal(chosen, best)
    for j in range(2):
        assert np.exp(base.log_prob[first[j] : first[j + 1]]).sum() == pytest.approx(1, abs=1e-12)


# ---- parameters ----


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_layers", -1),
        ("n_layers", 1.5),
        ("max_depth", -1),
        ("criterion", "gini"),
        ("base", "trees"),
        ("min_samples_split", 1),
        ("min_samples_leaf", 0),
        ("min_gain", "much"),
        ("smoothing", 0.0),
        ("smoothing", np.nan),
        ("smoothing", np.inf),
        ("min_gain", np.nan),
        ("n_jobs", 1.5),
        ("smoothing", "none"),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("categories", "none"),
    ],
)
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        DiscreteTreeFlow(**{name: value}).fit(np.zeros((5, 2), dtype=int))


def test_early_stopping_needs_a_row_to_learn_from():
    with pytest.raises(ValueError, match="early_stopping"):
        DiscreteTreeFlow(early_stopping=True).fit(np.zeros((1, 2), dtype=int))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_one_row_and_constant_columns(seed):
    k = [1, 3, 2]
    flow = fitted(random_table(seed, 1, k), k)
    assert np.exp(flow.score_samples(whole_domain(k))).sum() == pytest.approx(1, abs=1e-9)
