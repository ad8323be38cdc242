"""Fig 8 and Fig 2a of the paper: what each unit does to the high frequencies of its feature map (section 3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness.report.figures.depth import Quantity, curves_csv, depth_panels, span, unit_curves
from harness.report.figures.steps import picture
from harness.report.figures.style import DEPTHS, Drawing, Panel, Paper, as_csv, legend_below, named, panel_axes
from harness.report.numbers import plain
from harness.report.tables import TableError, weighted_mean

QUANTITY = "delta_log_amplitude"
NUMERIC = ("seed", "unit", "stage", "depth", "height", "images", "frequency", "label", QUANTITY)
TEXT = ("role", "model", "kind")
HIGHEST = Quantity(
    QUANTITY, "Δ log amplitude at 1.0π (nats)", "Delta log amplitude of the highest frequency", places=2, least=1.0
)


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """What the claim is about, if it says how to draw that; then two drawings with a panel per role each.

    Raises:
        TableError: no unit has a finite amplitude at its highest frequency.
    """
    means = weighted_mean(table, ["role", "unit", "seed", "label"], QUANTITY, "images")
    highest = means[np.isclose(means["label"], 1.0)]
    curves = unit_curves(highest, table, QUANTITY)
    if not any(curve["mean"].notna().any() for curve in curves.values()):
        raise TableError("fourier.parquet holds no finite amplitude at the highest frequency")
    return [
        *picture(highest, table, paper),
        Drawing(
            "depth",
            "Highest frequency against depth",
            depth_caption(table, list(curves), paper),
            depth_panels(curves, paper, HIGHEST),
            csv=curves_csv(curves),
        ),
        Drawing(
            "spectrum",
            "All units over frequency",
            SPECTRUM_CAPTION,
            spectra(means, curves),
            csv=as_csv(means.groupby(["role", "unit", "label"], as_index=False)[QUANTITY].mean()),
        ),
    ]


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


# Fig 2a: all frequencies of all units

SPECTRUM_CAPTION = (
    "As in Fig 2a of the paper: a line per unit, mean over images, channels and seeds, coloured by depth."
)


def spectra(means: pd.DataFrame, curves: dict[str, pd.DataFrame]) -> list[Panel]:
    rows = means.groupby(["role", "unit", "label"], as_index=False)[QUANTITY].mean()
    limits = span([rows[QUANTITY]])
    panels = []
    for role, curve in curves.items():
        mine = rows[rows["role"] == role].merge(curve[["unit", "depth"]], on="unit")
        figure, axes = panel_axes(below=0.6)
        for _, line in mine.groupby("unit"):
            axes.plot(line["label"], line[QUANTITY], color=depth_colour(line["depth"].iloc[0]), linewidth=1.1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25π", "0.5π", "0.75π", "1.0π"])
        axes.set(xlim=(0, 1), ylim=limits, ylabel="Δ log amplitude (nats)")
        axes.set_xlabel("frequency (1.0π: the last bin of each unit)")
        name = named(role, curve["model"].iloc[0])
        axes.grid(axis="y")
        legend_below(axes, [Line2D([], [], color=DEPTHS[step], label=f"depth {step / 8:g}") for step in (0, 4, 8)], 3)
        label = f"Delta log amplitude over frequency, {mine['unit'].nunique()} units, {name}."
        panels.append(Panel(name, figure, label))
    return panels


def depth_colour(depth: float) -> str:
    return DEPTHS[min(max(round(depth * (len(DEPTHS) - 1)), 0), len(DEPTHS) - 1)]
