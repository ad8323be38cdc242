"""Figs 10a and D.3 of the paper: how alike the features of any two units are (section 4.1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from harness.readings import cka
from harness.report.figures.style import DEPTHS, INK, Drawing, Panel, Paper, as_csv, legend_below, named, panel_axes
from harness.report.numbers import fixed
from harness.report.tables import TableError

NUMERIC = ("seed", "unit", "other", "stage", "images", "hsic")
TEXT = ("role", "model", "kind")
STEPS = len(DEPTHS) - 1
CAPTION = (
    "Mini-batch unbiased linear CKA between the feature maps of all units, from the first (bottom left) to the last, "
    "mean over seeds. Lines part the stages, the numbers are theirs; 0 is the stem. The paper's heat map has a colour "
    "scale without numbers, so only its contrast between stages can be compared."
)


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One drawing, a heat map per role.

    Raises:
        TableError: a value is not finite.
    """
    if not np.isfinite(table["hsic"]).all():
        raise TableError("similarity.parquet holds values that are not finite")
    roles = {str(role): rows for role, rows in table.groupby("role", sort=False)}
    matrices = {
        role: np.mean([cka(seed).to_numpy() for _, seed in rows.groupby("seed")], axis=0)
        for role, rows in roles.items()
    }
    lowest = np.floor(10 * min(matrix.min() for matrix in matrices.values())) / 10
    panels = []
    for role, rows in roles.items():
        stages = rows.drop_duplicates("unit").sort_values("unit")["stage"].to_numpy(int)
        name = named(role, rows["model"].iloc[0])
        words = in_words(role, name, matrices[role], paper)
        panels.append(heat_map(name, matrices[role], stages, min(lowest, 0.9), words))
    pairs = [pd.DataFrame(matrix).rename_axis("unit").stack().rename_axis(["unit", "other"]).rename("cka")
             .reset_index().assign(role=role) for role, matrix in matrices.items()]  # fmt: skip
    return [Drawing("similarity", "Similarity of units", CAPTION, panels, csv=as_csv(pd.concat(pairs)))]


def heat_map(name: str, matrix: np.ndarray, stages: np.ndarray, lowest: float, words: str) -> Panel:
    """The colours run from `lowest` to 1."""
    figure, axes = panel_axes(height=3.0, below=0.6)
    count = len(matrix)
    paint(axes, np.rint((matrix - lowest) / (1 - lowest) * STEPS).astype(int))
    for border in (np.flatnonzero(np.diff(stages)) + 1).tolist():
        axes.axvline(border, color=INK, linewidth=0.8)
        axes.axhline(border, color=INK, linewidth=0.8)
    middles = [np.flatnonzero(stages == stage).mean() + 0.5 for stage in np.unique(stages)]
    axes.set_xticks(middles, [str(stage) for stage in np.unique(stages)])
    axes.set_yticks(middles, [str(stage) for stage in np.unique(stages)])
    axes.tick_params(length=0)
    axes.set(xlim=(0, count), ylim=(0, count), xlabel="stage", ylabel="stage")
    values = np.linspace(lowest, 1, STEPS + 1)
    scale = [Patch(color=DEPTHS[step], label=fixed(values[step], 2)) for step in range(0, STEPS + 1, 2)]
    legend_below(axes, scale, columns=len(scale))
    return Panel(name, figure, words)


def paint(axes: Axes, levels: np.ndarray) -> None:
    """One path per colour, of all its cells, joined along the rows: a path for every cell would bloat the page."""
    for level, colour in enumerate(DEPTHS):
        corners, codes = [], []
        for row, cells in enumerate(levels == level):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], cells.astype(int), [0]])))
            for left, right in edges.reshape(-1, 2):
                corners += [(left, row), (right, row), (right, row + 1), (left, row + 1), (left, row)]
                codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
        if corners:  # the thin edge closes the hairlines between neighbours
            axes.add_patch(PathPatch(Path(corners, codes), facecolor=colour, edgecolor=colour, linewidth=0.4))


def in_words(role: str, name: str, matrix: np.ndarray, paper: Paper) -> str:
    neighbours = np.diag(matrix, 1)
    text = f"Similarity between all pairs of {len(matrix)} units, {name}: "
    text += f"{fixed(neighbours.mean(), 2)} between neighbours on average, "
    text += f"{fixed(matrix[0, -1], 2)} between first and last."
    for quantity, where in (("similarity_within", "within"), ("similarity_across", "across")):
        for series in paper.of(role, quantity):
            values = ", ".join(fixed(value, 2) for value in series.values)
            text += f" {paper.label(series)}, {where} stages: {values}."
    return text
