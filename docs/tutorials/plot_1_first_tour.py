"""
A first tour
============

Handwritten digits as a table: every pixel is a column, black or white. A picture of a digit is then a row, and a
model of the table can say how probable a picture is, draw new ones, find odd ones, and complete half ones.
"""

# %%
# Fit, and score rows that the model has not seen
# -----------------------------------------------
# scikit-learn brings 1,797 digits of 8 x 8 pixels. The first 1,400 are for learning.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from treeflows import AutoregressiveTreeFlow, ImageGalleryDisplay, TreeDisplay, TreeFlowMixture

X = load_digits().data > 7
train, test = X[:1400], X[1400:]
model = TreeFlowMixture(random_state=0).fit(train)
print(f"mixture:             {model.score(test):.2f} nats per row")

# %%
# The score is the mean log-likelihood of the rows: higher is better. Two simpler models to compare it with: one tree
# for each column, and columns that know nothing of each other (trees of depth 0).

tree_flow = AutoregressiveTreeFlow(order="natural").fit(train)
independent = AutoregressiveTreeFlow(max_depth=0).fit(train)
print(f"one tree a column:   {tree_flow.score(test):.2f}")
print(f"independent columns: {independent.score(test):.2f}")

# %%
# Draw new rows
# -------------
# Samples are rows like those of the table, and new ones. If the model missed how pixels depend on each other, they
# would look like noise.

ImageGalleryDisplay.from_estimator(model, train, shape=(8, 8), random_state=0)
plt.show()

copies = (model.sample(1000, random_state=0)[:, None] == train).all(axis=2).any(axis=1).mean()
print(f"{copies:.1%} of 1,000 samples are copies of a training row")

# %%
# Find odd rows
# -------------
# ``anomalies`` returns the least likely rows, and for each of their cells its surprise: how little the rest of the
# row lets expect it. Above are the five least likely new digits, below the pixels that make them so.

found = model.anomalies(test, 5)
figure, axes = plt.subplots(2, 5, figsize=(8, 3.4), layout="constrained")
for i, row in enumerate(found.rows):
    axes[0, i].imshow(test[row].reshape(8, 8), cmap="gray_r")
    axes[0, i].set_title(f"{found.log_likelihood[i]:.0f} nats", fontsize=10)
    axes[1, i].imshow(found.surprise[i].reshape(8, 8), cmap="Purples", vmin=0, vmax=found.surprise.max())
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("row")
axes[1, 0].set_ylabel("surprise")
plt.show()

# %%
# Complete half rows
# ------------------
# A cell that is NaN or None is missing. ``impute`` fills it by what the rest of the row says: here the lower half of
# ten digits, first with the most probable value of each pixel, then with two draws of the whole lower half.

half = test[:10].astype(float)
half[:, 32:] = np.nan
rows = {
    "digit": test[:10],
    "upper half": half,
    "most probable": model.impute(half, random_state=0),
    "drawn": model.impute(half, draw=True, random_state=1),
    "drawn again": model.impute(half, draw=True, random_state=2),
}
figure, axes = plt.subplots(len(rows), 10, figsize=(8, 4.2), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.astype(float).reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], facecolor="lavender")
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Read a tree
# -----------
# In the natural order each pixel is told by those above and left of it. The tree of pixel 28, in the middle of the
# image, asks the pixel above it (20) first, then those at its left (27 and 26).

TreeDisplay.from_estimator(tree_flow, column=28)
plt.show()

# %%
# Codes
# -----
# Most models are bijections too. ``transform`` ranks each value in its context, so that codes of probable rows are
# high, and ``inverse_transform`` brings back every row as it was.

codes = model.transform(X)
print("all rows come back:", bool((model.inverse_transform(codes) == X).all()))
print(f"pixels that are black: {X.mean():.0%}; codes that are 1, the more probable value: {codes.mean():.0%}")
