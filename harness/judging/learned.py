"""The premise of every claim about trained networks: that they have learned."""

from __future__ import annotations

import math
from fractions import Fraction

from harness.data.catalogue import dataset_info
from harness.judging.evidence import PremiseRecord
from harness.judging.measured import Measured
from harness.plan.wanted import Wanted

DEVIATIONS = 3  # standard deviations of guessing above chance: one of a thousand guessing networks passes


def learned(measured: Measured) -> list[PremiseRecord]:
    """Test accuracies that have to be well above chance in every network, and at the end above a role's floor.

    Nothing for networks that are untrained by intent, and where nobody measured it (before schema 2).
    """
    found = []
    for probe in measured.accuracies:
        for role in measured.roles:
            tables = [measured.read(role, probe, seed).correct for seed in measured.seeds]
            shares = [float(correct.mean()) for correct in tables]
            images = min(map(len, tables))
            chance = 1 / dataset_info(measured.dataset).classes
            least = chance + DEVIATIONS * math.sqrt(chance * (1 - chance) / images)
            when = moment(probe)
            found.append(record(f"test accuracy of the worst {role}{when}", min(shares), least))
            if probe.after == 1 and role in measured.floors:
                mean = sum(shares) / len(shares)
                found.append(record(f"mean test accuracy of {role}{when}", mean, measured.floors[role]))
    return found


def moment(probe: Wanted) -> str:
    if probe.after == 1:
        return ""
    return " after the warm-up" if probe.after == 0 else f" after {Fraction(probe.after)} of the epochs"


def record(name: str, value: float, least: float) -> PremiseRecord:
    return PremiseRecord(name=name, unit="share", value=value, least=least, holds=value >= least)
