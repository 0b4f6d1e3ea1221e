"""The density of rows of numbers and codes: at every column in order, a linear pool of voices."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np

from ..inference.estimates import blocks
from .conditionals import Conditionals
from .density import Density
from .destructors import GaussianMixtureDestructor, MarginalDestructor
from .digits import (
    FURTHER_LEVELS,
    MARGINAL_BITS,
    MARGINAL_LEVELS,
    MIXTURE_BITS,
    MIXTURE_LEVELS,
    CodeLayout,
    n_number_voices,
)
from .numbers import NumberColumns
from .stored import MOST_PROBABILITY, Array
from .walk import Walk

BLOCK_VALUES = 2_000_000  # of the states' posteriors, at a time


@dataclass(frozen=True, eq=False)
class MixedDensity(Density):
    """A density of rows of numbers and codes, which tells each column given those before it.

    A row of ``values`` holds numbers as they are, NaN where one is missing, and codes of the other columns. Its density
    is with respect to the product of the columns' measures: probabilities of codes, atoms and values on a lattice,
    densities of other numbers, in their own units.

    Of a column of codes, and of the kind of a number (which atom, missing, or elsewhere), the voices are the trees,
    further trees and the mixtures. Of a number elsewhere they are densities: the marginal one alone, corrected by the
    first digits of its uniform number that trees tell; and the mixtures, each alone and corrected by digits. All are
    averaged with a column's shares.

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int32
    numbers : NumberColumns
    smooth : MarginalDestructor
        Of each column by itself, the marginal one.
    trees : tuple of Conditionals
        Of codes, kinds and digits of the marginal's uniform numbers, and further ones.
    mixtures : tuple of GaussianMixtureDestructor
    residuals : tuple of Conditionals
        Trees of the digits of each mixture's uniform numbers.
    of_scores : ndarray of shape (n_mixtures,), uint8
        Whether a mixture sees the normal scores of the marginal's uniform numbers, or the numbers themselves.
    code_share, number_share : ndarray of shape (n_columns, n_voices), float64
        Of each voice, of codes or kinds, and of numbers elsewhere.
    """

    order: Annotated[np.ndarray, Array(np.int32, "columns", low=0, high="columns")]
    numbers: NumberColumns
    smooth: MarginalDestructor
    trees: tuple[Conditionals, ...]
    mixtures: tuple[GaussianMixtureDestructor, ...]
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

    def sample(self, n_samples, rng, threads=1):
        """Random rows: ndarray of shape (n_samples, n_columns), float64."""
        values = np.empty((n_samples, len(self.order)))
        for block, walk, j in self._walks(n_samples, threads):
            values[block, j] = walk.draw(j, rng)
            walk.observe(j, values[block, j])
        return values

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
        for block, walk, j in self._walks(len(told), threads):
            values[block, j] = walk.restore(j, told[block, j])
            walk.observe(j, values[block, j])
        return values

    def code_tables(self, values, threads=1):
        """What the trees see of rows, and the residuals' trees of each mixture: list of ndarray of uint8."""
        parts = []
        for block in self._blocks(len(values)):
            walk = Walk(self, block.stop - block.start, threads)
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

    @cached_property
    def layouts(self):
        """Of the code columns that the trees see, and those that the residuals' trees do."""
        return CodeLayout(self.numbers, self.order, MARGINAL_BITS), CodeLayout(self.numbers, self.order, MIXTURE_BITS)

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
        marginal's trees, the further ones, and those of each mixture.
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
        """Of a voice of numbers: 0 for the marginal or a mixture's number plus one, trees, and how many digits."""
        source, trees, levels, first = [s for s in self.sources if s[3] <= number][-1]
        return source, trees, levels[number - first]

    def _walks(self, n_rows, threads):
        """Block after block of rows, and column after column in order: the block, its walk, and the column."""
        for block in self._blocks(n_rows):
            walk = Walk(self, block.stop - block.start, threads)
            for j in self.order.tolist():
                yield block, walk, j

    def _blocks(self, n_rows):
        return blocks(n_rows, max([8, *(len(m.weight) for m in self.mixtures)]), BLOCK_VALUES)

    @classmethod
    def own_categories(cls, n_categories, parts):
        """Kinds of the columns of numbers are categories, too."""
        return parts["numbers"].n_categories

    @classmethod
    def code_categories(cls, name, n_categories, parts):
        """``n_categories`` of a part: trees have code columns of their own."""
        if name == "numbers":
            return n_categories
        if name not in ("trees", "residuals"):
            return parts["numbers"].n_categories
        bits = MARGINAL_BITS if name == "trees" else MIXTURE_BITS
        return CodeLayout(parts["numbers"], parts["order"], bits).n_categories

    def check(self):
        """Raise ValueError unless the parts fit each other; for what comes from a file."""
        super().check()
        n_columns, n_mixtures = len(self.order), len(self.mixtures)
        if not np.array_equal(np.sort(self.order), np.arange(n_columns)):
            raise ValueError("the order is no permutation of the columns")
        if not self.trees or len(self.residuals) != n_mixtures or len(self.of_scores) != n_mixtures:
            raise ValueError("a mixed density lacks trees")
        if (np.diff(self.smooth.first_knot) == 0)[self.numbers.is_number == 1].any():
            raise ValueError("a column of numbers has no marginal density")
        for layout, trees in zip(self.layouts, (self.trees, self.residuals), strict=True):
            for each in trees:
                if not np.array_equal(each.order, np.arange(len(layout.n_categories))):
                    raise ValueError("trees of a mixed density are not in the order of its columns")
        if any(len(m.shift) != self.numbers.is_number.sum() for m in self.mixtures):
            raise ValueError("a mixture is not of as many numbers as there are")
        for share, n in ((self.code_share, 2 + n_mixtures), (self.number_share, n_number_voices(n_mixtures))):
            if share.shape[1] != n or not np.allclose(share.sum(axis=1), 1, rtol=0, atol=1e-9):
                raise ValueError("the shares of a column do not sum to one")
