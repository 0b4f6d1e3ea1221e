"""Held-out likelihood and seconds on a folder of tables: ``python -m benchmarks.likelihood FOLDER`` in asv_bench/.

The folder holds .npz files with the arrays train, valid, test (uint8 codes) and n_categories. Every model is fitted on
train with its defaults (the discrete tree flow with early stopping). Where a peer or a baseline needs a choice, it gets
the candidate of highest likelihood on valid, and its seconds are those of that candidate's fit alone.
"""

import argparse
from functools import partial
from pathlib import Path
from timeit import default_timer

import numpy as np

from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble, TreeFlowMixture

from .baselines import ChowLiu, Independent, ProductMixture, SklearnTrees


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
    "mixture of products (baseline)": [partial(ProductMixture, n) for n in (10, 20, 50, 100)],
    "Chow-Liu (baseline)": [partial(ChowLiu, a) for a in (0.01, 0.1, 1.0)],
    "independent (baseline)": [Independent],
}


def load(path):
    """Codes of the three splits, and the number of categories of each column."""
    data = np.load(path)
    splits = {part: data[part] for part in ("train", "valid", "test")}
    if "packed" in data:
        n = int(data["n_columns"])
        return {part: np.unpackbits(rows, axis=1)[:, :n].copy() for part, rows in splits.items()}, np.full(n, 2)
    return splits, data["n_categories"]


def measure(candidates, splits, n_categories, split, repeat):
    """NLL of the split with its standard error, nats; median seconds of fit and score."""

    def timed(work):
        seconds = []
        for _ in range(repeat):
            start = default_timer()
            result = work()
            seconds.append(default_timer() - start)
        return result, float(np.median(seconds))

    fits = [timed(lambda make=make: make().fit(splits["train"], n_categories)) for make in candidates]
    model, fit = max(fits, key=lambda f: f[0].score_samples(splits["valid"]).mean()) if len(fits) > 1 else fits[0]
    scores, score = timed(lambda: model.score_samples(splits[split]))
    return -scores.mean(), scores.std() / np.sqrt(len(scores)), fit, score


def draw(results, path):
    """NLL above the best of each table against fit seconds, a mark a table."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4), layout="constrained")
    ax = figure.subplots()
    best = {name: min(r[0] for r in rows.values()) for name, rows in results.items()}
    for i, model in enumerate(MODELS):
        points = [(r[model][2], r[model][0] / best[name] - 1) for name, r in results.items() if model in r]
        if points:
            seconds, excess = np.array(points).T
            marker = "os^Dvx+*"[i]
            ax.plot(seconds, 100 * excess, marker, color=f"C{i}", label=model, alpha=0.75)
    ax.set(xscale="log", xlabel="seconds of the fit", ylabel="NLL above the table's best, %", title="a mark a table")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylim(-0.1, None)
    ax.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)


def main():
    """Measure, print a table in Markdown, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of files without .npz (default: all)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--split", choices=["valid", "test"], default="test")
    parser.add_argument("--repeat", type=int, default=1, help="times to fit and score; seconds are medians")
    parser.add_argument("--picture", type=Path, help="file to draw NLL against fit seconds into")
    arguments = parser.parse_args()
    sets = arguments.sets or sorted(path.stem for path in arguments.folder.glob("*.npz"))
    print("| table | model | NLL, nats | standard error | fit, s | score, s |\n|---|---|---|---|---|---|")
    results = {}
    for name in sets:
        splits, k = load(arguments.folder / f"{name}.npz")
        for model in arguments.models:
            row = measure(MODELS[model], splits, k, arguments.split, arguments.repeat)
            results.setdefault(name, {})[model] = row
            print(f"| {name} | {model} | {row[0]:.3f} | {row[1]:.3f} | {row[2]:.4f} | {row[3]:.4f} |", flush=True)
    if arguments.picture:
        draw(results, arguments.picture)


if __name__ == "__main__":
    main()
