import numpy as np
from numpy.typing import NDArray

def pooled(
    tree: NDArray[np.float64],
    forest: NDArray[np.float64],
    hidden: NDArray[np.float64],
    share: NDArray[np.float64],
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    exponent: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def pooled_values(
    tree: NDArray[np.float64],
    forest: NDArray[np.float64],
    hidden: NDArray[np.float64],
    share: NDArray[np.float64],
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    exponent: NDArray[np.float64],
    values: NDArray[np.uint8],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def apart(
    log_prob: NDArray[np.float64],
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    values: NDArray[np.uint8],
) -> NDArray[np.float64]: ...
def slopes(
    said: NDArray[np.float64],
    first: NDArray[np.int32],
    n_rows: int,
    exponent: NDArray[np.float64],
    asked: NDArray[np.uint8],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def share_slopes(
    present: NDArray[np.float64], newcomer: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def least_quadratic(
    sums: NDArray[np.float64], exponent: NDArray[np.float64], free: NDArray[np.uint8]
) -> NDArray[np.float64]: ...
