"""A statement protocol by protocol (claims D1 and D2): does its verdict hang on how spectra are measured?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from harness.judging.evidence import Effect, shown_bounds
from harness.plan.catalogue import Claim
from harness.report.cells import Table, badge
from harness.report.numbers import NOTHING, decimals, fixed, interval, significant
from harness.report.spectra import NUMERIC, TEXT, mean_ape, mean_nep
from harness.report.summary import Case
from harness.report.tables import TableError, chosen_columns, read_table


def protocol_table(results: Path, claim: Claim | None, case: Case) -> Table | None:
    """APE and NEP of every role, what the case measured of both, and the verdict by the rule for that protocol alone.

    None for a case that was not judged under several protocols.
    """
    verdicts = {name: case.evidence.said(verdict) for name, verdict in case.evidence.protocols.items()}
    if claim is None or not verdicts:
        return None
    roles = list(case.evidence.case.models)
    effects = {name: [effect for effect in case.evidence.effects if effect.protocol == name] for name in verdicts}
    compared = {quantity: any(find(found, quantity) for found in effects.values()) for quantity in ("ape", "nep")}
    everything = spectra(results, case)
    rows = []
    for name, found in effects.items():
        table, l2 = under(everything, claim.protocols.get(name, {}))
        row: list[str] = [name]
        row += [NOTHING if table is None else significant(mean_ape(table, role, l2=l2).mean) for role in roles]
        row += [estimate(find(found, "ape"))] * compared["ape"]
        row += [NOTHING if table is None else fixed(100 * mean_nep(table, role, l2=l2).mean, 1) for role in roles]
        row += [estimate(find(found, "nep"), scale=100)] * compared["nep"]
        rows.append([*row, badge(verdicts[name])])
    ape = ["log ratio"] * compared["ape"]
    nep = ["difference"] * compared["nep"]
    groups = [("APE", len(roles) + len(ape)), ("NEP (%)", len(roles) + len(nep)), ("judged alone", 1)]
    return Table(caption(verdicts), groups, ["protocol", *roles, *ape, *roles, *nep, "verdict"], rows)


def find(effects: list[Effect], quantity: str) -> Effect | None:
    return next((effect for effect in effects if effect.quantity == quantity), None)


def estimate(effect: Effect | None, scale: float = 1.0) -> str:
    if effect is None:
        return NOTHING
    low, high = shown_bounds(effect)
    numbers = {"value": effect.value, "low": low, "high": high}
    scaled = effect.model_copy(
        update={"within": None, **{name: number and scale * number for name, number in numbers.items()}}
    )
    return f"{fixed(scaled.value, decimals(scaled))} {interval(scaled)}".strip()


def spectra(results: Path, case: Case) -> list[pd.DataFrame]:
    """The tables of eigenvalues; of one that cannot be shown, the page says why where its figure would be."""
    found = []
    for path in case.evidence.tables:
        try:
            table = read_table(results / path)
            if table["probe"].iloc[0] == "hessian":
                chosen_columns(table, Path(path).name, NUMERIC, TEXT)
                found.append(table)
        except TableError:
            continue
    return found


def under(tables: list[pd.DataFrame], protocol: Mapping[str, bool | float | str]) -> tuple[pd.DataFrame | None, bool]:
    """The rows that a protocol describes, column by column, and whether the loss has its l2 term there."""
    for table in tables:
        rows = table
        for column, value in protocol.items():
            rows = rows[rows[column] == value] if column in rows else rows.iloc[:0]
        if not rows.empty:
            return rows, bool(protocol.get("l2", True))
    return None, True


def caption(verdicts: Mapping[str, str]) -> str:
    """Whether the verdict turns round."""
    kinds: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        kinds.setdefault(verdict, []).append(name)
    if len(kinds) == 1:
        return f"Each protocol judged alone: {next(iter(kinds))} under all of them."
    listed = "; ".join(f"{verdict}: {' / '.join(names)}" for verdict, names in kinds.items())
    return f"Each protocol judged alone, the verdict depends on it. {listed}."
