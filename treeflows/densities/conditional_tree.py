"""One column's tree with the names of what it asks, to read."""

from dataclasses import dataclass, replace

import numpy as np

from .trees import draw_tree, leaves_below, rows_of

RARE = 5e-4  # probability that would be printed as 0.0%
BELIEVED = 0.5  # posterior probability of a split, from which it is more probable than not


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
    leaf_rows : ndarray of shape (n_leaves,), int32 or int64
        Training rows of each leaf.
    prob : ndarray of shape (n_leaves, n_categories), float64
        Probability of each category of the column, averaged over all prunings of the tree.
    names : tuple of str
        Names of all columns.
    labels : tuple of tuples of str
        Per column, the name of each category.
    posterior : ndarray of shape (n_inner,), float32, or None
        Posterior probability of each split: that of the prunings that have it. It falls from the root down. None of a
        model from a file that was written before version 0.2.
    runs : frozenset of int
        Columns whose codes are runs of numbers, each named by its last one; the last code but one is what lies above
        all of these, and the last a missing cell.
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
    posterior: np.ndarray | None = None
    runs: frozenset = frozenset()

    def believed(self, least=BELIEVED):
        """The tree of the splits that are believed.

        Of all splits that were tried, those of a posterior probability of at least ``least`` are kept: by default those
        that are more probable than not, which make up the median probability model (Barbieri and Berger, Annals of
        Statistics 32, 2004). Of what lies below, and of leaves whose distributions are the same to 0.05 %, one leaf is
        made, with the mean of their distributions, each weighted by its training rows. All leaves below a split share
        what the prunings without it say, so that no distribution of theirs is further from that mean, in total
        variation, than the posterior of the split that is left out.

        Parameters
        ----------
        least : float, default=0.5
            Posterior probability. 0 keeps all splits that tell anything.

        Returns
        -------
        tree : ConditionalTree
        """
        inner, below, stack = [], {}, [0 if len(self.column) else ~0]
        while stack:
            node = stack.pop()
            if node >= 0 and (self.posterior is None or self.posterior[node] >= least):
                inner.append(node)
                stack += self.children[node].tolist()
            else:
                below[node] = leaves_below(self.children, node)
        spread = {node: (prob, prob) for node, prob in ((n, self._together(of)) for n, of in below.items())}
        for node in reversed(inner):  # what lies below a node comes after it
            yes, no = self.children[node].tolist()
            low, high = np.minimum(spread[yes][0], spread[no][0]), np.maximum(spread[yes][1], spread[no][1])
            spread[node] = low, high
            if (high - low).max() <= RARE:
                below[node] = below[yes] + below[no]
        kept, leaves, children = [], [], []

        def number(node):
            """Its number in the tree that is made, where it joins the leaves or the inner nodes."""
            if node in below:
                leaves.append(below[node])
                return -len(leaves)
            kept.append(node)
            return len(kept) - 1

        number(0 if len(self.column) else ~0)
        for node in kept:  # which become more on the way
            yes, no = self.children[node].tolist()
            children.append([number(yes), number(no)])
        return replace(
            self,
            column=self.column[kept],
            low=self.low[kept],
            high=self.high[kept],
            children=np.array(children, dtype=np.int32).reshape(-1, 2),
            leaf_rows=np.array([self.leaf_rows[of].sum() for of in leaves], dtype=np.int64),
            prob=np.array([self._together(of) for of in leaves]),
            posterior=None if self.posterior is None else self.posterior[kept],
        )

    def to_text(self, max_depth=None):
        """The tree as text: a line for each split, with its posterior probability, and for each leaf.

        Parameters
        ----------
        max_depth : int, default=None
            How far down; None is all of it. What lies below is told as one leaf.

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
        """What an inner node asks: the name of its column, and "= label", "<= label" or "> label and <= label".

        Parameters
        ----------
        node : int

        Returns
        -------
        name : str
        answer : str
        """
        j, low, high = int(self.column[node]), int(self.low[node]), int(self.high[node])
        name, labels = self.names[j], self.labels[j]
        if j not in self.runs or high == len(labels) - 1:
            return name, f"{'=' if low == high else '<='} {labels[high]}"
        above = [f"> {labels[low - 1]}"] if low else []
        return name, " and ".join(above + [f"<= {labels[high]}"] * (high < len(labels) - 2))

    def path(self, codes):
        """The way of a row down the tree.

        Parameters
        ----------
        codes : ndarray of shape (n_columns,), uint8
            Of the row, in all columns of the model.

        Returns
        -------
        path : list of (int, bool)
            Inner nodes from the root on, and whether the answer is yes.
        """
        node, path = 0 if len(self.column) else ~0, []
        while node >= 0:
            yes = bool(self.low[node] <= codes[self.column[node]] <= self.high[node])
            path.append((node, yes))
            node = int(self.children[node, 0 if yes else 1])
        return path

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
        prob = self._together(leaves)
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

    def certainty(self, node):
        """The posterior probability of a split, to print, or nothing.

        Parameters
        ----------
        node : int

        Returns
        -------
        text : str
        """
        return "" if self.posterior is None else f"posterior {self.posterior[node]:.2f}"

    def _ask(self, node):
        told = self.certainty(node)
        return f"{' '.join(self.question(node))}?{f' ({told})' if told else ''}"

    def _tell(self, leaves):
        prob = self._together(leaves)
        order = np.argsort(-prob, kind="stable")
        shown = ", ".join(f"{self.labels[self.target][v]} {100 * prob[v]:.1f}%" for v in order[:4])
        return f"{rows_of(self.leaf_rows, leaves)}: {shown}{', …' * (len(order) > 4)}"

    def _together(self, leaves):
        """The mean of the distributions of leaves, weighted by their training rows."""
        rows = self.leaf_rows[leaves]
        return np.average(self.prob[leaves], axis=0, weights=rows if rows.any() else None)
