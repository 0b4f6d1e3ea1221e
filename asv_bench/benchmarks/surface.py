"""What people ask of a model, beside boosted trees: ``python -m benchmarks.surface [PART]`` prints the figures.

PART is ``valid`` (default) or ``test``. Also benchmarks of conditionals, imputation and the classifier for asv.
"""

import sys
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from benchmarks.common import DATA, load
from treeflows import TreeFlowClassifier, TreeFlowMixture

LABEL = {"adult_cat": 8, "mushroom": 0, "car": -1, "nursery": -1, "splice": None}  # column; None: an array of its own
HIDDEN = 0.1  # of the cells


def labelled(name, part):
    """Codes without the label, and the label, of a part."""
    rows, _ = load(name, part)
    if LABEL[name] is not None:
        return np.delete(rows, LABEL[name], axis=1), rows[:, LABEL[name]]
    data = np.load(DATA / f"{name}.npz")  # its labels are in the order of the file, which was shuffled so:
    label = data["label"][np.random.default_rng(0).permutation(len(data["label"]))]
    cuts = np.cumsum([len(data["train"]), len(data["valid"])])
    return rows, dict(zip(("train", "valid", "test"), np.split(label, cuts), strict=True))[part]


def boosted(X, y):
    """The peer: boosted trees that know all columns to be categorical."""
    return HistGradientBoostingClassifier(categorical_features=list(range(X.shape[1])), random_state=0).fit(X, y)


def with_holes(rows):
    """Rows as floats with a tenth of the cells missing at random, and where."""
    hidden = np.random.default_rng(0).random(rows.shape) < HIDDEN
    return np.where(hidden, np.nan, rows), hidden


def impute_by_boosting(train, holes):
    """Each column by boosted trees on all others, which learn from rows with as many holes."""
    filled, learned = holes.copy(), with_holes(train)[0]
    for j in range(train.shape[1]):
        missing = np.isnan(holes[:, j])
        enough = np.bincount(train[:, j])[train[:, j]] > 1  # they refuse a class of one row
        if len(np.unique(train[enough, j])) > 1:
            model = boosted(np.delete(learned, j, axis=1)[enough], train[enough, j])
            filled[missing, j] = model.predict(np.delete(holes, j, axis=1)[missing])
        else:
            filled[missing, j] = train[enough, j][0]
    return filled


def timed(call, *arguments):
    """What a call returns, and its seconds."""
    start = time.perf_counter()
    result = call(*arguments)
    return result, time.perf_counter() - start


def report(part):
    """Print all figures."""
    rows, _ = load("adult_cat")
    asked = np.concatenate([load("adult_cat", part)[0]] * 4)[:10_000]
    model, _ = timed(TreeFlowMixture(random_state=0, n_jobs=-1).fit, rows)
    for j in (0, 3, 7):
        score, ask = (
            np.median([timed(*call)[1] for _ in range(5)])
            for call in ((model.score_samples, asked), (model.conditional_proba, asked, j))
        )
        k = len(model.categories_[j])
        print(
            f"conditional_proba of a column of {k}: {ask / score / k:.2f} x K x score_samples ({1000 * score:.0f} ms)"
        )

    print("\nimputation of a tenth of the cells: accuracy (seconds with the fit)")
    for name in ("adult_cat", "mushroom"):
        train, other = load(name)[0], load(name, part)[0]
        holes, hidden = with_holes(other)
        k = load(name)[1]
        start = time.perf_counter()
        model = TreeFlowMixture(random_state=0, n_jobs=-1, categories=[np.arange(n) for n in k]).fit(
            train.astype(float)
        )
        filled = model.impute(holes)
        seconds = time.perf_counter() - start
        other_filled, other_seconds = timed(impute_by_boosting, train, holes)
        right, other_right = ((f == other)[hidden].mean() for f in (filled, other_filled))
        print(
            f"{name}: {right:.4f} ({seconds:.1f} s), boosted trees a column {other_right:.4f} ({other_seconds:.1f} s)"
        )

    print("\nclassification: accuracy and log-loss (seconds of the fit)")
    for name in LABEL:
        (X, y), (other, truth) = labelled(name, "train"), labelled(name, part)
        for what, fit in (("treeflows", TreeFlowClassifier(random_state=0, n_jobs=-1).fit), ("boosted", boosted)):
            model, seconds = timed(fit, X, y)
            known = np.isin(truth, model.classes_)
            loss = log_loss(truth[known], model.predict_proba(other[known]), labels=model.classes_)
            print(f"{name}, {what}: {(model.predict(other) == truth).mean():.4f}, {loss:.4f} ({seconds:.2f} s)")

    print("\nlearned from synthetic rows, tested on real ones: accuracy of boosted trees, adult_cat")
    (X, y), (other, truth) = labelled("adult_cat", "train"), labelled("adult_cat", part)
    real = (boosted(X, y).predict(other) == truth).mean()
    model = TreeFlowMixture(random_state=0, n_jobs=-1).fit(rows)
    for seed in range(3):
        drawn = model.sample(len(rows), random_state=seed)
        made = boosted(np.delete(drawn, LABEL["adult_cat"], axis=1), drawn[:, LABEL["adult_cat"]])
        print(f"seed {seed}: synthetic {(made.predict(other) == truth).mean():.4f}, real {real:.4f}")


class Questions:
    """Questions to a mixture of adult_cat."""

    def setup(self):
        """Fit."""
        rows, _ = load("adult_cat")
        self.rows = rows[:5000]
        self.holes, _ = with_holes(self.rows)
        self.model = TreeFlowMixture(random_state=0).fit(rows[:20_000])

    def time_score_samples(self):
        """Log-likelihoods."""
        self.model.score_samples(self.rows)

    def time_conditional_proba(self):
        """A column of sixteen categories."""
        self.model.conditional_proba(self.rows, 1)

    def time_impute(self):
        """A tenth of the cells."""
        self.model.impute(self.holes)

    def time_sample_given(self):
        """Rows with one given value."""
        self.model.sample(1000, random_state=0, given={8: 1})


if __name__ == "__main__":
    report(sys.argv[1] if len(sys.argv) > 1 else "valid")
