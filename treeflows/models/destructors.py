"""Destructors of one layer: densities of numbers that make uniform numbers of them, and numbers of these again."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._ext import elementary
from .._ext.normal import ndtr, ndtri
from ..densities.destructors import LOG_SQRT_2PI
from ..densities.digits import cell_of
from ..inference.estimates import blocks
from ..learning.digits import layout_of_digits, learn_digits, write_digits
from ..learning.gaussians import MixtureLearner
from ..learning.marginals import choose_n_knots, learn_marginals
from ..learning.multisets import by_hash
from ..machine.draws import generator
from ..machine.errors import ParameterError, TableError, check_number
from ..machine.threads import n_threads
from .parameters import check_n_jobs

LARGEST = 1e150  # number that is read: squares of larger ones are none
MOST_DIGITS = 12
MOST_STATES = 64  # that "auto" tries, doubling
PATIENCE = 2  # doublings without gain after which it stops
HELD_OUT = 0.2  # of the rows, which say how many states there are
LEAST, MOST = 2.0**-1000, 1 - 2.0**-53  # uniform numbers whose normal scores are numbers


class Destructor(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base class of the package's destructors.

    A destructor says ``_learn``, ``_destroy`` and ``_restore``; this class reads tables, and adds what follows.
    """

    canonical = True  # a parameter of those that can be the first layer, too

    def fit(self, X, y=None):
        """Learn the density of a table of numbers.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
            Finite numbers; within [0, 1] if the destructor is canonical.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a missing, infinite or huge number, a single row, a constant column, a number outside the unit cube of a
            canonical destructor, or a parameter out of range.
        """
        self._check_parameters()
        x = self._read(X, reset=True) + 0.0  # one zero
        self._learn(x[by_hash(np.ascontiguousarray(x).view(np.uint8))], generator(self.random_state))
        return self

    def transform(self, X):
        """Uniform numbers of rows, which are independent as far as the density is that of the rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)

        Returns
        -------
        U : ndarray of shape (n_rows, n_columns), float64
            From 0 to 1.
        """
        check_is_fitted(self)
        return self._destroy(self._read(X))[0]

    def inverse_transform(self, U):
        """Rows by their uniform numbers.

        Parameters
        ----------
        U : array-like of shape (n_rows, n_columns)
            From 0 to 1.

        Returns
        -------
        X : ndarray of shape (n_rows, n_columns), float64

        Raises
        ------
        ValueError
            For a number outside the unit cube.
        """
        check_is_fitted(self)
        u = validate_data(self, U, reset=False, dtype=np.float64)
        self._check_cube(u, "a uniform number lies from 0 to 1")
        return self._restore(u)

    def score_samples(self, X):
        """Log-density of each row: the logarithm of how much `transform` stretches the volume around it.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)

        Returns
        -------
        log_density : ndarray of shape (n_rows,), float64
            Nats, in the units of the columns.
        """
        check_is_fitted(self)
        return self._destroy(self._read(X))[1]

    def score(self, X, y=None):
        """Mean log-density of rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
        y : None
            Ignored.

        Returns
        -------
        score : float
            Nats per row.
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, random_state=None):
        """Random rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None draws by the ``random_state`` of the destructor.

        Returns
        -------
        X : ndarray of shape (n_samples, n_columns), float64
        """
        check_is_fitted(self)
        check_number(n_samples, "n_samples", Integral, min_val=1)
        rng = generator(self.random_state if random_state is None else random_state)
        return self._restore(rng.random((n_samples, self.n_features_in_)))

    def _check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range."""

    def _learn(self, x, rng):
        """Learn from rows, in an order that depends on nothing but which they are."""
        raise NotImplementedError

    def _destroy(self, x):
        """Uniform numbers of rows, and their log-densities."""
        raise NotImplementedError

    def _restore(self, u):
        """Rows by uniform numbers."""
        raise NotImplementedError

    def _read(self, X, reset=False):
        x = validate_data(self, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
        if self.canonical:
            remedy = "put a layer that takes any numbers before it, such as IndependentDestructor()"
            self._check_cube(x, f"{type(self).__name__} takes numbers from 0 to 1: {remedy}")
        else:
            self._refuse(np.abs(x) > LARGEST, x, f"numbers larger than {LARGEST:g} are not told: change the unit")
        if reset:
            for j in np.flatnonzero(x.min(axis=0) == x.max(axis=0))[:1].tolist():
                told = f"column {self._name(j)!r} has the value {x[0, j]:g} in every row, which has no density"
                raise TableError(f"{told}: leave the column out", column=self._name(j), value=float(x[0, j]))
        return x

    def _check_cube(self, x, reason):
        self._refuse((x < 0) | (x > 1), x, reason)

    def _refuse(self, bad, x, reason):
        for row, j in np.argwhere(bad)[:1].tolist():
            told = f"column {self._name(j)!r} has the value {x[row, j]:g} at row {row}, but {reason}"
            raise TableError(told, column=self._name(j), row=row, value=float(x[row, j]))

    def _name(self, j):
        return str(self.feature_names_in_[j]) if hasattr(self, "feature_names_in_") else j


class IndependentDestructor(Destructor):
    """Each column by itself: its smooth cumulative distribution makes uniform numbers of it.

    The cumulative distribution is a monotone rational quadratic spline through quantiles of the column, as many as
    held-out rows like best, with the tails of a Pareto distribution; on the unit cube it is cut off at 0 and 1.

    Parameters
    ----------
    canonical : bool, default=False
        Whether the table lies in the unit cube, as what another layer leaves over. `DeepDestructor` sets it.
    random_state : int, RandomState or None, default=None
        Draws the folds that choose the number of quantiles, and samples.

    Attributes
    ----------
    n_knots_ : list of int
        Between how many quantiles of each column the knots lie.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    References
    ----------
    Gregory, Delbourgo, "Piecewise rational quadratic interpolation to monotonic data", IMA Journal of Numerical
    Analysis 2, 1982.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import IndependentDestructor
    >>> X = np.random.default_rng(0).exponential(size=(500, 2))
    >>> layer = IndependentDestructor(random_state=0).fit(X)
    >>> U = layer.transform(X)
    >>> bool(np.allclose(U.mean(axis=0), 0.5, atol=0.01))
    True
    >>> bool(np.allclose(layer.inverse_transform(U), X))
    True
    """

    def __init__(self, *, canonical=False, random_state=None):
        self.canonical = canonical
        self.random_state = random_state

    def _learn(self, x, rng):
        self.n_knots_ = [choose_n_knots(column, rng) for column in x.T]
        self._marginal = learn_marginals(list(x.T), self.n_knots_, np.ones(x.shape[1], dtype=np.int32))

    def _destroy(self, x):
        u, score = np.empty(x.shape), np.zeros(len(x))
        for j, column in enumerate(x.T):
            log_density, below, above = self._marginal.destroy(j, column)
            if self.canonical:
                left, mass, right = self._inside(j)
                low, high = (below - left) / mass, (above - right) / mass
                below, log_density = np.where(low < high, low, 1 - high), log_density - elementary.log(mass)
            u[:, j] = np.clip(below, 0.0, 1.0)
            score += log_density
        return u, score

    def _restore(self, u):
        x = np.empty(u.shape)
        for j, column in enumerate(u.T):
            if not self.canonical:
                x[:, j] = self._marginal.restore(j, column, 1 - column)
                continue
            left, mass, right = self._inside(j)
            x[:, j] = np.clip(self._marginal.restore(j, left + column * mass, right + (1 - column) * mass), 0.0, 1.0)
        return x

    def _inside(self, j):
        """Probability of numbers below 0, of those from 0 to 1, and of those above."""
        _, below, above = self._marginal.destroy(j, np.array([0.0, 1.0]))
        return below[0], 1 - below[0] - above[1], above[1]


class MixtureDestructor(Destructor):
    """All columns at once: a normal mixture, whose transform of Rosenblatt makes independent uniform numbers of them.

    ``u_j = F(x_j | columns before j)`` under a mixture of normal distributions with full covariances, learned by EM.
    Normal tails end where float64 does: a number more than eight standard deviations above what its row lets expect has
    the uniform number 1, from which it does not come back. `IndependentDestructor` before it takes care of heavy tails.

    Parameters
    ----------
    n_components : "auto" or int, default="auto"
        Normal distributions. "auto": 1, 2, 4, ..., 64, as many as a fifth of the rows, held out, likes best, and never
        more than the table has rows for; then all rows are learned from.
    canonical : bool, default=False
        Whether the table lies in the unit cube, as what another layer leaves over; the mixture is one of its normal
        scores then. `DeepDestructor` sets it.
    random_state : int, RandomState or None, default=None
        Draws the rows to hold out and those that EM starts from, and samples.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.

    Attributes
    ----------
    n_components_ : int
    weights_ : ndarray of shape (n_components,), float64
        Probability of each normal distribution.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    References
    ----------
    Rosenblatt, "Remarks on a multivariate transformation", Annals of Mathematical Statistics 23, 1952.

    Dempster, Laird, Rubin, "Maximum likelihood from incomplete data via the EM algorithm", Journal of the Royal
    Statistical Society B 39, 1977.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import MixtureDestructor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 2)) @ [[1, 2], [0, 1]] + 5 * rng.integers(0, 2, (500, 1))
    >>> layer = MixtureDestructor(random_state=0).fit(X)
    >>> layer.n_components_
    2
    >>> bool(abs(np.corrcoef(X.T)[0, 1]) > 0.9), bool(abs(np.corrcoef(layer.transform(X).T)[0, 1]) < 0.1)
    (True, True)
    """

    def __init__(self, n_components="auto", *, canonical=False, random_state=None, n_jobs=None):
        self.n_components = n_components
        self.canonical = canonical
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_parameters(self):
        if not (isinstance(self.n_components, str) and self.n_components == "auto"):
            check_number(self.n_components, "n_components", Integral, min_val=1)
        check_n_jobs(self.n_jobs)

    @property
    def n_components_(self):
        """Number of normal distributions: int."""
        return len(self._mixture.weight)

    @property
    def weights_(self):
        """Probability of each normal distribution: ndarray of shape (n_components,), float64."""
        return self._mixture.weight

    def _learn(self, x, rng):
        n, d = x.shape
        if self.canonical:
            self._centre, self._scale = np.zeros(d), np.ones(d)
        else:
            self._centre = x.mean(axis=0)
            width = np.ptp(x, axis=0)  # squares of which may be none
            self._scale = width * np.sqrt((((x - self._centre) / width) ** 2).mean(axis=0))
        z, seed = self._numbers(x)[rng.permutation(n)], int(rng.integers(2**31))
        if self.n_components != "auto":
            if self.n_components > n:
                told = f"n_components must be at most the number of rows, {n}, got {self.n_components}"
                raise ParameterError(told, parameter="n_components", value=self.n_components)
            self._mixture = self._em(z, int(self.n_components), seed)
            return
        n_held_out = max(1, round(HELD_OUT * n))
        held_out, seen = z[:n_held_out], z[n_held_out:]
        best, most, states = 1, -np.inf, 1
        while states <= MOST_STATES and (states == 1 or states * (d + 1) <= len(seen)) and states <= best * 2**PATIENCE:
            self._mixture = self._em(seen, states, seed)
            score = self._tell(held_out)[1].mean()
            if score > most:
                best, most = states, score
            states *= 2
        self._mixture = self._em(z, best, seed)

    def _em(self, z, n_states, seed):
        d = z.shape[1]
        nothing = np.empty((len(z), 0), dtype=np.int32)
        k = np.ones(d, dtype=np.int32)
        learner = MixtureLearner(z, nothing, k, np.zeros(d), np.ones(d), n_threads(self.n_jobs))
        return learner.learn(n_states, np.random.default_rng([seed, n_states]))

    def _numbers(self, x):
        """What the mixture sees of rows."""
        return _scores(x) if self.canonical else (x - self._centre) / self._scale

    def _destroy(self, x):
        z = self._numbers(x)
        u, score = self._tell(z)
        if self.canonical:
            return u, score + (0.5 * z**2 + LOG_SQRT_2PI).sum(axis=1)
        return u, score - elementary.log(self._scale).sum()

    def _tell(self, z):
        """Uniform numbers of what the mixture sees, and its log-density."""
        u, score = np.empty(z.shape), np.zeros(len(z))
        for block, posterior, t, before in self._walk(len(z), z):
            log_density, below, _ = self._mixture.destroy(posterior, before, t, z[block, t])
            u[block, t] = np.clip(below, 0.0, 1.0)
            score[block] += log_density
        return u, score

    def _restore(self, u):
        z = np.empty(u.shape)
        for block, posterior, t, before in self._walk(len(u), z):
            z[block, t] = self._mixture.restore(posterior, before, t, u[block, t], 1 - u[block, t])
        if self.canonical:
            return ndtr(z)
        return z * self._scale + self._centre

    def _walk(self, n_rows, z):
        """Columns in turn: the block of rows, what is known of their states, the column, what those before make of it.

        What a column of ``z`` holds is read once the walk goes on from it.
        """
        mixture, threads = self._mixture, n_threads(self.n_jobs)
        for block in blocks(n_rows, max(8, self.n_components_)):
            posterior = mixture.begin(block.stop - block.start)
            known = np.zeros((block.stop - block.start, z.shape[1]))
            for t in range(z.shape[1]):
                before = mixture.predict(known, t, threads)
                yield block, posterior, t, before
                known[:, t] = z[block, t]
                posterior = mixture.observe(posterior, before, t, known[:, t])


class RotationDestructor(Destructor):
    """Normal scores are rotated: of numbers in the unit cube others, whose dependence lies along other axes.

    Uniform numbers become normal ones, these are rotated, and become uniform ones again. The density is the uniform
    one, so by itself it tells nothing; the layer after it looks from another side. With `IndependentDestructor` in
    turn this is rotation-based iterative Gaussianization.

    Parameters
    ----------
    rotation : "random" or "pca", default="random"
        Uniform among all rotations, or to the principal axes of the normal scores.
    random_state : int, RandomState or None, default=None
        Draws the rotation, and samples.

    Attributes
    ----------
    rotation_ : ndarray of shape (n_columns, n_columns), float64
        An orthogonal matrix; its rows are the new axes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    References
    ----------
    Laparra, Camps-Valls, Malo, "Iterative Gaussianization: from ICA to random rotations", IEEE Transactions on Neural
    Networks 22, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import RotationDestructor
    >>> U = np.random.default_rng(0).random((500, 3))
    >>> layer = RotationDestructor(random_state=0).fit(U)
    >>> bool(np.allclose(layer.inverse_transform(layer.transform(U)), U))
    True
    """

    def __init__(self, rotation="random", *, random_state=None):
        self.rotation = rotation
        self.random_state = random_state

    def _check_parameters(self):
        if self.rotation not in ("random", "pca"):
            raise ParameterError(
                f"rotation must be 'random' or 'pca', got {self.rotation!r}", parameter="rotation", value=self.rotation
            )

    def _learn(self, x, rng):
        d = x.shape[1]
        if self.rotation == "random":
            q, r = np.linalg.qr(rng.standard_normal((d, d)))
            self.rotation_ = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        else:
            z = _scores(x)
            centred = z - z.mean(axis=0)
            axes = np.linalg.eigh(centred.T @ centred)[1].T[::-1]
            largest = np.abs(axes).argmax(axis=1)[:, None]
            self.rotation_ = axes * np.sign(np.take_along_axis(axes, largest, axis=1))

    def _destroy(self, x):
        return ndtr(_product(_scores(x), self.rotation_.T)), np.zeros(len(x))

    def _restore(self, u):
        return ndtr(_product(_scores(u), self.rotation_))


class TreeDestructor(Destructor):
    """The binary digits of numbers in the unit cube, told by trees: where there is more than uniform numbers have.

    Each number's first digits are told in turn, the most significant first, by trees that ask the columns before and
    the digits so far, averaged over all their prunings: an optional Pólya tree with context. Within a cell the density
    is constant, and `transform` is linear.

    Parameters
    ----------
    n_digits : int, default=6
        Of each column.
    n_trees : int, default=8
        Of each digit. One may ask anything at each split, the others columns that are drawn; their probabilities are
        averaged.
    random_state : int, RandomState or None, default=None
        Draws the columns that splits may ask, and samples.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    References
    ----------
    Wong, Ma, "Optional Pólya tree and Bayesian inference", Annals of Statistics 38, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import TreeDestructor
    >>> U = np.random.default_rng(0).random((1000, 2))
    >>> checkerboard = U[(U > 0.5).sum(axis=1) != 1]  # half of the square is empty
    >>> layer = TreeDestructor(random_state=0).fit(checkerboard)
    >>> bool(abs(layer.score(checkerboard) - np.log(2)) < 0.1)
    True
    """

    def __init__(self, n_digits=6, n_trees=8, *, random_state=None, n_jobs=None):
        self.n_digits = n_digits
        self.n_trees = n_trees
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_parameters(self):
        check_number(self.n_digits, "n_digits", Integral, min_val=1, max_val=MOST_DIGITS)
        check_number(self.n_trees, "n_trees", Integral, min_val=1)
        check_n_jobs(self.n_jobs)

    def _learn(self, x, rng):
        self._layout = layout_of_digits(x.shape[1], self.n_digits)
        self._trees = learn_digits(x, self._layout, self.n_trees, rng, n_threads(self.n_jobs))

    def _destroy(self, x):
        u, score = np.empty(x.shape), np.zeros(len(x))
        for block, j, codes in self._walk(x):
            cell = cell_of(x[block, j], 1 - x[block, j], self.n_digits)
            left, size = np.zeros(len(cell)), np.ones(len(cell))  # of the cell so far, in u
            for level in range(self.n_digits):
                prob = self._digit_proba(j, level, codes)
                digit = cell >> (self.n_digits - 1 - level) & 1
                codes[:, self._at(j, level)] = digit
                left += np.where(digit == 1, size * prob[:, 0], 0.0)
                size *= np.where(digit == 1, prob[:, 1], prob[:, 0])
            u[block, j] = np.clip(left + size * (x[block, j] * 2**self.n_digits - cell), 0.0, 1.0)
            score[block] += elementary.log(size) + self.n_digits * elementary.log(2.0)
        return u, score

    def _restore(self, u):
        x = np.empty(u.shape)
        for block, j, codes in self._walk(x):
            rest, cell = u[block, j], np.zeros(len(codes))
            for level in range(self.n_digits):
                prob = self._digit_proba(j, level, codes)
                digit = rest >= prob[:, 0]
                codes[:, self._at(j, level)] = digit
                rest = np.clip(np.where(digit, (rest - prob[:, 0]) / prob[:, 1], rest / prob[:, 0]), 0.0, 1.0)
                cell = 2 * cell + digit
            x[block, j] = (cell + rest) / 2**self.n_digits
        return x

    def _walk(self, x):
        """Columns in turn: the block of rows, the column, and what the trees see, which that of ``x`` is added to."""
        width = len(self._layout.n_categories)
        for block in blocks(len(x), width):
            codes = np.zeros((block.stop - block.start, width), dtype=np.uint8)
            for j in range(x.shape[1]):
                yield block, j, codes
                write_digits(self._layout, codes, j, x[block, j])

    def _at(self, j, level):
        return int(self._layout.first[j]) + 1 + level

    def _digit_proba(self, j, level, codes):
        told = [trees.distribution(self._at(j, level), codes, n_threads(self.n_jobs)) for trees in self._trees]
        return sum(told) / len(told)


def _scores(u):
    """Normal scores of uniform numbers."""
    return ndtri(np.clip(u, LEAST, MOST))


def _product(z, matrix):
    """The product of matrices, each row by itself: by sums whose order does not depend on how many there are."""
    return sum(z[:, [j]] * row for j, row in enumerate(matrix))
