import numpy as np
from numpy.typing import NDArray

def best_split(
    table: NDArray[np.int32],
    first: int,
    end: int,
    first_plane: NDArray[np.int32],
    first_category: NDArray[np.int32],
    total: NDArray[np.int32],
    local: NDArray[np.int32],
    cell: NDArray[np.uint8],
    cost: NDArray[np.int64],
    min_samples_leaf: int,
    n_threads: int,
) -> tuple[int, int]: ...
