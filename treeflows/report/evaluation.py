"""Held-out likelihood of a model beside those of two that everybody knows: independent columns and a Chow-Liu tree.

A Chow-Liu tree (IEEE Transactions on Information Theory 14, 1968) tells each column given one other, those of the tree
of largest mutual information.
"""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state

from ..densities.independent import CONCENTRATIONS, leave_one_out
from ..inference.marginals import OrderedDensity
from ..learning.orders import mutual_information
from ..learning.rows import rows_to_learn_from
from ..machine.progress import progress_bar
from ..machine.threads import n_threads
from ..models.base import density_of_codes, learn_domain, read_to_learn
from ..models.parameters import check_table_parameters

INDEPENDENT, CHOW_LIU = "independent columns", "Chow-Liu tree"
TIE = 1e-9  # nats


class ColumnTree(OrderedDensity):
    """Columns that each depend on one other at most: on none, or by a Chow-Liu tree.

    Parameters
    ----------
    dependent : bool
        Whether to learn a tree; else the columns are independent.
    """

    def __init__(self, dependent):
        self.dependent = dependent

    def _learn_codes(self, codes, domain, threads):
        """Count; each column's smoothing is the one of highest leave-one-out likelihood."""
        self._domain = domain
        k = domain.n_categories
        order, parent = np.arange(len(k)), np.full(len(k), -1)
        if self.dependent:
            from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

            edges = minimum_spanning_tree(-1 - mutual_information(codes, k, threads))  # a zero would be no edge
            order, parent = breadth_first_order(edges, 0, directed=False)
        self._tables = {}
        for j in order.tolist():
            given = None if parent[j] < 0 else int(parent[j])
            context = 0 if given is None else codes[:, given].astype(np.int64)
            n_contexts = 1 if given is None else k[given]
            counts = np.bincount(context * k[j] + codes[:, j], minlength=n_contexts * k[j]).reshape(n_contexts, k[j])
            self._tables[j] = given, _smoothed(counts.astype(np.float64))
        return self

    @property
    def _order(self):
        return np.array(list(self._tables))

    def _cell_probabilities(self, codes, threads):
        return np.column_stack([self._distribution(j, codes, codes[:, j]) for j in self._tables])

    def _score_codes(self, codes, threads):
        return np.log(self._cell_probabilities(codes, threads)).sum(axis=1)

    def _walk(self, codes, threads):
        for j in self._tables:
            yield j, self._distribution(j, codes)

    def _distribution(self, j, codes, values=slice(None)):
        given, table = self._tables[j]
        return table[np.zeros(len(codes), dtype=np.intp) if given is None else codes[:, given], values]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Held-out log-likelihoods of several models on the same rows.

    Attributes
    ----------
    scores : dict of str to ndarray of shape (n_rows,), float64
        Nats, by what a model is called.
    seconds : dict of str to float
        Of one fit, on average.
    """

    scores: dict
    seconds: dict

    def nll(self, name):
        """Mean negative log-likelihood of a model, and its standard error over rows."""
        return _mean(-self.scores[name])

    def gain(self, name, over):
        """How much more log-likelihood a model has than another, and the standard error of that over rows."""
        return _mean(self.scores[name] - self.scores[over])


def read_domain(model, table):
    """The domain of a table under a model's parameters, and what the table says in terms of it: Domain, Rows."""
    check_table_parameters(model)
    model._check_parameters()
    read, _ = read_to_learn(model, table, None)
    domain = learn_domain(model, read, None, "auto")
    return domain, domain.encode(read, n_threads(model.n_jobs), missing=model.missing)


def learn_rows(model, domain, rows, chosen, threads, seed):
    """Learn a model from the chosen ones of the rows of a domain; returns the seconds that it took."""
    start = time.perf_counter()
    observed = None if rows.observed is None else rows.observed[chosen]
    rng = check_random_state(seed)
    model._learn_codes(
        rows_to_learn_from(rows.codes[chosen], observed, None, domain.n_categories, rng, threads), domain, threads
    )
    return time.perf_counter() - start


def score_rows(model, rows, chosen, threads):
    """Log-likelihood of the observed cells of each chosen row, nats; estimated where the missing ones have too many."""
    log_share = rows.log_share[chosen] if np.ndim(rows.log_share) else rows.log_share
    if rows.observed is None:
        return model._score_codes(rows.codes[chosen], threads) + log_share
    return model._log_marginal(rows.codes[chosen], rows.observed[chosen], threads)[0] + log_share


def compare(model, table, *, folds=5, seed=0):
    """Cross-validate a model and the two baselines.

    Parameters
    ----------
    model : unfitted model of this package
    table : DataFrame
        Its domain, and what of it is rare, is that of all rows, so that no fold meets a value that it does not know.
    folds : int, default=5
        Each row is held out once, in one of so many fits.
    seed : int, default=0
        Deals the rows to the folds.

    Returns
    -------
    comparison : Comparison
        Of all rows, by the name of the model's class, `INDEPENDENT` and `CHOW_LIU`.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or fewer rows than folds; and what ``fit`` raises.
    """
    n_rows, name = len(table), type(model).__name__
    if not 2 <= folds <= n_rows:
        raise ValueError(f"the number of folds must be from 2 to the number of rows, {n_rows:,}; got {folds}")
    domain, rows = read_domain(model, table)
    parts = np.array_split(np.random.default_rng(seed).permutation(n_rows), folds)
    found = Comparison(
        {what: np.empty(n_rows) for what in (INDEPENDENT, CHOW_LIU, name)},
        dict.fromkeys((INDEPENDENT, CHOW_LIU, name), 0.0),
    )
    with progress_bar(folds, "fitting folds", 1) as progress:
        for i, part in enumerate(parts):
            seen = np.sort(np.concatenate(parts[:i] + parts[i + 1 :]))
            fitted = density_of_codes(model, "model", model.random_state).set_params(verbose=0)
            fold = compare_split(fitted, domain, rows, seen, part)
            for what in found.scores:
                found.scores[what][part] = fold.scores[what]
                found.seconds[what] += fold.seconds[what] / folds
            progress(i + 1)
    return found


def compare_split(model, domain, rows, seen, held_out):
    """Learn a model and the two baselines from the rows ``seen``; a Comparison on those ``held_out``."""
    threads, found = n_threads(model.n_jobs), Comparison({}, {})
    models = {INDEPENDENT: ColumnTree(False), CHOW_LIU: ColumnTree(True), type(model).__name__: model}
    for what, each in models.items():
        found.seconds[what] = learn_rows(each, domain, rows, seen, threads, model.random_state)
        found.scores[what] = score_rows(each, rows, held_out, threads)
    return found


def _smoothed(counts):
    """Distributions of contexts from counts, (n_contexts, n_categories), with one concentration for all of them."""
    k = counts.shape[1]
    known = counts[counts.sum(axis=1) > 0]
    scores = leave_one_out(known.ravel(), np.arange(0, known.size + 1, k), CONCENTRATIONS).sum(axis=1)
    # of few rows many concentrations tell the same, and the smallest of them would take one row for certainty
    best = CONCENTRATIONS[scores >= scores.max() - TIE]
    smoothed = counts + max(best[np.abs(best - 0.5).argmin()], 1 / (2 * k))
    return smoothed / smoothed.sum(axis=1, keepdims=True)


def _mean(values):
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
