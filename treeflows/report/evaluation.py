"""Held-out likelihood of a model beside those of two simple ones, such as independent columns and a Chow-Liu tree."""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from ..machine.progress import progress_bar
from ..machine.threads import n_threads
from ..models.base import check_model, learn_density, read_to_learn
from ..models.baselines import INDEPENDENT, baselines
from ..models.questions import log_likelihood

ERRORS = 2.0  # standard errors that a difference must be, to be told from chance


@dataclass(frozen=True, eq=False)
class HeldOutScores:
    """Held-out log-likelihoods of several models on the same rows.

    Attributes
    ----------
    scores : dict of str to ndarray of shape (n_rows,), float64
        Nats, by what a model is called: independent columns first, then the other baseline. Of numbers that have a
        density, those of their measure: what two models differ by does not depend on their units.
    seconds : dict of str to float
        Of one fit, on average.
    """

    scores: dict
    seconds: dict

    def figures(self, name):
        """Mean negative log-likelihoods, what a model gains over independent columns, and standard errors over rows.

        And a verdict: what it gains over the better of the two baselines, in words.
        """
        models = {}
        for each, scores in self.scores.items():
            nll, error = _mean(-scores)
            models[each] = {"nll": nll, "standard_error": error, "seconds": self.seconds[each]}
        gain, error = _mean(self.scores[name] - self.scores[INDEPENDENT])
        return {"models": models, "gain": gain, "gain_standard_error": error, "verdict": self._verdict(name)}

    def _verdict(self, name):
        better = max(list(self.scores)[:2], key=lambda each: self.scores[each].mean())
        gain, error = _mean(self.scores[name] - self.scores[better])
        told = f"{gain:+.3f} ± {error:.3f} nats per row"
        if gain > ERRORS * error:
            return f"{name} gains over the better of the two, {better}: {told}"
        worse = "loses against" if gain < -ERRORS * error else "gains nothing over"
        if better == INDEPENDENT:
            return f"{name} {worse} {better}: {told}. These rows show no dependence that held-out ones confirm"
        return f"{name} {worse} the {better}: {told}. The simpler model tells held-out rows as well"


def read_domain(model, table):
    """The domain of a table under a model's parameters, and what the table says in terms of it: Domain, Rows."""
    check_model(model)
    domain, rows, _ = read_to_learn(model, table)
    return domain, rows


def evaluate(model, table, *, folds=5, seed=0):
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
    found : HeldOutScores
        Of all rows, of the `baselines` of the table's domain and by the name of the model's class.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or fewer rows than folds; and what ``fit`` raises.
    """
    n_rows = len(table)
    if not 2 <= folds <= n_rows:
        raise ValueError(f"the number of folds must be from 2 to the number of rows, {n_rows:,}; got {folds}")
    domain, rows = read_domain(model, table)
    names = (*baselines(domain), type(model).__name__)
    parts = np.array_split(np.random.default_rng(seed).permutation(n_rows), folds)
    found = HeldOutScores({what: np.empty(n_rows) for what in names}, dict.fromkeys(names, 0.0))
    with progress_bar(folds, "fitting folds", 1) as progress:
        for i, part in enumerate(parts):
            seen = np.sort(np.concatenate(parts[:i] + parts[i + 1 :]))
            fold = evaluate_split(clone(model).set_params(verbose=0), domain, rows, seen, part)
            for what in found.scores:
                found.scores[what][part] = fold.scores[what]
                found.seconds[what] += fold.seconds[what] / folds
            progress(i + 1)
    return found


def evaluate_split(model, domain, rows, seen, held_out):
    """Learn a model and the two baselines from the rows ``seen``; HeldOutScores on those ``held_out``.

    The model is fitted afterwards.
    """
    threads, found = n_threads(model.n_jobs), HeldOutScores({}, {})
    for what, each in (baselines(domain) | {type(model).__name__: model}).items():
        start = time.perf_counter()
        learned = learn_density(each, rows.chosen(seen), domain, model.random_state, threads)
        found.seconds[what] = time.perf_counter() - start
        found.scores[what] = log_likelihood(learned, rows.chosen(held_out), threads)[0]
    model.take(domain, learned)
    return found


def _mean(values):
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
