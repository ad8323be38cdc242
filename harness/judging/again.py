"""Every verdict of a results folder drawn again, from its tables and the catalogue alone: no store, no data, no torch.

The same tests measure the same effects; only where their tables come from differs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.judging.effects import Effects
from harness.judging.evidence import Effect, Evidence, LookRecord, RuleRecord, Verdict, read_all_evidence
from harness.judging.looks import sequence
from harness.judging.measured import FromResults, of_random_weights, tables_of
from harness.judging.trial import Trial
from harness.judging.verdict import by_protocol
from harness.judging.weigh import Judged
from harness.plan.catalogue import Catalogue, Claim, Rule
from harness.plan.study import Study
from harness.plan.wanted import Wanted, in_full

TOLERANCE = 1e-8  # of an effect, relative: sums may be taken in another order, and F10 multiplies sixteen times


@dataclass(frozen=True)
class ClaimTest:
    """A claim's test: the function, and the roles and probes that its marker asks for."""

    measure: Callable[[Effects], None]
    roles: tuple[str | Study, ...]
    probes: tuple[Wanted, ...]


@dataclass(frozen=True)
class Again:
    """One case, as its evidence has it and as it comes out today.

    Attributes:
        why: what differs, empty where nothing does; or why it cannot be judged.
        evidence: as it would be written today; None where it cannot be judged.
    """

    claim: str
    case: str
    before: Verdict
    why: list[str]
    evidence: Evidence | None

    @property
    def verdict(self) -> Verdict | None:
        """Of today; None where it cannot be drawn."""
        return None if self.evidence is None else self.evidence.verdict

    @property
    def changed(self) -> bool:
        return self.verdict != self.before


def judge_again(
    results: Path, catalogue: Catalogue, tests: Mapping[tuple[str, str | None], ClaimTest]
) -> Iterator[Again]:
    """Judge each case of a results folder that has a verdict.

    Args:
        tests: (claim, part) -> its test.

    Raises:
        HarnessError: an evidence file is not evidence.
    """
    for (claim, name), evidence in read_all_evidence(results).items():
        if evidence.verdict == "not run" or (evidence.verdict == "out of scope" and not evidence.tables):
            continue
        test = tests.get((claim, evidence.rule.part))
        try:
            if test is None:
                raise HarnessError("no test of today judges it")
            judged = judged_again(results, evidence, catalogue[claim], test)
        except HarnessError as error:
            yield Again(claim, name, evidence.verdict, [str(error)], None)
            continue
        rule = catalogue[claim].rule(evidence.rule.part)
        why = ["another rule"] if rule.sha256 != evidence.rule.sha256 else []
        if evidence.look and judged.look.seeds != evidence.look.seeds:
            why.append(f"decided at {judged.look.seeds} seeds instead of {evidence.look.seeds}")
        why += [f"another statistic: {change}" for change in changes(evidence, judged.effects)]
        yield Again(claim, name, evidence.verdict, why, as_of_today(evidence, rule, judged))


def judged_again(results: Path, evidence: Evidence, claim: Claim, test: ClaimTest) -> Judged:
    """The verdict of the first look that decides, at most of the one that was judged."""
    tables = tables_of(results, evidence)
    seeds = max(len(evidence.case.seeds), 1)
    looks = tuple(evidence.look.of) if evidence.look else (seeds,)
    trial = Trial(
        claim,
        claim.rule(evidence.rule.part),
        test.probes,
        test.measure,
        lambda count, untrained: FromResults(evidence, tables, count, untrained),
        looks,
        has_control=any(map(of_random_weights, tables)),
    )
    return trial.judged(trial.settled([look for look in sequence(looks) if look.seeds <= seeds]))


def as_of_today(evidence: Evidence, rule: Rule, judged: Judged) -> Evidence:
    """The evidence with what was judged now; where its numbers come from stays as it was."""
    look, seeds = judged.look, evidence.case.seeds
    return evidence.model_copy(
        update={
            "schema_": 2,
            "rule": RuleRecord(part=rule.part, text=rule.text, sha256=rule.sha256),
            "case": evidence.case.model_copy(update={"seeds": seeds[: look.seeds]}),
            "verdict": judged.verdict,
            "reason": judged.reason,
            "look": LookRecord(seeds=look.seeds, of=list(look.of), level=look.level) if evidence.case.models else None,
            "premises": judged.premises,
            "effects": judged.effects,
            "protocols": by_protocol(judged.effects, look),
        }
    )


def changes(evidence: Evidence, today: list[Effect]) -> list[str]:
    """How the effects differ from those that were judged."""
    before = {effect.name: effect for effect in evidence.effects}
    found = [f"{name!r} is no longer measured" for name in before if name not in {effect.name for effect in today}]
    for effect in today:
        old = before.get(effect.name)
        if old is None:
            found.append(f"{effect.name!r} is new")
        elif differs(old.value, effect.value) or differs(old.low, effect.low) or differs(old.high, effect.high):
            found.append(f"{effect.name!r} was {numbers(old)}, is {numbers(effect)}")
    return found


def differs(one: float | None, other: float | None) -> bool:
    if one is None or other is None or one == other or (one != one and other != other):
        return (one is None) != (other is None)
    return abs(one - other) > TOLERANCE * max(abs(one), abs(other))


def numbers(effect: Effect) -> str:
    return f"{number(effect.value)} [{number(effect.low)}, {number(effect.high)}]"


def number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def load_tests(folder: Path) -> dict[tuple[str, str | None], ClaimTest]:
    """The claims' tests in a folder of `test_*.py`, by (claim, part): found by the marker that pytest reads as well.

    Raises:
        HarnessError: the folder holds no such test.
    """
    found = {}
    for path in sorted(folder.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"claims.{path.stem}", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for test in vars(module).values():
            for marker in getattr(test, "pytestmark", []):
                if marker.name == "claim":
                    key = marker.args[0], marker.kwargs.get("part")
                    found[key] = ClaimTest(test, tuple(marker.kwargs["roles"]), in_full(marker.kwargs["probes"]))
    if not found:
        raise HarnessError(f"no test of a claim in {folder}; expected the suite's claims/test_*.py")
    return found
