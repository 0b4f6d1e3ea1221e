"""Rows to learn from: whole ones, each of a whole weight. Missing cells are drawn."""

import warnings
from dataclasses import dataclass

import numpy as np

from ..densities.conditionals import Conditionals
from ..densities.density import OrderedDensity
from ..inference.completion import gibbs, resampled
from ..tables.columns import MAX_CATEGORIES
from .costs import cost_table
from .multisets import by_hash, distinct, hashes, held_out_parts, in_order, n_rows, of_one_spelling
from .numbers import MOST_CROSSED, learn_mixed_apart, shuffled
from .prunings import COST_BITS, NO_LIMIT, learn_conditionals

ROUNDS = 5  # of learning from the filled table and drawing its missing cells again
ROUNDS_OF_NUMBERS = 1  # the same in tables with numbers, of which further ones cost more than they gain,
MIXTURES = (4, 1), (16, 0)  # by these beside trees
PROPOSALS = 16  # of which the first draws of a row are one
MOST_ROWS = 2**31 - 1
MOST_CELLS = 4_000_000  # of rows that are written as often as they weigh; or each once, if that is more


def check_weight(sample_weight, n):
    """Weights of n rows as ndarray of shape (n,), float64, or None."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, str):
        told = f"sample_weight has a weight for each row; of a column that counts rows, as {sample_weight!r} may be: "
        raise TypeError(f"{told}X, weight = treeflows.from_counts(table, {sample_weight!r})")
    weight = np.asarray(sample_weight)
    if weight.dtype.kind == "c":  # a cast would drop what is imaginary
        raise ValueError(f"sample_weight must be real, got dtype {weight.dtype}")
    weight = weight.astype(np.float64)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {weight.shape}; ({n},) is needed, a weight for each row")
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


def rows_to_learn_from(codes, observed, weight, n_categories, rng, threads, prior_split=1.0):
    """Whole rows, and how many rows each of them stands for.

    What they are as a multiset depends on the rows as a multiset and on the seed.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    observed : ndarray of shape (n_rows, n_columns), bool, or None
        Cells that are known; None if all are.
    weight : ndarray of shape (n_rows,), float64, or None
    n_categories : ndarray of shape (n_columns,), int32
    rng : Generator
    threads : int
    prior_split : float, default=1.0
        Of the trees that missing cells are drawn by: the larger, the more weak dependences are kept in the drawn cells.

    Returns
    -------
    codes : ndarray of shape (n, n_columns), uint8
    weight : ndarray of shape (n,), int32, or None
        None if no weights are given.
    """
    if weight is not None:
        order = _order(codes, observed, weight)
        weight = _repetitions(weight[order], rng)
        order, weight = order[weight > 0], weight[weight > 0]
        if len(order) == 0:
            raise ValueError("sample_weight sums to less than one row")
        codes, observed = in_order(codes, order), None if observed is None else in_order(observed, order)
    if observed is None:
        return codes, weight
    if weight is not None:  # what is missing is drawn for each row anew
        table, weight = distinct(np.hstack([codes, observed.view(np.uint8)]), weight)
        codes, observed = np.hsplit(table, 2)
        row, weight = _written(weight, (observed == 0).any(axis=1), codes.shape[1])
        codes, observed = codes[row], observed[row].astype(bool)
    return _filled(codes, observed, weight, n_categories, rng, threads, prior_split), weight


def numbers_to_learn_from(values, observed, weight, domain, rng, threads):
    """Whole rows of numbers and codes, each as often as its weight says; of fractions, as `rows_to_learn_from` has it.

    Weights of more than `MOST_CELLS` become fractions that sum to so many: no row stands for others here, as each
    number is moved within its lattice by itself.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), float64
        Where a number is missing, and that is a value of its own, NaN.
    observed : ndarray of shape (n_rows, n_columns), bool, or None
        Cells that are known; None if all are.
    weight : ndarray of shape (n_rows,), float64, or None
    domain : Domain
    rng : Generator
    threads : int

    Returns
    -------
    values : ndarray of shape (n, n_columns), float64
    """
    if weight is not None:
        order = _order(of_one_spelling(values).view(np.uint8), observed, weight)
        times = _repetitions(_in_proportion(weight[order], values.shape[1]), rng)
        if not times.any():
            raise ValueError("sample_weight sums to less than one row")
        row = np.repeat(order, times)
        values, observed = values[row], None if observed is None else observed[row]
    if observed is None or observed.all():  # those that lack a cell may weigh nothing
        return values
    return _filled_numbers(values, observed, domain, rng, threads)


def _order(codes, observed=None, weight=None):
    """Numbers of the rows by a hash of what is in them, and among equal ones by their weights."""
    table = codes if observed is None else np.hstack([codes, observed.view(np.uint8)])
    return by_hash(table) if weight is None else np.lexsort((weight, hashes(table)))


def _repetitions(weight, rng):
    """How often each of the sorted rows is repeated: its weight, or where that is a fraction, an integer next to it.

    Systematic sampling: expectations are the weights, and any run of rows, such as all that are equal, is within one
    row of the sum of its weights.
    """
    if (weight == np.floor(weight)).all():
        return weight.astype(np.int32)
    return np.diff(np.floor(np.cumsum(weight) + rng.random()), prepend=0.0).astype(np.int32)


def _written(weight, holed, n_columns):
    """Numbers of rows, those with holes as often as they weigh, or as many as may be; and what each then weighs."""
    times, most = np.where(holed, weight.astype(np.int64), 1), MOST_CELLS // n_columns
    if times[holed].sum() > most:
        times[holed] = np.maximum(times[holed] * most // times[holed].sum(), 1)
    row = np.repeat(np.arange(len(weight)), times)
    part = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    return row, ((weight // times)[row] + (part < (weight % times)[row])).astype(np.int32)


def _in_proportion(weight, n_columns):
    """Weights of sorted rows, or such as sum to what may be written."""
    total, most = weight.sum(), max(len(weight), MOST_CELLS // n_columns)
    if total <= most:
        return weight
    warnings.warn(
        f"sample_weight sums to {total:,.0f}, and rows with numbers are repeated: {most:,} rows are learned from, "
        "drawn in proportion to their weights",
        UserWarning,
        stacklevel=2,
    )
    return weight * (most / total)


def _filled(codes, observed, weight, n_categories, rng, threads, prior_split):
    """Missing cells drawn from what tree flows say of them given the rest of the row.

    Data augmentation (Tanner and Wong, Journal of the American Statistical Association 82, 1987). The first draws are
    by trees to which missing is one more category, so that each column is learned where it is observed, from what is
    observed before it; then, in turns, trees are learned from the filled table and the missing cells are drawn again.
    """
    holes = np.flatnonzero(~observed.all(axis=1))
    holes = holes[_order(codes[holes], observed[holes])]
    known = observed[holes]
    mark = np.minimum(n_categories, MAX_CATEGORIES - 1)  # of 256 categories the last stands for missing, too
    trees = _trees(np.where(observed, codes, mark).astype(np.uint8), weight, mark + 1, threads, prior_split)
    codes = codes.copy()
    codes[holes] = resampled(_Named(n_categories, trees), codes[holes], known, PROPOSALS, rng, threads)
    for _ in range(ROUNDS):
        trees = _trees(codes, weight, n_categories, threads, prior_split)
        codes[holes] = gibbs(lambda rows, t=trees: t.score(rows, threads), codes[holes], known, n_categories, 1, rng)
    return codes


def _filled_numbers(values, observed, domain, rng, threads):
    """As `_filled`, of rows of numbers and codes: the missing cells of a row are drawn together, by weighted draws.

    They are by mixtures too: trees alone would blur how closely numbers hang together.
    """
    holes = np.flatnonzero(~observed.all(axis=1))
    holes = holes[_order(of_one_spelling(values[holes]).view(np.uint8), observed[holes])]
    known, numeric = observed[holes], domain.numeric
    mark = np.minimum(domain.n_categories, MAX_CATEGORIES - 1)
    k, table = mark + 1, np.where(observed, values, np.where(numeric, np.nan, mark))
    filled, within = values.copy(), {}
    for j in np.flatnonzero(~observed.all(axis=0)).tolist():  # what may stand where nothing is observed
        within[j] = (-np.inf, np.inf) if numeric[j] else np.arange(k[j]) < domain.n_categories[j]
    for _ in range(1 + ROUNDS_OF_NUMBERS):
        some = held_out_parts(len(table), table.shape[1], MOST_CROSSED)[:1]
        density, _ = learn_mixed_apart(
            shuffled(table, rng),
            some,
            numeric,
            k,
            step=domain.step,
            bounds=domain.bounds,
            rng=rng,
            mixtures=MIXTURES,
            boosts=False,
            n_further=0,
            threads=threads,
        )
        rngs = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=len(holes))]
        draws = density.draw_ahead(filled[holes], known, PROPOSALS, rngs, threads, None, within)
        filled[holes] = draws.resampled(1, rngs)[:, 0]
        table, k, within = filled, domain.n_categories, {}
    return filled


def _trees(codes, weight, n_categories, threads, prior_split):
    """A tree for each column on those before it, in natural order."""
    cost = cost_table(n_rows(codes, weight), 1, COST_BITS)
    return learn_conditionals(
        codes,
        n_categories,
        np.arange(codes.shape[1], dtype=np.int32),
        cost,
        min_samples_leaf=5,
        max_depth=NO_LIMIT,
        max_features=0,
        seed=0,
        prior_split=prior_split,
        smoothing="evidence",
        weight=weight,
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
