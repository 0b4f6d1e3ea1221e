from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Layer = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]

def rank_tables(
    counts: NDArray[np.int32], cells: NDArray[np.uint8], first_category: NDArray[np.int32]
) -> NDArray[np.uint8]: ...

class Program:
    def __init__(self, layers: Sequence[_Layer], first_category: NDArray[np.int32]) -> None: ...
    def apply(self, rows: NDArray[np.uint8], n_threads: int = 1) -> NDArray[np.uint8]: ...
    def apply_and_sum(
        self, rows: NDArray[np.uint8], values: NDArray[np.float64], n_threads: int = 1
    ) -> NDArray[np.float64]: ...
