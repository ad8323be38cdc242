"""Stages: features are alike within one, and MSAs matter at the end of one (claims S1 to S5, paper section 4).

S1 looks at the similarity (CKA) of feature maps, S2 and S3 at the accuracy lost when one unit is taken out: in ResNet
the 3×3 convolution of a block, in Swin the residual branch of an MSA or an MLP.
"""

from __future__ import annotations

from itertools import accumulate, permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.plan.study import study
from harness.plan.wanted import wanted
from harness.readings import Share, cka

if TYPE_CHECKING:
    import pandas as pd

    from harness.judging.effects import Effects, Statistic


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


def pretended_contrast(count: int) -> Statistic:
    """The network cut into so many equal parts as if they were stages."""

    def statistic(similarities: pd.DataFrame) -> float:
        units, similarity = units_and_cka(similarities)
        return contrast(similarity, np.arange(len(units)) * count // len(units))

    return statistic


def other_cuts(stages: np.ndarray) -> list[np.ndarray]:
    """All other ways to cut the same units into stages of these sizes: in any order, moved by any number of units.

    A stage that is moved beyond the last unit goes on at the first one, as another stage.
    """
    _, sizes = np.unique(stages, return_counts=True)
    count, real = len(stages), frozenset(accumulate(sizes[:-1].tolist()))
    found = {
        frozenset((cut + move) % count for cut in accumulate((0, *order[:-1]))) - {0}
        for order in permutations(sizes.tolist())
        for move in range(count)
    }
    return [np.isin(np.arange(count), list(cuts)).cumsum() for cuts in sorted(found - {real}, key=sorted)]


def contrast_of_other_cuts(similarities: pd.DataFrame) -> np.ndarray:
    units, similarity = units_and_cka(similarities)
    return np.array([contrast(similarity, cut) for cut in other_cuts(units.stage.to_numpy())])


def above_other_cuts(similarities: pd.DataFrame) -> float:
    return stage_contrast(similarities) - contrast_of_other_cuts(similarities).mean()


def share_of_other_cuts(similarities: pd.DataFrame) -> float:
    return Share(contrast_of_other_cuts(similarities) < stage_contrast(similarities))


@pytest.mark.claim("S1", roles=["resnet", "pit", "swin", "vit"], probes=["similarity"])
def test_S1_features_of_multi_stage_networks_are_alike_within_a_stage(claim: Effects) -> None:
    for name, role in (("ResNet", "resnet"), ("PiT", "pit"), ("Swin", "swin")):
        for count in (3, 4):
            effect = f"{name}: stage contrast above ViT's with {count} pretended stages"
            claim.effect(effect, role, stage_contrast, minus="vit", minus_statistic=pretended_contrast(count))
        claim.effect(f"{name}: stage contrast above that of other cuts", role, above_other_cuts)
        claim.effect(f"{name}: share of other cuts with a smaller contrast", role, share_of_other_cuts)


def losses(lesions: pd.DataFrame, kind: str) -> dict[int, np.ndarray]:
    """Accuracy lost at the units of one kind, in order, in percentage points: by stage."""
    units = lesions[lesions.kind == kind].sort_values("unit")
    return {int(stage): -of.delta_accuracy.to_numpy() for stage, of in units.groupby("stage")}


def unstrided(lesions: pd.DataFrame) -> dict[int, np.ndarray]:
    """The convolutions by stage, without the first one of every later stage: it strides."""
    convs = losses(lesions, "conv")
    return {stage: lost if stage == min(convs) else lost[1:] for stage, lost in convs.items()}


def first_conv_above_last(stage: int) -> Statistic:
    def statistic(lesions: pd.DataFrame) -> float:
        lost = unstrided(lesions)[stage]
        return lost[0] - lost[-1]

    return statistic


def stage_1_above(stage: int) -> Statistic:
    """Of the means over blocks."""

    def statistic(lesions: pd.DataFrame) -> float:
        convs = unstrided(lesions)
        return convs[min(convs)].mean() - convs[stage].mean()

    return statistic


@pytest.mark.claim("S2", roles=["resnet"], probes=["lesion"])
def test_S2_lesions_hurt_resnet_most_in_early_stages_and_at_their_start(claim: Effects) -> None:
    convs = unstrided(claim.average("resnet"))
    for stage, blocks in convs.items():
        if len(blocks) > 1:
            effect = f"stage {stage}: loss at the first unstrided block above the last"
            claim.effect(effect, "resnet", first_conv_above_last(stage))
        if len(blocks) and stage != min(convs):
            claim.effect(f"mean loss of stage 1 above that of stage {stage}", "resnet", stage_1_above(stage))


def last_msa_above_last_mlp(stage: int) -> Statistic:
    return lambda lesions: losses(lesions, "msa")[stage][-1] - losses(lesions, "mlp")[stage][-1]


def last_msa_above_first(stage: int) -> Statistic:
    return lambda lesions: losses(lesions, "msa")[stage][-1] - losses(lesions, "msa")[stage][0]


def first_mlp_above_last(stage: int) -> Statistic:
    return lambda lesions: losses(lesions, "mlp")[stage][0] - losses(lesions, "mlp")[stage][-1]


@pytest.mark.claim("S3", roles=["swin"], probes=["lesion"])
def test_S3_a_swin_stage_needs_its_mlps_at_the_start_and_its_msas_at_the_end(claim: Effects) -> None:
    stages = losses(claim.average("swin"), "msa")
    for stage, blocks in stages.items():
        claim.effect(f"stage {stage}: loss at last MSA above last MLP", "swin", last_msa_above_last_mlp(stage))
        if len(blocks) > 1:
            if stage != min(stages):
                claim.effect(f"stage {stage}: loss at last MSA above first MSA", "swin", last_msa_above_first(stage))
            claim.effect(f"stage {stage}: loss at first MLP above last MLP", "swin", first_mlp_above_last(stage))


def accuracy(predictions: pd.DataFrame) -> float:
    """Top-1 on the clean test set, in percent."""
    return 100 * predictions.correct.iloc[0]


WHERE = [study("where", of="alternet", at=at) for at in ("stage ends", "model end")]


@pytest.mark.claim("S5", roles=WHERE, probes=[wanted("prediction", brief=True)])
def test_S5_msas_belong_at_the_ends_of_stages_not_at_the_end_of_the_model(claim: Effects) -> None:
    where = claim.study("where")
    name = "MSAs at the ends of stages above as many at the end of the model"
    claim.effect(name, where["stage ends"], accuracy, minus=where["model end"])
