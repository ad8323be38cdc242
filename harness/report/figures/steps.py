"""What units do to the highest frequency, as claims F1, F2 and F4 put it: steps within one resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.plan.catalogue import Series
from harness.report.figures.depth import DASHED
from harness.report.figures.style import (
    KIND_NAMES,
    MARKERS,
    MUTED,
    Drawing,
    Panel,
    Paper,
    as_csv,
    legend_below,
    named,
    panel_axes,
)
from harness.report.numbers import fixed

VALUE = "delta_log_amplitude"  # in the table and in the catalogue


@dataclass(frozen=True)
class Way:
    """One way to draw steps.

    Attributes:
        chosen: of the units of one network and seed, in order, those that are drawn: a row each, with `height`, what
            is drawn, `place` on the axis, and `kind`.
        along: the label of that axis.
        kinds: a panel for each of these; one for all where there are none.
    """

    title: str
    caption: str
    axis: str
    chosen: Callable[[pd.DataFrame], pd.DataFrame]
    kinds: tuple[str, ...] = ()
    along: str = "depth"


def added_up(units: pd.DataFrame) -> pd.DataFrame:
    return units.assign(height=units["step"].fillna(0).cumsum())


def each(units: pd.DataFrame) -> pd.DataFrame:
    return units.assign(height=units["step"]).dropna(subset=["height"])


def first_stage(units: pd.DataFrame) -> pd.DataFrame:
    mine = units[units["stage"] <= 1]
    above = mine[VALUE] - mine.loc[mine["stage"] == 0, VALUE].iloc[-1]
    return mine.assign(height=above, place=mine.index / max(len(mine) - 1, 1))


WAYS = {
    "sum of steps": Way(
        "Steps within one resolution, added up",
        "From unit to unit, what the log amplitude of the highest frequency gains. Steps to another resolution, where "
        "that is another frequency, count as none.",
        "steps added up (nats)",
        added_up,
    ),
    "steps by kind": Way(
        "The step that each unit makes",
        "What the log amplitude of the highest frequency gains in each MSA and in each MLP. Below zero: high "
        "frequencies are damped. The rule says which blocks count.",
        "step (nats)",
        each,
        ("msa", "mlp"),
    ),
    "first stage": Way(
        "From the stem through the first stage",
        "Log amplitude of the highest frequency, above that of the stem: all of one resolution.",
        "above the stem (nats)",
        first_stage,
        along="from the stem (0) to the end of the first stage (1)",
    ),
}


def picture(means: pd.DataFrame, table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """One drawing, if the claim wants its steps drawn.

    Args:
        means: role, unit, seed and the log amplitude of the highest frequency.
        table: as the probe wrote it, for what it says of the units.
    """
    way = WAYS.get(paper.picture or "")
    if way is None:
        return []
    units = table.drop_duplicates(["role", "unit"])[["role", "unit", "kind", "stage", "height", "model"]]
    rows = means.merge(units.rename(columns={"height": "side"}), on=["role", "unit"]).sort_values("unit")
    ours = pd.concat([way.chosen(stepped(mine)) for _, mine in rows.groupby(["role", "seed"], sort=False)])
    theirs = {role: [(one, published(one, way)) for one in paper.of(role, VALUE)] for role in rows["role"].unique()}
    panels = [panel(kind, ours, theirs, way, paper) for kind in way.kinds or ("",)]
    caption = f"{way.caption} Line: mean over seeds; band: lowest to highest."
    if any(theirs.values()):
        caption += f" Dashed: the paper's ({paper.figure}, {paper.dataset}), digitised."
    csv = as_csv(ours, "role", "seed", "unit", "kind", "height")
    return [Drawing("steps", way.title, caption, panels, csv=csv)]


def stepped(units: pd.DataFrame) -> pd.DataFrame:
    """With the step to get there, none from another resolution, and how deep each unit stands (0 to 1)."""
    here = units.reset_index(drop=True)
    step = here[VALUE].diff().where(here["side"] == here["side"].shift())
    return here.assign(step=step, place=here.index / max(len(here) - 1, 1))


def published(series: Series, way: Way) -> pd.DataFrame:
    """The digitised curve, drawn like ours; a curve without stages has one resolution."""
    stages = series.stages or [min(number, 1) for number in range(len(series.values))]
    units = pd.DataFrame({VALUE: series.values, "kind": series.kinds or "", "stage": stages})
    return way.chosen(stepped(units.assign(side=units["stage"].clip(lower=1))))


def panel(
    kind: str, ours: pd.DataFrame, theirs: dict[str, list[tuple[Series, pd.DataFrame]]], way: Way, paper: Paper
) -> Panel:
    count = sum(1 + len(found) for found in theirs.values())
    figure, axes = panel_axes(below=0.5 + 0.14 * count)
    axes.axhline(0, color=MUTED, linewidth=0.7)
    lines, words = [], []
    for role, found in theirs.items():
        mine = of_kind(ours[ours["role"] == role], kind)
        colour, name = paper.colour(role), named(role, mine["model"].iloc[0] if len(mine) else "no such unit")
        spread = mine.groupby("place")["height"].agg(["mean", "min", "max"])
        axes.fill_between(spread.index, spread["min"], spread["max"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(spread.index, spread["mean"], "-" + MARKERS.get(kind, "o"), color=colour, markeredgecolor="none")
        lines.append(Line2D([], [], color=colour, label=name))
        words.append(in_words(name, spread["mean"]))
        for series, course in found:
            dashed(axes, of_kind(course, kind), colour)
            lines.append(Line2D([], [], linestyle=DASHED, color=colour, linewidth=1, label=paper.label(series)))
            words.append(in_words(paper.label(series), of_kind(course, kind)["height"]))
    axes.set(xlim=(-0.02, None), xlabel=way.along, ylabel=way.axis)
    axes.grid(axis="y")
    legend_below(axes, lines, columns=1)
    title = f"{KIND_NAMES[kind]} steps" if kind else ""
    return Panel(title, figure, f"{title or way.title}. {'; '.join(words)}.")


def of_kind(units: pd.DataFrame, kind: str) -> pd.DataFrame:
    return units[units["kind"] == kind] if kind else units


def dashed(axes: Axes, course: pd.DataFrame, colour: str) -> None:
    axes.plot(course["place"], course["height"], linestyle=DASHED, color=colour, linewidth=1)


def in_words(name: str, heights: pd.Series) -> str:
    if heights.empty:
        return f"{name}: none"
    return f"{name}: mean {fixed(heights.mean(), 2)}, at the last {fixed(heights.iloc[-1], 2)}"
