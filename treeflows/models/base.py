"""What every density model of the package shares: how it is fitted, and how models are made of models."""

from copy import deepcopy
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from ..densities.other import OtherDensity
from ..learning.blocks import (
    REPEATED,
    RowsInBlocks,
    bytes_of_distinct,
    bytes_of_row,
    distinct_rows,
    sorted_rows,
)
from ..learning.multisets import repeated
from ..learning.rows import MOST_ROWS, check_weight, numbers_to_learn_from, rows_to_learn_from
from ..machine.draws import generator
from ..machine.errors import TableError
from ..machine.parts import called
from ..machine.threads import n_threads
from ..tables.containers import read_table
from ..tables.contexts import beside, encode_context, learn_context, read_context, with_context
from ..tables.domain import Rows, check_codes, check_told
from ..tables.packed import as_packed
from ..tables.policy import TablePolicy
from .dependence import DRAWN, dependence_graph
from .questions import TableModel

BYTES_OF_NUMBER = 24  # in memory, with what is made of it, about


def table_defaults(estimator):
    """What the parameters of an estimator are by default that say what becomes of a table: dict."""
    return {name: value for name, value in asdict(TablePolicy()).items() if hasattr(estimator, name)}


class CategoricalDensity(TableModel):
    """Base class of exact probability models of tables.

    A model says ``check_parameters`` and ``learn``, and ``learn_numbers`` if it takes numbers; one that holds out rows
    itself says ``learn_and_score`` and ``learn_numbers_and_score`` too. This class does the rest.

    Attributes
    ----------
    learns_in_passes : bool
        Whether ``learn`` takes codes as `RowsInBlocks`, too.
    """

    learns_in_passes = False

    def fit(self, X, y=None, sample_weight=None, context=None):
        """Learn the model.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            A NumPy array or a pandas, polars or pyarrow table of strings, booleans, categoricals or integers from 0; at
            most 256 categories a column, unless rare ones are grouped.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for. An integer weight is exactly that many rows; of fractions, equal rows
            together count as an integer next to the sum of their weights. A weight is as much evidence as that many
            rows: divide weights that sum to more than the number of rows, as those of surveys do, by their mean. Rows
            with numbers that would be more than four million cells are drawn in proportion to their weights.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe, default=None
            Columns that rows are conditioned on: the model tells the distribution of a row given these, p(x | c),
            whatever theirs is. Groups, years, or any others, numbers too; what is missing is a category.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a number that is no category, too many categories, a missing value under ``missing="error"``, or a
            parameter out of range; the message names the column.
        TypeError
            For a context of a model that takes none.
        """
        check_model(self)
        threads = n_threads(self.n_jobs)
        if context is None:
            domain, rows, weight = read_to_learn(self, X, sample_weight, counted=True)
            return self.take(domain, learn_density(self, rows, domain, self.random_state, threads, weight))
        domain, given, rows, codes, weight = read_given(self, X, context, sample_weight)
        whole, joint = with_context(rows, codes), beside(domain, given)
        return self.take(domain, learn_density(self, whole, joint, self.random_state, threads, weight), given)

    @property
    def takes_numbers(self):
        """Whether a model as it is set up can learn from columns of numbers: bool."""
        return hasattr(self, "numeric")

    @property
    def takes_context(self):
        """Whether ``learn`` takes ``n_context``, how many of the last columns are given, which come first: bool."""
        return False

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        raise NotImplementedError

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None):
        """Learn a density from codes: what ``fit`` does once a table is read.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns), uint8
        n_categories : ndarray of shape (n_columns,), int32
            Codes of column j run from 0 to ``n_categories[j] - 1``.
        rng : numpy.random.Generator
        threads : int
        n_ordered : ndarray of shape (n_columns,), int32, default=None
            How many of the first codes of each column are in an order that trees may ask by: "x <= v".
        weight : ndarray of shape (n_rows,), int32, default=None
            Rows that each row stands for; None for one each.

        Returns
        -------
        distribution : Density
        """
        raise NotImplementedError

    def learn_and_score(self, codes, held_out, n_categories, rng, threads, n_ordered=None, weight=None, **context):
        """Learn a density from codes, and say how well one of those rows that are not held out tells those that are.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns), uint8
        held_out : list of Fold
            Rows that are held out together of another density, which has the same parameters.
        n_categories : ndarray of shape (n_columns,), int32
        rng : numpy.random.Generator
        threads : int
        n_ordered : ndarray of shape (n_columns,), int32, default=None
            As ``learn`` takes it.
        weight : ndarray of shape (n_rows,), int32, default=None
            Rows that each row stands for; None for one each.
        **context
            ``n_context``, of a model that takes it.

        Returns
        -------
        distribution : Density
            Learned from all rows.
        scores : ndarray of shape (n_held_out,), float64
            Log-likelihood of the rows that are held out, nats.
        """
        return _learn_again(self, codes, held_out, n_categories, rng, threads, n_ordered, weight, **context)

    def learn_numbers(self, values, domain, rng, threads):
        """Learn a density from rows of numbers and codes.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_columns), float64
            NaN where a number is missing.
        domain : Domain
        rng : numpy.random.Generator
        threads : int

        Returns
        -------
        distribution : Density

        Raises
        ------
        TableError
            If this kind of model takes no numbers.
        ParameterError
            For a parameter that says how categories are told, and would have no effect.
        """
        raise takes_no_numbers(self, domain)

    def learn_numbers_and_score(self, table, held_out, domain, rng, threads):
        """Learn a density from rows of numbers and codes, and say how well one of some of them tells the others.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_columns), float64
            As `learn_numbers` takes it, in an order that was drawn.
        held_out : list of slice
            Rows that are held out together of another density, which has the same parameters.
        domain : Domain
        rng : numpy.random.Generator
        threads : int

        Returns
        -------
        distribution : Density
            Learned from all rows.
        scores : ndarray of shape (n_held_out,), float64
            Log-density of the rows that are held out, nats.
        """
        scores = []
        for rows in held_out:
            without = self.learn_numbers(np.delete(table, rows, axis=0), domain, deepcopy(rng), threads)
            scores.append(without.score(table[rows], threads))
        return self.learn_numbers(table, domain, rng, threads), np.concatenate(scores)

    def dependence_graph(self, X=None, context=None, *, columns=None, n_drawn=DRAWN, random_state=None):
        """What each column tells of each other: which columns a column depends on, given the others.

        For each column a tree on all others is learned from rows that are drawn from the model. Down the path of a row
        each question tells something of the column that those before it did not: information gain, in nats, which is
        measured in other rows than the tree has seen and is credited to the column that is asked. Of columns that tell
        the same, the first that is asked has the credit. Numbers count by the eighth of the rows that they are in.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), default=None
            Rows to measure in, which the model must not have seen if they are to tell dependence from chance; missing
            cells that have no code are drawn. None takes further rows drawn from the model, which tell what the model
            believes, right or wrong.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one: those of the rows of ``X``; without these any, some of which rows are
            drawn within. Columns may depend on the context's columns, and these on none.
        columns : sequence of str or int, default=None
            Columns of which to tell what they depend on, which may be any; None for all. The time that it takes is
            proportional to their number, and to that of all columns.
        n_drawn : int, default=10000
            Rows to draw.
        random_state : int, RandomState or None, default=None
            Draws the rows; None continues with the estimator's own.

        Returns
        -------
        graph : DependenceGraph
            Print it to read it, or ask it ``of`` a column, or for its ``to_frame()``.

        Raises
        ------
        TypeError
            If a model that was fitted to a context is given none, or the other way round.
        """
        check_is_fitted(self)
        return dependence_graph(self, X, context, columns, n_drawn, random_state)

    def filled_codes(self, X, context=None):
        """Codes of a table, and its numbers; missing cells that have no codes are drawn.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None

        Returns
        -------
        codes : ndarray of shape (n_rows, n_columns + n_context), uint8, or with numbers float64
        """
        if self.missing == "marginalize":
            X = self.impute(X, draw=True, random_state=0, context=context)
        return self.whole_codes(X, context)

    def whole_codes(self, X, context=None):
        """Codes of a table of whole rows.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None

        Returns
        -------
        codes : ndarray of shape (n_rows, n_columns + n_context), uint8

        Raises
        ------
        ValueError
            For a missing cell that has no code, or a value outside the domain.
        """
        return self.whole(self.read(X, context))

    def whole(self, rows):
        """Codes of rows that are whole, as `whole_codes` has them.

        Parameters
        ----------
        rows : Rows

        Returns
        -------
        codes : ndarray of shape (n_rows, n_columns), uint8
        """
        if rows.observed is not None:
            row, j = np.argwhere(~rows.observed)[0]
            name = self.domain_.column_names[j]
            raise TableError(
                f"column {name!r} has a missing value at row {row}, which has no code: impute first",
                [("missing", "category")],
                column=name,
                row=int(row),
            )
        return rows.codes

    def __sklearn_tags__(self):
        return tell_tags(super().__sklearn_tags__(), self)


def tell_tags(tags, estimator):
    """Tags of scikit-learn with what an estimator takes for a table."""
    tags.input_tags.categorical = True
    tags.input_tags.string = True
    tags.input_tags.positive_only = not TablePolicy.of(estimator).takes_numbers
    tags.input_tags.allow_nan = estimator.missing != "error"
    return tags


class CategoricalFlow(OneToOneFeatureMixin, TransformerMixin, CategoricalDensity):
    """Base class of the models that are bijections of the domain too."""

    def transform(self, X, context=None):
        """Codes z of each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one.

        Returns
        -------
        Z : ndarray of shape (n_rows, n_columns), uint8
            Within a column, a low code is a rare value of its context and a high code a common one. Of a table with
            numbers float64: of a number that is missing or recurs often, which of these it is, and of any other how
            many these are, plus how probable a smaller one is in its context.

        Raises
        ------
        ValueError
            For a missing cell that has no code, or a value outside the domain, as a negative number where fit saw none.
        """
        check_is_fitted(self)
        codes, n = self.whole_codes(X, context), len(self.domain_.columns)
        self.domain_.refuse_beyond(codes[:, :n])
        return np.ascontiguousarray(self.distribution_.transform(codes, n_threads(self.n_jobs))[:, :n])

    def inverse_transform(self, Z, context=None):
        """Rows that have the codes ``Z``.

        Parameters
        ----------
        Z : array-like of int of shape (n_rows, n_columns)
            Any codes of the domain, not only those of data.
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
            In the container and dtypes that fit saw.

        Raises
        ------
        ValueError
            For a code outside the domain; the message names the column.
        """
        check_is_fitted(self)
        domain, threads, n = self.domain_, n_threads(self.n_jobs), len(self.domain_.columns)
        if domain.numeric.any():
            told = check_told(Z, self.distribution_.n_categories[:n], domain.numeric, domain.column_names)
        else:
            told = check_codes(Z, domain.n_categories, domain.column_names)
        given = self.given_codes(context, len(told))
        if given is not None:  # it comes first: what is made of it depends on nothing else
            rows = np.hstack([domain.bounded(np.zeros_like(told)), given])
            told = np.hstack([told, self.distribution_.transform(rows, threads)[:, n:]])
        return domain.decode(self.distribution_.invert(told, threads)[:, :n])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


class Other:
    """A user's own estimator among models: what is needed of it to learn from codes."""

    def __init__(self, estimator):
        self.estimator = estimator

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None):
        """A fitted clone as a density of codes."""
        estimator = clone(self.estimator)
        if "random_state" in estimator.get_params(deep=False):
            estimator.set_params(random_state=int(rng.integers(2**31)))
        estimator.fit(repeated(codes, weight))
        return OtherDensity(n_categories, estimator)

    def learn_and_score(self, codes, held_out, n_categories, rng, threads, n_ordered=None, weight=None):
        """As models do."""
        return _learn_again(self, codes, held_out, n_categories, rng, threads, n_ordered, weight)

    def learn_numbers(self, values, domain, rng, threads):
        """As models do that take no numbers."""
        raise takes_no_numbers(self.estimator, domain)


def takes_no_numbers(estimator, domain):
    """The error of an estimator that learns from codes alone, for a domain that has numbers."""
    name = domain.column_names[int(np.flatnonzero(domain.numeric)[0])]
    told = f"a {type(estimator).__name__} takes no numbers, and column {name!r} holds numbers: bin them, or take a "
    return TableError(f"{told}TreeFlowMixture or an AutoregressiveTreeFlow", column=name)


def _learn_again(model, codes, held_out, n_categories, rng, threads, n_ordered, weight, **context):
    """What `learn_and_score` is of models that hold out no rows themselves."""
    scores = []
    for fold in held_out:
        without = model.learn(fold.seen, n_categories, deepcopy(rng), threads, n_ordered, fold.weight, **context)
        scores.append(without.score(fold.unseen, threads))
    return model.learn(codes, n_categories, rng, threads, n_ordered, weight, **context), np.concatenate(scores)


def learner(estimator, what):
    """Something that can learn a density from codes as an unfitted estimator says; ``what`` is how the user called it.

    Raises
    ------
    TypeError
        If a method is missing.
    ValueError
        If a parameter is out of range, or one of tables is set: those of the model that this is a part of apply.
    """
    missing = [name for name in ("fit", "score_samples", "sample") if not callable(getattr(estimator, name, None))]
    if missing or isinstance(estimator, type):
        lacks = f"has no {' and no '.join(missing)}" if missing else "is a class, not an instance of it"
        raise TypeError(
            f"{what} must be an estimator with the methods fit, score_samples and sample; {estimator!r} {lacks}"
        )
    if not isinstance(estimator, CategoricalDensity):
        return Other(estimator)
    estimator.check_parameters()
    for name, default in table_defaults(estimator).items():
        value = getattr(estimator, name)
        if not (isinstance(value, type(default)) and value == default):
            raise ValueError(
                f"{name} of the {what} {type(estimator).__name__} has no effect, since it learns from codes: set "
                f"{name} of the model that it is part of"
            )
    return estimator


def part_of(model, estimator, distribution):
    """The fitted estimator that a part of a fitted model is: the model's table, the part's density."""
    if isinstance(distribution, OtherDensity):
        return distribution.estimator
    table = {name: getattr(model, name) for name in table_defaults(estimator)}
    return clone(estimator).set_params(**table, n_jobs=model.n_jobs).take(model.domain_, distribution, model.context_)


def check_model(estimator):
    """Raise for a parameter out of range: first those of the model itself, then those of tables."""
    estimator.check_parameters()
    TablePolicy.of(estimator).check()


def read_to_learn(estimator, X, sample_weight=None, *, counted=False):
    """The domain of a table under an estimator's parameters, what the table says in terms of it, and weights or None.

    Of a packed table the rows may be ``counted``: each that differs once, with its weight, or in blocks if they do not
    fit into memory and the estimator learns from such.
    """
    policy, packed = TablePolicy.of(estimator), as_packed(X)
    if packed is not None:
        return _read_packed(estimator, packed, policy, sample_weight, counted)
    table, weight = weighed(read_table(estimator, X, reset=True), sample_weight)
    domain = policy.learn_domain(table, weight)
    return domain, policy.encode(domain, table, n_threads(estimator.n_jobs)), weight


def read_given(estimator, X, context, sample_weight=None):
    """The domains of a table and of its context, what the table says, codes of the context, and weights or None."""
    if not estimator.takes_context:
        kind = type(estimator).__name__
        raise TypeError(f"this {kind} takes no context: take a TreeFlowMixture or an AutoregressiveTreeFlow")
    if as_packed(X) is not None:
        raise TypeError("a packed table has no context: give a table in memory, table[:1000]")
    policy, threads = TablePolicy.of(estimator), n_threads(estimator.n_jobs)
    table = read_table(estimator, X, reset=True)
    told = read_context(context, table.n_rows)
    told, _ = weighed(told, sample_weight)
    table, weight = weighed(table, sample_weight)
    domain, given = policy.learn_domain(table, weight), learn_context(told, weight, policy)
    codes = encode_context(given, told, threads)
    return domain, given, policy.encode(domain, table, threads), codes, weight


def weighed(table, sample_weight):
    """A table without rows of weight 0, which are as if they were not there; weights of the others, or None."""
    weight = check_weight(sample_weight, table.n_rows)
    if weight is not None and not weight.all():
        table, weight = table.rows(weight > 0), weight[weight > 0]
    return table, weight


def _read_packed(estimator, table, policy, sample_weight, counted):
    """As `read_to_learn`, of a packed table, whose rows are all there."""
    if table.n_rows > MOST_ROWS:
        raise TableError(f"{table.folder} has {table.n_rows:,} rows; a model learns from {MOST_ROWS:,} at most")
    weight = check_weight(sample_weight, table.n_rows)
    if weight is not None and not weight.all():
        row = int(np.argmin(weight))
        raise ValueError(f"sample_weight is 0 at row {row}, and no row of a packed table is left out: pack without it")
    domain = table.domain(policy, weight)
    mixed = domain.numeric.any()
    if counted and not mixed and weight is None:
        found = _distinct(table, domain, n_threads(estimator.n_jobs))
        if found is not None:
            return domain, *found
    taken = table.n_rows * (BYTES_OF_NUMBER * table.n_columns if mixed else bytes_of_row(domain.n_categories))
    if taken <= table.memory:
        as_they_are = mixed or not counted or weight is not None or estimator.learns_in_passes
        if as_they_are or table.rows(domain, 0, 0).observed is not None:
            return domain, table.rows(domain), weight
        codes, weight = sorted_rows(RowsInBlocks.of_packed(table, domain))
        return domain, Rows(codes), weight.astype(np.float64)
    why = None
    if mixed or not counted:
        why = "here they are read into memory"
    elif not estimator.learns_in_passes:
        why = f"a {type(estimator).__name__} learns from rows in memory, an AutoregressiveTreeFlow from others too"
    elif weight is not None:
        why = "sample_weight is for rows in memory"
    elif table.rows(domain, 0, 0).observed is not None:
        why = 'missing="marginalize" is for rows in memory'
    if why is not None:
        raise TableError(
            f"the {table.n_rows:,} rows of {table.folder} take about {taken / 1e9:.3g} GB to learn from, and may take "
            f"{table.memory / 1e9:.3g} GB: {why}; if there is more memory, say so: PackedTable(folder, memory=...)"
        )
    in_blocks: Any = RowsInBlocks.of_packed(table, domain)
    return domain, Rows(in_blocks), None


def _distinct(table, domain, threads):
    """The rows of a packed table that differ, and their weights; None if they are not much fewer, or too many."""
    n, n_columns = table.n_rows, table.n_columns
    holed = table.rows(domain, 0, 0).observed is not None

    def read(start, stop, columns):
        rows = table.rows(domain, start, stop)
        return np.hstack([rows.codes, rows.observed.view(np.uint8)]) if holed else rows.codes

    k = np.append(domain.n_categories, np.full(n_columns if holed else 0, 2))
    most = min(n // REPEATED, table.memory // bytes_of_distinct(k))
    found = distinct_rows(RowsInBlocks(read, (n, len(k)), table.memory), k, most, threads)
    if found is None:
        return None
    codes, weight = np.ascontiguousarray(found[0][:, :n_columns]), found[1].astype(np.float64)
    if not holed:
        return Rows(codes), weight
    observed = found[0][:, n_columns:].astype(bool)
    # what is missing is drawn for each row by itself
    drawn = weight[~observed.all(axis=1)].sum()
    return (Rows(codes, observed), weight) if drawn * bytes_of_row(domain.n_categories) <= table.memory else None


def learn_density(model, rows, domain, random_state, threads, weight=None, prior_split=1.0):
    """What a learner makes of rows of a domain: the one way from rows to a density.

    The ``prior_split`` is that of the trees by which missing codes are filled; of the learner's own it says nothing.
    """
    if not domain.numeric.any():
        return learn_from_codes(model.learn, rows, domain, random_state, threads, weight, prior_split)
    filling, learning = _draws(random_state)
    with called(domain.column_names):
        values = numbers_to_learn_from(rows.codes, rows.observed, weight, domain, filling, threads)
        return model.learn_numbers(values, domain, learning, threads)


def learn_from_codes(learn, rows, domain, random_state, threads, weight=None, prior_split=1.0):
    """What ``learn``, which takes what `CategoricalDensity.learn` does, makes of rows of categories."""
    filling, learning = _draws(random_state)
    with called(domain.column_names):
        of = rows.codes, rows.observed, weight, domain.n_categories, filling, threads, prior_split
        codes, weight = rows_to_learn_from(*of)
        n_ordered = domain.n_ordered if domain.n_ordered.any() else None
        given = {"n_context": domain.n_context} if domain.n_context else {}
        return learn(codes, domain.n_categories, learning, threads, n_ordered, weight, **given)


def _draws(random_state):
    """Two streams: what the model draws does not depend on what is missing."""
    return generator(random_state).spawn(2)
