"""The drawings of a case, one table after the other, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.catalogue import Claim
from harness.report.drawn import Drawn
from harness.report.figures.style import Drawing, Paper
from harness.report.figures.trade import PICTURE as TOGETHER
from harness.report.summary import Case, Section
from harness.report.tables import TableError


@dataclass(frozen=True)
class Shown:
    """What became of one table: its drawings, or why there are none."""

    path: str
    drawings: list[Drawing]
    problem: str | None


@dataclass(frozen=True)
class Piece:
    """What is drawn at once: a table, or all tables of a case together."""

    tables: list[str]
    paper: Paper
    key: str
    together: bool = False


def pieces(section: Section, case: Case) -> list[Piece]:
    """What the claim draws of all tables of the case, then each of them."""
    tables, paper, key = case.evidence.tables, paper_of(section.claim), f"{section.id}-{case.name}"
    together = [Piece(tables, paper, key, together=True)] if paper.picture == TOGETHER and tables else []
    return [*together, *(Piece([table], paper, f"{key}-{number}") for number, table in enumerate(tables))]


def figures(drawn: Drawn, section: Section, case: Case) -> list[Shown]:
    """All of a case, piece by piece."""
    return [shown(drawn, piece) for piece in pieces(section, case)]


def shown(drawn: Drawn, piece: Piece) -> Shown:
    name = ", ".join(piece.tables)
    try:
        if piece.together:
            return Shown(name, drawn.draw_together(piece.tables, piece.paper, piece.key), None)
        return Shown(name, drawn.draw(piece.tables[0], piece.paper, piece.key), None)
    except TableError as error:
        return Shown(name, [], str(error))


def paper_of(claim: Claim | None) -> Paper:
    if claim is None:
        return Paper([], "", "")
    return Paper(claim.series, claim.dataset_title, claim.figure, claim.studies, picture=claim.picture)


def drawings(drawn: Drawn, section: Section, case: Case) -> list[Drawing]:
    """All of a case that could be drawn."""
    return [drawing for each in figures(drawn, section, case) for drawing in each.drawings]
