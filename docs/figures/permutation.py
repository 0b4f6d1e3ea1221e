"""One layer: a table, the tree that permutes it, and its codes."""

import matplotlib.pyplot as plt
import numpy as np

from treeflows import DiscreteTreeFlow, TreeDisplay

K = 4
rng = np.random.default_rng(0)
first = rng.choice(K, 4000, p=[0.4, 0.3, 0.2, 0.1])
X = np.column_stack([first, (first + rng.choice(3, 4000, p=[0.6, 0.3, 0.1])) % K])
flow = DiscreteTreeFlow(n_layers=1, max_depth=2).fit(X)

figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained", width_ratios=(1, 2.1, 1))
for ax, table, title in ((axes[0], X, "table x"), (axes[2], flow.transform(X), "codes z")):
    counts = np.zeros((K, K), dtype=int)
    np.add.at(counts, (table[:, 0], table[:, 1]), 1)
    ax.imshow(counts, cmap="Blues", vmin=0, vmax=1.3 * counts.max())
    for (i, j), n in np.ndenumerate(counts):
        ax.text(j, i, f"{n:,}", ha="center", va="center")
    ax.set(xlabel="column 1", ylabel="column 0", xticks=range(K), yticks=range(K), title=title)
TreeDisplay.from_estimator(flow, layer=0, ax=axes[1])
