"""How trees grow on the code columns that numbers and codes have."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..machine.parts import called
from .costs import cost_table
from .objective import Objective
from .prunings import COST_BITS, NO_LIMIT, learn_conditionals

DRAWN = 0.2  # of all code columns at each split of further trees, and at least so many:
FEWEST_DRAWN = 4
DRAWN_PRIOR_SPLIT = 5.0
MIN_ROWS = 10  # of a leaf


def _all(n_columns):
    return 0


@dataclass(frozen=True)
class Growth:
    """How the trees of numbers and codes grow, as `learn_conditionals` takes it.

    Attributes
    ----------
    min_samples_leaf, max_depth : int
    prior_split : float
    smoothing : "evidence" or float
    objective : Objective or None
    max_features : callable
        Of how many code columns there are, how many are drawn for each split; 0 for all.
    """

    min_samples_leaf: int = MIN_ROWS
    max_depth: int = NO_LIMIT
    prior_split: float = 1.0
    smoothing: object = "evidence"
    objective: Objective | None = None
    max_features: Callable[[int], int] = _all

    def of_further_trees(self):
        """How those grow that see a part of the columns at each split, and are pruned less."""
        drawn = self.max_features if self.max_features(1) else _drawn
        most = float(np.finfo(float).max)
        return replace(self, max_features=drawn, prior_split=min(DRAWN_PRIOR_SPLIT * self.prior_split, most))


def _drawn(n_columns):
    return max(FEWEST_DRAWN, round(DRAWN * n_columns))


def grow_on(codes, layout, digits_alone, growth, seed, threads=1):
    """Trees of digits; unless they are told alone, of codes and kinds too.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_code_columns), uint8
    layout : CodeLayout
    digits_alone : bool
    growth : Growth
    seed, threads : int

    Returns
    -------
    conditionals : Conditionals
    """
    k, splitting = layout.n_categories, np.zeros(len(layout.n_categories), dtype=np.uint8)
    splitting[layout.places(digits_alone)] = 1  # the others are asked about, and told by their counts alone
    cost = cost_table(len(codes), 1, COST_BITS)
    with called(layout.columns):
        return learn_conditionals(
            codes,
            k,
            np.arange(len(k), dtype=np.int32),
            cost,
            min_samples_leaf=growth.min_samples_leaf,
            max_depth=growth.max_depth,
            max_features=growth.max_features(len(k)),
            seed=seed,
            prior_split=growth.prior_split,
            smoothing=growth.smoothing,
            objective=growth.objective,
            n_ordered=layout.n_ordered,
            splitting=splitting,
            n_threads=threads,
        )
