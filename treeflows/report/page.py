"""One page about a table and its model: what the table holds, how well the model fits, its samples, and odd rows."""

import html
from collections import Counter
from datetime import timedelta
from string import Template

import numpy as np

from .._version import __version__
from ..learning.orders import mutual_information
from ..learning.rows import numbers_to_learn_from, rows_to_learn_from
from ..machine.draws import generator
from ..machine.threads import n_threads
from ..pictures.samples import DependenceDisplay, MarginalsDisplay, PairDisplay, strongest_pairs
from ..pictures.saving import embedded, use_no_window
from ..tables.bins import Bins
from ..tables.containers import is_missing
from ..tables.intervals import as_codes, n_codes
from ..tables.writing import to_frame
from .evaluation import INDEPENDENT, evaluate_split, read_domain

HELD_OUT = 0.1  # of the rows
RARE = 5  # rows: a value of fewer is rare
MOST_ROWS = 1000  # whose nearest training rows are looked for
MOST_SEEN = 20_000  # distinct training rows, among which they are
CELLS = 50_000_000  # compared at a time
ANOMALIES = 10
MOST_PAIRS = 2  # of columns of numbers that are drawn
QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95
MOST_COLUMNS = 24  # of the table of anomalies
STRONG, FAINT = 7.0, 0.7  # nats of surprise: from 1 in 1,100, marked the most, to 1 in 2, not at all


def report(model, table, name, *, seed=0):
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
        If matplotlib is not installed.
    """
    use_no_window()  # before any work is done
    n_rows = len(table)
    if n_rows < 2 / HELD_OUT:
        raise ValueError(f"{name} has {n_rows} rows; a report needs at least {2 / HELD_OUT:.0f}, to hold out a tenth")
    threads = n_threads(model.n_jobs)
    domain, rows = read_domain(model, table)
    shuffled = np.random.default_rng(seed).permutation(n_rows)
    held_out, seen = np.split(shuffled, [round(HELD_OUT * n_rows)])
    found = evaluate_split(model, domain, rows, np.sort(seen), held_out)
    if domain.numeric.any():
        data = numbers_to_learn_from(rows.codes, rows.observed, None, domain, generator(seed), threads)
    else:
        data, _ = rows_to_learn_from(rows.codes, rows.observed, None, domain.n_categories, generator(seed), threads)
    drawn = model.sample(n_rows, random_state=seed)
    samples = model.filled_codes(drawn)
    kind = type(model).__name__
    fit = {"kind": kind, "seen": len(seen), "held_out": len(held_out)} | found.figures(kind)
    pictures, quality = _quality(domain, data, samples, generator(seed), threads)
    # by what is written in the cells: codes know no rare values apart, and their missing cells may be drawn
    cells, drawn = _shared_codes(table, to_frame(drawn, table.columns))
    privacy = _privacy(cells[seen], cells[held_out], drawn, np.random.default_rng(seed))
    privacy["intervals"] = any(Bins.of_labels(set(table[name]) - {None}) is not None for name in table.columns)
    anomalies = model.anomalies(table, ANOMALIES)
    figures = {"rows": n_rows, "columns": len(domain.columns), "fit": fit, "quality": quality, "privacy": privacy}
    page = PAGE.substitute(
        title=html.escape(name),
        profile=_profile_html(_profile(table, domain), _numbers(domain, rows.codes), n_rows),
        fit=_fit_html(fit),
        quality=_quality_html(quality, pictures),
        privacy=_privacy_html(privacy),
        anomalies=_anomalies_html(anomalies),
        version=html.escape(__version__),
    )
    return page, figures


# ---- figures ----


def _profile(table, domain):
    """Of each column of categories: name, how many values, missing cells, rare values, most common value, its rows."""
    found = []
    for name in table.columns[~domain.numeric]:
        counts = Counter(table[name].tolist())
        missing = sum(counts.pop(value) for value in list(counts) if is_missing(value))
        most, rows = counts.most_common(1)[0]
        found.append(
            {
                "column": name,
                "values": len(counts),
                "missing": missing,
                "rare": sum(count < RARE for count in counts.values()),
                "most_common": str(most),
                "most_common_rows": rows,
            }
        )
    return found


def _numbers(domain, values):
    """Of each column of numbers: name, what they are, step, distinct values, missing cells, range and quantiles."""
    found = []
    for j in np.flatnonzero(domain.numeric).tolist():
        quantity, x = domain.columns[j], values[~np.isnan(values[:, j]), j]
        at = [quantity.low, *np.quantile(x, QUANTILES, method="inverted_cdf"), quantity.high]
        found.append(
            {
                "column": domain.column_names[j],
                "kind": quantity.kind if quantity.step else f"{quantity.kind}, continuous",
                "step": _step(quantity),
                "values": len(np.unique(x)),
                "missing": len(values) - len(x),
                "quantiles": [_shown(quantity, number) for number in at],
            }
        )
    return found


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


def _quality(domain, data, samples, rng, threads):
    """Pictures of data and samples side by side, and figures of how they differ."""
    marginals = MarginalsDisplay.of_tables(domain, data, samples)
    k, (codes, edges) = n_codes(domain), as_codes(data, domain.numeric)
    shuffled = np.column_stack([rng.permutation(column) for column in codes.T])
    tables = codes, as_codes(samples, domain.numeric, edges)[0], shuffled
    shared = [mutual_information(each, k, threads) for each in tables]
    pictures = {"marginals": embedded(marginals.plot())}
    pairs = np.triu_indices(len(k), 1)
    quality = {
        "distance_mean": float(marginals.distance.mean()),
        "distance_max": float(marginals.distance.max()),
        "farthest_column": domain.column_names[marginals.distance.argmax()],
    }
    if len(k) > 1:
        in_data, in_samples, chance = (float(information[pairs].mean()) for information in shared)
        display = DependenceDisplay({"data": shared[0], "samples": shared[1]}, domain.column_names, chance)
        pictures["dependence"] = embedded(display.plot())
        quality |= {"information_data": in_data, "information_samples": in_samples, "information_chance": chance}
    for i, pair in enumerate(strongest_pairs(domain, data, MOST_PAIRS, threads)):
        pictures[f"pair {i}"] = embedded(PairDisplay.of_tables(domain, data, samples, pair).plot())
    return pictures, quality


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


# ---- the page ----


def _profile_html(profile, numbers, n_rows):
    n_columns, holes = len(profile) + len(numbers), sum(each["missing"] for each in numbers)
    missing, rare, values = (sum(each[what] for each in profile) for what in ("missing", "rare", "values"))
    head = _sentence(
        f"Rows: {n_rows:,}. Columns: {n_columns:,}{f', {len(numbers):,} of them of numbers' if numbers else ''}. "
        f"Values of all columns{' of categories' if numbers else ''}: {values:,}. "
        f"Missing cells: {_share(missing + holes, n_rows * n_columns)}. "
        f"Rare values, in fewer than {RARE} rows: {rare:,}."
    )
    body = [
        [
            _cell(each["column"]),
            _cell(f"{each['values']:,}", "number"),
            _cell(_share(each["missing"], n_rows), "number"),
            _cell(f"{each['rare']:,}", "number"),
            _cell(each["most_common"]),
            _bar(each["most_common_rows"] / n_rows),
        ]
        for each in profile
    ]
    made = (
        _table(["column", "values", "missing", "rare values", "most common value", "its share"], body) if body else ""
    )
    if not numbers:
        return head + made
    told = [
        [
            _cell(each["column"]),
            _cell(each["kind"]),
            _cell(each["step"], "number"),
            _cell(f"{each['values']:,}", "number"),
            _cell(_share(each["missing"], n_rows), "number"),
            *(_cell(number, "number") for number in each["quantiles"]),
        ]
        for each in numbers
    ]
    quantiles = ["median" if q == 0.5 else f"{q:.0%}" for q in QUANTILES]
    header = ["column", "holds", "step", "distinct values", "missing", "least", *quantiles, "greatest"]
    return head + _table(header, told) + made


def _fit_html(fit):
    kind, gain, error = fit["kind"], fit["gain"], fit["gain_standard_error"]
    head = _sentence(
        f"Learned from {fit['seen']:,} rows, in {fit['models'][kind]['seconds']:.2f} s, and asked for the likelihood "
        f"of the {fit['held_out']:,} rows that were held out. A lower negative log-likelihood is better: {kind} gains "
        f"{gain:.3f} ± {error:.3f} nats per row over {INDEPENDENT}, so that a held-out row is, in "
        f"geometric mean, {_times(gain)} as probable. ± is one standard error. {fit['verdict']}."
    )
    body = [
        [
            _cell(name),
            _cell(f"{each['nll']:.3f} ± {each['standard_error']:.3f}", "number"),
            _cell(f"{each['seconds']:.2f}", "number"),
        ]
        for name, each in fit["models"].items()
    ]
    return head + _table(["model", "held-out negative log-likelihood, nats per row", "seconds to fit"], body)


def _quality_html(quality, pictures):
    told = (
        "As many rows as the table has were drawn from the model. The share of rows that would have to change for a "
        f"column of the samples to be distributed as that of the data is {quality['distance_mean']:.3f} on average, "
        f"and at most {quality['distance_max']:.3f}, of the column “{quality['farthest_column']}”."
    )
    if "dependence" in pictures:
        told += (
            f" Two columns share {quality['information_data']:.4f} nats in the data, on average over all pairs, "
            f"{quality['information_samples']:.4f} in the samples, and {quality['information_chance']:.4f} by "
            "chance alone."
        )
    captions = {
        "marginals": "Frequencies of values in data and samples, of the columns that differ most",
        "dependence": "Mutual information of every two columns, in data and samples; numbers cut into eighths",
    }
    if "pair 0" not in pictures:
        captions["dependence"] = captions["dependence"].removesuffix("; numbers cut into eighths")
    captions |= {what: "Two columns of numbers, in data and samples" for what in pictures if what not in captions}
    return _sentence(told) + "".join(
        f'<figure><img src="{picture}" alt="{html.escape(captions[what])}">'
        f"<figcaption>{html.escape(captions[what])}</figcaption></figure>"
        for what, picture in pictures.items()
    )


def _privacy_html(privacy):
    samples, held_out = privacy["samples"], privacy["held_out"]
    told = (
        f"{samples['verbatim']:.1%} of the samples are, word for word, rows that the model has learned from; so are "
        f"{held_out['verbatim']:.1%} of the held-out rows, which it has not seen. A training row was drawn "
        f"{privacy['training_rows_drawn']:.2f} times on average, a held-out row {privacy['held_out_rows_drawn']:.2f} "
        "times: the more these two differ, the more the model repeats rows rather than what they have in common. None "
        "of this is a guarantee of privacy: a rare row may be told by its values even if it is not repeated."
    )
    if privacy["intervals"]:
        told += " Columns that are cut into bins are compared by their intervals."
    n_distinct, compared = privacy["distinct_training_rows"], privacy["distinct_training_rows_compared"]
    if compared < n_distinct:
        told += f" The nearest training row is that among {compared:,} drawn from {n_distinct:,} distinct ones."
    body = [
        [
            _cell(what),
            _cell(f"{each['rows']:,}", "number"),
            _cell(f"{each['verbatim']:.1%}", "number"),
            _cell(f"{each['nearest_mean']:.2f} (of {each['nearest_rows']:,} rows)", "number"),
        ]
        for what, each in (("samples", samples), ("held-out rows", held_out))
    ]
    header = ["", "rows", "verbatim training rows", "columns that differ from the nearest training row, mean"]
    return _sentence(told) + _table(header, body)


def _anomalies_html(found):
    columns = np.sort(np.argsort(-found.surprise.max(axis=0), kind="stable")[:MOST_COLUMNS])
    told = (
        f"The {len(found.rows)} rows that the model thinks least probable, numbered from 0. A cell is marked the more, "
        "the less the rest of its row lets expect it; point at it for its probability given the rest."
    )
    if len(columns) < len(found.names):
        told += f" {len(found.names) - len(columns):,} columns of less surprise are left out."
    body = [
        [
            _cell(f"{found.rows[i]:,}", "number"),
            _cell(f"{found.log_likelihood[i]:.1f}", "number"),
            *(_marked(str(found.values[i, j]), found.surprise[i, j]) for j in columns),
        ]
        for i in range(len(found.rows))
    ]
    title = "<h2>Rows that hardly belong</h2>\n"
    return title + _sentence(told) + _table(["row", "log-likelihood, nats", *(found.names[j] for j in columns)], body)


def _table(header, body):
    """A table of text, and of cells made by `_cell` and `_bar`."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in body)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cell(text, kind="text"):
    return f'<td class="{kind}">{html.escape(text)}</td>'


def _marked(text, nats):
    mark = 0.6 * min(max((nats - FAINT) / (STRONG - FAINT), 0.0), 1.0)
    told = f"probability {np.exp(-nats):.2g} given the rest"
    return (
        f'<td class="text" style="background: rgba(126, 58, 242, {mark:.2f})" title="{told}">{html.escape(text)}</td>'
    )


def _bar(share):
    return f'<td class="bar"><span style="--share:{100 * share:.1f}%"></span>{share:.1%}</td>'


def _sentence(text):
    return f"<p>{html.escape(text)}</p>"


def _share(part, whole):
    return "none" if part == 0 else f"{part / whole:.1%}" if part / whole >= 0.001 else "less than 0.1%"


def _times(nats):
    factor = np.exp(min(nats, 700.0))
    return f"{factor:,.1f} times" if factor < 1000 else f"{factor:.1e} times"


PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c1c22; --dim: #5c5c66; --page: #fbfbfc; --line: #dcdce2;
  --bar: #b9c9e8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --dim: #a0a0ab; --page: #17171b; --line: #36363e; --bar: #35507f; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; color: var(--ink); background: var(--page);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 0.3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 0.4rem; border-top: 1px solid var(--line); padding-top: 1rem; }
p { max-width: 46rem; margin: 0.5rem 0 1rem; }
.dim, figcaption, footer { color: var(--dim); font-size: 0.9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--dim); font-weight: 600; vertical-align: bottom; }
.number { text-align: right; }
td.text { max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
.bar span { display: inline-block; width: 8rem; height: 0.8em; margin-right: 0.5rem; vertical-align: -0.05em;
  border-radius: 2px; background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
figure { margin: 1.2rem 0; }
img { max-width: 100%; height: auto; background: white; border-radius: 6px; border: 1px solid var(--line); }
</style>
</head>
<body>
<h1>$title</h1>
<p class="dim">What an exact probability model tells of this table</p>
<h2>The table</h2>
$profile
<h2>How well the model fits</h2>
$fit
<h2>Samples beside the data</h2>
$quality
<h2>Do samples repeat rows?</h2>
$privacy
$anomalies
<footer><p>treeflows $version</p></footer>
</body>
</html>
""")
