"""Groups of rows: a handful of latent classes, chosen by the Bayesian information criterion, and told in words."""

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._ext import elementary
from ..learning.em import Learner

MOST_GROUPS = 8
STARTS = 3  # of EM, from different rows; the likeliest is kept
PARTS = np.linspace(0, 1, 6)[1:-1]  # quantiles that numbers are cut at
WORSE = 2  # numbers of groups in turn that are worse, after which no more are tried
TOLD = 4  # columns of each group, in words


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
    criterion : dict of int to float
        Bayesian information criterion by number of groups, in nats per row: minus the mean log-likelihood, plus what
        the parameters cost. The less the better.
    index : Index or None
        Of the rows, where the table was a pandas DataFrame.
    """

    group: np.ndarray
    probability: np.ndarray
    weight: np.ndarray
    profiles: dict
    labels: dict
    overall: dict
    criterion: dict
    index: Any = None

    @property
    def means_nothing(self):
        """Whether one group tells the table as well as these, so that they should not be read as groups: bool."""
        n = len(self.weight)
        return n == 1 or self.criterion.get(1, np.inf) <= self.criterion[n]

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
            gain = own * (elementary.log(own) - elementary.log(all_rows))
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

    def to_frame(self):
        """Profiles of the groups as a table.

        Returns
        -------
        table : pandas.DataFrame
            A row for each column and value, and a column for each group and for all rows.
        """
        import pandas as pd

        rows = [(name, label) for name, labels in self.labels.items() for label in labels]
        index = pd.MultiIndex.from_tuples(rows, names=["column", "value"])
        told = np.column_stack(
            [np.concatenate(list(self.profiles.values()), axis=1).T, np.concatenate(list(self.overall.values()))]
        )
        return pd.DataFrame(told, index, [*(f"group {i}" for i in range(len(self.weight))), "all rows"])

    def to_text(self):
        """The groups in words.

        Returns
        -------
        text : str
        """
        if self.means_nothing:
            lines = ["no groups: one group tells these rows as well as several"]
        else:
            lines = [f"{len(self.weight)} groups"]
        for i, weight in enumerate(self.weight) if len(self.weight) > 1 else ():
            lines.append(f"group {i}, {weight:.1%} of the rows")
            lines.extend(
                f"  {name} = {value}: {own:.0%}, of all rows {every:.0%}" for name, value, own, every in self.telling(i)
            )
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        return f"<pre>{html.escape(self.to_text())}</pre>"


def groups_of(codes, labels, names, n_groups, most, rng, threads, index=None):
    """Groups of rows of codes.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    labels : sequence of tuple of str
        Of the codes of each column.
    names : sequence of str
    n_groups : int or None
        None for as many as the criterion likes best, ``most`` at most.
    most : int
    rng : Generator
    threads : int
    index : Index, default=None

    Returns
    -------
    groups : Groups
    """
    k = np.array([len(each) for each in labels], dtype=np.int32)
    learner, order = Learner(codes, k, threads), np.arange(len(k), dtype=np.int32)
    cost = elementary.log(np.array([float(len(codes))]))[0] / (2 * len(codes))
    best: Any = None
    criterion: dict = {}
    worse = 0
    for n in range(1, most + 1) if n_groups is None else sorted({1, n_groups}):
        found = []
        for _ in range(STARTS if n > 1 else 1):
            mixture = learner.improve(learner.start(n, rng))
            score = elementary.log(mixture.conditionals(codes, order, threads)).sum(axis=1).mean()
            found.append((float(score), mixture))
        score, mixture = max(found, key=lambda each: each[0])
        criterion[n] = float(cost * (n - 1 + n * (k - 1).sum()) - score)
        if n == n_groups or (n_groups is None and criterion[n] == min(criterion.values())):
            best, worse = mixture.by_weight(), 0
        else:
            worse += 1
        if worse == WORSE:
            break
    first, probability = best.first_category, best.posterior(codes, None)
    profiles, overall = {}, {}
    for j, name in enumerate(names):
        profiles[name] = np.ascontiguousarray(best.prob[first[j] : first[j + 1]].T)
        overall[name] = best.weight @ profiles[name]
    told = dict(zip(names, map(tuple, labels), strict=True))
    of = probability.argmax(axis=1), probability, best.weight, profiles, told, overall
    return Groups(*of, criterion, index)


def cut_numbers(x, column):
    """Parts between quantiles that numbers lie in, and what these are called.

    Parameters
    ----------
    x : ndarray of shape (n_rows,), float64
        NaN where missing.
    column : Quantity

    Returns
    -------
    codes : ndarray of shape (n_rows,), uint8
    labels : tuple of str
    """
    there = ~np.isnan(x)
    cuts = np.unique(np.quantile(x[there], PARTS, method="higher"))
    cuts = cuts[cuts > x[there].min()]
    part = np.searchsorted(cuts, x, side="right")
    low = [x[there & (part == i)].min() for i in range(len(cuts) + 1)]
    high = [x[there & (part == i)].max() for i in range(len(cuts) + 1)]
    shown = column.cells(np.array([low, high]).ravel())[0].reshape(2, -1).T.tolist()
    labels = [str(a) if a == b else f"{a} to {b}" for a, b in shown]
    if not there.all():
        part, labels = np.where(there, part, len(labels)), [*labels, "(missing)"]
    return part.astype(np.uint8), tuple(labels)
