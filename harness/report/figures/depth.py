"""Curves by depth, as in Figs 8, 9, D.1 and D.2 of the paper: a value of every unit, stages and kinds marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.plan.catalogue import Series
from harness.report.figures.style import (
    KIND_NAMES,
    MARKERS,
    MSA_SPAN,
    MUTED,
    PAPER,
    POOL_SPAN,
    Panel,
    Paper,
    as_csv,
    dot,
    legend_below,
    named,
    panel_axes,
)
from harness.report.numbers import fixed

DASHED = (0, (3, 2))


@dataclass(frozen=True)
class Quantity:
    """What stands on the vertical axis.

    Attributes:
        column: of the table; the catalogue names its digitised curves by it too.
        axis: the axis label.
        words: how a text names it.
        places: decimals in texts.
        least: how far the limits are apart at least, so that noise looks like noise.
        rescale: whether the paper's curve is drawn at the mean height of ours, since only its shape can be compared.
    """

    column: str
    axis: str
    words: str
    places: int
    least: float = 0.0
    rescale: bool = False


def unit_curves(means: pd.DataFrame, table: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """Role -> a row per unit with its kind, stage and depth, and `column` over the seeds: mean, low, high, seeds.

    Args:
        means: a row per role, unit and seed.
        table: as the probe wrote it, for what it says of the units.
    """
    units = table.drop_duplicates(["role", "unit"]).sort_values(["role", "unit"])
    units = units[["role", "model", "unit", "kind", "stage", "depth"]]
    spread = means.groupby(["role", "unit"])[column].agg(mean="mean", low="min", high="max", seeds="count")
    rows = units.merge(spread.reset_index(), on=["role", "unit"], how="left")
    return {role: rows[rows["role"] == role].reset_index(drop=True) for role in dict.fromkeys(table["role"])}


def curves_csv(curves: dict[str, pd.DataFrame]) -> str:
    """What `unit_curves` gives, a row per role and unit."""
    return as_csv(pd.concat([curve.assign(role=role) for role, curve in curves.items()]))


def depth_panels(curves: dict[str, pd.DataFrame], paper: Paper, quantity: Quantity) -> list[Panel]:
    """A panel per role."""
    panels = []
    for role, curve in curves.items():
        colour, model, published = paper.colour(role), curve["model"].iloc[0], paper.of(role, quantity.column)
        if quantity.rescale:
            published = [rescaled(series, curve["mean"].mean()) for series in published]
        values = [curve["low"], curve["high"], *(series.values for series in published)]
        figure, axes = panel_axes(below=0.9)
        mark_units(axes, curve)
        if curve["seeds"].max() > 1:
            axes.fill_between(curve["depth"], curve["low"], curve["high"], color=colour, alpha=0.25, linewidth=0)
        axes.plot(curve["depth"], curve["mean"], color=colour)
        for kind, rows in curve.groupby("kind"):
            axes.plot(rows["depth"], rows["mean"], MARKERS.get(str(kind), "."), color=colour, markeredgecolor="none")
        for series in published:
            draw_published(axes, series)
        axes.set(xlim=(-0.02, 1.02), ylim=span(values, quantity.least), xlabel="depth", ylabel=quantity.axis)
        axes.grid(axis="y")
        legend_below(axes, lines_legend(curve, colour, published, paper), columns=1)
        legend_below(axes, units_legend(curve, colour), columns=2, left=1.85)
        panels.append(Panel(named(role, model), figure, in_words(role, curve, published, paper, quantity)))
    return panels


def rescaled(series: Series, height: float) -> Series:
    """The digitised curve at another mean height; its name says by what it was multiplied."""
    factor = float(f"{height / np.mean(series.values):.2g}")
    values = [value * factor for value in series.values]
    return series.model_copy(update={"values": values, "name": f"{series.name}, × {factor:g}"})


def span(values: list[Iterable[float]], least: float = 0.0) -> tuple[float, float]:
    """Limits that hold every finite value, with a margin, and are `least` apart so that noise looks like noise."""
    everything = np.concatenate([np.asarray(each, dtype=float) for each in values])
    everything = everything[np.isfinite(everything)]
    low, high = (float(everything.min()), float(everything.max())) if everything.size else (-1.0, 1.0)
    margin = max(0.06 * (high - low), (least - (high - low)) / 2, 1e-3)
    return low - margin, high + margin


def mark_units(axes: Axes, curve: pd.DataFrame) -> None:
    """Shade the step that an attention or a pooling unit makes, as the paper does; dot the other stage borders."""
    depth, kind, stage = (curve[column].to_numpy() for column in ("depth", "kind", "stage"))
    for here in range(1, len(curve)):
        if kind[here] in ("msa", "pool"):
            colour = MSA_SPAN if kind[here] == "msa" else POOL_SPAN
            axes.axvspan(depth[here - 1], depth[here], color=colour, linewidth=0, zorder=0)
        if stage[here] != stage[here - 1] and not {kind[here], kind[here - 1]} & {"stem", "pool"}:
            axes.axvline(depth[here - 1 : here + 1].mean(), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)


def draw_published(axes: Axes, series: Series) -> None:
    """The digitised curve; without an axis of its own its points are the units in order."""
    depth = np.asarray(series.x) if series.x else np.linspace(0, 1, len(series.values))
    axes.plot(depth, series.values, color=PAPER, linestyle=DASHED, linewidth=1.0)
    for point, value, kind in zip(depth, series.values, series.kinds or (), strict=False):
        axes.plot([point], [value], MARKERS.get(kind, "."), color=PAPER, markersize=2.8, markeredgecolor="none")


def lines_legend(curve: pd.DataFrame, colour: str, published: list[Series], paper: Paper) -> list[Line2D | Patch]:
    seeds = curve["seeds"].max()
    ours = f"ours, mean of {seeds:.0f} seeds" if seeds > 1 else "ours, single seed"
    lines: list[Line2D | Patch] = [Line2D([], [], color=colour, label=ours)]
    if seeds > 1:
        lines.append(Patch(color=colour, alpha=0.25, linewidth=0, label="lowest to highest seed"))
    lines += [Line2D([], [], color=PAPER, linestyle=DASHED, linewidth=1, label=paper.label(one)) for one in published]
    return lines


def units_legend(curve: pd.DataFrame, colour: str) -> list[Line2D | Patch]:
    kinds = list(dict.fromkeys(curve["kind"]))
    marks: list[Line2D | Patch] = [dot(colour, MARKERS.get(kind, "."), KIND_NAMES.get(kind, kind)) for kind in kinds]
    for kind, shade in (("msa", MSA_SPAN), ("pool", POOL_SPAN)):
        if kind in kinds:
            marks.append(Patch(color=shade, linewidth=0, label=f"{KIND_NAMES[kind]} step"))
    return marks


def in_words(role: str, curve: pd.DataFrame, published: list[Series], paper: Paper, quantity: Quantity) -> str:
    values = curve["mean"].dropna()
    if values.empty:
        return f"{role}: no finite value."
    first, last = (fixed(values.iloc[end], quantity.places) for end in (0, -1))
    text = f"{quantity.words} against depth, {role} ({curve['model'].iloc[0]}): "
    text += f"{first} at the first, {last} at the last of {len(values)} units."
    for series in published:
        first, last = (fixed(series.values[end], quantity.places) for end in (0, -1))
        text += f" {paper.label(series)}: {first} to {last}."
    return text
