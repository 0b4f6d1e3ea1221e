"""Digits beside samples of the mixture: ``python -m benchmarks.images FOLDER/mnist_static.npz FILE`` in asv_bench/.

The file of codes is as for benchmarks.likelihood, a row being a square image, line by line.
"""

import argparse
import resource
from math import isqrt
from pathlib import Path
from timeit import default_timer

import numpy as np

from treeflows import ImageGalleryDisplay

from .likelihood import load, mixture


def main():
    """Fit on train, tell the likelihood of test, draw rows of test beside samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    splits, k = load(arguments.table)
    side = isqrt(len(k))
    start = default_timer()
    model = mixture([np.arange(n) for n in k]).fit(splits["train"])
    seconds, peak = default_timer() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"NLL of test {-model.score(splits['test']):.3f}, fit {seconds:.0f} s, peak {peak / 1024:.0f} MB")
    display = ImageGalleryDisplay.from_estimator(model, splits["test"], shape=(side, side), random_state=0)
    display.figure_.savefig(arguments.picture, dpi=110)


if __name__ == "__main__":
    main()
