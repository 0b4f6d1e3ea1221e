"""Datasets, and a flow of each with the settings of the README's table."""

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from treeflows import DiscreteTreeFlow

# A folder of .npz files with train, valid, test and n_categories; benchmarks on real sets are skipped without it.
DATA = Path(os.environ.get("TREEFLOWS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))

SETS = ["digits", "8gaussian", "adult_cat", "mushroom", "mnist_binary"]


def load(name, part="train"):
    """Codes (n_rows, n_columns), uint8, and the number of categories of each column."""
    if name == "digits":
        rows = load_digits().data.astype(np.uint8)
        return (rows[360:] if part == "train" else rows[:360]), np.full(64, 17)
    path = DATA / f"{name}.npz"
    if not path.exists():
        raise NotImplementedError(f"{path} is not there")
    data = np.load(path)
    if "packed" in data:
        n = int(data["n_columns"])
        return np.unpackbits(data[part], axis=1)[:, :n].copy(), np.full(n, 2)
    if name == "8gaussian":  # fold 0 of the official protocol
        return data["all"][2560:] if part == "train" else data["all"][:2560], data["n_categories"]
    return data[part], data["n_categories"]


def flow(name, n_categories, **options):
    """An unfitted flow: 10 layers of depth 4 (5 for mnist_binary) on all cores."""
    options = {"max_depth": 5 if name == "mnist_binary" else 4, "n_jobs": -1} | options
    return DiscreteTreeFlow(10, categories=[np.arange(k) for k in n_categories], **options)
