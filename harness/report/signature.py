"""The four figures that the paper is known by, ours beside the paper's: each the first drawing of a claim's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from markupsafe import Markup

from harness.report.figures.style import Drawing, Panel
from harness.report.summary import Case, Section, Summary

# The paper's figure, the claims whose tables it can be drawn from, and the drawing.
SIGNATURES = (
    ("Fig 1a", ("L1",), "landscape-rings"),
    ("Fig 1c", ("L2", "L3"), "spectra"),
    ("Figs 2a and 8", ("F2", "F1", "F4"), "depth"),
    ("Fig 9", ("F7", "F8"), "variance"),
)
PANELS = 2


@dataclass(frozen=True)
class Signature:
    """One of them, and the case that it shows."""

    figure: str
    section: Section
    case: Case
    drawing: Drawing


def signatures(summary: Summary, draw: Callable[[Section, Case], list[Drawing]]) -> Iterator[Signature]:
    """Those that can be drawn from what was judged here.

    Args:
        draw: all drawings of a case.
    """
    sections = {section.id: section for section in summary.sections}
    for figure, claims, name in SIGNATURES:
        cases = [(sections[claim], case) for claim in claims if claim in sections for case in sections[claim].cases]
        for section, case in sorted(cases, key=lambda pair: pair[1].outcome == "out of scope"):
            if drawing := next((each for each in draw(section, case) if each.name == name), None):
                yield Signature(figure, section, case, in_front(drawing, f"{section.id}-{case.name}"))
                break


def in_front(drawing: Drawing, key: str) -> Drawing:
    """The same without its table and further panels; ids are those of no other place in the page."""
    panels = [Panel(each.title, None, each.label, Markup(each.svg.replace(key, f"front-{key}")))
              for each in drawing.panels[:PANELS] if each.svg]  # fmt: skip
    return replace(drawing, panels=panels, table=None)
