"""Two result sets beside each other: which verdicts turned, which effects shifted, and whether that is a regression.

What chance makes of other seeds or another machine is no change of an effect (`harness.judging.shift`). A regression is

- a verdict that became its opposite, `reproduced` and `contradicted`, whichever came first. Of unchanged networks each
  of the two errs in 2.5 %, so that chance turns at most one case in 1,600;
- a decided verdict that at least as many seeds no longer bear, where chance does not explain it: the same runs, or a
  deciding effect that shifted. A verdict at the edge of its interval comes and goes with the seeds: that is shown, and
  no regression;
- a decided verdict whose premise no longer holds, with at least as many seeds, or that a fault keeps from being drawn;
- an effect that shifted against the claim, whether it decides or not.

A case that was stopped, or that only one of the sets has, is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.errors import HarnessError
from harness.judging.evidence import Evidence, read_folder
from harness.judging.shift import Relation, Shift, chance, common_effects, corrected, relation

OPPOSITE = ({"reproduced", "contradicted"},)
JUDGED = ("reproduced", "contradicted", "negligible")
Turn = Literal["flipped", "lost", "other"]
Cases = Mapping[tuple[str, str], Evidence]


@dataclass(frozen=True)
class Pair:
    """One case in both sets.

    Attributes:
        effects: that both have.
    """

    claim: str
    name: str
    before: Evidence
    after: Evidence
    effects: list[Shift]

    @property
    def relation(self) -> Relation:
        return relation(self.before, self.after)

    @property
    def shifted(self) -> list[Shift]:
        return [effect for effect in self.effects if effect.beyond_chance]

    @property
    def turn(self) -> Turn | None:
        """How the verdict turned: into its opposite; from a decided one to none; or otherwise."""
        before, after = self.before, self.after
        if (before.verdict, before.fault) == (after.verdict, after.fault):
            return None
        if {before.verdict, after.verdict} in OPPOSITE:
            return "flipped"
        return "lost" if before.verdict in JUDGED else "other"

    @property
    def other_rule(self) -> bool:
        return self.before.rule.sha256 != self.after.rule.sha256

    @property
    def regressions(self) -> list[str]:
        """Why it is one; nothing where it is none."""
        found = ["the verdict is now its opposite"] if self.turn == "flipped" else []
        if self.turn == "lost" and (reason := self._lost()):
            found.append(reason)
        return found + [f"{shift.before.name!r} shifted against the claim" for shift in self.shifted if shift.against]

    @property
    def fewer_seeds(self) -> bool:
        return len(self.after.case.seeds) < len(self.before.case.seeds)

    def _lost(self) -> str | None:
        """Why a verdict that is gone is missed."""
        after = self.after
        if after.fault:
            return "a fault keeps it from being judged"
        if after.verdict == "not run" or self.fewer_seeds:
            return None
        if after.verdict == "out of scope":
            return "a premise no longer holds"
        if self.relation == "same":
            return f"the same runs are now {after.verdict}"
        if any(shift.before.decides for shift in self.shifted):
            return f"a shifted effect makes it {after.verdict}"
        return None


@dataclass(frozen=True)
class Comparison:
    """Two result sets.

    Attributes:
        pairs: cases that both have; those that only one has stand beside them.
    """

    pairs: list[Pair]
    only_before: list[tuple[str, str]]
    only_after: list[tuple[str, str]]

    @property
    def turned(self) -> list[Pair]:
        """Those whose verdict is another one: opposites first, then the lost ones, regressions before others."""
        order = ("flipped", "lost", "other")
        found = [pair for pair in self.pairs if pair.turn]
        return sorted(found, key=lambda pair: (order.index(pair.turn or "other"), not pair.regressions))

    @property
    def shifted(self) -> list[Pair]:
        """Those of the same verdict in which an effect shifted, regressions first."""
        found = [pair for pair in self.pairs if not pair.turn and pair.shifted]
        return sorted(found, key=lambda pair: not pair.regressions)

    @property
    def regressions(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.regressions]


def compare(before: Cases, after: Cases) -> Comparison:
    """Put cases of one name beside each other; p-values are corrected over the effects of all of them."""
    pairs = {
        key: Pair(*key, evidence, after[key], common_effects(evidence, after[key]))
        for key, evidence in before.items()
        if key in after
    }
    tested = {}
    for key, pair in pairs.items():
        for number, effect in enumerate(pair.effects):
            if effect.relation != "same" and (p := chance(effect)) is not None:
                tested[key, number] = p
    known = corrected(tested)
    judged = [
        replace(pair, effects=[replace(each, p=known.get((key, at))) for at, each in enumerate(pair.effects)])
        for key, pair in pairs.items()
    ]
    return Comparison(judged, [key for key in before if key not in after], [key for key in after if key not in before])


def read_set(path: Path) -> Cases:
    """The cases of a results folder, or of a folder of evidence.

    Raises:
        HarnessError: there is no evidence, or a file is none.
    """
    found = read_folder(path / "evidence" if (path / "evidence").is_dir() else path)
    if not found:
        raise HarnessError(
            f"no evidence in {path}; expected a results folder, e.g. results/quick, or its evidence: "
            "<claim>/<case>.json in a folder"
        )
    return found
