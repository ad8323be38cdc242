"""A number against what a study of the paper varies: data, kernel, epochs, patch, heads, width (Figs 5b, 7, C.2-C.6).

Every role that is a point of the study counts, e.g. `vit_heads_1`, `vit_heads_3` and `vit_heads_6`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.plan.catalogue import Series
from harness.report.figures.depth import DASHED
from harness.report.figures.dots import Measure
from harness.report.figures.style import Drawing, Panel, Paper, legend_below, panel_axes, role_colour
from harness.report.figures.variants import Variant, curve, variant
from harness.report.numbers import fixed, plain

AXES = {
    "heads": "heads",
    "width": "width per head",
    "data": "share of the training images",
    "epochs": "epochs",
    "patch": "patch size",
    "kernel": "kernel size",
}
IN_THE_PAPER = {"patch": "2, 4 and 8 in the paper", "kernel": "global: 8×8 in the paper"}
SCALING = ("heads", "width")  # where the paper fits a power law
LEAST = 3  # points of a course
LONGEST_LINE = 58  # letters of a legend
CLOSEST = 0.1  # of the axis, between two of its labels

Study = dict[str, dict[str, Variant]]  # base -> role -> its point


@dataclass(frozen=True)
class Course:
    """A line of a plot: heights over x, which `labels` spell as role or paper do; of ours, also the seeds of each."""

    text: str
    x: list[float]
    labels: list[str]
    heights: list[float]
    style: dict[str, Any]
    seeds: list[np.ndarray]


def study_drawings(values: pd.DataFrame, measures: Sequence[Measure], paper: Paper) -> list[Drawing]:
    """A drawing for each study of which some role has enough points.

    Args:
        values: role, seed and a column for each measure.
    """
    drawings = []
    for name, study in studies(list(dict.fromkeys(values["role"]))).items():
        panels = [panel for measure in measures for panel in course_panels(values, name, study, measure, paper)]
        words = " and ".join(measure.words for measure in measures)
        caption = "Line: mean over seeds. Dots: one seed."
        if any(published(study, name, measure, paper) for measure in measures):
            caption += (
                f" Dashed: the paper's ({paper.figure}, {paper.dataset}), digitised; compare the courses, not the "
                "heights, where data set, schedule or network differ from ours."
            )
        drawings.append(Drawing(f"study-{name}", f"{words} against {AXES[name]}", caption, panels))
    return drawings


def studies(roles: list[str]) -> dict[str, Study]:
    found: dict[str, Study] = {}
    for role in roles:
        if (point := variant(role)) and point.study in AXES:
            found.setdefault(point.study, {}).setdefault(point.base, {})[role] = point
    for base, points in found.get("data", {}).items():
        if base in roles:
            points[base] = Variant(base, "data", 1.0, "1")
    return {name: study for name, study in found.items() if max(map(len, study.values())) >= LEAST}


def published(study: Study, name: str, measure: Measure, paper: Paper) -> list[Series]:
    of_bases = [series for base in study for series in paper.of(base, measure.quantity)]
    return [series for series in of_bases if curve(series)[0] == name and len(series.values) > 1]


def course_panels(values: pd.DataFrame, name: str, study: Study, measure: Measure, paper: Paper) -> list[Panel]:
    """One, or where the paper's values need an axis of their own, two."""
    theirs = [paper_course(series, name, measure, paper) for series in published(study, name, measure, paper)]
    ours = [our_course(values, base, points, name, measure) for base, points in study.items()]
    label = f"{AXES[name]} ({IN_THE_PAPER[name]})" if name in IN_THE_PAPER else AXES[name]
    if measure.comparable or not theirs:
        return [course_panel("", [*ours, *theirs], label, measure)]
    title = f"paper: {paper.figure}, {paper.dataset}"
    return [course_panel("ours", ours, label, measure), course_panel(title, theirs, AXES[name], measure)]


def our_course(values: pd.DataFrame, base: str, points: dict[str, Variant], name: str, measure: Measure) -> Course:
    """Means over the seeds; on a logarithmic axis those of the logarithms."""
    order = sorted(points, key=lambda role: points[role].x)
    seeds = [values.loc[values["role"] == role, measure.quantity].to_numpy() for role in order]
    means = [float(np.exp(np.log(each).mean()) if measure.log else each.mean()) for each in seeds]
    x = [points[role].x for role in order]
    text = f"{base}, ours{power_law(x, means, name, measure)}"
    style = {"color": role_colour(base), "marker": "o", "markeredgecolor": "none"}
    return Course(text, x, [points[role].label for role in order], means, style, seeds)


def paper_course(series: Series, name: str, measure: Measure, paper: Paper) -> Course:
    x = curve(series)[1]
    heights = [measure.scale * value for value in series.values]
    labels = [f"1/{1 / place:.0f}" if name == "data" and place < 1 else plain(place) for place in x]
    text = f"{paper.label(series)}{power_law(x, heights, name, measure)}"
    style = {"color": role_colour(series.role), "marker": "D", "fillstyle": "none", "linestyle": DASHED, "linewidth": 1}
    return Course(text, x, labels, heights, style, [])


def power_law(x: list[float], heights: list[float], name: str, measure: Measure) -> str:
    """The log-log slope, where the paper gives one."""
    fits = [(place, height) for place, height in zip(x, heights, strict=True) if height > 0]
    if not measure.log or name not in SCALING or len(fits) < LEAST:
        return ""
    sizes, values = np.log(fits).T
    return f" (slope\N{NO-BREAK SPACE}{fixed(np.polyfit(sizes, values, 1)[0], 2)})"


def course_panel(title: str, courses: list[Course], label: str, measure: Measure) -> Panel:
    names = [textwrap.fill(course.text, LONGEST_LINE) for course in courses]
    figure, axes = panel_axes(below=0.5 + 0.14 * sum(name.count("\n") + 1 for name in names))
    for course in courses:
        for place, seeds in zip(course.x, course.seeds, strict=False):
            axes.plot([place] * len(seeds), seeds, "o", color=course.style["color"], alpha=0.5, markersize=3, mew=0)
        axes.plot(course.x, course.heights, **course.style)
    finish(axes, courses, label, measure)
    legend_below(
        axes, [Line2D([], [], **course.style, label=name) for course, name in zip(courses, names, strict=True)], 1
    )
    return Panel(
        title, figure, f"{measure.words} against {label}. {'; '.join(in_words(course, measure) for course in courses)}."
    )


def in_words(course: Course, measure: Measure) -> str:
    told = [f"{label}: {measure.text(height)}" for label, height in zip(course.labels, course.heights, strict=True)]
    return f"{course.text}: {', '.join(told)}"


def finish(axes: Axes, courses: list[Course], label: str, measure: Measure) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    places = ticks(courses)
    axes.set_xticks(list(places), list(places.values()))
    if measure.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    if measure.reach is not None:
        top = max(axes.get_ylim()[1], measure.reach)
        axes.set_ylim(-0.04 * top, top)
    axes.set(xlabel=label, ylabel=measure.axis)
    axes.grid(axis="y")


def ticks(courses: list[Course]) -> dict[float, str]:
    """At the points, ours first, as far as there is room between."""
    everything = [x for course in courses for x in course.x]
    apart = CLOSEST * math.log(max(everything) / min(everything))
    chosen: dict[float, str] = {}
    for course in courses:
        for x, label in zip(course.x, course.labels, strict=True):
            if all(abs(math.log(x / other)) >= apart for other in chosen):
                chosen[x] = label
    return chosen
