"""The ensemble: a uniform mixture of models."""

from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, check_scalar

from ._autoregressive import AutoregressiveTreeFlow
from ._base import CategoricalDensity, OtherDensity, check_n_jobs, density_of_codes
from ._mixture import TreeFlowMixture
from ._progress import progress_bar


class TreeFlowEnsemble(CategoricalDensity):
    """Uniform mixture of tree flows: p(x) is the mean of the members' p(x), exactly.

    Members differ by their random state alone, so an estimator that draws nothing makes ten times the same member: let
    it draw its order (the default), its columns (``max_features``) or its splits (``criterion="random"``).

    Parameters
    ----------
    estimator : estimator, default=None
        What to fit; None is a `TreeFlowMixture` of ``AutoregressiveTreeFlow(order="random", min_samples_leaf=2)``. Any
        model of this package, or an estimator with ``fit``, ``score_samples`` and ``sample`` on arrays of codes. Its
        ``categories`` say the domain.
    n_estimators : int, default=10
        Number of members.
    random_state : int, RandomState or None, default=None
        Draws the random states of the members.
    n_jobs : int or None, default=None
        Threads in all: members are fitted side by side, each with its share. None is 1 unless a joblib context says
        otherwise, -1 every core. Results do not depend on it.
    verbose : int, default=0
        1 shows a progress bar if standard error is a terminal.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted members.
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

    def __init__(self, estimator=None, n_estimators=10, *, random_state=None, n_jobs=None, verbose=0):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def from_members(cls, members):
        """The mixture of models that were fitted elsewhere, each perhaps on rows or a machine of its own.

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
        ensemble = cls(n_estimators=len(members))
        ensemble._densities = members
        ensemble.estimators_ = list(members)
        return ensemble.fitted_to(members[0]._domain)

    def _fit_codes(self, codes, domain, rng, threads):
        members = [
            density_of_codes(self._estimator(), "estimator", int(seed))
            for seed in rng.randint(2**31, size=self.n_estimators)
        ]
        side_by_side = min(threads, self.n_estimators)
        share = threads // side_by_side
        fits = (delayed(member.learn)(codes, domain, share) for member in members)
        self._densities = []
        with progress_bar(self.n_estimators, "fitting members", self.verbose) as progress:
            for member in Parallel(side_by_side, require="sharedmem", return_as="generator")(fits):
                self._densities.append(member)
                progress(len(self._densities))
        self.estimators_ = [m.estimator if isinstance(m, OtherDensity) else m for m in self._densities]

    def _score_codes(self, codes, threads):
        scores = np.stack([member._score_codes(codes, threads) for member in self._densities])
        return np.logaddexp.reduce(scores, axis=0) - np.log(len(scores))

    def _sample_codes(self, n_samples, rng, threads):
        chosen = rng.integers(len(self._densities), size=n_samples)
        codes = np.empty((n_samples, len(self._domain.categories)), dtype=np.uint8)
        for i, member in enumerate(self._densities):
            rows = np.flatnonzero(chosen == i)
            codes[rows] = member._sample_codes(len(rows), rng, threads)
        return codes

    def _estimator(self):
        if self.estimator is not None:
            return self.estimator
        return TreeFlowMixture(AutoregressiveTreeFlow(order="random", min_samples_leaf=2))

    def _declared_categories(self):
        estimator = self._estimator()
        if isinstance(estimator, CategoricalDensity):
            return estimator._declared_categories()
        return "auto"

    def _check_parameters(self):
        check_scalar(self.n_estimators, "n_estimators", Integral, min_val=1)
        check_n_jobs(self.n_jobs)
        density_of_codes(self._estimator(), "estimator", 0)
