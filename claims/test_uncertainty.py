"""How sure networks are of what they say (claim U1, paper appendix F)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.plan.study import study
from harness.readings import signed_ece

if TYPE_CHECKING:
    import pandas as pd

    from harness.judging.effects import Effects


def under_confidence(predictions: pd.DataFrame) -> float:
    """Accuracy above confidence, which an average over images has as its table: in which bins they fall cancels."""
    return -signed_ece(predictions)


AUGMENTATIONS = [study("augmentation", of="resnet"), study("augmentation", of="vit")]


@pytest.mark.claim("U1", roles=AUGMENTATIONS, probes=["prediction"])
def test_U1_strong_augmentation_makes_under_confident_weak_leaves_over_confident(claim: Effects) -> None:
    for name, of in (("ResNet", "resnet"), ("ViT", "vit")):
        roles = claim.study("augmentation", of=of)
        claim.effect(f"{name}, strong: accuracy above confidence", roles["strong"], under_confidence)
        claim.effect(f"{name}, weak: confidence above accuracy", roles["weak"], signed_ece)
