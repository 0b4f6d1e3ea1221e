import numpy as np
from numpy.typing import NDArray

from .costs import Costs

def best_splits(
    tables: list[NDArray[np.int32]],
    first: int,
    end: int,
    first_plane: NDArray[np.int32],
    first_category: NDArray[np.int32],
    total: NDArray[np.int32],
    local: NDArray[np.int32],
    cells: NDArray[np.uint8],
    cost: Costs,
    min_samples_leaf: int,
    n_threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def best_splits_by_objective(
    tables: list[NDArray[np.int32]],
    first: int,
    end: int,
    first_plane: NDArray[np.int32],
    first_category: NDArray[np.int32],
    total: NDArray[np.int32],
    local: NDArray[np.int32],
    cells: NDArray[np.uint8],
    objective: object,
    min_samples_leaf: int,
    n_threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
