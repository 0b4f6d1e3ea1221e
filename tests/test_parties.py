"""Columns that are held at different places, and one model of them."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from conftest import declared, random_table

from treeflows import AutoregressiveTreeFlow, TreeFlowMixture, join_columns, learn_columns

K = [3, 2, 4, 2, 3, 5]
FLOW = AutoregressiveTreeFlow(order="natural", random_state=0)
CUTS = ([3], [1, 2, 3, 4, 5], [2, 5])


def apart(flow, tables):
    """What each party learns, one after the other."""
    parts: list = []
    for table in tables:
        parts.append(learn_columns(flow, table, parts[-1].message if parts else None))
    return parts


def split(table, cuts):
    ends = [0, *cuts, table.shape[1]]
    cells = table.iloc if hasattr(table, "iloc") else table
    return [cells[:, start:end] for start, end in pairwise(ends)]


def frame():
    codes = random_table(1, 400, K)
    table = pd.DataFrame({f"c{j}": np.array(list("abcde"))[codes[:, j]] for j in range(6)})
    table["c2"] = pd.Categorical(table["c2"], ["d", "c", "b", "a"], ordered=True)
    table.loc[::9, "c4"] = None
    return table


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("options", [{}, {"max_features": 3}, {"min_frequency": 30, "handle_unknown": "reserve"}])
def test_it_is_the_model_of_the_whole_table(cuts, options, file_of):
    flow = AutoregressiveTreeFlow(order="natural", min_samples_leaf=2, random_state=0, **options)
    for table in (random_table(0, 500, K), frame()):
        parts = apart(flow, split(table, cuts))
        assert file_of(join_columns(parts)) == file_of(flow.fit(table))
        assert [part.message.codes.shape[1] for part in parts] == [*cuts, 6]
        assert parts[0].message.nbytes == len(table) * cuts[0] + 8 * cuts[0]


def test_parts_travel_and_the_whole_goes_on(file_of):
    codes = random_table(2, 600, K)
    cut = np.cumsum([2, 2])
    parts = []
    for ours, table in zip(np.split(np.array(declared(K), dtype=object), cut), split(codes[:400], cut), strict=True):
        flow = AutoregressiveTreeFlow(order="natural", categories=list(ours), n_jobs=len(parts) or None)
        before = pickle.loads(pickle.dumps(parts[-1].message)) if parts else None
        parts.append(pickle.loads(pickle.dumps(learn_columns(flow, table, before))))
    whole = AutoregressiveTreeFlow(order="natural", categories=declared(K)).partial_fit(codes[:400])
    joined = join_columns(parts)
    assert file_of(joined.partial_fit(codes[400:])) == file_of(whole.partial_fit(codes[400:]))


def test_what_no_party_can_have():
    codes, table = random_table(3, 100, K), frame()
    for name, value in (
        ("order", "evidence"),
        ("order", list(range(6))),
        ("max_features", "sqrt"),
        ("max_features", 0.5),
    ):
        with pytest.raises(ValueError, match=f"{name} must be .* got"):
            learn_columns(AutoregressiveTreeFlow(**{"order": "natural"} | {name: value}), codes)
    with pytest.raises(TypeError, match="must be an AutoregressiveTreeFlow"):
        learn_columns(TreeFlowMixture(), codes)
    with pytest.raises(ValueError, match="parties learn categories, and column 'x' holds numbers"):
        learn_columns(FLOW, pd.DataFrame({"x": np.arange(60) / 7}))
    with pytest.raises(ValueError, match="'c4' has a missing value at row 0, .*missing='category'"):
        learn_columns(AutoregressiveTreeFlow(order="natural", missing="marginalize"), table)
    with pytest.raises(ValueError, match="has 99 rows and the message 100"):
        learn_columns(FLOW, codes[:99], learn_columns(FLOW, codes).message)


def test_parts_that_do_not_go_together():
    codes, table = random_table(4, 100, K), frame()
    one, two, three = apart(FLOW, split(codes, [2, 4]))
    with pytest.raises(ValueError, match="at least one part"):
        join_columns([])
    with pytest.raises(ValueError, match="part 0 was learned with a message: give all parts in the order"):
        join_columns([two, three])
    for wrong in ([one, three], [one, two, two], [one, one]):
        with pytest.raises(ValueError, match="was learned by another message than that of part"):
            join_columns(wrong)
    others = learn_columns(FLOW, codes[::-1, :2])
    with pytest.raises(ValueError, match="part 1 was learned by another message than that of part 0"):
        join_columns([others, two, three])
    pruned = learn_columns(AutoregressiveTreeFlow(order="natural", random_state=0, prior_split=2.0), codes, one.message)
    with pytest.raises(ValueError, match="part 1 was learned with prior_split=2.0, part 0 with 1.0"):
        join_columns([one, pruned])
    first = learn_columns(FLOW, table.iloc[:100, :2])
    with pytest.raises(ValueError, match="two parties have a column 'c0'"):
        join_columns([first, learn_columns(FLOW, table.iloc[:100, :1], first.message)])
    with pytest.raises(ValueError, match="part 1 is of a numpy table, part 0 of a pandas one"):
        join_columns([first, learn_columns(FLOW, codes, first.message)])
    with pytest.raises(ValueError, match="part 1 is of an array of |u1, part 0 of one of <i8"):
        join_columns([one, learn_columns(FLOW, codes.astype(np.uint8), one.message)])
