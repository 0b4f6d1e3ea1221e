import numpy as np
from numpy.typing import NDArray

MOST_UNITS: int

def train(
    rows: NDArray[np.uint8],
    visited: NDArray[np.int64],
    rate: NDArray[np.float64],
    order: NDArray[np.int32],
    first_category: NDArray[np.int32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    told: NDArray[np.uint8],
    n_units: int,
    pull: float,
    parameter: NDArray[np.float32],
    moments: NDArray[np.float32],
    faded: NDArray[np.float64],
    n_threads: int = 1,
) -> None: ...
def logits(
    rows: NDArray[np.uint8],
    order: NDArray[np.int32],
    first_category: NDArray[np.int32],
    cell: NDArray[np.int32],
    first: NDArray[np.int32],
    told: NDArray[np.uint8],
    n_units: int,
    parameter: NDArray[np.float32],
    n_threads: int = 1,
) -> NDArray[np.float32]: ...
def logits_at(
    sums: NDArray[np.float32],
    t: int,
    first: NDArray[np.int32],
    told: NDArray[np.uint8],
    parameter: NDArray[np.float32],
    n_threads: int = 1,
) -> NDArray[np.float32]: ...
def observe(
    sums: NDArray[np.float32],
    cell: NDArray[np.int32],
    values: NDArray[np.uint8],
    parameter: NDArray[np.float32],
) -> None: ...
