"""What densities and their parts are made of: arrays with declared shapes and bounds, which is all that files keep."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar, get_args

import numpy as np

LEAST_PROBABILITY = 1e-300  # below any that is learned, and far from where logarithms fail
MOST_PROBABILITY = 1 + 1e-9  # rounding included
MOST_NATS = 1e30  # sums of which are still numbers
MOST_SCORE = 1e-3  # of a mean log-likelihood, which is at most 0 but for rounding


def check_order(order):
    """Raise ValueError unless an order has every column once; for what comes from a file."""
    if not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError("the order is no permutation of the columns")


class Array:
    """What an array must be; stands beside the type of a field.

    Parameters
    ----------
    dtype : type
    *shape : int or str
        "columns" is the number of columns, "values" the sum of their categories, "widest" the most categories; a number
        may be added as in "columns + 1". Any other word is a length that all arrays which name it must share.
    low, high : float or str
        All values are at least ``low`` and at most ``high``; "columns" is one less than the number of columns.
    starts : str or None
        Of what this array says where each of it starts: it begins with 0, never falls, and ends with that length.
    """

    def __init__(self, dtype, *shape, low=-np.inf, high=np.inf, starts=None):
        self.dtype = dtype
        self.shape = shape
        self.low = low
        self.high = high
        self.starts = starts


@dataclass(frozen=True, eq=False)
class Stored:
    """Something over columns of codes whose fields are all there is to it.

    Attributes
    ----------
    n_categories : ndarray of shape (n_columns,), int32
        Codes of column j run from 0 to ``n_categories[j] - 1``.
    """

    n_categories: np.ndarray
    kinds: ClassVar[dict] = {}

    def __init_subclass__(cls):
        Stored.kinds[cls.__name__] = cls

    def __getstate__(self):
        return {f.name: getattr(self, f.name) for f in fields(self)}  # not what was cached

    @cached_property
    def first_category(self):
        """Where each column starts when all codes stand in a row: ndarray of shape (n_columns + 1,), int32."""
        return np.concatenate(([0], np.cumsum(self.n_categories))).astype(np.int32)

    @classmethod
    def parts(cls):
        """What makes up one of this kind: dict of its names to an ``Array``, a class, or ``tuple[class, ...]``."""
        kept = [f for f in fields(cls) if f.name != "n_categories" and f.metadata.get("kept", True)]
        return {f.name: next(iter(getattr(f.type, "__metadata__", ())), f.type) for f in kept}

    @classmethod
    def own_categories(cls, n_categories, parts):
        """Categories of one of this kind, which may tell some columns' itself.

        Parameters
        ----------
        n_categories : ndarray of shape (n_columns,), int32
            Those of the domain.
        parts : dict
            What is read of it.

        Returns
        -------
        n_categories : ndarray of shape (n_columns,), int32
        """
        return n_categories

    @classmethod
    def code_categories(cls, name, n_categories, parts):
        """Categories of a part, which may have code columns of its own.

        Parameters
        ----------
        name : str
            Of the part.
        n_categories : ndarray of shape (n_columns,), int32
            Those of the domain.
        parts : dict
            What is read so far.

        Returns
        -------
        n_categories : ndarray of int32
        """
        return n_categories

    def check(self):
        """Raise ValueError unless all parts are what they are declared to be; for what comes from a file.

        What else a kind demands of its arrays it checks afterwards, when shapes, bounds and offsets can be relied on.
        """
        known = {
            "columns": len(self.n_categories),
            "values": int(self.n_categories.sum()),
            "widest": int(self.n_categories.max()),
        }
        ends = []
        for name, spec in self.parts().items():
            value = getattr(self, name)
            if not isinstance(spec, Array):
                kind, *many = get_args(spec) or (spec,)
                if isinstance(value, tuple) != bool(many) or not all(
                    isinstance(v, kind) for v in (value if many else [value])
                ):
                    kinds = " or ".join(each.__name__ for each in get_args(kind) or [kind])
                    raise ValueError(f"{name} is no {kinds}{' or several' * bool(many)}")
                continue
            if value is None and name in self.optional():
                continue
            if value.dtype != spec.dtype or value.ndim != len(spec.shape):
                raise ValueError(f"array {name} has dtype {value.dtype} and {value.ndim} dimensions")
            for n, wanted in zip(value.shape, spec.shape, strict=True):
                word, _, more = str(wanted).partition(" + ")
                length = n - int(more or 0)
                if length < 0 or length != (int(word) if word.isdigit() else known.setdefault(word, length)):
                    raise ValueError(f"array {name} has shape {value.shape}, which does not fit {spec.shape}")
            high = known["columns"] - 1 if spec.high == "columns" else spec.high
            if value.size and not (value.min() >= spec.low and value.max() <= high):  # false of NaN
                raise ValueError(f"array {name} holds values outside {spec.low} to {high}")
            if spec.starts is not None:
                if value[0] != 0 or (value[1:] < value[:-1]).any():
                    raise ValueError(f"array {name} does not say where things start that follow each other")
                ends.append((name, int(value[-1]), spec.starts))
        for name, end, what in ends:
            if end != known[what]:
                raise ValueError(f"array {name} ends at {end}, but there are {known[what]} {what}")

    @classmethod
    def optional(cls):
        """Names of the parts that may be missing."""
        return {f.name for f in fields(cls) if f.default is None or f.default == ()}
