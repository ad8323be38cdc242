"""AlterNet, a CNN with MSAs at the ends of its stages, beats CNNs (claims A1 to A6, paper section 5 and appendix E)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.plan.study import study
from harness.plan.wanted import wanted
from harness.readings import ape, nep, robustness

if TYPE_CHECKING:
    import pandas as pd

    from harness.judging.effects import Effects


def accuracy(predictions: pd.DataFrame) -> float:
    """Top-1 on the clean test set, in percent."""
    return 100 * predictions.correct.iloc[0]


CORRECT = wanted("prediction", brief=True)
PLACEMENTS = study("placement", of="alternet")


@pytest.mark.claim("A1", roles=["alternet", PLACEMENTS], probes=[CORRECT])
def test_A1_msas_at_the_ends_of_stages_raise_accuracy(claim: Effects) -> None:
    placements = claim.study("placement")
    none = next(role for at, role in placements.items() if not any(map(int, str(at).split(","))))
    claim.effect("AlterNet above no MSA", "alternet", accuracy, minus=none)
    for at, role in placements.items():
        if role != none:
            claim.effect(f"MSAs ({at}) above no MSA", role, accuracy, minus=none)


@pytest.mark.claim("A2", part="accuracy", roles=["alternet", "preact_resnet", "vit"], probes=[CORRECT])
def test_A2_alternet_beats_its_resnet_and_resnet_beats_vit(claim: Effects) -> None:
    claim.effect("AlterNet above pre-activation ResNet", "alternet", accuracy, minus="preact_resnet")
    claim.effect("pre-activation ResNet above ViT", "preact_resnet", accuracy, minus="vit")


CORRUPTED = wanted("corruption", brief=True)


def robustness_percent(corrupted: pd.DataFrame) -> float:
    """Accuracy over all corruptions and severities, in percent."""
    return 100 * robustness(corrupted)


@pytest.mark.claim("A2", part="robustness", roles=["alternet", "preact_resnet", "vit"], probes=[CORRUPTED])
def test_A2_alternet_is_more_robust_than_its_resnet_and_resnet_than_vit(claim: Effects) -> None:
    claim.effect("AlterNet above pre-activation ResNet", "alternet", robustness_percent, minus="preact_resnet")
    claim.effect("pre-activation ResNet above ViT", "preact_resnet", robustness_percent, minus="vit")


@pytest.mark.claim("A4", part="accuracy", roles=["alternet", "resnet", "swin"], probes=[CORRECT])
def test_A4_alternet_beats_resnet(claim: Effects) -> None:
    claim.effect("AlterNet above ResNet", "alternet", accuracy, minus="resnet")
    claim.effect("AlterNet above Swin", "alternet", accuracy, minus="swin")


@pytest.mark.claim("A4", part="robustness", roles=["alternet", "resnet", "swin"], probes=[CORRUPTED])
def test_A4_alternet_is_more_robust_than_resnet(claim: Effects) -> None:
    claim.effect("AlterNet above ResNet", "alternet", robustness_percent, minus="resnet")
    claim.effect("AlterNet above Swin", "alternet", robustness_percent, minus="swin")


@pytest.mark.claim("A3", roles=["alternet", "resnet"], probes=[wanted("hessian", after=0)])
def test_A3_after_warmup_the_loss_of_alternet_is_flatter_and_nearly_convex(claim: Effects) -> None:
    claim.effect("ResNet APE above AlterNet APE", "resnet", lambda spectrum: np.log(ape(spectrum)), minus="alternet")
    claim.effect("AlterNet NEP below 2 %", "alternet", lambda spectrum: 0.02 - nep(spectrum))


SIZES = [study("size", of="preact_resnet", at=at) for at in ("depth", "parameters")]
ENDS, MODEL_END, STARTS = (study("where", of="alternet", at=at) for at in ("stage ends", "model end", "stage starts"))


@pytest.mark.claim("D3", part="size", roles=["alternet", *SIZES], probes=[CORRECT])
def test_D3_alternet_beats_resnets_of_its_depth_and_of_its_size(claim: Effects) -> None:
    for at, role in claim.study("size").items():
        claim.effect(f"AlterNet above pre-activation ResNet of equal {at}", "alternet", accuracy, minus=role)


@pytest.mark.claim("D3", part="robustness", roles=["alternet", *SIZES], probes=[CORRUPTED])
def test_D3_alternet_is_more_robust_than_resnets_of_its_depth_and_of_its_size(claim: Effects) -> None:
    for at, role in claim.study("size").items():
        claim.effect(f"AlterNet above pre-activation ResNet of equal {at}", "alternet", robustness_percent, minus=role)


@pytest.mark.claim("D3", part="place", roles=[ENDS, MODEL_END, STARTS], probes=[CORRECT])
def test_D3_msas_belong_at_the_ends_of_stages(claim: Effects) -> None:
    where = claim.study("where")
    for name, at in (("the end of the model", "model end"), ("their starts", "stage starts")):
        claim.effect(f"ends of the stages above {name}", where["stage ends"], accuracy, minus=where[at])


def log_rate(throughputs: pd.DataFrame, what: str = "network") -> float:
    """Log of training images a second."""
    return np.log(throughputs.loc[throughputs.what == what, "images_per_second"].item())


def log_rate_of_blocks(throughputs: pd.DataFrame) -> float:
    return log_rate(throughputs, "msa block") - log_rate(throughputs, "conv block")


@pytest.mark.claim("A5", roles=["alternet", "preact_resnet"], probes=["throughput"])
def test_A5_alternet_trains_faster_than_its_resnet(claim: Effects) -> None:
    claim.effect("AlterNet throughput above pre-activation ResNet", "alternet", log_rate, minus="preact_resnet")
    claim.effect("throughput of an MSA block above a convolution block of its stage", "alternet", log_rate_of_blocks)
