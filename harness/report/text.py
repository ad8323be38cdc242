"""The verdict table as plain text, laid out for the width of the terminal; numbers are never broken."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.judging.evidence import Effect
from harness.plan.run import SUBJECT
from harness.report.numbers import MINUS, NOTHING, estimate, plain
from harness.report.summary import Case, Summary

HEAD = {"claim": 5, "case": 22, "verdict": 12}
EFFECT = {"effect": 34, "value [interval]": 32, "paper": 8}
NARROWEST, WIDEST = 60, 120
UNJUDGED = ("not run", "out of scope")  # why says more than numbers
HELD = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Layout:
    """Widths of the columns of a case and of an effect of it, beside each other or one below the other."""

    case: tuple[int, ...]
    effect: tuple[int, ...]
    beside: bool

    def lines(self, case: Sequence[str], effects: Sequence[Sequence[str]]) -> list[str]:
        """The rows of one case and its effects."""
        if self.beside:
            first, *others = effects or [()]
            lines = row(self.case + self.effect, [*case, *first])
            return lines + [line for each in others for line in row(self.case + self.effect, ["", "", "", *each])]
        indent = " " * (HEAD["claim"] + 1)
        return row(self.case, case) + [indent + line for each in effects for line in row(self.effect, each)]


def layout(width: int, effects: Iterable[Sequence[str]]) -> Layout:
    """All in one row where there is room for it; in a narrow terminal effects stand below their case."""
    cells = [list(EFFECT), *effects]
    value, paper = (longest_word(cell[column] for cell in cells) for column in (1, 2))
    claim, case, verdict = HEAD.values()
    name = EFFECT["effect"]
    wide = (name, max(EFFECT["value [interval]"], value), max(EFFECT["paper"], paper))
    if claim + case + verdict + sum(wide) + 5 <= width:
        return Layout((claim, case, verdict), wide, beside=True)
    room = width - claim - 3 - paper  # beside an indent and the paper's number, for the effect's name and value
    value = max(value, room // 2)
    return Layout((claim, width - claim - verdict - 2, verdict), (max(room - value, 10), value, paper), beside=False)


def verdict_lines(summary: Summary, width: int | None = None) -> str:
    """A row per case and deciding effect, then the claims without evidence, then the counts.

    Args:
        width: in columns; that of the terminal, or the widest where there is none. It is kept within 60 to 120.
    """
    width = columns(width)
    cases = [(section.id, case) for section in summary.sections for case in section.cases]
    table = layout(width, [effect_cells(case, effect) for _, case in cases for effect in case.deciding])
    lines = table.lines(list(HEAD), [list(EFFECT)])
    lines.append(" ".join("-" * size for size in table.case + table.effect) if table.beside else "-" * width)
    for claim, case in cases:
        effects = [] if case.evidence.verdict in UNJUDGED else case.deciding
        lines += table.lines((claim, case.name, case.outcome), [effect_cells(case, effect) for effect in effects])
        said = [case.evidence.reason] if case.evidence.verdict in UNJUDGED else []
        lines += [line for text in [*said, *case.warnings] for line in note(text, width)]
    missing = [gap.name for section in summary.sections for gap in section.gaps]
    if missing:
        lines.append("")
        lines += textwrap.wrap(f"no evidence for {', '.join(missing)}", width, subsequent_indent="  ")
    lines += ["", *(f"{role} is played by {subject}" for role, subject in subjects(summary).items())]
    counts = ", ".join(f"{count} {plural(outcome, count)}" for outcome, count in summary.counts.items())
    lines += textwrap.wrap(counts, width)
    lines += [f"{claim} is a theorem: shown, not counted" for claim in summary.theorems]
    return ascii_signs("\n".join(lines)) + "\n"


def columns(width: int | None) -> int:
    """The width to lay out for: that of the terminal where none is given, kept within bounds."""
    wish = shutil.get_terminal_size((WIDEST, 24)).columns if width is None else width
    return min(max(wish, NARROWEST), WIDEST)


def ascii_signs(text: str) -> str:
    """Some terminals and pipes know only ASCII; the signs of the numbers have to survive them."""
    return text.replace(MINUS, "-").replace(NOTHING, "-").replace(HELD, " ")


def plural(outcome: str, count: int) -> str:
    return "errors" if outcome == "error" and count != 1 else outcome


def subjects(summary: Summary) -> dict[str, str]:
    """Role -> the person's own network that plays it."""
    cast = [item for evidence in summary.evidence for item in evidence.case.models.items()]
    return {role: model.removeprefix(SUBJECT) for role, model in cast if model.startswith(SUBJECT)}


def effect_cells(case: Case, effect: Effect) -> tuple[str, str, str]:
    """Name, value with its interval, the paper's value; what belongs to one number holds together."""
    paper = ", ".join(plain(value.value) for value in case.paper(effect.name)) or NOTHING
    number = estimate(effect).removesuffix(effect.unit).strip()
    return effect.name, f"{number.replace(' ', HELD)} {effect.unit}", paper


def note(text: str, width: int) -> list[str]:
    indent = " " * (HEAD["claim"] + 1)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)


def longest_word(cells: Iterable[str]) -> int:
    return max(len(word) for cell in cells for word in cell.split(" "))


def row(widths: Sequence[int], cells: Sequence[str]) -> list[str]:
    """The lines of one row; a cell that is too long goes on below itself."""
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=False)]
    lines = zip_longest(*wrapped, fillvalue="")
    return [" ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines]
