"""One page about a table and its model: what the table holds, how well the model fits, dependence, odd rows."""

from collections import Counter
from datetime import timedelta
from importlib.resources import files

import numpy as np
from sklearn.base import clone

from .._ext import elementary
from .._version import __version__
from ..learning.orders import mutual_information
from ..learning.rows import numbers_to_learn_from, rows_to_learn_from
from ..machine.draws import generator
from ..machine.threads import n_threads
from ..models.base import learn_density
from ..models.dependence import DependenceGraph
from ..pictures.graph import DependenceGraphDisplay
from ..pictures.samples import MarginalsDisplay, PairDisplay, strongest_pairs
from ..pictures.saving import inline, use_no_window
from ..tables.bins import Bins
from ..tables.containers import is_missing
from ..tables.intervals import as_codes, n_codes
from ..tables.policy import TablePolicy
from ..tables.writing import to_frame
from .differences import section
from .evaluation import INDEPENDENT, evaluate_fitted, evaluate_split, read_domain

HELD_OUT = 0.1  # of the rows
SMALL, FOLDS = 250, 5  # rows of a table, below which each is held out once for dependence, in so many folds
RARE = 5  # rows: a value of fewer is rare
MOST_ROWS = 1000  # whose nearest training rows are looked for
MOST_SEEN = 20_000  # distinct training rows, among which they are
CELLS = 50_000_000  # compared at a time
ANOMALIES = 10
ODDEST = 3  # rows, in the summary
MARKED = 4  # cells of an odd row that are told
STRONGEST = 3  # dependences, in the summary
MOST_DEPENDENCES = 30  # in the table of them
MOST_PAIRS = 2  # of columns of numbers that are drawn
QUANTILES = 0.05, 0.5, 0.95
MOST_CARDS = 60  # columns that are drawn
MOST_BARS = 7  # of a column of categories
STRONG, FAINT = 7.0, 0.7  # nats of surprise: from 1 in 1,100, marked the most, to 1 in 2, not at all
WIDTH, HEIGHT = 300, 64  # of a histogram, in its own units


def report(model, table, name, *, seed=0, against=None):
    """Learn a model of nine tenths of a table, and say on one page what it tells of the table.

    Parameters
    ----------
    model : unfitted model of this package
    table : DataFrame
        Of text and None, and of numbers.
    name : str
        What the table is called.
    seed : int, default=0
        Draws the rows to hold out, and the samples.
    against : Against, default=None
        Another table, and what differs from it.

    Returns
    -------
    page : str
        HTML that needs no other file.
    figures : dict
        For programs: what the page says in numbers.

    Raises
    ------
    ValueError
        For fewer than 20 rows; and what ``fit`` raises.
    ImportError
        If Jinja2 or matplotlib is not installed.
    """
    template = _template()  # before any work is done
    n_rows = len(table)
    if n_rows < 2 / HELD_OUT:
        raise ValueError(f"{name} has {n_rows} rows; a report needs at least {2 / HELD_OUT:.0f}, to hold out a tenth")
    domain, rows = read_domain(model, table)
    shuffled = np.random.default_rng(seed).permutation(n_rows)
    held_out, seen = np.split(shuffled, [round(HELD_OUT * n_rows)])
    found = evaluate_split(model, domain, rows, np.sort(seen), held_out)
    kind = type(model).__name__
    fit = {"kind": kind, "seen": len(seen), "held_out": len(held_out)} | found.figures(kind)
    drawn = model.sample(n_rows, random_state=seed)
    # by what is written in the cells: codes know no rare values apart, and their missing cells may be drawn
    cells, of_drawn = _shared_codes(table, to_frame(drawn, table.columns))
    privacy = _privacy(cells[seen], cells[held_out], of_drawn, np.random.default_rng(seed))
    privacy["intervals"] = any(Bins.of_labels(set(table[name]) - {None}) is not None for name in table.columns)
    folds = FOLDS if n_rows < SMALL else 1
    if folds > 1:
        parts = np.array_split(shuffled, folds)
        graph = DependenceGraph.pooled([_without(model, domain, rows, part, table, seed) for part in parts])
    else:
        graph = model.dependence_graph(table.iloc[held_out], random_state=seed)
    return _page(template, model, table, rows, drawn, (graph, folds), fit, privacy, name, seed, against)


def report_fitted(model, table, name, *, seed=0, against=None, context=None):
    """Say on one page what a fitted model tells of a table.

    Parameters
    ----------
    model : fitted model of this package
    table : DataFrame
        With the columns of the model, as it takes them.
    name : str
        What the table is called.
    seed : int, default=0
        Draws the samples.
    against : Against, default=None
        As `report` takes it.
    context : DataFrame, default=None
        Of a model that was fitted to one, what the rows are conditioned on; rows are drawn within the same.

    Returns
    -------
    page : str
    figures : dict
        As `report` has them; whether samples repeat rows is not told, since it is not known which rows the model has
        seen.

    Raises
    ------
    ValueError
        For a table without rows, or of values that the model does not know.
    ImportError
        If Jinja2 or matplotlib is not installed.
    """
    template = _template()
    if len(table) < 2:
        raise ValueError(f"{name} has {len(table)} rows; a report needs at least 2")
    codes = model.given_codes(context, len(table))
    rows = _read(model, table)
    drawn = model.sample(len(table), random_state=seed, context=context)
    kind = type(model).__name__
    fit = {"kind": kind, "seen": None, "held_out": len(table)}
    fit |= evaluate_fitted(model, rows, _read(model, drawn), codes).figures(kind)
    dependence = model.dependence_graph(table, context, random_state=seed), 1
    return _page(template, model, table, rows, drawn, dependence, fit, None, name, seed, against, context)


def _read(model, table):
    """What a table says in terms of the columns that a model tells, and not of its context: Rows."""
    return TablePolicy.of(model).encode(model.domain_, model.table_of(table), n_threads(model.n_jobs))


def _without(model, domain, rows, part, table, seed):
    """The dependence that a model of all rows but a part finds in these."""
    rest = np.setdiff1d(np.arange(len(table)), part)
    apart = clone(model).set_params(verbose=0)
    learned = learn_density(apart, rows.chosen(rest), domain, apart.random_state, n_threads(apart.n_jobs))
    return apart.take(domain, learned).dependence_graph(table.iloc[part], random_state=seed)


def _page(template, model, table, rows, drawn, dependence, fit, privacy, name, seed, against, context=None):
    """The page, and its figures; ``dependence`` is a graph, and in how many folds it was measured."""
    graph, folds = dependence
    domain, n_rows, threads = model.domain_, len(table), n_threads(model.n_jobs)
    if domain.numeric.any():
        data = numbers_to_learn_from(rows.codes, rows.observed, None, domain, generator(seed), threads)
    else:
        data, _ = rows_to_learn_from(rows.codes, rows.observed, None, domain.n_categories, generator(seed), threads)
    samples = model.filled_codes(drawn, context)[:, : len(domain.columns)]
    marginals = MarginalsDisplay.of_tables(domain, data, samples)
    anomalies = model.anomalies(table, ANOMALIES, context)
    frame = to_frame(table, domain.column_names)
    given = None if context is None else to_frame(context, model.context_.column_names)
    missing = _missing(frame)
    figures = {
        "rows": n_rows,
        "columns": len(domain.columns),
        "missing": missing,
        "fit": fit,
        "dependence": {"folds": folds} | _dependences(graph),
        "quality": _quality(domain, data, samples, marginals, generator(seed), threads),
        "anomalies": [_odd(anomalies, i) for i in range(len(anomalies.rows))],
    }
    if privacy is not None:
        figures["privacy"] = privacy
    if against is not None:
        figures["differences"] = {"against": against.name} | against.found.figures()
    pairs = [
        PairDisplay.of_tables(domain, data, samples, of) for of in strongest_pairs(domain, data, MOST_PAIRS, threads)
    ]
    page = template.render(
        name=name,
        figures=figures,
        version=__version__,
        independent=INDEPENDENT,
        times=_times(fit["gain"]),
        differs=None if against is None else section(against, frame if given is None else frame.join(given)),
        given=[] if given is None else list(given.columns),
        missing_told=_missing_told(missing, model, frame.size),
        n_numbers=int(domain.numeric.sum()),
        cards=_cards(frame, domain, rows.codes, marginals),
        oddest=figures["anomalies"][:ODDEST],
        strongest=[_strongest(graph, pair) for pair in graph.pairs()[:STRONGEST]],
        most_dependences=MOST_DEPENDENCES,
        graph=inline(DependenceGraphDisplay(graph).plot().figure_, "graph") if graph.pairs() else "",
        pairs=[(*pair.names, inline(pair.plot().figure_, f"pair{i}")) for i, pair in enumerate(pairs)],
    )
    return page, figures


def _template():
    """The template of the page; ImportError, with what to install, if something is not there."""
    use_no_window()
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise ImportError("a report needs Jinja2: pip install 'treeflows[report]'") from None
    # all that is put in is escaped, but for pictures
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"share": _share, "probability": _probability, "factor": _factor}
    return environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))


# ---- figures ----


def _missing(frame):
    """How many cells are missing, in which columns, the most first, and in how many rows."""
    holes = np.column_stack([[is_missing(cell) for cell in frame.iloc[:, j].tolist()] for j in range(frame.shape[1])])
    counts = holes.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    return {
        "cells": int(counts.sum()),
        "rows": int(holes.any(axis=1).sum()),
        "columns": {str(frame.columns[j]): int(counts[j]) for j in order if counts[j]},
    }


def _missing_told(missing, model, n_cells):
    """What is missing and how, in words."""
    if not missing["cells"]:
        return "No cell is missing."
    columns = [f"{name} ({count:,})" for name, count in list(missing["columns"].items())[:3]]
    rest = len(missing["columns"]) - len(columns)
    how = "summed out" if model.missing == "marginalize" else "a value of their own"
    return (
        f"{missing['cells']:,} cells are missing ({_share(missing['cells'], n_cells)}), in {missing['rows']:,} rows: "
        f"{', '.join(columns)}{f' and {rest} more columns' if rest else ''}. To the model they are {how}."
    )


def _cards(frame, domain, values, marginals):
    """Of each column that is drawn: its name, what it holds, and its distribution in data and in samples."""
    cards = []
    for j, name in enumerate(domain.column_names[:MOST_CARDS]):
        column, cells = domain.columns[j], frame.iloc[:, j].tolist()
        counts = Counter(cells)
        missing = sum(counts.pop(value) for value in list(counts) if is_missing(value))
        card = {
            "column": name,
            "values": len(counts),
            "missing": missing,
            "distance": float(marginals.distance[j]),
            "rare": sum(count < RARE for count in counts.values()),
        }
        data, samples = np.asarray(marginals.data[j]), np.asarray(marginals.samples[j])
        if domain.numeric[j]:
            x = values[~np.isnan(values[:, j]), j]
            at = [column.low, *np.quantile(x, QUANTILES, method="inverted_cdf"), column.high] if len(x) else []
            step = f", in steps of {_step(column)}" if column.step else ", continuous"
            card |= {
                "kind": f"{column.kind}{step}",
                "quantiles": [_shown(column, number) for number in at],
            }
            card |= _histogram(marginals.histograms[j], data, samples, column)
        else:
            card |= {"kind": "categories", "bars": _bars(marginals.labels[j], data, samples)}
        cards.append(card)
    return cards


def _bars(labels, data, samples):
    """Label, and shares in data and in samples, of the most frequent categories, and of the others together."""
    order = np.argsort(-data, kind="stable")
    shown = order if len(order) <= MOST_BARS else order[: MOST_BARS - 1]
    bars = [(labels[v], float(data[v]), float(samples[v])) for v in shown]
    if len(shown) < len(order):
        of_data, of_samples = (max(1 - float(shares[shown].sum()), 0.0) for shares in (data, samples))
        bars.append((f"{len(order) - len(shown)} others", of_data, of_samples))
    return bars


def _histogram(histogram, data, samples, quantity):
    """Outlines of a histogram's bins in data and in samples, its ends, and the values that recur."""
    n_bins = len(histogram.edges) - 1
    top = max(data[:n_bins].max(), samples[:n_bins].max(), 1e-9)
    x = np.linspace(0, WIDTH, n_bins + 1)

    def outline(shares):
        steps = [f"L{left:.1f} {y:.1f}L{right:.1f} {y:.1f}" for left, right, y in zip(x, x[1:], shares, strict=False)]
        return f"M0 {HEIGHT}{''.join(steps)}L{WIDTH} {HEIGHT}"

    heights = [HEIGHT - (HEIGHT - 4) * shares[:n_bins] / top for shares in (data, samples)]
    atoms = zip(histogram.atoms, data[n_bins:-1], samples[n_bins:-1], strict=True)
    edges = [_rounded(quantity, edge) for edge in (histogram.edges[0], histogram.edges[-1])]
    return {
        "of_data": outline(heights[0]),
        "of_samples": outline(heights[1]),
        "ends": edges,
        "bars": [(_shown(quantity, atom), float(a), float(b)) for atom, a, b in atoms],
    }


def _rounded(quantity, number):
    """The end of a bin, which may lie between the values of a quantity, to print."""
    nearest = quantity.low + round((number - quantity.low) / quantity.step) * quantity.step if quantity.step else number
    return _shown(quantity, min(max(nearest, quantity.low), quantity.high))


def _shown(quantity, number):
    """A number of a quantity as a page has room for it."""
    cell = quantity.cells(np.array([number]))[0][0]
    if quantity.is_time:
        return str(cell.astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")
    return f"{cell:.6g}" if isinstance(cell, np.floating) else str(cell)


def _step(quantity):
    """The distance of neighbours on a quantity's lattice, to print."""
    if quantity.step and (quantity.is_time or quantity.is_duration):
        return str(timedelta(seconds=quantity.step)).removesuffix(", 0:00:00")
    return f"{quantity.step:.6g}" if quantity.step else "none"


def _dependences(graph):
    """Those that are told from chance, the strongest first."""
    found = []
    for i, name in enumerate(graph.names):
        for other, nats, error in graph.of(i):
            share = min(nats / float(graph.entropy[i]), 1.0)
            of = {"nats": nats, "standard_error": error, "share": share, "of": float(graph.entropy[i])}
            found.append({"column": name, "depends_on": other} | of)
    return {"rows": graph.n_rows, "found": sorted(found, key=lambda each: -each["nats"])}


def _strongest(graph, pair):
    """Two columns, and how much of what is to be told of the first the other tells."""
    i, j, nats = pair
    return graph.names[i], graph.names[j], min(nats / float(graph.entropy[i]), 1.0)


def _quality(domain, data, samples, marginals, rng, threads):
    """Figures of how samples differ from the data."""
    k, (codes, edges) = n_codes(domain), as_codes(data, domain.numeric)
    shuffled = np.column_stack([rng.permutation(column) for column in codes.T])
    tables = codes, as_codes(samples, domain.numeric, edges)[0], shuffled
    quality = {
        "distance_mean": float(marginals.distance.mean()),
        "distance_max": float(marginals.distance.max()),
        "farthest_column": domain.column_names[marginals.distance.argmax()],
    }
    if len(k) > 1:
        pairs = np.triu_indices(len(k), 1)
        of = (float(mutual_information(each, k, threads)[pairs].mean()) for each in tables)
        quality |= dict(zip(("information_data", "information_samples", "information_chance"), of, strict=True))
    return quality


def _shared_codes(*tables):
    """Cells of tables of the same columns as numbers, equal where the cells are: an ndarray of int32 for each."""
    made = [np.empty(table.shape, dtype=np.int32) for table in tables]
    for j in range(tables[0].shape[1]):
        code_of = {}
        for table, codes in zip(tables, made, strict=True):
            # None and NaN are missing alike: which of them stands for it is the choice of pandas
            cells = (None if is_missing(cell) else cell for cell in table.iloc[:, j].tolist())
            codes[:, j] = [code_of.setdefault(cell, len(code_of)) for cell in cells]
    return made


def _privacy(seen, held_out, samples, rng):
    """How samples and held-out rows lie to the training rows ``seen``; and how often either kind of row was drawn."""
    known, distinct = {row.tobytes() for row in seen}, np.unique(seen, axis=0)
    n_distinct = len(distinct)
    if n_distinct > MOST_SEEN:
        distinct = distinct[rng.choice(n_distinct, MOST_SEEN, replace=False)]
    drawn = Counter(row.tobytes() for row in samples)
    found = {}
    for what, table in (("samples", samples), ("held_out", held_out)):
        distance = _nearest(distinct, table[:MOST_ROWS])
        found[what] = {
            "rows": len(table),
            "verbatim": float(np.mean([row.tobytes() in known for row in table])),
            "nearest_mean": float(distance.mean()),
            "nearest_rows": len(distance),
        }
    return found | {
        "distinct_training_rows": n_distinct,
        "distinct_training_rows_compared": len(distinct),
        "training_rows_drawn": float(np.mean([drawn[row.tobytes()] for row in seen])),
        "held_out_rows_drawn": float(np.mean([drawn[row.tobytes()] for row in held_out])),
    }


def _nearest(seen, rows):
    """In how many columns each row differs from that of ``seen`` which is most like it."""
    step = max(1, CELLS // seen.size)
    return np.concatenate(
        [
            (rows[start : start + step, None, :] != seen[None]).sum(axis=2, dtype=np.int32).min(axis=1)
            for start in range(0, len(rows), step)
        ]
    )


def _odd(found, i):
    """An odd row: its number, its log-likelihood, and its cells, the most surprising first."""
    order = np.argsort(-found.surprise[i], kind="stable")
    cells = []
    for j in order.tolist():
        nats = float(found.surprise[i, j])
        mark = min(max((nats - FAINT) / (STRONG - FAINT), 0.0), 1.0)
        is_tail = found.numeric is not None and found.numeric[j] and found.values[i, j] != "(missing)"
        of = {"probability": float(elementary.exp(-nats)), "mark": round(mark, 3), "is_tail": bool(is_tail)}
        cells.append({"column": found.names[j], "value": str(found.values[i, j])} | of)
    return {
        "row": int(found.rows[i]),
        "log_likelihood": float(found.log_likelihood[i]),
        "cells": cells[:MARKED],
        "others": cells[MARKED:],
    }


def _share(part, whole):
    return "none" if part == 0 else f"{part / whole:.1%}" if part / whole >= 0.001 else "less than 0.1%"


def _probability(p):
    """A probability as people say it."""
    if p >= 0.01:
        return f"{p:.0%}"
    return f"1 in {1 / p:,.0f}" if p > 1e-6 else f"{p:.0e}"


def _times(nats):
    """How many times as probable, as people say it."""
    return _factor(float(elementary.exp(min(nats, 700.0))))


def _factor(factor):
    """A factor as people say it."""
    if factor < 10:
        return f"{factor:.1f} times"
    if factor < 1e6:
        return f"{factor:,.0f} times"
    if factor < 1e9:
        return f"{factor / 1e6:,.0f} million times"
    return f"{factor / 1e9:,.0f} billion times" if factor < 1e12 else f"{factor:.0e} times"
