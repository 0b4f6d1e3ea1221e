"""Why a row is as probable as it is: its cells, what was rather to be expected, and the questions that led there."""

import numpy as np

from .._ext import elementary
from ..machine.threads import n_threads

MOST_LIKELY = 3  # values of a category
WITHIN = (0.05, 0.5, 0.95)  # quantiles of a number


def explain(model, X, row, context=None, *, unseen="error"):
    """Explain one row of a table.

    Parameters
    ----------
    model : fitted model of this package
    X : array or dataframe of shape (n_rows, n_columns)
    row : int
        Its number, from 0.
    context : array or dataframe of shape (n_rows, n_context), default=None
    unseen : "error" or "ignore", default="error"
        What becomes of a value that fit did not see.

    Returns
    -------
    figures : dict
        Its log-likelihood in nats, how many of the rows of the table are less likely, and by column, the most
        surprising first: the value, its surprise as in `Anomalies`, what was rather expected, and the questions of the
        column's tree with their answers, where the model has one.
    """
    scores = model.score_samples(X, context, unseen=unseen)
    one, of = X[row : row + 1], None if context is None else context[row : row + 1]
    found = model.anomalies(one, 1, of, unseen=unseen)
    cells = {}
    for j in np.argsort(-found.surprise[0], kind="stable").tolist():
        name, is_number = found.names[j], bool(model.domain_.numeric[j])
        told = {"value": found.values[0, j], "surprise": float(found.surprise[0, j]), "is_number": is_number}
        if is_number:
            quantiles = model.predict_quantiles(one, j, WITHIN, of, unseen=unseen)[0]
            told["quantiles"] = dict(zip(map(str, WITHIN), map(str, quantiles.tolist()), strict=True))
        else:
            prob = model.conditional_proba(one, j, of, unseen=unseen)[0]
            told["probability"] = _most_likely(model.domain_.columns[j], prob)
            told["questions"] = _questions(model, one, j, of, unseen)
        cells[name] = told
    return {
        "row": row,
        "log_likelihood": float(scores[row]),
        "n_less_likely": int((scores < scores[row]).sum()),
        "n_rows": len(scores),
        "cells": cells,
    }


def to_text(figures, most):
    """An explanation to read, with so many cells."""
    n = figures["n_less_likely"]
    told = f"{n:,} of the {figures['n_rows']:,} rows {'is' if n == 1 else 'are'} less likely"
    lines = [f"row {figures['row']}: log-likelihood {figures['log_likelihood']:.2f} nats; {told}"]
    for name, cell in list(figures["cells"].items())[:most]:
        is_tail = cell["is_number"] and cell["value"] != "(missing)"
        what = "tail probability" if is_tail else "probability"
        lines.append(f"  {name} = {cell['value']}: {what} {elementary.exp(-cell['surprise']):.2g} given the rest")
        if cell["is_number"]:
            low, middle, high = cell["quantiles"].values()
            lines.append(f"    expected {middle}, in nine of ten such rows {low} to {high}")
            continue
        lines.append("    expected " + ", ".join(f"{value} ({p:.2g})" for value, p in cell["probability"].items()))
        for question, answer in cell["questions"]:
            lines.append(f"    {question}? {answer}")
    return "\n".join(lines)


def _most_likely(column, prob):
    """The most probable values of a column of categories, with their probabilities: dict of str to float."""
    return {column.cell_labels[v]: float(prob[v]) for v in np.argsort(-prob, kind="stable")[:MOST_LIKELY].tolist()}


def _questions(model, one, j, context, unseen):
    """What the tree of a column asks of a row, and the answers: list of (str, str); none of a model without trees."""
    try:
        tree = model.tree(j)
    except (TypeError, ValueError):
        return []
    rows = model.read(one, context, infer=True, unseen=unseen)
    codes = model.distribution_.tree_codes(rows.codes, j, n_threads(model.n_jobs))
    return [(" ".join(tree.question(node)), "yes" if yes else "no") for node, yes in tree.path(codes[0])]
