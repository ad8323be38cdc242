"""The figures of the report, chosen by the probe that wrote the table.

A new probe adds a module with `NUMERIC` and `TEXT`, the columns it needs, and `draw(table, paper) -> [Drawing]`, and a
line in `PROBES`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.report.figures import fit, fourier, hessian, landscape, lesion, noise, prediction, similarity, variance
from harness.report.figures.correspondence import corresponding
from harness.report.figures.style import Drawing, Paper, figure_style, to_svg
from harness.report.measured import measured, points_of
from harness.report.tables import TableError, chosen_columns, read_table

PROBES = {
    "fit": fit,
    "fourier": fourier,
    "hessian": hessian,
    "landscape": landscape,
    "lesion": lesion,
    "noise": noise,
    "prediction": prediction,
    "similarity": similarity,
    "variance": variance,
}

__all__ = ["Drawing", "Paper", "draw"]


def draw(path: Path, paper: Paper, key: str) -> list[Drawing]:
    """The figures for the table at `path`, which says what it holds; `key` keeps the ids of one page apart.

    Raises:
        TableError: no figure can be drawn from this table; the message says why.
    """
    table = read_table(path)
    how = measured(table)
    if how.probe not in PROBES:
        raise TableError(f"there is no figure for the probe {how.probe!r}; the table is there to be read")
    probe = PROBES[how.probe]
    paper = replace(corresponding(paper, how), points=points_of(table))
    # Spectra are taken at several moments; of the other probes, what is not said is the end.
    moment = [how.moment] if how.after != 1 or how.probe == "hessian" else []
    with figure_style():
        drawings = probe.draw(chosen_columns(table, path.name, probe.NUMERIC, probe.TEXT), paper)
        for drawing in drawings:
            drawing.title = ", ".join([drawing.title, *moment, *how.manner])
            for number, panel in enumerate(drawing.panels):
                if panel.figure is not None:
                    panel.svg = to_svg(panel.figure, f"{key}-{drawing.name}-{number}", panel.label)
    return drawings
