from typing import Any

import numpy as np
from numpy.typing import NDArray

from .costs import Costs
from .growing import GrowthRules

def add_counts(codes: NDArray[np.uint8], counts: NDArray[np.int64]) -> None: ...

class Block:
    def __init__(
        self,
        codes: NDArray[np.uint8],
        n_categories: NDArray[np.int32],
        order: NDArray[np.int32],
        n_ordered: NDArray[np.int32] | None,
    ) -> None: ...

class Top:
    n: list[int]
    depth: list[int]
    path: list[int]
    table_bytes: int
    n_words: int
    def __init__(
        self,
        t: int,
        n_categories: NDArray[np.int32],
        order: NDArray[np.int32],
        n_ordered: NDArray[np.int32] | None,
        cost: Costs,
        rules: GrowthRules,
        counts: NDArray[Any],
    ) -> None: ...
    def may_split(self, i: int) -> bool: ...
    def open(self, nodes: list[int]) -> None: ...
    def count(self, block: Block) -> None: ...
    def fits(self) -> bool: ...
    def split(self) -> list[int]: ...
    def take(
        self,
        codes: NDArray[np.uint8],
        slots: NDArray[np.int32],
        first: NDArray[np.int64],
        ends: NDArray[np.int64],
        out: NDArray[np.uint64],
    ) -> None: ...
    def codes_of(self, taken: NDArray[np.uint64]) -> NDArray[np.uint8]: ...
    def arrays(self) -> tuple[NDArray[Any], ...]: ...
