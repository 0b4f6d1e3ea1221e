"""Rows on their way through the columns of a mixed density: what each voice says of the next column."""

from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numpy as np

from .._ext import digits, elementary
from ..inference.estimates import divided
from ..machine.log_sums import logsumexp
from .destructors import normal_scores
from .digits import cell_of
from .quantiles import number_at
from .stored import LEAST_PROBABILITY

CANCELLED = 1e-12  # of a probability, below which a difference of two is rounding
MOST_UNITS = 1e6  # standard deviations, beyond which a mixture has nothing
LEAST_INSIDE = 1e-6  # that a mixture must have within a column's bounds, to be heard there
FEWEST_APART = 2048  # rows that are worth threads


class Walk:
    """Rows on their way through the columns of a density.

    Parameters
    ----------
    density : MixedDensity
    n_rows, threads : int
    """

    def __init__(self, density, n_rows, threads=1):
        self.density = density
        self.threads = threads
        self.codes = np.zeros((n_rows, len(density.layouts[0].n_categories)), dtype=np.uint8)
        width = len(density.layouts[1].n_categories)
        self.residual_codes = [np.zeros((n_rows, width), dtype=np.uint8) for _ in density.normals]
        self.pooled_codes = np.zeros((n_rows, len(density.layouts[2].n_categories)), dtype=np.uint8)
        self.pooled = [pool.begin(n_rows) for pool in density.coded]
        self.posteriors = [mixture.begin(n_rows) for mixture in density.mixtures]
        self.known = [np.zeros((n_rows, len(m.shift))) for m in density.mixtures]
        # what boosted trees see of the columns
        self.cut_up = np.zeros((n_rows, len(density.order) if density.boosted else 0), dtype=np.uint8)
        self._ahead = {}  # what is said of the column where the walk is

    def of(self, rows):
        """The same walk of other rows: those of these numbers, each of which may recur."""
        other = copy(self)
        other.codes, other._ahead = self.codes[rows], {}
        other.pooled_codes, other.cut_up = self.pooled_codes[rows], self.cut_up[rows]
        other.pooled = [[part[rows] for part in known] for known in self.pooled]
        for name in ("residual_codes", "posteriors", "known"):
            setattr(other, name, [part[rows] for part in getattr(self, name)])
        return other

    # ---- one column ----

    def score(self, j, x):
        """Log-density of a column's values, given those before; minus infinity beyond its bounds."""
        numbers, said = self.density.numbers, self.codes_say(j)
        if not numbers.is_number[j]:
            return elementary.log(_cells(said, x.astype(np.intp)))
        kind, elsewhere = numbers.kind_of(j, x), self.density.n_categories[j] - 1
        log_prob = elementary.log(_cells(said, kind.astype(np.intp)))
        # on a lattice an atom is one of the values that lie elsewhere, too
        has = kind == elsewhere if numbers.step[j] == 0 else ~np.isnan(x)
        rows = _rows(has)
        if has.any():
            share = self.density.number_share[j]
            log_share = elementary.log(share[share > 0])[:, None]
            told = elementary.log(said[rows, elsewhere]) + logsumexp(log_share + self.numbers_say(j, x[rows], rows), 0)
            both = logsumexp(np.stack([log_prob[rows], told]), 0)
            log_prob[rows] = np.where(kind[rows] == elsewhere, told, both)
        return np.where(numbers.beyond(j, x), -np.inf, log_prob)

    def draw(self, j, uniform, within=None):
        """Values of a column, drawn given those before.

        Parameters
        ----------
        j : int
        uniform : ndarray of shape (n_rows,), float64
            Between 0 and 1; all that is drawn of a row comes from its number.
        within : ndarray of shape (n_ranges, 2) or (n_categories,), or None
            What a number lies between, both included, in any of several ranges that do not overlap; NaN and NaN where
            it may be missing. How much of each code may be. None for all.

        Returns
        -------
        values : ndarray of shape (n_rows,), float64
        log_prob : ndarray of shape (n_rows,), float64
            Log-probability of what may be.
        """
        density, said = self.density, self.codes_say(j)
        if not density.numbers.is_number[j]:
            may_be = said if within is None else said * within
            return divided(may_be, uniform)[0].astype(np.float64), _log_total(may_be, within)
        atoms, elsewhere = density.numbers.atoms(j), density.n_categories[j] - 1
        bounded = False
        if within is not None:
            ranges = np.atleast_2d(within)
            is_range = ~np.isnan(ranges[:, 0])
            lows, highs = ranges[is_range].T
            may_be = np.zeros(elsewhere + 1)
            may_be[: len(atoms)] = ((atoms[:, None] >= lows) & (atoms[:, None] <= highs)).any(axis=1)
            may_be[len(atoms) : elsewhere] = not is_range.all()
            may_be[elsewhere] = 1
            said = said * may_be
            bounded = not ((lows == -np.inf) & (highs == np.inf)).any()
            if bounded:
                edges = [
                    [np.full(len(said), edge) for edge in density.numbers.edges(j, *ends)]
                    for ends in zip(lows, highs, strict=True)
                ]
                inside = np.stack([self.mass(j, *each) for each in edges], axis=1) if edges else said[:, :0]
                said[:, elsewhere] *= inside.sum(axis=1)
        kind, rest = divided(said, uniform)
        values, rows = self.of_kinds(j, kind), np.flatnonzero(kind == elsewhere)
        if len(rows) and bounded:
            which, rest = np.zeros(len(rows), dtype=np.intp), rest[rows]
            if len(edges) > 1:
                which, rest = divided(inside[rows], rest)
            for i in np.unique(which).tolist() if edges else ():
                chosen = which == i
                drawn = self._draw_between(j, edges[i], rows[chosen], rest[chosen])
                values[rows[chosen]] = np.clip(drawn, lows[i], highs[i])
        elif len(rows):
            voice, rest = divided(np.tile(density.number_share[j], (len(rows), 1)), rest[rows])
            for v in np.unique(voice).tolist():
                chosen = voice == v
                told = self._draw_numbers(j, v, rows[chosen], rest[chosen])
                values[rows[chosen]] = density.numbers.on_lattice(j, told)
        return values, _log_total(said, within)

    def mass(self, j, low, high):
        """Probability that a number elsewhere lies between two values, given those before: ndarray of (n_rows,)."""
        (below, above), (further, least) = (self.uniform(j, edge, slice(None)) for edge in (low, high))
        return _difference(below, above, further, least)

    def log_cells(self, j, rows, low, high, point):
        """Log-probability of cells of a column's numbers given the columns before, as `MixedDensity.cells_of` has it.

        Edges of the cells of each of some rows, and a point of each, are ndarray of shape (n_rows, n_cells).
        """
        said, elsewhere = self.codes_say(j)[rows], self.density.n_categories[j] - 1
        kind = self.density.numbers.kind_of(j, point).astype(np.intp)
        atom = np.where(kind == elsewhere, 0.0, np.take_along_axis(said, kind, axis=1))
        below, above = self.uniform_at(j, np.hstack([low, high]), rows)
        (below, further), (above, least) = (np.split(side, 2, axis=1) for side in (below, above))
        with np.errstate(divide="ignore"):
            return elementary.log(said[:, [elsewhere]] * _difference(below, above, further, least) + atom)

    def destroy(self, j, x):
        """What `MixedDensity.transform` makes of a column's values."""
        numbers = self.density.numbers
        if not numbers.is_number[j]:
            order = np.argsort(self.codes_say(j), axis=1, kind="stable")
            return (order == x[:, None]).argmax(axis=1).astype(np.float64)
        told, elsewhere = numbers.kind_of(j, x).astype(np.float64), self.density.n_categories[j] - 1
        rows = np.flatnonzero(told == elsewhere)
        if len(rows):
            below, _ = self.uniform(j, x[rows], rows)
            told[rows] = np.minimum(elsewhere + below, np.nextafter(elsewhere + 1.0, 0.0))
        return told

    def restore(self, j, told):
        """Values of a column by what `destroy` made of them."""
        density = self.density
        if not density.numbers.is_number[j]:
            order = np.argsort(self.codes_say(j), axis=1, kind="stable")
            return _cells(order, told.astype(np.intp)).astype(np.float64)
        elsewhere = density.n_categories[j] - 1
        kind = np.minimum(told.astype(np.intp), elsewhere)
        values, rows = self.of_kinds(j, kind), np.flatnonzero(kind == elsewhere)
        if len(rows):
            uniform = told[rows] - elsewhere
            values[rows] = self.number_at(j, uniform, 1 - uniform, rows)
        return values

    def number_at(self, j, below, above, rows):
        """Numbers elsewhere by their uniform ones."""
        return number_at(self, j, below, above, rows)

    def _draw_between(self, j, edges, rows, uniform):
        """Numbers elsewhere that lie between two edges."""
        (below, above), (further, least) = (self.uniform(j, edge[rows], rows) for edge in edges)
        told = below + uniform * (further - below), least + (1 - uniform) * (above - least)
        return self.number_at(j, *told, rows)

    def observe(self, j, x):
        """Go on to the next column, once the values of one are known."""
        density = self.density
        if not density.numbers.is_number[j]:
            kind = x.astype(np.uint8)
            for layout, codes in self._coded():
                layout.write(codes, j, kind)
            self._observe_codes(j, kind)
            for _ in density.boosted:
                self.cut_up[:, j] = kind
            self.posteriors = [m.observe_codes(p, j, kind) for m, p in self._posteriors()]
            self._ahead = {}
            return
        kind, question = density.numbers.kind_of(j, x), density.numbers.questions(j, x)
        self._observe_codes(j, kind, question)
        for boosted in density.boosted:
            self.cut_up[:, j] = boosted.codes_of(j, x)
        has, t = kind == density.n_categories[j] - 1, int(density.place[j])
        rows, told = _rows(has), []
        if has.any():
            told = self.uniforms(j, x[rows], rows)
        for i, (layout, codes) in enumerate(self._coded()):
            cell = np.zeros(len(x), dtype=np.int64)
            if has.any():
                _, below, above, _ = told[i]
                cell[rows] = cell_of(below, above, layout.bits)
            layout.write(codes, j, kind, question, cell)
        known = [self._before(i, j)[rows] if has.any() else None for i in range(len(density.mixtures))]

        def observed_by(i):
            mixture, posterior = density.mixtures[i], self.posteriors[i]
            posterior = mixture.observe_codes(posterior, j, kind) if density.n_categories[j] > 1 else posterior.copy()
            if has.any():
                z = told[1 + i][3]
                posterior[rows] = mixture.observe(posterior[rows], known[i], t, z, self.threads)
                self.known[i][rows, t] = z
            return posterior

        self.posteriors = self._of_each(observed_by, len(density.mixtures), len(x))
        self._ahead = {}

    # ---- codes and kinds ----

    def codes_say(self, j):
        """Distribution of a column's codes, or kinds: (n_rows, n_categories)."""
        if self.density.n_categories[j] == 1:
            return np.ones((len(self.codes), 1))
        if "codes" not in self._ahead:
            share = self.density.code_share[j]
            self._ahead["codes"] = sum(s * said for s, said in zip(share[share > 0], self.code_voices(j), strict=True))
        return self._ahead["codes"]

    def code_voices(self, j):
        """What each voice that has a share says of them: list of ndarray of shape (n_rows, n_categories)."""
        density, share = self.density, self.density.code_share[j]
        at, voices = int(density.layouts[0].first[j]), []
        for trees, heard in zip((density.trees[:1], density.trees[1:] or density.trees), share > 0, strict=False):
            if heard:
                voices.append(_mean(each.distribution(at, self.codes, self.threads) for each in trees))
        place, others = int(density.layouts[2].first[j]), share[2:] > 0
        for pool, known, heard in zip(density.coded, self.pooled, others, strict=False):
            if heard:
                voices.append(pool.predict(known, place, self.pooled_codes, self.threads))
        for (mixture, posterior), heard in zip(self._posteriors(), others[len(density.coded) :], strict=True):
            if heard:
                voices.append(mixture.predict_codes(posterior, j, self.threads))
        return voices

    def of_kinds(self, j, kind):
        """Values of atoms, and NaN of other kinds."""
        atoms = self.density.numbers.atoms(j)
        return np.append(atoms, np.nan)[np.minimum(kind, len(atoms))]

    # ---- numbers elsewhere ----

    def numbers_say(self, j, x, rows):
        """Log-density of each voice that has a share, or on a lattice the log-probability of the values' cells.

        ndarray of shape (n_voices, n_rows).
        """
        step, middle = self.density.numbers.step[j], self.number_voices(j, x, rows)
        if step == 0:
            return np.stack([log_density for log_density, _, _ in middle])
        edges = [self.number_voices(j, edge, rows) for edge in (x - step / 2, x + step / 2)]
        said, log_step = [], elementary.log(step)
        for (log_density, _, _), (_, below, above), (_, further, least) in zip(middle, *edges, strict=True):
            # a difference of the smaller numbers, and none where it would be rounding
            mass = np.where(further < above, further - below, above - least)
            is_told = mass > CANCELLED * np.where(further < above, further, above)
            log_mass = elementary.log(np.where(is_told, mass, 1.0))
            said.append(np.where(is_told, log_mass, log_density + log_step))
        return np.stack(said)

    def uniform(self, j, x, rows):
        """Uniform numbers of numbers elsewhere by all voices together: F(x), and 1 - F(x)."""
        share, voices = self.density.number_share[j], self.number_voices(j, x, rows)
        share = share[share > 0]
        return [sum(s * voice[side] for s, voice in zip(share, voices, strict=True)) for side in (1, 2)]

    def uniform_at(self, j, x, rows):
        """`uniform` of many numbers of each of some rows, ndarray of shape (n_rows, n_places).

        What trees say of digits is told once for each row, of all cells, whatever the places.
        """
        _, *plain = self.density.smooth.destroy(j, x)
        bounded, scores = self._within(0, j, rows, *plain), normal_scores(*plain)[0]
        chosen, (below, above) = np.arange(len(self.codes))[rows], np.zeros((2, *x.shape))
        for source, states, edges in self._functions(j):
            low, high = bounded
            if source > 0:
                z = scores if self.density.sees_scores[source - 1] else self.density.seen(source - 1, j, x)
                told = self._within(source, j, rows, *states.at(chosen, z, self.threads))
                low, high = self._heard(source, j, rows, told, bounded)
            digits.add_uniform(edges, chosen, low, high, below, above, self.threads)
        return below, above

    def _functions(self, j):
        """Where a column's uniform numbers come from, once for all numbers that are asked about.

        A list of (0 for the marginal or one plus the number of one of `normals`, its distribution functions, and what
        the voices say together of the cells of its uniform numbers).
        """
        if "functions" not in self._ahead:
            density, n_rows, cells, found = self.density, len(self.codes), {}, []
            for source, trees, levels, first in density.sources:
                layout, share = density.layouts[min(source, 1)], np.zeros(density.layouts[min(source, 1)].bits + 1)
                share[list(levels)] = density.number_share[j, first : first + len(levels)]
                if not share.any():
                    continue
                ones, codes = np.zeros((n_rows, 2**layout.bits)), self._codes_of(source)
                for each in trees if share[1:].any() else ():
                    at, elsewhere = int(layout.first[j]) + 1, int(density.n_categories[j]) - 1
                    each.add_digits(at, layout.bits, elsewhere, codes, ones, self.threads)
                told = cells.setdefault(source, np.zeros(ones.shape))
                digits.add_cells(ones, 1 / len(trees), share, told, self.threads)
            for source, told in cells.items():
                states, i, t = None, source - 1, int(density.place[j])
                if source > 0:
                    known = self._of_elsewhere(i, j), self._before(i, j)
                    states = density.normals[i].cumulatives(*known, t, self.threads)
                found.append((source, states, digits.cumulated(told, self.threads)))
            self._ahead["functions"] = found
        return self._ahead["functions"]

    def number_voices(self, j, x, rows):
        """What each voice that has a share says of numbers elsewhere: log-density, F(x) and 1 - F(x)."""
        density, told = self.density, self.uniforms(j, x, rows)
        voices, has_share = [], density.number_share[j] > 0
        for source, trees, levels, first in density.sources:
            heard = [level for i, level in enumerate(levels) if has_share[first + i]]
            if heard:
                layout, codes = density.layouts[min(source, 1)], self._codes_of(source)[rows]
                codes[:, layout.first[j]] = density.n_categories[j] - 1
                log_density, below, above, _ = told[source]
                voices += self._descend(layout, trees, codes, j, log_density, below, above, heard)
        return voices

    def uniforms(self, j, x, rows):
        """What marginal and `normals` make of numbers elsewhere, each (log-density, F(x), 1 - F(x), number it sees).

        All of them given that a number lies within its column's bounds; one that has next to nothing there says what
        the marginal says.
        """
        density, t, chosen = self.density, int(self.density.place[j]), np.arange(len(self.codes))[rows]
        before = self._ahead.get("uniforms")
        if before is not None and np.array_equal(before[0], chosen) and np.array_equal(before[1], x):
            return before[2]
        log_slope, below, above = density.smooth.destroy(j, x)
        log_inside = elementary.log(self._beyond(0, j)[2][rows])
        marginal = log_slope - log_inside, *self._within(0, j, rows, below, above)
        known = [(self._of_elsewhere(i, j)[rows], self._before(i, j)[rows]) for i in range(len(density.normals))]

        def told_by(i):
            normal = density.normals[i]
            if density.sees_scores[i]:
                z, log_normal = normal_scores(below, above)
                log_unit = log_slope - log_normal
            else:
                z = density.seen(i, j, x)
                log_unit = -elementary.log(normal.scale[t]) - density.smooth.exponent[j] * elementary.log(2.0)
            log_density, low, high = normal.destroy(*known[i], t, z, self.threads)
            log_density += log_unit - elementary.log(self._beyond(1 + i, j)[2][rows])
            told = log_density, *self._within(1 + i, j, rows, low, high)
            return *self._heard(1 + i, j, rows, told, marginal), z

        told = [(*marginal, x), *self._of_each(told_by, len(density.normals), len(x))]
        self._ahead.setdefault("uniforms", (chosen, x, told))  # the first asked about is mostly what is observed then
        return told

    def _of_each(self, function, n, n_rows):
        """What a function makes of the first n numbers; several at a time where that is much work."""
        numbers = range(n)
        if self.threads == 1 or n_rows < FEWEST_APART:
            return list(map(function, numbers))
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(function, numbers))

    def _descend(self, layout, trees, codes, j, log_density, below, above, levels):
        """Voices that tell so many digits of uniform numbers."""
        at, cell = int(layout.first[j]) + 1, cell_of(below, above, layout.bits)
        path, left, right = np.ones(len(below)), np.zeros(len(below)), np.zeros(len(below))
        voices = []
        for level in range(max(levels) + 1):
            if level in levels:
                n, prefix = 2**level, cell >> (layout.bits - level)
                low = np.clip(below * n - prefix, 0.0, 1.0)
                high = np.clip(above * n - (n - 1 - prefix), 0.0, 1.0)
                voices.append((log_density + elementary.log(path * n), left + path * low, right + path * high))
            if level == max(levels):
                break
            digit = cell >> (layout.bits - 1 - level) & 1
            prob = _mean(each.distribution(at + level, codes, self.threads) for each in trees)
            left += np.where(digit == 1, path * prob[:, 0], 0.0)
            right += np.where(digit == 0, path * prob[:, 1], 0.0)
            path = path * _cells(prob, digit)
            codes[:, at + level] = digit
        return voices

    def _draw_numbers(self, j, voice, rows, rest):
        """Numbers elsewhere as one voice has them, by uniform numbers."""
        density, t = self.density, int(self.density.place[j])
        source, trees, level = density.voice(voice)
        layout, codes = density.layouts[min(source, 1)], self._codes_of(source)[rows]
        at, cell = int(layout.first[j]) + 1, np.zeros(len(rows), dtype=np.int64)
        codes[:, at - 1] = density.n_categories[j] - 1
        for i in range(level):
            prob = _mean(each.distribution(at + i, codes, self.threads) for each in trees)
            codes[:, at + i], rest = divided(prob, rest)
            cell = 2 * cell + codes[:, at + i]
        n = 2**level
        of = (cell + rest) / n, (n - 1 - cell + (1 - rest)) / n
        marginal = density.smooth.restore(j, *self._of_all(0, j, rows, *of))
        if source > 0:
            i, normal = source - 1, density.normals[source - 1]
            known, told = (self._of_elsewhere(i, j)[rows], self._before(i, j)[rows]), self._of_all(source, j, rows, *of)
            x = density.unseen(i, j, normal.restore(*known, t, *told, self.threads))
            return self._heard(source, j, rows, [x], [marginal])[0]
        return marginal

    # ---- bounds ----

    def _beyond(self, source, j):
        """What a source has below all that may be, above it, and within: three ndarrays of (n_rows,)."""
        if ("beyond", source) not in self._ahead:
            density, told = self.density, []
            for end, upper in zip(density.numbers.ends(j), (False, True), strict=True):
                if np.isinf(end):
                    tail = 0.0
                elif source == 0:
                    tail = density.smooth.destroy(j, np.array([end]))[2 if upper else 1]
                else:
                    i, t = source - 1, int(density.place[j])
                    z = density.seen(i, j, np.array([end]))
                    known = self._of_elsewhere(i, j), self._before(i, j)
                    tail = density.normals[i].destroy(*known, t, np.repeat(z, len(self.codes)), self.threads)
                    tail = tail[2 if upper else 1]
                told.append(np.broadcast_to(tail, len(self.codes)))
            under, over = told
            self._ahead["beyond", source] = under, over, np.maximum(1 - under - over, LEAST_PROBABILITY)
        return self._ahead["beyond", source]

    def _within(self, source, j, rows, below, above):
        """Uniform numbers, or several of each row, given that numbers lie within the bounds."""
        shape = (-1, *(1,) * (below.ndim - 1))
        under, over, inside = (part[rows].reshape(shape) for part in self._beyond(source, j))
        return np.clip((below - under) / inside, 0.0, 1.0), np.clip((above - over) / inside, 0.0, 1.0)

    def _of_all(self, source, j, rows, below, above):
        """Uniform numbers of the marginal or one of `normals`, without bounds, by those within."""
        under, over, inside = (part[rows] for part in self._beyond(source, j))
        return under + inside * below, over + inside * above

    def _heard(self, source, j, rows, told, marginal):
        """What one of `normals` says, or where it has too little within the bounds, the marginal: sequence."""
        heard = self._beyond(source, j)[2][rows] >= LEAST_INSIDE
        if heard.all():
            return told
        return [
            np.where(heard.reshape(-1, *(1,) * (one.ndim - 1)), one, other)
            for one, other in zip(told, marginal, strict=True)
        ]

    # ---- what voices know ----

    def _codes_of(self, source):
        return self.codes if source == 0 else self.residual_codes[source - 1]

    def _coded(self):
        first, other, _ = self.density.layouts
        return [(first, self.codes), *((other, codes) for codes in self.residual_codes)]

    def _observe_codes(self, j, kind, question=None):
        """Tell the pool of codes of a column: its code, or kind and answers to questions."""
        layout = self.density.layouts[2]
        layout.write(self.pooled_codes, j, kind, question, np.zeros(len(kind), dtype=np.int64))
        first = int(layout.first[j])
        for pool, known in zip(self.density.coded, self.pooled, strict=True):
            for place in range(first, first + (1 if question is None else 2)):
                pool.observe(known, place, self.pooled_codes, self.threads)

    def _posteriors(self):
        return list(zip(self.density.mixtures, self.posteriors, strict=True))

    def _of_elsewhere(self, i, j):
        """Log-posterior of the states of one of `normals` once a number is known to lie elsewhere."""
        if i >= len(self.density.mixtures):
            return self.density.normals[i].begin(int(self.density.place[j]), len(self.codes))
        if ("posterior", i) not in self._ahead:
            mixture, posterior, n = self.density.mixtures[i], self.posteriors[i], self.density.n_categories[j]
            if n > 1:
                posterior = mixture.observe_codes(posterior, j, np.full(len(posterior), n - 1))
            self._ahead["posterior", i] = posterior
        return self._ahead["posterior", i]

    def _before(self, i, j):
        """What the columns so far make of the number where the walk is, in each of the states of one of `normals`."""
        if ("before", i) not in self._ahead:
            t = int(self.density.place[j])
            if i < len(self.density.mixtures):
                self._ahead["before", i] = self.density.mixtures[i].predict(self.known[i], t, self.threads)
            else:
                self._ahead["before", i] = self.density.normals[i].predict(t, self.cut_up, self.threads)
        return self._ahead["before", i]


def _difference(below, above, further, least):
    """Probability between two numbers by the uniform ones of both: a difference of the smaller ones."""
    return np.maximum(np.where(further < above, further - below, above - least), 0.0)


def _cells(table, columns):
    """The entry of each row in a column of its own."""
    return np.take_along_axis(table, columns[:, None], axis=1)[:, 0]


def _log_total(weight, within):
    """Logarithm of the sum of each row, 0 where nothing is left out of them."""
    if within is None:
        return np.zeros(len(weight))
    with np.errstate(divide="ignore"):
        return elementary.log(weight.sum(axis=1))


def _rows(chosen):
    """Numbers of the chosen rows; a slice where these are all."""
    return slice(None) if chosen.all() else np.flatnonzero(chosen)


def _mean(parts):
    parts = list(parts)
    return sum(parts) / len(parts)
