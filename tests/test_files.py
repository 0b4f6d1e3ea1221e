"""Model files: they hold everything, and nothing bad comes of a bad one."""

import io
import json
import tracemalloc
import zipfile
from contextlib import nullcontext
from fractions import Fraction

import fuzzing
import joblib
import numpy as np
import pandas as pd
import pytest
import store
from conftest import random_table
from fuzzing import fuzz
from joblib import cpu_count
from sklearn.neighbors import KernelDensity

import treeflows
from treeflows import AutoregressiveTreeFlow, DiscreteTreeFlow, TreeFlowEnsemble, TreeFlowMixture
from treeflows.densities.logarithmic import LogarithmicPool
from treeflows.machine.archives import whole_file
from treeflows.models.parameters import MIN_SMOOTHING


def some_flow(**options):
    codes = random_table(0, 300, [3, 2, 4])
    table = pd.DataFrame(
        {"a": np.array(["x", "y", "z"])[codes[:, 0]], "b": codes[:, 1], "c": pd.Categorical(codes[:, 2])}
    )
    options = {"n_layers": 3, "min_samples_split": 20, "random_state": 0} | options
    return DiscreteTreeFlow(**options).fit(table), table


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"n_layers": 0}, {"criterion": "random"}])
def test_a_loaded_flow_is_the_saved_one(tmp_path, options):
    flow, table = some_flow(**options)
    treeflows.save(flow, tmp_path / "a.treeflow")
    copy = treeflows.load(tmp_path / "a.treeflow")
    np.testing.assert_array_equal(copy.score_samples(table), flow.score_samples(table))
    np.testing.assert_array_equal(copy.transform(table), flow.transform(table))
    pd.testing.assert_frame_equal(copy.sample(50), flow.sample(50))
    for a, b in zip(copy.staged_score_samples(table), flow.staged_score_samples(table), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(copy.train_score_, flow.train_score_)
    np.testing.assert_array_equal(copy.validation_score_, flow.validation_score_)
    assert [str(layer) for layer in copy.layers_] == [str(layer) for layer in flow.layers_]
    assert copy.get_params() == flow.get_params()
    treeflows.save(copy, tmp_path / "b.treeflow")
    assert (tmp_path / "a.treeflow").read_bytes() == (tmp_path / "b.treeflow").read_bytes()


def test_bases_members_and_orders_are_kept(tmp_path):
    _, table = some_flow()
    trees = AutoregressiveTreeFlow(order=[2, 0, 1], min_samples_leaf=3)
    flow = DiscreteTreeFlow(2, base=trees, min_samples_split=20)
    mixture = TreeFlowMixture(AutoregressiveTreeFlow(order="random", prior_split=2.0), 3, 2, random_state=0)
    default = TreeFlowMixture(n_trees=2, random_state=0)
    for model in (trees, flow, TreeFlowEnsemble(flow, 2, random_state=0), mixture, default):
        treeflows.save(model.fit(table), tmp_path / "m")
        copy = treeflows.load(tmp_path / "m")
        np.testing.assert_array_equal(copy.score_samples(table), model.score_samples(table))
        assert repr(copy) == repr(model)
        refitted = copy.fit(table)
        np.testing.assert_array_equal(refitted.score_samples(table), model.score_samples(table))
    assert copy.validation_score_ == model.validation_score_
    np.testing.assert_array_equal(copy.share_, model.share_)
    np.testing.assert_array_equal(copy.predict_state_proba(table), model.predict_state_proba(table))
    treeflows.save(trees.fit(table), tmp_path / "m")
    copy = treeflows.load(tmp_path / "m")
    assert [str(tree) for tree in copy.trees_] == [str(tree) for tree in trees.trees_]
    assert copy.log_evidence_ == trees.log_evidence_


def test_estimators_of_others_are_refused(tmp_path):
    _, table = some_flow()
    with pytest.raises(ValueError, match="KernelDensity.* is no model of treeflows"):
        treeflows.save(DiscreteTreeFlow(1, base=KernelDensity()).fit(table), tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["int64", "U", "object", "bool", "float"])
def test_arrays_of_any_dtype_are_kept(tmp_path, kind):
    codes = random_table(0, 100, [2, 2])
    X = codes.astype(kind) if kind != "object" else np.array([["a", 1]] * 50 + [["b", 2]] * 50, dtype=object)
    flow = DiscreteTreeFlow(1).fit(X)
    treeflows.save(flow, tmp_path / "m")
    copy = treeflows.load(tmp_path / "m")
    assert copy.sample(5).dtype == X.dtype
    np.testing.assert_array_equal(copy.sample(5, random_state=0), flow.sample(5, random_state=0))


def test_categories_that_no_file_can_hold(tmp_path):
    X = np.empty((2, 1), dtype=object)
    X[:, 0] = [(1, 2), (3, 4)]
    with pytest.raises(ValueError, match=r"'x0' has categories that are neither numbers nor strings \(\(1, 2\)\)"):
        treeflows.save(DiscreteTreeFlow().fit(X), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_model_is_an_npz_archive_without_code(tmp_path):
    flow, _ = some_flow()
    treeflows.save(flow, tmp_path / "m")
    with np.load(tmp_path / "m", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["layers0_tables"], flow.layers_[0].tables)


def rewritten(path, change):
    """The archive at path with its members changed by a function of (name, bytes)."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(info.filename, data)
    path.write_bytes(out.getvalue())


def test_truncated_or_flipped_files_are_refused(tmp_path):
    flow, table = some_flow()
    path = tmp_path / "m"
    treeflows.save(flow, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in [0, 1, 10, *rng.integers(11, len(whole), 40)]:
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="is not a treeflows model file|damaged"):
            treeflows.load(path)
    for _ in range(150):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        try:
            copy = treeflows.load(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(copy.score_samples(table), flow.score_samples(table))  # a bit that nobody reads


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "m"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is not a treeflows model file"):
        treeflows.load(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match="is not a treeflows model file"):
        treeflows.load(f"{path}.npz")
    with pytest.raises(OSError, match="no such|No such"):
        treeflows.load(tmp_path / "nowhere")


def with_json(change):
    def apply(name, data):
        if name != "model.json":
            return data
        model = json.loads(data)
        change(model)
        return json.dumps(model)

    return apply


def array_of(values, dtype):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array(values, dtype=dtype), version=(1, 0))
    return out.getvalue()


def replaced(member, make):
    def apply(name, data):
        if name != f"{member}.npy":
            return data
        return make(np.lib.format.read_array(io.BytesIO(data)))

    return apply


DAMAGES = {
    "version": (with_json(lambda m: m.update(version=99)), "version 99 .* reads up to 2"),
    "format": (with_json(lambda m: m.update(format="other")), "not a treeflows model file"),
    "class": (with_json(lambda m: m["model"].update({"class": "Other"})), "unknown model 'Other'"),
    "parameter": (with_json(lambda m: m["model"]["params"].update(depth=3)), "damaged"),
    "dtypes": (with_json(lambda m: m.update(dtypes=["nothing"] * 3)), "damaged"),
    "more layers": (with_json(lambda m: m["distribution"]["layers"].append({"kind": "TreePermutation"})), "damaged"),
    "fewer categories": (with_json(lambda m: m["columns"][0]["values"].pop()), "damaged"),
    "no array": (lambda n, d: None if n == "bases0_prob.npy" else d, "damaged"),
    "column": (replaced("layers0_column", lambda a: array_of(a + 100, "<i4")), "array column holds values outside"),
    "cycle": (replaced("layers0_children", lambda a: array_of(np.zeros_like(a), "<i4")), "no tree"),
    "leaf": (replaced("layers0_children", lambda a: array_of(np.where(a < 0, -1, a), "<i4")), "leaves"),
    "table": (replaced("layers0_tables", lambda a: array_of(a * 0, "u1")), "permutation"),
    "set": (replaced("layers0_output_sets", lambda a: array_of(a + 7, "u1")), "array output_sets holds"),
    "shape": (replaced("layers0_tables", lambda a: array_of(a[:, :-1], "u1")), "shape"),
    "dtype": (replaced("layers0_tables", lambda a: array_of(a, "<f8")), "dtype"),
    "objects": (replaced("train_score", lambda a: array_of(a, "<U3")), "layout"),
    "probabilities": (replaced("bases0_prob", lambda a: array_of(a / 2, "<f8")), "sum to one"),
    "huge": (
        lambda n, d: d.replace(b"(4,), ", b"(99999999999,), ") if n == "train_score.npy" else d,
        "not as long as its header says|damaged",
    ),
}


TREE_DAMAGES = {
    "order": (replaced("members0_order", lambda a: array_of(a * 0, "<i4")), "no permutation"),
    "no earlier column": (replaced("members1_column", lambda a: array_of(a * 0 + 2, "<i4")), "come before"),
    "column": (replaced("members0_column", lambda a: array_of(a + 100, "<i4")), "array column holds values outside"),
    "category": (replaced("members0_high", lambda a: array_of(a + 100, "u1")), "no category"),
    "cycle": (replaced("members0_children", lambda a: array_of(np.zeros_like(a), "<i4")), "no tree"),
    "nodes": (replaced("members0_first_node", lambda a: array_of(a[::-1], "<i8")), "follow each other"),
    "leaves": (replaced("members0_first_leaf", lambda a: array_of(a + 1, "<i8")), "start that follow each other"),
    "probabilities": (replaced("members0_prob", lambda a: array_of(a / 2, "<f8")), "sum to one"),
    "too few probabilities": (replaced("members0_prob", lambda a: array_of(a[:-1], "<f8")), "too few"),
    "no numbers": (replaced("members0_prob", lambda a: array_of(a * np.nan, "<f8")), "holds values outside"),
    "weights": (replaced("weight", lambda a: array_of(a / 2, "<f8")), "weights of the members"),
    "no members": (with_json(lambda m: m["distribution"].update(members=[])), "sum to one"),
    "member": (
        with_json(lambda m: m["distribution"]["members"][0].update(kind="Tree")),
        "unknown kind .* 'Tree'",
    ),
}


MIXTURE_DAMAGES = {
    "order": (replaced("trees1_order", lambda a: array_of(a[::-1], "<i4")), "damaged"),
    "no flows": (with_json(lambda m: m["distribution"].update(trees=[])), "no tree flow"),
    "a flow": (with_json(lambda m: m["distribution"]["trees"][0].update(kind="Pool")), "damaged"),
    "share": (replaced("share", lambda a: array_of(a / 2, "<f8")), "sum to one"),
    "negative share": (replaced("share", lambda a: array_of(a + np.array([1, -1, 0]), "<f8")), "holds values outside"),
    "weight": (replaced("products_weight", lambda a: array_of(a * np.nan, "<f8")), "holds values outside"),
    "states": (replaced("products_weight", lambda a: array_of(a[:-1] / a[:-1].sum(), "<f8")), "shape"),
    "probabilities": (replaced("products_prob", lambda a: array_of(a / 2, "<f8")), "sum to one"),
    "impossible": (replaced("products_prob", lambda a: array_of(np.round(a), "<f8")), "holds values outside"),
    "fewer flows": (with_json(lambda m: m["distribution"]["trees"].pop()), "not there"),
    "scores": (with_json(lambda m: m["distribution"].update(products=3)), "damaged"),
    "estimator": (with_json(lambda m: m["model"]["params"].update(estimator={"depth": 1})), "damaged"),
}


@pytest.mark.parametrize("damage", MIXTURE_DAMAGES)
def test_damage_of_mixtures_is_named(tmp_path, damage):
    _, table = some_flow()
    mixture = TreeFlowMixture(n_components=3, n_trees=2, logistic=False, random_state=0).fit(table)
    assert_damage_is_named(mixture, tmp_path, *MIXTURE_DAMAGES[damage])


LOGISTIC_DAMAGES = {
    "order": (replaced("logistic_order", lambda a: array_of(a[::-1], "<i4")), "another order"),
    "no order": (replaced("logistic_order", lambda a: array_of(a * 0, "<i4")), "no permutation"),
    "reference": (replaced("logistic_reference", lambda a: array_of(a + 200, "u1")), "no category"),
    "other reference": (replaced("logistic_constant", lambda a: array_of(a[1:], "<f4")), "too few or too many"),
    "coefficients": (replaced("logistic_coefficient", lambda a: array_of(a[1:], "<f4")), "too few or too many"),
    "no number": (replaced("logistic_coefficient", lambda a: array_of(a * np.nan, "<f4")), "holds values outside"),
    "exponent": (replaced("exponent", lambda a: array_of(a - 5, "<f8")), "holds values outside"),
    "average": (with_json(lambda m: m["distribution"]["average"].update(kind="LogisticConditionals")), "damaged"),
}


@pytest.mark.parametrize("damage", LOGISTIC_DAMAGES)
def test_damage_of_logistic_regressions_is_named(tmp_path, damage):
    _, table = some_flow()
    mixture = TreeFlowMixture(n_components=3, n_trees=2, random_state=0).fit(table)
    assert isinstance(mixture.distribution_, LogarithmicPool)
    assert_damage_is_named(mixture, tmp_path, *LOGISTIC_DAMAGES[damage])


NUMBER_DAMAGES = {
    "step": (0, replaced("numbers_step", lambda a: array_of(np.where(a == 0, 5e-324, a), "<f8")), "not those"),
    "bound": (0, replaced("numbers_low", lambda a: array_of(a - 5, "<f8")), "not those"),
    "missing": (0, with_json(lambda m: m["columns"][2].update(missing=False)), "not those"),
    "columns": (0, with_json(lambda m: m.update(columns=[m["columns"][0]] * 3)), "not those"),
    "slope": (0, replaced("smooth_slope", lambda a: array_of(np.append(1e300, a[1:]), "<f8")), "holds values outside"),
    "knots": (0, replaced("smooth_knot", lambda a: array_of(np.append(a[1] - 1e-320, a[1:]), "<f8")), "do not ascend"),
    "target": (4, with_json(lambda m: m["model"].update({"class": "TreeFlowRegressor"})), "no target"),
}


@pytest.fixture(scope="module")
def models_of_numbers():
    return [model for model, _ in fuzzing.models_of_numbers()]


@pytest.mark.parametrize("damage", NUMBER_DAMAGES)
def test_damage_of_densities_of_numbers_is_named(tmp_path, damage, models_of_numbers):
    which, *change_and_told = NUMBER_DAMAGES[damage]
    assert_damage_is_named(models_of_numbers[which], tmp_path, *change_and_told)


def test_a_mixture_that_sees_its_column_far_away_is_a_distribution(tmp_path, models_of_numbers):
    treeflows.save(models_of_numbers[1], tmp_path / "m")
    rewritten(tmp_path / "m", replaced("mixtures2_centre", lambda a: array_of(np.append(1e300, a[1:]), "<f8")))
    fuzzing.assert_true(treeflows.load(tmp_path / "m"))


def test_trees_that_are_not_there_have_no_share(tmp_path):
    _, table = some_flow()
    mixture = TreeFlowMixture(n_components=np.int64(3), n_trees=1, logistic=False, random_state=0).fit(table)
    change = replaced("share", lambda a: array_of(np.ascontiguousarray(a[:, [1, 0, 2]]), "<f8"))
    assert_damage_is_named(mixture, tmp_path, change, "not there")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(tmp_path, damage):
    flow, _ = some_flow()
    assert_damage_is_named(flow, tmp_path, *DAMAGES[damage])


@pytest.mark.parametrize("damage", TREE_DAMAGES)
def test_damage_of_trees_is_named(tmp_path, damage):
    _, table = some_flow()
    ensemble = TreeFlowEnsemble(AutoregressiveTreeFlow(), 2).fit(table)
    assert_damage_is_named(ensemble, tmp_path, *TREE_DAMAGES[damage])


def assert_damage_is_named(model, tmp_path, change, told):
    treeflows.save(model, tmp_path / "m")
    rewritten(tmp_path / "m", change)
    with pytest.raises(ValueError, match=told):
        treeflows.load(tmp_path / "m")


def set_to(member, at, value):
    """An array with one entry replaced."""

    def make(array):
        array = array.copy()
        array[at] = value
        return array_of(array, array.dtype)

    return replaced(member, make)


def params(**changes):
    return with_json(lambda m: m["model"]["params"].update(changes))


def both(*changes):
    def apply(name, data):
        for change in changes:
            data = data if data is None else change(name, data)
        return data

    return apply


LIES = {  # files that are true to every header, and no model
    "offsets that wrap around": (
        AutoregressiveTreeFlow(),
        both(
            replaced("first_node", lambda a: array_of([0, 2**63 - 1, -2, 0], "<i8")),
            replaced("first_leaf", lambda a: array_of([0, -(2**63), 0, 3], "<i8")),
            *(replaced(name, lambda a: array_of(a[:0], a.dtype)) for name in ("column", "low", "high", "children")),
            replaced("leaf_rows", lambda a: array_of(a[:3], "<i4")),
        ),
        "array first_node does not say where",
    ),
    "too small a probability": (AutoregressiveTreeFlow(), set_to("prob", 0, 5e-324), "array prob holds"),
    "evidence": (AutoregressiveTreeFlow(), set_to("evidence", 0, np.nan), "array evidence holds"),
    "fewer rows than none": (AutoregressiveTreeFlow(), set_to("leaf_rows", 0, -1), "array leaf_rows holds"),
    "no rows": (
        AutoregressiveTreeFlow(),
        replaced("leaf_rows", lambda a: array_of(0 * a, a.dtype)),
        "the leaves of tree 0 have no rows",
    ),
    "counts": (DiscreteTreeFlow(1, min_samples_split=20), set_to("layers0_counts", 0, -1), "array counts holds"),
    "tables of other leaves": (
        DiscreteTreeFlow(1, min_samples_split=20),
        replaced("layers0_tables", lambda a: array_of(a[::-1], "u1")),
        "does not carry its cell",
    ),
    "other output sets": (
        DiscreteTreeFlow(1, min_samples_split=20),
        replaced("layers0_output_sets", lambda a: array_of(1 - a, "u1")),
        "does not carry its cell",
    ),
    "short curve": (
        DiscreteTreeFlow(2, min_samples_split=20),
        replaced("train_score", lambda a: array_of(a[:2], "<f8")),
        "score of a stage is missing",
    ),
    "equal categories": (
        AutoregressiveTreeFlow(),
        with_json(lambda m: m["columns"][1].update(values=[0.2, 0.7], dtype="<i8")),
        "not of their dtype",
    ),
    "equal as strings": (
        AutoregressiveTreeFlow(),
        with_json(lambda m: m["columns"][0].update(values=["x", "x\0", "z"], dtype="U")),
        "not of their dtype",
    ),
    "equal in tables": (
        AutoregressiveTreeFlow(),
        with_json(lambda m: m["columns"][1].update(values=[1, 257]) or m.update(dtypes=["str", "int8", "category"])),
        "dtype 'int8' cannot hold column 'b'",
    ),
    "NaN": (
        AutoregressiveTreeFlow(),
        with_json(lambda m: m["columns"][1].update(values=[0.0, float("nan")], dtype="<f8")),
        "not distinct numbers or strings",
    ),
    "half a character": (
        AutoregressiveTreeFlow(),
        with_json(lambda m: m["columns"][0].update(values=["x", "y", "\ud800"])),
        "not distinct numbers or strings",
    ),
    "order": (AutoregressiveTreeFlow(), params(order=[1, 0]), "order is no permutation"),
    "parameter": (
        DiscreteTreeFlow(1, base=AutoregressiveTreeFlow()),
        with_json(lambda m: m["model"]["params"]["base"]["params"].update(prior_split=-1.0)),
        "prior_split",
    ),
    "classifier as a base": (
        DiscreteTreeFlow(1, base="tree"),
        params(base={"class": "TreeFlowClassifier", "params": {}}),
        "no score_samples",
    ),
    "other density": (
        AutoregressiveTreeFlow(),
        with_json(lambda m: m.update(model={"class": "TreeFlowMixture", "params": {}})),
        "TreeFlowMixture has no Conditionals, but a Pool or a LogarithmicPool",
    ),
    "other members": (
        TreeFlowEnsemble(AutoregressiveTreeFlow(), 2),
        params(estimator={"class": "TreeFlowMixture", "params": {}}),
        "TreeFlowMixture has no Conditionals, but a Pool or a LogarithmicPool",
    ),
    "layer as a member": (
        TreeFlowEnsemble(DiscreteTreeFlow(1), 2),
        with_json(lambda m: m["distribution"]["members"][0].update(m["distribution"]["members"][0]["layers"][0])),
        "damaged",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_files_that_lie_are_refused(tmp_path, lie):
    _, table = some_flow()
    model, change, told = LIES[lie]
    assert_damage_is_named(model.fit(table), tmp_path, change, told)


@pytest.mark.parametrize("dtype", ["V100", "i4,f8", "<M8[s]", "<c16", "<U16777216"])
def test_dtypes_that_no_table_has_are_refused(tmp_path, dtype):
    model = AutoregressiveTreeFlow().fit(random_table(0, 100, [2, 2]))
    assert_damage_is_named(model, tmp_path, with_json(lambda m: m.update(dtypes=[dtype] * 2)), "damaged")


def test_members_are_those_of_the_model(tmp_path):
    model = AutoregressiveTreeFlow().fit(random_table(0, 100, [2, 2]))
    for name, told in [("prob", "occurs more than once"), ("more", "no part of it is an array more")]:
        treeflows.save(model, tmp_path / "m")
        warned = pytest.warns(UserWarning, match="Duplicate") if name == "prob" else nullcontext()
        with zipfile.ZipFile(tmp_path / "m", "a") as archive, warned:
            archive.writestr(f"{name}.npy", array_of(model.distribution_.prob, "<f8"))
        with pytest.raises(ValueError, match=told):
            treeflows.load(tmp_path / "m")


GREEDY = {  # what asks for much more memory than the file has bytes
    "wide categories": lambda m: m["columns"][0].update(values=["a" * 100_000, *map(str, range(255))], dtype="U"),
    "wide dtype": lambda m: m.update(dtypes=["<U99999999"] * 2),
    "much text": lambda m: m.update(more=[[]] * 5_000_000),
    "members": lambda m: m.update(model={"class": "TreeFlowEnsemble", "params": {"n_estimators": 10**9}}),
    "deep parameters": lambda m: m["model"].update(nested(200)),
}


def nested(depth):
    model = {"class": "TreeFlowEnsemble", "params": {}}
    for _ in range(depth):
        model = {"class": "TreeFlowEnsemble", "params": {"estimator": model}}
    return model


@pytest.mark.parametrize("greed", GREEDY)
def test_files_that_ask_for_much_are_refused_before_they_get_it(tmp_path, greed):
    treeflows.save(AutoregressiveTreeFlow().fit(random_table(0, 100, [2, 2])), tmp_path / "m")
    rewritten(tmp_path / "m", with_json(GREEDY[greed]))
    tracemalloc.start()
    with pytest.raises(ValueError, match="damaged"):
        treeflows.load(tmp_path / "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_a_file_asks_for_no_more_threads_than_there_are_cores(tmp_path):
    model = AutoregressiveTreeFlow(n_jobs=4096).fit(random_table(0, 100, [2, 2]))
    treeflows.save(model, tmp_path / "m")
    assert treeflows.load(tmp_path / "m").n_jobs == cpu_count()


@pytest.mark.parametrize(
    "changes",
    [
        {"prior_split": 1e308},
        {"prior_split": 5e-324},
        {"smoothing": MIN_SMOOTHING},
        {"smoothing": Fraction(1, 3)},
        {"smoothing": np.float32(0.5)},
        {"max_features": True},
        {"max_depth": 10**30},
        {"order": (1, np.int8(0))},
        {"order": np.array([1, 0], dtype=np.uint64)},
        {"n_jobs": np.int8(-1)},
    ],
    ids=str,
)
def test_a_file_holds_every_parameter_that_a_model_accepts(tmp_path, changes):
    codes = random_table(0, 100, [2, 2])
    inner = AutoregressiveTreeFlow(**changes)
    for model in (inner, TreeFlowMixture(inner, 2, 2), DiscreteTreeFlow(1, base=inner)):
        treeflows.save(model.fit(codes), tmp_path / "m")
        copy = treeflows.load(tmp_path / "m")
        kept = getattr(copy, "estimator", getattr(copy, "base", copy))
        for name, value in changes.items():
            np.testing.assert_allclose(np.array(getattr(kept, name), float), np.array(value, float))
        treeflows.save(part := copy.flows_[1] if isinstance(copy, TreeFlowMixture) else copy, tmp_path / "m")
        assert treeflows.load(tmp_path / "m").score(codes) == part.score(codes)


def test_no_smoothing_makes_probabilities_that_no_file_holds(tmp_path):
    codes = random_table(0, 100, [2, 2])
    for model in (AutoregressiveTreeFlow(smoothing=MIN_SMOOTHING), DiscreteTreeFlow(1, smoothing=MIN_SMOOTHING)):
        treeflows.save(model.fit(codes * 0, sample_weight=np.full(100, 1e3)), tmp_path / "m")
        treeflows.load(tmp_path / "m")
        with pytest.raises(ValueError, match="smoothing"):
            model.set_params(smoothing=1e-13).fit(codes)


def test_the_same_model_is_the_same_file(tmp_path):
    for model, same in zip(fuzzing.models()[1], fuzzing.models()[1], strict=True):
        treeflows.save(model, tmp_path / "a")
        treeflows.save(same, tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    model = AutoregressiveTreeFlow().fit(random_table(0, 100, [2, 2]))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        treeflows.save(model, tmp_path / "nowhere" / "m")


def test_a_full_disk_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "m"
    path.write_text("old")
    flow, _ = some_flow()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (100, 3_000, 6_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                treeflows.save(flow, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


def test_files_take_little_more_memory_than_their_arrays(tmp_path):
    model = TreeFlowMixture(n_components=16, n_trees=3, random_state=0).fit(random_table(0, 3_000, [5] * 40))
    peaks = []
    for act in (lambda: treeflows.save(model, tmp_path / "m"), lambda: treeflows.load(tmp_path / "m")):
        tracemalloc.start()
        kept = act()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del kept
    size = (tmp_path / "m").stat().st_size
    assert size > 2**20
    assert peaks[0] < size
    assert peaks[1] < 2 * size + 2**20


def test_compressed_members_are_refused(tmp_path):
    flow, _ = some_flow()
    treeflows.save(flow, tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as old, zipfile.ZipFile(tmp_path / "z", "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with pytest.raises(ValueError, match="compressed"):
        treeflows.load(tmp_path / "z")


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "m"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"half of the ")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_changed_files_are_refused_or_true(tmp_path):
    fates = fuzz(range(600), tmp_path, pictures=0)
    assert fates["refused"] > 400
    assert fates["true"] > 20
    assert fates["slowest_milliseconds"] < 10_000


STORED = sorted(store.FOLDER.glob("*/*.treeflow"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_stored_files_of_every_version_are_read(path):
    """Files written when their version of the format was made; they are never written again."""
    stored = json.loads(path.with_suffix(".json").read_text())
    X = np.array(stored["table"], dtype=object)
    np.testing.assert_allclose(store.answers(treeflows.load(path), X), stored["answers"], rtol=1e-9)


@pytest.mark.parametrize("model", fuzzing.models()[1], ids=lambda model: type(model).__name__)
def test_joblib_and_skops_keep_models_too(model, tmp_path):
    X, _ = fuzzing.models()
    joblib.dump(model, tmp_path / "m")
    copies = [joblib.load(tmp_path / "m")]
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    trusted = skops.get_untrusted_types(data=data)
    assert all(name.startswith("treeflows.") for name in trusted)
    copies.append(skops.loads(data, trusted=trusted))
    for copy in copies:
        assert store.answers(copy, X) == store.answers(model, X)
