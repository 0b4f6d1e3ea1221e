from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TABLE_BYTES: int

def aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray: ...
def pairwise_cooccurrences(planes: NDArray[np.uint64], n_threads: int = 1) -> NDArray[np.int32]: ...

class Cell:
    def __init__(self, n_planes: int, n_coded: int, n_rows: int) -> None: ...

class Counter:
    n_rows: int
    n_threads: int
    n_categories: NDArray[np.int32]
    first_category: NDArray[np.int32]
    first_plane: NDArray[np.int32]
    plane_column: NDArray[np.int32]
    n_planes: int
    slabs: list[tuple[int, int]]
    def __init__(
        self,
        codes: NDArray[np.uint8],
        n_categories: Sequence[int] | NDArray[np.integer],
        n_threads: int = 1,
        table_bytes: int = ...,
    ) -> None: ...
    @property
    def cell_rows(self) -> NDArray[np.int64]: ...
    @property
    def counts(self) -> NDArray[np.int32]: ...
    def batches(self, n: int) -> list[slice]: ...
    def cooccurrences(self, which: Sequence[int], slab: tuple[int, int]) -> list[NDArray[np.int32]]: ...
    def partition(self, columns: Sequence[int], categories: Sequence[int]) -> None: ...
    def merge(self, tables: NDArray[np.uint8]) -> None: ...
