"""One layer: a tree-structured permutation of the domain, as plain arrays."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

import numpy as np

from .stored import Array, Stored
from .trees import check_tree, draw_tree, rows_of


@dataclass(frozen=True, eq=False)
class TreePermutation(Stored):
    """A tree-structured permutation (TSP), the layer of a discrete tree flow.

    A row is routed to a leaf by its values: at inner node m it goes left when its value of column ``column[m]`` is in
    the node's input set, else right. The leaf's table then permutes every column. The output cells, split by the same
    tree with the output sets, partition the domain too, so the inverse routes by the output sets and undoes the table
    (Elkady, Lim, Inouye, "Discrete tree flows via tree-structured permutations", ICML 2022).

    Attributes
    ----------
    n_categories : ndarray of shape (n_columns,), int32
        Codes of column j run from 0 to ``n_categories[j] - 1``.
    column : ndarray of shape (n_inner,), int32
        Split column of each inner node, parents before their children. Without inner nodes, the root is the only leaf.
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
    names : tuple of str
        Column names, to print.
    labels : tuple of tuples of str
        Per column, the name of each category before the layer: the data's own in the first layer, codes in later ones.
    """

    column: Annotated[np.ndarray, Array(np.int32, "nodes", low=0, high="columns")]
    children: Annotated[np.ndarray, Array(np.int32, "nodes", 2)]
    input_sets: Annotated[np.ndarray, Array(np.uint8, "nodes", "widest", high=1)]
    output_sets: Annotated[np.ndarray, Array(np.uint8, "nodes", "widest", high=1)]
    tables: Annotated[np.ndarray, Array(np.uint8, "nodes + 1", "values")]
    counts: Annotated[np.ndarray, Array(np.int32, "values", low=0)]
    leaf_rows: Annotated[np.ndarray, Array(np.int64, "nodes + 1", low=0)]
    names: tuple = field(default=(), metadata={"kept": False})
    labels: tuple = field(default=(), metadata={"kept": False})

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
        base = np.repeat(self.first_category[:-1], self.n_categories)
        place = np.arange(len(base)) - base
        inverse = np.empty_like(self.tables)
        np.put_along_axis(inverse, base + self.tables, np.broadcast_to(place.astype(np.uint8), inverse.shape), axis=1)
        return inverse

    def check(self):
        """Raise ValueError unless the arrays make a tree over the columns, and its tables a bijection of the domain."""
        super().check()
        check_tree(self.children, "a layer")
        # each leaf's table carries its input cell onto its output cell, and the output cells partition the domain
        inputs, outputs = self._cells(self.input_sets), self._cells(self.output_sets)
        for start, end in pairwise(self.first_category):
            table = self.tables[:, start:end].astype(np.intp)
            if (np.sort(table, axis=1) != np.arange(end - start)).any():
                raise ValueError("a table of a layer is no permutation")
            if (np.take_along_axis(outputs[:, start:end], table, axis=1) != inputs[:, start:end]).any():
                raise ValueError("a table of a layer does not carry its cell onto the cell that it must")

    def _cells(self, sets):
        """Categories that each leaf's cell allows: ndarray of shape (n_leaves, sum of n_categories), bool."""
        cells = np.ones(self.tables.shape, dtype=bool)
        stack = [(0 if len(self.children) else ~0, np.ones(self.tables.shape[1], dtype=bool))]
        while stack:
            node, cell = stack.pop()
            if node < 0:
                cells[~node] = cell
                continue
            j = self.column[node]
            here = slice(*self.first_category[j : j + 2])
            for child, side in zip(self.children[node].tolist(), (1, 0), strict=True):
                below = cell.copy()
                below[here] &= sets[node, : self.n_categories[j]] == side
                stack.append((child, below))
        return cells

    def to_text(self, max_depth=None):
        """The tree as text.

        Parameters
        ----------
        max_depth : int or None, default=None
            What lies below it is told as one leaf.

        Returns
        -------
        text : str
        """
        lines = [f"TreePermutation of {len(self.names)} columns, leaves: {self.n_leaves}"]
        lines += draw_tree(self.children, self._ask, self._leaf, max_depth)
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()

    @property
    def title(self):
        """What the tree is of."""
        return f"layer of {self.n_leaves} lea{'ves' if self.n_leaves > 1 else 'f'}, {len(self.names)} columns"

    def question(self, node):
        """What an inner node asks: the name of its column, and "= label" or "in {labels}".

        Parameters
        ----------
        node : int

        Returns
        -------
        name : str
        answer : str
        """
        j = self.column[node]
        left = [label for label, inside in zip(self.labels[j], self.input_sets[node], strict=False) if inside]
        return self.names[j], f"= {left[0]}" if len(left) == 1 else f"in {{{', '.join(left)}}}"

    def certainty(self, node):
        """Nothing: splits of a layer have no posterior.

        Parameters
        ----------
        node : int

        Returns
        -------
        text : str
        """
        return ""

    def told(self, leaves, most):
        """What leaves say together: their rows, and of a single leaf the columns that it permutes.

        Parameters
        ----------
        leaves : list of int
        most : int
            Columns to tell.

        Returns
        -------
        heading : str
        lines : list of (None, str)
            A column each, at most ``most``, and how many more there are.
        """
        heading = rows_of(self.leaf_rows, leaves)
        if len(leaves) > 1:
            return heading, []
        moved = [f"{self.names[j]}: {', '.join(arrows)}" for j, arrows in self._arrows(leaves[0])]
        more = [f"and {len(moved) - most} columns more"] if len(moved) > most else []
        heading += f", permuted column{'s' * (len(moved) > 1)}:" if moved else ", identity"
        return heading, [(None, line) for line in moved[:most] + more]

    def _ask(self, node):
        return f"{' '.join(self.question(node))}?"

    def _leaf(self, leaves):
        """A leaf: how many columns its table permutes, the first few written out; of several only their rows."""
        if len(leaves) > 1:
            return rows_of(self.leaf_rows, leaves)
        [leaf] = leaves
        heading = f"leaf {leaf}: {rows_of(self.leaf_rows, leaves)}"
        moved = [
            f"{self.names[j]}: {', '.join(arrows[:3])}{', …' * (len(arrows) > 3)}" for j, arrows in self._arrows(leaf)
        ]
        if not moved:
            return f"{heading}, identity"
        shown = "; ".join([*moved[:2], "…"] if len(moved) > 2 else moved)
        return f"{heading}, permutes {len(moved)} column{'s' * (len(moved) > 1)} ({shown})"

    def _arrows(self, leaf):
        """Each column that a leaf's table permutes, and which category goes where."""
        for j, labels in enumerate(self.labels):
            table = self.tables[leaf, self.first_category[j] : self.first_category[j + 1]]
            arrows = [f"{labels[v]}→{labels[to]}" for v, to in enumerate(table) if v != to]
            if arrows:
                yield j, arrows
