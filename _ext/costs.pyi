from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

class Costs(NamedTuple):
    table: NDArray[np.int64]
    bits: int
    def of(self, counts: ArrayLike) -> NDArray[np.int64]: ...

def fixed_costs(counts: ArrayLike, bits: int) -> NDArray[np.int64]: ...
