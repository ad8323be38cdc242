"""Variance of feature maps: how much each unit of a network spreads or evens out what stands at different places.

For every unit, after its residual add: the unbiased variance over the places of the feature map of one channel of one
image, averaged over channels and images (paper section 3, Figs 9 and D.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.probes.common.declaration import UNIT, GroupedParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from harness.probes.common.images import Images


KIND = ProbeKind(
    name="variance",
    version=1,
    parameters=GroupedParameters,
    keys=UNIT,
    values=("variance",),
    sample="image group",
)


def spatial_variance(maps: Tensor) -> Tensor:
    """Unbiased variance over the places of each map, averaged over channels.

    Args:
        maps: [image, channel, height, width], of more than one place.

    Returns:
        [image], in squares of the map's unit.
    """
    import torch

    return torch.var(maps.float(), dim=(-2, -1)).mean(1)


def variance(model: nn.Module, images: Images, *, groups: int = 32) -> pd.DataFrame:
    """Feature-map variance of every unit of a network that `models.anatomy` knows.

    Args:
        model: any network with an anatomy.
        images: standardised, on the model's device: a tensor [image, channel, height, width] or batches of them, with
            or without labels.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a unit and group: unit, name, kind, stage, depth (0 to 1), height, width, sample (the group), images (in
        the group), variance. Units whose map is a single place are left out.
    """
    from harness.probes.common.grouped import frame, group_means

    def measure(maps: Tensor) -> Tensor:
        # A single place has no variance; its unit is left out below.
        return spatial_variance(maps)[:, None] if maps[0, 0].numel() > 1 else maps.new_empty(len(maps), 0)

    rows = [
        (*of.about, sample, count, value)
        for of in group_means(model, images, measure, groups)
        for sample, count in enumerate(of.images)
        for value in of.values[sample].tolist()
    ]
    return frame(rows, "sample", "images", "variance")
