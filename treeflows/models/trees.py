"""The trees of columns, as models have them, to read: with the names of columns and values."""

from ..densities.conditional_tree import ConditionalTree
from ..machine.errors import ParameterError, TableError
from ..tables.quantities import Quantity


def column_of_tree(domain, column):
    """Number of the column whose tree is wanted.

    Raises
    ------
    ParameterError
        If none is.
    """
    if column is None:
        raise ParameterError("column must be given: each has a tree of its own", parameter="column")
    return domain.index(column)


def tree_at(conditionals, place, before, names, labels, runs=frozenset()):
    """The tree at a place of the order.

    Parameters
    ----------
    conditionals : Conditionals
    place : int
    before : tuple of str
        Names of the columns before it.
    names, labels, runs
        As `ConditionalTree` has them.

    Returns
    -------
    tree : ConditionalTree
        With every split that was tried.
    """
    nodes = slice(*conditionals.first_node[place : place + 2])
    return ConditionalTree(
        target=int(conditionals.order[place]),
        before=before,
        column=conditionals.column[nodes],
        low=conditionals.low[nodes],
        high=conditionals.high[nodes],
        children=conditionals.children[nodes],
        leaf_rows=conditionals.leaf_rows[slice(*conditionals.first_leaf[place : place + 2])],
        prob=conditionals.leaves(conditionals.prob, place),
        names=names,
        labels=labels,
        posterior=None if conditionals.posterior is None else conditionals.posterior[nodes],
        runs=runs,
    )


def tree_beside_numbers(density, columns, names, j):
    """The tree of a column of categories, which may ask about numbers.

    Parameters
    ----------
    density : MixedDensity
    columns : sequence of Column or Quantity
    names : tuple of str
        Of the columns.
    j : int

    Returns
    -------
    tree : ConditionalTree
        Of the code columns that trees see; of a number these are which of the values that recur it is, the binary
        digits of its rank, and which of the thresholds lie below.

    Raises
    ------
    TableError
        If the column holds numbers, whose digits have a tree each.
    """
    (layout, trees), numbers = density.code_trees, density.numbers
    if numbers.is_number[j]:
        told = f"column {names[j]!r} holds numbers, each binary digit of which has a tree of its own"
        raise TableError(f"{told}: draw the tree of a column of categories, which asks about numbers", column=names[j])
    seen_names, seen_labels, runs = [], [], []
    for i in density.order.tolist():
        column = columns[i]
        if not isinstance(column, Quantity):
            seen_names.append(names[i])
            seen_labels.append(column.labels)
            continue
        missing = ("(missing)",) * column.missing
        runs.append(len(seen_names) + 1 + layout.bits)
        seen_names += [names[i], *(f"binary digit {b} of the rank of {names[i]}" for b in range(1, layout.bits + 1))]
        seen_names.append(names[i])
        ends = _shown(column, numbers.below(i, numbers.thresholds(i)))
        seen_labels += [(*_shown(column, numbers.atoms(i)), *missing, "(another number)"), *[("0", "1")] * layout.bits]
        seen_labels.append((*ends, "", "(missing)"))
    place = int(layout.first[j])
    before = tuple(names[i] for i in density.order[: density.order.tolist().index(j)].tolist())
    return tree_at(trees, place, before, tuple(seen_names), tuple(seen_labels), frozenset(runs))


def _shown(column, x):
    """Numbers of a quantity as cells, those that may lie anywhere with six digits."""
    cells = column.cells(x)[0].tolist() if not (column.is_time or column.is_duration) else column.cells(x)[0]
    return tuple(str(cell) if column.stride else f"{cell:.6g}" for cell in cells)
