"""Exact probability models of tables: tree flows."""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._names import *  # noqa: F403 - what `__getattr__` finds
else:

    def __getattr__(name):
        """Import the public names: late, so that the command line answers before the models are there."""
        _names = import_module("._names", __name__)
        if name == "__all__":
            return sorted([*_names.__all__, "__version__"])
        if name not in _names.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(_names, name)

    def __dir__():
        return __getattr__("__all__")
