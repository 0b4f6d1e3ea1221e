"""The demo: a flow of scikit-learn's bundled digits, real images that need no download."""

import json
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from ._files import whole_file
from ._flow import DiscreteTreeFlow

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
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("the demo draws with matplotlib: pip install 'treeflows[demo]'") from None

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

    rng = np.random.default_rng(seed)
    real = images[rng.choice(len(images), 50, replace=False)]
    pictures = {
        "digits.png": _digits(Figure, real, samples[:50]),
        "likelihood.png": _likelihood(Figure, flow, test_nll),
        "dependence.png": _dependence(Figure, train, flow.transform(train)),
    }
    for name, figure in pictures.items():
        with whole_file(folder / name) as file:
            figure.savefig(file, format="png", dpi=110)
    say(f"pictures in {folder}: {', '.join(pictures)}")
    if as_json:
        print(
            json.dumps(
                {
                    "nll_independent": float(test_nll[0]),
                    "nll": float(test_nll[-1]),
                    "layers": len(flow.layers_),
                    "fit_seconds": fit_seconds,
                    "round_trip_exact": exact,
                    "pictures": [str(folder / name) for name in pictures],
                }
            )
        )
    if not exact:
        raise ValueError("the round trip lost an image")


def mutual_information(codes, n_categories):
    """Mutual information of every pair of columns, nats: ndarray of shape (n_columns, n_columns)."""
    one_hot = (codes[:, :, None] == np.arange(n_categories)).reshape(len(codes), -1).astype(np.float32)
    joint = (one_hot.T @ one_hot / len(codes)).astype(np.float64)
    single = np.diag(joint)
    independent = np.outer(single, single)
    terms = joint * np.log(np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0))
    n_columns = codes.shape[1]
    return terms.reshape(n_columns, n_categories, n_columns, n_categories).sum(axis=(1, 3))


def _digits(Figure, real, sampled):
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for ax, images, title in zip(
        figure.subplots(1, 2), (real, sampled), ("real digits", "sampled by the flow"), strict=True
    ):
        sheet = np.zeros((5 * (SIDE + 1) - 1, 10 * (SIDE + 1) - 1)) + np.nan
        for i, image in enumerate(images):
            row, column = divmod(i, 10)
            top, left = row * (SIDE + 1), column * (SIDE + 1)
            sheet[top : top + SIDE, left : left + SIDE] = image.reshape(SIDE, SIDE)
        ax.imshow(sheet, cmap="gray_r", vmin=0, vmax=LEVELS - 1, interpolation="nearest")
        ax.set_title(title)
        ax.set_axis_off()
    return figure


def _likelihood(Figure, flow, test_nll):
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    ax = figure.subplots()
    kept = len(flow.layers_)
    ax.plot(-flow.train_score_, color="C0", label="training rows")
    ax.plot(-flow.validation_score_, color="C2", label="validation rows (choose the number of layers)")
    ax.plot(test_nll, color="C1", marker="o", markersize=3, label="held-out fifth")
    ax.axvline(kept, color="gray", linestyle=":", label=f"kept: {kept} layers")
    ax.set(xlabel="layers", ylabel="negative log-likelihood, nats per image")
    ax.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _dependence(Figure, rows, codes):
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    tables = [mutual_information(x, LEVELS) for x in (rows, codes)]
    for table in tables:
        np.fill_diagonal(table, np.nan)
    top = np.nanquantile(tables[0], 0.99)
    axes = figure.subplots(1, 2)
    for ax, table, what in zip(axes, tables, ("pixels", "codes of the flow"), strict=True):
        shown = ax.imshow(table, cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
        ax.set_title(f"{what}: mean {np.nanmean(table):.3f} nats")
        ax.set(xlabel="column", ylabel="column")
    figure.colorbar(shown, ax=axes, label="mutual information, nats", shrink=0.85)
    return figure
