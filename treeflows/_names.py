"""The public names, imported when the first of them is asked for."""

from .densities.conditional_tree import ConditionalTree
from .densities.permutation import TreePermutation
from .explorer.answers import Explorer
from .files.models import load, save
from .files.packing import pack
from .machine.errors import PartError
from .machine.parts import parts
from .machine.versions import show_versions
from .models.alignment import SlicedAligner
from .models.autoregressive import AutoregressiveTreeFlow
from .models.classifier import TreeFlowClassifier
from .models.comparison import Comparison, Difference, compare
from .models.deep import DeepDestructor
from .models.dependence import DependenceGraph
from .models.destructor_checks import check_destructor
from .models.destructors import IndependentDestructor, MixtureDestructor, RotationDestructor, TreeDestructor
from .models.discrete import DiscreteTreeFlow
from .models.ensemble import TreeFlowEnsemble
from .models.frequencies import from_counts
from .models.groups import GroupCriteria, Groups
from .models.imputation import PooledEstimates, multiply_impute, pool_estimates
from .models.membership import Membership
from .models.mixture import TreeFlowMixture
from .models.parties import ColumnCodes, PartyColumns, join_columns, learn_columns
from .models.query import Distribution, QueryResult
from .models.questions import Anomalies, MonteCarloWarning
from .models.regressor import TreeFlowRegressor
from .models.translation import Aligner, Translation, Translator
from .pictures.differences import ComparisonDisplay
from .pictures.graph import DependenceGraphDisplay
from .pictures.groups import GroupsDisplay
from .pictures.likelihood import AnomaliesDisplay, LikelihoodCurveDisplay
from .pictures.samples import DependenceDisplay, ImageGalleryDisplay, MarginalsDisplay, PairDisplay
from .pictures.trees import TreeDisplay
from .report.synthetic import SyntheticQuality, evaluate_synthetic
from .tables.packed import PackedTable

__all__ = [
    "Aligner",
    "Anomalies",
    "AnomaliesDisplay",
    "AutoregressiveTreeFlow",
    "ColumnCodes",
    "Comparison",
    "ComparisonDisplay",
    "ConditionalTree",
    "DeepDestructor",
    "DependenceDisplay",
    "DependenceGraph",
    "DependenceGraphDisplay",
    "Difference",
    "DiscreteTreeFlow",
    "Distribution",
    "Explorer",
    "GroupCriteria",
    "Groups",
    "GroupsDisplay",
    "ImageGalleryDisplay",
    "IndependentDestructor",
    "LikelihoodCurveDisplay",
    "MarginalsDisplay",
    "Membership",
    "MixtureDestructor",
    "MonteCarloWarning",
    "PackedTable",
    "PairDisplay",
    "PartError",
    "PartyColumns",
    "PooledEstimates",
    "QueryResult",
    "RotationDestructor",
    "SlicedAligner",
    "SyntheticQuality",
    "Translation",
    "Translator",
    "TreeDestructor",
    "TreeDisplay",
    "TreeFlowClassifier",
    "TreeFlowEnsemble",
    "TreeFlowMixture",
    "TreeFlowRegressor",
    "TreePermutation",
    "check_destructor",
    "compare",
    "evaluate_synthetic",
    "from_counts",
    "join_columns",
    "learn_columns",
    "load",
    "multiply_impute",
    "pack",
    "parts",
    "pool_estimates",
    "save",
    "show_versions",
]
