"""Groups of rows of numbers brought to one distribution by local steps."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..learning.multisets import by_hash
from ..learning.sliced import learn_alignment
from ..machine.draws import generator
from ..machine.errors import TableError, check_number
from ..tables.containers import dtype_for, make_table, read_table
from ..tables.contexts import encode_context, learn_context, read_context
from ..tables.policy import TablePolicy

LARGEST = 1e150  # number that is read: of larger ones differences and slopes are none
FEWEST_ROWS = 10  # of a group
DIRECTIONS = 8  # of a step, at most


class SlicedAligner(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Rows of numbers of all groups as rows of one distribution, by local steps without a model of any group.

    Iterative alignment flows: each step looks for the directions along which the groups, as they are after the steps
    before, differ most, and moves every group along these to the group's mean with the others, the barycentre of their
    distributions there. What `transform` returns of the groups is alike, as far as the steps went; `inverse_transform`
    leads from there back to a group, the row's own or another one's, so both together translate between groups. Rows
    that are held out say how many steps that takes.

    Unlike `Aligner` it learns no density and has no noise: each group's map is one to one and continuous, and takes
    milliseconds. It leaves more of what tells the groups apart, and takes numbers alone; whole numbers, and values that
    recur, become others in between.

    Parameters
    ----------
    n_layers : int, default=100
        Steps to learn at most.
    n_directions : int or None, default=None
        Directions of a step; None is one for each column and at most 8.
    validation_fraction : float, default=0.2
        Fraction of each group's rows to hold out.
    n_iter_no_change : int, default=5
        Steps that bring held-out rows no nearer, in a row, after which to stop. Such steps are not kept.
    random_state : int, RandomState or None, default=None
        Draws the held-out rows, and where the search for directions starts.

    Attributes
    ----------
    n_layers_ : int
        Steps that were kept.
    validation_distance_ : ndarray of shape (n_kept, 2), float64
        How far the groups of held-out rows were from their barycentre along the directions of each step, before it and
        after: a sliced Wasserstein distance, in standard deviations.
    n_groups_ : int
        Groups that fit saw.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Notes
    -----
    Columns become normal scores first, the same for all groups, so that units and outliers do not matter. The first
    step takes the groups for normal distributions and moves them to the barycentre of these, the others are along
    directions. In barycentres each group counts as it has rows. A step is kept if held-out rows are nearer after it
    than before, along its directions; the first, along random ones. Columns that are constant stay as they are.

    References
    ----------
    Zhou, Gong, Ravikumar, Inouye, "Iterative Alignment Flows", AISTATS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import SlicedAligner
    >>> rng = np.random.default_rng(0)
    >>> lab = rng.choice(["north", "south"], 2000)
    >>> X = rng.standard_normal((2000, 2))
    >>> X[lab == "south"] = X[lab == "south"] @ [[1, 2], [0, 1]] + 5
    >>> aligner = SlicedAligner(random_state=0).fit(X, context=lab)
    >>> Z = aligner.transform(X, context=lab)
    >>> [round(float(Z[lab == each].mean()), 1) for each in ("north", "south")]
    [2.5, 2.5]
    >>> bool(abs(aligner.inverse_transform(Z, context=lab) - X).max() < 1e-9)
    True
    >>> south = aligner.inverse_transform(Z[lab == "north"], context=["south"] * (lab == "north").sum())
    >>> round(float(np.corrcoef(south.T)[0, 1]), 1)  # as that of the south
    0.9
    """

    def __init__(
        self, n_layers=100, n_directions=None, *, validation_fraction=0.2, n_iter_no_change=5, random_state=None
    ):
        self.n_layers = n_layers
        self.n_directions = n_directions
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    def fit(self, X, y=None, context=None):
        """Learn how each group is brought to all.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            Finite numbers.
        y : None
            Ignored.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
            The group of each row.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            Without a context.
        ValueError
            For a cell that is missing, infinite or no number, a single group, a group of fewer than 10 rows, or a
            parameter out of range.
        """
        self._check_parameters()
        if context is None:
            raise TypeError("SlicedAligner requires context to be passed: the group of each row")
        x = self._numbers(X, reset=True)[1] + 0.0  # one zero
        told = read_context(context, len(x))
        self._context = learn_context(told, None, TablePolicy())
        self._groups, group, counts = np.unique(
            encode_context(self._context, told), axis=0, return_inverse=True, return_counts=True
        )
        self.n_groups_ = len(counts)
        self._check_groups(counts)
        self._varies = x.min(axis=0) < x.max(axis=0)
        self._learn(x[:, self._varies], group.ravel())
        return self

    def fit_transform(self, X, y=None, context=None):
        """Learn from rows, and align them.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        y : None
            Ignored.
        context : array-like of shape (n_rows,) or (n_rows, n_context), series or dataframe
            As `fit` takes it.

        Returns
        -------
        Z : array or dataframe of shape (n_rows, n_columns)
        """
        return self.fit(X, context=context).transform(X, context)

    def transform(self, X, context=None):
        """Rows of groups as rows of all.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context)
            The group of each row.

        Returns
        -------
        Z : array or dataframe of shape (n_rows, n_columns)
            Numbers in the units of the columns, float64; in the container that was given.

        Raises
        ------
        ValueError
            For a cell that is missing, infinite or no number, and a group that fit did not see.
        """
        return self._moved(X, context, inverse=False)

    def inverse_transform(self, Z, context=None):
        """Rows of all groups as rows of one each.

        Parameters
        ----------
        Z : array or dataframe of shape (n_rows, n_columns)
            As `transform` returns them.
        context : array-like of shape (n_rows,) or (n_rows, n_context)
            The group that each row shall be of: its own for the row that it was, another one to translate it.

        Returns
        -------
        X : array or dataframe of shape (n_rows, n_columns)
            Numbers in the units of the columns, float64; in the container that was given.

        Raises
        ------
        ValueError
            As `transform`.
        """
        return self._moved(Z, context, inverse=True)

    @property
    def n_layers_(self):
        """Steps that were kept: int."""
        return len(self.validation_distance_)

    def _check_parameters(self):
        for name in ("n_layers", "n_iter_no_change"):
            check_number(getattr(self, name), name, Integral, min_val=1)
        if self.n_directions is not None:
            check_number(self.n_directions, "n_directions", Integral, min_val=1)
        check_number(
            self.validation_fraction, "validation_fraction", Real, min_val=0, max_val=1, include_boundaries="neither"
        )

    def _check_groups(self, counts):
        fewest = int(counts.argmin())
        named = self._name_of(self._groups[fewest])
        if len(counts) < 2:
            raise TableError(f"context has one group, {named}, and it takes two to be brought together")
        if counts[fewest] < FEWEST_ROWS:
            told = f"context has {counts[fewest]} row(s) of the group {named}, and {FEWEST_ROWS} are needed"
            raise TableError(f"{told}: leave it out, or take it together with another")

    def _name_of(self, codes):
        """A group by its codes, to print."""
        named = self._context.decode(codes[None])
        cells = np.asarray(named, dtype=object).ravel().tolist()
        return repr(cells[0] if len(cells) == 1 else tuple(cells))

    def _numbers(self, X, reset=False):
        """A table, and its numbers: ndarray of shape (n_rows, n_columns), float64."""
        table = read_table(self, X, reset=reset)
        x = np.empty((table.n_rows, len(table.dtypes)))
        for j in range(x.shape[1]):
            cells, missing = table.numbers(j)
            if missing is not None:
                row = int(np.flatnonzero(missing)[0])
                told = f"{table.column(j)} is missing (NaN) at row {row}, and rows are moved whole"
                remedy = "leave the row out, or fill it in by TreeFlowMixture().fit(X).impute(X)"
                raise TableError(f"{told}: {remedy}", column=table.label(j), row=row)
            if cells.dtype.kind not in "iuf":
                told = f"{table.column(j)} holds {cells[0]!r}, and numbers alone are moved"
                remedy = "leave the column out, or take an Aligner, which takes any"
                raise TableError(f"{told}: {remedy}", column=table.label(j), value=cells[0])
            x[:, j] = cells
            for row in np.flatnonzero(np.abs(x[:, j]) > LARGEST)[:1].tolist():
                told = (
                    f"{table.column(j)} has the value {x[row, j]:g} at row {row}, and numbers larger than {LARGEST:g}"
                )
                raise TableError(f"{told} are not moved: change the unit", column=table.label(j), row=row)
        return table, x

    def _learn(self, x, group):
        rng, parts = generator(self.random_state), []
        for g in range(self.n_groups_):
            part = np.ascontiguousarray(x[group == g])
            part = part[by_hash(part.view(np.uint8))] if part.shape[1] else part  # whatever order they came in
            parts.append(part[rng.permutation(len(part))])
        self._alignment, self.validation_distance_ = learn_alignment(
            parts,
            self.validation_fraction,
            self.n_layers,
            min(DIRECTIONS, x.shape[1]) if self.n_directions is None else self.n_directions,
            self.n_iter_no_change,
            rng,
        )

    def _moved(self, X, context, inverse):
        check_is_fitted(self)
        table, x = self._numbers(X)
        group = self._groups_of(context, len(x))
        move = self._alignment.backward if inverse else self._alignment.forward
        x[:, self._varies] = move(x[:, self._varies], group)
        dtypes = (dtype_for(x, table.container) if table.names else x.dtype.str,) * x.shape[1]
        each = np.arange(len(x))
        return make_table(table.container, table.names, dtypes, ((column, each) for column in x.T), table.index)

    def _groups_of(self, context, n_rows):
        """Numbers of the groups of rows: ndarray of shape (n_rows,), int."""
        if context is None:
            raise TypeError("context must be given: the group of each row")
        try:
            codes = encode_context(self._context, read_context(context, n_rows))
        except TableError as error:  # which names parameters of models
            raise TableError(error.message, column=error.column, row=error.row, value=error.value) from None
        codes, place = np.unique(codes, axis=0, return_inverse=True)
        known = {tuple(row): g for g, row in enumerate(self._groups.tolist())}
        found = [known.get(tuple(row), -1) for row in codes.tolist()]
        if -1 in found:
            raise TableError(f"context has a group that fit did not see: {self._name_of(codes[found.index(-1)])}")
        return np.array(found)[place.ravel()]
