"""The statistics of the flatness claims, given the paper's own digitised values, yield the paper's own numbers.

Those stand beside the effects in the catalogue, worked out from the figures apart from any code here.
"""

from __future__ import annotations

import importlib
import math
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.plan.catalogue import load_catalogue
from harness.plan.study import Point
from harness.plan.wanted import wanted
from harness.readings import log_nep, variance_of_log_nep

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
# By name: claims know the harness, the harness knows no claims.
flatness, alternet = map(importlib.import_module, ("claims.test_flatness", "claims.test_alternet"))

EPOCHS = {0: 0, 1 / 3: 100, 2 / 3: 200, 1: 300}
# The studies of the paper: where its curves have points.
STUDIES = {
    "data": {"L3": (0.0625,), "L5": (0.0156, 0.0312, 0.0625, 0.125, 0.25, 0.5)},
    "data_steps": {"L3": (0.0625,)},
    "pooling": {"L6": ("gap",)},
    "kernel": dict.fromkeys(("L8", "L9"), (3, 5, "global")),
    "epochs": {"L12": (75, 150, 300, 600, 1200)},
    "patch": {"L14": (2, 4, 8)},
    "heads": {"L16": tuple(range(1, 10))},
    "width": {"L17": tuple(range(22, 199, 22))},
    "augmentation": {"L19": ("weak", "strong")},
}
PARTS = [(claim, None) for claim in ("L4", "L5", "L8", "L9", "L12", "L13", "L16", "L17", "L19", "D2", "A3")]
PARTS += [("L3", part) for part in ("networks", "data", "epochs")]
PARTS += [("D1", part) for part in ("flatness", "convexity")]
PARTS += [
    ("L6", "warmup"),
    ("L14", "accuracy"),
    ("L14", "warmup"),
    *product(("L2", "L15", "L18"), ("warmup", "training")),
]
OF_ANOTHER = {"D1": "L2", "D2": "L2"}  # claims of this suite's own are about another's curves
MANY = 10**7  # values of a spectrum, of which half a count is nothing


def value(claim, role, quantity, x):
    """The paper's; areas are relative to 0.05, which also stands for what no effect that is compared depends on."""
    for series in CATALOGUE[OF_ANOTHER.get(claim, claim)].series:
        if series.role == role and series.quantity in (quantity, {"nep": "negative_area_ratio"}.get(quantity)):
            found = dict(zip(series.x or [x], series.values, strict=True)).get(x)
            scale = 1.0 if series.quantity == quantity else 0.05
            return 0.05 if found is None else scale * found
    return 0.05


def spectrum(nep, ape, samples=MANY):
    one = {"negative": nep, "positive": 1 - nep, "positive_part": ape * (1 - nep), "samples": samples}
    return pd.DataFrame([{"l2": l2, **one} for l2 in (False, True)])


class PaperCase:
    """Stands for a case whose tables hold the paper's values; keeps what the test measures."""

    def __init__(self, claim, marker):
        self.claim, self.effects, self.premises, self.points = claim, {}, {}, {}
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
        fit = {"nll": [nll], "entropy": [nll - 0.5]}
        return pd.DataFrame({"correct": [1 - error / 100]} if probe.probe == "prediction" else fit)

    def study(self, name, *, of=None):
        return {point.at: role for role, point in self.points.items() if point.study == name and of in (None, point.of)}

    def effect(self, name, *measured, **how):
        assert name not in self.effects
        self.effects[name] = self.measure(*measured, **how)

    def premise(self, name, *measured, **how):
        self.premises[name] = self.measure(*measured, **how)

    def measure(self, role, statistic, *, minus=None, probe=None, least_variance=None):
        del least_variance
        roles = [role] if isinstance(role, str) else role
        probes = probe if isinstance(probe, list) else [probe or self.probes[0]]
        found = statistic(*(self.table(each, one) for each in roles for one in probes))
        return found - (statistic(*(self.table(minus, one) for one in probes)) if minus else 0.0)


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
    agrees(CATALOGUE[claim].rule(part), case)


def agrees(rule, case):
    """All that the rule names was measured, nothing else, and comes to the paper's number; its premises hold."""
    found = rule.measured(case.effects)
    assert sorted(effect.name for effect in found) == sorted(case.effects)
    assert all(any(effect.called(name) for name in case.effects) for effect in rule.effects)
    for effect in found:
        if effect.paper is not None:
            assert case.effects[effect.name] == pytest.approx(effect.paper, abs=0.006), effect.name
    assert set(case.premises) == {premise.name for premise in rule.premises}
    assert all(case.premises[premise.name] >= premise.least for premise in rule.premises)


def test_the_papers_rings_give_the_papers_numbers():
    """A surface of five rings, each as high as the paper's, with the l2 norms making up the difference."""
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
    agrees(CATALOGUE["L1"].rule(None), case)


def test_a_ring_below_the_centre_has_no_log():
    cells = [(0.0, 0.0, 2.0), (0.3, 0.0, 1.5), (0.0, 0.5, 2.4)]
    surface = pd.DataFrame(cells, columns=["x", "y", "nll"]).assign(l2=0.0, l2_norms=0.0)
    assert math.isnan(flatness.log_rise("nll", 0.3, 0.5)(surface))  # -0.5 and 0.4
    assert flatness.log_rise("nll", 0.5, 0.5)(surface) == pytest.approx(math.log(0.4))


def test_a_log_nep_has_half_a_count_more_negatives_and_values():
    """Of 3 negatives in 20 values, and of none in 40."""
    three, none = spectrum(3 / 20, 1.0, samples=20), spectrum(0.0, 1.0, samples=40)
    assert log_nep(three) == pytest.approx(math.log(3.5 / 20.5))
    assert log_nep(none) == pytest.approx(math.log(0.5 / 40.5))
    assert variance_of_log_nep(three) == pytest.approx(1 / 3.5 - 1 / 20.5)
    assert variance_of_log_nep(none) == pytest.approx(2 - 1 / 40.5)


def test_the_least_variance_of_a_log_nep_is_that_of_independent_values():
    draws = np.random.default_rng(0).binomial(200, 0.1, size=2000)
    logs = [log_nep(spectrum(count / 200, 1.0, samples=200)) for count in draws]
    assert variance_of_log_nep(spectrum(0.1, 1.0, samples=200)) == pytest.approx(np.var(logs), rel=0.1)
    assert np.mean(logs) == pytest.approx(math.log(0.1), abs=0.02)  # what the half counts are for


def test_a_log_nep_of_mini_batches_is_that_of_their_average():
    """Two mini-batches of 5 values each, 1 and 2 of them negative."""
    rows = [{"l2": True, "negative": float(rank < few)} for few in (1, 2) for rank in range(5)]
    average = pd.DataFrame({"l2": True, "negative": [1.0, 0.5, 0.0, 0.0, 0.0], "samples": 2})
    assert log_nep(pd.DataFrame(rows)) == log_nep(average) == pytest.approx(math.log(3.5 / 10.5))


def test_the_contrast_of_ranks_adds_up_to_pages_statistic():
    neps = np.random.default_rng(1).random((4, 5))  # seeds, sizes
    by_seed = [flatness.fall_of_nep([spectrum(nep, 1.0) for nep in seed]) for seed in neps]
    places = np.arange(5) - 2
    of_no_trend = 4 * 5 * 6**2 / 4
    page = stats.page_trend_test(neps).statistic
    assert -sum(by_seed) * (places @ places) == pytest.approx(page - of_no_trend)
    falling = [spectrum(nep, 1.0) for nep in (0.4, 0.3, 0.2, 0.1)]
    assert flatness.fall_of_nep(falling) == pytest.approx(1.0)
    assert flatness.fall_of_nep(falling[::-1]) == pytest.approx(-1.0)
    assert flatness.fall_of_nep(falling[:1] * 4) == 0.0


def test_the_bound_of_the_rank_correlation_is_that_of_an_exact_permutation_test_of_its_networks():
    claim = CATALOGUE["L4"]
    networks = np.arange(len(claim.models))
    squares = [((networks - order) ** 2).sum() for order in permutations(networks)]
    n = len(networks)
    by_chance = np.round(1 - 6 * np.array(squares) / (n * (n * n - 1)), 3)
    bound = claim.rule(None).effects[0].null
    assert bound in by_chance
    assert (by_chance >= bound).mean() == pytest.approx(0.044, abs=0.001)
    assert (by_chance >= max(each for each in by_chance if each < bound)).mean() > 0.05


def test_what_is_still_to_learn_lies_above_the_entropy_of_the_targets():
    assert flatness.still_to_learn(pd.DataFrame({"nll": [2.1], "entropy": [1.2]})) == pytest.approx(0.9)


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
