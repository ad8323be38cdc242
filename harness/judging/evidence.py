"""Evidence: the JSON file that a case leaves, one per claim and case. Scripts rely on its fields."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import HarnessError, first_problem
from harness.plan.study import Point
from harness.store.files import write_atomically

Verdict = Literal["reproduced", "contradicted", "negligible", "inconclusive", "out of scope", "not run"]
DECIDED: tuple[Verdict, ...] = ("reproduced", "contradicted", "negligible", "out of scope")  # seeds change nothing


OFF_PROTOCOL = {"reproduced": "agrees", "contradicted": "disagrees"}
SINGLE_SEED = "single seed"


class Record(BaseModel):
    """A part of the evidence: immutable, and nothing in it that the schema does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Control(Record):
    """An effect measured on the untrained networks of the same seeds: what the architecture alone makes of it."""

    value: float | None
    low: float | None
    high: float | None
    within: tuple[float, float] | None = None
    n: int


class Effect(Record):
    """One number that speaks for (above `null`) or against (below it) the claim, with its interval."""

    name: str
    quantity: str | None = None  # what is compared, and under which of the claim's protocols; where the rule says so
    protocol: str | None = None
    unit: str
    value: float | None
    low: float | None  # by Student's t, which does not know where a share ends
    high: float | None
    within: tuple[float, float] | None = None  # where the truth lies, whatever it is
    level: float
    n: int
    replicate: str  # what was repeated: "seed", or with one seed the probe's sample, e.g. "image"
    null: float
    decides: bool
    paired: bool = False  # by seed
    against_untrained: bool = False  # by how much training raises an effect: it can keep a claim from being reproduced
    above: float | None = None  # one-sided p-value of lying above the null
    below: float | None = None  # the same of lying below
    small: float | None = None  # of lying within a quarter of the paper's own size around the null
    predicted: tuple[float, float] | None = None  # 95 % interval for one more run, such as the paper's single one
    between: float | None = None  # share of the variance of a replicate that is between seeds, not within them
    untrained: Control | None = None  # the same of networks with random weights
    by_seed: list[float | None] = []  # the effect of each of the case's seeds; empty for what has none
    freedom: float | None = None  # degrees of freedom of the interval; None in evidence from before it was kept


def shown_bounds(found: Effect | Control) -> tuple[float | None, float | None]:
    """The interval as a person is shown it: without what no truth can be, which takes nothing from its level; where
    there is none, none.
    """
    least, most = found.within or (-math.inf, math.inf)
    return (
        None if found.low is None else max(found.low, least),
        None if found.high is None else min(found.high, most),
    )


def replicates(effect: Effect) -> str:
    """What was repeated and how often: `3 seeds`."""
    if effect.n == 1:
        return f"1 {effect.replicate}"
    return f"{effect.n} {effect.replicate}{'es' if effect.replicate.endswith(('ch', 's', 'x')) else 's'}"


class PremiseRecord(Record):
    """What the rule takes for granted, and whether it is so here."""

    name: str
    unit: str
    value: float | None
    least: float
    holds: bool


class LookRecord(Record):
    """How often the case may be judged while seeds are added, and which of these looks this is."""

    seeds: int
    of: list[int]
    level: float


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
    floors: dict[str, float] = {}  # role -> least test accuracy (share) of a network that has learned


class RuleRecord(Record):
    """The rule as the catalogue had it when the case was judged."""

    part: str | None
    text: str
    sha256: str


class TrainingRecord(Record):
    """On what a run was trained, in how many seconds."""

    device: str
    seconds: float


class Provenance(Record):
    """Where the numbers come from."""

    test: str | None = None  # file and line of the test that judged, from the project's root
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    device: str
    dataset_fingerprint: str
    run_ids: list[str]
    trainings: dict[str, TrainingRecord] = {}  # by run id, of the runs that were trained
    started: str
    seconds: float


class Evidence(Record):
    """All that a case leaves for the report and for other people's scripts.

    Schema 2 added looks, premises and controls; what was judged under schema 1 lacks them, and is still read.
    """

    schema_: Literal[1, 2] = Field(default=2, alias="schema")
    claim: str
    statement: str
    figure: str
    rule: RuleRecord
    case: CaseRecord
    verdict: Verdict
    fault: bool = False  # the harness could not judge, for the reason given: an error, and no verdict ("not run")
    reason: str
    look: LookRecord | None = None
    premises: list[PremiseRecord] = []
    effects: list[Effect]
    protocols: dict[str, Verdict] = {}  # by the effects of one protocol alone, where the rule has several
    paper: list[PaperValue]
    deviations: list[str]
    tables: list[str]  # relative to the results folder
    support: list[str] = []  # tables of premises and of untrained networks, likewise
    provenance: Provenance

    @property
    def faithful(self) -> bool:
        """Whether it was done as the paper did: its data, networks and schedule. It has a single seed itself."""
        return all(deviation == SINGLE_SEED for deviation in self.deviations)

    @property
    def spoken(self) -> str:
        """The verdict as a person is told."""
        return self.said(self.verdict)

    def said(self, verdict: Verdict) -> str:
        """A verdict on this case: off the paper's protocol nothing is said of the paper itself."""
        return verdict if self.faithful else OFF_PROTOCOL.get(verdict, verdict)

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
        raise HarnessError(f"{path} is not evidence of schema 1 or 2: {first_problem(error)}") from error


def read_all_evidence(results: Path) -> dict[tuple[str, str], Evidence]:
    """Every case in a results folder: (claim, case name) -> evidence, in the order of the names."""
    return read_folder(results / "evidence")


def read_folder(evidence: Path) -> dict[tuple[str, str], Evidence]:
    """The same of a folder of evidence alone."""
    paths = sorted(evidence.glob("*/*.json"))
    return {(path.parent.name, path.stem): read_evidence(path) for path in paths}
