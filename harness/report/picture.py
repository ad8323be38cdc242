"""The verdicts as one picture, `summary.svg`: a row a headline, a tile a case.

A code-hosting site shows it as an image, in which only what stands in the file itself counts: so it fetches no font,
has a background of its own, and follows the reader's system from light to dark.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.cells import SIGNS
from harness.report.headlines import Mark, answer, headlines
from harness.report.summary import OUTCOMES, Summary, distinct
from harness.report.templating import environment

WIDTH, EDGE = 760, 16  # px
TITLES = 264  # of the column of headlines
LETTERS = 30  # of a line in it
LINE = 18  # of text
TILE, GAP = 24, 6  # height of a tile, and what lies between two
LETTER = 7.25  # width of one, in the tiles' monospaced font
RANDOM = "°"  # behind a case that networks with random weights show as well


@dataclass(frozen=True)
class Tile:
    """One case: where it stands, and what it says."""

    x: float
    y: float
    width: float
    text: str
    outcome: str
    words: str


@dataclass(frozen=True)
class Row:
    """One headline: the lines of its title from `y` on, and its tiles."""

    y: float
    title: list[str]
    tiles: list[Tile]
    height: float


def picture(summary: Summary) -> str:
    """The SVG."""
    pages = environment()
    found = list(rows(summary))
    below = found[-1].y + found[-1].height
    marks = [mark for headline in headlines(summary) for mark in headline.marks]
    random = [f"{RANDOM} random weights show it as well"] if any(mark.untrained for mark in marks) else []
    return pages.get_template("summary.svg").render(
        answer=answer(summary), rows=found, width=WIDTH, height=below + LINE + EDGE, edge=EDGE, line=LINE, tile=TILE,
        titles=TITLES, legend="   ".join(legend(marks) + random), below=below + LINE,
    )  # fmt: skip


def legend(marks: list[Mark]) -> list[str]:
    """The signs that are there, each with its word."""
    return [f"{SIGNS[outcome]} {outcome}" for outcome in OUTCOMES if any(mark.outcome == outcome for mark in marks)]


def rows(summary: Summary) -> Iterator[Row]:
    """From the top downwards."""
    several = on_several(summary)
    y = float(EDGE)
    for headline in headlines(summary):
        title = textwrap.wrap(headline.title, LETTERS)
        tiles = list(flow(headline.marks, y, several=several))
        bottom = tiles[-1].y + TILE if tiles else y
        height = max(bottom - y, len(title) * LINE) + EDGE
        yield Row(y, title, tiles, height)
        y += height


def on_several(summary: Summary) -> bool:
    """Whether networks were judged on several data sets, so that a claim alone does not name a case."""
    return len(distinct(evidence.case.dataset for evidence in summary.evidence if evidence.case.models)) > 1


def flow(marks: list[Mark], y: float, *, several: bool) -> Iterator[Tile]:
    """Tiles one behind the other, and below where a line is full."""
    x = float(TITLES)
    for mark in marks:
        text = f"{SIGNS[mark.outcome]} {name(mark, several=several)}"
        width = LETTER * len(text) + 14
        if x > TITLES and x + width > WIDTH - EDGE:
            x, y = float(TITLES), y + TILE + GAP
        yield Tile(x, y, width, text, mark.outcome.replace(" ", "-"), mark.words)
        x += width + GAP


def name(mark: Mark, *, several: bool) -> str:
    """The claim with its part; where there are several data sets, the case, whose name says on which."""
    return (" ".join(mark.target) if several else mark.label) + RANDOM * mark.untrained
