"""Examples in docstrings, and the command to report versions."""

import doctest
import importlib
import pkgutil

import pytest

import treeflows
from treeflows._ext import isa

MODULES = [info.name for info in pkgutil.walk_packages(treeflows.__path__, "treeflows.") if "__main__" not in info.name]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_what_is_fitted_or_drawn_has_an_example():
    for name in treeflows.__all__:
        if name.endswith(("Flow", "Mixture", "Ensemble", "Classifier", "Display")):
            assert ">>> " in getattr(treeflows, name).__doc__


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
