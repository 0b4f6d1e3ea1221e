"""Tables of counts as rows and weights."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from treeflows import AutoregressiveTreeFlow, from_counts
from treeflows.report.evaluation import evaluate

ROWS = pd.DataFrame({"sex": list("fmmfm") * 4, "vote": list("ynyny") * 4, "age": list("ooyyy") * 4})
COUNTED = ROWS.groupby(["sex", "vote", "age"]).size()


@pytest.mark.parametrize(
    "counts",
    [
        (COUNTED,),
        (ROWS.value_counts(),),
        (pd.crosstab(ROWS["sex"], [ROWS["vote"], ROWS["age"]]),),
        (pd.crosstab([ROWS["vote"], ROWS["age"]], ROWS["sex"]),),
        (COUNTED.reset_index(name="n"), "n"),
        (pl.DataFrame(COUNTED.reset_index(name="n")), "n"),
    ],
)
def test_counts_of_every_kind_stand_for_the_rows(counts, file_of):
    X, weight = from_counts(*counts)
    assert type(X).__module__.split(".")[0] == type(counts[0]).__module__.split(".")[0]
    assert (len(X), weight.sum(), weight.dtype) == (len(weight), 20, np.float64)
    X = pd.DataFrame({name: list(X[name]) for name in ROWS}).astype(ROWS.dtypes)
    counted = AutoregressiveTreeFlow(random_state=0).fit(X, sample_weight=weight)
    assert file_of(counted) == file_of(AutoregressiveTreeFlow(random_state=0).fit(ROWS))


def test_labels_without_names():
    X, weight = from_counts(pd.DataFrame([[1, 2], [3, 4]], index=["a", "b"], columns=["u", "v"]))
    assert X.to_dict("list") == {"row_0": ["a", "a", "b", "b"], "col_0": ["u", "v", "u", "v"]}
    assert weight.tolist() == [1, 2, 3, 4]


def test_what_are_no_counts_is_refused():
    margins = pd.crosstab(ROWS["sex"], ROWS["vote"], margins=True)
    with pytest.raises(ValueError, match="the last row of counts holds sums"):
        from_counts(margins)
    with pytest.raises(ValueError, match="the last column of counts holds sums"):
        from_counts(margins[:-1])
    with pytest.raises(ValueError, match=r"no column 'Sex' of counts; there are .*did you mean 'sex'"):
        from_counts(ROWS, "Sex")
    with pytest.raises(ValueError, match="no column beside 'sex'"):
        from_counts(ROWS[["sex"]], "sex")
    with pytest.raises(ValueError, match="counts are no numbers of rows"):
        from_counts(ROWS, "sex")
    with pytest.raises(ValueError, match="not negative"):
        from_counts(-COUNTED)
    for counts in ([[1, 2]], pl.DataFrame({"a": [1]})):
        with pytest.raises(TypeError, match="counts must be"):
            from_counts(counts)
    with pytest.raises(TypeError, match="column is for"):
        from_counts(COUNTED, "sex")
    with pytest.raises(TypeError, match=r"treeflows.from_counts\(table, 'n'\)"):
        AutoregressiveTreeFlow().fit(COUNTED.reset_index(name="n"), sample_weight="n")


def test_rows_that_are_counted_are_held_out_one_by_one():
    X, weight = from_counts(COUNTED)
    found = evaluate(AutoregressiveTreeFlow(random_state=0), X, weight=weight, folds=4)
    assert {len(scores) for scores in found.scores.values()} == {20}
    with pytest.raises(ValueError, match="whole numbers"):
        evaluate(AutoregressiveTreeFlow(), X, weight=weight / 8, folds=2)
