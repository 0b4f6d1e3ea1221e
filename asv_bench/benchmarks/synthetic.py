"""Synthetic tables by treeflows and its peers, all of which learn from one split.

``python -m benchmarks.synthetic split TABLE.csv FOLDER`` writes train.csv, test.csv and real.csv, of further real rows;
``make MODEL FOLDER`` learns from train.csv, writes MODEL.csv and prints processor seconds, by an interpreter that has
the model, and need not have what other commands and models import;
``evaluate FOLDER MODEL TARGET`` measures what was made, C2ST also by XGBoost.
"""

import argparse
import resource
from pathlib import Path

import pandas as pd

TEST = 0.2  # of the rows of a split
FEW = 20  # values of a column of numbers that adversarial forests are given as categories


def treeflows(train, n, epochs):
    """The mixture, with its defaults."""
    from treeflows import TreeFlowMixture

    model = TreeFlowMixture(random_state=0, n_jobs=1).fit(train)
    return lambda: model.sample(n, random_state=0)


def arfpy(train, n, epochs):
    """Adversarial random forests, which draw floats: rounded to the decimals of their columns."""
    import numpy as np
    from arfpy import arf

    np.random.seed(0)  # noqa: NPY002 - what it draws by
    few = {name: train[name].dtype for name in train.select_dtypes("number") if train[name].nunique() <= FEW}
    model = arf.arf(x=train.astype(dict.fromkeys(few, str)), verbose=False, random_state=0)
    model.forde()
    decimals = {
        name: max(len(str(value).partition(".")[2].rstrip("0")) for value in column.dropna().unique())
        for name, column in train.select_dtypes("number").items()
    }
    return lambda: model.forge(n=n).astype(few).round(decimals)


def gaussian_copula(train, n, epochs):
    """SDV's Gaussian copula, with its defaults."""
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer

    tables = {"rows": train}
    model = GaussianCopulaSynthesizer(Metadata.detect_from_dataframes(tables))
    model.fit(tables)
    return lambda: model.sample(num_rows=n)["rows"]


def ctgan(train, n, epochs):
    """SDV's CTGAN, with its defaults but for the epochs."""
    import torch
    from sdv.metadata import Metadata
    from sdv.single_table import CTGANSynthesizer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    tables = {"rows": train}
    model = CTGANSynthesizer(Metadata.detect_from_dataframes(tables), epochs=epochs)
    model.fit(tables)
    return lambda: model.sample(num_rows=n)["rows"]


MODELS = {made.__name__: made for made in (treeflows, arfpy, gaussian_copula, ctgan)}


def seconds():
    """Of processors: of this process, and of those that it has started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def split(arguments):
    """A shuffled table: rows to learn from, a quarter as many to test, and as many as are left of others, at most."""
    table = pd.read_csv(arguments.table).sample(frac=1, random_state=0)
    n = min(arguments.rows, int(len(table) * (1 - TEST)))
    n_test = round(n * TEST / (1 - TEST))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": table[:n], "test": table[n : n + n_test], "real": table[n + n_test :][:n]}
    for name, rows in parts.items():
        rows.to_csv(arguments.folder / f"{name}.csv", index=False)


def make(arguments):
    """Fit, draw as many rows as were learned from, and print the seconds of both."""
    train = pd.read_csv(arguments.folder / "train.csv")
    start = seconds()
    sample = MODELS[arguments.model](train, len(train), arguments.epochs)
    fitted = seconds()
    drawn = sample()
    print(f"{arguments.model}: fit {fitted - start:.1f} s, sample {seconds() - fitted:.1f} s")
    drawn.to_csv(arguments.folder / f"{arguments.model}.csv", index=False)


def evaluate(arguments):
    """The measures of what was made."""
    from xgboost import XGBClassifier

    from treeflows import evaluate_synthetic

    train, test, made = (pd.read_csv(arguments.folder / f"{name}.csv") for name in ("train", "test", arguments.model))
    figures = evaluate_synthetic(train, made, test, target=arguments.target).figures()
    told = {name: figures[name] for name in ("c2st", "trend", "shape", "dcr")} | figures["utility"]
    told["c2st_xgboost"] = evaluate_synthetic(train, made, classifier=XGBClassifier(n_jobs=1)).c2st
    print(arguments.model, {name: round(value, 4) for name, value in told.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("split")
    command.set_defaults(run=split)
    command.add_argument("table", type=Path)
    command.add_argument("folder", type=Path)
    command.add_argument("--rows", type=int, default=10_000)
    command = commands.add_parser("make")
    command.set_defaults(run=make)
    command.add_argument("model", choices=MODELS)
    command.add_argument("folder", type=Path)
    command.add_argument("--epochs", type=int, default=300)
    command = commands.add_parser("evaluate")
    command.set_defaults(run=evaluate)
    command.add_argument("folder", type=Path)
    command.add_argument("model")
    command.add_argument("target")
    arguments = parser.parse_args()
    arguments.run(arguments)
