"""A small picture of one effect: its interval, its null and the paper's value on one line."""

from __future__ import annotations

import math

from markupsafe import Markup

from harness.judging.evidence import Effect, PaperValue

WIDTH, HEIGHT, MARGIN = 150, 18, 8


def forest(effect: Effect, paper: list[PaperValue]) -> Markup:
    """An inline SVG, hidden from screen readers: the numbers stand beside it. Empty where there is no value."""
    if effect.value is None or not math.isfinite(effect.value):
        return Markup()
    bounds = [bound for bound in (effect.low, effect.high) if bound is not None and math.isfinite(bound)]
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
