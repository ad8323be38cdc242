"""The four figures that the paper is known by, ours beside the paper's: each the first drawing of a claim's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from markupsafe import Markup

from harness.report.figures.style import Drawing, Panel, prefix_of
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
        found = [(section, case, each) for section, case in cases for each in draw(section, case) if each.name == name]
        if found:
            section, case, drawing = min(found, key=lambda each: rank(each[1], each[2]))
            yield Signature(figure, section, case, in_front(drawing, f"{section.id}-{case.name}"))


def rank(case: Case, drawing: Drawing) -> tuple[bool, int, bool]:
    """Lowest first: measured as the paper measured, with all its networks, in scope."""
    return not drawing.as_in_paper, -min(len(shown(drawing)), PANELS), case.outcome == "out of scope"


def shown(drawing: Drawing) -> list[Panel]:
    return [panel for panel in drawing.panels if panel.svg and not panel.alike]


def in_front(drawing: Drawing, key: str) -> Drawing:
    """The same without its table and further panels; ids are those of no other place in the page."""
    prefix = prefix_of(key)
    panels = [Panel(each.title, None, each.label, Markup(each.svg.replace(prefix, f"front-{prefix}")))
              for each in shown(drawing)[:PANELS]]  # fmt: skip
    return replace(drawing, panels=panels, table=None)
