"""The options of the command line."""

import argparse
import contextlib
import math
import re
import sys
import textwrap

from .._version import __version__
from ..machine.spelling import nearest

MODELS = ("auto", "tree", "ensemble", "dtf")
PICTURES = ("curve", "tree", "graph", "dependence", "marginals", "pair", "anomalies")
DESCRIPTIONS = {
    "pack": "Write a table of any size to a folder, from where fit and score read it without having it in memory.",
    "fit": "Learn a model of a table, of numbers as such, and of every other value as it is written.",
    "score": "Print the mean log-likelihood of the rows of a table under a model.",
    "sample": "Draw rows from a model and write them as a table.",
    "impute": "Fill the missing cells of a table, those of a binned column with intervals; others stay as they are.",
    "query": "Tell how columns are distributed given whatever is known of others, exactly or with standard errors.",
    "predict": "Write what is most probable in a column given the rest of each row; of numbers, the median. What "
    "stands in the column itself is not read, and it may be lacking.",
    "explain": "Tell why a row is as probable as it is: its most surprising cells, what was rather to be expected "
    "there, and the questions of the column's tree that led there.",
    "anomalies": "Print the rows of lowest likelihood, and of each the cells that its others let expect least.",
    "groups": "Find a handful of groups of rows, latent classes, and tell what each is like and how many there are; or "
    "write the probability of each group for each row.",
    "evaluate": "Cross-validate a model: likelihood of held-out rows, beside those of independent columns and "
    "of simple trees. Or say how good a synthetic table is.",
    "compare": "Say what differs between two tables of the same columns: whether, how much, in which columns, where, "
    "and in which rows.",
    "report": "Write a page about a table: what is in it, how well a model fits, what depends on what, samples, and "
    "rows that hardly belong; of a model that is learned for it, or of MODEL.",
    "explore": "Open a page in the browser on which a click on a value shows what becomes of all columns; of DATA, "
    "rows are shown with their odd cells and what would be likelier.",
    "show": "Describe a model: its columns, and what was learned of each or by each layer; or print a column's tree.",
    "plot": "Draw a model: its curve of likelihood, a tree, or beside DATA dependence, marginals, pairs, anomalies.",
}


EXAMPLES = {
    "pack": """
        treeflows pack "rows/*.parquet" table
        treeflows pack new.csv table --append rows""",
    "fit": """
        treeflows fit people.csv
        treeflows fit people.csv --drop id --na "?" --model tree -o quick.treeflow
        treeflows fit counts.csv --weight Freq""",
    "score": """
        treeflows score people.treeflow new.csv
        treeflows score people.treeflow new.csv -o log_likelihood.csv""",
    "sample": """
        treeflows sample people.treeflow -n 1000 -o synthetic.csv
        treeflows sample people.treeflow --given sex=F --given age=30..40""",
    "impute": """
        treeflows impute people.treeflow holes.csv -o filled.csv
        treeflows impute people.treeflow holes.csv --draw --seed 1 -o drawn_1.csv
        treeflows impute people.treeflow holes.csv --draws 20 -o twenty.csv""",
    "query": """
        treeflows query people.treeflow vote --given sex=F --given age=30..40
        treeflows query people.treeflow vote --by education
        treeflows query people.treeflow vote income --given region=N,S --given education!=P -o told.csv""",
    "predict": """
        treeflows predict people.treeflow new.csv vote
        treeflows predict people.treeflow new.csv vote --proba -o chances.csv
        treeflows predict people.treeflow new.csv income --quantiles 0.1 0.9""",
    "explain": """
        treeflows explain people.treeflow people.csv --row 17
        treeflows explain people.treeflow people.csv --row 17 --cells 3""",
    "anomalies": """
        treeflows anomalies people.treeflow people.csv
        treeflows anomalies people.treeflow people.csv -n 20 --cells 1""",
    "groups": """
        treeflows groups people.treeflow people.csv
        treeflows groups people.treeflow people.csv -n 1 2 3 4 5 --bootstrap 1000
        treeflows groups people.treeflow people.csv -n 3 -o who.csv""",
    "evaluate": """
        treeflows evaluate people.csv
        treeflows evaluate people.csv --synthetic new.csv --test unseen.csv --target vote""",
    "compare": """
        treeflows compare last_year.csv this_year.csv
        treeflows compare last_year.csv this_year.csv --threshold 5 || echo "they differ" """,
    "explore": """
        treeflows explore people.treeflow people.csv
        treeflows explore people.treeflow --export page.html""",
    "report": """
        treeflows report people.csv
        treeflows report people.csv --bin age -o page.html
        treeflows report people.csv --against last_year.csv
        treeflows report people.treeflow people.csv""",
    "show": """
        treeflows show people.treeflow
        treeflows show people.treeflow --column vote --depth 2""",
    "plot": """
        treeflows plot people.treeflow people.csv --what dependence -o dependence.png
        treeflows plot people.treeflow people.csv --what graph -o graph.svg
        treeflows plot people.treeflow --what tree --column vote -o tree.svg""",
}
WIDTH = 79  # of help
KINDS = "CSV, TSV, JSON, Parquet or Feather by its ending; text perhaps .gz, .bz2, .xz or .zip"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and which says what a command or an option was perhaps meant to be."""

    def __init__(self, **options):
        super().__init__(formatter_class=_formatter, **options)
        self.commands = {}

    def parse_args(self, args=None, namespace=None):
        """The parsed arguments; the process ends if they are none."""
        given = sys.argv[1:] if args is None else args
        named = next((each for each in given if not each.startswith("-")), None)
        if named is not None and named not in self.commands:
            self.error(f"there is no command {named!r}{nearest(named, self.commands)}")
        arguments, left = self.parse_known_args(given, namespace)
        if left and left[0].startswith("-"):
            of = self.commands[arguments.command]
            options = re.findall("--[a-z-]+", of.format_usage())
            of.error(f"there is no option {left[0]}{nearest(left[0].split('=')[0], options)}")
        if left:
            self.commands[arguments.command].error(f"{left[0]!r} is one argument too many")
        return arguments

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _formatter(prog):
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=WIDTH)


def parser():
    """The parser of the command line; the name of the command is the parsed ``command``."""
    whole = _Parser(prog="treeflows", description="Exact probability models of tables: tree flows.")
    listed = ["commands:"]
    whole.add_argument("--version", action="version", version=f"treeflows {__version__}")
    added = whole.add_subparsers(required=True, metavar="COMMAND", help=argparse.SUPPRESS)
    whole.usage = "treeflows [-h] [--version] COMMAND ..."

    def command(name, told, *parents):
        described = textwrap.fill(DESCRIPTIONS[name], WIDTH)
        examples = "examples:\n" + textwrap.indent(textwrap.dedent(EXAMPLES[name]).strip(), "  ")
        made = added.add_parser(name, description=described, epilog=examples, parents=parents)
        made.set_defaults(command=name)
        whole.commands[name] = made
        listed.append(f"  {name:10} {told}")
        return made

    jobs, seed, as_json, model, rows = (_Parser(add_help=False) for _ in range(5))
    jobs.add_argument("--jobs", type=_whole(-4096, 4096), default=-1, metavar="N", help="threads (default: all cores)")
    seed.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0, metavar="N", help="random seed (default: 0)")
    as_json.add_argument("--json", action="store_true", help="print figures as JSON")
    model.add_argument("model", metavar="MODEL", help="file that fit wrote")
    rows.add_argument("-n", "--rows", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    data, learning = _data_options(), _learning_options()

    pack = command("pack", "write a table of any size to a folder", as_json)
    told = "Parquet, CSV or TSV file (CSV and TSV perhaps .gz, .bz2, .zst or .lz4), folder, or pattern in quotes"
    pack.add_argument("data", metavar="SOURCE", help=told)
    pack.add_argument("folder", metavar="FOLDER", help="folder to write, which fit and score take for DATA")
    pack.add_argument("--append", choices=["rows", "columns"], help="add to the packed table in FOLDER")
    _add_reading(pack)
    _add_drop(pack)

    fit = command("fit", "learn a model of a table", data, learning, seed, jobs, as_json)
    _add_weight(fit)
    told = "a column that rows are conditioned on, as a group or a year: given, and not modelled (repeatable)"
    fit.add_argument("--context", action="append", default=[], metavar="COLUMN", help=told)
    fit.add_argument("-o", "--output", metavar="MODEL", help="model file to write (default: DATA.treeflow)")
    told = "do not learn once more, from nine tenths of the rows or fewer, to say how well the others are told"
    fit.add_argument("--no-held-out", action="store_true", help=told)
    apart = fit.add_argument_group("learning in parts, so that a fit that was killed goes on where it was")
    apart.add_argument("--parts", metavar="FOLDER", help="keep finished parts there, and take those that are there")
    apart.add_argument(
        "--workers", type=_whole(1, 4096), metavar="N", help="processes that compute parts (default: here)"
    )

    score = command("score", "log-likelihood of rows", model, data, jobs, as_json)
    _add_unseen(score)
    score.add_argument("-o", "--output", metavar="OUT", help="also write each row's log-likelihood")

    sample = command("sample", "draw rows from a model", model, seed, jobs, rows)
    _add_given(sample)
    sample.add_argument("-o", "--output", metavar="OUT", help="file to write (default: standard output)")

    query = command("query", "distribution of columns given others", model, seed, jobs, as_json)
    query.add_argument("columns", metavar="COLUMN", nargs="*", help="to tell (default: all)")
    _add_given(query)
    told = "tell each of its values, or ranges of numbers, apart (repeatable)"
    query.add_argument("--by", action="append", default=[], metavar="COLUMN", help=told)
    query.add_argument("-o", "--output", metavar="OUT", help="write a table: a row for each value")

    predict = command("predict", "a column given the rest of each row", model, data, jobs)
    predict.add_argument("column", metavar="COLUMN", help="what to predict")
    how = predict.add_mutually_exclusive_group()
    told = "the probability of each value instead, in a column each"
    how.add_argument("--proba", action="store_true", help=told)
    told = "of numbers, what lies below with these probabilities, as 0.05 0.95"
    how.add_argument("--quantiles", type=_share, nargs="+", metavar="P", help=told)
    _add_unseen(predict)
    predict.add_argument("-o", "--output", metavar="OUT", help="file to write (default: standard output)")

    explain = command("explain", "why a row is as probable as it is", model, data, jobs, as_json)
    explain.add_argument("--row", type=_whole(0), required=True, metavar="N", help="its number in the table, from 0")
    _add_unseen(explain)
    told = "most surprising cells to tell (default: %(default)s)"
    explain.add_argument("--cells", type=_whole(0), default=5, metavar="N", help=told)

    impute = command("impute", "fill missing cells", model, data, seed, jobs)
    how = impute.add_mutually_exclusive_group()
    told = "draw each cell given the rest of its row (default: its most probable value)"
    how.add_argument("--draw", action="store_true", help=told)
    told = "multiple imputation: N tables one below the other, numbered in .imp and their rows in .id, each drawn by a "
    told += "model like MODEL that is learned from rows of DATA drawn anew"
    how.add_argument("--draws", type=_whole(1), metavar="N", help=told)
    impute.add_argument("--sweeps", type=int, metavar="N", help="of Gibbs sampling (default: 20)")
    impute.add_argument("-o", "--output", metavar="OUT", help="file to write (default: standard output)")

    anomalies = command("anomalies", "rows of lowest likelihood, and why", model, data, jobs, as_json, rows)
    told = "this share of the rows instead of -n of them, as 0.01"
    anomalies.add_argument("--rate", type=_share, metavar="SHARE", help=told)
    _add_unseen(anomalies)
    told = "most surprising cells to print of each (default: %(default)s)"
    anomalies.add_argument("--cells", type=_whole(0), default=3, metavar="N", help=told)

    groups = command("groups", "latent classes of the rows", model, data, seed, jobs, as_json)
    told = "how many; of several numbers, that of the least BIC (default: from 1 on, until that is worse)"
    groups.add_argument("-n", "--groups", type=_whole(1, 256), nargs="+", metavar="N", help=told)
    told = "learn them so often from rows drawn with replacement, for intervals (default: %(default)s)"
    groups.add_argument("--bootstrap", type=_whole(0), default=0, metavar="N", help=told)
    told = "test each number against one fewer by N tables drawn from that, as 99 (default: %(default)s)"
    groups.add_argument("--simulations", type=_whole(0), default=0, metavar="N", help=told)
    told = "a column that says how many rows each row stands for"
    groups.add_argument("--weight", metavar="COLUMN", help=told)
    groups.add_argument("-o", "--output", metavar="OUT", help="write each row's group, and the probability of each")

    evaluate = command("evaluate", "held-out likelihood beside simple models", data, learning, seed, jobs, as_json)
    _add_weight(evaluate)
    evaluate.add_argument("--folds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    synthetic = evaluate.add_argument_group(
        "a synthetic table instead of a model, beside DATA that it was learned from"
    )
    synthetic.add_argument("--synthetic", metavar="FILE", help="the synthetic table")
    synthetic.add_argument("--test", metavar="FILE", help="real rows that the generator has not seen")
    synthetic.add_argument("--target", metavar="COLUMN", help="predict it, from synthetic and from real rows (--test)")

    compare = command("compare", "what differs between two tables", seed, jobs, as_json)
    told = "exit codes: 0, or with --threshold 1 if the tables differ by more than that; 2 for bad input"
    compare.epilog += f"\n\n{told}"
    compare.add_argument("data", metavar="A", help=KINDS)
    compare.add_argument("other", metavar="B", help="another, of the same columns in any order")
    _add_reading(compare)
    _add_drop(compare)
    _add_numeric(compare)
    told = "exit with 1 if the log Bayes factor for a difference is above so many nats; 5 are odds of 150 to 1"
    compare.add_argument("--threshold", type=float, metavar="NATS", help=told)
    told = "how often to deal the rows anew for a p-value (default: 0, none)"
    compare.add_argument("--permutations", type=_whole(0), default=0, metavar="N", help=told)
    told = "also draw what differs: PNG, SVG or PDF by its ending"
    compare.add_argument("-o", "--output", metavar="PICTURE", help=told)

    fitted = _Parser(add_help=False)
    told = "file that fit wrote, to tell of the table instead of a model that is learned of it"
    fitted.add_argument("model", metavar="MODEL", nargs="?", help=told)
    told = "one page about a table and its model"
    report = command("report", told, fitted, data, learning, seed, jobs, as_json)
    told = "another table of the same columns, such as last year's, to say what differs from it"
    report.add_argument("--against", metavar="OTHER", help=told)
    report.add_argument("-o", "--output", metavar="PAGE.html", help="page to write (default: DATA.html)")

    explore = command("explore", "ask a model with the mouse, in a browser or as one page", model, seed, jobs)
    explore.add_argument("data", metavar="DATA", nargs="?", help="a table whose rows to look at")
    _add_reading(explore)
    told = "what a column of the model's context is, on the whole page: all of them must be told (repeatable)"
    explore.add_argument("--given", action="append", default=[], metavar="COLUMN=VALUE", help=told)
    told = "write the page, with what it needs in it, instead of serving it"
    explore.add_argument("--export", dest="output", metavar="PAGE.html", help=told)
    explore.add_argument("--port", type=_whole(0, 65535), default=0, metavar="N", help="to serve at (default: any)")
    explore.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    told = "rows to draw from the model, by which the page answers (default: 20,000)"
    explore.add_argument("--draws", type=_whole(1000, 10**6), default=20_000, metavar="N", help=told)

    show = command("show", "describe a model, or print the tree of a column", model, as_json)
    plot = command("plot", "draw a picture of a model", model, seed, jobs)
    plot.add_argument("data", metavar="DATA", nargs="?", help="a table; all but curves, trees and graphs need one")
    _add_reading(plot)
    told = "two columns of numbers to draw as a pair (default: those that share most information)"
    plot.add_argument("--columns", nargs=2, metavar="NAME", help=told)
    plot.add_argument("--what", choices=PICTURES, required=True)
    plot.add_argument("-o", "--output", metavar="PICTURE", required=True, help="PNG, SVG or PDF by its ending")
    for describing in (show, plot):
        describing.add_argument("--column", metavar="NAME", help="column whose tree to take")
        describing.add_argument("--layer", type=int, metavar="T", help="layer of a discrete tree flow, from 1")
        told = "how deep to go down the tree (default: 4 as text, 3 as a picture; all of it with --full)"
        describing.add_argument("--depth", type=_whole(0), metavar="N", help=told)
        told = "every split of a column's tree that was tried (default: those that are more probable than not)"
        describing.add_argument("--full", action="store_true", help=told)

    listed += ["", "examples:", "  treeflows fit people.csv", "  treeflows sample people.treeflow -n 1000 -o new.csv"]
    whole.epilog = "\n".join([*listed, "", "treeflows COMMAND --help tells more of each."])
    return whole


def _data_options():
    """Options of the commands that read a table."""
    options = _Parser(add_help=False)
    told = f"{KINDS}; - is CSV from stdin; fit and score take what pack wrote, too"
    options.add_argument("data", metavar="DATA", help=told)
    _add_reading(options)
    return options


def _add_reading(parser):
    told = "what marks a missing cell, beside nothing (repeatable)"
    parser.add_argument("--na", action="append", default=[], metavar="TEXT", help=told)
    told = "what stands between fields, as ';' (default: a comma; of .tsv and .tab a tab)"
    parser.add_argument("--sep", metavar="CHARACTER", help=told)
    told = "of text, as latin-1 or cp1252 (default: %(default)s)"
    parser.add_argument("--encoding", default="utf-8", metavar="NAME", help=told)


def _add_drop(parser):
    parser.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave a column out (repeatable)")


def _add_numeric(parser):
    told = "a column of numbers, all others being of categories (repeatable); auto: what the table holds (default); "
    told += "none: no column"
    parser.add_argument("--numeric", action="append", metavar="COLUMN", help=told)


def _learning_options():
    """Options of the commands that learn a model."""
    options = _Parser(add_help=False)
    _add_drop(options)
    options.add_argument(
        "--bin",
        action="append",
        default=[],
        metavar="COLUMN[=HOW]",
        help="cut a quantity at its deciles; COLUMN=5 into five parts of as many rows each, COLUMN=18,65 at these "
        "edges (repeatable)",
    )
    _add_numeric(options)
    options.add_argument(
        "--model",
        dest="kind",
        choices=MODELS,
        default="auto",
        help="auto: several trees for each column and a hidden column (default); tree: one tree for each column, in "
        "milliseconds; ensemble: ten of auto, in different orders; dtf: the discrete tree flow of layers",
    )
    options.add_argument(
        "--missing",
        choices=["category", "marginalize", "error"],
        default="category",
        help="a missing cell is a value of its own (default), is summed out, or is refused",
    )
    options.add_argument(
        "--unknown",
        choices=["error", "reserve"],
        default="error",
        help="a value that fit has not seen is refused (default), or each column has room for one",
    )
    options.add_argument(
        "--min-frequency", type=_count_or_share, metavar="N", help="group values of fewer rows, or of a smaller share"
    )
    options.add_argument("--max-categories", type=int, metavar="N", help="group the rarest values of columns with more")
    layers = options.add_argument_group("options of --model dtf")
    layers.add_argument("--layers", type=int, metavar="N", help="layers to learn (default: 10)")
    layers.add_argument("--max-depth", type=int, metavar="N", help="depth of a layer's tree (default: 4)")
    layers.add_argument("--min-samples-split", type=int, metavar="N", help="smaller nodes stay leaves (default: 200)")
    layers.add_argument("--criterion", choices=["likelihood", "random"])
    layers.add_argument(
        "--early-stopping", action="store_true", default=None, help="keep the layers that a held-out tenth likes best"
    )
    return options


def _add_unseen(parser):
    told = "a value that fit has not seen is refused (default), or unknown"
    parser.add_argument("--unseen", choices=["error", "ignore"], default="error", help=told)


def _add_weight(parser):
    told = "a column that says how many rows each row stands for, as that of a frequency table; it is not modelled"
    parser.add_argument("--weight", metavar="COLUMN", help=told)


def _add_given(parser):
    parser.add_argument(
        "--given",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="what is known: a value, several of which any with commas between them, of numbers and ordered categories "
        "LOW..HIGH, either of which may be empty; COLUMN!=VALUE for all but these; a number for a binned column, "
        "nothing for missing; every column of the model's context must have one (repeatable)",
    )


def _share(text):
    with contextlib.suppress(ValueError):
        if 0 < (share := float(text)) < 1:
            return share
    raise argparse.ArgumentTypeError(f"{text!r} is no probability between 0 and 1")


def _whole(least, most=None):
    """What reads a whole number of a range."""

    def read(text):
        with contextlib.suppress(ValueError):
            number = int(text)
            if least <= number and (most is None or number <= most):
                return number
        told = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number {told}")

    return read


def _count_or_share(text):
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        if not math.isnan(share := float(text)):
            return share
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number of rows nor a share of them")
