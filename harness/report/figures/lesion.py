"""Figs 10b and D.4 of the paper: the accuracy that goes with each unit (section 4.1)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.plan.catalogue import Series
from harness.report.figures.depth import span
from harness.report.figures.style import (
    INK,
    KIND_NAMES,
    MUTED,
    PAPER,
    Drawing,
    Panel,
    Paper,
    as_csv,
    legend_below,
    named,
    panel_axes,
)
from harness.report.numbers import fixed
from harness.report.tables import TableError, weighted_mean

COLUMN, QUANTITY = "delta_accuracy", "lesion_delta_accuracy"  # in the table, in the catalogue
NUMERIC = ("seed", "unit", "stage", "images", COLUMN)
TEXT = ("role", "model", "kind")
SHADES = {"mlp": 0.4}  # of the bars, so that MSAs and MLPs of one network differ


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One drawing: for every role a panel with our bars and one for each of the paper's series.

    Raises:
        TableError: no unit has a finite change of accuracy.
    """
    means = weighted_mean(table, ["role", "unit", "seed"], COLUMN, "images")
    if means.empty:
        raise TableError("lesion.parquet holds no finite change of accuracy")
    units = table.drop_duplicates(["role", "unit"])[["role", "model", "unit", "kind", "stage"]]
    panels = []
    for role in dict.fromkeys(table["role"]):
        mine = units[units["role"] == role].sort_values("unit").reset_index(drop=True)
        panels.append(our_panel(role, mine, means[means["role"] == role], paper))
        panels += [paper_panel(role, series, paper) for series in paper.of(role, QUANTITY)]
    caption = (
        "Accuracy with one unit taken out minus accuracy of the whole network: of a convolutional block its 3×3 "
        "convolution, of an MSA or MLP the residual branch. Units from first to last; dotted lines part the stages."
    )
    if any(paper.of(role, QUANTITY) for role in dict.fromkeys(table["role"])):
        caption += f" Grey bars: the paper's ({paper.figure}, {paper.dataset}), digitised."
    drawn = as_csv(means.merge(units, on=["role", "unit"]))
    return [Drawing("lesion", "Accuracy lost with each unit", caption, panels, csv=drawn)]


def our_panel(role: str, units: pd.DataFrame, means: pd.DataFrame, paper: Paper) -> Panel:
    colour, name = paper.colour(role), named(role, units["model"].iloc[0])
    heights = means.groupby("unit")[COLUMN].mean().reindex(units["unit"]).to_list()
    figure, axes = bars(heights, units["kind"].to_list(), colour)
    for border in units.index[units["stage"].diff() > 0]:
        axes.axvline(border - 0.5, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    seeds = means["seed"].nunique()
    marks = kinds_legend(units["kind"].to_list(), colour)
    if seeds > 1:
        places = means["unit"].map({unit: place for place, unit in enumerate(units["unit"])})
        axes.plot(places, means[COLUMN], "_", color=INK, markersize=5, markeredgewidth=1)
        marks.append(Line2D([], [], color=INK, marker="_", linestyle="none", markersize=5, label="one seed"))
    axes.set_ylim(span([means[COLUMN], [0.0]], least=1.0))
    legend_below(axes, marks, columns=3)
    return Panel(name, figure, in_words(f"Change of accuracy, {name}", heights))


def paper_panel(role: str, series: Series, paper: Paper) -> Panel:
    kinds = list(series.kinds or ["unit"] * len(series.values))
    figure, axes = bars(series.values, kinds, PAPER)
    axes.set_ylim(span([series.values, [0.0]]))
    legend_below(axes, kinds_legend(kinds, PAPER), columns=3)
    words = in_words(f"Change of accuracy, {role}, {paper.label(series)}", series.values)
    return Panel(paper.label(series), figure, words)


def bars(heights: list[float], kinds: list[str], colour: str) -> tuple[Figure, Axes]:
    figure, axes = panel_axes(below=0.6)
    for place, (height, kind) in enumerate(zip(heights, kinds, strict=True)):
        axes.bar(place, height, width=0.75, color=colour, alpha=SHADES.get(kind, 1.0), linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.set_xlim(-0.7, len(heights) - 0.3)
    axes.set_xticks([])
    axes.set(xlabel="unit, first to last", ylabel="Δ accuracy (pp)")
    axes.grid(axis="y")
    return figure, axes


def kinds_legend(kinds: list[str], colour: str) -> list[Line2D | Patch]:
    return [
        Patch(color=colour, alpha=SHADES.get(kind, 1.0), linewidth=0, label=KIND_NAMES.get(kind, kind))
        for kind in dict.fromkeys(kinds)
    ]


def in_words(what: str, heights: list[float]) -> str:
    worst = min(range(len(heights)), key=heights.__getitem__)
    return (
        f"{what}: {fixed(heights[0], 1)} at the first, {fixed(heights[-1], 1)} at the last of {len(heights)} units, "
        f"lowest {fixed(heights[worst], 1)} at number {worst + 1}."
    )
