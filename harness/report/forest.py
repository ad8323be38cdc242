"""Effects as pictures: one on a line of its own, and all deciding ones on the scale of the paper's."""

from __future__ import annotations

import math

from markupsafe import Markup

from harness.judging.evidence import Effect, PaperValue, shown_bounds
from harness.report.summary import Case, Summary

WIDTH, HEIGHT, MARGIN = 150, 18, 8
LEAST, MOST = -1.5, 3.5  # of the common scale, on which 0 is the null and 1 is the paper's own effect
ROW = 22  # px


def forest(effect: Effect, paper: list[PaperValue]) -> Markup:
    """An inline SVG, hidden from screen readers: the numbers stand beside it. Empty where there is no value."""
    if effect.value is None or not math.isfinite(effect.value):
        return Markup()
    bounds = [bound for bound in shown_bounds(effect) if bound is not None and math.isfinite(bound)]
    published = [value.value for value in paper]
    everything = [effect.value, effect.null, *bounds, *published]
    low, high = min(everything), max(everything)

    def place(value: float) -> str:
        share = (value - low) / (high - low) if high > low else 0.5
        return f"{MARGIN + share * (WIDTH - 2 * MARGIN):.1f}"

    middle = HEIGHT / 2
    parts = [f'<line class="null" x1="{place(effect.null)}" x2="{place(effect.null)}" y1="1" y2="{HEIGHT - 1}"/>']
    if bounds:
        ends = f'x1="{place(min(bounds))}" x2="{place(max(bounds))}"'
        parts.append(f'<line class="interval" {ends} y1="{middle}" y2="{middle}"/>')
    for value in published:
        x = float(place(value))
        diamond = f"{x:.1f},{middle - 5} {x + 5:.1f},{middle} {x:.1f},{middle + 5} {x - 5:.1f},{middle}"
        parts.append(f'<polygon class="published" points="{diamond}"/>')
    parts.append(f'<circle class="ours" cx="{place(effect.value)}" cy="{middle}" r="3.5"/>')
    return Markup(f'<svg class="forest" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>')


def comparable(summary: Summary) -> list[tuple[str, Case, Effect, float]]:
    """Deciding effects that the paper has a number of, with its distance from the null; theorems and what is out of
    scope aside.
    """
    found = []
    for section in summary.sections:
        for case in section.cases:
            if case.evidence.verdict == "out of scope" or (section.claim and section.claim.theorem):
                continue
            for effect in case.deciding:
                sizes = [paper.value - effect.null for paper in case.paper(effect.name) if paper.value != effect.null]
                if sizes and effect.value is not None and not effect.against_untrained:
                    found.append((section.id, case, effect, sizes[0]))
    return found


def on_the_papers_scale(effect: Effect, size: float) -> Markup:
    """Its interval in units of the paper's own effect: 0 is the null, 1 the paper; an arrow where it goes on, a double
    one in the place of the dot where our value lies beyond.

    Args:
        size: of the paper's effect, from the null.
    """

    def scaled(value: float) -> float:
        return (value - effect.null) / size

    def place(at: float) -> str:
        return f"{100 * (min(max(at, LEAST), MOST) - LEAST) / (MOST - LEAST):.1f}%"

    value = math.nan if effect.value is None else scaled(effect.value)
    bounds = zip(shown_bounds(effect), (-math.inf, math.inf), strict=True)
    first, last = sorted(scaled(unbounded if bound is None else bound) for bound, unbounded in bounds)
    middle = ROW / 2
    parts = [f'<line class="{name}" x1="{place(at)}" x2="{place(at)}" y1="0" y2="{ROW}"/>'
             for name, at in (("null", 0.0), ("paper", 1.0))]  # fmt: skip
    parts.append(f'<line class="interval" x1="{place(first)}" x2="{place(last)}" y1="{middle}" y2="{middle}"/>')
    if LEAST <= value <= MOST:
        parts.append(f'<circle class="ours" cx="{place(value)}" cy="{middle}" r="4"/>')
    if first < LEAST:
        parts.append(f'<text class="on" x="0%" y="{middle + 4}">{"«" if value < LEAST else "‹"}</text>')
    if last > MOST:
        sign = "»" if value > MOST else "›"
        parts.append(f'<text class="on" x="100%" y="{middle + 4}" text-anchor="end">{sign}</text>')
    return Markup(f'<svg class="scale" height="{ROW}" aria-hidden="true">{"".join(parts)}</svg>')
