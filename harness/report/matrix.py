"""Several result sets side by side: claim × set, as a page and as Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.plan.catalogue import Catalogue
from harness.report import headlines as front
from harness.report.cells import SIGNS, badge
from harness.report.headlines import Mark, mark
from harness.report.links import anchor
from harness.report.markdown import plain
from harness.report.summary import Summary, summarise
from harness.report.templating import environment
from harness.store.files import write_atomically


@dataclass(frozen=True)
class Column:
    """A result set.

    Attributes:
        place: of its folder, seen from the page.
    """

    summary: Summary
    place: str


@dataclass(frozen=True)
class Row:
    """A claim, or a part of one, and what each set says of it.

    Attributes:
        cells: of each set the marks of its cases; none where it judged none.
    """

    name: str
    title: str
    cells: list[list[Mark]]


def write_matrix(folder: Path, sets: Sequence[Path], catalogue: Catalogue) -> Path:
    """Write `verdicts.html` and `verdicts.md` of several result sets into a folder; return the page's path.

    Raises:
        HarnessError: two sets of one name, evidence that is none, or a file that cannot be written.
    """
    columns = [Column(summarise(each, catalogue), os.path.relpath(each, folder).replace(os.sep, "/")) for each in sets]
    names = [column.summary.folder for column in columns]
    if len(set(names)) < len(names):
        raise HarnessError(f"result sets side by side have names of their own; found {', '.join(names)}")
    pages = environment(markup=False)
    pages.filters |= {"plain": plain, "verdict": badge, "sign": SIGNS.__getitem__, "anchor": anchor}
    said = {"columns": columns, "groups": groups(columns), "front": front, "catalogue": catalogue}
    write_atomically(folder / "verdicts.md", pages.get_template("verdicts.md").render(said).encode())
    pages.autoescape = True
    path = folder / "verdicts.html"
    write_atomically(path, pages.get_template("verdicts.html").render(said).encode())
    return path


def groups(columns: Sequence[Column]) -> dict[str, list[Row]]:
    """Headline -> its claims, those that no set judged left out."""
    found: dict[str, list[Row]] = {}
    for section in columns[0].summary.sections:
        if section.claim is None or section.claim.theorem:
            continue
        for rule in section.claim.rules:
            cells = [marks(column, section.id, rule.part) for column in columns]
            if any(cells):
                name = f"{section.id} {rule.part}" if rule.part else section.id
                found.setdefault(front.HEADLINES[section.claim.group], []).append(Row(name, section.title, cells))
    return found


def marks(column: Column, claim: str, part: str | None) -> list[Mark]:
    sections = [section for section in column.summary.sections if section.id == claim]
    return [mark(section, case) for section in sections for case in section.cases if case.evidence.rule.part == part]
