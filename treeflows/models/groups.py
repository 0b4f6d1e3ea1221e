"""Groups of rows: a handful of latent classes, with what tells how many there are, and told in words."""

import html
import itertools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._ext import elementary
from ..densities.stored import LEAST_PROBABILITY
from ..learning.latent import ClassLearner, LatentClasses, cells_of, resamples
from ..learning.membership import learn_effects, log_shares
from ..learning.multisets import distinct, hashes, held_out_parts, of_one_spelling
from ..learning.rows import rows_to_learn_from
from ..machine.errors import ParameterError
from ..machine.log_sums import softmax
from ..tables.contexts import encode_context, learn_context
from ..tables.domain import Domain
from ..tables.policy import TablePolicy
from .membership import LEVEL, Membership, terms_of

MOST_GROUPS = 8
PARTS = np.linspace(0, 1, 6)[1:-1]  # quantiles that numbers are cut at
WORSE = 2  # numbers of groups in turn that are worse, after which no more are tried
TOLD = 4  # columns of each group, in words
NAMED = 2  # of its name


@dataclass(frozen=True)
class GroupCriteria:
    """What tells how many groups there are, for one number of them.

    Attributes
    ----------
    n_groups : int
    log_likelihood : float
        Of all rows, nats, at its maximum.
    n_parameters : int
        How many numbers are free.
    aic, bic : float
        Information criteria, -2 log L + 2 parameters (Akaike 1974) and -2 log L + log(rows) parameters (Schwarz 1978).
        The less the better.
    held_out : float
        Log-likelihood of rows by groups that were learned without them, nats, for as many rows as there are; NaN of
        one row. The more the better.
    entropy : float
        Relative: 1 if every row is surely of its group, 0 if all are equally likely of all.
    n_best, n_followed : int
        How many runs of EM came to this likelihood, of those that were followed to the end.
    likelihood_ratio : float
        Twice what the log-likelihood is above that of one group fewer, nats; NaN unless that was tried.
    p_value : float
        Of the hypothesis that there is one group fewer: how often tables that are drawn from these have as great a
        likelihood ratio (parametric bootstrap: McLachlan 1987); NaN without ``n_simulations``.
    """

    n_groups: int
    log_likelihood: float
    n_parameters: int
    aic: float
    bic: float
    held_out: float
    entropy: float
    n_best: int
    n_followed: int
    likelihood_ratio: float
    p_value: float


@dataclass(frozen=True, eq=False)
class GroupColumns:
    """The columns of a table as groups tell them.

    Attributes
    ----------
    domain : Domain
    cuts : tuple of ndarray or None
        By column, where numbers are cut; None of categories.
    labels : tuple of tuple of str
        By column, its values; of numbers, parts between quantiles.
    """

    domain: Domain
    cuts: tuple
    labels: tuple

    @classmethod
    def learn(cls, domain, rows, weight):
        """Cut the numbers among some rows, each of a weight: GroupColumns."""
        cuts, labels = [], []
        for j, column in enumerate(domain.columns):
            found = None, column.labels
            if domain.numeric[j]:
                found = cut_numbers(rows.codes[:, j], column, weight)
            cuts.append(found[0])
            labels.append(found[1])
        return cls(domain, tuple(cuts), tuple(labels))

    @property
    def n_categories(self):
        """Number of values of each column: ndarray of shape (n_columns,), int32."""
        return np.array([len(each) for each in self.labels], dtype=np.int32)

    def codes(self, rows):
        """Which value each cell has, and which are observed.

        Parameters
        ----------
        rows : Rows

        Returns
        -------
        codes : ndarray of shape (n_rows, n_columns), uint8
            0 where a cell is not observed.
        observed : ndarray of shape (n_rows, n_columns), bool
        """
        observed = np.ones(rows.codes.shape, dtype=bool) if rows.observed is None else rows.observed.copy()
        codes = np.zeros(rows.codes.shape, dtype=np.uint8)
        for j, cuts in enumerate(self.cuts):
            x = rows.codes[:, j]
            if cuts is not None:
                missing = np.isnan(x)
                x = np.where(missing, len(cuts) + 1, np.searchsorted(cuts, x, side="right"))
                observed[:, j] &= ~missing | (len(self.labels[j]) > len(cuts) + 1)
            codes[:, j] = np.where(observed[:, j], x, 0)
        return codes, observed


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of the rows of a table: within one, columns are independent (latent class analysis).

    Attributes
    ----------
    group : ndarray of shape (n_rows,), int64
        The most probable group of each row, the largest 0.
    probability : ndarray of shape (n_rows, n_groups), float64
        Of each row's being in each group.
    weight : ndarray of shape (n_groups,), float64
        Share of the rows in each.
    profiles : dict of str to ndarray of shape (n_groups, n_values), float64
        By column, its distribution in each group.
    labels : dict of str to tuple of str
        By column, its values, in that order; of numbers parts between quantiles.
    overall : dict of str to ndarray of shape (n_values,), float64
        By column, its distribution in all rows.
    criteria : list of GroupCriteria
        For each number of groups that was tried; ``pandas.DataFrame(groups.criteria)`` is a table of them.
    resampled_weight : ndarray of shape (n_bootstrap, n_groups), float64
        The shares in groups that were learned anew from rows drawn with replacement. Standard errors are
        ``resampled_weight.std(axis=0)``.
    resampled_profiles : dict of str to ndarray of shape (n_bootstrap, n_groups, n_values), float64
        And the distributions of each column.
    membership : Membership or None
        What the context of the rows tells of their groups, where there was one.
    index : Index or None
        Of the rows, where the table was a pandas DataFrame.
    model : estimator
        The model that was asked, which reads tables.
    columns : GroupColumns
        What it reads, as groups tell it.
    classes : LatentClasses
        The groups as a density over that.
    """

    group: np.ndarray
    probability: np.ndarray
    weight: np.ndarray
    profiles: dict
    labels: dict
    overall: dict
    criteria: list
    resampled_weight: np.ndarray
    resampled_profiles: dict
    membership: Membership | None
    index: Any
    model: Any
    columns: GroupColumns
    classes: LatentClasses

    @property
    def means_nothing(self):
        """Whether one group tells the table as well as these, so that they should not be read as groups: bool."""
        n = len(self.weight)
        return n == 1 or self.criteria[0].bic <= next(each.bic for each in self.criteria if each.n_groups == n)

    @property
    def names(self):
        """What to call each group, by the two values that most tell it: tuple of str."""
        told = [self.telling(i, NAMED) for i in range(len(self.weight))]
        return tuple(", ".join(f"{name} = {value}" for name, value, *_ in each) for each in told)

    def predict_proba(self, X, context=None):
        """Probability of each group given rows, or those of their cells that are there.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Of the columns that the model was fitted to; some may lack.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            What else is known, of groups that were found with one; None for nothing.

        Returns
        -------
        probability : ndarray of shape (n_rows, n_groups), float64
        """
        codes, observed = self.columns.codes(self.model.read_cells(X))
        cells = cells_of(codes, observed, self.columns.n_categories)
        if context is None:
            return self.classes.posterior(cells)
        if self.membership is None:
            raise TypeError("there must be no context: these groups were found without one")
        return softmax(self.membership.log_shares(context, len(cells)) + self.classes.log_likelihood(cells))

    def predict(self, X, context=None):
        """The most probable group of rows.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            As `predict_proba` takes it.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            As `predict_proba` takes it.

        Returns
        -------
        group : ndarray of shape (n_rows,), int64
        """
        return self.predict_proba(X, context).argmax(axis=1)

    def weight_interval(self, level=LEVEL):
        """Where the shares of the groups lie: percentile intervals of the bootstrap (Efron 1979).

        Parameters
        ----------
        level : float, default=0.95
            How probably.

        Returns
        -------
        interval : ndarray of shape (2, n_groups), float64
            NaN without ``n_bootstrap``.
        """
        return _interval(self.resampled_weight, level)

    def profile_interval(self, column, level=LEVEL):
        """Where the distribution of a column in each group lies.

        Parameters
        ----------
        column : str
        level : float, default=0.95
            How probably.

        Returns
        -------
        interval : ndarray of shape (2, n_groups, n_values), float64
            NaN without ``n_bootstrap``.
        """
        return _interval(self.resampled_profiles[column], level)

    def telling(self, group, n_columns=TOLD):
        """What most tells a group from the whole table.

        Parameters
        ----------
        group : int
        n_columns : int, default=4

        Returns
        -------
        told : list of (str, str, float, float)
            Column, value, its probability in the group and in all rows, the most telling column first: the one whose
            distribution in the group is furthest from that in all rows (Kullback-Leibler).
        """
        found = []
        for name, profile in self.profiles.items():
            own, all_rows = profile[group], self.overall[name]
            gain = own * (_log(own) - _log(all_rows))
            value = int(gain.argmax())
            found.append((float(gain.sum()), name, value))
        found.sort(key=lambda each: -each[0])
        return [
            (name, self.labels[name][value], float(self.profiles[name][group, value]), float(self.overall[name][value]))
            for _, name, value in found[:n_columns]
        ]

    def to_series(self):
        """The group of each row, with the labels of the rows.

        Returns
        -------
        group : pandas.Series of shape (n_rows,), int64
        """
        import pandas as pd

        return pd.Series(self.group, self.index, name="group")

    def to_frame(self, level=LEVEL):
        """Profiles of the groups as a table.

        Parameters
        ----------
        level : float, default=0.95
            Of intervals.

        Returns
        -------
        table : pandas.DataFrame
            A row for each column and value; a column for each group, with ``n_bootstrap`` beside it the ends of its
            interval, and one for all rows.
        """
        import pandas as pd

        told = {}
        for i in range(len(self.weight)):
            told[f"group {i}"] = np.concatenate([profile[i] for profile in self.profiles.values()])
            if len(self.resampled_weight):
                ends = np.concatenate([self.profile_interval(name, level)[:, i] for name in self.profiles], axis=1)
                told[f"group {i} low"], told[f"group {i} high"] = ends
        told["all rows"] = np.concatenate(list(self.overall.values()))
        rows = [(name, label) for name, labels in self.labels.items() for label in labels]
        return pd.DataFrame(told, pd.MultiIndex.from_tuples(rows, names=["column", "value"]))

    def to_text(self):
        """The groups in words.

        Returns
        -------
        text : str
        """
        n = len(self.weight)
        lines = ["no groups: one group tells these rows as well as several" if self.means_nothing else f"{n} groups"]
        tested = not all(math.isnan(each.p_value) for each in self.criteria)
        head = "groups  log-likelihood  parameters         AIC         BIC    held out  entropy"
        lines.append(head + "  p of one fewer" * tested)
        for each in self.criteria:
            line = f"{each.n_groups:>6}{each.log_likelihood:>16.1f}{each.n_parameters:>12}{each.aic:>12.1f}"
            line += f"{each.bic:>12.1f}{each.held_out:>12.1f}{each.entropy:>9.3f}"
            lines.append(line + ("" if math.isnan(each.p_value) else f"{each.p_value:>16.3f}"))
        low, high = self.weight_interval()
        for i, weight in enumerate(self.weight) if n > 1 else ():
            interval = f" ({low[i]:.1%} to {high[i]:.1%})" if len(self.resampled_weight) else ""
            lines.append(f"group {i}, {weight:.1%} of the rows{interval}")
            lines.extend(
                f"  {name} = {value}: {own:.0%}, of all rows {every:.0%}" for name, value, own, every in self.telling(i)
            )
        if self.membership is not None and n > 1:
            lines.append(self.membership.to_text())
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        return f"<pre>{html.escape(self.to_text())}</pre>"


def learn_groups(
    model, rows, weight, n_groups, *, n_starts, n_bootstrap, n_simulations, rng, threads, context=None, index=None
):
    """Groups of rows.

    Parameters
    ----------
    model : estimator
        A fitted model, which has the domain of the rows.
    rows : Rows
    weight : ndarray of shape (n_rows,), float64, or None
    n_groups : list of int, or None
        Numbers of groups, of which the criterion chooses; None for all from one on, until the criterion is worse.
    n_starts, n_bootstrap, n_simulations : int
    rng : Generator
    threads : int
    context : Table, default=None
        What else is known of the rows.
    index : Index, default=None

    Returns
    -------
    groups : Groups
    """
    domain = model.domain_
    columns = GroupColumns.learn(domain, rows, weight)
    k, (codes, observed) = columns.n_categories, columns.codes(rows)
    table, n = np.hstack([codes, observed.view(np.uint8)]), 2 * len(k)
    if context is not None:
        known = learn_context(context, weight, TablePolicy.of(model))
        given = of_one_spelling(encode_context(known, context, threads).astype(np.float64))
        table = np.hstack([table, given.view(np.uint8)])
    # rows with their context are what the bootstrap draws, and those that differ without it what classes are made of
    table, times = distinct(*rows_to_learn_from(table, None, weight, k, rng, threads))
    whole = np.ascontiguousarray(table[:, :n])
    differing, counted = distinct(whole, times)
    which = np.searchsorted(hashes(differing), hashes(whole))
    cells = cells_of(differing[:, : len(k)], differing[:, len(k) :] == 1, k)
    learner, seed = ClassLearner(cells, counted, k, n_starts, threads), int(rng.integers(2**62))
    found = _each_number(learner, n_groups, n_simulations, rng, seed)
    _, best = min((each.bic, n) for n, (each, _) in found.items() if n_groups is None or n in n_groups)
    classes = found[best][1]
    if context is not None:
        terms, design = terms_of(known, table[:, n:].copy().view(np.float64))
        effects, score = learn_effects(design, classes.log_likelihood(cells)[which], times.astype(np.float64))
    shares, probs, drawn_effects = [], [], []
    for drawn in resamples(times, n_bootstrap, np.random.default_rng((seed, 0))):
        of_cells = np.array([np.bincount(which, one, len(cells)) for one in drawn])
        for again, times_drawn in zip(learner.relearned(classes, of_cells), drawn, strict=True):
            shares.append(again.weight)
            probs.append(again.prob)
            if context is not None:
                told = again.log_likelihood(cells)[which]
                drawn_effects.append(learn_effects(design, told, times_drawn, effects)[0])
    cells, membership = cells_of(codes, observed, k), None
    probability = classes.posterior(cells)
    if context is not None:
        resampled = np.array(drawn_effects).reshape(n_bootstrap, *effects.shape)
        membership = Membership(terms, effects, resampled, score, known)
        shares_given = log_shares(terms_of(known, given)[1], effects)
        probability = softmax(shares_given + classes.log_likelihood(cells))
    by_column = itertools.pairwise(learner.first_category.tolist())
    of = {name: slice(*ends) for name, ends in zip(domain.column_names, by_column, strict=True)}
    profiles = {name: np.ascontiguousarray(classes.prob[part].T) for name, part in of.items()}
    resampled_prob = np.array(probs).reshape(n_bootstrap, *classes.prob.shape).transpose(0, 2, 1)
    return Groups(
        group=probability.argmax(axis=1),
        probability=probability,
        weight=classes.weight,
        profiles=profiles,
        labels=dict(zip(domain.column_names, map(tuple, columns.labels), strict=True)),
        overall={name: (classes.weight[:, None] * profile).sum(axis=0) for name, profile in profiles.items()},
        criteria=[each for each, _ in found.values()],
        resampled_weight=np.array(shares).reshape(n_bootstrap, best),
        resampled_profiles={name: np.ascontiguousarray(resampled_prob[:, :, part]) for name, part in of.items()},
        membership=membership,
        index=index,
        model=model,
        columns=columns,
        classes=classes,
    )


def _each_number(learner, n_groups, n_simulations, rng, seed):
    """Criteria and classes by number of groups: dict of int to (GroupCriteria, LatentClasses)."""
    numbers = _numbers(n_groups, len(learner.cells), learner.n_categories)
    if n_simulations:
        numbers = [*numbers, *(n - 1 for n in numbers if n > 1)]
    row = rng.permutation(np.repeat(np.arange(len(learner.cells)), learner.weight))
    parts = held_out_parts(learner.n_rows, len(learner.n_categories))
    found: dict = {}
    worse = 0
    for n in sorted({1, *numbers}):
        # by a stream of its own, whatever other numbers are tried
        drawn = np.random.default_rng((seed, n))
        told, others = learner.held_out(n, row, parts, drawn) if parts else (math.nan, [])
        classes, score, n_best, n_followed = learner.learn(n, drawn, others)
        penalty, entropy = classes.n_parameters, _entropy(classes.posterior(learner.cells), learner.weight)
        bic = penalty * math.log(learner.n_rows) - 2 * score
        aic = 2 * penalty - 2 * score
        ratio = p_value = math.nan
        if n - 1 in found:
            ratio = 2 * (score - found[n - 1][0].log_likelihood)
            if n_simulations:
                drawn = np.random.default_rng((seed, n, 1))
                by_chance = learner.ratios(found[n - 1][1], n_simulations, drawn)
                p_value = (1 + int(np.count_nonzero(by_chance >= ratio))) / (1 + n_simulations)
        told *= learner.n_rows
        of = n, score, penalty, aic, bic, told, entropy, n_best, n_followed, ratio, p_value
        criteria = GroupCriteria(*of)
        worse = 0 if not found or bic < min(each.bic for each, _ in found.values()) else worse + 1
        found[n] = criteria, classes
        if n_groups is None and worse == WORSE:
            break
    return found


def _numbers(n_groups, n_distinct, k):
    """The numbers of groups to choose among, of rows of which so many differ: list of int."""
    # no more numbers than probabilities that they tell (Goodman 1974)
    free = math.prod(k.tolist()) - 1
    identified = [n for n in range(1, n_distinct + 1) if n == 1 or n - 1 + n * int((k - 1).sum()) <= free]
    if n_groups is None:
        return [n for n in identified if n <= MOST_GROUPS]
    most = max(n_groups)
    if most > n_distinct:
        told = f"n_groups is {most}, and only {n_distinct:,} of the rows differ: there are at most so many groups"
        raise ParameterError(told, parameter="n_groups", value=most)
    loose = [n for n in n_groups if n not in identified]
    if loose:
        told = f"n_groups is {', '.join(map(str, loose))}: other groups are as likely, since these have more parameters"
        warnings.warn(f"{told} than the columns have combinations of values", UserWarning, stacklevel=5)
    return n_groups


def _entropy(posterior, times):
    """Relative entropy of posteriors of rows, each of which is there so many times."""
    n = posterior.shape[1]
    if n == 1:
        return 1.0
    unsure = -(posterior * _log(posterior)).sum(axis=1)
    return float(1 - (times * unsure).sum() / (times.sum() * math.log(n)))


def _log(probability):
    """Logarithm, of zero one that is finite, so that zero times it is zero."""
    return elementary.log(np.maximum(probability, LEAST_PROBABILITY))


def _interval(resampled, level):
    if len(resampled) == 0:
        return np.full((2, *resampled.shape[1:]), np.nan)
    return np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)


def cut_numbers(x, column, weight=None):
    """Cut numbers into parts between quantiles.

    Parameters
    ----------
    x : ndarray of shape (n_rows,), float64
        NaN where missing or not observed.
    column : Quantity
    weight : ndarray of shape (n_rows,), float64, default=None
        Rows that each row stands for; None for one each.

    Returns
    -------
    cuts : ndarray of shape (n_parts - 1,), float64
        The least number of each part but the first.
    labels : tuple of str
        What the parts are called, and what is missing, where that is a value of its own.
    """
    there = ~np.isnan(x) if weight is None else ~np.isnan(x) & (weight > 0)
    known = x[there] if there.any() else np.array([column.low, column.high])
    weights = None if weight is None or not there.any() else weight[there]
    cuts = np.unique(np.quantile(known, PARTS, method="inverted_cdf", weights=weights))
    cuts = cuts[cuts > known.min()]
    part = np.searchsorted(cuts, known, side="right")
    low = [known[part == i].min() for i in range(len(cuts) + 1)]
    high = [known[part == i].max() for i in range(len(cuts) + 1)]
    shown = column.cells(np.array([low, high]).ravel())[0].reshape(2, -1).T.tolist()
    labels = tuple(str(a) if a == b else f"{a} to {b}" for a, b in shown)
    return cuts, (*labels, "(missing)") if column.missing else labels
