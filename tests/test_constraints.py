"""Samples of which a user wants some: rows as the model's, given that they are wanted."""

import numpy as np
import pandas as pd
import pytest

from treeflows import AutoregressiveTreeFlow, TreeFlowMixture

RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.integers(0, 3, 600), "b": RNG.integers(0, 4, 600), "c": RNG.choice(["x", "y"], 600)})
X["b"] = np.minimum(X["a"] + X["b"], 4)


def test_rows_are_those_of_the_model_given_that_they_are_wanted():
    flow = AutoregressiveTreeFlow(random_state=0).fit(X)
    states = [range(3), sorted(set(X["b"])), ["x", "y"]]
    every = pd.MultiIndex.from_product(states, names=list("abc")).to_frame(index=False)
    probability = np.exp(flow.score_samples(every)) * ((every["a"] + every["b"]) % 2 == 0)
    drawn = flow.sample(20_000, random_state=1, where=lambda T: (T["a"] + T["b"]) % 2 == 0)
    assert drawn.index.equals(pd.RangeIndex(20_000))
    assert drawn.dtypes.equals(X.dtypes)
    share = drawn.value_counts(normalize=True).reindex(pd.MultiIndex.from_frame(every), fill_value=0).to_numpy()
    np.testing.assert_allclose(share, probability / probability.sum(), atol=0.012)
    assert drawn.equals(flow.sample(20_000, random_state=1, where=lambda T: (T["a"] + T["b"]) % 2 == 0))


@pytest.mark.filterwarnings("ignore:the given columns do not come first")
def test_with_what_is_given_and_a_context():
    flow = AutoregressiveTreeFlow(random_state=0).fit(X[["a", "b"]], context=X["c"])
    context = np.array(["x", "y"] * 50)
    drawn = flow.sample(100, random_state=0, where=lambda T: T["a"] < T["b"], context=context)
    assert (drawn["a"] < drawn["b"]).all()
    # each row keeps its own context, whatever the round it was found in
    told = AutoregressiveTreeFlow(random_state=0).fit(X[["c"]].rename(columns={"c": "d"}), context=X["c"])
    np.testing.assert_array_equal(
        told.sample(100, random_state=0, where=lambda T: RNG.random(len(T)) < 0.1, context=context)["d"], context
    )
    mixture = TreeFlowMixture(random_state=0).fit(X)
    drawn = mixture.sample(50, random_state=0, given={"c": "y"}, where=lambda T: T["a"] == T["b"])
    assert (drawn["a"] == drawn["b"]).all()
    assert set(drawn["c"]) == {"y"}
    assert len(mixture.sample(0, where=lambda T: T["a"] == 1)) == 0


@pytest.mark.parametrize("container", ["numpy", "polars", "pyarrow"])
def test_every_container(container, tmp_path):
    numbers = X[["a", "b"]]
    if container == "numpy":
        table, where = numbers.to_numpy(), lambda T: T[:, 0] < T[:, 1]
    elif container == "polars":
        table, where = pytest.importorskip("polars").from_pandas(numbers), lambda T: T["a"] < T["b"]
    else:
        compute = pytest.importorskip("pyarrow.compute")
        table, where = pytest.importorskip("pyarrow").table(numbers), lambda T: compute.less(T["a"], T["b"])
    drawn = AutoregressiveTreeFlow(random_state=0).fit(table).sample(300, random_state=0, where=where)
    assert type(drawn) is type(table)
    assert len(drawn) == 300
    assert np.asarray(where(drawn)).all()


def test_files_are_written_of_them(tmp_path):
    flow = AutoregressiveTreeFlow(random_state=0).fit(X)
    flow.sample(500, random_state=0, where=lambda T: T["a"] < T["b"], out=tmp_path / "t.csv")
    drawn = pd.read_csv(tmp_path / "t.csv")
    assert len(drawn) == 500
    assert (drawn["a"] < drawn["b"]).all()


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("a < b", "where must be a function of a table of rows that returns a mask, got 'a < b'"),
        (lambda T: T["a"], r"where must return a mask.*it returned int64 of shape"),
        (lambda T: [True], r"it returned bool of shape \(1,\)"),
        (lambda T: T["a"] > 5, "where holds for 0 of 1,00.,... rows drawn, too few"),
    ],
)
def test_what_is_no_mask_and_what_hardly_holds(where, told):
    with pytest.raises(ValueError, match=told):
        AutoregressiveTreeFlow(random_state=0).fit(X).sample(10, random_state=0, where=where)
