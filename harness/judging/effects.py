"""What a test holds in its hands: the networks of its case, and the effects that its rule names, measured on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from harness.errors import HarnessError, nearest
from harness.judging.evidence import PremiseRecord
from harness.judging.measured import Measured, known_role
from harness.judging.statistics import (
    GROUPS,
    GROUPS_ALONE,
    Estimate,
    Replicate,
    SampleTable,
    estimate,
    jackknife,
    over_draws,
)
from harness.plan.catalogue import Claim, EffectRule, Premise, Rule
from harness.plan.study import Place
from harness.plan.wanted import Wanted
from harness.probes.kinds import PROBES
from harness.readings import Share

if TYPE_CHECKING:
    import pandas as pd

Statistic = Callable[..., float]
Named = TypeVar("Named", EffectRule, Premise)


@dataclass
class Effects:
    """The effects of one case; `claim` in a test function is one of these.

    Attributes:
        claim: as the catalogue has it.
        rule: of the part that the test judges.
        probes: that the test asked for.
        measured: their tables.
        found: what was measured of each effect, seed by seed; `estimates` of those that have no seeds.
        premises: that were measured.
        known: what earlier looks at the same case have measured: (effect, seed) -> replicate.
        sampled: whether the error by the choice of samples is wanted, which takes longer than all else.
    """

    claim: Claim
    rule: Rule
    probes: tuple[Wanted, ...]
    measured: Measured
    known: dict[tuple[str, int], Replicate] = field(default_factory=dict)
    sampled: bool = True
    found: dict[str, list[Replicate]] = field(default_factory=dict)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    premises: dict[str, PremiseRecord] = field(default_factory=dict)
    _tables: dict[tuple[str, Wanted, int], SampleTable] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """In the order in which the test names them, the variants of a study in the order of the study."""
        return self.measured.roles

    def study(self, name: str, *, of: str | None = None) -> dict[Place, str]:
        """The variants that a study compares: where each stands -> its role, in the order of the study.

        Args:
            of: the role that is varied; needed only where the test compares variants of several.
        """
        points = self.measured.points
        mine = {role: point for role, point in points.items() if point.study == name and of in (None, point.of)}
        if not mine:
            known = sorted({f"{point.study} of {point.of}" for point in points.values()})
            raise HarnessError(f"claim {self.claim.id}: no study {name!r} of {of or 'any role'}; it has {known}")
        if len({point.of for point in mine.values()}) > 1:
            raise HarnessError(f"claim {self.claim.id}: the study {name!r} is of several roles; say of which with of=")
        return {point.at: role for role, point in mine.items()}

    def effect(
        self,
        name: str,
        role: str | Sequence[str],
        statistic: Statistic,
        *,
        minus: str | None = None,
        minus_statistic: Statistic | None = None,
        probe: Wanted | str | Sequence[Wanted] | None = None,
        least_variance: Statistic | None = None,
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
            least_variance: by the choice of samples, of each table: what it counts may be too few for its samples to
                tell, and samples that happen to agree are no certainty.

        Raises:
            HarnessError: the rule names no such effect, or the case has no such role.
        """
        rule = self._named(name, self.rule.effects, "effect")
        less = (minus, minus_statistic or statistic) if minus else None
        self.found[name] = [
            self._replicate(name, seed, role, statistic, less, probe, least_variance, share=rule.unit == "share")
            for seed in self.measured.seeds
        ]

    def premise(
        self,
        name: str,
        role: str | Sequence[str],
        statistic: Statistic,
        *,
        minus: str | None = None,
        probe: Wanted | str | Sequence[Wanted] | None = None,
    ) -> None:
        """Measure what the rule takes for granted; where its mean over seeds lies below, the case is out of scope.

        Args:
            name: as in the catalogue, which also gives unit and least value; the rest as for `effect`.

        Raises:
            HarnessError: the rule names no such premise, or the case has no such role.
        """
        rule = self._named(name, self.rule.premises, "premise")
        values = []
        for seed in self.measured.seeds:
            value = statistic(*(table.mean() for table in self._tables_of(role, probe, seed)))
            less = statistic(*(table.mean() for table in self._tables_of(minus, probe, seed))) if minus else 0.0
            values.append(value - less)
        mean = float(sum(values) / len(values))
        self.premises[name] = PremiseRecord(
            name=name, unit=rule.unit, value=mean, least=rule.least, holds=mean >= rule.least
        )

    def effect_over_draws(self, name: str, values: Sequence[float]) -> None:
        """An effect that needs no network: the mean of a number over independent random draws, at least two.

        Raises:
            HarnessError: the rule names no such effect.
        """
        self.estimates[self._named(name, self.rule.effects, "effect").name] = over_draws(values, "random draw")

    def average(self, role: str, *, probe: Wanted | str | None = None) -> pd.DataFrame:
        """A role's table, averaged over samples and seeds; for what a test has to settle before it measures effects."""
        import pandas as pd

        wanted = self._probe(probe)
        keys = list(PROBES[wanted.probe].keys)
        tables = [self._table(role, wanted, seed).mean() for seed in self.measured.seeds]
        return pd.concat(tables).groupby(keys, as_index=False).mean()

    def estimate(self, rule: EffectRule) -> Estimate:
        """What the seeds say of an effect."""
        return self.estimates.get(rule.name) or estimate(self.found[rule.name], paired=rule.paired)

    def complete(self) -> None:
        """Check that the test has measured all that its rule names.

        Raises:
            HarnessError: something was not measured.
        """
        there = {*self.found, *self.estimates, *self.premises}
        wanted: tuple[EffectRule | Premise, ...] = (*self.rule.effects, *self.rule.premises)
        missing = [each.name for each in wanted if not any(each.called(name) for name in there)]
        if missing:
            raise HarnessError(
                f"claim {self.claim.id}: the rule also wants {missing[0]!r}, which the test did not measure"
            )

    def _replicate(
        self,
        name: str,
        seed: int,
        role: str | Sequence[str],
        statistic: Statistic,
        less: tuple[str, Statistic] | None,
        probe: Wanted | str | Sequence[Wanted] | None,
        least_variance: Statistic | None,
        *,
        share: bool,
    ) -> Replicate:
        """One seed's; an earlier look may have measured it already."""
        if (name, seed) in self.known:
            return self.known[name, seed]
        mine = self._tables_of(role, probe, seed)
        others = self._tables_of(less[0], probe, seed) if less else []

        def difference(*means: pd.DataFrame) -> float:
            value = statistic(*means[: len(mine)])
            return value - less[1](*means[len(mine) :]) if less else value

        tables = [*mine, *others]
        groups = GROUPS_ALONE if len(self.measured.seeds) == 1 else GROUPS
        variance = jackknife(difference, tables, groups) if self.sampled else math.nan
        if least_variance is not None:
            variance = max(variance, sum(least_variance(table.mean()) for table in tables))
        one = statistic(*(table.mean() for table in mine))
        counted = 1 / one.of if isinstance(one, Share) else max(table.step for table in mine)
        found = Replicate(
            one=float(one),
            other=less[1](*(table.mean() for table in others)) if less else None,
            variance=variance,
            step=counted if share else 0.0,
            samples=min(table.samples for table in tables),
            sample=tables[0].kind.sample,
        )
        self.known[name, seed] = found
        return found

    def _tables_of(
        self, role: str | Sequence[str], probe: Wanted | str | Sequence[Wanted] | None, seed: int
    ) -> list[SampleTable]:
        """One a role and probe."""
        roles = [role] if isinstance(role, str) else list(role)
        probes = [probe] if probe is None or isinstance(probe, Wanted | str) else list(probe)
        return [self._table(role, self._probe(probe), seed) for role in roles for probe in probes]

    def _probe(self, probe: Wanted | str | None) -> Wanted:
        """That probe of the case, or its only one."""
        if probe is None and len(self.probes) == 1:
            return self.probes[0]
        known = {each.name: each for each in self.probes}
        name = probe.name if isinstance(probe, Wanted) else str(probe)
        if name not in known:
            raise HarnessError(f"claim {self.claim.id}: its test asks for no probe {name!r}; {nearest(name, known)}")
        return known[name]

    def _named(self, name: str, there: Sequence[Named], what: str) -> Named:
        for each in there:
            if (found := each.called(name)) is not None:
                return found
        hint = nearest(name, [each.name for each in there])
        raise HarnessError(f"claim {self.claim.id}: the rule names no {what} {name!r}; {hint}")

    def _table(self, role: str, probe: Wanted, seed: int) -> SampleTable:
        key = known_role(self.claim.id, role, self.roles), probe, seed
        if key not in self._tables:
            self._tables[key] = SampleTable(self.measured.read(role, probe, seed), PROBES[probe.probe])
        return self._tables[key]
