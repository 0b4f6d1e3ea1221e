"""The command line: fit, score, sample, show and demo."""

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from ._files import whole_file
from ._flow import DiscreteTreeFlow
from ._persistence import load, save
from ._version import __version__


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
    parser = _Parser(
        prog="treeflows", description="Exact probability models of categorical tables: discrete tree flows."
    )
    parser.add_argument("--version", action="version", version=f"treeflows {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="learn a flow from a CSV file with a header", description=_fit.__doc__)
    fit.add_argument("data", metavar="DATA.csv")
    fit.add_argument("-o", "--output", metavar="MODEL", help="model file to write (default: DATA.treeflow)")
    fit.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave a column out (repeatable)")
    fit.add_argument("--layers", type=int, default=10, metavar="N", help="layers to learn (default: %(default)s)")
    fit.add_argument("--max-depth", type=int, default=4, metavar="N", help="depth of a layer's tree (default: 4)")
    fit.add_argument("--min-samples-split", type=int, default=200, metavar="N", help="smaller nodes stay leaves")
    fit.add_argument("--criterion", choices=["likelihood", "random"], default="likelihood")
    fit.add_argument("--early-stopping", action="store_true", help="keep the layers that a held-out tenth likes best")
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

    show = commands.add_parser("show", help="describe a model and print a layer", description=_show.__doc__)
    show.add_argument("model", metavar="MODEL")
    show.add_argument("--layer", type=int, default=1, metavar="T", help="layer to print, from 1 (default: the first)")
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
    """Learn a discrete tree flow from a CSV file, every column categorical, every value as it is written."""
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
    start = time.perf_counter()
    flow = DiscreteTreeFlow(
        arguments.layers,
        max_depth=arguments.max_depth,
        min_samples_split=arguments.min_samples_split,
        criterion=arguments.criterion,
        early_stopping=arguments.early_stopping,
        random_state=arguments.seed,
        n_jobs=arguments.jobs,
        verbose=1,
    ).fit(table)
    seconds = time.perf_counter() - start
    save(flow, output)
    figures = {
        "rows": len(table),
        "columns": table.shape[1],
        "categories": int(sum(len(c) for c in flow.categories_)),
        "layers": len(flow.layers_),
        "nll_independent": -flow.train_score_[0],
        "nll": -flow.train_score_[len(flow.layers_)],
        "seconds": seconds,
        "model": output,
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    print(
        "{rows:,} rows, {columns} columns, {categories} categories\n"
        "negative log-likelihood, nats per training row: {nll_independent:.3f} with independent columns, "
        "{nll:.3f} with {layers} layers\n"
        "fitted in {seconds:.2f} s, wrote {model}".format(**figures)
    )


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
    """Describe a model: its columns, the likelihood after each layer, and the tree of one layer."""
    flow = load(arguments.model)
    n_layers = len(flow.layers_)
    if n_layers and not 1 <= arguments.layer <= n_layers:
        raise ValueError(f"{arguments.model} has layers 1 to {n_layers}, not {arguments.layer}")
    if arguments.json:
        domain = flow._domain
        print(
            json.dumps(
                {
                    "columns": dict(zip(domain.column_names, domain.labels, strict=True)),
                    "layers": n_layers,
                    "leaves": [layer.n_leaves for layer in flow.layers_],
                    "nll": [-s for s in flow.train_score_[: n_layers + 1]],
                }
            )
        )
        return
    print(f"DiscreteTreeFlow: {flow.n_features_in_} columns, {n_layers} layers")
    print("\ncolumn: categories")
    for name, labels in zip(flow._domain.column_names, flow._domain.labels, strict=True):
        print(f"  {name}: {', '.join(labels[:8])}{f', … ({len(labels)})' if len(labels) > 8 else ''}")
    print("\nlayers: negative log-likelihood, nats per training row")
    for t, score in enumerate(flow.train_score_[: n_layers + 1]):
        print(
            f"  {t:3}: {-score:.4f}" + (f", leaves: {flow.layers_[t - 1].n_leaves}" if t else ", independent columns")
        )
    if n_layers:
        print(f"\nlayer {arguments.layer}: {flow.layers_[arguments.layer - 1]}")


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
