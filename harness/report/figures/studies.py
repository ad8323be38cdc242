"""A number against what a study of the paper varies: data, kernel, epochs, patch, heads, width (Figs 5b, 7, C.2-C.6).

Every role that is a point of a study of the claim counts.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.plan.catalogue import Series
from harness.plan.study import Place, Point, in_order
from harness.report.figures.depth import DASHED
from harness.report.figures.dots import Measure
from harness.report.figures.style import Drawing, Panel, Paper, as_csv, legend_below, panel_axes
from harness.report.numbers import fixed, plain

LEAST = 3  # points of a course
LONGEST_LINE = 58  # letters of a legend
FAR = 5  # the gap between two courses, in widths of the wider one
CLOSEST = 0.1  # of the axis, between two of its labels

Study = dict[str, dict[str, Point]]  # role that is varied -> role -> its point


@dataclass(frozen=True)
class Course:
    """A line of a plot: heights at the places of a study; of ours, also the seeds of each."""

    text: str
    at: list[Place]
    heights: list[float]
    style: dict[str, Any]
    seeds: list[np.ndarray]


def study_drawings(values: pd.DataFrame, measures: Sequence[Measure], paper: Paper) -> list[Drawing]:
    """A drawing for each study of the claim of which some role has enough points.

    Args:
        values: role, seed and a column for each measure.
    """
    drawings = []
    for name, study in studies(list(dict.fromkeys(values["role"])), paper).items():
        panels = [panel for measure in measures for panel in course_panels(values, name, study, measure, paper)]
        words = " and ".join(measure.words for measure in measures)
        caption = "Line: mean over seeds. Dots: one seed."
        if any(published(study, name, measure, paper) for measure in measures):
            caption += (
                f" Dashed: the paper's ({paper.figure}, {paper.dataset}), digitised; compare the courses, not the "
                "heights, where data set, schedule or network differ from ours."
            )
        title = f"{words} against {paper.studies[name].axis}"
        drawings.append(Drawing(f"study-{name}", title, caption, panels, csv=study_csv(values, study, measures)))
    return drawings


def study_csv(values: pd.DataFrame, study: Study, measures: Sequence[Measure]) -> str:
    """A row per role, place and seed."""
    places = {role: (base, point.at) for base, points in study.items() for role, point in points.items()}
    mine = values[values["role"].isin(list(places))]
    of, at = ([places[role][part] for role in mine["role"]] for part in (0, 1))
    return as_csv(mine.assign(of=of, at=at), "role", "of", "at", "seed", *(measure.quantity for measure in measures))


def studies(roles: list[str], paper: Paper) -> dict[str, Study]:
    found: dict[str, Study] = {}
    for role in roles:
        if (point := paper.points.get(role)) and point.study in paper.studies:
            found.setdefault(point.study, {}).setdefault(point.of, {})[role] = point
    for base, points in found.get("data", {}).items():
        if base in roles:  # a role that stands for itself has all data
            points[base] = Point(of=base, study="data", at=1.0)
    return {name: study for name, study in found.items() if max(map(len, study.values())) >= LEAST}


def published(study: Study, name: str, measure: Measure, paper: Paper) -> list[Series]:
    of_bases = [series for base in study for series in paper.of(base, measure.quantity)]
    return [series for series in of_bases if series.over == name and len(series.values) > 1]


def course_panels(values: pd.DataFrame, name: str, study: Study, measure: Measure, paper: Paper) -> list[Panel]:
    """One, or two where the paper's values need an axis of their own, lie far from ours, or at none of our places."""
    theirs = [paper_course(series, measure, paper) for series in published(study, name, measure, paper)]
    ours = [our_course(values, base, points, measure, paper) for base, points in study.items()]
    label = paper.studies[name].axis
    apart = {place for course in ours for place in course.at}.isdisjoint(
        place for course in theirs for place in course.at
    )
    words = any(isinstance(place, str) for course in theirs for place in course.at)
    x = positions([*theirs, *ours])  # words in the paper's order
    if not theirs or (measure.comparable and not (apart and words) and not far_apart(ours, theirs, measure)):
        return [course_panel("", name, [*ours, *theirs], x, label, measure)]
    title = f"paper: {paper.figure}, {paper.dataset}"
    return [
        course_panel(of, name, courses, positions(courses) if apart else x, label, measure)
        for of, courses in (("ours", ours), (title, theirs))
    ]


def far_apart(ours: list[Course], theirs: list[Course], measure: Measure) -> bool:
    """Whether the gap between them is so much wider than they are that one axis would show two flat lines."""
    (low, high), (lowest, highest) = sorted([span(ours, measure), span(theirs, measure)])
    return lowest - high > FAR * max(high - low, highest - lowest, measure.reach or 0.0)


def span(courses: list[Course], measure: Measure) -> tuple[float, float]:
    """From the least to the greatest of all that is drawn, in the measure of the axis."""
    values = np.concatenate([part for course in courses for part in (course.heights, *course.seeds)])
    drawn = np.log(values[values > 0]) if measure.log else values[np.isfinite(values)]
    return (float(drawn.min()), float(drawn.max())) if drawn.size else (math.nan, math.nan)


def our_course(values: pd.DataFrame, base: str, points: dict[str, Point], measure: Measure, paper: Paper) -> Course:
    """Means over the seeds; on a logarithmic axis those of the logarithms."""
    order = sorted(points, key=lambda role: in_order(points[role].at))
    seeds = [values.loc[values["role"] == role, measure.quantity].to_numpy() for role in order]
    means = [float(np.exp(np.log(each).mean()) if measure.log else each.mean()) for each in seeds]
    at = [points[role].at for role in order]
    text = f"{base}, ours{power_law(at, means, points[order[0]].study, measure, paper)}"
    style = {"color": paper.colour(base), "marker": "o", "markeredgecolor": "none"}
    return Course(text, at, means, style, seeds)


def paper_course(series: Series, measure: Measure, paper: Paper) -> Course:
    at = list(series.x or [])
    heights = [measure.scale * value for value in series.values]
    text = f"{paper.label(series)}{power_law(at, heights, series.over or '', measure, paper)}"
    colour = paper.colour(series.role)
    style = {"color": colour, "marker": "D", "fillstyle": "none", "linestyle": DASHED, "linewidth": 1}
    return Course(text, at, heights, style, [])


def power_law(at: Sequence[Place], heights: list[float], name: str, measure: Measure, paper: Paper) -> str:
    """The log-log slope, where the paper gives one."""
    pairs = zip(at, heights, strict=True)
    fits = [(place, height) for place, height in pairs if height > 0 and not isinstance(place, str)]
    if not measure.log or not paper.studies[name].power_law or len(fits) < LEAST:
        return ""
    sizes, values = np.log(fits).T
    return f" (slope\N{NO-BREAK SPACE}{fixed(np.polyfit(sizes, values, 1)[0], 2)})"


def course_panel(
    title: str, study: str, courses: list[Course], x: dict[Place, float], label: str, measure: Measure
) -> Panel:
    """A line for each course, over the places of `x`."""
    names = [textwrap.fill(course.text, LONGEST_LINE) for course in courses]
    figure, axes = panel_axes(below=0.5 + 0.14 * sum(name.count("\n") + 1 for name in names))
    for course in courses:
        for place, seeds in zip(course.at, course.seeds, strict=False):
            axes.plot([x[place]] * len(seeds), seeds, "o", color=course.style["color"], alpha=0.5, markersize=3, mew=0)
        line = sorted((x[place], height) for place, height in zip(course.at, course.heights, strict=True))
        axes.plot([at for at, _ in line], [height for _, height in line], **course.style)
    finish(axes, study, courses, x, label, measure)
    legend_below(
        axes, [Line2D([], [], **course.style, label=name) for course, name in zip(courses, names, strict=True)], 1
    )
    words = "; ".join(in_words(course, study, measure) for course in courses)
    return Panel(title, figure, f"{measure.words} against {label}. {words}.")


def positions(courses: Iterable[Course]) -> dict[Place, float]:
    """Where each place stands on the axis: a number where it is, but one after the other where some are words."""
    ordered = sorted(dict.fromkeys(place for course in courses for place in course.at), key=in_order)
    if any(isinstance(place, str) for place in ordered):
        return {place: float(number) for number, place in enumerate(ordered)}
    return {place: float(place) for place in ordered}


def spelt(study: str, place: Place) -> str:
    if isinstance(place, str):
        return place.replace(",", "") if study == "placement" else place  # nine of them have to stand side by side
    return f"1/{1 / place:.0f}" if study == "data" and place < 1 else plain(place)


def in_words(course: Course, study: str, measure: Measure) -> str:
    pairs = zip(course.at, course.heights, strict=True)
    told = [f"{spelt(study, place)}: {measure.text(height)}" for place, height in pairs]
    return f"{course.text}: {', '.join(told)}"


def finish(axes: Axes, study: str, courses: list[Course], x: dict[Place, float], label: str, measure: Measure) -> None:
    if any(isinstance(place, str) for place in x):
        shown = list(x)
    else:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        shown = ticks(courses)
    axes.set_xticks([x[place] for place in shown], [spelt(study, place) for place in shown])
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


def ticks(courses: list[Course]) -> list[Place]:
    """At the points, ours first, as far as there is room between."""
    everything = [float(place) for course in courses for place in course.at]
    apart = CLOSEST * math.log(max(everything) / min(everything))
    chosen: list[Place] = []
    for place in (place for course in courses for place in course.at):
        if all(abs(math.log(float(place) / float(other))) >= apart for other in chosen):
            chosen.append(place)
    return chosen
