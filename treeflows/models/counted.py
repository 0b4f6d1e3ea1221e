"""Models that go on counting rows after their structure is learned."""

from functools import cached_property
from types import MethodType
from typing import Any

import numpy as np

from ..learning.rows import MOST_ROWS, check_weight
from ..machine.errors import TableError
from ..machine.threads import n_threads
from ..tables.packed import as_packed
from .base import CategoricalFlow, check_model, learn_from_codes, read_to_learn, weighed


class _UnlessFitOtherwise:
    """A method that a model which was fitted, and keeps no counts, does not have: to start anew would lose its rows."""

    def __init__(self, method):
        self.method = method

    def __get__(self, model, owner=None):
        if model is None:
            return self.method
        if hasattr(model, "domain_") and not model.keeps_counts:
            raise AttributeError(_keeps_none(model))
        return MethodType(self.method, model)


def _keeps_none(model):
    return (
        f"this {type(model).__name__} keeps no counts to go on from: fit and files do not keep them. Learn the first "
        "rows by partial_fit, of a clone of this model, and keep it by pickle"
    )


def _when_asked(make) -> Any:
    """An attribute that is made when it is first asked for, unless it was set."""
    return cached_property(make)


class CountedFlow(CategoricalFlow):
    """Base class of the models that ``partial_fit`` too.

    A model says ``learn_counts`` and ``average_counts`` besides what `CategoricalDensity` asks for.
    """

    _counts = None  # what partial_fit goes on from; not there after fit, whose models are small

    @_when_asked
    def distribution_(self):
        """What was learned, over codes: Density. After rows were counted it is made when it is first asked for."""
        if self._counts is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return self.average_counts(self._counts, n_threads(self.n_jobs))

    def take(self, domain, distribution, context=None):
        self._counts = None
        return super().take(domain, distribution, context)

    def take_counts(self, domain, counts):
        """Become the fitted model of a domain and of what `learn_counts` counted in it, which can go on.

        Parameters
        ----------
        domain : Domain
        counts : object

        Returns
        -------
        self : object
        """
        self.take(domain, self.average_counts(counts, n_threads(self.n_jobs)))
        self._counts = counts
        return self

    @property
    def keeps_counts(self):
        """Whether rows were counted, so that `partial_fit` goes on and `refit_counts` has a structure: bool."""
        return self._counts is not None

    @_UnlessFitOtherwise
    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from the first rows as ``fit`` does, and count all later ones.

        The first call fixes what is structure: the domain, the order of the columns and what the trees ask; of a
        `TreeFlowMixture` also shares, exponents, regressions and network. Every later call counts its rows in all nodes
        of all trees; the prunings are averaged anew when the model is next asked something, and the concentrations
        chosen anew. The hidden column of a mixture takes one step of EM from where the
        first call left it, by all rows so far. Later rows give the same model, byte for byte, in any order and however
        they are split among calls. What the first call did not see in its rows no later one can learn: give it many,
        and rows like those to come.

        ``fit`` does not keep what is needed to go on (the trees before their prunings are averaged, which may be
        a hundred times as large), and neither do files: ``partial_fit`` goes on after ``partial_fit``, in this process
        or in a pickle. A model that was fitted otherwise has no ``partial_fit``: `keeps_counts` is False, and to start
        anew would lose its rows. ``fit`` forgets what was counted.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns), PackedTable or path of one
            Categories, as `fit` takes them. Declare by ``categories=`` what the first rows may lack, or set
            ``handle_unknown="reserve"``. Under ``missing="marginalize"`` the first rows alone may have missing cells.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for; after the first call whole numbers.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As `fit` does; for a table with numbers; for a value outside the domain of the first call; from 2**31 rows
            on. The model is then what it was.
        AttributeError
            Of a model that was fitted otherwise.

        Examples
        --------
        >>> import numpy as np
        >>> from treeflows import AutoregressiveTreeFlow
        >>> coin = np.random.default_rng(0).integers(0, 2, 3000)
        >>> X = np.column_stack([coin, 1 - coin])
        >>> flow = AutoregressiveTreeFlow().partial_fit(X[:1000])
        >>> for start in (1000, 2000):
        ...     flow = flow.partial_fit(X[start : start + 1000])
        >>> print(flow.trees_[1])
        x1 given x0
        x0 = 0? (posterior 1.00)
        ├─ yes: 1,513 rows: 0 0.0%, 1 100.0%
        └─ no:  1,487 rows: 0 100.0%, 1 0.0%
        """
        if self._counts is not None:
            return self._count(self._counts, X, sample_weight)
        check_model(self)
        domain, rows, weight = read_to_learn(self, X, sample_weight, counted=True)
        if domain.numeric.any():
            name = domain.column_names[int(np.flatnonzero(domain.numeric)[0])]
            told = f"partial_fit counts categories, and column {name!r} holds numbers"
            raise TableError(f"{told}: bin them, or fit all rows at once", column=name)
        threads = n_threads(self.n_jobs)
        counts, distribution = learn_from_codes(self.learn_counts, rows, domain, self.random_state, threads, weight)
        self.take(domain, distribution)
        self._counts = counts
        return self

    def refit_counts(self, X, sample_weight=None):
        """Count other rows in place of those so far: the structure stays, its numbers are those of ``X`` alone.

        Trees that were grown on some rows and counted on others are honest (Wager, Athey, Journal of the American
        Statistical Association 113, 2018): no split was chosen for the rows that say what is on its sides, so leaves
        are not too sure of themselves, and ``evidence_`` is what trees that were fixed beforehand say of new rows. Half
        of the rows have seen the structure, half the numbers: where rows are few, all of them in ``fit`` tell more.
        It also moves a structure to another population, of which there are too few rows to grow trees on.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Rows as `partial_fit` takes them after the first call.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for, whole numbers.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As `partial_fit` does, after whose first call alone there is a structure to count in.
        """
        if self._counts is None:
            raise ValueError(_keeps_none(self))
        return self._count(self._counts.emptied(), X, sample_weight)

    def learn_counts(self, codes, n_categories, rng, threads, n_ordered=None, weight=None):
        """Learn a density from codes, and keep what can be counted on.

        Parameters are those of ``learn``.

        Returns
        -------
        counts : object
            With ``n_rows``, ``counted(codes, weight, threads)`` and ``emptied()``, as ``GrownTrees`` has them.
        distribution : Density
            What ``learn`` makes of the same rows.
        """
        raise NotImplementedError

    def average_counts(self, counts, threads):
        """The density that counts make.

        Parameters
        ----------
        counts : object
            As `learn_counts` has them.
        threads : int

        Returns
        -------
        distribution : Density
        """
        raise NotImplementedError

    def _count(self, counts, X, sample_weight):
        packed = as_packed(X)
        if packed is None:
            table, weight = weighed(self.table_of(X), sample_weight)
            n, blocks = table.n_rows, iter([self._rows(table, None, infer=False)])
        else:
            n, weight, blocks = packed.n_rows, check_weight(sample_weight, packed.n_rows), self.read_blocks(packed)
        if weight is not None:
            fractions = weight != np.floor(weight)
            if fractions.any():
                told = f"sample_weight holds {weight[fractions][0]}; after the first call weights are whole numbers"
                raise ValueError(f"{told}, so that any chunks give the same counts")
            n, weight = int(weight.sum()), weight.astype(np.int32)
        if counts.n_rows + n > MOST_ROWS:
            told = f"{counts.n_rows + n:,} rows with those before; at most {MOST_ROWS:,} can be counted"
            raise ValueError(told)
        at = 0
        for rows in blocks:
            codes = self.whole(rows)
            of_block = None if weight is None else weight[at : at + len(codes)]
            counts = counts.counted(codes, of_block, n_threads(self.n_jobs))
            at += len(codes)
        self.__dict__.pop("distribution_", None)
        self._counts = counts
        return self
