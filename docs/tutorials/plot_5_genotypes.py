"""
Genotypes
=========

805 places of the genome where people differ by one letter (SNPs), in 5,008 haplotypes of the 1000 Genomes Project: 0
or 1 at each place. People who share ancestors share letters, all over the genome. A model of such a table draws
artificial genomes.
"""

# %%
# The table
# ---------
# These are the places that Yelmen et al. ("Creating artificial human genomes using generative neural networks", PLOS
# Genetics, 2021) chose. The file ``snp805.npz`` in the folder ``TREEFLOWS_DATA`` has the arrays ``train`` and
# ``test``, a row for each haplotype and a column for each place, in the order of the genome.

import os
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

from treeflows import AutoregressiveTreeFlow, DependenceDisplay, TreeFlowMixture

with np.load(Path(os.environ["TREEFLOWS_DATA"]) / "snp805.npz") as tables:
    train, test = tables["train"], tables["test"]
print(f"{len(train):,} rows to learn from, {len(test):,} to test on, {train.shape[1]} columns")

# %%
# The places are spread over the genome. A few neighbours nearly repeat each other; beyond, how much two places depend
# on each other hardly falls with their distance.

varied = train[:, train.std(axis=0) > 0].astype(float)
correlation = np.abs(np.corrcoef(varied.T))
for distance in (1, 2, 10, 100, 500):
    print(f"places {distance:3} apart: mean absolute correlation {np.diag(correlation, distance).mean():.3f}")

# %%
# Fit
# ---
# The trees keep the order of the genome, and so find neighbours that repeat each other. The mixture adds a hidden
# column: ancestry is nowhere in the table, and yet tells of every place.

models = {
    "independent columns": AutoregressiveTreeFlow(max_depth=0),
    "one tree a column": AutoregressiveTreeFlow(order="natural", n_jobs=-1),
    "mixture": TreeFlowMixture(
        AutoregressiveTreeFlow(order="natural"), n_components=64, n_trees=1, random_state=0, n_jobs=-1
    ),
}
for name, model in models.items():
    start = perf_counter()
    model.fit(train)
    seconds = perf_counter() - start
    scores = model.score_samples(test)
    error = scores.std() / np.sqrt(len(scores))
    print(f"{name:20} {scores.mean():7.1f} ± {error:.1f} nats per row, fitted in {seconds:.1f} s")

# %%
# Who tells a place
# -----------------
# ``share_`` says how much of each column's distribution comes from its tree on the places before it, and how much
# from the hidden column.

mixture = models["mixture"]
figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
ax.stackplot(np.arange(train.shape[1]), mixture.share_[:, [0, 2]].T, labels=["tree", "hidden column"], step="mid")
ax.set(xlabel="place", ylabel="share", xlim=(0, train.shape[1] - 1), ylim=(0, 1))
ax.legend(loc="lower right")
plt.show()

# %%
# Dependence
# ----------
# Mutual information of every two places, in the data, in as many samples, and in the codes of the data. Stripes are
# places that differ most between people of different ancestry: they tell of each other wherever they lie. Samples
# have the same stripes, and codes keep little of them: the means are above the pictures.

DependenceDisplay.from_estimator(mixture, test, random_state=0)
plt.show()

# %%
# Artificial genomes
# ------------------
# How often 1 occurs at each place, and how far two neighbours go together (their correlation): test rows against as
# many samples.

artificial = mixture.sample(len(test), random_state=1)


def with_next(rows):
    """Correlation of each place with the next."""
    centred = rows - rows.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0)) + 1e-9
    return (centred[:, :-1] * centred[:, 1:]).mean(axis=0) / (spread[:-1] * spread[1:])


# sphinx_gallery_thumbnail_number = 3
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, what, of in (
    (axes[0], "frequency of 1", lambda rows: rows.mean(axis=0)),
    (axes[1], "correlation with the next place", with_next),
):
    real, drawn = of(test.astype(float)), of(artificial.astype(float))
    ax.axline((0, 0), slope=1, color="0.7", linewidth=1)
    ax.plot(real, drawn, ".", markersize=3)
    ax.set(xlabel="test rows", ylabel="samples", title=what, aspect="equal")
plt.show()

# %%
# How near are samples to the rows that were learned from? As near as people are who were not:


def nearest(rows):
    """Number of places in which each row differs from the nearest training row."""
    sums = rows.sum(axis=1)[:, None] + train.sum(axis=1) - 2 * (rows @ train.astype(np.float32).T)
    return sums.min(axis=1)


for what, rows in (("test rows", test), ("samples", artificial)):
    distance = nearest(rows.astype(np.float32))
    low, middle, high = np.quantile(distance, [0.05, 0.5, 0.95])
    print(f"{what:10} differ from the nearest training row in {middle:.0f} places (5 to 95 %: {low:.0f} to {high:.0f})")
