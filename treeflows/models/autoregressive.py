"""The autoregressive tree flow: each column by a tree on the columns before it, averaged over the tree's prunings."""

from functools import partial
from numbers import Integral, Real

import numpy as np

from ..densities.conditionals import Conditionals
from ..densities.mixed import MixedDensity
from ..learning.costs import cost_table
from ..learning.grown import grow
from ..learning.growth import Growth
from ..learning.multisets import n_rows
from ..learning.numbers import learn_trees_of_numbers
from ..learning.objective import Objective
from ..learning.orders import context_first, informative_order, pairwise_information
from ..learning.prunings import COST_BITS, NO_LIMIT, average
from ..machine.errors import check_number
from ..machine.progress import progress_bar
from .counted import CountedFlow
from .parameters import check_criterion, check_n_jobs, check_smoothing
from .trees import column_of_tree, tree_at, tree_beside_numbers

MOST_PAIRED = 8_000  # columns, every two of which are compared for an order
MOST_LEAVES = 200_000  # of a tree: the model of a long table stays smaller than the table


class AutoregressiveTreeFlow(CountedFlow):
    """Autoregressive tree flow: an exact, invertible probability model of a table.

    By the chain rule, log p(x) is the sum over columns of log p(x_j | columns before j). Each conditional is a tree
    that splits on "x_s = v" against the rest, or on "x_s <= v" where values have an order, wherever that tells
    most about the column, until its leaves are pure or small; then all prunings of the tree are averaged, each by its
    posterior probability, in closed form. Nothing is tuned and no rows are held out. Within each leaf the values are
    ranked by their probability, which makes the model a bijection of the domain too.

    Parameters
    ----------
    order : "evidence", "natural", "random" or array-like of int of shape (n_columns,), default="evidence"
        The order of the columns. "natural": as in the table. "evidence": that, or the order in which each next column
        shares most mutual information with those before it, whichever has more evidence; of more than 8,000 columns,
        as in the table. "random": drawn. Or a permutation of 0 .. n_columns - 1.
    criterion : "likelihood" or callable, default="likelihood"
        What a split is chosen by. "likelihood": the log-likelihood of the column. A function ``f(counts, n) -> float``:
        the cost of describing n values that have these counts (int64, one a category), compiled with Numba; the split
        of lowest cost, summed over its two sides, is taken.
    max_depth : int or None, default=None
        Bound on the depth of the trees.
    min_samples_leaf : int, default=5
        Rows that a split must leave on both sides; of more than 200,000 rows at least one in 200,000.
    prior_split : float, default=1.0
        A node that chose among m splits is split with prior probability ``prior_split / (1 + m)``, at most 0.9: the
        more there were to choose from, the less a split is believed.
    smoothing : "evidence" or float, default="evidence"
        Concentration of the leaves' Dirichlet prior: the pseudo-count of each category. "evidence" chooses it for each
        column, between 1 / (2 K) and 1/2 for K categories, by the evidence of the column's tree.
    max_features : None, "sqrt", int or float, default=None
        Columns to draw for each split, or the fraction of all columns; None takes all.
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
        Draws the order if it is random, and the columns of ``max_features``.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns are numbers, times or durations, as `TreeFlowMixture` takes it. A number is told by its own
        distribution, a smooth curve, and by trees on the first seven binary digits of the uniform number that this
        makes of it. Columns drawn by ``max_features`` are then those of codes, digits and answers to questions.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    order_ : ndarray of shape (n_columns,), int32
        The columns in order.
    trees_ : tuple of ConditionalTree
        The tree of each column; print one to read it. None of a table with numbers.
    evidence_ : ndarray of shape (n_columns,), float64
        Log-evidence of each column's tree, nats: the probability of the training column given those before it, under
        all prunings at once. It compares columns, orders and parameters without held-out rows. Of a number, that of
        its digits, and of which of the values that recur it is.
    log_evidence_ : float
        Their sum.
    concentration_ : ndarray of shape (n_columns,), float64
        Concentration of each column.
    categories_ : list of ndarray
        Categories of each column, in the order of their codes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Notes
    -----
    The average over prunings is context tree weighting (Willems, Shtarkov, Tjalkens, IEEE Transactions on Information
    Theory 41, 1995) for trees that were grown greedily.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow
    >>> rng = np.random.default_rng(0)
    >>> coin = rng.integers(0, 2, 1000)
    >>> X = np.column_stack([coin, coin, rng.integers(0, 3, 1000)])
    >>> flow = AutoregressiveTreeFlow().fit(X)
    >>> round(flow.score(X), 1)  # the second column repeats the first: log(1/2) + log(1/3)
    -1.8
    >>> print(flow.trees_[1])
    x1 given x0
    x0 = 0? (posterior 1.00)
    ├─ yes: 463 rows: 0 99.9%, 1 0.1%
    └─ no:  537 rows: 1 100.0%, 0 0.0%
    """

    distribution_: Conditionals | MixedDensity
    learns_in_passes = True

    def __init__(
        self,
        *,
        order="evidence",
        criterion="likelihood",
        max_depth=None,
        min_samples_leaf=5,
        prior_split=1.0,
        smoothing="evidence",
        max_features=None,
        categories="auto",
        missing="category",
        handle_unknown="error",
        min_frequency=None,
        max_categories=None,
        random_state=None,
        numeric="auto",
        n_jobs=None,
        verbose=0,
    ):
        self.order = order
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.prior_split = prior_split
        self.smoothing = smoothing
        self.max_features = max_features
        self.categories = categories
        self.missing = missing
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state
        self.numeric = numeric
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def takes_context(self):
        """Whether rows can be conditioned on others' columns: True."""
        return True

    @property
    def order_(self):
        """The columns in order: ndarray of shape (n_columns,), int32."""
        return self.own_columns(self.distribution_.order)

    @property
    def evidence_(self):
        """Log-evidence of each column's tree: ndarray of shape (n_columns,), float64, nats."""
        if not isinstance(self.distribution_, MixedDensity):
            return self.distribution_.evidence[: len(self.domain_.columns)]
        evidence, (trees, told_by) = np.zeros(len(self.order_)), self.told_by
        for j, places in told_by:
            evidence[j] = trees.evidence[places].sum()
        return evidence

    @property
    def log_evidence_(self):
        """The sum of `evidence_`: float, nats."""
        return float(self.evidence_.sum())

    @property
    def concentration_(self):
        """Concentration of each column: ndarray of shape (n_columns,), float64."""
        return self._of_categories().concentration[: len(self.domain_.columns)]

    @property
    def trees_(self):
        """The tree of each column, with every split that was tried: tuple of ConditionalTree."""
        names, labels, conditionals = self.all_names, self.all_labels, self._of_categories()
        order = conditionals.order.tolist()
        trees: list = [None] * len(names)
        for t, j in enumerate(order):
            trees[j] = tree_at(conditionals, t, tuple(names[s] for s in order[:t]), names, labels)
        return tuple(trees[: len(self.domain_.columns)])

    def _of_categories(self) -> Conditionals:
        if isinstance(self.distribution_, MixedDensity):
            raise AttributeError("of a table with numbers there is no such part: its trees are told by summary()")
        return self.distribution_

    @property
    def told_by(self):
        """The trees, and each column in order with the places of those that tell it: Conditionals, list of pairs."""
        of = self.distribution_
        if not isinstance(of, MixedDensity):
            return of, [(j, [t]) for t, j in enumerate(of.order.tolist()) if j < len(self.domain_.columns)]
        layout = of.layouts[0]
        ends = dict(zip(of.order.tolist(), [*layout.first[of.order[1:]], layout.first[-1]], strict=True))
        told = layout.places(False)
        own = [(j, end) for j, end in ends.items() if j < len(self.domain_.columns)]
        return of.trees[0], [(j, told[(told >= layout.first[j]) & (told < end)]) for j, end in own]

    def _tree(self, column, layer):
        self._refuse(layer=layer)
        j = column_of_tree(self.domain_, column)
        if isinstance(self.distribution_, MixedDensity):
            return tree_beside_numbers(self.distribution_, self.all_columns, self.all_names, j)
        return self.trees_[j]

    def _summary(self, column, layer, max_depth):
        self._refuse(layer=layer)
        figures, lines = tell_trees(self)
        return figures, "\n".join(lines)

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None, splitting=None, n_context=0):
        """Learn a density from codes.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns), uint8, or RowsInBlocks
        n_categories : ndarray of shape (n_columns,), int32
        rng : numpy.random.Generator
        threads : int
        n_ordered : ndarray of shape (n_columns,), int32, default=None
            How many of the first codes of each column are in an order that trees may ask by: "x <= v".
        weight : ndarray of shape (n_rows,), int32, default=None
            Rows that each row stands for; None for one each.
        splitting : ndarray of shape (n_columns,), uint8, default=None
            0 of columns whose trees stay a root; None for those of the context.
        n_context : int, default=0
            How many of the last columns are context.

        Returns
        -------
        distribution : Conditionals
        """
        grown = self._grown(codes, n_categories, rng, threads, n_ordered, weight, splitting, n_context)
        return max(map(partial(average, n_threads=threads), grown), key=_evidence)

    def learn_counts(self, codes, n_categories, rng, threads, n_ordered=None, weight=None, splitting=None, n_context=0):
        """Learn a density from codes, and keep the trees as they grew.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_columns), uint8
        n_categories : ndarray of shape (n_columns,), int32
        rng : numpy.random.Generator
        threads : int
        n_ordered, weight, splitting : ndarray, default=None
            As ``learn`` takes them.
        n_context : int, default=0
            As ``learn`` takes it.

        Returns
        -------
        counts : GrownTrees
        distribution : Conditionals
        """
        grown = self._grown(codes, n_categories, rng, threads, n_ordered, weight, splitting, n_context)
        return max(((trees, average(trees, threads)) for trees in grown), key=lambda learned: _evidence(learned[1]))

    def average_counts(self, counts, threads):
        return average(counts, threads)

    def grow_from(self, start, codes, n_categories, rng, threads, n_ordered=None):
        """Grow the trees of the columns from one on, in the order of the table.

        Parameters
        ----------
        start : int
            Number of the first column to grow a tree for.
        codes : ndarray of shape (n_rows, n_columns), uint8
        n_categories : ndarray of shape (n_columns,), int32
        rng : numpy.random.Generator
        threads : int
        n_ordered : ndarray of shape (n_columns,), int32, default=None
            As ``learn`` takes it.

        Returns
        -------
        grown : GrownTrees
        """
        which = np.arange(start, codes.shape[1], dtype=np.int32)
        return next(self._grown(codes, n_categories, rng, threads, n_ordered, None, None, which=which))

    def _grown(self, codes, n_categories, rng, threads, n_ordered, weight, splitting, n_context=0, which=None):
        """In each order that is to be tried, the trees as they grew; one order after the other."""
        n, n_columns = n_rows(codes, weight), codes.shape[1]
        cost = cost_table(n, 1, COST_BITS)
        orders = self._candidate_orders(codes, n_categories, cost, rng, threads, weight, n_context)
        if splitting is None and n_context:
            splitting = (np.arange(n_columns) < n_columns - n_context).astype(np.uint8)
        max_features = self._columns_per_split(n_columns)
        options = vars(self.growth(n)) | {
            "max_features": max_features,
            "seed": int(rng.integers(2**31)) if max_features else 0,
            "n_ordered": n_ordered,
            "weight": weight,
            "splitting": splitting,
            "which": which,
            "n_threads": threads,
        }
        with progress_bar(n_columns * len(orders), "growing trees", self.verbose) as progress:
            for i, order in enumerate(orders):
                told = partial(_tell, progress, i * n_columns)
                yield grow(codes, n_categories, order, cost, progress=told, **options)

    def growth(self, n):
        """How trees of numbers and codes grow.

        Parameters
        ----------
        n : int
            Of rows.

        Returns
        -------
        growth : Growth
        """
        return Growth(
            min_samples_leaf=max(self.min_samples_leaf, n // MOST_LEAVES),
            max_depth=NO_LIMIT if self.max_depth is None else min(self.max_depth, NO_LIMIT),
            prior_split=self.prior_split,
            smoothing=self.smoothing,
            objective=None if self.criterion == "likelihood" else Objective(self.criterion),
            max_features=self._columns_per_split,
        )

    def learn_numbers(self, values, domain, rng, threads):
        return learn_trees_of_numbers(
            values,
            domain.numeric,
            domain.n_categories,
            step=domain.step,
            bounds=domain.bounds,
            may_lack=domain.may_lack,
            order=self.order_of(values.shape[1], rng, domain.n_context),
            n_context=domain.n_context,
            growth=self.growth(len(values)),
            seed=int(rng.integers(2**31)),
            threads=threads,
        )

    def order_of(self, n_columns, rng, n_context=0):
        """The order that the parameter says, which is of the columns before the context.

        Parameters
        ----------
        n_columns : int
        rng : numpy.random.Generator
        n_context : int, default=0
            How many of the last columns are context, and come first.

        Returns
        -------
        order : ndarray of shape (n_columns,), int32, or "evidence"
            The latter where orders are to be compared.

        Raises
        ------
        ValueError
            If it is no permutation of so many columns.
        """
        n_columns -= n_context
        if isinstance(self.order, str):
            natural = context_first(np.arange(n_columns), n_context)
            if self.order == "random":
                return context_first(rng.permutation(n_columns), n_context)
            return natural if self.order == "natural" or n_columns > MOST_PAIRED else "evidence"
        order = np.asarray(self.order)
        if (
            order.shape != (n_columns,)
            or order.dtype.kind not in "iu"
            or (np.sort(order) != np.arange(n_columns)).any()
            or any(isinstance(j, (bool, np.bool_)) for j in self.order)
        ):
            raise ValueError(
                "order must be 'evidence', 'natural', 'random' or a permutation "
                f"of 0 to {n_columns - 1}, got {self.order!r}"
            )
        return context_first(order, n_context)

    def _candidate_orders(self, codes, n_categories, cost, rng, threads, weight, n_context):
        """The orders to learn; the one of most evidence is kept."""
        order = self.order_of(codes.shape[1], rng, n_context)
        if not isinstance(order, str):
            return [order]
        natural = context_first(np.arange(codes.shape[1] - n_context), n_context)
        other = informative_order(pairwise_information(codes, n_categories, cost, threads, weight), n_context)
        return [natural] if np.array_equal(natural, other) else [natural, other]

    def _columns_per_split(self, n_columns):
        """Columns to draw for each split, 0 for all."""
        if self.max_features is None:
            return 0
        if isinstance(self.max_features, str):
            return max(1, int(np.sqrt(n_columns)))
        if isinstance(self.max_features, Integral):
            return min(int(self.max_features), n_columns)
        return max(1, int(self.max_features * n_columns))

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        check_criterion(self.criterion, ["likelihood"])
        if isinstance(self.order, str) and self.order not in ("evidence", "natural", "random"):
            raise ValueError(
                f"order must be 'evidence', 'natural', 'random' or a permutation of the columns, got {self.order!r}"
            )
        if self.max_depth is not None:
            check_number(self.max_depth, "max_depth", Integral, min_val=0)
        check_number(self.min_samples_leaf, "min_samples_leaf", Integral, min_val=1, max_val=NO_LIMIT)
        check_number(self.prior_split, "prior_split", Real, min_val=0, include_boundaries="neither")
        if not np.isfinite(self.prior_split):
            raise ValueError("prior_split must be finite")
        check_smoothing(self.smoothing, "evidence")
        if isinstance(self.max_features, str):
            if self.max_features != "sqrt":
                raise ValueError(f"max_features must be None, 'sqrt', an int or a float, got {self.max_features!r}")
        elif isinstance(self.max_features, Integral):
            check_number(self.max_features, "max_features", Integral, min_val=1)
        elif self.max_features is not None:
            check_number(self.max_features, "max_features", Real, min_val=0, max_val=1, include_boundaries="right")
        check_n_jobs(self.n_jobs)


def tell_trees(flow):
    """Figures of a fitted tree flow, and lines that tell them."""
    names, evidence, (trees, told_by) = flow.domain_.column_names, flow.evidence_, flow.told_by
    leaves, n_rows = [0] * len(names), int(trees.leaf_rows[: trees.first_leaf[1]].sum())
    for j, places in told_by:
        leaves[j] = int(np.diff(trees.first_leaf)[places].sum())
    what = "the kinds and digits of the" if flow.domain_.numeric.any() else "the"
    nll = (0.0 - evidence / n_rows).tolist()
    lines = [f"columns in order: leaves of the trees, and cost of {what} {n_rows:,} rows by their evidence, nats a row"]
    lines += [f"  {names[j]}: {leaves[j]}, {nll[j]:.4f}" for j in flow.order_]
    lines.append(f"  all: {sum(leaves)}, {sum(nll):.4f}")
    return {"order": [names[j] for j in flow.order_], "leaves": leaves, "nll_by_evidence": nll}, lines


def _tell(progress, before, done):
    progress(before + done)


def _evidence(conditionals):
    return conditionals.evidence.sum()
