"""Rows that come later: counted in trees that stay, the same whatever the chunks."""

import pickle

import numpy as np
import pandas as pd
import pytest
import readable_trees
from conftest import declared, random_table, whole_domain
from sklearn.base import clone

import treeflows
from treeflows import AutoregressiveTreeFlow, TreeFlowMixture
from treeflows.learning.rows import MOST_ROWS
from treeflows.models import questions

K = [3, 2, 4, 2, 3]
MODELS = {
    "trees": lambda **o: AutoregressiveTreeFlow(random_state=0, **o),
    "trees of drawn columns": lambda **o: AutoregressiveTreeFlow(
        max_features=2, min_samples_leaf=1, smoothing=0.5, random_state=0, **o
    ),
    "mixture": lambda **o: TreeFlowMixture(n_components=3, n_trees=3, random_state=0, **o),
    "average": lambda **o: TreeFlowMixture(n_components=2, n_trees=1, logistic=False, random_state=0, **o),
}


def unfitted(name, **options):
    return MODELS[name](categories=declared(K), **options)


def later(model, *tables, **options):
    for table in tables:
        model.partial_fit(table, **options)
    return model


# ---- the definition ----


def recount(node, codes, target):
    """Put the counts of other rows into a readable tree, from its root down."""
    node.counts = np.bincount(codes[:, target], minlength=len(node.counts))
    if node.children:
        inside = (node.low <= codes[:, node.column]) & (codes[:, node.column] <= node.high)
        for child, side in zip(node.children, (inside, ~inside), strict=True):
            recount(child, codes[side], target)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("refit", [False, True])
def test_it_is_the_readable_one(seed, refit):
    k = [2, 3, 3]
    codes = random_table(seed, 160, k)
    first, others = codes[:100], codes[100:]
    flow = AutoregressiveTreeFlow(order="natural", min_samples_leaf=12, smoothing=0.5, categories=declared(k))
    flow.partial_fit(first)
    counted = others if refit else codes
    model = flow.refit_counts(others) if refit else flow.partial_fit(others)
    domain = whole_domain(k)
    log_prob, evidence = np.zeros(len(domain)), []
    for t in range(3):
        root = readable_trees.grow(first, k, t, range(t), 12)
        recount(root, counted, t)
        log_evidence, prob = readable_trees.average(root, 0.5, 1.0)
        evidence.append(log_evidence)
        leaves = readable_trees.leaves_of(root)
        at = [next(i for i, n in enumerate(leaves) if n is readable_trees.leaf_at(root, row)) for row in domain]
        log_prob += np.log(prob[at, domain[:, t]])
    np.testing.assert_allclose(model.evidence_, evidence, rtol=1e-10)
    # posteriors below 1e-4 are not kept
    np.testing.assert_allclose(np.exp(model.score_samples(domain)), np.exp(log_prob), rtol=2e-3)


def test_the_hidden_column_takes_one_step_of_em():
    codes = random_table(0, 700, K)
    model = unfitted("mixture").partial_fit(codes[:400])
    before = model.distribution_.average
    weight, theta = before.products.weight, np.split(before.products.prob, np.cumsum(K)[:-1])
    joint = weight * np.prod([part[codes[:, j]] for j, part in enumerate(theta)], axis=0)
    posterior = joint / joint.sum(axis=1, keepdims=True)
    model.partial_fit(codes[400:])
    after = model.distribution_.average
    rows = posterior.sum(axis=0)
    largest = np.argsort(-rows)
    np.testing.assert_allclose(after.products.weight, ((rows + 1) / (rows + 1).sum())[largest], rtol=1e-6)
    for j, part in enumerate(np.split(after.products.prob, np.cumsum(K)[:-1])):
        one_hot = np.eye(K[j])[codes[:, j]]
        marginal = (one_hot.sum(axis=0) + 0.5) / (len(codes) + 0.5 * K[j])
        expected = one_hot.T @ posterior + marginal[:, None]
        np.testing.assert_allclose(part, (expected / expected.sum(axis=0))[:, largest], rtol=1e-6)
    np.testing.assert_array_equal(after.share, before.share)
    assert after.tried.tolist() == before.tried.tolist()
    assert len(after.trees) == len(before.trees) == 3


# ---- any chunks, the same bytes ----


@pytest.mark.parametrize("name", MODELS)
def test_the_first_call_learns_as_fit_does(name, file_of):
    codes = random_table(1, 300, K)
    weight = np.random.default_rng(0).integers(0, 3, 300)
    assert file_of(unfitted(name).partial_fit(codes)) == file_of(unfitted(name).fit(codes))
    weighted = unfitted(name).partial_fit(codes, sample_weight=weight)
    assert file_of(weighted) == file_of(unfitted(name).fit(codes, sample_weight=weight))


@pytest.mark.parametrize("name", MODELS)
def test_any_chunks_and_any_order_give_the_same_file(name, file_of):
    codes = random_table(2, 900, K)
    first, rest = codes[:300], codes[300:]
    start = unfitted(name).partial_fit(first)
    expected = file_of(later(clone(start), first, rest))
    assert expected != file_of(start)
    rng = np.random.default_rng(0)
    shuffled = rest[rng.permutation(len(rest))]
    assert file_of(later(clone(start), first, *np.split(shuffled, [1, 2, 100, 350]))) == expected
    assert file_of(later(clone(start), first[::-1], rest)) == expected
    asked = unfitted(name).partial_fit(first)
    for part in np.split(rest, 3):
        asked.partial_fit(part).score_samples(first)
    assert file_of(asked) == expected
    rows, weight = np.unique(rest, axis=0, return_counts=True)
    weighted = unfitted(name, n_jobs=2).partial_fit(first).partial_fit(rows, sample_weight=weight.astype(float))
    assert file_of(weighted.set_params(n_jobs=None)) == expected


def test_long_tables_on_every_instruction_set_and_many_threads(each_isa, file_of):
    codes = random_table(3, 20_000, K)
    flow = AutoregressiveTreeFlow(n_jobs=3, categories=declared(K)).partial_fit(codes[:500])
    assert flow.partial_fit(codes[500:]).distribution_.leaf_rows.sum() == 5 * 20_000
    alone = AutoregressiveTreeFlow(categories=declared(K)).partial_fit(codes[:500])
    for part in np.array_split(codes[500:], 7):
        alone.partial_fit(part)
    assert file_of(flow.set_params(n_jobs=None)) == file_of(alone)


@pytest.mark.parametrize("name", ["trees", "mixture"])
def test_packed_tables_are_counted_in_blocks(name, file_of, tmp_path, monkeypatch):
    table = pd.DataFrame(random_table(3, 500, K), columns=list("abcde"))
    parts = [treeflows.pack(part, tmp_path / f"part{i}") for i, part in enumerate((table[:200], table[200:]))]
    monkeypatch.setattr(questions, "BLOCK_CELLS", 250)
    expected = later(unfitted(name), table[:200], table[200:])
    assert file_of(later(unfitted(name), *parts)) == file_of(expected)
    weight = np.arange(300) % 3
    weighted = unfitted(name).partial_fit(table[:200]).partial_fit(parts[1], sample_weight=weight)
    repeated = table.loc[np.repeat(table.index[200:], weight)]
    assert file_of(weighted) == file_of(later(unfitted(name), table[:200], repeated))


# ---- what it is then ----


@pytest.mark.parametrize("name", MODELS)
def test_it_is_a_density_of_the_whole_domain(name, tmp_path):
    codes = random_table(4, 600, K)
    model = unfitted(name).partial_fit(codes[:200]).partial_fit(codes[200:])
    domain = whole_domain(K)
    scores = model.score_samples(domain)
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(domain)), domain)
    treeflows.save(model, tmp_path / "model")
    np.testing.assert_array_equal(treeflows.load(tmp_path / "model").score_samples(domain), scores)
    assert "600 rows by their evidence" in model.summary()[1]


def test_more_rows_make_better_likelihoods():
    codes = random_table(5, 21_000, K)
    train, test = codes[:20_000], codes[20_000:]
    flow = unfitted("trees").partial_fit(train[:2000])
    before = flow.score(test)
    assert before < flow.partial_fit(train[2000:]).score(test)
    assert flow.score(test) == pytest.approx(unfitted("trees").fit(train).score(test), abs=0.02)
    assert flow.log_evidence_ == pytest.approx(flow.score(train) * 20_000, rel=0.02)
    assert [tree.leaf_rows.sum() for tree in flow.trees_] == [20_000] * 5


def test_unseen_values_that_have_a_code_are_counted():
    first, rest = np.array([["a"], ["b"]] * 50), np.array([["a"], ["new"]] * 50)
    model = AutoregressiveTreeFlow(handle_unknown="reserve", random_state=0).partial_fit(first).partial_fit(rest)
    assert model.conditional_proba([["a"]], 0)[0] == pytest.approx([0.5, 0.25, 0.25], abs=0.01)


def test_evidence_tells_whether_the_structure_holds_for_other_rows():
    rng = np.random.default_rng(0)
    coin = rng.integers(0, 2, 400)
    linked, apart = np.column_stack([coin, coin]), rng.integers(0, 2, (400, 2))
    flow = AutoregressiveTreeFlow().partial_fit(linked)
    assert flow.evidence_[1] > -10
    assert flow.refit_counts(apart).evidence_[1] == pytest.approx(-400 * np.log(2), abs=10)


@pytest.mark.parametrize("name", MODELS)
def test_counts_of_other_rows(name, file_of):
    codes = random_table(6, 700, K)
    start = unfitted(name).partial_fit(codes[:300])
    other = unfitted(name).partial_fit(codes[:300]).partial_fit(codes[300:500]).refit_counts(codes[300:])
    in_parts = unfitted(name).partial_fit(codes[:300]).refit_counts(codes[:500:-1], np.ones(199))
    assert file_of(other) == file_of(in_parts.partial_fit(codes[300:501]))
    again = pickle.loads(pickle.dumps(other)).refit_counts(codes[:300])
    if "trees" in name:
        assert file_of(again) == file_of(start)
    assert other.refit_counts(codes[:1]).score(codes) < start.score(codes)


def test_leaves_without_rows(tmp_path):
    codes = random_table(7, 300, K)
    flow = unfitted("trees").partial_fit(codes)
    flow.refit_counts(np.repeat(codes[:1], 50, axis=0))
    assert all(tree.to_text() for tree in flow.trees_)
    tree = next(tree for tree in flow.trees_ if (tree.leaf_rows == 0).any())
    assert tree.told(np.flatnonzero(tree.leaf_rows == 0)[:1].tolist(), 2)[0] == "0 rows"
    treeflows.save(flow, tmp_path / "model")
    assert treeflows.load(tmp_path / "model").score(codes) == flow.score(codes)


# ---- who goes on, and who cannot ----


@pytest.mark.parametrize("name", ["trees", "mixture"])
def test_a_pickle_goes_on_and_a_clone_starts_anew(name, file_of):
    codes = random_table(8, 500, K)
    model = unfitted(name).partial_fit(codes[:200])
    copy = pickle.loads(pickle.dumps(model))
    assert file_of(copy.partial_fit(codes[200:])) == file_of(model.partial_fit(codes[200:]))
    assert file_of(clone(model).partial_fit(codes[:200])) == file_of(unfitted(name).fit(codes[:200]))
    assert len(pickle.dumps(model.fit(codes))) == len(pickle.dumps(unfitted(name).fit(codes)))


@pytest.mark.parametrize("name", ["trees", "mixture"])
def test_what_keeps_no_counts_says_so(name, tmp_path):
    codes = random_table(9, 200, K)
    treeflows.save(unfitted(name).partial_fit(codes), tmp_path / "model")
    for model in (
        unfitted(name).fit(codes),
        unfitted(name).partial_fit(codes).fit(codes),
        treeflows.load(tmp_path / "model"),
    ):
        assert not model.keeps_counts
        assert not hasattr(model, "partial_fit")  # as scikit-learn's conventions have it
        with pytest.raises(AttributeError, match=f"this {type(model).__name__} keeps no counts to go on from: fit and"):
            model.partial_fit(codes)
        with pytest.raises(ValueError, match="keeps no counts to go on from: fit and files do not"):
            model.refit_counts(codes)
    with pytest.raises(ValueError, match="keeps no counts"):
        unfitted(name).refit_counts(codes)
    assert not hasattr(unfitted(name), "distribution_")


@pytest.mark.parametrize("name", ["trees", "mixture"])
def test_a_table_that_is_refused_changes_nothing(name, file_of):
    table = pd.DataFrame({"size": list("SML") * 60, "colour": ["red", "blue"] * 90})
    model = clone(unfitted(name)).set_params(categories="auto").partial_fit(table)
    before = file_of(model)
    unknown = table.assign(size="XL")
    with pytest.raises(ValueError, match="'size' .*'XL'.*handle_unknown='reserve' or categories=") as told:
        model.partial_fit(unknown)
    with pytest.raises(ValueError) as scored:
        model.score(unknown)
    assert str(told.value) == str(scored.value).replace("; ask with unseen='ignore'", "")
    with pytest.raises(ValueError, match="the table lacks 'colour', and whole rows are wanted"):
        model.partial_fit(table[["size"]])
    with pytest.raises(ValueError, match="0 row"):
        model.partial_fit(table[:0])
    with pytest.raises(ValueError, match="holds 0.5; after the first call weights are whole numbers"):
        model.partial_fit(table, sample_weight=np.repeat(0.5, len(table)))
    with pytest.raises(ValueError, match=f"at most {MOST_ROWS:,} can be counted"):
        model.partial_fit(table[:1], sample_weight=[MOST_ROWS - 10])
    assert file_of(model) == before
    ignored = model.partial_fit(pd.concat([table, unknown]), sample_weight=np.repeat([1, 0], len(table)))
    assert ignored.summary()[1].count("360 rows by their evidence") == 1


def test_missing_cells_after_the_first_call():
    table = pd.DataFrame({"size": ["S", "M", None] * 60, "colour": ["red", "blue"] * 90})
    as_value = AutoregressiveTreeFlow().partial_fit(table).partial_fit(table)
    assert as_value.score(table) == pytest.approx(AutoregressiveTreeFlow().fit(pd.concat([table] * 2)).score(table))
    drawn = AutoregressiveTreeFlow(missing="marginalize", random_state=0).partial_fit(table)
    with pytest.raises(ValueError, match="'size' has a missing value at row 2.*impute first"):
        drawn.partial_fit(table)
    assert drawn.partial_fit(table.dropna()).evidence_.shape == (2,)


@pytest.mark.parametrize("name", ["trees", "mixture"])
def test_numbers_are_refused(name):
    table = pd.DataFrame({"age": np.arange(50) / 7, "colour": ["red", "blue"] * 25})
    with pytest.raises(ValueError, match="partial_fit counts categories, and column 'age' holds numbers: bin them"):
        MODELS[name]().partial_fit(table)
