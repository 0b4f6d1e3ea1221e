"""What the page about a model asks: columns and draws to show at once, answers given evidence, rows and odd cells."""

import base64
import contextlib
import json
import math
import warnings
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..inference.evidence import Evidence, kept_draws
from ..learning.orders import mutual_information
from ..machine.archives import whole_file
from ..machine.errors import ParameterError
from ..machine.threads import n_threads
from ..models.questions import MonteCarloWarning
from ..pictures.graph import MOST_COLUMNS, Circle
from ..tables.containers import read_table
from ..tables.given import Given
from .faces import Face, middle
from .page import page

DRAWS = 20_000
DEFAULTS = {"context": None, "n_draws": DRAWS, "random_state": 0}  # of ``TableModel.query``
FEWEST_DRAWS = 1000  # in a page that has little room for them
MOST_BYTES = 2_800_000  # of what a page knows
ENOUGH, FEW = 4000, 8  # draws and values of each column, to see which share most
SURE = 4  # standard deviations above what chance has
MOST_NAMED = 3  # columns that another shares most with
ODDEST = 20  # rows of a table to name
MOST_MEASURED = 10_000  # rows of a table that dependence is measured in
FRAME = 860  # pixels, the height of a page in a notebook


class Explorer:
    """A page on which a fitted model answers, for a browser, a file or a notebook.

    Every column is shown as it is and given evidence, told from draws at once and by the model itself where there is a
    server: ``serve``. In a notebook the page shows itself.

    Parameters
    ----------
    model : fitted model of this package
    X : array or dataframe of shape (n_rows, n_columns), default=None
        A table whose rows to look at: the oddest of them, their cells by surprise, and what would be likelier.
    title : str, default=""
        What the page is called; the kind of the model if that is empty.
    context : array-like of shape (1, n_context), default=None
        Of a model that was fitted to one: what all on the page is conditioned on, the rows of ``X`` too.
    n_draws : int, default=20000
        Rows drawn from the model, by which the page answers without it; fewer where they would make it too large.
    random_state : int, default=0
        Draws them.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow
    >>> coin = np.random.default_rng(0).choice(["heads", "tails"], 500)
    >>> page = AutoregressiveTreeFlow().fit(np.column_stack([coin, coin])).explore()
    >>> page.to_html().startswith("<!DOCTYPE html>")
    True
    """

    def __init__(self, model, X=None, *, title="", context=None, n_draws=DRAWS, random_state=0):
        check_is_fitted(model)
        self.model, self.X = model, X
        self.title = title or type(model).__name__
        # as lists, which the page can write as Python
        self.context = None if context is None else np.atleast_2d(np.asarray(context, dtype=object)).tolist()
        self.context_codes = model.given_codes(self.context, 1)
        self.how = {"context": self.context, "n_draws": n_draws, "random_state": random_state}

    @cached_property
    def _before(self):
        """Distributions of all columns without evidence: list of Distribution."""
        return list(self._told(None).distributions.values())

    @cached_property
    def faces(self):
        """How each column is shown: list of Face."""
        columns = self.model.domain_.columns
        return [Face.of(column, told) for column, told in zip(columns, self._before, strict=True)]

    @cached_property
    def before(self):
        """Of each column the probabilities of its codes without evidence: list of list of float."""
        return [face.shares(told)[0] for face, told in zip(self.faces, self._before, strict=True)]

    @cached_property
    def draws(self):
        """Codes of rows drawn from the model: ndarray of shape (n_draws, n_columns), uint8.

        Those that the model itself answers from, wherever enough of them agree with the evidence.
        """
        model, (codes, observed, _, _) = self.model, Given(self.model.domain_).to_codes()
        if self.context is not None:
            codes = np.append(codes, self.context_codes)
            observed = np.arange(len(codes)) >= len(self.faces)
        how = self.how["n_draws"], self.how["random_state"], n_threads(model.n_jobs)
        return self.codes(kept_draws(model.distribution_, Evidence(codes, observed, observed, {}), *how))

    def codes(self, rows):
        """Codes of rows as the page has them.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)
            As ``Rows`` has them.

        Returns
        -------
        codes : ndarray of shape (n_rows, n_columns), uint8
        """
        return np.column_stack([face.codes(rows[:, j]) for j, face in enumerate(self.faces)])

    def _told(self, given):
        """What the model answers."""
        with _quietly():
            return self.model.query(given=given, **self.how)

    def query(self, told):
        """The distributions of all columns given evidence, as ``TableModel.query`` has them.

        Parameters
        ----------
        told : list of dict
            As ``given`` takes it.

        Returns
        -------
        answer : dict
            ``log``, the log-probability of the evidence, or None; ``error``, its standard error relative to the
            probability, 0 if exact; ``density``, whether it is one; ``effective`` draws, None if exact; ``shares`` of
            the codes of each column, None if nothing can be told; the greatest standard error of these, ``wrong``;
            ``middles``: where the numbers of each column lie, in words; and ``note``: why nothing can be told, or "".
        """
        found = self._told(self.given(told) or None)
        shares = wrong = None
        note = found.impossible or ""
        if not found.impossible:
            all_told = [face.shares(found[face.name]) for face in self.faces]
            if None in [each for each, _ in all_told]:
                note = "hardly any draw agrees with this, so that nothing can be told"
            else:
                shares, errors = zip(*all_told, strict=True)
                wrong = max(errors)
        known = shares is not None and found.probability > 0
        return {
            "from": "model",
            "log": math.log(found.probability) if known else None,
            "error": found.error / found.probability if known else None,
            "density": found.is_density,
            "effective": None if found.exact else found.effective,
            "shares": shares,
            "wrong": wrong,
            "middles": [middle(found[face.name]) if shares else "" for face in self.faces],
            "note": note,
        }

    @cached_property
    def table(self):
        """How many rows the table has, and the oddest of them: int, Anomalies."""
        n_rows = read_table(self.model, self.X, reset=False).n_rows
        return n_rows, self.model.anomalies(self.X, min(ODDEST, n_rows), self._context_of(n_rows))

    def _context_of(self, n_rows):
        """That of as many rows."""
        return None if self.context is None else self.context * n_rows

    @cached_property
    def dependence(self):
        """What columns depend on, those that share most with others if there are many, drawn on a circle.

        Returns
        -------
        told : dict
            ``about``: what it is measured in, in words; ``python``, which computes it; the ``columns`` of the circle,
            their ``places``, and its ``lines``, the strongest first: of each the ``column``, the column that it depends
            ``on``, ``nats`` with their ``error``, their ``share`` of the column's entropy, and its ``bend``.
        """
        n, how, table, where = len(self.faces), {"random_state": self.how["random_state"]}, None, "drawn from the model"
        words = [f"{name}={value!r}" for name, value in how.items()]
        if n > MOST_COLUMNS:
            most = np.argsort(-self._shared.sum(axis=1), kind="stable")[:MOST_COLUMNS]
            how["columns"] = np.sort(most).tolist()
            words.append(f"columns={how['columns']}")
        n_rows = 1
        if self.X is not None:
            n_table, _ = self.table
            step = -(-n_table // MOST_MEASURED)
            places = np.arange(0, n_table, step)
            table, n_rows = _rows_of(self.X, places), len(places)
            words.insert(0, "table" if step == 1 else f"table[::{step}]")
            where = "of the table"
        if self.context is not None:
            words.append(f"context={self.context}" + f" * {n_rows}" * (n_rows > 1))
        with _quietly():
            graph = self.model.dependence_graph(table, self._context_of(n_rows), **how)
        circle = Circle.of(graph)
        about = f"{graph.n_rows:,} rows {where}"
        if n > MOST_COLUMNS:
            about += f"; of {n:,} columns it was asked of the {MOST_COLUMNS} that share most"
        lines = [
            {
                "column": i,
                "on": j,
                "nats": nats,
                "error": float(graph.standard_error[i, j]),
                "share": nats / float(graph.entropy[i]),
                "bend": bend,
            }
            for (i, j, nats), bend in zip(circle.pairs, circle.bends.round(4).tolist(), strict=True)
        ]
        return {
            "about": about,
            "python": f"model.dependence_graph({', '.join(words)})",
            "columns": circle.columns,
            "places": circle.places.round(4).tolist(),
            "lines": lines,
        }

    def given(self, told):
        """Evidence of the page as ``query`` takes it.

        Parameters
        ----------
        told : list of dict
            Of each column its number ``column``, the ``codes`` that may be, whether it is all others: ``not``; and
            perhaps ``from`` and ``to``, the bins from one to the other.

        Returns
        -------
        given : dict of str or int to what is said of the column

        Raises
        ------
        ParameterError
            If the evidence is not like that.
        """
        names, given = self.model.domain_.column_names, {}
        if not isinstance(told, list):
            raise ParameterError("given must be a list of evidence, one a column", parameter="given", value=told)
        for each in told:
            j, codes, negated, run = _read_evidence(each, self.faces)
            given[names[j]] = self.faces[j].given(codes, negated, run)
        return given

    def row(self, i):
        """A row of the table: its cells by surprise, and what would be likelier.

        Parameters
        ----------
        i : int
            From 0.

        Returns
        -------
        told : dict
            ``row``, ``log_likelihood`` in nats, ``codes`` as the page has them (-1 where a cell is not observed),
            ``cells`` with ``column``, ``text``, ``surprise`` in nats and ``likely``, and ``python``, which computes it.

        Raises
        ------
        ParameterError
            If there is no such row.
        """
        n_rows, _ = self.table
        if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < n_rows:
            raise ParameterError(f"row must be a whole number from 0 to {n_rows - 1:,}", parameter="row", value=i)
        part = _rows_of(self.X, [i])
        with _quietly():
            return self._rows(part, [i], self.model.anomalies(part, 1, self.context))[0]

    def _rows(self, part, places, found):
        """What ``row`` says of the rows of a table, which have these places in the whole one."""
        model, domain, context = self.model, self.model.domain_, self._context_of(len(places))
        given = "" if self.context is None else f", context={self.context}"
        rows = model.read(part, context, infer=True)
        codes = self.codes(rows.codes).astype(int)
        if rows.observed is not None:
            codes[~rows.observed[:, : len(self.faces)]] = -1
        try:
            table = read_table(model, model.predict(part, context=context), reset=False)
            likely = [domain.shown(table, j) for j in range(len(self.faces))]
        except ValueError:  # so much is missing in one of them that nothing can be told
            likely = [np.full(len(places), "")] * len(self.faces)
        return [
            {
                "row": place,
                "log_likelihood": float(found.log_likelihood[i]),
                "codes": codes[i].tolist(),
                "cells": [
                    {"column": j, "text": str(text), "surprise": float(nats), "likely": str(likely[j][i])}
                    for j, (text, nats) in enumerate(zip(found.values[i], found.surprise[i], strict=True))
                ],
                "python": f"model.anomalies(table[{place}:{place + 1}], 1{given}), "
                f"model.predict(table[{place}:{place + 1}]{given})",
            }
            for i, place in enumerate(places)
        ]

    def figures(self, *, served=False):
        """All that the page knows.

        Parameters
        ----------
        served : bool, default=False
            Whether a server answers the page.

        Returns
        -------
        figures : dict
        """
        columns = []
        for face, told, before, of_others in zip(self.faces, self._before, self.before, self._shared, strict=True):
            most = np.argsort(-of_others, kind="stable")[:MOST_NAMED]
            columns.append(
                face.figures()
                | {
                    "before": [round(share, 6) for share in before],
                    "listed": face.listed(before),
                    "middle": middle(told),
                    "dependence": float(of_others.sum()),
                    "with": most[of_others[most] > 0].tolist(),
                }
            )
        about = self._about
        rows = None
        if self.X is not None:
            n_rows, oddest = self.table
            places = oddest.rows.tolist()
            scores = zip(places, oddest.log_likelihood.tolist(), strict=True)
            rows = {
                "n": n_rows,
                "oddest": [{"row": place, "log_likelihood": score} for place, score in scores],
                "told": [] if served else self._rows(_rows_of(self.X, places), places, oddest),
            }
            about += f", and a table of {n_rows:,} row{'s' * (n_rows > 1)}"
        figures = {
            "title": self.title,
            "about": about,
            "columns": columns,
            "rows": rows,
            "graph": None if served else self.dependence,
            "served": served,
            "options": "".join(f", {name}={value}" for name, value in self.how.items() if value != DEFAULTS[name]),
        }
        n_kept, packed = _packed(self.draws, MOST_BYTES - len(json.dumps(figures)))
        return figures | {"draws": {"n": n_kept, "packed": packed}}

    def to_html(self):
        """The page, with all that it needs in it.

        Returns
        -------
        page : str
            HTML that needs no other file and no network.
        """
        return page(self.figures())

    def save(self, path):
        """Write the page to a file.

        Parameters
        ----------
        path : str or path-like
        """
        with whole_file(Path(path)) as file:
            file.write(self.to_html().encode())

    def serve(self, port=0, *, open_browser=True):
        """Serve the page on this machine until it is interrupted.

        Nothing but this machine is listened to, and nobody is answered who does not know the address, which is a new
        one every time.

        Parameters
        ----------
        port : int, default=0
            0 for any that is free.
        open_browser : bool, default=True
            Whether to open the page.
        """
        from .server import serve

        serve(self, port, open_browser=open_browser)

    def __repr__(self):
        return f"Explorer({self._about})"

    @property
    def _about(self):
        n, given = len(self.model.domain_.columns), ""
        if self.context is not None:
            pairs = zip(self.model.context_.column_names, self.context[0], strict=True)
            given = " given " + ", ".join(f"{name} = {cell}" for name, cell in pairs)
        return f"{type(self.model).__name__} of {n:,} column{'s' * (n > 1)}{given}"

    def _repr_html_(self):
        inner = self.to_html().replace("&", "&amp;").replace('"', "&quot;")
        style = f"width:100%;height:{FRAME}px;border:0;border-radius:12px"
        return f'<iframe srcdoc="{inner}" sandbox="allow-scripts" title="explorer" style="{style}"></iframe>'

    @cached_property
    def _shared(self):
        """Mutual information of columns in some draws, 0 where it may be chance: ndarray of shape (n, n), nats."""
        n = min(len(self.draws), ENOUGH)
        few, sizes = np.empty((n, len(self.faces)), dtype=np.uint8), np.zeros(len(self.faces), dtype=np.int32)
        for j, (face, before) in enumerate(zip(self.faces, self.before, strict=True)):
            k = len(face.labels) + 1  # one for unseen values
            place = np.arange(k) * FEW // k
            if not face.ordered:
                place[np.argsort([*(-share for share in before), 0.0], kind="stable")] = np.minimum(
                    np.arange(k), FEW - 1
                )
            few[:, j], sizes[j] = place[self.draws[:n, j]], place.max() + 1
        freedom = np.multiply.outer(sizes - 1, sizes - 1)
        # twice the rows times the information is by chance distributed as chi squared: mean, and standard deviations
        excess = mutual_information(few, sizes, n_threads(self.model.n_jobs)) - freedom / (2 * n)
        excess[excess < SURE * np.sqrt(2 * freedom) / (2 * n)] = 0
        np.fill_diagonal(excess, 0)
        return excess


@contextlib.contextmanager
def _quietly():
    """Without warnings of how good estimates are, which the page tells itself, or has no room for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MonteCarloWarning)
        yield


def _read_evidence(each, faces):
    """Number of a column, codes, whether all others are meant, and the first and the last of a run of bins, or None."""
    told = each if isinstance(each, dict) else {}
    j, codes, negated = told.get("column"), told.get("codes"), told.get("not")
    if not _is_place(j, len(faces)) or not isinstance(codes, list) or not isinstance(negated, bool):
        raise ParameterError("given must have a column, codes and not", parameter="given", value=each)
    face = faces[j]
    if "from" in told:
        run = told["from"], told.get("to")
        if not all(_is_place(end, face.n_bins) for end in run) or run[0] > run[1]:
            raise ParameterError("given must go from a bin to another", parameter="given", value=each)
        return j, codes, negated, run
    if not codes or not all(_is_place(code, len(face.labels)) for code in codes):
        raise ParameterError("given must have codes of values", parameter="given", value=each)
    return j, codes, negated, None


def _is_place(number, n):
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < n


def _packed(draws, room):
    """As many of the draws as there is room for: how many, and column by column, deflated, in base64."""
    some = len(_deflated(draws[:FEWEST_DRAWS]))  # which says how many there will be, so that few are deflated in vain
    n = min(len(draws), max(FEWEST_DRAWS, FEWEST_DRAWS * room // some))
    text = _deflated(draws[:n])
    while len(text) > room and n > FEWEST_DRAWS:
        n = max(int(n * 0.95 * max(room, 0) / len(text)), FEWEST_DRAWS)
        text = _deflated(draws[:n])
    return min(n, len(draws)), text


def _deflated(draws):
    return base64.b64encode(zlib.compress(np.ascontiguousarray(draws.T).tobytes())).decode()


def _rows_of(X, places):
    """A table of some of the rows of one."""
    if hasattr(X, "iloc"):
        return X.iloc[places]
    if hasattr(X, "column_names"):  # pyarrow's
        return X.take(places)
    return (np.asarray(X, dtype=object) if isinstance(X, (list, tuple)) else X)[places]


def read_question(body):
    """What a page asks, of the bytes that it sent: dict.

    Raises
    ------
    ParameterError
        If that is no JSON object.
    """
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        question = None
    if not isinstance(question, dict):
        raise ParameterError("a question must be a JSON object")
    return question
