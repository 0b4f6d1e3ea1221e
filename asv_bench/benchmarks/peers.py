"""Peers: scikit-learn's trees, single and boosted, one model for each column on the columns before it.

Each is ``fit(codes, n_categories)``, ``score_samples(codes)`` in nats: an exact likelihood, by the chain rule in the
natural order of the columns.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits


class SklearnTrees:
    """Peer: scikit-learn's DecisionTreeClassifier for each column on the columns before it, ordinal codes."""

    def __init__(self, smoothing=0.1, min_samples_leaf=5):
        self.smoothing, self.min_samples_leaf = smoothing, min_samples_leaf

    def fit(self, codes, n_categories):
        """One tree after the other; column 0 is split on nothing."""
        self.trees, self.tables = [], []
        for j, k in enumerate(n_categories):
            before = codes[:, :j] if j else np.zeros((len(codes), 1), dtype=np.uint8)
            tree = DecisionTreeClassifier(
                criterion="log_loss", min_samples_leaf=self.min_samples_leaf, random_state=0
            ).fit(before, codes[:, j])
            counts = np.zeros((tree.tree_.node_count, k)) + self.smoothing
            counts[:, tree.classes_] += tree.tree_.value[:, 0] * tree.tree_.n_node_samples[:, None]
            self.trees.append(tree)
            self.tables.append(np.log(counts / counts.sum(axis=1, keepdims=True)))
        return self

    def score_samples(self, codes):
        """Nats, by each tree's apply."""
        score = np.zeros(len(codes))
        for j, (tree, table) in enumerate(zip(self.trees, self.tables, strict=True)):
            before = codes[:, :j] if j else np.zeros((len(codes), 1), dtype=np.uint8)
            score += table[tree.apply(before), codes[:, j]]
        return score


class BoostedTrees:
    """Peer: scikit-learn's HistGradientBoostingClassifier for each column on the columns before it, all categorical.

    A tenth of the rows ends the boosting of each column and chooses the share of the column's frequencies in its
    probabilities, which keeps those of categories that boosting has not seen above 0. One thread: on small tables, and
    where other work has the cores, its threads mostly wait for each other.
    """

    SHARES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)

    def __init__(self, learning_rate=0.1):
        self.learning_rate = learning_rate

    @threadpool_limits.wrap(limits=1, user_api="openmp")
    def fit(self, codes, n_categories):
        """One classifier after the other; column 0 has its frequencies alone."""
        unseen, seen = np.split(codes[np.random.default_rng(0).permutation(len(codes))], [len(codes) // 10])
        self.columns = []
        for j, k in enumerate(n_categories):
            counts = np.bincount(codes[:, j], minlength=k) + 1
            column = self._boost(seen, unseen, j), counts / counts.sum()
            scores = [np.log(self._proba(unseen, j, *column, share)).sum() for share in self.SHARES]
            self.columns.append((*column, self.SHARES[int(np.argmax(scores))]))
        return self

    @threadpool_limits.wrap(limits=1, user_api="openmp")
    def score_samples(self, codes):
        """Nats, by each classifier's predict_proba."""
        return sum(np.log(self._proba(codes, j, *column)) for j, column in enumerate(self.columns))

    def _boost(self, seen, unseen, j):
        """A classifier of column j, None where there is nothing to tell it by or to tell."""
        if j == 0 or np.ptp(seen[:, j]) == 0:
            return None
        known = unseen[np.isin(unseen[:, j], seen[:, j])]
        boosted = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=1000,
            early_stopping=True,
            categorical_features=np.arange(j),
            random_state=0,
        )
        return boosted.fit(seen[:, :j], seen[:, j], X_val=known[:, :j], y_val=known[:, j])

    def _proba(self, codes, j, boosted, frequency, share):
        """What each row's category of column j was given."""
        if boosted is None:
            return frequency[codes[:, j]]
        proba = np.zeros((len(codes), len(frequency)))
        proba[:, boosted.classes_] = boosted.predict_proba(codes[:, :j])
        return ((1 - share) * proba + share * frequency)[np.arange(len(codes)), codes[:, j]]
