"""The tree flow with voices: at every column, trees, the states of a mixture and a logistic regression have a say."""

import warnings
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import clone

from ..densities.digits import n_number_voices
from ..densities.logarithmic import AVERAGE_ALONE, VOICES, LogarithmicPool, average_in
from ..densities.mixed import MixedDensity
from ..densities.pool import Pool
from ..inference.estimates import blocks
from ..learning.multisets import distinct, folds
from ..learning.numbers import learn_mixed, learn_mixed_apart
from ..learning.voices import MOST_TREES, CountedVoices, learn_voices
from ..machine.errors import check_number
from ..machine.parts import together
from .autoregressive import AutoregressiveTreeFlow, tell_trees
from .base import learner, part_of
from .counted import CountedFlow
from .parameters import DefaultPart, check_n_jobs
from .trees import column_of_tree, tree_beside_numbers

FEWEST, MOST = 8, 128  # states that "auto" tries, doubling
# Further trees see a part of the columns at each split and are pruned less: what one overfits the others average out.
DRAWN = 0.2  # of all columns, and at least so many:
FEWEST_DRAWN = 4
DRAWN_PRIOR_SPLIT = 5.0  # times the estimator's
MOST_STATES = 4096
LEAST_HEARD = 0.1  # of the hidden column in the column that it tells most of


class TreeFlowMixture(DefaultPart, CountedFlow):
    """Tree flow with several voices a column: trees, a hidden column, logistic regressions, a neural network.

    At every column, several voices say what it may be given the columns before it:

    - the column's tree, and the average of further trees whose splits see drawn columns alone;
    - a hidden column: a mixture of products (latent class model) explains a row by an unobserved state in which the
      columns are independent, and its states have a posterior given the columns so far;
    - a multinomial logistic regression on all columns before, for dependence that adds up where the others average;
    - where held-out rows say that it is worth its time, a neural network of one hidden layer that all columns share.

    Trees and hidden column are averaged, ``q(x_j | before) = sum over the three of share_je p_e(x_j | before)``. The
    average, each of the three by itself, the logistic regression and the network are multiplied, ``p(x_j | before)``
    proportional to the product over these six of ``p_e(x_j | before) ** exponent_je``, summing to one over the values
    of the column.
    Shares and exponents are those of highest likelihood on rows that the voices have not seen: a tenth (at most
    10,000), or in a table of at most 300,000 cells a fifth and then the next, until there are 120 rows for each
    category or all were held out. Afterwards all voices are learned from all rows, but the states from 50,000 at most,
    and logistic regressions and network from as many as have 100,000,000 cells. A small share of further trees that may
    be chance is none, and they stay roots. So each column is told by whoever tells it best, and the model is an exact,
    invertible density like the tree flow.

    Parameters
    ----------
    estimator : AutoregressiveTreeFlow, default=None
        The tree flow; None is ``AutoregressiveTreeFlow(min_samples_leaf=2)``. The mixture's ``random_state`` and
        ``n_jobs`` take the place of its own.
    n_components : "auto" or int, default="auto"
        States of the hidden column. "auto" starts with 8 and splits every state in two, up to 128, until the held-out
        rows gain no more.
    n_trees : "auto" or int, default="auto"
        Trees of each column: one as the estimator says, the others with a fifth of the columns drawn for each split (or
        the estimator's ``max_features``) and five times its ``prior_split``. "auto" is 8, or up to 24 where held-out
        rows say that the average of more would be worth it.
    logistic : bool, default=True
        Whether there are logistic regressions, and a neural network if that gains enough. Each column's penalty on the
        squares of the coefficients is the one of highest held-out likelihood. Without them the average is all. There
        are none where the categories of all columns, less one each, are more than 10,000, and no network where they are
        more than 2,000.
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
        Draws the rows to hold out, those that EM starts from, and what the estimator draws.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns are numbers, times or durations, and have a density or, on a lattice, probabilities; all others
        are categories. "auto": those of numbers that take more than 20 values or such as are no categories. A table
        with numbers is told in its own order or that of ``estimator``, which says how trees grow too: numbers by trees,
        normal mixtures and boosted trees, whose shares are learned likewise; categories by the voices above, which see
        numbers by the quantiles that they lie between, and by the mixtures. In a table of at most 60,000 cells all rows
        are then held out, a fifth at a time.
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
        In each column's average, the share of its tree, of the further trees, and of the hidden column.
    exponent_ : ndarray of shape (n_columns, 6), float64
        Of each column's average, of its tree, the further trees and the hidden column by themselves, of its logistic
        regression and of the neural network; not negative, and 0 where a voice has no say.
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
    Any pool of conditional distributions that sums to one at every column leaves the whole exact. The hidden column is
    learned by EM (Dempster, Laird, Rubin, Journal of the Royal Statistical Society B 39, 1977). The product of powers
    is a logarithmic opinion pool (Genest, Zidek, Statistical Science 1, 1986); rows held out in turn are
    cross-validation (Stone, Journal of the Royal Statistical Society B 36, 1974). The network is a neural
    autoregressive distribution estimator (Larochelle, Murray, AISTATS 2011) of rectified units, learned by Adam
    (Kingma, Ba, ICLR 2015).

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import TreeFlowMixture
    >>> rng = np.random.default_rng(0)
    >>> group = rng.integers(0, 2, 1000)  # not in the table
    >>> X = (rng.random((1000, 12)) < np.where(group == 1, 0.8, 0.3)[:, None]).astype(int)
    >>> model = TreeFlowMixture(n_components=2, random_state=0).fit(X)
    >>> agree = (model.predict_state(X) == group).mean()
    >>> bool(max(agree, 1 - agree) > 0.9)
    True
    """

    distribution_: Pool | LogarithmicPool | MixedDensity

    def __init__(
        self,
        estimator=None,
        n_components="auto",
        n_trees="auto",
        *,
        logistic=True,
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
        self.estimator = estimator
        self.n_components = n_components
        self.n_trees = n_trees
        self.logistic = logistic
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
    def _average(self):
        if isinstance(self.distribution_, MixedDensity):
            raise AttributeError("of a table with numbers there is no such part: its voices are told by summary()")
        return average_in(self.distribution_)

    @property
    def flows_(self):
        """The tree flows, all in the order of the first: list of AutoregressiveTreeFlow."""
        first, *further = self._voices(self._average.order)
        estimators = [first] + further * (len(self._average.trees) - 1)
        return [part_of(self, e, trees) for e, trees in zip(estimators, self._average.trees, strict=True)]

    @property
    def weights_(self):
        """Probability of each state, the largest first: ndarray of shape (n_components,), float64."""
        return self._average.products.weight

    @property
    def share_(self):
        """Shares of tree, further trees and hidden column: ndarray of shape (n_columns, 3), float64."""
        return self._average.share[: len(self.domain_.columns)]

    @property
    def exponent_(self):
        """Exponents of average, tree, further trees, hidden column, regression, network: (n_columns, 6) ndarray."""
        if isinstance(self.distribution_, LogarithmicPool):
            exponent = self.distribution_.exponent[: len(self.domain_.columns)]
            return np.pad(exponent, ((0, 0), (0, len(VOICES) - exponent.shape[1])))
        return np.tile(AVERAGE_ALONE, (len(self.share_), 1))

    @property
    def validation_score_(self):
        """Mean log-likelihood of the held-out rows by number of states: dict of int to float, nats."""
        return dict(zip(self._average.tried.tolist(), self._average.validation_score.tolist(), strict=True))

    def _tree(self, column, layer):
        self._refuse(layer=layer)
        if isinstance(self.distribution_, MixedDensity):
            j = column_of_tree(self.domain_, column)
            return tree_beside_numbers(self.distribution_, self.all_columns, self.all_names, j)
        return self.flows_[0].tree(column, full=True)

    def _likelihood_curves(self, X):
        self.refuse_numbers("a curve of likelihood")
        tried, kept = self.validation_score_, len(self.weights_)
        curves = {"validation rows": (np.array(list(tried)), 0.0 - np.array(list(tried.values())))}
        if X is not None:
            curves["rows given"] = np.array([kept]), np.array([-self.score(X)])
        return curves, "hidden states", kept

    def _summary(self, column, layer, max_depth):
        self._refuse(layer=layer)
        if isinstance(self.distribution_, MixedDensity):
            return self._summary_of_numbers(self.distribution_)
        names, states = self.domain_.column_names, self.weights_
        figures, lines = tell_trees(self.flows_[0])
        n_further = len(self._average.trees) - 1
        told = [
            f"hidden column: {len(states)} states of probability {', '.join(f'{p:.3f}' for p in states[:8])}"
            f"{', …' if len(states) > 8 else ''}",
            f"\nshares in each column's average: its tree, {n_further} further trees, the hidden column;"
            f"\nand exponents: {', '.join(VOICES)}",
        ]
        for j in self.own_columns(self._average.order):
            shares, exponents = ([f"{x:.2f}" for x in part[j]] for part in (self.share_, self.exponent_))
            told.append(f"  {names[j]}: {', '.join(shares)}; {', '.join(exponents)}")
        figures |= {"states": states.tolist(), "shares": self.share_.tolist(), "exponents": self.exponent_.tolist()}
        return figures, "\n".join([*told, "", *lines])

    def _summary_of_numbers(self, density: MixedDensity):
        names = self.domain_.column_names
        states = [len(mixture.weight) for mixture in density.mixtures]
        n = int(self.domain_.numeric.sum())
        lines = [
            f"{n} column{'s' * (n > 1)} of numbers; normal mixtures of {states} states",
            "\nshares of trees, of normal mixtures and of boosted trees (without any, of normal scores around 0) "
            "in what is said of each column:",
        ]
        shares = {}
        for j in self.own_columns(density.order).tolist():
            share, ends = density.code_share, [2 + len(density.coded)]  # trees, further trees, the pool of codes
            if self.domain_.numeric[j]:
                share, ends = density.number_share, [n_number_voices(n) for n in (0, len(states))]
            told = [float(part.sum()) for part in np.split(share[j], ends)]
            shares[names[j]] = told + [0.0] * (3 - len(told))
            lines.append(f"  {names[j]}: {', '.join(f'{x:.2f}' for x in shares[names[j]])}")
        return {"order": list(shares), "states": states, "shares": shares}, "\n".join(lines)

    def predict_state_proba(self, X, context=None):
        """Posterior probability of every state of the hidden column given the cells of a row that are observed.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one.

        Returns
        -------
        probability : ndarray of shape (n_rows, n_components), float64
        """
        return np.concatenate(list(self._posteriors(X, context)))

    def predict_state(self, X, context=None):
        """Most probable state of the hidden column in each row.

        The states are there to tell rows, and may be many; `find_groups` looks for a handful that mean something. A
        UserWarning says if the hidden column has hardly a say in any column.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
        context : array-like of shape (n_rows,) or (n_rows, n_context), default=None
            Of a model that was fitted to one.

        Returns
        -------
        state : ndarray of shape (n_rows,), int64
        """
        heard = self.exponent_[:, 0] * self.share_[:, 2] + self.exponent_[:, 3]
        if heard.max() < LEAST_HEARD:
            told = f"the hidden column has hardly a say in what the model tells, at most {heard.max():.0%} of a column"
            warnings.warn(f"{told}: its states may mean nothing; find_groups() looks for groups", stacklevel=2)
        return np.concatenate([posterior.argmax(axis=1) for posterior in self._posteriors(X, context)])

    def _posteriors(self, X, context):
        """Posteriors of the states, block by block."""
        rows = self.read(X, context, infer=True)
        for block in blocks(len(rows.codes), len(self.weights_)):
            observed = None if rows.observed is None else rows.observed[block]
            yield self._average.products.posterior(rows.codes[block], observed)

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None, n_context=0):
        codes, weight = distinct(codes, weight)
        # by a stream of their own: what else is drawn does not depend on the rows
        held_out = folds(codes, weight, rng.spawn(1)[0])
        of = codes, weight, held_out, n_categories, rng, threads, n_ordered
        return self._learn_apart(*of, n_context=n_context, keep=False)[0]

    def learn_counts(self, codes, n_categories, rng, threads, n_ordered=None, weight=None):
        codes, weight = distinct(codes, weight)
        held_out = folds(codes, weight, rng.spawn(1)[0])
        grown: list = []
        of = codes, weight, held_out, n_categories, rng, threads, n_ordered
        learned = self._learn_apart(*of, grown=grown, keep=False)[0]
        n = len(average_in(learned).trees) - 1
        trees = grown[0], *grown[len(grown) - n :]
        return CountedVoices.of(learned, trees, codes, weight, threads), learned

    def average_counts(self, counts, threads):
        return counts.density(threads)

    def learn_numbers(self, values, domain, rng, threads):
        seed = int(rng.integers(2**31))
        return learn_mixed(values, seed=seed, **self._of_numbers(values, domain, rng, threads))

    def learn_numbers_and_score(self, table, held_out, domain, rng, threads):
        draws = np.random.default_rng(int(rng.integers(2**31)))
        whole, known = learn_mixed_apart(table, held_out, rng=draws, **self._of_numbers(table, domain, rng, threads))
        scores = [part.score(table[rows], threads) for part, rows in zip(known, held_out, strict=True)]
        return whole, np.concatenate(scores)

    def _of_numbers(self, values, domain, rng, threads):
        """What is told to those who learn densities of numbers."""
        columns = {"is_number": domain.numeric, "n_categories": domain.n_categories}
        columns |= {"step": domain.step, "bounds": domain.bounds, "may_lack": domain.may_lack}
        columns["n_context"] = domain.n_context
        trees = {}
        if self.estimator is not None:
            trees["order"] = self.estimator.order_of(values.shape[1], rng, domain.n_context)
            trees["growth"] = self.estimator.growth(len(values))

        def learn_codes(codes, held_out, n_categories, n_ordered, told, rng):
            rows, weight = distinct(codes)
            order = np.arange(len(told), dtype=np.int32)
            return self._learn_apart(rows, weight, held_out, n_categories, rng, threads, n_ordered, order, told)

        return columns | trees | {"learn_codes": learn_codes, "threads": threads, "verbose": self.verbose}

    def learn_and_score(self, codes, held_out, n_categories, rng, threads, n_ordered=None, weight=None, **context):
        codes, weight = distinct(codes, weight)
        of = codes, weight, held_out, n_categories, rng, threads, n_ordered
        whole, known = self._learn_apart(*of, **context)
        scores = [part.score(fold.unseen, threads) for part, fold in zip(known, held_out, strict=True)]
        return whole, np.concatenate(scores)

    def _learn_apart(
        self,
        codes,
        weight,
        held_out,
        n_categories,
        rng,
        threads,
        n_ordered,
        order=None,
        told=None,
        grown=None,
        n_context=0,
        keep=True,
    ):
        """What all rows tell, and if it is to be kept, what the rows outside each fold do.

        Of columns ``told``, or all but the context.

        Trees of all rows are put to a list ``grown`` as they grew: the tree flow's first, the others last.
        """
        n_trees = None if self.n_trees == "auto" else int(self.n_trees)
        em_seed, *seeds = rng.integers(2**31, size=1 + (n_trees or MOST_TREES)).tolist()
        estimator = self._estimator() if order is None else clone(self._estimator()).set_params(order=order)
        if n_context:
            told = np.arange(len(n_categories)) < len(n_categories) - n_context

        def learn(flow, rows, weight, seed, splitting=None):
            if splitting is None and told is not None:
                splitting = told.astype(np.uint8)
            given = n_context if flow is estimator else 0  # others are in the order of this one, of all columns
            of = rows, n_categories, np.random.default_rng(seed), threads, n_ordered, weight, splitting, given
            if grown is None or rows is not codes:
                return None, flow.learn(*of)
            return flow.learn_counts(*of)

        def in_order(learned):
            if grown is not None:
                grown.extend(counts for counts, _ in learned if counts is not None)
            return tuple(trees for _, trees in learned)

        (first,) = in_order([learn(estimator, codes, weight, seeds[0])])
        flow, further = self._voices(first.order)

        def grow(rows, weight, which, splitting=None):
            learned = [partial(learn, further, rows, weight, seeds[i], splitting) for i in which if i > 0]
            if 0 not in which:
                return in_order(together(learned))
            if rows is codes:
                return first, *in_order(together(learned))
            return in_order(together([partial(learn, flow, rows, weight, seeds[0]), *learned]))

        numbers = [FEWEST * 2**i for i in range((MOST // FEWEST).bit_length())]
        if self.n_components != "auto":
            numbers = [int(self.n_components)]
        of = n_categories, first.order, grow, n_trees, numbers, self.logistic, em_seed, threads, self.verbose, told
        return learn_voices(codes, weight, held_out, *of, keep)

    def _voices(self, order):
        """Unfitted flows in the order of the first: one as the estimator says, and one like the further trees."""
        first = clone(self._estimator()).set_params(order=order)
        return first, clone(first).set_params(
            max_features=first.max_features or max(FEWEST_DRAWN, round(DRAWN * len(order))),
            prior_split=min(DRAWN_PRIOR_SPLIT * first.prior_split, np.finfo(float).max),
        )

    def default_part(self):
        """The unfitted flow that None stands for.

        Returns
        -------
        estimator : AutoregressiveTreeFlow
        """
        return AutoregressiveTreeFlow(min_samples_leaf=2)

    def _estimator(self):
        return self.default_part() if self.estimator is None else self.estimator

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        if not isinstance(self._estimator(), AutoregressiveTreeFlow):
            raise TypeError(f"estimator must be an AutoregressiveTreeFlow, got {self.estimator!r}")
        learner(self._estimator(), "estimator")
        if self.n_trees != "auto":
            check_number(self.n_trees, "n_trees", Integral, min_val=1)
        if self.n_components != "auto":
            check_number(self.n_components, "n_components", Integral, min_val=1, max_val=MOST_STATES)
        check_n_jobs(self.n_jobs)
