from typing import Any

import numpy as np
from numpy.typing import NDArray

NODE: np.dtype[Any]

class Router:
    def __init__(
        self,
        order: NDArray[np.int32],
        n_categories: NDArray[np.int32],
        first_node: NDArray[np.int64],
        column: NDArray[np.int32],
        low: NDArray[np.uint8],
        high: NDArray[np.uint8],
        children: NDArray[np.int32],
        first_value: NDArray[np.int64],
    ) -> None: ...
    def sum_values(
        self, rows: NDArray[np.uint8], values: NDArray[np.float64], n_threads: int = 1, start: int = 0
    ) -> NDArray[np.float64]: ...
    def values(
        self, rows: NDArray[np.uint8], values: NDArray[np.float64], n_threads: int = 1, start: int = 0
    ) -> NDArray[np.float64]: ...
    def add_distributions(
        self,
        rows: NDArray[np.uint8],
        values: NDArray[np.float64],
        asked: NDArray[np.uint8],
        out: NDArray[np.float64],
        n_threads: int = 1,
        start: int = 0,
    ) -> None: ...
    def leaves(self, t: int, rows: NDArray[np.uint8], n_threads: int = 1) -> NDArray[np.int32]: ...
    def add_digits(
        self,
        first: int,
        bits: int,
        kind: int,
        rows: NDArray[np.uint8],
        values: NDArray[np.float64],
        out: NDArray[np.float64],
        n_threads: int = 1,
    ) -> None: ...
    def count(
        self, rows: NDArray[np.uint8], weight: NDArray[np.int32] | None = None, n_threads: int = 1
    ) -> NDArray[np.int32]: ...
    def sum_leaves(
        self, first: int, last: int, rows: NDArray[np.uint8], values: NDArray[np.int32], n_threads: int = 1
    ) -> NDArray[np.int64]: ...
    def look_up(self, rows: NDArray[np.uint8], tables: NDArray[np.uint8], n_threads: int = 1) -> NDArray[np.uint8]: ...
    def look_up_in_turn(
        self, codes: NDArray[np.uint8], tables: NDArray[np.uint8], n_threads: int = 1
    ) -> NDArray[np.uint8]: ...
    def draw(
        self, uniform: NDArray[np.float64], cumulative: NDArray[np.float64], n_threads: int = 1
    ) -> NDArray[np.uint8]: ...
