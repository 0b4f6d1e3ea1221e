"""What each part of TreeFlowMixture is worth: ``python -m benchmarks.ablation FOLDER`` in asv_bench/.

Negative log-likelihood of valid, nats per row, with each remedy off and on; the folder is as for benchmarks.likelihood.
"""

import argparse
from pathlib import Path

import numpy as np

from treeflows import AutoregressiveTreeFlow

from .likelihood import ensemble, load, mixture, tree_flow

VARIANTS = {
    "tree flow, natural order": lambda c: tree_flow(c).set_params(order="natural"),
    "order by evidence": tree_flow,
    "and further trees": lambda c: mixture(c, n_components=1, logistic=False),
    "order and hidden column": lambda c: mixture(c, n_trees=1, logistic=False),
    "order and logistic regressions": lambda c: mixture(c, n_trees=1, n_components=1),
    "all but the logistic regressions": lambda c: mixture(c, logistic=False),
    "all: TreeFlowMixture": mixture,
    "all but the order": lambda c: mixture(c, estimator=AutoregressiveTreeFlow(order="natural", min_samples_leaf=2)),
    "ten of all, uniform": lambda c: ensemble(c, weights="uniform"),
    "ten of all, weighted: TreeFlowEnsemble": ensemble,
}


def main():
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of files without .npz (default: all)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    print(f"| table | {' | '.join(arguments.variants)} |\n|---{'|---' * len(arguments.variants)}|")
    for name in arguments.sets or sorted(path.stem for path in arguments.folder.glob("*.npz")):
        splits, k = load(arguments.folder / f"{name}.npz")
        categories = [np.arange(n) for n in k]
        scores = (VARIANTS[v](categories).fit(splits["train"]).score(splits["valid"]) for v in arguments.variants)
        print(f"| {name} |", *(f"{-score:.3f} |" for score in scores), flush=True)


if __name__ == "__main__":
    main()
