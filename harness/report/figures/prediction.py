"""Accuracy on the clean test set, a dot per seed, the paper's beside it."""

from __future__ import annotations

import pandas as pd
from matplotlib.lines import Line2D

from harness.report.figures.style import INK, PAPER, ROLES, Drawing, Panel, Paper, dot, panel_axes
from harness.report.numbers import fixed, plain
from harness.report.tables import TableError, weighted_mean

QUANTITY = "accuracy"
NUMERIC = ("seed", "images", "correct")
TEXT = ("role", "model")


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One panel, a row per role: accuracy in per cent.

    Raises:
        TableError: no row counts.
    """
    seeds = weighted_mean(table, ["role", "seed"], "correct", "images")
    if seeds.empty:
        raise TableError("prediction.parquet holds no image that counts")
    models = table.drop_duplicates("role").set_index("role")["model"]
    figure, axes = panel_axes(height=0.9 + 0.5 * len(models))
    words, any_paper = [], False
    for row, (role, model) in enumerate(models.items()):
        accuracy = 100 * seeds.loc[seeds["role"] == role, "correct"]
        colour = ROLES[row % len(ROLES)]
        axes.plot(accuracy, [row] * len(accuracy), "o", color=colour, alpha=0.6, markeredgecolor="none")
        axes.plot([accuracy.mean()], [row], "|", color=INK, markersize=15, markeredgewidth=1.6)
        words.append(f"{role} ({model}) {fixed(accuracy.mean(), 1)} %")
        for series in paper.of(str(role), QUANTITY):
            if len(series.values) == 1:  # longer ones are curves over something else, e.g. over build-up steps
                any_paper = True
                axes.plot(series.values, [row], "D", color=PAPER, fillstyle="none")
                words.append(f"{paper.label(series)} {plain(series.values[0])} %")
    axes.set_yticks(range(len(models)), [f"{role}\n{model}" for role, model in models.items()])
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xlabel("accuracy on the test set (%)")
    axes.grid(axis="x")
    axes.margins(x=0.08)
    marks = [
        dot(INK, "o", "one seed"),
        Line2D([], [], marker="|", linestyle="none", color=INK, markersize=9, markeredgewidth=1.6, label="mean"),
    ]
    if any_paper:
        label = f"paper, {paper.dataset}"
        marks.append(Line2D([], [], marker="D", linestyle="none", color=PAPER, fillstyle="none", label=label))
    axes.legend(handles=marks, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, columnspacing=1.2, borderaxespad=0)
    caption = "Accuracy of each seed's network, and their mean."
    return [Drawing("accuracy", "Accuracy", caption, [Panel("all", figure, f"Accuracy: {'; '.join(words)}.")])]
