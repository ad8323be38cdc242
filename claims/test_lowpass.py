"""MSAs are low-pass filters, Convs are high-pass filters (claims F1 to F10, paper section 3).

What is looked at is the relative log amplitude of feature maps: the log amplitude of the highest frequency on the
diagonal minus that of frequency zero, after every unit of a network. A unit that lowers it damps high frequencies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pandas as pd

    from harness.judgement import Judgement


def highest_frequency(spectrum: pd.DataFrame) -> pd.DataFrame:
    """The units in order, each with the relative log amplitude of its last frequency bin, and the step to get there."""
    last = spectrum[spectrum.label == 1.0].sort_values("unit")
    return last.assign(step=last.delta_log_amplitude.diff())


def rise(spectrum: pd.DataFrame) -> float:
    """From the first unit to the last."""
    amplitude = highest_frequency(spectrum).delta_log_amplitude
    return amplitude.iloc[-1] - amplitude.iloc[0]


@pytest.mark.claim("F1", roles=["resnet", "vit"], probes=["fourier"])
def test_F1_resnet_amplifies_high_frequencies_with_depth_and_vit_damps_them(case: Judgement) -> None:
    case.effect("ResNet: last unit above first", "resnet", rise)
    case.effect("ViT: last unit below first", "vit", lambda spectrum: -rise(spectrum))


def late_steps(spectrum: pd.DataFrame, kind: str) -> pd.Series:
    """The steps of one kind of unit, without the first quarter of the blocks, where the paper's own curve differs."""
    units = highest_frequency(spectrum)
    steps = units[units.kind == kind].step
    return steps.iloc[-(-len(steps) // 4) :]


def stated_signs(spectrum: pd.DataFrame) -> float:
    msa, mlp = late_steps(spectrum, "msa"), late_steps(spectrum, "mlp")
    return ((msa < 0).sum() + (mlp > 0).sum()) / (len(msa) + len(mlp))


@pytest.mark.claim("F2", roles=["vit"], probes=["fourier"])
def test_F2_in_vit_msas_damp_high_frequencies_and_mlps_amplify_them(case: Judgement) -> None:
    case.effect("MSA steps are negative on average", "vit", lambda spectrum: -late_steps(spectrum, "msa").mean())
    case.effect("MLP steps are positive on average", "vit", lambda spectrum: late_steps(spectrum, "mlp").mean())
    case.effect("share of units with the stated sign", "vit", stated_signs)


def rise_over_stage_1(spectrum: pd.DataFrame) -> float:
    """Within one resolution: what comes after changes the resolution, and with it what the last bin means."""
    units = highest_frequency(spectrum)
    stem, first_stage = units[units.stage == 0], units[units.stage == 1]
    return first_stage.delta_log_amplitude.iloc[-1] - stem.delta_log_amplitude.iloc[-1]


@pytest.mark.claim("F4", roles=["resnet"], probes=["fourier"])
def test_F4_convs_amplify_high_frequencies(case: Judgement) -> None:
    case.effect("stage 1: last block above stem", "resnet", rise_over_stage_1)
    case.effect("stem to end: last block above stem", "resnet", rise)
