"""Exact probability models of categorical tables: tree flows."""

from ._autoregressive import AutoregressiveTreeFlow, ConditionalTree
from ._classifier import TreeFlowClassifier
from ._ensemble import TreeFlowEnsemble
from ._flow import DiscreteTreeFlow
from ._layer import TreePermutation
from ._likelihood_displays import AnomaliesDisplay, LikelihoodCurveDisplay
from ._mixture import TreeFlowMixture
from ._persistence import load, save
from ._questions import Anomalies, MonteCarloWarning
from ._sample_displays import DependenceDisplay, ImageGalleryDisplay, MarginalsDisplay
from ._show_versions import show_versions
from ._tree_display import TreeDisplay
from ._version import __version__

__all__ = [
    "Anomalies",
    "AnomaliesDisplay",
    "AutoregressiveTreeFlow",
    "ConditionalTree",
    "DependenceDisplay",
    "DiscreteTreeFlow",
    "ImageGalleryDisplay",
    "LikelihoodCurveDisplay",
    "MarginalsDisplay",
    "MonteCarloWarning",
    "TreeDisplay",
    "TreeFlowClassifier",
    "TreeFlowEnsemble",
    "TreeFlowMixture",
    "TreePermutation",
    "__version__",
    "load",
    "save",
    "show_versions",
]
