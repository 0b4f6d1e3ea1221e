"""Pictures: what they show, against straightforward computations, and where they are drawn."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import declared, random_table
from matplotlib import pyplot
from matplotlib.figure import Figure
from scipy.special import logsumexp
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mutual_info_score

from treeflows import (
    AnomaliesDisplay,
    AutoregressiveTreeFlow,
    DependenceDisplay,
    DiscreteTreeFlow,
    ImageGalleryDisplay,
    LikelihoodCurveDisplay,
    MarginalsDisplay,
    PairDisplay,
    TreeDisplay,
    TreeFlowEnsemble,
    TreeFlowMixture,
)
from treeflows.learning.orders import mutual_information
from treeflows.pictures.histograms import Histogram

matplotlib.use("Agg")
K = [3, 2, 5, 2, 12, 4]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    for number in pyplot.get_fignums():
        pyplot.figure(number).canvas.draw()  # layout and text are worked out only now
    pyplot.close("all")


@pytest.fixture(scope="module")
def codes():
    return random_table(0, 1200, K)


@pytest.fixture(scope="module")
def trees(codes):
    return AutoregressiveTreeFlow(order="natural", categories=declared(K)).fit(codes)


@pytest.fixture(scope="module")
def layers(codes):
    return DiscreteTreeFlow(4, min_samples_split=20, categories=declared(K), random_state=0).fit(codes)


@pytest.fixture(scope="module")
def mixture(codes):
    return TreeFlowMixture(n_trees=2, categories=declared(K), random_state=0).fit(codes)


@pytest.fixture(scope="module")
def ensemble(codes):
    return TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 3, categories=declared(K), random_state=0).fit(
        codes
    )


def new_axes(*shape):
    """Axes of a figure that pyplot does not know."""
    return Figure(layout="constrained").subplots(*shape)


def written(ax):
    return [text.get_text() for text in ax.texts]


# Every display, of a model and a table


DISPLAYS = {
    LikelihoodCurveDisplay: (1, lambda model, X, **o: LikelihoodCurveDisplay.from_estimator(model, X, **o)),
    DependenceDisplay: (3, lambda model, X, **o: DependenceDisplay.from_estimator(model, X, random_state=0, **o)),
    MarginalsDisplay: (6, lambda model, X, **o: MarginalsDisplay.from_estimator(model, X, random_state=0, **o)),
    ImageGalleryDisplay: (2, lambda model, X, **o: ImageGalleryDisplay.from_estimator(model, X, shape=(2, 3), **o)),
    TreeDisplay: (1, lambda model, X, **o: TreeDisplay.from_estimator(model, layer=1, **o)),
}


@pytest.mark.parametrize(("n_axes", "draw"), DISPLAYS.values(), ids=[c.__name__ for c in DISPLAYS])
def test_axes(layers, codes, n_axes, draw):
    display = draw(layers, codes)
    assert np.size(display.ax_) == n_axes
    assert display.figure_.number in pyplot.get_fignums()
    before = pyplot.get_fignums()
    axes = new_axes(1, n_axes)
    again = draw(layers, codes, ax=axes)
    assert list(np.ravel(again.ax_)) == list(np.ravel(axes))
    assert again.figure_ is np.ravel(axes)[0].figure
    assert again.plot() is again  # and once more, in a figure of its own
    assert len(pyplot.get_fignums()) == len(before) + 1
    with pytest.raises(ValueError, match=f"ax must be {n_axes if n_axes > 1 else 'one'} axes.* got 7"):
        draw(layers, codes, ax=new_axes(7))


@pytest.mark.parametrize("draw", [d for _, d in DISPLAYS.values()], ids=[c.__name__ for c in DISPLAYS])
def test_only_fitted_models(codes, draw):
    with pytest.raises(NotFittedError):
        draw(DiscreteTreeFlow(), codes)
    with pytest.raises(TypeError, match="must be a fitted model of treeflows"):
        draw("model", codes)


def test_matplotlib_is_not_imported_with_the_package(tmp_path):
    command = [
        sys.executable,
        "-P",
        "-c",
        "import sys, treeflows; treeflows.TreeDisplay; sys.exit('matplotlib' in sys.modules)",
    ]
    subprocess.run(command, check=True, cwd=tmp_path)  # a clone's own folder has the sources, not the engine


def test_matplotlib_is_asked_for_by_name(monkeypatch, layers):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'treeflows\[plot\]'"):
        TreeDisplay(layers.layers_[0]).plot()


# Likelihood curves


def test_curves_of_layers(layers, codes):
    new = random_table(0, 1500, K)[1200:]
    display = LikelihoodCurveDisplay.from_estimator(layers, new)
    assert list(display.curves) == ["training rows", "rows given"]
    assert (display.counted, display.kept) == ("layers", 4)
    for rows, what in ((codes, "training rows"), (new, "rows given")):
        numbers, nll = display.curves[what]
        assert numbers.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(nll, [-s.mean() for s in layers.staged_score_samples(rows)], atol=1e-9)
    stopped = DiscreteTreeFlow(8, early_stopping=True, n_iter_no_change=1, random_state=0).fit(codes[:200])
    display = LikelihoodCurveDisplay.from_estimator(stopped)
    assert display.curves["validation rows"][1].tolist() == (-stopped.validation_score_).tolist()
    assert [line.get_label() for line in display.ax_.lines][-1] == f"kept: {len(stopped.layers_)}"


def test_curve_of_hidden_states(mixture, codes):
    display = LikelihoodCurveDisplay.from_estimator(mixture, codes)
    numbers, nll = display.curves["validation rows"]
    assert dict(zip(numbers.tolist(), (-nll).tolist(), strict=True)) == mixture.validation_score_
    assert display.kept == len(mixture.weights_)
    numbers, nll = display.curves["rows given"]
    assert numbers.tolist() == [display.kept]
    assert nll[0] == -mixture.score(codes)
    assert display.ax_.get_xticks().tolist() == list(mixture.validation_score_)
    assert list(LikelihoodCurveDisplay.from_estimator(mixture).curves) == ["validation rows"]


def test_curve_of_members(ensemble, codes):
    numbers, nll = LikelihoodCurveDisplay.from_estimator(ensemble, codes).curves["rows given"]
    assert numbers.tolist() == [1, 2, 3]
    scores = np.stack([member.score_samples(codes) for member in ensemble.estimators_])
    for m in numbers:
        weights = ensemble.weights_[:m] / ensemble.weights_[:m].sum()
        assert nll[m - 1] == pytest.approx(-logsumexp(scores[:m], b=weights[:, None], axis=0).mean())
    assert nll[-1] == pytest.approx(-ensemble.score(codes))
    with pytest.raises(TypeError, match="give X"):
        LikelihoodCurveDisplay.from_estimator(ensemble)


def test_curve_of_members_of_rows_with_holes(codes):
    holes = codes.astype(float)
    holes[::7, 1] = np.nan
    ensemble = TreeFlowEnsemble(n_estimators=2, missing="marginalize", random_state=0).fit(holes)
    _, nll = LikelihoodCurveDisplay.from_estimator(ensemble, holes).curves["rows given"]
    assert nll[-1] == pytest.approx(-ensemble.score(holes))


def test_curve_of_members_of_another_kind(codes):
    class Uniform:
        def __init__(self):
            pass

        def get_params(self, deep=False):
            return {}

        def fit(self, codes):
            assert codes.dtype == np.uint8
            return self

        def score_samples(self, codes):
            assert codes.dtype == np.uint8
            return np.full(len(codes), -np.log(2 * 3.0))

        def sample(self, n):
            return np.zeros((n, 2), dtype=int)

    X = np.array(["no", "yes", "maybe"])[codes[:, [1, 0]]]
    ensemble = TreeFlowEnsemble(Uniform(), 2, random_state=0).fit(X)
    _, nll = LikelihoodCurveDisplay.from_estimator(ensemble, X).curves["rows given"]
    np.testing.assert_allclose(nll, np.log(6))


def test_trees_have_no_curve(trees, codes):
    with pytest.raises(TypeError, match="AutoregressiveTreeFlow has no layers, hidden states or members"):
        LikelihoodCurveDisplay.from_estimator(trees, codes)


# Dependence


@pytest.mark.parametrize("n_threads", [1, 2])
def test_mutual_information_in_nats(codes, n_threads):
    found = mutual_information(codes.astype(np.uint8), np.array(K, dtype=np.int32), n_threads)
    for i, j in np.ndindex(found.shape):
        assert found[i, j] == pytest.approx(mutual_info_score(codes[:, i], codes[:, j]) if i != j else 0, abs=1e-9)


def test_dependence(layers, ensemble, codes):
    display = DependenceDisplay.from_estimator(layers, codes, random_state=3)
    tables = {"data": codes, "samples": layers.sample(1200, random_state=3), "codes": layers.transform(codes)}
    assert list(display.information) == list(tables)
    for what, table in tables.items():
        expected = mutual_info_score(table[:, 0], table[:, 4])
        assert display.information[what][0, 4] == pytest.approx(expected, abs=1e-9)
    means = {what: nats[~np.eye(6, dtype=bool)].mean() for what, nats in display.information.items()}
    assert 0 < display.chance < means["codes"] < means["data"]
    assert [ax.get_title() for ax in display.ax_] == [f"{what}: mean {nats:.2g} nats" for what, nats in means.items()]
    assert display.ax_[0].get_images()[0].get_clim() == display.ax_[2].get_images()[0].get_clim()
    assert [label.get_text() for label in display.ax_[0].get_xticklabels()] == [f"x{j}" for j in range(6)]
    again = DependenceDisplay.from_estimator(layers, codes, random_state=3)
    assert again.chance == display.chance
    assert list(DependenceDisplay.from_estimator(ensemble, codes).information) == ["data", "samples"]


def test_dependence_of_many_columns_and_of_one():
    display = DependenceDisplay({"data": np.zeros((40, 40))}, [f"column {j}" for j in range(40)]).plot()
    assert display.ax_[0].get_xlabel() == "column"
    assert DependenceDisplay({"data": np.zeros((1, 1))}, ["alone"]).plot().ax_[0].get_title() == "data: mean 0 nats"


# Frequencies


def test_marginals(trees, codes):
    display = MarginalsDisplay.from_estimator(trees, codes, max_columns=4, random_state=3)
    samples = trees.sample(1200, random_state=3)
    for j, k in enumerate(K):
        expected = [[(table[:, j] == v).mean() for v in range(k)] for table in (codes, samples)]
        np.testing.assert_allclose([display.data[j], display.samples[j]], expected)
        assert display.distance[j] == pytest.approx(np.abs(np.subtract(*expected)).sum() / 2)
    assert len(display.ax_) == 4
    order = np.argsort(-display.distance, kind="stable")
    for ax, j in zip(display.ax_, order, strict=False):
        assert ax.get_title() == f"x{j}\ndistance {display.distance[j]:.3f}"
        assert len(ax.patches) == 2 * min(K[j], 10)


def test_rare_categories_are_summed_up():
    data, samples = np.arange(1, 13) / 78, np.arange(12, 0, -1) / 78
    display = MarginalsDisplay([data], [samples], ["column"], [[f"c{v}" for v in range(12)]]).plot()
    (ax,) = display.ax_
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["c0", "c1", "c2", "c3", "c4", "c8", "c9", "c10", "c11", "3 others"]
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(2, 10)
    np.testing.assert_allclose(widths.sum(axis=1), 1)
    np.testing.assert_allclose(widths[:, -1], [data[5:8].sum(), samples[5:8].sum()])


# Numbers


@pytest.fixture(scope="module")
def measured():
    """A table of a number that mostly is 0, whole numbers, times and a category, and a model of it."""
    rng, n = np.random.default_rng(0), 300
    whole = rng.poisson(20, n) * 5
    table = pd.DataFrame(
        {
            "gain": np.where(rng.random(n) < 0.9, 0.0, rng.exponential(100, n)),
            "whole": whole,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(whole + rng.integers(0, 9, n), "D"),
            "sex": rng.choice(["f", "m"], n),
        }
    )
    table.loc[::10, "day"] = pd.NaT
    return TreeFlowMixture(numeric="auto", random_state=0).fit(table), table


def test_marginals_of_numbers(measured):
    model, table = measured
    display = MarginalsDisplay.from_estimator(model, table, random_state=0)
    gain, whole, _, sex = display.histograms
    assert sex is None
    assert gain.atoms.tolist() == [0]
    np.testing.assert_allclose(display.data[0][-2], (table["gain"] == 0).mean())  # before what is missing
    assert display.data[2][-1] == 0.1
    for each in (*display.data, *display.samples):
        assert each.sum() == pytest.approx(1)
    # each bin of whole numbers has as many of them
    points = np.arange(whole.edges[0] + 0.5, whole.edges[-1], 1.0)
    assert len(set(np.histogram(points, whole.edges)[0])) == 1
    told = [text for ax in display.ax_ for label in written(ax) for text in label.split("\n")]
    assert any(text.startswith(f"0: {(table['gain'] == 0).mean():.0%} | ") for text in told)
    assert any(text.startswith("missing: 10.0% | ") for text in told)


def test_histograms_count_what_lies_beyond_and_constants(measured):
    model, _ = measured
    quantity = model.domain_.columns[0]
    constant = Histogram.of(np.full(5, 3.0), quantity)
    assert constant.shares(np.array([3.0, -1e9, 1e9])).sum() == pytest.approx(1)
    far = Histogram.of(np.append(np.linspace(0, 1, 500), 1e9), quantity)
    assert far.edges[-1] < 2
    assert far.shares(np.array([1e9]))[-2] == 1


def test_dependence_of_numbers(measured):
    model, table = measured
    display = DependenceDisplay.from_estimator(model, table, random_state=0)
    data = display.information["data"]
    assert data[1, 2] > 0.5 > 0.1 > data[0, 3]
    eighths = pd.qcut(table["whole"], 8, labels=False, duplicates="drop")
    assert data[1, 3] == pytest.approx(mutual_info_score(eighths, table["sex"]), abs=1e-6)


def test_pairs_of_numbers(measured):
    model, table = measured
    display = PairDisplay.from_estimator(model, table, random_state=0)
    assert display.names == ("whole", "day")
    x, y = display.data
    there = table["day"].notna()
    np.testing.assert_array_equal(x, table["whole"][there])
    np.testing.assert_array_equal(y, table["day"][there].to_numpy().astype("M8[us]"))
    assert PairDisplay.from_estimator(model, table, columns=["gain", 1], random_state=0).names == ("gain", "whole")
    with pytest.raises(ValueError, match="two columns of numbers"):
        PairDisplay.from_estimator(model, table, columns=["gain", "sex"])
    with pytest.raises(ValueError, match="gallery of images is not for numbers"):
        ImageGalleryDisplay.from_estimator(model, table, shape=(2, 2))


# Images


def test_images_by_the_value_of_their_pixels():
    rng = np.random.default_rng(0)
    X = rng.choice([0, 3, 16], (60, 6))
    model = AutoregressiveTreeFlow().fit(X)
    display = ImageGalleryDisplay.from_estimator(model, X, shape=(2, 3), n_images=13, random_state=0)
    assert display.data.shape == display.samples.shape == (13, 2, 3)
    assert display.levels == (0.0, 16.0)
    rows = X.tolist()
    assert all(image.ravel().tolist() in rows for image in display.data)
    assert np.isin(display.samples, [0, 3, 16]).all()
    sheet = display.ax_[0].get_images()[0].get_array()
    assert sheet.shape == (2 * 3 - 1, 10 * 4 - 1)  # two lines of ten, a pixel apart
    np.testing.assert_array_equal(sheet[3:5, 4:7], display.data[11])
    assert len(ImageGalleryDisplay.from_estimator(model, X, shape=(2, 3), n_images=99).data) == 60
    with pytest.raises(ValueError, match=r"images of 6 pixels, got \(2, 2\)"):
        ImageGalleryDisplay.from_estimator(model, X, shape=(2, 2))


def test_images_of_names():
    X = pd.DataFrame({"a": ["o", "x"] * 9, "b": ["b", "o"] * 9})
    display = ImageGalleryDisplay.from_estimator(AutoregressiveTreeFlow().fit(X), X, shape=(1, 2), random_state=0)
    assert {tuple(image.ravel()) for image in display.data} == {(1.0, 0.0), (2.0, 1.0)}  # of b, o, x


# Unlikely rows


def anomalies(n, n_columns, seed=0):
    rng = np.random.default_rng(seed)
    values = np.array([[f"v{i}.{j}" for j in range(n_columns)] for i in range(n)], dtype=object)
    return SimpleNamespace(
        rows=np.arange(n) * 7,
        log_likelihood=-np.arange(n, 0, -1.0),
        surprise=rng.gamma(0.5, 2.0, (n, n_columns)),
        values=values,
        names=tuple(f"name {j}" for j in range(n_columns)),
    )


def test_anomalies():
    found = anomalies(3, 9)
    display = AnomaliesDisplay(found).plot(max_columns=4)
    columns = sorted(sorted(range(9), key=lambda j: -found.surprise[:, j].max())[:4])
    assert written(display.ax_) == found.values[:, columns].ravel().tolist()
    np.testing.assert_array_equal(display.ax_.get_images()[0].get_array(), found.surprise[:, columns])
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == [found.names[j] for j in columns]
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["row 0: -3.0", "row 7: -2.0", "row 14: -1.0"]
    assert display.ax_.get_xlabel() == "5 columns of less surprise are left out"
    ax = new_axes()
    assert AnomaliesDisplay(found).plot(ax=ax).ax_ is ax
    assert len(written(ax)) == 27


def test_anomalies_of_a_model(trees, codes):
    class Model:
        def anomalies(self, X, n):
            assert X is codes
            return anomalies(n, X.shape[1])

    assert len(AnomaliesDisplay.from_estimator(Model(), codes, n=5).anomalies.rows) == 5
    display = AnomaliesDisplay.from_estimator(trees, codes, n=5)
    scores = trees.score_samples(codes)
    np.testing.assert_allclose(display.anomalies.log_likelihood, np.sort(scores)[:5])


def test_missing_cells_that_have_no_codes_are_drawn(codes):
    holes = codes.astype(float)
    holes[np.random.default_rng(0).random(holes.shape) < 0.1] = np.nan
    model = AutoregressiveTreeFlow(categories=declared(K), missing="marginalize", random_state=0).fit(holes)
    display = MarginalsDisplay.from_estimator(model, holes)
    assert display.distance.max() < 0.2


# Trees


def expected_leaf(tree, rows):
    """Percentages that a leaf must show, most probable first, of the distributions in the leaves of these rows."""
    prob = tree.prob[rows].mean(axis=0)
    return [f"{100 * prob[v]:.1f}% {tree.labels[tree.target][v]}" for v in np.argsort(-prob, kind="stable")[:3]]


def leaves_of(tree, codes):
    """Leaf of every row, walked."""
    found = []
    for row in codes:
        node = 0 if len(tree.children) else ~0
        while node >= 0:
            node = tree.children[node, 0 if tree.low[node] <= row[tree.column[node]] <= tree.high[node] else 1]
        found.append(~node)
    return np.array(found)


def test_a_tree_of_a_column(trees, codes):
    tree = trees.tree(4)
    assert 1 < len(tree.leaf_rows) < len(trees.trees_[4].leaf_rows)
    display = TreeDisplay.from_estimator(trees, column="x4", max_depth=1)
    assert display.tree.target == 4
    assert display.ax_.get_title(loc="left") == "x4 given x0, x1, x2, x3"
    s, v = tree.column[0], tree.high[0]
    yes = codes[:, s] == v
    leaves = leaves_of(tree, codes)
    texts = written(display.ax_)
    assert texts[:2] == [f"x{s} = {v}", f"posterior {tree.posterior[0]:.2f}"]
    for answer, rows in (("yes", yes), ("no", ~yes)):
        at = texts.index(answer)
        heading = f"{rows.sum():,} rows"
        assert texts[at + 1] in (heading, f"{heading} in {len(set(leaves[rows]))} leaves")
        assert texts[at + 2 : at + 5] == expected_leaf(tree, leaves[rows])
        assert texts[at + 5].endswith("9 others")
    whole = TreeDisplay.from_estimator(trees, column="x4", max_depth=None, full=True, ax=new_axes())
    assert sum("row" in text for text in written(whole.ax_)) == len(trees.trees_[4].leaf_rows)


def test_a_tree_without_questions(trees, mixture):
    display = TreeDisplay.from_estimator(trees, column=0)
    assert written(display.ax_)[0] == "1,200 rows"
    assert display.ax_.get_title(loc="left") == "x0 given nothing"
    assert TreeDisplay.from_estimator(mixture, column=np.int64(2)).tree.target == 2
    assert TreeDisplay.from_estimator(trees, column=3, max_depth=0).ax_.texts


def test_a_tree_of_a_layer(layers):
    layer = layers.layers_[0]
    assert layer.n_leaves > 4
    display = TreeDisplay.from_estimator(layers, layer=1, max_depth=None)
    texts = written(display.ax_)
    headings = [text for text in texts if " row" in text]
    assert len(headings) == layer.n_leaves
    for heading, rows in zip(headings, layer.leaf_rows, strict=True):  # numbered from left to right, as drawn
        assert heading.startswith(f"{rows:,} row")
    first = next(text for text in texts if "→" in text)
    assert any(first.startswith(f"{name}: ") for name in layer.names)
    assert display.ax_.get_title(loc="left") == f"layer of {layer.n_leaves} leaves, 6 columns"
    above = written(TreeDisplay(layer).plot(max_depth=1).ax_)
    assert above[0] in (f"x{layer.column[0]} = {v}" for v in range(12))
    assert sum(int(text.split()[0].replace(",", "")) for text in above if " row" in text) == 1200


def test_names_are_shortened_and_dollars_are_no_formulas(codes):
    name, value = "$a name$ of\nmany characters", "a category of many characters"
    X = pd.DataFrame({name: np.where(codes[:, 1] == 1, value, "$_$"), "b": codes[:, 1].astype(str)})
    trees = AutoregressiveTreeFlow(order="natural").fit(X)
    display = TreeDisplay.from_estimator(trees, column="b")
    assert display.ax_.texts[0].get_text() in (
        "\\$a name\\$ of man…\n= \\$_\\$",
        "\\$a name\\$ of man…\n= a category of…",
    )
    DependenceDisplay.from_estimator(trees, X)
    MarginalsDisplay.from_estimator(trees, X)


def test_trees_that_are_not_there(trees, mixture, layers, ensemble):
    for model, asked, error, told in [
        (trees, {}, ValueError, "column must be given: each has a tree of its own"),
        (trees, {"layer": 1}, ValueError, "layer is not for a model of the kind AutoregressiveTreeFlow"),
        (mixture, {"layer": 1}, ValueError, "layer is not for a model of the kind TreeFlowMixture"),
        (layers, {"column": 0}, ValueError, "column is not for a model of the kind DiscreteTreeFlow"),
        (ensemble, {"column": 0}, TypeError, "TreeFlowEnsemble has no trees"),
        (trees, {"column": "size"}, ValueError, "no column 'size'; there are "),
        (trees, {"column": 6}, ValueError, "no column 6"),
        (layers, {"layer": 0}, ValueError, "layers 1 to 4, got 0"),
        (layers, {"layer": 5}, ValueError, "layers 1 to 4, got 5"),
    ]:
        with pytest.raises(error, match=told):
            TreeDisplay.from_estimator(model, **asked)
