"""The autoregressive tree flow: each column by a tree on the columns before it, averaged over the tree's prunings."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_scalar

from ._base import CategoricalFlow, check_criterion, check_n_jobs, check_smoothing
from ._conditionals import COST_BITS, NO_LIMIT, learn_conditionals
from ._density import OrderedDensity
from ._growth import cost_table
from ._objective import Objective
from ._orders import informative_order, pairwise_information
from ._progress import progress_bar
from ._tree import draw_tree


class AutoregressiveTreeFlow(OrderedDensity, CategoricalFlow):
    """Autoregressive tree flow: an exact, invertible probability model of a categorical table.

    By the chain rule, log p(x) is the sum over columns of log p(x_j | columns before j). Each conditional is a tree
    that splits on "x_s = v" against the rest, wherever that tells most about the column, until its leaves are pure or
    small; then all prunings of the tree are averaged, each by its posterior probability, in closed form. Nothing is
    tuned and no rows are held out. Within each leaf the values are ranked by their probability, which makes the model a
    bijection of the domain too.

    Parameters
    ----------
    order : "evidence", "natural", "random" or array-like of int of shape (n_columns,), default="evidence"
        The order of the columns. "natural": as in the table. "evidence": that, or the order in which each next column
        shares most mutual information with those before it, whichever has more evidence. "random": drawn. Or a
        permutation of 0 .. n_columns - 1.
    criterion : "likelihood" or callable, default="likelihood"
        What a split is chosen by. "likelihood": the log-likelihood of the column. A function ``f(counts, n) -> float``:
        the cost of describing n values that have these counts (int64, one a category), compiled with Numba; the split
        of lowest cost, summed over its two sides, is taken.
    max_depth : int or None, default=None
        Bound on the depth of the trees.
    min_samples_leaf : int, default=5
        Rows that a split must leave on both sides.
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
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    order_ : ndarray of shape (n_columns,), int32
        The columns in order.
    trees_ : tuple of ConditionalTree
        The tree of each column; print one to read it.
    evidence_ : ndarray of shape (n_columns,), float64
        Log-evidence of each column's tree, nats: the probability of the training column given those before it, under
        all prunings at once. It compares columns, orders and parameters without held-out rows.
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
    x0 = 0?
    ├─ yes: 463 rows: 0 99.9%, 1 0.1%
    └─ no:  537 rows: 1 100.0%, 0 0.0%
    """

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
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def trees_(self):
        """The tree of each column."""
        domain, conditionals = self._domain, self._conditionals
        trees: list = [None] * len(self.order_)
        for t, j in enumerate(self.order_.tolist()):
            nodes = slice(*conditionals.first_node[t : t + 2])
            trees[j] = ConditionalTree(
                target=j,
                before=tuple(domain.column_names[s] for s in self.order_[:t]),
                column=conditionals.column[nodes],
                low=conditionals.low[nodes],
                high=conditionals.high[nodes],
                children=conditionals.children[nodes],
                leaf_rows=conditionals.leaf_rows[slice(*conditionals.first_leaf[t : t + 2])],
                log_prob=conditionals.leaves(conditionals.log_prob, t),
                names=domain.column_names,
                labels=domain.labels,
            )
        return tuple(trees)

    def _fit_codes(self, codes, domain, rng, threads):
        n_columns = codes.shape[1]
        cost, _bits = cost_table(len(codes), 1, COST_BITS)
        orders = self._candidate_orders(codes, domain.n_categories, cost, rng, threads)
        max_features = self._columns_per_split(n_columns)
        options = {
            "min_samples_leaf": self.min_samples_leaf,
            "max_depth": NO_LIMIT if self.max_depth is None else min(self.max_depth, NO_LIMIT),
            "max_features": max_features,
            "seed": int(rng.randint(2**31)) if max_features else 0,
            "prior_split": self.prior_split,
            "smoothing": self.smoothing,
            "objective": None if self.criterion == "likelihood" else Objective(self.criterion),
            "n_threads": threads,
        }
        self.log_evidence_ = -np.inf
        with progress_bar(n_columns * len(orders), "growing trees", self.verbose) as progress:
            for i, order in enumerate(orders):
                conditionals, evidence, concentration = learn_conditionals(
                    codes,
                    domain.n_categories,
                    order,
                    cost,
                    progress=lambda done, before=i * n_columns: progress(before + done),
                    **options,
                )
                if evidence.sum() > self.log_evidence_:
                    self._conditionals, self.evidence_, self.concentration_ = conditionals, evidence, concentration
                    self.order_, self.log_evidence_ = order, float(evidence.sum())

    def _score_codes(self, codes, threads):
        return self._conditionals.score_codes(codes, threads)

    def _sample_codes(self, n_samples, rng, threads):
        return self._conditionals.sample_codes(n_samples, rng, threads)

    def _transform_codes(self, codes, threads):
        return self._conditionals.transform_codes(codes, threads)

    def _invert_codes(self, codes, threads):
        return self._conditionals.invert_codes(codes, threads)

    @property
    def _order(self):
        return self.order_

    def _walk(self, codes, threads):
        for t, j in enumerate(self.order_.tolist()):
            yield j, self._conditionals.distributions(t, codes, threads)

    def _cell_probabilities(self, codes, threads):
        return self._conditionals.probabilities(codes, threads)

    def _candidate_orders(self, codes, n_categories, cost, rng, threads):
        """The orders to learn; the one of most evidence is kept."""
        n_columns = codes.shape[1]
        natural = np.arange(n_columns, dtype=np.int32)
        if isinstance(self.order, str):
            if self.order == "random":
                return [rng.permutation(n_columns).astype(np.int32)]
            if self.order == "natural":
                return [natural]
            other = informative_order(pairwise_information(codes, n_categories, cost, threads))
            return [natural] if np.array_equal(natural, other) else [natural, other]
        order = np.asarray(self.order)
        if (
            order.shape != (n_columns,)
            or order.dtype.kind not in "iu"
            or (np.sort(order) != np.arange(n_columns)).any()
        ):
            raise ValueError(
                "order must be 'evidence', 'natural', 'random' or a permutation "
                f"of 0 to {n_columns - 1}, got {self.order!r}"
            )
        return [order.astype(np.int32)]

    def _columns_per_split(self, n_columns):
        """Columns to draw for each split, 0 for all."""
        if self.max_features is None:
            return 0
        if isinstance(self.max_features, str):
            return max(1, int(np.sqrt(n_columns)))
        if isinstance(self.max_features, Integral):
            return min(int(self.max_features), n_columns)
        return max(1, int(self.max_features * n_columns))

    def _check_parameters(self):
        check_criterion(self.criterion, ["likelihood"])
        if isinstance(self.order, str) and self.order not in ("evidence", "natural", "random"):
            raise ValueError(
                f"order must be 'evidence', 'natural', 'random' or a permutation of the columns, got {self.order!r}"
            )
        if self.max_depth is not None:
            check_scalar(self.max_depth, "max_depth", Integral, min_val=0)
        check_scalar(self.min_samples_leaf, "min_samples_leaf", Integral, min_val=1, max_val=NO_LIMIT)
        check_scalar(self.prior_split, "prior_split", Real, min_val=0, include_boundaries="neither")
        if not np.isfinite(self.prior_split):
            raise ValueError("prior_split must be finite")
        check_smoothing(self.smoothing, "evidence")
        if isinstance(self.max_features, str):
            if self.max_features != "sqrt":
                raise ValueError(f"max_features must be None, 'sqrt', an int or a float, got {self.max_features!r}")
        elif isinstance(self.max_features, Integral):
            check_scalar(self.max_features, "max_features", Integral, min_val=1)
        elif self.max_features is not None:
            check_scalar(self.max_features, "max_features", Real, min_val=0, max_val=1, include_boundaries="right")
        check_n_jobs(self.n_jobs)


@dataclass(frozen=True, eq=False)
class ConditionalTree:
    """The tree of one column: its distribution given the columns before it.

    Attributes
    ----------
    target : int
        The column.
    before : tuple of str
        Names of the columns before it, in order.
    column : ndarray of shape (n_inner,), int32
    low, high : ndarray of shape (n_inner,), uint8
        Inner node m asks whether the code of column ``column[m]`` is between ``low[m]`` and ``high[m]``, both included.
        Node 0 is the root; without inner nodes, the root is the only leaf.
    children : ndarray of shape (n_inner, 2), int32
        If so, and if not: an inner node, or ``~leaf`` (negative) for a leaf.
    leaf_rows : ndarray of shape (n_leaves,), int32
        Training rows of each leaf.
    log_prob : ndarray of shape (n_leaves, n_categories), float64
        Log-probability of each category of the column, averaged over all prunings of the tree, nats.
    names : tuple of str
        Names of all columns.
    labels : tuple of tuples of str
        Per column, the name of each category.
    """

    target: int
    before: tuple
    column: np.ndarray
    low: np.ndarray
    high: np.ndarray
    children: np.ndarray
    leaf_rows: np.ndarray
    log_prob: np.ndarray
    names: tuple
    labels: tuple

    def to_text(self, max_depth=None):
        """The tree as text.

        Parameters
        ----------
        max_depth : int, default=None
            How far down; None is all of it.

        Returns
        -------
        text : str
        """
        given = f"{', '.join(self.before[:6])}{', …' * (len(self.before) > 6)}" or "nothing"
        return "\n".join(
            [f"{self.names[self.target]} given {given}", *draw_tree(self.children, self._ask, self._tell, max_depth)]
        )

    def asked(self, node):
        """What an inner node asks of its column: "= label" or "<= label"."""
        labels = self.labels[self.column[node]]
        return f"{'=' if self.low[node] == self.high[node] else '<='} {labels[self.high[node]]}"

    def __str__(self):
        return self.to_text()

    def _ask(self, node):
        return f"{self.names[self.column[node]]} {self.asked(node)}?"

    def _tell(self, leaf):
        rows = int(self.leaf_rows[leaf])
        prob = np.exp(self.log_prob[leaf])
        order = np.argsort(-prob, kind="stable")
        shown = ", ".join(f"{self.labels[self.target][v]} {100 * prob[v]:.1f}%" for v in order[:4])
        return f"{rows:,} row{'s' * (rows != 1)}: {shown}{', …' * (len(order) > 4)}"
