"""Verdicts for programs: `verdicts.json` and `verdicts.csv` of a results folder, a row a case.

Their columns are described in docs/verdicts.md. One that is added later stands behind the others of its kind; anything
else raises `SCHEMA`.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.judging.evidence import Record
from harness.report.summary import Case, Summary
from harness.store.files import write_atomically

SCHEMA: Literal[1] = 1


class EffectRow(Record):
    """A deciding effect; bounds that are open, and what the paper does not give, are None."""

    name: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    null: float
    n: int
    replicate: str
    paper: float | None
    paper_source: str | None


class CaseRow(Record):
    """A case: the verdict as the evidence has it, and as people are told it ("agrees"; "error" for a fault)."""

    claim: str
    part: str | None
    case: str
    dataset: str
    networks: dict[str, str]  # role -> network
    verdict: str
    said: str
    seeds: int
    look: int | None  # seeds behind the look that was judged, of those in `looks`; None where there are none
    looks: list[int]
    rule: str  # its SHA-256
    effects: list[EffectRow]


class Verdicts(Record):
    """A results folder."""

    schema_: Literal[1] = Field(default=SCHEMA, alias="schema")
    results: str
    cases: list[CaseRow]


PER_CASE = [name for name in CaseRow.model_fields if name != "effects"]
PER_EFFECT = list(EffectRow.model_fields)


def write_verdicts(results: Path, summary: Summary) -> None:
    """Write both files into the results folder.

    Raises:
        HarnessError: they cannot be written.
    """
    verdicts = verdicts_of(summary)
    write_atomically(results / "verdicts.json", (verdicts.model_dump_json(by_alias=True, indent=2) + "\n").encode())
    write_atomically(results / "verdicts.csv", as_csv(verdicts).encode())


def verdicts_of(summary: Summary) -> Verdicts:
    """All cases, in the order of the report."""
    rows = [row_of(section.id, case) for section in summary.sections for case in section.cases]
    return Verdicts(results=summary.folder, cases=rows)


def row_of(claim: str, case: Case) -> CaseRow:
    evidence, look = case.evidence, case.evidence.look
    return CaseRow(
        claim=claim,
        part=evidence.rule.part,
        case=case.name,
        dataset=evidence.case.dataset,
        networks=evidence.case.models,
        verdict=evidence.verdict,
        said=case.outcome,
        seeds=len(evidence.case.seeds),
        look=look and look.seeds,
        looks=look.of if look else [],
        rule=evidence.rule.sha256,
        effects=effect_rows(case),
    )


def effect_rows(case: Case) -> list[EffectRow]:
    rows = []
    for effect in case.deciding:
        paper = next(iter(case.paper(effect.name)), None)
        same = {name: getattr(effect, name) for name in PER_EFFECT if not name.startswith("paper")}
        rows.append(EffectRow(**same, paper=paper and paper.value, paper_source=paper and paper.source))
    return rows


def as_csv(verdicts: Verdicts) -> str:
    """One row a case; its effects stand side by side, in as many groups of columns as some case has effects."""
    most = max((len(row.effects) for row in verdicts.cases), default=0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["schema", *PER_CASE, *(f"effect{number}_{name}" for number in range(1, most + 1) for name in PER_EFFECT)]
    )
    for row in verdicts.cases:
        effects = [getattr(effect, name) for effect in row.effects for name in PER_EFFECT]
        writer.writerow([verdicts.schema_, *(cell(getattr(row, name)) for name in PER_CASE), *effects,
                         *[None] * (most * len(PER_EFFECT) - len(effects))])  # fmt: skip
    return text.getvalue()


def cell(value: object) -> object:
    """Networks as `role=network`, looks by their seeds, several of either with a semicolon between."""
    if isinstance(value, dict):
        return "; ".join(f"{role}={network}" for role, network in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list) else value
