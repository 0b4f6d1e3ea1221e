"""Fitted models of tables, and what they are asked: likelihoods, samples, conditionals, missing cells, anomalies."""

import html
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Number, Real
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from .._ext import elementary
from ..densities.conditional_tree import ConditionalTree
from ..densities.density import Density
from ..densities.stored import LEAST_PROBABILITY
from ..inference.cells import LEAST_SHARE, conditional_cells, conditional_values, joint_with
from ..inference.completion import complete, complete_numbers, draw_numbers
from ..inference.marginals import DRAWS, log_joint
from ..learning.rows import check_weight
from ..machine.draws import generator
from ..machine.errors import ParameterError, TableError, check_number
from ..machine.log_sums import softmax
from ..machine.threads import n_threads
from ..tables.contexts import encode_context, read_context, with_context
from ..tables.domain import UNSEEN, Domain, listing
from ..tables.given import read_given
from ..tables.matching import read_matched
from ..tables.packed import as_packed
from ..tables.policy import TablePolicy
from ..tables.writing import write_blocks
from .constraints import wanted
from .groups import learn_groups
from .query import Query

SWEEPS = 20  # of Gibbs sampling
MOST_DEPTH = 4  # to which a tree is told
MOST_STATES = 256  # that groups are looked for in
N_STARTS = 50  # of EM, for groups
BLOCK_CELLS = 4_000_000  # of rows that are read or written in blocks


class MonteCarloWarning(UserWarning):
    """What was asked is estimated by random draws, or drawn approximately; the message says how well."""


class TableModel(DensityMixin, BaseEstimator):
    """A fitted model of a table: the domain of its columns, and a density over their codes, asked by table.

    Attributes
    ----------
    domain_ : Domain
        Columns, categories, and the way from values to codes and back.
    distribution_ : Density
        What was learned, over codes.
    context_ : Domain or None
        Of the columns that rows are conditioned on.
    """

    domain_: Domain
    distribution_: Density
    context_: Domain | None = None

    def take(self, domain, distribution, context=None):
        """Become the fitted model of a domain and of a density over its codes.

        Parameters
        ----------
        domain : Domain
        distribution : Density
            Of the columns of the domain, and after them those of the context, which come first in its order.
        context : Domain, default=None
            Of what rows are conditioned on.

        Returns
        -------
        self : object
        """
        self.domain_, self.distribution_, self.context_ = domain, distribution, context
        self.n_features_in_ = len(domain.columns)
        if domain.names is not None and all(isinstance(name, str) for name in domain.names):
            self.feature_names_in_ = np.array(domain.names, dtype=object)
        return self

    @property
    def categories_(self):
        """Categories of each column, in the order of their codes: list of ndarray; None for numbers."""
        return [None if n else c.categories for n, c in zip(self.domain_.numeric, self.domain_.columns, strict=True)]

    @property
    def all_names(self):
        """Names of the columns, and after them of those of the context, to print: tuple of str."""
        return self.domain_.column_names + (() if self.context_ is None else self.context_.column_names)

    @property
    def all_columns(self):
        """These columns: tuple of Column or Quantity."""
        return self.domain_.columns + (() if self.context_ is None else self.context_.columns)

    @property
    def all_labels(self):
        """Categories of these, to print: tuple of tuples of str."""
        return self.domain_.labels + (() if self.context_ is None else self.context_.labels)

    def own_columns(self, order):
        """Those of some columns that are not of the context.

        Parameters
        ----------
        order : ndarray of int
            Numbers of columns.

        Returns
        -------
        order : ndarray of int
        """
        return order[order < len(self.domain_.columns)]

    def given_codes(self, context, n_rows):
        """What a context says in terms of its domain.

        Parameters
        ----------
        context : array-like of shape (n_rows,) or (n_rows, n_context), or None
        n_rows : int
            That it must have.

        Returns
        -------
        codes : ndarray of shape (n_rows, n_context), or None
            None of a model without a context.

        Raises
        ------
        TypeError
            If a model that was fitted to a context is given none, or the other way round.
        ValueError
            For other columns, values that fit did not see, or another number of rows.
        """
        if (context is None) != (self.context_ is None):
            names = "none" if self.context_ is None else listing(self.context_.column_names)
            told = "context must be given" if context is None else "there must be no context"
            raise TypeError(f"{told}: this {type(self).__name__} was fitted to {names}")
        if context is None:
            return None
        return encode_context(self.context_, read_context(context, n_rows), n_threads(self.n_jobs))

    def conditioned(self, rows, codes):
        """Rows together with the codes of their context, without the log-probability of that.

        Parameters
        ----------
        rows : Rows
        codes : ndarray of shape (n_rows, n_context), or None
            As `given_codes` has them.

        Returns
        -------
        rows : Rows
            As the distribution takes them.
        """
        if codes is None:
            return rows
        # many rows have the same context
        distinct, which = np.unique(codes, axis=0, return_inverse=True)
        whole = np.zeros((len(distinct), len(self.domain_.columns)), dtype=codes.dtype)
        seen = np.repeat([[False, True]], [whole.shape[1], codes.shape[1]], axis=1).repeat(len(distinct), axis=0)
        of_context, _ = self.distribution_.marginal(np.hstack([whole, distinct]), seen, n_threads(self.n_jobs))
        told = with_context(rows, codes)
        return replace(told, log_share=told.log_share - of_context[which.ravel()])

    def refuse_numbers(self, what, column=None):
        """Raise TableError for what is asked of a column of numbers, or of a table that has any, and is not there yet.

        Parameters
        ----------
        what : str
            What was asked, to print.
        column : int, default=None
            Its number; None for any.
        """
        numeric = np.flatnonzero(self.domain_.numeric)
        if len(numeric) if column is None else column in numeric:
            j = int(numeric[0]) if column is None else column
            told = f"{what} is not for numbers yet, and column {self.domain_.column_names[j]!r} holds numbers"
            raise TableError(f"{told}: bin them", column=self.domain_.column_names[j])

    def summary(self, *, column=None, layer=None, max_depth=MOST_DEPTH, full=False):
        """What the model has learned.

        Parameters
        ----------
        column : str or int, default=None
            Column to tell alone, by its tree, of a model that has one for each.
        layer : int, default=None
            Layer to tell, from 1, of a discrete tree flow; None is the first.
        max_depth : int or None, default=4
            How deep to tell the tree; None is all of it.
        full : bool, default=False
            True tells every split of the column's tree that was tried, False those that are believed, as `tree` does.

        Returns
        -------
        figures : dict
            For programs; plain values.
        text : str
            To read.

        Raises
        ------
        ValueError
            For a column or layer that is not there, or that this kind of model does not have.
        """
        check_is_fitted(self)
        domain, kind = self.domain_, type(self).__name__
        figures, text = self._summary(column, layer, max_depth)
        if column is not None:
            return {"kind": kind} | figures, self.tree(column, full=full).to_text(max_depth)
        columns = dict(zip(domain.column_names, domain.labels, strict=True))
        lines = [f"{kind}: {self.n_features_in_} columns\n\ncolumn: categories"]
        for name, labels in columns.items():
            lines.append(f"  {name}: {', '.join(labels[:8])}{f', … ({len(labels)})' if len(labels) > 8 else ''}")
        return {"kind": kind, "columns": columns} | figures, "\n".join([*lines, "", text])

    def _summary(self, column, layer, max_depth):
        """Figures and text of what this kind of model alone tells, which refuses a ``column`` if none has a tree."""
        raise NotImplementedError

    def tree(self, column=None, layer=None, *, full=False):
        """One of the trees that the model has learned.

        Of a column's tree, the splits that are believed: those that are more probable than not, given the training
        rows. `ConditionalTree.believed` says how the others are left out, and takes another threshold.

        Parameters
        ----------
        column : str or int, default=None
            Name or number of the column whose tree it is; of a `TreeFlowMixture` that in the first of its ``flows_``.
            It may ask about numbers, but is a column of categories: each digit of a number has a tree of its own.
        layer : int, default=None
            Of a `DiscreteTreeFlow`, the layer, from 1.
        full : bool, default=False
            True gives a column's tree with every split that was tried, whose leaves the likelihoods are made of.

        Returns
        -------
        tree : ConditionalTree or TreePermutation

        Raises
        ------
        ValueError
            For a column or layer that is not there, or not given.
        TypeError
            For a model without trees of its own.
        """
        check_is_fitted(self)
        tree = self._tree(column, layer)
        return tree.believed() if isinstance(tree, ConditionalTree) and not full else tree

    def _tree(self, column, layer):
        raise TypeError(f"a {type(self).__name__} has no trees of its own to draw; take one of its members")

    def likelihood_curves(self, X=None):
        """Negative log-likelihood against the number of layers, hidden states or members.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), default=None
            Rows to make a curve of, as "rows given": best those that the model has not seen. An ensemble needs them.

        Returns
        -------
        curves : dict of str to (ndarray of shape (n_points,), ndarray of shape (n_points,))
            For each set of rows, by what it is called: how many, and the negative log-likelihood with so many, nats per
            row.
        counted : str
            What is counted.
        kept : int
            How many the model has.

        Raises
        ------
        TypeError
            For a model that is made of none of these, or an ensemble without ``X``.
        """
        check_is_fitted(self)
        return self._likelihood_curves(X)

    def _likelihood_curves(self, X):
        raise TypeError(f"a {type(self).__name__} has no layers, hidden states or members to draw a curve of")

    def _refuse(self, **given):
        """Raise for what was asked of a model that has no such thing."""
        for name, value in given.items():
            if value is not None:
                told = f"{name} is not for a model of the kind {type(self).__name__}"
                raise ParameterError(told, parameter=name, value=value)

    def score_samples(self, X, context=None, *, unseen="error"):
        """Exact log-likelihood of each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), PackedTable or path of one
            A packed table is read in blocks of rows. The columns of a dataframe are matched by their names, and further
            ones left out. Some may lack under ``missing="marginalize"``.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.
        unseen : "error", "ignore" or "impossible", default="error"
            What becomes of a value that fit did not see, where no code was reserved for these (``handle_unknown``):
            refused, with the numbers of such values by column; taken for unknown, so that the likelihood is that of the
            other cells; or what cannot be, so that the row's is minus infinity. Not of packed tables.

        Returns
        -------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats. Under ``missing="marginalize"`` that of the observed cells: exact if those that are missing come last
            in the order of the columns or have at most 1,024 joint states, else an estimate from weighted draws; a
            MonteCarloWarning says its standard error. NaN where hardly any draw counts: there is no estimate. Minus
            infinity of a row that cannot be, since a number lies beyond its column's bound, as an age below 0.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        check_is_fitted(self)
        packed = as_packed(X)
        if packed is not None and unseen != UNSEEN[0]:
            raise ParameterError("unseen is for tables in memory", parameter="unseen", value=unseen)
        blocks = [self.read(X, context, unseen=unseen)] if packed is None else self.read_blocks(packed)
        return np.concatenate(list(self.scores_of(blocks)))

    def scores_of(self, blocks):
        """Exact log-likelihoods of rows that come in blocks, as `score_samples` has them.

        Parameters
        ----------
        blocks : iterable of Rows
            As `read` returns them.

        Yields
        ------
        log_likelihood : ndarray of shape (n_rows_of_block,), float64
            Nats.
        """
        errors, threads = [], n_threads(self.n_jobs)
        for rows in blocks:
            scores, error = log_likelihood(self.distribution_, rows, threads)
            errors.append(error[error != 0])
            yield scores
        warn_of_estimates(np.concatenate(errors), self.distribution_.n_draws[0])

    def read_blocks(self, packed):
        """What a packed table says in terms of the domain, block by block.

        Parameters
        ----------
        packed : PackedTable

        Yields
        ------
        rows : Rows
            As `read` returns them.

        Raises
        ------
        ValueError
            If it has other columns, or a value outside the fitted domain; the message names column and value.
        """
        domain = self.domain_
        if self.context_ is not None:
            raise TypeError("a packed table has no context, which this model was fitted to")
        names = packed.column_names if domain.names is not None else domain.column_names
        if names != domain.column_names or packed.n_columns != len(domain.columns):
            told = f"{packed.folder} has the columns {listing(packed.column_names, 20)}, and the model has "
            raise TableError(told + listing(domain.column_names, 20))
        step = max(1, BLOCK_CELLS // packed.n_columns)
        for start in range(0, packed.n_rows, step):
            stop = min(start + step, packed.n_rows)
            yield packed.rows(domain, start, stop, missing=self.missing, infer=False)

    def score(self, X, y=None, sample_weight=None, context=None, *, unseen="error"):
        """Mean log-likelihood of rows.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), PackedTable or path of one
        y : None
            Ignored.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.
        unseen : "error", "ignore" or "impossible", default="error"
            As `score_samples` takes it.

        Returns
        -------
        log_likelihood : float
            Nats per row.
        """
        scores = self.score_samples(X, context, unseen=unseen)
        return float(np.average(scores, weights=check_weight(sample_weight, len(scores))))

    def sample(self, n_samples=1, random_state=None, *, given=None, where=None, out=None, context=None):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None continues with the estimator's own ``random_state``: the same rows on every call if that is an int.
        given : mapping or Series, default=None
            Columns, by name or number, and what all rows shall have in them: a value; a list or a set, of which any; of
            a column of numbers, or of categories in an order, a range: a tuple of the least and the greatest value, of
            which either may be None; or ``{"not": ...}`` with any of these. Exact if these columns come first in the
            order that the model was learned in, and one of them at most, the last, may have several values; else rows
            are drawn by importance resampling, and a MonteCarloWarning says how many proposals they are worth. A model
            cannot be reordered after it was fitted: ``AutoregressiveTreeFlow(order=...)`` puts columns first.
        where : callable, default=None
            Which rows are wanted: of a table as this method returns it a mask, such as
            ``lambda X: X["begin"] <= X["end"]``. Others are drawn again, so that rows are distributed as those of the
            model, given that they are wanted. What ``given`` can say is better said there: it draws nothing in vain.
        out : str or path-like, default=None
            Where to write the rows instead, in blocks, so that they need not be in memory: a file that ends in .csv,
            .tsv or .parquet, text perhaps compressed, or without an ending the folder of a packed table. Many rows are
            other ones than without ``out``, drawn from the same model.
        context : array-like of shape (n_samples,) or (n_samples, n_context), default=None
            Of a model that was fitted to one: what each row is conditioned on; or one row, for all.

        Returns
        -------
        X : ndarray or dataframe of shape (n_samples, n_columns), or None if ``out`` is given
            In the container and dtypes that fit saw. Under ``handle_unknown="reserve"``, a cell that came out as an
            unseen value is drawn again, given the rest of its row, among those that have names.

        Raises
        ------
        ValueError
            If a given column or value is not in the domain, or fewer than one row in 10,000 is wanted.
        """
        check_is_fitted(self)
        if out is None:
            [X] = self.sampled_in_blocks(n_samples, random_state, given, where, most=None, context=context)
            return X
        blocks = self.sampled_in_blocks(n_samples, random_state, given, where, context=context)
        return write_blocks(Path(out), blocks, self.domain_.column_names, self.domain_.examples)

    def sampled_in_blocks(
        self, n_samples, random_state=None, given=None, where=None, *, most=BLOCK_CELLS, context=None
    ):
        """Rows as `sample` draws them, in blocks.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState or None, default=None
        given : mapping or Series, default=None
        where : callable, default=None
        most : int or None
            Cells of a block; None for all in one.
        context : array-like, default=None
            These three as `sample` takes them.

        Yields
        ------
        X : ndarray or dataframe of shape (n_rows_of_block, n_columns)
        """
        if isinstance(n_samples, (bool, np.bool_)):
            raise TypeError(f"n_samples must be an integer, got {n_samples!r}")
        check_number(n_samples, "n_samples", Integral, min_val=0)
        rng, threads = generator(self.random_state if random_state is None else random_state), n_threads(self.n_jobs)
        step = n_samples if most is None else most // len(self.domain_.columns)
        effective, n_proposed = 0.0, 0
        told = self.given_codes(context, 1 if context is not None and len(context) == 1 else n_samples)
        of_rows = told if told is None or len(told) == n_samples else np.repeat(told, n_samples, axis=0)

        def draw(rows):
            nonlocal effective, n_proposed
            if given is None and told is None:
                drawn = self.distribution_.sample(len(rows), rng, threads)
                again = partial(_drawn_again, self.distribution_, rng, threads)
                return self.domain_.decode(self._named(drawn, again, rng), rng)
            X, worth, proposed = self._sample_given(len(rows), given, None if of_rows is None else of_rows[rows], rng)
            effective, n_proposed = effective + worth, n_proposed + proposed
            return X

        for start in range(0, max(n_samples, 1), max(step, 1)):
            rows = np.arange(start, min(start + max(step, 1), n_samples))
            yield draw(rows) if where is None else wanted(draw, rows, where)
        if n_proposed:
            warnings.warn(
                "the given columns do not come first in the order that the model was learned in: rows are drawn by "
                f"importance resampling, {effective:,.0f} effective rows out of {n_proposed:,} proposals",
                MonteCarloWarning,
                stacklevel=3,
            )

    def table_of(self, X, *, lacking=False):
        """A table with the columns of the model, matched by name.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        lacking : bool, default=False
            Whether columns may lack; they are not observed. Under ``missing="marginalize"`` they may.

        Returns
        -------
        table : Table

        Raises
        ------
        ValueError
            If a column lacks that must not.
        """
        check_is_fitted(self)
        return read_matched(self, X, self.domain_, lacking=lacking or self.missing == "marginalize")

    def read(self, X, context=None, *, infer=False, unseen=None):
        """What a table says in terms of the domain, and with it its context.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
        infer : bool, default=False
            Whether an empty cell of a column in which fit saw none counts as not observed, instead of being refused.
        unseen : "error", "ignore", "impossible" or None
            What becomes of values that fit did not see, as `score_samples` takes it; None if there is no choice.

        Returns
        -------
        rows : Rows
            Codes, which cells are observed, and the log-probability of values given their codes.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        check_unseen(unseen, UNSEEN)
        table = self.table_of(X)
        return self._rows(table, self.given_codes(context, table.n_rows), infer=infer, unseen=unseen)

    def conditional_proba(self, X, column, context=None, *, unseen="error"):
        """Exact probability of every value of a column given all other columns.

        Under ``missing="marginalize"``, given those that are observed; as exact as `score_samples` is.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter. Of a dataframe, columns are matched by their names, and
            those that lack are unknown.
        column : str or int
            Its name or number.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.
        unseen : "error" or "ignore", default="error"
            What becomes of a value that fit did not see, where no code was reserved for these: refused, with how many
            there are by column, or taken for unknown.

        Returns
        -------
        probability : ndarray of shape (n_rows, n_values), float64
            In the order of ``categories_``; under ``handle_unknown="reserve"`` with one more, for all unseen values:
            `value_labels` has a name for each. NaN where so much is missing that no estimate can be trusted.

        Raises
        ------
        ValueError
            If there is no such column, or a value of another column is not in the domain.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import AutoregressiveTreeFlow
        >>> coin = np.random.default_rng(0).integers(0, 2, 1000)
        >>> flow = AutoregressiveTreeFlow().fit(np.column_stack([coin, 1 - coin]))
        >>> flow.conditional_proba([[0, 1], [1, 0]], column=0).round(1)
        array([[1., 0.],
               [0., 1.]])
        """
        of = X, context, column, False, "conditional_proba", "conditional_density"
        rows, j, back = self._asked(*of, unseen=unseen)
        known = self.domain_.columns[j]
        return known.spread(softmax(self._log_joint(rows, j, known.n_codes), axis=1))[back]

    def value_labels(self, column):
        """What the values are called that `conditional_proba` tells the probabilities of.

        Parameters
        ----------
        column : str or int
            Its name or number.

        Returns
        -------
        labels : tuple of str
            "(missing)" after the values where missing is one of its own, and "(unseen)", for all values that fit did
            not see, where these have a probability.

        Raises
        ------
        ValueError
            For a column that holds numbers or is not there.
        """
        check_is_fitted(self)
        j = self.domain_.index(column)
        self._check_number("value_labels", j, False, "conditional_density")
        return self.domain_.columns[j].cell_labels

    def predict(self, X, column=None, context=None, *, unseen="error"):
        """Most probable value of a column given all other columns; of a column of numbers, the median.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter. Of a dataframe, columns are matched by their names, and
            those that lack are unknown.
        column : str or int, default=None
            Its name or number; None predicts every column, each given all others.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.
        unseen : "error" or "ignore", default="error"
            What becomes of a value that fit did not see, where no code was reserved for these: refused, with how many
            there are by column, or taken for unknown.

        Returns
        -------
        values : ndarray of shape (n_rows,), or a table like X if ``column`` is None
            Never missing or unseen.
        """
        check_unseen(unseen)
        table, domain = self.table_of(X, lacking=True), self.domain_
        columns = range(len(domain.columns)) if column is None else [domain.index(column)]
        ignore = () if column is None else columns
        rows, back = self._distinct(table, context, ignore, unseen)
        codes = []
        for j in columns:
            if domain.numeric[j]:
                told = self._quantiles(rows, j, [0.5])[:, 0]
            else:
                share = domain.columns[j].top_share
                joint = self._log_joint(rows, j, len(share))
                told = np.where(np.isnan(joint).any(axis=1), np.nan, (joint + elementary.log(share)).argmax(axis=1))
            told = told[back]
            if np.isnan(told).any():
                row = int(np.flatnonzero(np.isnan(told))[0])
                raise ValueError(
                    f"row {row} has so many missing cells that column {domain.column_names[j]!r} cannot be told: no "
                    "estimate of it can be trusted"
                )
            codes.append(told if domain.numeric.any() else told.astype(np.uint8))
        if column is None:
            return domain.decode(np.column_stack(codes), index=table.index)
        known = domain.columns[columns[0]]
        if domain.numeric[columns[0]]:
            return known.cells(codes[0])[0]
        return known.values[known.places(codes[0].astype(np.uint8))]

    def predict_quantiles(self, X, column, quantiles=(0.05, 0.5, 0.95), context=None, *, unseen="error"):
        """Quantiles of a column of numbers given all other columns.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter. Missing cells of others that have no code are unknown, and
            so are columns that a dataframe lacks.
        column : str or int
            Its name or number.
        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            Probabilities between 0 and 1.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.
        unseen : "error" or "ignore", default="error"
            What becomes of a value that fit did not see, where no code was reserved for these: refused, with how many
            there are by column, or taken for unknown.

        Returns
        -------
        values : ndarray of shape (n_rows, n_quantiles)
            Values below which a cell that is not missing lies with these probabilities: float64, or times or durations
            of the column's unit. NaN or NaT where so much is missing that no estimate can be trusted.

        Raises
        ------
        ValueError
            For a column that holds categories or is not there, or a probability out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import TreeFlowMixture
        >>> x, noise = np.random.default_rng(0).normal(size=(2, 500))
        >>> model = TreeFlowMixture(numeric=[0, 1], random_state=0).fit(np.column_stack([x, 10 * x + noise]))
        >>> low, high = model.predict_quantiles([[0.5, np.nan]], column=1, quantiles=[0.1, 0.9])[0]
        >>> bool(3 < low < 5 < high < 7)
        True
        """
        of = X, context, column, True, "predict_quantiles", "conditional_proba"
        rows, j, back = self._asked(*of, unseen=unseen)
        at = np.asarray(quantiles, dtype=np.float64)
        if at.ndim != 1 or not ((at > 0) & (at < 1)).all():
            told = f"quantiles must be a list of probabilities between 0 and 1, got {quantiles!r}"
            raise ParameterError(told, parameter="quantiles", value=quantiles)
        told = self._quantiles(rows, j, at)[back]
        return self.domain_.columns[j].plain(told.ravel()).reshape(told.shape)

    def predict_mean(self, X, column, context=None):
        """Mean of a column of numbers given all other columns.

        A density's tails are heavy: far out, the probability of more than t falls like t to the power of -2, so that
        there is a mean, and it is finite.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter. Missing cells of others that have no code are unknown, and
            so are columns that a dataframe lacks.
        column : str or int
            Its name or number.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.

        Returns
        -------
        mean : ndarray of shape (n_rows,), float64
            Of a cell that is not missing; of durations in seconds. NaN where so much is missing that no estimate can be
            trusted.

        Raises
        ------
        ValueError
            For a column that holds categories or times, or is not there.
        """
        rows, j, back = self._asked(X, context, column, True, "predict_mean", "conditional_proba")
        known = self.domain_.columns[j]
        if known.is_time:
            name = self.domain_.column_names[j]
            raise TableError(f"column {name!r} holds times, which have no mean: ask predict_quantiles", column=name)
        mean = self._told_by_cells(rows, j, lambda cells: cells.mean(), most_share=LEAST_SHARE)
        return known.unrounded(mean)[back]

    def conditional_density(self, X, column, at, context=None):
        """Density of values of a column of numbers given all other columns.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            What stands in the column itself does not matter. Missing cells of others that have no code are unknown, and
            so are columns that a dataframe lacks.
        column : str or int
            Its name or number.
        at : array-like of shape (n_values,)
            Values of the column.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.

        Returns
        -------
        density : ndarray of shape (n_rows, n_values), float64
            Given that the cell is not missing, in the unit of the column (one over seconds of times and durations), so
            that it integrates to one; where the values lie on a lattice, and of values that recur often, probabilities.
            NaN where so much is missing that no estimate can be trusted.

        Raises
        ------
        ValueError
            For a column that holds categories or is not there, or a value that it cannot hold.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import TreeFlowMixture
        >>> x, noise = np.random.default_rng(0).normal(size=(2, 500))
        >>> model = TreeFlowMixture(numeric=[0, 1], random_state=0).fit(np.column_stack([x, 10 * x + noise]))
        >>> near, far = model.conditional_density([[0.5, np.nan]], column=1, at=[5, 20])[0]
        >>> bool(near > 100 * far)
        True
        """
        rows, j, back = self._asked(X, context, column, True, "conditional_density", "conditional_proba")
        values = np.array([self.domain_.number(j, value, missing=False) for value in at])
        told = np.zeros((len(rows.codes), len(values)))
        on = self.domain_.columns[j].has(values)
        threads = n_threads(self.n_jobs)
        told[:, on], error = conditional_values(self.distribution_, rows.codes, rows.observed, j, values[on], threads)
        warn_of_estimates(error, self.distribution_.n_draws[0])
        return told[back]

    def explore(self, X=None, *, title="", context=None, n_draws=20_000, random_state=0):
        """A page on which the model answers: every column's distribution, and what evidence makes of it.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), default=None
            A table whose rows to look at.
        title : str, default=""
            What the page is called; the kind of the model if that is empty.
        context : array-like of shape (1, n_context), default=None
            Of a model that was fitted to one: what all on the page is conditioned on, the rows of ``X`` too.
        n_draws : int, default=20000
            Rows drawn from the model, by which the page answers.
        random_state : int, default=0
            Draws them.

        Returns
        -------
        explorer : Explorer
            A notebook shows it; ``save(path)`` writes it, ``serve()`` opens it in a browser.
        """
        from ..explorer.answers import Explorer  # a room above: the one way up, so that a model can be shown by itself

        return Explorer(self, X, title=title, context=context, n_draws=n_draws, random_state=random_state)

    def query(
        self,
        columns=None,
        *,
        given=None,
        by=None,
        context=None,
        max_error=0.01,
        n_draws=20_000,
        random_state=None,
    ):
        """Distribution of columns given whatever is known of others.

        Parameters
        ----------
        columns : str, int or list of these, default=None
            Columns to tell, by name or number; None for all.
        given : mapping or Series, default=None
            What is known, as `sample` takes it: by column a value; a list or a set, of which any; a range; or
            ``{"not": ...}`` with any of these. Columns that are not named are unknown, and summed out.
        by : str, int or list of these, default=None
            Columns of which each combination of values is told apart; of numbers, of bins.
        context : array-like of shape (1, n_context), default=None
            Of a model that was fitted to one: what all is conditioned on.
        max_error : float, default=0.01
            Standard error that probabilities shall have at most, if ``n_draws`` suffice.
        n_draws : int, default=20,000
            What is not exact is told from as many draws of the model, which are kept for further questions but not in
            files; and where too few of these agree with what is given, from at most as many that are led to it.
        random_state : int, default=None
            Of the draws; None for the same always, so that equal questions have equal answers.

        Returns
        -------
        result : QueryResult
            Probabilities with their standard errors, and the probability of what is given. Exact if the columns that
            are named, and all that come before them in the order that the model was learned in, have at most 65,536
            joint states, or 16,384 of those that may be; of tables with numbers 4,096, and 1,024. A MonteCarloWarning
            says if a standard error is above 0.01; NaN where hardly any draw agrees with what is given.

        Raises
        ------
        ValueError
            If there is no such column, or value of one.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import AutoregressiveTreeFlow
        >>> coin = np.random.default_rng(0).integers(0, 2, (1000, 2))
        >>> flow = AutoregressiveTreeFlow().fit(np.column_stack([coin, coin.sum(axis=1)]))
        >>> flow.query([0, 1], given={2: [1, 2]})["x0"].probability.round(2)
        array([0.33, 0.67])
        """
        check_is_fitted(self)
        check_number(n_draws, "n_draws", Integral, min_val=1)
        check_number(max_error, "max_error", Real, min_val=0, max_val=0.5, include_boundaries="right")
        if random_state is not None:
            check_number(random_state, "random_state", Integral, min_val=0)
        domain = self.domain_
        asked = list(range(len(domain.columns))) if columns is None else self._numbers_of(columns, "columns")
        codes = self.given_codes(context, 1)
        codes = np.empty(0, dtype=np.uint8) if codes is None else codes[0]
        told = self._given(None if isinstance(given, Mapping) and not given else given)
        how = max_error, n_draws, random_state or 0, n_threads(self.n_jobs)
        ask = Query(domain, self.distribution_, codes, *how)
        result = ask.answer(told, asked, () if by is None else self._numbers_of(by, "by"))
        warn_of_query(result, max_error)
        return result

    def _numbers_of(self, columns, what):
        """Numbers of columns that a user named, one or several."""
        several = [columns] if isinstance(columns, (str, Integral)) else list(columns)
        numbers = [self.domain_.index(each) for each in several]
        if len(set(numbers)) < len(numbers) or not numbers:
            told = f"{what} must name columns, each once, got {columns!r}"
            raise ParameterError(told, parameter=what, value=columns)
        return numbers

    def impute(self, X, *, draw=False, n_draws=None, n_sweeps=SWEEPS, random_state=None, context=None):
        """Fill missing cells.

        The missing cells of a row are told by all that is there: exactly, by enumeration of their states, up to 1,024.
        Beyond, by averages over weighted draws, which are the same for equal rows; a MonteCarloWarning says of how many
        cells the two most probable values are too near to each other to tell. Numbers are filled with their medians; in
        a table with numbers, a single missing cell of a row is told by its distribution, several by weighted draws.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Cells that are None, NaN or null are filled, also where the model has missing as a category of its own, and
            whole columns that a dataframe lacks.
        draw : bool, default=False
            False fills each cell with its most probable value given the observed cells; True draws the cells of a row
            from their joint distribution.
        n_draws : int, default=None
            So many tables, each with cells drawn by itself; None for one. All are drawn from this model as if it were
            known, so that intervals from them are too narrow: for those take `multiply_impute`, which learns a model
            for each table.
        n_sweeps : int, default=20
            Of drawn cells, sweeps of Gibbs sampling over those of rows that have too many states; not of tables with
            numbers.
        random_state : int, RandomState or None, default=None
            None continues with the estimator's own ``random_state``.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.

        Returns
        -------
        X : ndarray or dataframe of shape (n_rows, n_columns), or list of these
            In the container and dtypes that fit saw, with no value missing; what was there is as it was. A list if
            ``n_draws`` is given.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import AutoregressiveTreeFlow
        >>> coin = np.random.default_rng(0).integers(0, 2, 1000).astype(float)
        >>> flow = AutoregressiveTreeFlow().fit(np.column_stack([coin, 1 - coin]))
        >>> flow.impute([[0, np.nan], [np.nan, 0]])
        array([[0., 1.],
               [1., 0.]])
        """
        check_is_fitted(self)
        check_number(n_sweeps, "n_sweeps", Integral, min_val=1)
        if n_draws is not None:
            check_number(n_draws, "n_draws", Integral, min_val=1)
        table, threads = self.table_of(X, lacking=True), n_threads(self.n_jobs)
        rows = self.domain_.encode(table, threads, missing="marginalize")
        rows = replace(rows, codes=self.domain_.bounded(rows.codes))
        rows = self.conditioned(rows, self.given_codes(context, table.n_rows))
        rng = generator(self.random_state if random_state is None else random_state)
        draw = draw or n_draws is not None
        n_tables = 1 if n_draws is None else int(n_draws)
        told, n_doubtful = [rows.codes] * n_tables, 0
        if rows.observed is not None and self.domain_.numeric.any():
            told, n_doubtful = self._completed(rows, n_tables, rng, threads, draw)
        elif rows.observed is not None:
            shares = [column.top_share for column in self.domain_.columns]
            of = self.distribution_, rows.codes, rows.observed, shares, n_sweeps, rng, threads
            filled = [complete(*of, draw=draw) for _ in range(n_tables)]
            told, n_doubtful = [codes for codes, _ in filled], filled[0][1]
        if n_doubtful:
            warnings.warn(
                f"the most probable values of {n_doubtful:,} cell(s) are estimates, and another value is as "
                "probable within their error",
                MonteCarloWarning,
                stacklevel=2,
            )
        tables = [self.domain_.fill(table, codes, rng if draw else None) for codes in told]
        return tables[0] if n_draws is None else tables

    def _completed(self, rows, n_tables, rng, threads, draw):
        """Rows of numbers and codes with no cell missing, of each table; and how many cells are doubtful."""
        shares, within = [], {}
        for j, column in enumerate(self.domain_.columns):
            shares.append(None if self.domain_.numeric[j] else column.top_share)
            if self.domain_.numeric[j] and column.missing:
                within[j] = -np.inf, np.inf
            elif not self.domain_.numeric[j] and column.n_codes > column.n_named:
                within[j] = np.arange(column.n_codes) < column.n_named
        of = self.distribution_, rows.codes, rows.observed, shares, within
        if draw:
            return draw_numbers(*of, n_tables, rng, threads), 0
        filled, n_doubtful = complete_numbers(*of, threads)
        return [filled], n_doubtful

    def anomalies(self, X, n=10, context=None, *, rate=None, unseen="error"):
        """Rows of lowest likelihood, and which cells are to blame.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        n : int, default=10
            How many rows.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: what the rows are conditioned on.
        rate : float, default=None
            Expected share of rows that are anomalies, in place of ``n``: so many are told, and ``threshold`` of what is
            returned is the log-likelihood that they have at most.
        unseen : "error" or "ignore", default="error"
            What becomes of a value that fit did not see, where no code was reserved for these: refused, with how many
            there are by column, or taken for unknown.

        Returns
        -------
        anomalies : Anomalies
            The least likely row first; print it to read it.
        """
        check_number(n, "n", Integral, min_val=1)
        check_unseen(unseen)
        table, domain = self.table_of(X), self.domain_
        if rate is not None:
            check_number(rate, "rate", Real, min_val=0, max_val=1, include_boundaries="right")
            n = math.ceil(rate * table.n_rows)
        given = self.given_codes(context, table.n_rows)
        rows = self._rows(table, given, infer=False, unseen=unseen)
        scores, error = log_likelihood(self.distribution_, rows, n_threads(self.n_jobs))
        warn_of_estimates(error, self.distribution_.n_draws[0])
        least = np.argsort(scores, kind="stable")[:n]
        # a table has its rows in order: they are put back after what is asked of them
        some = np.sort(least)
        part = table.rows(np.isin(np.arange(table.n_rows), some))
        rows = self._rows(part, None if given is None else given[some], unseen=unseen)
        surprise, values = np.zeros((len(least), len(domain.columns))), []
        for j, known in enumerate(domain.columns):
            cells = domain.cells(part, j, missing=self.missing)
            if domain.numeric[j]:
                surprise[:, j] = self._surprise_of_numbers(rows, j, cells)
            else:
                prob = known.spread(softmax(self._log_joint(rows, j, known.n_codes), axis=1))
                told = cells >= 0
                surprise[told, j] = -elementary.log(prob[told, cells[told]])
            values.append(domain.shown(part, j))
        back = np.searchsorted(some, least)
        return Anomalies(
            rows=least,
            log_likelihood=scores[least],
            surprise=surprise[back],
            values=np.column_stack(values)[back],
            names=domain.column_names,
            numeric=domain.numeric,
            index=None if table.index is None else np.asarray(table.index)[least],
        )

    def find_groups(
        self,
        X,
        n_groups=None,
        *,
        n_starts=N_STARTS,
        n_bootstrap=0,
        n_simulations=0,
        context=None,
        sample_weight=None,
        random_state=None,
    ):
        """A handful of groups of rows, within each of which the columns are independent (latent class analysis).

        They are learned from the table by maximum likelihood, apart from what the model has learned (Goodman,
        "Exploratory latent structure analysis using both identifiable and unidentifiable models", 1974). The model says
        what the values are: numbers are cut at quintiles, missing cells that have a code are a value, and others are
        summed out.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Columns may lack, of a model that was fitted to more.
        n_groups : int or sequence of int, default=None
            How many; of several numbers the one that the Bayesian information criterion likes best (Schwarz,
            "Estimating the dimension of a model", 1978). None for 1, 2, … up to 8, as long as columns have combinations
            of values enough, and until two in turn are worse. ``criteria`` of what is returned has all that were tried.
        n_starts : int, default=50
            Random places that EM starts from. It runs ten steps from each, and from the likeliest tenth to the end.
        n_bootstrap : int, default=0
            How often to learn the groups anew from as many rows drawn with replacement, for standard errors and
            intervals: 200 for these, 1,000 for intervals of 0.95.
        n_simulations : int, default=0
            How many tables to draw from one group fewer, for the bootstrap likelihood-ratio test of each number of
            groups (McLachlan, "On bootstrapping the likelihood ratio test statistic for the number of components in a
            normal mixture", 1987): 99 for a level of 0.05. ``criteria`` has the p-values. What is chosen does not
            depend on them.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe, default=None
            What else is known of the rows, which groups are not made of: its effects on which one a row is in are the
            ``membership`` of what is returned. It need not be what the model was fitted to.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for, as `fit` takes it.
        random_state : int, RandomState or None, default=None
            Draws the rows that EM starts from; None continues with the estimator's own ``random_state``.

        Returns
        -------
        groups : Groups
            Print it to read it. A UserWarning says if one group tells the table as well.

        Raises
        ------
        ParameterError
            If there are to be more groups than rows that differ.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import TreeFlowMixture
        >>> rng = np.random.default_rng(0)
        >>> group = rng.random(500) < 0.3
        >>> X = (rng.random((500, 6)) < np.where(group, 0.9, 0.1)[:, None]).astype(int)
        >>> groups = TreeFlowMixture(random_state=0).fit(X).find_groups(X, n_bootstrap=100)
        >>> groups.weight.round(1)
        array([0.7, 0.3])
        >>> [(each.n_groups, round(each.bic)) for each in groups.criteria]
        [(1, 3760), (2, 2551), (3, 2580), (4, 2617)]
        >>> groups.weight_interval().round(2)
        array([[0.71, 0.22],
               [0.78, 0.29]])
        """
        check_is_fitted(self)
        counts = ("n_starts", n_starts, 1), ("n_bootstrap", n_bootstrap, 0), ("n_simulations", n_simulations, 0)
        for name, value, least in counts:
            check_number(value, name, Integral, min_val=least)
        if n_groups is not None:
            numbers: list = [n_groups] if isinstance(n_groups, Number) else list(n_groups)
            if not numbers:
                raise ParameterError("n_groups is empty: a number is needed", parameter="n_groups", value=n_groups)
            for n in numbers:
                check_number(n, "n_groups", Integral, min_val=1, max_val=MOST_STATES)
            n_groups = [int(n) for n in numbers]
        table = self.table_of(X, lacking=True)
        groups = learn_groups(
            self,
            self._rows(table, None),
            check_weight(sample_weight, table.n_rows),
            n_groups,
            n_starts=n_starts,
            n_bootstrap=n_bootstrap,
            n_simulations=int(n_simulations),
            rng=generator(self.random_state if random_state is None else random_state),
            threads=n_threads(self.n_jobs),
            context=None if context is None else read_context(context, table.n_rows),
            index=table.index,
        )
        if groups.means_nothing:
            told = "one group tells these rows as well as several, by the Bayesian information criterion"
            warnings.warn(f"{told}: there are none to speak of", UserWarning, stacklevel=2)
        return groups

    def read_cells(self, X):
        """What a table says in terms of the domain, to infer from; columns may lack, and nothing is given.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        rows : Rows
        """
        return self._rows(self.table_of(X, lacking=True), None)

    def _surprise_of_numbers(self, rows, j, x):
        """Surprise of a column's numbers, as `Anomalies` has it; 0 where one is missing and that is not modelled."""
        surprise, there, threads = np.zeros(len(x)), ~np.isnan(x), n_threads(self.n_jobs)
        has_missing, at = self.domain_.columns[j].missing, np.where(there, x, 0.0)
        of = self.distribution_, rows.codes, rows.observed, j, threads, at
        for part, cells, completions, last, _ in conditional_cells(*of):
            missing = np.zeros(len(part))
            if has_missing:
                joint = joint_with(self.distribution_, completions, j, [np.nan], last, threads)
                both = np.concatenate([joint, cells.log_total[:, :, None]], axis=2)
                missing = softmax(both, axis=2)[:, :, 0].mean(axis=1)
            tail = (1 - missing) * np.minimum(2 * np.minimum(*cells.tails(at[part])), 1.0)
            told = np.where(there[part], tail, missing if has_missing else 1.0)
            surprise[part] = 0.0 - elementary.log(np.maximum(told, LEAST_PROBABILITY))
        return surprise

    def _rows(self, table, given, ignore=(), *, infer=True, unseen=None):
        """What a table says in terms of the domain, to infer from; some columns may be left unread.

        And with it the codes that are ``given`` of its context, or None.
        """
        of = self.domain_, table, n_threads(self.n_jobs), ignore
        rows = TablePolicy.of(self).encode(*of, infer=infer, unseen=unseen)
        return self.conditioned(replace(rows, codes=self.domain_.bounded(rows.codes)) if infer else rows, given)

    def _distinct(self, table, context, ignore, unseen):
        """What a table says, to infer from, and for each of its rows where in that it is.

        Of a table that lacks columns, many rows may be equal: each that differs once.
        """
        rows = self._rows(table, self.given_codes(context, table.n_rows), ignore, unseen=unseen)
        if not table.absent:
            return rows, slice(None)
        told = np.where(rows.observed, np.nan_to_num(rows.codes, nan=np.inf), 0)
        _, first, back = np.unique(np.hstack([told, rows.observed]), axis=0, return_index=True, return_inverse=True)
        return rows.chosen(first), back.ravel()

    def _asked(self, X, context, column, is_number, what, instead, unseen="error"):
        """What stands in all other columns than one of the kind asked for, its number, and where each row of X is."""
        check_unseen(unseen)
        table, j = self.table_of(X, lacking=True), self.domain_.index(column)
        self._check_number(what, j, is_number, instead)
        rows, back = self._distinct(table, context, (j,), unseen)
        return rows, j, back

    def _check_number(self, what, j, is_number, instead):
        """Raise TableError unless a column holds numbers, or holds none, as a question wants."""
        if bool(self.domain_.numeric[j]) != is_number:
            name = self.domain_.column_names[j]
            holds, of = ("categories", "numbers") if is_number else ("numbers", "categories")
            raise TableError(f"{what} is of {of}, and column {name!r} holds {holds}: ask {instead}", column=name)

    def _quantiles(self, rows, j, at):
        """Quantiles of a column of numbers given all others: ndarray of shape (n_rows, n_quantiles); NaN for none."""
        return self._told_by_cells(rows, j, lambda cells: cells.quantiles(at), (len(at),))

    def _told_by_cells(self, rows, j, what, shape=(), **options):
        """What follows from the distribution of a column of numbers given all others, (n_rows, *shape), or NaN."""
        told, error = np.full((len(rows.codes), *shape), np.nan), np.zeros(len(rows.codes))
        of = self.distribution_, rows.codes, rows.observed, j, n_threads(self.n_jobs)
        for part, cells, _, _, wrong in conditional_cells(*of, **options):
            known = wrong < np.inf
            told[part[known]], error[part] = what(cells)[known], wrong
        warn_of_estimates(error, self.distribution_.n_draws[0])
        return told

    def _log_joint(self, rows, j, n_values):
        """Log-probability of each row with each of the first codes of a column, nats."""
        joint, error = log_joint(self.distribution_, rows.codes, rows.observed, j, n_values, n_threads(self.n_jobs))
        warn_of_estimates(error, self.distribution_.n_draws[0])
        return joint

    def _given(self, given):
        """What a user says of columns: Given; those of the context are given as such."""
        for name in () if self.context_ is None or not hasattr(given, "keys") else self.context_.column_names:
            if name in list(given.keys()):
                told = f"given names {name!r}, which the model was fitted to: it goes into context=, for each row"
                raise ParameterError(told, parameter="given", value=given)
        return read_given(self.domain_, given)

    def _sample_given(self, n_samples, given, context, rng):
        """Rows that have the given values and context; how many effective ones, out of how many proposals."""
        domain, threads = self.domain_, n_threads(self.n_jobs)
        told = self._given(given).named()
        if told.impossible:
            raise TableError(told.impossible)
        codes, observed, within, _ = told.to_codes()
        may_be = [within] if within else []
        contexts, which = np.empty((1, 0), dtype=codes.dtype), np.zeros(n_samples, dtype=np.intp)
        if context is not None:
            contexts, which = np.unique(context, axis=0, return_inverse=True)
        seen = np.append(observed, np.ones(contexts.shape[1], dtype=bool))[None]

        def draw(rows):
            drawn, effective, n_proposed = [np.empty((0, seen.shape[1]))], 0.0, 0
            of = which.ravel()[rows]
            for i in np.unique(of).tolist():
                whole = np.concatenate([codes, contexts[i]])[None], seen, np.count_nonzero(of == i)
                part, worth, proposed = self.distribution_.given(*whole, rng, threads, *may_be)
                drawn, effective, n_proposed = [*drawn, part], effective + worth, n_proposed + proposed
            back = np.argsort(np.argsort(of, kind="stable"), kind="stable")
            return np.concatenate(drawn[1:] or drawn)[back], effective, n_proposed

        drawn, effective, n_proposed = draw(slice(None))
        drawn = self._named(drawn, lambda bad: draw(bad)[0], rng)
        X = domain.decode(drawn, rng, told.places(drawn, rng))
        return X, effective, n_proposed

    def _named(self, codes, again, rng):
        """Rows whose unseen values, which have no names, are drawn again; of numbers whole rows, by ``again(bad)``.

        Without the codes of a context.
        """
        n = len(self.domain_.columns)
        has_name = np.ones(codes.shape, dtype=bool)
        has_name[:, :n] = self.domain_.has_name(codes[:, :n])
        if self.domain_.numeric.any():  # until no value in them is unseen
            while not has_name.all():
                bad = ~has_name.all(axis=1)
                codes[bad] = again(bad)
                has_name[:, :n] = self.domain_.has_name(codes[:, :n])
        if not has_name.all():
            shares = [column.top_share for column in self.domain_.columns]
            of = self.distribution_, codes, has_name, shares, SWEEPS, rng, n_threads(self.n_jobs)
            codes = complete(*of, draw=True)[0]
        return np.ascontiguousarray(codes[:, :n])


def check_unseen(unseen, known=UNSEEN[:2]):
    """Raise ParameterError unless a user says what becomes of unseen values, or has no choice."""
    if unseen is not None and unseen not in known:
        told = f"unseen must be {' or '.join(map(repr, known))}, got {unseen!r}"
        raise ParameterError(told, parameter="unseen", value=unseen)


def _drawn_again(distribution, rng, threads, bad):
    return distribution.sample(np.count_nonzero(bad), rng, threads)


def log_likelihood(distribution, rows, threads):
    """Log-likelihood of the observed cells of each row, and its standard error, 0 where it is exact; nats."""
    if rows.observed is None:
        return distribution.score(rows.codes, threads) + rows.log_share, np.zeros(1)
    scores, error = distribution.marginal(rows.codes, rows.observed, threads)
    return scores + rows.log_share, error


def warn_of_query(result, max_error):
    """Warn of the largest standard error of a query's probabilities, if that is above what shall be."""
    results = list(result.groups.values()) or [result]
    none = sum(each.effective == 0 for each in results)
    error = [told.error.max() for each in results if each.effective > 0 for told in each.distributions.values()]
    most, parts = max(error, default=0.0), []
    if most > max_error:
        parts.append(f"probabilities are estimates, with a standard error of up to {most:.2g}: take more n_draws")
    if none:
        what = f"{none:,} combination(s) of values are" if result.groups else "what is given is"
        parts.append(f"{what} too rare to be estimated by the draws that were taken: NaN")
    if parts:
        warnings.warn("; ".join(parts), MonteCarloWarning, stacklevel=3)


def warn_of_estimates(error, n_draws=DRAWS[0]):
    """Warn if log-probabilities of rows, of so many draws, have standard errors, nats; infinity for no estimate."""
    estimated, none = np.count_nonzero(error), np.isinf(error)
    if not estimated:
        return
    known = error[~none].max(initial=0.0)
    parts = [f"the missing cells of {estimated:,} row(s) have too many states to sum over"]
    if known > 0:
        parts.append(
            "log-probabilities of these rows are estimates, with a standard error of at most "
            f"{known:.2g} nats (of draws worth at least {1 / (known**2 + 1 / n_draws):,.0f} independent ones)"
        )
    if none.any():
        parts.append(f"of {np.count_nonzero(none):,} row(s) no estimate can be trusted: they are NaN")
    warnings.warn("; ".join(parts), MonteCarloWarning, stacklevel=4)


@dataclass(frozen=True, eq=False)
class Anomalies:
    """Rows of lowest likelihood.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Their numbers in the table, from 0, the least likely first.
    log_likelihood : ndarray of shape (n,), float64
        Nats.
    surprise : ndarray of shape (n, n_columns), float64
        -log p(value | all other columns of the row), nats: how little the rest of the row explains the cell; 0 where it
        is missing and not modelled. Of a number, p is the probability of one that lies as far out on either side: twice
        the smaller of the probabilities of at most and of at least as much, 1 at most.
    values : ndarray of shape (n, n_columns), object
        The cells as text.
    names : tuple of str
        Column names.
    numeric : ndarray of shape (n_columns,), bool, or None
        Which columns are numbers; None if none is.
    index : ndarray of shape (n,), or None
        Labels of the rows in a pandas DataFrame; None of other tables.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow
    >>> coin = np.random.default_rng(0).choice(["heads", "tails"], 500)
    >>> X = np.column_stack([coin, coin])
    >>> X[77] = "heads", "tails"
    >>> found = AutoregressiveTreeFlow().fit(X).anomalies(X, 1)
    >>> found.rows.tolist(), found.values.tolist()
    ([77], [['heads', 'tails']])
    >>> bool(found.surprise.min() > 4)
    True
    """

    rows: np.ndarray
    log_likelihood: np.ndarray
    surprise: np.ndarray
    values: np.ndarray
    names: tuple
    numeric: np.ndarray | None = None
    index: np.ndarray | None = None

    @property
    def threshold(self):
        """Log-likelihood that all of these rows have at most, and others of the table more, nats: float."""
        return float(self.log_likelihood.max(initial=-np.inf))

    @property
    def labels(self):
        """What the rows are called: their labels in a pandas DataFrame, else their numbers; ndarray of shape (n,)."""
        return self.rows if self.index is None else self.index

    def to_frame(self, n_cells=3):
        """The rows and their most surprising cells as a table, a row for each cell.

        Parameters
        ----------
        n_cells : int, default=3
            Cells to tell of each row, the most surprising first.

        Returns
        -------
        table : pandas.DataFrame
            With the labels of rows as its index, and the columns "log_likelihood", "column", "value" and "surprise".
        """
        import pandas as pd

        cells = self._cells(n_cells)
        labels = pd.Index([self.labels[i] for i, _ in cells], name="row")
        told = [(self.log_likelihood[i], self.names[j], self.values[i, j], self.surprise[i, j]) for i, j in cells]
        return pd.DataFrame(told, labels, ["log_likelihood", "column", "value", "surprise"])

    def to_text(self, n_cells=3):
        """The rows as text.

        Parameters
        ----------
        n_cells : int, default=3
            Cells to tell of each row, the most surprising first.

        Returns
        -------
        text : str
        """
        lines, last = [], None
        for i, j in self._cells(n_cells):
            if i != last:
                lines.append(f"row {self.labels[i]}: log-likelihood {self.log_likelihood[i]:.2f} nats")
            last = i
            is_tail = self.numeric is not None and self.numeric[j] and self.values[i, j] != "(missing)"
            what = "tail probability" if is_tail else "probability"
            told = f"{what} {elementary.exp(-self.surprise[i, j]):.2g} given the rest"
            lines.append(f"  {self.names[j]} = {self.values[i, j]}: {told}")
        return "\n".join(lines)

    def _cells(self, n_cells):
        """Rows and columns of the most surprising cells of each row."""
        order = np.argsort(-self.surprise, axis=1, kind="stable")[:, :n_cells]
        return [(i, j) for i, columns in enumerate(order.tolist()) for j in columns]

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        head = "".join(f"<th>{html.escape(each)}</th>" for each in ("row", "log-likelihood", *self.names))
        shown = set(self._cells(3))
        rows = []
        for i, label in enumerate(self.labels):
            cells = [html.escape(str(value)) for value in self.values[i]]
            cells = [f"<b>{cell}</b>" if (i, j) in shown else cell for j, cell in enumerate(cells)]
            told = [html.escape(str(label)), f"{self.log_likelihood[i]:.2f}", *cells]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in told) + "</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
