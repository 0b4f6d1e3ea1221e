"""The discrete tree flow: layers of tree-structured permutations over a base of independent columns."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, check_scalar

from ._domain import Domain, read_table
from ._ext.counting import Counter
from ._ext.permuting import Program
from ._growth import LikelihoodCriterion, RandomCriterion, learn_layer
from ._independent import IndependentColumns
from ._progress import track
from ._threads import n_threads

MAX_SMOOTHING = 1e12  # far beyond any use, and far from overflow


class DiscreteTreeFlow(OneToOneFeatureMixin, TransformerMixin, DensityMixin, BaseEstimator):
    """Discrete tree flow: an exact, invertible probability model of a categorical table.

    A stack of tree-structured permutations carries every row x of the domain to a row of codes z, one to one, so that
    the columns of z are as near to independent as the layers can make them; log p(x) is the log-probability of z under
    the base density, since a permutation changes no volume. Each layer is learned on the output of the one before, by
    its own training likelihood, greedily.

    Parameters
    ----------
    n_layers : int, default=10
        Layers to learn; 0 leaves the base alone.
    max_depth : int, default=4
        Depth of each layer's tree.
    criterion : {"likelihood", "random"}, default="likelihood"
        How a node is split: "likelihood" takes the split that most raises the training likelihood once both sides are
        rank-aligned (the paper's GLP); "random" draws column and category at random (RND).
    base : {"independent"}, default="independent"
        Density of the codes z.
    min_samples_split : int, default=200
        Nodes of fewer rows stay leaves.
    min_samples_leaf : int, default=1
        Rows that a split must leave on both sides.
    min_gain : float, default=0.0
        Nats per row of the training set by which a split must lower the negative log-likelihood, at least; against the
        node rank-aligned as a leaf. ``-inf`` splits without asking, as the paper does. Random splits are never asked.
    smoothing : "auto" or float, default="auto"
        Concentration of the base: the pseudo-count of each category. "auto" chooses it for each column by leave-one-out
        likelihood.
    early_stopping : bool, default=False
        Hold out a fraction of the rows, stop when their likelihood has not improved for ``n_iter_no_change`` layers,
        and keep the number of layers that was best on them.
    validation_fraction : float, default=0.1
        Fraction of rows to hold out.
    n_iter_no_change : int, default=3
        Layers without improvement after which to stop.
    categories : "auto" or list of array-like, default="auto"
        The values that each column can take. "auto": what a pandas categorical dtype declares, else what fit sees.
    random_state : int, RandomState or None, default=None
        Draws the held-out rows and the splits of ``criterion="random"``; the greedy criterion draws nothing.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    layers_ : list of TreePermutation
        The layers, first applied first; print one to read its tree.
    base_ : IndependentColumns
        Base density of the codes.
    train_score_ : ndarray of shape (n_layers + 1,)
        Mean log-likelihood of the training rows, nats, after 0, 1, ... learned layers.
    validation_score_ : ndarray of shape (n_layers + 1,) or None
        The same of the held-out rows, with early stopping. Both include layers that were learned but not kept.
    categories_ : list of ndarray
        Categories of each column, in the order of their codes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    References
    ----------
    Elkady, Lim, Inouye, "Discrete tree flows via tree-structured permutations", ICML 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import DiscreteTreeFlow
    >>> rng = np.random.default_rng(0)
    >>> coin = rng.integers(0, 2, 1000)
    >>> X = np.column_stack([coin, coin, rng.integers(0, 3, 1000)])
    >>> flow = DiscreteTreeFlow(n_layers=2).fit(X)
    >>> round(flow.score(X), 1)  # the second column repeats the first: log(1/2) + log(1/3)
    -1.8
    >>> bool((flow.inverse_transform(flow.transform(X)) == X).all())
    True
    """

    def __init__(
        self,
        n_layers=10,
        *,
        max_depth=4,
        criterion="likelihood",
        base="independent",
        min_samples_split=200,
        min_samples_leaf=1,
        min_gain=0.0,
        smoothing="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=3,
        categories="auto",
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.n_layers = n_layers
        self.max_depth = max_depth
        self.criterion = criterion
        self.base = base
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_gain = min_gain
        self.smoothing = smoothing
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.categories = categories
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn the layers and the base.

        Parameters
        ----------
        X : ndarray or pandas DataFrame of shape (n_rows, n_columns)
            Integers from 0, strings, booleans, mixed objects or categorical columns; at most 256 categories a column.
        y : None
            Ignored.

        Returns
        -------
        self : DiscreteTreeFlow

        Raises
        ------
        ValueError
            For a missing value, a number that is no category, too many categories, or a parameter out of range; the
            message names the column.
        """
        self._check_parameters()
        X = read_table(self, X, reset=True)
        domain = Domain.learn(X, self.categories)
        threads = n_threads(self.n_jobs)
        codes = domain.encode(X, threads)
        rng = check_random_state(self.random_state)
        held_out = None
        if self.early_stopping:
            codes, held_out = self._hold_out(codes, rng)
        layers, bases, train, validation = self._learn(codes, held_out, domain, rng, threads)
        kept = int(np.argmax(validation)) if self.early_stopping else len(layers)
        self._domain = domain
        self.categories_ = list(domain.categories)
        self.layers_ = layers[:kept]
        self._staged_bases = bases[: kept + 1]
        self.base_ = bases[kept]
        self.train_score_ = np.array(train)
        self.validation_score_ = np.array(validation) if self.early_stopping else None
        return self

    def _learn(self, codes, held_out, domain, rng, threads):
        """Learn layer after layer; returns the layers, the base after 0, 1, ... of them, and both score curves."""
        n_rows, n_columns = codes.shape
        if self.criterion == "random":
            criterion = RandomCriterion(rng, self.min_samples_leaf)
        else:
            criterion = LikelihoodCriterion(n_rows, n_columns, self.min_samples_leaf, self.min_gain)
        counter = Counter(codes, domain.n_categories, threads)
        counts = counter.counts[0]
        layers, bases, train, validation = [], [], [], []
        labels = domain.labels
        for t in track(range(self.n_layers + 1), "learning layers", self.verbose):
            if t > 0:
                if t > 1:
                    counter.merge(layers[-1].tables)
                    labels = domain.code_labels
                layer = learn_layer(
                    counter,
                    criterion,
                    max_depth=self.max_depth,
                    min_samples_split=self.min_samples_split,
                    names=domain.column_names,
                    labels=labels,
                )
                layers.append(layer)
                counts = layer.counts
                if held_out is not None:
                    held_out = _program([layer], domain.first_category).apply(held_out, threads)
            base = IndependentColumns.from_counts(counts, domain.first_category, self.smoothing)
            bases.append(base)
            train.append(base.mean_log_likelihood(counts))
            if held_out is not None:
                validation.append(float(base.score_samples(held_out, n_threads=threads).mean()))
                if t - int(np.argmax(validation)) >= self.n_iter_no_change:
                    break
        return layers, bases, train, validation

    def score_samples(self, X):
        """Exact log-likelihood of each row.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)

        Returns
        -------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        codes, threads = self._encode(X)
        return self.base_.score_samples(codes, self._forward(), threads)

    def score(self, X, y=None):
        """Mean log-likelihood of rows.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        y : None
            Ignored.

        Returns
        -------
        log_likelihood : float
            Nats per row.
        """
        return float(self.score_samples(X).mean())

    def staged_score_samples(self, X):
        """Log-likelihood of each row after 0, 1, ... layers, each with the base fitted at that stage.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)

        Yields
        ------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats.
        """
        codes, threads = self._encode(X)
        for t, base in enumerate(self._staged_bases):
            if t > 0:
                codes = _program([self.layers_[t - 1]], self._domain.first_category).apply(codes, threads)
            yield base.score_samples(codes, n_threads=threads)

    def transform(self, X):
        """Codes z of each row: the layers' image of it.

        Parameters
        ----------
        X : ndarray or DataFrame of shape (n_rows, n_columns)

        Returns
        -------
        Z : ndarray of shape (n_rows, n_columns), uint8
            Within a column, a low code is a rare value of its context and a high code a common one.
        """
        codes, threads = self._encode(X)
        return self._forward().apply(codes, threads)

    def inverse_transform(self, Z):
        """Rows that have the codes ``Z``.

        Parameters
        ----------
        Z : array-like of int of shape (n_rows, n_columns)
            Any codes of the domain, not only those of data.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_rows, n_columns)
            In the container and dtypes that fit saw.

        Raises
        ------
        ValueError
            For a code outside the domain; the message names the column.
        """
        check_is_fitted(self)
        return self._decode(self._domain.check_codes(Z), n_threads(self.n_jobs))

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None
            None continues with the estimator's own ``random_state``: the same rows on every call if that is an int.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_columns)
            In the container and dtypes that fit saw.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=0)
        seed = check_random_state(self.random_state if random_state is None else random_state)
        rng = np.random.Generator(np.random.PCG64(seed.randint(0, 2**32, size=4, dtype=np.uint32)))
        threads = n_threads(self.n_jobs)
        return self._decode(self.base_.sample(n_samples, rng, threads), threads)

    def _encode(self, X):
        check_is_fitted(self)
        X = read_table(self, X, reset=False)
        threads = n_threads(self.n_jobs)
        return self._domain.encode(X, threads), threads

    def _decode(self, z, threads):
        inverse = Program(
            [(t.column, t.children, t.output_sets, t.inverse_tables()) for t in reversed(self.layers_)],
            self._domain.first_category,
        )
        return self._domain.decode(inverse.apply(z, threads))

    def _forward(self):
        return _program(self.layers_, self._domain.first_category)

    def _hold_out(self, codes, rng):
        n_held_out = max(1, round(self.validation_fraction * len(codes)))
        if n_held_out >= len(codes):
            raise ValueError(
                f"early_stopping would hold out {n_held_out} row(s) of n_samples={len(codes)} and leave none to learn"
            )
        order = rng.permutation(len(codes))
        return codes[order[n_held_out:]], codes[order[:n_held_out]]

    def _check_parameters(self):
        check_scalar(self.n_layers, "n_layers", Integral, min_val=0)
        check_scalar(self.max_depth, "max_depth", Integral, min_val=0)
        check_scalar(self.min_samples_split, "min_samples_split", Integral, min_val=2)
        check_scalar(self.min_samples_leaf, "min_samples_leaf", Integral, min_val=1)
        check_scalar(self.min_gain, "min_gain", Real)
        if np.isnan(self.min_gain):
            raise ValueError("min_gain must not be NaN")
        if self.n_jobs is not None:
            check_scalar(self.n_jobs, "n_jobs", Integral)
        check_scalar(
            self.validation_fraction, "validation_fraction", Real, min_val=0, max_val=1, include_boundaries="neither"
        )
        check_scalar(self.n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
        if self.criterion not in ("likelihood", "random"):
            raise ValueError(f"criterion must be 'likelihood' or 'random', got {self.criterion!r}")
        if self.base != "independent":
            raise ValueError(f"base must be 'independent', got {self.base!r}")
        if not (isinstance(self.smoothing, str) and self.smoothing == "auto"):
            check_scalar(self.smoothing, "smoothing", Real)
            if not 0 < self.smoothing <= MAX_SMOOTHING:
                raise ValueError(f"smoothing must be 'auto' or above 0 and at most {MAX_SMOOTHING:g}")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _program(layers, first_category):
    return Program([(t.column, t.children, t.input_sets, t.tables) for t in layers], first_category)
