import numpy as np
from numpy.typing import NDArray

DROPPED: int
LEAF: int
INNER: int

def add_counts(
    first_node: NDArray[np.int64],
    left: NDArray[np.int32],
    n_categories: NDArray[np.int32],
    at_leaves: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> None: ...
def average_prunings(
    first_node: NDArray[np.int64],
    left: NDArray[np.int32],
    candidates: NDArray[np.int32],
    counts: NDArray[np.int32],
    n_categories: NDArray[np.int32],
    concentrations: NDArray[np.float64],
    rising: NDArray[np.float64],
    grid: NDArray[np.int32],
    prior_split: float,
    most_split: float,
    negligible: float,
    n_threads: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.uint8], NDArray[np.float64], NDArray[np.float32]]: ...
