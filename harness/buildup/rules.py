"""The paper's build-up rules (section 4.1) as a walk over placements; who trains and compares is not known here.

1. Alternately replace Conv blocks by MSA blocks from the end of the network.
2. If an added MSA brings no gain, replace a block at the end of an earlier stage instead.
3. More heads and more hidden dimension for MSAs in late stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Placement = tuple[int, ...]  # MSAs per stage


@dataclass(frozen=True)
class Comparison:
    """Accuracy of one network less that of another, paired by seed.

    Attributes:
        accuracies: mean share of right images of the two, over `seeds`.
        difference: in percentage points, like the bounds `low` and `high` of its interval, which are None where a
            single seed has none.
        decided: whether the interval leaves out 0; else its mean decides.
    """

    accuracies: tuple[float, float]
    difference: float
    low: float | None
    high: float | None
    seeds: int
    decided: bool

    @property
    def gain(self) -> bool:
        return self.difference > 0

    @property
    def why_open(self) -> str:
        """Why an undecided one is."""
        return "a single seed has no interval" if self.low is None else "the interval holds 0"

    def __str__(self) -> str:
        one, other = self.accuracies
        bounds = f" [{self.low:+.2f}, {self.high:+.2f}]" if self.low is not None else ""
        return (
            f"{other:.2%} -> {one:.2%}, {self.difference:+.2f} pp{bounds} over "
            f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        )


@dataclass(frozen=True)
class Step:
    """One MSA more, and what came of it.

    Attributes:
        stage: in which it was put, from 1.
        why: the rule that put it there.
        outcome: in words, whether it stays and how sure that is.
    """

    number: int
    before: Placement
    placement: Placement
    stage: int
    why: str
    comparison: Comparison

    @property
    def kept(self) -> bool:
        return self.comparison.gain

    @property
    def after(self) -> Placement:
        return self.placement if self.kept else self.before

    @property
    def outcome(self) -> str:
        found = "a gain" if self.kept else "no gain"
        sure = "" if self.comparison.decided else f", by its mean: undecided, {self.comparison.why_open}"
        return f"{found}{sure}; {'kept' if self.kept else 'taken back'}"


def build_up(room: Sequence[int], most: int, compare: Callable[[Placement, Placement], Comparison]) -> Iterator[Step]:
    """Walk from no MSA to where no rule leads on, or to `most` MSAs.

    Args:
        room: MSAs that fit each stage.
        compare: a placement with the one before.
    """
    placement: Placement = (0,) * len(room)
    stages = [stage for stage in reversed(range(len(room))) if room[stage]]
    number, why = 0, "rule 1: at the end of stage {stage}, the last one with room"
    while stages and sum(placement) < most:
        stage, number = stages[0], number + 1
        candidate = tuple(count + (at == stage) for at, count in enumerate(placement))
        comparison = compare(candidate, placement)
        step = Step(number, placement, candidate, stage + 1, why.format(stage=stage + 1), comparison)
        yield step
        placement = step.after
        if not step.kept:
            why = f"rule 2: one more in stage {stage + 1} brought no gain, so at the end of stage {{stage}} instead"
            del stages[0]
        elif placement[stage] == room[stage]:
            why = f"rule 1: stage {stage + 1} is full, so at the end of stage {{stage}}"
            del stages[0]
        else:
            why = "rule 1: the one before helped, so the next one from the end of stage {stage}, with a Conv between"
