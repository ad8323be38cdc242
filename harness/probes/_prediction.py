"""What a network says of each image: the table from which accuracy, NLL and calibration are computed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.probes.common import without_gradients
from harness.probes.common.declaration import ImageParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn


KIND = ProbeKind(
    name="prediction",
    version=1,
    parameters=ImageParameters,
    keys=(),
    values=("correct", "nll"),
    sample="image",
    counted=(),
)


@without_gradients
def prediction(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> pd.DataFrame:
    """Classify every image in evaluation mode (paper A.2: clean test top-1, and NLL).

    Args:
        model: takes [batch, channel, height, width], gives logits [batch, class].
        batches: (standardised images, labels [batch]), on the model's device.

    Returns:
        A row an image: sample (its number), images (1), label, predicted, correct (0 or 1), confidence (largest
        softmax probability), nll (nats).

    Raises:
        HarnessError: no images, or images without labels.
    """
    import pandas as pd
    import torch
    from torch.nn.functional import cross_entropy

    from harness.probes.common.images import labelled_batches

    model.eval()
    rows = []
    for images, labels in labelled_batches(batches):
        logits = model(images).float()
        confidence, predicted = logits.softmax(1).max(1)
        nll = cross_entropy(logits, labels, reduction="none")
        rows.append(torch.stack([labels, predicted, confidence, nll], dim=1).double())
    label, predicted, confidence, nll = torch.cat(rows).T.cpu().numpy()
    return pd.DataFrame(
        {
            "sample": range(len(label)),
            "images": 1,
            "label": label.astype(int),
            "predicted": predicted.astype(int),
            "correct": (label == predicted).astype(float),
            "confidence": confidence,
            "nll": nll,
        }
    )
