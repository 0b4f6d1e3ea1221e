"""
Batch effects in genotypes
==========================

Two laboratories read the same kind of genomes, and one of them misreads some places. Which places are these? And can
its readings be made comparable with those of the other, so that what is learned of them is not the laboratory?
"""

# %%
# Two laboratories
# ----------------
# Haplotypes of the 1000 Genomes Project at thirty places of the genome where people differ, 0 or 1 each, from the file
# ``snp805.npz`` in the folder ``TREEFLOWS_DATA``. They are dealt to two laboratories. The southern one is made to
# misread four places, each in every fourth haplotype: two are read as 0, whatever they are, two as what they are not.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from treeflows import Aligner, AutoregressiveTreeFlow, Translator, compare

with np.load(Path(os.environ["TREEFLOWS_DATA"]) / "snp805.npz") as tables:
    haplotypes = np.concatenate([tables["train"], tables["valid"], tables["test"]])
rng = np.random.default_rng(0)
common = np.flatnonzero((haplotypes.mean(axis=0) > 0.1) & (haplotypes.mean(axis=0) < 0.9))[:30]
truth = haplotypes[rng.permutation(len(haplotypes))][:4000, common]
south = rng.random(len(truth)) < 0.5
misread = np.sort(rng.choice(truth.shape[1], 4, replace=False))

read = truth.copy()
for place, wrong in zip(misread, (0 * truth, 0 * truth, 1 - truth, 1 - truth), strict=True):
    here = south & (rng.random(len(truth)) < 0.25)
    read[here, place] = wrong[here, place]
read = pd.DataFrame(read, columns=[f"place {j}" for j in range(truth.shape[1])])
laboratory = np.where(south, "south", "north")
learn = np.arange(len(read)) < 2800
print("misread:", [read.columns[place] for place in misread])

# %%
# Which places differ?
# --------------------
# How often 1 is read differs at places that are read well, too, by chance; and a place that is misread drags none of
# its neighbours along, if one asks what follows from what.

found = compare(read[learn & ~south], read[learn & south])
print(found)

# %%
# Made comparable
# ---------------
# A tree flow that tells the places to blame last, given the others, which agree. Its ``Translator`` makes readings of
# the south into such as the north would have made, and its ``Aligner`` brings both to what they are together.

others = [name for name in read.columns if name not in found.blamed]
order = [read.columns.get_loc(name) for name in [*others, *found.blamed[::-1]]]
flow = AutoregressiveTreeFlow(order=order)
translator = Translator(flow, random_state=0).fit(read[learn], context=laboratory[learn])
aligner = Aligner(flow, random_state=0).fit(read[learn], context=laboratory[learn])

new, of_south = read[~learn], south[~learn]
told = translator.translate(new[of_south], laboratory[~learn][of_south], to="north")
tables = {
    "as read": new,
    "south as north": pd.concat([new[~of_south], told.table]).sort_index(),
    "aligned": aligner.transform(new, laboratory[~learn]),
    "truth": pd.DataFrame(truth[~learn], columns=read.columns),
}
trees = HistGradientBoostingClassifier(max_iter=30, random_state=0)
for name, table in tables.items():
    guess = cross_val_predict(trees, table, of_south, cv=3, method="predict_proba")[:, 1]
    print(f"{name:15} laboratory told by boosted trees: AUC {roc_auc_score(of_south, guess):.3f}")
changed = told.changed.mean(axis=0)
at, elsewhere = changed[misread].mean(), np.delete(changed, misread).mean()
print(f"cells changed: {at:.1%} of the places misread, {elsewhere:.1%} of the others")

# %%
# What of the genome?
# -------------------
# Neighbours on the genome go together (linkage disequilibrium), and studies live on it. Misreading weakens the
# correlation of the places misread with all others; the translation restores most of it, and leaves that of the others.
# It cannot know which single cells were misread: it gives back what is true of the table, not of a person.


def correlation(table):
    """Correlations of every two places, each pair once, and whether one of the two is misread."""
    pairs = np.triu_indices(truth.shape[1], 1)
    return np.corrcoef(table.to_numpy(dtype=float).T)[pairs], np.isin(pairs, misread).any(axis=0)


before, hit = correlation(tables["truth"][of_south])
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", sharey=True)
for ax, (name, table) in zip(
    axes, {"as read": new[of_south], "as the north would read": told.table}.items(), strict=True
):
    after, _ = correlation(table)
    ax.axline((0, 0), slope=1, color="0.7", linewidth=1)
    ax.plot(before[~hit], after[~hit], ".", color="0.6", markersize=4, label="of other places")
    ax.plot(before[hit], after[hit], ".", color="C3", markersize=6, label="with a place misread")
    ax.set(xlabel="true correlation", title=name, aspect="equal")
    error = np.sqrt(((after - before)[hit] ** 2).mean())
    ax.text(0.97, 0.04, f"error where misread: {error:.3f}", transform=ax.transAxes, ha="right")
axes[0].set_ylabel("correlation in the south's table")
axes[0].legend(loc="upper left")
plt.show()
