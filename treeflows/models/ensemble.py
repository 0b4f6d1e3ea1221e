"""The ensemble: a mixture of models."""

from contextlib import closing
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._ext import elementary
from ..densities.weighted import WeightedMean
from ..learning.growth import MIN_ROWS
from ..learning.multisets import distinct, folds, held_out_parts
from ..learning.numbers import MOST_CROSSED, shuffled
from ..learning.voices import FEWEST_TREES
from ..machine.errors import check_number
from ..machine.log_sums import logsumexp
from ..machine.parts import on_workers
from ..machine.progress import progress_bar, side_by_side
from ..machine.threads import n_threads
from .autoregressive import AutoregressiveTreeFlow
from .base import CategoricalDensity, learner, part_of, table_defaults
from .mixture import TreeFlowMixture
from .parameters import DefaultPart, check_n_jobs
from .questions import log_likelihood

MEMBERS_AT_ONCE = 3  # whose parts workers do: where one waits for its last part, others have some
STEPS = 200  # of EM
LAST = 2  # members that must together gain, for more to be added:
LEAST_GAIN = 0.001  # nats a held-out row
FEW_STEPS = 20  # of EM from the weights without the newest member: enough to tell the gain


class TreeFlowEnsemble(DefaultPart, CategoricalDensity):
    """Mixture of tree flows: p(x) is the weighted mean of the members' p(x), exactly.

    Members differ by their random state alone, so an estimator that draws nothing makes ten times the same member: let
    it draw its order, its columns (``max_features``) or its splits (``criterion="random"``).

    Parameters
    ----------
    estimator : estimator or list of them, default=None
        What to fit; None is a `TreeFlowMixture`, the first in the order of most evidence, the others in random orders,
        of eight trees a column. Any model of this package, or an estimator with ``fit``, ``score_samples`` and
        ``sample`` on arrays of codes.
        A list has one for each member.
    n_estimators : int, default=10
        Number of members, at most: with weights "held-out", no more are added once two together have gained less than
        0.001 nats a held-out row. A list of members is fitted whole.
    weights : "held-out" or "uniform", default="held-out"
        "held-out": the weights of highest likelihood on rows that members have not seen, a tenth (at most 10,000), or
        in a table of at most 300,000 cells (60,000 where there are numbers) a fifth and then the next, until there are
        120 rows for each category (of numbers: until all were held out) or all were held out; the members that are kept
        are learned from all rows. Mixtures hold these rows out anyway; with other members "uniform" takes a half to a
        sixth of the time.
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
        Draws the random states of the members, and the rows to hold out.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns are numbers, times or durations, as `TreeFlowMixture` takes it. Members must be models that
        take numbers.
    n_jobs : int or None, default=None
        Threads in all: members are fitted side by side, each with its share. None is 1 unless a joblib context says
        otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted members.
    weights_ : ndarray of shape (n_members,), float64
        Their weights.
    categories_ : list of ndarray
        Categories of each column, in the order of their codes.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import TreeFlowEnsemble
    >>> rng = np.random.default_rng(0)
    >>> coin = rng.integers(0, 2, 1000)
    >>> X = np.column_stack([coin, coin, rng.integers(0, 3, 1000)])
    >>> ensemble = TreeFlowEnsemble(n_estimators=3, random_state=0).fit(X)
    >>> round(ensemble.score(X), 1)
    -1.8
    """

    distribution_: WeightedMean

    def __init__(
        self,
        estimator=None,
        n_estimators=10,
        *,
        weights="held-out",
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
        self.n_estimators = n_estimators
        self.weights = weights
        self.categories = categories
        self.missing = missing
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state
        self.numeric = numeric
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def from_members(cls, members):
        """The uniform mixture of models that were fitted elsewhere, each perhaps on rows or a machine of its own.

        Parameters
        ----------
        members : sequence of fitted models of this package
            On one domain: the same columns with the same categories in the same order, so declare them with
            ``categories=`` or a categorical dtype.

        Returns
        -------
        ensemble : TreeFlowEnsemble

        Raises
        ------
        ValueError
            If there are none, or their domains differ; the message names the member and the column.
        """
        members = list(members)
        if not members:
            raise ValueError("an ensemble needs at least one member")
        for i, member in enumerate(members):
            if not isinstance(member, CategoricalDensity):
                raise TypeError(f"member {i} must be a fitted model of treeflows, got {member!r}")
            check_is_fitted(member)
            if member.context_ is not None:
                raise ValueError(
                    f"member {i} was fitted to a context, and an ensemble of models fitted elsewhere has none"
                )
            difference = members[0].domain_.difference(member.domain_)
            if difference:
                raise ValueError(f"members 0 and {i} were fitted on different domains: {difference}")
        domain, weight = members[0].domain_, np.full(len(members), 1 / len(members))
        distribution = WeightedMean(domain.n_categories, tuple(m.distribution_ for m in members), weight)
        estimators = [clone(member).set_params(**table_defaults(member)) for member in members]
        table = {name: getattr(members[0], name) for name in table_defaults(members[0])}
        return cls(estimators, len(members), weights="uniform", **table).take(domain, distribution)

    @property
    def takes_context(self):
        """Whether all members take a context: bool."""
        members = self.estimator if isinstance(self.estimator, list) else [self.estimator]
        return all(each is None or getattr(each, "takes_context", False) for each in members)

    @property
    def takes_numbers(self):
        """Whether all members can learn from columns of numbers: bool."""
        members = self.estimator if isinstance(self.estimator, list) else [self.estimator]
        return all(each is None or getattr(each, "takes_numbers", False) for each in members)

    @property
    def weights_(self):
        """Weights of the members: ndarray of shape (n_members,), float64."""
        return self.distribution_.weight

    @property
    def estimators_(self):
        """The fitted members: list of estimators."""
        members = self.distribution_.members
        estimators = self._estimators(len(members), self.domain_.numeric.any())
        return [part_of(self, e, member) for e, member in zip(estimators, members, strict=True)]

    def _likelihood_curves(self, X):
        if X is None:
            raise TypeError("the curve of an ensemble is that of rows that it has not seen: give X")
        rows, kept = self.read(X), len(self.weights_)
        scores = [log_likelihood(member, rows, n_threads(self.n_jobs))[0] for member in self.distribution_.members]
        joint = np.stack(scores) + np.log(self.weights_)[:, None]
        first = np.logaddexp.accumulate(joint, axis=0) - np.log(np.cumsum(self.weights_))[:, None]
        return {"rows given": (np.arange(1, kept + 1), -first.mean(axis=1))}, "members", kept

    def _summary(self, column, layer, max_depth):
        self._refuse(column=column, layer=layer)
        kinds, weights = [type(member).__name__ for member in self.estimators_], self.weights_.tolist()
        lines = [f"  {kind}: {weight:.3f}" for kind, weight in zip(kinds, weights, strict=True)]
        return {"members": kinds, "weights": weights}, "\n".join(["members and their weights:", *lines])

    def learn(self, codes, n_categories, rng, threads, n_ordered=None, weight=None, **context):
        codes, weight = distinct(codes, weight)
        held_out = folds(codes, weight, rng.spawn(1)[0])

        def task(member, seed, threads, weighted):
            learn = partial(member.learn_and_score, codes, held_out) if weighted else partial(member.learn, codes)
            return partial(learn, n_categories, np.random.default_rng(seed), threads, n_ordered, weight, **context)

        return self._learn_members(
            task, self._estimators(self.n_estimators), n_categories, bool(held_out), rng, threads
        )

    def learn_numbers(self, values, domain, rng, threads):
        table = shuffled(values, rng.spawn(1)[0])
        held_out = held_out_parts(len(table), table.shape[1], MOST_CROSSED)

        def task(member, seed, threads, weighted):
            told = domain, np.random.default_rng(seed), threads
            if weighted:
                return partial(member.learn_numbers_and_score, table, held_out, *told)
            return partial(member.learn_numbers, table, *told)

        estimators = self._estimators(self.n_estimators, of_numbers=True)
        return self._learn_members(task, estimators, domain.n_categories, bool(held_out), rng, threads)

    def _learn_members(self, task, estimators, n_categories, has_held_out, rng, threads):
        """Members by tasks, and their weights.

        Parameters
        ----------
        task : callable
            Of a member, its seed, its threads, and whether it is to say how well it tells rows that it has not seen:
            what learns it.
        estimators : list of estimators
            Of each member.
        n_categories : ndarray of shape (n_columns,), int32
        has_held_out : bool
        rng : numpy.random.Generator
        threads : int
        """
        n = self.n_estimators
        at_once = min(max(threads, MEMBERS_AT_ONCE if on_workers() else 1), n)
        weighted = self.weights == "held-out" and n > 1 and has_held_out
        ends_early = weighted and not isinstance(self.estimator, list)  # what is listed is wanted
        tasks = [
            task(learner(estimator, "estimator"), seed, max(threads // at_once, 1), weighted)
            for estimator, seed in zip(estimators, rng.integers(2**31, size=n).tolist(), strict=True)
        ]
        learned = []
        with (
            progress_bar(n, "fitting members", self.verbose) as progress,
            closing(side_by_side(tasks, at_once)) as results,
        ):
            for result in _while_gaining(results) if ends_early else results:
                learned.append(result)
                progress(len(learned))
        if not weighted:
            return WeightedMean(n_categories, tuple(learned), np.full(n, 1 / n))
        members, scores = zip(*learned, strict=True)
        return WeightedMean(n_categories, members, _weights(np.stack(scores)))

    def _estimators(self, n, of_numbers=False):
        """An unfitted estimator for each of n members; small leaves of digits cost time and gain nothing."""
        if self.estimator is not None:
            return self.estimator if isinstance(self.estimator, list) else [self.estimator] * n
        others = self.default_part(MIN_ROWS if of_numbers else 2)
        return [TreeFlowMixture()] + [others] * (n - 1)

    def default_part(self, least_leaf=2):
        """The unfitted member that None stands for, but for the first, which has an order of its own.

        Parameters
        ----------
        least_leaf : int, default=2
            Rows of a leaf.

        Returns
        -------
        estimator : TreeFlowMixture
        """
        tree = AutoregressiveTreeFlow(order="random", min_samples_leaf=least_leaf)
        return TreeFlowMixture(tree, n_trees=FEWEST_TREES)  # the members average already what more would

    def check_parameters(self):
        """Raise ValueError or TypeError for a parameter out of range, tables' own excepted."""
        check_number(self.n_estimators, "n_estimators", Integral, min_val=1)
        check_n_jobs(self.n_jobs)
        if not isinstance(self.weights, str) or self.weights not in ("held-out", "uniform"):
            raise ValueError(f"weights must be 'held-out' or 'uniform', got {self.weights!r}")
        estimators = self._estimators(1)
        if isinstance(self.estimator, list) and len(estimators) != self.n_estimators:
            raise ValueError(f"estimator lists {len(estimators)} estimators, but n_estimators is {self.n_estimators}")
        for estimator in estimators:
            learner(estimator, "estimator")


def _while_gaining(learned):
    """Members with their scores, in order, until those added last gain too little."""
    weights, scores, reached = np.empty(0), [], []
    for member, of_member in learned:
        yield member, of_member
        scores.append(of_member)
        n, joint = len(scores), np.stack(scores)
        weights = _improve(np.append(weights * (n - 1) / n, 1 / n), joint, FEW_STEPS)
        reached.append(logsumexp(joint + elementary.log(weights)[:, None], axis=0).mean())
        if n > LAST and reached[-1] < reached[-1 - LAST] + LEAST_GAIN:
            return


def _weights(scores):
    """Weights of highest likelihood, each member having one row more to its credit.

    Parameters
    ----------
    scores : ndarray of shape (n_members, n_rows), float64
        Log-likelihoods, nats.
    """
    return _improve(np.full(len(scores), 1 / len(scores)), scores, STEPS)


def _improve(weights, scores, n_steps):
    """Weights after so many steps of EM."""
    scores = scores[:, np.isfinite(scores).any(axis=0)]  # a row that no member thinks possible weighs none
    for _ in range(n_steps):
        joint = scores + elementary.log(weights)[:, None]
        credit = elementary.exp(joint - logsumexp(joint, axis=0)).sum(axis=1) + 1
        weights = credit / credit.sum()
    return weights
