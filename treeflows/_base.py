"""What every model of the package shares: a table goes in as codes, and comes back as the table that fit saw."""

from inspect import signature
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, check_scalar

from ._domain import Domain, read_table
from ._threads import n_threads

MAX_SMOOTHING = 1e12  # far beyond any use, and far from overflow


class CategoricalDensity(DensityMixin, BaseEstimator):
    """Base class of exact probability models of categorical tables.

    A model knows how to learn from codes, score codes and draw codes: ``_fit_codes``, ``_score_codes`` and
    ``_sample_codes``. This class does the rest.
    """

    def fit(self, X, y=None):
        """Learn the model.

        Parameters
        ----------
        X : ndarray or pandas DataFrame of shape (n_rows, n_columns)
            Integers from 0, strings, booleans, mixed objects or categorical columns; at most 256 categories a column.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a missing value, a number that is no category, too many categories, or a parameter out of range; the
            message names the column.
        """
        self._check_parameters()
        X = read_table(self, X, reset=True)
        domain = Domain.learn(X, self._declared_categories())
        threads = n_threads(self.n_jobs)
        return self.learn(domain.encode(X, threads), domain, threads)

    def learn(self, codes, domain, threads):
        """Learn from codes; what fit does with a table, and another model with its parts."""
        self._fit_codes(codes, domain, check_random_state(self.random_state), threads)
        return self.fitted_to(domain)

    def fitted_to(self, domain):
        """Note what fit notes of a table."""
        self.n_features_in_ = len(domain.categories)
        if domain.names is not None and all(isinstance(name, str) for name in domain.names):
            self.feature_names_in_ = np.array(domain.names, dtype=object)
        self._domain = domain
        self.categories_ = list(domain.categories)
        return self

    def score_samples(self, X):
        """Exact log-likelihood of each row.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)

        Returns
        -------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        return self._score_codes(*self._encode(X))

    def score(self, X, y=None):
        """Mean log-likelihood of rows.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        y : None
            Ignored.

        Returns
        -------
        log_likelihood : float
            Nats per row.
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None continues with the estimator's own ``random_state``: the same rows on every call if that is an int.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_columns)
            In the container and dtypes that fit saw.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=0)
        rng = generator(check_random_state(self.random_state if random_state is None else random_state))
        return self._domain.decode(self._sample_codes(n_samples, rng, n_threads(self.n_jobs)))

    def _declared_categories(self):
        return self.categories

    def _encode(self, X):
        """Codes of a table, and the number of threads for the work on them."""
        check_is_fitted(self)
        X = read_table(self, X, reset=False)
        threads = n_threads(self.n_jobs)
        return self._domain.encode(X, threads), threads

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.positive_only = True
        return tags


class CategoricalFlow(OneToOneFeatureMixin, TransformerMixin, CategoricalDensity):
    """Base class of the models that are bijections of the domain too: ``_transform_codes``, ``_invert_codes``."""

    def transform(self, X):
        """Codes z of each row.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)

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
        X : ndarray or DataFrame of shape (n_rows, n_columns)
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


class OtherDensity:
    """A user's own estimator as a density of codes."""

    def __init__(self, estimator):
        self.estimator = estimator

    def learn(self, codes, domain, threads):
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
            return np.empty((0, len(self._domain.categories)), dtype=np.uint8)
        if "random_state" in signature(self.estimator.sample).parameters:
            drawn = self.estimator.sample(n_samples, random_state=int(rng.integers(2**31)))
        else:
            drawn = self.estimator.sample(n_samples)
        # scikit-learn's mixtures return the rows and their components
        return self._domain.check_codes(drawn[0] if isinstance(drawn, tuple) else drawn)


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


def check_criterion(criterion, names):
    """Raise ValueError unless a criterion is one of the names or a function."""
    if not callable(criterion) and not (isinstance(criterion, str) and criterion in names):
        known = " or ".join(map(repr, names))
        raise ValueError(f"criterion must be {known} or a function f(counts, n) -> float, got {criterion!r}")


def check_smoothing(smoothing, automatic):
    """Raise unless a concentration is a number in range, or the word for an automatic choice."""
    if not (isinstance(smoothing, str) and smoothing == automatic):
        check_scalar(smoothing, "smoothing", Real)
        if not 0 < smoothing <= MAX_SMOOTHING:
            raise ValueError(f"smoothing must be {automatic!r} or above 0 and at most {MAX_SMOOTHING:g}")


def check_n_jobs(n_jobs):
    """Raise TypeError unless a number of jobs is an integer or None."""
    if n_jobs is not None:
        check_scalar(n_jobs, "n_jobs", Integral)


def generator(random_state):
    """The stream of uniform draws of a RandomState: PCG64, the same on every platform."""
    return np.random.Generator(np.random.PCG64(random_state.randint(0, 2**32, size=4, dtype=np.uint32)))


def uniform_blocks(n_rows, n_columns, rng):
    """Uniform draws for a table in blocks that bound their memory: (first row, ndarray of shape (n, n_columns))."""
    step = max(1, 1_000_000 // n_columns)
    for start in range(0, n_rows, step):
        yield start, rng.random((min(step, n_rows - start), n_columns))
