"""The density of rows of numbers and codes: at every column in order, a linear pool of voices."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated

import numpy as np

from .._ext import elementary
from ..inference.estimates import blocks
from ..inference.particles import draw_along, draw_on
from .axis import NumberAxis
from .boosted import BoostedDestructor
from .conditionals import Conditionals
from .density import Density
from .destructors import GaussianMixtureDestructor, MarginalDestructor, uniform_of
from .digits import (
    FURTHER_LEVELS,
    MARGINAL_BITS,
    MARGINAL_LEVELS,
    MIXTURE_BITS,
    MIXTURE_LEVELS,
    CodeLayout,
    n_number_voices,
)
from .logarithmic import LogarithmicPool
from .numbers import NumberColumns
from .pool import Pool
from .stored import MOST_PROBABILITY, Array, check_order
from .walk import MOST_UNITS, Walk

BLOCK_VALUES = 2_000_000  # of the states' posteriors, at a time
FUNCTIONS = 8  # times as much as the posteriors are the distribution functions of each row
GUESSES = (0.001, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.999)  # quantiles of a mixture
MOST_HEARD = 2  # mixtures that are asked for them
MOST_TOLD = 25_000_000  # probabilities of codes that are kept with draws, if all are
DRAWS = (128, 1024, 48)  # as `weighted_draws` takes them: a draw costs more than one of codes


@dataclass(frozen=True, eq=False)
class MixedDensity(Density):
    """A density of rows of numbers and codes, which tells each column given those before it.

    A row of ``values`` holds numbers as they are, NaN where one is missing, and codes of the other columns. Its density
    is with respect to the product of the columns' measures: probabilities of codes, atoms and values on a lattice,
    densities of other numbers, in their own units.

    Of a column of codes, and of the kind of a number (which atom, missing, or elsewhere), the voices are the trees,
    further trees, a pool of the voices that tell tables of codes, and the mixtures. Of a number elsewhere they are
    densities: the marginal one alone, corrected by the first digits of its uniform number that trees tell; and the
    mixtures and boosted trees, each alone and corrected by digits. All are averaged with a column's shares.

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int32
    numbers : NumberColumns
    smooth : MarginalDestructor
        Of each column by itself, the marginal one.
    trees : tuple of Conditionals
        Of codes, kinds and digits of the marginal's uniform numbers, and further ones.
    coded : tuple of Pool or LogarithmicPool
        Of codes, kinds and what numbers answer to questions; at most one.
    mixtures : tuple of GaussianMixtureDestructor
    boosted : tuple of BoostedDestructor
        Of the normal scores of the marginal's uniform numbers; at most one.
    residuals : tuple of Conditionals
        Trees of the digits of the uniform numbers of each mixture, and of those that are boosted.
    of_scores : ndarray of shape (n_mixtures,), uint8
        Whether a mixture sees the normal scores of the marginal's uniform numbers, or the numbers themselves.
    code_share, number_share : ndarray of shape (n_columns, n_voices), float64
        Of each voice, of codes or kinds, and of numbers elsewhere.
    """

    order: Annotated[np.ndarray, Array(np.int32, "columns", low=0, high="columns")]
    numbers: NumberColumns
    smooth: MarginalDestructor
    trees: tuple[Conditionals, ...]
    coded: tuple[Pool | LogarithmicPool, ...]
    mixtures: tuple[GaussianMixtureDestructor, ...]
    boosted: tuple[BoostedDestructor, ...] = field(default=(), kw_only=True)  # files of before there were any lack them
    residuals: tuple[Conditionals, ...]
    of_scores: Annotated[np.ndarray, Array(np.uint8, "mixtures", high=1)]
    code_share: Annotated[np.ndarray, Array(np.float64, "columns", "code voices", low=0, high=MOST_PROBABILITY)]
    number_share: Annotated[np.ndarray, Array(np.float64, "columns", "number voices", low=0, high=MOST_PROBABILITY)]

    def score(self, values, threads=1, start=0):
        """Log-density of each row, of what stands in the order from place ``start`` on, nats: (n_rows,)."""
        return self.conditional_scores(values, threads)[:, self.order[start:]].sum(axis=1)

    def conditional_scores(self, values, threads=1):
        """Log-density of every value given those before it: ndarray of shape (n_rows, n_columns), by column."""
        scores = np.empty(values.shape)
        for block, walk, j in self._walks(len(values), threads):
            scores[block, j] = walk.score(j, values[block, j])
            walk.observe(j, values[block, j])
        return scores

    def score_first(self, values, last, threads=1):
        """Log-density of so many columns, in order, of each row, nats: ndarray of shape (n_rows,)."""
        told = np.zeros(len(values))
        for block in self._blocks(len(values)):
            walk = self.begin(block.stop - block.start, threads)
            told[block] = self._score_on(walk, values[block], 0, last[block])
        return told

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), float64."""
        nothing = np.full((n_samples, len(self.order)), np.nan)
        return self.propose(nothing, np.zeros(nothing.shape, dtype=bool), rng, threads)[0]

    def propose(self, values, observed, rng, threads=1, within=None):
        """Cells are drawn given all before them, so that the weight is the product of what the observed ones are.

        In all rows the same columns are observed; ``within`` says of others what they lie between.
        """
        values, log_weight = values.copy(), np.zeros(len(values))
        for block, walk, j in self._walks(len(values), threads):
            if observed[0, j]:
                told = walk.score(j, values[block, j])
            else:
                uniform = rng.random(block.stop - block.start)
                values[block, j], told = walk.draw(j, uniform, (within or {}).get(j))
            log_weight[block] += told
            walk.observe(j, values[block, j])
        return values, log_weight

    def marginal(self, values, observed, threads=1, *within):
        """Log-density of the observed cells of each row, and its standard error, 0 where it is exact; nats.

        With what others lie between, as `draw_along` takes it, that of both; then an estimate.
        """
        impossible = (self.numbers.beyond(slice(None), values) & observed).any(axis=1)
        if impossible.any():
            told, error, rest = np.full(len(values), -np.inf), np.zeros(len(values)), ~impossible
            if rest.any():
                told[rest], error[rest] = self.marginal(values[rest], observed[rest], threads, *within)
            return told, error
        return super().marginal(values, observed, threads, *within)

    def sample_telling(self, codes, observed, n_samples, rng, threads=1):
        """Random rows given some columns that come first in order, and what is said of others; see `Density`."""
        values = np.repeat(codes[None].astype(np.float64), n_samples, axis=0)
        kept = ~observed & (self.n_states < np.inf)
        kept &= n_samples * self.n_categories[kept].sum(dtype=np.int64) <= MOST_TOLD
        told = {j: np.empty((n_samples, self.n_categories[j]), np.float32) for j in np.flatnonzero(kept).tolist()}
        for block, walk, j in self._walks(n_samples, threads):
            if not observed[j]:
                values[block, j] = walk.draw(j, rng.random(block.stop - block.start))[0]
            if j in told:
                told[j][block] = walk.codes_say(j)
            walk.observe(j, values[block, j])
        return values, told

    def draw_on(self, values, observed, first, rng, threads=1, *rest):
        """Weighted draws of what comes from a place of the order on; see `draw_on` in inference.particles."""
        return draw_on(self, values, observed, first, rng, threads, *rest)

    def draw_ahead(self, values, observed, n_draws, rngs, threads=1, last=None, within=None):
        """Weighted draws of the unobserved cells of each row; see `draw_along`."""
        return draw_along(self, values, observed, n_draws, rngs, threads, last, within)

    def log_values(self, values, j, n_values, threads=1):
        """Log-probability of whole rows with each of the first codes of a column, up to a constant of each row.

        Rows walk to the column once for all of its codes.
        """
        at, joint = int(np.flatnonzero(self.order == j)[0]), np.empty((len(values), n_values))
        is_last = at + 1 == len(self.order)
        density = self.telling(j) if is_last else self
        for block in self._blocks(len(values), 1 if is_last else n_values):
            whole = values[block]
            walk = density.begin(len(whole), threads)
            for i in self.order[:at].tolist():
                walk.observe(i, whole[:, i])
            joint[block] = elementary.log(walk.codes_say(j)[:, :n_values])
            if not is_last:
                walk, whole = walk.of(np.repeat(np.arange(len(whole)), n_values)), np.repeat(whole, n_values, axis=0)
                whole[:, j] = np.tile(np.arange(n_values), len(whole) // n_values)
                walk.observe(j, whole[:, j])
                rest = self._score_on(walk, whole, at + 1, np.full(len(whole), len(self.order)))
                joint[block] += rest.reshape(-1, n_values)
        return joint

    @property
    def code_trees(self):
        """Trees of columns of codes, and what they see: CodeLayout, Conditionals.

        Those of the pool of codes, if there is one, in whose place none are grown then.
        """
        if not self.coded:
            return self.layouts[0], self.trees[0]
        pool = self.coded[0]
        average = pool.average if isinstance(pool, LogarithmicPool) else pool
        return self.layouts[2], average.trees[0]

    def tree_codes(self, values, j, threads=1):
        """Code columns that the tree of a column of codes asks about; see `Density`."""
        codes = np.empty((len(values), len(self.code_trees[0].n_categories)), dtype=np.uint8)
        before = self.order[: int(np.flatnonzero(self.order == j)[0])].tolist()
        for block in self._blocks(len(values)):
            walk = self.begin(block.stop - block.start, threads)
            for i in before:
                walk.observe(i, values[block, i])
            codes[block] = walk.pooled_codes if self.coded else walk.codes
        return codes

    def begin(self, n_rows, threads=1):
        """So many rows at the start of their way through the columns: Walk."""
        return Walk(self, n_rows, threads)

    def axis(self, j):
        """The values that a column of numbers may have: NumberAxis."""
        return NumberAxis(self.numbers, self.smooth, j)

    def cells_of(self, values, j, threads=1, last=None):
        """What tells log-probabilities of cells of a column's numbers, together with all else of each row.

        What comes after the column in order is told at a point of each cell.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_columns), float64
            What stands in the column itself does not matter.
        j, threads : int
        last : ndarray of shape (n_rows,), int, or None
            How many columns, in order, count of each row; None for all.

        Returns
        -------
        tell : callable
            Takes numbers of rows, and edges of their cells and a point of each, three ndarray of shape (n_rows,
            n_cells), float64; where the point is an atom, the cell holds the atom and no others. Returns two ndarray
            of that shape: the log-probabilities, and the same without what comes after the column.
        """
        at = int(np.flatnonzero(self.order == j)[0])
        last = np.full(len(values), len(self.order)) if last is None else last
        walk = self.begin(len(values), threads)
        before = self._score_on(walk, values, 0, np.minimum(last, at))

        def tell(rows, *cells):
            log_before = before[rows, None] + walk.log_cells(j, rows, *cells)
            log_mass = log_before.copy()
            row, cell = np.nonzero((log_before > -np.inf) & (last[rows, None] > at + 1))
            for block in self._blocks(len(row)):
                here, of = (row[block], cell[block]), rows[row[block]]
                whole, further = values[of], walk.of(of)
                whole[:, j] = cells[-1][here]
                further.observe(j, whole[:, j])
                log_mass[here] += self._score_on(further, whole, at + 1, last[of])
            return log_mass, log_before

        return tell

    def guesses(self, values, j, threads=1, last=None):
        """Values around which a column's numbers may lie closely given all others, as the mixtures have it.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_columns), float64
            What stands in the column itself does not matter.
        j, threads : int
        last : ndarray of shape (n_rows,), int, or None
            How many columns, in order, count of each row; None for all.

        Returns
        -------
        x : ndarray of shape (n_rows, n_guesses), float64
        """
        numbers, n_rows = self.numbers, len(values)
        last = np.full(n_rows, len(self.order)) if last is None else last
        found = []
        for i in self._heard(j):
            mixture, posterior = self.mixtures[i], self.mixtures[i].begin(n_rows)
            known, there = np.zeros((n_rows, len(mixture.shift))), np.zeros((n_rows, len(mixture.shift)), dtype=bool)
            for t, s in enumerate(self.order.tolist()):
                if s == j:
                    continue
                counts, x, place = t < last, np.where(t < last, values[:, s], 0.0), self.place[s]
                kind = numbers.kind_of(s, x) if numbers.is_number[s] else x.astype(np.uint8)
                posterior = np.where(counts[:, None], mixture.observe_codes(posterior, s, kind), posterior)
                if numbers.is_number[s]:
                    known[:, place] = np.nan_to_num(self.seen(i, s, x))
                    there[:, place] = counts & (kind == self.n_categories[s] - 1)
            z = mixture.quantiles_given_all(posterior, known, there, int(self.place[j]), GUESSES, threads)
            found.append(self.unseen(i, j, z))
        return np.hstack(found) if found else np.empty((n_rows, 0))

    def seen(self, i, j, x):
        """A column's numbers as a mixture, or what is boosted, sees them."""
        if self.sees_scores[i]:
            return self.smooth.scores(j, x)
        mixture, t = self.mixtures[i], self.place[j]
        z = np.clip((self.smooth.units(j, x) - mixture.centre[t]) / mixture.scale[t], -MOST_UNITS, MOST_UNITS)
        return np.where(np.isinf(x), x, z)  # all lies before infinity, where a state's mean is further out, too

    def unseen(self, i, j, z):
        """A column's numbers by what a mixture, or what is boosted, sees of them."""
        if self.sees_scores[i]:
            return self.smooth.restore(j, *uniform_of(z))
        mixture, t = self.mixtures[i], self.place[j]
        return np.ldexp(z * mixture.scale[t] + mixture.centre[t], self.smooth.exponent[j])

    def _heard(self, j):
        """The mixtures that have the largest shares in what is said of a column and those after it."""
        told = self.order[np.flatnonzero(self.order == j)[0] :]
        first, each = n_number_voices(0), len(MIXTURE_LEVELS)
        last = n_number_voices(len(self.mixtures))
        share = self.number_share[told[self.numbers.is_number[told] == 1], first:last].sum(axis=0)
        return np.argsort(-share.reshape(-1, each).sum(axis=1), kind="stable")[:MOST_HEARD].tolist()

    def _score_on(self, walk, values, start, last):
        """Log-density of the columns of each row from a place of the order on up to another, where the walk then is."""
        told = np.zeros(len(values))
        for t in range(start, int(last.max(initial=0))):
            j, counts = int(self.order[t]), t < last
            x = np.where(counts, values[:, j], 0.0)
            told += np.where(counts, walk.score(j, x), 0.0)
            walk.observe(j, x)
        return told

    def transform(self, values, threads=1):
        """What is left of rows once all is told: ndarray of shape (n_rows, n_columns), float64.

        Of a code its rank among those of its column, the least probable 0. Of a number its kind, an integer; and of one
        elsewhere, the number of atoms and missing plus its uniform number, which lies between 0 and 1.
        """
        told = np.empty(values.shape)
        for block, walk, j in self._walks(len(values), threads):
            told[block, j] = walk.destroy(j, values[block, j])
            walk.observe(j, values[block, j])
        return told

    def invert(self, told, threads=1):
        """Rows by what `transform` made of them."""
        values = np.empty(told.shape)
        for block, walk, j in self._walks(len(told), threads, FUNCTIONS):
            values[block, j] = walk.restore(j, told[block, j])
            walk.observe(j, values[block, j])
        return values

    def code_tables(self, values, threads=1):
        """What the trees see of rows, and those of each of the residuals: list of ndarray of uint8."""
        parts, density = [], replace(self, coded=())  # whose pool does not matter
        for block in self._blocks(len(values)):
            walk = density.begin(block.stop - block.start, threads)
            for j in self.order.tolist():
                walk.observe(j, values[block, j])
            parts.append([walk.codes, *walk.residual_codes])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def with_trees(self, trees, residuals):
        """The same with other trees."""
        return replace(self, trees=trees, residuals=residuals)

    def with_shares(self, code_share, number_share):
        """The same with other shares."""
        return replace(self, code_share=code_share, number_share=number_share)

    def telling(self, j):
        """The same without parts that have no share in what is said of a column: MixedDensity."""
        n_codes, of_codes = 2 + len(self.coded), self.code_share[j] * (self.n_categories[j] > 1)
        of_numbers = self.number_share[j, n_number_voices(0) :].reshape(-1, len(MIXTURE_LEVELS)).max(axis=1) > 0
        of_numbers[: len(self.mixtures)] |= of_codes[n_codes:] > 0
        heard, n_mixtures = np.flatnonzero(of_numbers).tolist(), len(self.mixtures)
        kept = [i for i in heard if i < n_mixtures]
        code_share, number_share = shares_of(heard, n_mixtures, self.code_share, self.number_share)
        is_coded = bool(of_codes[2:n_codes].any())
        return replace(
            self,
            coded=self.coded if is_coded else (),
            mixtures=tuple(self.mixtures[i] for i in kept),
            boosted=self.boosted[: len(heard) - len(kept)],
            residuals=tuple(self.residuals[i] for i in heard),
            of_scores=self.of_scores[kept],
            code_share=code_share if is_coded else np.delete(code_share, np.s_[2:n_codes], axis=1),
            number_share=number_share,
        )

    @cached_property
    def normals(self):
        """Mixtures, and what is boosted: tuple of NormalStates."""
        return *self.mixtures, *self.boosted

    @cached_property
    def sees_scores(self):
        """Whether each of these sees normal scores: list of bool."""
        return [*(self.of_scores == 1).tolist(), *(True for _ in self.boosted)]

    @property
    def n_states(self):
        """How many values each column has, infinity of numbers: ndarray of shape (n_columns,)."""
        return np.where(self.numbers.is_number == 1, np.inf, self.n_categories)

    @property
    def n_draws(self):
        """How many draws to take of a row, as `weighted_draws` does: (int, int, int)."""
        return DRAWS

    @cached_property
    def layouts(self):
        """Of the code columns that the trees see, the residuals' trees, and the pool of codes."""
        return tuple(CodeLayout(self.numbers, self.order, n) for n in (MARGINAL_BITS, MIXTURE_BITS, 0))

    @cached_property
    def place(self):
        """Place of each column of numbers among them, in order: ndarray of shape (n_columns,), int64."""
        place = np.full(len(self.order), -1)
        numbers = self.order[self.numbers.is_number[self.order] == 1]
        place[numbers] = np.arange(len(numbers))
        return place

    @cached_property
    def sources(self):
        """Where the voices of numbers come from.

        List of (0 for the marginal or 1 for the first mixture, trees of its digits, how many digits, first voice): the
        marginal's trees, the further ones, and those of each mixture and of what is boosted.
        """
        n, k = len(MARGINAL_LEVELS), len(FURTHER_LEVELS)
        found = [
            (0, self.trees[:1], MARGINAL_LEVELS, 0),
            (0, self.trees[1:] or self.trees, FURTHER_LEVELS, n),
        ]
        for i, residual in enumerate(self.residuals):
            found.append((i + 1, (residual,), MIXTURE_LEVELS, n + k + i * len(MIXTURE_LEVELS)))
        return found

    def voice(self, number):
        """Of a voice of numbers: 0 for the marginal or one plus the number of one of `normals`, trees, and digits."""
        source, trees, levels, first = [s for s in self.sources if s[3] <= number][-1]
        return source, trees, levels[number - first]

    def _walks(self, n_rows, threads, n_each=1):
        """Block after block of rows, and column after column in order: the block, its walk, and the column."""
        for block in self._blocks(n_rows, n_each):
            walk = self.begin(block.stop - block.start, threads)
            for j in self.order.tolist():
                yield block, walk, j

    def _blocks(self, n_rows, n_each=1):
        return blocks(n_rows, n_each * max([8, *(len(m.weight) for m in self.mixtures)]), BLOCK_VALUES)

    @classmethod
    def own_categories(cls, n_categories, parts):
        """Kinds of the columns of numbers are categories, too."""
        return parts["numbers"].n_categories

    @classmethod
    def code_categories(cls, name, n_categories, parts):
        """``n_categories`` of a part: trees have code columns of their own."""
        if name == "numbers":
            return n_categories
        bits = {"trees": MARGINAL_BITS, "residuals": MIXTURE_BITS, "coded": 0}
        if name not in bits:
            return parts["numbers"].n_categories
        return CodeLayout(parts["numbers"], parts["order"], bits[name]).n_categories

    def check(self):
        """Raise ValueError unless the parts fit each other; for what comes from a file."""
        super().check()
        n_mixtures = len(self.mixtures)
        check_order(self.order)
        if not self.trees or len(self.residuals) != len(self.normals) or len(self.of_scores) != n_mixtures:
            raise ValueError("a mixed density lacks trees")
        if (np.diff(self.smooth.first_knot) == 0)[self.numbers.is_number == 1].any():
            raise ValueError("a column of numbers has no marginal density")
        if len(self.coded) > 1 or not all(isinstance(each, (Pool, LogarithmicPool)) for each in self.coded):
            raise ValueError("codes are told by something other than one pool")
        parts: tuple = self.trees, self.residuals, self.coded
        for layout, told in zip(self.layouts, parts, strict=True):
            for each in told:
                if not np.array_equal(each.order, np.arange(len(layout.n_categories))):
                    raise ValueError("a part of a mixed density is not in the order of its columns")
        if any(len(m.shift) != self.numbers.is_number.sum() for m in self.mixtures):
            raise ValueError("a mixture is not of as many numbers as there are")
        if len(self.boosted) > 1:
            raise ValueError("numbers are boosted more than once")
        for each in self.boosted:
            each.check_order(self.order, self.numbers)
        n_code_voices = 2 + len(self.coded) + n_mixtures
        for share, n in ((self.code_share, n_code_voices), (self.number_share, n_number_voices(len(self.normals)))):
            if share.shape[1] != n or not np.allclose(share.sum(axis=1), 1, rtol=0, atol=1e-9):
                raise ValueError("the shares of a column do not sum to one")


def shares_of(kept, n_mixtures, code_share, number_share):
    """Shares without those of mixtures, of which there are so many, and of what is boosted, other than some."""
    first_number, each = n_number_voices(0), len(MIXTURE_LEVELS)
    first = code_share.shape[1] - n_mixtures
    numbers = [*range(first_number), *(first_number + each * i + v for i in kept for v in range(each))]
    codes = [*range(first), *(first + i for i in kept if i < n_mixtures)]
    return code_share[:, codes], number_share[:, numbers]
