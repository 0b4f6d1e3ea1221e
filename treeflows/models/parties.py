"""One table whose columns are held at different places: each learns its own, given the codes of those before."""

import hashlib
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from ..learning.grown import GrownTrees
from ..machine.errors import ParameterError, TableError
from ..machine.threads import n_threads
from ..tables.containers import NUMPY
from ..tables.domain import Domain
from .autoregressive import AutoregressiveTreeFlow
from .base import check_model, learn_from_codes, read_to_learn

OF_EACH = ("categories", "numeric", "n_jobs", "verbose")  # parameters that parties may set as they like


@dataclass(frozen=True, eq=False)
class ColumnCodes:
    """What a party hands on: codes of its columns and of those before, without what the codes stand for.

    Attributes
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    n_categories : ndarray of shape (n_columns,), int32
        Codes of column j run from 0 to ``n_categories[j] - 1``.
    n_ordered : ndarray of shape (n_columns,), int32
        How many of the first codes of each column are in an order that trees may ask by.
    """

    codes: np.ndarray
    n_categories: np.ndarray
    n_ordered: np.ndarray

    @property
    def _arrays(self):
        return self.codes, self.n_categories, self.n_ordered

    @property
    def nbytes(self):
        """Bytes to send: int."""
        return sum(array.nbytes for array in self._arrays)

    @property
    def digest(self):
        """SHA-256 of all that is sent: str."""
        sha = hashlib.sha256(f"{self.codes.shape}".encode())
        for array in self._arrays:
            sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return sha.hexdigest()

    def followed_by(self, other):
        """The columns of this message and those of another, which come after them.

        Parameters
        ----------
        other : ColumnCodes
            Of the same rows.

        Returns
        -------
        both : ColumnCodes
        """
        return ColumnCodes(
            np.hstack([self.codes, other.codes]),
            np.append(self.n_categories, other.n_categories),
            np.append(self.n_ordered, other.n_ordered),
        )


@dataclass(frozen=True, eq=False)
class PartyColumns:
    """What a party learned of its columns: to be put together with what the others did by `join_columns`.

    Attributes
    ----------
    domain : Domain
        Of the party's columns.
    counts : GrownTrees
        Their trees.
    message : ColumnCodes
        For the next party.
    before : str or None
        Digest of the message that the trees grew by; None of the first party.
    estimator : AutoregressiveTreeFlow
        Unfitted, with the parameters that they grew by.
    """

    domain: Domain
    counts: GrownTrees
    message: ColumnCodes
    before: str | None
    estimator: AutoregressiveTreeFlow


def learn_columns(estimator, X, before=None):
    """Learn the columns of one party given the codes of earlier ones.

    Parties hold different columns of the same rows, in the same order of rows. Each learns the trees of its own
    columns, which ask about these and those before them, and hands codes on: one message, forward. `join_columns` makes
    of all parts the model that ``fit`` learns of the whole table at one place, byte for byte.

    A message hides what codes mean, and nothing else: whoever gets it has the earlier columns with their categories
    renamed, and the trees hold counts of rows. Parties that may not see that must not use it.

    Parameters
    ----------
    estimator : AutoregressiveTreeFlow
        With ``order="natural"``, and the same parameters at all parties; ``max_features`` None or a number of columns.
    X : array or dataframe of shape (n_rows, n_columns)
        The party's columns: categories, and no cell that is missing under ``missing="marginalize"``.
    before : ColumnCodes, default=None
        The message of the party before; None of the first.

    Returns
    -------
    part : PartyColumns
        Its ``message`` is for the next party, its ``message.nbytes`` what that costs.

    Raises
    ------
    TypeError
        If the estimator is no AutoregressiveTreeFlow.
    ValueError
        For a parameter that parties cannot have, numbers, other rows than those before, and as ``fit`` raises it.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow, join_columns, learn_columns
    >>> coin = np.random.default_rng(0).integers(0, 2, (1000, 1))
    >>> flow = AutoregressiveTreeFlow(order="natural")
    >>> here = learn_columns(flow, coin)
    >>> there = learn_columns(flow, 1 - coin, here.message)
    >>> here.message.nbytes
    1008
    >>> model, table = join_columns([here, there]), np.hstack([coin, 1 - coin])
    >>> model.score(table) == flow.fit(table).score(table)
    True
    """
    _check_party(estimator)
    check_model(estimator)
    estimator = clone(estimator)
    domain, rows, _ = read_to_learn(estimator, X)
    if domain.numeric.any():
        name = domain.column_names[int(np.flatnonzero(domain.numeric)[0])]
        raise TableError(f"parties learn categories, and column {name!r} holds numbers: bin them", column=name)
    if rows.observed is not None:
        row, j = np.argwhere(~rows.observed)[0].tolist()
        name = domain.column_names[j]
        told = f"column {name!r} has a missing value at row {row}, which other parties' columns would have to tell"
        raise TableError(told, [("missing", "category")], column=name, row=row)
    own = ColumnCodes(rows.codes, domain.n_categories, domain.n_ordered)
    if before is not None and len(before.codes) != len(own.codes):
        told = f"the table has {len(own.codes):,} rows and the message {len(before.codes):,}"
        raise TableError(f"{told}: parties hold columns of the same rows, in the same order")
    message = own if before is None else before.followed_by(own)
    first = 0 if before is None else before.codes.shape[1]

    def learn(codes, n_categories, rng, threads, n_ordered, weight):
        return estimator.grow_from(first, message.codes, message.n_categories, rng, threads, message.n_ordered)

    counts = learn_from_codes(learn, rows, domain, estimator.random_state, n_threads(estimator.n_jobs))
    digest = None if before is None else before.digest
    return PartyColumns(domain, counts, message, digest, clone(estimator))


def join_columns(parts):
    """The model of the whole table, of what each party learned of its columns.

    Parameters
    ----------
    parts : sequence of PartyColumns
        In the order in which the message went.

    Returns
    -------
    model : AutoregressiveTreeFlow
        Fitted; it can go on by ``partial_fit``.

    Raises
    ------
    ValueError
        For parts that do not follow each other, of different parameters or kinds of table.
    """
    parts = list(parts)
    if not parts:
        raise ValueError("there must be at least one part")
    digest = None
    for i, part in enumerate(parts):
        if part.before != digest:
            told = "with a message" if i == 0 else f"by another message than that of part {i - 1}"
            raise ValueError(f"part {i} was learned {told}: give all parts in the order in which the message went")
        digest = part.message.digest
        _check_alike(parts[0], part, i)
    domains = [part.domain for part in parts]
    names = None if domains[0].names is None else sum((domain.names for domain in domains), ())
    if names is not None and len(set(names)) < len(names):
        name = next(name for i, name in enumerate(names) if name in names[:i])
        raise TableError(f"two parties have a column {name!r}; rename one of them", column=name)
    columns, dtypes = (sum((getattr(domain, what) for domain in domains), ()) for what in ("columns", "dtypes"))
    model = clone(parts[0].estimator).set_params(categories="auto", numeric="auto")
    return model.take_counts(
        Domain(columns, names, dtypes, domains[0].container), GrownTrees.joined([part.counts for part in parts])
    )


def _check_party(estimator):
    if not isinstance(estimator, AutoregressiveTreeFlow):
        raise TypeError(f"estimator must be an AutoregressiveTreeFlow, got {estimator!r}")
    if not isinstance(estimator.order, str) or estimator.order != "natural":
        told = f"order must be 'natural', that in which the message goes, got {estimator.order!r}"
        raise ParameterError(told, parameter="order", value=estimator.order)
    if isinstance(estimator.max_features, (str, float)):
        told = f"max_features must be None or an int, since no party knows all columns, got {estimator.max_features!r}"
        raise ParameterError(told, parameter="max_features", value=estimator.max_features)


def _check_alike(first, part, i):
    """Raise unless a part can stand in one table with the first."""
    ours, theirs = (of.estimator.get_params() for of in (first, part))
    for name in ours.keys() - OF_EACH:
        if ours[name] != theirs[name]:
            told = f"part {i} was learned with {name}={theirs[name]!r}, part 0 with {ours[name]!r}"
            raise ParameterError(told, parameter=name, value=theirs[name])
    if part.domain.container != first.domain.container:
        raise TableError(f"part {i} is of a {part.domain.container} table, part 0 of a {first.domain.container} one")
    if first.domain.container == NUMPY and part.domain.dtypes[0] != first.domain.dtypes[0]:
        told = f"part {i} is of an array of {part.domain.dtypes[0]}, part 0 of one of {first.domain.dtypes[0]}"
        raise TableError(f"{told}, which make no array: give tables with names")
    if (part.domain.names is None) != (first.domain.names is None):
        raise TableError(f"part {i} has names of columns and part 0 has none, or the other way round")
