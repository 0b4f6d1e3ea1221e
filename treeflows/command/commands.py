"""What the commands do, and what they print; `options.DESCRIPTIONS` tells what each is for."""

import contextlib
import errno
import json
import math
import os
import re
import sys
import time
import warnings
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sklearn.base import clone

from ..files.models import load, save
from ..files.numbers import numbers_of, odd_cell
from ..files.packing import pack
from ..files.tables import (
    STDIN,
    as_text,
    binned,
    called,
    for_domain,
    for_model,
    is_text,
    of_objects,
    printable,
    read_blocks,
    read_file,
    typed_alike,
    typed_like,
    value_of,
    with_numbers,
    without_ending,
    written,
)
from ..files.text import TextFormat
from ..machine.archives import whole_file
from ..machine.errors import DescribedError, TableError
from ..machine.parts import parts
from ..machine.spelling import nearest
from ..machine.threads import n_threads
from ..models.autoregressive import AutoregressiveTreeFlow
from ..models.base import check_model, learn_density, read_given, read_to_learn
from ..models.baselines import INDEPENDENT
from ..models.discrete import DiscreteTreeFlow
from ..models.ensemble import TreeFlowEnsemble
from ..models.imputation import multiply_impute
from ..models.mixture import TreeFlowMixture
from ..models.questions import log_likelihood
from ..report.evaluation import check_held_out, evaluate
from ..tables.bins import DECILES
from ..tables.contexts import beside, with_context
from ..tables.domain import MAX_CATEGORIES, UNSEEN, choice, listing
from ..tables.given import NOT
from ..tables.packed import BLOCK, PackedTable
from ..tables.writing import STDOUT, check_ending, to_frame, writing
from .options import parser

MODELS = {
    "auto": TreeFlowMixture,
    "tree": AutoregressiveTreeFlow,
    "ensemble": TreeFlowEnsemble,
    "dtf": DiscreteTreeFlow,
}
LAYER_OPTIONS = ("layers", "max_depth", "min_samples_split", "criterion", "early_stopping")
TABLE_OPTIONS = ("drop", "bin", "numeric", "kind", "missing", "unknown", "min_frequency", "max_categories")
SPELLED = {
    "handle_unknown": "unknown",
    "n": "rows",
    "n_permutations": "permutations",
    "n_samples": "rows",
    "random_state": "seed",
}  # others as they are
NOT_ASKED = ("categories",)  # of the parameters that mend a table
# what writes a table, which standard output takes too
TABLES = ("sample", "score", "impute", "predict", "query", "groups")
MARKS = ("?", "-", ".", "n/a", "na", "nan", "none", "null", "missing", "#n/a")  # that missing cells often have
NUMBERING = (".imp", ".id")  # of several filled tables in one, as mice has it and reads it
DEFAULT_ENDINGS = {"fit": "treeflow", "report": "html"}  # of outputs that are named after the data


def run(arguments):
    """Run one command, whose output is checked before any work is done; returns the exit code."""
    arguments.output = _output(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)  # such as a MonteCarloWarning: told once
        warnings.showwarning = _note
        code = COMMANDS[arguments.command](arguments)
    sys.stdout.flush()
    return code or 0


def one_line(error):
    """An error as the command line tells it."""
    if isinstance(error, DescribedError):
        text = error.text(_option)
        value = getattr(error, "value", None)
        if isinstance(value, str) and value.lower() in MARKS:
            text += f"; if {value!r} marks a missing cell, say so with --na {value!r}"
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = _of_system(error)
    else:
        text = str(error)
    return printable(" ".join(text.split())) or type(error).__name__


def _of_system(error):
    """What the system says of a file, as a sentence that names it, and those of the folder that are named alike."""
    path = Path(str(error.filename))
    if not isinstance(error, FileNotFoundError):
        return f"{path}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    if not path.parent.is_dir():
        return f"there is no file {path}: there is no folder {path.parent}"
    return f"there is no file {path}{nearest(path.name, sorted(each.name for each in path.parent.iterdir()))}"


def _fit(arguments):
    weight = context = None
    if _is_packed(arguments.data):
        model, table = _packed_to_learn(arguments)
    else:
        table = _read_to_learn(arguments)
        if arguments.weight is not None:
            table, weight = _weighed(table, arguments.weight)
        model, table = _to_learn(arguments, table)
        if arguments.context:
            table, context = _apart(model, table, arguments.context)
    start, threads = time.perf_counter(), n_threads(arguments.jobs)
    check_model(model)
    given = codes = None
    if context is None:
        # of rows that are counted it is not known which of the values of a group they have
        counted = arguments.max_categories is None and arguments.min_frequency is None
        domain, rows, times = read_to_learn(model, table, weight, counted=counted)
        joint, whole = domain, rows
    else:
        domain, given, rows, codes, times = read_given(model, table, context, weight)
        joint, whole = beside(domain, given), with_context(rows, codes)
    with _parts(arguments) as run:
        model.take(domain, learn_density(model, whole, joint, arguments.seed, threads, times), given)
    seconds = time.perf_counter() - start
    save(model, arguments.output)
    figures = {
        "kind": type(model).__name__,
        "rows": len(table),
        "weight": len(table) if weight is None else float(times.sum()),
        "columns": len(domain.columns),
        "numbers": int(domain.numeric.sum()),
        "categories": int(domain.first_category[-1]),
        "train_nll": None,
        "seconds": seconds,
        "model": arguments.output,
    }
    if run is not None:
        figures["parts"] = run.figures()
    # sums over missing cells may take longer than the fit, as does each row of what is learned from in passes
    is_scored = rows.observed is None and isinstance(rows.codes, np.ndarray)
    if arguments.json and is_scored:
        scores, _ = log_likelihood(model.distribution_, model.conditioned(rows, codes), threads)
        figures["train_nll"] = 0.0 - float(np.average(scores, weights=times))  # a certain table has 0, not -0
    if not arguments.json:  # the model is there, whatever becomes of the check
        _tell_fit(figures, is_weighted=weight is not None)
    if is_scored and not arguments.no_held_out:
        found, n_seen = check_held_out(model, domain, rows, times, given, codes, arguments.seed)
        if found is not None:
            checked = found.figures(figures["kind"])
            n_held_out = len(found.scores[figures["kind"]])
            figures["held_out"] = {"rows": n_held_out, "learned_from": n_seen} | checked
            if not arguments.json:
                _tell_check(figures["held_out"])
    if arguments.json:
        print(_as_json(figures))


def _tell_fit(figures, is_weighted):
    printed = "{rows:,} rows" + " that stand for {weight:,g}" * is_weighted
    printed += ", {columns} columns, {categories} categories"
    numbers = ", {numbers} column{s} of numbers" * (figures["numbers"] > 0)
    print((printed + numbers).format(s="s" * (figures["numbers"] > 1), **figures))
    if "parts" in figures:
        told = "parts: {found:,} found, {computed:,} computed, {per_second:.1f} a second; {workers_lost} workers lost"
        print(told.format(**figures["parts"]))
    print("fitted in {seconds:.2f} s, wrote {model}".format(**figures), flush=True)


def _tell_check(check):
    kind, others = list(check["models"])[-1], list(check["models"])[:-1]
    nll = {name: 0.0 + each["nll"] for name, each in check["models"].items()}
    told = ", ".join(f"{nll[name]:.3f} with {name}" for name in others)
    print(
        f"checked on {check['rows']:,} held-out rows, learned from {check['learned_from']:,} others: negative "
        f"log-likelihood {nll[kind]:.3f} nats per row, {told}"
    )
    print(check["verdict"])


def _parts(arguments):
    """What the fit is computed in, if it is in parts: a context of them, or of None."""
    if arguments.parts is not None:
        return parts(arguments.parts, arguments.workers, verbose=1)
    if arguments.workers is not None:
        raise ValueError("--workers compute parts: say where these are kept with --parts FOLDER")
    return nullcontext()


def _weighed(table, column):
    """A table without the column that says how many rows each row stands for, and what that says."""
    if column not in table:
        raise ValueError(f"--weight {column}: there is no such column; the table has {choice(column, list(table), 20)}")
    weight = np.full(len(table), np.nan)
    for row, cell in enumerate(table[column]):
        with contextlib.suppress(TypeError, ValueError):
            weight[row] = float(cell)
        if not 0 <= weight[row] < np.inf:
            raise ValueError(f"--weight {column}: a number of rows is needed, and {cell!r} stands at row {row}")
    if table.shape[1] == 1:
        raise ValueError(f"--weight {column}: no other column is left to learn from")
    return table.drop(columns=column), weight


def _apart(model, table, context):
    """A table without the columns that rows are conditioned on, and these."""
    for name in context:
        if name not in table:
            raise ValueError(
                f"--context {name}: there is no such column; the table has {choice(name, list(table), 20)}"
            )
    rest = table.drop(columns=context)
    if rest.shape[1] == 0:
        raise ValueError(f"--context {context[-1]}: no other column is left to learn")
    numeric = model.get_params().get("numeric", "auto")
    if not isinstance(numeric, str):
        model.set_params(numeric=[name for name in numeric if name not in context])
    return rest, table[list(dict.fromkeys(context))]


def _pack(arguments):
    how = _format(arguments)
    options = {"append": arguments.append, "na": how.na, "sep": how.sep, "encoding": how.encoding}
    table = pack(arguments.data, arguments.folder, **options, drop=arguments.drop, verbose=1)
    size = sum(path.stat().st_size for path in table.folder.iterdir())
    figures = {"rows": table.n_rows, "columns": table.n_columns, "bytes": size, "folder": str(table.folder)}
    if arguments.json:
        print(_as_json(figures))
    else:
        print("{rows:,} rows, {columns} columns, {bytes:,} bytes in {folder}".format(**figures))


def _score(arguments):
    model = _load(arguments)
    with contextlib.ExitStack() as stack:
        append = stack.enter_context(writing(arguments.output)) if arguments.output else None
        n, mean, squares = 0, 0.0, 0.0  # squared distances from the mean, whose sums over blocks are merged
        for scores in model.scores_of(_rows_in_blocks(model, arguments)):
            if append:
                append(to_frame(scores[:, None], ["log_likelihood"]))
            apart, before, n = float(scores.mean()) - mean, n, n + len(scores)
            mean += apart * len(scores) / n
            squares += float(scores.var()) * len(scores) + apart**2 * before * len(scores) / n
    if arguments.output == STDOUT:
        return
    standard_error = float(np.sqrt(squares) / n) if n > 1 else None
    if arguments.json:
        print(_as_json({"rows": n, "log_likelihood": mean, "standard_error": standard_error}))
    else:
        error = "" if standard_error is None else f" ± {standard_error:.4f}"
        print(f"{n:,} rows, log-likelihood {mean:.4f}{error} nats per row")


def _rows_in_blocks(model, arguments):
    """What a table says in terms of the domain of a model, block by block."""
    if _is_packed(arguments.data):
        _refuse_of_packed(arguments, "na", "sep")
        if arguments.unseen != UNSEEN[0]:
            raise ValueError(f"--unseen is for files, and {arguments.data} is a packed table")
        yield from model.read_blocks(PackedTable(arguments.data))
        return
    row = 0
    for table in _tables_of_cells(model, arguments, BLOCK):
        with _rows_from(row):
            yield model.read(*for_model(model, table, called(arguments.data)), unseen=arguments.unseen)
        row += len(table)


def _sample(arguments):
    model = _load(arguments)
    given, context = _given(model, arguments.given)
    names = model.domain_.column_names
    with writing(arguments.output, to_frame(model.domain_.examples, names)) as append:
        for rows in model.sampled_in_blocks(arguments.rows, arguments.seed, given or None, context=context):
            append(to_frame(rows, names))


def _query(arguments):
    model = _load(arguments)
    given, context = _given(model, arguments.given)
    columns = [model.domain_.index(_column(model, name)) for name in arguments.columns] or None
    by = [model.domain_.index(_column(model, name)) for name in arguments.by] or None
    found = model.query(columns, given=given, by=by, context=context, random_state=arguments.seed)
    if arguments.output is not None:
        with writing(arguments.output) as append:
            append(found.to_frame())
    elif arguments.json:
        told = {
            "given": found.given,
            "probability": found.probability,
            "error": found.error,
            "exact": bool(found.exact),
        }
        print(_as_json(told | {"told": found.to_frame().to_dict("records")}))
    else:
        print(printable(found.to_text()))


def _as_json(figures):
    """Figures as strict JSON, which has no NaN and no infinities: null stands for them."""
    return json.dumps(_finite(figures))


def _finite(figures):
    if isinstance(figures, dict):
        return {name: _finite(each) for name, each in figures.items()}
    if isinstance(figures, list | tuple):
        return [_finite(each) for each in figures]
    return None if isinstance(figures, float) and not math.isfinite(figures) else figures


def _column(model, name):
    """A column of a model that is named on the command line, which knows no numbers of columns."""
    if name not in model.domain_.column_names:
        raise ValueError(f"there is no column {name!r}; there are {choice(name, model.domain_.column_names, 20)}")
    return name


def _given(model, options):
    """What --given says of columns, by their numbers, and the context that it tells, or None."""
    given, names = {}, model.domain_.column_names
    for told in options:
        column, value = _column_and_value(model, told)
        if column in given:
            raise ValueError(
                f"--given tells column {column!r} twice: values of which any may be have commas between them"
            )
        given[column] = value
    context = None
    if model.context_ is not None:
        lacking = [name for name in model.context_.column_names if name not in given]
        if lacking:
            told = f"rows are told given {listing(model.context_.column_names, 20)}, which the model was fitted to"
            raise ValueError(f"{told}: --given '{lacking[0]}=…' is needed")
        cells = of_objects({name: [given.pop(name)] for name in model.context_.column_names})
        context = for_domain(model.context_, cells, "--given")
    return {names.index(column): value for column, value in given.items()}, context


def _column_and_value(model, told):
    """Column and value of COLUMN=VALUE or COLUMN!=VALUE, which may hold further equals signs; a context's as text."""
    names = model.domain_.column_names
    for sign in re.finditer("=", told):
        column, value = told[: sign.start()], told[sign.end() :]
        if column in names:
            return column, value_of(model.domain_, column, value)
        if column.removesuffix("!") in names:
            return column[:-1], {NOT: value_of(model.domain_, column[:-1], value)}
        if column in model.all_names:
            return column, value or None
    near = choice(told.split("=")[0].removesuffix("!"), model.all_names, 20)
    raise ValueError(f"--given {told!r}: COLUMN=VALUE is needed, with one of the columns {near}")


def _predict(arguments):
    model = _load(arguments)
    domain, column = model.domain_, _column(model, arguments.column)
    j = domain.column_names.index(column)
    if arguments.proba and domain.numeric[j]:
        raise ValueError(f"--proba is for categories, and column {column!r} holds numbers: take --quantiles")
    if arguments.quantiles and not domain.numeric[j]:
        raise ValueError(f"--quantiles are of numbers, and column {column!r} holds categories: take --proba")
    with writing(arguments.output) as append:
        row, names = 0, [column]
        for table in _tables_of_cells(model, arguments, BLOCK):
            with _rows_from(row):
                X, context = for_model(model, table.assign(**{column: None}), called(arguments.data))
                if arguments.proba:
                    told = model.conditional_proba(X, j, context, unseen=arguments.unseen)
                    names = domain.columns[j].cell_labels
                elif arguments.quantiles:
                    told = model.predict_quantiles(X, j, arguments.quantiles, context, unseen=arguments.unseen)
                    names = [f"{column} {q:g}" for q in arguments.quantiles]
                else:
                    told = model.predict(X, j, context, unseen=arguments.unseen)[:, None]
            append(to_frame(told, names))
            row += len(table)


@contextlib.contextmanager
def _rows_from(row):
    """Have what is told of a block of rows count these from the start of the table."""
    try:
        yield
    except TableError as error:
        raise (error if error.row is None else error.at_row(row + error.row)) from None


def _explain(arguments):
    from .explanation import explain, to_text

    model = _load(arguments)
    X, context = for_model(model, _table_of_cells(model, arguments), called(arguments.data))
    if arguments.row >= len(X):
        raise ValueError(f"--row {arguments.row}: {called(arguments.data)} has the rows 0 to {len(X) - 1}")
    figures = explain(model, X, arguments.row, context, unseen=arguments.unseen)
    print(_as_json(figures) if arguments.json else printable(to_text(figures, arguments.cells)))


def _impute(arguments):
    model = _load(arguments)
    table = _table_of_cells(model, arguments)
    read, context = for_model(model, table, called(arguments.data))
    holes = table[list(model.domain_.column_names)].isna()
    options = {"random_state": arguments.seed, "context": context}
    if arguments.draws is None:
        sweeps = {} if arguments.sweeps is None else {"n_sweeps": arguments.sweeps}
        filled = [_with_filled(table, holes, model.impute(read, draw=arguments.draw, **sweeps, **options))]
    else:
        if arguments.sweeps is not None:
            raise ValueError("--sweeps is for one table, and takes no --draws")
        for name in NUMBERING:
            if name in table:
                told = f"--draws numbers tables and rows in columns {listing(NUMBERING)}"
                raise ValueError(f"{told}: {called(arguments.data)} has {name!r} already")
        like = clone(model).set_params(missing="marginalize")
        tables = multiply_impute(read, like, n_draws=arguments.draws, **options)
        filled = [_numbered(_with_filled(table, holes, each), draw) for draw, each in enumerate(tables, 1)]
    with writing(arguments.output) as append:
        for each in filled:
            append(each)
    if arguments.output not in (None, STDOUT):
        cells, rows = int(holes.to_numpy().sum()), int(holes.any(axis=1).sum())
        told = f"filled {cells:,} cell{'s' * (cells != 1)} of {rows:,} row{'s' * (rows != 1)}"
        often = "" if arguments.draws is None else f" in each of {arguments.draws:,} tables"
        print(f"{told}{often}, wrote {arguments.output}")


def _with_filled(table, holes, filled):
    """A table of a file whose holes have the cells of another; Parquet's own columns hold no others' text."""
    filled = to_frame(filled, holes.columns)
    cells = {
        name: table[name].where(~holes[name], written(filled[name])) if table[name].dtype == object else filled[name]
        for name in holes.columns
    }
    return table.assign(**cells)


def _numbered(table, draw):
    """A table with its number and those of its rows before its columns, as all of several in one file have them."""
    numbers = dict(zip(NUMBERING, (draw, np.arange(len(table))), strict=True))
    return table.assign(**numbers)[[*NUMBERING, *table.columns]]


def _anomalies(arguments):
    model = _load(arguments)
    X, context = for_model(model, _table_of_cells(model, arguments), called(arguments.data))
    found = model.anomalies(X, arguments.rows, context, rate=arguments.rate, unseen=arguments.unseen)
    if not arguments.json:
        print(printable(found.to_text(arguments.cells)))
        return
    rows = zip(found.rows, found.log_likelihood, found.values, found.surprise, strict=True)
    told = [
        {
            "row": int(row),
            "log_likelihood": float(score),
            "values": dict(zip(found.names, values, strict=True)),
            "surprise": dict(zip(found.names, surprise.tolist(), strict=True)),
        }
        for row, score, values, surprise in rows
    ]
    print(_as_json(told))


def _groups(arguments):
    model = _load(arguments)
    table, weight = _table_of_cells(model, arguments), None
    if arguments.weight is not None:
        table, weight = _weighed(table, arguments.weight)
    X = for_model(model, table, called(arguments.data))[0]
    drawn = {"n_bootstrap": arguments.bootstrap, "n_simulations": arguments.simulations}
    found = model.find_groups(X, arguments.groups, **drawn, sample_weight=weight, random_state=arguments.seed)
    if arguments.output is not None:
        told = to_frame(found.probability, [f"group {i}" for i in range(len(found.weight))])
        told.insert(0, "group", found.group)
        with writing(arguments.output) as append:
            append(told)
    elif arguments.json:
        figures = {
            "criteria": [asdict(each) for each in found.criteria],
            "weight": found.weight.tolist(),
            "weight_interval": found.weight_interval().T.tolist() if arguments.bootstrap else None,
            "names": found.names,
            "labels": found.labels,
            "profiles": {name: profile.tolist() for name, profile in found.profiles.items()},
        }
        print(_as_json(figures))
    else:
        print(printable(found.to_text()))


def _evaluate(arguments):
    if arguments.synthetic is not None:
        if arguments.weight is not None:
            raise ValueError("--weight is no option of --synthetic")
        _evaluate_synthetic(arguments)
        return
    for name in ("test", "target"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} is an option of --synthetic")
    table, weight = _read_to_learn(arguments), None
    if arguments.weight is not None:
        table, weight = _weighed(table, arguments.weight)
    model, table = _to_learn(arguments, table)
    found = evaluate(model, table, weight=weight, folds=arguments.folds, seed=arguments.seed)
    kind = type(model).__name__
    n_rows = len(found.scores[kind])
    figures = {"rows": n_rows, "columns": table.shape[1], "folds": arguments.folds} | found.figures(kind)
    if arguments.json:
        print(_as_json(figures))
        return
    print(f"{n_rows:,} rows, {table.shape[1]} columns, each row held out once in {arguments.folds} folds\n")
    width = max(map(len, found.scores))
    print(f"{'':{width}}  negative log-likelihood, nats per row  seconds a fit")
    for name, each in figures["models"].items():
        print(f"{name:{width}}  {each['nll']:12.4f} ± {each['standard_error']:.4f}{'':18}{each['seconds']:15.2f}")
    gain, error = figures["gain"], figures["gain_standard_error"]
    print(f"\n{kind} gains {gain:.4f} ± {error:.4f} nats per row over {INDEPENDENT}")
    print(figures["verdict"])


def _evaluate_synthetic(arguments):
    from ..report.synthetic import evaluate_synthetic

    if arguments.target is not None and arguments.test is None:
        raise ValueError("--target needs --test, a table of rows that the generator has not seen")
    model, real = _to_learn(arguments, _read_to_learn(arguments))
    others = {}
    for what in ("synthetic", "test"):
        path = getattr(arguments, what)
        if path is not None:
            others[what] = typed_like(read_file(path, _format(arguments)), real, called(path))
    numeric = model.get_params().get("numeric", ())
    found = evaluate_synthetic(real, **others, target=arguments.target, numeric=numeric, random_state=arguments.seed)
    print(_as_json(found.figures()) if arguments.json else printable(found.to_text()))


def _compare(arguments):
    if arguments.output is not None:
        from ..pictures.differences import ComparisonDisplay
        from ..pictures.saving import check_picture, save_display, use_no_window

        check_picture(arguments.output)
        use_no_window()
    found = _compared(arguments, arguments.data, arguments.other, n_permutations=arguments.permutations)
    print(_as_json(found.figures()) if arguments.json else printable(found.to_text()))
    if arguments.output is not None:
        save_display(arguments.output, ComparisonDisplay(found).plot())
    return int(arguments.threshold is not None and found.bayes_factor > arguments.threshold)


def _compared(arguments, first, second, columns=None, **options):
    """What differs between the tables of two files, in some columns or in all."""
    from ..models.comparison import compare

    how, numeric = _format(arguments), _numeric_named(arguments)
    tables = [read_file(path, how, arguments.drop) for path in (first, second)]
    if columns is not None:
        tables = [table[[name for name in table if name in columns]] for table in tables]
    both = typed_alike(tables, numeric, [called(first), called(second)])
    return compare(*both, numeric=numeric, random_state=arguments.seed, n_jobs=arguments.jobs, **options)


def _report(arguments):
    from ..report.differences import Against
    from ..report.page import report, report_fitted

    name, columns = Path(called(arguments.data)).name, None
    how = {"seed": arguments.seed, "against": None}
    if arguments.model is not None:
        _refuse_learning(arguments)
        model = _load(arguments)
        table, how["context"] = for_model(model, _table_of_cells(model, arguments), called(arguments.data))
        columns = model.all_names
    if arguments.against is not None:
        found = _compared(arguments, arguments.against, arguments.data, columns)
        how["against"] = Against(found, Path(called(arguments.against)).name)
    if arguments.model is None:
        model, table = _to_learn(arguments, _read_to_learn(arguments))
        page, figures = report(model, table, name, **how)
    else:
        page, figures = report_fitted(model, table, name, **how)
    with whole_file(arguments.output) as file:
        file.write(page.encode())
    if arguments.json:
        print(_as_json(figures | {"page": arguments.output}))
    else:
        print(f"wrote {arguments.output}")


def _refuse_learning(arguments):
    """Raise ValueError for an option of how to learn, beside a model that has learned."""
    defaults = vars(parser().parse_args(["report", arguments.data]))
    for name in TABLE_OPTIONS + LAYER_OPTIONS:
        if getattr(arguments, name) != defaults[name]:
            option = "model" if name == "kind" else name.replace("_", "-")
            raise ValueError(f"--{option} says how to learn, and {arguments.model} has learned already")


def _explore(arguments):
    from ..explorer.answers import Explorer

    model = _load(arguments)
    given, context = _given(model, arguments.given)
    if given:
        name = model.domain_.column_names[next(iter(given))]
        raise ValueError(f"--given tells the model's context; what is known of {name!r} is clicked on the page")
    X = None
    if arguments.data is not None:
        X, _ = for_model(model, _table_of_cells(model, arguments), called(arguments.data))
    title = without_ending(called(arguments.data or arguments.model)).name
    how = {"context": context, "n_draws": arguments.draws, "random_state": arguments.seed}
    explorer = Explorer(model, X, title=title, **how)
    if arguments.output is None:
        explorer.serve(arguments.port, open_browser=not arguments.no_browser)
    else:
        explorer.save(arguments.output)
        print(f"wrote {arguments.output}")


def _show(arguments):
    model = _density(arguments)
    if arguments.full and arguments.column is None:
        raise ValueError("--full is of the tree of a column: say which with --column NAME")
    asked = {"column": arguments.column, "layer": arguments.layer, "full": arguments.full}
    figures, text = model.summary(**asked, **_depth(arguments))
    if arguments.json:
        print(_as_json(figures))
        return
    print(printable(text))
    if "order" in figures and arguments.column is None:
        print("\n--column NAME prints the tree of a column")


def _depth(arguments):
    """How deep a tree is to be told: as the options say, all of it where every split is asked for, or by default."""
    return {} if arguments.depth is None and not arguments.full else {"max_depth": arguments.depth}


def _plot(arguments):
    from ..pictures.saving import save_picture

    model = _load(arguments)
    if arguments.what not in ("curve", "tree", "graph") and arguments.data is None:
        raise ValueError(f"--what {arguments.what} needs DATA, a table to draw the model beside")
    X = context = None
    if arguments.data is not None:
        X, context = for_model(model, _table_of_cells(model, arguments), called(arguments.data))
    if model.context_ is not None:
        given = listing(model.context_.column_names, 20)
        if X is None and arguments.what == "graph":
            raise ValueError(f"{arguments.model} tells rows given {given}: --what graph needs DATA, which has them")
        if X is not None and arguments.what != "graph":
            raise ValueError(f"{arguments.model} tells rows given {given}: of DATA, only --what graph is drawn")
    options = {name: getattr(arguments, name) for name in ("column", "layer", "depth", "full")}
    if arguments.what != "tree":
        for name, value in options.items():
            if value not in (None, False):
                raise ValueError(f"--{name} is an option of --what tree")
    if arguments.columns is not None and arguments.what != "pair":
        raise ValueError("--columns is an option of --what pair")
    options |= {"context": context, "seed": arguments.seed, "columns": arguments.columns}
    save_picture(arguments.output, arguments.what, model, X, **options)
    print(f"wrote {arguments.output}")


def _load(arguments):
    """The model of a file, to ask."""
    return _density(arguments).set_params(n_jobs=arguments.jobs)


def _density(arguments):
    """The model of a file; of a classifier, its density of rows with their labels."""
    model = load(arguments.model)
    return getattr(model, "density_", model)


def _table_of_cells(model, arguments):
    """A table to ask a model about."""
    [table] = _tables_of_cells(model, arguments, None)
    return table


def _tables_of_cells(model, arguments, n_rows):
    """A table to ask a model about, in blocks; what is missing in it must be no value of the model."""
    for name, column in zip(model.domain_.column_names, model.domain_.columns, strict=True):
        for text in set(arguments.na).intersection(column.labels):
            raise ValueError(f"--na {text}: to the model that is a value of column {name!r}; fit with --na {text} too")
    return read_blocks(arguments.data, _format(arguments), n_rows=n_rows)


def _read_to_learn(arguments):
    return read_file(arguments.data, _format(arguments), arguments.drop)


def _format(arguments):
    """How the files of a command are written."""
    sep = None if arguments.sep is None else arguments.sep.replace("\\t", "\t")
    return TextFormat(tuple(arguments.na), sep, arguments.encoding)


def _to_learn(arguments, table):
    """The unfitted model that the options of fit ask for, and a table that was read as it is to learn from it."""
    model = _unfitted(arguments)
    table = binned(table, dict(_bin(told, table) for told in arguments.bin), called(arguments.data))
    numeric = _numeric(arguments, model)
    table = with_numbers(table, numeric) if numeric else as_text(table)
    text = [name for name in table.columns if is_text(table[name])]
    if "numeric" in model.get_params() and len(text) < table.shape[1]:
        model.set_params(numeric=numeric)
    if arguments.max_categories is None and arguments.min_frequency is None:
        for name in text:
            _refuse_many(name, table[name].tolist())
    return model, table


def _bin(told, table):
    """Column and number of bins, or edges between them, of COLUMN, COLUMN=N or COLUMN=EDGE,EDGE."""
    column, _, how = told.rpartition("=")
    if told in table or not column:
        return told, DECILES
    ends = [end for end in how.split(",") if end.strip()]
    try:
        if "," not in how:
            n_bins = int(how)
            if 2 <= n_bins <= MAX_CATEGORIES:
                return column, n_bins
        edges = sorted(map(float, ends))
        if "," in how and edges and np.isfinite(edges).all() and len(set(edges)) == len(edges):
            return column, edges
    except ValueError:
        pass
    raise ValueError(
        f"--bin {told!r}: after {column}= a number of bins from 2 to {MAX_CATEGORIES} is needed, or edges between them "
        "with commas"
    )


def _packed_to_learn(arguments):
    """As `_to_learn`, of a packed table, whose columns are what they are."""
    _refuse_of_packed(arguments, "na", "sep", "drop", "bin", "weight", "context")
    model = _unfitted(arguments)
    if "numeric" in model.get_params():
        model.set_params(numeric=_numeric(arguments, model))
    return model, PackedTable(arguments.data)


def _is_packed(path):
    return Path(path).is_dir()


def _refuse_of_packed(arguments, *names):
    for name in names:
        if getattr(arguments, name):
            told = f"--{name} is for files, and {arguments.data} is a packed table"
            raise ValueError(told + ": give it to treeflows pack" * (name in ("na", "sep", "drop")))


def _numeric(arguments, model):
    """Which columns are to be numbers to a model: "auto", or a list of their names."""
    named, takes = _numeric_named(arguments), "numeric" in model.get_params()
    if not takes and named not in ("auto", []):
        raise ValueError(f"--numeric is no option of --model {arguments.kind}, which takes no numbers")
    return named if takes else []


def _numeric_named(arguments):
    """Which columns are said to be numbers: "auto", or a list of their names."""
    named = list(dict.fromkeys(arguments.numeric or ["auto"]))
    return "auto" if named == ["auto"] else [] if named == ["none"] else named


def _refuse_many(name, cells):
    """Raise for a column of text of too many categories, with the options that mend it."""
    n_values = len(set(cells) - {None})
    if n_values <= MAX_CATEGORIES:
        return
    told = f"column {name!r} has {n_values:,} categories; at most {MAX_CATEGORIES} are supported: "
    row = odd_cell(cells)
    if row is not None:
        raise ValueError(
            f"{told}it holds numbers, but {cells[row]!r} at row {row}; if that marks missing values, say so with "
            f"--na {cells[row]!r}"
        )
    remedies = [
        f"leave it out with --drop {name!r}",
        f"group its rare values with --max-categories {MAX_CATEGORIES // 2}",
    ]
    if numbers_of(cells) is not None:
        remedies.insert(0, f"cut it at its deciles with --bin {name!r}")
    raise ValueError(told + ", or ".join(remedies))


def _unfitted(arguments):
    """The model that the options of fit ask for."""
    given = {name: value for name in LAYER_OPTIONS if (value := getattr(arguments, name)) is not None}
    shared = {
        "missing": arguments.missing,
        "handle_unknown": arguments.unknown,
        "min_frequency": arguments.min_frequency,
        "max_categories": arguments.max_categories,
        "random_state": arguments.seed,
        "n_jobs": arguments.jobs,
        "verbose": 1,
    }
    if arguments.kind == "dtf":
        return DiscreteTreeFlow(given.pop("layers", 10), **given, **shared)
    if given:
        raise ValueError(f"--{next(iter(given)).replace('_', '-')} is an option of --model dtf")
    return MODELS[arguments.kind](**shared)


def _output(arguments):
    """The file to write, None for standard output or none; what speaks against it is told before any work is done."""
    output = getattr(arguments, "output", None)
    if output is None and arguments.command in DEFAULT_ENDINGS:
        if arguments.data != STDIN:
            Path(arguments.data).stat()  # that it is not there is told first
        start = "model" if arguments.data == STDIN else without_ending(arguments.data)
        output = f"{start}.{DEFAULT_ENDINGS[arguments.command]}"
    if output is None or (output == STDOUT and arguments.command in TABLES):
        return output
    if output == STDOUT:
        raise ValueError("only tables are written to standard output; name a file with -o")
    path = Path(output)
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(f"cannot write {output}: its links lead in a circle") from None
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {output}: it is a folder")
    if path.exists() and not path.is_file():
        return output  # a pipe or a device, which replaces nothing
    for name, what in (("data", "data"), ("other", "data"), ("model", "model")):
        read = getattr(arguments, name, None)
        if read is not None and path.exists() and Path(read).exists() and path.samefile(read):
            raise ValueError(f"{output} is the {what}, which would be replaced; name another file with -o")
    folder = path.resolve().parent  # where a link leads
    if not folder.is_dir():
        raise FileNotFoundError(f"cannot write {output}: there is no folder {path.parent}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {output}: the folder {path.parent} is not writable")
    if arguments.command in TABLES:
        check_ending(output)
    return output


def _note(message, *_where, **_how):
    print(f"treeflows: note: {printable(' '.join(str(message).split()))}", file=sys.stderr)


def _option(parameter, value):
    """A parameter as the command line has it, "" if it has none."""
    if parameter in NOT_ASKED:
        return ""
    name = SPELLED.get(parameter, parameter.removeprefix("n_")).replace("_", "-")
    return f"--{name}" if value is None else f"--{name} {value}"


COMMANDS = {
    "pack": _pack,
    "fit": _fit,
    "score": _score,
    "sample": _sample,
    "query": _query,
    "predict": _predict,
    "explain": _explain,
    "impute": _impute,
    "anomalies": _anomalies,
    "groups": _groups,
    "evaluate": _evaluate,
    "explore": _explore,
    "compare": _compare,
    "report": _report,
    "show": _show,
    "plot": _plot,
}
