"""Learning a neural network that tells every column by those before it.

Unlike the regressions of `logistic`, a network's likelihood is not concave, so it is learned by steps down the slope of
a few rows at a time (Adam: Kingma and Ba, ICLR 2015), whose length falls evenly to nothing. How many steps is known
beforehand; whether they were of use, the pool finds from rows held out.
"""

import numpy as np

from .._ext import elementary, neural
from ..densities.logistic import Cells
from ..densities.neural import NeuralConditionals
from ..densities.trees import starts
from ..machine.parts import computed, pure
from .multisets import n_rows

UNITS = 64
FEW_CELLS = 500  # of a table; where there are more, there are twice as many units, or by many visits four times
MANY_VISITS = 480_000
BATCH = 32  # rows of a step
RATE = 0.008  # of the first step
VISITS = 40_000, 120_000, 480_000, 1_920_000  # of rows, numbers that are tried in turn,
MOST_PASSES = 20  # and how often each is visited at most
PRECISION, MORE_PRECISION = 3.0, 30.0  # of the normal prior of all parameters but constants
STEPS = 256  # that are taken at a time, so that Ctrl-C is heard
SPREAD = 0.5  # standard deviation, at the start, of the units' sums in a row whose columns all have a cell
SMALL = 0.2  # and of the logits, of units around 1
MOST_CELLS = 2_000  # of a table that a network is learned for


def learn_network(codes, n_categories, order, reference, told, visits, precision, seed, threads=1, weight=None):
    """Parameters of a network.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_columns), uint8
        Distinct rows, in the order that `distinct` gives.
    n_categories, order : ndarray of shape (n_columns,), int32
    reference : ndarray of shape (n_columns,), uint8
    told : ndarray of shape (n_columns,), bool
        Columns that it is to tell.
    visits : int
        Of rows by the steps, at most `MOST_PASSES` for each.
    precision : float
        Of the normal prior.
    seed : int
    threads : int
    weight : ndarray of shape (n_rows,), int32, or None
        Rows that each row stands for.

    Returns
    -------
    parameter : ndarray of float32
        As `density_of` takes them.
    """
    weight = np.ones(len(codes), dtype=np.int32) if weight is None else weight
    arrays = {"codes": codes, "weight": weight, "n_categories": n_categories, "order": order, "reference": reference}
    arrays["told"] = told[order].astype(np.uint8)
    columns = [order[told[order]].tolist()]
    options = {"visits": visits, "precision": precision, "seed": seed}
    (found,) = computed(learned_network, arrays, options, columns=columns, threads=threads)
    return found["parameter"]


@pure
def learned_network(codes, weight, n_categories, order, reference, told, *, visits, precision, seed, threads=1):
    """The parameters of `learn_network`, here; ``told`` is by place in the order: dict of arrays."""
    cells, draws = Cells.of(n_categories, order, reference), np.random.default_rng([seed, 1])
    units = UNITS * (1 if cells.n <= FEW_CELLS else 2 if visits < MANY_VISITS else 4)
    counts = np.concatenate([np.bincount(codes[:, j], weight, n) for j, n in enumerate(n_categories.tolist())]) + 0.5
    usual = counts[starts(n_categories)[:-1] + reference][order[cells.place]]
    constant = np.zeros(cells.n)
    constant[cells.number[cells.number >= 0]] = elementary.log(counts[cells.number >= 0])
    constant = np.where(told[cells.place], constant - elementary.log(usual), 0.0)

    def drawn(deviation):  # evenly: of sums, products and roots alone, so the same everywhere
        return deviation * np.sqrt(12.0) * (draws.random((cells.n, units)) - 0.5)

    inward, outward = drawn(SPREAD / np.sqrt(len(order))), drawn(SMALL / np.sqrt(units))
    outward[told[cells.place] == 0] = 0.0
    parts = np.zeros(units), inward.ravel(), outward.ravel(), constant
    parameter = np.concatenate(parts).astype(np.float32)
    moments, faded = np.zeros((2, len(parameter)), dtype=np.float32), np.ones(2)
    visited = _visited(weight, visits, draws)
    rate = RATE * (1 - np.arange(len(visited) // BATCH) / (len(visited) // BATCH))
    of = order, starts(n_categories).astype(np.int32), cells.number, cells.first.astype(np.int32), told, units
    pull = precision / n_rows(weight, weight)
    for start in range(0, len(rate), STEPS):
        steps = slice(start, start + STEPS)
        rows = visited[start * BATCH : (start + STEPS) * BATCH]
        neural.train(codes, rows, rate[steps], *of, pull, parameter, moments, faded, threads)
    return {"parameter": parameter}


def density_of(parameter, n_categories, order, reference, heard):
    """The network of these parameters, which says nothing of columns that are not ``heard``: NeuralConditionals."""
    cells = Cells.of(n_categories, order, reference)
    units = (len(parameter) - cells.n) // (1 + 2 * cells.n)
    size = cells.n * units
    bias, inward, outward, constant = np.split(parameter, [units, units + size, units + 2 * size])
    silent = ~heard[order[cells.place]]
    outward, constant = outward.reshape(cells.n, units).copy(), constant.copy()
    outward[silent], constant[silent] = 0.0, 0.0
    return NeuralConditionals(n_categories, order, reference, bias, inward.reshape(cells.n, units), outward, constant)


def _visited(weight, visits, draws):
    """Numbers of the rows of all steps: pass after pass over rows in random order, each as often as it is there."""
    n, ends = n_rows(weight, weight), np.cumsum(weight, dtype=np.int64)
    left, visited = -(-min(visits, MOST_PASSES * n) // BATCH) * BATCH, []
    while left > 0:
        visited.append(draws.choice(n, min(n, left), replace=False))
        left -= len(visited[-1])
    return np.searchsorted(ends, np.concatenate(visited), side="right")
