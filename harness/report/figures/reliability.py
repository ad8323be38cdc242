"""Reliability diagrams: how often a prediction of so much confidence is right (Fig F.1a)."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from harness.plan.catalogue import Series
from harness.readings import reliability
from harness.report.figures.depth import DASHED
from harness.report.figures.style import MUTED, PAPER, Drawing, Panel, Paper, as_csv, legend_below, panel_axes
from harness.report.numbers import fixed

LONGEST_LINE = 52  # letters of a legend


def reliability_drawing(table: pd.DataFrame, paper: Paper) -> Drawing:
    """A panel a role, ours beside the paper's where it has one.

    Args:
        table: a row an image: role, model, seed, confidence and correct (0 to 1).
    """
    panels = [panel(str(role), mine, paper) for role, mine in table.groupby("role", sort=False)]
    caption = (
        "Accuracy of the predictions whose confidence lies in each of ten equal bins. Line: all seeds together; dots: "
        "one seed, as large as its share of the images; dotted: as right as confident. Above it predictions are "
        "under-confident."
    )
    bins = [by_confidence(mine).assign(role=role, seed=seed) for (role, seed), mine in table.groupby(["role", "seed"])]
    return Drawing("reliability", "Accuracy by confidence", caption, panels, csv=as_csv(pd.concat(bins)))


def by_confidence(table: pd.DataFrame) -> pd.DataFrame:
    """Of each bin that holds an image: confidence (mean, %), accuracy (%), share (of the images, 0 to 1)."""
    found = reliability(table)
    found = found[found["count"] > 0]
    share = found["count"] / found["count"].sum()
    return pd.DataFrame({"confidence": 100 * found.confidence, "accuracy": 100 * found.accuracy, "share": share})


def panel(role: str, table: pd.DataFrame, paper: Paper) -> Panel:
    colour, model = paper.colour(role), table["model"].iloc[0]
    series_there = published(role, paper)
    names = [f"{role} ({model}), ours", *map(paper.label, series_there)]
    names = [textwrap.fill(name, LONGEST_LINE) for name in names]
    figure, axes = panel_axes(below=0.5 + 0.14 * sum(name.count("\n") + 1 for name in names))
    axes.plot([0, 100], [0, 100], ":", color=MUTED, linewidth=1)
    for _, seed in table.groupby("seed"):
        of_seed = by_confidence(seed)
        axes.scatter(
            of_seed.confidence, of_seed.accuracy, s=60 * of_seed.share + 2, color=colour, alpha=0.4, linewidths=0
        )
    ours = by_confidence(table)
    axes.plot(ours.confidence, ours.accuracy, "-o", color=colour, markersize=3)
    handles = [Line2D([], [], color=colour, marker="o", markersize=3, label=names[0])]
    pairs = zip(ours.confidence, ours.accuracy, strict=True)
    words = [
        f"{role} ({model}): {', '.join(f'{fixed(at, 0)} % sure, {fixed(right, 0)} % right' for at, right in pairs)}"
    ]
    for name, series in zip(names[1:], series_there, strict=True):
        style: dict[str, Any] = {
            "color": PAPER,
            "linestyle": DASHED,
            "linewidth": 1,
            "marker": "D",
            "fillstyle": "none",
        }
        axes.plot(series.x or [], series.values, **style)
        handles.append(Line2D([], [], **style, label=name))
        words.append(f"{paper.label(series)}: {', '.join(f'{value:g} %' for value in series.values)}")
    axes.set(xlim=(0, 102), ylim=(-2, 102), xlabel="confidence (%)", ylabel="accuracy (%)")
    axes.grid(axis="y")
    legend_below(axes, handles, 1)
    return Panel(role, figure, ". ".join(words))


def published(role: str, paper: Paper) -> list[Series]:
    """The paper's curve of the same point of the same study."""
    point = paper.points.get(role)
    return [series for series in paper.of(point.of, "reliability") if series.at == point.at] if point else []
