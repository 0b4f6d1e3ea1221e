"""Rows given evidence, with weights: what the distribution of any column given it is told from.

Exact where the columns that count have few joint states, which then are the rows. Else from a density's own draws,
which are kept from question to question, so that most questions cost but a look at which of these agree with the
evidence. Where too few do, from draws that are led to it.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .._ext import elementary
from ..machine.log_sums import logsumexp, softmax
from .ahead import shares, systematic
from .estimates import divided

MOST_STATES = 65_536  # that are enumerated once and kept,
MOST_STATES_ONCE = 16_384  # or for one question; of rows with numbers,
FEWER = 16  # times fewer: they cost more
MOST_CELLS = 8_000_000  # of states
FIRST = 1.5  # times as many draws as effective ones are wanted are led to the evidence first, then as many as it takes
MOST_WALKED = 3  # times as many draws as effective ones are wanted are asked of a number
MOST_WORTH = 3  # times as many draws go on from others as these are worth at most
MOST_ROWS = 8  # times as many of the density's own draws are looked at; of the others nothing but their number
MOST_KEPT = 8  # tables of draws or states of a density


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a row of codes, and what it is conditioned on.

    Attributes
    ----------
    codes : ndarray of shape (n_columns,), uint8 or float64
        Of the context too.
    observed : ndarray of shape (n_columns,), bool
        Which of them are known, those of the context among them.
    is_context : ndarray of shape (n_columns,), bool
        Which are given, so that their probability does not count.
    within : dict of int to ndarray
        What others may be: weights of codes, or ranges of numbers.
    log_share : float
        Log-probability of the values given their codes, nats.
    """

    codes: np.ndarray
    observed: np.ndarray
    is_context: np.ndarray
    within: dict
    log_share: float = 0.0

    @property
    def known(self):
        """Numbers of the columns that are told from, without the context: ndarray of int."""
        told = self.observed & ~self.is_context
        told[list(self.within)] = True
        return np.flatnonzero(told)


@dataclass(frozen=True, eq=False)
class WeightedRows:
    """Rows that agree with evidence.

    Attributes
    ----------
    codes : ndarray of shape (n_rows, n_columns)
        Columns that did not count may hold anything.
    share : ndarray of shape (n_rows,), float64
        Weights that sum to one; none at all if there are no rows.
    root : ndarray of shape (n_rows,), int64, or None
        Rows of one root are not independent; None if all are.
    log_probability : float
        Of the evidence, nats.
    error : float
        Standard error of the probability relative to it; 0 if it is exact, infinity if there is no estimate.
    effective : float
        Number of independent draws that the rows are worth; infinity if they are all there is.
    """

    codes: np.ndarray
    share: np.ndarray
    root: np.ndarray | None
    log_probability: float
    error: float
    effective: float

    def probabilities(self, places, n_places):
        """Probability of each place that rows may be at, and its standard error.

        Parameters
        ----------
        places : ndarray of shape (n_rows,), int64
        n_places : int

        Returns
        -------
        probability, error : ndarray of shape (n_places,), float64
        """
        told = np.bincount(places, self.share, n_places)
        if np.isinf(self.effective):
            return told, np.zeros(n_places)
        # variance by the roots of a ratio of weighted sums
        whole, of_root, at = self._roots(places, n_places)
        squares = np.bincount(at, of_root**2, n_places)
        products = np.bincount(at, of_root * whole[0], n_places)
        variance = np.maximum(squares - 2 * told * products + told**2 * (whole[1] ** 2).sum(), 0.0)
        return told, np.sqrt(variance + 1 / self.effective**2)  # what no draw has met may be one draw's worth

    def mean(self, values, chosen):
        """Mean of values over some of the rows, and its standard error."""
        share = np.where(chosen, self.share, 0.0)
        total = share.sum()
        if total <= 0:
            return np.nan, np.nan
        share, values = share / total, np.where(chosen, values, 0.0)
        middle = float((share * values).sum())
        away = share * (values - middle)
        if np.isinf(self.effective):
            return middle, 0.0
        if self.root is not None:
            away = np.bincount(self.root, away)
        return middle, float(np.sqrt((away**2).sum()))

    def _roots(self, places, n_places):
        """Of each root and place the weight: that of the root, which are all, and the weight itself and its place."""
        if self.root is None:
            return (self.share, self.share), self.share, places
        _, which = np.unique(self.root, return_inverse=True)
        of_root = np.bincount(which, self.share)
        pairs, at = np.unique(which * n_places + places, return_inverse=True)
        each = np.bincount(at.ravel(), self.share)
        root, place = np.divmod(pairs, n_places)
        return (of_root[root], of_root), each, place


def wanted(max_error):
    """How many effective draws tell probabilities within a standard error."""
    return 0.26 / max_error**2


def rows_given(density, evidence, asked, max_error, n_draws, seed, threads):
    """Weighted rows that agree with evidence.

    Parameters
    ----------
    density : Density
    evidence : Evidence
    asked : sequence of int
        Columns whose distributions count.
    max_error : float
        Standard error of a probability that shall be reached, if it can be by so many draws.
    n_draws : int
        Of the density itself, and at most of such as are led to the evidence.
    seed : int
        Of random numbers: the same rows for the same of all these.
    threads : int

    Returns
    -------
    rows : WeightedRows
        With NaN and infinity in place of the probability and its error where there is no estimate.
    """
    counts = np.union1d(evidence.known, asked).astype(np.intp)
    in_order = None if density.order is None else np.asarray(density.order)
    first = np.arange(len(evidence.codes)) if in_order is None else in_order
    if in_order is not None:
        place = np.argsort(in_order)
        first = in_order[: int(place[counts].max(initial=-1)) + 1]
    free = first[~evidence.is_context[first]]
    fewer = FEWER if np.isinf(density.n_states).any() else 1
    most = min(MOST_STATES // fewer, MOST_CELLS // len(evidence.codes))
    if prod(density.n_states[free].tolist()) <= most:
        return _of_states(evidence, *_kept_states(density, evidence, first, free, threads))
    left = {j: _may_be(density, evidence, j) for j in free.tolist()}
    n_left = prod(np.inf if codes is None else len(codes) for codes in left.values())
    if n_left <= min(MOST_STATES_ONCE // fewer, most):
        return _of_states(evidence, *_states(density, evidence, first, left, threads))
    enough = wanted(max_error)
    drawn, told = _kept_draws(density, evidence, n_draws, seed, threads)
    own = _of_draws(density, evidence, drawn, enough)
    if own is not None and own.effective >= min(enough, n_draws / 2):
        return own
    nearest = [] if in_order is None else [j for j in first.tolist() if j in evidence.known]
    draw, most_led = None, n_draws
    if nearest and told is not None:
        draw, worth = _going_on(density, evidence, nearest[0], drawn, told, enough, len(first), seed, threads)
        most_led = min(n_draws, int(MOST_WORTH * worth) + 1)
    if draw is None:
        draw = _from_the_start(density, evidence, None if in_order is None else np.array([len(first)]), threads)
    led = _led(evidence, draw, enough, most_led, seed)
    return led if own is None or led.effective > own.effective else own


def _may_be(density, evidence, j):
    """Codes that a column may have: ndarray of int, or None for numbers."""
    if evidence.observed[j]:
        return evidence.codes[[j]]
    if np.isinf(density.n_states[j]):
        return None
    return np.flatnonzero(evidence.within[j]) if j in evidence.within else np.arange(density.n_categories[j])


def _kept(density, key, make):
    """What was made for the same key before, or is now."""
    kept = density.kept
    if key not in kept:
        while len(kept) >= MOST_KEPT:
            kept.pop(next(iter(kept)), None)
        kept[key] = make()
    return kept[key]


def _kept_states(density, evidence, first, free, threads):
    of_context = evidence.codes[evidence.is_context].tobytes()
    whole = {j: np.arange(density.n_categories[j]) for j in free.tolist()}
    blank = Evidence(np.where(evidence.is_context, evidence.codes, 0), evidence.is_context, evidence.is_context, {})

    def make():
        return _states(density, blank, first, whole, threads)

    return _kept(density, ("states", len(first), of_context), make)


def _states(density, evidence, first, codes, threads):
    """All rows of some codes of the first columns in order, and their log-probabilities given the context, nats."""
    sizes = [len(each) for each in codes.values()]
    n_states = prod(sizes)
    rows = np.repeat(
        np.where(evidence.observed, evidence.codes, 0).astype(evidence.codes.dtype)[None], n_states, axis=0
    )
    for j, place in zip(codes, np.unravel_index(np.arange(n_states), sizes or (1,)), strict=False):
        rows[:, j] = codes[j][place]
    if density.order is None:
        joint = density.score(rows, threads)
    else:
        joint = density.score_first(rows, np.full(n_states, len(first)), threads)
    return rows, joint - _of_context(density, evidence, threads)


def _of_context(density, evidence, threads):
    """Log-probability of the context, nats: it comes first in every order, so that it is exact."""
    if not evidence.is_context.any():
        return 0.0
    return float(density.marginal(evidence.codes[None], evidence.is_context[None], threads)[0][0])


def _of_states(evidence, rows, joint):
    """The rows that agree with evidence, of states and their log-probabilities, nats."""
    with np.errstate(divide="ignore"):
        joint = joint + elementary.log(_agreement(evidence, rows))
    some = joint > -np.inf
    if not some.any():
        return WeightedRows(rows[:0], np.empty(0), None, -np.inf, 0.0, np.inf)
    joint = joint[some]
    return WeightedRows(rows[some], softmax(joint), None, float(logsumexp(joint)) + evidence.log_share, 0.0, np.inf)


def kept_draws(density, evidence, n_draws, seed, threads):
    """Draws of the density given the context, the same that answers are told from.

    Parameters
    ----------
    density : Density
    evidence : Evidence
        Of which the context counts.
    n_draws, seed, threads : int

    Returns
    -------
    rows : ndarray of shape (n_draws, n_columns)
    """
    return _kept_draws(density, evidence, n_draws, seed, threads)[0]


def _kept_draws(density, evidence, n_draws, seed, threads):
    """Draws of the density given the context, and what it said on the way, as `Density.sample_telling` has them."""
    codes = np.where(evidence.is_context, evidence.codes, 0).astype(evidence.codes.dtype)

    def make():
        rng = np.random.default_rng(seed)
        return density.sample_telling(codes, evidence.is_context, n_draws, rng, threads)

    return _kept(density, ("draws", n_draws, seed, codes.tobytes()), make)


def _of_draws(density, evidence, rows, enough):
    """The density's own draws that agree with evidence; None if it says of a number what no draw is."""
    numbers = np.isinf(density.n_states)
    for j in np.flatnonzero(evidence.observed & ~evidence.is_context & numbers).tolist():
        if is_density(density, j, evidence.codes[j]):
            return None
    weight = _agreement(evidence, rows, density)
    some, n_draws = np.flatnonzero(weight), len(rows)
    if len(some) == 0:
        return WeightedRows(rows[:0], np.empty(0), None, -np.inf, np.inf, 0.0)
    weight = weight[some]
    mean = float(weight.sum()) / n_draws
    variance = max(float((weight**2).sum()) / n_draws - mean**2, 0.0) / n_draws + 1 / n_draws**2
    log_mean = float(elementary.log(np.array([mean]))[0]) + evidence.log_share
    some, weight = (part[: int(MOST_ROWS * enough)] for part in (some, weight))
    share = weight / weight.sum()
    effective = 1 / float((share**2).sum())
    return WeightedRows(rows[some], share, None, log_mean, float(np.sqrt(variance)) / mean, effective)


def _agreement(evidence, rows, density=None):
    """How much of each row agrees with evidence: ndarray of shape (n_rows,), float64 from 0 to 1.

    With the ``density`` numbers may lie beside the lattice by rounding; without, they are the evidence's own.
    """
    weight = np.ones(len(rows))
    for j in np.flatnonzero(evidence.observed & ~evidence.is_context).tolist():
        x, near = evidence.codes[j], 0.0
        if density is not None and np.isinf(density.n_states[j]):
            near = density.axis(j).step / 4
        weight *= np.isnan(rows[:, j]) if np.isnan(x) else np.abs(rows[:, j] - x) <= near if near else rows[:, j] == x
    for j, told in evidence.within.items():
        if told.ndim == 1:
            weight *= told[rows[:, j].astype(np.intp)]
            continue
        near, x = density.axis(j).step / 4, rows[:, j]
        inside = np.zeros(len(rows), dtype=bool)
        for low, high in told.tolist():
            inside |= np.isnan(x) if np.isnan(low) else (x >= low - near) & (x <= high + near)
        weight *= inside
    return weight


def is_density(density, j, x):
    """Whether a number of a column has a density, and no probability."""
    axis = density.axis(j)
    return not np.isnan(x) and axis.step == 0 and x not in axis.atoms


def _from_the_start(density, evidence, last, threads):
    """What makes draws that look ahead: a function of their number and a generator, for `_led`."""
    within = [evidence.within] if evidence.within else []
    of_context = _of_context(density, evidence, threads)

    def draw(n, rng):
        told = evidence.codes[None], evidence.observed[None], n, [rng], threads, last, *within
        draws = density.draw_ahead(*told)
        return draws, draws.root[0], float(draws.log_mean[0]) - of_context, float(draws.error[0])

    return draw


def _going_on(density, evidence, j, rows, told, enough, last, seed, threads):
    """What makes draws that go on from the density's own; and how many independent ones they can be worth at most.

    Before the first column of evidence nothing has to be drawn again: they go on from draws that are chosen by how
    probable they make it. Of codes that was told when the draws were made, of numbers it is asked of some of them.

    Parameters
    ----------
    j : int
        The first column of evidence in order.
    rows : ndarray of shape (n_draws, n_columns)
        The density's own draws.
    told : dict of int to ndarray
        Distributions of columns of codes in each of these.
    enough : float
    last, seed, threads : int
    """
    at, known = int(np.flatnonzero(density.order == j)[0]), evidence.observed & ~evidence.is_context
    rest, log_scale = {i: may_be for i, may_be in evidence.within.items() if i != j}, 0.0
    if j in told:
        is_it = np.arange(density.n_categories[j]) == evidence.codes[j]
        each = told[j] * (is_it if evidence.observed[j] else evidence.within[j])
    else:
        start = rows[: int(MOST_WALKED * enough)].copy()
        start[:, known] = evidence.codes[known]
        walked = density.draw_on(start, known, at, np.random.default_rng([seed, j]), threads, at + 1, evidence.within)
        rows, log_scale = walked.codes[0], float(walked.log_weight.max())
        each = elementary.exp(walked.log_weight[0] - log_scale)[:, None] if log_scale > -np.inf else np.zeros((1, 1))
    total = each.sum(axis=1)
    mean, squares = float(total.mean()), float((total**2).mean())
    if mean == 0:
        return None, 0.0
    of_prefix = np.sqrt(max(squares / mean**2 - 1, 0.0) / len(rows))

    def draw(n, rng):
        chosen = systematic(total / total.sum(), n, rng)
        values = rows[chosen]
        values[:, known] = evidence.codes[known]
        if j in told:
            values[:, j] = divided(each[chosen], rng.random(n))[0]
        draws = density.draw_on(values, known, at + 1, rng, threads, last, rest)
        log_probability = float(elementary.log(np.array([mean]))[0] + draws.log_mean[0]) + log_scale
        return draws, chosen[draws.root[0]], log_probability, float(np.hypot(draws.error[0], of_prefix))

    return draw, len(rows) * mean**2 / squares


def _led(evidence, draw, enough, n_draws, seed):
    """Draws that are led to the evidence, as many as it takes."""
    n = min(int(FIRST * enough) + 1, n_draws)
    while True:
        draws, root, log_probability, error = draw(n, np.random.default_rng([seed, n]))
        share = shares(draws.log_weight)[0]
        squares = float((np.bincount(root, share) ** 2).sum())
        effective = 1 / squares if squares > 0 else 0.0
        if effective >= enough or n == n_draws:
            break
        n = min(int(FIRST * n * max(enough / max(effective, 1.0), 1.5)), n_draws)
    if effective == 0:
        return WeightedRows(draws.codes[0][:0], np.empty(0), None, np.nan, np.inf, 0.0)
    some = np.flatnonzero(share)
    told = draws.codes[0][some], share[some], root[some]
    return WeightedRows(*told, log_probability + evidence.log_share, error, effective)
