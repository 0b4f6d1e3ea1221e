"""Print the sha256 of model files, to be compared between machines: ``python tests/digests.py``."""

import hashlib
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import treeflows
from treeflows import (
    AutoregressiveTreeFlow,
    DiscreteTreeFlow,
    TreeFlowEnsemble,
    TreeFlowMixture,
    TreeFlowRegressor,
)

MODELS = {
    "trees": AutoregressiveTreeFlow(order="random", random_state=0),
    "layers": DiscreteTreeFlow(3, min_samples_split=20),
    "layers over trees": DiscreteTreeFlow(2, base="tree", min_samples_split=20, random_state=0),
    "mixture": TreeFlowMixture(n_components=8, n_trees=2, random_state=0),
    "ensemble": TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 3, random_state=0),
    "missing cells": AutoregressiveTreeFlow(missing="marginalize", random_state=0),
}
MODELS_OF_NUMBERS = {
    "trees": AutoregressiveTreeFlow(numeric=[0, 1, 2], random_state=0),
    "mixture": TreeFlowMixture(numeric=[0, 1, 2], random_state=0),
    "ensemble": TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, numeric=[0, 1], random_state=0),
    "regressor": TreeFlowRegressor(numeric=[0, 1], random_state=0),
}


def tables():
    """Small tables by name: few rows and many values, binary columns, missing cells, and what a network tells."""
    rng = np.random.default_rng(0)
    hidden = rng.integers(0, 4, (2000, 1))
    few = (hidden[:300] + (rng.random((300, 6)) < 0.3) * rng.integers(0, 9, (300, 6))) % 9
    binary = ((hidden + np.arange(12)) % 4 < 2) ^ (rng.random((2000, 12)) < 0.2)
    many = rng.integers(0, 2, (2000, 12))
    many[:, -1] = (abs(many[:, :-1].sum(axis=1) - 5) < 2) ^ (rng.random(2000) < 0.05)
    holes = np.where(rng.random(few.shape) < 0.1, np.nan, few)
    return {"few": few.astype(float), "binary": binary.astype(float), "holes": holes, "many": many.astype(float)}


def table_of_numbers():
    """A small table of a skewed number, one with an atom, whole numbers with missing cells, and codes.

    Of sums, products and quotients of uniform numbers: the same bits everywhere.
    """
    rng = np.random.default_rng(1)
    code = rng.integers(0, 3, 400)
    skewed = (code + 1) / (0.05 + rng.random(400))
    atom = np.where(rng.random(400) < 0.3, 0.0, skewed + rng.random(400) + rng.random(400) - 20)
    whole = np.where(rng.random(400) < 0.1, np.nan, np.rint(10 * rng.random(400) + 5 * code))
    return np.column_stack([skewed, atom, whole, code])


if __name__ == "__main__":
    print(platform.machine(), np.__version__, flush=True)
    cases = [(model, name, table, X) for table, X in tables().items() for name, model in MODELS.items()]
    numbers = table_of_numbers()
    cases += [(model, name, "numbers", numbers) for name, model in MODELS_OF_NUMBERS.items()]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        for model, name, table, X in cases:
            fitted = model.fit(X[:, 1:], X[:, 0]) if isinstance(model, TreeFlowRegressor) else model.fit(X)
            treeflows.save(fitted, path)
            print(hashlib.sha256(path.read_bytes()).hexdigest(), table, name, flush=True)
