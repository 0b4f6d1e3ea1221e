"""One layer: a tree-structured permutation of the domain, as plain arrays."""

from dataclasses import dataclass

import numpy as np

from .trees import check_tree, draw_tree


@dataclass(frozen=True, eq=False)
class TreePermutation:
    """A tree-structured permutation (TSP), the layer of a discrete tree flow.

    A row is routed to a leaf by its values: at inner node m it goes left when its value of column ``column[m]`` is in
    the node's input set, else right. The leaf's table then permutes every column. The output cells, split by the same
    tree with the output sets, partition the domain too, so the inverse routes by the output sets and undoes the table
    (Elkady, Lim, Inouye, "Discrete tree flows via tree-structured permutations", ICML 2022).

    Attributes
    ----------
    column : ndarray of shape (n_inner,), int32
        Split column of each inner node, in level order, root first. Without inner nodes, the root is the only leaf.
    children : ndarray of shape (n_inner, 2), int32
        Left and right child: an inner node, or ``~leaf`` (negative) for a leaf. Leaves are numbered left to right.
    input_sets, output_sets : ndarray of shape (n_inner, max n_categories), uint8
        1 where the category goes left, of values before and after the layer.
    tables : ndarray of shape (n_leaves, sum of n_categories), uint8
        Where each category of each column goes: category v of column j stands at ``first_category[j] + v``.
    counts : ndarray of shape (sum of n_categories,), int32
        Training rows of each category after the layer.
    leaf_rows : ndarray of shape (n_leaves,), int64
        Training rows of each leaf.
    first_category : ndarray of shape (n_columns + 1,), int32
    names : tuple of str
        Column names.
    labels : tuple of tuples of str
        Per column, the name of each category before the layer: the data's own in the first layer, codes in later ones.
    """

    column: np.ndarray
    children: np.ndarray
    input_sets: np.ndarray
    output_sets: np.ndarray
    tables: np.ndarray
    counts: np.ndarray
    leaf_rows: np.ndarray
    first_category: np.ndarray
    names: tuple
    labels: tuple

    @property
    def n_leaves(self):
        """Number of leaves."""
        return len(self.tables)

    def inverse_tables(self):
        """Tables that undo `tables`.

        Returns
        -------
        tables : ndarray of shape (n_leaves, sum of n_categories), uint8
        """
        base = np.repeat(self.first_category[:-1], np.diff(self.first_category))
        place = np.arange(len(base)) - base
        inverse = np.empty_like(self.tables)
        np.put_along_axis(inverse, base + self.tables, np.broadcast_to(place.astype(np.uint8), inverse.shape), axis=1)
        return inverse

    def check(self):
        """Raise ValueError unless the arrays make a tree over the columns and every table a permutation."""
        n_inner, n_columns = len(self.column), len(self.names)
        if n_inner and not (self.column.min() >= 0 and self.column.max() < n_columns):
            raise ValueError("a layer splits on a column that is not there")
        check_tree(self.children, "a layer")
        for start, end in zip(self.first_category[:-1], self.first_category[1:], strict=True):
            if (np.sort(self.tables[:, start:end], axis=1) != np.arange(end - start)).any():
                raise ValueError("a table of a layer is no permutation")
        if max(self.input_sets.max(initial=0), self.output_sets.max(initial=0)) > 1:
            raise ValueError("a set of a layer is no set")

    def to_text(self, max_depth=None):
        """The tree as text.

        Parameters
        ----------
        max_depth : int or None, default=None
            Below it only the number of leaves is said.

        Returns
        -------
        text : str
        """
        lines = [f"TreePermutation of {len(self.names)} columns, leaves: {self.n_leaves}"]
        lines += draw_tree(self.children, self._question, self._leaf, max_depth)
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()

    def _question(self, node):
        j = self.column[node]
        k = self.first_category[j + 1] - self.first_category[j]
        goes_left = self.input_sets[node, :k].astype(bool)
        left = [label for label, inside in zip(self.labels[j], goes_left, strict=True) if inside]
        return f"{self.names[j]} = {left[0]}?" if len(left) == 1 else f"{self.names[j]} in {{{', '.join(left)}}}?"

    def _leaf(self, leaf):
        rows = int(self.leaf_rows[leaf])
        return f"leaf {leaf}: {rows:,} row{'s' * (rows != 1)}, {self._moved(leaf)}"

    def _moved(self, leaf):
        """How many columns a leaf's table permutes, the first few written out."""
        moved = []
        for j, name in enumerate(self.names):
            table = self.tables[leaf, self.first_category[j] : self.first_category[j + 1]]
            changed = np.flatnonzero(table != np.arange(len(table)))
            if len(changed):
                arrows = ", ".join(f"{self.labels[j][v]}→{self.labels[j][table[v]]}" for v in changed[:3])
                moved.append(f"{name}: {arrows}{', …' * (len(changed) > 3)}")
        if not moved:
            return "identity"
        shown = "; ".join([*moved[:2], "…"] if len(moved) > 2 else moved)
        return f"permutes {len(moved)} column{'s' * (len(moved) > 1)} ({shown})"
