"""Exact probability models of categorical tables: discrete tree flows."""

from ._flow import DiscreteTreeFlow
from ._layer import TreePermutation
from ._persistence import load, save
from ._show_versions import show_versions
from ._version import __version__

__all__ = ["DiscreteTreeFlow", "TreePermutation", "__version__", "load", "save", "show_versions"]
