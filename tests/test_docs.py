"""Examples in docstrings, and the command to report versions."""

import doctest

import pytest

import treeflows
from treeflows import _autoregressive, _ensemble, _flow, _mixture
from treeflows._ext import isa


@pytest.mark.parametrize("module", [_autoregressive, _ensemble, _flow, _mixture])
def test_examples_of_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_show_versions_names_the_instruction_set(capsys):
    treeflows.show_versions()
    printed = capsys.readouterr().out
    assert f"treeflows {treeflows.__version__}" in printed
    assert f"instruction set {isa.current()}" in printed
    assert all(name in printed for name in isa.available())


def test_everything_public_is_documented():
    assert sorted(treeflows.__all__) == treeflows.__all__
    for name in treeflows.__all__:
        assert getattr(treeflows, name).__doc__
