"""Rows that a user wants of those that a model draws: rejection sampling."""

import numpy as np

from ..machine.errors import ParameterError
from ..tables.containers import Table, gathered

AT_ONCE = 1_000  # rows that are drawn at least, while any lacks
MOST_DRAWN = 1_000_000  # before it is asked
LEAST_SHARE = 1e-4  # whether so many of them are wanted


def wanted(draw, rows, where):
    """Draw rows until each of them is wanted.

    Parameters
    ----------
    draw : callable
        Draws rows of these numbers (ndarray of int, in which one may occur more than once): a table.
    rows : ndarray of shape (n_rows,), int
    where : callable
        Of a table of rows a mask of those that are wanted.

    Returns
    -------
    table : ndarray or dataframe of shape (n_rows, n_columns)

    Raises
    ------
    ParameterError
        If ``where`` is no such function, or hardly any row is wanted.
    """
    if not callable(where):
        told = f"where must be a function of a table of rows that returns a mask, got {where!r}"
        raise ParameterError(told, parameter="where", value=where)
    lacking, parts, places, n_drawn = rows, [draw(rows[:0])], [rows[:0]], 0
    while len(lacking):
        proposed = np.repeat(lacking, -(-AT_ONCE // len(lacking)))
        drawn = draw(proposed)
        mask = _mask(where(drawn), len(proposed))
        n_drawn += len(proposed)
        found, first = np.unique(proposed[mask], return_index=True)
        taken = np.zeros(len(proposed), dtype=bool)
        taken[np.flatnonzero(mask)[first]] = True
        parts.append(Table(drawn).rows(taken).X)
        places.append(proposed[taken])
        lacking = np.setdiff1d(lacking, found, assume_unique=True)
        n_found = len(rows) - len(lacking)
        if len(lacking) and n_drawn >= MOST_DRAWN and n_found < LEAST_SHARE * n_drawn:
            raise ParameterError(
                f"where holds for {n_found:,} of {n_drawn:,} rows drawn, too few to go on; say with given= what "
                "columns shall have",
                parameter="where",
                value=where,
            )
    return gathered(parts, np.argsort(np.concatenate(places)))


def _mask(told, n_rows):
    mask = np.asarray(told)
    if mask.shape != (n_rows,) or mask.dtype != bool:
        raise ParameterError(
            f"where must return a mask, True or False for each of {n_rows:,} rows; it returned "
            f"{mask.dtype} of shape {mask.shape}",
            parameter="where",
        )
    return mask
