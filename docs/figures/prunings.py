"""Held-out likelihood of trees of every depth: with leaves as they are, and averaged over prunings."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

from treeflows import AutoregressiveTreeFlow

X = load_digits().data > 7
train, test = X[:1400], X[1400:]


def nll_of_leaves(depth):
    """Trees whose leaves have their own frequencies, with half a row more for each value."""
    total = 0.0
    for j in range(X.shape[1]):
        before = slice(0, max(j, 1))
        inputs = (train if j else np.zeros_like(train))[:, before]
        tree = DecisionTreeClassifier(max_depth=depth or None, min_samples_leaf=5 if depth else len(train))
        tree.fit(inputs, train[:, j])
        leaf = tree.apply(inputs)
        n = np.bincount(leaf, minlength=tree.tree_.node_count) + 1.0
        black = (np.bincount(leaf, train[:, j], tree.tree_.node_count) + 0.5) / n
        prob = black[tree.apply((test if j else np.zeros_like(test))[:, before])]
        total -= np.log(np.where(test[:, j], prob, 1 - prob)).mean()
    return total


depths = np.arange(0, 11)
averaged = [-AutoregressiveTreeFlow(order="natural", max_depth=int(d)).fit(train).score(test) for d in depths]
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(depths, [nll_of_leaves(d) for d in depths], "o-", color="0.5", markersize=4, label="leaves as they are")
ax.plot(depths, averaged, "o-", markersize=4, label="averaged over prunings")
ax.set(xlabel="largest depth of the trees", ylabel="held-out negative\nlog-likelihood, nats per row")
ax.grid(alpha=0.3)
ax.legend()
