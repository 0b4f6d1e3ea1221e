"""Model files of each version of the format, for later ones to read.

``python tests/store.py`` writes those of this version, once, when it is made: they are never written again.
"""

import json
from pathlib import Path

from fuzzing import models, models_of_numbers

import treeflows
from treeflows.files.models import VERSION

FOLDER = Path(__file__).parent / "stored"


def write():
    """Write a model of each kind, and what it says of some rows."""
    folder = FOLDER / str(VERSION)
    folder.mkdir()
    X, fitted = models()
    for i, (model, table) in enumerate([*((model, X) for model in fitted), *models_of_numbers()]):
        path = folder / f"{i}-{type(model).__name__}.treeflow"
        treeflows.save(model, path)
        told = {"table": table[:20].tolist(), "answers": answers(model, table[:20])}
        path.with_suffix(".json").write_text(json.dumps(told) + "\n")


def answers(model, X):
    """Log-likelihoods of rows, or probabilities of classes, or means of targets."""
    if hasattr(model, "classes_"):
        return model.predict_proba(X).tolist()
    return (model.score_samples if hasattr(model, "score_samples") else model.predict)(X).tolist()


if __name__ == "__main__":
    write()
