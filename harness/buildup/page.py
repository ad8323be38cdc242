"""The page of a build-up: one HTML file with its style and figures inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.buildup.record import Record, shown
from harness.report.templating import environment
from harness.store.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_page(results: Path, record: Record) -> Path:
    """Render `buildup.html` into the results and return its path.

    Raises:
        HarnessError: it cannot be written.
    """
    pages = environment("harness.buildup")
    pages.filters |= {"placement": shown}
    html = pages.get_template("buildup.html").render(record=record, figures=_figures(record))
    path = results / "buildup.html"
    write_atomically(path, html.encode())
    return path


def _figures(record: Record) -> list[Markup]:
    """Held-out accuracy by step and by parameters: kept placements are joined, those taken back are hollow."""
    from harness.report.figures.style import figure_style, to_svg

    if not record.steps:
        return []
    points = [(record.steps[0].before, 100 * record.steps[0].comparison.accuracies[1], True)]
    points += [(step.placement, 100 * step.comparison.accuracies[0], step.kept) for step in record.steps]
    millions = [record.sizes[placement].parameters / 1e6 for placement, _, _ in points]
    with figure_style():
        panels = {
            "step": _panel(points, list(range(len(points))), "step"),
            "parameters": _panel(points, millions, "million parameters"),
        }
        return [
            to_svg(figure, f"buildup-{name}", f"held-out accuracy by {name}: kept steps are filled")
            for name, figure in panels.items()
        ]


def _panel(points: list[tuple[tuple[int, ...], float, bool]], places: list[float] | list[int], axis: str) -> Figure:
    from harness.report.figures.style import INK, ROLES, panel_axes

    figure, axes = panel_axes()
    kept = [(at, accuracy) for at, (_, accuracy, stays) in zip(places, points, strict=True) if stays]
    axes.plot(*zip(*kept, strict=True), color=ROLES["alternet"])
    for at, (placement, accuracy, stays) in zip(places, points, strict=True):
        colour = ROLES["alternet"]
        axes.plot([at], [accuracy], "o", color=colour, markerfacecolor=colour if stays else "none")
        axes.annotate(shown(placement), (at, accuracy), (3, 4), textcoords="offset points", fontsize=6, color=INK)
    axes.margins(0.12, 0.15)
    if axis == "step":
        axes.set_xticks(places)
    axes.set_xlabel(axis)
    axes.set_ylabel("held-out accuracy (%)")
    return figure
