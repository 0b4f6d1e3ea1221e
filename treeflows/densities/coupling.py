"""Rows of one density as rows of another, with the fewest changes, column by column.

Codes are coupled maximally: given what stands before it, a cell changes with the probability that is the total
variation distance of its two distributions, and no coupling changes fewer (Lindvall, "Lectures on the Coupling Method",
1992). Numbers go to the same quantile, which moves them least. What is random is read from noise, uniform numbers of
each cell; the noise that comes back is uniform, too, and leads back by the same steps: this is a bijection of rows
together with noise.
"""

import numpy as np

from .mixed import MixedDensity

BLOCK_ROWS = 4096
BELOW_ONE = np.nextafter(1.0, 0.0)
SAME = 1e-9  # difference of two distribution functions, within which a number stays


def couple(source, target, rows, into, noise, threads=1):
    """Rows of one density as rows of another.

    Parameters
    ----------
    source, target : Density
        Of the same columns, each telling them in the same order.
    rows : ndarray of shape (n_rows, n_columns)
        Whole rows of the first.
    into : ndarray of shape (n_rows, n_columns)
        Where rows of the second go. The columns that come first in the order and have no noise are there already.
    noise : ndarray of shape (n_rows, n_told, 2), float64
        Uniform numbers, from 0 to less than 1, of each cell of the first columns of the table; exchanged for those that
        lead back.
    threads : int

    Returns
    -------
    distance : ndarray of shape (n_told,), float64
        Mean total variation distance of each column's two distributions of codes, given what stands before; of a column
        of numbers, of which atom it is, or none, or missing.
    """
    if not np.array_equal(source.order, target.order):
        raise ValueError("the two densities tell the columns in different orders")
    distance = np.zeros(noise.shape[1])
    steps = _numbers if isinstance(source, MixedDensity) else _codes
    for start in range(0, len(rows), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        distance += steps(source, target, rows[part], into[part], noise[part], threads)
    return distance / max(len(rows), 1)


def _codes(source, target, rows, into, noise, threads):
    distance = np.zeros(noise.shape[1])
    for (j, before), (_, after) in zip(source.walk(rows, threads), target.walk(into, threads), strict=True):
        if j < len(distance):
            into[:, j], noise[:, j, 0], apart = _exchanged(before, after, rows[:, j].astype(np.intp), noise[:, j, 0])
            distance[j] = apart.sum()
    return distance


def _numbers(source, target, rows, into, noise, threads):
    distance = np.zeros(noise.shape[1])
    walk, other = source.begin(len(rows), threads), target.begin(len(rows), threads)
    for j in source.order.tolist():
        if j < len(distance):
            before, after, own = walk.codes_say(j), other.codes_say(j), noise[:, j]
            if source.numbers.is_number[j]:
                x, cells = rows[:, j], _cells(walk, j, rows[:, j])
                kind, own[:, 0] = _parted(walk, j, x, own[:, 0], cells)
                kind_after, own[:, 0], apart = _exchanged(before, after, kind, own[:, 0])
                into[:, j], own[:, 1], cells = _moved(walk, other, j, x, kind, kind_after, own[:, 1], cells)
                own[:, 0] = _joined(other, j, into[:, j], kind_after, own[:, 0], cells)
            else:
                into[:, j], own[:, 0], apart = _exchanged(before, after, rows[:, j].astype(np.intp), own[:, 0])
            distance[j] = apart.sum()
        walk.observe(j, rows[:, j])
        other.observe(j, into[:, j])
    return distance


def _exchanged(p, q, code, noise):
    """Codes of one distribution of each row as codes of another, with noise; and how far apart these are.

    The unit interval is cut into cells as wide as the codes are probable, and noise is the place within a cell. What
    two cells of a code share stays. What is left of the first ones, put together, is as long as what is left of the
    second, and goes there.
    """
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    row = np.arange(len(code))
    more, less = np.maximum(p - q, 0.0), np.maximum(q - p, 0.0)
    place, stays = noise * p[row, code], np.minimum(p, q)
    ends, filled = np.cumsum(more, axis=1), np.cumsum(less, axis=1)
    goes = (place >= stays[row, code]) & (ends[:, -1] > 0) & (filled[:, -1] > 0)
    at = ends[row, code] - more[row, code] + place - stays[row, code]
    at = np.minimum(at * (filled[:, -1] / np.where(goes, ends[:, -1], 1.0)), filled[:, -1] * BELOW_ONE)
    found = np.minimum((at[:, None] >= filled).sum(axis=1), p.shape[1] - 1)
    there = np.where(goes, found, code)
    place = np.where(goes, stays[row, there] + at - (filled[row, there] - less[row, there]), place)
    return there, np.clip(place / np.maximum(q[row, there], np.finfo(float).tiny), 0.0, BELOW_ONE), ends[:, -1]


def _parted(walk, j, x, noise, cells):
    """Of which kind numbers are, and the noise that is left: on a lattice an atom may be one of those elsewhere."""
    kind, share, has = _share_of_atom(walk, j, x, cells)
    is_atom = noise < share
    left = np.where(
        is_atom, noise / np.where(share > 0, share, 1.0), (noise - share) / np.where(share < 1, 1 - share, 1.0)
    )
    elsewhere = walk.density.n_categories[j] - 1
    return np.where(has & ~is_atom, elsewhere, kind), np.where(has, np.clip(left, 0.0, BELOW_ONE), noise)


def _joined(walk, j, x, kind, noise, cells):
    """The noise from which `_parted` tells kinds of numbers, and what is left."""
    _, share, has = _share_of_atom(walk, j, x, cells)
    elsewhere = kind == walk.density.n_categories[j] - 1
    told = np.where(elsewhere, share + noise * (1 - share), noise * share)
    return np.where(has, np.minimum(told, BELOW_ONE), noise)


def _share_of_atom(walk, j, x, cells):
    """Kinds of numbers as they look; how probable it is that one that looks like an atom is; and which these are."""
    numbers, elsewhere = walk.density.numbers, walk.density.n_categories[j] - 1
    kind = numbers.kind_of(j, x).astype(np.intp)
    share, has = np.zeros(len(x)), (kind < elsewhere) & ~np.isnan(x) & (numbers.step[j] > 0)
    if has.any():
        said = walk.codes_say(j)[has]
        atom = said[np.arange(len(said)), kind[has]]
        share[has] = atom / (atom + said[:, elsewhere] * _mass(*cells)[has])
    return kind, share, has


def _moved(walk, other, j, x, kind, kind_after, noise, cells):
    """Values of a column of numbers by the kinds before and after, the noise that leads back, and the values' cells."""
    on_lattice, elsewhere = walk.density.numbers.step[j] > 0, walk.density.n_categories[j] - 1
    values, left, below, above = other.of_kinds(j, kind_after), noise.copy(), noise.copy(), 1 - noise
    rows = np.flatnonzero(kind == elsewhere)
    if len(rows):
        if on_lattice:  # noise says where in the cell
            below[rows], above[rows] = (s[rows, 0] + noise[rows] * (s[rows, 1] - s[rows, 0]) for s in cells)
        else:
            below[rows], above[rows] = walk.uniform(j, x[rows], rows)
        left[rows] = below[rows]
    rows = np.flatnonzero(kind_after == elsewhere)
    if len(rows):
        values[rows] = other.number_at(j, below[rows], above[rows], rows)
        some = rows[kind[rows] == elsewhere]
        stays = some[_is_at(other, j, x[some], values[some], some, below[some], above[some])]
        values[stays] = x[stays]
        left[rows] = noise[rows]
    cells = _cells(other, j, values)
    if on_lattice and len(rows):
        within = (below - cells[0][:, 0])[rows] / np.maximum(_mass(*cells)[rows], np.finfo(float).tiny)
        left[rows] = np.clip(within, 0.0, BELOW_ONE)
    return values, left, cells


def _is_at(walk, j, x, value, rows, below, above):
    """Whether a number is at its quantile already, at which a value has been found."""
    step = walk.density.numbers.step[j]
    if step > 0 or len(rows) == 0:
        return np.abs(x - value) < step / 2
    less, more = walk.uniform(j, x, rows)
    return np.minimum(np.abs(less - below), np.abs(more - above)) <= SAME * np.minimum(below, above)


def _cells(walk, j, x):
    """Probabilities of less and of more than the edges of the cells of numbers on a lattice, (n_rows, 2) each."""
    below, above = np.zeros((2, len(x), 2))
    step, rows = walk.density.numbers.step[j], np.flatnonzero(~np.isnan(x))
    if step > 0 and len(rows):
        edges = np.column_stack([x[rows] - step / 2, x[rows] + step / 2])
        below[rows], above[rows] = walk.uniform_at(j, edges, rows)
    return below, above


def _mass(below, above):
    """Probability between two edges, by that of less and of more than each."""
    return np.maximum(np.where(below[:, 1] < above[:, 0], below[:, 1] - below[:, 0], above[:, 0] - above[:, 1]), 0.0)
