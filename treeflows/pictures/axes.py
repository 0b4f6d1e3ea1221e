"""What the displays share: matplotlib when it is needed, axes, text, and tables as codes."""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..models.base import CategoricalDensity

WIDEST = 16  # characters of a name
DATA, MODEL = "#7d8ca3", "#7a4fe0"  # colours of what is in the table, and of what the model says: told apart by all


def fitted_domain(model):
    """The domain of a fitted model of this package; TypeError for anything else."""
    if not isinstance(model, CategoricalDensity):
        raise TypeError(f"model must be a fitted model of treeflows, got {model!r}")
    check_is_fitted(model)
    return model.domain_


def data_and_samples(model, X, rng):
    """Codes of a table, and of as many rows drawn from the model, so that chance plays alike in both."""
    codes = model.filled_codes(X)
    return codes, model.filled_codes(model.sample(len(codes), random_state=rng))


def stream(model, random_state):
    """What to draw from: None continues with the estimator's own ``random_state``, as `sample` does."""
    return check_random_state(model.random_state if random_state is None else random_state)


def make_axes(ax, n, size, across=None):
    """Axes for n panels, as a flat ndarray: those given, or those of a new figure, ``across`` side by side.

    ``size`` is the width and height of a new figure in inches. New figures are pyplot's, as scikit-learn's displays
    make them, so that notebooks and ``pyplot.show`` show them. ValueError if not n axes are given.
    """
    if ax is not None:
        axes = np.ravel(ax)
        if len(axes) != n:
            raise ValueError(f"ax must be {'one axes' if n == 1 else f'{n} axes, one for each panel'}, got {len(axes)}")
        return axes
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'treeflows[plot]'") from None
    across = across or n
    axes = pyplot.subplots(-(-n // across), across, figsize=size, layout="compressed", squeeze=False)[1].ravel()
    for empty in axes[n:]:
        empty.remove()
    return axes[:n]


def shortened(text, length=WIDEST):
    """A name as a picture can hold it: one line of bounded length in which a dollar starts no formula."""
    text = " ".join(text.split())
    text = text if len(text) <= length else text[: length - 1] + "…"
    return text.replace("$", r"\$")
