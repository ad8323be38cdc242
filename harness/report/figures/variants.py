"""Which point of which of the paper's studies a role of ours is: `vit_heads_6` is ViT at 6 heads (Fig C.5)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction

from harness.plan.catalogue import Series
from harness.report.figures.style import Paper
from harness.report.measured import Measured

NUMBERED = re.compile(r"(?P<base>.+)_(?P<study>heads|width|data|epochs)_(?P<place>\d+(_[1-9]\d*)?)")
PATCH = re.compile(r"(?P<base>.+)_patch_(?P<place>small|medium|large)")
KERNEL = re.compile(r"(?P<base>conv_vit)_(?P<place>\d+|global)")
AUGMENTATION = re.compile(r"(?P<base>.+)_(?P<place>weak|strong)")
# Names for the sizes of the paper (Figs C.3, 7, F.1); ours may be other ones on other images.
NAMED = {"small": 2.0, "medium": 4.0, "large": 8.0, "global": 8.0, "weak": 0.0, "strong": 1.0}
EPOCHS = 300  # of the paper's schedule, behind the warm-up


@dataclass(frozen=True)
class Variant:
    """A role that is one point of a study.

    Attributes:
        base: the role that it varies.
        x: on the paper's axis of that study.
        label: how the role's name spells x.
    """

    base: str
    study: str
    x: float
    label: str


def variant(role: str) -> Variant | None:
    """None for a role that stands for itself."""
    if match := NUMBERED.fullmatch(role):
        label = match["place"].replace("_", "/")
        return Variant(match["base"], match["study"], float(Fraction(label)), label)
    for study, pattern in (("patch", PATCH), ("kernel", KERNEL), ("augmentation", AUGMENTATION)):
        if match := pattern.fullmatch(role):
            label = match["place"]
            return Variant(match["base"], study, NAMED[label] if label in NAMED else float(label), label)
    return None


def curve(series: Series) -> tuple[str, list[float]]:
    """The study that a digitised curve is of, and its x; of the data, the share of all."""
    x = list(series.x or [])
    if series.over in ("share of the data", "images per class"):
        return "data", [value / max(x) for value in x]
    return series.over or "", x


def points(paper: Paper, role: str, quantity: str) -> list[tuple[Series, float]]:
    """The paper's values of this very role: single ones, and the point of a study that it is."""
    mine = variant(role)
    found = [(series, series.values[0]) for series in paper.of(role, quantity) if len(series.values) == 1]
    for series in paper.of(mine.base if mine else role, quantity):
        study, places = curve(series)
        study_of_role, x = (mine.study, mine.x) if mine else ("data", 1.0)  # a role that stands for itself has all data
        if study and study == study_of_role and len(series.values) > 1:
            found += [
                (series, value)
                for place, value in zip(places, series.values, strict=True)
                if math.isclose(place, x, rel_tol=0.01)
            ]
    return found


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
