"""Model files of each version of the format, for later ones to read.

``python tests/store.py`` writes those of this version, once, when it is made: they are never written again.
"""

import json
from pathlib import Path

from fuzzing import models

import treeflows
from treeflows.files.models import VERSION

FOLDER = Path(__file__).parent / "stored"


def write():
    """Write a model of each kind, and what they say of a table."""
    folder = FOLDER / str(VERSION)
    folder.mkdir()
    X, fitted = models()
    told = {}
    for i, model in enumerate(fitted):
        name = f"{i}-{type(model).__name__}.treeflow"
        treeflows.save(model, folder / name)
        told[name] = answers(model, X)
    (folder / "answers.json").write_text(json.dumps({"table": X[:20].tolist(), "answers": told}, indent=1) + "\n")


def answers(model, X):
    """Log-likelihoods, or probabilities of classes, of some rows."""
    asked = model.predict_proba if hasattr(model, "classes_") else model.score_samples
    return asked(X[:20]).tolist()


if __name__ == "__main__":
    write()
