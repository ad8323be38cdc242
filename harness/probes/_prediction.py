"""What a network says of each image: accuracy, NLL and calibration are read off it (`harness.readings`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from harness.probes.common import without_gradients
from harness.probes.common.declaration import ImageParameters, ProbeKind
from harness.store.identity import subseed

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn


class PredictionParameters(ImageParameters):
    mc_dropout: int = Field(default=0, ge=0, description="passes with dropout that are averaged; 0 for one without")
    seed: int = Field(default=0, description="of what is dropped")
    brief: bool = Field(default=False, description="only whether each image is classified correctly")

    later = frozenset({"draw", "mc_dropout", "seed", "brief"})


KIND = ProbeKind(
    name="prediction",
    version=2,
    parameters=PredictionParameters,
    keys=(),
    values=("correct", "confidence", "rank", "nll", "brier"),
    sample="image",
    counted=(),
    told=("mc_dropout",),
)


@without_gradients
def prediction(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    mc_dropout: int = 0,
    seed: int = 0,
    brief: bool = False,
) -> pd.DataFrame:
    """Classify every image in evaluation mode (paper A.2: clean test top-1, and NLL).

    Args:
        model: takes [batch, channel, height, width], gives logits [batch, class].
        batches: (standardised images, labels [batch]), on the model's device.
        mc_dropout: so many passes with dropout, whose probabilities are averaged (`harness.metrics.mc_dropout`); none
            for a single one without.
        seed: of what is dropped.
        brief: only sample, images and correct are wanted.

    Returns:
        A row an image: sample (its number), images (1), label, predicted, correct (0 or 1), confidence (largest
        softmax probability), rank (classes with a larger logit than the label), nll (nats), brier (squared distance
        between probabilities and label, 0 to 2).

    Raises:
        HarnessError: no images, images without labels, or passes with dropout of a network that has none.
    """
    import torch

    from harness import metrics
    from harness.probes.common.images import PIECE, in_batches_of, labelled_batches

    model.eval()
    rows = []
    given = labelled_batches(batches)
    # What is dropped of an image depends on those beside it.
    for number, (images, labels) in enumerate(in_batches_of(PIECE, given) if mc_dropout else given):
        if mc_dropout:
            own = subseed("mc dropout", seed, number)
            logits = metrics.mc_dropout(model, images, passes=mc_dropout, seed=own)
        else:
            logits = model(images)
        rows.append(metrics.per_image(logits, labels))
    table = metrics.as_table(torch.cat(rows))
    table.insert(0, "sample", range(len(table)))
    table.insert(1, "images", 1)
    return table[["sample", "images", "correct"]] if brief else table
