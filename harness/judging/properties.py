"""Verdict and effects of a case as properties of its test, for whoever reads pytest's own XML (`--junitxml`)."""

from __future__ import annotations

from harness.judging.evidence import Effect, Evidence


def properties(case: str, evidence: Evidence) -> list[tuple[str, str]]:
    """Names and values, in an order that stays; of effects those that decide, numbers not rounded.

    Args:
        case: its name, as in the name of its evidence.
    """
    effects = [(f"effect {effect.name}", as_text(effect)) for effect in evidence.effects if effect.decides]
    said = "error" if evidence.fault else evidence.spoken
    about = {"claim": evidence.claim, "case": case, "verdict": evidence.verdict, "said": said}
    return [*about.items(), ("reason", evidence.reason), ("seeds", str(len(evidence.case.seeds))), *effects]


def as_text(effect: Effect) -> str:
    """`0.25 [0.15, 0.35] nats, null 0.0`; `none` for what is not finite."""
    value, low, high = (
        "none" if number is None else repr(number) for number in (effect.value, effect.low, effect.high)
    )
    return f"{value} [{low}, {high}] {effect.unit}, null {effect.null!r}"
