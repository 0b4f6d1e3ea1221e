from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

def grow_trees(
    codes: NDArray[np.uint8],
    n_categories: NDArray[np.int32],
    order: NDArray[np.int32],
    cost: NDArray[np.int64],
    min_samples_leaf: int,
    max_depth: int,
    max_features: int,
    seed: int,
    n_threads: int = 1,
    objective: object | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
]: ...
