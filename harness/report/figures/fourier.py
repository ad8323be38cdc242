"""Fig 8 and Fig 2a of the paper: what each unit does to the high frequencies of its feature map (section 3)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.catalogue import Series
from harness.report.figures.style import (
    DEPTHS,
    KIND_NAMES,
    MARKERS,
    MSA_SPAN,
    MUTED,
    PAPER,
    POOL_SPAN,
    Drawing,
    Panel,
    Paper,
    dot,
    legend_below,
    panel_axes,
    role_colour,
)
from harness.report.numbers import fixed, plain
from harness.report.tables import TableError, weighted_mean

QUANTITY = "delta_log_amplitude"
NUMERIC = ("seed", "unit", "stage", "depth", "images", "frequency", "label", QUANTITY)
TEXT = ("role", "model", "kind")
DASHED = (0, (3, 2))


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """Two drawings, a panel per role each.

    Raises:
        TableError: no unit has a finite amplitude at its highest frequency.
    """
    means = weighted_mean(table, ["role", "unit", "seed", "label"], QUANTITY, "images")
    units = table.drop_duplicates(["role", "unit"]).sort_values(["role", "unit"])
    units = units[["role", "model", "unit", "kind", "stage", "depth"]]
    roles = list(dict.fromkeys(table["role"]))
    curves = {role: seed_curve(means, units, role) for role in roles}
    if not any(curve["mean"].notna().any() for curve in curves.values()):
        raise TableError("fourier.parquet holds no finite amplitude at the highest frequency")
    return [
        Drawing("depth", "Highest frequency against depth", depth_caption(table, roles, paper), depths(curves, paper)),
        Drawing("spectrum", "All units over frequency", SPECTRUM_CAPTION, spectra(means, units, roles)),
    ]


# Fig 8: the highest frequency against depth


def seed_curve(means: pd.DataFrame, units: pd.DataFrame, role: str) -> pd.DataFrame:
    """A row per unit of one role: its amplitude at the last bin, mean, lowest and highest over `seeds` seeds."""
    last = means[(means["role"] == role) & np.isclose(means["label"], 1.0)]
    spread = last.groupby("unit")[QUANTITY].agg(mean="mean", low="min", high="max", seeds="count").reset_index()
    return units[units["role"] == role].merge(spread, on="unit", how="left")


def depths(curves: dict[str, pd.DataFrame], paper: Paper) -> list[Panel]:
    panels = []
    for role, curve in curves.items():
        colour, model, published = role_colour(role), curve["model"].iloc[0], paper.of(role, QUANTITY)
        limits = span([curve["low"], curve["high"], *(series.values for series in published)], least=1.0)
        figure, axes = panel_axes(below=0.9)
        mark_units(axes, curve)
        if curve["seeds"].max() > 1:
            axes.fill_between(curve["depth"], curve["low"], curve["high"], color=colour, alpha=0.25, linewidth=0)
        axes.plot(curve["depth"], curve["mean"], color=colour)
        for kind, rows in curve.groupby("kind"):
            axes.plot(rows["depth"], rows["mean"], MARKERS.get(str(kind), "."), color=colour, markeredgecolor="none")
        for series in published:
            draw_published(axes, series)
        axes.set(xlim=(-0.02, 1.02), ylim=limits, xlabel="depth", ylabel="Δ log amplitude at 1.0π (nats)")
        axes.grid(axis="y")
        legend_below(axes, lines_legend(curve, colour, published, paper), columns=1)
        legend_below(axes, units_legend(curve, colour), columns=2, left=1.85)
        panels.append(Panel(f"{role}: {model}", figure, in_words(role, curve, published, paper)))
    return panels


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


def depth_caption(table: pd.DataFrame, roles: list[str], paper: Paper) -> str:
    """What 1.0π truly is, and what the dashed line is not."""
    highest = table.loc[np.isclose(table["label"], 1.0), "frequency"]
    reach = " to ".join(f"{plain(value)}π" for value in dict.fromkeys((highest.min().round(3), highest.max().round(3))))
    parts = [
        "Log amplitude at the last bin of the diagonal minus that at frequency zero of the same unit, mean over "
        f"images and channels. The paper's 1.0π is that last bin; here it truly lies at {reach}."
    ]
    if len(roles) > 1:
        parts.append("Each panel has its own vertical axis.")
    if any(paper.of(role, QUANTITY) for role in roles):
        parts.append(
            f"Dashed: the paper's curve ({paper.figure}, {paper.dataset}), digitised; compare its shape, not its "
            "height, where data set, image size or model differ from ours."
        )
    if lost := int((~np.isfinite(table[QUANTITY])).sum()):
        parts.append(f"{lost} values that are not finite are left out.")
    return " ".join(parts)


def in_words(role: str, curve: pd.DataFrame, published: list[Series], paper: Paper) -> str:
    values = curve["mean"].dropna()
    if values.empty:
        return f"{role}: no finite value."
    text = f"Delta log amplitude of the highest frequency against depth, {role} ({curve['model'].iloc[0]}): "
    text += f"{fixed(values.iloc[0], 2)} at the first, {fixed(values.iloc[-1], 2)} at the last of {len(values)} units."
    for series in published:
        text += f" {paper.label(series)}: {fixed(series.values[0], 2)} to {fixed(series.values[-1], 2)}."
    return text


# Fig 2a: all frequencies of all units

SPECTRUM_CAPTION = (
    "As in Fig 2a of the paper: a line per unit, mean over images, channels and seeds, coloured by depth."
)


def spectra(means: pd.DataFrame, units: pd.DataFrame, roles: list[str]) -> list[Panel]:
    rows = means.groupby(["role", "unit", "label"], as_index=False)[QUANTITY].mean().merge(units, on=["role", "unit"])
    limits = span([rows[QUANTITY]])
    panels = []
    for role in roles:
        mine = rows[rows["role"] == role]
        figure, axes = panel_axes(below=0.6)
        for _, line in mine.groupby("unit"):
            axes.plot(line["label"], line[QUANTITY], color=depth_colour(line["depth"].iloc[0]), linewidth=1.1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25π", "0.5π", "0.75π", "1.0π"])
        axes.set(xlim=(0, 1), ylim=limits, ylabel="Δ log amplitude (nats)")
        axes.set_xlabel("frequency (1.0π: the last bin of each unit)")
        name = f"{role}: {units.loc[units['role'] == role, 'model'].iloc[0]}"
        axes.grid(axis="y")
        legend_below(axes, [Line2D([], [], color=DEPTHS[step], label=f"depth {step / 8:g}") for step in (0, 4, 8)], 3)
        label = f"Delta log amplitude over frequency, {mine['unit'].nunique()} units, {name}."
        panels.append(Panel(name, figure, label))
    return panels


def depth_colour(depth: float) -> str:
    return DEPTHS[min(max(round(depth * (len(DEPTHS) - 1)), 0), len(DEPTHS) - 1)]
