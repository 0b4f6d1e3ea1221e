"""Rows to learn from: whole ones, each of weight one. Missing cells are drawn, and weights become repetitions."""

import numpy as np

from ..densities.conditionals import COST_BITS, NO_LIMIT, learn_conditionals
from ..inference.marginals import OrderedDensity, gibbs, resampled
from ..tables.columns import MAX_CATEGORIES
from .layers import cost_table

ROUNDS = 5  # of learning from the filled table and drawing its missing cells again
PROPOSALS = 16  # of which the first draws of a row are one
MOST_ROWS = 2**31 - 1


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
    if weight is not None:
        # one order for equal tables: what a model draws from the rows then depends on the weighted table alone
        order = np.lexsort((codes if observed is None else np.hstack([codes, observed])).T[::-1])
        chosen = np.repeat(order, _repetitions(weight[order], rng))
        if len(chosen) == 0:
            raise ValueError("sample_weight sums to less than one row")
        codes, observed = codes[chosen], None if observed is None else observed[chosen]
    return codes if observed is None else _filled(codes, observed, n_categories, rng, threads)


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

    Data augmentation (Tanner and Wong, Journal of the American Statistical Association 82, 1987). The first draws are
    by trees to which missing is one more category, so that each column is learned where it is observed, from what is
    observed before it; then, in turns, trees are learned from the filled table and the missing cells are drawn again.
    """
    draws = np.random.default_rng(rng.randint(2**31))
    holes = np.flatnonzero(~observed.all(axis=1))
    known = observed[holes]
    mark = np.minimum(n_categories, MAX_CATEGORIES - 1)  # of 256 categories the last stands for missing, too
    trees = _Trees(np.where(observed, codes, mark).astype(np.uint8), mark + 1, n_categories, threads)
    codes = codes.copy()
    codes[holes] = resampled(trees, codes[holes], known, PROPOSALS, draws, threads)
    shares = [np.ones(k) for k in n_categories]
    for _ in range(ROUNDS):
        trees = _Trees(codes, n_categories, n_categories, threads)
        codes[holes] = gibbs(
            lambda rows, t=trees: t.score(rows, threads), codes[holes], known, shares, 1, draws, draw=True
        )
    return codes


class _Trees(OrderedDensity):
    """A tree for each column on those before it, in natural order, to draw the first categories of each column by."""

    def __init__(self, codes, n_categories, n_drawn, threads):
        self.n_drawn = n_drawn
        cost, _bits = cost_table(len(codes), 1, COST_BITS)
        self.conditionals, _evidence, _concentration = learn_conditionals(
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

    def score(self, codes, threads):
        """Log-likelihood of each row, nats."""
        return self.conditionals.score_codes(codes, threads)

    def _walk(self, codes, threads):
        for j, k in enumerate(self.n_drawn.tolist()):
            prob = self.conditionals.distributions(j, codes, threads)[:, :k]
            yield j, prob / prob.sum(axis=1, keepdims=True)
