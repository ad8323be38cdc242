"""Fig 5 of the paper, for claims L4 and L13: each network's test error over its NLL_train, from two tables."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from harness.plan.catalogue import Series
from harness.report.figures import fit, prediction
from harness.report.figures.style import PAPER, Drawing, Panel, Paper, as_csv, panel_axes
from harness.report.numbers import fixed
from harness.report.tables import TableError, chosen_columns, weighted_mean

PICTURE = "error over NLL_train"  # what a claim calls it
CAPTION = (
    "Of each network the error on the test set over the NLL on augmented training images: small dots are seeds, "
    "large ones their means. Farther right and higher: worse at both, which is underfitting. Farther left and higher: "
    "it fits better and errs more."
)


def draw(tables: list[pd.DataFrame], paper: Paper) -> list[Drawing]:
    """One drawing: ours, and the paper's on axes of its own, since its NLL_train is of other targets.

    Args:
        tables: of a case; the probes `prediction` and `fit` are needed, others are left aside.

    Raises:
        TableError: one of them is missing, or no network is in both.
    """
    found = {str(table["probe"].iloc[0]): table for table in tables}
    if missing := {"prediction", "fit"} - set(found):
        raise TableError(f"no table of {' and '.join(sorted(missing))} for the error over NLL_train")
    images = chosen_columns(found["prediction"], "prediction.parquet", prediction.NUMERIC, prediction.TEXT)
    losses = chosen_columns(found["fit"], "fit.parquet", fit.NUMERIC, fit.TEXT)
    right = weighted_mean(images, ["role", "seed"], "correct", "images")
    values = right.merge(weighted_mean(losses, ["role", "seed"], "nll", "images"), on=["role", "seed"])
    if values.empty:
        raise TableError("no network has both an error and an NLL_train")
    values = values.assign(error=100 * (1 - values["correct"]))
    panels = [our_panel(values, paper)]
    if published := {role: place for role in values["role"].unique() if (place := paper_place(paper, role))}:
        panels.append(paper_panel(published, paper))
    return [
        Drawing(
            "trade", "Test error over NLL_train", CAPTION, panels, csv=as_csv(values, "role", "seed", "nll", "error")
        )
    ]


def paper_place(paper: Paper, role: str) -> tuple[float, float] | None:
    """Its NLL_train and its error (%), where the paper gives both."""
    errors, losses = single(paper.of(role, "error")), single(paper.of(role, "nll_train"))
    for series in errors:
        if series.over == "nll_train" and series.x:
            return float(series.x[0]), series.values[0]
    return (losses[0].values[0], errors[0].values[0]) if errors and losses else None


def single(several: list[Series]) -> list[Series]:
    return [series for series in several if len(series.values) == 1]


def our_panel(values: pd.DataFrame, paper: Paper) -> Panel:
    figure, axes = panel_axes(height=2.4, below=0.42)
    words, means = [], {}
    for role, mine in values.groupby("role", sort=False):
        colour, mean = paper.colour(str(role)), mine[["nll", "error"]].mean()
        axes.plot([mean["nll"]], [mean["error"]], "o", color=colour, markersize=6, markeredgecolor="none")
        means[str(role)] = (mean["nll"], mean["error"])
        axes.plot(mine["nll"], mine["error"], "o", color=colour, alpha=0.5, markersize=3, markeredgecolor="none")
        words.append(f"{role} {fixed(mean['nll'], 3)} nats, {fixed(mean['error'], 1)} %")
    finish(axes, means, paper)
    return Panel("ours", figure, f"Test error over NLL_train: {'; '.join(words)}.")


def paper_panel(published: dict[str, tuple[float, float]], paper: Paper) -> Panel:
    figure, axes = panel_axes(height=2.4, below=0.42)
    for loss, error in published.values():
        axes.plot([loss], [error], "D", color=PAPER, fillstyle="none")
    finish(axes, published, paper)
    words = "; ".join(f"{role} {fixed(loss, 2)} nats, {fixed(error, 1)} %" for role, (loss, error) in published.items())
    return Panel(f"paper: {paper.figure}, {paper.dataset}", figure, f"The paper's test error over NLL_train: {words}.")


def finish(axes: Axes, places: dict[str, tuple[float, float]], paper: Paper) -> None:
    """With the name of each network; of neighbours one stands above its point and the next below."""
    for number, role in enumerate(sorted(places, key=lambda role: places[role][1])):
        offset = (5, 3) if number % 2 else (5, -9)
        axes.annotate(role, places[role], xytext=offset, textcoords="offset points", color=paper.colour(role))
    axes.set(xlabel="NLL on the training set (nats)", ylabel="error on the test set (%)")
    axes.margins(x=0.15, y=0.12)
    axes.grid()
