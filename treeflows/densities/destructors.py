"""Destructors of numbers: densities whose cumulative distributions make uniform numbers of them, one after the other.

Inouye and Ravikumar, "Deep density destructors", ICML 2018: an invertible map that leaves nothing but uniform noise of
what it has been learned from *is* a density, and where it leaves more, a next one learns that.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import elementary, gaussians
from .._ext.normal import ndtr, ndtri
from .stored import LEAST_PROBABILITY, MOST_PROBABILITY, Array, Stored

MOST = 2.0**500  # a value in its column's units, further out than any is told apart, or a slope: squares are finite
TAIL = 2.0  # exponent of the tails: beyond the knots, the probability of more than t falls like t**-2
FURTHEST = 37.0  # a normal score
LOG_SQRT_2PI = 0.91893853320467274178
FINITE = np.finfo(float).max
NEGLIGIBLE = 1e-30  # posterior probability of a state that is asked about many numbers


@dataclass(frozen=True, eq=False)
class MarginalDestructor(Stored):
    """Each number by itself: x -> F(x), with F smooth and strictly increasing on the whole line.

    Between knots F is a monotone rational quadratic spline (Gregory and Delbourgo, IMA Journal of Numerical Analysis 2,
    1982), which sums, products and quotients evaluate and a square root inverts. Beyond the last knots the tails are
    those of a Pareto distribution, in which a value ten ranges away is unlikely and no more.

    Attributes
    ----------
    first_knot : ndarray of shape (n_columns + 1,), int64
        At least two knots for each column of numbers, none for others.
    exponent : ndarray of shape (n_columns,), int32
        Knots and values are told in units of 2**exponent.
    knot : ndarray of float64
        Ascending in each column.
    level, slope : ndarray of float64
        F and its derivative at each knot.
    """

    first_knot: Annotated[np.ndarray, Array(np.int64, "columns + 1", starts="knots")]
    exponent: Annotated[np.ndarray, Array(np.int32, "columns", low=-1100, high=1100)]
    knot: Annotated[np.ndarray, Array(np.float64, "knots", low=-MOST, high=MOST)]
    level: Annotated[np.ndarray, Array(np.float64, "knots", low=LEAST_PROBABILITY, high=1)]
    slope: Annotated[np.ndarray, Array(np.float64, "knots", low=LEAST_PROBABILITY, high=MOST)]

    def units(self, j, x):
        """Values in the units of their column."""
        return np.clip(np.ldexp(x, -self.exponent[j]), -MOST, MOST)

    def range(self, j):
        """The values between which a column is not told by its tails: ndarray of shape (2,)."""
        return np.ldexp(self._of(j)[0][[0, -1]], self.exponent[j])

    def scores(self, j, x):
        """Normal scores of values: normal numbers of their uniform ones."""
        return normal_scores(*self.destroy(j, x)[1:])[0]

    def destroy(self, j, x):
        """Uniform numbers of values.

        Returns
        -------
        log_density, below, above : ndarray of the shape of ``x``
            log F'(x), nats; F(x); and 1 - F(x).
        """
        knot, level, slope = self._of(j)
        t = self.units(j, x)
        i = np.clip(np.searchsorted(knot, t, side="right") - 1, 0, len(knot) - 2)
        width, rise, left, right = knot[i + 1] - knot[i], level[i + 1] - level[i], slope[i], slope[i + 1]
        at = np.clip((t - knot[i]) / width, 0.0, 1.0)
        mean, rest = rise / width, 1 - at
        bend = mean + (left + right - 2 * mean) * at * rest
        below = level[i] + rise * (mean * at + left * rest) * at / bend
        above = 1 - level[i + 1] + rise * (mean * rest + right * at) * rest / bend
        density = (mean / bend) ** 2 * (right * at**2 + 2 * mean * at * rest + left * rest**2)
        log_density = elementary.log(density)
        for is_left, away, mass, steep in (
            (True, knot[0] - t, level[0], slope[0]),
            (False, t - knot[-1], 1 - level[-1], slope[-1]),
        ):
            outside = away > 0
            stretch = 1 + np.where(outside, away, 0.0) * (steep / mass / TAIL)
            with np.errstate(over="ignore"):  # so far out that nothing is left
                tail = mass / stretch**TAIL
            below = np.where(outside, tail if is_left else 1 - tail, below)
            above = np.where(outside, 1 - tail if is_left else tail, above)
            told = elementary.log(steep) - (TAIL + 1) * elementary.log(stretch)
            log_density = np.where(outside, told, log_density)
        return log_density - self.exponent[j] * elementary.log(2.0), below, above

    def restore(self, j, below, above):
        """Values by their uniform numbers, the inverse of `destroy`."""
        knot, level, slope = self._of(j)
        i = np.clip(np.searchsorted(level, below, side="right") - 1, 0, len(knot) - 2)
        width, rise, left, right = knot[i + 1] - knot[i], level[i + 1] - level[i], slope[i], slope[i + 1]
        mean, y = rise / width, np.clip((below - level[i]) / rise, 0.0, 1.0)
        # y = (mean at^2 + left at (1 - at)) / (mean + (left + right - 2 mean) at (1 - at)) for at
        curve = left + right - 2 * mean
        a, b, c = (mean - left) + y * curve, left - y * curve, -mean * y
        at = np.clip(2 * c / (-b - np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0))), 0.0, 1.0)
        t = knot[i] + at * width
        for outside, mass, steep, edge, tail, side in (
            (below < level[0], level[0], slope[0], knot[0], below, -1),
            (above < 1 - level[-1], 1 - level[-1], slope[-1], knot[-1], above, 1),
        ):
            stretch = np.sqrt(mass / np.maximum(np.where(outside, tail, mass), LEAST_PROBABILITY))
            t = np.where(outside, edge + side * (stretch - 1) * TAIL * mass / steep, t)
        with np.errstate(over="ignore"):
            return np.clip(np.ldexp(t, self.exponent[j]), -FINITE, FINITE)

    def _of(self, j):
        here = slice(*self.first_knot[j : j + 2])
        return self.knot[here], self.level[here], self.slope[here]

    def check(self):
        """Raise ValueError unless the knots of each column ascend; for what comes from a file."""
        super().check()
        if (np.diff(self.first_knot) == 1).any():
            raise ValueError("a column has a single knot")
        for j in np.flatnonzero(np.diff(self.first_knot)).tolist():
            knot, level, _ = self._of(j)
            if (np.diff(knot) < 1 / MOST).any() or (np.diff(level) <= 0).any() or level[-1] >= 1:
                raise ValueError(f"the knots of column {j} do not ascend")


def normal_scores(below, above):
    """Standard normal numbers of uniform ones, and the logarithm of their density."""
    least = np.maximum(np.minimum(below, above), LEAST_PROBABILITY)
    z = np.where(below < above, 1.0, -1.0) * ndtri(least)
    return z, -0.5 * z**2 - LOG_SQRT_2PI


def uniform_of(z):
    """Uniform numbers of standard normal ones: F(z), and 1 - F(z)."""
    return ndtr(z), ndtr(-z)


class NormalStates(Stored):
    """Numbers that in each of several states are normal variables y = before + own z, z the number, y a standard one.

    Of each row there is a log-posterior of the states up to a constant, and ``before``, what the columns before the
    number at place t make of it; both of shape (n_rows, n_states).
    """

    def destroy(self, posterior, before, t, z, threads=1):
        """Uniform numbers of those at place t: log-density, F(z) and 1 - F(z) given what is known."""
        return gaussians.destroy(posterior, before, self._own(t), np.ascontiguousarray(z), threads)

    def cumulatives(self, posterior, before, t, threads=1):
        """F of each row, to be asked about many numbers: Cumulatives."""
        return gaussians.Cumulatives(posterior, before, self._own(t), NEGLIGIBLE, threads)

    def restore(self, posterior, before, t, below, above, threads=1):
        """Numbers at place t by their uniform ones."""
        low, high = (np.ascontiguousarray(side)[:, None] for side in (below, above))
        return gaussians.restore(posterior, before, self._own(t)[None], low, high, threads)[:, 0]

    def _own(self, t):
        """What a number is multiplied by in each state."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class GaussianMixtureDestructor(NormalStates):
    """All columns at once: z_j -> F(z_j | columns before j), by a mixture of normal distributions.

    The transform of Rosenblatt (Annals of Mathematical Statistics 23, 1952): given a state, the numbers in order are
    normal variables, each with a mean that those before it shift; given what is known so far, the states have a
    posterior. In a state, codes are independent of all else.

    Attributes
    ----------
    weight : ndarray of shape (n_states,), float64
    factor : ndarray of shape (n_numbers * (n_numbers + 1) / 2, n_states), float64
        P, row after row up to its diagonal, of the precision P'P of the numbers, in their order.
    shift : ndarray of shape (n_numbers, n_states), float64
        P times the mean.
    prob : ndarray of shape (sum of n_categories, n_states), float64
        Probability of each code of each column, and of each kind of the numbers.
    centre, scale : ndarray of shape (n_numbers,), float64
        The mixture sees (t - centre) / scale.
    """

    weight: Annotated[np.ndarray, Array(np.float64, "states", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]
    factor: Annotated[np.ndarray, Array(np.float64, "pairs", "states", low=-1e150, high=1e150)]
    shift: Annotated[np.ndarray, Array(np.float64, "numbers", "states", low=-1e150, high=1e150)]
    prob: Annotated[np.ndarray, Array(np.float64, "values", "states", low=LEAST_PROBABILITY, high=MOST_PROBABILITY)]
    centre: Annotated[np.ndarray, Array(np.float64, "numbers", low=-FINITE, high=FINITE)]
    scale: Annotated[np.ndarray, Array(np.float64, "numbers", low=np.finfo(float).tiny, high=FINITE)]

    def begin(self, n_rows):
        """Log-posterior of the states before any column is known, a row for each; here and later up to a constant."""
        return np.tile(elementary.log(self.weight), (n_rows, 1))

    def predict_codes(self, posterior, j, threads=1):
        """Distribution of a column of codes, or of the kinds of numbers: (n_rows, n_categories)."""
        here = self.prob[self.first_category[j] : self.first_category[j + 1]]
        return gaussians.mean_distributions(posterior, here, threads)

    def observe_codes(self, posterior, j, codes):
        """Log-posterior once the codes of a column are known."""
        return posterior + self._log_prob[self.first_category[j] + codes.astype(np.intp)]

    def predict(self, known, t, threads=1):
        """What the numbers before place t make of the one there: (n_rows, n_states), to be handed to what follows."""
        return gaussians.predict(known, t, self.factor, self.shift, threads)

    def observe(self, posterior, before, t, z, threads=1):
        """Log-posterior once the numbers at place t are known."""
        own = self._own(t), self._log_own[t]
        return gaussians.observe(posterior, before, *own, np.ascontiguousarray(z), threads)

    def quantiles_given_all(self, posterior, known, there, t, at, threads=1):
        """Quantiles, more or less, of the numbers at place t given all others.

        Parameters
        ----------
        posterior : ndarray of shape (n_rows, n_states), float64
            Log-posterior given codes and kinds.
        known : ndarray of shape (n_rows, n_numbers), float64
            Numbers as the mixture sees them.
        there : ndarray of shape (n_rows, n_numbers), bool
            Which of them count.
        t : int
        at : sequence of float
            Probabilities.
        threads : int

        Returns
        -------
        z : ndarray of shape (n_rows, n_quantiles), float64
        """
        known, there = np.where(there, known, 0.0), there.copy()
        known[:, t], there[:, t] = 0.0, True
        log_weight, precision, pull = posterior.copy(), np.zeros(posterior.shape), np.zeros(posterior.shape)
        for s in range(len(self.shift)):
            rest = self.predict(known, s, threads) + self._own(s) * known[:, [s]]
            log_weight += np.where(there[:, [s]], self._log_own[s] - 0.5 * rest**2, 0.0)
            if s >= t:
                own = np.where(there[:, [s]], self.factor[s * (s + 1) // 2 + t], 0.0)
                precision += own**2
                pull += own * rest
        # the sum over numbers of (rest + own z)^2 is a square of z, and what is left of it
        log_weight += 0.5 * (pull**2 / precision - elementary.log(precision))
        own, q = np.sqrt(precision), np.tile(np.asarray(at), (len(known), 1))
        return gaussians.restore(log_weight, pull / own, own, q, 1 - q, threads)

    def _own(self, t):
        return self.factor[t * (t + 3) // 2]

    @cached_property
    def _log_own(self):
        n = len(self.shift)
        return elementary.log(self.factor[np.arange(n) * (np.arange(n) + 3) // 2])

    @cached_property
    def _log_prob(self):
        return elementary.log(self.prob)

    def check(self):
        """Raise ValueError unless these are distributions; for what comes from a file."""
        super().check()
        n = len(self.shift)
        if len(self.factor) != n * (n + 1) // 2 or any((self._own(t) <= 0).any() for t in range(n)):
            raise ValueError("the states of a mixture have no precision")
        sums = [self.weight.sum(keepdims=True), np.add.reduceat(self.prob, self.first_category[:-1], axis=0)]
        if not all(np.allclose(s, 1, rtol=0, atol=1e-9) for s in sums):
            raise ValueError("probabilities of a mixture do not sum to one")
