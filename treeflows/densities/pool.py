"""The density of a tree flow mixture: at every column, several voices share the say."""

import itertools
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from .conditionals import Conditionals
from .density import OrderedDensity
from .products import ProductMixture
from .stored import MOST_NATS, MOST_PROBABILITY, MOST_SCORE, Array


@dataclass(frozen=True, eq=False)
class Pool(OrderedDensity):
    """Tree, further trees and hidden column: p(x_j | before) = sum over the three of share_je p_e(x_j | before).

    Mixtures of experts at every step of the chain rule stay normalised whatever the shares.

    Attributes
    ----------
    trees : tuple of Conditionals
        The tree of each column, and further trees; all in one order.
    products : ProductMixture
        The hidden column.
    share : ndarray of shape (n_columns, 3), float64
        Of the tree, the further trees and the hidden column in each column's say.
    tried : ndarray of int32
        Numbers of states that were tried.
    validation_score : ndarray of float64
        Mean log-likelihood of the held-out rows with each, nats.
    """

    trees: tuple[Conditionals, ...]
    products: ProductMixture
    share: Annotated[np.ndarray, Array(np.float64, "columns", 3, low=0, high=MOST_PROBABILITY)]
    tried: Annotated[np.ndarray, Array(np.int32, "trials + 1", low=0)]
    validation_score: Annotated[np.ndarray, Array(np.float64, "trials + 1", low=-MOST_NATS, high=MOST_SCORE)]

    @property
    def order(self):
        """The columns in order."""
        return self.trees[0].order

    def probabilities(self, codes, threads=1, start=0):
        """Probability of every value given those before it, in the order of the columns from place ``start`` on."""
        hidden = self.products.conditionals(codes, self.order, threads)
        tree, forest = trees_say(self.trees, codes, threads, start)
        return _blend((tree, forest, hidden[:, start:]), self.share[self.order[start:]].T)

    def distributions(self, codes, asked, threads=1, start=0):
        """What tree, further trees and hidden column say of every column given those before it.

        In the order of the columns from place ``start`` on. ``asked``, (3, n_columns) of uint8, is for each of the
        three and each column in order 2 for its distribution, 1 for the probability of the row's value alone, and 0 for
        nothing; what is not asked may be any number. Three arrays of shape (n_rows, sum of their n_categories).
        """
        skipped = int(self.n_categories[self.order[:start]].sum())
        hidden = self.products.distributions(codes, self.order, asked[2] // 2, threads)[:, skipped:]
        one, *further = self.trees
        tree, forest = np.zeros((2, *hidden.shape))
        one.add_distributions(codes, asked[0], tree, threads, start)
        for trees in further or [one]:
            trees.add_distributions(codes, asked[1], forest, threads, start)
        forest /= max(len(further), 1)
        return tree, forest, np.ascontiguousarray(hidden)

    def walk(self, codes, threads=1):
        """Column after column in order: its number, and its distribution in each row."""
        return walk_along(self, codes, threads)

    def begin(self, n_rows):
        """What is known of rows before any column is: list of ndarray with a row for each, for `predict`."""
        return [self.products.begin(n_rows)]

    def predict(self, known, t, codes, threads=1):
        """Distribution of the column at place t of the order in each row: (n_rows, n_categories)."""
        return _blend(self.predict_voices(known, t, codes, threads), self.share[self.order[t]])

    def predict_voices(self, known, t, codes, threads=1, asked=None):
        """What tree, further trees and hidden column say of it, apart.

        ``asked`` is as `distributions` takes it; a voice that is not asked says what it likes.
        """
        heard = self.trees if asked is None or asked[1, t] else self.trees[:1]
        grown = _first_and_mean(trees.distribution(t, codes, threads) for trees in heard)
        return *grown, self.products.predict(known[0], int(self.order[t]), threads)

    def observe(self, known, t, codes, threads=1):
        """Go on to the next place, in place, once the codes of one are known."""
        j = int(self.order[t])
        self.products.observe(known[0], j, np.ascontiguousarray(codes[:, j]), threads)

    def check(self):
        """Raise ValueError unless the parts fit each other; for what comes from a file."""
        super().check()
        if not self.trees:
            raise ValueError("the mixture has no tree flow")
        if any(not np.array_equal(trees.order, self.order) for trees in self.trees):
            raise ValueError("the tree flows of the mixture have different orders")
        if not np.allclose(self.share.sum(axis=1), 1, rtol=0, atol=1e-9):
            raise ValueError("the shares of a column do not sum to one")
        if len(self.trees) == 1 and self.share[:, 1].any():
            raise ValueError("trees that are not there have a share")


def walk_along(pool, codes, threads):
    """As `OrderedDensity.walk`, of a pool that begins, predicts and observes."""
    known = pool.begin(len(codes))
    for t, j in enumerate(pool.order.tolist()):
        exchanged = yield j, pool.predict(known, t, codes, threads)
        if exchanged is not None:
            known = [part[exchanged] for part in known]
        pool.observe(known, t, codes, threads)


def trees_say(trees, codes, threads, start=0):
    """Probability of every value by the first trees, and by the others on average: (n_rows, n_columns) each."""
    return _first_and_mean(part.probabilities(codes, threads, start) for part in trees)


def _first_and_mean(parts):
    """The first of some new arrays, and the mean of the others; the first where there are none."""
    first, *second = itertools.islice(parts, 2)
    if not second:
        return first, first
    total, n = second[0], 1
    for part in parts:
        total += part
        n += 1
    total /= n
    return first, total


def _blend(said, share):
    return sum(s * part for s, part in zip(share, said, strict=True))
