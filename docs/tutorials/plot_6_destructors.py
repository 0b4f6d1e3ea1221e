"""
Deep density destructors
========================

A destructor is an invertible map that leaves nothing of a table but noise: independent uniform numbers. Whoever can
destroy a table knows its density, and where a destructor leaves more than noise, the next one learns that. This is
the idea of Inouye and Ravikumar ("Deep density destructors", ICML 2018), here with layers of one's own choice on
continuous numbers: two-dimensional shapes first, then images.
"""

# %%
# Four shapes
# -----------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from treeflows import (
    DeepDestructor,
    IndependentDestructor,
    MixtureDestructor,
    RotationDestructor,
    TreeDestructor,
    check_destructor,
)


def moons(n, rng):
    """Two half circles."""
    return make_moons(n, noise=0.08, random_state=int(rng.integers(2**31)))[0]


def rings(n, rng):
    """Three circles in each other."""
    radius, angle = rng.integers(1, 4, n) + 0.08 * rng.standard_normal(n), rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def checkerboard(n, rng):
    """The black squares of a board of four by four."""
    x = rng.uniform(0, 4, (4 * n, 2))
    return x[np.floor(x).sum(axis=1) % 2 == 0][:n]


def s_curve(n, rng):
    """A number that is a curve of the other, and noise."""
    x = rng.standard_normal(n)
    return np.column_stack([x, np.sin(2 * x) + 0.15 * rng.standard_normal(n)])


shapes = {
    f.__name__: (f(1500, np.random.default_rng(0)), f(3000, np.random.default_rng(1)))
    for f in (moons, rings, checkerboard, s_curve)
}

# %%
# Layer by layer
# --------------
# The first layer is one normal distribution: it takes away where the table lies, and how its columns correlate. Trees
# then tell the binary digits of what it leaves over, and once more after a rotation, so that they see it from another
# side. Each column of pictures is what is left after one more layer. A row's colour is the angle at which it lay in
# the beginning, so that one can see that nothing is thrown away: the map is one to one.

layers = [
    MixtureDestructor(1),
    TreeDestructor(),
    DeepDestructor([RotationDestructor(), TreeDestructor()]),
]
figure, axes = plt.subplots(4, 4, figsize=(9, 9.4), layout="constrained")
for line, (name, (train, test)) in zip(axes, shapes.items(), strict=True):
    deep = DeepDestructor(layers, random_state=0).fit(train)
    rows = test[:1500]
    away = rows - rows.mean(axis=0)
    colour = np.arctan2(away[:, 1], away[:, 0])
    stages = zip(deep.staged_transform(rows), deep.staged_score_samples(test), strict=True)
    line[0].scatter(*rows.T, c=colour, cmap="hsv", s=2)
    line[0].set_title(name.replace("_", " "), fontsize=10)
    for ax, what, (u, score) in zip(line[1:], ("normal", "trees", "rotated, trees"), stages, strict=True):
        ax.scatter(*u.T, c=colour, cmap="hsv", s=2)
        ax.set_title(f"{what}: {score.mean():.2f} nats", fontsize=10)
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
plt.show()

# %%
# The numbers are mean log-densities of 3,000 rows that nobody has seen. Log-densities of layers add up, and what a
# layer adds is what it found in the rest of those before. After the trees little is left, and the last layer finds
# next to nothing in it.
#
# The densities
# -------------
# Here is what each choice of layers says of the whole plane. Rotations alone, in turn with smooth marginal
# distributions, are Gaussianization: it needs many layers. A normal mixture, of as many components as held-out rows
# like best, is one layer that does well where the shape is smooth; trees after it correct what is not.

stacks = {
    "normal, trees": [MixtureDestructor(1), TreeDestructor()],
    "marginals, trees": [IndependentDestructor(), TreeDestructor()],
    "20 rotations": [IndependentDestructor(), *20 * [DeepDestructor([RotationDestructor(), IndependentDestructor()])]],
    "mixture, trees": [MixtureDestructor(), TreeDestructor()],
}
figure, axes = plt.subplots(4, 4, figsize=(9, 9.4), layout="constrained")
turned = {}
for line, (name, (train, test)) in zip(axes, shapes.items(), strict=True):
    low, high = test.min(axis=0) - 0.3, test.max(axis=0) + 0.3
    x, y = np.meshgrid(*np.linspace(low, high, 80).T)
    plane = np.column_stack([x.ravel(), y.ravel()])
    for ax, (what, stack) in zip(line, stacks.items(), strict=True):
        deep = DeepDestructor(stack, early_stopping=len(stack) > 2, n_iter_no_change=5, random_state=0).fit(train)
        if len(stack) > 2:
            turned[name] = deep
        density = np.exp(deep.score_samples(plane)).reshape(x.shape)
        ax.pcolormesh(x, y, density, cmap="magma_r", vmax=np.quantile(density, 0.995))
        ax.set_title(f"{what}: {deep.score(test):.2f}", fontsize=10)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name.replace("_", " "))
plt.show()

# %%
# How deep?
# ---------
# ``early_stopping=True`` holds out a tenth of the rows, stops when some layers in a row, here five, tell them nothing,
# and keeps the layers that were best on them. What these say of rows that nobody has seen:

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, deep in turned.items():
    nll = [-score.mean() for score in deep.staged_score_samples(shapes[name][1])]
    ax.plot(np.arange(1, len(nll) + 1), nll, marker=".", label=f"{name.replace('_', ' ')}, {deep.n_layers_} layers")
ax.set(xlabel="layers", ylabel="nats per held-out row", title="Gaussianization by random rotations")
ax.legend()
plt.show()

# %%
# A layer of one's own
# --------------------
# A layer is any estimator with ``fit``, ``transform`` to the unit cube, ``inverse_transform``, and ``score_samples``.
# `~treeflows.check_destructor` says whether these fit each other. Here one for numbers that lie around a circle:
# it takes the angle, and a normal distribution of the radius's logarithm.

from scipy.stats import norm
from sklearn.base import BaseEstimator


class CircleDestructor(BaseEstimator):
    """Uniform angles, normal radii of positive numbers."""

    def fit(self, X, y=None):
        """Learn centre and radius."""
        self.centre_ = X.mean(axis=0)
        radius = np.hypot(*(X - self.centre_).T)
        self.log_radius_ = norm(np.log(radius).mean(), np.log(radius).std())
        return self

    def transform(self, X):
        """Angle and radius as uniform numbers."""
        x, y = (X - self.centre_).T
        angle = np.arctan2(y, x) / (2 * np.pi) + 0.5
        return np.column_stack([angle, self.log_radius_.cdf(np.log(np.hypot(x, y)))])

    def inverse_transform(self, U):
        """And back."""
        angle, radius = 2 * np.pi * (U[:, 0] - 0.5), np.exp(self.log_radius_.ppf(U[:, 1]))
        return self.centre_ + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])

    def score_samples(self, X):
        """Log-density."""
        radius = np.hypot(*(X - self.centre_).T)
        return self.log_radius_.logpdf(np.log(radius)) - np.log(2 * np.pi * radius**2)


train, test = shapes["rings"]
check_destructor(CircleDestructor(), train)
for what, stack in {
    "circle, trees": [CircleDestructor(), TreeDestructor()],
    "circle, marginals, trees": [CircleDestructor(), IndependentDestructor(), TreeDestructor()],
    "mixture, trees": [MixtureDestructor(), TreeDestructor()],
}.items():
    print(f"{what:24} {DeepDestructor(stack, random_state=0).fit(train).score(test):.3f} nats per held-out row")

# %%
# Who knows that these are circles needs nothing else. Had the density forgotten that there is more room at a larger
# radius, the check would have said so:


class Forgetful(CircleDestructor):
    """One that forgets the radius."""

    def score_samples(self, X):
        """No log-density."""
        radius = np.hypot(*(X - self.centre_).T)
        return self.log_radius_.logpdf(np.log(radius)) - np.log(2 * np.pi * radius)


try:
    check_destructor(Forgetful(), train)
except AssertionError as error:
    print(error)

# %%
# Digits
# ------
# The paper's images are of MNIST; scikit-learn brings smaller ones, of 8 x 8 pixels and 17 shades of grey. A density
# wants continuous numbers, so uniform noise is added to the shades (dequantization: the bits that a pixel then takes
# are an upper bound of what its shade alone would take). Trees see digits of the marginals' uniform numbers.

digits = load_digits().data
digits = digits + np.random.default_rng(0).random(digits.shape)
train, test = digits[:1400], digits[1400:]


def bits(log_density):
    """Bits for each pixel."""
    return -np.mean(log_density) / (64 * np.log(2))


deep = DeepDestructor([IndependentDestructor(), TreeDestructor()], random_state=0).fit(train)
for what, score in zip(("marginals", "marginals, trees"), deep.staged_score_samples(test), strict=True):
    print(f"{what:36} {bits(score):.2f} bits per pixel")
smooth = DeepDestructor([IndependentDestructor(), MixtureDestructor()], random_state=0).fit(train)
print(f"{'marginals, normal mixture':36} {bits(smooth.score_samples(test)):.2f}")
grid = {"n_components": [5, 10], "reg_covar": [0.1, 1]}
mixture = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(train)
print(f"{'normal mixture of scikit-learn, tuned':36} {bits(mixture.best_estimator_.score_samples(test)):.2f}")
kernels = GridSearchCV(KernelDensity(), {"bandwidth": [1.5, 2]}, cv=3).fit(train)
print(f"{'kernel density of scikit-learn, tuned':36} {bits(kernels.best_estimator_.score_samples(test)):.2f}")

# %%
# Samples: uniform noise, sent back through the layers. Above images of the table, below drawn ones.

drawn = np.floor(deep.sample(10, random_state=0)).clip(0, 16)
figure, axes = plt.subplots(2, 10, figsize=(9, 2.1), layout="constrained")
for line, images, name in zip(axes, (np.floor(test[:10]), drawn), ("table", "drawn"), strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
plt.show()

# %%
# `TreeFlowMixture <treeflows.TreeFlowMixture>` is the model for tables: it tells numbers by the same
# marginals, mixtures and digits, mixes them at every column, and knows missing cells, recurring values and categories.
