"""What a test holds in its hands: the tables of its case, the effects that its rule names, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.case import NO_DATA, Case
from harness.catalogue import Catalogue, Claim, EffectRule, Rule
from harness.deviations import deviations
from harness.errors import HarnessError, nearest
from harness.evidence import (
    CaseRecord,
    Effect,
    Evidence,
    PaperValue,
    Provenance,
    RuleRecord,
    Verdict,
    write_evidence,
)
from harness.files import write_atomically
from harness.probes.request import PROBES, ProbeRequest
from harness.provenance import commit, versions
from harness.run import Run
from harness.statistics import Interval, SampleTable, difference_over_seeds, over_samples, over_seeds
from harness.store import Store
from harness.tables import read_parquet, to_parquet
from harness.verdict import judge

if TYPE_CHECKING:
    import pandas as pd

Statistic = Callable[["pd.DataFrame"], float]


@dataclass(frozen=True)
class Place:
    """Where judgements find and leave things; the same for all cases of a session."""

    root: Path
    results: Path
    store: Store
    catalogue: Catalogue
    fingerprints: dict[str, str]
    titles: dict[str, str]


@dataclass
class Judgement:
    """One case in the hands of its test. `case` in a test function is one of these."""

    case: Case
    place: Place
    effects: dict[str, Effect] = field(default_factory=dict)
    _tables: dict[tuple[str, str, int], SampleTable] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    @property
    def claim(self) -> Claim:
        return self.place.catalogue[self.case.claim]

    @property
    def rule(self) -> Rule:
        return self.claim.rule(self.case.part)

    def effect(
        self,
        name: str,
        role: str,
        statistic: Statistic,
        *,
        minus: str | None = None,
        minus_statistic: Statistic | None = None,
        probe: str | None = None,
    ) -> None:
        """Measure one effect that the rule names.

        Args:
            name: as in the catalogue, which also gives unit and null.
            role: whose table it is computed from, seed by seed.
            statistic: takes a table averaged over its samples, returns the number; larger is more as the paper says.
            minus: the effect is the difference to this role.
            minus_statistic: of the role in `minus`, where it is another one.
            probe: whose table; needed only when the test wants several probes.

        Raises:
            HarnessError: the rule names no such effect, or the case has no such role.
        """
        wanted = self._wanted(name)
        probe = probe or self._only_probe()
        roles = [role] if minus is None else [role, minus]
        tables = {each: [self._table(each, probe, seed) for seed in self.case.seeds] for each in roles}
        interval = _interval(statistic, tables[role], minus_statistic or statistic, tables[minus] if minus else None)
        self._keep(wanted, interval)

    def effect_over_draws(self, name: str, values: Sequence[float]) -> None:
        """An effect that needs no network: the mean of a number over independent random draws, at least two.

        Raises:
            HarnessError: the rule names no such effect.
        """
        self._keep(self._wanted(name), over_seeds(values, replicate="random draw"))

    def average(self, role: str, *, probe: str | None = None) -> pd.DataFrame:
        """A role's table, averaged over samples and seeds; for what a test has to settle before it measures effects."""
        import pandas as pd

        probe = probe or self._only_probe()
        keys = list(PROBES[probe].keys)
        tables = [self._table(role, probe, seed).mean() for seed in self.case.seeds]
        return pd.concat(tables).groupby(keys, as_index=False).mean()

    def judge(self) -> tuple[Verdict, str]:
        """Apply the rule, write the evidence with the tables behind it.

        Raises:
            HarnessError: an effect that the rule names was not measured.
        """
        missing = [wanted.name for wanted in self.rule.effects if wanted.name not in self.effects]
        if missing:
            raise HarnessError(
                f"claim {self.claim.id}: the rule also wants {missing[0]!r}, which the test did not measure"
            )
        effects = [self.effects[wanted.name] for wanted in self.rule.effects]
        verdict, reason = judge(effects)
        self._leave(verdict, reason, effects, self._copy_tables())
        return verdict, reason

    def leave_not_run(self, reason: str) -> None:
        """Evidence that there is none, and why."""
        self._leave("not run", reason, [], [])

    def _keep(self, wanted: EffectRule, interval: Interval) -> None:
        self.effects[wanted.name] = Effect(
            name=wanted.name,
            unit=wanted.unit,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            level=interval.level,
            n=interval.n,
            replicate=interval.replicate,
            null=wanted.null,
            decides=wanted.decides,
        )

    def _only_probe(self) -> str:
        (request,) = self.case.requests
        return request.probe

    def _wanted(self, name: str) -> EffectRule:
        known = {wanted.name: wanted for wanted in self.rule.effects}
        if name not in known:
            raise HarnessError(f"claim {self.claim.id}: the rule names no effect {name!r}; {nearest(name, known)}")
        return known[name]

    def _run(self, role: str, seed: int) -> Run:
        if role not in self.case.models:
            raise HarnessError(f"claim {self.claim.id}: no role {role!r}; {nearest(role, self.case.models)}")
        return self.case.run(role, seed, self.place.fingerprints[self.case.dataset])

    def _read(self, role: str, request: ProbeRequest, seed: int) -> pd.DataFrame:
        run = self._run(role, seed)
        artifact = self.place.store.read(request.key(run.run_id))
        if artifact is None:
            raise HarnessError(
                f"no {request.probe} table of {run} in {self.place.store.root}; run the same command again"
            )
        return read_parquet(artifact.path / "table.parquet")

    def _table(self, role: str, probe: str, seed: int) -> SampleTable:
        key = role, probe, seed
        if key not in self._tables:
            request = next((request for request in self.case.requests if request.probe == probe), None)
            if request is None:
                known = [request.probe for request in self.case.requests]
                raise HarnessError(
                    f"claim {self.claim.id}: its test asks for no probe {probe!r}; {nearest(probe, known)}"
                )
            self._tables[key] = SampleTable(self._read(role, request, seed), PROBES[probe])
        return self._tables[key]

    def _copy_tables(self) -> list[str]:
        """One table a probe, with role, model and seed in front: the results folder stands alone."""
        import pandas as pd

        paths = []
        for request in self.case.requests:
            parts = [
                self._read(role, request, seed).assign(role=role, model=str(spec), seed=seed)
                for role, spec in self.case.models.items()
                for seed in self.case.seeds
            ]
            table = pd.concat(parts, ignore_index=True)
            first = ["role", "model", "seed"]
            table = table[first + [column for column in table.columns if column not in first]]
            relative = Path("tables") / self.case.claim / self.case.name / f"{request.probe}.parquet"
            write_atomically(self.place.results / relative, to_parquet(table))
            paths.append(relative.as_posix())
        return paths

    def _leave(self, verdict: Verdict, reason: str, effects: list[Effect], tables: list[str]) -> None:
        claim, rule, case = self.claim, self.rule, self.case
        title = "no data" if case.dataset == NO_DATA else self.place.titles.get(case.dataset, case.dataset)
        evidence = Evidence(
            claim=claim.id,
            statement=claim.statement,
            figure=claim.figure,
            rule=RuleRecord(part=rule.part, text=rule.text, sha256=rule.sha256),
            case=CaseRecord(
                dataset=case.dataset,
                dataset_title=title,
                models={role: str(spec) for role, spec in case.models.items()},
                seeds=case.seeds,
            ),
            verdict=verdict,
            reason=reason,
            effects=effects,
            paper=[
                PaperValue(name=wanted.name, value=wanted.paper, source=wanted.source or claim.figure)
                for wanted in rule.effects
                if wanted.paper is not None
            ],
            deviations=deviations(claim, case, title),
            tables=tables,
            provenance=self._provenance(),
        )
        write_evidence(self.place.results, case.name, evidence)

    def _provenance(self) -> Provenance:
        fingerprint = self.place.fingerprints.get(self.case.dataset)
        runs = list(self.case.runs(fingerprint)) if fingerprint else []
        metas = [meta for run in runs if (meta := self.place.store.meta(run.checkpoint_key))]
        sha, dirty = commit(self.place.root)
        return Provenance(
            commit=sha,
            dirty=dirty,
            versions=versions(),
            device="; ".join(sorted({meta["device"] for meta in metas})) or "none",
            dataset_fingerprint=fingerprint or "unknown",
            run_ids=[run.run_id for run in runs],
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=sum(meta["seconds"] for meta in metas) + time.monotonic() - self._began,
        )


def _interval(
    statistic: Statistic, tables: list[SampleTable], other: Statistic, others: list[SampleTable] | None
) -> Interval:
    """Over seeds when there are several, else over the samples of the one; with `others`, of the difference to them."""
    if len(tables) == 1:
        if others is None:
            return over_samples(statistic, tables)
        return over_samples(lambda table, less: statistic(table) - other(less), [*tables, *others])
    values = [statistic(table.mean()) for table in tables]
    if others is None:
        return over_seeds(values)
    return difference_over_seeds(values, [other(table.mean()) for table in others])
