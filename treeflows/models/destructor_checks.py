"""Whether something is a destructor: its maps undo each other, and its density is what they say it is."""

import joblib
import numpy as np
from scipy.special import ndtr
from scipy.stats import chisquare, kstest
from sklearn.base import clone
from sklearn.utils import check_array

from ..machine.draws import generator
from .deep import METHODS

N_ROWS = 800  # of the table that is drawn
TOLERANCE = 1e-9  # of numbers in the unit cube; of others, times their size and their column's spread
ROUNDINGS = 16  # of a number in its column's units, that are no fault of an inverse
NEAR_EDGE = 1e-6  # uniform numbers that float64 tells too coarsely to find the row again
MOST_COLUMNS = 2  # that a density is integrated over
POINTS = {1: 20_000, 2: 200}  # a column, by how many there are
INTEGRAL_TOLERANCE = 0.02
STANDARD_ERRORS = 5.0
N_DRAWS = 2000
EACH_WORTH = 4.0  # of the points that draws are chosen among, so many for each
LEAST_P = 1e-6
CELLS = 4  # a column, where pairs are counted
N_JACOBIANS = 40
STEP = 1e-6  # times the spread
JACOBIAN_TOLERANCE = 1e-3  # nats a column
MOST_KINKS = 0.2  # of the rows, which may lie where a derivative jumps


def check_destructor(destructor, X=None, *, canonical=None, random_state=0):
    """Check that an estimator is a destructor, so that it can be a layer of `DeepDestructor`.

    It is cloned and fitted to half of the rows. Then, one after the other:

    - fit, transform and the other methods leave parameters and table alone, and fit gives the same twice;
    - ``transform`` gives float64 numbers from 0 to 1, and ``score_samples`` a number for each row;
    - ``inverse_transform`` undoes ``transform``, and the other way round, within 1e-9;
    - the density integrates to one, and what is drawn by it becomes uniform: every column by itself (test of Kolmogorov
      and Smirnov), and every two (chi-squared). Of tables of one or two columns, where a density can be integrated
      knowing nothing of it;
    - ``score_samples`` is the logarithm of the Jacobian determinant of ``transform``, found by finite differences. A
      fifth of the rows may disagree: derivatives may jump.

    That it matches the rows is not asked: log-likelihoods of held-out rows tell how well it does.

    Parameters
    ----------
    destructor : estimator
        Not fitted; it is cloned.
    X : array-like of shape (n_rows, n_columns), default=None
        What to fit it to, continuous numbers; None draws 800 rows of two dependent columns.
    canonical : bool, default=None
        Whether it takes numbers in the unit cube, and all its density lies there. None is what its attribute
        ``canonical`` says, if it has one, else False.
    random_state : int, RandomState or None, default=0
        Draws rows, and is the ``random_state`` of the destructor where that is None.

    Raises
    ------
    AssertionError
        The message says which of these fails, and by how much.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from treeflows import MixtureDestructor, check_destructor
    >>> check_destructor(MixtureDestructor(2))
    >>> class Shrunk(MixtureDestructor):
    ...     def score_samples(self, X):
    ...         return super().score_samples(X) - 1
    >>> check_destructor(Shrunk(2))
    Traceback (most recent call last):
        ...
    AssertionError: integral: the density integrates to 0.368, not to 1 (standard error 0.003)
    """
    rng = generator(random_state)
    for name in METHODS:
        _require(callable(getattr(destructor, name, None)), f"interface: {destructor!r} has no method {name}")
    canonical = bool(getattr(destructor, "canonical", False) if canonical is None else canonical)
    x = _table(canonical, rng) if X is None else check_array(X, dtype=np.float64, ensure_min_samples=4)
    x = x[rng.permutation(len(x))]
    train, test = x[: len(x) // 2], x[len(x) // 2 :]
    fitted = _Unchanging(_fitted(destructor, train, int(rng.integers(2**31))))
    u = _check_cube(fitted, test)
    _check_inversion(fitted, test, u, canonical, rng)
    if x.shape[1] <= MOST_COLUMNS:
        points, weight = _check_integral(fitted, train, canonical, rng)
        _check_uniformity(fitted, points, weight, rng)
    _check_jacobian(fitted, test[:N_JACOBIANS], _spread(train), canonical)


def _require(holds, told):
    if not holds:
        raise AssertionError(told)


def _table(canonical, rng):
    """Two dependent columns."""
    z = rng.standard_normal((N_ROWS, 2))
    if canonical:
        return ndtr(np.column_stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]]))
    return np.column_stack([3 + 2 * z[:, 0], z[:, 0] ** 2 + 0.5 * z[:, 1]])


def _spread(x):
    """Between the quartiles of each column, or where half of it is one value, between its ends."""
    low, high = np.quantile(x, [0.25, 0.75], axis=0)
    return np.where(high > low, high - low, np.ptp(x, axis=0))


class _Unchanging:
    """A fitted destructor that is seen to leave alone what it is given."""

    def __init__(self, destructor):
        self.destructor = destructor

    def __call__(self, name, x):
        before = x.copy()
        answer = np.asarray(getattr(self.destructor, name)(x))
        _require(np.array_equal(x, before), f"mutation: {name} changes the table that it is given")
        return answer


def _fitted(destructor, train, seed):
    """A clone, fitted; once it is seen to fit the same twice."""
    try:
        first = clone(destructor)
        if first.get_params(deep=False).get("random_state", 0) is None:
            first.set_params(random_state=seed)
        second = clone(first)
    except Exception as error:
        raise AssertionError(f"clone: {destructor!r} cannot be cloned: {error}") from error
    parameters, before = joblib.hash(first.get_params()), train.copy()
    _require(first.fit(train) is first, "fit: it does not return the destructor itself")
    _require(np.array_equal(train, before), "mutation: fit changes the table that it is given")
    _require(joblib.hash(first.get_params()) == parameters, "fit: it changes the destructor's parameters")
    u = [_Unchanging(d)("transform", train) for d in (first, second.fit(train), second.fit(train))]
    for again, how in ((u[1], "a clone"), (u[2], "the same destructor again")):
        away = np.nanmax(np.abs(again - u[0]), initial=0.0) if again.shape == u[0].shape else np.inf
        _require(away <= TOLERANCE, f"fit: {how} fitted to the same table transforms it otherwise, by {away:.3g}")
    return first


def _check_cube(fitted, x):
    u = fitted("transform", x)
    _require(u.shape == x.shape, f"cube: transform makes an array of shape {u.shape} of one of shape {x.shape}")
    _require(u.dtype == np.float64, f"cube: transform gives {u.dtype}, not float64")
    _require(not np.isnan(u).any(), f"cube: transform gives NaN in {np.isnan(u).any(axis=1).sum()} of {len(u)} rows")
    _require(u.min() >= 0 and u.max() <= 1, f"cube: transform gives numbers from {u.min():.6g} to {u.max():.6g}")
    said = fitted("score_samples", x)
    _require(said.shape == (len(x),), f"density: score_samples gives shape {said.shape} of {len(x)} rows")
    _require(not np.isnan(said).any() and said.max() < np.inf, "density: score_samples gives NaN or infinity")
    return u


def _check_inversion(fitted, x, u, canonical, rng):
    inside = ((u > NEAR_EDGE) & (u < 1 - NEAR_EDGE)).all(axis=1)
    back = fitted("inverse_transform", u)
    _require(back.shape == x.shape, f"inversion: inverse_transform gives shape {back.shape}, not {x.shape}")
    away = np.nanmax((np.abs(back - x) / (_spread(x) + np.abs(x)))[inside], initial=0.0)
    told = "inversion: inverse_transform(transform(X)) is not X, but away from it by up to"
    _require(away <= TOLERANCE and not np.isnan(back[inside]).any(), f"{told} {away:.3g} of its size")
    drawn = rng.random(x.shape)
    rows = fitted("inverse_transform", drawn)
    _require(np.isfinite(rows).all(), "inversion: inverse_transform gives NaN or infinity inside the unit cube")
    if canonical:
        outside = ((rows < 0) | (rows > 1)).any(axis=1).sum()
        _require(outside == 0, f"cube: inverse_transform gives {outside} of {len(rows)} rows outside the unit cube")
    away = np.abs(fitted("transform", rows) - drawn).max()
    told = "inversion: transform(inverse_transform(U)) is not U, but away from it by up to"
    rounding = ROUNDINGS * (np.spacing(np.abs(x).max(axis=0)) / _spread(x)).max()
    _require(away <= TOLERANCE + rounding, f"{told} {away:.3g}")


def _check_integral(fitted, train, canonical, rng):
    """The integral over the cube or the whole space, a drawn point in each cell of a grid; points and their shares."""
    d = train.shape[1]
    grid = np.stack(np.meshgrid(*[np.arange(POINTS[d])] * d, indexing="ij"), axis=-1).reshape(-1, d)
    v = (grid + rng.random(grid.shape)) / POINTS[d]
    points, volume = v, np.ones(len(v))
    if not canonical:  # as by a distribution of Cauchy
        angle, spread = np.pi * (v - 0.5), _spread(train)
        points = np.median(train, axis=0) + spread * np.tan(angle)
        volume = (np.pi * spread / np.cos(angle) ** 2).prod(axis=1)
    weight = np.exp(fitted("score_samples", points)) * volume
    integral, error = weight.mean(), weight.std() / np.sqrt(len(weight))
    _require(
        abs(integral - 1) <= INTEGRAL_TOLERANCE + STANDARD_ERRORS * error,
        f"integral: the density integrates to {integral:.3f}, not to 1 (standard error {error:.3f})",
    )
    return points, weight / weight.sum()


def _check_uniformity(fitted, points, weight, rng):
    n = int(min(N_DRAWS, 1 / (weight**2).sum() / EACH_WORTH))
    u = fitted("transform", points[rng.choice(len(points), max(n, 1), p=weight)])
    for j, column in enumerate(u.T):
        told = kstest(column, "uniform")
        _require(
            told.pvalue > LEAST_P,
            f"uniformity: of {len(u)} rows drawn by the density, column {j} of transform is not uniform: its "
            f"distribution is away by {told.statistic:.3f} (p = {told.pvalue:.1e})",
        )
    if u.shape[1] == MOST_COLUMNS:
        cell = np.minimum((u * CELLS).astype(int), CELLS - 1) @ [CELLS, 1]
        counts = np.bincount(cell, minlength=CELLS**2)
        p = chisquare(counts).pvalue
        _require(
            p > LEAST_P,
            f"uniformity: of {len(u)} rows drawn by the density, the columns of transform are not independent: "
            f"{counts.min()} to {counts.max()} lie in each of {CELLS**2} equal squares (p = {p:.1e})",
        )


def _check_jacobian(fitted, x, spread, canonical):
    n, d = x.shape
    step = STEP * spread
    x = np.clip(x, step, 1 - step) if canonical else x
    moves = np.concatenate([np.diag(step), -np.diag(step)])
    moved = (x[:, None] + moves).reshape(-1, d)
    u = fitted("transform", moved).reshape(n, 2, d, d)
    width = (moved.reshape(n, 2, d, d)[:, 0] - moved.reshape(n, 2, d, d)[:, 1]).diagonal(axis1=1, axis2=2)
    log_det = np.linalg.slogdet((u[:, 0] - u[:, 1]) / width[:, :, None])[1]
    away = np.abs(log_det - fitted("score_samples", x))
    differ = ~(away <= JACOBIAN_TOLERANCE * d)
    told = "log |det| by finite differences is away from score_samples by more than"
    _require(
        differ.mean() <= MOST_KINKS,
        f"Jacobian: in {differ.sum()} of {n} rows {told} {JACOBIAN_TOLERANCE * d:g} nats, at the median by "
        f"{np.median(away):.3g}",
    )
