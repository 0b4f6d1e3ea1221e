"""
Missing cells
=============

What stands in a missing cell is told by the rest of its row. A density knows how: it sums over what the missing cells
could be. Here is how well it fills them, and how to learn from a table that has holes.
"""

# %%
# The table
# ---------
# 12,000 people of the adult census table, quantities binned, since one of the meanings of missing below is not for
# numbers. Some of the cells are made missing at random, a tenth of each column, so that the truth is known.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml

from treeflows import AutoregressiveTreeFlow

file = Path(os.environ.get("TREEFLOWS_DATA", ".")) / "csv" / "adult.csv"
if file.exists():
    not_told = {name: ["0", "?"] for name in ("workclass", "occupation", "native-country")}
    people = pd.read_csv(file, na_values=not_told)
else:
    people = fetch_openml("adult", version=2, as_frame=True).frame

people = people.drop(columns=["fnlwgt", "capital-gain", "capital-loss"])
for name in ("age", "hours-per-week"):
    people[name] = pd.qcut(people[name].astype(int), 8, duplicates="drop").astype(str)
people = people.astype(object).where(people.notna(), "unknown").astype(str)
people = people.sample(12_000, random_state=0, ignore_index=True)

rng = np.random.default_rng(0)
hidden = rng.random(people.shape) < 0.1
holed = people.mask(hidden)
train = holed[:9000]
test, truth = (table[9000:].reset_index(drop=True) for table in (holed, people))
print(test.iloc[:4, :6].to_string())

# %%
# Three meanings of missing
# -------------------------
# The parameter ``missing`` says what an empty cell is:
#
# - ``"category"``, the default: a value of its own. Right where "not told" says something of the person.
# - ``"marginalize"``: unknown. ``fit`` learns what it may be from the rest of the row, and the likelihood of a row is
#   that of the cells that it has. Right where cells are lost by chance, as here.
# - ``"error"``: not allowed.

model = AutoregressiveTreeFlow(missing="marginalize", handle_unknown="reserve", random_state=0, n_jobs=-1).fit(train)
whole = AutoregressiveTreeFlow(handle_unknown="reserve", n_jobs=-1).fit(people[:9000])
print(f"learned from holes:     {model.score(truth):.3f} nats per whole row")
print(f"learned from all cells: {whole.score(truth):.3f}")

# %%
# Fill them
# ---------
# ``impute`` puts the most probable value into each cell, given all observed cells of its row. The yardstick is the
# most common value of the column, which is what ``SimpleImputer(strategy="most_frequent")`` takes.

filled = model.impute(test, random_state=0)
was_hidden = hidden[9000:]
common = train.mode().iloc[0]
score = pd.DataFrame(
    {
        "model": [(filled[c] == truth[c])[was_hidden[:, j]].mean() for j, c in enumerate(people)],
        "mode": [(truth[c] == common[c])[was_hidden[:, j]].mean() for j, c in enumerate(people)],
    },
    index=people.columns,
).sort_values("model")
print(f"right on average over columns: model {score['model'].mean():.0%}, mode {score['mode'].mean():.0%}")

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
place = np.arange(len(score))
ax.hlines(place, score["mode"], score["model"], color="0.7")
ax.plot(score["mode"], place, "o", color="0.5", label="most common value of the column")
ax.plot(score["model"], place, "o", color="C0", label="most probable value given the row")
ax.set_yticks(place, score.index)
ax.set(xlabel="share of missing cells that are filled right", xlim=(0, 1.02))
ax.legend(loc="lower right")
plt.show()

# %%
# Education and its years tell each other, as relationship, sex and marital status do. Of hours a week and native
# country the row says little, and the mode is as good.
#
# Draws instead of best guesses
# -----------------------------
# A table of best guesses is too tidy: common values become more common still. ``draw=True`` draws the missing cells
# of a row from their joint distribution instead. Several such tables say what the holes cost: compute what you want on
# each, and look at the spread. The model is taken for known there, as one may be that has seen many other rows; of a
# table that is its own and only source, ``multiply_impute`` and ``pool_estimates`` make standard errors.

column = "occupation"
cells = was_hidden[:, people.columns.get_loc(column)]
drawn = model.impute(test, draw=True, random_state=1)
share = pd.DataFrame(
    {
        "truth": truth[column][cells].value_counts(normalize=True),
        "most probable": filled[column][cells].value_counts(normalize=True),
        "drawn": drawn[column][cells].value_counts(normalize=True),
    }
).fillna(0)
ax = share.sort_values("truth").plot.barh(figsize=(7, 4.6), width=0.8, color=["0.6", "C0", "C1"])
ax.set(xlabel=f"share of the {cells.sum()} missing cells of the column {column!r}", ylabel="")
ax.figure.tight_layout()
plt.show()

tables = [model.impute(test, draw=True, random_state=seed) for seed in range(5)]
shares = [(table["class"] == ">50K").mean() for table in tables]
print("share of people with more than 50,000 dollars:")
print(f"{np.mean(shares):.4f} ± {np.std(shares, ddof=1):.4f} over five filled tables")
print(f"{(truth['class'] == '>50K').mean():.4f} in the table without holes")
