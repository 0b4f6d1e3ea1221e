"""One column's tree with the names of what it asks, to read."""

from dataclasses import dataclass

import numpy as np

from .trees import draw_tree


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

    def asked(self, node):
        """What an inner node asks of its column: "= label" or "<= label"."""
        labels = self.labels[self.column[node]]
        return f"{'=' if self.low[node] == self.high[node] else '<='} {labels[self.high[node]]}"

    def __str__(self):
        return self.to_text()

    def _ask(self, node):
        return f"{self.names[self.column[node]]} {self.asked(node)}?"

    def _tell(self, leaf):
        rows = int(self.leaf_rows[leaf])
        prob = self.prob[leaf]
        order = np.argsort(-prob, kind="stable")
        shown = ", ".join(f"{self.labels[self.target][v]} {100 * prob[v]:.1f}%" for v in order[:4])
        return f"{rows:,} row{'s' * (rows != 1)}: {shown}{', …' * (len(order) > 4)}"
