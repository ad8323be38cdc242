"""The statistics of the flatness claims, given the paper's own digitised values, yield the paper's own numbers.

Those stand beside the effects in the catalogue, worked out from the figures apart from any code here.
"""

from __future__ import annotations

import importlib
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from harness.plan.catalogue import load_catalogue
from harness.plan.study import Point
from harness.plan.wanted import wanted

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
# By name: claims know the harness, the harness knows no claims.
flatness, alternet = map(importlib.import_module, ("claims.test_flatness", "claims.test_alternet"))

EPOCHS = {0: 0, 1 / 3: 100, 2 / 3: 200, 1: 300}
# The studies of the paper: where its curves have points.
STUDIES = {
    "data": {"L3": (0.0625,), "L5": (0.0156, 0.0312, 0.0625, 0.125, 0.25, 0.5)},
    "kernel": {"L8": (3, 5, "global")},
    "epochs": {"L12": (75, 150, 300, 600, 1200)},
    "patch": {"L14": (2, 4, 8)},
    "heads": {"L16": tuple(range(1, 10))},
    "width": {"L17": tuple(range(22, 199, 22))},
    "augmentation": {"L19": ("weak", "strong")},
}
PARTS = [(claim, None) for claim in ("L3", "L4", "L5", "L8", "L12", "L13", "L16", "L17", "L19", "A3")]
PARTS += [("L14", "accuracy"), *product(("L2", "L15", "L18"), ("warmup", "training")), ("L14", "warmup")]


def value(claim, role, quantity, x):
    """The paper's; 0.05 where it gives none, which no effect that is compared depends on."""
    for series in CATALOGUE[claim].series:
        if (series.role, series.quantity) == (role, quantity):
            return dict(zip(series.x or [x], series.values, strict=True)).get(x, 0.05)
    return 0.05


def spectrum(nep, ape):
    return pd.DataFrame({"l2": [True], "negative": nep, "positive": 1 - nep, "positive_part": ape * (1 - nep)})


class PaperCase:
    """Stands for a case whose tables hold the paper's values; keeps what the test measures."""

    def __init__(self, claim, marker):
        self.claim, self.effects, self.points = claim, {}, {}
        for each in marker.kwargs["roles"]:
            if isinstance(each, str):
                self.points[each] = Point(of=each, study="none", at=1)  # who stands for itself has all data
            else:
                places = STUDIES[each.study][claim]
                self.points |= {f"{each} at {at}": Point(of=each.of, study=each.study, at=at) for at in places}
        self.roles = tuple(self.points)
        self.probes = [wanted(probe) if isinstance(probe, str) else probe for probe in marker.kwargs["probes"]]

    def table(self, role, probe):
        probe = wanted(probe) if isinstance(probe, str) else probe
        if self.claim in ("L4", "L13"):  # error against NLL_train: the latter is the x axis
            (found,) = (
                series for series in CATALOGUE[self.claim].series if (series.role, series.quantity) == (role, "error")
            )
            error, nll = found.values[0], found.x[0]
        else:
            point = self.points[role]
            at = point.at if CATALOGUE[self.claim].studies else EPOCHS.get(float(probe.after), 300)
            of = [value(self.claim, point.of, quantity, at) for quantity in ("error", "nll_train", "nep", "ape")]
            error, nll = of[:2]
        if probe.probe == "hessian":
            return spectrum(*of[2:])
        return pd.DataFrame({"correct": [1 - error / 100]} if probe.probe == "prediction" else {"nll": [nll]})

    def study(self, name, *, of=None):
        return {point.at: role for role, point in self.points.items() if point.study == name and of in (None, point.of)}

    def effect(self, name, role, statistic, *, minus=None, probe=None):
        roles = [role] if isinstance(role, str) else role
        probes = probe if isinstance(probe, list) else [probe or self.probes[0]]
        found = statistic(*(self.table(each, one) for each in roles for one in probes))
        less = statistic(*(self.table(minus, one) for one in probes)) if minus else 0.0
        self.effects[name] = found - less


def found_test(claim, part):
    module = alternet if claim == "A3" else flatness
    for test in vars(module).values():
        for marker in getattr(test, "pytestmark", []):
            if marker.name == "claim" and marker.args == (claim,) and marker.kwargs.get("part") == part:
                return test, marker
    raise AssertionError(f"no test of {claim} {part}")


@pytest.mark.parametrize(("claim", "part"), PARTS)
def test_the_papers_values_give_the_papers_numbers(claim, part):
    test, marker = found_test(claim, part)
    case = PaperCase(claim, marker)
    test(case)
    rule = CATALOGUE[claim].rule(part)
    assert set(case.effects) == {effect.name for effect in rule.effects}
    for effect in rule.effects:
        if effect.paper is not None:
            assert case.effects[effect.name] == pytest.approx(effect.paper, abs=0.011), effect.name


def test_the_papers_rings_give_the_papers_numbers():
    """A surface of four rings, each as high as the paper's, with the l2 norms making up the difference."""
    surfaces = {}
    for role in ("resnet", "vit"):
        both, plain = (
            {
                x: height
                for series in CATALOGUE["L1"].series
                if (series.role, series.quantity) == (role, quantity)
                for x, height in zip(series.x, series.values, strict=True)
            }
            for quantity in ("ring_increase", "ring_increase_nll")
        )
        cells = [(0.0, 0.0, 2.0, 70.0)]
        cells += [(x, y, 2 + plain[x], 70 + both[x] - plain[x]) for x in plain for y in (-x, 0.0, x / 2)]
        surfaces[role] = pd.DataFrame(cells, columns=["x", "y", "nll", "l2_norms"]).assign(l2=0.0)
    test, marker = found_test("L1", None)
    case = PaperCase("L1", marker)
    case.table = lambda role, probe: surfaces[role]
    test(case)
    for effect in CATALOGUE["L1"].rule(None).effects:
        assert case.effects[effect.name] == pytest.approx(effect.paper, abs=0.006), effect.name


def test_every_rule_of_the_group_has_a_test():
    rules = {
        (claim.id, rule.part)
        for claim in CATALOGUE.claims.values()
        for rule in claim.rules
        if claim.group == "flatness"
    }
    rules -= {("L10", None)}  # needs corrupted images
    for claim, part in rules:
        found_test(claim, part)
