"""A mixture of few rows beside what is simpler: ``python -m benchmarks.small FOLDER`` in asv_bench/.

Random rows, 30 to 300, of each table's train and valid are learned from, and as many as 2,000 others told. The mixture
has its defaults; independent columns and the Chow-Liu tree are those of ``treeflows evaluate``, each column smoothed as
leave-one-out likelihood has it.
"""

import argparse
from pathlib import Path

import numpy as np

from treeflows.models.baselines import ColumnTree

from .likelihood import Ours, load, mixture

MOST_TOLD = 2_000


def gains(splits, n_categories, n_draws, rng):
    """What the mixture is ahead of the better of independent columns and a Chow-Liu tree, nats a row: (n_draws,)."""
    ahead, rows = [], np.concatenate([splits["train"], splits["valid"]])
    for n in rng.integers(30, 301, n_draws).tolist():
        n = min(n, len(rows) * 2 // 3)  # of the smallest tables
        drawn = rng.permutation(len(rows))[: n + MOST_TOLD]
        seen, told = rows[drawn[:n]], rows[drawn[n:]]
        simpler = [ColumnTree(dependent).learn(seen, n_categories, None, 1) for dependent in (False, True)]
        best = max(density.score(told).mean() for density in simpler)
        ahead.append(Ours(mixture).fit(seen, n_categories).score_samples(told).mean() - best)
    return np.array(ahead)


def main():
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="names of files without .npz (default: all)")
    parser.add_argument("--draws", type=int, default=10, help="of each table")
    arguments = parser.parse_args()
    print("| table | mixture ahead by, mean | lowest | highest |\n|---|---|---|---|")
    for i, name in enumerate(arguments.sets or sorted(path.stem for path in arguments.folder.glob("*.npz"))):
        ahead = gains(*load(arguments.folder / f"{name}.npz"), arguments.draws, np.random.default_rng([0, i]))
        print(f"| {name} | {ahead.mean():.3f} | {ahead.min():.3f} | {ahead.max():.3f} |", flush=True)


if __name__ == "__main__":
    main()
