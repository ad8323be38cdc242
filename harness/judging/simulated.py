"""Reproductions that are made up, with a known truth: whether the judge errs as often as it says.

Everything behind the probes is real: estimates, looks, corrections, verdicts. What the seeds say is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.errors import HarnessError
from harness.judging.effects import Effects
from harness.judging.evidence import PremiseRecord
from harness.judging.looks import sequence
from harness.judging.statistics import Replicate
from harness.judging.trial import Trial
from harness.judging.weigh import Judged
from harness.plan.catalogue import Claim, EffectRule, Rule
from harness.plan.study import Point
from harness.plan.wanted import Wanted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Draw(Protocol):
    """What seeds say of an effect: [seed] of one network, and of the other if two are compared."""

    def __call__(self, effect: EffectRule, seeds: int, *, untrained: bool) -> tuple[np.ndarray, np.ndarray | None]: ...


@dataclass(frozen=True)
class Nothing:
    """Stands where tables would be."""

    seeds: Sequence[int]
    untrained: bool
    roles: tuple[str, ...] = ()
    points: Mapping[str, Point] = field(default_factory=dict)
    dataset: str = "none"
    accuracies: tuple[Wanted, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)

    def read(self, role: str, probe: Wanted, seed: int) -> pd.DataFrame:
        raise HarnessError(f"a simulated reproduction has no table of {role}, seed {seed}")


def simulated(claim: Claim, rule: Rule, draw: Draw, looks: tuple[int, ...]) -> Judged:
    """The verdict on seeds that are drawn, at the first look that decides or the last one. All premises hold."""
    drawn: dict[tuple[str, bool], list[Replicate]] = {}

    def replicates(effect: EffectRule, untrained: bool) -> list[Replicate]:
        key = effect.name, untrained
        if key not in drawn:
            ones, others = draw(effect, looks[-1], untrained=untrained)
            pairs = zip(ones.tolist(), [None] * looks[-1] if others is None else others.tolist(), strict=True)
            drawn[key] = [Replicate(one, other, 0.0, 0.0, 32, "image") for one, other in pairs]
        return drawn[key]

    def test(effects: Effects) -> None:
        nothing = effects.measured
        for effect in effects_of(rule):
            found = replicates(effect, getattr(nothing, "untrained", False))
            effects.found[effect.name] = found[: len(nothing.seeds)]
        for premise in rule.premises:
            effects.premises[premise.name] = PremiseRecord(
                name=premise.name, unit=premise.unit, value=premise.least, least=premise.least, holds=True
            )

    def source(seeds: int, untrained: bool) -> Nothing:
        return Nothing(range(seeds), untrained)

    trial = Trial(claim, rule, (), test, source, looks, has_control=rule.compares)
    return trial.judged(trial.settled(sequence(looks)))


def frequencies(claim: Claim, rule: Rule, draw: Draw, looks: tuple[int, ...], cases: int) -> dict[str, float]:
    """The share of so many cases in which each verdict comes out; and `seeds`, those that they took on average."""
    found = [simulated(claim, rule, draw, looks) for _ in range(cases)]
    verdicts = Counter[str](judged.verdict for judged in found)
    shares = {verdict: count / cases for verdict, count in verdicts.items()}
    return shares | {"seeds": sum(judged.look.seeds for judged in found) / cases}


def effects_of(rule: Rule) -> list[EffectRule]:
    """All effects of a rule; of one for each stage or step, those that the paper has numbers of, or one."""
    names = [
        name
        for effect in rule.effects
        for name in ([effect.name] if effect.each is None else [effect.name.format(at) for at in effect.papers or [1]])
    ]
    return rule.measured(names)


class PaperSeeds:
    """The positive control: seeds around the paper's own numbers, untrained networks around no effect.

    Args:
        spread: standard deviation of one seed, as a share of the paper's distance from the null.
    """

    def __init__(self, spread: float, seed: int):
        import numpy as np

        self.spread, self.random = spread, np.random.default_rng(seed)

    def __call__(self, effect: EffectRule, seeds: int, *, untrained: bool) -> tuple[np.ndarray, None]:
        paper = effect.null if effect.paper is None else effect.paper
        size = abs(paper - effect.null)
        centre = effect.null if untrained else paper
        return centre + self.spread * size * self.random.normal(size=seeds), None


def without_numbers(rule: Rule) -> list[str]:
    """Deciding effects of which the paper has no number."""
    return [effect.name for effect in effects_of(rule) if effect.decides and effect.paper is None]
