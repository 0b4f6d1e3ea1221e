"""What a model answers to a question with only some columns: distributions given evidence, with their errors."""

import html
from dataclasses import dataclass, field

import numpy as np

from .._ext import elementary
from ..inference.evidence import Evidence, is_density, rows_given
from ..machine.errors import ParameterError

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 24  # of numbers, more or less
FURTHEST = 2.5  # normal score of a number where equal bins end, and tails begin
STEPS = np.array([1.0, 2.0, 2.5, 5.0, 10.0])  # of bins, times a power of ten
MOST_POINTS = 40  # of a lattice, each of which is a bin
FEWEST_EFFECTIVE = 10  # draws, below which nothing is told
MOST_GROUPS = 1000
MOST_SHOWN = 12  # values of a column, in text


@dataclass(frozen=True, eq=False)
class Distribution:
    """The distribution of one column given evidence.

    Attributes
    ----------
    name : str
    values : ndarray of shape (n_values,), object
        Of categories, the values, None for missing and "(unseen)" for all that fit did not see. Of numbers, bins as
        tuples of their least and their greatest value, None for an open end, and None for missing.
    labels : tuple of str
        The same to print.
    probability : ndarray of shape (n_values,), float64
        They sum to one. NaN where nothing can be told.
    error : ndarray of shape (n_values,), float64
        Standard errors; 0 where exact.
    edges : ndarray of shape (n_bins + 1,), float64, or None
        Of numbers, where the bins begin and end, in the column's own units, seconds of times and durations; the first
        and the last may be infinite. None of categories.
    quantiles : dict of float to value, or None
        Of numbers that are not missing, at 0.05, 0.25, 0.5, 0.75 and 0.95.
    mean, mean_error : float or None
        Of numbers that are not missing, durations in seconds; None of categories and of times.
    """

    name: str
    values: np.ndarray
    labels: tuple
    probability: np.ndarray
    error: np.ndarray
    edges: np.ndarray | None = None
    quantiles: dict | None = None
    mean: float | None = None
    mean_error: float | None = None

    def to_text(self, most=MOST_SHOWN):
        """The distribution as text.

        Parameters
        ----------
        most : int, default=12
            Values of categories to tell, the most probable first.

        Returns
        -------
        text : str
        """
        if self.quantiles is not None:
            told = ", ".join(f"{q:.0%} {value}" for q, value in self.quantiles.items())
            mean = "" if self.mean is None else f"; mean {self.mean:.6g} ± {self.mean_error:.2g}"
            missing = f"; missing {self.probability[-1]:.3f}" if self.labels[-1] == "(missing)" else ""
            return f"{self.name}: {told}{mean}{missing}"
        order = np.argsort(-self.probability, kind="stable")[:most]
        width = max(len(self.labels[i]) for i in order)
        lines = [f"  {self.labels[i]:<{width}}  {_told(self.probability[i], self.error[i])}" for i in order]
        rest = len(self.labels) - len(order)
        if rest:
            lines.append(f"  … and {rest:,} more  {1 - self.probability[order].sum():.4f}")
        return "\n".join([self.name, *lines])


@dataclass(frozen=True, eq=False)
class QueryResult:
    """Distributions of columns given evidence.

    ``result["column"]`` is one of them.

    Attributes
    ----------
    given : tuple of str
        The evidence, in words.
    probability : float
        Of the evidence; a density where ``is_density``, in one over the columns' units. NaN if there is no estimate.
    error : float
        Its standard error; 0 if exact.
    is_density : bool
        Whether the evidence says an exact value of a number that may lie anywhere.
    exact : bool
        Whether all is summed over all states, and nothing is estimated.
    effective : float
        Number of independent draws that estimates are worth; infinity if all is exact, 0 if there is no estimate.
    distributions : dict of str to Distribution
        By column.
    impossible : str or None
        Why the evidence has no probability, if it has none.
    by : tuple of str
        Columns of whose values there is a row of each combination.
    groups : dict of tuple of str to QueryResult
        By the combination, the same with it as further evidence; its probability is of both.
    """

    given: tuple
    probability: float
    error: float
    is_density: bool
    exact: bool
    effective: float
    distributions: dict
    impossible: str | None = None
    by: tuple = ()
    groups: dict = field(default_factory=dict)

    def __getitem__(self, column):
        return self.distributions[column]

    def to_frame(self):
        """All that is told as a table, a row for each value of each column, in each group.

        Returns
        -------
        table : pandas.DataFrame
            With the columns of ``by``, and "column", "value", "probability" and "error".
        """
        import pandas as pd

        rows = []
        for labels, result in self.groups.items() if self.by else (((), self),):
            for name, told in result.distributions.items():
                for value, p, error in zip(told.labels, told.probability, told.error, strict=True):
                    rows.append((*labels, name, value, p, error))
        return pd.DataFrame(rows, columns=[*self.by, "column", "value", "probability", "error"])

    def to_text(self):
        """All that is told, as text.

        Returns
        -------
        text : str
        """
        lines = [self._head()]
        if not self.by:
            return "\n".join([*lines, *(told.to_text() for told in self.distributions.values())])
        for labels, result in self.groups.items():
            told = ", ".join(f"{name} = {label}" for name, label in zip(self.by, labels, strict=True))
            lines.append(f"{told}  (probability {_told(*result.share_of(self))})")
            lines.extend("  " + line for d in result.distributions.values() for line in d.to_text().split("\n"))
        return "\n".join(lines)

    def share_of(self, whole):
        """Probability of the evidence given that of another result, and its standard error.

        Parameters
        ----------
        whole : QueryResult
            Whose evidence is a part of this one's.

        Returns
        -------
        probability, error : float
        """
        if not whole.probability > 0:
            return np.nan, np.nan
        share = self.probability / whole.probability
        error = np.hypot(self.error, share * whole.error) / whole.probability
        return min(share, 1.0), error

    def _head(self):
        told = "given " + "; ".join(self.given) if self.given else "given nothing"
        if self.impossible:
            return f"{told}: impossible, {self.impossible}"
        if not self.given:
            return told + self._worth()
        what = "density" if self.is_density else "probability"
        if np.isnan(self.probability):
            return f"{told}: too rare to be estimated"
        return f"{told} ({what} {_told(self.probability, self.error)}){self._worth()}"

    def _worth(self):
        return ", exact" if self.exact else f", of draws worth {self.effective:,.0f} independent ones"

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        cells = []
        for labels, result in self.groups.items() if self.by else (((), self),):
            for name, told in result.distributions.items():
                for value, p, error in zip(told.labels, told.probability, told.error, strict=True):
                    cells.append([*labels, name, value, f"{p:.4f}", f"{error:.4f}"])
        head = "".join(
            f"<th>{html.escape(each)}</th>" for each in (*self.by, "column", "value", "probability", "error")
        )
        body = "".join("<tr>" + "".join(f"<td>{html.escape(each)}</td>" for each in row) + "</tr>" for row in cells)
        title = f"<p>{html.escape(self._head())}</p>"
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _told(p, error):
    if error == 0:
        return f"{p:.4g}"
    return f"{p:.4f} ± {error:.4f}" if p >= 1e-3 and error >= 5e-5 else f"{p:.4g} ± {error:.1e}"


class Query:
    """What is asked of a model: evidence, and how many draws may be taken.

    Parameters
    ----------
    domain : Domain
    density : Density
        Of the columns of the domain, and after them those of the context.
    context : ndarray of shape (n_context,)
        Codes.
    max_error : float
        Standard error of probabilities that shall be reached.
    n_draws, seed, threads : int
    """

    def __init__(self, domain, density, context, max_error, n_draws, seed, threads):
        self.domain, self.density, self.context = domain, density, context
        self.how = max_error, n_draws, seed, threads

    def answer(self, given, columns, by=()):
        """The distributions of some columns.

        Parameters
        ----------
        given : Given
        columns, by : sequence of int

        Returns
        -------
        result : QueryResult
        """
        words = tuple(given.words.values())
        if given.impossible:
            return QueryResult(words, 0.0, 0.0, False, True, np.inf, {}, given.impossible)
        codes, observed, within, log_share = given.to_codes()
        n_context = len(self.context)
        is_context = np.arange(len(codes) + n_context) >= len(codes)
        told = np.concatenate([codes, self.context]), np.concatenate([observed, np.ones(n_context, dtype=bool)])
        rows = rows_given(self.density, Evidence(*told, is_context, within, log_share), columns, *self.how)
        enough = rows.effective >= FEWEST_EFFECTIVE
        log_probability, error = (rows.log_probability, rows.error) if given.columns else (0.0, 0.0)
        probability = float(elementary.exp(np.array([log_probability]))[0])
        numbers = [j for j in given.points if is_density(self.density, j, codes[j])]
        names = self.domain.column_names
        result = QueryResult(
            words,
            probability if enough else np.nan,
            probability * error if enough else np.inf,
            bool(numbers),
            bool(np.isinf(rows.effective)),
            rows.effective if enough else 0.0,
            {names[j]: self._distribution(j, rows, given, enough) for j in columns},
        )
        if not by:
            return result
        groups = {}
        for labels, more in self._groups(given, by):
            groups[labels] = self.answer(more, columns)
        return QueryResult(**vars(result) | {"by": tuple(names[j] for j in by), "groups": groups})

    def _groups(self, given, by):
        """Labels of every combination of values of columns that may be, and evidence with it."""
        parts: list = [((), given)]
        for j in by:
            several = []
            for labels, so_far in parts:
                for label, more in self._values(so_far, j):
                    if more is not None:
                        several.append(((*labels, label), more))
                if len(several) > MOST_GROUPS:
                    told = f"by has more than {MOST_GROUPS:,} combinations of values: name fewer columns"
                    raise ParameterError(told, parameter="by")
            parts = several
        return parts

    def _values(self, given, j):
        column = self.domain.columns[j]
        if self.domain.numeric[j]:
            bins = self._bins(j)
            for (low, high), label in zip(bins.inside, bins.labels, strict=True):
                yield label, given.and_range(j, low, high)
            if column.missing:
                yield "(missing)", given.and_range(j, np.nan, np.nan)
            return
        n_cells = len(column.code_of_cell)
        for cell, label in enumerate(column.cell_labels):
            yield label, given.and_cells(j, np.arange(n_cells) == cell)

    def _distribution(self, j, rows, given, enough):
        name, column = self.domain.column_names[j], self.domain.columns[j]
        x = rows.codes[:, j]
        if self.domain.numeric[j]:
            return self._of_numbers(j, name, column, x, rows, enough, given)
        p, error = rows.probabilities(x.astype(np.int64), column.n_codes)
        if j in given.cells:
            p, error = _without_doubt(given.code_weight(j) > 0, p, error)
        share = column.share_of_cell
        if j in given.cells and column.grouping is not None:
            share = np.where(given.cells[j], share, 0.0)
            share = share / np.maximum(np.bincount(column.code_of_cell, share), 1e-300)[column.code_of_cell]
        p, error = p[column.code_of_cell] * share, error[column.code_of_cell] * share
        values = np.empty(len(share), dtype=object)
        values[:] = [*column.values.tolist(), *[None] * column.missing, *["(unseen)"] * column.unseen]
        nothing = np.full(len(p), np.nan)
        return Distribution(name, values, column.cell_labels, *((p, error) if enough else (nothing, nothing)))

    def _of_numbers(self, j, name, column, x, rows, enough, given):
        bins, there = self._bins(j), ~np.isnan(x)
        n = len(bins.labels)
        place = np.where(there, np.searchsorted(bins.cuts, x, side="right"), n)
        p, error = rows.probabilities(place, n + column.missing)
        p, error = _without_doubt(bins.that_may_be(given, j, n + column.missing), p, error)
        values = np.empty(n + column.missing, dtype=object)
        values[:n] = bins.values
        labels = (*bins.labels, *["(missing)"] * column.missing)
        nothing = np.full(len(p), np.nan)
        if not enough:
            return Distribution(name, values, labels, nothing, nothing, bins.edges)
        order = np.argsort(x, kind="stable")[: np.count_nonzero(there)]  # what is missing comes last
        cumulative = np.cumsum(rows.share[order])
        quantiles = None
        if len(order):
            at = np.searchsorted(cumulative, np.array(QUANTILES) * cumulative[-1])
            told = _in_python(column, x[order[np.minimum(at, len(order) - 1)]]).tolist()
            quantiles = dict(zip(QUANTILES, told, strict=True))
        mean = mean_error = None
        if not column.is_time:
            mean, mean_error = rows.mean(x, there)
            mean = float(column.unrounded(mean))
        return Distribution(name, values, labels, p, error, bins.edges, quantiles, mean, mean_error)

    def _bins(self, j):
        kept = self.density.kept_bins
        if j not in kept:
            kept[j] = Bins.of(self.density.axis(j), self.domain.columns[j])
        return kept[j]


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of a column of numbers, the same whatever the evidence.

    Attributes
    ----------
    cuts : ndarray of shape (n_bins - 1,), float64
        Where one begins and the one before ends, in numbers.
    inside : ndarray of shape (n_bins, 2), float64
        The least and the greatest number of each.
    values : list of tuple
        The same as cells; None for an open end.
    labels : tuple of str
    edges : ndarray of shape (n_bins + 1,), float64
    """

    cuts: np.ndarray
    inside: np.ndarray
    values: list
    labels: tuple
    edges: np.ndarray

    @classmethod
    def of(cls, axis, column):
        """Bins of a column: of about equal and round widths in its bulk, and the tails.

        Parameters
        ----------
        axis : NumberAxis
        column : Quantity
        """
        step, (least, greatest) = axis.step, axis.ends
        low, high = axis.value_at(np.array([-FURTHEST, FURTHEST]))
        low, high = max(low, column.low), min(high, column.high)
        offset = float(column.unrounded(np.zeros(1))[0])
        if step and (column.high - column.low) / step < MOST_POINTS:
            cuts = np.arange(np.rint((column.high - column.low) / step)) * step + column.low + step / 2
        else:
            width = _round_width((high - low) / BINS, step)
            if step:
                first = np.rint((np.ceil((low + offset) / width) * width - offset) / step) * step
                cuts = first - step / 2 + width * np.arange(int((high - first) / width) + 1)
            else:
                first = np.ceil((low + offset) / width) * width - offset
                cuts = first + width * np.arange(int((high - first) / width) + 1)
        cuts = cuts[(cuts > least) & (cuts < greatest)]
        edges = np.concatenate([[least], cuts, [greatest]])
        starts, ends = edges[:-1] + step / 2, edges[1:] - step / 2
        if not step:
            ends[:-1] = np.nextafter(ends[:-1], -np.inf)
        inside = np.column_stack([starts, ends])
        labels = tuple(_label(low, high, step) for low, high in _cells(column, starts, edges[1:] - step / 2))
        return cls(cuts, inside, _cells(column, starts, ends), labels, edges + offset)

    def that_may_be(self, given, j, n_places):
        """Which bins of a column may be, given what is said of it, and after them whether it may be missing.

        Parameters
        ----------
        given : Given
        j : int
        n_places : int
            As many as there are bins, and one more if the column may be missing.

        Returns
        -------
        may_be : ndarray of shape (n_places,), bool
        """
        point = given.points.get(j)
        ranges = given.ranges.get(j) if point is None else [(point, point)]
        may_be = np.full(n_places, ranges is None)
        for low, high in [] if ranges is None else ranges:
            first, last = np.searchsorted(self.cuts, (low, high), side="right")
            may_be[slice(-1, None) if np.isnan(low) else slice(first, last + 1)] = True
        return may_be


def _without_doubt(may_be, p, error):
    """Probabilities and their standard errors: of what alone may be 1 without error, of what cannot be 0."""
    if np.count_nonzero(may_be) == 1:
        return may_be.astype(float), np.zeros(len(error))
    return p, np.where(may_be, error, 0.0)


def _cells(column, *ends):
    """Cells at the ends of bins: list of tuples; None for open ones."""
    pairs = np.column_stack(ends)
    cells = _in_python(column, np.where(np.isfinite(pairs), pairs, 0.0).ravel()).reshape(pairs.shape).tolist()
    return [
        tuple(cell if there else None for cell, there in zip(pair, is_there, strict=True))
        for pair, is_there in zip(cells, np.isfinite(pairs), strict=True)
    ]


def _in_python(column, numbers):
    """Cells that have numbers, of whose times ``tolist`` makes times: under a microsecond it makes integers."""
    cells = column.cells(numbers)[0]
    fine = cells.dtype.kind in "Mm" and np.datetime_data(cells.dtype)[0] in ("ns", "ps", "fs", "as")
    return cells.astype(f"{cells.dtype.kind}8[us]") if fine else cells


def _round_width(width, step):
    """A round number next to a width, and no smaller; on a lattice a multiple of its step."""
    if not width > 0:
        return step or 1.0
    power = 10.0 ** np.floor(np.log10(width))
    width = float(power * STEPS[np.searchsorted(STEPS, width / power * (1 - 1e-9))])
    return max(np.rint(width / step), 1) * step if step else width


def _label(low, high, step):
    told = [None if each is None else f"{each:.10g}" if isinstance(each, float) else str(each) for each in (low, high)]
    if told[0] == told[1]:
        return told[0] or "any"
    if told[0] is None:
        return f"at most {told[1]}" if step else f"below {told[1]}"
    if told[1] is None:
        return f"{told[0]} or more"
    return f"{told[0]} to {told[1]}"
