"""Accuracy on the clean test set, or its error where the paper plots that (Figs 5, 7a, C.2, C.3, 12), seed by seed."""

from __future__ import annotations

import pandas as pd

from harness.report.figures.correspondence import points
from harness.report.figures.dots import Measure, dot_panels
from harness.report.figures.reliability import reliability_drawing
from harness.report.figures.studies import study_drawings
from harness.report.figures.style import Drawing, Paper, as_csv
from harness.report.tables import TableError, check_columns, weighted_mean

NUMERIC = ("seed", "images", "correct")
WHOLE = ("confidence",)
TEXT = ("role", "model")
ACCURACY = Measure("accuracy", "accuracy on the test set (%)", "Accuracy", " %", places=1)
ERROR = Measure("error", "error on the test set (%)", "Error", " %", places=1)


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """A row per role, in per cent; for the points of a study, also their course.

    Raises:
        TableError: no row counts, or a reliability diagram is wanted of predictions in brief.
    """
    seeds = weighted_mean(table, ["role", "seed"], "correct", "images")
    if seeds.empty:
        raise TableError("prediction.parquet holds no image that counts")
    measure = ERROR if any(series.quantity == "error" for series in paper.series) else ACCURACY
    share = seeds["correct"] if measure is ACCURACY else 1 - seeds["correct"]
    values = seeds.assign(**{measure.quantity: 100 * share})
    models = table.drop_duplicates("role").set_index("role")["model"].to_dict()
    published = {role: points(paper, role, measure.quantity) for role in models}
    caption = f"{measure.words} of each seed's network, and their mean."
    panels = dot_panels(values, models, published, measure, paper)
    drawn = as_csv(values, "role", "seed", measure.quantity)
    drawings = [Drawing(measure.quantity, measure.words, caption, panels, csv=drawn)]
    if any(series.quantity == "reliability" for series in paper.series):
        check_columns(table, "prediction.parquet", WHOLE)
        return [reliability_drawing(table, paper), *drawings]
    return drawings + study_drawings(values, [measure], paper)
