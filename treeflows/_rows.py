"""Rows to learn from: whole ones, each of weight one. Missing cells are drawn, and weights become repetitions."""

import numpy as np

from ._conditionals import COST_BITS, NO_LIMIT, learn_conditionals
from ._density import gibbs
from ._growth import cost_table

ROUNDS = 5  # of learning from the filled table and drawing its missing cells again
MOST_ROWS = 2**31 - 1


def check_weight(sample_weight, n_rows):
    """Weights of rows as ndarray of shape (n_rows,), float64, or None."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight has shape {weight.shape}; ({n_rows},) is needed, a weight for each row")
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"sample_weight holds {weight[row]} at row {row}; weights are finite and not negative")
    if weight.sum() > MOST_ROWS:
        raise ValueError(
            f"sample_weight sums to {weight.sum():g}, and a weight is as many rows; divide the weights by their mean"
        )
    return weight


def rows_to_learn_from(codes, observed, weight, n_categories, rng, threads):
    """Whole rows: ndarray of shape (n, n_columns), uint8, n being the sum of the weights.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
    observed : ndarray of shape (n_rows, n_columns), bool, or None
        Cells that are known; None if all are.
    weight : ndarray of shape (n_rows,), float64, or None
    n_categories : ndarray of shape (n_columns,), int32
    rng : RandomState
    threads : int
    """
    if observed is not None:
        codes = _filled(codes, observed, n_categories, rng, threads)
    if weight is not None:
        # one order for equal tables: what a model draws from the rows then depends on the weighted table alone
        order = np.lexsort(codes.T[::-1])
        codes = np.repeat(codes[order], _repetitions(weight[order], rng), axis=0)
        if len(codes) == 0:
            raise ValueError("sample_weight sums to less than one row")
    return codes


def _repetitions(weight, rng):
    """How often each of the sorted rows is repeated: its weight, or where that is a fraction, an integer next to it.

    Systematic sampling: expectations are the weights, and any run of rows, such as all that are equal, is within one
    row of the sum of its weights.
    """
    if (weight == np.floor(weight)).all():
        return weight.astype(np.int64)
    return np.diff(np.floor(np.cumsum(weight) + rng.random_sample()), prepend=0.0).astype(np.int64)


def _filled(codes, observed, n_categories, rng, threads):
    """Missing cells drawn from what tree flows say of them given the rest of the row.

    Data augmentation (Tanner and Wong, Journal of the American Statistical Association 82, 1987): from draws of each
    column by itself, learn from the filled table and draw the missing cells again, in turns.
    """
    codes = codes.copy()
    for j in np.flatnonzero(~observed.all(axis=0)):
        known = codes[observed[:, j], j]
        if len(known):
            missing = np.flatnonzero(~observed[:, j])
            codes[missing, j] = known[rng.randint(len(known), size=len(missing))]
    natural = np.arange(codes.shape[1], dtype=np.int32)
    cost, _bits = cost_table(len(codes), 1, COST_BITS)
    holes = np.flatnonzero(~observed.all(axis=1))
    draws = np.random.default_rng(rng.randint(2**31))
    for _ in range(ROUNDS):
        conditionals, _evidence, _concentration = learn_conditionals(
            codes,
            n_categories,
            natural,
            cost,
            min_samples_leaf=5,
            max_depth=NO_LIMIT,
            max_features=0,
            seed=0,
            prior_split=1.0,
            smoothing="evidence",
            n_threads=threads,
        )
        codes[holes] = gibbs(
            lambda rows, trees=conditionals: trees.score_codes(rows, threads),
            codes[holes],
            observed[holes],
            n_categories,
            1,  # more sweeps, and more rounds, are no better on held-out rows
            draws,
            draw=True,
        )
    return codes
