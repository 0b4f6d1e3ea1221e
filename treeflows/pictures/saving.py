"""Pictures in files: figures of the displays, drawn without a window."""

import base64
import io
from pathlib import Path

from ..machine.archives import whole_file
from .graph import DependenceGraphDisplay
from .likelihood import AnomaliesDisplay, LikelihoodCurveDisplay
from .samples import DependenceDisplay, MarginalsDisplay, PairDisplay
from .trees import TreeDisplay

FORMATS = ("png", "svg", "pdf")
DPI = 130


def save_picture(path, what, model, X, *, seed=0, column=None, layer=None, depth=None, full=False, columns=None):
    """Draw one picture of a model into a file.

    Parameters
    ----------
    path : str
        Its ending says the format.
    what : "curve", "tree", "graph", "dependence", "marginals", "pair" or "anomalies"
    model : fitted model of this package
    X : DataFrame or None
        The table to draw the model beside.
    seed : int, default=0
        Draws the samples.
    column, layer, depth, full
        Of a tree: the column, or the layer from 1, how deep to draw it, and whether with every split that was tried.
    columns : sequence of two str, default=None
        Of a pair: its columns.

    Raises
    ------
    ValueError
        For an unknown format, or a model that has no such picture.
    """
    check_picture(path)
    use_no_window()
    if what == "curve":
        display = LikelihoodCurveDisplay.from_estimator(model, X)
    elif what == "tree":
        bounded = {} if depth is None and not full else {"max_depth": depth}
        display = TreeDisplay.from_estimator(model, column=column, layer=layer, full=full, **bounded)
    elif what == "graph":
        display = DependenceGraphDisplay.from_estimator(model, X, random_state=seed)
    elif what == "anomalies":
        display = AnomaliesDisplay.from_estimator(model, X)
    elif what == "pair":
        display = PairDisplay.from_estimator(model, X, columns=columns, random_state=seed)
    elif what == "dependence":
        display = DependenceDisplay.from_estimator(model, X, random_state=seed)
    else:
        display = MarginalsDisplay.from_estimator(model, X, random_state=seed)
    save_display(path, display)


def check_picture(path):
    """Raise ValueError for a file whose ending says no format of pictures."""
    if _format(path) not in FORMATS:
        raise ValueError(f"cannot draw {path}: the file must end in .{', .'.join(FORMATS)}")


def save_display(path, display):
    """Write a display that was drawn to a file, whose ending says the format."""
    with whole_file(path) as file:
        _draw(display, file, _format(path))


def embedded(display):
    """A display as the address of a PNG picture that needs no file."""
    picture = io.BytesIO()
    _draw(display, picture, "png")
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def use_no_window():
    """Have matplotlib draw without a window; ImportError if it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'treeflows[plot]'") from None
    matplotlib.use("Agg")


def _format(path):
    return Path(path).suffix.lower().lstrip(".")


def _draw(display, file, ending):
    from matplotlib import pyplot

    display.figure_.savefig(file, format=ending, dpi=DPI)
    pyplot.close(display.figure_)
