"""Columns that a model is given and does not tell: what the rows of a table are conditioned on."""

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator

from ..machine.errors import TableError
from .containers import as_array, is_frame, read_table
from .domain import listing


def read_context(context, n_rows=None):
    """A context as a user gives it, as a table: Table.

    Parameters
    ----------
    context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
    n_rows : int, default=None
        That it must have; None for any.

    Raises
    ------
    ValueError
        If it has others, no columns, or one of them twice.
    """
    table = read_table(BaseEstimator(), _as_table(context), reset=True)
    if n_rows is not None and table.n_rows != n_rows:
        raise ValueError(f"context has {table.n_rows:,} rows, and the table {n_rows:,}")
    return table


def learn_context(table, weight, policy):
    """The domain of a context: as that of a table, but what is missing is a category, and all columns have names."""
    if table.names is None:
        n = len(table.dtypes)
        table.names = ("context",) if n == 1 else tuple(f"context {j}" for j in range(n))
    return replace(policy, categories="auto", numeric="auto", missing="category").learn_domain(table, weight)


def encode_context(domain, table, n_threads=1):
    """What a context says in terms of its domain: ndarray of shape (n_rows, n_context), as `Rows.codes` has it.

    Raises
    ------
    TableError
        For other columns, and for a value or a missing cell that fit did not see; the message names column and row.
    """
    if table.names is None and len(table.dtypes) == len(domain.columns):
        table.names = domain.names
    if table.names != domain.names:
        told = f"{len(table.dtypes)} columns" if table.names is None else f"the columns {listing(table.names)}"
        raise TableError(f"context has {told}, and fit saw {listing(domain.column_names)}")
    return domain.bounded(domain.encode(table, n_threads).codes)


def beside(domain, context):
    """The domain that a model of a table's columns given those of a context is learned in, which has these last.

    Raises
    ------
    TableError
        If a column has the name of one of the context.
    """
    names = None
    if domain.names is not None:
        twice = sorted(set(domain.column_names) & set(context.column_names))
        if twice:
            told = (
                f"column {twice[0]!r} is in the table and in its context, and a model tells only what it is not given"
            )
            raise TableError(f"{told}: leave it out of one of them", column=twice[0])
        names = (*domain.names, *context.column_names)
    return replace(
        domain,
        columns=(*domain.columns, *context.columns),
        names=names,
        dtypes=(*domain.dtypes, *context.dtypes),
        n_context=len(context.columns),
    )


def with_context(rows, codes):
    """Rows of a table with the codes of their context, all of which are observed, as the last columns."""
    told = np.hstack([rows.codes, codes])  # of bytes and numbers, numbers
    if rows.observed is None:
        return replace(rows, codes=told)
    return replace(rows, codes=told, observed=np.hstack([rows.observed, np.ones(codes.shape, dtype=bool)]))


def _as_table(context):
    """A column by itself as a table of one."""
    if is_frame(context):
        return context
    import narwhals.stable.v2 as nw

    column = nw.from_native(context, series_only=True, pass_through=True)
    if isinstance(column, nw.Series):
        return column.alias(str(column.name) if column.name not in (None, "") else "context").to_frame().to_native()
    cells = as_array(column) if isinstance(column, (list, tuple)) else column
    return cells[:, None] if getattr(cells, "ndim", 0) == 1 else cells
