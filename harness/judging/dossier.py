"""The evidence of a case, drawn up from what was judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path

from harness.errors import HarnessError
from harness.judging.deviations import deviations
from harness.judging.evidence import (
    CaseRecord,
    Effect,
    Evidence,
    LookRecord,
    PaperValue,
    PremiseRecord,
    Provenance,
    RuleRecord,
    TrainingRecord,
    Verdict,
    evidence_path,
    read_evidence,
    write_evidence,
)
from harness.judging.looks import Look
from harness.judging.measured import FromStore
from harness.judging.trial import controlled
from harness.judging.verdict import by_protocol, unmet
from harness.judging.weigh import Judged
from harness.plan.case import NO_DATA, Case
from harness.plan.catalogue import Catalogue, Rule
from harness.plan.run import Run, training_meta
from harness.plan.wanted import ProbeRequest
from harness.store import Store
from harness.store.provenance import commit, versions


@dataclass(frozen=True)
class Ground:
    """What all cases of a session stand on.

    Attributes:
        root: of the project.
        fingerprints: data set -> fingerprint of its content, of those that are here; `titles` likewise.
    """

    root: Path
    results: Path
    store: Store
    catalogue: Catalogue
    fingerprints: dict[str, str]
    titles: dict[str, str]

    @cached_property
    def commit(self) -> tuple[str | None, bool | None]:
        return commit(self.root)


@dataclass(frozen=True)
class Dossier:
    """Leaves the evidence of one case.

    Attributes:
        test: file and line of the test that judges it.
    """

    case: Case
    ground: Ground
    test: str | None
    _began: float = field(default_factory=time.monotonic)

    def judged(self, judged: Judged) -> Evidence:
        """With the tables behind it."""
        look, results = judged.look, self.ground.results
        case = self.case.at(look.seeds) if self.case.roles else self.case
        dossier = replace(self, case=case)
        if not case.roles:
            return dossier._write(judged.verdict, judged.reason, judged.effects)
        asked = list(case.probes)
        others = [probe for probe in case.all_probes if probe not in asked]
        trained = dossier._tables(case)
        control = dossier._tables(case.at(controlled(self.rule, look)).control_for(self.rule))
        return dossier._write(
            judged.verdict,
            judged.reason,
            judged.effects,
            premises=judged.premises,
            look=look,
            tables=trained.copy_to(results, asked),
            support=[*trained.copy_to(results, others), *control.copy_to(results, asked)],
        )

    def out_of_scope(self, premise: PremiseRecord) -> Evidence:
        """That a premise fails before anything is trained."""
        return self._write("out of scope", unmet([premise]), [], premises=[premise])

    def not_run(self, reason: str, *, fault: bool = False) -> Evidence:
        """That there is no verdict, and why; whether that is a fault of the harness."""
        return self._write("not run", reason, [], fault=fault)

    def earlier(self) -> Evidence | None:
        """The verdict that another session left in this folder, on the same runs and by the same rule."""
        try:
            found = read_evidence(evidence_path(self.ground.results, self.case.claim, self.case.name))
        except (HarnessError, FileNotFoundError):
            return None
        data = self.ground.fingerprints.get(self.case.dataset, found.provenance.dataset_fingerprint)
        runs = {run.run_id for run, _ in self.case.runs(data)}
        same = found.rule.sha256 == self.rule.sha256 and runs <= set(found.provenance.run_ids)
        return found if same and found.verdict != "not run" else None

    @property
    def rule(self) -> Rule:
        return self.ground.catalogue[self.case.claim].rule(self.case.part)

    def _tables(self, case: Case) -> FromStore:
        return FromStore(case, self.ground.fingerprints[case.dataset], self.ground.store)

    def _write(
        self,
        verdict: Verdict,
        reason: str,
        effects: list[Effect],
        *,
        premises: Sequence[PremiseRecord] = (),
        look: Look | None = None,
        tables: Sequence[str] = (),
        support: Sequence[str] = (),
        fault: bool = False,
    ) -> Evidence:
        case, claim, rule = self.case, self.ground.catalogue[self.case.claim], self.rule
        title = "no data" if case.dataset == NO_DATA else self.ground.titles.get(case.dataset, case.dataset)
        evidence = Evidence(
            claim=claim.id,
            statement=claim.statement,
            figure=claim.figure,
            rule=RuleRecord(part=rule.part, text=rule.text, sha256=rule.sha256),
            case=CaseRecord(
                dataset=case.dataset,
                dataset_title=title,
                models={role: str(player) for role, player in case.players.items()},
                seeds=case.seeds,
                studies=case.points,
                floors={role: floor for role, floor in case.profile.floors.items() if role in case.roles},
            ),
            verdict=verdict,
            fault=fault,
            reason=reason,
            look=None if look is None else LookRecord(seeds=look.seeds, of=list(look.of), level=look.level),
            premises=list(premises),
            effects=effects,
            protocols={} if look is None else by_protocol(effects, look),
            paper=[
                PaperValue(name=wanted.name, value=wanted.paper, source=wanted.source or claim.figure)
                for wanted in (rule.measured(effect.name for effect in effects) or rule.effects)
                if wanted.paper is not None
            ],
            deviations=deviations(claim, case, title),
            tables=list(tables),
            support=list(support),
            provenance=self._provenance(),
        )
        write_evidence(self.ground.results, case.name, evidence)
        return evidence

    def _provenance(self) -> Provenance:
        fingerprint = self.ground.fingerprints.get(self.case.dataset)
        runs = list(self.case.runs(fingerprint)) if fingerprint else []
        trainings = {run.run_id: record for run, requests in runs if (record := self._training(run, requests))}
        sha, dirty = self.ground.commit
        return Provenance(
            test=self.test,
            commit=sha,
            dirty=dirty,
            versions=versions(),
            device="; ".join(sorted({record.device for record in trainings.values()})) or "none",
            dataset_fingerprint=fingerprint or "unknown",
            run_ids=[run.run_id for run, _ in runs],
            trainings=trainings,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=sum(record.seconds for record in trainings.values()) + time.monotonic() - self._began,
        )

    def _training(self, run: Run, requests: Sequence[ProbeRequest]) -> TrainingRecord | None:
        """What is known of a training: of its end, or of the last weights that were wanted; of one elsewhere, what came
        with its measurements.
        """
        store = self.ground.store
        wanted = sorted({request.epoch for request in requests}, key=lambda epoch: (epoch is not None, -(epoch or 0)))
        here = (training_meta(store, run, epoch) for epoch in wanted)
        elsewhere = ((store.meta(request.key(run.run_id)) or {}).get("training") for request in requests)
        known = next(filter(None, chain(here, elsewhere)), None)
        return known and TrainingRecord(device=known["device"], seconds=known["seconds"])
