import numpy as np
from numpy.typing import NDArray

def climb(
    cells: NDArray[np.int32],
    row_weight: NDArray[np.float64],
    weighting: NDArray[np.int32],
    prior: NDArray[np.float64],
    first_category: NDArray[np.int32],
    classes: NDArray[np.float64],
    tolerance: float,
    most_steps: int,
    n_threads: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]: ...
