"""Lesions: what a network loses when one of its units is taken out (paper section 4.1, Figs 10b and D.4).

In a block of a ResNet that is one 3×3 convolution, in a transformer the residual branch of one MSA or one MLP; see
`models.units.anatomy.Anatomy.lesion` for what takes their place. Nothing is trained afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.probes.common import without_gradients
from harness.probes.common.declaration import FORWARD, UNIT, GroupedParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from models import Anatomy, Unit


KIND = ProbeKind(
    name="lesion",
    version=1,
    parameters=GroupedParameters,
    keys=(*UNIT, "part"),
    values=("accuracy", "delta_accuracy"),
    sample="image group",
    work=lambda parameters: 20 * FORWARD,  # of about so many units
)


def lesionable(body: Anatomy) -> list[tuple[Unit, str]]:
    """The units that can be taken out, each with the part that the paper removes: "conv3x3" or "branch"."""
    from models import BadOption

    found = []
    for unit in body.units:
        for part in ("conv3x3", "branch"):
            try:
                with body.lesion(unit, part=part):
                    found.append((unit, part))
                    break
            except BadOption:
                continue
    return found


@without_gradients
def lesion(model: nn.Module, images: Iterable[tuple[Tensor, Tensor]], *, groups: int = 32) -> pd.DataFrame:
    """Change of accuracy when a unit is taken out, unit by unit, in evaluation mode.

    Each batch passes once through the whole network and once for every unit; the network is left as it was.

    Args:
        model: any network with an anatomy; gives logits [batch, class].
        images: batches of (standardised images [batch, channel, height, width], labels [batch]), on the model's
            device.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a unit and group: unit, name, kind, stage, depth (0 to 1), height, width, part ("conv3x3" or "branch"),
        sample (the group), images (in the group), accuracy (with the lesion, in per cent), delta_accuracy (accuracy
        with the lesion minus that without, in percentage points). Units without such a part are left out.

    Raises:
        HarnessError: images without labels, or a network in which no unit can be taken out.
    """
    import pandas as pd
    import torch

    from harness.probes.common.images import labelled_batches, peek, shape_of
    from models import anatomy

    (first, _), batches = peek(labelled_batches(images))
    model.eval()
    body = anatomy(model, example_shape=shape_of(first))
    lesions = lesionable(body)
    if not lesions:
        raise HarnessError(f"{type(model).__name__} has no unit with a residual branch or a 3×3 convolution to lesion")
    counts = torch.zeros(groups, dtype=torch.long)
    correct = torch.zeros(len(lesions) + 1, groups, dtype=torch.long)  # the last row: the whole network
    seen = 0
    for batch, labels in batches:
        group = torch.arange(seen, seen + len(batch)) % groups
        counts += group.bincount(minlength=groups)
        right = []
        for unit, part in lesions:
            with body.lesion(unit, part=part):
                right.append(model(batch).argmax(1) == labels)
        right.append(model(batch).argmax(1) == labels)
        correct.index_add_(1, group, torch.stack(right).long().cpu())
        seen += len(batch)
    accuracy = 100 * correct.double() / counts
    rows = [
        (
            *(unit.index, unit.name, unit.kind, unit.stage, unit.depth, *(unit.shape or (0, 1, 1))[1:], part),
            *(sample, count, accuracy[row, sample].item(), (accuracy[row, sample] - accuracy[-1, sample]).item()),
        )
        for row, (unit, part) in enumerate(lesions)
        for sample, count in enumerate(counts.tolist())
        if count
    ]
    return pd.DataFrame(rows, columns=[*UNIT, "part", "sample", "images", "accuracy", "delta_accuracy"])
