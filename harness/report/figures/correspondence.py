"""Which of the paper's values belong beside a role, and beside a moment, of ours."""

from __future__ import annotations

import math
from dataclasses import replace

from harness.plan.catalogue import Series
from harness.plan.study import Place
from harness.report.figures.style import Paper
from harness.report.measured import Measured

EPOCHS = 300  # of the paper's schedule, behind the warm-up


def points(paper: Paper, role: str, quantity: str) -> list[tuple[Series, float]]:
    """The paper's values of this very role: single ones, and the point of a study that it is."""
    mine = paper.points.get(role)
    found = [(series, series.values[0]) for series in paper.of(role, quantity) if len(series.values) == 1]
    # A role that stands for itself has all data.
    base, study, at = (mine.of, mine.study, mine.at) if mine else (role, "data", 1.0)
    for series in paper.of(base, quantity):
        if series.over == study and len(series.values) > 1:
            pairs = zip(series.x or [], series.values, strict=True)
            found += [(series, value) for place, value in pairs if same(place, at)]
    return found


def same(one: Place, other: Place) -> bool:
    """Whether two places of a study are one; digitised shares are rounded."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=0.01)


def corresponding(paper: Paper, how: Measured) -> Paper:
    """What of the paper's was measured like this: none of clean images, of a course through training one point.

    Its studies of spectra are all of the end of the warm-up.
    """
    if not how.like_the_paper:
        return replace(paper, series=[])
    kept = []
    for series in paper.series:
        if series.over == "epoch after warm-up":
            course = dict(zip(series.x or [], series.values, strict=True))
            if (epoch := float(how.after * EPOCHS)) in course:
                kept.append(series.model_copy(update={"values": [course[epoch]], "x": None, "over": None}))
        elif series.quantity not in ("ape", "nep") or how.after == 0:
            kept.append(series)
    return replace(paper, series=kept)
