"""The statistics of the claims' tests, given the paper's own digitised curves, yield the paper's own numbers.

Those stand beside the effects in the catalogue, worked out from the figures apart from any code here.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.plan.catalogue import load_catalogue

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
STAGES = {"resnet50": (3, 4, 6, 3), "swin_tiny": (2, 2, 6, 2), "pit_tiny": (2, 6, 4), "vit_tiny": (12,)}
# By name: claims know the harness, the harness knows no claims.
lowpass, stages = map(importlib.import_module, ("claims.test_lowpass", "claims.test_stages"))


def units(series):
    """A row per value of a digitised curve: which unit of the paper's network it belongs to."""
    kinds = series.kinds
    blocks = [stage for stage, count in enumerate(STAGES[series.model], 1) for _ in range(count)]
    stages, done = [], 0
    for kind in kinds:
        starts = kind in ("conv", "msa")
        stages.append(0 if kind == "stem" else blocks[done] if starts or kind == "pool" else blocks[done - 1])
        done += starts
    heights = [56 >> max(stage - 1, 0) for stage in stages]  # on ImageNet, down to 7
    return pd.DataFrame({"unit": range(len(kinds)), "kind": kinds, "stage": stages, "height": heights})


class PaperCase:
    """Stands for a case whose tables hold the paper's curves; keeps what the test measures."""

    def __init__(self, claim, quantity, column, about):
        self.effects, self.premises = {}, {}
        self.tables = {
            series.role: units(series).assign(**{column: series.values, **about})
            for series in CATALOGUE[claim].series
            if series.quantity == quantity
        }

    def average(self, role):
        return self.tables[role]

    def effect(self, name, *measured, **how):
        assert name not in self.effects
        self.effects[name] = self.measure(*measured, **how)

    def premise(self, name, *measured, **how):
        self.premises[name] = self.measure(*measured, **how)

    def measure(self, role, statistic, *, minus=None, minus_statistic=None, probe=None):
        roles = [role] if isinstance(role, str) else role
        tables = [self.tables[each] for each in roles for _ in range(len(probe) if isinstance(probe, list) else 1)]
        less = (minus_statistic or statistic)(self.tables[minus]) if minus else 0.0
        return statistic(*tables) - less


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


@pytest.mark.parametrize(
    ("claim", "module", "quantity", "column", "about"),
    [
        ("F1", lowpass, "delta_log_amplitude", "delta_log_amplitude", {"label": 1.0}),
        ("F2", lowpass, "delta_log_amplitude", "delta_log_amplitude", {"label": 1.0}),
        ("F3", lowpass, "delta_log_amplitude", "delta_log_amplitude", {"label": 1.0}),
        ("F4", lowpass, "delta_log_amplitude", "delta_log_amplitude", {"label": 1.0}),
        ("F7", lowpass, "variance", "variance", {}),
        ("F8", lowpass, "variance", "variance", {}),
        ("F9", lowpass, "variance", "variance", {}),
        ("S2", stages, "lesion_delta_accuracy", "delta_accuracy", {}),
        ("S3", stages, "lesion_delta_accuracy", "delta_accuracy", {}),
    ],
)
def test_the_papers_curves_give_the_papers_numbers(claim, module, quantity, column, about):
    (test,) = (value for name, value in vars(module).items() if name.startswith(f"test_{claim}_"))
    case = PaperCase(claim, quantity, column, about)
    test(case)
    agrees(CATALOGUE[claim].rule(None), case)


def test_the_rules_are_borne_out_by_the_papers_own_numbers():
    """Each lies on the right side of its null; which deciding effects the paper has no number for is known."""
    without = set()
    for claim in CATALOGUE.claims.values():
        for effect in (effect for rule in claim.rules for effect in rule.effects if effect.decides):
            papers = [effect.paper, *effect.papers.values()]
            assert all(paper is None or paper > effect.null for paper in papers), effect.name
            if effect.paper is None:
                without.add(claim.id)
            elif effect.papers:
                assert effect.paper == min(effect.papers.values())
    assert without == {"D1", "D2", "D3", "F10", "L10", "S1", "U1"}


def noise_table(series, clean):
    """The paper's curve at amplitude 1, half of the loss at 0.5 and the double at 2."""
    return pd.DataFrame(
        {"frequency": f, "amplitude": a, "delta_accuracy": a * value, "accuracy": clean + a * value}
        for f, value in zip(series.x, series.values, strict=True)
        for a in (0.5, 1.0, 2.0)
    )


def test_the_papers_noise_curves_give_the_papers_numbers():
    """With its accuracies on ImageNet; ResNet loses 5.01 pp at 0.1π, so that the amplitude is 1 / 1.002."""
    case = PaperCase("F5", None, None, None)
    case.tables = {
        series.role: noise_table(series, {"resnet": 78.14, "vit": 69.63}[series.role])
        for series in CATALOGUE["F5"].series
    }
    lowpass.test_F5_vit_suffers_from_low_frequency_noise_resnet_from_high(case)
    agrees(CATALOGUE["F5"].rule(None), case)


def test_noise_is_judged_on_the_half_that_did_not_choose_its_amplitude():
    """ResNet loses 5 pp of 100 at amplitude 1 on even images and at 0.5 on odd ones; ViT ten times as much on odd."""
    series = CATALOGUE["F5"].series[0].model_copy(update={"x": [0.1, 0.2], "values": [-5.0, -5.0]})
    tables = [noise_table(series, 100.0) for _ in range(4)]
    for table, times in zip(tables, (1, 2, 1, 10), strict=True):
        table.delta_accuracy *= times
        table.accuracy = 100 + table.delta_accuracy
    resnet, resnet_odd, vit, vit_odd = tables
    # Amplitude 1 on odd images: 0.5 - 0.1; amplitude 0.5 on even ones: 0.025 each.
    found = lowpass.loss_of_vit_above_resnet(0.1, 0.2)(resnet, resnet_odd, vit, vit_odd)
    assert found == pytest.approx((0.4 + 0.0) / 2)


def alike(stages_of_two):
    """A similarity of 12 units of ViT: alike within thirds, within quarters, and all others not at all."""
    return sum(
        weight * (np.arange(12)[:, None] * count // 12 == np.arange(12) * count // 12)
        for count, weight in stages_of_two.items()
    ) + np.eye(12)


def similarities(matrix, stage):
    return pd.DataFrame(
        {"unit": a, "other": b, "stage": stage[a], "hsic": 1.0 if a == b else matrix[a][b]}
        for a in range(len(stage))
        for b in range(len(stage))
    )


def test_the_papers_similarities_give_the_papers_numbers():
    """Two stages as alike as the paper's; of ViT a similarity whose contrast in 3 and in 4 pretended stages is 0.17."""
    of = {(series.role, series.quantity): series for series in CATALOGUE["S1"].series}
    case = PaperCase("S1", None, None, None)
    for role in ("resnet", "pit", "swin"):
        within, across = (of[role, f"similarity_{where}"].values[0] for where in ("within", "across"))
        stage = np.repeat([1, 2], 3)
        case.tables[role] = similarities(np.where(stage[:, None] == stage, within, across), stage)
    vit = np.subtract(of["vit", "similarity_within"].values, of["vit", "similarity_across"].values)
    cuts = {count: np.arange(12) * count // 12 for count in (3, 4)}
    response = [[stages.contrast(alike({made: 1.0}), cuts[seen]) for made in (3, 4)] for seen in (3, 4)]
    weights = np.linalg.solve(response, vit)
    case.tables["vit"] = similarities(alike(dict(zip((3, 4), weights, strict=True))), np.ones(12, int))
    stages.test_S1_features_of_multi_stage_networks_are_alike_within_a_stage(case)
    agrees(CATALOGUE["S1"].rule(None), case)
    assert case.effects["ResNet: share of other cuts with a smaller contrast"] == 1.0


def test_other_cuts_have_the_same_sizes_in_any_order_moved_by_any_number():
    """Of a stage of 3 and one of 1, aaab: the other order, and the two moves whose ends the stage of 3 goes beyond."""
    found = {"".join("abc"[stage] for stage in cut) for cut in stages.other_cuts(np.array([1, 1, 1, 2]))}
    assert found == {"abbb", "abcc", "aabc"}


def test_a_real_stage_is_seen_among_other_cuts_and_a_steady_drift_is_not():
    stage = np.repeat([1, 2, 3], [2, 4, 3])
    real = similarities(np.where(stage[:, None] == stage, 0.9, 0.5), stage)
    drift = similarities(np.exp(-abs(np.subtract.outer(np.arange(9), np.arange(9))) / 4), stage)
    assert stages.share_of_other_cuts(real) == 1.0
    assert stages.above_other_cuts(real) > 0.1
    assert abs(stages.above_other_cuts(drift)) < 0.03
    assert 0 < stages.share_of_other_cuts(drift) < 1


def lesions(kind, lost):
    """A table of (stage, loss)."""
    rows = [
        {"unit": unit, "kind": kind, "stage": stage, "delta_accuracy": -loss} for unit, (stage, loss) in enumerate(lost)
    ]
    return pd.DataFrame(rows)


def test_the_first_block_of_a_later_stage_strides_and_is_left_out():
    table = lesions("conv", [(1, 9.0), (1, 3.0), (2, 50.0), (2, 4.0), (2, 1.0), (3, 60.0), (3, 2.0)])
    assert {stage: lost.tolist() for stage, lost in stages.unstrided(table).items()} == {
        1: [9.0, 3.0],
        2: [4.0, 1.0],
        3: [2.0],
    }
    assert stages.first_conv_above_last(2)(table) == 3.0
    assert stages.stage_1_above(2)(table) == 6.0 - 2.5
    assert stages.stage_1_above(3)(table) == 6.0 - 2.0
    case = PaperCase("S2", None, None, None)
    case.tables["resnet"] = table
    stages.test_S2_lesions_hurt_resnet_most_in_early_stages_and_at_their_start(case)
    assert [name for name in case.effects if "unstrided" in name] == [
        f"stage {stage}: loss at the first unstrided block above the last" for stage in (1, 2)
    ]


def spectrum_of_units(units):
    """Of (stage, kind, height, amplitude of the last bin)."""
    rows = [
        {"unit": unit, "stage": stage, "kind": kind, "height": height, "label": 1.0, "delta_log_amplitude": amplitude}
        for unit, (stage, kind, height, amplitude) in enumerate(units)
    ]
    return pd.DataFrame(rows)


def test_only_steps_at_one_resolution_on_large_enough_maps_add_up():
    """Steps of 1 and -2 at 16, one across to 8, there one of 4, and one of 100 at 4, which is too small to look at."""
    blocks = [(1, 16, 0.0), (1, 16, 1.0), (1, 16, -1.0), (2, 8, 7.0), (2, 8, 11.0), (3, 4, 0.0), (3, 4, 100.0)]
    table = spectrum_of_units([(stage, "conv", height, value) for stage, height, value in blocks])
    assert lowpass.rise_within_resolutions(table) == 1.0 - 2.0 + 4.0
    assert lowpass.largest_map(table) == 16
    assert lowpass.map_of_stage_1(table) == 16
    late = lowpass.largest_late_map(lowpass.late_blocks_of_swin)
    assert late(table) == 8
    assert late(table.assign(height=table.height // 2)) == 0


def test_the_contrast_of_stages_is_within_minus_across():
    """Two stages of two units and a stem: alike 0.9 within, 0.53 across, the stem like nothing."""
    stage = [0, 1, 1, 2, 2]
    rows = [
        {"unit": a, "other": b, "stage": stage[a], "hsic": 1.0 if a == b else 0.9 if stage[a] == stage[b] else 0.53}
        for a in range(5)
        for b in range(5)
    ]
    table = pd.DataFrame(rows)
    table.loc[(table.unit != table.other) & ((table.unit == 0) | (table.other == 0)), "hsic"] = 0.0
    assert stages.stage_contrast(table) == pytest.approx(0.37)


def test_pretended_stages_are_equal_parts():
    """Twelve units in four groups of three: cut in four they have all the contrast."""
    table = similarities(np.equal.outer((np.arange(13) + 2) // 3, (np.arange(13) + 2) // 3) * 1.0, [0] + 12 * [1])
    assert stages.pretended_contrast(4)(table) == pytest.approx(1.0)
    assert stages.pretended_contrast(3)(table) < 0.7


@given(arrays(float, (7, 7), elements=st.floats(0.05, 1)), arrays(float, (7, 3), elements=st.floats(-1, 1)))
def test_averaging_with_positive_weights_again_and_again_leaves_the_mean(weights, values):
    """Any positive weights whose rows sum to one, softmax or not (Prop. B.1)."""
    averaging = weights / weights.sum(1, keepdims=True)
    assert lowpass.high_frequency_share(np.linalg.matrix_power(averaging, 300) @ (values + 3)) < 1e-6


@given(arrays(float, (7, 3), elements=st.floats(-1, 1)))
def test_the_high_frequency_share_is_what_is_orthogonal_to_the_mean(values):
    high = values - values.mean(0)
    whole = lowpass.high_frequency_share(high + 2)
    assert whole == pytest.approx(np.sqrt((high**2).sum() / ((high**2).sum() + 4 * values.size)), abs=1e-9)
