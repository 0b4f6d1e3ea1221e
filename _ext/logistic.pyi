import numpy as np
from numpy.typing import NDArray

def gradient(
    cells: NDArray[np.int32],
    starts: NDArray[np.int64],
    weight: NDArray[np.float32],
    base: NDArray[np.float32],
    coefficient: NDArray[np.float32],
    first: NDArray[np.int32],
    wide: NDArray[np.int32],
    first_output: int,
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def logits(
    rows: NDArray[np.uint8],
    order: NDArray[np.int32],
    first_category: NDArray[np.int32],
    cell: NDArray[np.int32],
    base: NDArray[np.float32],
    coefficient: NDArray[np.float32],
    first: NDArray[np.int32],
    n_threads: int = 1,
) -> NDArray[np.float32]: ...
def observe(
    logits: NDArray[np.float32],
    cell: NDArray[np.int32],
    values: NDArray[np.uint8],
    coefficient: NDArray[np.float32],
    first: NDArray[np.int32],
    n_threads: int = 1,
) -> None: ...
