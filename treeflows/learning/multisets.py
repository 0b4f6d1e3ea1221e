"""Rows as a multiset: those that differ, and how often each is there; draws that depend on nothing else.

A table is ``codes``, (n_rows, n_columns), uint8, with ``weight``, (n_rows,), int32, the rows that each of them stands
for; None for one each. In the order of `distinct`, which depends on the multiset alone, rows have numbers to draw by,
as if each were written as often as it is there.
"""

from typing import NamedTuple

import numpy as np

FOLDS = 5
MOST_CROSSED = 300_000  # cells of a table of which every row is held out once
FEWEST_ROWS = 500  # below which it is too, however wide the table,
WIDE = 500  # but in two folds of a table of more columns
HELD_OUT_OF_EACH = 120  # rows for each category of the table, from which on no more folds are held out
HELD_OUT = 0.1  # of the rows of other tables, and at most so many:
MOST_HELD_OUT = 10_000
BLOCK_BYTES = 4_000_000  # hashed at a time


def n_rows(codes, weight=None):
    """How many rows there are."""
    return len(codes) if weight is None else int(np.sum(weight, dtype=np.int64))


def repeated(codes, weight=None):
    """Each row as often as it is there; the table itself if that is once."""
    return codes if weight is None or (weight == 1).all() else np.repeat(codes, weight, axis=0)


def distinct(codes, weight=None):
    """Rows without repetitions, and how often each is there; in an order that depends on the multiset alone.

    Returns
    -------
    codes : ndarray of shape (n_distinct, n_columns), uint8
    weight : ndarray of shape (n_distinct,), int32
    """
    order = by_hash(codes)
    codes = in_order(codes, order)
    firsts = first_of_equals(codes)
    if weight is None:
        weight = np.diff(np.append(firsts, len(codes))).astype(np.int32)
    else:
        weight = np.add.reduceat(weight[order], firsts, dtype=np.int32)
    return in_order(codes, firsts), weight


def in_order(rows, order):
    """The rows of these numbers; the table itself, of which a copy may be a gigabyte, if it has them so."""
    there = len(order) == len(rows) and (order == np.arange(len(rows))).all()
    return rows if there else rows[order]


def first_of_equals(codes):
    """Numbers of the rows that are not equal to the row before them."""
    n_rows, n_columns = codes.shape
    other, step = np.ones(n_rows, dtype=bool), max(1, BLOCK_BYTES // n_columns)
    for start in range(1, n_rows, step):
        part = codes[start : start + step]
        other[start : start + step] = (part != codes[start - 1 : start - 1 + len(part)]).any(axis=1)
    return np.flatnonzero(other)


class Fold(NamedTuple):
    """Rows that are held out together, and all others.

    Attributes
    ----------
    unseen : ndarray of shape (n, n_columns), uint8
        Each as often as it is held out, in the order in which they are drawn.
    seen : ndarray of shape (n_distinct, n_columns), uint8
    weight : ndarray of shape (n_distinct,), int32
    """

    unseen: np.ndarray
    seen: np.ndarray
    weight: np.ndarray


def parted(codes, rows):
    """The rows of these numbers held out of a table: Fold."""
    return Fold(codes[rows], *distinct(np.delete(codes, rows, axis=0)))


def hold_out(codes, weight, n, rng):
    """Draw n rows without replacement from those that `distinct` gives: Fold."""
    return _fold(codes, weight, _draw(weight, n, rng))


def folds(codes, weight, rng):
    """Rows to hold out of those that `distinct` gives: list of Fold, empty if there is one row.

    Of a small table each row is held out in one of several folds, since a tenth would say little: cross-validation
    (Stone, Journal of the Royal Statistical Society B 36, 1974). Of these folds there are no more than say enough.
    """
    parts = held_out_parts(n_rows(codes, weight), codes.shape[1])
    if len(parts) == 1:
        return [hold_out(codes, weight, parts[0].stop, rng)]
    row = rng.permutation(np.repeat(np.arange(len(codes)), weight))
    enough = HELD_OUT_OF_EACH * (codes.max(axis=0, initial=0).astype(np.int64) + 1).sum()
    parts = [part for part in parts if part.start < enough]
    return [_fold(codes, weight, row[part]) for part in parts]


def held_out_parts(n, n_columns, most_crossed=MOST_CROSSED):
    """Which of n rows in random order are held out together: list of slices, as for `folds`."""
    if n >= FEWEST_ROWS and n * n_columns > most_crossed:
        return [slice(0, min(round(HELD_OUT * n), MOST_HELD_OUT))]
    n_folds = min(FOLDS if n_columns <= WIDE else 2, n)
    return [slice(n * i // n_folds, n * (i + 1) // n_folds) for i in range(n_folds)] if n > 1 else []


def n_parts_of(parts, enough):
    """How many of the first of some parts have enough rows together; all, if they do not."""
    return 1 + int(np.searchsorted(np.cumsum([len(part) for part in parts[:-1]]), enough))


def _fold(codes, weight, row):
    left = weight - np.bincount(row, minlength=len(weight)).astype(np.int32)
    return Fold(codes[row], codes[left > 0], left[left > 0])


def at_most(codes, weight, n, rng):
    """All rows, or n that are drawn without replacement from those that `distinct` gives, with their weights."""
    if n_rows(codes, weight) <= n:
        return codes, weight
    drawn = np.bincount(_draw(weight, n, rng), minlength=len(weight)).astype(np.int32)
    return codes[drawn > 0], drawn[drawn > 0]


def _draw(weight, n, rng):
    ends = np.cumsum(weight, dtype=np.int64)
    return np.searchsorted(ends, rng.choice(ends[-1], n, replace=False), side="right")


def by_hash(table):
    """Numbers of rows of bytes in the order of 64 bits that are made of each, equal ones together."""
    return np.argsort(hashes(table), kind="stable")


def of_one_spelling(values):
    """Rows of numbers whose bytes are equal if they are: with one NaN and one zero."""
    return np.ascontiguousarray(np.where(np.isnan(values), np.nan, values) + 0.0)


def hashes(table):
    """64 bits of each row of bytes: SplitMix64 (Steele, Lea, Flood 2014) of each eight of them and where they stand."""
    n_rows, n_columns = table.shape
    total = np.zeros(n_rows, dtype=np.uint64)
    n_words = -(-n_columns // 8)
    place = np.arange(1, n_words + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    step = max(1, BLOCK_BYTES // n_columns)
    for start in range(0, n_rows, step):
        part = np.zeros((len(table[start : start + step]), 8 * n_words), dtype=np.uint8)
        part[:, :n_columns] = table[start : start + step]
        z = part.view("<u8").astype(np.uint64) + place
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(31)
        total[start : start + step] = z.sum(axis=1, dtype=np.uint64)
    return total
