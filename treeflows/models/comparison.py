"""What differs between two tables: whether, how much, in which columns, where, and in which rows."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from .._ext import elementary
from ..learning.differences import MOST_WORK, CodedSides, Factors, at_most, columns_to_blame, contexts, log_ratios
from ..learning.multisets import by_hash
from ..machine.draws import generator
from ..machine.errors import TableError, check_number
from ..machine.threads import n_threads
from ..tables.containers import read_table
from ..tables.domain import Domain
from ..tables.policy import TablePolicy
from ..tables.stacked import in_table, stacked
from .autoregressive import AutoregressiveTreeFlow

MOST_CATEGORIES = 250  # of a column; the rarest are one
BITS = 5  # digits of a number's rank among those of both tables
QUARTER = BITS - 2  # digits less, of which quarters are left
SURE = 5.0  # nats of a Bayes factor, which are odds of 150 to 1
TYPICAL_ROWS = 5  # to tell of either table
TOLD_PLACES = 3  # of a column
TOLD_VALUES = 3  # of a place
LOG_2 = float(elementary.log(2.0))
FEW = 3  # values of a condition that are listed


@dataclass(frozen=True)
class Difference:
    """A place where a column differs between two tables.

    Attributes
    ----------
    column : str
    where : tuple of str
        What holds of the rows that come there, such as "age <= 30"; none for all rows.
    rows : tuple of (int, int)
        How many rows of the first and of the second table.
    nats : float
        By how much these rows are more likely if each table has a distribution of its own there.
    told : tuple of (str, value, value)
        Of the values that differ most, the first most, the shares in the first and in the second table; of a column
        of numbers the medians, as text, and the shares of numbers up to where these differ most.
    """

    column: str
    where: tuple
    rows: tuple
    nats: float
    told: tuple

    def to_text(self):
        """The place and what differs there, in words.

        Returns
        -------
        text : str
        """
        where = f"where {' and '.join(self.where)}" if self.where else "everywhere"
        told = "; ".join(f"{what} {_share(a)} -> {_share(b)}" for what, a, b in self.told)
        return f"{where} ({self.rows[0]:,} and {self.rows[1]:,} rows): {told}"

    def __str__(self):
        return self.to_text()


@dataclass(frozen=True, eq=False)
class Comparison:
    """What differs between two tables, A and B.

    Attributes
    ----------
    n_rows : tuple of (int, int)
    names : tuple of str
        Of the columns.
    blamed : tuple of str
        The columns to blame, the worst first: without them, the tables cannot be told apart.
    bayes_factor : float
        Log-evidence that the tables differ, less that they are two samples of one; nats. 5 are odds of 150 to 1 that
        they do, if either was as likely before.
    bayes_factors : ndarray of shape (n_columns,), float64
        Of each column, the log-evidence that it differs between the tables given the columns before it, nats: those
        that are not to blame come first, then those that are, the worst last.
    divergences : ndarray of shape (2, n_columns), float64
        What each column adds, given those before it, to the Kullback-Leibler divergence of A from B and of B from A;
        nats a row.
    divergence_errors : ndarray of shape (2, n_columns), float64
        Their standard errors over held-out rows, nats. NaN for those of a single row.
    kl, kl_error : ndarray of shape (2,), float64
        The divergences of all columns together, and their standard errors over held-out rows; nats. NaN for the error
        of a single row.
    js, js_error : float
        Jensen-Shannon divergence of the two, and its standard error: 0 for equal tables, log 2 = 0.693 for those that
        have no row in common; nats.
    accuracy : float
        How often a row is guessed rightly to be of A or of B, by its log-ratio, if either is as likely: 0.5 is chance.
    log_ratios : tuple of two ndarrays, float64
        Of each row of A, and of B, log p(row | A) - log p(row | B), nats, under trees that have not seen it.
    differences : tuple of Difference
        Where the columns to blame differ, those of one column together.
    p_value : float or None
        Of the test by permutation of the rows, if it was asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import compare
    >>> rng = np.random.default_rng(0)
    >>> A, B = rng.integers(0, 2, (2, 1000, 3))
    >>> B[:, 2] = B[:, 0]
    >>> found = compare(A, B)
    >>> bool(found.bayes_factor > 5), len(found.blamed)
    (True, 1)
    """

    n_rows: tuple
    names: tuple
    blamed: tuple
    bayes_factor: float
    bayes_factors: np.ndarray
    divergences: np.ndarray
    divergence_errors: np.ndarray
    kl: np.ndarray
    kl_error: np.ndarray
    js: float
    js_error: float
    accuracy: float
    log_ratios: tuple
    differences: tuple
    p_value: float | None = None

    def typical(self, n=TYPICAL_ROWS):
        """The rows most typical of either table.

        Parameters
        ----------
        n : int, default=5
            How many of each, at most.

        Returns
        -------
        rows : tuple of two ndarrays, int64
            Numbers of rows of A and of B, the most typical first; none that is more like one of the other table.
        """
        found = []
        for sign, ratio in zip((1, -1), self.log_ratios, strict=True):
            order = np.argsort(-sign * ratio, kind="stable")[:n]
            found.append(order[sign * ratio[order] > 0])
        return tuple(found)

    def figures(self):
        """The comparison for programs.

        Returns
        -------
        figures : dict
            Plain values.
        """
        return {
            "rows": list(self.n_rows),
            "bayes_factor": self.bayes_factor,
            "p_value": self.p_value,
            "kl": self.kl.tolist(),
            "kl_standard_error": _plain(self.kl_error),
            "js": self.js,
            "js_standard_error": None if np.isnan(self.js_error) else self.js_error,
            "accuracy": self.accuracy,
            "blamed": list(self.blamed),
            "columns": {
                name: {"bayes_factor": float(factor), "kl": kl.tolist(), "kl_standard_error": _plain(errors)}
                for name, factor, kl, errors in zip(
                    self.names, self.bayes_factors, self.divergences.T, self.divergence_errors.T, strict=True
                )
            },
            "differences": [
                {
                    "column": each.column,
                    "where": list(each.where),
                    "rows": list(each.rows),
                    "nats": each.nats,
                    "told": [{"what": what, "values": values} for what, *values in each.told],
                }
                for each in self.differences
            ],
            "typical": [
                [{"row": row, "log_ratio": float(ratio[row])} for row in rows.tolist()]
                for rows, ratio in zip(self.typical(), self.log_ratios, strict=True)
            ],
        }

    def to_text(self):
        """The comparison in words.

        Returns
        -------
        text : str
        """
        lines = [
            f"A has {self.n_rows[0]:,} rows, B {self.n_rows[1]:,}; {len(self.names)} columns",
            "",
            *self._verdict(),
        ]
        factors = dict(zip(self.names, self.bayes_factors, strict=True))
        if self.blamed:
            others = len(self.names) - len(self.blamed)
            lines += ["", f"columns to blame, A -> B{f'; without them the other {others} agree' * (others > 0)}:"]
            for name in self.blamed:
                told = f"{factors[name]:,.1f} nats of evidence" if factors[name] > 0 else "told by held-out rows"
                lines.append(f"  {name}: {told}")
                lines += [f"    {each.to_text()}" for each in self.differences if each.column == name][:TOLD_PLACES]
            for what, rows, ratio in zip("AB", self.typical(), self.log_ratios, strict=True):
                told = ", ".join(f"{row} ({abs(ratio[row]):.1f})" for row in rows.tolist())
                if told:
                    lines.append(f"{'' if what == 'B' else chr(10)}rows most typical of {what} (log-ratio): {told}")
        return "\n".join(lines)

    def __str__(self):
        return self.to_text()

    @property
    def verdict(self):
        """Whether the tables differ, in words: str."""
        if self.bayes_factor > SURE:
            return "the tables differ"
        if self.bayes_factor > 0 or self.blamed:
            return "the tables may differ, on weak evidence"
        return "no difference is found: the tables look like two samples of one"

    def _verdict(self):
        p_value = "" if self.p_value is None else f", p = {self.p_value:.2g}"
        yield f"{self.verdict} (log Bayes factor {self.bayes_factor:,.1f} nats{p_value})"
        yield (f"told apart by one row, A from B: right {100 * self.accuracy:.1f}% of the time, where chance is 50%")
        yield (
            f"divergence, nats a row: Jensen-Shannon {_with_error(self.js, self.js_error)} of at most 0.693; Kullback-"
            f"Leibler A from B {_with_error(self.kl[0], self.kl_error[0])}, B from A "
            f"{_with_error(self.kl[1], self.kl_error[1])}"
            + (", of rows not learned from, and below 0 by chance" if min(self.js, *self.kl) < 0 else "")
        )


def compare(A, B, *, numeric="auto", n_permutations=0, random_state=0, n_jobs=None):
    """Say what differs between two tables.

    Parameters
    ----------
    A, B : array or dataframe of shape (n_rows, n_columns)
        NumPy arrays or pandas, polars or pyarrow tables of the same columns, in any order where they have names.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns are numbers, as `TreeFlowMixture` takes it.
    n_permutations : int, default=0
        How often to deal the rows anew to two tables of these sizes, for a p-value: 199 for a test at 5 %.
    random_state : int, RandomState or None, default=0
        Deals the rows.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.

    Returns
    -------
    comparison : Comparison
        Print it to read it.

    Raises
    ------
    ValueError
        If a column is in one of the tables alone, holds numbers in one and something else in the other, or has no
        value at all; the message names it.

    Notes
    -----
    The table that a row comes from is a column that comes first in order: the tree of each other column may ask for
    it. A Bayes factor is the evidence of the trees that may against that of trees that may not, either averaged over
    all prunings. That of the tables is a mean of three: every column may differ given those before it, or a single
    column by itself, or a single column given all others.

    *Columns to blame*: feature shift localisation (Kulinski, Bagchi, Inouye, NeurIPS 2020) with refits. Of each column
    a tree is grown on all others, and one that may ask for the table. The column whose Bayes factor is the largest is
    left out, and the others are asked again, until no factor is above 30 nats. Then forests of trees bear witness, one
    of A and one of B, each of rows that it has not seen, five parts in turn: how much better one of them tells the
    column than the column's distribution by itself does, less what was to be expected given the other columns. A column
    for which that has different means in A and B, by so many standard errors as chance hardly brings about in any of
    the columns, is left out as well; then those whose factor is above 3 nats more than the logarithm of the number of
    columns. What is left does not tell the tables apart. It comes first in the order in which columns are told, and the
    columns to blame come after it in the reverse of the order in which they were found.

    *Divergences* are means over rows that the trees have not seen, of log-ratios of their probabilities: each row is
    told by trees that have grown from other rows. Jensen-Shannon's is a lower bound but for chance.

    Numbers count by their rank among those of both tables: trees tell its five first binary digits, and ask on which
    side of 15 quantiles it lies. So units and monotone changes of both do not matter, and differences between values
    that have no 1/32 of the rows between them are not seen. Missing cells are a value of their own. Of a column with
    more than 250 categories, the rarest are one.

    Of large tables (of 50 columns of five categories more than 80,000 rows) trees grow from rows that are drawn, of
    either table as many; log-ratios and divergences are of all rows.

    The p-value is that of the Bayes factor among those of rows dealt anew.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import compare
    >>> rng = np.random.default_rng(0)
    >>> def rows(n, bonus):
    ...     job = rng.choice(["clerk", "smith"], n)
    ...     return np.column_stack([job, np.where(rng.random(n) < 0.1 + bonus * (job == "smith"), "rich", "poor")])
    >>> found = compare(rows(1000, 0), rows(1000, 0.3))
    >>> found.blamed
    ('x1',)
    >>> print(found.differences[0])
    where x0 = smith (537 and 464 rows): poor 88.8% -> 57.1%
    """
    check_number(n_permutations, "n_permutations", Integral, min_val=0)
    threads, rng = n_threads(n_jobs), generator(random_state)
    tables = _read(A, "first"), _read(B, "second")
    words = _words(*tables, numeric, threads)
    order = by_hash(words.sides.codes)  # so that nothing depends on the order of the rows
    words = words.rows(order)
    sides, names = words.sides, words.domain.column_names
    n, n_first = len(sides.codes), tables[0].n_rows
    draws = rng.spawn(3)
    factors = Factors(at_most(sides, MOST_WORK, draws[0]))
    blamed = columns_to_blame(factors, draws[0])
    told = [j for j in sides.varying if j not in blamed] + blamed[::-1]
    ratio = log_ratios(sides, told, draws[1])
    total = ratio.sum(axis=1)
    first = sides.side == 0
    kl = [_mean(total[first]), _mean(-total[~first])]
    columns = [_mean(ratio[first]), _mean(-ratio[~first])]
    js = [_mean(LOG_2 - _softplus(-total[first])), _mean(LOG_2 - _softplus(total[~first]))]
    of_rows = np.empty(n)
    of_rows[order] = total
    differences = [
        words.difference(j, context)
        for j in blamed
        for context in contexts(sides, sides.asked[j] + bool(words.domain.numeric[j]), told[: told.index(j)])
    ]
    right = (total > 0) + (total == 0) / 2
    factor, p_value = factors.overall(), None
    if n_permutations:
        dealt = [factors.overall(draws[2].permutation(factors.sides.side)) for _ in range(n_permutations)]
        p_value = (1 + sum(other >= factor for other in dealt)) / (1 + n_permutations)
    return Comparison(
        n_rows=(n_first, n - n_first),
        names=names,
        blamed=tuple(names[j] for j in blamed),
        bayes_factor=factor,
        bayes_factors=factors.chain(told),
        divergences=np.stack([mean for mean, _ in columns]),
        divergence_errors=np.stack([error for _, error in columns]),
        kl=np.array([mean for mean, _ in kl]),
        kl_error=np.array([error for _, error in kl]),
        js=float(np.mean([mean for mean, _ in js])),
        js_error=float(np.sqrt(sum(error**2 for _, error in js)) / 2),
        accuracy=float((right[first].mean() + 1 - right[~first].mean()) / 2),
        log_ratios=(of_rows[:n_first], of_rows[n_first:]),
        differences=tuple(differences),
        p_value=p_value,
    )


def _read(X, what):
    try:
        return read_table(AutoregressiveTreeFlow(), X, reset=True)
    except TableError as error:
        raise in_table(error, what, error.row) from None


def _words(first, second, numeric, threads):
    """Both tables as codes, and what these mean: Words."""
    both = stacked(first, second)
    policy = TablePolicy(numeric=numeric, max_categories=MOST_CATEGORIES)
    policy.check()
    try:
        domain = policy.learn_domain(both)
        values = policy.encode(domain, both, threads, infer=True).codes
    except TableError as error:
        if error.row is None:
            raise
        is_first = error.row < first.n_rows
        raise in_table(error, "first" if is_first else "second", error.row - (not is_first) * first.n_rows) from None
    columns: list = []  # codes, how many there are, how many are in order
    told, asked, ends = [], [], []
    for j in range(len(domain.columns)):
        parts, of = _digits(values[:, j]) if domain.numeric[j] else ([], None)
        told.append(list(range(len(columns), len(columns) + max(1, len(parts) - 2))))
        asked.append(told[-1][-1] + domain.numeric[j])
        columns += parts or [(values[:, j], domain.n_categories[j], domain.n_ordered[j])]
        ends.append(None if of is None else _as_text(domain.columns[j], of))
    columns.append((np.repeat([0, 1], [first.n_rows, second.n_rows]), 2, 0))
    codes, n_categories, n_ordered = zip(*columns, strict=True)
    sides = CodedSides(
        np.ascontiguousarray(np.stack(codes, axis=1).astype(np.uint8)),
        np.array(n_categories, dtype=np.int32),
        np.array(n_ordered, dtype=np.int32),
        tuple(told),
        tuple(asked),
        threads,
    )
    return Words(domain, values, ends, sides)


def _digits(x):
    """Code columns of numbers, as `CodedSides` has them: told ones, that which is asked, quarters; and ends of bins."""
    missing = np.isnan(x)
    known = np.sort(x[~missing])
    below, up_to = (np.searchsorted(known, x[~missing], side=side) for side in ("left", "right"))
    cell = np.zeros(len(x), dtype=np.int64)  # of equal size, by the rank of the middle one of equal values
    cell[~missing] = ((below + up_to) << (BITS - 1)) // max(1, len(known))
    found, place = np.unique(cell[~missing] >> 1, return_inverse=True)  # others' trees are content with four digits
    question = np.full(len(x), len(found))
    question[~missing] = place
    n_asked = len(found) + bool(missing.any())
    columns = [(missing, 2, 0)] if missing.any() else []
    columns += (
        [(cell >> digit & 1, 2, 0) for digit in range(BITS - 1, -1, -1)] if len(np.unique(cell[~missing])) > 1 else []
    )
    columns = columns or [(np.zeros(len(x)), 1, 0)]
    columns += [(question, n_asked, len(found)), (np.where(missing, 1 << 2, cell >> QUARTER), (1 << 2) + 1, 0)]
    ends = np.full(len(found), -np.inf)
    np.maximum.at(ends, place, x[~missing])
    return columns, ends


@dataclass(frozen=True, eq=False)
class Words:
    """What codes mean.

    Parameters
    ----------
    domain : Domain
    values : ndarray of shape (n_rows, n_columns)
        Codes of categories, and numbers.
    ends : list of list of str, or None
        Of each column of numbers, the greatest number of each code that is asked.
    sides : CodedSides
    """

    domain: Domain
    values: np.ndarray
    ends: list
    sides: CodedSides

    def rows(self, chosen):
        """Of some of the rows, by their numbers."""
        return Words(self.domain, self.values[chosen], self.ends, self.sides.rows(chosen))

    def difference(self, j, context):
        """Where a column differs: Difference."""
        side = self.sides.side[context.rows]
        both = [self.values[context.rows[side == s], j] for s in (0, 1)]
        return Difference(
            column=self.domain.column_names[j],
            where=self._conditions(context.path),
            rows=(len(both[0]), len(both[1])),
            nats=context.nats,
            told=tuple(self._numbers(j, both) if self.domain.numeric[j] else self._shares(j, both)),
        )

    def _conditions(self, path):
        """What the answers to questions say, the columns in the order in which they are asked first: tuple of str."""
        allowed: dict = {}
        for column, low, high, answer in path:
            codes = np.arange(self.sides.n_categories[column])
            allowed[column] = allowed.get(column, True) & (((codes >= low) & (codes <= high)) == answer)
        return tuple(self._condition(self.sides.asked.index(column), codes) for column, codes in allowed.items())

    def _condition(self, j, allowed):
        name, ends, n_ordered = (
            self.domain.column_names[j],
            self.ends[j],
            int(self.sides.n_ordered[self.sides.asked[j]]),
        )
        if ends is None and not n_ordered:
            labels = np.array(self.domain.labels[j], dtype=object)
            few, sign = (allowed, "=") if allowed.sum() <= max(1, (~allowed).sum()) else (~allowed, "is not")
            return f"{name} {sign} {_listed(labels[few].tolist())}"
        told, inside = [], np.flatnonzero(allowed[:n_ordered])
        limits = self.domain.labels[j] if ends is None else ends
        if len(inside):
            first, last = int(inside[0]), int(inside[-1])
            above, up_to = first > 0, last < n_ordered - 1
            lower, upper = f"{limits[first - 1]} < " if above and up_to else "", f" <= {limits[last]}" if up_to else ""
            told.append(f"{name} > {limits[first - 1]}" if above and not up_to else f"{lower}{name}{upper}")
            if not above and not up_to:
                told = [f"{name} is there"]
        if allowed[n_ordered:].any():
            others = ["missing"] if ends is not None else np.array(self.domain.labels[j], dtype=object)[n_ordered:]
            told.append(f"{name} is {_listed([others[i] for i in np.flatnonzero(allowed[n_ordered:])])}")
        return " or ".join(told)

    def _shares(self, j, both):
        """The categories whose shares differ most, and these."""
        labels = self.domain.labels[j]
        shares = [np.bincount(codes.astype(np.intp), minlength=len(labels)) / len(codes) for codes in both]
        most = np.argsort(-abs(shares[0] - shares[1]), kind="stable")[: max(1, min(TOLD_VALUES, len(labels) - 1))]
        return [(labels[v], float(shares[0][v]), float(shares[1][v])) for v in most]

    def _numbers(self, j, both):
        """Of numbers the medians, the shares below the value where these differ most, and those of missing cells."""
        missing = [float(np.isnan(x).mean()) for x in both]
        told: list = [("missing", *missing)] if any(missing) else []
        there = [np.sort(x[~np.isnan(x)]) for x in both]
        if not all(map(len, there)):
            return told
        values, column = np.concatenate(there), self.domain.columns[j]
        below = np.stack([np.searchsorted(x, values, side="right") / len(x) for x in there])
        most = int(np.argmax(abs(below[0] - below[1])))
        medians = _as_text(column, np.array([x[(len(x) - 1) // 2] for x in there]))
        told.append(("median", *medians))
        told.append((f"at most {_as_text(column, values[[most]])[0]}", *below[:, most].tolist()))
        return told


def _as_text(column, numbers):
    """Cells of a column of numbers as text, of midnights the dates: list of str."""
    told = [str(cell) for cell in column.cells(numbers)[0]]
    return [text.removesuffix("T00:00:00.000000") for text in told]


def _listed(labels):
    """Labels as a sentence lists them, of many the first."""
    told = labels if len(labels) <= FEW + 1 else [*labels[:FEW], f"{len(labels) - FEW} others"]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} or {told[-1]}"


def _mean(values):
    """Mean over rows, and its standard error, NaN of a single row."""
    mean = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.full_like(mean, np.nan)
    return mean, error


def _plain(errors):
    """Standard errors for programs, None where there is none."""
    return [None if np.isnan(error) else float(error) for error in errors]


def _softplus(x):
    """log(1 + exp(x))."""
    return np.maximum(x, 0) + elementary.log1p(elementary.exp(-abs(x)))


def _share(value):
    """A share in percent; what is a text stays so."""
    return value if isinstance(value, str) else f"{100 * value:.1f}%"


def _with_error(value, error):
    told = f"{round(value, 4) + 0.0:.4f}"  # no negative zero
    return told if np.isnan(error) else f"{told} ± {error:.4f}"
