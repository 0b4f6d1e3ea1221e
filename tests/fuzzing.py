"""Model files changed at random: each must be refused with a ValueError, or be a true model.

``python tests/fuzzing.py 100000`` tries so many, in processes of their own, of which none may die, with 1 GB of memory
above what each has at the start. A model is true if it answers all that it can be asked with an answer or a ValueError,
if its probabilities sum to one over the whole domain, and if it is a bijection of the domain where it says so. Of
numbers, distribution functions must rise from 0 to 1, agree with densities and samples, and all answers be finite.
"""

import contextlib
import copy
import io
import itertools
import json
import subprocess
import sys
import time
import warnings
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.special import logsumexp
from sklearn.base import clone

import treeflows
from treeflows import (
    AutoregressiveTreeFlow,
    DiscreteTreeFlow,
    TreeFlowClassifier,
    TreeFlowEnsemble,
    TreeFlowMixture,
    TreeFlowRegressor,
)
from treeflows.densities.logarithmic import LogarithmicPool
from treeflows.densities.logistic import Cells, LogisticConditionals
from treeflows.densities.mixed import MixedDensity

GIGABYTE = 2**30
AT_ONCE = 5_000  # files that a process tries
HOSTILE = [
    None,
    True,
    -1,
    0,
    1,
    255,
    256,
    2**31,
    2**63,
    10**30,
    1e300,
    5e-324,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "a",
]
HOSTILE += ["x" * 10_000, "\0", "\ud800", "V100", "i4,f8", "<U16384", "datetime64[s]", [], {}, [[]], [1, 0, 2], [0, 1]]
INTEGERS = [0, 1, -1, 2, 127, 128, 255, 2**31 - 1, -(2**31), 2**62, 2**63 - 1, -(2**63)]
NUMBERS = [0, -1, 1, 0.5, 5e-324, 1e-300, 1e300, np.nan, np.inf, -np.inf]
DTYPES = ["<f4", "<i8", "<u2", ">i4", "?", "<f2", "V8", "i4,i4", "<U4", "<c16", "<M8[s]"]


def models():
    """Small models of every kind, and a table that they were fitted to."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice(["a", "b", "c"], 80), rng.choice(list("pqrstuv"), 80), rng.choice(["x", "y"], 80)])
    X = X.astype(object)
    X[::9, 2] = None
    y = X[:, 0] == X[::-1, 0]
    tree = AutoregressiveTreeFlow(max_categories=4, handle_unknown="reserve")
    mixture = TreeFlowMixture(n_components=2, n_trees=2, logistic=False, random_state=0)
    return X, [
        tree.fit(X),
        DiscreteTreeFlow(2, min_samples_split=10).fit(X),
        DiscreteTreeFlow(1, base="tree", min_samples_split=10).fit(X),
        mixture.fit(X),
        TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, random_state=0).fit(X),
        TreeFlowClassifier(AutoregressiveTreeFlow(order="natural"), max_categories=3).fit(X, y),
        clone(mixture).take(mixture.domain_, with_logistic(mixture.distribution_)),
    ]


def models_given_a_column():
    """Models of the columns before the last given that, each with the table of all."""
    X, fitted = models()
    numbers = models_of_numbers()[0][1]
    return [
        (AutoregressiveTreeFlow(max_categories=4).fit(X[:, :2], context=X[:, 2]), X),
        (DiscreteTreeFlow(2, min_samples_split=10).fit(X[:, :2], context=X[:, 2]), X),
        (clone(fitted[3]).fit(X[:, :2], context=X[:, 2]), X),
        (TreeFlowMixture(numeric=[1], random_state=0).fit(numbers[:, :2], context=numbers[:, 2]), numbers),
    ]


def models_of_numbers():
    """Models of a table of numbers and categories, each with the table that it was fitted to."""
    rng = np.random.default_rng(0)
    letter = rng.choice(["a", "b", "c"], 60)
    real = rng.normal(size=60) + (letter == "a")
    real[rng.random(60) < 0.2] = 0.0
    whole = np.where(rng.random(60) < 0.1, np.nan, np.rint(np.abs(5 * real) + 30 * rng.random(60)))
    X = np.column_stack([letter.astype(object), real, whole])
    tree, mixture = (
        kind(numeric=[1, 2], handle_unknown="reserve", random_state=0)
        for kind in (AutoregressiveTreeFlow, TreeFlowMixture)
    )
    of_numbers = TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, numeric=[1, 2], random_state=0)
    return [
        (tree.fit(X), X),
        (mixture.fit(X), X),
        (of_numbers.fit(X), X),
        (TreeFlowRegressor(AutoregressiveTreeFlow(order="natural"), numeric=[1]).fit(X[:, :2], real), X[:, :2]),
        (TreeFlowClassifier(AutoregressiveTreeFlow(), numeric=[0, 1]).fit(X[:, 1:], letter), X[:, 1:]),
    ]


def with_logistic(pool):
    """The average pooled with random logistic regressions, each voice having its say."""
    k, rng = pool.n_categories, np.random.default_rng(1)
    reference = np.zeros(len(k), dtype=np.uint8)
    cells = Cells.of(k, pool.order, reference)
    sizes = cells.n, (cells.n - cells.bears_from).sum()
    parameters = [rng.normal(size=size).astype(np.float32) for size in sizes]
    exponent = np.tile([0.5, 0.1, 0.0, 0.2, 0.4], (len(k), 1))
    return LogarithmicPool(k, pool, LogisticConditionals(k, pool.order, reference, *parameters), exponent)


def members(data):
    """Members of an archive: dict of name to bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def archive_of(parts, compression=zipfile.ZIP_STORED):
    """An archive of members, given as pairs."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in parts:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def some(rng, among):
    """One of these."""
    return among[rng.integers(len(among))]


def damaged_bytes(data, rng):
    """Truncated, or with some bytes changed, put in or taken out."""
    data = bytearray(data)
    kind = rng.integers(3)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(data)))
        if kind == 1:
            data[at] ^= 1 << int(rng.integers(8))
        else:
            data[at : at + int(rng.integers(8))] = rng.bytes(int(rng.integers(8)))
    return bytes(data)


def changed_json(value, rng, others):
    """One value somewhere replaced, moved, doubled, nested or taken out; ``others`` are values of other files."""
    at = value = copy.deepcopy(value)
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = some(rng, keys)
        inner = at[key]
        if isinstance(inner, (dict, list)) and len(inner) and rng.random() < 0.85:
            at = inner
            continue
        kind = rng.integers(9)
        if kind == 0:
            del at[key]
        elif kind == 1 and isinstance(at, list):
            at.insert(int(rng.integers(len(at) + 1)), copy.deepcopy(inner))
        elif kind == 2:
            other = some(rng, keys)
            at[key], at[other] = at[other], inner
        elif kind == 3:
            at[key] = [inner] if rng.random() < 0.5 else {some(rng, keys): inner}
        elif kind == 4 and isinstance(inner, (int, float)):
            at[key] = some(rng, [inner + 1, inner - 1, inner * 2, -inner, float(inner), str(inner), not inner])
        elif kind == 5 and isinstance(at, dict):
            at[key] = some(rng, others).get(key, inner)
        elif kind == 6 and isinstance(at, dict) and isinstance(key, str):
            at[key + some(rng, ["", "_", "0"])] = some(rng, HOSTILE)
        else:
            at[key] = some(rng, HOSTILE)
        return value


def changed_array(array, rng, others):
    """Values, shape or dtype of an array changed; ``others`` are arrays of the same file."""
    if array.dtype.kind not in "uif":  # changed before
        return array
    array, kind = array.copy(), rng.integers(10)
    flat = array.reshape(-1)
    if kind < 5 and array.size == 0:
        return np.zeros((1, *array.shape[1:]), dtype=array.dtype)
    if kind < 2:
        for at in rng.integers(len(flat), size=rng.integers(1, 4)):
            flat[at] = np.array(some(rng, NUMBERS if array.dtype.kind == "f" else INTEGERS)).astype(array.dtype)
    elif kind == 2:  # what sums to one still does
        a, b = rng.integers(len(flat), size=2)
        flat[a], flat[b] = flat[b], flat[a]
    elif kind == 3:
        flat[rng.integers(len(flat))] = some(rng, flat)
    elif kind == 4:
        flat[rng.integers(len(flat))] += np.array(some(rng, [1, -1])).astype(array.dtype)
    elif kind == 5:
        array = array[: rng.integers(len(array) + 1)] if array.ndim else array[None]
    elif kind == 6:
        array = np.concatenate([array, array[-1:]]) if array.ndim else np.array([array, array])
    elif kind == 7:
        array = array.astype(some(rng, DTYPES))
    elif kind == 8:
        array = some(rng, others)
    else:
        array = some(
            rng, [array.T, array[::-1] if array.ndim else array, flat, array[..., None], np.asfortranarray(array)]
        )
    return array


def npy(array):
    """An array as bytes."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0))
    return file.getvalue()


def changed(data, rng, descriptions):
    """A file changed in one to three of these ways; most keep the checksums of the archive right."""
    if rng.random() < 0.1:
        return damaged_bytes(data, rng)
    parts = members(data)
    description = json.loads(parts.pop("model.json"))
    arrays = {name: np.load(io.BytesIO(array)) for name, array in parts.items()}
    extra: list = []
    with warnings.catch_warnings(action="ignore"):
        for _ in range(rng.integers(1, 4)):
            kind, name = rng.random(), some(rng, list(arrays))
            if kind < 0.4 and description:
                description = changed_json(description, rng, descriptions)
            elif kind < 0.9:
                arrays[name] = changed_array(arrays[name], rng, list(arrays.values()))
            elif kind < 0.93 and len(arrays) > 1:
                del arrays[name]
            elif kind < 0.96:
                arrays[some(rng, ["more.npy", f"0{name}", "layers9_column.npy"])] = arrays[name]
            else:
                extra.append((name, npy(arrays[name])))
    text = json.dumps(description).encode()
    if rng.random() < 0.03:
        text = damaged_bytes(text, rng)
    parts = {name: npy(array) for name, array in arrays.items()}
    if rng.random() < 0.05:
        name = some(rng, list(parts))
        parts[name] = damaged_bytes(parts[name], rng)
    compression = zipfile.ZIP_DEFLATED if rng.random() < 0.01 else zipfile.ZIP_STORED
    return archive_of([("model.json", text), *parts.items(), *extra], compression)


def assert_true(model):
    """Raise AssertionError unless probabilities sum to one over the domain, and a bijection is one."""
    distribution = model.distribution_
    if hasattr(distribution, "numbers") or model.domain_.numeric.any():
        for density in getattr(distribution, "members", (distribution,)):
            assert_true_numbers(density)
        return
    domain = np.array(list(itertools.product(*map(range, distribution.n_categories))), dtype=np.uint8)
    total = logsumexp(distribution.score(domain))
    assert abs(total) < 1e-6, f"probabilities sum to exp({total})"
    if hasattr(model, "transform"):
        codes = distribution.transform(domain)
        assert len(np.unique(codes, axis=0)) == len(domain), "two rows have the same codes"
        assert np.array_equal(distribution.invert(codes), domain), "codes do not go back to their rows"


def assert_true_numbers(density):
    """Raise AssertionError unless distributions of numbers and codes sum to one and agree with what is drawn."""
    assert isinstance(density, MixedDensity)
    rows = density.sample(12, np.random.default_rng(0))
    walk, ends = density.begin(len(rows)), (np.full(len(rows), -np.inf), np.full(len(rows), np.inf))
    for j in density.order.tolist():
        x, said = rows[:, j], walk.codes_say(j)
        assert (said >= 0).all(), "a probability is negative"
        assert np.allclose(said.sum(axis=1), 1, rtol=0, atol=1e-6), "kinds do not sum to one"
        assert (walk.score(j, x) > -np.inf).all(), "what is drawn has no density"
        if density.numbers.is_number[j]:
            there = np.where(np.isnan(x), density.numbers.origin[j], x)
            assert np.isfinite(there).all(), "what is drawn is infinite"
            below, above = walk.mass(j, ends[0], there), walk.mass(j, there, ends[1])
            assert min(below.min(), above.min()) >= 0, "a distribution function falls"
            assert np.allclose(below + above, 1, rtol=0, atol=1e-6), "a number does not sum to one"
        walk.observe(j, x)
    codes = density.transform(rows)
    assert np.isfinite(codes).all(), "codes are infinite"
    assert not np.isnan(density.score(density.invert(codes))).any(), "what codes stand for has no density"


def assert_finite(answer):
    """Raise AssertionError if an answer in numbers holds anything else."""
    assert np.isfinite(np.asarray(answer, dtype=np.float64)).all(), f"an answer is not finite: {answer}"


def ask_of_numbers(model, X):
    """What a model is asked of numbers; a ValueError is an answer."""
    part, column = X[:5], model.domain_.numeric.argmax()
    for question in (
        lambda: assert_finite(model.score_samples(part)),
        lambda: assert_finite(model.predict_quantiles(part, column)),
        lambda: assert_finite(model.predict_mean(part, column)),
        lambda: assert_finite(model.conditional_density(part, column, [0.0, 1.0])),
        lambda: assert_finite(model.conditional_proba(part, 0)),
        lambda: assert_finite(model.anomalies(X, 2).surprise),
        lambda: model.impute(np.where(np.eye(5, X.shape[1]) == 1, None, part), draw=True, random_state=0),
        lambda: model.sample(3, random_state=0, given={column: (0.0, None)}),
    ):
        with contextlib.suppress(ValueError):
            question()


def ask(model, X, pictures):
    """All that a model can be asked, ``pictures`` and what else takes long if so; a ValueError is an answer."""
    questions = [lambda: repr(model)]
    if model.context_ is not None:
        X, context = X[:, :-1], X[:, -1]
        questions += [
            lambda: model.summary(),
            lambda: model.score_samples(X, context),
            lambda: model.sample(3, random_state=0, context=context[:1]),
            lambda: model.anomalies(X, 2, context),
            lambda: model.inverse_transform(model.transform(X, context), context),
        ]
        pictures = False
    elif isinstance(model, TreeFlowClassifier):
        questions += [lambda: model.predict(X), lambda: ask(model.density_, X, pictures)]
    elif isinstance(model, TreeFlowRegressor):
        questions += [lambda: assert_finite(model.predict(X)), lambda: assert_finite(model.predict_quantiles(X))]
    else:
        questions += [lambda: model.score_samples(X), lambda: model.sample(3, random_state=0), model.summary]
        questions += [lambda: repr(model.query(0, given={X.shape[1] - 1: X[0, -1]}, n_draws=100))]
        if pictures and model.domain_.numeric.any():
            questions += [lambda: ask_of_numbers(model, X)]
    if hasattr(model, "transform") and model.context_ is None:
        questions += [lambda: model.inverse_transform(model.transform(X))]
    place = {"layer": 1} if isinstance(model, DiscreteTreeFlow) else {"column": 0}
    has_trees = any(hasattr(model, name) for name in ("trees_", "flows_", "layers_"))
    if has_trees:
        questions += [lambda: model.tree(**place).to_text(), lambda: model.summary(**dict.fromkeys(place, 1))]
    if pictures:
        import matplotlib.pyplot as plt

        if any(hasattr(model, name) for name in ("layers_", "flows_", "estimators_")):
            questions += [lambda: treeflows.LikelihoodCurveDisplay.from_estimator(model, X).figure_.canvas.draw()]
        if has_trees:
            questions += [lambda: treeflows.TreeDisplay.from_estimator(model, **place).figure_.canvas.draw()]
        questions += [lambda: plt.close("all")]
    for question in questions:
        with contextlib.suppress(ValueError):
            question()


def fuzz(numbers, folder, seed=0, pictures=0.05):
    """Counts of what became of changed files of these numbers: refused, or loaded and true."""
    X, fitted = models()
    fitted = [*((model, X) for model in fitted), *models_of_numbers(), *models_given_a_column()]
    path = Path(folder) / "model"
    files = []
    for model, _ in fitted:
        treeflows.save(model, path)
        files.append(path.read_bytes())
    descriptions = [json.loads(members(file)["model.json"]) for file in files]
    fates = Counter()
    slowest = 0.0
    for i in numbers:
        rng = np.random.default_rng([seed, i])
        path.write_bytes(changed(files[i % len(files)], rng, descriptions))
        start = time.perf_counter()
        try:
            with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
                try:
                    model = treeflows.load(path)
                except ValueError:
                    fates["refused"] += 1
                else:
                    assert_true(model)
                    ask(model, fitted[i % len(files)][1], rng.random() < pictures)
                    fates["true"] += 1
        except Exception as error:
            raise AssertionError(f"file {i} of seed {seed}: {error!r}") from error
        slowest = max(slowest, time.perf_counter() - start)
    return fates | Counter(slowest_milliseconds=round(1000 * slowest))


def in_processes(n_files, seed):
    """Fates of so many files, tried in processes of their own; SystemExit for the first that dies."""

    def run(start):
        numbers = [str(start), str(min(start + AT_ONCE, n_files)), str(seed)]
        done = subprocess.run([sys.executable, __file__, "part", *numbers], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"files {numbers}: exit status {done.returncode}\n{done.stderr[-3000:]}{done.stdout}")
        return Counter(json.loads(done.stdout))

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(run, range(0, n_files, AT_ONCE)))
    return sum(parts, Counter()) | {"slowest_milliseconds": max(part["slowest_milliseconds"] for part in parts)}


def in_this_process(first, last, seed):
    """Fates of the files from ``first`` to ``last``, with little memory; prints where it is if it dies."""
    import faulthandler
    import resource  # not there on Windows

    import matplotlib as mpl

    mpl.use("agg")
    faulthandler.enable()
    with Path("/proc/self/statm").open() as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + GIGABYTE, now + GIGABYTE))
    with TemporaryDirectory() as where:
        return fuzz(range(first, last), where, seed)


if __name__ == "__main__":
    if sys.argv[1] == "part":
        print(json.dumps(in_this_process(*map(int, sys.argv[2:]))))
    else:
        print(dict(in_processes(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
