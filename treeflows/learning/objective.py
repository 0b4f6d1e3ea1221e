"""Local objectives of a user's own, compiled to machine code."""

import math
from functools import lru_cache

import numpy as np


class Objective:
    """The cost of describing one column's values, as a user's function of their counts.

    Parameters
    ----------
    function : callable
        ``f(counts, n) -> float``: counts, an array of int64, one for each category; n, their sum.

    Attributes
    ----------
    address : int
        Of the compiled ``double cost(const int64_t *counts, int64_t n_categories, int64_t n)``. A Python exception
        comes out as NaN.

    Raises
    ------
    ValueError
        If Numba cannot compile the function, or what it returns is no number.
    ImportError
        If Numba is not installed.
    """

    def __init__(self, function):
        self.function = function
        self._compiled = _compile(function)  # keeps the machine code alive
        self.address = self._compiled.address

    def failure(self, counts):
        """The error to raise for counts whose cost is no number: what the function itself says of them."""
        n = int(counts.sum())
        told = f"criterion({counts.tolist()}, {n})"
        try:
            value = self.function(counts, n)
        except Exception as error:
            return ValueError(f"{told} raised {type(error).__name__}: {error}")
        return ValueError(f"{told} gave {value}; a criterion must give a finite cost for any counts")


@lru_cache(maxsize=32)
def _compile(function):
    """A C function around ``f(counts, n)``; Numba is imported only here."""
    try:
        import numba
        from numba import types
    except ImportError:
        raise ImportError("a criterion of your own is compiled with Numba: pip install 'treeflows[numba]'") from None

    told = f"criterion {getattr(function, '__name__', function)!r} must be a function f(counts, n) -> float"
    # a function that numba.njit made already is taken as it is
    compiled = function if hasattr(function, "py_func") else numba.njit(function)
    try:
        compiled.compile((types.int64[::1], types.int64))
    except (numba.core.errors.NumbaError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(f"{told} that Numba can compile: {' '.join(lines[:4])}") from error
    asked = np.array([3, 0, 5, 1], dtype=np.int64)
    try:
        compiled(asked, 9)
    except Exception:  # what it says of some counts is told when a tree meets them
        asked = np.array([3, 0, 5, 1])
    if asked.tolist() != [3, 0, 5, 1]:
        raise ValueError(f"{told} that leaves its counts as they are; it changes them: begin with counts.copy()")
    returned = compiled.nopython_signatures[-1].return_type
    if not isinstance(returned, (types.Float, types.Integer)):
        raise ValueError(f"{told}, but it returns {returned}")

    @numba.cfunc(types.float64(types.CPointer(types.int64), types.int64, types.int64))
    def cost(counts, n_categories, n):
        try:
            return float(compiled(numba.carray(counts, (n_categories,)), n))
        except Exception:
            return math.nan

    return cost
