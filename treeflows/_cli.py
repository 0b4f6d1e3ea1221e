"""The command line: fit, score, sample, show and demo."""

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from ._autoregressive import AutoregressiveTreeFlow
from ._ensemble import TreeFlowEnsemble
from ._files import whole_file
from ._flow import DiscreteTreeFlow
from ._independent import IndependentColumns
from ._mixture import TreeFlowMixture
from ._persistence import load, save
from ._tables import Table
from ._threads import n_threads
from ._version import __version__

MODELS = {
    "auto": TreeFlowMixture,
    "tree": AutoregressiveTreeFlow,
    "ensemble": TreeFlowEnsemble,
    "dtf": DiscreteTreeFlow,
}
LAYER_OPTIONS = ("layers", "max_depth", "min_samples_split", "criterion", "early_stopping")


def main(argv=None):
    """Run one command; returns the exit code: 0, or 2 for bad input with one line on standard error."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("treeflows: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"treeflows: error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser():
    parser = _Parser(prog="treeflows", description="Exact probability models of categorical tables: tree flows.")
    parser.add_argument("--version", action="version", version=f"treeflows {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="learn a model of a CSV file with a header", description=_fit.__doc__)
    fit.add_argument("data", metavar="DATA.csv")
    fit.add_argument("-o", "--output", metavar="MODEL", help="model file to write (default: DATA.treeflow)")
    fit.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave a column out (repeatable)")
    fit.add_argument(
        "--model",
        choices=list(MODELS),
        default="auto",
        help="auto: several trees for each column and a hidden column (default); tree: one tree for each column, in "
        "milliseconds; ensemble: ten of auto, in different orders; dtf: the discrete tree flow of layers",
    )
    layers = fit.add_argument_group("options of --model dtf")
    layers.add_argument("--layers", type=int, metavar="N", help="layers to learn (default: 10)")
    layers.add_argument("--max-depth", type=int, metavar="N", help="depth of a layer's tree (default: 4)")
    layers.add_argument("--min-samples-split", type=int, metavar="N", help="smaller nodes stay leaves (default: 200)")
    layers.add_argument("--criterion", choices=["likelihood", "random"])
    layers.add_argument(
        "--early-stopping", action="store_true", default=None, help="keep the layers that a held-out tenth likes best"
    )
    fit.set_defaults(run=_fit)

    score = commands.add_parser("score", help="log-likelihood of the rows of a CSV file", description=_score.__doc__)
    score.add_argument("model", metavar="MODEL")
    score.add_argument("data", metavar="DATA.csv")
    score.add_argument("-o", "--output", metavar="OUT.csv", help="also write each row's log-likelihood")
    score.set_defaults(run=_score)

    sample = commands.add_parser("sample", help="draw rows from a model", description=_sample.__doc__)
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("-n", "--rows", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    sample.add_argument("-o", "--output", metavar="OUT.csv", help="file to write (default: standard output)")
    sample.set_defaults(run=_sample)

    show = commands.add_parser("show", help="describe a model and print a tree", description=_show.__doc__)
    show.add_argument("model", metavar="MODEL")
    show.add_argument("--column", metavar="NAME", help="column whose tree to print")
    show.add_argument("--layer", type=int, metavar="T", help="layer of a discrete tree flow to print, from 1 (default)")
    show.add_argument("--depth", type=int, metavar="N", help="how deep to print the tree (default: all of it)")
    show.set_defaults(run=_show)

    demo = commands.add_parser(
        "demo", help="fit real handwritten digits and draw the results", description=_demo.__doc__
    )
    demo.add_argument("-o", "--output", default="treeflows-demo", metavar="FOLDER", help="(default: %(default)s)")
    demo.set_defaults(run=_demo)

    for command in (fit, sample, demo):
        command.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    for command in (fit, score, sample, demo):
        command.add_argument("--jobs", type=int, default=-1, metavar="N", help="threads (default: all cores)")
    for command in (fit, score, show, demo):
        command.add_argument("--json", action="store_true", help="print figures as JSON")
    return parser


def _fit(arguments):
    """Learn a model of a CSV file, every column categorical, every value as it is written."""
    table = _read_csv(arguments.data)
    unknown = [name for name in arguments.drop if name not in table.columns]
    if unknown:
        raise ValueError(f"{arguments.data} has no column {unknown[0]!r}; it has {', '.join(table.columns)}")
    table = table.drop(columns=arguments.drop)
    output = arguments.output or str(Path(arguments.data).with_suffix(".treeflow"))
    if Path(output).resolve() == Path(arguments.data).resolve():
        raise ValueError(f"the model would replace the data, {output}; name another file with -o")
    if not Path(output).parent.is_dir():
        raise FileNotFoundError(f"cannot write {output}: there is no folder {Path(output).parent}")
    model = _unfitted(arguments)
    start = time.perf_counter()
    model.fit(table)
    seconds = time.perf_counter() - start
    save(model, output)
    threads = n_threads(arguments.jobs)
    codes, first = model._domain.encode(Table(table), threads).codes, model._domain.first_category
    counts = np.concatenate([np.bincount(codes[:, j], minlength=k) for j, k in enumerate(np.diff(first))])
    figures = {
        "kind": type(model).__name__,
        "rows": len(table),
        "columns": table.shape[1],
        "categories": int(first[-1]),
        "nll_independent": -IndependentColumns.from_counts(counts, first).mean_log_likelihood(counts),
        "nll": -float(model._score_codes(codes, threads).mean()),
        "seconds": seconds,
        "model": output,
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    print(
        "{rows:,} rows, {columns} columns, {categories} categories\n"
        "negative log-likelihood, nats per training row: {nll_independent:.3f} with independent columns, "
        "{nll:.3f} with this {kind}\n"
        "fitted in {seconds:.2f} s, wrote {model}".format(**figures)
    )


def _unfitted(arguments):
    """The model that the options of fit ask for."""
    given = {name: value for name in LAYER_OPTIONS if (value := getattr(arguments, name)) is not None}
    shared = {"random_state": arguments.seed, "n_jobs": arguments.jobs, "verbose": 1}
    if arguments.model == "dtf":
        return DiscreteTreeFlow(given.pop("layers", 10), **given, **shared)
    if given:
        raise ValueError(f"--{next(iter(given)).replace('_', '-')} is an option of --model dtf")
    return MODELS[arguments.model](**shared)


def _score(arguments):
    """Print the mean log-likelihood of the rows of a CSV file under a model."""
    flow = load(arguments.model).set_params(n_jobs=arguments.jobs)
    scores = flow.score_samples(_read_csv(arguments.data))
    if arguments.output:
        with whole_file(arguments.output) as file:
            np.savetxt(file, scores, header="log_likelihood", comments="", fmt="%.17g")
    figures = {
        "rows": len(scores),
        "log_likelihood": float(scores.mean()),
        "standard_error": float(scores.std() / np.sqrt(len(scores))),
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(
            "{rows:,} rows, log-likelihood {log_likelihood:.4f} ± {standard_error:.4f} nats per row".format(**figures)
        )


def _sample(arguments):
    """Draw rows from a model and write them as CSV."""
    pandas = _pandas()
    flow = load(arguments.model).set_params(n_jobs=arguments.jobs)
    rows = flow.sample(arguments.rows, random_state=arguments.seed)
    table = pandas.DataFrame(rows, columns=flow._domain.column_names)
    if arguments.output:
        with whole_file(arguments.output) as file:
            table.to_csv(file, index=False)
    else:
        table.to_csv(sys.stdout, index=False)


def _show(arguments):
    """Describe a model: its columns, what was learned of each or by each layer, and a tree as text."""
    model = load(arguments.model)
    domain = model._domain
    if arguments.depth is not None and arguments.depth < 0:
        raise ValueError(f"--depth must be at least 0, got {arguments.depth}")
    describe = {
        AutoregressiveTreeFlow: _show_trees,
        TreeFlowMixture: _show_mixture,
        TreeFlowEnsemble: _show_members,
        DiscreteTreeFlow: _show_layers,
    }
    figures, text = describe[type(model)](model, arguments)
    if arguments.json:
        columns = dict(zip(domain.column_names, domain.labels, strict=True))
        print(json.dumps({"kind": type(model).__name__, "columns": columns} | figures))
        return
    print(f"{type(model).__name__}: {model.n_features_in_} columns\n\ncolumn: categories")
    for name, labels in zip(domain.column_names, domain.labels, strict=True):
        print(f"  {name}: {', '.join(labels[:8])}{f', … ({len(labels)})' if len(labels) > 8 else ''}")
    print(f"\n{text}")


def _show_trees(model, arguments):
    """Figures and text of an autoregressive tree flow."""
    _refuse(arguments, "layer", model)
    names, trees = model._domain.column_names, model.trees_
    leaves = [len(tree.leaf_rows) for tree in trees]
    n_rows = int(trees[0].leaf_rows.sum())
    nll = (0.0 - model.evidence_ / n_rows).tolist()
    order = [names[j] for j in model.order_]
    figures = {"order": order, "leaves": leaves, "nll_by_evidence": nll}
    lines = [f"columns in order: leaves of the tree, and cost of the {n_rows:,} rows by its evidence, nats a row"]
    lines += [f"  {names[j]}: {leaves[j]}, {nll[j]:.4f}" for j in model.order_]
    lines.append(f"  all: {sum(leaves)}, {sum(nll):.4f}")
    if arguments.column is None:
        lines.append("\n--column NAME prints the tree of a column")
    elif arguments.column not in names:
        raise ValueError(f"there is no column {arguments.column!r}; there are {', '.join(names)}")
    else:
        lines.append("\n" + trees[names.index(arguments.column)].to_text(arguments.depth))
    return figures, "\n".join(lines)


def _show_mixture(model, arguments):
    """Figures and text of a tree flow with a hidden column; its first tree flow stands for the others."""
    _refuse(arguments, "layer", model)
    figures, text = _show_trees(model.flows_[0], arguments)
    names, shares, states = model._domain.column_names, model.share_, model.weights_
    lines = [
        f"hidden column: {len(states)} states of probability {', '.join(f'{p:.3f}' for p in states[:8])}"
        f"{', …' if len(states) > 8 else ''}",
        f"\nshares in each column's distribution: its tree, {len(model.flows_) - 1} further trees, the hidden column",
    ]
    lines += [f"  {names[j]}: {', '.join(f'{s:.2f}' for s in shares[j])}" for j in model.flows_[0].order_]
    figures |= {"states": states.tolist(), "shares": shares.tolist()}
    return figures, "\n".join([*lines, "", text])


def _show_members(model, arguments):
    """Figures and text of an ensemble."""
    _refuse(arguments, "layer", model)
    _refuse(arguments, "column", model)
    kinds = [type(member).__name__ for member in model.estimators_]
    lines = ["members and their weights:"]
    lines += [f"  {kind}: {weight:.3f}" for kind, weight in zip(kinds, model.weights_, strict=True)]
    return {"members": kinds, "weights": model.weights_.tolist()}, "\n".join(lines)


def _show_layers(model, arguments):
    """Figures and text of a discrete tree flow."""
    _refuse(arguments, "column", model)
    n_layers, shown = len(model.layers_), 1 if arguments.layer is None else arguments.layer
    if n_layers and not 1 <= shown <= n_layers:
        raise ValueError(f"{arguments.model} has layers 1 to {n_layers}, not {shown}")
    leaves, nll = [layer.n_leaves for layer in model.layers_], [-s for s in model.train_score_[: n_layers + 1]]
    lines = ["layers: negative log-likelihood, nats per training row", f"  0: {nll[0]:.4f}, the base alone"]
    lines += [f"  {t}: {nll[t]:.4f}, leaves: {leaves[t - 1]}" for t in range(1, n_layers + 1)]
    if n_layers:
        lines.append(f"\nlayer {shown}: {model.layers_[shown - 1].to_text(arguments.depth)}")
    return {"layers": n_layers, "leaves": leaves, "nll": nll}, "\n".join(lines)


def _refuse(arguments, option, model):
    if getattr(arguments, option) is not None:
        raise ValueError(f"--{option} is not for {arguments.model}, a model of the kind {type(model).__name__}")


def _demo(arguments):
    """Fit scikit-learn's bundled digits (1,797 images of 8 x 8 pixels, 17 levels), and draw what the flow learned."""
    from ._demo import demo

    demo(arguments.output, seed=arguments.seed, n_jobs=arguments.jobs, as_json=arguments.json)


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError("the command line needs pandas: pip install 'treeflows[cli]'") from None
    return pandas


def _read_csv(path):
    """A CSV file with a header as a table of strings; ValueError if any row is not as long as the header."""
    pandas = _pandas()
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next((row for row in reader if row), None)
            if header is None:
                raise ValueError(f"{path} is empty; a header with column names is needed")
            rows = []
            for row in reader:
                if len(row) != len(header) and (row or len(header) == 1):
                    raise ValueError(
                        f"{path}, line {reader.line_num}: {len(row)} values, but the header names {len(header)} columns"
                    )
                if row:
                    rows.append(row)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error})") from None
    if not rows:
        raise ValueError(f"{path} has a header but no rows")
    table = pandas.DataFrame(rows, dtype=object)
    table.columns = header
    return table
