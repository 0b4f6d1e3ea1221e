"""Which group a row is in, by what else is known of it: odds, with intervals, and probabilities."""

import html
from dataclasses import dataclass

import numpy as np

from .._ext import elementary
from ..learning.membership import log_shares
from ..tables.contexts import encode_context, read_context
from ..tables.domain import Domain
from ..tables.quantities import Quantity

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Membership:
    """What the context of rows tells of their groups: a multinomial logistic regression.

    Attributes
    ----------
    terms : tuple of str
        What it adds up: "(intercept)", numbers by their columns' names, and of categories each but the first, as 1
        where it is there; what is missing is a category.
    effects : ndarray of shape (n_groups, n_terms), float64
        Log-odds of each group against group 0, by one more of a term.
    resampled_effects : ndarray of shape (n_bootstrap, n_groups, n_terms), float64
        Those of groups that were learned anew from rows drawn with replacement. Standard errors are
        ``resampled_effects.std(axis=0)``.
    log_likelihood : float
        Of all rows given their context, nats.
    domain : Domain
        Of the context.
    """

    terms: tuple
    effects: np.ndarray
    resampled_effects: np.ndarray
    log_likelihood: float
    domain: Domain

    def predict_proba(self, context):
        """Probability of each group given a context alone.

        Parameters
        ----------
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe

        Returns
        -------
        probability : ndarray of shape (n_rows, n_groups), float64
        """
        return elementary.exp(self.log_shares(context))

    def log_shares(self, context, n_rows=None):
        """Logarithms of these probabilities.

        Parameters
        ----------
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
        n_rows : int, default=None
            That it must have; None for any.

        Returns
        -------
        log_probability : ndarray of shape (n_rows, n_groups), float64
        """
        codes = encode_context(self.domain, read_context(context, n_rows))
        return log_shares(terms_of(self.domain, codes)[1], self.effects)

    def to_frame(self, level=LEVEL):
        """The effects as a table.

        Parameters
        ----------
        level : float, default=0.95
            Of intervals.

        Returns
        -------
        table : pandas.DataFrame
            A row for each group but the first and each term; the effect, and with ``n_bootstrap`` its standard error
            and the ends of its percentile interval.
        """
        import pandas as pd

        groups = [f"group {i}" for i in range(1, len(self.effects))]
        told = {"effect": self.effects[1:].ravel()}
        if len(self.resampled_effects):
            drawn = self.resampled_effects[:, 1:].reshape(len(self.resampled_effects), -1)
            low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
            told |= {"error": drawn.std(axis=0), "low": low, "high": high}
        return pd.DataFrame(told, pd.MultiIndex.from_product([groups, self.terms], names=["group", "term"]))

    def to_text(self):
        """The effects in words.

        Returns
        -------
        text : str
        """
        lines = ["log-odds against group 0"]
        for i, effects in enumerate(self.effects[1:], start=1):
            lines.append(f"group {i}")
            for t, (term, effect) in enumerate(zip(self.terms, effects, strict=True)):
                drawn = self.resampled_effects[:, i, t]
                lines.append(f"  {term}: {effect:.3f}" + (f" ± {drawn.std():.3f}" if len(drawn) else ""))
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        return f"<pre>{html.escape(self.to_text())}</pre>"


def terms_of(domain, codes):
    """What a regression on a context adds up.

    Parameters
    ----------
    domain : Domain
        Of the context.
    codes : ndarray of shape (n_rows, n_context)

    Returns
    -------
    terms : tuple of str
    design : ndarray of shape (n_rows, n_terms), float64
    """
    terms, design = ["(intercept)"], [np.ones(len(codes))]
    for name, column, told in zip(domain.column_names, domain.columns, codes.T, strict=True):
        numbers = _numbers(column, told)
        if numbers is None:
            terms += [f"{name} = {label}" for label in column.labels[1:]]
            design += [(told == code).astype(np.float64) for code in range(1, len(column.labels))]
            continue
        missing = np.isnan(numbers)
        terms.append(name)
        design.append(np.where(missing, 0.0, numbers))
        if column.missing:
            terms.append(f"{name} = (missing)")
            design.append(missing.astype(np.float64))
    return tuple(terms), np.column_stack(design)


def _numbers(column, codes):
    """Numbers of a column, NaN where missing; None if it holds none. A few that are told by codes are numbers, too."""
    if isinstance(column, Quantity):
        return codes
    if column.values.dtype.kind in "iuf" and column.n_ordered == len(column.values) == column.n_named:
        return np.append(column.values.astype(np.float64), np.nan)[codes.astype(np.int64)]
    return None
