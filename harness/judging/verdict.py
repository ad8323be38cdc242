"""From effects to a verdict, by the one rule that the catalogue's header states."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.judging.evidence import Effect, PremiseRecord, Verdict, replicates, shown_bounds
from harness.judging.looks import Look
from harness.judging.statistics import student

SMALL = 0.25  # of the paper's own size: what lies within is too small to be what the paper says
POWER = 0.8


def judge(effects: Sequence[Effect], premises: Sequence[PremiseRecord], look: Look) -> tuple[Verdict, str]:
    """Verdict and its reason in one sentence.

    `out of scope` where a premise does not hold. `reproduced` when every deciding effect lies above its null: all of
    them have to, so that none needs a correction (an intersection-union test, Berger 1982). `contradicted` when at
    least one lies below, `negligible` when at least one lies within a quarter of the paper's own size around its null
    (two one-sided tests), either after Holm's correction over the deciding effects. Else `inconclusive`: too small for
    this design, which is not the same as absent.
    """
    if failing := [premise for premise in premises if not premise.holds]:
        return "out of scope", unmet(failing)
    deciding = [effect for effect in effects if effect.decides]
    if all(effect.low is not None and effect.low > effect.null for effect in deciding):
        several = "s of all deciding effects lie" if len(deciding) > 1 else " of the deciding effect lies"
        return "reproduced", f"The interval{several} above the null ({'; '.join(map(shown, deciding))})."
    # What untrained networks show as well is a property of the architecture, and contradicts nothing.
    own = [effect for effect in deciding if not effect.against_untrained]
    # The smallest of several p-values has to pass Holm's first step; how many others do turns no verdict.
    corrected = look.error(len(own))
    for effect in sorted(own, key=lambda effect: chance(effect.below)):
        if chance(effect.below) < corrected:
            return "contradicted", f"{shown(effect)} lies below {effect.null:g}."
    for effect in sorted(own, key=lambda effect: chance(effect.small)):
        if chance(effect.small) < corrected:
            around = f"within a quarter of the paper's own size around {effect.null:g}"
            return "negligible", f"{shown(effect)} lies {around}."
    return "inconclusive", undecided(deciding, len(own), look)


def by_protocol(effects: Sequence[Effect], look: Look) -> dict[str, Verdict]:
    """The verdict of the rule over the effects of each protocol alone; nothing where there are not several."""
    names = dict.fromkeys(effect.protocol for effect in effects if effect.protocol)
    if len(names) < 2:
        return {}
    found = {name: [effect for effect in effects if effect.protocol == name] for name in names}
    return {
        name: judge(mine, (), look)[0] if any(effect.decides for effect in mine) else "not run"
        for name, mine in found.items()
    }


def p_value(verdict: Verdict, effects: Sequence[Effect]) -> float | None:
    """Of the verdict as a whole, for what is said of many cases together; None where nothing was decided by a test."""
    deciding = [effect for effect in effects if effect.decides]
    if verdict == "reproduced":
        return max(chance(effect.above) for effect in deciding)
    if verdict in ("contradicted", "negligible"):
        own = [effect for effect in deciding if not effect.against_untrained]
        return min(1.0, len(own) * min(chance(each.below if verdict == "contradicted" else each.small) for each in own))
    return None


def chance(p: float | None) -> float:
    return 1.0 if p is None or math.isnan(p) else p


def unmet(premises: Sequence[PremiseRecord]) -> str:
    first, *others = premises
    more = f"; {len(others)} more premise{'s do' if others[1:] else ' does'} not hold" if others else ""
    value = "not a number" if first.value is None else f"{first.value:.3g}"
    return f"{first.name} is {value} {first.unit}, and has to be at least {first.least:.3g}{more}."


def shown(effect: Effect) -> str:
    low, high = shown_bounds(effect)
    if low is None or high is None or effect.value is None:
        return f"{effect.name!r} has no interval"
    return f"{effect.name!r}: {effect.value:.3g} {effect.unit} [{low:.3g}, {high:.3g}]"


def undecided(deciding: Sequence[Effect], corrected_for: int, look: Look) -> str:
    """Which effect is open, what this design can see, what it lacks, and which look comes next."""
    open_ = max(deciding, key=lambda effect: chance(effect.above))
    parts = [shown(open_) + _yet_open(open_, corrected_for)]
    if open_.replicate != "seed":
        parts.append(f"drawn from {replicates(open_)} of one network each, and of no other seed")
        return "; ".join(parts) + "."
    if open_.n == 1:
        parts.append("a single seed says nothing of others")
    if (least := detectable(open_)) is not None:
        parts.append(f"{open_.n} seeds find {least:.3g} {open_.unit} with 80 % power")
    if open_.between is not None:
        inside = open_.between < 0.5
        what = "more samples of each network would help most" if inside else "more seeds would help most"
        parts.append(f"{100 * open_.between:.0f} % of its variance is between seeds, so {what}")
    parts.append(f"the next look is at {look.next.seeds} seeds" if look.next else "this was the last look")
    return "; ".join(parts) + "."


def _yet_open(effect: Effect, corrected_for: int) -> str:
    """Where its interval lies, and why that decides nothing."""
    if effect.low is None or effect.high is None or effect.value is None:
        return ""
    if effect.high >= effect.null:
        return f" contains {effect.null:g}"
    if effect.against_untrained:
        return f" lies below {effect.null:g}: untrained networks show more of it, which contradicts nothing"
    return f" lies below {effect.null:g}, but not after Holm's correction over {corrected_for} effects"


def detectable(effect: Effect) -> float | None:
    """The smallest distance from the null that so many seeds of this spread find with 80 % power."""
    if effect.value is None or effect.high is None or effect.n < 2 or not math.isfinite(effect.high):
        return None
    freedom = effect.n - 1
    return (effect.high - effect.value) * (1 + student(POWER, freedom) / student((1 + effect.level) / 2, freedom))


def seeds_to_decide(effects: Sequence[Effect], look: Look) -> int:
    """Seeds until the most open effect would leave its null, if mean and spread stay; at most those of the last look.

    It orders what is computed next, and decides nothing.
    """
    needed = [look.seeds]
    for effect in effects:
        if effect.decides and effect.value is not None and effect.high is not None and effect.value != effect.null:
            missing = (effect.high - effect.value) / abs(effect.value - effect.null)
            needed.append(math.ceil(effect.n * min(missing, 10.0) ** 2))
    return min(max(needed), look.of[-1])
