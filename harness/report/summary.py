"""Lays the evidence of a results folder beside the catalogue: what was judged, what was not, what does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import get_args

from harness.errors import HarnessError
from harness.judging.evidence import OFF_PROTOCOL, Effect, Evidence, PaperValue, Verdict, read_all_evidence
from harness.judging.verdict import p_value
from harness.plan.catalogue import Catalogue, Claim
from harness.report.cells import Table
from harness.report.numbers import decimals, fixed

NO_EVIDENCE = "No evidence in this folder: no test for it yet, or its test was not selected."
VERDICTS: tuple[str, ...] = get_args(Verdict)
FAULT = "error"
OUTCOMES = [name for verdict in VERDICTS for name in (verdict, OFF_PROTOCOL.get(verdict)) if name] + [FAULT]
FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True)
class Case:
    """One evidence file and what is odd about it.

    Attributes:
        discovery: whether its verdict is among those of which 5 % may be false in the whole report; None where it has
            none that a test decided.
    """

    name: str
    evidence: Evidence
    warnings: list[str]
    discovery: bool | None = None

    @property
    def outcome(self) -> str:
        """The verdict as it is said; or that there was a fault, which is none."""
        return FAULT if self.evidence.fault else self.evidence.spoken

    def beside(self, effect: Effect) -> str | None:
        """Where the paper's single run lies beside our prediction of one more; None off its protocol."""
        if effect.predicted is None or not self.evidence.faithful:
            return None
        low, high = effect.predicted
        for paper in self.paper(effect.name):
            where = "below" if paper.value < low else "above" if paper.value > high else "within"
            return f"{where} what one more run of ours would give"
        return None

    @property
    def rank(self) -> int:
        """The place of its outcome in the legend."""
        return OUTCOMES.index(self.outcome)

    @property
    def by_seed(self) -> Table | None:
        """What each seed gives of each effect; None in evidence that does not keep it."""
        effects = [effect for effect in self.evidence.effects if any(value is not None for value in effect.by_seed)]
        if not effects:
            return None
        seeds = [str(seed) for seed in self.evidence.case.seeds]
        rows = [
            [effect.name, *(fixed(value, decimals(effect)) for value in effect.by_seed), effect.unit]
            for effect in effects
        ]
        return Table(
            "Effects as each seed gives them.", [("seed", len(seeds)), ("", 1)], ["effect", *seeds, "unit"], rows
        )

    @property
    def deciding(self) -> list[Effect]:
        return [effect for effect in self.evidence.effects if effect.decides]

    def paper(self, effect: str) -> list[PaperValue]:
        return [value for value in self.evidence.paper if value.name == effect]

    @property
    def unmatched_paper(self) -> list[PaperValue]:
        """The paper's numbers that no effect of ours answers."""
        ours = {effect.name for effect in self.evidence.effects}
        return [value for value in self.evidence.paper if value.name not in ours]


@dataclass(frozen=True)
class Gap:
    """A claim, or one part of it, that has no evidence here."""

    claim: str
    part: str | None
    reason: str

    @property
    def name(self) -> str:
        return self.claim if self.part is None else f"{self.claim} ({self.part})"


@dataclass(frozen=True)
class Section:
    """All there is to say about one claim; `claim` is None where the catalogue does not know it."""

    id: str
    title: str
    statement: str
    figure: str
    claim: Claim | None
    cases: list[Case] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @property
    def group(self) -> str:
        """The headline that it bears."""
        return self.claim.group if self.claim else ""

    @property
    def foremost(self) -> Case | None:
        """The one that stands open: the first in scope, if there is one."""
        inside = [case for case in self.cases if case.outcome not in ("out of scope", "not run")]
        return next(iter(inside or self.cases), None)

    @property
    def protocol(self) -> str:
        """What the paper measured on, and how long it trained."""
        if self.claim is None or self.claim.dataset == "none":
            return ""
        epochs = f", {self.claim.epochs} epochs" if self.claim.epochs else ", nothing trained"
        return self.claim.dataset_title + epochs


@dataclass(frozen=True)
class Summary:
    """The results folder as a whole."""

    folder: str
    catalogue: str
    root: Path  # of the project that the catalogue is of
    sections: list[Section]

    @property
    def evidence(self) -> list[Evidence]:
        return [case.evidence for section in self.sections for case in section.cases]

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> number of cases, theorems aside, in the order of the legend."""
        counted = [section for section in self.sections if section.claim is None or not section.claim.theorem]
        counts = Counter(case.outcome for section in counted for case in section.cases)
        counts["not run"] += sum(len(section.gaps) for section in self.sections)
        return {name: counts[name] for name in OUTCOMES if counts[name] or name in VERDICTS}

    @property
    def theorems(self) -> list[str]:
        """Claims that hold by proof and have cases here: shown, and not counted."""
        return [section.id for section in self.sections if section.cases and section.claim and section.claim.theorem]

    @property
    def outcomes(self) -> list[str]:
        """Of the cases, in the order of the legend."""
        return sorted(distinct(case.outcome for section in self.sections for case in section.cases), key=OUTCOMES.index)

    @property
    def datasets(self) -> list[str]:
        return distinct(evidence.case.dataset_title for evidence in self.evidence)

    @property
    def period(self) -> str:
        """The days on which the cases were judged, from the evidence alone: the same input gives the same page."""
        days = sorted({day(evidence.provenance.started) for evidence in self.evidence})
        return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""

    @property
    def devices(self) -> list[str]:
        """Of what was trained and measured, each once; a claim without networks needed none."""
        found = distinct(each for evidence in self.evidence for each in evidence.provenance.device.split("; "))
        return [device for device in found if device != "none"] or found

    @property
    def commits(self) -> list[str]:
        return distinct(revision(evidence) for evidence in self.evidence)

    @property
    def versions(self) -> list[str]:
        pairs = [pair for evidence in self.evidence for pair in evidence.provenance.versions.items()]
        return sorted(distinct(f"{name} {version}" for name, version in pairs))


def distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def day(started: str) -> str:
    try:
        return datetime.fromisoformat(started).date().isoformat()
    except ValueError:
        return started


def revision(evidence: Evidence) -> str:
    """The commit in short, with a word when the working tree was not clean."""
    commit = evidence.provenance.commit
    if commit is None:
        return "unknown"
    return commit[:12] + (" with uncommitted changes" if evidence.provenance.dirty else "")


def summarise(results: Path, catalogue: Catalogue) -> Summary:
    """Sort the evidence of `results` under the claims of the catalogue, unknown claims last.

    Raises:
        HarnessError: an evidence file is not evidence of this schema.
    """
    cases: dict[str, list[Case]] = {}
    everything = read_all_evidence(results)
    found = discoveries(everything)
    for (claim, name), evidence in everything.items():
        case = Case(name, evidence, warnings(evidence, catalogue), found.get((claim, name)))
        cases.setdefault(claim, []).append(case)
    known = [section_of(claim, cases.pop(claim.id, [])) for claim in catalogue.claims.values()]
    unknown = [stranger(claim, found) for claim, found in cases.items()]
    return Summary(results.resolve().name, catalogue.path.name, catalogue.path.parents[1], known + unknown)


def discoveries(everything: Mapping[tuple[str, str], Evidence]) -> dict[tuple[str, str], bool]:
    """Which verdicts survive among all of a report, where 5 % of those may be false (Benjamini & Yekutieli 2001).

    Cases share networks, and so are not independent.
    """
    from scipy.stats import false_discovery_control

    found = {key: p_value(each.verdict, each.effects) for key, each in everything.items() if each.look}
    known = {key: p for key, p in found.items() if p is not None}
    if not known:
        return {}
    adjusted = false_discovery_control(list(known.values()), method="by")
    return {key: bool(p <= FALSE_DISCOVERIES) for key, p in zip(known, adjusted, strict=True)}


def section_of(claim: Claim, cases: list[Case]) -> Section:
    return Section(claim.id, claim.title, claim.statement, claim.figure, claim, cases, gaps(claim, cases))


def stranger(claim: str, cases: list[Case]) -> Section:
    evidence = cases[0].evidence
    return Section(claim, "A claim that is not in the catalogue", evidence.statement, evidence.figure, None, cases)


def gaps(claim: Claim, cases: list[Case]) -> list[Gap]:
    """One gap for a claim without any evidence, else one for each part of it that no case judged."""
    if not cases:
        return [Gap(claim.id, None, claim.not_run or NO_EVIDENCE)]
    judged = {case.evidence.rule.part for case in cases}
    return [Gap(claim.id, rule.part, NO_EVIDENCE) for rule in claim.rules if rule.part not in judged]


def warnings(evidence: Evidence, catalogue: Catalogue) -> list[str]:
    """What a reader has to know before trusting the verdict."""
    if evidence.claim not in catalogue.claims:
        return [f"Today's {catalogue.path.name} has no claim {evidence.claim!r}; its rule cannot be compared."]
    try:
        rule = catalogue[evidence.claim].rule(evidence.rule.part)
    except HarnessError as error:
        return [f"The rule that judged this case is no longer in {catalogue.path.name}: {error}."]
    if rule.sha256 == evidence.rule.sha256:
        return []
    return [
        f"The rule changed after this case was judged: evidence {evidence.rule.sha256[:12]}, "
        f"{catalogue.path.name} today {rule.sha256[:12]}. Judge the case again before you rely on its verdict."
    ]
