"""What columns tell of each other: against entropies and mutual information that are known, and against chance."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from treeflows import AutoregressiveTreeFlow, DependenceGraph, DependenceGraphDisplay, TreeFlowMixture
from treeflows.learning.dependence import shared_out

matplotlib.use("Agg")
N = 4000


def table(n, seed):
    """Columns b, which is a or now and then another value; c, the or of two bits; a number of c; and noise."""
    rng = np.random.default_rng(seed)
    a, noise = rng.integers(0, 4, n), rng.integers(0, 3, n)
    b = np.where(rng.random(n) < 0.8, a, rng.integers(0, 4, n))
    bit = rng.integers(0, 2, n)
    c = bit | (a % 2)
    x = rng.normal(size=n) + 3 * c
    return pd.DataFrame({"a": a, "b": b, "bit": bit, "c": c, "x": x, "noise": noise})


@pytest.fixture(scope="module")
def model():
    return AutoregressiveTreeFlow(random_state=0).fit(table(2000, 0))


@pytest.fixture(scope="module")
def graph(model):
    return model.dependence_graph(table(N, 1), random_state=0)


def test_what_a_column_tells_of_another(graph):
    told = dict(zip(graph.names, graph.strength[1], strict=True))
    p = np.array([0.85, 0.05, 0.05, 0.05])
    assert told.pop("a") == pytest.approx(np.log(4) + (p * np.log(p)).sum(), abs=0.05)
    assert max(map(abs, told.values())) < 0.02
    np.testing.assert_allclose(graph.entropy[:2], np.log(4), atol=0.01)
    assert (np.diag(graph.strength) == 0).all()
    assert graph.n_rows == N
    assert not graph.drawn


def test_what_two_columns_tell_together(graph):
    entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)  # of c, all of which bit and a tell together
    assert graph.entropy[3] == pytest.approx(entropy, abs=0.02)
    assert graph.strength[3].sum() == pytest.approx(entropy, abs=0.03)
    assert {name for name, *_ in graph.of("c")} >= {"bit", "a"}
    assert {name for name, *_ in graph.of("x")} >= {"c"}


def test_chance_is_told(graph, model):
    assert graph.of("noise") == []
    assert all("noise" not in {name for name, *_ in graph.of(j)} for j in range(6))
    # noise that a model has learned is not confirmed by rows that it has not seen
    rng = np.random.default_rng(2)
    X = rng.integers(0, 3, (93, 8))
    learned = AutoregressiveTreeFlow(prior_split=50.0, smoothing=0.01, min_samples_leaf=2).fit(X[:70])
    assert learned.dependence_graph(random_state=0).pairs()
    assert learned.dependence_graph(X[70:], random_state=0).pairs() == []


def test_sums_are_what_the_tree_tells():
    codes = table(3000, 3)[["a", "b", "c", "noise"]].to_numpy().astype(np.uint8, order="C")
    k = np.array([4, 4, 2, 3], dtype=np.int32)
    strength, error, entropy = shared_out(codes[:2000], codes[2000:], k, np.zeros(4, dtype=np.int32), range(4))
    flow = AutoregressiveTreeFlow(order=[1, 2, 3, 0], min_samples_leaf=20).fit(codes[:2000])
    p = flow.conditional_proba(codes[2000:], 0)[np.arange(1000), codes[2000:, 0]]
    assert entropy[0] - strength[0].sum() == pytest.approx(-np.log(p).mean(), abs=1e-9)
    assert (error[0, 1:] > 0).all()


def test_the_model_may_be_asked_alone(model, graph):
    believed = model.dependence_graph(n_drawn=4000, random_state=0)
    assert believed.drawn
    assert believed.n_rows == 4000
    np.testing.assert_allclose(believed.strength.sum(axis=1), graph.strength.sum(axis=1), atol=0.1)
    again = model.dependence_graph(n_drawn=4000, random_state=0)
    np.testing.assert_array_equal(again.strength, believed.strength)


def test_graphs_of_folds_are_pooled(model, graph):
    rows = table(N, 1)
    parts = [model.dependence_graph(rows[start:end], random_state=0) for start, end in ((0, 1500), (1500, N))]
    pooled = DependenceGraph.pooled(parts)
    for name in ("strength", "standard_error", "entropy"):
        np.testing.assert_allclose(getattr(pooled, name), getattr(graph, name), atol=1e-12)
    assert (pooled.n_rows, pooled.drawn) == (N, False)


def test_tables_and_texts(graph):
    frame = graph.to_frame("b")
    assert frame.columns.tolist() == ["column", "depends_on", "nats", "standard_error", "share", "confirmed"]
    assert frame["depends_on"].tolist()[0] == "a"
    assert frame["share"][0] == pytest.approx(graph.strength[1, 0] / graph.entropy[1])
    assert frame["confirmed"].tolist() == [True] + [False] * 4
    assert len(graph.to_frame()) == 30
    assert "\n  b on a: 0." in str(graph)
    assert len(graph.to_text(2).splitlines()) == 4
    assert "<td>b</td><td>a</td>" in graph._repr_html_()
    pairs = graph.pairs()
    assert pairs == sorted(pairs, key=lambda pair: -pair[2])
    assert {frozenset(pair[:2]) for pair in pairs} >= {frozenset({0, 1}), frozenset({2, 3})}
    with pytest.raises(ValueError, match="no column 'd'; there are 'a', 'b'"):
        graph.of("d")


def test_missing_cells_and_contexts():
    X = table(600, 4)[["a", "b", "noise"]].astype(object)
    holes = X.mask(np.random.default_rng(0).random(X.shape) < 0.2)
    model = TreeFlowMixture(n_components=2, n_trees=1, missing="marginalize", random_state=0).fit(holes)
    [(name, *_)] = model.dependence_graph(holes, n_drawn=2000, random_state=0).of("b")
    assert name == "a"


@pytest.mark.parametrize("kind", ["codes", "numbers"])
def test_columns_may_depend_on_a_context(kind):
    X = table(N, 5)[["a", "b", "noise"]]
    if kind == "numbers":  # of the context too
        X = X.assign(b=X["b"].astype(float) + np.random.default_rng(0).normal(0, 0.1, N), a=X["a"].astype(float))
    own, context = X[["b", "noise"]], X[["a"]]
    model = AutoregressiveTreeFlow(random_state=0).fit(own[:1500], context=context[:1500])
    for told in ((own[1500:], context[1500:]), (None, context)):
        graph = model.dependence_graph(*told, random_state=0)
        assert graph.names == ("b", "noise", "a")
        assert graph.asked.tolist() == [True, True, False]
        assert [pair[:2] for pair in graph.pairs()] == [(0, 2)]
        assert set(graph.to_frame()["column"]) == {"b", "noise"}
    drawn = DependenceGraphDisplay.from_estimator(
        model, own[1500:], context=context[1500:], random_state=0, ax=Figure().subplots()
    )
    assert [pair[:2] for pair in drawn.pairs_] == [(0, 2)]
    markers = dict(zip(drawn.columns_, (line.get_marker() for line in drawn.ax_.lines), strict=True))
    assert markers == {0: "o", 1: "o", 2: "s"}
    constant = model.dependence_graph(context=context[:1], random_state=0)  # within one, nothing depends on it
    assert constant.of("b") == []
    for told, words in (((), "must be given"), ((own, context[:7]), "7 rows")):
        with pytest.raises((TypeError, ValueError), match=words):
            model.dependence_graph(*told)
    with pytest.raises(TypeError, match="no context"):
        AutoregressiveTreeFlow().fit(own).dependence_graph(own, context)


def test_some_columns_alone_depend_on_what_they_depend_on_among_all(model):
    whole = model.dependence_graph(table(N, 1), random_state=0)
    some = model.dependence_graph(table(N, 1), columns=["b", 3], random_state=0)
    assert np.flatnonzero(some.asked).tolist() == [1, 3]
    np.testing.assert_array_equal(some.strength[[1, 3]], whole.strength[[1, 3]])
    assert np.isnan(some.strength[[0, 2, 4, 5]]).all()
    assert [name for name, *_ in some.of("b")] == ["a"]
    assert some.of("a") == []
    with pytest.raises(ValueError, match="no column"):
        model.dependence_graph(columns=["z"])


def test_pictures(graph):
    try:
        display = DependenceGraphDisplay(graph).plot(ax=Figure().subplots())
        assert sorted(display.columns_) == list(range(6))
        at = {j: i for i, j in enumerate(display.columns_)}
        assert (at[0] - at[1]) % 6 in (1, 5)  # beside each other
        assert [text.get_text() for text in display.ax_.texts] == [graph.names[j] for j in display.columns_]
        assert len(display.ax_.patches) == len(display.pairs_) == len(graph.pairs())
        n = 80
        strength = np.triu(np.random.default_rng(0).random((n, n)), 1)
        of = tuple(f"x{j}" for j in range(n)), strength, np.full((n, n), 1e-9), np.ones(n), 100, True
        many = DependenceGraphDisplay(DependenceGraph(*of)).plot()
        assert len(many.columns_) == 30
        assert len(many.pairs_) == 40
        assert all({i, j} <= set(many.columns_) for i, j, _ in many.pairs_)
        none = DependenceGraph(of[0][:3], np.zeros((3, 3)), np.zeros((3, 3)), np.ones(3), 100, False)
        assert "no dependence" in DependenceGraphDisplay(none).plot().ax_.texts[-1].get_text()
        assert str(none).endswith("\n  none")
    finally:
        pyplot.close("all")
