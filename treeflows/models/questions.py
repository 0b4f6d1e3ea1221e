"""What a model is asked beside likelihoods and samples: conditionals, predictions, missing cells, anomalies."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, check_scalar

from ..inference.marginals import complete, log_joint
from ..machine.draws import generator
from ..machine.threads import n_threads
from ..tables.containers import read_table

SWEEPS = 20  # of Gibbs sampling


class MonteCarloWarning(UserWarning):
    """What was asked is estimated by random draws, or drawn approximately; the message says how well."""


class Questions:
    """Mixin of the models: questions that a density over a ``_domain`` can answer."""

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
        table, j = read_table(self, X, reset=False), self._domain.index(column)
        known = self._domain.columns[j]
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
        table, domain = read_table(self, X, reset=False), self._domain
        columns = range(len(domain.columns)) if column is None else [domain.index(column)]
        rows = self._rows(table, ignore=() if column is None else columns)
        codes = []
        for j in columns:
            share = domain.columns[j].top_share
            codes.append((self._log_joint(rows, j, len(share)) + np.log(share)).argmax(axis=1).astype(np.uint8))
        if column is None:
            return domain.decode(np.column_stack(codes), index=table.index)
        known = domain.columns[columns[0]]
        return known.values[known.places(codes[0])]

    def impute(self, X, *, draw=False, n_sweeps=SWEEPS, random_state=None):
        """Fill missing cells.

        The missing cells of a row are told by all that is there: exactly, by enumeration of their states, up to 1,024;
        beyond, by Gibbs sampling on the exact distributions of each given all others.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Cells that are None, NaN or null are filled, also where the model has missing as a category of its own.
        draw : bool, default=False
            False fills each cell with its most probable value given the observed cells; True draws the cells of a row
            from their joint distribution, as multiple imputation needs.
        n_sweeps : int, default=20
            Sweeps of Gibbs sampling over the cells of rows that have too many states; probabilities are averaged over
            the last half.
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
        check_scalar(n_sweeps, "n_sweeps", Integral, min_val=1)
        threads = n_threads(self.n_jobs)
        table = read_table(self, X, reset=False)
        rows = self._domain.encode(table, threads, missing="marginalize")
        codes = rows.codes
        rng = generator(check_random_state(self.random_state if random_state is None else random_state))
        if rows.observed is not None:
            shares = [column.top_share for column in self._domain.columns]
            codes = complete(self, codes, rows.observed, shares, n_sweeps, rng, threads, draw=draw)
        return self._domain.fill(table, codes, rng if draw else None)

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
        check_scalar(n, "n", Integral, min_val=1)
        table, domain = read_table(self, X, reset=False), self._domain
        scores = self._score_table(table)
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
            surprise[told, j] = -np.log(prob[told, cells[told]])
            values.append(part.shown(j))
        back = np.searchsorted(some, least)
        return Anomalies(
            rows=least,
            log_likelihood=scores[least],
            surprise=surprise[back],
            values=np.column_stack(values)[back],
            names=domain.column_names,
        )

    def _rows(self, table, ignore=()):
        """What a table says in terms of the domain, to infer from; some columns may be left unread."""
        return self._domain.encode(table, n_threads(self.n_jobs), missing=self.missing, ignore=ignore, infer=True)

    def _log_joint(self, rows, j, n_values):
        """Log-probability of each row with each of the first codes of a column, nats."""
        joint, error = log_joint(self, rows.codes, rows.observed, j, n_values, n_threads(self.n_jobs))
        warn_of_estimates(error)
        return joint

    def _score_table(self, table):
        """Log-likelihood of the observed cells of each row, nats."""
        threads = n_threads(self.n_jobs)
        rows = self._domain.encode(table, threads, missing=self.missing)
        if rows.observed is None:
            return self._score_codes(rows.codes, threads) + rows.log_share
        scores, error = self._log_marginal(rows.codes, rows.observed, threads)
        warn_of_estimates(error)
        return scores + rows.log_share

    def _sample_given(self, n_samples, given, rng):
        """Rows that have the given values."""
        domain, threads = self._domain, n_threads(self.n_jobs)
        codes, observed, place_of = domain.given(given)
        places = {j: np.full(n_samples, place) for j, place in place_of.items()}
        drawn, effective, n_proposed = self._sample_given_codes(codes[None], observed[None], n_samples, rng, threads)
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
        has_name = self._domain.has_name(codes)
        if has_name.all():
            return codes
        shares = [column.top_share for column in self._domain.columns]
        return complete(self, codes, has_name, shares, SWEEPS, rng, n_threads(self.n_jobs), draw=True)


def warn_of_estimates(error):
    """Warn if log-probabilities have standard errors, (n_rows,) or (n_rows, n_values), nats."""
    if error.any():
        n_rows = np.count_nonzero(error if error.ndim == 1 else error.any(axis=1))
        warnings.warn(
            f"the missing cells of {n_rows:,} row(s) have too many states to sum over: log-probabilities of these rows "
            f"are estimates, with a standard error of at most {error.max():.2g} nats",
            MonteCarloWarning,
            stacklevel=4,
        )


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
        lines = []
        for row, score, surprise, values in zip(
            self.rows, self.log_likelihood, self.surprise, self.values, strict=True
        ):
            lines.append(f"row {row}: log-likelihood {score:.2f} nats")
            lines += [
                f"  {self.names[j]} = {values[j]}: probability {np.exp(-surprise[j]):.2g} given the rest"
                for j in np.argsort(-surprise, kind="stable")[:n_cells]
            ]
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()
