"""Columns of a table by the names that a model knows: in any order, with further ones, and with some that lack."""

import warnings

from ..machine.errors import MOST_NAMED, TableError
from .containers import Table, is_frame, read_table
from .domain import listing


def read_matched(estimator, X, domain, *, lacking=False):
    """A table of the columns of a fitted model's domain.

    Of a dataframe, and where the domain has names, columns are matched by these: further ones are left out, with a
    warning, and none of the cells of those that lack is observed. Else they are those of the table, in order.

    Parameters
    ----------
    estimator : estimator
    X : array or dataframe of shape (n_rows, n_columns)
    domain : Domain
    lacking : bool, default=False
        Whether columns may lack.

    Returns
    -------
    table : Table

    Raises
    ------
    TableError
        If a column lacks that must not, or all do.
    """
    if domain.names is None or not is_frame(X):
        return read_table(estimator, X, reset=False)
    table = Table.of_frame(X)
    if table.names == domain.names:
        return read_table(estimator, X, reset=False)
    further = [name for name in table.names if name not in domain.names]
    absent = [j for j, name in enumerate(domain.names) if name not in table.names]
    named = listing([domain.names[j] for j in absent], MOST_NAMED)
    if len(absent) == len(domain.names):
        told = f"the table has none of the columns that fit saw: it lacks {named}; it has {listing(table.names, 20)}"
        raise TableError(told, column=domain.names[0])
    if absent and not lacking:
        raise TableError(
            f"the table lacks {named}, and whole rows are wanted: query(), conditional_proba(), predict() and impute() "
            "take what is there",
            [("missing", "marginalize")],
            column=domain.names[absent[0]],
        )
    if further:
        warnings.warn(
            f"the table has columns that fit did not see, which are left out: {listing(further, MOST_NAMED)}",
            UserWarning,
            stacklevel=3,
        )
    matched = table.arranged(domain.names)
    read = read_table(estimator, matched.X, reset=False)
    read.absent = frozenset(absent)
    return read
