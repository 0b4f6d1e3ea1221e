"""Learning trees that tell the digits of uniform numbers, one column after the other."""

from functools import partial

import numpy as np

from ..densities.digits import CodeLayout, cell_of
from ..densities.numbers import NumberColumns
from ..densities.trees import starts
from ..machine.parts import together
from .growth import Growth, grow_on
from .numbers import N_QUANTILES


def layout_of_digits(n_columns, n_digits):
    """Code columns of uniform numbers, in the order of the table, that are asked about at even steps: CodeLayout."""
    ones, zeros = np.ones(n_columns, dtype=np.uint8), np.zeros(n_columns)
    thresholds = np.arange(1, N_QUANTILES) / N_QUANTILES
    numbers = NumberColumns(
        ones.astype(np.int32),
        is_number=ones,
        missing=ones * 0,
        step=zeros,
        origin=zeros,
        low=zeros - np.inf,
        high=zeros + np.inf,
        first_atom=starts(ones * 0),
        atom=np.empty(0),
        first_threshold=starts([len(thresholds)] * n_columns),
        threshold=np.tile(thresholds, n_columns),
    )
    return CodeLayout(numbers, np.arange(n_columns, dtype=np.int32), n_digits)


def learn_digits(u, layout, n_trees, rng, threads=1):
    """Trees of digits: those of the first may ask all that stands before, at each split of others columns are drawn.

    Parameters
    ----------
    u : ndarray of shape (n_rows, n_columns), float64
        Uniform numbers.
    layout : CodeLayout
    n_trees : int
        Of each digit.
    rng : numpy.random.Generator
    threads : int

    Returns
    -------
    trees : tuple of Conditionals
    """
    k = layout.n_categories
    codes = np.zeros((len(u), len(k)), dtype=np.uint8)
    for j in range(u.shape[1]):
        write_digits(layout, codes, j, u[:, j])
    growth = Growth()
    growths = [growth, *[growth.of_further_trees()] * (n_trees - 1)]
    each = zip(growths, rng.integers(2**31, size=n_trees).tolist(), strict=True)
    return tuple(together([partial(grow_on, codes, layout, True, of, seed, threads) for of, seed in each]))


def write_digits(layout, codes, j, u):
    """Write into code columns the digits of a column's uniform numbers, and the answers to what is asked about them."""
    layout.write(codes, j, 0, layout.numbers.questions(j, u), cell_of(u, 1 - u, layout.bits))
