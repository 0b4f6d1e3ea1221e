"""Fit time against rows and columns. Run as a script, it measures and draws docs/scaling.png."""

import sys
from pathlib import Path
from timeit import default_timer

import numpy as np

from treeflows import DiscreteTreeFlow


def draw(n_rows, n_columns, n_categories=4):
    """A table of dependent columns: each repeats the one four before it, or is random."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, n_categories, (n_rows, n_columns), dtype=np.uint8)
    for j in range(4, n_columns):
        copied = rng.random(n_rows) < 0.6
        rows[copied, j] = rows[copied, j - 4]
    return rows, np.full(n_columns, n_categories)


def fit_seconds(n_rows, n_columns, repeat=5):
    """Median seconds of a fit whose trees have the same shape at every size."""
    rows, k = draw(n_rows, n_columns)
    flow = DiscreteTreeFlow(
        5, max_depth=4, min_samples_split=n_rows // 20, categories=[np.arange(n) for n in k], n_jobs=-1
    )
    seconds = []
    for _ in range(repeat):
        start = default_timer()
        flow.fit(rows)
        seconds.append(default_timer() - start)
    return float(np.median(seconds))


def main(path):
    """Measure, print and draw."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    series = [
        ("rows (100 columns)", [(n, 100) for n in (10_000, 100_000, 1_000_000)], 1),
        ("columns (50,000 rows)", [(50_000, n) for n in (50, 200, 800)], 2),
    ]
    for ax, (label, sizes, order) in zip(figure.subplots(1, 2), series, strict=True):
        x = np.array([size[order - 1] for size in sizes])
        seconds = np.array([fit_seconds(*size) for size in sizes])
        for size, t in zip(sizes, seconds, strict=True):
            print(f"{size[0]:>8,} rows {size[1]:>4} columns: {t:.4f} s")
        for i in range(1, len(x)):
            factor = x[i] / x[i - 1]
            print(f"  {factor:.3g} x the {label.split()[0]}: {seconds[i] / seconds[i - 1]:.2f} x the time")
        ax.loglog(x, seconds, "o-", label="fit of 5 layers")
        ax.loglog(x, seconds[0] * (x / x[0]) ** order, ":", color="gray", label=["linear", "quadratic"][order - 1])
        ax.set(xlabel=label, ylabel="seconds")
        ax.set_xticks(x, [f"{n:,}" for n in x])
        ax.set_xticks([], minor=True)
        ax.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "docs" / "scaling.png")
