"""The section of a page that says what differs from another table."""

from dataclasses import dataclass

import numpy as np

from .._ext import elementary
from ..models.comparison import TOLD_PLACES, Comparison
from ..pictures.differences import BLAMED, NOT_BLAMED, OF_A, OF_B, ComparisonDisplay
from ..pictures.saving import inline
from ..tables.containers import is_missing

TYPICAL = 4  # rows that are told
MOST_NAMED = 6  # columns, in the summary
MOST_CELLS = 4  # of such a row
COLOURS = {OF_A: "var(--data)", OF_B: "var(--model)", BLAMED: "var(--model)", NOT_BLAMED: "var(--line)"}


@dataclass(frozen=True)
class Against:
    """Another table that a page compares its own table with.

    Attributes
    ----------
    found : Comparison
        Of the other table, which is A, and that of the page, which is B.
    name : str
        What the other one is called.
    """

    found: Comparison
    name: str


def section(against, frame):
    """What a page says of the differences.

    Parameters
    ----------
    against : Against
    frame : DataFrame
        The table of the page.

    Returns
    -------
    told : dict
        For the template.
    """
    found = against.found
    return {
        "name": against.name,
        "verdict": found.verdict,
        "accuracy": found.accuracy,
        "bayes_factor": found.bayes_factor,
        "rows": found.n_rows,
        "blamed": [{"column": name, "places": _places(found, name)} for name in found.blamed],
        "blamed_told": ", ".join(found.blamed[:MOST_NAMED]) + ", …" * (len(found.blamed) > MOST_NAMED),
        "others": len(found.names) - len(found.blamed),
        "typical": _typical(found, frame) if found.blamed else [],
        "pictures": _pictures(found) if found.blamed else [],
    }


def _places(found, name):
    """The first places where a column differs: their conditions, their rows, and what changes there."""
    places = [each for each in found.differences if each.column == name][:TOLD_PLACES]
    return [
        {
            "where": each.where,
            "rows": each.rows,
            "texts": [told for told in each.told if isinstance(told[1], str)],
            "shares": [told for told in each.told if not isinstance(told[1], str)],
        }
        for each in places
    ]


def _typical(found, frame):
    """The rows of the page's table that are least like those of the other one, with the columns to blame first."""
    rows, ratio = found.typical(TYPICAL)[1], found.log_ratios[1]
    shown = [*found.blamed, *(name for name in found.names if name not in found.blamed)][:MOST_CELLS]
    names = [str(name) for name in frame.columns]
    return [
        {
            "row": row,
            "times": float(elementary.exp(np.minimum(-ratio[row], 700.0))),
            "cells": [{"column": name, "value": _told(frame.iloc[row, names.index(name)])} for name in shown],
        }
        for row in rows.tolist()
    ]


def _told(cell):
    return "(missing)" if is_missing(cell) else str(cell)


def _pictures(found):
    """How much each column differs, and how well single rows are told: SVG by what it shows."""
    from matplotlib import pyplot

    height = 1.2 + 0.28 * min(12, len(found.names))
    made = [pyplot.subplots(figsize=(6.5, max(3.2, height)), layout="constrained") for _ in range(3)]
    figures, axes = zip(*made, strict=True)
    ComparisonDisplay(found).plot(ax=axes)
    pyplot.close(figures[1])  # where they differ, the page says in words
    axes[0].set_title("")
    axes[2].set_title("")
    return [inline(figures[i], name, COLOURS) for i, name in ((0, "differs"), (2, "told"))]
