"""A picture of one tree: its questions, and what it says at its leaves."""

from dataclasses import dataclass, field

import numpy as np

from ..densities.trees import leaves_below
from .axes import WIDEST, fitted_domain, make_axes, shortened

SHOWN = 3  # categories, or permuted columns, of a leaf
# Lengths across the picture, in units of the distance from one level of the tree to the next
FORK = 0.76  # from a question to where its branches part
LEAF = 1.3  # width of a leaf
# Lengths down the picture are in lines of text.
LINE, UNIT = 0.165, 1.6  # inches, of a picture of its own
EM = 0.55  # mean width of a character in font sizes


class TreeDisplay:
    """Picture of a tree of a fitted model.

    Inner nodes show their questions and the posterior probability of the split, leaves their training rows and what the
    tree says there: the most probable categories of the column, or the columns that are permuted. What lies below
    ``max_depth`` is drawn as one leaf, with the mean of its leaves' distributions, each weighted by its training rows.

    Parameters
    ----------
    tree : ConditionalTree or TreePermutation

    Attributes
    ----------
    tree : ConditionalTree or TreePermutation
        The tree as given.
    ax_ : matplotlib Axes
        Where the tree was drawn.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow, TreeDisplay
    >>> coin = np.random.default_rng(0).integers(0, 2, 1000)
    >>> flow = AutoregressiveTreeFlow(order="natural").fit(np.column_stack([coin, coin]))
    >>> display = TreeDisplay.from_estimator(flow, column=1)
    >>> [text.get_text() for text in display.ax_.texts][:3]
    ['x0 = 0', 'posterior 1.00', 'yes']
    """

    def __init__(self, tree):
        self.tree = tree

    @classmethod
    def from_estimator(cls, model, *, column=None, layer=None, max_depth=3, full=False, ax=None):
        """Draw the tree of a column, or of a layer.

        Parameters
        ----------
        model : AutoregressiveTreeFlow, TreeFlowMixture or DiscreteTreeFlow
            A fitted model; of a mixture the tree of the first of its ``flows_`` is drawn.
        column : str or int, default=None
            Name or number of the column whose tree to draw, for the first two.
        layer : int, default=None
            Layer to draw, from 1, for a discrete tree flow.
        max_depth : int or None, default=3
            Depth to which the tree is drawn, None for all of it.
        full : bool, default=False
            True draws every split of a column's tree that was tried, False those that are more probable than not.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure of a size that suits the tree.

        Returns
        -------
        display : TreeDisplay

        Raises
        ------
        TypeError
            For a model without trees.
        ValueError
            For a column or layer that is not there, or not given.
        """
        fitted_domain(model)
        return cls(model.tree(column, layer, full=full)).plot(max_depth=max_depth, ax=ax)

    def plot(self, *, max_depth=3, ax=None):
        """Draw the tree.

        Parameters
        ----------
        max_depth : int or None, default=3
            Depth to which the tree is drawn, None for all of it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure of a size that suits the tree.

        Returns
        -------
        display : TreeDisplay
            The object itself.
        """
        nodes = _visible_nodes(self.tree.children, max_depth)
        for node in nodes:
            if node.leaves is not None:
                node.lines = _lines(self.tree, node.leaves)
        n_lines = _lay_out(nodes)
        leaves_at = max(node.depth for node in nodes)
        size = max(4, UNIT * (leaves_at + LEAF + 0.1)), LINE * (n_lines + 3)
        (self.ax_,) = make_axes(ax, 1, size)
        self.figure_ = self.ax_.figure
        self.ax_.set(xlim=(-0.05, leaves_at + LEAF + 0.05), ylim=(n_lines, 0))
        self.ax_.set_axis_off()
        pixels, dpi = self.ax_.get_window_extent(), self.figure_.dpi
        width, height = 72 * pixels.width / dpi, 72 * pixels.height / dpi
        # a line of text must have room, and a question before its fork
        font_size = min(height / n_lines / 1.3, FORK * width / (leaves_at + LEAF) / (EM * (WIDEST + 1)))
        font_size = float(np.clip(font_size, 3, 9))
        for node in nodes:
            if node.parent is not None:
                self._draw_branch(node, leaves_at, font_size)
            if node.leaves is not None:
                self._draw_leaf(node, leaves_at, font_size)
            else:
                frame = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.5", "linewidth": 0.8}
                asked = _question(self.tree, node.number)
                self.ax_.text(node.depth, node.y, asked, va="center", bbox=frame, fontsize=font_size, color="black")
                self._draw_certainty(node, asked.count("\n"), font_size)
        title = shortened(self.tree.title, max(WIDEST, int(width / (EM * (font_size + 2)))))
        self.ax_.set_title(title, fontsize=font_size + 2, loc="left")
        return self

    def _draw_branch(self, node, leaves_at, font_size):
        fork = node.depth - 1 + FORK
        end = node.depth if node.leaves is None else leaves_at
        across, down = [node.depth - 1, fork, fork, end], [node.parent.y, node.parent.y, node.y, node.y]
        self.ax_.plot(across, down, color="0.6", linewidth=0.8, zorder=0)
        said = "yes" if node.is_yes else "no"
        self.ax_.text(fork + 0.03, node.y, said, va="bottom", fontsize=font_size - 1, color="0.35")

    def _draw_certainty(self, node, more_lines, font_size):
        told = self.tree.certainty(node.number)
        if told:
            below = node.y + 1.1 + more_lines / 2
            self.ax_.text(node.depth, below, told, va="center", fontsize=font_size - 2, color="0.35")

    def _draw_leaf(self, node, leaves_at, font_size):
        top = node.y - len(node.lines) / 2
        for i, (share, text) in enumerate(node.lines):
            if share is not None:
                for width, color in ((1.0, "0.94"), (share, "#d3c6f6")):
                    self.ax_.barh(top + i + 0.5, width * LEAF, 0.84, left=leaves_at, color=color)
            color = "0.3" if share is None else "black"
            self.ax_.text(leaves_at + 0.03, top + i + 0.52, text, va="center", fontsize=font_size, color=color)


@dataclass(eq=False)
class _Node:
    """A node that is drawn: ``leaves`` are those below it where it is drawn as a leaf, else None."""

    number: int
    depth: int
    parent: "_Node | None"
    is_yes: bool
    leaves: list | None = None
    lines: list = field(default_factory=list)
    y: float = 0.0


def _visible_nodes(children, max_depth):
    """The nodes as far down as ``max_depth``, each before those below it, the side of yes first."""
    nodes, stack = [], [_Node(0 if len(children) else ~0, 0, None, True)]
    while stack:
        node = stack.pop()
        nodes.append(node)
        if node.number < 0 or node.depth == max_depth:
            node.leaves = leaves_below(children, node.number)
        else:
            yes, no = children[node.number].tolist()
            stack += [_Node(no, node.depth + 1, node, False), _Node(yes, node.depth + 1, node, True)]
    return nodes


def _lay_out(nodes):
    """Give every node its height, the leaves below each other; returns the lines of text in all."""
    line = 0.0
    for node in nodes:
        if node.leaves is not None:
            node.y = line + len(node.lines) / 2
            line += len(node.lines) + 0.8
    for node in reversed(nodes):  # what lies below a node first: it stands half way between its children
        if node.parent is not None:
            node.parent.y += node.y / 2
    return line


def _question(tree, node):
    """What an inner node asks, in at most two lines."""
    name, answer = tree.question(node)
    whole = f"{name} {answer}"
    return shortened(whole) if len(whole) <= WIDEST else f"{shortened(name)}\n{shortened(answer)}"


def _lines(tree, leaves):
    """Lines of a leaf: share of its width to fill, None for none, and text."""
    heading, lines = tree.told(leaves, SHOWN)
    return [(None, heading)] + [
        (None, shortened(text, 2 * WIDEST))
        if share is None
        else (share, f"{100 * share:.1f}% {shortened(text, WIDEST + 4)}")
        for share, text in lines
    ]
