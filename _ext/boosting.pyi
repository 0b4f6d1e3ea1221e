import numpy as np
from numpy.typing import NDArray

def boost(
    codes: NDArray[np.uint8],
    n_codes: NDArray[np.int32],
    n_ordered: NDArray[np.int32],
    left: NDArray[np.int32],
    unseen: NDArray[np.uint8],
    unseen_left: NDArray[np.int32],
    n_rounds: int,
    patience: int,
    n_leaves: int,
    min_rows: int,
    ridge: int,
    slowness: int,
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.int32],
    NDArray[np.int32],
]: ...
