"""Whether an effect differs between two result sets by more than chance makes it.

How much chance there is depends on what both sets hold:

- `same`: the same runs, on the same kind of processor with the same versions, or one measurement judged twice. They
  repeat to the last bit, so whatever moved was moved by the code, the rule or the profile's probes; what is below
  `NOTICED` of half an interval is left aside.
- `paired`: the same runs on another machine or with other versions, where training goes another way from the first
  rounding on. The differences seed by seed are tested, by Student's t.
- `independent`: other runs. The difference of the two means is tested, with Welch's degrees of freedom, at a spread no
  smaller than that of both sets together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from harness.judging.evidence import Effect, Evidence
from harness.judging.statistics import GROUPS_ALONE, Error, deviation, of_difference, student, tail
from harness.store.provenance import repeats_exactly

ERROR = 0.05  # of all effects of two sets together, by Holm's correction
NOTICED = 0.1

Relation = Literal["same", "paired", "independent"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Shift:
    """An effect of both sets.

    Attributes:
        p: two-sided, corrected over all effects that were tested; None where the runs repeat, or nothing can be tested.
    """

    before: Effect
    after: Effect
    relation: Relation
    p: float | None = None

    @property
    def beyond_chance(self) -> bool:
        return moved(self.before, self.after) if self.relation == "same" else self.p is not None and self.p < ERROR

    @property
    def against(self) -> bool:
        """Whether it is now less as the paper says."""
        return self.before.value is not None and self.after.value is not None and self.after.value < self.before.value


def relation(before: Evidence, after: Evidence) -> Relation:
    """What two cases of one name share."""
    one, other = before.provenance, after.provenance
    if before.case.seeds != after.case.seeds or sorted(one.run_ids) != sorted(other.run_ids):
        return "independent"
    alike = one.device == other.device and one.versions == other.versions
    at_once = one.started == other.started  # of one measurement, judged twice
    return "same" if alike and (at_once or repeats_exactly(one.device)) else "paired"


def common_effects(before: Evidence, after: Evidence) -> list[Shift]:
    """The effects that both measured in the same unit."""
    there, kind = {effect.name: effect for effect in after.effects}, relation(before, after)
    return [
        Shift(effect, other, kind)
        for effect in before.effects
        if (other := there.get(effect.name)) and other.unit == effect.unit
    ]


def moved(before: Effect, after: Effect) -> bool:
    """By more than a small part of the narrower interval; an effect without a number, or with one now, has moved."""
    if before.value is None or after.value is None:
        return before.value != after.value
    halves = [half for effect in (before, after) if (half := half_interval(effect)) is not None]
    return abs(after.value - before.value) > max(NOTICED * min(halves, default=0.0), 1e-9 * abs(before.value))


def half_interval(effect: Effect) -> float | None:
    return None if effect.low is None or effect.high is None else (effect.high - effect.low) / 2


def chance(shift: Shift) -> float | None:
    """Two-sided p-value of a difference as large, if nothing changed; None where an effect has no error."""
    before, after = shift.before, shift.after
    errors = [error_of(effect) for effect in (before, after)]
    one, other = errors
    if one is None or other is None or before.value is None or after.value is None:
        return None
    differences = by_seed(before, after) if shift.relation == "paired" else []
    if len(differences) > 1:
        # A few seeds may agree by accident, counted shares above all: that is no proof that seeds do not matter.
        least = NOTICED * min(one.size, other.size)
        size = max(deviation(differences, 0.0) / math.sqrt(len(differences)), least)
        error = Error(size, len(differences) - 1)
    else:
        error = of_difference(*no_smaller_than_pooled(one, before.n, other, after.n))
    return min(2 * tail(abs(after.value - before.value), error), 1.0)


def by_seed(before: Effect, after: Effect) -> list[float]:
    """The differences of the same seeds; nothing where they were not kept."""
    pairs = zip(before.by_seed, after.by_seed, strict=False)
    found = [other - one for one, other in pairs if one is not None and other is not None]
    return found if len(found) == before.n == after.n else []


def error_of(effect: Effect) -> Error | None:
    """The standard error that its interval was made of; None where it is not finite.

    Evidence from before it kept `freedom` does not say how many degrees it had: of two networks' difference between
    n - 1 and twice as many. Then each is taken that finds less.
    """
    half = half_interval(effect)
    if half is None:
        return None
    least = (effect.n if effect.replicate == "seed" else min(effect.n, GROUPS_ALONE)) - 1
    if effect.freedom is None and least < 1:
        return None
    most = least if effect.paired or effect.replicate != "seed" else 2 * least
    size = half / student((1 + effect.level) / 2, effect.freedom or most)
    return Error(size, effect.freedom or least)


def no_smaller_than_pooled(one: Error, n: int, other: Error, m: int) -> tuple[Error, Error]:
    """Two errors of means over n and over m replicates, neither smaller than the spread of all n + m makes it.

    A case that was decided by three seeds may owe it to their happening to agree, which a test that trusts their spread
    takes for a change as soon as the other set has more. If nothing changed, the spread is one and the same.
    """
    squares = one.freedom * n * one.size**2 + other.freedom * m * other.size**2
    pooled = math.sqrt(squares / (one.freedom + other.freedom))
    return (
        Error(max(one.size, pooled / math.sqrt(n)), one.freedom),
        Error(max(other.size, pooled / math.sqrt(m)), other.freedom),
    )


def corrected(chances: Mapping[Key, float]) -> dict[Key, float]:
    """p-values after Holm's correction (1979): all of them below `ERROR` together err in no more than that."""
    found, least = {}, 0.0
    for rank, (name, p) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        least = max(least, min((len(chances) - rank) * p, 1.0))
        found[name] = least
    return found
