"""What every model of the package shares: a table goes in as codes, and comes back as the table that fit saw."""

from inspect import signature
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, check_scalar

from ..inference.marginals import Density
from ..learning.rows import check_weight, rows_to_learn_from
from ..machine.draws import generator
from ..machine.threads import n_threads
from ..tables.containers import read_table
from ..tables.domain import Domain
from .parameters import check_table_parameters
from .questions import Questions


class CategoricalDensity(Questions, Density, DensityMixin, BaseEstimator):
    """Base class of exact probability models of categorical tables.

    A model knows how to learn from codes, score codes and draw codes: ``_fit_codes``, ``_score_codes`` and
    ``_sample_codes``. This class does the rest.
    """

    def fit(self, X, y=None, sample_weight=None):
        """Learn the model.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            A NumPy array or a pandas, polars or pyarrow table of strings, booleans, categoricals or integers from 0; at
            most 256 categories a column, unless rare ones are grouped.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for. An integer weight is exactly that many rows; of fractions, equal rows
            together count as an integer next to the sum of their weights. A weight is as much evidence as that many
            rows: divide weights that sum to more than the number of rows, as those of surveys do, by their mean.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a number that is no category, too many categories, a missing value under ``missing="error"``, or a
            parameter out of range; the message names the column.
        """
        self._check_parameters()
        check_table_parameters(self)
        rng, threads = check_random_state(self.random_state), n_threads(self.n_jobs)
        table, weight = read_to_learn(self, X, sample_weight)
        domain = learn_domain(self, table, weight, self._declared_categories())
        rows = domain.encode(table, threads, missing=self.missing)
        # a stream of its own: what the model draws does not depend on what is missing
        codes = rows_to_learn_from(rows.codes, rows.observed, weight, domain.n_categories, rng, threads)
        return self._learn_codes(codes, domain, threads)

    def _learn_codes(self, codes, domain, threads):
        """Learn from codes; what fit does with a table, and another model with its parts."""
        self._fit_codes(codes, domain, check_random_state(self.random_state), threads)
        return self._fitted_to(domain)

    def _fitted_to(self, domain):
        """Note what fit notes of a table."""
        note_domain(self, domain)
        return self

    def score_samples(self, X):
        """Exact log-likelihood of each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats. Under ``missing="marginalize"`` that of the observed cells: exact if those that are missing come last
            in the order of the columns or have at most 1,024 joint states, else an estimate of 1,000 draws; a
            MonteCarloWarning says its standard error.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        check_is_fitted(self)
        return self._score_table(read_table(self, X, reset=False))

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
        check_scalar(n_samples, "n_samples", Integral, min_val=0)
        rng = generator(check_random_state(self.random_state if random_state is None else random_state))
        if given is not None:
            return self._sample_given(n_samples, given, rng)
        codes = self._sample_codes(n_samples, rng, n_threads(self.n_jobs))
        return self._domain.decode(self._named(codes, rng), rng)

    def _declared_categories(self):
        return self.categories

    def _encode(self, X):
        """Codes of a table of whole rows, and the number of threads for the work on them."""
        check_is_fitted(self)
        threads = n_threads(self.n_jobs)
        rows = self._domain.encode(read_table(self, X, reset=False), threads, missing=self.missing)
        if rows.observed is not None:
            row, j = np.argwhere(~rows.observed)[0]
            raise ValueError(
                f"column {self._domain.column_names[j]!r} has a missing value at row {row}, which has no code: impute "
                "first, or fit with missing='category'"
            )
        return rows.codes, threads

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.positive_only = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags


class CategoricalFlow(OneToOneFeatureMixin, TransformerMixin, CategoricalDensity):
    """Base class of the models that are bijections of the domain too: ``_transform_codes``, ``_invert_codes``."""

    def transform(self, X):
        """Codes z of each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        Z : ndarray of shape (n_rows, n_columns), uint8
            Within a column, a low code is a rare value of its context and a high code a common one.
        """
        return self._transform_codes(*self._encode(X))

    def inverse_transform(self, Z):
        """Rows that have the codes ``Z``.

        Parameters
        ----------
        Z : array-like of int of shape (n_rows, n_columns)
            Any codes of the domain, not only those of data.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
            In the container and dtypes that fit saw.

        Raises
        ------
        ValueError
            For a code outside the domain; the message names the column.
        """
        check_is_fitted(self)
        codes = self._domain.check_codes(Z)
        return self._domain.decode(self._invert_codes(codes, n_threads(self.n_jobs)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


class OtherDensity(Density):
    """A user's own estimator as a density of codes."""

    def __init__(self, estimator):
        self.estimator = estimator

    def _learn_codes(self, codes, domain, threads):
        """Fit the estimator to the codes."""
        self.estimator.fit(codes)
        self._domain = domain
        return self

    def _score_codes(self, codes, threads):
        scores = np.asarray(self.estimator.score_samples(codes), dtype=np.float64)
        if np.isnan(scores).any() or (scores == np.inf).any():
            raise ValueError(f"score_samples of {self.estimator!r} gave what is no log-likelihood: NaN or infinity")
        return scores

    def _sample_codes(self, n_samples, rng, threads):
        if n_samples == 0:
            return np.empty((0, len(self._domain.columns)), dtype=np.uint8)
        if "random_state" in signature(self.estimator.sample).parameters:
            drawn = self.estimator.sample(n_samples, random_state=int(rng.integers(2**31)))
        else:
            drawn = self.estimator.sample(n_samples)
        # scikit-learn's mixtures return the rows and their components
        return self._domain.check_codes(drawn[0] if isinstance(drawn, tuple) else drawn)


def read_to_learn(estimator, X, sample_weight):
    """A table to learn from and its weights, None for none; rows of weight 0 are as if they were not there."""
    table = read_table(estimator, X, reset=True)
    weight = check_weight(sample_weight, table.n_rows)
    if weight is None or weight.all():
        return table, weight
    return table.rows(weight > 0), weight[weight > 0]


def learn_domain(estimator, table, weight, categories):
    """The domain of a table under the estimator's parameters."""
    names = ("missing", "handle_unknown", "min_frequency", "max_categories")
    return Domain.learn(table, categories, weight=weight, **{name: getattr(estimator, name) for name in names})


def note_domain(estimator, domain):
    """Note the attributes that tell of the table that an estimator was fitted to."""
    estimator._domain = domain
    estimator.n_features_in_ = len(domain.columns)
    estimator.categories_ = [column.categories for column in domain.columns]
    if domain.names is not None and all(isinstance(name, str) for name in domain.names):
        estimator.feature_names_in_ = np.array(domain.names, dtype=object)


def density_of_codes(estimator, what, seed):
    """An unfitted density like ``estimator``, to learn from codes, seeded where it draws.

    Raises TypeError if a method is missing; ``what`` is how the user called it.
    """
    missing = [name for name in ("fit", "score_samples", "sample") if not callable(getattr(estimator, name, None))]
    if missing or isinstance(estimator, type):
        lacks = f"has no {' and no '.join(missing)}" if missing else "is a class, not an instance of it"
        raise TypeError(
            f"{what} must be an estimator with the methods fit, score_samples and sample; {estimator!r} {lacks}"
        )
    density = clone(estimator)
    if isinstance(density, CategoricalDensity):
        density._check_parameters()
    if "random_state" in density.get_params(deep=False):
        density.set_params(random_state=seed)
    return density if isinstance(density, CategoricalDensity) else OtherDensity(density)


def declared_categories(categories, estimator):
    """Domains declared to a model that is made of others, or else to what it is made of."""
    if isinstance(categories, str) and categories == "auto" and isinstance(estimator, CategoricalDensity):
        return estimator._declared_categories()
    return categories
