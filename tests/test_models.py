"""What holds for every model: distributions of the whole domain, bijections, samples, seeds, files, conventions."""

import hashlib
import pickle

import numpy as np
import pytest
import sklearn
from conftest import declared, random_table, small_tables, whole_domain
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble, TreeFlowMixture
from treeflows._ext import isa

MODELS = {
    "layers": lambda **o: DiscreteTreeFlow(3, min_samples_split=10, random_state=0, **o),
    "random layers": lambda **o: DiscreteTreeFlow(3, criterion="random", min_samples_split=10, random_state=0, **o),
    "layers over trees": lambda **o: DiscreteTreeFlow(2, base="tree", min_samples_split=20, random_state=0, **o),
    "trees": lambda **o: AutoregressiveTreeFlow(random_state=0, **o),
    "trees of random order": lambda **o: AutoregressiveTreeFlow(
        order="random", max_features=2, min_samples_leaf=1, random_state=0, **o
    ),
    "mixture": lambda **o: TreeFlowMixture(AutoregressiveTreeFlow(min_samples_leaf=2), 3, 3, random_state=0, **o),
    "mixture of one tree": lambda **o: TreeFlowMixture(n_trees=1, random_state=0, **o),
    "ensemble": lambda **o: TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 3, random_state=0, **o),
    "ensemble of mixtures": lambda **o: TreeFlowEnsemble(
        TreeFlowMixture(AutoregressiveTreeFlow(order="random"), 2, 2), 2, random_state=0, **o
    ),
    "ensemble of layers": lambda **o: TreeFlowEnsemble(
        DiscreteTreeFlow(2, criterion="random", min_samples_split=10), 2, random_state=0, **o
    ),
}
FLOWS = [name for name in MODELS if "ensemble" not in name]
MISTAKEN_CHECKS = (
    {"check_positive_only_tag_during_fit": "subtracts a mean from whole numbers in place"}
    if sklearn.__version__.startswith(("1.6.", "1.7."))
    else {}
)


@parametrize_with_checks(
    [
        DiscreteTreeFlow(),
        DiscreteTreeFlow(criterion="random", base="tree", early_stopping=True, random_state=0),
        AutoregressiveTreeFlow(),
        TreeFlowEnsemble(n_estimators=2),
        TreeFlowMixture(n_components=2, n_trees=2, random_state=0),
    ],
    # it fits uniform floats, whatever the estimator's tags say; test_tables.py has the same for categories
    expected_failed_checks=lambda estimator: (
        {"check_sample_weight_equivalence_on_dense_data": "floats are refused"} | MISTAKEN_CHECKS
        if isinstance(estimator, DiscreteTreeFlow)
        else {}
    ),
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def fitted(name, codes, n_categories, **options):
    return MODELS[name](categories=declared(n_categories), **options).fit(codes)


# ---- exact over the whole domain ----


@pytest.mark.parametrize("name", MODELS)
@given(table=small_tables())
@settings(max_examples=40)
def test_probabilities_of_the_whole_domain_sum_to_one(name, table):
    codes, k = table
    assert np.exp(fitted(name, codes, k).score_samples(whole_domain(k))).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", FLOWS)
@given(table=small_tables())
@settings(max_examples=40)
def test_transform_is_a_bijection_of_the_whole_domain(name, table):
    codes, k = table
    flow = fitted(name, codes, k)
    domain = whole_domain(k)
    z = flow.transform(domain)
    assert len(np.unique(z, axis=0)) == len(domain)
    np.testing.assert_array_equal(flow.inverse_transform(z), domain)
    np.testing.assert_array_equal(flow.transform(flow.inverse_transform(domain)), domain)


@pytest.mark.parametrize("name", MODELS)
@given(table=small_tables())
@settings(max_examples=12)
def test_results_do_not_depend_on_threads_or_instruction_set(name, table):
    codes, k = table
    domain = whole_domain(k)
    results = []
    before = isa.current()
    # each set by one thread, the machine's own by several too
    for kernels, n_jobs in [*((kernels, 1) for kernels in isa.available()), (before, 2), (before, 3)]:
        isa.use(kernels)
        model = fitted(name, codes, k, n_jobs=n_jobs)
        results.append([model.score_samples(domain), model.sample(50)])
        if name in FLOWS:
            results[-1].append(model.transform(domain))
    isa.use(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n_columns", [3, 50, 150])
def test_results_do_not_depend_on_threads_or_batches_of_large_tables(name, n_columns):
    if "mixture" in name:  # they grow forests for each fold, and are of parts that the others try at these sizes
        n_columns = n_columns // 5 + 2
    k = [2, 5] * n_columns
    codes = random_table(0, 600, k)
    model, other = (fitted(name, codes, k, n_jobs=n_jobs) for n_jobs in (1, 2))
    whole = model.score_samples(codes)
    np.testing.assert_array_equal(other.score_samples(codes), whole)
    np.testing.assert_array_equal(other.sample(700), model.sample(700))
    step = 7 if n_columns < 150 else 201
    parts = [slice(start, start + step) for start in range(0, 600, step)]
    np.testing.assert_array_equal(np.concatenate([other.score_samples(codes[part]) for part in parts]), whole)
    if name in FLOWS:
        z = model.transform(codes)
        np.testing.assert_array_equal(other.transform(codes), z)
        np.testing.assert_array_equal(np.concatenate([other.transform(codes[part]) for part in parts]), z)
        np.testing.assert_array_equal(other.inverse_transform(z), codes)


# ---- samples ----


@pytest.mark.parametrize("name", MODELS)
def test_sampled_frequencies_match_the_probabilities(name):
    k = [2, 3, 1, 4]
    model = fitted(name, random_table(11, 400, k), k)
    domain = whole_domain(k)
    n = 200_000
    samples = model.sample(n, random_state=1)
    observed = np.bincount(np.ravel_multi_index(samples.T, k), minlength=len(domain))
    expected = n * np.exp(model.score_samples(domain))
    rare = expected < 5
    observed, expected = (np.append(x[~rare], x[rare].sum()) if rare.any() else x for x in (observed, expected))
    assert chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_sampling_is_by_seed(name):
    k = [3, 4, 5]
    model = fitted(name, random_table(0, 300, k), k)
    np.testing.assert_array_equal(model.sample(40, random_state=5), model.sample(40, random_state=5))
    assert (model.sample(40, random_state=5) != model.sample(40, random_state=6)).any()
    state = np.random.RandomState(0)
    assert (model.sample(40, random_state=state) != model.sample(40, random_state=state)).any()
    assert model.sample(0).shape == (0, 3)
    if name in FLOWS:
        np.testing.assert_array_equal(model.sample(1000, random_state=5)[:40], model.sample(40, random_state=5))


# ---- edges ----


@pytest.mark.parametrize("name", MODELS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_one_row_and_constant_columns(name, seed):
    k = [1, 3, 2]
    model = fitted(name, random_table(seed, 1, k), k)
    assert np.exp(model.score_samples(whole_domain(k))).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_256_categories(name):
    k = [256, 3, 256]
    codes = random_table(0, 1000, k)
    model = fitted(name, codes, k)
    assert np.isfinite(model.score_samples(codes)).all()
    if name in FLOWS:
        np.testing.assert_array_equal(model.inverse_transform(model.transform(codes)), codes)


# ---- copies ----


@pytest.mark.parametrize("name", MODELS)
def test_pickle_clone_and_file(name, tmp_path):
    k = [3, 2, 4]
    codes = random_table(0, 200, k)
    model = fitted(name, codes, k)
    treeflows.save(model, tmp_path / "a")
    loaded = treeflows.load(tmp_path / "a")
    for copy in (pickle.loads(pickle.dumps(model)), clone(model).fit(codes), loaded):
        np.testing.assert_array_equal(copy.score_samples(codes), model.score_samples(codes))
        np.testing.assert_array_equal(copy.sample(20), model.sample(20))
        assert str(copy.get_params().keys()) == str(model.get_params().keys())
    treeflows.save(loaded, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_a_file_has_the_same_bytes_on_every_instruction_set_and_number_of_threads(name, tmp_path):
    """The table is large enough for its loops to be shared out to threads."""
    X = random_table(3, 3000, [2, 5, 3, 2, 40, 2, 7, 2, 3])
    before, digests = isa.current(), {}
    try:
        for instruction_set in isa.available():
            isa.use(instruction_set)
            for n_jobs in (1, 2):
                treeflows.save(MODELS[name](n_jobs=n_jobs).fit(X).set_params(n_jobs=None), tmp_path / "model")
                digest = hashlib.sha256((tmp_path / "model").read_bytes()).hexdigest()
                digests[instruction_set, n_jobs] = digest
    finally:
        isa.use(before)
    assert len(set(digests.values())) == 1, digests
