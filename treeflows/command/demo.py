"""The demo: a flow of scikit-learn's bundled digits, real images that need no download."""

import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from ..machine.archives import whole_file
from ..models.discrete import DiscreteTreeFlow
from ..pictures.likelihood import LikelihoodCurveDisplay
from ..pictures.samples import DependenceDisplay, ImageGalleryDisplay

SIDE = 8  # pixels
LEVELS = 17


def demo(folder, *, seed=0, n_jobs=-1, as_json=False):
    """Fit the digits, print what the flow learned and draw it.

    Parameters
    ----------
    folder : str or path-like
        Where the PNG pictures go; made if it is not there.
    seed, n_jobs : int
    as_json : bool
        Print the figures as JSON and nothing else.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:  # before any work is done
        raise ImportError("the demo draws with matplotlib: pip install 'treeflows[demo]'")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    say = (lambda *text: None) if as_json else print
    images = load_digits().data.astype(np.uint8)
    train, test = train_test_split(images, test_size=0.2, random_state=seed)
    say(f"digits: {len(images):,} images of {SIDE} x {SIDE} pixels with {LEVELS} levels, {len(test)} held out")

    start = time.perf_counter()
    flow = DiscreteTreeFlow(
        20,
        max_depth=2,
        min_samples_split=400,
        early_stopping=True,
        categories=[np.arange(LEVELS)] * SIDE**2,
        random_state=seed,
        n_jobs=n_jobs,
        verbose=1,
    ).fit(train)
    fit_seconds = time.perf_counter() - start
    test_nll = [-scores.mean() for scores in flow.staged_score_samples(test)]
    say("\nlayer  leaves  NLL, nats per image")
    say("               train   held out")
    for t, nll in enumerate(test_nll):
        leaves = flow.layers_[t - 1].n_leaves if t else "-"
        say(f"{t:5}  {leaves:>6}  {-flow.train_score_[t]:6.2f}  {nll:6.2f}{'   independent columns' if t == 0 else ''}")
    say(f"\nfitted {len(flow.train_score_) - 1} layers in {fit_seconds:.2f} s, kept {len(flow.layers_)}")

    start = time.perf_counter()
    codes = flow.transform(images)
    exact = bool((flow.inverse_transform(codes) == images).all())
    seconds = time.perf_counter() - start
    say(f"round trip of all {len(images):,} images: {'exact' if exact else 'WRONG'} ({seconds:.3f} s)")
    start = time.perf_counter()
    samples = flow.sample(10_000, random_state=seed)
    say(f"sampled {len(samples):,} images in {time.perf_counter() - start:.3f} s")

    displays = {
        "digits.png": ImageGalleryDisplay.from_estimator(
            flow, images, shape=(SIDE, SIDE), random_state=seed, ax=_axes(9, 2.7, 2)
        ),
        "likelihood.png": LikelihoodCurveDisplay.from_estimator(flow, test, ax=_axes(7, 4.4, 1)),
        "dependence.png": DependenceDisplay.from_estimator(flow, train, random_state=seed, ax=_axes(12, 4.2, 3)),
    }
    for name, display in displays.items():
        with whole_file(folder / name) as file:
            display.figure_.savefig(file, format="png", dpi=110)
    say(f"pictures in {folder}: {', '.join(displays)}")
    if as_json:
        print(
            json.dumps(
                {
                    "nll_independent": float(test_nll[0]),
                    "nll": float(test_nll[-1]),
                    "layers": len(flow.layers_),
                    "fit_seconds": fit_seconds,
                    "round_trip_exact": exact,
                    "pictures": [str(folder / name) for name in displays],
                }
            )
        )
    if not exact:
        raise ValueError("the round trip lost an image")


def _axes(width, height, n):
    """Axes side by side in a figure that no window system needs to know of; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="compressed").subplots(1, n)
