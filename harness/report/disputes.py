"""A disputed statement protocol by protocol (claims D1 and D2): does its verdict hang on how spectra are measured?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from harness.judging.evidence import Effect
from harness.judging.verdict import judge
from harness.report.cells import Table, badge
from harness.report.numbers import NOTHING, decimals, fixed, interval, significant
from harness.report.spectra import NUMERIC, TEXT, mean_ape, mean_nep
from harness.report.summary import Case
from harness.report.tables import TableError, read_table

# What the names of the effects start with -> the table it is measured in, and whether the loss has its l2 term.
PROTOCOLS = {
    "augmented, with l2": ("hessian-warmup", True),
    "augmented, without l2": ("hessian-warmup", False),
    "clean, with l2": ("hessian-warmup-augment-False", True),
    "clean, without l2": ("hessian-warmup-augment-False", False),
    "converged": ("hessian-warmup", True),
    "power iteration": ("hessian-warmup-convention-official", True),
}


def protocol_table(results: Path, case: Case) -> Table | None:
    """APE and NEP of every role, what the case measured of both, and the verdict by the rule for that protocol alone.

    None for a case that is not judged under several protocols.
    """
    effects = {name: of_protocol(case, name) for name in PROTOCOLS}
    effects = {name: found for name, found in effects.items() if found}
    if len(effects) < 2:
        return None
    roles = list(case.evidence.case.models)
    compared = {word: any(find(found, word) for found in effects.values()) for word in ("APE", "NEP")}
    rows, verdicts = [], {}
    for name, found in effects.items():
        stem, l2 = PROTOCOLS[name]
        table = spectra(results, case, stem)
        verdicts[name] = judge(found)[0] if any(effect.decides for effect in found) else "not run"
        row: list[str] = [name]
        row += [NOTHING if table is None else significant(mean_ape(table, role, l2=l2).mean) for role in roles]
        row += [estimate(find(found, "APE"))] * compared["APE"]
        row += [NOTHING if table is None else fixed(100 * mean_nep(table, role, l2=l2).mean, 1) for role in roles]
        row += [estimate(find(found, "NEP"), scale=100)] * compared["NEP"]
        rows.append([*row, badge(verdicts[name])])
    ape = ["log ratio"] * compared["APE"]
    nep = ["difference"] * compared["NEP"]
    groups = [("APE", len(roles) + len(ape)), ("NEP (%)", len(roles) + len(nep)), ("judged alone", 1)]
    return Table(caption(verdicts), groups, ["protocol", *roles, *ape, *roles, *nep, "verdict"], rows)


def of_protocol(case: Case, name: str) -> list[Effect]:
    return [effect for effect in case.evidence.effects if effect.name.startswith(f"{name}: ")]


def find(effects: list[Effect], word: str) -> Effect | None:
    return next((effect for effect in effects if word in effect.name), None)


def estimate(effect: Effect | None, scale: float = 1.0) -> str:
    if effect is None:
        return NOTHING
    numbers = {"value": effect.value, "low": effect.low, "high": effect.high}
    scaled = effect.model_copy(
        update={name: number if number is None else scale * number for name, number in numbers.items()}
    )
    return f"{fixed(scaled.value, decimals(scaled))} {interval(scaled)}".strip()


def spectra(results: Path, case: Case, stem: str) -> pd.DataFrame | None:
    """None where it cannot be shown; the page says why where its figure would be."""
    for path in case.evidence.tables:
        if Path(path).stem == stem:
            try:
                return read_table(results / path, NUMERIC, TEXT)
            except TableError:
                return None
    return None


def caption(verdicts: Mapping[str, str]) -> str:
    """Whether the verdict turns round."""
    kinds: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        kinds.setdefault(verdict, []).append(name)
    if len(kinds) == 1:
        return f"Each protocol judged alone: {next(iter(kinds))} under all of them."
    listed = "; ".join(f"{verdict}: {' / '.join(names)}" for verdict, names in kinds.items())
    return f"Each protocol judged alone, the verdict depends on it. {listed}."
