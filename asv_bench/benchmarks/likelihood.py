"""Held-out likelihood and seconds on a folder of tables: ``python -m benchmarks.likelihood FOLDER`` in asv_bench/.

The folder holds .npz files with the arrays train, valid, test (uint8 codes) and n_categories. Every model is fitted on
train with its defaults (the discrete tree flow with early stopping). Where a peer or a baseline needs a choice, it gets
the candidate of highest likelihood on valid, and its seconds are those of that candidate's fit alone. Published figures
are those of benchmarks/published.py, ± the standard error of the model that is best.
"""

import argparse
from functools import partial
from pathlib import Path
from timeit import default_timer

import numpy as np

from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble, TreeFlowMixture

from . import published
from .baselines import ChowLiu, Independent, ProductMixture
from .peers import BoostedTrees, SklearnTrees


class Ours:
    """One of this package's estimators on codes of a declared domain."""

    def __init__(self, make):
        self.make = make

    def fit(self, codes, n_categories):
        """Learn."""
        self.model = self.make([np.arange(k) for k in n_categories]).fit(codes)
        return self

    def score_samples(self, codes):
        """Nats."""
        return self.model.score_samples(codes)


def tree_flow(categories):
    """One tree a column."""
    return AutoregressiveTreeFlow(categories=categories, n_jobs=-1)


def mixture(categories, **options):
    """Several trees a column and a hidden column."""
    return TreeFlowMixture(categories=categories, random_state=0, n_jobs=-1, **options)


def ensemble(categories, **options):
    """Ten mixtures in different orders."""
    return TreeFlowEnsemble(categories=categories, random_state=0, n_jobs=-1, **options)


def discrete(categories):
    """The paper's flow over independent columns."""
    return DiscreteTreeFlow(10, early_stopping=True, categories=categories, random_state=0, n_jobs=-1)


# name: candidates, of which valid chooses
MODELS = {
    "tree flow": [partial(Ours, tree_flow)],
    "mixture": [partial(Ours, mixture)],
    "ensemble of 10 mixtures": [partial(Ours, ensemble)],
    "discrete tree flow": [partial(Ours, discrete)],
    "sklearn trees (peer)": [partial(SklearnTrees, a) for a in (0.01, 0.1, 1.0)],
    "boosted trees (peer)": [partial(BoostedTrees, rate) for rate in (0.03, 0.1)],
    "mixture of products (baseline)": [partial(ProductMixture, n) for n in (10, 20, 50, 100)],
    "Chow-Liu (baseline)": [partial(ChowLiu, a) for a in (0.01, 0.1, 1.0)],
    "independent (baseline)": [Independent],
}
MOST_COLUMNS = {"boosted trees (peer)": 64}  # their time grows with the square of the columns


def load(path):
    """Codes of the three splits, and the number of categories of each column."""
    data = np.load(path)
    splits = {part: data[part] for part in ("train", "valid", "test")}
    if "packed" in data:
        n = int(data["n_columns"])
        return {part: np.unpackbits(rows, axis=1)[:, :n].copy() for part, rows in splits.items()}, np.full(n, 2)
    return splits, data["n_categories"]


def told(seconds):
    """Seconds to two digits, in milliseconds where they are few."""
    scaled, unit = (1000 * seconds, "ms") if seconds < 1 else (seconds, "s")
    return f"{scaled:.{1 if scaled < 10 else 0}f} {unit}"


def measure(candidates, splits, n_categories, split, repeat):
    """NLL of the split with its standard error, nats; median seconds of the fit."""
    fits = []
    for make in candidates:
        seconds = []
        for _ in range(repeat):
            start = default_timer()
            model = make().fit(splits["train"], n_categories)
            seconds.append(default_timer() - start)
        fits.append((model, float(np.median(seconds))))
    model, seconds = max(fits, key=lambda f: f[0].score_samples(splits["valid"]).mean()) if len(fits) > 1 else fits[0]
    scores = model.score_samples(splits[split])
    return -scores.mean(), scores.std() / np.sqrt(len(scores)), seconds


def draw(results, others, path):
    """NLL above the best of each table, published figures included: against the seconds of the fit, and by table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained")
    by_seconds, by_table = figure.subplots(1, 2, sharey=True)
    names = list(results)
    best = {n: min([r[0] for r in results[n].values()] + list(others.get(n, {}).values())) for n in names}
    for i, model in enumerate(MODELS):
        points = [(r[model][2], j, r[model][0] / best[n] - 1) for j, (n, r) in enumerate(results.items()) if model in r]
        if points:
            seconds, place, excess = np.array(points).T
            for ax, x, label in ((by_seconds, seconds, model), (by_table, place, None)):
                ax.plot(x, 100 * excess, "os^Dvpx+*"[i], color=f"C{i}", label=label, alpha=0.75)
    marks = [(j, 100 * (nll / best[n] - 1)) for j, n in enumerate(names) for nll in others.get(n, {}).values()]
    if marks:
        by_table.plot(*zip(*marks, strict=True), "_", color="black", markersize=14, mew=2, label="published")
    by_seconds.set(xscale="log", xlabel="seconds of the fit", ylabel="NLL above the table's best, %")
    by_seconds.set_yscale("symlog", linthresh=1)
    by_seconds.set_ylim(-0.1, None)
    by_table.set_xticks(range(len(names)), names, rotation=60, ha="right")
    for ax in (by_seconds, by_table):
        ax.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)


def main():
    """Measure, print a table in Markdown, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of files without .npz (default: all)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--split", choices=["valid", "test"], default="test", help="published figures are of test")
    parser.add_argument("--repeat", type=int, default=1, help="times to fit; seconds are medians")
    parser.add_argument("--picture", type=Path, help="file to draw NLL against fit seconds, and by table, into")
    arguments = parser.parse_args()
    others = published.NLL if arguments.split == "test" else {}
    print("| table | best published |", *(f"{model} |" for model in arguments.models), "± |")
    print("|---" * (len(arguments.models) + 3) + "|")
    results = {}
    for name in arguments.sets or sorted(path.stem for path in arguments.folder.glob("*.npz")):
        splits, k = load(arguments.folder / f"{name}.npz")
        best = min(((nll, who) for who, nll in others.get(name, {}).items()), default=None)
        print(f"| {name} |", "|" if best is None else f"{best[0]:.2f} {best[1]} |", end="", flush=True)
        rows = results[name] = {}
        for model in arguments.models:
            if len(k) > MOST_COLUMNS.get(model, np.inf):
                print(f" more than {MOST_COLUMNS[model]} columns |", end="", flush=True)
                continue
            rows[model] = nll, _, seconds = measure(MODELS[model], splits, k, arguments.split, arguments.repeat)
            print(f" {nll:.3f} ({told(seconds)}) |", end="", flush=True)
        print(f" {min(rows.values())[1]:.3f} |")
    if arguments.picture:
        draw(results, others, arguments.picture)


if __name__ == "__main__":
    main()
