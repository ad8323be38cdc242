"""Figs 9 and D.1 of the paper: the variance of the feature map after every unit (section 3)."""

from __future__ import annotations

import pandas as pd

from harness.report.figures.depth import Quantity, curves_csv, depth_panels, unit_curves
from harness.report.figures.style import Drawing, Paper
from harness.report.tables import TableError, weighted_mean

QUANTITY = "variance"
NUMERIC = ("seed", "unit", "stage", "depth", "images", QUANTITY)
TEXT = ("role", "model", "kind")
VARIANCE = Quantity(QUANTITY, "feature-map variance", "Feature-map variance", places=3, rescale=True)


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One drawing, a panel per role.

    Raises:
        TableError: no unit has a finite variance.
    """
    means = weighted_mean(table, ["role", "unit", "seed"], QUANTITY, "images")
    if means.empty:
        raise TableError("variance.parquet holds no finite variance")
    curves = unit_curves(means, table, QUANTITY)
    caption = (
        "Variance over the places of a feature map, mean over channels and images, after each unit. Each panel has its "
        "own vertical axis; values at different resolutions (across stages) are not to be compared."
    )
    if any(paper.of(role, QUANTITY) for role in curves):
        caption += (
            f" Dashed: the paper's curve ({paper.figure}, {paper.dataset}), digitised and multiplied to the height of "
            "ours: a map's scale depends on training and width, so that shapes are all there is to compare."
        )
    panels = depth_panels(curves, paper, VARIANCE)
    title = "Feature-map variance against depth"
    return [Drawing("variance", title, caption, panels, csv=curves_csv(curves))]
