"""Accuracy on corrupted images, seed by seed (Figs 12b, E.1), and how it falls with severity."""

from __future__ import annotations

import pandas as pd

from harness.report.figures.correspondence import points
from harness.report.figures.dots import Measure, dot_panels
from harness.report.figures.studies import study_drawings
from harness.report.figures.style import Drawing, Panel, Paper, as_csv, legend_below, panel_axes
from harness.report.numbers import fixed
from harness.report.tables import TableError, weighted_mean

NUMERIC = ("seed", "images", "severity", "correct")
TEXT = ("role", "model", "corruption", "group", "source")
ROBUSTNESS = Measure(
    "robustness", "accuracy on corrupted images (%)", "Accuracy over all corruptions and severities", " %", places=1
)


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """A row per role; then a panel a group of corruptions, accuracy against severity.

    Raises:
        TableError: no row counts.
    """
    kinds = weighted_mean(table, ["role", "seed", "group", "corruption", "severity"], "correct", "images")
    if kinds.empty:
        raise TableError("corruption.parquet holds no image that counts")
    kinds = kinds.assign(correct=100 * kinds["correct"])
    seeds = kinds.groupby(["role", "seed"], as_index=False)["correct"].mean()
    values = seeds.rename(columns={"correct": ROBUSTNESS.quantity})
    models = table.drop_duplicates("role").set_index("role")["model"].to_dict()
    published = {role: points(paper, role, ROBUSTNESS.quantity) for role in models}
    caption = f"{ROBUSTNESS.words} of each seed's network, and their mean. Images: {made(table)}."
    dots = dot_panels(values, models, published, ROBUSTNESS, paper)
    drawings = [Drawing("robustness", ROBUSTNESS.words, caption, dots, csv=as_csv(values))]
    panels = [by_severity(str(group), mine, paper) for group, mine in kinds.groupby("group", sort=False)]
    words = "Mean over the corruptions of a group and over seeds."
    drawings.append(Drawing("severity", "Accuracy by severity of corruption", words, panels, csv=as_csv(kinds)))
    return drawings + study_drawings(values, [ROBUSTNESS], paper)


def made(table: pd.DataFrame) -> str:
    """Where the corrupted images come from."""
    found = table.groupby("source", sort=False)["corruption"].unique()
    return "; ".join(f"{source} ({', '.join(names)})" if len(found) > 1 else source for source, names in found.items())


def by_severity(group: str, kinds: pd.DataFrame, paper: Paper) -> Panel:
    figure, axes = panel_axes(below=0.75)
    words, handles = [], []
    for role, mine in kinds.groupby("role", sort=False):
        course = mine.groupby("severity")["correct"].mean()
        handles += axes.plot(course.index, course, "-o", color=paper.colour(str(role)), markersize=3, label=str(role))
        words.append(f"{role}: {', '.join(f'{fixed(value, 1)} %' for value in course)}")
    axes.set(xlabel="severity", ylabel="accuracy (%)", xticks=sorted(kinds["severity"].unique()))
    axes.grid(axis="y")
    legend_below(axes, handles, 4)
    return Panel(group, figure, f"Accuracy under {group} by severity. {'; '.join(words)}.")
