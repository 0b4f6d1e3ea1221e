"""The tree flow with a hidden column: at every column, trees and the states of a mixture share the say."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, check_scalar

from ..densities.products import Learner
from ..inference.marginals import OrderedDensity, blocks
from ..machine.draws import uniform_blocks
from ..machine.progress import progress_bar
from ..tables.containers import read_table
from .autoregressive import AutoregressiveTreeFlow
from .base import CategoricalFlow, declared_categories, density_of_codes
from .parameters import check_n_jobs

FEWEST, MOST = 8, 128  # states that "auto" tries, doubling
# Further trees see a part of the columns at each split and are pruned less: what one overfits the others average out.
DRAWN = 0.2  # of all columns, and at least so many:
FEWEST_DRAWN = 4
DRAWN_PRIOR_SPLIT = 5.0  # times the estimator's
HELD_OUT = 0.1  # of the rows, and at most so many:
MOST_HELD_OUT = 10_000
MOST_ROWS = 50_000  # that EM learns from
SHARED = 20.0  # rows' worth of the whole table in the share of each column
MOST_STATES = 4096


class TreeFlowMixture(OrderedDensity, CategoricalFlow):
    """Tree flow with several trees a column and a hidden column, for structure that no few columns explain.

    A mixture of products (latent class model) explains a row by an unobserved state in which the columns are
    independent. Given the columns so far its states have a posterior, and so say what the next column may be. At every
    column, three have a share in the say: the column's tree, the average of further trees whose splits see drawn
    columns alone, and the hidden column:
    ``p(x_j | before) = sum over the three of share_je p_e(x_j | before)``.
    The shares are those of highest likelihood on a tenth of the rows (at most 10,000), held out for that; afterwards
    the trees are learned from all rows, the states from all or 50,000 of them. So each column is told by whoever tells
    it best, and the model is an exact, invertible density like the tree flow.

    Parameters
    ----------
    estimator : AutoregressiveTreeFlow, default=None
        The tree flow; None is ``AutoregressiveTreeFlow(min_samples_leaf=2)``. The mixture's ``random_state`` and
        ``n_jobs`` take the place of its own.
    n_components : "auto" or int, default="auto"
        States of the hidden column. "auto" starts with 8 and splits every state in two, up to 128, until the held-out
        rows gain no more.
    n_trees : int, default=8
        Trees of each column: one as the estimator says, the others with a fifth of the columns drawn for each split (or
        the estimator's ``max_features``) and five times its ``prior_split``.
    categories : "auto" or list of array-like, default="auto"
        The values that each column can take. "auto": as the estimator says, or what a pandas categorical dtype
        declares, else what fit sees.
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
        Draws the rows to hold out, those that EM starts from, and what the estimator draws.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    flows_ : list of AutoregressiveTreeFlow
        The tree flows, all in the order of the first; ``flows_[0].trees_`` can be read.
    weights_ : ndarray of shape (n_components,), float64
        Probability of each state, the largest first.
    share_ : ndarray of shape (n_columns, 3), float64
        In each column's distribution, the share of its tree, of the further trees, and of the hidden column.
    validation_score_ : dict of int to float
        For each number of states that was tried, the mean log-likelihood of the held-out rows, nats; 0 stands for the
        trees alone.
    categories_ : list of ndarray
        Categories of each column, in the order of their codes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Notes
    -----
    Mixtures of experts at every step of the chain rule stay normalised whatever the shares. The mixture is learned by
    EM (Dempster, Laird, Rubin, Journal of the Royal Statistical Society B 39, 1977).

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import TreeFlowMixture
    >>> rng = np.random.default_rng(0)
    >>> group = rng.integers(0, 2, 1000)  # not in the table
    >>> X = (rng.random((1000, 12)) < np.where(group == 1, 0.8, 0.3)[:, None]).astype(int)
    >>> model = TreeFlowMixture(n_components=2, random_state=0).fit(X)
    >>> agree = (model.predict(X) == group).mean()
    >>> bool(max(agree, 1 - agree) > 0.9)
    True
    """

    def __init__(
        self,
        estimator=None,
        n_components="auto",
        n_trees=8,
        *,
        categories="auto",
        missing="category",
        handle_unknown="error",
        min_frequency=None,
        max_categories=None,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.n_components = n_components
        self.n_trees = n_trees
        self.categories = categories
        self.missing = missing
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def predict_proba(self, X):
        """Posterior probability of every state of the hidden column given the cells of a row that are observed.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        probability : ndarray of shape (n_rows, n_components), float64
        """
        return np.concatenate(list(self._posteriors(X)))

    def predict(self, X, column=None):
        """Most probable state of each row, or value of a column given all other columns.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        column : str or int, default=None
            None predicts the state of the hidden column.

        Returns
        -------
        state or values : ndarray of shape (n_rows,)
            States are int64.
        """
        if column is not None:
            return super().predict(X, column)
        return np.concatenate([posterior.argmax(axis=1) for posterior in self._posteriors(X)])

    def _posteriors(self, X):
        """Posteriors of the states, block by block."""
        check_is_fitted(self)
        rows = self._rows(read_table(self, X, reset=False))
        for block in blocks(len(rows.codes), len(self.weights_)):
            observed = None if rows.observed is None else rows.observed[block]
            yield self._products.posterior(rows.codes[block], observed)

    def _fit_codes(self, codes, domain, rng, threads):
        first = domain.first_category
        # seeds first: on fewer rows the same order of columns is drawn, which an ensemble that weighs its members needs
        em_seed, first_seed, *tree_seeds = rng.randint(2**31, size=1 + self.n_trees).tolist()
        rows = rng.permutation(len(codes))
        n_held_out = min(round(HELD_OUT * len(codes)), MOST_HELD_OUT)
        # too few rows to hold any out: then all are looked at twice
        held_out, rest = (rows[:n_held_out], rows[n_held_out:]) if n_held_out else (rows, rows)
        unseen, seen = codes[held_out], codes[rest]
        flow = density_of_codes(self._estimator(), "estimator", first_seed)._learn_codes(seen, domain, threads)
        flows = self._in_the_order_of(flow, tree_seeds)
        trees = [flow, *(other._learn_codes(seen, domain, threads) for other in flows[1:])]
        tree, forest = _trees_say(trees, unseen, threads)
        of_forest = _shares(tree, forest) if len(trees) > 1 else np.zeros(codes.shape[1])
        grown = (1 - of_forest) * tree + of_forest * forest
        self.validation_score_ = {0: float(np.log(grown).sum(axis=1).mean())}
        products, of_hidden = self._choose_states(
            Learner(seen[:MOST_ROWS], first, threads),
            grown,
            lambda products: products.conditionals(unseen, flow.order_, threads),
            em_seed,
        )
        # the rows that were held out come in: trees afresh, states from where they are
        learner = Learner(codes[np.sort(rows[:MOST_ROWS])], first, threads)
        self._products = learner.improve(products).by_weight()
        self.flows_ = [other._learn_codes(codes, domain, threads) for other in flows]
        share = np.column_stack([(1 - of_hidden) * (1 - of_forest), (1 - of_hidden) * of_forest, of_hidden])
        self.share_ = share[np.argsort(flow.order_)]
        self.weights_ = self._products.weight

    def _choose_states(self, learner, grown, say, seed):
        """The mixture of products that the held-out rows like best, and its share in each place of the order.

        ``grown`` is the probability of their values by the trees, ``say(products)`` that by a mixture of products.
        """
        numbers = [FEWEST * 2**i for i in range((MOST // FEWEST).bit_length())]
        if self.n_components != "auto":
            numbers = [int(self.n_components)]
        tried = []
        with progress_bar(len(numbers), "learning the hidden column", self.verbose) as progress:
            for n in numbers:
                draws = np.random.default_rng([seed, n])
                products = learner.improve(learner.split(tried[-1][1], draws) if tried else learner.start(n, draws))
                hidden = say(products)
                share = _shares(grown, hidden)
                score = float(np.log((1 - share) * grown + share * hidden).sum(axis=1).mean())
                self.validation_score_[n] = score
                tried.append((score, products, share))
                progress(len(tried))
                if len(tried) > 2 and max(tried[-2:], key=_score)[0] < max(tried, key=_score)[0]:
                    break
        return max(tried, key=_score)[1:]

    def _in_the_order_of(self, flow, seeds):
        """Unfitted flows for the columns' trees: the first like the fitted one, the others with drawn columns."""
        first = clone(flow).set_params(order=flow.order_)
        further = {
            "max_features": flow.max_features or max(FEWEST_DRAWN, round(DRAWN * len(flow.order_))),
            "prior_split": DRAWN_PRIOR_SPLIT * flow.prior_split,
        }
        return [first] + [clone(first).set_params(random_state=seed, **further) for seed in seeds]

    def _score_codes(self, codes, threads):
        scores = np.empty(len(codes))
        for block in blocks(*codes.shape):
            scores[block] = np.log(self._cell_probabilities(codes[block], threads)).sum(axis=1)
        return scores

    @property
    def _order(self):
        return self.flows_[0].order_

    def _cell_probabilities(self, codes, threads):
        hidden = self._products.conditionals(codes, self._order, threads)
        tree, forest = _trees_say(self.flows_, codes, threads)
        return _blend(tree, forest, hidden, self.share_[self._order].T)

    def _sample_codes(self, n_samples, rng, threads):
        n_columns = len(self.share_)
        codes = np.empty((n_samples, n_columns), dtype=np.uint8)
        for start, uniform in uniform_blocks(n_samples, n_columns, rng):
            for block in blocks(*uniform.shape):
                drawn = np.zeros((block.stop - block.start, n_columns), dtype=np.uint8)
                for t, (j, prob) in enumerate(self._walk(drawn, threads)):
                    cumulative = np.cumsum(prob, axis=1)[:, :-1]
                    drawn[:, j] = (uniform[block][:, [t]] >= cumulative).sum(axis=1)
                codes[start + block.start : start + block.start + len(drawn)] = drawn
        return codes

    def _transform_codes(self, codes, threads):
        """The rank of every value among those of its column in its context, the least probable 0, ties by code."""
        ranks = np.empty_like(codes)
        for block in blocks(*codes.shape):
            for j, prob in self._walk(codes[block], threads):
                order = np.argsort(prob, axis=1, kind="stable")
                ranks[block, j] = (order == codes[block, j, None]).argmax(axis=1)
        return ranks

    def _invert_codes(self, ranks, threads):
        codes = np.zeros_like(ranks)
        for block in blocks(*codes.shape):
            for j, prob in self._walk(codes[block], threads):
                order = np.argsort(prob, axis=1, kind="stable")
                codes[block, j] = np.take_along_axis(order, ranks[block, j, None].astype(np.intp), axis=1)[:, 0]
        return codes

    def _walk(self, codes, threads):
        """Column after column in order: the column, and its distribution in each row.

        The caller has until the next step to write the column's values.
        """
        posterior = self._products.begin(len(codes))
        for t, j in enumerate(self.flows_[0].order_.tolist()):
            tree, *others = (flow._conditionals.distributions(t, codes, threads) for flow in self.flows_)
            hidden = self._products.predict(posterior, j, threads)
            yield j, _blend(tree, _mean(others), hidden, self.share_[j])
            self._products.observe(posterior, j, np.ascontiguousarray(codes[:, j]), threads)

    def _estimator(self):
        return AutoregressiveTreeFlow(min_samples_leaf=2) if self.estimator is None else self.estimator

    def _declared_categories(self):
        return declared_categories(self.categories, self.estimator)

    def _check_parameters(self):
        if not isinstance(self._estimator(), AutoregressiveTreeFlow):
            raise TypeError(f"estimator must be an AutoregressiveTreeFlow, got {self.estimator!r}")
        self._estimator()._check_parameters()
        check_scalar(self.n_trees, "n_trees", Integral, min_val=1)
        if self.n_components != "auto":
            check_scalar(self.n_components, "n_components", Integral, min_val=1, max_val=MOST_STATES)
        check_n_jobs(self.n_jobs)


def _trees_say(flows, codes, threads):
    """Probability of every value by the first flow's trees, and by the others' on average: (n_rows, n_columns)."""
    return flows[0]._conditionals.probabilities(codes, threads), _mean(
        flow._conditionals.probabilities(codes, threads) for flow in flows[1:]
    )


def _mean(parts):
    """Mean of arrays; 0 of none, whose share is 0."""
    total, n = 0.0, 0
    for part in parts:
        total, n = total + part, n + 1
    return total / max(n, 1)


def _blend(tree, forest, hidden, share):
    return share[0] * tree + share[1] * forest + share[2] * hidden


def _score(tried):
    return tried[0]


def _shares(present, newcomer):
    """The share of a newcomer in each column's say of highest likelihood on held-out rows, drawn to that of the table.

    Both arguments are probabilities of the values, (n_rows, n_columns). The likelihood is concave in the share: its
    derivative is bisected.
    """

    def best(present, newcomer, mean, strength):
        low, high = np.zeros(present.shape[1]), np.ones(present.shape[1])
        gain = newcomer - present
        for _ in range(24):
            share = (low + high) / 2
            slope = (gain / (present + share * gain)).sum(axis=0)
            slope += strength * (mean / share - (1 - mean) / (1 - share))
            low, high = np.where(slope > 0, share, low), np.where(slope > 0, high, share)
        return (low + high) / 2

    common = best(present.reshape(-1, 1), newcomer.reshape(-1, 1), 0.5, 1.0)[0]
    return best(present, newcomer, common, SHARED)
