"""A picture of which columns depend on which: columns on a circle, with lines between them."""

from dataclasses import dataclass

import numpy as np

from .axes import MODEL, fitted_domain, make_axes, shortened

MOST_COLUMNS = 30  # that have room on the circle
MOST_LINES = 40
WIDEST_LINE = 7.0  # points
RIM = 1.06  # where names begin, the circle's radius being 1
ROOM = 0.0195  # that a character takes, of half the picture


class DependenceGraphDisplay:
    """Columns on a circle, and a line between two of which one tells something of the other.

    Lines are the wider, the more nats of information the one column tells of the other, of the two directions the
    stronger, and only those are drawn that are told from chance. Columns that depend on each other are near each other.
    Squares are columns of which it was not asked what they depend on, such as those of a context.

    Parameters
    ----------
    graph : DependenceGraph

    Attributes
    ----------
    graph : DependenceGraph
        As given.
    columns_ : list of int
        The columns that are drawn, as they stand on the circle: at most those of the strongest lines.
    pairs_ : list of (int, int, float)
        The lines that are drawn: column, column that it depends on, and nats.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow, DependenceGraphDisplay
    >>> coin, other = np.random.default_rng(0).integers(0, 2, (2, 1000))
    >>> flow = AutoregressiveTreeFlow().fit(np.column_stack([coin, other, coin]))
    >>> display = DependenceGraphDisplay.from_estimator(flow, random_state=0)
    >>> [(column, other, round(nats, 1)) for column, other, nats in display.pairs_]
    [(2, 0, 0.7)]
    """

    def __init__(self, graph):
        self.graph = graph

    @classmethod
    def from_estimator(cls, model, X=None, *, context=None, random_state=None, ax=None):
        """Draw what the columns tell of each other.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns), default=None
            Rows that the model has not seen, to tell dependence from chance; None tells what the model believes.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one, what the rows are conditioned on; without rows those to draw them within.
        random_state : int, RandomState or None, default=None
            Draws rows; None continues with the estimator's own.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : DependenceGraphDisplay
        """
        fitted_domain(model)
        return cls(model.dependence_graph(X, context, random_state=random_state)).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : DependenceGraphDisplay
            The object itself.
        """
        circle = Circle.of(self.graph)
        self.columns_, self.pairs_ = circle.columns, circle.pairs
        (self.ax_,) = make_axes(ax, 1, (6.4, 6.4))
        self.figure_ = self.ax_.figure
        names = {j: shortened(self.graph.names[j], 24) for j in self.columns_}
        end = 1.1 / (1 - ROOM * max(map(len, names.values())))
        self.ax_.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")
        self.ax_.set_axis_off()
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        place = dict(zip(self.columns_, circle.places, strict=True))
        top = max((nats for *_, nats in self.pairs_), default=1.0)
        for (i, j, nats), bend in zip(reversed(self.pairs_), circle.bends[::-1], strict=True):  # the strongest on top
            line = Path([place[i], bend, place[j]], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
            width, opacity = max(WIDEST_LINE * nats / top, 0.6), 0.25 + 0.6 * np.sqrt(nats / top)
            self.ax_.add_patch(PathPatch(line, facecolor="none", edgecolor=MODEL, linewidth=width, alpha=opacity))
        linked = {j for pair in self.pairs_ for j in pair[:2]}
        for j, (x, y) in place.items():
            marker = "o" if self.graph.asked[j] else "s"
            self.ax_.plot(x, y, marker, color=MODEL if j in linked else "0.6", markersize=6)
            turned = np.degrees(np.arctan2(y, x))
            is_left = x < -1e-9
            self.ax_.text(
                RIM * x,
                RIM * y,
                names[j],
                rotation=turned + 180 * is_left,
                rotation_mode="anchor",
                ha="right" if is_left else "left",
                va="center",
                fontsize=9,
            )
        if not self.pairs_:
            self.ax_.text(0, 0, "no dependence\nthat is told from chance", ha="center", va="center", fontsize=9)
        return self


@dataclass(frozen=True, eq=False)
class Circle:
    """Where columns and the lines between them are drawn, on the unit circle.

    Attributes
    ----------
    columns : list of int
        As they stand on the circle, clockwise from the top, each next to those that it depends on most.
    pairs : list of (int, int, float)
        Of which one tells something of the other, the strongest first: column, column that it depends on, and nats.
    places : ndarray of shape (n_columns, 2), float64
        Of the columns.
    bends : ndarray of shape (n_pairs, 2), float64
        Of each line the point that draws it towards the centre: the middle one of three of a Bézier curve.
    """

    columns: list
    pairs: list
    places: np.ndarray
    bends: np.ndarray

    @classmethod
    def of(cls, graph):
        """The circle of a graph: at most 30 columns, those of the strongest lines, and at most 40 lines between them.

        Parameters
        ----------
        graph : DependenceGraph

        Returns
        -------
        circle : Circle
        """
        found = graph.pairs()
        shown = _shown(np.flatnonzero(graph.asked).tolist(), found)
        pairs = [pair for pair in found if pair[0] in shown and pair[1] in shown][:MOST_LINES]
        columns = _around(shown, pairs)
        angle = np.pi / 2 - 2 * np.pi * np.arange(len(columns)) / len(columns)
        places = np.column_stack([np.cos(angle), np.sin(angle)])
        at = {j: i for i, j in enumerate(columns)}
        ends = np.array([[places[at[i]], places[at[j]]] for i, j, _ in pairs]).reshape(-1, 2, 2)
        apart = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        bends = ends.mean(axis=1) * (1 - 0.4 * apart)[:, None]  # the more, the further the line has to go
        return cls(columns, pairs, places, bends)


def _shown(asked, pairs):
    """Columns that have room on the circle: list of int."""
    shown: dict[int, None] = {}
    for i, j, _ in pairs:
        if len(shown | {i: None, j: None}) <= MOST_COLUMNS:
            shown |= {i: None, j: None}
    every = shown | dict.fromkeys(asked)
    return list(every if len(every) <= MOST_COLUMNS else shown)


def _around(shown, pairs):
    """Columns as they stand on a circle, each next to those that it depends on most: list of int."""
    runs = [[j] for j in shown]
    for i, j, _ in pairs:  # the ends of two runs that depend on each other are joined
        one, other = (next((run for run in runs if k in (run[0], run[-1])), None) for k in (i, j))
        if one is None or other is None or one is other:
            continue
        runs.remove(other)
        one[:] = (one if one[-1] == i else one[::-1]) + (other if other[0] == j else other[::-1])
    return [j for run in runs for j in run]
