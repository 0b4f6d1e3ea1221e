import numpy as np
from numpy.typing import NDArray

def pooled(
    prob: NDArray[np.float64],
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    exponent: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def pooled_values(
    prob: NDArray[np.float64],
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    exponent: NDArray[np.float64],
    values: NDArray[np.uint8],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def slopes(
    log_prob: NDArray[np.float64],
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    exponent: NDArray[np.float64],
    values: NDArray[np.uint8],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
