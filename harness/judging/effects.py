"""What a test holds in its hands: the networks of its case, and the effects that its rule names, measured on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import HarnessError, nearest
from harness.judging.evidence import Effect, Verdict
from harness.judging.measured import Measured, known_role
from harness.judging.statistics import Interval, SampleTable, difference_over_seeds, over_samples, over_seeds
from harness.judging.verdict import judge
from harness.plan.catalogue import Claim, EffectRule, Rule
from harness.plan.study import Place
from harness.plan.wanted import Wanted
from harness.probes.kinds import PROBES

if TYPE_CHECKING:
    import pandas as pd

Statistic = Callable[..., float]


@dataclass
class Effects:
    """The effects of one case; `claim` in a test function is one of these.

    Attributes:
        claim: as the catalogue has it.
        rule: of the part that the test judges.
        probes: that the test asked for.
        measured: their tables.
    """

    claim: Claim
    rule: Rule
    probes: tuple[Wanted, ...]
    measured: Measured
    found: dict[str, Effect] = field(default_factory=dict)
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
                for seed in self.measured.seeds
            ]

        others = tables([minus]) if minus else None
        self._keep(wanted, interval_of(wanted, statistic, tables(roles), minus_statistic or statistic, others))

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
        tables = [self._table(role, wanted, seed).mean() for seed in self.measured.seeds]
        return pd.concat(tables).groupby(keys, as_index=False).mean()

    def in_order(self) -> list[Effect]:
        """All effects of the rule.

        Raises:
            HarnessError: one was not measured.
        """
        missing = [wanted.name for wanted in self.rule.effects if wanted.name not in self.found]
        if missing:
            raise HarnessError(
                f"claim {self.claim.id}: the rule also wants {missing[0]!r}, which the test did not measure"
            )
        return [self.found[wanted.name] for wanted in self.rule.effects]

    def judge(self) -> tuple[Verdict, str]:
        """The verdict by the rule, and its reason in a sentence.

        Raises:
            HarnessError: an effect that the rule names was not measured.
        """
        return judge(self.in_order())

    def _keep(self, wanted: EffectRule, interval: Interval) -> None:
        self.found[wanted.name] = Effect(
            name=wanted.name,
            quantity=wanted.quantity,
            protocol=wanted.protocol,
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
        if probe is None and len(self.probes) == 1:
            return self.probes[0]
        known = {each.name: each for each in self.probes}
        name = probe.name if isinstance(probe, Wanted) else str(probe)
        if name not in known:
            raise HarnessError(f"claim {self.claim.id}: its test asks for no probe {name!r}; {nearest(name, known)}")
        return known[name]

    def _wanted(self, name: str) -> EffectRule:
        known = {wanted.name: wanted for wanted in self.rule.effects}
        if name not in known:
            raise HarnessError(f"claim {self.claim.id}: the rule names no effect {name!r}; {nearest(name, known)}")
        return known[name]

    def _table(self, role: str, probe: Wanted, seed: int) -> SampleTable:
        key = known_role(self.claim.id, role, self.roles), probe, seed
        if key not in self._tables:
            self._tables[key] = SampleTable(self.measured.read(role, probe, seed), PROBES[probe.probe])
        return self._tables[key]


def interval_of(
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
