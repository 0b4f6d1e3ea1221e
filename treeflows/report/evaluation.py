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
from ..tables.contexts import beside, with_context

MOST_LEARNED = 100_000  # cells of the rows that a check learns from, or so many rows, where they are wide:
FEWEST_LEARNED = 1_000
FEWEST_CHECKED = 20  # rows of a table, below which there is no check
MOST_HELD_OUT = 5_000
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


def read_domain(model, table, weight=None):
    """The domain of a table under a model's parameters, and what the table says in terms of it: Domain, Rows.

    Each row as often as its ``weight`` says, which must be a whole number.
    """
    check_model(model)
    domain, rows, weight = read_to_learn(model, table, weight)
    if weight is None:
        return domain, rows
    if (weight != np.floor(weight)).any():
        raise ValueError("rows that stand for fractions of rows cannot be held out: weights must be whole numbers")
    return domain, rows.chosen(np.repeat(np.arange(len(weight)), weight.astype(np.int64)))


def evaluate(model, table, *, weight=None, folds=5, seed=0):
    """Cross-validate a model and the two baselines.

    Parameters
    ----------
    model : unfitted model of this package
    table : DataFrame
        Its domain, and what of it is rare, is that of all rows, so that no fold meets a value that it does not know.
    weight : ndarray of shape (n_rows,), float64, default=None
        How many rows each stands for, which are held out one by one.
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
    n_rows = len(table) if weight is None else int(weight.sum())
    if not 2 <= folds <= n_rows:
        raise ValueError(f"the number of folds must be from 2 to the number of rows, {n_rows:,}; got {folds}")
    domain, rows = read_domain(model, table, weight)
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


def check_held_out(model, domain, rows, weight=None, given=None, codes=None, seed=0):
    """Say how well a model tells rows that it has not seen, as cheaply as a fit, and of many rows more so.

    Parameters
    ----------
    model : unfitted model of this package
    domain : Domain
    rows : Rows
        All whole.
    weight : ndarray of shape (n_rows,), float64, default=None
        How many rows each stands for.
    given : Domain, default=None
        Of the context.
    codes : ndarray of shape (n_rows, n_context), default=None
        Of the context.
    seed : int, default=0
        Deals the rows.

    Returns
    -------
    found : HeldOutScores or None
        On a tenth of the rows, of models learned from the others, or from some of them. None where rows are too few, or
        weights are fractions.
    n_seen : int
    """
    if weight is not None and (weight != np.floor(weight)).any():
        return None, 0
    n_rows = len(rows.codes) if weight is None else int(weight.sum())
    if n_rows < FEWEST_CHECKED:
        return None, 0
    n_held_out = min(n_rows // 10, MOST_HELD_OUT)
    n_seen = min(n_rows - n_held_out, max(FEWEST_LEARNED, MOST_LEARNED // len(domain.columns)))
    dealt = np.random.default_rng(seed).choice(n_rows, n_held_out + n_seen, replace=False)
    if weight is not None:
        dealt = np.searchsorted(np.cumsum(weight), dealt, side="right")
    seen, held_out = np.sort(dealt[n_held_out:]), np.sort(dealt[:n_held_out])
    return evaluate_split(clone(model).set_params(verbose=0), domain, rows, seen, held_out, given, codes), n_seen


def evaluate_split(model, domain, rows, seen, held_out, given=None, codes=None):
    """Learn a model and the two baselines from the rows ``seen``; HeldOutScores on those ``held_out``.

    The model is fitted afterwards, to a context too, whose domain is ``given`` and whose ``codes`` those of the rows
    are; the baselines know no context.
    """
    threads, found = n_threads(model.n_jobs), HeldOutScores({}, {})

    def learn(each, whole, of):
        start = time.perf_counter()
        learned = learn_density(each, whole.chosen(seen), of, model.random_state, threads)
        return learned, time.perf_counter() - start

    unseen = rows.chosen(held_out)
    for what, each in baselines(domain).items():
        learned, found.seconds[what] = learn(each, rows, domain)
        found.scores[what] = log_likelihood(learned, unseen, threads)[0]
    name = type(model).__name__
    joint = (rows, domain) if given is None else (with_context(rows, codes), beside(domain, given))
    learned, found.seconds[name] = learn(model, *joint)
    model.take(domain, learned, given)
    told = model.conditioned(unseen, None if codes is None else codes[held_out])
    found.scores[name] = log_likelihood(learned, told, threads)[0]
    return found


def evaluate_fitted(model, rows, drawn, codes=None):
    """HeldOutScores of a fitted model on rows, beside those of the two baselines, learned from what is ``drawn`` of it.

    They know the frequencies that the model knows: what it gains over them is what it knows of dependence, on a context
    too, whose ``codes`` those of the rows are; the baselines know none.
    """
    threads, found, domain = n_threads(model.n_jobs), HeldOutScores({}, {}), model.domain_
    for what, each in baselines(domain).items():
        start = time.perf_counter()
        learned = learn_density(each, drawn, domain, model.random_state, threads)
        found.seconds[what] = time.perf_counter() - start
        found.scores[what] = log_likelihood(learned, rows, threads)[0]
    found.seconds[type(model).__name__] = 0.0
    found.scores[type(model).__name__] = log_likelihood(model.distribution_, model.conditioned(rows, codes), threads)[0]
    return found


def _mean(values):
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))
