"""Numbers cut into a few intervals of as many rows each, so that one measure serves columns of all kinds."""

import numpy as np

N_INTERVALS = 8


def as_codes(values, numeric, edges=None):
    """Rows with their numbers cut into a few intervals of as many rows each, so that all columns are of codes.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        Codes, and numbers in float64, NaN where missing.
    numeric : ndarray of shape (n_columns,), bool
        Which columns are of numbers.
    edges : list of ndarray, default=None
        Between the intervals of each column; None for those of these rows.

    Returns
    -------
    codes : ndarray of shape (n_rows, n_columns), uint8
    edges : list of ndarray
    """
    if edges is None:
        at = np.arange(1, N_INTERVALS) / N_INTERVALS
        edges = [
            np.unique(np.nanquantile(values[:, j], at, method="inverted_cdf"))
            if n and not np.isnan(values[:, j]).all()
            else np.empty(0)
            for j, n in enumerate(numeric)
        ]
    codes = np.empty(values.shape, dtype=np.uint8)
    for j, column in enumerate(values.T):
        if numeric[j]:
            column = np.where(np.isnan(column), len(edges[j]) + 1, np.searchsorted(edges[j], column))
        codes[:, j] = column
    return codes, edges


def n_codes(domain):
    """How many codes each column has at most in `as_codes`: ndarray of shape (n_columns,), int32."""
    return np.where(domain.numeric, N_INTERVALS + 1, domain.n_categories).astype(np.int32)
