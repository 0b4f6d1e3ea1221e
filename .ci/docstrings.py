"""Check the docstrings of everything public against the numpydoc standard, by the settings in pyproject.toml."""

import dataclasses
import inspect
import sys
import tomllib
from pathlib import Path

from numpydoc.validate import ERROR_MSGS, validate

import treeflows

with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
    settings = tomllib.load(file)["tool"]["numpydoc_validation"]
checks = set(ERROR_MSGS) - set(settings["checks"])  # they read "all", except those that follow


def public_names():
    """Dotted names of the package's functions, classes and methods, without those inherited from other packages.

    A method without a docstring is documented by the one that it overrides.
    """
    for name in treeflows.__all__:
        thing = getattr(treeflows, name)
        if not callable(thing):
            continue
        yield f"treeflows.{name}"
        for member in dir(thing) if inspect.isclass(thing) else ():
            value = inspect.getattr_static(thing, member)
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            is_ours = not member.startswith("_") and getattr(function, "__module__", "").startswith("treeflows.")
            if is_ours and (function.__doc__ or not inspect.getdoc(getattr(thing, member))):
                yield f"treeflows.{name}.{member}"


found = set()  # a method that several classes inherit is reported once
for name in public_names():
    result = validate(name)
    # the fields of a dataclass are its attributes
    passed = {"PR01"} if dataclasses.is_dataclass(getattr(treeflows, name.split(".")[-1], None)) else set()
    for code, message in result["errors"]:
        if code in checks - passed:
            found.add(f"{Path(result['file']).name}:{result['file_line']} {name.split('.')[-1]}: {code} {message}")
print(*sorted(found), sep="\n", end="\n" * bool(found))
sys.exit(bool(found))
