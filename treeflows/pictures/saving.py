"""Pictures in files: figures of the displays, drawn without a window."""

import io
import re
from pathlib import Path

from ..machine.archives import whole_file
from .axes import DATA, MODEL
from .graph import DependenceGraphDisplay
from .likelihood import AnomaliesDisplay, LikelihoodCurveDisplay
from .samples import DependenceDisplay, MarginalsDisplay, PairDisplay
from .trees import TreeDisplay

FORMATS = ("png", "svg", "pdf")
DPI = 130


def save_picture(
    path, what, model, X, *, context=None, seed=0, column=None, layer=None, depth=None, full=False, columns=None
):
    """Draw one picture of a model into a file.

    Parameters
    ----------
    path : str
        Its ending says the format.
    what : "curve", "tree", "graph", "dependence", "marginals", "pair" or "anomalies"
    model : fitted model of this package
    X : DataFrame or None
        The table to draw the model beside.
    context : DataFrame, default=None
        Of a graph, what the rows of the table are conditioned on.
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
        display = DependenceGraphDisplay.from_estimator(model, X, context=context, random_state=seed)
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
        _draw(display.figure_, file, _format(path))


def inline(figure, name, colours=None):
    """A figure as SVG to stand in a page, in the colours of the page.

    Text and lines have its ``currentColor``, data and samples its ``--data`` and ``--model``, on no background.

    Parameters
    ----------
    figure : matplotlib Figure
        It is closed.
    name : str
        Of its own in the page: the names of what is in the picture begin with it.
    colours : dict of str to str, default=None
        Further colours in hexadecimals, and what stands for them in the page.

    Returns
    -------
    picture : str
    """
    import matplotlib

    picture = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        _draw(figure, picture, "svg", transparent=True, metadata={"Date": None, "Creator": None})
    told = picture.getvalue()
    told = told[told.index("<svg") :]
    for before, after in (
        {"#000000": "currentColor", DATA: "var(--data)", MODEL: "var(--model)"} | (colours or {})
    ).items():
        told = told.replace(before, after)
    told = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\1{name}-", told)
    told = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", told)
    return re.sub(r'(<svg [^>]*?)width="[^"]*"|(<svg [^>]*?)height="[^"]*"', r"\1\2", told, count=2)


def use_no_window():
    """Have matplotlib draw without a window; ImportError if it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'treeflows[plot]'") from None
    matplotlib.use("Agg")


def _format(path):
    return Path(path).suffix.lower().lstrip(".")


def _draw(figure, file, ending, **options):
    from matplotlib import pyplot

    figure.savefig(file, format=ending, dpi=DPI, **options)
    pyplot.close(figure)
