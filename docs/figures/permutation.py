"""One layer: a table, the tree that permutes it, and its codes."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mutual_info_score

from treeflows import DiscreteTreeFlow, TreeDisplay

rng = np.random.default_rng(0)
first = rng.choice(2, 4000, p=[0.4, 0.6])
X = np.column_stack([first, (2 * first + rng.choice(4, 4000, p=[0.55, 0.25, 0.15, 0.05])) % 4])
flow = DiscreteTreeFlow(n_layers=1, max_depth=1).fit(X)

figure, axes = plt.subplots(1, 3, figsize=(12, 3), layout="constrained", width_ratios=(1, 1.5, 1))
for ax, table, name in ((axes[0], X, "table x"), (axes[2], flow.transform(X), "codes z")):
    counts = np.zeros((2, 4), dtype=int)
    np.add.at(counts, (table[:, 0], table[:, 1]), 1)
    ax.imshow(counts, cmap="Blues", vmin=0, vmax=1.4 * counts.max(), aspect="auto")
    for (i, j), n in np.ndenumerate(counts):
        ax.text(j, i, f"{n:,}", ha="center", va="center")
    information = mutual_info_score(table[:, 0], table[:, 1])
    ax.set(xlabel="column x1", ylabel="column x0", xticks=range(4), yticks=range(2))
    ax.set_title(f"{name}: mutual information {information:.3f} nats", fontsize=10)
TreeDisplay.from_estimator(flow, layer=1, ax=axes[1])
