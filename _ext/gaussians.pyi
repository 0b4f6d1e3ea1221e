import numpy as np
from numpy.typing import NDArray

def expect(
    z: NDArray[np.float64],
    cells: NDArray[np.int32],
    base: NDArray[np.float64],
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
    log_prob: NDArray[np.float64],
    n_threads: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]: ...
def mean_distributions(
    log_weight: NDArray[np.float64], prob: NDArray[np.float64], n_threads: int = 1
) -> NDArray[np.float64]: ...
def predict(
    z: NDArray[np.float64],
    t: int,
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def observe(
    log_weight: NDArray[np.float64],
    before: NDArray[np.float64],
    own: NDArray[np.float64],
    log_own: NDArray[np.float64],
    z: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
def destroy(
    log_weight: NDArray[np.float64],
    before: NDArray[np.float64],
    own: NDArray[np.float64],
    z: NDArray[np.float64],
    n_threads: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...

class Cumulatives:
    def __init__(
        self,
        log_weight: NDArray[np.float64],
        before: NDArray[np.float64],
        own: NDArray[np.float64],
        least: float,
        n_threads: int = 1,
    ) -> None: ...
    def at(
        self, rows: NDArray[np.int64], z: NDArray[np.float64], n_threads: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

def restore(
    log_weight: NDArray[np.float64],
    before: NDArray[np.float64],
    own: NDArray[np.float64],
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    n_threads: int = 1,
) -> NDArray[np.float64]: ...
