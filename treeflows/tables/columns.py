"""A column: its known values, and the codes that they, a missing one and all others have."""

from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral

import numpy as np

from .._ext import elementary

MAX_CATEGORIES = 256  # codes are bytes
SMOOTHING = 0.5  # rows that a rare value has to its credit in the share of its group


@dataclass(frozen=True, eq=False)
class Grouping:
    """Values that share codes.

    Attributes
    ----------
    code : ndarray of int16
        Code of each value.
    log_share : ndarray of float64
        Log-probability of each value among those of its code.
    """

    code: np.ndarray
    log_share: np.ndarray


@dataclass(frozen=True, eq=False)
class Column:
    """The values of a column and their codes.

    Attributes
    ----------
    values : ndarray
        Known values.
    grouping : Grouping or None
        The codes of values, where rare ones share one; else the place of a value is its code.
    missing : bool
        Whether missing has a code of its own, after those of the values.
    unseen : bool
        Whether all other values have a code together, the last.
    n_ordered : int
        How many of the first codes are in a meaningful order; those of rare, missing and unseen values never are.
    """

    values: np.ndarray
    grouping: Grouping | None = None
    missing: bool = False
    unseen: bool = False
    n_ordered: int = 0

    @cached_property
    def n_named(self):
        """Number of codes that stand for values."""
        return len(self.values) if self.grouping is None else int(self.grouping.code.max()) + 1

    @property
    def n_codes(self):
        """Number of codes."""
        return self.n_named + self.missing + self.unseen

    @property
    def categories(self):
        """Known values, and what stands for a missing one where that has a code."""
        if not self.missing:
            return self.values
        if self.values.dtype.kind == "f":
            return np.append(self.values, np.nan)
        return np.append(self.values.astype(object), np.array([None]))

    @cached_property
    def most_common(self):
        """Place of the most probable value of each code that stands for values."""
        if self.grouping is None:
            return np.arange(self.n_named)
        code = self.grouping.code
        order = np.lexsort((-self.grouping.log_share, code))
        return order[np.searchsorted(code[order], np.arange(self.n_named))]

    @cached_property
    def labels(self):
        """Codes to print: tuple of str."""
        names = list(map(str, self.values.tolist()))
        if self.grouping is not None:
            sizes = np.bincount(self.grouping.code)
            names = [
                names[self.most_common[code]] if n == 1 else f"({n:,} rare values)" for code, n in enumerate(sizes)
            ]
        return tuple(names + ["(missing)"] * self.missing + ["(unseen)"] * self.unseen)

    def grouped(self, counts, min_frequency, max_categories):
        """The column with one code for all rare values, as in scikit-learn's OneHotEncoder.

        Values are rare that occur less than ``min_frequency`` times (or as a fraction of all), and the rarest if more
        than ``max_categories`` codes would be needed; ties go to the first.
        """
        fewest = min_frequency or 0
        if not isinstance(fewest, Integral):
            fewest = fewest * counts.sum()
        rare = counts < fewest
        if max_categories is not None and np.sum(~rare) + rare.any() > max_categories:
            rare[np.argsort(-counts, kind="stable")[max_categories - 1 :]] = True
        if rare.sum() < 2:
            return self
        code = np.cumsum(~rare, dtype=np.int64) - 1
        code[rare] = np.sum(~rare)
        log_share = np.zeros(len(counts))
        log_share[rare] = elementary.log((counts[rare] + SMOOTHING) / (counts[rare] + SMOOTHING).sum())
        grouping = Grouping(code.astype(np.int16), log_share)
        return replace(self, grouping=grouping, n_ordered=int(np.sum(~rare)) if self.n_ordered else 0)

    def places(self, codes, rng=None):
        """Place of the value that each code stands for, -1 for missing; drawn within a group if there is ``rng``."""
        places = np.full(len(codes), -1, dtype=np.int32)
        named = codes < self.n_named
        places[named] = self.most_common[codes[named]]
        if rng is not None and self.grouping is not None:
            code = self.grouping.code
            for group in np.flatnonzero(np.bincount(code) > 1):
                members, rows = np.flatnonzero(code == group), np.flatnonzero(codes == group)
                cumulative = np.cumsum(elementary.exp(self.grouping.log_share[members]))[:-1]
                places[rows] = members[np.searchsorted(cumulative, rng.random(len(rows)), side="right")]
        return places

    @cached_property
    def top_share(self):
        """Share of the most common value of each code that stands for values: ndarray of float64."""
        if self.grouping is None:
            return np.ones(self.n_named)
        return elementary.exp(self.grouping.log_share[self.most_common])

    @cached_property
    def code_of_cell(self):
        """Code of each value, and then of a missing and of an unseen cell where these have one: ndarray of int64."""
        codes = np.arange(self.n_named) if self.grouping is None else self.grouping.code
        return np.concatenate([codes, np.arange(self.n_named, self.n_codes)]).astype(np.int64)

    @cached_property
    def share_of_cell(self):
        """Probability of each of these given its code: ndarray of float64."""
        share = np.ones(len(self.values)) if self.grouping is None else elementary.exp(self.grouping.log_share)
        return np.concatenate([share, np.ones(self.n_codes - self.n_named)])

    @cached_property
    def cell_labels(self):
        """These to print: tuple of str."""
        return (*map(str, self.values.tolist()), *["(missing)"] * self.missing, *["(unseen)"] * self.unseen)

    def spread(self, prob):
        """Probabilities of values from those of codes: (n_rows, n_codes) to (n_rows, n_values + missing + unseen)."""
        if self.grouping is None:
            return prob
        told = prob[:, self.grouping.code] * elementary.exp(self.grouping.log_share)
        return np.hstack([told, prob[:, self.n_named :]])

    def check(self):
        """Raise ValueError unless codes and shares are what they must be; for what comes from a file."""
        if not 1 <= self.n_codes <= MAX_CATEGORIES or len(self.values) == 0:
            raise ValueError(f"a column has {self.n_codes} codes")
        if not 0 <= self.n_ordered <= self.n_named:
            raise ValueError(f"a column of {self.n_named} values has {self.n_ordered} in order")
        if self.grouping is not None:
            code, log_share = self.grouping.code, self.grouping.log_share
            if not len(code) == len(log_share) == len(self.values) or code.min() < 0:
                raise ValueError("codes of groups do not match the values")
            shares = np.bincount(code, elementary.exp(log_share), self.n_named)
            if not np.allclose(shares, 1, rtol=0, atol=1e-9):
                raise ValueError("shares of a group do not sum to one")
