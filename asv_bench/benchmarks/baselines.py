"""Models to compare with: three plain baselines written here.

Each is ``fit(codes, n_categories)``, ``score_samples(codes)`` in nats; what a model leaves open is chosen on `valid` by
the command that runs it.
"""

import numpy as np
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.special import logsumexp


def one_hot(codes, n_categories):
    """Rows of ones and zeros, the categories of all columns side by side, float32."""
    return np.concatenate([codes[:, [j]] == np.arange(k) for j, k in enumerate(n_categories)], axis=1).astype("f4")


def normalise(counts, first, k, smoothing):
    """Log-frequencies of each column's categories, smoothed by a count of each: (n_states, n_categories in all)."""
    totals = np.add.reduceat(counts, first, axis=1) + smoothing * k
    return np.log(counts + smoothing) - np.repeat(np.log(totals), k, axis=1)


class Independent:
    """Baseline: independent columns, one added to each count."""

    def fit(self, codes, n_categories):
        """Count."""
        k = np.asarray(n_categories)
        counts = one_hot(codes, k).sum(axis=0, dtype=float)
        self.k, self.log_prob = k, normalise(counts[None], np.cumsum(k) - k, k, 1.0)[0]
        return self

    def score_samples(self, codes):
        """Nats."""
        return one_hot(codes, self.k) @ self.log_prob


class ProductMixture:
    """Baseline: a mixture of independent columns, learned by EM from states that resemble random rows."""

    def __init__(self, n_states, n_steps=100, seed=0):
        self.n_states, self.n_steps, self.seed = n_states, n_steps, seed

    def fit(self, codes, n_categories):
        """EM until a step gains less than 1e-4 nats a row."""
        self.k = np.asarray(n_categories)
        x, first = one_hot(codes, self.k), np.cumsum(self.k) - self.k
        centres = x[np.random.default_rng(self.seed).choice(len(x), self.n_states, replace=len(x) < self.n_states)]
        self.log_weight = np.full(self.n_states, -np.log(self.n_states))
        self.log_prob = normalise(centres + x.mean(axis=0), first, self.k, 0.1)
        before = -np.inf
        for _ in range(self.n_steps):
            joint = self._joint(x)
            score = logsumexp(joint, axis=1)
            responsibility = np.exp(joint - score[:, None]).astype("f4")
            self.log_weight = np.log((responsibility.sum(axis=0, dtype=float) + 1) / (len(x) + self.n_states))
            self.log_prob = normalise((responsibility.T @ x).astype(float), first, self.k, 0.1)
            if score.mean() - before < 1e-4:
                break
            before = score.mean()
        return self

    def score_samples(self, codes):
        """Nats."""
        return logsumexp(self._joint(one_hot(codes, self.k)), axis=1)

    def _joint(self, x):
        return x @ self.log_prob.T.astype("f4") + self.log_weight


class ChowLiu:
    """Baseline: the tree of columns of largest mutual information (Chow, Liu, IEEE Trans. Inf. Theory 14, 1968)."""

    def __init__(self, smoothing=0.1):
        self.smoothing = smoothing

    def fit(self, codes, n_categories):
        """All pairs counted by one matrix product."""
        k = np.asarray(n_categories)
        x, first = one_hot(codes, k), np.cumsum(k) - k
        joint = (x.T @ x).astype(float) / len(x)
        p = joint.diagonal()
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(joint > 0, joint * np.log(joint / np.outer(p, p)), 0.0)
        information = np.add.reduceat(np.add.reduceat(terms, first, axis=0), first, axis=1)
        tree = minimum_spanning_tree(-1 - information)  # a zero would be no edge
        order, parent = breadth_first_order(tree, 0, directed=False)
        self.tables = []
        for j in order:
            given = parent[j] if parent[j] >= 0 else None
            counts = np.zeros((1 if given is None else k[given], k[j])) + self.smoothing
            np.add.at(counts, (0 if given is None else codes[:, given], codes[:, j]), 1)
            self.tables.append((j, given, np.log(counts / counts.sum(axis=1, keepdims=True))))
        return self

    def score_samples(self, codes):
        """Nats."""
        return sum(table[0 if given is None else codes[:, given], codes[:, j]] for j, given, table in self.tables)
