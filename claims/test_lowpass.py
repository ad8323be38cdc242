"""MSAs are low-pass filters, Convs are high-pass filters (claims F1 to F10, paper section 3).

F1 to F4 look at the relative log amplitude of feature maps: the log amplitude of the highest frequency on the diagonal
minus that of frequency zero, after every unit of a network. A unit that lowers it damps high frequencies. F5 adds noise
of one frequency band to the images. F7 to F9 look at the variance of feature maps over their places: a unit that lowers
it averages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.plan.wanted import wanted
from harness.readings import Share, amplitude_of_loss, noise_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from harness.judging.effects import Effects, Statistic


def with_steps(units: pd.DataFrame, value: str) -> pd.DataFrame:
    """The units in order, each with the step of `value` to get there; no step where the resolution changes."""
    units = units.sort_values("unit")
    return units.assign(step=units[value].diff().where(units.height == units.height.shift()))


def highest_frequency(spectrum: pd.DataFrame) -> pd.DataFrame:
    """The units in order, each with the relative log amplitude of its last frequency bin, and the step to get there."""
    return with_steps(spectrum[spectrum.label == 1.0], "delta_log_amplitude")


LEAST_MAP = 7  # px a side, the paper's smallest; like 8 px it has four frequencies


def largest_map(spectrum: pd.DataFrame) -> float:
    return float(spectrum.height.max())


def rise(spectrum: pd.DataFrame) -> float:
    """From the first unit to the last."""
    amplitude = highest_frequency(spectrum).delta_log_amplitude
    return amplitude.iloc[-1] - amplitude.iloc[0]


def rise_within_resolutions(spectrum: pd.DataFrame) -> float:
    """The steps that change no resolution, added up."""
    units = highest_frequency(spectrum)
    return units[units.height >= LEAST_MAP].step.sum()


@pytest.mark.claim("F1", roles=["resnet", "vit"], probes=["fourier"])
def test_F1_resnet_amplifies_high_frequencies_with_depth_and_vit_damps_them(claim: Effects) -> None:
    claim.premise("ResNet: largest map", "resnet", largest_map)
    claim.premise("ViT: largest map", "vit", largest_map)
    claim.effect("ResNet: steps inside stages add up to a rise", "resnet", rise_within_resolutions)
    claim.effect("ViT: steps add up to a fall", "vit", lambda spectrum: -rise_within_resolutions(spectrum))
    claim.effect("ResNet: last unit above first", "resnet", rise)


def late_steps(spectrum: pd.DataFrame, kind: str) -> pd.Series:
    """The steps of one kind of unit, without the first quarter of the blocks, where the paper's own curve differs."""
    units = highest_frequency(spectrum)
    steps = units[units.kind == kind].step
    return steps.iloc[-(-len(steps) // 4) :]


def stated_signs(spectrum: pd.DataFrame) -> float:
    msa, mlp = late_steps(spectrum, "msa"), late_steps(spectrum, "mlp")
    return Share(np.concatenate([msa < 0, mlp > 0]))


@pytest.mark.claim("F2", roles=["vit"], probes=["fourier"])
def test_F2_in_vit_msas_damp_high_frequencies_and_mlps_amplify_them(claim: Effects) -> None:
    claim.premise("ViT: largest map", "vit", largest_map)
    claim.effect("MSA steps are negative on average", "vit", lambda spectrum: -late_steps(spectrum, "msa").mean())
    claim.effect("MLP steps are positive on average", "vit", lambda spectrum: late_steps(spectrum, "mlp").mean())
    claim.effect("share of units with the stated sign", "vit", stated_signs)


def late_blocks_of_pit(units: pd.DataFrame) -> pd.Series:
    """From the third block of stage 2 on."""
    block = units.groupby(["stage", "kind"]).cumcount()
    return (units.stage > 2) | ((units.stage == 2) & (block >= 2))


def late_blocks_of_swin(units: pd.DataFrame) -> pd.Series:
    """The second half of the stages: 3 and 4 of Swin-Ti's four."""
    return units.stage > units.stage.max() / 2


def late_units(spectrum: pd.DataFrame, late: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    units = highest_frequency(spectrum)
    return units[late(units) & (units.height >= LEAST_MAP)]


def mean_step(kind: str, late: Callable[[pd.DataFrame], pd.Series], sign: int) -> Statistic:
    def statistic(spectrum: pd.DataFrame) -> float:
        units = late_units(spectrum, late)
        return sign * units[units.kind == kind].step.mean()

    return statistic


def largest_late_map(late: Callable[[pd.DataFrame], pd.Series]) -> Statistic:
    """0 where all of them are too small to be looked at."""
    return lambda spectrum: float(max(late_units(spectrum, late).height, default=0))


@pytest.mark.claim("F3", roles=["pit", "swin"], probes=["fourier"])
def test_F3_late_msas_of_pit_and_swin_damp_high_frequencies_and_mlps_amplify_them(claim: Effects) -> None:
    for name, role, late in (("PiT", "pit", late_blocks_of_pit), ("Swin", "swin", late_blocks_of_swin)):
        claim.premise(f"{name}: largest late map", role, largest_late_map(late))
        claim.effect(f"{name}: late MSA steps are negative on average", role, mean_step("msa", late, -1))
        claim.effect(f"{name}: late MLP steps are positive on average", role, mean_step("mlp", late, +1))


def map_of_stage_1(spectrum: pd.DataFrame) -> float:
    return float(spectrum[spectrum.stage == 1].height.max())


def rise_over_stage_1(spectrum: pd.DataFrame) -> float:
    """Within one resolution: what comes after changes the resolution, and with it what the last bin means."""
    units = highest_frequency(spectrum)
    stem, first_stage = units[units.stage == 0], units[units.stage == 1]
    return first_stage.delta_log_amplitude.iloc[-1] - stem.delta_log_amplitude.iloc[-1]


@pytest.mark.claim("F4", roles=["resnet"], probes=["fourier"])
def test_F4_convs_amplify_high_frequencies(claim: Effects) -> None:
    claim.premise("ResNet: map of stage 1", "resnet", map_of_stage_1)
    claim.effect("stage 1: last block above stem", "resnet", rise_over_stage_1)
    claim.effect("stem to end: last block above stem", "resnet", rise)


EVEN, ODD = wanted("noise", half="even"), wanted("noise", half="odd")


def loss_of_vit_above_resnet(low: float, high: float) -> Statistic:
    """The share of its accuracy that ViT loses to noise minus ResNet's, mean over the bands from `low` to `high`.

    At the amplitude at which ResNet loses as much as in the paper, on one half of the images, judged on the other half;
    both ways round.
    """

    def judged(chosen_on: pd.DataFrame, *judged_on: pd.DataFrame) -> float:
        amplitude = amplitude_of_loss(chosen_on)
        means = []
        for losses in map(noise_losses, judged_on):
            bands = [f for f in losses.columns if low - 0.01 < f < high + 0.01]
            means.append(np.mean([np.interp(amplitude, losses.index, losses[band]) for band in bands]))
        resnet, vit = means
        return float(vit - resnet)

    def statistic(resnet: pd.DataFrame, resnet_odd: pd.DataFrame, vit: pd.DataFrame, vit_odd: pd.DataFrame) -> float:
        return (judged(resnet, resnet_odd, vit_odd) + judged(resnet_odd, resnet, vit)) / 2

    return statistic


def greatest_loss(noises: pd.DataFrame) -> float:
    """At the lowest frequency, in percentage points."""
    return -noises[noises.frequency == noises.frequency.min()].delta_accuracy.min()


@pytest.mark.claim("F5", roles=["resnet", "vit"], probes=[EVEN, ODD])
def test_F5_vit_suffers_from_low_frequency_noise_resnet_from_high(claim: Effects) -> None:
    low, high = loss_of_vit_above_resnet(0.1, 0.5), loss_of_vit_above_resnet(0.7, 0.9)
    both, halves = ["resnet", "vit"], [EVEN, ODD]
    strongest = "ResNet: loss at 0.1 pi under the strongest noise"
    claim.premise(strongest, "resnet", lambda *noises: min(map(greatest_loss, noises)), probe=halves)
    claim.effect("0.1-0.5 pi: ViT loss above ResNet loss", both, low, probe=halves)
    claim.effect("0.7-0.9 pi: ResNet loss above ViT loss", both, lambda *noises: -high(*noises), probe=halves)


def steps_in_variance(variances: pd.DataFrame, kind: str) -> pd.Series:
    units = with_steps(variances, "variance")
    return units[units.kind == kind].step


def lowering_msas(variances: pd.DataFrame) -> float:
    return Share(steps_in_variance(variances, "msa") < 0)


def raising_mlps(variances: pd.DataFrame, part: float = 1.0) -> float:
    """Among the first `part` of the blocks."""
    steps = steps_in_variance(variances, "mlp")
    return Share(steps.iloc[: round(part * len(steps))] > 0)


def stages_but_the_last(variances: pd.DataFrame) -> list[np.ndarray]:
    """The variances of the blocks of each stage, in order, without the stem and the last stage."""
    blocks = variances[variances.stage.between(1, variances.stage.max() - 1)].sort_values("unit")
    return [stage.variance.to_numpy() for _, stage in blocks.groupby("stage")]


def raising_blocks(variances: pd.DataFrame) -> float:
    return Share(np.concatenate([np.diff(stage) for stage in stages_but_the_last(variances)]) > 0)


@pytest.mark.claim("F7", roles=["vit", "resnet"], probes=["variance"])
def test_F7_msas_lower_feature_map_variance_mlps_and_convs_raise_it(claim: Effects) -> None:
    claim.effect("ViT: share of MSA steps that lower the variance", "vit", lowering_msas)
    claim.effect(
        "ViT: share of first-half MLP steps that raise the variance", "vit", lambda table: raising_mlps(table, 1 / 2)
    )
    claim.effect("ResNet: share of in-stage steps that raise the variance", "resnet", raising_blocks)
    claim.effect("ViT: share of all MLP steps that raise the variance", "vit", raising_mlps)


def peak_at_the_end(stage: int) -> Statistic:
    """Log ratio of the last block of a stage, counted from 1, to its highest other one."""

    def statistic(variances: pd.DataFrame) -> float:
        blocks = stages_but_the_last(variances)[stage - 1]
        return np.log(blocks[-1] / blocks[:-1].max())

    return statistic


@pytest.mark.claim("F8", roles=["resnet"], probes=["variance"])
def test_F8_variance_of_resnet_peaks_at_the_end_of_each_stage(claim: Effects) -> None:
    for stage, blocks in enumerate(stages_but_the_last(claim.average("resnet")), 1):
        if len(blocks) > 1:
            claim.effect(f"stage {stage}: last block above the highest other block", "resnet", peak_at_the_end(stage))


def msa_below_mlp(variances: pd.DataFrame) -> float:
    """Share of blocks."""
    msa, mlp = (steps_in_variance(variances, kind).to_numpy() for kind in ("msa", "mlp"))
    return Share(msa < mlp)


@pytest.mark.claim("F9", roles=["pit", "swin"], probes=["variance"])
def test_F9_msas_of_pit_and_swin_add_less_variance_than_the_mlps_beside_them(claim: Effects) -> None:
    for name, role in (("PiT", "pit"), ("Swin", "swin")):
        claim.effect(f"{name}: share of blocks with MSA step below MLP step", role, msa_below_mlp)
        claim.effect(f"{name}: share of MSA steps that lower the variance", role, lowering_msas)


TOKENS, CHANNELS = 16, 32


def high_frequency_share(values: np.ndarray) -> float:
    """The norm of what is left of [token, channel] without its mean over tokens, as a share of the whole norm."""
    return float(np.linalg.norm(values - values.mean(0)) / np.linalg.norm(values))


def shares_before_and_after(draw: int, times: int = 16) -> tuple[float, float]:
    """Of random values, and of the same averaged again and again by softmax attention of random queries and keys."""
    queries, keys, values = np.random.default_rng(draw).normal(size=(3, TOKENS, CHANNELS))
    weights = np.exp(queries @ keys.T / np.sqrt(CHANNELS))
    attention = weights / weights.sum(1, keepdims=True)
    after = np.linalg.matrix_power(attention, times) @ values
    return high_frequency_share(values), high_frequency_share(after)


@pytest.mark.claim("F10", roles=[], probes=[])
def test_F10_softmax_attention_is_a_low_pass_filter(claim: Effects) -> None:
    before, after = np.transpose([shares_before_and_after(draw) for draw in range(100)])
    claim.effect_over_draws("high-frequency share of V above that of A^16 V", np.log(before / after).tolist())
    claim.effect_over_draws("high-frequency share of A^16 V below 1 %", (0.01 - after).tolist())
