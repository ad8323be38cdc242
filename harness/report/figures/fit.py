"""NLL_train: how well each seed's network fits what it is trained on (paper A.2; Figs 5, 7a, C.2, C.3)."""

from __future__ import annotations

import pandas as pd

from harness.plan.catalogue import Series
from harness.report.figures.correspondence import points
from harness.report.figures.dots import Measure, dot_panels
from harness.report.figures.studies import study_drawings
from harness.report.figures.style import Drawing, Paper, as_csv
from harness.report.tables import TableError, weighted_mean

NUMERIC = ("seed", "images", "nll")
TEXT = ("role", "model")
# It depends on classes, targets and augmentation: ours and the paper's never share an axis.
NLL = Measure("nll_train", "NLL on the training set (nats)", "NLL_train", " nats", places=3, comparable=False)


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """A row per role; for the points of a study, also their course.

    Raises:
        TableError: no finite value.
    """
    seeds = weighted_mean(table, ["role", "seed"], "nll", "images")
    if seeds.empty:
        raise TableError("fit.parquet holds no finite NLL")
    values = seeds.rename(columns={"nll": NLL.quantity})
    models = table.drop_duplicates("role").set_index("role")["model"].to_dict()
    published = {role: points(paper, role, NLL.quantity) + by_error(paper, role) for role in models}
    caption = (
        "Cross-entropy on augmented training images with their soft targets, of each seed's finished network, and "
        "their mean. It depends on classes, targets and augmentation"
    )
    caption += ": of the paper's values only the order compares." if any(published.values()) else "."
    panels = dot_panels(values, models, published, NLL, paper)
    drawn = as_csv(values, "role", "seed", NLL.quantity)
    return [Drawing("nll", "NLL_train", caption, panels, csv=drawn), *study_drawings(values, [NLL], paper)]


def by_error(paper: Paper, role: str) -> list[tuple[Series, float]]:
    """Where the paper plots the error over NLL_train, that is what stands on its x axis."""
    return [
        (series, float(series.x[0])) for series in paper.of(role, "error") if series.over == NLL.quantity and series.x
    ]
