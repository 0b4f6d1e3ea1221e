import numpy as np
from numpy.typing import NDArray

def add_cells(
    ones: NDArray[np.float64],
    scale: float,
    share: NDArray[np.float64],
    cells: NDArray[np.float64],
    n_threads: int = 1,
) -> None: ...
def cumulated(cells: NDArray[np.float64], n_threads: int = 1) -> NDArray[np.float64]: ...
def add_uniform(
    edges: NDArray[np.float64],
    rows: NDArray[np.int64],
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    n_threads: int = 1,
) -> None: ...
