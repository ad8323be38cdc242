"""Drawings kept from one page to the next: what did not change is not drawn again.

A drawing is kept under the hash of all that it is made of: the table, the paper's curves, the name it has in the page,
the code that draws it and the versions of what that code uses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.report import figures
from harness.report.cells import Table
from harness.report.figures.style import Drawing, Panel, Paper
from harness.report.tables import TableError
from harness.store.files import write_atomically
from harness.store.identity import digest

FOLDER = "drawings"  # in the results folder
HARNESS = Path(__file__).parents[1]
CODE = ("report/*.py", "report/figures/*.py", "readings/*.py")
PACKAGES = ("matplotlib", "numpy", "pandas")


@dataclass
class Drawn:
    """The drawings of one results folder.

    Attributes:
        used: files that this page needed; the others are removed by `forget_the_rest`.
    """

    results: Path
    used: set[Path] = field(default_factory=set)

    def draw(self, table: str, paper: Paper, key: str) -> list[Drawing]:
        """As `harness.report.figures.draw`, of a table of this folder.

        Raises:
            TableError: no figure can be drawn from this table.
        """
        return self.kept([table], paper, key, lambda: figures.draw(self.results / table, paper, key))

    def draw_together(self, tables: list[str], paper: Paper, key: str) -> list[Drawing]:
        """As `harness.report.figures.draw_together`, likewise."""
        paths = [self.results / table for table in tables]
        return self.kept(tables, paper, key, lambda: figures.draw_together(paths, paper, key))

    def kept(self, tables: list[str], paper: Paper, key: str, draw: Callable[[], list[Drawing]]) -> list[Drawing]:
        path = self.path(tables, paper, key)
        self.used.add(path)
        try:
            return [drawing_from(plain) for plain in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged
            pass
        drawings = draw()
        write_atomically(path, json.dumps([plain_of(drawing) for drawing in drawings]).encode())
        return drawings

    def path(self, tables: list[str], paper: Paper, key: str) -> Path:
        """Where the drawings of these tables are kept.

        Raises:
            TableError: one is missing.
        """
        content = b"".join(map(self.content, tables))
        return self.results / FOLDER / f"{name_of(content, paper, key)}.json"

    def content(self, table: str) -> bytes:
        try:
            return (self.results / table).read_bytes()
        except (OSError, ValueError) as error:  # the latter for a NUL in it
            raise TableError(f"{Path(table).name} is missing") from error

    def forget_the_rest(self) -> None:
        for path in (self.results / FOLDER).glob("*.json"):
            if path not in self.used:
                path.unlink(missing_ok=True)


def name_of(table: bytes, paper: Paper, key: str) -> str:
    about = {
        "series": [series.model_dump(mode="json") for series in paper.series],
        "studies": {name: axis.model_dump(mode="json") for name, axis in paper.studies.items()},
        "paper": [paper.dataset, paper.figure, paper.picture],
        "key": key,
        "code": code(),
    }
    return digest([hashlib.sha256(table).hexdigest(), about])


@cache
def code() -> str:
    """Of what draws, and of what it draws with."""
    sources = sorted(path for pattern in CODE for path in HARNESS.glob(pattern))
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    return digest([sums, [version(package) for package in PACKAGES]])


def plain_of(drawing: Drawing) -> dict[str, Any]:
    table = drawing.table and {
        "caption": drawing.table.caption,
        "groups": drawing.table.groups,
        "columns": drawing.table.columns,
        "rows": [[{"html": cell} if isinstance(cell, Markup) else cell for cell in row] for row in drawing.table.rows],
    }
    panels = [
        {"title": panel.title, "label": panel.label, "svg": panel.svg, "alike": panel.alike} for panel in drawing.panels
    ]
    return {
        "name": drawing.name,
        "title": drawing.title,
        "caption": drawing.caption,
        "panels": panels,
        "table": table,
        "csv": drawing.csv,
        "as_in_paper": drawing.as_in_paper,
    }


def drawing_from(plain: dict[str, Any]) -> Drawing:
    table = plain["table"]
    if table is not None:
        rows = [[Markup(cell["html"]) if isinstance(cell, dict) else cell for cell in row] for row in table["rows"]]
        table = Table(table["caption"], [(name, span) for name, span in table["groups"]], table["columns"], rows)
    panels = [Panel(panel["title"], None, panel["label"], Markup(panel["svg"]), panel["alike"])
              for panel in plain["panels"]]  # fmt: skip
    about = (plain["name"], plain["title"], plain["caption"])
    return Drawing(*about, panels, table, plain["csv"], plain["as_in_paper"])
