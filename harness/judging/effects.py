"""What a test holds in its hands: the tables of its case, the effects that its rule names, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, nearest
from harness.judging.deviations import deviations
from harness.judging.evidence import (
    CaseRecord,
    Effect,
    Evidence,
    PaperValue,
    Provenance,
    RuleRecord,
    Verdict,
    write_evidence,
)
from harness.judging.statistics import Interval, SampleTable, difference_over_seeds, over_samples, over_seeds
from harness.judging.verdict import judge
from harness.plan.case import NO_DATA, Case
from harness.plan.catalogue import Catalogue, Claim, EffectRule, Rule
from harness.plan.run import Run
from harness.plan.wanted import ProbeRequest, Wanted
from harness.probes.kinds import PROBES
from harness.store import Store
from harness.store.files import write_atomically
from harness.store.provenance import commit, versions
from harness.store.tables import read_parquet, to_parquet

if TYPE_CHECKING:
    import pandas as pd

Statistic = Callable[..., float]


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
    _tables: dict[tuple[str, Wanted, int], SampleTable] = field(default_factory=dict)
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
        role: str | Sequence[str],
        statistic: Statistic,
        *,
        minus: str | None = None,
        minus_statistic: Statistic | None = None,
        probe: Wanted | str | Sequence[Wanted] | None = None,
    ) -> None:
        """Measure one effect that the rule names.

        Args:
            name: as in the catalogue, which also gives unit and null.
            role: whose table it is computed from, seed by seed; of several roles, the statistic takes a table each.
            statistic: takes a table averaged over its samples, returns the number; larger is more as the paper says.
            minus: the effect is the difference to this role.
            minus_statistic: of the role in `minus`, where it is another one.
            probe: whose table; needed only when the test wants several probes. Of several, the statistic takes a table
                each, one role's after the other's.

        Raises:
            HarnessError: the rule names no such effect, or the case has no such role.
        """
        wanted = self._wanted(name)
        roles = [role] if isinstance(role, str) else list(role)
        probes = [probe] if probe is None or isinstance(probe, Wanted | str) else list(probe)

        def tables(roles: list[str]) -> list[list[SampleTable]]:
            """[seed][table]"""
            return [
                [self._table(role, self._probe(probe), seed) for role in roles for probe in probes]
                for seed in self.case.seeds
            ]

        others = tables([minus]) if minus else None
        self._keep(wanted, _interval(wanted, statistic, tables(roles), minus_statistic or statistic, others))

    @property
    def roles(self) -> tuple[str, ...]:
        """In the order in which the test names them; the variants that a pattern stands for in that of the profile."""
        return self.case.roles

    def effect_over_draws(self, name: str, values: Sequence[float]) -> None:
        """An effect that needs no network: the mean of a number over independent random draws, at least two.

        Raises:
            HarnessError: the rule names no such effect.
        """
        self._keep(self._wanted(name), over_seeds(values, replicate="random draw"))

    def average(self, role: str, *, probe: Wanted | str | None = None) -> pd.DataFrame:
        """A role's table, averaged over samples and seeds; for what a test has to settle before it measures effects."""
        import pandas as pd

        wanted = self._probe(probe)
        keys = list(PROBES[wanted.probe].keys)
        tables = [self._table(role, wanted, seed).mean() for seed in self.case.seeds]
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

    def _probe(self, probe: Wanted | str | None) -> Wanted:
        """That probe of the case, or its only one."""
        if probe is None and len(self.case.probes) == 1:
            return self.case.probes[0]
        known = {each.name: each for each in self.case.probes}
        name = probe.name if isinstance(probe, Wanted) else str(probe)
        if name not in known:
            raise HarnessError(f"claim {self.claim.id}: its test asks for no probe {name!r}; {nearest(name, known)}")
        return known[name]

    def _wanted(self, name: str) -> EffectRule:
        known = {wanted.name: wanted for wanted in self.rule.effects}
        if name not in known:
            raise HarnessError(f"claim {self.claim.id}: the rule names no effect {name!r}; {nearest(name, known)}")
        return known[name]

    def _run(self, role: str, seed: int) -> Run:
        if role not in self.case.models:
            raise HarnessError(f"claim {self.claim.id}: no role {role!r}; {nearest(role, self.case.models)}")
        return self.case.run(role, seed, self.place.fingerprints[self.case.dataset])

    def _read(self, role: str, probe: Wanted, seed: int) -> pd.DataFrame:
        run = self._run(role, seed)
        request = self.case.request(role, probe)
        artifact = self.place.store.read(request.key(run.run_id))
        if artifact is None:
            raise HarnessError(
                f"no {request.probe} table of {run} in {self.place.store.root}; run the same command again"
            )
        return read_parquet(artifact.path / "table.parquet")

    def _table(self, role: str, probe: Wanted, seed: int) -> SampleTable:
        key = role, probe, seed
        if key not in self._tables:
            self._tables[key] = SampleTable(self._read(role, probe, seed), PROBES[probe.probe])
        return self._tables[key]

    def _copy_tables(self) -> list[str]:
        """One table a probe, with role, model and seed in front: the results folder stands alone."""
        import pandas as pd

        paths = []
        for probe in self.case.probes:
            parts = [
                self._read(role, probe, seed).assign(role=role, model=str(player), seed=seed)
                for role, player in self.case.players.items()
                for seed in self.case.seeds
            ]
            table = pd.concat(parts, ignore_index=True)
            first = ["role", "model", "seed"]
            table = table[first + [column for column in table.columns if column not in first]]
            relative = Path("tables") / self.case.claim / self.case.name / f"{probe.name}.parquet"
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
                models={role: str(player) for role, player in case.players.items()},
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

    def _training(self, run: Run, requests: Sequence[ProbeRequest]) -> dict[str, Any] | None:
        """What is known of a training: of its end, or of the last weights that were wanted of it."""
        wanted = sorted({request.epoch for request in requests}, key=lambda epoch: (epoch is not None, -(epoch or 0)))
        return next((meta for epoch in wanted if (meta := self.place.store.meta(run.weights_key(epoch)))), None)

    def _provenance(self) -> Provenance:
        fingerprint = self.place.fingerprints.get(self.case.dataset)
        runs = list(self.case.runs(fingerprint)) if fingerprint else []
        metas = [meta for run, requests in runs if (meta := self._training(run, requests))]
        sha, dirty = commit(self.place.root)
        return Provenance(
            commit=sha,
            dirty=dirty,
            versions=versions(),
            device="; ".join(sorted({meta["device"] for meta in metas})) or "none",
            dataset_fingerprint=fingerprint or "unknown",
            run_ids=[run.run_id for run, _ in runs],
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=sum(meta["seconds"] for meta in metas) + time.monotonic() - self._began,
        )


def _interval(
    wanted: EffectRule,
    statistic: Statistic,
    tables: list[list[SampleTable]],
    other: Statistic,
    others: list[list[SampleTable]] | None,
) -> Interval:
    """Over seeds when there are several, else over the samples of the one; with `others`, of the difference to them."""
    step = max(table.step for table in tables[0]) if wanted.unit == "share" else 0.0

    def values(statistic: Statistic, tables: list[list[SampleTable]]) -> list[float]:
        return [statistic(*(table.mean() for table in of_seed)) for of_seed in tables]

    if len(tables) > 1:
        means = values(statistic, tables)
        if others is None:
            return over_seeds(means, step=step)
        return difference_over_seeds(means, values(other, others), step=step)
    (mine,) = tables
    if others is None:
        return over_samples(statistic, mine, step=step)
    (less,) = others
    count = len(mine)
    return over_samples(lambda *means: statistic(*means[:count]) - other(*means[count:]), [*mine, *less], step=step)
