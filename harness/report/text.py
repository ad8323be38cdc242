"""The verdict table as plain text, for the terminal."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

from harness.judging.evidence import Effect
from harness.report.numbers import MINUS, NOTHING, estimate, plain
from harness.report.summary import Case, Summary

COLUMNS = {"claim": 5, "case": 22, "verdict": 12, "effect": 34, "value [interval]": 32, "paper": 8}
WIDTH = sum(COLUMNS.values()) + len(COLUMNS) - 1


def verdict_lines(summary: Summary) -> str:
    """A row per case and deciding effect, then the claims without evidence, then the counts."""
    lines = [*row(*COLUMNS), " ".join("-" * width for width in COLUMNS.values())]
    for section in summary.sections:
        for case in section.cases:
            lines += case_lines(section.id, case)
    missing = [gap.name for section in summary.sections for gap in section.gaps]
    if missing:
        lines.append("")
        lines += textwrap.wrap(f"no evidence for {', '.join(missing)}", WIDTH, subsequent_indent="  ")
    lines += ["", ", ".join(f"{count} {verdict}" for verdict, count in summary.counts.items())]
    # Some terminals and pipes know only ASCII; the signs of the numbers have to survive them.
    return "\n".join(lines).replace(MINUS, "-").replace(NOTHING, "-") + "\n"


def case_lines(claim: str, case: Case) -> list[str]:
    first = (claim, case.name, case.evidence.verdict)
    effects = [effect_cells(case, effect) for effect in case.deciding]
    lines = row(*first, *(effects[0] if effects else ()))
    for cells in effects[1:]:
        lines += row("", "", "", *cells)
    if case.evidence.verdict == "not run":
        lines += note(case.evidence.reason)
    for warning in case.warnings:
        lines += note(warning)
    return lines


def effect_cells(case: Case, effect: Effect) -> tuple[str, str, str]:
    paper = ", ".join(plain(value.value) for value in case.paper(effect.name)) or NOTHING
    return effect.name, estimate(effect), paper


def note(text: str) -> list[str]:
    indent = " " * (COLUMNS["claim"] + 1)
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def row(*cells: str) -> list[str]:
    """The lines of one row; a cell that is too long goes on below itself."""
    widths = COLUMNS.values()
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=False)]
    lines = zip_longest(*wrapped, fillvalue="")
    return [" ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines]
