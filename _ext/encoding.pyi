import numpy as np
from numpy.typing import NDArray

def presence(values: NDArray[np.uint8]) -> NDArray[np.bool_]: ...
def encode(
    values: NDArray[np.uint8], code_of: NDArray[np.int16], n_threads: int = 1
) -> tuple[NDArray[np.uint8], bool]: ...
def draw(
    uniform: NDArray[np.float64],
    cumulative: NDArray[np.float64],
    first_category: NDArray[np.int32],
    n_threads: int = 1,
) -> NDArray[np.uint8]: ...
def draw_next(
    prob: NDArray[np.float64],
    ahead: NDArray[np.float64],
    uniform: NDArray[np.float64],
    is_drawn: NDArray[np.uint8],
    told: NDArray[np.float64],
    column: int,
    parent: int,
    codes: NDArray[np.uint8],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
