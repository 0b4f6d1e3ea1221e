"""Tables of numbers: ``python -m benchmarks.numbers FOLDER`` prints likelihoods beside those of normal mixtures.

FOLDER has .npz files with train, valid and test, all columns floats; ``--split valid`` leaves test alone. Also
benchmarks of a table of numbers and categories for asv.
"""

import argparse
from pathlib import Path
from timeit import default_timer

import numpy as np
import pandas as pd
from sklearn.mixture import GaussianMixture

from treeflows import AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture

COMPONENTS = 1, 2, 4, 8, 16, 32, 64  # of the peer, chosen on valid
MODELS = {
    "tree flow": AutoregressiveTreeFlow,
    "mixture": TreeFlowMixture,
    "ensemble of mixtures": TreeFlowEnsemble,
}


def mixed(n_rows):
    """A count, three sizes, a day and two kinds, which all depend on a hidden number."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=n_rows)
    kind = np.where(hidden + rng.normal(size=n_rows) > 0, "a", "b")
    return pd.DataFrame(
        {
            "kind": kind,
            "count": rng.poisson(np.exp(1 + hidden / 2)),
            "size": hidden + rng.normal(0, 0.5, n_rows),
            "cost": np.round(np.exp(hidden + rng.normal(0, 0.3, n_rows)), 2),
            "zeros": np.where(rng.random(n_rows) < 0.4, 0.0, hidden**2),
            "day": np.datetime64("2020-01-01") + np.rint(30 * hidden + 200).astype("m8[D]"),
            "colour": rng.choice(["red", "green", "blue"], n_rows),
        }
    )


class Mixed:
    """Fits and questions of one table."""

    params = (["tree flow", "mixture"],)
    param_names = ("model",)
    rounds, timeout = 2, 600

    def setup(self, model):
        """Draw the table, and fit the model that is asked."""
        self.X = mixed(4000)
        self.model = MODELS[model](random_state=0).fit(self.X)

    def time_fit(self, model):
        """Learn."""
        MODELS[model](random_state=0).fit(self.X)

    def time_score_samples(self, model):
        """Log-likelihood of all rows."""
        self.model.score_samples(self.X)

    def time_sample(self, model):
        """As many rows as there are."""
        self.model.sample(4000, random_state=0)

    def time_predict_quantiles_of_100_rows(self, model):
        """Of a number in the middle of the order, given all others."""
        self.model.predict_quantiles(self.X[:100], "size")

    def peakmem_fit(self, model):
        """Learn."""
        MODELS[model](random_state=0).fit(self.X)


def peer(train, valid):
    """scikit-learn's normal mixture with the number of components that valid likes best."""
    fits = [GaussianMixture(n, random_state=0, reg_covar=1e-4).fit(train) for n in COMPONENTS]
    return max(fits, key=lambda fit: fit.score(valid))


def main():
    """Measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of files without .npz (default: all)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--split", choices=["valid", "test"], default="test")
    arguments = parser.parse_args()
    print("| table |", *(f"{model} |" for model in arguments.models), "normal mixture (peer) |")
    print("|---" * (len(arguments.models) + 2) + "|")
    for name in arguments.sets or sorted(path.stem for path in arguments.folder.glob("*.npz")):
        splits = dict(np.load(arguments.folder / f"{name}.npz"))
        print(f"| {name} |", end="", flush=True)
        for model in arguments.models:
            start = default_timer()
            fitted = MODELS[model](random_state=0, n_jobs=-1).fit(splits["train"])
            seconds = default_timer() - start
            print(f" {-fitted.score(splits[arguments.split]):.3f} ({seconds:.1f} s) |", end="", flush=True)
        print(f" {-peer(splits['train'], splits['valid']).score(splits[arguments.split]):.3f} |", flush=True)


if __name__ == "__main__":
    main()
