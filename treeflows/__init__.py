"""Exact probability models of categorical tables: tree flows."""

from ._autoregressive import AutoregressiveTreeFlow, ConditionalTree
from ._classifier import TreeFlowClassifier
from ._ensemble import TreeFlowEnsemble
from ._flow import DiscreteTreeFlow
from ._layer import TreePermutation
from ._mixture import TreeFlowMixture
from ._persistence import load, save
from ._questions import Anomalies, MonteCarloWarning
from ._show_versions import show_versions
from ._version import __version__

__all__ = [
    "Anomalies",
    "AutoregressiveTreeFlow",
    "ConditionalTree",
    "DiscreteTreeFlow",
    "MonteCarloWarning",
    "TreeFlowClassifier",
    "TreeFlowEnsemble",
    "TreeFlowMixture",
    "TreePermutation",
    "__version__",
    "load",
    "save",
    "show_versions",
]
