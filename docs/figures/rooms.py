"""The rooms of the package, and the way that imports run."""

import matplotlib.pyplot as plt

FLOORS = [
    ["command"],
    ["report", "explorer"],
    ["pictures", "files"],
    ["models"],
    ["learning"],
    ["densities"],
    ["inference"],
    ["tables"],
    ["machine"],
    ["_ext"],
]
INK, WALL = "#3b3b58", "#e8e8f2"

figure, ax = plt.subplots(figsize=(5, 5.2))
for i, floor in enumerate(FLOORS):
    width = 6 / len(floor)
    for j, room in enumerate(floor):
        ax.add_patch(plt.Rectangle((j * width + 0.05, -i), width - 0.1, 0.8, facecolor=WALL, edgecolor=INK))
        ax.text((j + 0.5) * width, 0.4 - i, room, ha="center", va="center", color=INK)
ax.annotate("", (6.6, 1.0 - len(FLOORS)), (6.6, 0.8), arrowprops={"arrowstyle": "-|>", "color": INK})
ax.text(6.75, 0.9 - len(FLOORS) / 2, "imports", rotation=270, va="center", color=INK)
ax.set(xlim=(-0.1, 7.3), ylim=(0.8 - len(FLOORS), 1))
ax.axis("off")
