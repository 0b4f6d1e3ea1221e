"""Examples in docstrings, and the command to report versions."""

import doctest
import importlib
import pkgutil
import re
import shlex
import warnings
from pathlib import Path

import pytest

import treeflows
from treeflows._ext import isa
from treeflows.command.main import main

ROOT = Path(__file__).parent.parent
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


def test_every_module_and_file_of_the_engine_is_on_the_map():
    inside = ROOT / "docs" / "inside.md"
    if not inside.exists():
        pytest.skip("the documentation is not there")
    text = inside.read_text(encoding="utf-8")
    for room in {name.split(".")[1] for name in MODULES if name.count(".") > 1} - {"_ext"}:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{room}/` |")]
        there = {path.stem for path in (ROOT / "treeflows" / room).glob("[!_]*.py")}
        assert there <= set(re.findall(r"`(\w+)`", row)), f"{room}/ in docs/inside.md"
    engine = [path.name for kind in ("pyx", "pxd", "h") for path in (ROOT / "_ext").glob(f"*.{kind}")]
    assert [name for name in engine if f"`{name}`" not in text] == []
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|pyx|pxd|h))`", text)
    assert named
    assert [name for name in named if not any((ROOT / top / name).exists() for top in ("treeflows", "."))] == []


def test_ten_tasks_print_what_they_are_said_to(tmp_path, monkeypatch, capsys):
    """The blocks of docs/tasks.md, one after another: Python is run, commands print the text that follows."""
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    printed = ""
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|sh|text)\n(.*?)```", page, re.DOTALL)
    assert sum(kind == "sh" for kind, _ in blocks) == 11
    for kind, block in blocks:
        if kind == "python":
            with warnings.catch_warnings(action="ignore", category=treeflows.MonteCarloWarning):
                exec(block, names)
        elif kind == "sh":
            capsys.readouterr()
            for line in block.splitlines():
                assert main(shlex.split(line)[1:]) == 0
            printed = capsys.readouterr().out
        else:  # … stands for what differs between runs, or is left out
            pattern = ".*?".join(map(re.escape, block.split("…")))
            assert re.fullmatch(pattern, printed, re.DOTALL), printed
