"""One column's tree with the names of what it asks, to read."""

from dataclasses import dataclass

import numpy as np

from .trees import draw_tree, rows_of

RARE = 5e-4  # probability that would be printed as 0.0%


@dataclass(frozen=True, eq=False)
class ConditionalTree:
    """The tree of one column: its distribution given the columns before it.

    Attributes
    ----------
    target : int
        The column.
    before : tuple of str
        Names of the columns before it, in order.
    column : ndarray of shape (n_inner,), int32
    low, high : ndarray of shape (n_inner,), uint8
        Inner node m asks whether the code of column ``column[m]`` is between ``low[m]`` and ``high[m]``, both included.
        Node 0 is the root; without inner nodes, the root is the only leaf.
    children : ndarray of shape (n_inner, 2), int32
        If so, and if not: an inner node, or ``~leaf`` (negative) for a leaf.
    leaf_rows : ndarray of shape (n_leaves,), int32
        Training rows of each leaf.
    prob : ndarray of shape (n_leaves, n_categories), float64
        Probability of each category of the column, averaged over all prunings of the tree.
    names : tuple of str
        Names of all columns.
    labels : tuple of tuples of str
        Per column, the name of each category.
    """

    target: int
    before: tuple
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    children: np.ndarray
    leaf_rows: np.ndarray
    prob: np.ndarray
    names: tuple
    labels: tuple

    def to_text(self, max_depth=None):
        """The tree as text.

        Parameters
        ----------
        max_depth : int, default=None
            How far down; None is all of it.

        Returns
        -------
        text : str
        """
        given = f"{', '.join(self.before[:6])}{', …' * (len(self.before) > 6)}" or "nothing"
        return "\n".join(
            [f"{self.names[self.target]} given {given}", *draw_tree(self.children, self._ask, self._tell, max_depth)]
        )

    @property
    def title(self):
        """What the tree is of."""
        return f"{self.names[self.target]} given {', '.join(self.before) or 'nothing'}"

    def question(self, node):
        """What an inner node asks: the name of its column, and "= label" or "<= label".

        Parameters
        ----------
        node : int

        Returns
        -------
        name : str
        answer : str
        """
        j, high = self.column[node], self.high[node]
        return self.names[j], f"{'=' if self.low[node] == high else '<='} {self.labels[j][high]}"

    def told(self, leaves, most):
        """What leaves say together: their rows, and the distribution of the column, weighted by training rows.

        Parameters
        ----------
        leaves : list of int
        most : int
            Categories to tell.

        Returns
        -------
        heading : str
        lines : list of (float, str)
            Shares and what has them: the most probable categories, at most ``most``, and the others as one.
        """
        rows = self.leaf_rows[leaves]
        prob = np.average(self.prob[leaves], axis=0, weights=rows if rows.any() else None)
        order = np.argsort(-prob, kind="stable")
        order = order[prob[order] >= RARE]
        shown = order if len(order) <= most + 1 else order[:most]
        lines = [(prob[v], self.labels[self.target][v]) for v in shown]
        rest, n_rest = 1 - prob[shown].sum(), len(prob) - len(shown)
        if rest >= RARE:
            lines.append((rest, f"{n_rest} other{'s' * (n_rest > 1)}"))
        return rows_of(self.leaf_rows, leaves), lines

    def __str__(self):
        return self.to_text()

    def _ask(self, node):
        return f"{' '.join(self.question(node))}?"

    def _tell(self, leaf):
        rows = int(self.leaf_rows[leaf])
        prob = self.prob[leaf]
        order = np.argsort(-prob, kind="stable")
        shown = ", ".join(f"{self.labels[self.target][v]} {100 * prob[v]:.1f}%" for v in order[:4])
        return f"{rows:,} row{'s' * (rows != 1)}: {shown}{', …' * (len(order) > 4)}"
