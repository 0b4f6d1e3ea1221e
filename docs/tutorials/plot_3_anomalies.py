"""
Anomalies, and the cells to blame
=================================

A row is odd if a model of the table thinks it improbable. The model can also say why: which of its cells the rest of
the row lets nobody expect.
"""

# %%
# The table
# ---------
# 8,124 mushrooms of 23 species, described by 22 properties and whether they can be eaten. Each species has many rows,
# so its cells go together closely.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml
from sklearn.metrics import roc_auc_score

from treeflows import AnomaliesDisplay, AutoregressiveTreeFlow, TreeFlowMixture

file = Path(os.environ.get("TREEFLOWS_DATA", ".")) / "csv" / "mushroom.csv"
if file.exists():
    mushrooms = pd.read_csv(file)
else:
    mushrooms = fetch_openml("mushroom", version=1, as_frame=True).frame
    mushrooms = mushrooms.rename(columns={"bruises%3F": "bruises"})
mushrooms = mushrooms.astype(object).where(mushrooms.notna(), "?").astype(str).astype("category")
mushrooms = mushrooms.sample(frac=1, random_state=0, ignore_index=True)
train, test = mushrooms[:5000], mushrooms[5000:].reset_index(drop=True)

model = TreeFlowMixture(random_state=0, n_jobs=-1).fit(train)
print(f"held-out log-likelihood {model.score(test):.2f} nats per row")

# %%
# The least likely rows
# ---------------------
# ``anomalies`` prints the rows of lowest likelihood, each with its most surprising cells. A cell's surprise is
# :math:`-\log p(\text{value} \mid \text{all other cells of the row})`. Numbers of rows are those in the table asked
# about.

found = model.anomalies(test, 8)
print(found.to_text(n_cells=2))

# %%
# As a picture:

AnomaliesDisplay(found).plot(max_columns=10)
plt.show()

# %%
# Find errors that are known
# --------------------------
# Unlikely is not the same as wrong. To see what the model finds, errors are put in: in 200 of the test rows one cell,
# drawn at random, gets the value of another row in the same column. Each value by itself is a common one.

rng = np.random.default_rng(0)
wrong = test.copy()
rows = rng.choice(len(test), 200, replace=False)
columns = np.empty(200, dtype=int)
for i, row in enumerate(rows):
    while True:
        columns[i] = rng.integers(test.shape[1])
        value = test.iat[rng.integers(len(test)), columns[i]]
        if value != test.iat[row, columns[i]]:
            break
    wrong.iat[row, columns[i]] = value
is_wrong = np.isin(np.arange(len(test)), rows)

independent = AutoregressiveTreeFlow(max_depth=0).fit(train)
for name, density in {"mixture": model, "independent columns": independent}.items():
    scores = density.score_samples(wrong)
    least = np.argsort(scores)[:200]
    print(f"{name:20} area under the ROC curve {roc_auc_score(is_wrong, -scores):.3f}, ", end="")
    print(f"{is_wrong[least].mean():.0%} of the 200 least likely rows are wrong ones")

# %%
# Independent columns see rare values alone; the errors are values that do not go together.
#
# Which cell?
# -----------
# In each wrong row, is the cell of most surprise the one that was changed?

every = model.anomalies(wrong[is_wrong].reset_index(drop=True), 200)
changed = columns[np.argsort(rows)][every.rows]
place = (every.surprise > every.surprise[np.arange(200), changed][:, None]).sum(axis=1)
print(f"the changed cell is the most surprising of 23 in {(place == 0).mean():.0%} of the wrong rows,")
print(f"and among the three most surprising in {(place < 3).mean():.0%}")

# %%
# What a surprising cell should be is a question to the same model: the distribution of a column given all others.

row, column = rows[np.argsort(rows)][every.rows[0]], changed[0]
name = wrong.columns[column]
prob = model.conditional_proba(wrong.iloc[[row]], name)[0]
print(f"row {row}: {name} = {wrong.iat[row, column]}, before it was changed {test.iat[row, column]}")
best = np.argsort(-prob)[:3]
values = model.categories_[column]
print("the rest of the row lets expect", ", ".join(f"{values[v]} ({prob[v]:.1%})" for v in best))
