"""Binary trees as arrays: the children of inner node m are row m, an inner node or ``~leaf``; the root is node 0."""

import numpy as np


def starts(sizes):
    """Where each of so many things starts when all stand in a row: ndarray of shape (n + 1,), int64."""
    return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))


def check_tree(children, what):
    """Raise ValueError unless the children, below or after their parents, make one tree; ``what`` it is."""
    n_inner = len(children)
    inner, leaves = children[children >= 0], ~children[children < 0]
    after = (children > np.arange(n_inner)[:, None]) | (children < 0)
    if not after.all() or not np.array_equal(np.sort(inner), np.arange(1, n_inner)):
        raise ValueError(f"the inner nodes of {what} make no tree")
    if n_inner and not np.array_equal(np.sort(leaves), np.arange(n_inner + 1)):
        raise ValueError(f"the leaves of {what} are not the leaves of its tree")


def rows_of(leaf_rows, leaves):
    """How many training rows leaves have, in words."""
    rows = int(leaf_rows[leaves].sum())
    return f"{rows:,} row{'s' * (rows != 1)}{f' in {len(leaves)} leaves' * (len(leaves) > 1)}"


def draw_tree(children, ask, tell, max_depth=None):
    """Lines of a tree, the way file trees are drawn.

    Parameters
    ----------
    children : ndarray of shape (n_inner, 2)
    ask, tell : callable
        Of an inner node, the question whose answers yes and no are its children; of a list of leaves, what is to say of
        them together.
    max_depth : int or None
        What lies below it is told as one leaf.
    """
    lines = []
    stack = [(0 if len(children) else ~0, 0, "", "")]
    while stack:
        node, depth, lead, answer = stack.pop()
        if node < 0 or depth == max_depth:
            lines.append(f"{lead}{answer}{'' if node < 0 else '… '}{tell(leaves_below(children, node))}")
            continue
        lines.append(f"{lead}{answer}{ask(node)}")
        stem = lead.replace("├─ ", "│  ").replace("└─ ", "   ")
        stack.append((children[node, 1], depth + 1, stem + "└─ ", "no:  "))
        stack.append((children[node, 0], depth + 1, stem + "├─ ", "yes: "))
    return lines


def leaves_below(children, node):
    """Numbers of the leaves below a node, or of the leaf that it is: list of int."""
    leaves, stack = [], [node]
    while stack:
        at = stack.pop()
        if at < 0:
            leaves.append(~at)
        else:
            stack += children[at].tolist()
    return leaves
