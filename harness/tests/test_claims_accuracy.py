"""Claims about accuracy, robustness, calibration and speed: which way round they measure, on planted tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.judging.again import load_tests
from harness.plan.catalogue import load_catalogue
from harness.plan.study import Point, Study
from harness.plan.wanted import wanted

CLAIMS = Path(__file__).parents[2] / "claims"
CATALOGUE, TESTS = load_catalogue(CLAIMS / "catalogue.toml"), load_tests(CLAIMS)
PLACEMENTS = ("0,0,0,0", "0,0,0,1", "0,1,1,2")
# Who is better, as each claim says it, in the numbers that its probe gives; all others have 0.5.
BETTER = {
    ("A1", None): {"alternet": 0.8, "alternet at 0,0,0,1": 0.7, "alternet at 0,1,1,2": 0.8},
    ("A2", "accuracy"): {"alternet": 0.9, "preact_resnet": 0.8},
    ("A2", "robustness"): {"alternet": 0.9, "preact_resnet": 0.8},
    ("A4", "accuracy"): {"alternet": 0.9},
    ("A4", "robustness"): {"alternet": 0.9},
    ("A5", None): {"alternet": 0.9},
    ("D3", "size"): {"alternet": 0.9},
    ("D3", "robustness"): {"alternet": 0.9},
    ("D3", "place"): {"alternet at stage ends": 0.9},
    ("S5", None): {"alternet at stage ends": 0.9},
    ("L10", None): {"conv_vit at 5": 0.9},
    ("U1", None): {"resnet at strong": 0.9, "vit at strong": 0.9, "resnet at weak": 0.1, "vit at weak": 0.1},
}


class Planted:
    """Stands for a claim on a case whose tables hold one number a role."""

    def __init__(self, test, better):
        self.better, self.points, self.effects = better, {}, {}
        for role in test.roles:
            if isinstance(role, Study):
                places = (
                    PLACEMENTS if role.study == "placement" else ("weak", "strong") if role.at is None else (role.at,)
                )
                self.points |= {f"{role.of} at {at}": Point(of=role.of, study=role.study, at=at) for at in places}
        self.roles = tuple(role for role in test.roles if isinstance(role, str)) + tuple(self.points)
        assert set(better) <= set(self.roles)
        (self.probe,) = test.probes

    def study(self, name, *, of=None):
        return {point.at: role for role, point in self.points.items() if point.study == name and of in (None, point.of)}

    def table(self, role):
        number = self.better.get(role, 0.5)
        if self.probe == wanted("throughput"):
            kinds = ["network", "msa block", "conv block"]
            return pd.DataFrame({"what": kinds, "images_per_second": [100 * number] * 3})
        about = {"corruption": ["fog", "fog"], "severity": [1, 2]} if self.probe.probe == "corruption" else {}
        return pd.DataFrame({**about, "correct": [number] * (2 if about else 1), "confidence": 0.5})

    def effect(self, name, role, statistic, *, minus=None):
        self.effects[name] = statistic(self.table(role)) - (statistic(self.table(minus)) if minus else 0.0)


def effects(key, better):
    planted = Planted(TESTS[key], better)
    TESTS[key].measure(planted)
    return {rule.name: (planted.effects[rule.name], rule)
            for rule in CATALOGUE[key[0]].rule(key[1]).measured(planted.effects)}  # fmt: skip


@pytest.mark.parametrize("key", BETTER, ids=[" ".join(filter(None, key)) for key in BETTER])
def test_as_the_claim_says_lies_above_the_null_and_the_other_way_round_below(key):
    for name, (value, rule) in effects(key, BETTER[key]).items():
        assert value > rule.null or not rule.decides, name
    turned = {role: 1 - number for role, number in BETTER[key].items()}
    for name, (value, rule) in effects(key, turned).items():
        assert value < rule.null or not rule.decides, name


def test_accuracies_are_in_percentage_points_and_speeds_in_logs():
    ((gain, _),) = effects(("S5", None), {"alternet at stage ends": 0.6, "alternet at model end": 0.5}).values()
    assert gain == pytest.approx(10.0)
    found = effects(("A5", None), {"alternet": 0.5, "preact_resnet": 0.25})
    assert found["AlterNet throughput above pre-activation ResNet"][0] == pytest.approx(0.6931, abs=1e-4)
    assert found["throughput of an MSA block above a convolution block of its stage"][0] == 0


def test_no_test_of_a_claim_about_accuracy_is_missing_here():
    brief = {wanted(probe, brief=True) for probe in ("prediction", "corruption")}
    probes = {wanted("prediction"), *brief, wanted("throughput")}
    mine = {key for key, test in TESTS.items() if key[0][0] in "ADSU" and set(test.probes) <= probes and test.roles}
    assert mine == {key for key in BETTER if key[0][0] != "L"}
