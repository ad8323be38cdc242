"""From effects to a verdict, by the one rule that the catalogue's header states."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.judging.evidence import Effect, Verdict

MOST_SEEDS = 100


def judge(effects: Sequence[Effect]) -> tuple[Verdict, str]:
    """Verdict and its reason in one sentence.

    `reproduced` when the whole interval of every deciding effect lies above its null, `contradicted` when that of at
    least one lies below, else `inconclusive`: too small for this design, which is not the same as absent.
    """
    deciding = [effect for effect in effects if effect.decides]
    against = [effect for effect in deciding if _number(effect.high, math.inf) < effect.null]
    if against:
        return "contradicted", f"{_interval(against[0])} lies below {against[0].null:g}."
    open_ = [effect for effect in deciding if not _number(effect.low, -math.inf) > effect.null]
    if not open_:
        several = "s of all deciding effects lie" if len(deciding) > 1 else " of the deciding effect lies"
        return "reproduced", f"The interval{several} above the null ({'; '.join(map(_interval, deciding))})."
    return "inconclusive", f"{_interval(open_[0])} contains {open_[0].null:g}; {_would_decide(open_[0])}."


def by_protocol(effects: Sequence[Effect]) -> dict[str, Verdict]:
    """The verdict of the rule over the effects of each protocol alone; nothing where there are not several."""
    names = dict.fromkeys(effect.protocol for effect in effects if effect.protocol)
    if len(names) < 2:
        return {}
    found = {name: [effect for effect in effects if effect.protocol == name] for name in names}
    return {
        name: judge(mine)[0] if any(effect.decides for effect in mine) else "not run" for name, mine in found.items()
    }


def _number(value: float | None, missing: float) -> float:
    return missing if value is None or math.isnan(value) else value


def _interval(effect: Effect) -> str:
    if effect.low is None or effect.high is None or effect.value is None:
        return f"{effect.name!r} has no interval and"
    return f"{effect.name!r}: {effect.value:.3g} {effect.unit} [{effect.low:.3g}, {effect.high:.3g}]"


def _would_decide(effect: Effect) -> str:
    """What it takes, if mean and spread stay as they are."""
    if effect.replicate != "seed":
        return "several seeds instead of one, or the paper's data set, would decide"
    seeds = seeds_needed(effect)
    if seeds is None:
        return f"not even {MOST_SEEDS} seeds of this spread would decide; the paper's data set and schedule might"
    return f"about {seeds} seeds of the same spread would decide, or the paper's data set and schedule"


def seeds_needed(effect: Effect) -> int | None:
    """Seeds until the interval would leave the null on the side where the mean is, if mean and spread stay.

    Returns:
        None when that takes more than `MOST_SEEDS`.
    """
    from scipy import stats

    if effect.value is None or effect.high is None or effect.n < 2:
        return None

    def quantile(n: int) -> float:
        return float(stats.t.ppf((1 + effect.level) / 2, n - 1)) / math.sqrt(n)

    spread = (effect.high - effect.value) / quantile(effect.n)
    distance = abs(effect.value - effect.null)
    return next((n for n in range(effect.n + 1, MOST_SEEDS + 1) if spread * quantile(n) < distance), None)
