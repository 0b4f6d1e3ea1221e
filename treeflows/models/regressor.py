"""A regressor by the joint density of a table and its target."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ..densities.destructors import FURTHEST, uniform_of
from ..densities.mixed import MixedDensity
from ..densities.stored import LEAST_PROBABILITY
from ..densities.walk import Walk
from ..inference.estimates import blocks
from ..machine.errors import TableError
from ..machine.threads import n_threads
from ..tables.matching import read_matched
from ..tables.numbers import BadCell, as_numbers
from ..tables.policy import TablePolicy
from ..tables.quantities import Quantity
from .autoregressive import AutoregressiveTreeFlow
from .base import check_model, read_to_learn
from .mixture import TreeFlowMixture
from .targets import TargetModel, domain_with_target, with_target

COARSE = np.linspace(-8, 8, 49)  # normal scores of the target's own distribution, at which all rows are told
FINE = 48  # more places of each row, between those coarse ones that hold
MIDDLE = 1e-3  # on either side all but so much
HALVINGS = 24
CELLS = 100_000  # rows times places, at a time


class TreeFlowRegressor(RegressorMixin, TargetModel):
    """Generative regressor: the whole density p(y | x), from a density of the table with its target as one more column.

    The target is the last column in the order of the default density. ``predict`` is the mean of p(y | x);
    ``predict_quantiles`` are its quantiles, and ``log_density`` says how probable a target is. The same density scores
    rows and draws them with their targets: see ``density_``.

    Parameters
    ----------
    estimator : estimator, default=None
        Density to fit; None is ``TreeFlowMixture(AutoregressiveTreeFlow(order="natural", min_samples_leaf=10))``. A
        `TreeFlowMixture` or an `AutoregressiveTreeFlow` in natural order.
    categories : "auto" or list of array-like, default="auto"
        The values that each column of X can take; None for a column of numbers. "auto": what a categorical dtype
        declares, else what fit sees.
    missing : "category" or "error", default="category"
        "category": a missing cell is a value of its own where fit saw one. "error": it is refused.
    handle_unknown : "error" or "reserve", default="reserve"
        "reserve": each column has room for one more value, which all unseen ones count as.
    min_frequency : int or float, default=None
        Values that occur less often (an int: in fewer rows; a float: in a smaller fraction of the rows) are grouped.
    max_categories : int, default=None
        The rarest values of a column are grouped so that its values have at most so many codes.
    random_state : int, RandomState or None, default=None
        Draws what the estimator draws.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns of X are numbers, as `TreeFlowMixture` takes it.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.

    Attributes
    ----------
    density_ : estimator
        The fitted density of rows with their targets in the last column.
    categories_ : list of ndarray
        Categories of each column of X; None for numbers.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import TreeFlowRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = X[:, 0] + np.where(X[:, 1] > 0, 3, 1) * rng.normal(size=500)
    >>> model = TreeFlowRegressor(random_state=0).fit(X, y)
    >>> low, high = model.predict_quantiles([[0, -1], [0, 1]], [0.1, 0.9]).T
    >>> narrow, wide = high - low  # the second column says how far targets scatter
    >>> bool(wide > 1.3 * narrow)
    True
    """

    distribution_: MixedDensity
    least_leaf = 10
    of_numbers = True

    def __init__(
        self,
        estimator=None,
        *,
        categories="auto",
        missing="category",
        handle_unknown="reserve",
        min_frequency=None,
        max_categories=None,
        random_state=None,
        numeric="auto",
        n_jobs=None,
    ):
        self.estimator = estimator
        self.categories = categories
        self.missing = missing
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state
        self.numeric = numeric
        self.n_jobs = n_jobs

    def fit(self, X, y, sample_weight=None):
        """Learn the density of the table and its targets.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            As the densities take it.
        y : array-like of shape (n_rows,)
            Numbers.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For targets that are no numbers, or a table that is refused; the message names the column.
        """
        check_model(self)
        y, name = self.target(y)
        y = _numbers(y)
        check_consistent_length(X, y)
        domain, rows, weight = read_to_learn(self, X, sample_weight)
        if weight is not None:
            y = y[np.asarray(sample_weight) > 0]
        quantity = _quantity(y)
        joint = domain_with_target(domain, quantity, y, "target" if name is None else str(name))
        return self.learn_joint(joint, rows, quantity.numbers(y), weight)

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        if not isinstance(self.part(), (TreeFlowMixture, AutoregressiveTreeFlow)):
            raise TypeError(f"estimator must be a TreeFlowMixture or an AutoregressiveTreeFlow, got {self.estimator!r}")
        super().check_parameters()

    def predict(self, X):
        """Mean of the target given each row, among the targets between the least and the greatest that fit saw.

        Beyond these nothing is known but that tails may be heavy, and of rows unlike any other some voices have the
        target far out.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        y : ndarray of shape (n_rows,), float64
        """
        values = self._read(X)
        quantity = self.domain_.columns[-1]
        told = [_Target(walk).mean(quantity.low, quantity.high) for _, walk in self._walks(values)]
        return self._origin + np.concatenate(told)

    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        """Quantiles of the target given each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            Between 0 and 1.

        Returns
        -------
        y : ndarray of shape (n_rows, n_quantiles), float64
            Of each quantile q the least value that the target is at most with probability q.
        """
        q = check_array(quantiles, ensure_2d=False, dtype=np.float64, input_name="quantiles")
        if q.ndim != 1 or not ((q > 0) & (q < 1)).all():
            raise ValueError(f"quantiles must be a list of numbers between 0 and 1, got {quantiles!r}")
        values = self._read(X)
        told = [_Target(walk).quantiles(q) for _, walk in self._walks(values)]
        return self._origin + np.concatenate(told)

    def log_density(self, X, y):
        """Log-density of targets given their rows.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)

        Returns
        -------
        log_density : ndarray of shape (n_rows,), float64
            Nats; of targets on a lattice, log-probabilities. Minus infinity of a target below 0 where fit saw none
            there, or above 0 where fit saw none there.
        """
        values, y = self._read(X), _numbers(self.target(y)[0])
        check_consistent_length(values, y)
        y = self.domain_.columns[-1].numbers(y)
        told = [walk.score(self.n_features_in_, y[block]) for block, walk in self._walks(values)]
        return np.concatenate(told)

    @property
    def _origin(self):
        """The target whose number is 0."""
        return float(self.domain_.columns[-1].cells(np.zeros(1))[0][0])

    def _read(self, X):
        """Numbers and codes of a table, with a target to come."""
        check_is_fitted(self)
        domain = self.domain_.without(self.n_features_in_)
        table = read_matched(self, X, domain)
        rows = TablePolicy.of(self).encode(domain, table, n_threads(self.n_jobs))
        return with_target(domain.bounded(rows.codes).astype(np.float64, copy=False), np.nan)

    def _walks(self, values):
        """Blocks of rows, each with its walk up to the target."""
        density = self.distribution_.telling(self.n_features_in_)
        for block in blocks(len(values), len(COARSE) + FINE, CELLS):
            walk = Walk(density, block.stop - block.start, n_threads(self.n_jobs))
            for j in density.order[:-1].tolist():
                walk.observe(j, values[block, j])
            yield block, walk


class _Target:
    """The distribution of the target in each row of a walk that has come to it."""

    def __init__(self, walk):
        self.walk, self.density = walk, walk.density
        self.j = int(self.density.order[-1])
        self.kinds, self.atoms = walk.codes_say(self.j), self.density.numbers.atoms(self.j)
        self.places, self.below = self._curve()

    def mean(self, low, high):
        """Of each row, of the targets from ``low`` to ``high``: ndarray of shape (n_rows,)."""
        y = np.clip(self.places, low, high)
        edges = np.tile([low, high], (len(y), 1))
        below = np.clip(self.below, *np.split(self._elsewhere(edges), 2, axis=1))
        mass, middle = self.kinds[:, -1:] * np.diff(below, axis=1), (y[:, 1:] + y[:, :-1]) / 2
        mass, middle = np.hstack([self.kinds[:, :-1], mass]), np.hstack([np.tile(self.atoms, (len(y), 1)), middle])
        mass += LEAST_PROBABILITY  # of a row whose target lies beyond for certain
        return (mass * middle).sum(axis=1) / mass.sum(axis=1)

    def quantiles(self, q):
        """Of each row: ndarray of shape (n_rows, n_quantiles). Normal scores of the target's own are halved."""
        n, smooth = len(self.places), self.density.smooth
        scores = smooth.scores(self.j, self.places)
        scores = np.column_stack([np.full(n, -FURTHEST), scores, np.full(n, FURTHEST)])
        first = (self._with_atoms(self.places, self.below)[:, :, None] < q).sum(axis=1)
        low, high = (np.take_along_axis(scores, at, axis=1) for at in (first, first + 1))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            y = smooth.restore(self.j, *uniform_of(middle))
            enough = self._with_atoms(y, self._elsewhere(y)) >= q
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return self.density.numbers.on_lattice(self.j, smooth.restore(self.j, *uniform_of(high)))

    def _curve(self):
        """Places, ascending in each row, and the distribution function of numbers elsewhere there."""
        coarse = np.tile(self.density.smooth.restore(self.j, *uniform_of(COARSE)), (len(self.kinds), 1))
        below = self._elsewhere(coarse)
        first = np.maximum((below <= MIDDLE).sum(axis=1) - 1, 0)
        last = np.minimum((below < 1 - MIDDLE).sum(axis=1), coarse.shape[1] - 1)
        low, high = (np.take_along_axis(coarse, at[:, None], axis=1) for at in (first, last))
        fine = low + (high - low) * (np.arange(1, FINE + 1) / (FINE + 1))
        places = np.hstack([coarse, fine])
        order = np.argsort(places, axis=1, kind="stable")
        below = np.hstack([below, self._elsewhere(fine)])
        return np.take_along_axis(places, order, axis=1), np.take_along_axis(below, order, axis=1)

    def _elsewhere(self, y):
        """Distribution function of numbers elsewhere at places of each row: ndarray of shape (n_rows, n_places)."""
        return self.walk.uniform_at(self.j, y, slice(None))[0]

    def _with_atoms(self, y, below):
        """That of all numbers."""
        total = self.kinds[:, -1:] * below
        for atom, prob in zip(self.atoms, self.kinds.T[:-1], strict=True):
            total += prob[:, None] * (atom <= y)
        return total


def _numbers(y):
    """Targets as an array of numbers."""
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    try:
        cells = as_numbers(y)
    except BadCell as error:
        raise _refused(y, error) from None
    if cells.dtype.kind in "Mm":
        raise TableError(f"y holds {y[0]!r}; targets must be numbers, and a time is one in seconds since another")
    return cells


def _quantity(y):
    """The quantity that targets are."""
    try:
        return Quantity.learn(y)
    except BadCell as error:
        raise _refused(y, error) from None


def _refused(y, error):
    value = y[error.place]
    return TableError(f"y holds {value!r} at row {error.place}, {error.why}", row=error.place, value=value)
