"""How well a network fits what it is trained on: NLL on the augmented training set (paper A.2, NLL_train)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from harness.probes.common import without_gradients
from harness.probes.common.declaration import ProbeKind, TrainingParameters

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn


class FitParameters(TrainingParameters):
    groups: int = Field(default=32, ge=2, description="image groups kept apart for the bootstrap")


KIND = ProbeKind(
    name="fit",
    version=2,
    parameters=FitParameters,
    keys=(),
    values=("nll", "entropy"),
    sample="image group",
    told=("augment",),
    split="train",
)


@without_gradients
def fit(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, groups: int = 32) -> pd.DataFrame:
    """Cross-entropy of augmented training images with their soft targets, in evaluation mode.

    The official code takes the mean over the last epoch in training mode instead, while the weights still move.

    Args:
        model: takes [batch, channel, height, width], gives logits [batch, class].
        batches: (inputs, soft targets [batch, class]), on the model's device.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a group: sample (the group), images (in the group), nll (nats), entropy (of the targets, nats: what no
        network gets below; of bare labels 0).

    Raises:
        HarnessError: no images, or images without targets.
    """
    import pandas as pd
    import torch
    from torch.nn.functional import cross_entropy

    from harness.probes.common.images import labelled_batches

    model.eval()
    pairs = labelled_batches(batches)
    rows = []
    for inputs, targets in pairs:
        losses = cross_entropy(model(inputs).float(), targets, reduction="none")
        soft = targets.is_floating_point()
        entropies = torch.special.entr(targets).sum(1) if soft else torch.zeros_like(losses)
        rows.append(torch.stack([losses, entropies], 1))
    whole = torch.cat(rows).double().cpu()
    dealt = [whole[group::groups] for group in range(min(groups, len(whole)))]
    table = [(sample, len(part), *part.mean(0).tolist()) for sample, part in enumerate(dealt)]
    return pd.DataFrame(table, columns=["sample", "images", "nll", "entropy"])
