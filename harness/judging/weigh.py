"""A look at a case: its effects and its control put together, and what follows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.data.catalogue import dataset_info
from harness.errors import HarnessError
from harness.judging.effects import Effects
from harness.judging.evidence import DECIDED, Control, Effect, PremiseRecord, Verdict
from harness.judging.learned import learned
from harness.judging.looks import Look
from harness.judging.statistics import Error, Estimate, Replicate, estimate
from harness.judging.verdict import SMALL, judge
from harness.plan.catalogue import EffectRule, Rule

ABOVE_UNTRAINED = "{}, above the untrained network"


@dataclass(frozen=True)
class Judged:
    """What a look at a case came to."""

    verdict: Verdict
    reason: str
    look: Look
    effects: list[Effect]
    premises: list[PremiseRecord]

    @property
    def decided(self) -> bool:
        """Whether more seeds would change nothing."""
        return self.verdict in DECIDED


def too_small(rule: Rule, dataset: str) -> PremiseRecord | None:
    """The premise on the size of images, where it does not hold: then nothing needs to be trained."""
    if not rule.least_image or (size := dataset_info(dataset).image_size) >= rule.least_image:
        return None
    return PremiseRecord(
        name="size of the images", unit="px", value=float(size), least=float(rule.least_image), holds=False
    )


def weigh(effects: Effects, control: Effects | None, look: Look) -> Judged:
    """Judge what a test has measured.

    Args:
        control: the same test on untrained networks; None where the case has none.

    Raises:
        HarnessError: something that the rule names was not measured.
    """
    effects.complete()
    premises = [*learned(effects.measured), *(effects.premises[each.name] for each in effects.rule.premises)]
    found = []
    for rule in effects.rule.measured([*effects.found, *effects.estimates]):
        mine = effects.estimate(rule)
        theirs = untrained(rule, control)
        found.append(as_effect(rule, mine, look, theirs))
        if rule.trained and rule.decides:
            found.append(above_untrained(rule, effects, control, look))
    verdict, reason = judge(found, premises, look)
    return Judged(verdict, reason, look, found, premises)


def as_effect(rule: EffectRule, found: Estimate, look: Look, control: Estimate | None = None) -> Effect:
    """An estimate as the evidence has it."""
    found = over_seeds(found, look)
    low, high = found.interval(look.level)
    predicted = found.predicted()
    small = None
    if rule.paper is not None:
        reach = SMALL * abs(rule.paper - rule.null)
        small = max(
            found.chance(rule.null + reach, above=False),
            found.chance(rule.null - reach, above=True),
        )
    return Effect(
        name=rule.name,
        quantity=rule.quantity,
        protocol=rule.protocol,
        unit=rule.unit,
        value=number(found.value),
        low=number(low),
        high=number(high),
        within=rule.range,
        level=found.cautious(look.level),
        n=found.n,
        replicate=found.replicate,
        null=rule.null,
        decides=rule.decides,
        paired=rule.paired,
        above=found.chance(rule.null, above=True),
        below=found.chance(rule.null, above=False),
        small=small,
        predicted=None if predicted is None or not all(map(math.isfinite, predicted)) else predicted,
        between=found.between,
        untrained=as_control(rule, control, look),
        by_seed=[number(value) for value in found.by_seed],
        freedom=number(found.error.freedom),
    )


def over_seeds(found: Estimate, look: Look) -> Estimate:
    """The same without an interval where more seeds are to come, and the first one's samples know nothing of them."""
    alone = look.lacks_a_spread and bool(found.by_seed)
    return replace(found, error=Error(math.inf, 1), n=1, replicate="seed") if alone else found


def as_control(rule: EffectRule, found: Estimate | None, look: Look) -> Control | None:
    if found is None:
        return None
    found = over_seeds(found, look)
    low, high = found.interval(look.level)
    return Control(value=number(found.value), low=number(low), high=number(high), within=rule.range, n=found.n)


def number(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if math.isfinite(value) else None


def untrained(rule: EffectRule, control: Effects | None) -> Estimate | None:
    """The effect in the control; None where untrained networks have none, such as a rank among equals."""
    if control is None or rule.name not in control.found:
        return None
    found = control.estimate(rule)
    return None if math.isnan(found.value) else found


def above_untrained(rule: EffectRule, effects: Effects, control: Effects | None, look: Look) -> Effect:
    """By how much training raises the effect, seed by seed."""
    if control is None:
        raise HarnessError(f"{rule.name!r} is judged against untrained networks, of which nothing was measured")
    pairs = zip(effects.found[rule.name], control.found[rule.name], strict=True)
    gained = estimate([gain(trained, random) for trained, random in pairs], paired=True)
    # Random weights of one architecture hardly differ: they take no skewness away.
    found = replace(gained, skewed=effects.estimate(rule).skewed)
    raised = rule.model_copy(
        update={
            "name": ABOVE_UNTRAINED.format(rule.name),
            "null": 0.0,
            "paired": True,
            "within": differences(rule.range),
            "paper": None,
            "source": None,
        }
    )
    return as_effect(raised, found, look).model_copy(update={"against_untrained": True})


def differences(within: tuple[float, float] | None) -> tuple[float, float] | None:
    """Where the difference of two such numbers lies."""
    return within and (within[0] - within[1], within[1] - within[0])


def gain(trained: Replicate, random: Replicate) -> Replicate:
    return Replicate(
        one=trained.value,
        other=random.value,
        variance=trained.variance,  # the least that their difference has
        step=trained.step,
        samples=trained.samples,
        sample=trained.sample,
    )
