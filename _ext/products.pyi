import numpy as np
from numpy.typing import NDArray

SHARE_BITS: int

def conditionals(
    rows: NDArray[np.uint8],
    order: NDArray[np.int32],
    first_category: NDArray[np.int32],
    prob: NDArray[np.float64],
    weight: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def distributions(
    rows: NDArray[np.uint8],
    order: NDArray[np.int32],
    first_category: NDArray[np.int32],
    prob: NDArray[np.float64],
    weight: NDArray[np.float64],
    whole: NDArray[np.uint8],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def observe(
    weights: NDArray[np.float64], prob: NDArray[np.float64], values: NDArray[np.uint8], n_threads: int = 1
) -> None: ...
def predict(weights: NDArray[np.float64], prob: NDArray[np.float64], n_threads: int = 1) -> NDArray[np.float64]: ...
def expect(
    cells: NDArray[np.int32],
    starts: NDArray[np.int64],
    weight: NDArray[np.float32],
    base: NDArray[np.float32],
    log_prob: NDArray[np.float32],
    n_threads: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]: ...
def count_states(
    rows: NDArray[np.uint8],
    weight: NDArray[np.int32],
    first_category: NDArray[np.int32],
    log_prob: NDArray[np.float64],
    log_weight: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.int64]: ...
