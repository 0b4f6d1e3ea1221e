"""What classifier and regressor share: the density of a table with its target as one more column, the last."""

from dataclasses import replace

import numpy as np
from sklearn.utils.validation import column_or_1d

from ..machine.errors import ParameterError
from ..machine.threads import n_threads
from ..tables.containers import dtype_for
from ..tables.domain import Rows
from .autoregressive import AutoregressiveTreeFlow
from .base import learn_density, learner, part_of, tell_tags
from .mixture import TreeFlowMixture
from .parameters import DefaultPart, check_n_jobs


class TargetModel(DefaultPart):
    """Base class of models of a column given the others, by the density of all.

    Attributes
    ----------
    least_leaf : int
        Rows of a leaf of the default density's trees.
    of_numbers : bool
        Whether the target is a number.
    """

    least_leaf: int
    of_numbers: bool
    context_ = None  # all that is known of a row is a column of X

    def part(self):
        """The unfitted density.

        Returns
        -------
        estimator : estimator
        """
        return self.default_part() if self.estimator is None else self.estimator

    def default_part(self):
        """The unfitted density that None stands for.

        Returns
        -------
        estimator : TreeFlowMixture
        """
        return TreeFlowMixture(AutoregressiveTreeFlow(order="natural", min_samples_leaf=self.least_leaf))

    @property
    def takes_numbers(self):
        """Whether the density can learn from columns of numbers: bool."""
        return getattr(self.part(), "takes_numbers", False)

    def target(self, y):
        """The target as a column.

        Parameters
        ----------
        y : array-like of shape (n_rows,)

        Returns
        -------
        y : ndarray of shape (n_rows,)
        name : object
            None if it has none.

        Raises
        ------
        ValueError
            If there is none, or it is no column.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        return column_or_1d(y, warn=True), getattr(y, "name", None)

    def learn_joint(self, domain, rows, target, weight):
        """Become the model of a domain whose last column is the target, learned from rows and their targets.

        Parameters
        ----------
        domain : Domain
        rows : Rows
            Without the target.
        target : ndarray of shape (n_rows,)
            Codes or numbers.
        weight : ndarray of shape (n_rows,), float64, or None

        Returns
        -------
        self : object
        """
        codes = rows.codes.astype(np.float64, copy=False) if domain.numeric.any() else rows.codes
        rows = Rows(with_target(codes, target), with_target(rows.observed, True))
        density, threads = learner(self.part(), "estimator"), n_threads(self.n_jobs)
        return self.take(domain, learn_density(density, rows, domain, self.random_state, threads, weight))

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        check_n_jobs(self.n_jobs)
        learner(self.part(), "estimator")

    def take(self, domain, distribution):
        """Become the fitted model of a domain whose last column is the target, and of a density over its codes.

        Parameters
        ----------
        domain : Domain
        distribution : Density

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the target is of another kind, or a number that does not come last in the order of the density.
        """
        if domain.numeric[-1] != self.of_numbers:
            raise ValueError("the last column is no target")
        if self.of_numbers and distribution.order[-1] != len(domain.columns) - 1:
            told = "must have an order in which the target comes last, as order='natural'"
            raise ParameterError(f"estimator {told}; got {self.estimator!r}", parameter="estimator")
        self.domain_, self.distribution_ = domain, distribution
        self.n_features_in_ = len(domain.columns) - 1
        if domain.names is not None and all(isinstance(name, str) for name in domain.names):
            self.feature_names_in_ = np.array(domain.names[:-1], dtype=object)
        return self

    @property
    def density_(self):
        """The fitted density of rows with their targets in the last column: estimator."""
        return part_of(self, self.part(), self.distribution_)

    @property
    def categories_(self):
        """Categories of each column of X: list of ndarray; None for numbers."""
        domain = self.domain_
        columns = zip(domain.numeric[:-1], domain.columns[:-1], strict=True)
        return [None if number else column.categories for number, column in columns]

    def __sklearn_tags__(self):
        return tell_tags(super().__sklearn_tags__(), self)


def with_target(table, target):
    """A table of codes and numbers, or of what is observed, with one more column; None of None."""
    if table is None:
        return None
    wider = np.empty((len(table), table.shape[1] + 1), dtype=table.dtype)
    wider[:, :-1] = table
    wider[:, -1] = target
    return wider


def domain_with_target(domain, column, cells, name):
    """The domain of a table with its target as one more column.

    Parameters
    ----------
    domain : Domain
    column : Column or Quantity
    cells : ndarray
        Of the dtype of the target.
    name : str
        Of the target, where columns have names.
    """
    columns = (*domain.columns, column)
    if domain.names is None:
        dtype = domain.dtypes[0] if cells.dtype.str == domain.dtypes[0] else "object"
        return replace(domain, columns=columns, dtypes=(dtype,) * len(columns))
    while name in domain.column_names:
        name += "_"
    return replace(
        domain,
        columns=columns,
        names=(*domain.names, name),
        dtypes=(*domain.dtypes, dtype_for(cells, domain.container)),
    )
