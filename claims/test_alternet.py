"""AlterNet, a CNN with MSAs at the ends of its stages, beats CNNs (claims A1 to A6, paper section 5 and appendix E)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.plan.wanted import wanted
from harness.readings import ape, nep

if TYPE_CHECKING:
    import pandas as pd

    from harness.judging.effects import Effects


def accuracy(predictions: pd.DataFrame) -> float:
    """Top-1 on the clean test set, in percent."""
    return 100 * predictions.correct.iloc[0]


@pytest.mark.claim("A2", part="accuracy", roles=["alternet", "preact_resnet", "vit"], probes=["prediction"])
def test_A2_alternet_beats_its_resnet_and_resnet_beats_vit(claim: Effects) -> None:
    claim.effect("AlterNet above pre-activation ResNet", "alternet", accuracy, minus="preact_resnet")
    claim.effect("pre-activation ResNet above ViT", "preact_resnet", accuracy, minus="vit")


@pytest.mark.claim("A3", roles=["alternet", "resnet"], probes=[wanted("hessian", after=0)])
def test_A3_after_warmup_the_loss_of_alternet_is_flatter_and_nearly_convex(claim: Effects) -> None:
    claim.effect("ResNet APE above AlterNet APE", "resnet", lambda spectrum: np.log(ape(spectrum)), minus="alternet")
    claim.effect("AlterNet NEP below 2 %", "alternet", lambda spectrum: 0.02 - nep(spectrum))
