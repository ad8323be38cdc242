"""MSAs flatten the loss, and ViT's loss is not convex (claims L1 to L19, paper section 2 and appendix C).

D1 and D2 ask whether that depends on how it is measured: it is disputed.

Most of them look at the Hessian of the training loss, mini-batch by mini-batch: its NEP, the share of negative values
among the five largest eigenvalues, and its APE, the mean of the positive ones. Many need no more than the warm-up.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.plan.study import study
from harness.plan.wanted import wanted
from harness.readings import ape, log_nep, nep, rings, robustness, variance_of_log_nep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from harness.judging.effects import Effects, Statistic
    from harness.plan.study import Place
    from harness.plan.wanted import Wanted

WARMUP = wanted("hessian", after=0)
ONE_THIRD, TWO_THIRDS = wanted("hessian", after="1/3"), wanted("hessian", after="2/3")
END = wanted("hessian")
CORRECT = wanted("prediction", brief=True)
FRESH, STALE = wanted("landscape", batchnorm="fresh"), wanted("landscape")


def error(predictions: pd.DataFrame) -> float:
    """On the clean test set, in percent."""
    return 100 * (1 - predictions.correct.iloc[0])


def nll(fits: pd.DataFrame) -> float:
    """NLL_train, in nats."""
    return fits.nll.iloc[0]


def log_ape(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """So that a difference of two is a log ratio."""
    return np.log(ape(spectrum, l2=l2))


def compare_neps(claim: Effects, name: str, role: str, minus: str, probe: Wanted | None = None) -> None:
    """As a log ratio, where the paper has a ratio only."""
    claim.effect(name, role, log_nep, minus=minus, probe=probe, least_variance=variance_of_log_nep)


def still_to_learn(fits: pd.DataFrame) -> float:
    """How far NLL_train lies above the entropy of its targets, in nats."""
    return nll(fits) - fits.entropy.iloc[0]


def unfinished(claim: Effects, **roles: str) -> None:
    """Eigenvalues at the end are those of a network that still learns: the premise of each, by its name."""
    for name, role in roles.items():
        called = f"{name.replace('_', ' ')}: NLL_train above the entropy of its targets"
        claim.premise(called, role, still_to_learn, probe="fit")


def log_rise(term: str, least: float, most: float) -> Statistic:
    """Of NLL and a term over the centre, mean over the square rings from `least` to `most`; nan where it falls."""

    def statistic(surface: pd.DataFrame) -> float:
        means = rings(surface)
        height = means[(means.index > least - 0.01) & (means.index < most + 0.01)][term].mean()
        return math.log(height) if height > 0 else math.nan

    return statistic


@pytest.mark.claim("L1", roles=["resnet", "vit"], probes=[FRESH, STALE])
def test_L1_the_loss_around_vit_rises_more_slowly_than_around_resnet(claim: Effects) -> None:
    for name, term in (("NLL + l2", "nll_and_l2_norms"), ("NLL", "nll")):
        middle, near = log_rise(term, 0.3, 0.5), log_rise(term, 0.1, 0.1)
        for how, statistic, probe in (
            ("", middle, FRESH),
            (", running statistics", middle, STALE),
            (", ring r = 0.1", near, FRESH),
        ):
            effect = f"{name}{how}: ResNet rise above ViT rise"
            claim.effect(effect, "resnet", statistic, minus="vit", probe=probe)


@pytest.mark.claim("L2", part="warmup", roles=["resnet", "vit"], probes=[WARMUP])
def test_L2_after_warmup_vit_has_smaller_eigenvalues_than_resnet(claim: Effects) -> None:
    claim.effect("warm-up: ResNet APE above ViT APE", "resnet", log_ape, minus="vit")
    claim.effect("warm-up: ViT NEP above ResNet NEP", "vit", nep, minus="resnet")


@pytest.mark.claim("L2", part="training", roles=["resnet", "vit"], probes=[ONE_THIRD, TWO_THIRDS, END, "fit"])
def test_L2_vit_has_smaller_eigenvalues_than_resnet_all_through_training(claim: Effects) -> None:
    unfinished(claim, ResNet="resnet", ViT="vit")
    for when, probe in (("one third", ONE_THIRD), ("two thirds", TWO_THIRDS), ("end", END)):
        claim.effect(f"{when} of training: ResNet APE above ViT APE", "resnet", log_ape, minus="vit", probe=probe)


@pytest.mark.claim("L3", part="networks", roles=["vit", "resnet"], probes=[WARMUP])
def test_L3_vit_has_negative_eigenvalues_and_resnet_practically_none(claim: Effects) -> None:
    claim.effect("ViT NEP above ResNet NEP", "vit", nep, minus="resnet")
    claim.effect("ResNet NEP below 2 %", "resnet", lambda spectrum: 0.02 - nep(spectrum))


def compare_data(claim: Effects) -> None:
    little, everything = claim.roles
    claim.effect("ViT NEP with 1/16 of the data above NEP with all", little, nep, minus=everything)


@pytest.mark.claim("L3", part="data", roles=[study("data_steps", of="vit", at=1 / 16), "vit"], probes=[WARMUP])
def test_L3_more_data_suppress_negative_eigenvalues_in_as_many_steps(claim: Effects) -> None:
    compare_data(claim)


@pytest.mark.claim("L3", part="epochs", roles=[study("data", of="vit", at=1 / 16), "vit"], probes=[WARMUP])
def test_L3_more_data_suppress_negative_eigenvalues_in_as_many_epochs(claim: Effects) -> None:
    compare_data(claim)


def rank_correlation(*tables: pd.DataFrame) -> float:
    """Of error and NLL_train, over networks, each with its predictions and its fit."""
    from scipy.stats import spearmanr

    return spearmanr([error(table) for table in tables[::2]], [nll(table) for table in tables[1::2]]).statistic


@pytest.mark.claim("L4", roles=["resnext", "resnet", "twins", "swin", "pit", "vit", "mixer"], probes=[CORRECT, "fit"])
def test_L4_stronger_inductive_bias_lowers_error_and_training_loss_alike(claim: Effects) -> None:
    both = [CORRECT, wanted("fit")]
    claim.effect("rank correlation of error and NLL_train over the models", claim.roles, rank_correlation, probe=both)
    claim.effect("ViT error above ResNet error", "vit", error, minus="resnet", probe=CORRECT)
    claim.effect("ViT NLL_train above ResNet NLL_train", "vit", nll, minus="resnet", probe="fit")


def share(at: Place) -> str:
    """Of the training images, as a fraction."""
    return str(Fraction(at).limit_denominator(100))


@pytest.mark.claim("L5", roles=[study("data", of="vit"), "vit"], probes=[CORRECT, "fit"])
def test_L5_with_more_data_vit_has_lower_error_and_training_loss(claim: Effects) -> None:
    for (less, little), (more, much) in pairwise([*claim.study("data").items(), (1, "vit")]):
        step = f"{share(less)} to {share(more)} of the data"
        claim.effect(f"error falls, {step}", little, error, minus=much, probe=CORRECT)
        claim.effect(f"NLL_train falls, {step}", little, nll, minus=much, probe="fit")


@pytest.mark.claim("L6", part="warmup", roles=["vit", study("pooling", of="vit", at="gap")], probes=[WARMUP])
def test_L6_average_pooling_suppresses_negative_eigenvalues(claim: Effects) -> None:
    compare_neps(claim, "class-token NEP above GAP NEP", "vit", claim.study("pooling")["gap"])


@pytest.mark.claim("L6", part="accuracy", roles=["vit", study("pooling", of="vit", at="gap")], probes=[CORRECT])
def test_L6_average_pooling_makes_vit_more_accurate(claim: Effects) -> None:
    claim.effect("GAP accuracy above class-token accuracy", "vit", error, minus=claim.study("pooling")["gap"])


KERNELS = study("kernel", of="conv_vit")


@pytest.mark.claim("L8", roles=[KERNELS], probes=[CORRECT, "fit"])
def test_L8_local_attention_beats_global_attention(claim: Effects) -> None:
    three, five, everywhere = (claim.study("kernel")[size] for size in (3, 5, "global"))
    claim.effect("8x8 error above 5x5 error", everywhere, error, minus=five, probe=CORRECT)
    claim.effect("8x8 NLL_train above 5x5 NLL_train", everywhere, nll, minus=five, probe="fit")
    claim.effect("3x3 NLL_train above 5x5 NLL_train", three, nll, minus=five, probe="fit")
    claim.effect("8x8 NLL_train above 3x3 NLL_train", everywhere, nll, minus=three, probe="fit")
    claim.effect("3x3 error not 1.5 pp below 5x5 error", three, error, minus=five, probe=CORRECT)
    claim.effect("5x5 error not 1.5 pp below 3x3 error", five, error, minus=three, probe=CORRECT)


@pytest.mark.claim("L9", roles=[KERNELS], probes=[WARMUP])
def test_L9_local_attention_suppresses_negative_eigenvalues_most_at_5x5(claim: Effects) -> None:
    three, five, everywhere = (claim.study("kernel")[size] for size in (3, 5, "global"))
    compare_neps(claim, "8x8 NEP above 5x5 NEP", everywhere, five)
    compare_neps(claim, "3x3 NEP above 5x5 NEP", three, five)


@pytest.mark.claim(
    "L10", roles=[study("kernel", of="conv_vit", at=size) for size in (3, 5)], probes=[wanted("corruption", brief=True)]
)
def test_L10_attention_over_5x5_is_more_robust_than_over_3x3(claim: Effects) -> None:
    three, five = (claim.study("kernel")[size] for size in (3, 5))
    name = "5x5 corrupted accuracy above 3x3 corrupted accuracy"
    claim.effect(name, five, lambda corrupted: 100 * robustness(corrupted), minus=three)


@pytest.mark.claim("L11", roles=["mixer", "vit"], probes=[CORRECT, "fit"])
def test_L11_mixer_whose_weights_do_not_depend_on_data_is_worse_than_vit(claim: Effects) -> None:
    claim.effect("Mixer error above ViT error", "mixer", error, minus="vit", probe=CORRECT)
    claim.effect("Mixer NLL_train above ViT NLL_train", "mixer", nll, minus="vit", probe="fit")


@pytest.mark.claim("L12", roles=[study("epochs", of="resnet"), study("epochs", of="vit")], probes=[CORRECT, "fit"])
def test_L12_longer_training_does_not_make_vit_overfit(claim: Effects) -> None:
    resnets, vits = claim.study("epochs", of="resnet"), claim.study("epochs", of="vit")
    for (shorter, before), (longer, after) in pairwise(vits.items()):
        step = f"{shorter} to {longer} epochs"
        claim.effect(f"ViT error does not rise, {step}", before, error, minus=after, probe=CORRECT)
        claim.effect(f"ViT NLL_train does not rise, {step}", before, nll, minus=after, probe="fit")
    for epochs, vit in vits.items():
        name = f"ViT error above ResNet error, {epochs} epochs"
        claim.effect(name, vit, error, minus=resnets[epochs], probe=CORRECT)


def gain_of_stages(vit: pd.DataFrame, pit: pd.DataFrame, resnet: pd.DataFrame) -> float:
    """What PiT gains on ViT, above half of what ResNet does."""
    return (error(vit) - error(pit)) - (error(vit) - error(resnet)) / 2


@pytest.mark.claim("L13", roles=["resnet_small", "vit_large", "pit"], probes=[CORRECT, "fit"])
def test_L13_what_a_cnn_gains_on_vit_comes_mostly_from_its_stages(claim: Effects) -> None:
    resnet, vit, pit = claim.roles
    claim.premise("ResNet NLL_train above ViT NLL_train", resnet, nll, minus=vit, probe="fit")
    claim.effect("ViT error above ResNet error", vit, error, minus=resnet, probe=CORRECT)
    three = [vit, pit, resnet]
    claim.effect("PiT's gain over ViT above half of ResNet's gain", three, gain_of_stages, probe=CORRECT)
    claim.effect("ResNet NLL_train above ViT NLL_train", resnet, nll, minus=vit, probe="fit")


PATCHES = [study("patch", of="vit")]  # small, medium and large: 2, 4 and 8 px in the paper


@pytest.mark.claim("L14", part="accuracy", roles=PATCHES, probes=[CORRECT, "fit"])
def test_L14_neither_the_smallest_patch_is_best_nor_the_largest(claim: Effects) -> None:
    small, medium, large = claim.study("patch").values()
    for size, role in (("small", small), ("large", large)):
        claim.effect(f"{size} patch error above medium patch error", role, error, minus=medium, probe=CORRECT)
        claim.effect(f"{size} patch NLL_train above medium patch NLL_train", role, nll, minus=medium, probe="fit")


@pytest.mark.claim("L14", part="warmup", roles=PATCHES, probes=[WARMUP])
def test_L14_smaller_patches_are_flatter(claim: Effects) -> None:
    small, medium, large = claim.study("patch").values()
    claim.effect("medium patch APE above small patch APE", medium, log_ape, minus=small)
    claim.effect("large patch APE above medium patch APE", large, log_ape, minus=medium)
    compare_neps(claim, "small patch NEP above large patch NEP", small, large)
    compare_neps(claim, "small patch NEP above medium patch NEP", small, medium)


@pytest.mark.claim("L15", part="warmup", roles=["resnet", "vit", "pit", "swin"], probes=[WARMUP])
def test_L15_stages_and_locality_flatten_too(claim: Effects) -> None:
    compare_neps(claim, "ViT NEP above PiT NEP", "vit", "pit")
    compare_neps(claim, "Swin NEP above ViT NEP", "swin", "vit")
    claim.effect("ViT APE above Swin APE", "vit", log_ape, minus="swin")
    claim.effect("PiT APE above Swin APE", "pit", log_ape, minus="swin")
    for name, role in (("ViT", "vit"), ("PiT", "pit"), ("Swin", "swin")):
        claim.effect(f"ResNet APE above {name} APE", "resnet", log_ape, minus=role)


def growth(warmup: pd.DataFrame, end: pd.DataFrame) -> float:
    return log_ape(end) - log_ape(warmup)


@pytest.mark.claim("L15", part="training", roles=["vit", "pit", "swin"], probes=[WARMUP, END, "fit"])
def test_L15_the_eigenvalues_of_swin_grow_least(claim: Effects) -> None:
    unfinished(claim, ViT="vit", PiT="pit", Swin="swin")
    both = [WARMUP, END]
    claim.effect("growth of ViT APE above growth of Swin APE", "vit", growth, minus="swin", probe=both)
    claim.effect("growth of PiT APE above growth of Swin APE", "pit", growth, minus="swin", probe=both)


def numbers(places: Iterable[Place]) -> list[float]:
    """Of a study that counts."""
    return [float(place) for place in places]


def exponent(sizes: Sequence[float], spectra: Sequence[pd.DataFrame]) -> float:
    """Slope of log APE over log size."""
    return float(np.polyfit(np.log(sizes), [log_ape(spectrum) for spectrum in spectra], 1)[0])


def fall_of_nep(spectra: Sequence[pd.DataFrame]) -> float:
    """Minus the contrast of ranks over sizes that rise, from -1 to 1; its sum over seeds is Page's statistic (1963)."""
    from scipy.stats import rankdata

    ranks = rankdata([nep(spectrum) for spectrum in spectra])
    places = np.arange(1, len(ranks) + 1) - (len(ranks) + 1) / 2
    return -float(places @ ranks / (places @ places))


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
    claim.effect("NEP falls with heads, minus the contrast of ranks", roles, lambda *spectra: fall_of_nep(spectra))


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
    claim.effect("ResNet APE above deeper ResNet APE", "resnet", log_ape, minus="resnet_large")
    claim.effect("ViT APE above wider ViT APE", "vit", log_ape, minus="vit_large")


@pytest.mark.claim("L18", part="training", roles=LARGE, probes=[END, "fit"])
def test_L18_at_the_end_the_large_vit_has_smaller_eigenvalues(claim: Effects) -> None:
    unfinished(claim, ViT="vit", wider_ViT="vit_large")
    claim.effect("ViT APE above wider ViT APE", "vit", log_ape, minus="vit_large", probe=END)
    claim.effect("ResNet APE above deeper ResNet APE", "resnet", log_ape, minus="resnet_large", probe=END)


AUGMENTATIONS = [study("augmentation", of="vit"), study("augmentation", of="resnet")]
CLEAN, OFFICIAL = wanted("hessian", after=0, augment=False), wanted("hessian", after=0, convention="official")


UNDER_WEAK, UNDER_STRONG = (wanted("hessian", after=0, augmentation=name) for name in ("weak", "strong"))
UNDER = {
    "": WARMUP,
    " under weak augmentation": UNDER_WEAK,
    " under strong augmentation": UNDER_STRONG,
    " on clean images": CLEAN,
}


@pytest.mark.claim("L19", roles=AUGMENTATIONS, probes=list(UNDER.values()))
def test_L19_strong_augmentation_flattens_but_makes_negative_eigenvalues(claim: Effects) -> None:
    vit, resnet = claim.study("augmentation", of="vit"), claim.study("augmentation", of="resnet")
    for images, probe in UNDER.items():
        for name, of in (("ViT", vit), ("ResNet", resnet)):
            effect = f"{name}{images}: weak-augmentation APE above strong"
            claim.effect(effect, of["weak"], log_ape, minus=of["strong"], probe=probe)
        compare_neps(claim, f"ViT{images}: strong-augmentation NEP above weak", vit["strong"], vit["weak"], probe)


BATCH_WARMUP, BATCH_END = wanted("hessian", after=0, batchnorm="batch"), wanted("hessian", batchnorm="batch")
PROTOCOLS = {
    "warm-up, running statistics": WARMUP,
    "warm-up, batch statistics": BATCH_WARMUP,
    "end, running statistics": END,
    "end, batch statistics": BATCH_END,
}
BESIDE = {"without l2": (WARMUP, False), "clean images": (CLEAN, True)}


@pytest.mark.claim("D1", part="flatness", roles=["resnet", "vit"], probes=[*PROTOCOLS.values(), CLEAN])
def test_D1_the_protocol_does_not_decide_who_is_flatter(claim: Effects) -> None:
    for name, probe in PROTOCOLS.items():
        claim.effect(f"{name}: ResNet APE above ViT APE", "resnet", log_ape, minus="vit", probe=probe)
    for name, (probe, l2) in BESIDE.items():
        effect = f"warm-up, running statistics, {name}: ResNet APE above ViT APE"
        claim.effect(effect, "resnet", partial(log_ape, l2=l2), minus="vit", probe=probe)


@pytest.mark.claim("D1", part="convexity", roles=["resnet", "vit"], probes=[*PROTOCOLS.values(), CLEAN])
def test_D1_the_protocol_does_not_decide_who_has_negative_eigenvalues(claim: Effects) -> None:
    for name, probe in PROTOCOLS.items():
        claim.effect(f"{name}: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=probe)
    for name, (probe, l2) in BESIDE.items():
        effect = f"warm-up, running statistics, {name}: ViT NEP above ResNet NEP"
        claim.effect(effect, "vit", partial(nep, l2=l2), minus="resnet", probe=probe)


def more_nep(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return nep(official) - nep(converged)


def less_nep(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return -more_nep(official, converged)


def more_ape(official: pd.DataFrame, converged: pd.DataFrame) -> float:
    return log_ape(official) - log_ape(converged)


@pytest.mark.claim("D2", roles=["vit", "resnet"], probes=[OFFICIAL, WARMUP])
def test_D2_negative_eigenvalues_outlive_the_power_iteration(claim: Effects) -> None:
    claim.effect("converged: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=WARMUP)
    claim.effect("power iteration: ViT NEP above ResNet NEP", "vit", nep, minus="resnet", probe=OFFICIAL)
    both = [OFFICIAL, WARMUP]
    for name, role in (("ViT", "vit"), ("ResNet", "resnet")):
        claim.effect(f"{name}: NEP by power iteration not below converged NEP", role, more_nep, probe=both)
        claim.effect(f"{name}: converged NEP not below NEP by power iteration", role, less_nep, probe=both)
        claim.effect(f"{name}: APE by power iteration above converged APE", role, more_ape, probe=both)
