"""Accuracy on the clean test set, a dot per seed, the paper's beside it."""

from __future__ import annotations

import pandas as pd
from matplotlib.lines import Line2D

from harness.report.figures.style import INK, PAPER, Drawing, Panel, Paper, dot, legend_below, panel_axes, role_colour
from harness.report.numbers import fixed, plain
from harness.report.tables import TableError, weighted_mean

QUANTITY = "accuracy"
NUMERIC = ("seed", "images", "correct")
TEXT = ("role", "model")
LONGEST = 60  # letters that fit across the plot; the whole name stands in the words for the figure


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One panel, a row per role: accuracy in per cent.

    Raises:
        TableError: no row counts.
    """
    seeds = weighted_mean(table, ["role", "seed"], "correct", "images")
    if seeds.empty:
        raise TableError("prediction.parquet holds no image that counts")
    models = table.drop_duplicates("role").set_index("role")["model"]
    figure, axes = panel_axes(height=0.5 * len(models), below=0.6, left=0.12, top=0.05)
    words, any_paper = [], False
    for row, (role, model) in enumerate(models.items()):
        accuracy = 100 * seeds.loc[seeds["role"] == role, "correct"]
        axes.plot(accuracy, [row] * len(accuracy), "o", color=role_colour(str(role)), alpha=0.6, markeredgecolor="none")
        axes.plot([accuracy.mean()], [row], "|", color=INK, markersize=10, markeredgewidth=1.6)
        words.append(f"{role} ({model}) {fixed(accuracy.mean(), 1)} %")
        for series in paper.of(str(role), QUANTITY):
            if len(series.values) == 1:  # longer ones are curves over something else, e.g. over build-up steps
                any_paper = True
                axes.plot(series.values, [row], "D", color=PAPER, fillstyle="none")
                words.append(f"{paper.label(series)} {plain(series.values[0])} %")
        axes.text(0.01, row - 0.36, f"{role}: {model}"[:LONGEST], transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(models) - 0.65, -0.6)
    axes.set_xlabel("accuracy on the test set (%)")
    axes.grid(axis="x")
    axes.margins(x=0.08)
    marks = [
        dot(INK, "o", "one seed"),
        Line2D([], [], marker="|", linestyle="none", color=INK, markersize=8, markeredgewidth=1.6, label="mean"),
    ]
    if any_paper:
        label = f"paper, {paper.dataset}"
        marks.append(Line2D([], [], marker="D", linestyle="none", color=PAPER, fillstyle="none", label=label))
    legend_below(axes, marks, columns=3)
    caption = "Accuracy of each seed's network, and their mean."
    return [Drawing("accuracy", "Accuracy", caption, [Panel("", figure, f"Accuracy: {'; '.join(words)}.")])]
