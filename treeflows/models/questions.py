"""Fitted models of tables, and what they are asked: likelihoods, samples, conditionals, missing cells, anomalies."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from .._ext import elementary
from ..densities.density import Density
from ..inference.completion import complete
from ..inference.marginals import DRAWS, log_joint
from ..learning.rows import check_weight
from ..machine.draws import generator
from ..machine.errors import ParameterError, TableError, check_number
from ..machine.log_sums import softmax
from ..machine.threads import n_threads
from ..tables.containers import read_table
from ..tables.domain import Domain
from ..tables.policy import TablePolicy

SWEEPS = 20  # of Gibbs sampling


class MonteCarloWarning(UserWarning):
    """What was asked is estimated by random draws, or drawn approximately; the message says how well."""


class TableModel(DensityMixin, BaseEstimator):
    """A fitted model of a table: the domain of its columns, and a density over their codes, asked by table.

    Attributes
    ----------
    domain_ : Domain
        Columns, categories, and the way from values to codes and back.
    distribution_ : Density
        What was learned, over codes.
    """

    domain_: Domain
    distribution_: Density

    def take(self, domain, distribution):
        """Become the fitted model of a domain and of a density over its codes.

        Parameters
        ----------
        domain : Domain
        distribution : Density

        Returns
        -------
        self : object
        """
        self.domain_, self.distribution_ = domain, distribution
        self.n_features_in_ = len(domain.columns)
        if domain.names is not None and all(isinstance(name, str) for name in domain.names):
            self.feature_names_in_ = np.array(domain.names, dtype=object)
        return self

    @property
    def categories_(self):
        """Categories of each column, in the order of their codes: list of ndarray; None for numbers."""
        return [None if n else c.categories for n, c in zip(self.domain_.numeric, self.domain_.columns, strict=True)]

    def refuse_numbers(self, what, column=None):
        """Raise TableError for what is asked of a column of numbers, or of a table that has any, and is not there yet.

        Parameters
        ----------
        what : str
            What was asked, to print.
        column : int, default=None
            Its number; None for any.
        """
        numeric = np.flatnonzero(self.domain_.numeric)
        if len(numeric) if column is None else column in numeric:
            j = int(numeric[0]) if column is None else column
            told = f"{what} is not for numbers yet, and column {self.domain_.column_names[j]!r} holds numbers"
            raise TableError(f"{told}: bin them, or fit without numeric=", column=self.domain_.column_names[j])

    def summary(self, *, column=None, layer=None, max_depth=None):
        """What the model has learned.

        Parameters
        ----------
        column : str or int, default=None
            Column whose tree to tell, of a model that has one for each.
        layer : int, default=None
            Layer to tell, from 1, of a discrete tree flow; None is the first.
        max_depth : int, default=None
            How deep to tell the tree; None is all of it.

        Returns
        -------
        figures : dict
            For programs; plain values.
        text : str
            To read.

        Raises
        ------
        ValueError
            For a column or layer that is not there, or that this kind of model does not have.
        """
        check_is_fitted(self)
        domain, kind = self.domain_, type(self).__name__
        figures, text = self._summary(column, layer, max_depth)
        columns = dict(zip(domain.column_names, domain.labels, strict=True))
        lines = [f"{kind}: {self.n_features_in_} columns\n\ncolumn: categories"]
        for name, labels in columns.items():
            lines.append(f"  {name}: {', '.join(labels[:8])}{f', … ({len(labels)})' if len(labels) > 8 else ''}")
        return {"kind": kind, "columns": columns} | figures, "\n".join([*lines, "", text])

    def _summary(self, column, layer, max_depth):
        """Figures and text of what is told by this kind of model alone."""
        raise NotImplementedError

    def tree(self, column=None, layer=None):
        """One of the trees that the model has learned.

        Parameters
        ----------
        column : str or int, default=None
            Name or number of the column whose tree it is; of a `TreeFlowMixture` that in the first of its ``flows_``.
        layer : int, default=None
            Of a `DiscreteTreeFlow`, the layer, from 1.

        Returns
        -------
        tree : ConditionalTree or TreePermutation

        Raises
        ------
        ValueError
            For a column or layer that is not there, or not given.
        TypeError
            For a model without trees of its own.
        """
        check_is_fitted(self)
        return self._tree(column, layer)

    def _tree(self, column, layer):
        raise TypeError(f"a {type(self).__name__} has no trees of its own to draw; take one of its members")

    def likelihood_curves(self, X=None):
        """Negative log-likelihood against the number of layers, hidden states or members.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), default=None
            Rows that the model has not seen; an ensemble needs them.

        Returns
        -------
        curves : dict of str to (ndarray of shape (n_points,), ndarray of shape (n_points,))
            For each set of rows, by what it is called: how many, and the negative log-likelihood with so many, nats per
            row.
        counted : str
            What is counted.
        kept : int
            How many the model has.

        Raises
        ------
        TypeError
            For a model that is made of none of these, or an ensemble without ``X``.
        """
        check_is_fitted(self)
        return self._likelihood_curves(X)

    def _likelihood_curves(self, X):
        raise TypeError(f"a {type(self).__name__} has no layers, hidden states or members to draw a curve of")

    def _refuse(self, **given):
        """Raise for what was asked of a model that has no such thing."""
        for name, value in given.items():
            if value is not None:
                told = f"{name} is not for a model of the kind {type(self).__name__}"
                raise ParameterError(told, parameter=name, value=value)

    def score_samples(self, X):
        """Exact log-likelihood of each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats. Under ``missing="marginalize"`` that of the observed cells: exact if those that are missing come last
            in the order of the columns or have at most 1,024 joint states, else an estimate from weighted draws; a
            MonteCarloWarning says its standard error. NaN where hardly any draw counts: there is no estimate.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        check_is_fitted(self)
        scores, error = log_likelihood(self.distribution_, self.read(X), n_threads(self.n_jobs))
        warn_of_estimates(error)
        return scores

    def score(self, X, y=None, sample_weight=None):
        """Mean log-likelihood of rows.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for.

        Returns
        -------
        log_likelihood : float
            Nats per row.
        """
        scores = self.score_samples(X)
        return float(np.average(scores, weights=check_weight(sample_weight, len(scores))))

    def sample(self, n_samples=1, random_state=None, *, given=None):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None continues with the estimator's own ``random_state``: the same rows on every call if that is an int.
        given : dict of str or int to value, default=None
            Columns, by name or number, and the values that all rows shall have in them. Exact if these columns come
            first in the order that the model was learned in; else rows are drawn by importance resampling, and a
            MonteCarloWarning says how many proposals they are worth. A model cannot be reordered after it was fitted:
            ``AutoregressiveTreeFlow(order=...)`` puts columns first.

        Returns
        -------
        X : ndarray or dataframe of shape (n_samples, n_columns)
            In the container and dtypes that fit saw. Under ``handle_unknown="reserve"``, a cell that came out as an
            unseen value is drawn again, given the rest of its row, among those that have names.

        Raises
        ------
        ValueError
            If a given column or value is not in the domain.
        """
        check_is_fitted(self)
        if isinstance(n_samples, (bool, np.bool_)):
            raise TypeError(f"n_samples must be an integer, got {n_samples!r}")
        check_number(n_samples, "n_samples", Integral, min_val=0)
        rng = generator(self.random_state if random_state is None else random_state)
        if given is not None:
            self.refuse_numbers("sample(given=)")
            return self._sample_given(n_samples, given, rng)
        codes = self.distribution_.sample(n_samples, rng, n_threads(self.n_jobs))
        return self.domain_.decode(self._named(codes, rng), rng)

    def read(self, X, *, infer=False):
        """What a table says in terms of the domain.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        infer : bool, default=False
            Whether an empty cell of a column in which fit saw none counts as not observed, instead of being refused.

        Returns
        -------
        rows : Rows
            Codes, which cells are observed, and the log-probability of values given their codes.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        check_is_fitted(self)
        return self._rows(read_table(self, X, reset=False), infer=infer)

    def conditional_proba(self, X, column):
        """Exact probability of every value of a column given all other columns.

        Under ``missing="marginalize"``, given those that are observed; as exact as `score_samples` is.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter.
        column : str or int
            Its name or number.

        Returns
        -------
        probability : ndarray of shape (n_rows, n_values), float64
            In the order of ``categories_``; under ``handle_unknown="reserve"`` with one more, for all unseen values.
            NaN where so much is missing that no estimate can be trusted.

        Raises
        ------
        ValueError
            If there is no such column, or a value of another column is not in the domain.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import AutoregressiveTreeFlow
        >>> coin = np.random.default_rng(0).integers(0, 2, 1000)
        >>> flow = AutoregressiveTreeFlow().fit(np.column_stack([coin, 1 - coin]))
        >>> flow.conditional_proba([[0, 1], [1, 0]], column=0).round(1)
        array([[1., 0.],
               [0., 1.]])
        """
        check_is_fitted(self)
        table, j = read_table(self, X, reset=False), self.domain_.index(column)
        self.refuse_numbers("conditional_proba", j)
        known = self.domain_.columns[j]
        return known.spread(softmax(self._log_joint(self._rows(table, ignore=(j,)), j, known.n_codes), axis=1))

    def predict(self, X, column=None):
        """Most probable value of a column given all other columns.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter.
        column : str or int, default=None
            Its name or number; None predicts every column, each given all others.

        Returns
        -------
        values : ndarray of shape (n_rows,), or a table like X if ``column`` is None
            Never missing or unseen.
        """
        check_is_fitted(self)
        table, domain = read_table(self, X, reset=False), self.domain_
        columns = range(len(domain.columns)) if column is None else [domain.index(column)]
        self.refuse_numbers("predict", None if column is None else columns[0])
        rows = self._rows(table, ignore=() if column is None else columns)
        codes = []
        for j in columns:
            share = domain.columns[j].top_share
            joint = self._log_joint(rows, j, len(share))
            if np.isnan(joint).any():
                row = int(np.flatnonzero(np.isnan(joint).any(axis=1))[0])
                raise ValueError(
                    f"row {row} has so many missing cells that column {domain.column_names[j]!r} cannot be told: no "
                    "estimate of it can be trusted"
                )
            codes.append((joint + elementary.log(share)).argmax(axis=1).astype(np.uint8))
        if column is None:
            return domain.decode(np.column_stack(codes), index=table.index)
        known = domain.columns[columns[0]]
        return known.values[known.places(codes[0])]

    def impute(self, X, *, draw=False, n_sweeps=SWEEPS, random_state=None):
        """Fill missing cells.

        The missing cells of a row are told by all that is there: exactly, by enumeration of their states, up to 1,024.
        Beyond, by averages over weighted draws, which are the same for equal rows; a MonteCarloWarning says of how many
        cells the two most probable values are too near to each other to tell.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Cells that are None, NaN or null are filled, also where the model has missing as a category of its own.
        draw : bool, default=False
            False fills each cell with its most probable value given the observed cells; True draws the cells of a row
            from their joint distribution, as multiple imputation needs.
        n_sweeps : int, default=20
            Of drawn cells, sweeps of Gibbs sampling over those of rows that have too many states.
        random_state : int, RandomState or None, default=None
            None continues with the estimator's own ``random_state``.

        Returns
        -------
        X : ndarray or dataframe of shape (n_rows, n_columns)
            In the container and dtypes that fit saw, with no value missing; what was there is as it was.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import AutoregressiveTreeFlow
        >>> coin = np.random.default_rng(0).integers(0, 2, 1000).astype(float)
        >>> flow = AutoregressiveTreeFlow().fit(np.column_stack([coin, 1 - coin]))
        >>> flow.impute([[0, np.nan], [np.nan, 0]])
        array([[0., 1.],
               [1., 0.]])
        """
        check_is_fitted(self)
        self.refuse_numbers("impute")
        check_number(n_sweeps, "n_sweeps", Integral, min_val=1)
        threads = n_threads(self.n_jobs)
        table = read_table(self, X, reset=False)
        rows = self.domain_.encode(table, threads, missing="marginalize")
        codes = rows.codes
        rng = generator(self.random_state if random_state is None else random_state)
        if rows.observed is not None:
            shares = [column.top_share for column in self.domain_.columns]
            codes, n_doubtful = complete(
                self.distribution_, codes, rows.observed, shares, n_sweeps, rng, threads, draw=draw
            )
            if n_doubtful:
                warnings.warn(
                    f"the most probable values of {n_doubtful:,} cell(s) are estimates, and another value is as "
                    "probable within their error",
                    MonteCarloWarning,
                    stacklevel=2,
                )
        return self.domain_.fill(table, codes, rng if draw else None)

    def anomalies(self, X, n=10):
        """Rows of lowest likelihood, and which cells are to blame.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        n : int, default=10
            How many rows.

        Returns
        -------
        anomalies : Anomalies
            The least likely row first; print it to read it.
        """
        check_is_fitted(self)
        self.refuse_numbers("anomalies")
        check_number(n, "n", Integral, min_val=1)
        table, domain = read_table(self, X, reset=False), self.domain_
        scores, error = log_likelihood(self.distribution_, self._rows(table, infer=False), n_threads(self.n_jobs))
        warn_of_estimates(error)
        least = np.argsort(scores, kind="stable")[:n]
        # a table has its rows in order: they are put back after what is asked of them
        some = np.sort(least)
        part = table.rows(np.isin(np.arange(table.n_rows), some))
        rows = self._rows(part)
        surprise, values = np.zeros((len(least), len(domain.columns))), []
        for j, known in enumerate(domain.columns):
            cells = domain.cells(part, j, missing=self.missing)
            prob = known.spread(softmax(self._log_joint(rows, j, known.n_codes), axis=1))
            told = cells >= 0
            surprise[told, j] = -elementary.log(prob[told, cells[told]])
            values.append(domain.shown(part, j))
        back = np.searchsorted(some, least)
        return Anomalies(
            rows=least,
            log_likelihood=scores[least],
            surprise=surprise[back],
            values=np.column_stack(values)[back],
            names=domain.column_names,
        )

    def _rows(self, table, ignore=(), *, infer=True):
        """What a table says in terms of the domain, to infer from; some columns may be left unread."""
        return TablePolicy.of(self).encode(self.domain_, table, n_threads(self.n_jobs), ignore, infer=infer)

    def _log_joint(self, rows, j, n_values):
        """Log-probability of each row with each of the first codes of a column, nats."""
        if rows.observed is not None and not np.delete(rows.observed, j, axis=1).all():
            self.refuse_numbers("a row with cells that are missing where fit saw none")
        joint, error = log_joint(self.distribution_, rows.codes, rows.observed, j, n_values, n_threads(self.n_jobs))
        warn_of_estimates(error)
        return joint

    def _sample_given(self, n_samples, given, rng):
        """Rows that have the given values."""
        domain, threads = self.domain_, n_threads(self.n_jobs)
        codes, observed, place_of = domain.given(given)
        places = {j: np.full(n_samples, place) for j, place in place_of.items()}
        drawn, effective, n_proposed = self.distribution_.given(codes[None], observed[None], n_samples, rng, threads)
        if n_proposed:
            warnings.warn(
                "the given columns do not come first in the order that the model was learned in: rows are drawn by "
                f"importance resampling, {effective:,.0f} effective rows out of {n_proposed:,} proposals",
                MonteCarloWarning,
                stacklevel=3,
            )
        return domain.decode(self._named(drawn, rng), rng, places)

    def _named(self, codes, rng):
        """Rows whose unseen values, which have no names, are drawn again."""
        has_name = self.domain_.has_name(codes)
        if self.domain_.numeric.any():  # whole rows are drawn again, until no value in them is unseen
            while not has_name.all():
                bad = ~has_name.all(axis=1)
                codes[bad] = self.distribution_.sample(np.count_nonzero(bad), rng, n_threads(self.n_jobs))
                has_name = self.domain_.has_name(codes)
        if has_name.all():
            return codes
        shares = [column.top_share for column in self.domain_.columns]
        return complete(self.distribution_, codes, has_name, shares, SWEEPS, rng, n_threads(self.n_jobs), draw=True)[0]


def log_likelihood(distribution, rows, threads):
    """Log-likelihood of the observed cells of each row, and its standard error, 0 where it is exact; nats."""
    if rows.observed is None:
        return distribution.score(rows.codes, threads) + rows.log_share, np.zeros(1)
    scores, error = distribution.marginal(rows.codes, rows.observed, threads)
    return scores + rows.log_share, error


def warn_of_estimates(error):
    """Warn if log-probabilities of rows have standard errors, nats; infinity stands for no estimate."""
    estimated, none = np.count_nonzero(error), np.isinf(error)
    if not estimated:
        return
    known = error[~none].max(initial=0.0)
    parts = [f"the missing cells of {estimated:,} row(s) have too many states to sum over"]
    if known > 0:
        parts.append(
            "log-probabilities of these rows are estimates, with a standard error of at most "
            f"{known:.2g} nats (of draws worth at least {1 / (known**2 + 1 / DRAWS[0]):,.0f} independent ones)"
        )
    if none.any():
        parts.append(f"of {np.count_nonzero(none):,} row(s) no estimate can be trusted: they are NaN")
    warnings.warn("; ".join(parts), MonteCarloWarning, stacklevel=4)


@dataclass(frozen=True, eq=False)
class Anomalies:
    """Rows of lowest likelihood.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Their numbers in the table, from 0, the least likely first.
    log_likelihood : ndarray of shape (n,), float64
        Nats.
    surprise : ndarray of shape (n, n_columns), float64
        -log p(value | all other columns of the row), nats: how little the rest of the row explains the cell; 0 where it
        is missing and not modelled.
    values : ndarray of shape (n, n_columns), object
        The cells as text.
    names : tuple of str
        Column names.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow
    >>> coin = np.random.default_rng(0).choice(["heads", "tails"], 500)
    >>> X = np.column_stack([coin, coin])
    >>> X[77] = "heads", "tails"
    >>> found = AutoregressiveTreeFlow().fit(X).anomalies(X, 1)
    >>> found.rows.tolist(), found.values.tolist()
    ([77], [['heads', 'tails']])
    >>> bool(found.surprise.min() > 4)
    True
    """

    rows: np.ndarray
    log_likelihood: np.ndarray
    surprise: np.ndarray
    values: np.ndarray
    names: tuple

    def to_text(self, n_cells=3):
        """The rows as text.

        Parameters
        ----------
        n_cells : int, default=3
            Cells to tell of each row, the most surprising first.

        Returns
        -------
        text : str
        """
        lines, told = [], zip(self.rows, self.log_likelihood, self.surprise, self.values, strict=True)
        for row, score, surprise, values in told:
            lines.append(f"row {row}: log-likelihood {score:.2f} nats")
            lines += [
                f"  {self.names[j]} = {values[j]}: probability {elementary.exp(-surprise[j]):.2g} given the rest"
                for j in np.argsort(-surprise, kind="stable")[:n_cells]
            ]
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()
