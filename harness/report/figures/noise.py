"""Fig 2b of the paper: accuracy under noise of one frequency band (section 3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness.plan.catalogue import Series
from harness.readings import calibrated
from harness.report.figures.depth import DASHED
from harness.report.figures.style import Drawing, Panel, Paper, as_csv, legend_below, named, panel_axes
from harness.report.numbers import fixed, plain
from harness.report.tables import TableError, weighted_mean

COLUMN, QUANTITY = "delta_accuracy", "noise_delta_accuracy"  # in the table, in the catalogue
NUMERIC = ("seed", "images", "frequency", "amplitude", "share", COLUMN)
TEXT = ("role", "model")


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One drawing: all roles at the amplitude that the first one calibrates, and the paper's curves beside it.

    Raises:
        TableError: a change of accuracy is not finite.
    """
    if not np.isfinite(table[COLUMN]).all():
        raise TableError("noise.parquet holds values that are not finite")
    roles = list(dict.fromkeys(table["role"]))
    amplitude = calibrated(table[table["role"] == roles[0]])
    chosen = table[table["amplitude"] == amplitude]
    means = weighted_mean(chosen, ["role", "seed", "frequency"], COLUMN, "images")
    models = table.drop_duplicates("role").set_index("role")["model"]
    panels = [our_panel(means, models, paper)]
    published = {role: paper.of(role, QUANTITY) for role in roles}
    if any(published.values()):
        panels.append(paper_panel(published, paper))
    energy = amplitude**2 * chosen.drop_duplicates("frequency").set_index("frequency")["share"].sort_index()
    lowest = means[(means["role"] == roles[0]) & (means["frequency"] == energy.index[0])][COLUMN].mean()
    first, last = (plain(float(f"{energy.iloc[end]:.2g}")) for end in (0, -1))
    caption = (
        f"Accuracy with noise of one frequency band minus accuracy without. Of the amplitudes measured, "
        f"{plain(amplitude)} (standard deviation of the white noise, in units of the standardised image) is shown and "
        f"judged: there {roles[0]} loses nearest to 5 pp at {plain(energy.index[0])}π, {fixed(-lowest, 1)} pp. The "
        f"paper does not state its own. The energy added per pixel is {first} at the lowest and {last} at the highest "
        "frequency: compare networks at one frequency."
    )
    return [Drawing("noise", "Noise by frequency", caption, panels, csv=as_csv(means))]


def our_panel(means: pd.DataFrame, models: pd.Series, paper: Paper) -> Panel:
    figure, axes = panel_axes(below=0.75)
    lines, words = [], []
    for role, model in models.items():
        spread = means[means["role"] == role].groupby("frequency")[COLUMN].agg(["mean", "min", "max"])
        colour = paper.colour(str(role))
        axes.fill_between(spread.index, spread["min"], spread["max"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(spread.index, spread["mean"], "o-", color=colour, markeredgecolor="none")
        lines.append(Line2D([], [], color=colour, label=named(str(role), model)))
        words.append(f"{role} ({model}) {', '.join(fixed(value, 1) for value in spread['mean'])}")
    axes.set(xlabel="frequency (π)", ylabel="Δ accuracy (pp)")
    axes.grid(axis="y")
    legend_below(axes, lines, columns=1)
    return Panel("ours; bands: lowest to highest seed", figure, f"Change of accuracy by frequency: {'; '.join(words)}.")


def paper_panel(published: dict[str, list[Series]], paper: Paper) -> Panel:
    figure, axes = panel_axes(below=0.75)
    lines, words = [], []
    for role, several in published.items():
        for series in several:
            axes.plot(
                series.x or [], series.values, "o", linestyle=DASHED, color=paper.colour(role), markeredgecolor="none"
            )
            lines.append(Line2D([], [], color=paper.colour(role), linestyle=DASHED, label=series.name))
            words.append(f"{series.name} {', '.join(fixed(value, 1) for value in series.values)}")
    axes.set(xlabel="frequency (π)", ylabel="Δ accuracy (pp)")
    axes.grid(axis="y")
    legend_below(axes, lines, columns=1)
    return Panel(
        f"paper: {paper.figure}, {paper.dataset}", figure, f"The paper's change of accuracy: {'; '.join(words)}."
    )
