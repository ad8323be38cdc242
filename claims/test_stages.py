"""Stages: features are alike within one, and MSAs matter at the end of one (claims S1 to S5, paper section 4).

S1 looks at the similarity (CKA) of feature maps, S2 and S3 at the accuracy lost when one unit is taken out: in ResNet
the 3×3 convolution of a block, in Swin the residual branch of an MSA or an MLP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.readings import cka

if TYPE_CHECKING:
    import pandas as pd

    from harness.judging.effects import Effects


def units_and_cka(similarities: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The units of the stages in order, the stem aside, and the similarity of each to each."""
    own = similarities.unit == similarities.other
    units = similarities[own & (similarities.stage > 0)].sort_values("unit")
    return units, cka(similarities).loc[units.unit, units.unit].to_numpy()


def contrast(similarity: np.ndarray, stages: np.ndarray) -> float:
    """Mean similarity of two units of one stage minus that of two units of different stages."""
    same, different_units = stages[:, None] == stages, ~np.eye(len(stages), dtype=bool)
    return similarity[same & different_units].mean() - similarity[~same].mean()


def stage_contrast(similarities: pd.DataFrame) -> float:
    units, similarity = units_and_cka(similarities)
    return contrast(similarity, units.stage.to_numpy())


def pretended_contrast(similarities: pd.DataFrame) -> float:
    """The network cut into 3 or 4 equal parts as if they were stages, whichever contrast more."""
    units, similarity = units_and_cka(similarities)
    return max(contrast(similarity, np.arange(len(units)) * count // len(units)) for count in (3, 4))


@pytest.mark.claim("S1", roles=["resnet", "pit", "swin", "vit"], probes=["similarity"])
def test_S1_features_of_multi_stage_networks_are_alike_within_a_stage(claim: Effects) -> None:
    for name, role in (("ResNet", "resnet"), ("PiT", "pit"), ("Swin", "swin")):
        effect = f"{name}: stage contrast above ViT's with pretended stages"
        claim.effect(effect, role, stage_contrast, minus="vit", minus_statistic=pretended_contrast)


def losses(lesions: pd.DataFrame, kind: str) -> list[pd.Series]:
    """Accuracy lost at the units of one kind, in order, in percentage points: one series a stage."""
    units = lesions[lesions.kind == kind].sort_values("unit")
    return [-stage.delta_accuracy for _, stage in units.groupby("stage")]


def first_block_above_last(lesions: pd.DataFrame) -> float:
    return min(stage.iloc[0] - stage.iloc[-1] for stage in losses(lesions, "conv"))


def stage_1_above_later_ones(lesions: pd.DataFrame) -> float:
    """Of the means over blocks; the first block of a later stage strides and does not count."""
    first, *later = losses(lesions, "conv")
    return min(first.mean() - stage.iloc[1:].mean() for stage in later)


@pytest.mark.claim("S2", roles=["resnet"], probes=["lesion"])
def test_S2_lesions_hurt_resnet_most_in_early_stages_and_at_their_start(claim: Effects) -> None:
    claim.effect("loss at first block above last, smallest over stages", "resnet", first_block_above_last)
    claim.effect("mean loss of stage 1 above other stages, smallest gap", "resnet", stage_1_above_later_ones)


def last_msa_above_last_mlp(lesions: pd.DataFrame) -> float:
    pairs = zip(losses(lesions, "msa"), losses(lesions, "mlp"), strict=True)
    return min(msa.iloc[-1] - mlp.iloc[-1] for msa, mlp in pairs)


def last_msa_above_first(lesions: pd.DataFrame) -> float:
    """In the stages after the first."""
    return min(stage.iloc[-1] - stage.iloc[0] for stage in losses(lesions, "msa")[1:])


def first_mlp_above_last(lesions: pd.DataFrame) -> float:
    return min(stage.iloc[0] - stage.iloc[-1] for stage in losses(lesions, "mlp"))


@pytest.mark.claim("S3", roles=["swin"], probes=["lesion"])
def test_S3_a_swin_stage_needs_its_mlps_at_the_start_and_its_msas_at_the_end(claim: Effects) -> None:
    claim.effect("loss at last MSA above last MLP, smallest over stages", "swin", last_msa_above_last_mlp)
    claim.effect("loss at last MSA above first MSA, smallest over stages 2-4", "swin", last_msa_above_first)
    claim.effect("loss at first MLP above last MLP, smallest over stages", "swin", first_mlp_above_last)
