"""The discrete tree flow: layers of tree-structured permutations over a base density."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

from ..densities.independent import IndependentColumns
from ..densities.layered import Layered, program
from ..densities.other import OtherDensity
from ..learning.counters import CounterByGroup, counter_of
from ..learning.layers import (
    RandomCriterion,
    learn_layer,
    learn_layer_by_group,
    likelihood_criterion,
    objective_criterion,
)
from ..learning.multisets import distinct, hold_out, n_rows
from ..learning.objective import Objective
from ..machine.errors import ParameterError, TableError, check_number
from ..machine.progress import progress_bar
from ..machine.threads import n_threads
from .autoregressive import AutoregressiveTreeFlow
from .base import CategoricalFlow, learner
from .parameters import check_criterion, check_n_jobs, check_smoothing
from .questions import log_likelihood, warn_of_estimates


class DiscreteTreeFlow(CategoricalFlow):
    """Discrete tree flow: an exact, invertible probability model of a table of categories.

    A stack of tree-structured permutations carries every row x of the domain to a row of codes z, one to one, so that
    the columns of z are as near to independent as the layers can make them; log p(x) is the log-probability of z under
    the base density, since a permutation changes no volume. Each layer is learned on the output of the one before, by
    its own training likelihood, greedily.

    Given a group of each row (``context=`` one column of categories; base "independent" alone) all groups share the
    trees, which are grown as if there were none, and each is ranked by its own counts: the k-th rarest value of a leaf
    goes to the same place in every group. So groups have codes of about the same distribution, the base, and the row
    of one group that has the codes of one of another is ``inverse_transform(transform(X, a), b)``.

    Parameters
    ----------
    n_layers : int, default=10
        Layers to learn; 0 leaves the base alone.
    max_depth : int, default=4
        Depth of each layer's tree.
    criterion : "likelihood", "random" or callable, default="likelihood"
        How a node is split: "likelihood" takes the split that most raises the training likelihood once both sides are
        rank-aligned (the paper's GLP); "random" draws column and category at random (RND). A function
        ``f(counts, n) -> float``: the cost of describing n values of a column that have these counts (int64, one a
        category), compiled with Numba; the split of lowest cost, summed over columns, is taken.
    base : "independent", "tree" or estimator, default="independent"
        Density of the codes z: independent columns (the paper's), an `AutoregressiveTreeFlow`, or any unfitted
        estimator with ``fit``, ``score_samples`` and ``sample`` on arrays of codes. It is fitted anew after every
        layer, so that the scores of all stages, and early stopping, are those of this base.
    min_samples_split : int, default=200
        Nodes of fewer rows stay leaves.
    min_samples_leaf : int, default=1
        Rows that a split must leave on both sides.
    min_gain : float, default=0.0
        Nats (of a criterion of your own, its units) per row of the training set by which a split must lower the cost,
        at least; against the node rank-aligned as a leaf. ``-inf`` splits without asking, as the paper does. Random
        splits are never asked.
    smoothing : "auto" or float, default="auto"
        Concentration of the independent base: the pseudo-count of each category. "auto" chooses it for each column by
        leave-one-out likelihood.
    early_stopping : bool, default=False
        Hold out a fraction of the rows, stop when their likelihood has not improved for ``n_iter_no_change`` layers,
        and keep the number of layers that was best on them.
    validation_fraction : float, default=0.1
        Fraction of rows to hold out.
    n_iter_no_change : int, default=3
        Layers without improvement after which to stop.
    categories : "auto" or list of array-like, default="auto"
        The values that each column can take. "auto": what a pandas categorical dtype declares, else what fit sees.
    missing : "category", "marginalize" or "error", default="category"
        "category": a missing cell is a value of its own where fit saw one. "marginalize": it is unknown; fit draws it
        given the rest of the row, and the likelihood of a row is that of its observed cells. "error": it is refused.
    handle_unknown : "error" or "reserve", default="error"
        "reserve": each column has room for one more value, which all unseen ones count as; its probability is what the
        evidence says of a value that never occurred.
    min_frequency : int or float, default=None
        Values that occur less often (an int: in fewer rows; a float: in a smaller fraction of the rows) are grouped.
        A group's probability is shared out by the frequencies of its values.
    max_categories : int, default=None
        The rarest values of a column are grouped so that its values have at most so many codes, that of the group
        included.
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
    base_ : IndependentColumns or a fitted estimator
        Base density of the codes.
    train_score_ : ndarray of shape (n_layers + 1,)
        Mean log-likelihood of the training rows, nats, after 0, 1, ... learned layers. It is that of their codes: the
        share that a value has of its group, the same after any number of layers, is left out.
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

    distribution_: Layered

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
        missing="category",
        handle_unknown="error",
        min_frequency=None,
        max_categories=None,
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
        self.missing = missing
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def takes_context(self):
        """Whether groups may be told apart, which an independent base does not: bool."""
        return isinstance(self.base, str) and self.base == "independent"

    @property
    def layers_(self):
        """The layers, first applied first: list of TreePermutation."""
        labels = self.domain_.of_codes.labels  # what a flow has permuted goes by its codes
        of_later = labels + self.all_labels[len(labels) :]
        return [
            replace(layer, names=self.all_names, labels=of_later if t else self.all_labels)
            for t, layer in enumerate(self.distribution_.layers)
        ]

    @property
    def base_(self):
        """Base density of the codes: IndependentColumns or a fitted estimator."""
        base = self.distribution_.bases[-1]
        if isinstance(base, IndependentColumns):
            return base.first(len(self.domain_.columns))
        if isinstance(base, OtherDensity):
            return base.estimator
        return clone(self._base()).take(self.domain_.of_codes, base)

    @property
    def train_score_(self):
        """Mean log-likelihood of the training rows by layers: ndarray of shape (n_layers + 1,), nats."""
        return self.distribution_.train_score

    @property
    def validation_score_(self):
        """Mean log-likelihood of the held-out rows by layers: ndarray of shape (n_layers + 1,) or None, nats."""
        return self.distribution_.validation_score

    def _tree(self, column, layer):
        self._refuse(column=column)
        n_layers = len(self.distribution_.layers)
        if layer not in range(1, n_layers + 1):
            told = f"layer must be one of the model's layers 1 to {n_layers}, got {layer!r}"
            raise ParameterError(told, parameter="layer", value=layer)
        return self.layers_[int(layer) - 1]

    def _likelihood_curves(self, X):
        curves = {"training rows": -self.train_score_}
        if self.validation_score_ is not None:
            curves["validation rows"] = -self.validation_score_
        if X is not None:
            scores = self.distribution_.staged_score(self.whole_codes(X), n_threads(self.n_jobs))
            curves["rows given"] = np.array([-score.mean() for score in scores])  # of codes, as the others are
        return {what: (np.arange(len(nll)), nll) for what, nll in curves.items()}, "layers", len(self.layers_)

    def _summary(self, column, layer, max_depth):
        self._refuse(column=column)
        n_layers, shown = len(self.layers_), 1 if layer is None else layer
        leaves, nll = [layer.n_leaves for layer in self.layers_], [-s for s in self.train_score_[: n_layers + 1]]
        lines = ["layers: negative log-likelihood, nats per training row", f"  0: {nll[0]:.4f}, the base alone"]
        lines += [f"  {t}: {nll[t]:.4f}, leaves: {leaves[t - 1]}" for t in range(1, n_layers + 1)]
        if n_layers or layer is not None:
            lines.append(f"\nlayer {shown}: {self.tree(layer=shown).to_text(max_depth)}")
        return {"layers": n_layers, "leaves": leaves, "nll": nll}, "\n".join(lines)

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None, n_context=0):
        if n_context > 1:
            told = f"a {type(self).__name__} takes one column of context, the group of each row, got {n_context}"
            raise TableError(f"{told}: join them into one")
        held_out, (codes, weight) = None, distinct(codes, weight)
        if self.early_stopping:
            held_out, codes, weight = self._hold_out(codes, weight, rng)
        learned = self._learn_layers(codes, weight, held_out, n_categories, n_context, rng, threads)
        layers, bases, train, validation = learned
        kept = int(np.argmax(validation)) if self.early_stopping else len(layers)
        return Layered(
            n_categories,
            tuple(layers[:kept]),
            tuple(bases[: kept + 1]),
            np.array(train),
            np.array(validation) if self.early_stopping else None,
        )

    def _learn_layers(self, codes, weight, held_out, n_categories, n_context, rng, threads):
        """Learn layer after layer; returns the layers, the base after 0, 1, ... of them, and both score curves."""
        n, n_told = n_rows(codes, weight), codes.shape[1] - n_context
        criterion = self._make_criterion(n, n_told, rng)
        if n_context:
            counter, learn_next = CounterByGroup(codes, n_categories, threads, weight), learn_layer_by_group
            counts = np.concatenate([counter.counts[0], [group.cell_rows.sum() for group in counter.groups]])
        else:
            counter, learn_next = counter_of(codes, n_categories, threads, weight), learn_layer
            counts = counter.counts[0]
        layers, bases, train, validation = [], [], [], []
        independent = isinstance(self.base, str) and self.base == "independent"
        base_learner = None if independent else learner(self._base(), "base")
        with progress_bar(self.n_layers, "learning layers", self.verbose) as progress:
            for t in range(self.n_layers + 1):
                if t > 0:
                    if t > 1:
                        counter.merge(layers[-1].tables)
                    layer = learn_next(
                        counter, criterion, max_depth=self.max_depth, min_samples_split=self.min_samples_split
                    )
                    layers.append(layer)
                    counts = layer.counts
                    moved = program([layer], layer.first_category)
                    if held_out is not None:
                        held_out = moved.apply(held_out, threads)
                    if not independent:
                        codes = moved.apply(codes, threads)
                if base_learner is None:
                    base = IndependentColumns.from_counts(counts, n_categories, self.smoothing)
                    train.append(base.first(n_told).mean_log_likelihood(counts))
                else:
                    base = base_learner.learn(codes, n_categories, rng.spawn(1)[0], threads, None, weight)
                    train.append(float((weight * base.score(codes, threads)).sum() / n))
                bases.append(base)
                progress(t)
                if held_out is not None:
                    told = base.first(n_told) if n_context else base
                    validation.append(float(told.score(np.ascontiguousarray(held_out[:, :n_told]), threads).mean()))
                    if t - int(np.argmax(validation)) >= self.n_iter_no_change:
                        break
        return layers, bases, train, validation

    def _make_criterion(self, n_rows, n_columns, rng):
        if callable(self.criterion):
            return objective_criterion(Objective(self.criterion), n_rows, self.min_samples_leaf, self.min_gain)
        if self.criterion == "random":
            return RandomCriterion(rng, self.min_samples_leaf)
        return likelihood_criterion(n_rows, n_columns, self.min_samples_leaf, self.min_gain)

    def _base(self):
        return AutoregressiveTreeFlow() if isinstance(self.base, str) else self.base

    def staged_score_samples(self, X, context=None):
        """Log-likelihood of each row after 0, 1, ... layers, each with the base fitted at that stage.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,), default=None
            Of a model that was fitted to one.

        Yields
        ------
        log_likelihood : ndarray of shape (n_rows,), float64
            Nats; the last is what `score_samples` says. Under ``missing="marginalize"`` that of the observed cells.

        Raises
        ------
        ValueError
            For a value outside the fitted domain; the message names column and value.
        """
        rows, threads = self.read(X, context), n_threads(self.n_jobs)
        density = self.distribution_
        if rows.observed is None:
            for scores in density.staged_score(rows.codes, threads):
                yield scores + rows.log_share
            return
        for n_layers in range(len(density.layers) + 1):
            scores, error = log_likelihood(density.first(n_layers), rows, threads)
            warn_of_estimates(error, density.n_draws[0])
            yield scores

    def _hold_out(self, codes, weight, rng):
        n = n_rows(codes, weight)
        n_held_out = max(1, round(self.validation_fraction * n))
        if n_held_out >= n:
            told = f"would hold out {n_held_out} row(s) of n_samples={n} and leave none to learn"
            raise ParameterError(f"early_stopping {told}", parameter="early_stopping", value=True)
        return hold_out(codes, weight, n_held_out, rng)

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        check_number(self.n_layers, "n_layers", Integral, min_val=0)
        check_number(self.max_depth, "max_depth", Integral, min_val=0)
        check_number(self.min_samples_split, "min_samples_split", Integral, min_val=2)
        check_number(self.min_samples_leaf, "min_samples_leaf", Integral, min_val=1)
        check_number(self.min_gain, "min_gain", Real)
        if np.isnan(self.min_gain):
            raise ValueError("min_gain must not be NaN")
        check_n_jobs(self.n_jobs)
        check_number(
            self.validation_fraction, "validation_fraction", Real, min_val=0, max_val=1, include_boundaries="neither"
        )
        check_number(self.n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
        check_criterion(self.criterion, ["likelihood", "random"])
        if not isinstance(self.base, str):
            learner(self.base, "base")
        elif self.base not in ("independent", "tree"):
            raise ValueError(f"base must be 'independent', 'tree' or an estimator, got {self.base!r}")
        check_smoothing(self.smoothing, "auto")
