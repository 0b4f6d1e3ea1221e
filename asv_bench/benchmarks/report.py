"""The README's table of figures: ``python -m benchmarks.report`` in asv_bench/, medians on this machine."""

import resource
import subprocess
import sys
from timeit import default_timer

import numpy as np

from treeflows import show_versions
from treeflows._ext import isa

from .common import flow, load


def median_ms(work, repeat=9):
    """Median milliseconds of a call."""
    seconds = []
    for _ in range(repeat):
        start = default_timer()
        work()
        seconds.append(default_timer() - start)
    return 1000 * float(np.median(seconds))


def import_ms(name):
    """Median milliseconds of a fresh interpreter that imports one module."""
    return median_ms(lambda: subprocess.run([sys.executable, "-c", f"import {name}"], check=True))


def fits():
    """Fit seconds, and likelihood of training and test rows."""
    for name in ("8gaussian", "mushroom", "adult_cat", "mnist_binary"):
        rows, k = load(name)
        options = {"min_samples_split": 201, "min_gain": -np.inf, "smoothing": 0.001} if name == "8gaussian" else {}
        model = flow(name, k, **options).fit(rows)
        ms = median_ms(lambda model=model, rows=rows: model.fit(rows), 5 if name == "mnist_binary" else 9)
        test = model.score(load(name, "test")[0])
        print(f"fit {name}: {ms:.1f} ms, train NLL {-model.train_score_[-1]:.4f}, test NLL {-test:.4f}")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def applications():
    """Transform, score, sample and invert."""
    rows, k = load("mnist_binary")
    model = flow("mnist_binary", k).fit(rows)
    test, _ = load("mnist_binary", "test")
    lookups = test.size * len(model.layers_)
    for what in ("transform", "score_samples"):
        ms = median_ms(lambda what=what: getattr(model, what)(test))
        print(f"{what} mnist_binary test: {ms:.1f} ms, {1000 * lookups / ms:.2g} column look-ups a second")
    codes = model.transform(test)
    print(f"inverse_transform mnist_binary test: {median_ms(lambda: model.inverse_transform(codes)):.1f} ms")
    print(f"sample 10,000 mnist_binary rows: {median_ms(lambda: model.sample(10_000, random_state=0)):.1f} ms")
    rows, k = load("mushroom")
    model = flow("mushroom", k).fit(rows)
    print(f"sample 10,000 mushroom rows: {median_ms(lambda: model.sample(10_000, random_state=0)):.1f} ms")


def kernels():
    """The co-occurrence table against the plain loop."""
    from .kernels import Cooccurrence  # here, lest asv run it under this module's name too

    benchmark = Cooccurrence()
    for name in isa.available():
        print(f"co-occurrence table, {name}: {benchmark.track_ratio_to_bare_loop(name):.2f} x the bare popcount loop")
    isa.use(isa.available()[0])


if __name__ == "__main__":
    show_versions()
    print(f"import treeflows {import_ms('treeflows'):.0f} ms, sklearn {import_ms('sklearn'):.0f} ms")
    fits()
    applications()
    kernels()
