"""A row per role, a dot per seed, the paper's value as a diamond."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.plan.catalogue import Series
from harness.report.figures.style import INK, PAPER, Panel, Paper, dot, legend_below, named, panel_axes
from harness.report.numbers import fixed, plain

LONGEST = 60  # letters that fit across the plot; the whole name stands in the words for the figure

Published = dict[str, list[tuple[Series, float]]]


@dataclass(frozen=True)
class Measure:
    """A number that each seed of a role has.

    Attributes:
        quantity: as the catalogue names it.
        axis: the axis label.
        words: how a text names it.
        unit: behind a number in a text.
        places: decimals in texts.
        scale: what the catalogue's numbers are multiplied by.
        log: on a logarithmic axis.
        reach: the axis of a course goes from 0 at least to here, so that noise looks like noise.
        comparable: whether the paper's values may stand on the same axis as ours.
    """

    quantity: str
    axis: str
    words: str
    unit: str
    places: int
    scale: float = 1.0
    log: bool = False
    reach: float | None = None
    comparable: bool = True

    def text(self, value: float) -> str:
        return f"{fixed(value, self.places)}{self.unit}"


def dot_panels(
    values: pd.DataFrame, models: dict[str, str], published: Published, measure: Measure, paper: Paper
) -> list[Panel]:
    """One panel; with paper values that cannot stand on its axis, a second one for them.

    Args:
        values: role, seed and a column of the measure's name.
        models: role -> model, in the order of the rows.
    """
    beside = published if measure.comparable else {}
    panels = [our_panel(values, models, beside, measure, paper)]
    if any(published.values()) and not measure.comparable:
        panels[0].title = "ours"
        panels.append(paper_panel({role: found for role, found in published.items() if found}, measure, paper))
    return panels


def our_panel(
    values: pd.DataFrame, models: dict[str, str], published: Published, measure: Measure, paper: Paper
) -> Panel:
    figure, axes = rows_axes([named(role, model) for role, model in models.items()], measure)
    words = []
    for row, (role, model) in enumerate(models.items()):
        mine = values.loc[values["role"] == role, measure.quantity]
        axes.plot(mine, [row] * len(mine), "o", color=paper.colour(role), alpha=0.6, markeredgecolor="none")
        axes.plot([mine.mean()], [row], "|", color=INK, markersize=10, markeredgewidth=1.6)
        words.append(f"{role} ({model}) {measure.text(mine.mean())}")
        for series, value in published.get(role, []):
            axes.plot([value], [row], "D", color=PAPER, fillstyle="none")
            words.append(f"{paper.label(series)} {plain(value)}{measure.unit}")
    marks = [
        dot(INK, "o", "one seed"),
        Line2D([], [], marker="|", linestyle="none", color=INK, markersize=8, markeredgewidth=1.6, label="mean"),
    ]
    if any(published.values()):
        marks.append(diamond(f"paper, {paper.dataset}"))
    legend_below(axes, marks, columns=3)
    return Panel("", figure, f"{measure.words}: {'; '.join(words)}.")


def paper_panel(published: Published, measure: Measure, paper: Paper) -> Panel:
    names = [f"{role}: {', '.join(series.name for series, _ in found)}" for role, found in published.items()]
    figure, axes = rows_axes(names, measure)
    words = []
    for row, found in enumerate(published.values()):
        for series, value in found:
            axes.plot([value], [row], "D", color=PAPER, fillstyle="none")
            words.append(f"{series.name} {plain(value)}{measure.unit}")
    legend_below(axes, [diamond(f"paper, {paper.dataset}")], columns=1)
    title = f"paper: {paper.figure}, {paper.dataset}"
    return Panel(title, figure, f"The paper's {measure.words}: {'; '.join(words)}.")


def rows_axes(names: list[str], measure: Measure) -> tuple[Figure, Axes]:
    """A row per name, which stands above its dots."""
    figure, axes = panel_axes(height=0.5 * len(names), below=0.6, left=0.12, top=0.05)
    for row, name in enumerate(names):
        axes.text(0.01, row - 0.36, shortened(name), transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.65, -0.6)
    axes.set_xlabel(measure.axis)
    axes.grid(axis="x")
    axes.margins(x=0.08)
    return figure, axes


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def diamond(label: str) -> Line2D:
    return Line2D([], [], marker="D", linestyle="none", color=PAPER, fillstyle="none", label=label)
