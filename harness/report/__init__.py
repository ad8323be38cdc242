"""The reproduction report: evidence and its tables in, one self-contained page out. Nothing here trains or probes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.plan.catalogue import Catalogue
from harness.report.summary import summarise
from harness.report.text import verdict_lines

TITLE = "How Do Vision Transformers Work? A reproduction report"


def build(results: Path, catalogue: Catalogue, *, title: str = TITLE) -> Path:
    """Write `results/report.html` from the evidence of `results` and the tables it names; return its path.

    Beside it stand its summary, `summary.md` with `summary.svg`, and the verdicts for programs, `verdicts.json` and
    `verdicts.csv`. A table that is missing or damaged is said at its place in the page; the rest of the page stays
    whole.

    Raises:
        HarnessError: an evidence file is not evidence of this schema, or a file cannot be written.
    """
    from harness.report.markdown import write_summary
    from harness.report.page import write_page  # jinja2, pandas and matplotlib load only where a page is built
    from harness.report.verdicts import write_verdicts

    summary = summarise(results, catalogue)
    write_verdicts(results, summary)
    write_summary(results, summary, catalogue)
    return write_page(results, summary, catalogue, title)


def side_by_side(folder: Path, sets: Sequence[Path], catalogue: Catalogue) -> Path:
    """Write the verdicts of several results folders side by side, `verdicts.html` and `verdicts.md`; return the page.

    Raises:
        HarnessError: as `build`, or two folders of one name.
    """
    from harness.report.matrix import write_matrix

    return write_matrix(folder, sets, catalogue)


def short(results: Path, catalogue: Catalogue) -> str:
    """The report in a page of Markdown.

    Raises:
        HarnessError: an evidence file is not evidence of this schema.
    """
    from harness.report.markdown import markdown

    return markdown(summarise(results, catalogue), catalogue)


def verdict_table(results: Path, catalogue: Catalogue) -> str:
    """The verdicts of `results` as plain text of the terminal's width, one row per case and deciding effect.

    Raises:
        HarnessError: an evidence file is not evidence of this schema.
    """
    return verdict_lines(summarise(results, catalogue))
