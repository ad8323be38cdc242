"""The figures of the report, chosen by the name of the probe that wrote the table.

A new probe adds a module with `NUMERIC` and `TEXT`, the columns it needs, and `draw(table, paper) -> [Drawing]`, and a
line in `PROBES`.
"""

from __future__ import annotations

from pathlib import Path

from harness.report.figures import fit, fourier, hessian, landscape, lesion, noise, prediction, similarity, variance
from harness.report.figures.style import Drawing, Paper, figure_style, to_svg
from harness.report.figures.variants import corresponding
from harness.report.measured import measured
from harness.report.tables import TableError, read_table

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
    """The figures for the table at `path`, whose stem names the probe; `key` keeps the ids of one page apart.

    Raises:
        TableError: no figure can be drawn from this table; the message says why.
    """
    how = measured(path.stem)
    if how is None or how.probe not in PROBES:
        raise TableError(f"there is no figure for the probe {path.stem!r}; the table is there to be read")
    probe = PROBES[how.probe]
    # Spectra are taken at several moments; of the other probes, what is not said is the end.
    moment = [how.moment] if how.after != 1 or how.probe == "hessian" else []
    with figure_style():
        drawings = probe.draw(read_table(path, probe.NUMERIC, probe.TEXT), corresponding(paper, how))
        for drawing in drawings:
            drawing.title = ", ".join([drawing.title, *moment, *how.manner])
            for number, panel in enumerate(drawing.panels):
                panel.svg = to_svg(panel.figure, f"{key}-{drawing.name}-{number}", panel.label)
    return drawings
