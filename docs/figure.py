"""Draw docs/flow.png: eight Gaussians on a grid of 91 x 91 categories, and what a flow makes of them."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from treeflows import DiscreteTreeFlow, LikelihoodCurveDisplay

K = 91


def draw(n_rows, seed):
    """Rows of two columns with K categories each."""
    rng = np.random.default_rng(seed)
    angle = rng.integers(0, 8, n_rows) * np.pi / 4
    centre = np.column_stack([np.cos(angle), np.sin(angle)])
    points = centre * K / 3 + rng.normal(0, K / 40, (n_rows, 2)) + K / 2
    return np.clip(points.astype(int), 0, K - 1)


def main():
    """Fit, measure on new rows, draw."""
    rows, new = draw(10_000, 0), draw(10_000, 1)
    flow = DiscreteTreeFlow(10, categories=[np.arange(K)] * 2, n_jobs=-1).fit(rows)
    figure = Figure(figsize=(12, 3.3), layout="constrained")
    axes = figure.subplots(1, 4)
    _, nll = LikelihoodCurveDisplay.from_estimator(flow, new, ax=axes[3]).curves["rows given"]
    panels = [
        (rows, f"data x\nindependent columns: {nll[0]:.2f} nats"),
        (flow.transform(rows), f"codes z after 10 layers\nflow: {nll[-1]:.2f} nats"),
        (flow.sample(10_000, random_state=0), "10,000 rows sampled\nfrom the flow"),
    ]
    for ax, (table, title) in zip(axes, panels, strict=False):
        counts = np.zeros((K, K))
        np.add.at(counts, (table[:, 1], table[:, 0]), 1)
        ax.imshow(np.sqrt(counts), origin="lower", cmap="magma_r", interpolation="nearest")
        ax.set_title(title, fontsize=10)
        ax.set(xlabel="column 0", ylabel="column 1", xticks=[0, K - 1], yticks=[0, K - 1])
    axes[3].set_title("negative log-likelihood of\ntraining and of 10,000 new rows", fontsize=10)
    axes[3].set_ylabel("nats per row")
    figure.savefig(Path(__file__).with_name("flow.png"), dpi=100)


if __name__ == "__main__":
    main()
