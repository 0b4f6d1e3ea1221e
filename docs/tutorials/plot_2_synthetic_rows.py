"""
Synthetic rows of a census table
================================

A sample of a good model looks like the table, and can stand for it where the table itself cannot be handed on. Three
questions decide whether it is any use: does it look like the data, do models that learn from it work on real rows,
and does it give away the people in it?
"""

# %%
# The table
# ---------
# The adult table is from the census of the United States of 1994: a row is a person. So that rows can be compared cell
# by cell, all columns are made categories here: ages and hours are cut at their quantiles, gains and losses are told by
# whether there are any. (:ref:`sphx_glr_auto_tutorials_plot_7_tables_as_they_are.py` takes numbers as they are.)

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml
from sklearn.ensemble import HistGradientBoostingClassifier

from treeflows import DependenceDisplay, MarginalsDisplay, TreeFlowMixture

file = Path(os.environ.get("TREEFLOWS_DATA", ".")) / "csv" / "adult.csv"
if file.exists():
    not_told = {name: ["0", "?"] for name in ("workclass", "occupation", "native-country")}
    people = pd.read_csv(file, na_values=not_told)
else:
    people = fetch_openml("adult", version=2, as_frame=True).frame

people = people.drop(columns=["fnlwgt", "education-num"])
for name in ("age", "hours-per-week"):
    people[name] = pd.qcut(people[name].astype(int), 8, duplicates="drop").astype(str)
for name in ("capital-gain", "capital-loss"):
    people[name] = np.where(people[name].astype(int) > 0, "some", "none")
people = people.astype(object).where(people.notna(), "unknown").astype(str).astype("category")
people = people.sample(16_000, random_state=0, ignore_index=True)
train, test = people[:8000], people[8000:]
print(train.iloc[:4, :7].to_string())

# %%
# Fit and sample
# --------------
# The dtype of a column declares its categories, here those of the whole table, so a rare country that occurs among
# the test rows alone has a probability too. Samples have the same columns and dtypes.

model = TreeFlowMixture(random_state=0, n_jobs=-1).fit(train)
synthetic = model.sample(8000, random_state=1)
print("same columns and dtypes:", bool((synthetic.dtypes == train.dtypes).all()))
print(f"held-out log-likelihood {model.score(test):.2f} nats per row")

# %%
# Does it look like the data?
# ---------------------------
# Column by column: the four that differ most.

MarginalsDisplay.from_estimator(model, train, max_columns=4, random_state=1)
plt.show()

# %%
# And pair by pair: the mutual information of every two columns.

DependenceDisplay.from_estimator(model, train, random_state=1)
plt.show()

# %%
# Train on synthetic rows, test on real ones
# ------------------------------------------
# A classifier of income learns from the real rows, and another of the same kind from the synthetic ones. Both are
# tested on real rows that nobody has seen.


def accuracy(learn_from):
    """Accuracy on the test rows of a classifier that learned from a table."""
    classifier = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    classifier.fit(learn_from.drop(columns="class"), learn_from["class"])
    return classifier.score(test.drop(columns="class"), test["class"])


print(f"learned from real rows:      {accuracy(train):.1%}")
print(f"learned from synthetic rows: {accuracy(synthetic):.1%}")
print(f"the more common class:       {(test['class'] == train['class'].mode()[0]).mean():.1%}")

# %%
# Does it give people away?
# -------------------------
# For each synthetic row, in how many columns does it differ from the nearest training row? The test rows are the
# yardstick: they come from the same people as the training rows, yet nobody copied them. Were synthetic rows nearer
# than those, the model would have learned rows by heart.


def nearest(rows):
    """Number of columns in which each row differs from the nearest training row."""
    learned = np.column_stack([train[name].cat.codes for name in train])
    asked = np.column_stack([rows[name].cat.codes for name in train])
    return np.array([(learned != row).sum(axis=1).min() for row in asked])


distances = {"synthetic": nearest(synthetic[:2000]), "held out": nearest(test[:2000])}
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for shift, (what, distance) in zip((-0.2, 0.2), distances.items(), strict=True):
    share = np.bincount(distance, minlength=6) / len(distance)
    ax.bar(np.arange(len(share)) + shift, share, 0.4, label=f"{what} rows")
    print(f"{what:9} rows: {share[0]:.1%} equal a training row, {share[:2].sum():.1%} differ in at most one column")
ax.set(xlabel="columns that differ from the nearest training row", ylabel="share of rows")
ax.legend()
plt.show()

# %%
# A caution
# ---------
# Distances like these can show that a model copies. They cannot show that it is safe. A model of a table tells
# something of everyone in it: a rare combination of values may be among the samples because one person had it, and
# somebody who knows most of a row can ask the model for the rest. Nothing here is differentially private. Before
# synthetic rows are handed on, drop the columns that identify people, group rare values, and take advice where the
# law asks for it. Grouping may cost little:

counts = train.apply(lambda column: column.map(column.value_counts()).astype(int))
print("training rows with a value that nobody else has:     ", (counts == 1).any(axis=1).sum())
print("training rows with one that fewer than 20 people have:", (counts < 20).any(axis=1).sum())
grouped = TreeFlowMixture(min_frequency=20, random_state=0, n_jobs=-1).fit(train)
print(f"with those values grouped: held-out log-likelihood {grouped.score(test):.2f} nats per row")
