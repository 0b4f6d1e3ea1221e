"""Which columns depend on which: what each tells of each other, as a table."""

import html
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.stats import t as student

from ..learning.dependence import shared_out
from ..machine.draws import generator
from ..machine.errors import check_number
from ..machine.threads import n_threads
from ..tables.contexts import beside
from ..tables.domain import listing
from ..tables.intervals import N_INTERVALS, as_codes, n_codes

DRAWN = 10_000  # rows of the model that trees are grown from, and as many others to measure in
CHANCE = 0.05  # that anything is confirmed where nothing depends on anything
LEAST = 1e-3  # nats, below which nothing is worth telling
SHOWN = 20  # lines of text


@dataclass(frozen=True, eq=False)
class DependenceGraph:
    """What each column tells of each other column.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    strength : ndarray of shape (n_columns, n_columns), float64
        Row i has what is told of column i: by each other column j, beyond what those tell that are asked before it;
        nats. The sum of a row is what all others tell together, a lower bound of the mutual information of column i and
        the others. The diagonal is 0. Rows of columns of which it was not asked what they depend on, such as those of a
        context, are NaN.
    standard_error : ndarray of shape (n_columns, n_columns), float64
        Of these, over the rows; nats.
    entropy : ndarray of shape (n_columns,), float64
        What is to be told of each column: its entropy, nats; NaN where it was not asked.
    n_rows : int
        Rows that it was measured in.
    drawn : bool
        Whether these were drawn from the model: then the model's own dependence is told, and none of it is confirmed by
        rows that the model has not seen.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow
    >>> rng = np.random.default_rng(0)
    >>> a, b, noise = rng.integers(0, 2, (3, 2000))
    >>> X = np.column_stack([a, b, a | b, noise])
    >>> graph = AutoregressiveTreeFlow().fit(X[:1000]).dependence_graph(X[1000:], random_state=0)
    >>> sorted(name for name, nats, error in graph.of("x2"))
    ['x0', 'x1']
    >>> graph.of("x3")
    []
    """

    names: tuple
    strength: np.ndarray
    standard_error: np.ndarray
    entropy: np.ndarray
    n_rows: int
    drawn: bool

    @classmethod
    def pooled(cls, graphs):
        """What several graphs tell together, such as those of models that were each learned without a part of the rows.

        Parameters
        ----------
        graphs : sequence of DependenceGraph
            Of the same columns, each measured in other rows.

        Returns
        -------
        graph : DependenceGraph
            Of all these rows.
        """
        n = np.array([graph.n_rows for graph in graphs])
        share = n / n.sum()
        strength = sum(part * graph.strength for part, graph in zip(share, graphs, strict=True))
        squares = [graph.n_rows * graph.standard_error**2 + graph.strength**2 for graph in graphs]
        variance = sum(part * each for part, each in zip(share, squares, strict=True)) - strength**2
        error = np.sqrt(np.maximum(variance, 0.0) / n.sum())
        entropy = sum(part * graph.entropy for part, graph in zip(share, graphs, strict=True))
        return cls(graphs[0].names, strength, error, entropy, int(n.sum()), graphs[0].drawn)

    @property
    def asked(self):
        """Of which columns it was asked what they depend on: ndarray of shape (n_columns,), bool."""
        return ~np.isnan(self.entropy)

    @property
    def confirmed(self):
        """Which dependences are told from chance: ndarray of shape (n_columns, n_columns), bool.

        Those above 0 by so many standard errors that with a probability of 0.95 no column passes where none depends on
        any other (Student's t, Bonferroni's bound), and which are of a thousandth of a nat at least.
        """
        pairs = max(int(self.asked.sum()) * (len(self.names) - 1), 1)
        errors = student.isf(CHANCE / pairs, max(self.n_rows - 1, 1))
        return (self.strength > errors * self.standard_error) & (self.strength > LEAST)

    def of(self, column):
        """What one column depends on.

        Parameters
        ----------
        column : str or int
            Its name or number.

        Returns
        -------
        found : list of (str, float, float)
            Columns that tell something of it, told from chance, the strongest first: name, nats, and standard error.
        """
        i = self._number(column)
        order = np.argsort(-self.strength[i], kind="stable")
        return [
            (self.names[j], float(self.strength[i, j]), float(self.standard_error[i, j]))
            for j in order
            if self.confirmed[i, j]
        ]

    def pairs(self):
        """Pairs of columns of which one tells something of the other, told from chance, the strongest first.

        Returns
        -------
        pairs : list of (int, int, float)
            Column, the column that it depends on, and nats; of the two directions the stronger.
        """
        strength = np.where(self.confirmed, self.strength, 0.0)
        best = np.triu(np.maximum(strength, strength.T), 1)
        found = sorted(zip(*np.nonzero(best), strict=True), key=lambda pair: -best[pair])
        turned = [(i, j) if strength[i, j] >= strength[j, i] else (j, i) for i, j in found]
        return [(int(i), int(j), float(strength[i, j])) for i, j in turned]

    def to_frame(self, column=None):
        """All dependences as a table, the strongest first.

        Parameters
        ----------
        column : str or int, default=None
            Only what this column depends on.

        Returns
        -------
        table : pandas.DataFrame
            With the columns "column", "depends_on", "nats", "standard_error", "share" of the column's entropy, and
            "confirmed".
        """
        import pandas as pd

        some = np.flatnonzero(self.asked).tolist() if column is None else [self._number(column)]
        confirmed, rows = self.confirmed, []
        for i in some:
            for j, name in enumerate(self.names):
                if j != i:
                    nats, error = float(self.strength[i, j]), float(self.standard_error[i, j])
                    share = nats / self.entropy[i] if self.entropy[i] > 0 else 0.0
                    rows.append((self.names[i], name, nats, error, share, bool(confirmed[i, j])))
        rows.sort(key=lambda row: -row[2])
        return pd.DataFrame(rows, columns=["column", "depends_on", "nats", "standard_error", "share", "confirmed"])

    def to_text(self, n=SHOWN):
        """The dependences that are told from chance, the strongest first, as text.

        Parameters
        ----------
        n : int, default=20
            Lines at most.

        Returns
        -------
        text : str
        """
        head, lines = self._head(), [f"  {column} on {other}: {told}" for column, other, told in self._lines()]
        more = [f"  … and {len(lines) - n:,} more"] if len(lines) > n else []
        return "\n".join([head, *(lines[:n] or ["  none"]), *more])

    def __str__(self):
        return self.to_text()

    def _repr_html_(self):
        cells = [[html.escape(cell) for cell in line] for line in self._lines()[:SHOWN]]
        body = "".join(f"<tr><td>{'</td><td>'.join(line)}</td></tr>" for line in cells)
        head = "<tr><th>column</th><th>depends on</th><th>nats</th></tr>"
        return f"<p>{html.escape(self._head())}</p><table><thead>{head}</thead><tbody>{body}</tbody></table>"

    def _head(self):
        rows = f"{self.n_rows:,} rows {'drawn from the model' if self.drawn else 'given'}"
        return f"what a column depends on, nats of information in {rows}, and share of its entropy:"

    def _lines(self):
        """Column, other, and how strongly it depends on that, in words, of all that is confirmed."""
        found = [(nats, i, name, error) for i in range(len(self.names)) for name, nats, error in self.of(i)]
        return [
            (self.names[i], name, f"{nats:.3f} ± {error:.3f} ({nats / self.entropy[i]:.0%})")
            for nats, i, name, error in sorted(found, key=lambda each: -each[0])
        ]

    def _number(self, column):
        if isinstance(column, Integral) and int(column) in range(len(self.names)):
            return int(column)
        if column not in self.names:
            raise ValueError(f"no column {column!r}; there are {listing(self.names)}")
        return self.names.index(column)


def dependence_graph(model, X, context, columns, n_drawn, random_state):
    """What `TableModel.dependence_graph` says."""
    check_number(n_drawn, "n_drawn", Integral, min_val=100)
    domain, density, threads = model.domain_, model.distribution_, n_threads(model.n_jobs)
    asked = np.arange(len(domain.columns)) if columns is None else np.unique([domain.index(each) for each in columns])
    rng = generator(model.random_state if random_state is None else random_state)
    codes = model.given_codes(context, 0 if context is None else len(context))
    if codes is not None:
        domain = beside(domain, model.context_)

    def draw():
        if codes is None:
            return density.sample(n_drawn, rng, threads)
        return _drawn_within(density, domain, codes[rng.integers(len(codes), size=n_drawn)], rng, threads)

    drawn, edges = as_codes(draw(), domain.numeric)
    rows, _ = as_codes(draw() if X is None else model.filled_codes(X, context), domain.numeric, edges)
    n_ordered = np.where(domain.numeric, N_INTERVALS, domain.n_ordered).astype(np.int32)
    strength, error, entropy = shared_out(drawn, rows, n_codes(domain), n_ordered, asked, threads)
    return DependenceGraph(domain.column_names, strength, error, entropy, len(rows), X is None)


def _drawn_within(density, domain, contexts, rng, threads):
    """Rows drawn within each of some contexts, in any order: ndarray of shape (n_rows, n_columns)."""
    n_own = len(domain.columns) - contexts.shape[1]
    blank = np.zeros(n_own, dtype=float if domain.numeric.any() else np.uint8)
    seen, parts = np.arange(len(domain.columns)) >= n_own, []
    for context, n in zip(*np.unique(contexts, axis=0, return_counts=True), strict=True):
        parts.append(density.given(np.append(blank, context)[None], seen[None], int(n), rng, threads)[0])
    return np.concatenate(parts)
