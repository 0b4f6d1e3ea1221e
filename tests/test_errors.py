"""Errors as data."""

import pickle

import pytest

from treeflows.machine.errors import ParameterError, TableError


def test_errors_say_what_helps_in_any_spelling():
    error = TableError(
        "column 'a' holds 7 at row 3",
        [("handle_unknown", "reserve"), ("categories", None)],
        column="a",
        row=3,
        value=7,
    )
    assert str(error) == "column 'a' holds 7 at row 3; fit with handle_unknown='reserve' or categories="
    told = error.text(lambda parameter, value: f"--{parameter} {value or 'FILE'}")
    assert told == "column 'a' holds 7 at row 3; fit with --handle_unknown reserve or --categories FILE"
    assert str(ParameterError("n must be above 0, got -1", parameter="n", value=-1)) == "n must be above 0, got -1"


@pytest.mark.parametrize(
    "error",
    [
        TableError("bad", [("missing", "marginalize")], column=2, row=1, value=None),
        ParameterError("bad", [("missing", "marginalize")], parameter="n", value=-1),
    ],
)
def test_errors_survive_pickle(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert isinstance(copy, ValueError)
