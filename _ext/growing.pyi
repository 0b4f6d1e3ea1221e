from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .costs import Costs

class GrowthRules(NamedTuple):
    min_samples_leaf: int = 1
    max_depth: int = ...
    max_features: int = 0
    seed: int = 0
    objective: Any = None

class Start(NamedTuple):
    numbers: NDArray[np.int32]
    depth: int = 0
    path: int | None = None

def grow_trees(
    codes: NDArray[np.uint8],
    n_categories: NDArray[np.int32],
    order: NDArray[np.int32],
    cost: Costs,
    rules: GrowthRules,
    *,
    n_ordered: NDArray[np.int32] | None = None,
    weight: NDArray[np.int32] | None = None,
    which: NDArray[np.int32] | None = None,
    splitting: NDArray[np.uint8] | None = None,
    stop: NDArray[np.uint8] | None = None,
    start: Start | None = None,
    n_threads: int = 1,
    progress: Callable[[int], object] | None = None,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
]: ...
