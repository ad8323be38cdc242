"""MSAs flatten the loss, and ViT's loss is not convex (claims L1 to L19, paper section 2 and appendix C).

D1 and D2 ask whether that depends on how it is measured: it is disputed.

Most of them look at the Hessian of the training loss, mini-batch by mini-batch: its NEP, the share of negative values
among the five largest eigenvalues, and its APE, the mean of the positive ones. Many need no more than the warm-up.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.plan.wanted import wanted
from harness.readings import ape, nep, rings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from harness.judging.effects import Judgement, Statistic

WARMUP = wanted("hessian", after=0)
ONE_THIRD, TWO_THIRDS = wanted("hessian", after="1/3"), wanted("hessian", after="2/3")
END = wanted("hessian")


def error(predictions: pd.DataFrame) -> float:
    """On the clean test set, in percent."""
    return 100 * (1 - predictions.correct.iloc[0])


def nll(fits: pd.DataFrame) -> float:
    """NLL_train, in nats."""
    return fits.nll.iloc[0]


def log_ape(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """So that a difference of two is a log ratio."""
    return np.log(ape(spectrum, l2=l2))


def numbers(roles: Sequence[str]) -> list[int]:
    """That the names of variants end in."""
    return [int(role.rpartition("_")[2]) for role in roles]


def rise(term: str, least: float, most: float) -> Statistic:
    """Of NLL and a term over the centre, mean over the square rings from `least` to `most`."""

    def statistic(surface: pd.DataFrame) -> float:
        means = rings(surface)
        return means[(means.index > least - 0.01) & (means.index < most + 0.01)][term].mean()

    return statistic


@pytest.mark.claim("L1", roles=["resnet", "vit"], probes=["landscape"])
def test_L1_the_loss_around_vit_rises_more_slowly_than_around_resnet(case: Judgement) -> None:
    for name, term in (("NLL + l2", "nll_and_l2_norms"), ("NLL", "nll")):
        for where, least, most in (("rings r >= 0.3", 0.3, 1.0), ("ring r = 0.1", 0.1, 0.1)):
            case.effect(f"{name}: ResNet rise above ViT rise, {where}", "resnet", rise(term, least, most), minus="vit")


@pytest.mark.claim("L2", part="warmup", roles=["resnet", "vit"], probes=[WARMUP])
def test_L2_after_warmup_vit_has_smaller_eigenvalues_than_resnet(case: Judgement) -> None:
    case.effect("warm-up: ResNet APE above ViT APE", "resnet", log_ape, minus="vit")
    case.effect("warm-up: ViT NEP above ResNet NEP", "vit", nep, minus="resnet")


@pytest.mark.claim("L2", part="training", roles=["resnet", "vit"], probes=[ONE_THIRD, TWO_THIRDS, END])
def test_L2_vit_has_smaller_eigenvalues_than_resnet_all_through_training(case: Judgement) -> None:
    for when, probe in (("one third", ONE_THIRD), ("two thirds", TWO_THIRDS), ("end", END)):
        case.effect(f"{when} of training: ResNet APE above ViT APE", "resnet", log_ape, minus="vit", probe=probe)


@pytest.mark.claim("L3", roles=["vit", "resnet", "vit_data_1_16"], probes=[WARMUP])
def test_L3_vit_has_negative_eigenvalues_and_more_data_suppress_them(case: Judgement) -> None:
    case.effect("ViT NEP above ResNet NEP", "vit", nep, minus="resnet")
    case.effect("ResNet NEP below 2 %", "resnet", lambda spectrum: 0.02 - nep(spectrum))
    case.effect("ViT NEP with 1/16 of the data above NEP with all", "vit_data_1_16", nep, minus="vit")


def rank_correlation(*tables: pd.DataFrame) -> float:
    """Of error and NLL_train, over networks, each with its predictions and its fit."""
    from scipy.stats import spearmanr

    return spearmanr([error(table) for table in tables[::2]], [nll(table) for table in tables[1::2]]).statistic


@pytest.mark.claim(
    "L4", roles=["resnext", "resnet", "twins", "swin", "pit", "vit", "mixer"], probes=["prediction", "fit"]
)
def test_L4_stronger_inductive_bias_lowers_error_and_training_loss_alike(case: Judgement) -> None:
    both = [wanted("prediction"), wanted("fit")]
    case.effect("rank correlation of error and NLL_train over the models", case.roles, rank_correlation, probe=both)
    case.effect("ViT error above ResNet error", "vit", error, minus="resnet", probe="prediction")
    case.effect("ViT NLL_train above ResNet NLL_train", "vit", nll, minus="resnet", probe="fit")


def smallest(quantity: Callable[[pd.DataFrame], float]) -> Statistic:
    """Fall of a quantity from one network to the next, where it falls least."""
    return lambda *tables: min(quantity(before) - quantity(after) for before, after in pairwise(tables))


@pytest.mark.claim("L5", roles=["vit_data_*", "vit"], probes=["prediction", "fit"])
def test_L5_with_more_data_vit_has_lower_error_and_training_loss(case: Judgement) -> None:
    case.effect("error falls with more data, smallest step", case.roles, smallest(error), probe="prediction")
    case.effect("NLL_train falls with more data, smallest step", case.roles, smallest(nll), probe="fit")


@pytest.mark.claim("L6", part="warmup", roles=["vit", "vit_gap"], probes=[WARMUP])
def test_L6_average_pooling_suppresses_negative_eigenvalues(case: Judgement) -> None:
    case.effect("class-token NEP above GAP NEP", "vit", nep, minus="vit_gap")


@pytest.mark.claim("L6", part="accuracy", roles=["vit", "vit_gap"], probes=["prediction"])
def test_L6_average_pooling_makes_vit_more_accurate(case: Judgement) -> None:
    case.effect("GAP accuracy above class-token accuracy", "vit", error, minus="vit_gap")


KERNELS = ["conv_vit_3", "conv_vit_5", "conv_vit_global"]


@pytest.mark.claim("L8", roles=KERNELS, probes=["prediction", "fit"])
def test_L8_local_attention_beats_global_attention(case: Judgement) -> None:
    three, five, everywhere = KERNELS
    case.effect("8x8 error above 5x5 error", everywhere, error, minus=five, probe="prediction")
    case.effect("8x8 NLL_train above 5x5 NLL_train", everywhere, nll, minus=five, probe="fit")
    case.effect("3x3 NLL_train above 5x5 NLL_train", three, nll, minus=five, probe="fit")
    case.effect("8x8 NLL_train above 3x3 NLL_train", everywhere, nll, minus=three, probe="fit")
    case.effect(
        "1.5 pp above the error difference of 3x3 and 5x5",
        [three, five],
        lambda three, five: 1.5 - abs(error(three) - error(five)),
        probe="prediction",
    )


@pytest.mark.claim("L9", roles=KERNELS, probes=[WARMUP])
def test_L9_local_attention_suppresses_negative_eigenvalues_most_at_5x5(case: Judgement) -> None:
    three, five, everywhere = KERNELS
    case.effect("8x8 NEP above 5x5 NEP", everywhere, nep, minus=five)
    case.effect("3x3 NEP above 5x5 NEP", three, nep, minus=five)


@pytest.mark.claim("L11", roles=["mixer", "vit"], probes=["prediction", "fit"])
def test_L11_mixer_whose_weights_do_not_depend_on_data_is_worse_than_vit(case: Judgement) -> None:
    case.effect("Mixer error above ViT error", "mixer", error, minus="vit", probe="prediction")
    case.effect("Mixer NLL_train above ViT NLL_train", "mixer", nll, minus="vit", probe="fit")


def smallest_gap(*errors: pd.DataFrame) -> float:
    """Of the error of the second half of the networks above that of the first, where it is smallest."""
    half = len(errors) // 2
    return min(error(vit) - error(resnet) for resnet, vit in zip(errors[:half], errors[half:], strict=True))


@pytest.mark.claim("L12", roles=["resnet_epochs_*", "vit_epochs_*"], probes=["prediction", "fit"])
def test_L12_longer_training_does_not_make_vit_overfit(case: Judgement) -> None:
    vits = case.roles[len(case.roles) // 2 :]
    case.effect("ViT error falls with longer training, smallest step", vits, smallest(error), probe="prediction")
    case.effect("ViT NLL_train falls with longer training, smallest step", vits, smallest(nll), probe="fit")
    case.effect("ViT error above ResNet error, smallest over the lengths", case.roles, smallest_gap, probe="prediction")


def gain_of_stages(vit: pd.DataFrame, pit: pd.DataFrame, resnet: pd.DataFrame) -> float:
    """What PiT gains on ViT, above half of what ResNet does."""
    return (error(vit) - error(pit)) - (error(vit) - error(resnet)) / 2


@pytest.mark.claim("L13", roles=["resnet", "vit", "pit"], probes=["prediction", "fit"])
def test_L13_what_a_cnn_gains_on_vit_comes_mostly_from_its_stages(case: Judgement) -> None:
    case.effect("ViT error above ResNet error", "vit", error, minus="resnet", probe="prediction")
    case.effect(
        "PiT's gain over ViT above half of ResNet's gain", ["vit", "pit", "resnet"], gain_of_stages, probe="prediction"
    )
    case.effect("ResNet NLL_train above ViT NLL_train", "resnet", nll, minus="vit", probe="fit")


PATCHES = {2: "vit_patch_small", 4: "vit_patch_medium", 8: "vit_patch_large"}


@pytest.mark.claim("L14", part="accuracy", roles=list(PATCHES.values()), probes=["prediction", "fit"])
def test_L14_neither_the_smallest_patch_is_best_nor_the_largest(case: Judgement) -> None:
    for patch in (2, 8):
        name = f"patch {patch} {{0}} above patch 4 {{0}}"
        case.effect(name.format("error"), PATCHES[patch], error, minus=PATCHES[4], probe="prediction")
        case.effect(name.format("NLL_train"), PATCHES[patch], nll, minus=PATCHES[4], probe="fit")


@pytest.mark.claim("L14", part="warmup", roles=list(PATCHES.values()), probes=[WARMUP])
def test_L14_smaller_patches_are_flatter(case: Judgement) -> None:
    case.effect("patch 4 APE above patch 2 APE", PATCHES[4], log_ape, minus=PATCHES[2])
    case.effect("patch 8 APE above patch 4 APE", PATCHES[8], log_ape, minus=PATCHES[4])
    case.effect("patch 2 NEP above patch 8 NEP", PATCHES[2], nep, minus=PATCHES[8])
    case.effect("patch 2 NEP above patch 4 NEP", PATCHES[2], nep, minus=PATCHES[4])


def above_the_largest(resnet: pd.DataFrame, *others: pd.DataFrame) -> float:
    return log_ape(resnet) - max(log_ape(other) for other in others)


@pytest.mark.claim("L15", part="warmup", roles=["resnet", "vit", "pit", "swin"], probes=[WARMUP])
def test_L15_stages_and_locality_flatten_too(case: Judgement) -> None:
    case.effect("ViT NEP above PiT NEP", "vit", nep, minus="pit")
    case.effect("Swin NEP above ViT NEP", "swin", nep, minus="vit")
    case.effect("ViT APE above Swin APE", "vit", log_ape, minus="swin")
    case.effect("PiT APE above Swin APE", "pit", log_ape, minus="swin")
    case.effect("ResNet APE above the largest APE of ViT, PiT and Swin", case.roles, above_the_largest)


def growth(warmup: pd.DataFrame, end: pd.DataFrame) -> float:
    return log_ape(end) - log_ape(warmup)


@pytest.mark.claim("L15", part="training", roles=["vit", "pit", "swin"], probes=[WARMUP, END])
def test_L15_the_eigenvalues_of_swin_grow_least(case: Judgement) -> None:
    both = [WARMUP, END]
    case.effect("growth of ViT APE above growth of Swin APE", "vit", growth, minus="swin", probe=both)
    case.effect("growth of PiT APE above growth of Swin APE", "pit", growth, minus="swin", probe=both)


def exponent(sizes: Sequence[int], spectra: Sequence[pd.DataFrame]) -> float:
    """Slope of log APE over log size."""
    return float(np.polyfit(np.log(sizes), [log_ape(spectrum) for spectrum in spectra], 1)[0])


def fall_of_nep(sizes: Sequence[int], spectra: Sequence[pd.DataFrame]) -> float:
    """Minus the rank correlation with size."""
    from scipy.stats import spearmanr

    return -spearmanr(sizes, [nep(spectrum) for spectrum in spectra]).statistic


def one_above_many(heads: Sequence[int], spectra: Sequence[pd.DataFrame]) -> float:
    """NEP with one head above its mean over six and more."""
    neps = dict(zip(heads, map(nep, spectra), strict=True))
    return neps[1] - float(np.mean([value for count, value in neps.items() if count >= 6]))


@pytest.mark.claim("L16", roles=["vit_heads_*"], probes=[WARMUP])
def test_L16_more_heads_flatten_and_convexify(case: Judgement) -> None:
    roles, heads = case.roles, numbers(case.roles)
    case.effect("APE falls with heads, minus the log-log slope", roles, lambda *spectra: -exponent(heads, spectra))
    case.effect("log-log slope of APE above -0.8", roles, lambda *spectra: exponent(heads, spectra) + 0.8)
    case.effect("NEP with one head above NEP with six and more", roles, lambda *spectra: one_above_many(heads, spectra))
    case.effect("NEP falls with heads, minus Spearman", roles, lambda *spectra: fall_of_nep(heads, spectra))


@pytest.mark.claim("L17", roles=["vit_width_*"], probes=[WARMUP])
def test_L17_wider_heads_flatten_and_convexify(case: Judgement) -> None:
    roles, widths = case.roles, numbers(case.roles)
    case.effect(
        "APE falls with width per head, minus the log-log slope", roles, lambda *spectra: -exponent(widths, spectra)
    )
    case.effect("APE of the narrowest heads above the widest", roles[0], log_ape, minus=roles[-1])
    case.effect("NEP of the narrowest heads above the widest", roles[0], nep, minus=roles[-1])


LARGE = ["resnet", "resnet_large", "vit", "vit_large"]


@pytest.mark.claim("L18", part="warmup", roles=LARGE, probes=[WARMUP])
def test_L18_after_warmup_large_networks_have_smaller_eigenvalues(case: Judgement) -> None:
    case.effect("ResNet APE above large ResNet APE", "resnet", log_ape, minus="resnet_large")
    case.effect("ViT APE above large ViT APE", "vit", log_ape, minus="vit_large")


@pytest.mark.claim("L18", part="training", roles=LARGE, probes=[END])
def test_L18_at_the_end_the_large_vit_has_smaller_eigenvalues(case: Judgement) -> None:
    case.effect("ViT APE above large ViT APE", "vit", log_ape, minus="vit_large")
    case.effect("ResNet APE above large ResNet APE", "resnet", log_ape, minus="resnet_large")


@pytest.mark.claim("L19", roles=["vit_weak", "vit_strong", "resnet_weak", "resnet_strong"], probes=[WARMUP])
def test_L19_strong_augmentation_flattens_but_makes_negative_eigenvalues(case: Judgement) -> None:
    case.effect("ViT: weak-augmentation APE above strong", "vit_weak", log_ape, minus="vit_strong")
    case.effect("ResNet: weak-augmentation APE above strong", "resnet_weak", log_ape, minus="resnet_strong")
    case.effect("ViT: strong-augmentation NEP above weak", "vit_strong", nep, minus="vit_weak")


CLEAN, OFFICIAL = wanted("hessian", after=0, augment=False), wanted("hessian", after=0, convention="official")


@pytest.mark.claim("D1", roles=["resnet", "vit"], probes=[WARMUP, CLEAN])
def test_D1_the_protocol_does_not_decide_who_is_flatter(case: Judgement) -> None:
    for images, probe in (("augmented", WARMUP), ("clean", CLEAN)):
        for loss, l2 in (("with l2", True), ("without l2", False)):
            size, sign = partial(log_ape, l2=l2), partial(nep, l2=l2)
            case.effect(f"{images}, {loss}: ResNet APE above ViT APE", "resnet", size, minus="vit", probe=probe)
            case.effect(f"{images}, {loss}: ViT NEP above ResNet NEP", "vit", sign, minus="resnet", probe=probe)


def more_nep(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return nep(official) - nep(converged)


def more_ape(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return log_ape(official) - log_ape(converged)


@pytest.mark.claim("D2", roles=["vit", "resnet"], probes=[OFFICIAL, WARMUP])
def test_D2_negative_eigenvalues_outlive_the_power_iteration(case: Judgement) -> None:
    case.effect("converged: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=WARMUP)
    case.effect("power iteration: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=OFFICIAL)
    for name, role in (("ViT", "vit"), ("ResNet", "resnet")):
        case.effect(f"{name}: NEP by power iteration above converged NEP", role, more_nep, probe=[OFFICIAL, WARMUP])
        case.effect(f"{name}: APE by power iteration above converged APE", role, more_ape, probe=[OFFICIAL, WARMUP])
