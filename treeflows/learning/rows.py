"""Rows to learn from: whole ones, each of weight one, some of them held out.

Missing cells are drawn, and weights become repetitions.
"""

from dataclasses import dataclass

import numpy as np

from ..densities.conditionals import Conditionals
from ..densities.density import OrderedDensity
from ..inference.completion import gibbs, resampled
from ..tables.columns import MAX_CATEGORIES
from .costs import cost_table
from .prunings import COST_BITS, NO_LIMIT, learn_conditionals

ROUNDS = 5  # of learning from the filled table and drawing its missing cells again
PROPOSALS = 16  # of which the first draws of a row are one
MOST_ROWS = 2**31 - 1
FOLDS = 5
MOST_CROSSED = 300_000  # cells of a table of which every row is held out once
FEWEST_ROWS = 500  # below which it is too, however wide the table
HELD_OUT = 0.1  # of the rows of other tables, and at most so many:
MOST_HELD_OUT = 10_000
BLOCK_BYTES = 4_000_000  # hashed at a time


def check_weight(sample_weight, n_rows):
    """Weights of rows as ndarray of shape (n_rows,), float64, or None."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight)
    if weight.dtype.kind == "c":  # a cast would drop what is imaginary
        raise ValueError(f"sample_weight must be real, got dtype {weight.dtype}")
    weight = weight.astype(np.float64)
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight has shape {weight.shape}; ({n_rows},) is needed, a weight for each row")
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"sample_weight holds {weight[row]} at row {row}; weights are finite and not negative")
    if not weight.any():
        raise ValueError("sample_weight is zero for every row")
    if weight.sum() > MOST_ROWS:
        raise ValueError(
            f"sample_weight sums to {weight.sum():g}, and a weight is as many rows; divide the weights by their mean"
        )
    return weight


def rows_to_learn_from(codes, observed, weight, n_categories, rng, threads):
    """Whole rows: ndarray of shape (n, n_columns), uint8, n being the sum of the weights.

    What they are, up to their order, depends on the rows as a multiset and on the seed.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    observed : ndarray of shape (n_rows, n_columns), bool, or None
        Cells that are known; None if all are.
    weight : ndarray of shape (n_rows,), float64, or None
    n_categories : ndarray of shape (n_columns,), int32
    rng : Generator
    threads : int
    """
    if weight is not None:
        order = _order(codes, observed, weight)
        chosen = np.repeat(order, _repetitions(weight[order], rng))
        if len(chosen) == 0:
            raise ValueError("sample_weight sums to less than one row")
        codes, observed = codes[chosen], None if observed is None else observed[chosen]
    return codes if observed is None else _filled(codes, observed, n_categories, rng, threads)


def in_order(codes):
    """The rows in an order that depends on the rows as a multiset alone, so that draws by their numbers do too."""
    return codes[_order(codes)]


def distinct(codes):
    """Rows without repetitions, and how often each is there; in an order that depends on the multiset alone."""
    codes = in_order(codes)
    firsts = np.flatnonzero(np.append(True, (codes[1:] != codes[:-1]).any(axis=1)))
    return codes[firsts], np.diff(np.append(firsts, len(codes)))


def folds(n_rows, n_columns, most_crossed=MOST_CROSSED):
    """Which of the rows, in random order, are held out together: list of slices, empty if there is one row.

    Of a table of at most ``most_crossed`` cells, or of few rows, each row is held out in one of several folds, since a
    tenth would say little: cross-validation (Stone, Journal of the Royal Statistical Society B 36, 1974).
    """
    if n_rows < FEWEST_ROWS or n_rows * n_columns <= most_crossed:
        n = min(FOLDS, n_rows)
        ends = [n_rows * i // n for i in range(n + 1)]
        return [slice(*ends[i : i + 2]) for i in range(n)] if n > 1 else []
    return [slice(0, min(round(HELD_OUT * n_rows), MOST_HELD_OUT))]


def others(codes, fold):
    """The rows that are not in a fold."""
    return np.concatenate([codes[: fold.start], codes[fold.stop :]])


def _order(codes, observed=None, weight=None):
    """Numbers of the rows by a hash of what is in them, and among equal ones by their weights."""
    table = codes if observed is None else np.hstack([codes, observed.view(np.uint8)])
    keys = _hash(table)
    return np.argsort(keys, kind="stable") if weight is None else np.lexsort((weight, keys))


def _hash(table):
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


def _repetitions(weight, rng):
    """How often each of the sorted rows is repeated: its weight, or where that is a fraction, an integer next to it.

    Systematic sampling: expectations are the weights, and any run of rows, such as all that are equal, is within one
    row of the sum of its weights.
    """
    if (weight == np.floor(weight)).all():
        return weight.astype(np.int64)
    return np.diff(np.floor(np.cumsum(weight) + rng.random()), prepend=0.0).astype(np.int64)


def _filled(codes, observed, n_categories, rng, threads):
    """Missing cells drawn from what tree flows say of them given the rest of the row.

    Data augmentation (Tanner and Wong, Journal of the American Statistical Association 82, 1987). The first draws are
    by trees to which missing is one more category, so that each column is learned where it is observed, from what is
    observed before it; then, in turns, trees are learned from the filled table and the missing cells are drawn again.
    """
    holes = np.flatnonzero(~observed.all(axis=1))
    holes = holes[_order(codes[holes], observed[holes])]
    known = observed[holes]
    mark = np.minimum(n_categories, MAX_CATEGORIES - 1)  # of 256 categories the last stands for missing, too
    trees = _trees(np.where(observed, codes, mark).astype(np.uint8), mark + 1, threads)
    codes = codes.copy()
    codes[holes] = resampled(_Named(n_categories, trees), codes[holes], known, PROPOSALS, rng, threads)
    for _ in range(ROUNDS):
        trees = _trees(codes, n_categories, threads)
        codes[holes] = gibbs(lambda rows, t=trees: t.score(rows, threads), codes[holes], known, n_categories, 1, rng)
    return codes


def _trees(codes, n_categories, threads):
    """A tree for each column on those before it, in natural order."""
    cost, _bits = cost_table(len(codes), 1, COST_BITS)
    return learn_conditionals(
        codes,
        n_categories,
        np.arange(codes.shape[1], dtype=np.int32),
        cost,
        min_samples_leaf=5,
        max_depth=NO_LIMIT,
        max_features=0,
        seed=0,
        prior_split=1.0,
        smoothing="evidence",
        n_threads=threads,
    )


@dataclass(frozen=True, eq=False)
class _Named(OrderedDensity):
    """Trees that have one more category for what is missing, to draw the others by."""

    trees: Conditionals

    @property
    def order(self):
        """The columns in order."""
        return self.trees.order

    def walk(self, codes, threads=1):
        """Column after column: its number, and its distribution over the categories that have names."""
        for j, prob in self.trees.walk(codes, threads):
            named = prob[:, : self.n_categories[j]]
            yield j, named / named.sum(axis=1, keepdims=True)
