"""A picture of what differs between two tables: how much each column, where, and how well single rows tell."""

import numpy as np

from ..models.comparison import compare
from .axes import make_axes, shortened

OF_A, OF_B = "#1f77b4", "#ff7f0e"  # matplotlib's first two colours
BLAMED, NOT_BLAMED = "#d62728", "#bfbfbf"
TOLD = 2  # values of a place
LONGEST = 52  # characters of a line that tells a place


class ComparisonDisplay:
    """What differs between two tables: how much in each column, where, and how well a single row tells them apart.

    Three panels. *Columns*: what each adds to the divergence of the tables, given the others before it, mean of both
    Kullback-Leibler divergences, with standard errors; those that are not to blame are grey. *Where*: of the places
    where the columns to blame differ most, the shares in A and in B. *Rows*: the log-ratios of the rows of either
    table, which are to the right of 0 where a row is rather one of A.

    Parameters
    ----------
    comparison : Comparison

    Attributes
    ----------
    comparison : Comparison
        As given.
    ax_ : ndarray of three matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import ComparisonDisplay, compare
    >>> A, B = np.random.default_rng(0).integers(0, 2, (2, 1000, 3))
    >>> B[:, 2] = B[:, 0]
    >>> display = ComparisonDisplay(compare(A, B)).plot()
    >>> [text.get_text() for text in display.ax_[0].get_yticklabels()]
    ['x0', 'x1', 'x2']
    """

    def __init__(self, comparison):
        self.comparison = comparison

    @classmethod
    def from_tables(cls, A, B, *, max_columns=12, max_places=6, ax=None, **options):
        """Compare two tables, and draw what differs.

        Parameters
        ----------
        A, B : array or dataframe of shape (n_rows, n_columns)
        max_columns, max_places : int, default=12 and 6
        ax : array of three matplotlib Axes, default=None
            As `plot` takes them.
        **options
            What `compare` takes beside the tables.

        Returns
        -------
        display : ComparisonDisplay
        """
        return cls(compare(A, B, **options)).plot(max_columns=max_columns, max_places=max_places, ax=ax)

    def plot(self, *, max_columns=12, max_places=6, ax=None):
        """Draw the three panels.

        Parameters
        ----------
        max_columns : int, default=12
            Columns to draw at most: first those to blame, then those that add most.
        max_places : int, default=6
            Places to draw at most: of each column to blame the first, then of each the second, and so on.
        ax : array of three matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ComparisonDisplay
            The object itself.
        """
        found = self.comparison
        columns, places = self._columns(max_columns), self._places(max_places)
        height = max(2.8, 0.32 * max(len(columns), (TOLD + 1) * len(places)) + 1.4)
        self.ax_ = make_axes(ax, 3, (14, height))
        self.figure_ = self.ax_[0].figure
        self._draw_columns(self.ax_[0], columns)
        self._draw_places(self.ax_[1], places)
        self._draw_rows(self.ax_[2])
        self.ax_[0].set_title(f"evidence of a difference: {found.bayes_factor:,.1f} nats", fontsize=10)
        return self

    def _columns(self, n):
        """Numbers of columns, those to blame first."""
        found = self.comparison
        size = found.divergences.mean(axis=0)
        blamed = [found.names.index(name) for name in found.blamed]
        others = [j for j in np.argsort(-size, kind="stable").tolist() if j not in blamed]
        return [*blamed, *others][:n]

    def _places(self, n):
        """Differences, of each column the first, then the second, and so on; told by column."""
        of = [[each for each in self.comparison.differences if each.column == name] for name in self.comparison.blamed]
        ranked = [each[i] for i in range(max(map(len, of), default=0)) for each in of if i < len(each)][:n]
        return [each for each in self.comparison.differences if each in ranked]

    def _draw_columns(self, ax, columns):
        found, place = self.comparison, np.arange(len(columns))
        size = found.divergences[:, columns].mean(axis=0)
        error = np.sqrt((found.divergence_errors[:, columns] ** 2).sum(axis=0)) / 2
        blamed = [found.names[j] in found.blamed for j in columns]
        ax.barh(place, size, color=[BLAMED if each else NOT_BLAMED for each in blamed])
        ax.errorbar(size, place, xerr=np.nan_to_num(error), fmt="none", ecolor="0.3", elinewidth=1)
        ax.set_yticks(place, [shortened(found.names[j], 24) for j in columns], fontsize=8)
        ax.set_ylim(len(columns) - 0.4, -0.6)
        left_out = len(found.names) - len(columns)
        told = f"\n{left_out} columns that add less are left out" if left_out else ""
        ax.set_xlabel(f"divergence, nats a row; grey: not to blame{told}", fontsize=9)
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.grid(axis="x", alpha=0.3)

    def _draw_places(self, ax, places):
        y, ticks = 0.0, {}
        for each in places:
            where = " and ".join(each.where) or "everywhere"
            ax.text(0.5, y, shortened(f"{each.column}, {where}", LONGEST), ha="center", va="center", fontsize=8)
            for what, a, b in [told for told in each.told if not isinstance(told[1], str)][:TOLD]:
                y += 1
                ticks[y] = shortened(what, 20)
                ax.plot([a, b], [y, y], color="0.6", linewidth=1.5, zorder=1)
                ax.scatter([a, b], [y, y], color=[OF_A, OF_B], s=28, zorder=2)
            y += 1.3
        ax.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
        ax.set(xlim=(-0.03, 1.03), ylim=(max(y, 1) - 0.6, -0.7))
        ax.set_xlabel("share in A (blue) and in B (orange)", fontsize=9)
        ax.set_title("where" if places else "no column is to blame", fontsize=10)
        ax.grid(axis="x", alpha=0.3)

    def _draw_rows(self, ax):
        ratios = self.comparison.log_ratios
        low, high = np.quantile(np.concatenate(ratios), (0.002, 0.998))  # what is beyond is drawn at the end
        edges = np.linspace(min(low, -0.1), max(high, 0.1), 41)
        for what, ratio, color in zip("AB", ratios, (OF_A, OF_B), strict=True):
            share = np.histogram(np.clip(ratio, edges[0], edges[-1]), edges)[0] / len(ratio)
            how = {"fill": True, "alpha": 0.45} if what == "A" else {"linewidth": 1.4}
            ax.stairs(share, edges, color=color, label=f"rows of {what}", **how)
        ax.axvline(0, color="0.3", linewidth=0.8)
        ax.set_xlabel("log-ratio: left rather of B, right rather of A", fontsize=9)
        ax.set_ylabel("share of the rows", fontsize=9)
        ax.set_title(f"one row is told right {self.comparison.accuracy:.1%} of the time", fontsize=10)
        ax.legend(fontsize=8, framealpha=0)
