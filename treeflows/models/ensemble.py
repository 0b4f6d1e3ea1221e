"""The ensemble: a mixture of models."""

from functools import partial
from numbers import Integral

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.utils.validation import check_is_fitted, check_scalar

from ..machine.progress import progress_bar, side_by_side
from .autoregressive import AutoregressiveTreeFlow
from .base import CategoricalDensity, OtherDensity, declared_categories, density_of_codes
from .mixture import TreeFlowMixture
from .parameters import check_n_jobs

HELD_OUT = 0.1  # of the rows
STEPS = 200  # of EM


class TreeFlowEnsemble(CategoricalDensity):
    """Mixture of tree flows: p(x) is the weighted mean of the members' p(x), exactly.

    Members differ by their random state alone, so an estimator that draws nothing makes ten times the same member: let
    it draw its order, its columns (``max_features``) or its splits (``criterion="random"``).

    Parameters
    ----------
    estimator : estimator, default=None
        What to fit; None is a `TreeFlowMixture`, the first in the order of most evidence, the others in random orders.
        Any model of this package, or an estimator with ``fit``, ``score_samples`` and ``sample`` on arrays of codes.
    n_estimators : int, default=10
        Number of members.
    weights : "held-out" or "uniform", default="held-out"
        "held-out": the weights of highest likelihood on a tenth of the rows, found with members that have not seen
        them; then all members are fitted again, to all rows. "uniform" takes half the time and holds out none.
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
        Draws the random states of the members, and the rows to hold out.
    n_jobs : int or None, default=None
        Threads in all: members are fitted side by side, each with its share. None is 1 unless a joblib context says
        otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted members.
    weights_ : ndarray of shape (n_estimators,), float64
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
            difference = members[0]._domain.difference(member._domain)
            if difference:
                raise ValueError(f"members 0 and {i} were fitted on different domains: {difference}")
        ensemble = cls(n_estimators=len(members), weights="uniform")
        ensemble._densities = members
        ensemble.weights_ = np.full(len(members), 1 / len(members))
        ensemble.estimators_ = list(members)
        return ensemble._fitted_to(members[0]._domain)

    def _fit_codes(self, codes, domain, rng, threads):
        seeds = rng.randint(2**31, size=self.n_estimators)
        n_held_out = round(HELD_OUT * len(codes))
        self.weights_ = np.full(self.n_estimators, 1 / self.n_estimators)
        weighted = self.weights == "held-out" and self.n_estimators > 1 and n_held_out > 0
        with progress_bar((1 + weighted) * self.n_estimators, "fitting members", self.verbose) as progress:
            if weighted:
                rows = rng.permutation(len(codes))
                held_out, rest = codes[rows[:n_held_out]], codes[rows[n_held_out:]]
                self.weights_ = _weights(
                    np.stack(
                        [m._score_codes(held_out, threads) for m in self._learn(rest, domain, seeds, threads, progress)]
                    )
                )
            self._densities = self._learn(
                codes, domain, seeds, threads, lambda done: progress(weighted * self.n_estimators + done)
            )
        self.estimators_ = [m.estimator if isinstance(m, OtherDensity) else m for m in self._densities]

    def _learn(self, codes, domain, seeds, threads, progress):
        """Members fitted side by side."""
        members = [
            density_of_codes(estimator, "estimator", int(seed))
            for estimator, seed in zip(self._estimators(), seeds, strict=True)
        ]
        at_once = min(threads, self.n_estimators)
        fits = [partial(member._learn_codes, codes, domain, threads // at_once) for member in members]
        learned = []
        for member in side_by_side(fits, at_once):
            learned.append(member)
            progress(len(learned))
        return learned

    def _score_codes(self, codes, threads):
        scores = np.stack([member._score_codes(codes, threads) for member in self._densities])
        return logsumexp(scores + np.log(self.weights_)[:, None], axis=0)

    def _log_marginal(self, codes, observed, threads):
        told = [member._log_marginal(codes, observed, threads) for member in self._densities]
        log_prob, error = (np.stack(x) for x in zip(*told, strict=True))
        joint = log_prob + np.log(self.weights_)[:, None]
        total = logsumexp(joint, axis=0)
        return total, np.sqrt(np.sum((np.exp(joint - total) * error) ** 2, axis=0))

    def _sample_given_codes(self, codes, observed, n_samples, rng, threads):
        # a member's part is how probable it thinks what is given
        told = [member._log_marginal(codes, observed, threads) for member in self._densities]
        part = softmax(np.log(self.weights_) + np.concatenate([log_prob for log_prob, _ in told]))
        estimated = any(error.any() for _, error in told)
        chosen = rng.choice(len(part), n_samples, p=part)
        drawn, effective, n_proposed = np.repeat(codes, n_samples, axis=0), 0.0, 0
        for i, member in enumerate(self._densities):
            rows = np.flatnonzero(chosen == i)
            if len(rows):
                drawn[rows], worth, proposed = member._sample_given_codes(codes, observed, len(rows), rng, threads)
                effective += worth
                n_proposed += proposed or (len(rows) if estimated else 0)
        return drawn, effective, n_proposed

    def _propose(self, codes, observed, rng, threads):
        chosen = self._choose_members(len(codes), rng)
        codes, log_weight = codes.copy(), np.empty(len(codes))
        for i, member in enumerate(self._densities):
            rows = np.flatnonzero(chosen == i)
            codes[rows], log_weight[rows] = member._propose(codes[rows], observed[rows], rng, threads)
        return codes, log_weight

    def _sample_codes(self, n_samples, rng, threads):
        chosen = self._choose_members(n_samples, rng)
        codes = np.empty((n_samples, len(self._domain.columns)), dtype=np.uint8)
        for i, member in enumerate(self._densities):
            rows = np.flatnonzero(chosen == i)
            codes[rows] = member._sample_codes(len(rows), rng, threads)
        return codes

    def _choose_members(self, n_rows, rng):
        return np.searchsorted(np.cumsum(self.weights_)[:-1], rng.random(n_rows), side="right")

    def _estimators(self):
        """An unfitted estimator for each member."""
        if self.estimator is not None:
            return [self.estimator] * self.n_estimators
        others = TreeFlowMixture(AutoregressiveTreeFlow(order="random", min_samples_leaf=2))
        return [TreeFlowMixture()] + [others] * (self.n_estimators - 1)

    def _declared_categories(self):
        return declared_categories(self.categories, self.estimator)

    def _check_parameters(self):
        check_scalar(self.n_estimators, "n_estimators", Integral, min_val=1)
        check_n_jobs(self.n_jobs)
        if not isinstance(self.weights, str) or self.weights not in ("held-out", "uniform"):
            raise ValueError(f"weights must be 'held-out' or 'uniform', got {self.weights!r}")
        density_of_codes(self._estimators()[0], "estimator", 0)


def _weights(scores):
    """Weights of highest likelihood by EM, each member having one row more to its credit.

    Parameters
    ----------
    scores : ndarray of shape (n_members, n_rows), float64
        Log-likelihoods, nats.
    """
    scores = scores[:, np.isfinite(scores).any(axis=0)]  # a row that no member thinks possible weighs none
    weights = np.full(len(scores), 1 / len(scores))
    for _ in range(STEPS):
        joint = scores + np.log(weights)[:, None]
        credit = np.exp(joint - logsumexp(joint, axis=0)).sum(axis=1) + 1
        weights = credit / credit.sum()
    return weights
