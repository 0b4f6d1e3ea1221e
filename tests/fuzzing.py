"""Model files damaged at random: each must load, or be refused with a ValueError.

``python tests/fuzzing.py 10000`` tries so many, under a limit of memory 1 GB above what the process has at the start.
What loads must also answer: a damaged number that is still a model is no error, a crash is.
"""

import copy
import io
import json
import sys
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowClassifier, TreeFlowEnsemble, TreeFlowMixture

GIGABYTE = 2**30
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
    float("nan"),
    "",
    "a",
    "x" * 10_000,
    [],
    {},
    [[]],
]
NUMBERS = [0, 1, -1, 2, 127, 128, 255, 2**31 - 1, -(2**31), 2**62]


def models():
    """Small models of every kind, and a table that they were fitted to."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice(["a", "b", "c"], 80), rng.choice(list("pqrstuv"), 80), rng.choice(["x", "y"], 80)])
    X = X.astype(object)
    X[::9, 2] = None
    y = X[:, 0] == X[::-1, 0]
    tree = AutoregressiveTreeFlow(max_categories=4, handle_unknown="reserve")
    return X, [
        tree.fit(X),
        DiscreteTreeFlow(2, min_samples_split=10).fit(X),
        DiscreteTreeFlow(1, base="tree", min_samples_split=10).fit(X),
        TreeFlowMixture(n_components=2, n_trees=2, random_state=0).fit(X),
        TreeFlowEnsemble(AutoregressiveTreeFlow(order="random"), 2, random_state=0).fit(X),
        TreeFlowClassifier(AutoregressiveTreeFlow(order="natural"), max_categories=3).fit(X, y),
    ]


def members(data):
    """Members of an archive: dict of name to bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def archive_of(parts):
    """An archive of members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


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


def damaged_json(value, rng):
    """One value somewhere replaced by a hostile one, or taken out."""
    at = value = copy.deepcopy(value)
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = keys[rng.integers(len(keys))]
        inner = at[key]
        if isinstance(inner, (dict, list)) and len(inner) and rng.random() < 0.85:
            at = inner
        elif rng.random() < 0.2:
            del at[key]
            return value
        else:
            at[key] = HOSTILE[rng.integers(len(HOSTILE))]
            return value


def damaged_array(data, rng):
    """Values, shape or dtype changed, with a header that tells the truth, or lies."""
    array = np.load(io.BytesIO(data)).copy()
    kind = rng.integers(5)
    if kind == 0:
        return damaged_bytes(data, rng)
    if array.size and kind in (1, 2):
        flat = array.reshape(-1)
        for at in rng.integers(len(flat), size=rng.integers(1, 4)):
            if array.dtype.kind == "f":
                flat[at] = [0, -1, 1e300, np.nan, np.inf, -np.inf][rng.integers(6)]
            else:
                flat[at] = np.array(NUMBERS[rng.integers(len(NUMBERS))]).astype(array.dtype)
    elif kind == 3:
        array = array[: rng.integers(len(array) + 1)] if array.ndim else array
    else:
        array = array.astype(["<f4", "<i8", "<u2", ">i4", "?"][rng.integers(5)])
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def damaged(data, rng):
    """A file damaged in one of these ways; most keep the checksums of the archive right."""
    if rng.random() < 0.3:
        return damaged_bytes(data, rng)
    parts = members(data)
    name = list(parts)[rng.integers(len(parts))]
    if rng.random() < 0.1:
        del parts[name]
    elif name.endswith(".json") or rng.random() < 0.4:
        name = "model.json"
        parts[name] = json.dumps(damaged_json(json.loads(parts[name]), rng)).encode()
    else:
        with warnings.catch_warnings(action="ignore"):
            parts[name] = damaged_array(parts[name], rng)
    return archive_of(parts)


def fuzz(n_files, folder, seed=0):
    """Counts of what became of damaged files: refused, or loaded and answering."""
    X, fitted = models()
    path = Path(folder) / "model"
    files = []
    for model in fitted:
        treeflows.save(model, path)
        files.append(path.read_bytes())
    fates = Counter()
    slowest = 0.0
    for i in range(n_files):
        rng = np.random.default_rng([seed, i])
        path.write_bytes(damaged(files[i % len(files)], rng))
        start = time.perf_counter()
        try:
            with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
                model = treeflows.load(path)
                fates["loaded"] += 1
                if isinstance(model, TreeFlowClassifier):
                    model.predict_proba(X)
                else:
                    model.score_samples(X)
                    model.sample(3, random_state=0)
            fates["answered"] += 1
        except ValueError:
            fates["refused"] += 1
        except MemoryError:
            raise AssertionError(f"file {i} makes the reader allocate more than there may be") from None
        except Exception as error:
            raise AssertionError(f"file {i} is refused with {error!r}, which is no ValueError") from error
        slowest = max(slowest, time.perf_counter() - start)
    return fates | Counter(slowest_milliseconds=round(1000 * slowest))


if __name__ == "__main__":
    import resource  # not there on Windows

    with Path("/proc/self/statm").open() as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + GIGABYTE, now + GIGABYTE))
    with TemporaryDirectory() as where:
        print(dict(fuzz(int(sys.argv[1]), where)))
