"""Tables that stand in the page, and what stands in their cells."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

SIGNS = {
    "reproduced": "✓",
    "agrees": "✓",
    "contradicted": "✗",
    "disagrees": "✗",
    "negligible": "≈",
    "inconclusive": "?",
    "out of scope": "∅",
    "not run": "–",
    "error": "!",
}


@dataclass(frozen=True)
class Table:
    """Numbers beneath a drawing or beside each other.

    Attributes:
        groups: what stands over several columns, and over how many; the first column is not among them.
        columns: the heads of all columns.
        rows: their first cell names the row.
    """

    caption: str
    groups: list[tuple[str, int]]
    columns: list[str]
    rows: list[list[str]]


def badge(verdict: str) -> Markup:
    """A verdict in a word, a sign and a colour, so that it can be read without any one of them."""
    name = verdict.replace(" ", "-")
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(
        name, SIGNS[verdict], verdict
    )


def with_note(text: str, note: str) -> Markup:
    """A cell with a smaller line below."""
    return Markup("{} <small>{}</small>").format(text, note)
