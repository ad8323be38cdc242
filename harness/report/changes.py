"""Two result sets compared, as plain text: opposites first, then what else turned, what shifted, what only one has."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.judging.comparison import Comparison, Pair
from harness.judging.evidence import Evidence
from harness.judging.shift import Shift
from harness.report.numbers import decimals, fixed, interval
from harness.report.text import HEAD, HELD, ascii_signs, columns, note, row

SHARED = {
    "same": "of the same runs on the same machine",
    "paired": "of the same runs elsewhere, compared seed by seed where both sets kept each seed's effects",
    "independent": "of other runs",
}


def changes(comparison: Comparison, width: int | None = None) -> str:
    """What changed; only the last line where nothing did.

    Args:
        width: in columns; that of the terminal where it is not given.
    """
    wide = columns(width)
    explained = [pair for pair in comparison.turned if pair.regressions or pair.shifted or pair.other_rule]
    open_ = [pair for pair in comparison.turned if pair not in explained]
    quiet = [pair for pair in comparison.pairs if pair.other_rule and not (pair.turn or pair.shifted)]
    lines = [
        *section("Verdicts that turned", (line for pair in explained for line in pair_lines(pair, wide))),
        *section("Effects that shifted", (line for pair in comparison.shifted for line in pair_lines(pair, wide))),
        *section("Verdicts that turned within chance", (line for pair in open_ for line in pair_lines(pair, wide))),
        *section("Judged by another rule, to the same verdict", (line for pair in quiet for line in head(pair, wide))),
        *section("Only in the first set", wrapped(comparison.only_before, wide)),
        *section("Only in the second set", wrapped(comparison.only_after, wide)),
        *textwrap.wrap(last_line(comparison), wide),
    ]
    return ascii_signs("\n".join(lines)) + "\n"


def section(title: str, lines: Iterable[str]) -> list[str]:
    """Nothing where there is nothing below the title."""
    found = list(lines)
    return [title, "-" * len(title), *found, ""] if found else []


def wrapped(cases: Sequence[tuple[str, str]], width: int) -> list[str]:
    return textwrap.wrap(", ".join(HELD.join(case) for case in cases), width)


def pair_lines(pair: Pair, width: int) -> list[str]:
    """A case: its verdicts, why it is a regression or is none, and the effects that decide or shifted."""
    regressions = [f"REGRESSION: {reason}" for reason in pair.regressions]
    said = regressions or ([no_regression(pair)] if pair.turn else [])
    effects = [effect for effect in pair.effects if effect.beyond_chance or (pair.turn and effect.before.decides)]
    return [
        *head(pair, width),
        *(line for text in said for line in note(text, width)),
        *(line for effect in effects for line in note(effect_text(effect), width)),
    ]


def head(pair: Pair, width: int) -> list[str]:
    before, after = said(pair.before), said(pair.after)
    verdict = f"{before} -> {after}" if pair.turn else after
    if pair.other_rule:
        verdict += f"; another rule: {pair.before.rule.sha256[:12]} -> {pair.after.rule.sha256[:12]}"
    sizes = HEAD["claim"], HEAD["case"]
    lines = row((*sizes, width - sum(sizes) - 2), [pair.claim, pair.name, verdict])
    if pair.before.case.models != pair.after.case.models:
        lines += note(f"other networks: {networks(pair.before)} -> {networks(pair.after)}", width)
    return lines


def networks(evidence: Evidence) -> str:
    return ", ".join(f"{role} = {model}" for role, model in evidence.case.models.items())


def said(evidence: Evidence) -> str:
    return "error" if evidence.fault else evidence.spoken


def no_regression(pair: Pair) -> str:
    """Why a verdict that turned is none."""
    if pair.after.verdict == "not run":
        return f"no regression: {pair.after.reason}"
    if pair.turn == "other":
        return "no regression: it was not decided before"
    if pair.fewer_seeds:
        return f"no regression: {len(pair.after.case.seeds)} seeds instead of {len(pair.before.case.seeds)}"
    return "no regression: no effect moved by more than chance moves it"


def effect_text(effect: Shift) -> str:
    """`MLP step: 0.18 [0.12, 0.24] -> 0.02 [-0.04, 0.08] nats (p = 0.001)`; a number and its interval hold together."""
    numbers = [
        f"{fixed(each.value, decimals(each))} {interval(each)}".strip().replace(" ", HELD)
        for each in (effect.before, effect.after)
    ]
    text = f"{effect.before.name}: {' -> '.join(numbers)} {effect.before.unit}"
    if not effect.beyond_chance:
        return text
    why = "the same runs" if effect.p is None else f"p = {effect.p:.2g}"
    return f"{text} ({why}{'' if effect.before.decides else ', does not decide'})"


def last_line(comparison: Comparison) -> str:
    """What was compared, and what came of it."""
    pairs = comparison.pairs
    kinds = Counter[str](pair.relation for pair in pairs)
    shared = "; ".join(f"{kinds[kind]} {words}" for kind, words in SHARED.items() if kinds[kind])
    sums = (
        (sum(len(pair.effects) for pair in pairs), "effect", "in both sets"),
        (len(comparison.turned), "verdict", "turned"),
        (sum(len(pair.shifted) for pair in pairs), "effect", "shifted"),
        (len(comparison.regressions), "case", "with a regression"),
    )
    counted = [f"{count} {what}{'s' * (count != 1)} {became}" for count, what, became in sums]
    cases = f"{len(pairs)} case{'s' * (len(pairs) != 1)}{f' ({shared})' if shared else ''}"
    return f"{cases} and {counted[0]}: {', '.join(counted[1:])}"
