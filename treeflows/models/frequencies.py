"""Tables of counts, as rows and how many rows each of them stands for."""

import numpy as np

from ..learning.rows import check_weight
from ..machine.errors import TableError
from ..tables.containers import is_frame
from ..tables.domain import choice

MARGIN = "All"  # as pandas.crosstab calls one


def from_counts(counts, column=None):
    """Turn a table of counts into what ``fit`` takes: rows that differ, and how many rows each of them stands for.

    A weight is as much evidence as that many rows, and nothing is repeated: a table of millions is learned from its
    cells.

    Parameters
    ----------
    counts : dataframe or pandas.Series
        A contingency table, as ``pandas.crosstab`` makes it: the label of each row has a value of a column, or of
        several, and so has that of each column. Or counts by their labels, as ``value_counts()`` and
        ``groupby(...).size()`` return them. Or with ``column`` a pandas, polars or pyarrow table of rows and counts.
    column : str, default=None
        The column that says how many rows each row stands for.

    Returns
    -------
    X : dataframe of shape (n_cells, n_columns)
        The values, a row for each count. Columns whose labels have no name are called ``row_0``, ``col_0`` and so on.
    sample_weight : ndarray of shape (n_cells,), float64
        The counts.

    Raises
    ------
    TableError
        If there is no such column, no other one, or the sums of a contingency table stand in it.
    ValueError
        If a count is no number, or negative.
    TypeError
        If it is none of these tables.

    Examples
    --------
    >>> import pandas as pd
    >>> from treeflows import AutoregressiveTreeFlow, from_counts
    >>> told = pd.DataFrame({"sex": ["m", "m", "f", "f"], "vote": ["no", "yes"] * 2, "n": [30, 10, 20, 40]})
    >>> X, weight = from_counts(told, "n")
    >>> model = AutoregressiveTreeFlow().fit(X, sample_weight=weight)
    >>> bool(model.query("vote", given={"sex": "f"})["vote"].probability[1] > 0.6)
    True
    >>> crosstab = told.pivot(index="sex", columns="vote", values="n")
    >>> from_counts(crosstab)[0].to_numpy().tolist()
    [['f', 'no'], ['f', 'yes'], ['m', 'no'], ['m', 'yes']]
    """
    if column is not None:
        X, weight = _apart(counts, column)
    elif type(counts).__name__ == "Series" and hasattr(counts, "index"):
        X, weight = _labels(counts.index, "row"), counts.to_numpy()
    elif is_frame(counts) and hasattr(counts, "index"):
        X, weight = _of_contingency(counts)
    else:
        told = "counts must be a contingency table of pandas, a Series of counts, or with column= a table that has them"
        raise TypeError(f"{told}, got {type(counts).__name__}")
    try:
        return X, check_weight(weight, len(weight))
    except (TypeError, ValueError) as error:
        raise ValueError(f"counts are no numbers of rows: {error}") from None


def _apart(table, column):
    """The other columns of a table, and one that counts its rows."""
    if not is_frame(table):
        raise TypeError(f"column is for pandas, polars and pyarrow tables, got {type(table).__name__}")
    import narwhals.stable.v2 as nw

    frame = nw.from_native(table, eager_only=True)
    if column not in frame.columns:
        told = f"there is no column {column!r} of counts; there are {choice(column, list(frame.columns), 20)}"
        raise TableError(told, column=column)
    if len(frame.columns) == 1:
        raise TableError(f"there is no column beside {column!r}, which counts rows", column=column)
    return frame.drop(column).to_native(), frame[column].to_numpy()


def _of_contingency(table):
    """The labels of each cell of a contingency table, and the counts."""
    for axis, of in enumerate((table.index, table.columns)):
        sums = table.to_numpy() if axis == 0 else table.to_numpy().T
        if len(of) > 1 and MARGIN in np.ravel(of[-1:].tolist()) and (sums[:-1].sum(axis=0) == sums[-1]).all():
            raise TableError(f"the last {('row', 'column')[axis]} of counts holds sums: leave out margins")
    n, k = table.shape
    rows = _labels(table.index, "row").loc[np.repeat(np.arange(n), k)].reset_index(drop=True)
    columns = _labels(table.columns, "col").loc[np.tile(np.arange(k), n)].reset_index(drop=True)
    return rows.join(columns), table.to_numpy().ravel()


def _labels(index, what):
    """Labels of an axis of pandas, a column for each level."""
    names = [f"{what}_{i}" if name is None else name for i, name in enumerate(index.names)]
    return index.to_frame(index=False).set_axis(names, axis=1)
