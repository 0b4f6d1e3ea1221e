"""Tables of one group as tables of another, and of all groups as of none."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from ..densities.coupling import couple
from ..densities.of_contexts import OfContexts
from ..machine.draws import generator
from ..machine.errors import ParameterError
from ..machine.threads import n_threads
from .base import CategoricalDensity
from .mixture import TreeFlowMixture

MOST_GROUPS = 64  # that rows are aligned to together: each is told apart


@dataclass(frozen=True, eq=False)
class Translation:
    """A table of rows that were translated, and how they were.

    Attributes
    ----------
    table : array or dataframe of shape (n_rows, n_columns)
        In the container and dtypes that fit saw.
    changed : ndarray of shape (n_rows, n_columns), bool
        Which cells are others than before.
    least : ndarray of shape (n_columns,), float64
        The share of each column's cells that has to change, given what stands before it: the mean total variation
        distance of its two distributions. Of a column of numbers, of those that become a value that recurs, or one of
        the others, or missing.
    noise : ndarray of shape (n_rows, n_columns, 2), float64
        What leads back: `Translator.inverse_transform` takes it.
    """

    table: object
    changed: np.ndarray
    least: np.ndarray
    noise: np.ndarray


class _Coupler(TransformerMixin, BaseEstimator):
    """Base class of what translates rows by a density of rows given their context."""

    def __init__(self, estimator=None, *, random_state=None):
        self.estimator = estimator
        self.random_state = random_state

    def _part(self):
        return TreeFlowMixture(random_state=0) if self.estimator is None else self.estimator

    def _learn(self, X, context):
        estimator = clone(self._part())
        if not isinstance(estimator, CategoricalDensity) or not estimator.takes_context:
            raise TypeError(f"estimator must be a TreeFlowMixture or an AutoregressiveTreeFlow, got {estimator!r}")
        if estimator.handle_unknown != "error":
            told = "handle_unknown of the estimator must be 'error': rows are translated to values that have names"
            raise ParameterError(told, parameter="handle_unknown", value=estimator.handle_unknown)
        if context is None:
            raise TypeError(f"{type(self).__name__} requires context to be passed: the group of each row")
        model = estimator.fit(X, context=context)
        if model.distribution_.order is None:
            told = f"estimator must tell columns in one order, and a {type(estimator).__name__} does not"
            own = hasattr(model, "inverse_transform")
            raise TypeError(told + "; by itself it translates: inverse_transform(transform(X, a), b)" * own)
        self.n_features_in_ = model.n_features_in_
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_
        return model

    def _noise(self, shape):
        return generator(self.random_state).random((*shape, 2))

    def _rows(self, model, X, context):
        """Whole rows of a table in the domain of a model, with the codes of their context if it has any."""
        codes = model.whole_codes(X, context)
        model.domain_.refuse_beyond(codes[:, : len(model.domain_.columns)])
        return codes


class Translator(_Coupler):
    """Rows of one group as rows of another, with the fewest changes.

    A density of rows given their group says what each column is like in either group, given the columns before it. Row
    by row and column by column, a value goes to one of the other group: it stays wherever both groups have it as often,
    given what stands before, and changes no more often than it must; numbers go to the number at the same quantile.
    What comes out is distributed as the other group is, as far as the model knows it. So one sees what a row would look
    like in another group, year or laboratory, if all that the groups differ in were due to the group: a reading that
    supposes that the columns' order is that of cause and effect, and that nothing unseen differs between groups.

    Parameters
    ----------
    estimator : estimator, default=None
        Density of rows given a context, as `TreeFlowMixture` and `AutoregressiveTreeFlow` are; None is
        ``TreeFlowMixture(random_state=0)``.
    random_state : int, RandomState or None, default=None
        Draws the noise. None draws another one on every call.

    Attributes
    ----------
    model_ : estimator
        The fitted density.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Notes
    -----
    Cells are coupled as in Lindvall, "Lectures on the Coupling Method" (1992): maximally, given those before.
    Step by step, groups become alike as in Zhou, Gong, Ravikumar, Inouye, "Iterative Alignment Flows" (AISTATS 2022).

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import Translator
    >>> rng = np.random.default_rng(0)
    >>> year = rng.choice([2010, 2020], 2000)
    >>> phone = np.where(rng.random(2000) < np.where(year == 2020, 0.9, 0.3), "smart", "plain")
    >>> X = np.column_stack([phone, rng.choice(["red", "blue"], 2000)])
    >>> translator = Translator(random_state=0).fit(X, context=year)
    >>> old = X[year == 2010]
    >>> told = translator.translate(old, context=year[year == 2010], to=2020)
    >>> [round(float(np.mean(told.table[:, 0] == "smart")), 1), round(float(told.changed[:, 0].mean()), 1)]
    [0.9, 0.6]
    >>> bool(told.changed[old[:, 0] == "smart", 0].any())
    False
    """

    def fit(self, X, y=None, context=None):
        """Learn what rows of each group are like.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : None
            Ignored.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
            The group of each row, or whatever else it is conditioned on.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            Without a context, and for an estimator that takes none or has no order.
        ValueError
            As the estimator's fit.
        """
        self.model_ = self._learn(X, context)
        return self

    def fit_transform(self, X, y=None, context=None, to=None):
        """Learn from rows, and translate them.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : None
            Ignored.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
            As `fit` takes it.
        to : object or array-like of shape (n_rows,) or (n_rows, n_context)
            As `translate` takes it.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
        """
        return self.fit(X, context=context).transform(X, context, to)

    def translate(self, X, context, to):
        """Rows as those of another group, and how they were changed.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Whole rows.
        context : array-like of shape (n_rows,) or (n_rows, n_context)
            The group of each.
        to : object or array-like of shape (n_rows,) or (n_rows, n_context)
            The group that each shall be of; one for all, or of each row.

        Returns
        -------
        translation : Translation

        Raises
        ------
        ValueError
            For a missing cell that has no code, and a value or a group that fit did not see.
        """
        check_is_fitted(self)
        model = self.model_
        rows = self._rows(model, X, context)
        into, n = np.zeros_like(rows), len(model.domain_.columns)
        into[:, n:] = model.given_codes(_groups(to, len(rows)), len(rows))
        return _coupled(model, model.distribution_, model.distribution_, X, rows, into, self._noise((len(rows), n)))

    def transform(self, X, context=None, to=None):
        """Rows as those of another group.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context)
        to : object or array-like of shape (n_rows,) or (n_rows, n_context)
            As `translate` takes it.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
            In the container and dtypes that fit saw.
        """
        return self.translate(X, context, to).table

    def inverse_transform(self, X, context=None, to=None, noise=None):
        """Rows as they were before they were translated.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            The ``table`` of a `Translation`.
        context : array-like of shape (n_rows,) or (n_rows, n_context)
        to : object or array-like of shape (n_rows,) or (n_rows, n_context)
            As it was given to `translate`.
        noise : ndarray of shape (n_rows, n_columns, 2)
            The ``noise`` of the `Translation`.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
        """
        check_is_fitted(self)
        model = self.model_
        n = len(model.domain_.columns)
        noise = np.array(noise, dtype=np.float64)
        rows = self._rows(model, X, _groups(to, len(noise)))
        if noise.shape != (len(rows), n, 2) or not ((noise >= 0) & (noise < 1)).all():
            raise ValueError(f"noise must be what translate returned of these {len(rows):,} rows, got {noise.shape}")
        into = np.zeros_like(rows)
        into[:, n:] = model.given_codes(context, len(rows))
        return _coupled(model, model.distribution_, model.distribution_, X, rows, into, noise).table


class Aligner(_Coupler):
    """Rows of all groups as rows of all groups together, with the fewest changes.

    As `Translator`, but to the average of all groups: the group of a row can no longer be told from it, as far as the
    model knows, and all groups together are distributed as they were. Put before a classifier it takes the group out
    of what the classifier may use.

    Parameters
    ----------
    estimator : estimator, default=None
        Density of rows given a context, as `TreeFlowMixture` and `AutoregressiveTreeFlow` are; None is
        ``TreeFlowMixture(random_state=0)``.
    random_state : int, RandomState or None, default=None
        Draws the noise. None draws another one on every call.

    Attributes
    ----------
    model_ : estimator
        The fitted density.
    n_groups_ : int
        Groups that fit saw.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import Aligner
    >>> rng = np.random.default_rng(0)
    >>> lab = rng.choice(["north", "south"], 2000)
    >>> X = (rng.random(2000) < np.where(lab == "north", 0.8, 0.2)).astype(int)[:, None]
    >>> aligned = Aligner(random_state=0).fit(X, context=lab).transform(X, context=lab)
    >>> [round(float(aligned[lab == each].mean()), 1) for each in ("north", "south")]
    [0.5, 0.5]
    """

    def fit(self, X, y=None, context=None):
        """Learn what rows of each group are like.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : None
            Ignored.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
            The group of each row.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            Without a context, and for an estimator that takes none or has no order.
        ValueError
            As the estimator's fit; for more than 64 groups.
        """
        model = self._learn(X, context)
        codes = model.given_codes(context, len(context))
        self._contexts, counts = np.unique(codes, axis=0, return_counts=True)
        if len(counts) > MOST_GROUPS:
            raise ValueError(f"context has {len(counts):,} groups; rows are aligned to at most {MOST_GROUPS} together")
        self.model_, self._weight, self.n_groups_ = model, counts / counts.sum(), len(counts)
        return self

    def fit_transform(self, X, y=None, context=None):
        """Learn from rows, and align them.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : None
            Ignored.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
            As `fit` takes it.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
        """
        return self.fit(X, context=context).transform(X, context)

    def align(self, X, context):
        """Rows as those of all groups, and how they were changed.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Whole rows.
        context : array-like of shape (n_rows,) or (n_rows, n_context)
            The group of each.

        Returns
        -------
        translation : Translation

        Raises
        ------
        ValueError
            For a missing cell that has no code, and a value or a group that fit did not see.
        """
        check_is_fitted(self)
        model, rows = self.model_, self._rows(self.model_, X, context)
        target = OfContexts(model.distribution_, self._contexts, self._weight)
        noise = self._noise((len(rows), len(model.domain_.columns)))
        return _coupled(model, model.distribution_, target, X, rows, np.zeros_like(rows), noise)

    def transform(self, X, context=None):
        """Rows as those of all groups.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context)
            As `align` takes it.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
            In the container and dtypes that fit saw.
        """
        return self.align(X, context).table


def _groups(to, n_rows):
    """The group that each row shall be of, as a context."""
    if to is None:
        raise TypeError("to must be given: the group that rows shall be of")
    return [to] * n_rows if isinstance(to, str) or np.ndim(to) == 0 else to


def _coupled(model, source, target, X, rows, into, noise):
    """The translation of rows, which lie in the domain of a model, from one density to another."""
    domain = model.domain_
    n, table = len(domain.columns), model.table_of(X)
    least = couple(source, target, rows, into, noise, n_threads(model.n_jobs))
    before, after = rows[:, :n], into[:, :n]
    same = (before == after) | (np.isnan(before) & np.isnan(after) if domain.numeric.any() else False)
    places = {}
    for j in np.flatnonzero(~domain.numeric).tolist():  # a rare value that stays is itself, not its group's
        was = domain.cells(table, j, missing=model.missing)
        was[was >= len(domain.columns[j].values)] = -1
        places[j] = np.where(same[:, j], was, domain.columns[j].places(after[:, j].astype(np.uint8)))
    told = np.ascontiguousarray(after)
    return Translation(domain.decode(told, places=places, index=table.index), ~same, least, noise)
