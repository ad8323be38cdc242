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

from harness.plan.study import study
from harness.plan.wanted import wanted
from harness.readings import ape, nep, rings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from harness.judging.effects import Effects, Statistic
    from harness.plan.study import Place

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


def rise(term: str, least: float, most: float) -> Statistic:
    """Of NLL and a term over the centre, mean over the square rings from `least` to `most`."""

    def statistic(surface: pd.DataFrame) -> float:
        means = rings(surface)
        return means[(means.index > least - 0.01) & (means.index < most + 0.01)][term].mean()

    return statistic


@pytest.mark.claim("L1", roles=["resnet", "vit"], probes=["landscape"])
def test_L1_the_loss_around_vit_rises_more_slowly_than_around_resnet(claim: Effects) -> None:
    for name, term in (("NLL + l2", "nll_and_l2_norms"), ("NLL", "nll")):
        for where, least, most in (("rings r >= 0.3", 0.3, 1.0), ("ring r = 0.1", 0.1, 0.1)):
            claim.effect(f"{name}: ResNet rise above ViT rise, {where}", "resnet", rise(term, least, most), minus="vit")


@pytest.mark.claim("L2", part="warmup", roles=["resnet", "vit"], probes=[WARMUP])
def test_L2_after_warmup_vit_has_smaller_eigenvalues_than_resnet(claim: Effects) -> None:
    claim.effect("warm-up: ResNet APE above ViT APE", "resnet", log_ape, minus="vit")
    claim.effect("warm-up: ViT NEP above ResNet NEP", "vit", nep, minus="resnet")


@pytest.mark.claim("L2", part="training", roles=["resnet", "vit"], probes=[ONE_THIRD, TWO_THIRDS, END])
def test_L2_vit_has_smaller_eigenvalues_than_resnet_all_through_training(claim: Effects) -> None:
    for when, probe in (("one third", ONE_THIRD), ("two thirds", TWO_THIRDS), ("end", END)):
        claim.effect(f"{when} of training: ResNet APE above ViT APE", "resnet", log_ape, minus="vit", probe=probe)


@pytest.mark.claim("L3", roles=["vit", "resnet", study("data", of="vit", at=1 / 16)], probes=[WARMUP])
def test_L3_vit_has_negative_eigenvalues_and_more_data_suppress_them(claim: Effects) -> None:
    claim.effect("ViT NEP above ResNet NEP", "vit", nep, minus="resnet")
    claim.effect("ResNet NEP below 2 %", "resnet", lambda spectrum: 0.02 - nep(spectrum))
    (little,) = claim.study("data").values()
    claim.effect("ViT NEP with 1/16 of the data above NEP with all", little, nep, minus="vit")


def rank_correlation(*tables: pd.DataFrame) -> float:
    """Of error and NLL_train, over networks, each with its predictions and its fit."""
    from scipy.stats import spearmanr

    return spearmanr([error(table) for table in tables[::2]], [nll(table) for table in tables[1::2]]).statistic


@pytest.mark.claim(
    "L4", roles=["resnext", "resnet", "twins", "swin", "pit", "vit", "mixer"], probes=["prediction", "fit"]
)
def test_L4_stronger_inductive_bias_lowers_error_and_training_loss_alike(claim: Effects) -> None:
    both = [wanted("prediction"), wanted("fit")]
    claim.effect("rank correlation of error and NLL_train over the models", claim.roles, rank_correlation, probe=both)
    claim.effect("ViT error above ResNet error", "vit", error, minus="resnet", probe="prediction")
    claim.effect("ViT NLL_train above ResNet NLL_train", "vit", nll, minus="resnet", probe="fit")


def smallest(quantity: Callable[[pd.DataFrame], float]) -> Statistic:
    """Fall of a quantity from one network to the next, where it falls least."""
    return lambda *tables: min(quantity(before) - quantity(after) for before, after in pairwise(tables))


@pytest.mark.claim("L5", roles=[study("data", of="vit"), "vit"], probes=["prediction", "fit"])
def test_L5_with_more_data_vit_has_lower_error_and_training_loss(claim: Effects) -> None:
    claim.effect("error falls with more data, smallest step", claim.roles, smallest(error), probe="prediction")
    claim.effect("NLL_train falls with more data, smallest step", claim.roles, smallest(nll), probe="fit")


@pytest.mark.claim("L6", part="warmup", roles=["vit", study("pooling", of="vit", at="gap")], probes=[WARMUP])
def test_L6_average_pooling_suppresses_negative_eigenvalues(claim: Effects) -> None:
    claim.effect("class-token NEP above GAP NEP", "vit", nep, minus=claim.study("pooling")["gap"])


@pytest.mark.claim("L6", part="accuracy", roles=["vit", study("pooling", of="vit", at="gap")], probes=["prediction"])
def test_L6_average_pooling_makes_vit_more_accurate(claim: Effects) -> None:
    claim.effect("GAP accuracy above class-token accuracy", "vit", error, minus=claim.study("pooling")["gap"])


KERNELS = study("kernel", of="conv_vit")


@pytest.mark.claim("L8", roles=[KERNELS], probes=["prediction", "fit"])
def test_L8_local_attention_beats_global_attention(claim: Effects) -> None:
    three, five, everywhere = (claim.study("kernel")[size] for size in (3, 5, "global"))
    claim.effect("8x8 error above 5x5 error", everywhere, error, minus=five, probe="prediction")
    claim.effect("8x8 NLL_train above 5x5 NLL_train", everywhere, nll, minus=five, probe="fit")
    claim.effect("3x3 NLL_train above 5x5 NLL_train", three, nll, minus=five, probe="fit")
    claim.effect("8x8 NLL_train above 3x3 NLL_train", everywhere, nll, minus=three, probe="fit")
    claim.effect(
        "1.5 pp above the error difference of 3x3 and 5x5",
        [three, five],
        lambda three, five: 1.5 - abs(error(three) - error(five)),
        probe="prediction",
    )


@pytest.mark.claim("L9", roles=[KERNELS], probes=[WARMUP])
def test_L9_local_attention_suppresses_negative_eigenvalues_most_at_5x5(claim: Effects) -> None:
    three, five, everywhere = (claim.study("kernel")[size] for size in (3, 5, "global"))
    claim.effect("8x8 NEP above 5x5 NEP", everywhere, nep, minus=five)
    claim.effect("3x3 NEP above 5x5 NEP", three, nep, minus=five)


@pytest.mark.claim("L11", roles=["mixer", "vit"], probes=["prediction", "fit"])
def test_L11_mixer_whose_weights_do_not_depend_on_data_is_worse_than_vit(claim: Effects) -> None:
    claim.effect("Mixer error above ViT error", "mixer", error, minus="vit", probe="prediction")
    claim.effect("Mixer NLL_train above ViT NLL_train", "mixer", nll, minus="vit", probe="fit")


def smallest_gap(*errors: pd.DataFrame) -> float:
    """Of the error of the second half of the networks above that of the first, where it is smallest."""
    half = len(errors) // 2
    return min(error(vit) - error(resnet) for resnet, vit in zip(errors[:half], errors[half:], strict=True))


@pytest.mark.claim("L12", roles=[study("epochs", of="resnet"), study("epochs", of="vit")], probes=["prediction", "fit"])
def test_L12_longer_training_does_not_make_vit_overfit(claim: Effects) -> None:
    vits = list(claim.study("epochs", of="vit").values())
    claim.effect("ViT error falls with longer training, smallest step", vits, smallest(error), probe="prediction")
    claim.effect("ViT NLL_train falls with longer training, smallest step", vits, smallest(nll), probe="fit")
    claim.effect(
        "ViT error above ResNet error, smallest over the lengths", claim.roles, smallest_gap, probe="prediction"
    )


def gain_of_stages(vit: pd.DataFrame, pit: pd.DataFrame, resnet: pd.DataFrame) -> float:
    """What PiT gains on ViT, above half of what ResNet does."""
    return (error(vit) - error(pit)) - (error(vit) - error(resnet)) / 2


@pytest.mark.claim("L13", roles=["resnet", "vit", "pit"], probes=["prediction", "fit"])
def test_L13_what_a_cnn_gains_on_vit_comes_mostly_from_its_stages(claim: Effects) -> None:
    claim.effect("ViT error above ResNet error", "vit", error, minus="resnet", probe="prediction")
    claim.effect(
        "PiT's gain over ViT above half of ResNet's gain", ["vit", "pit", "resnet"], gain_of_stages, probe="prediction"
    )
    claim.effect("ResNet NLL_train above ViT NLL_train", "resnet", nll, minus="vit", probe="fit")


PATCHES = [study("patch", of="vit")]  # small, medium and large: 2, 4 and 8 px in the paper


@pytest.mark.claim("L14", part="accuracy", roles=PATCHES, probes=["prediction", "fit"])
def test_L14_neither_the_smallest_patch_is_best_nor_the_largest(claim: Effects) -> None:
    small, medium, large = claim.study("patch").values()
    for patch, role in ((2, small), (8, large)):
        claim.effect(f"patch {patch} error above patch 4 error", role, error, minus=medium, probe="prediction")
        claim.effect(f"patch {patch} NLL_train above patch 4 NLL_train", role, nll, minus=medium, probe="fit")


@pytest.mark.claim("L14", part="warmup", roles=PATCHES, probes=[WARMUP])
def test_L14_smaller_patches_are_flatter(claim: Effects) -> None:
    small, medium, large = claim.study("patch").values()
    claim.effect("patch 4 APE above patch 2 APE", medium, log_ape, minus=small)
    claim.effect("patch 8 APE above patch 4 APE", large, log_ape, minus=medium)
    claim.effect("patch 2 NEP above patch 8 NEP", small, nep, minus=large)
    claim.effect("patch 2 NEP above patch 4 NEP", small, nep, minus=medium)


def above_the_largest(resnet: pd.DataFrame, *others: pd.DataFrame) -> float:
    return log_ape(resnet) - max(log_ape(other) for other in others)


@pytest.mark.claim("L15", part="warmup", roles=["resnet", "vit", "pit", "swin"], probes=[WARMUP])
def test_L15_stages_and_locality_flatten_too(claim: Effects) -> None:
    claim.effect("ViT NEP above PiT NEP", "vit", nep, minus="pit")
    claim.effect("Swin NEP above ViT NEP", "swin", nep, minus="vit")
    claim.effect("ViT APE above Swin APE", "vit", log_ape, minus="swin")
    claim.effect("PiT APE above Swin APE", "pit", log_ape, minus="swin")
    claim.effect("ResNet APE above the largest APE of ViT, PiT and Swin", claim.roles, above_the_largest)


def growth(warmup: pd.DataFrame, end: pd.DataFrame) -> float:
    return log_ape(end) - log_ape(warmup)


@pytest.mark.claim("L15", part="training", roles=["vit", "pit", "swin"], probes=[WARMUP, END])
def test_L15_the_eigenvalues_of_swin_grow_least(claim: Effects) -> None:
    both = [WARMUP, END]
    claim.effect("growth of ViT APE above growth of Swin APE", "vit", growth, minus="swin", probe=both)
    claim.effect("growth of PiT APE above growth of Swin APE", "pit", growth, minus="swin", probe=both)


def numbers(places: Iterable[Place]) -> list[float]:
    """Of a study that counts."""
    return [float(place) for place in places]


def exponent(sizes: Sequence[float], spectra: Sequence[pd.DataFrame]) -> float:
    """Slope of log APE over log size."""
    return float(np.polyfit(np.log(sizes), [log_ape(spectrum) for spectrum in spectra], 1)[0])


def fall_of_nep(sizes: Sequence[float], spectra: Sequence[pd.DataFrame]) -> float:
    """Minus the rank correlation with size."""
    from scipy.stats import spearmanr

    return -spearmanr(sizes, [nep(spectrum) for spectrum in spectra]).statistic


def one_above_many(heads: Sequence[float], spectra: Sequence[pd.DataFrame]) -> float:
    """NEP with one head above its mean over six and more."""
    neps = dict(zip(heads, map(nep, spectra), strict=True))
    return neps[1] - float(np.mean([value for count, value in neps.items() if count >= 6]))


@pytest.mark.claim("L16", roles=[study("heads", of="vit")], probes=[WARMUP])
def test_L16_more_heads_flatten_and_convexify(claim: Effects) -> None:
    roles, heads = claim.roles, numbers(claim.study("heads"))
    claim.effect("APE falls with heads, minus the log-log slope", roles, lambda *spectra: -exponent(heads, spectra))
    claim.effect("log-log slope of APE above -0.8", roles, lambda *spectra: exponent(heads, spectra) + 0.8)
    claim.effect(
        "NEP with one head above NEP with six and more", roles, lambda *spectra: one_above_many(heads, spectra)
    )
    claim.effect("NEP falls with heads, minus Spearman", roles, lambda *spectra: fall_of_nep(heads, spectra))


@pytest.mark.claim("L17", roles=[study("width", of="vit")], probes=[WARMUP])
def test_L17_wider_heads_flatten_and_convexify(claim: Effects) -> None:
    roles, widths = claim.roles, numbers(claim.study("width"))
    claim.effect(
        "APE falls with width per head, minus the log-log slope", roles, lambda *spectra: -exponent(widths, spectra)
    )
    claim.effect("APE of the narrowest heads above the widest", roles[0], log_ape, minus=roles[-1])
    claim.effect("NEP of the narrowest heads above the widest", roles[0], nep, minus=roles[-1])


LARGE = ["resnet", "resnet_large", "vit", "vit_large"]


@pytest.mark.claim("L18", part="warmup", roles=LARGE, probes=[WARMUP])
def test_L18_after_warmup_large_networks_have_smaller_eigenvalues(claim: Effects) -> None:
    claim.effect("ResNet APE above large ResNet APE", "resnet", log_ape, minus="resnet_large")
    claim.effect("ViT APE above large ViT APE", "vit", log_ape, minus="vit_large")


@pytest.mark.claim("L18", part="training", roles=LARGE, probes=[END])
def test_L18_at_the_end_the_large_vit_has_smaller_eigenvalues(claim: Effects) -> None:
    claim.effect("ViT APE above large ViT APE", "vit", log_ape, minus="vit_large")
    claim.effect("ResNet APE above large ResNet APE", "resnet", log_ape, minus="resnet_large")


AUGMENTATIONS = [study("augmentation", of="vit"), study("augmentation", of="resnet")]


@pytest.mark.claim("L19", roles=AUGMENTATIONS, probes=[WARMUP])
def test_L19_strong_augmentation_flattens_but_makes_negative_eigenvalues(claim: Effects) -> None:
    vit, resnet = claim.study("augmentation", of="vit"), claim.study("augmentation", of="resnet")
    claim.effect("ViT: weak-augmentation APE above strong", vit["weak"], log_ape, minus=vit["strong"])
    claim.effect("ResNet: weak-augmentation APE above strong", resnet["weak"], log_ape, minus=resnet["strong"])
    claim.effect("ViT: strong-augmentation NEP above weak", vit["strong"], nep, minus=vit["weak"])


CLEAN, OFFICIAL = wanted("hessian", after=0, augment=False), wanted("hessian", after=0, convention="official")


@pytest.mark.claim("D1", roles=["resnet", "vit"], probes=[WARMUP, CLEAN])
def test_D1_the_protocol_does_not_decide_who_is_flatter(claim: Effects) -> None:
    for images, probe in (("augmented", WARMUP), ("clean", CLEAN)):
        for loss, l2 in (("with l2", True), ("without l2", False)):
            size, sign = partial(log_ape, l2=l2), partial(nep, l2=l2)
            claim.effect(f"{images}, {loss}: ResNet APE above ViT APE", "resnet", size, minus="vit", probe=probe)
            claim.effect(f"{images}, {loss}: ViT NEP above ResNet NEP", "vit", sign, minus="resnet", probe=probe)


def more_nep(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return nep(official) - nep(converged)


def more_ape(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return log_ape(official) - log_ape(converged)


@pytest.mark.claim("D2", roles=["vit", "resnet"], probes=[OFFICIAL, WARMUP])
def test_D2_negative_eigenvalues_outlive_the_power_iteration(claim: Effects) -> None:
    claim.effect("converged: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=WARMUP)
    claim.effect("power iteration: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=OFFICIAL)
    for name, role in (("ViT", "vit"), ("ResNet", "resnet")):
        claim.effect(f"{name}: NEP by power iteration above converged NEP", role, more_nep, probe=[OFFICIAL, WARMUP])
        claim.effect(f"{name}: APE by power iteration above converged APE", role, more_ape, probe=[OFFICIAL, WARMUP])
