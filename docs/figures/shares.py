"""How many hidden states a mixture takes, and who tells each pixel of the digits."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from treeflows import LikelihoodCurveDisplay, TreeFlowMixture

model = TreeFlowMixture(random_state=0, n_jobs=-1).fit(load_digits().data > 7)
figure = plt.figure(figsize=(11, 3.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.4))
LikelihoodCurveDisplay.from_estimator(model, ax=left.subplots())
axes = right.subplots(1, 3)
for ax, share, name in zip(axes, model.share_.T, ("tree", "further trees", "hidden column"), strict=True):
    shown = ax.imshow(share.reshape(8, 8), cmap="viridis", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=f"{name}: {share.mean():.0%}")
right.colorbar(shown, ax=axes, label="share", shrink=0.7)
