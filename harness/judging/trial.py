"""A case with the test that judges it, look by look; where its tables come from makes no difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.judging.effects import Effects
from harness.judging.looks import Look
from harness.judging.measured import Measured
from harness.judging.statistics import Replicate
from harness.judging.weigh import Judged, weigh
from harness.plan.catalogue import Claim, Rule
from harness.plan.wanted import Wanted

Test = Callable[[Effects], None]
Source = Callable[[int, bool], Measured]


@dataclass(frozen=True)
class Trial:
    """What can be said of a case after each look.

    Attributes:
        probes: that the test asks for.
        test: fills the effects that it is given.
        source: tables of so many seeds; of networks with random weights instead of the trained ones, if told so.
        looks: seeds behind each look that is planned; none for a claim without networks.
        has_control: whether tables of networks with random weights are there.
    """

    claim: Claim
    rule: Rule
    probes: tuple[Wanted, ...]
    test: Test
    source: Source
    looks: tuple[int, ...]
    has_control: bool = True
    _known: dict[bool, dict[tuple[str, int], Replicate]] = field(default_factory=lambda: {False: {}, True: {}})
    _judged: dict[Look, Judged] = field(default_factory=dict)

    def effects(self, look: Look) -> Effects:
        """For the test to fill."""
        return self._effects(look.seeds, untrained=False)

    def control(self, look: Look) -> Effects | None:
        """The same effects of networks with random weights, measured; None where there are none."""
        if not (self.has_control and self.looks):
            return None
        effects = self._effects(controlled(self.rule, look), untrained=True)
        try:
            self.test(effects)
        except (HarnessError, ArithmeticError, ValueError):  # random weights may have nothing that can be compared
            return None
        return effects

    def judged(self, look: Look) -> Judged:
        """The verdict of this look.

        Raises:
            Exception: whatever the test raises.
        """
        if look not in self._judged:
            effects = self.effects(look)
            self.test(effects)
            self._judged[look] = weigh(effects, self.control(look), look)
        return self._judged[look]

    def settled(self, there: Sequence[Look]) -> Look:
        """The first look that decides, or the last one that is there: whoever judged when, it is the same one.

        Args:
            there: looks whose tables are complete, at least the first.

        Raises:
            Exception: whatever the test raises.
        """
        return next((look for look in there if self.judged(look).decided), there[-1])

    def _effects(self, seeds: int, *, untrained: bool) -> Effects:
        tables = self.source(seeds, untrained)
        # Of a control, what seeds say is enough: it decides nothing alone.
        return Effects(self.claim, self.rule, self.probes, tables, self._known[untrained], sampled=not untrained)


def controlled(rule: Rule, look: Look) -> int:
    """Seeds of the control: the first look's tell what random weights do, unless the rule compares with each seed's."""
    return look.seeds if rule.compares else look.of[0]
