"""Evidence: the JSON file that a case leaves, one per claim and case. Scripts rely on its fields."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import HarnessError, first_problem
from harness.plan.study import Point
from harness.store.files import write_atomically

Verdict = Literal["reproduced", "contradicted", "inconclusive", "not run"]


class Record(BaseModel):
    """A part of the evidence: immutable, and nothing in it that the schema does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Effect(Record):
    """One number that speaks for (above `null`) or against (below it) the claim, with its interval."""

    name: str
    quantity: str | None = None  # what is compared, and under which of the claim's protocols; where the rule says so
    protocol: str | None = None
    unit: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    replicate: str  # what was repeated: "seed", or with one seed the probe's sample, e.g. "image"
    null: float
    decides: bool


class PaperValue(Record):
    """The paper's number for the effect of the same name."""

    name: str
    value: float
    source: str


class CaseRecord(Record):
    """On what the claim was tested."""

    dataset: str
    dataset_title: str
    models: dict[str, str]
    seeds: list[int]
    studies: dict[str, Point] = {}  # of the roles that are points of a study


class RuleRecord(Record):
    """The rule as the catalogue had it when the case was judged."""

    part: str | None
    text: str
    sha256: str


class Provenance(Record):
    """Where the numbers come from."""

    test: str | None = None  # file and line of the test that judged, from the project's root
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    device: str
    dataset_fingerprint: str
    run_ids: list[str]
    started: str
    seconds: float


class Evidence(Record):
    """All that a case leaves for the report and for other people's scripts (schema 1)."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    claim: str
    statement: str
    figure: str
    rule: RuleRecord
    case: CaseRecord
    verdict: Verdict
    fault: bool = False  # the harness could not judge, for the reason given: an error, and no verdict ("not run")
    reason: str
    effects: list[Effect]
    protocols: dict[str, Verdict] = {}  # by the effects of one protocol alone, where the rule has several
    paper: list[PaperValue]
    deviations: list[str]
    tables: list[str]  # relative to the results folder
    provenance: Provenance

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def evidence_path(results: Path, claim: str, case: str) -> Path:
    return results / "evidence" / claim / f"{case}.json"


def write_evidence(results: Path, case: str, evidence: Evidence) -> Path:
    path = evidence_path(results, evidence.claim, case)
    write_atomically(path, evidence.to_json().encode())
    return path


def read_evidence(path: Path) -> Evidence:
    """Read one file.

    Raises:
        HarnessError: the file is not evidence of this schema; the message says which field is wrong.
    """
    try:
        return Evidence.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise HarnessError(f"{path} is not evidence of schema 1: {first_problem(error)}") from error


def read_all_evidence(results: Path) -> dict[tuple[str, str], Evidence]:
    """Every case in a results folder: (claim, case name) -> evidence, in the order of the names."""
    paths = sorted((results / "evidence").glob("*/*.json"))
    return {(path.parent.name, path.stem): read_evidence(path) for path in paths}
