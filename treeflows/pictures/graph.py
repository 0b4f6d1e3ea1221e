"""A picture of which columns depend on which: columns on a circle, with lines between them."""

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
    def from_estimator(cls, model, X=None, *, random_state=None, ax=None):
        """Draw what the columns tell of each other.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns), default=None
            Rows that the model has not seen, to tell dependence from chance; None tells what the model believes.
        random_state : int, RandomState or None, default=None
            Draws rows; None continues with the estimator's own.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : DependenceGraphDisplay
        """
        fitted_domain(model)
        return cls(model.dependence_graph(X, random_state=random_state)).plot(ax=ax)

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
        pairs = self.graph.pairs()[:MOST_LINES]
        self.columns_ = _around(len(self.graph.names), pairs)
        self.pairs_ = [pair for pair in pairs if pair[0] in self.columns_ and pair[1] in self.columns_]
        (self.ax_,) = make_axes(ax, 1, (6.4, 6.4))
        self.figure_ = self.ax_.figure
        names = {j: shortened(self.graph.names[j], 24) for j in self.columns_}
        end = 1.1 / (1 - ROOM * max(map(len, names.values())))
        self.ax_.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")
        self.ax_.set_axis_off()
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        angle = {j: np.pi / 2 - 2 * np.pi * i / len(self.columns_) for i, j in enumerate(self.columns_)}
        place = {j: np.array([np.cos(a), np.sin(a)]) for j, a in angle.items()}
        top = max((nats for *_, nats in self.pairs_), default=1.0)
        for i, j, nats in reversed(self.pairs_):  # the strongest last, on top
            middle, apart = (place[i] + place[j]) / 2, np.linalg.norm(place[i] - place[j])
            bent = middle * (1 - 0.4 * apart)  # towards the centre, the more, the further it has to go
            line = Path([place[i], bent, place[j]], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
            width, opacity = max(WIDEST_LINE * nats / top, 0.6), 0.25 + 0.6 * np.sqrt(nats / top)
            self.ax_.add_patch(PathPatch(line, facecolor="none", edgecolor=MODEL, linewidth=width, alpha=opacity))
        linked = {j for pair in self.pairs_ for j in pair[:2]}
        for j, (x, y) in place.items():
            self.ax_.plot(x, y, "o", color=MODEL if j in linked else "0.6", markersize=6)
            turned = np.degrees(angle[j])
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


def _around(n_columns, pairs):
    """Columns as they stand on a circle, each next to those that it depends on most: list of int."""
    shown: dict[int, None] = {}
    for i, j, _ in pairs:
        if len(shown) <= MOST_COLUMNS - 2 or (i in shown and j in shown):
            shown |= {i: None, j: None}
    if n_columns <= MOST_COLUMNS:
        shown |= dict.fromkeys(range(n_columns))
    runs = [[j] for j in shown]
    for i, j, _ in pairs:  # the ends of two runs that depend on each other are joined
        one, other = (next((run for run in runs if k in (run[0], run[-1])), None) for k in (i, j))
        if one is None or other is None or one is other:
            continue
        runs.remove(other)
        one[:] = (one if one[-1] == i else one[::-1]) + (other if other[0] == j else other[::-1])
    return [j for run in runs for j in run]
