"""Tree flows and mixtures: seconds, bytes and likelihood; a user's criterion beside the built-in."""

from functools import partial
from math import log
from timeit import default_timer

import numpy as np

from treeflows import AutoregressiveTreeFlow, TreeFlowMixture

from .common import SETS, load
from .peers import SklearnTrees


def entropy(counts, n):
    """The cost that the built-in criterion minimises, as a user would write it."""
    cost = n * log(n)
    for c in counts:
        if c > 0:
            cost -= c * log(c)
    return cost


def tree_flow(n_categories, **options):
    """An unfitted flow on all cores."""
    return AutoregressiveTreeFlow(categories=[np.arange(k) for k in n_categories], n_jobs=-1, **options)


def mixture(n_categories):
    """An unfitted mixture on all cores."""
    return TreeFlowMixture(categories=[np.arange(k) for k in n_categories], random_state=0, n_jobs=-1)


MODELS = {"tree flow": tree_flow, "mixture": mixture}


class Models:
    """Both models on the sets of every benchmark; of mnist_binary the tree flow alone."""

    params = (list(MODELS), SETS)
    param_names = ("model", "dataset")
    timeout = 300

    def setup(self, model, dataset):
        """Load the table and fit."""
        if (model, dataset) == ("mixture", "mnist_binary"):
            raise NotImplementedError
        self.rows, k = load(dataset)
        self.test, _ = load(dataset, "test")
        self.model = MODELS[model](k).fit(self.rows)

    def time_fit(self, model, dataset):
        """Seconds."""
        self.model.fit(self.rows)

    def time_score_samples(self, model, dataset):
        """Seconds."""
        self.model.score_samples(self.test)

    def time_sample(self, model, dataset):
        """Seconds for 10,000 rows."""
        self.model.sample(10_000, random_state=0)

    def peakmem_fit(self, model, dataset):
        """Bytes of the whole process."""
        self.model.fit(self.rows)

    def track_test_nll(self, model, dataset):
        """Nats per row."""
        return -self.model.score(self.test)

    track_test_nll.unit = "nats"


class Criterion:
    """The entropy cost as built in, and as a function that a user gives."""

    params = (["built-in", "user's"], ["digits", "adult_cat", "mushroom"])
    param_names = ("criterion", "dataset")

    def setup(self, criterion, dataset):
        """Load the table; fit once, so that the function is compiled."""
        self.rows, k = load(dataset)
        self.flow = tree_flow(k, criterion="likelihood" if criterion == "built-in" else entropy).fit(self.rows)

    def time_fit(self, criterion, dataset):
        """Seconds."""
        self.flow.fit(self.rows)


def seconds(work, repeat=5):
    """Median seconds of a call."""
    measured = []
    for _ in range(repeat):
        start = default_timer()
        work()
        measured.append(default_timer() - start)
    return float(np.median(measured))


def against_sklearn(name, repeat=5, peer_repeat=1):
    """One line: this package and scikit-learn's trees on one table in one run, seconds and their ratios."""
    rows, k = load(name)
    test, _ = load(name, "valid")
    flow, peer = tree_flow(k), SklearnTrees()
    ours = seconds(partial(flow.fit, rows), repeat)
    theirs = seconds(partial(peer.fit, rows, k), peer_repeat)
    score, apply = seconds(partial(flow.score_samples, test)), seconds(partial(peer.score_samples, test))
    print(
        f"{name}: fit {1000 * ours:.1f} ms, scikit-learn {theirs:.2f} s, {theirs / ours:.0f} x; "
        f"score_samples {1000 * score:.2f} ms, apply {1000 * apply:.1f} ms, {apply / score:.1f} x; "
        f"NLL {-flow.score(test):.3f}, {-peer.score_samples(test).mean():.3f}",
        flush=True,
    )
    return ours, theirs


if __name__ == "__main__":
    for dataset in ("accidents", "plants", "adult_cat", "connect4_20k", "kdd"):
        against_sklearn(dataset)
    for dataset in ("nltcs", "msnbc", "mnist_binary"):
        rows, k = load(dataset)
        test, _ = load(dataset, "test")
        flow = tree_flow(k)
        print(f"{dataset}: fit {1000 * seconds(partial(flow.fit, rows)):.1f} ms, ", end="")
        print(f"score_samples of {len(test):,} rows {1000 * seconds(partial(flow.score_samples, test)):.1f} ms, ")
    for dataset in ("adult_cat", "mushroom", "connect4_20k", "plants", "accidents"):
        rows, k = load(dataset)
        built_in, users = tree_flow(k), tree_flow(k, criterion=entropy).fit(rows)
        ratio = seconds(partial(users.fit, rows), 9) / seconds(partial(built_in.fit, rows), 9)
        print(f"{dataset}: the user's entropy takes {ratio:.2f} x")
