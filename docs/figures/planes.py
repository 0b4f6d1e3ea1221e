"""From a small table to codes, bit planes and counts."""

import matplotlib.pyplot as plt
import numpy as np

colours, sizes = ["blue", "green", "red"], ["L", "S"]
codes = np.random.default_rng(3).integers(0, [3, 2], (12, 2))
codes[::3, 1] = codes[::3, 0] > 0
planes = np.column_stack([codes[:, 0] == v for v in range(3)] + [codes[:, 1] == v for v in range(2)]).astype(int)
names = [f"colour\n{v}" for v in colours] + [f"size\n{v}" for v in sizes]
counts = planes.T @ planes

figure, axes = plt.subplots(1, 4, figsize=(11, 3.8), layout="constrained", width_ratios=(2, 1.2, 3, 3.6))
for ax, cells, title in (
    (axes[0], np.array([[colours[a], sizes[b]] for a, b in codes]), "table"),
    (axes[1], codes, "codes, a byte each"),
    (axes[2], planes, "bit planes"),
    (axes[3], counts, "counts = popcount(a & b)"),
):
    shown = np.zeros(cells.shape) if cells.dtype.kind == "U" or ax is axes[1] else cells
    ax.imshow(shown, cmap="Blues", vmin=0, vmax=1.6 * max(shown.max(), 1), aspect="auto")
    for (i, j), value in np.ndenumerate(cells):
        ax.text(j, i, value, ha="center", va="center", fontsize=9)
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], yticks=[])
for ax in axes[:2]:
    ax.set_xticks([0, 1], ["colour", "size"], fontsize=8)
for ax in axes[2:]:
    ax.set_xticks(range(5), names, fontsize=8)
axes[3].set_yticks(range(5), [name.replace("\n", " ") for name in names], fontsize=8)
