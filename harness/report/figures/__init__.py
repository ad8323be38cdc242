"""The figures of the report, chosen by the probe that wrote the table.

A probe's figure is the module of its name here, with `NUMERIC` and `TEXT`, the columns it needs, perhaps `WHOLE`, those
that a table in brief does not have, and `draw(table, paper) -> [Drawing]`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.figures import trade
from harness.report.figures.correspondence import corresponding
from harness.report.figures.style import Drawing, Paper, figure_style, to_svg
from harness.report.measured import measured, points_of
from harness.report.tables import TableError, chosen_columns, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Drawing", "Paper", "draw", "draw_together", "drawings_of", "pictured"]


def draw(path: Path, paper: Paper, key: str) -> list[Drawing]:
    """The figures for the table at `path`, which says what it holds; `key` keeps the ids of one page apart.

    Raises:
        TableError: no figure can be drawn from this table; the message says why.
    """
    table = read_table(path)
    how = measured(table)
    paper = replace(corresponding(paper, how), points=points_of(table))
    # Spectra are taken at several moments; of the other probes, what is not said is the end.
    moment = [how.moment] if how.after != 1 or how.probe == "hessian" else []
    drawings = pictured(drawings_of(table, how.probe, path.name, paper), key)
    for drawing in drawings:
        drawing.title = ", ".join([drawing.title, *moment, *how.manner])
        drawing.as_in_paper = how.like_the_paper
    return drawings


def draw_together(paths: list[Path], paper: Paper, key: str) -> list[Drawing]:
    """What a claim draws of several of its tables at once; nothing where it does not want that.

    Raises:
        TableError: it cannot be drawn from these tables; the message says why.
    """
    if paper.picture != trade.PICTURE:
        return []
    tables = [read_table(path) for path in paths]
    points = {role: point for table in tables for role, point in points_of(table).items()}
    with figure_style():
        found = trade.draw(tables, replace(paper, points=points))
    return pictured(found, key)


def drawings_of(table: pd.DataFrame, probe: str, name: str, paper: Paper) -> list[Drawing]:
    """What the probe's own module draws of its table; `name` is the table's.

    Raises:
        TableError: no figure can be drawn from this table.
    """
    figure = figure_of(probe)
    numeric = (*figure.NUMERIC, *(column for column in getattr(figure, "WHOLE", ()) if column in table))
    with figure_style():
        return figure.draw(chosen_columns(table, name, numeric, figure.TEXT), paper)


def pictured(drawings: list[Drawing], key: str) -> list[Drawing]:
    """The same, their panels as SVG."""
    with figure_style():
        for drawing in drawings:
            for number, panel in enumerate(drawing.panels):
                if panel.figure is not None:
                    panel.svg = to_svg(panel.figure, f"{key}-{drawing.name}-{number}", panel.label)
    return drawings


def figure_of(probe: str) -> Any:
    """The module that draws a probe's tables.

    Raises:
        TableError: there is none.
    """
    name = f"{__name__}.{probe}"
    found = importlib.import_module(name) if probe.isidentifier() and importlib.util.find_spec(name) else None
    if not hasattr(found, "draw"):
        raise TableError(f"there is no figure for the probe {probe!r}; the table is there to be read")
    return found
