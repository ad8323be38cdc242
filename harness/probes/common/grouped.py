"""One forward pass over the images, a few numbers an image and unit, and their means over groups of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.probes.common.declaration import UNIT
from harness.probes.common.images import Images, image_batches, peek, shape_of
from models import Unit, anatomy

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class GroupMeans:
    """What was measured of one unit.

    Attributes:
        height: of its map; so is `width`.
        values: float64 [group, value], means over the images of each group.
        images: how many there are in each group.
    """

    unit: Unit
    height: int
    width: int
    values: Tensor
    images: list[int]

    @property
    def about(self) -> tuple[object, ...]:
        """The columns that say of which unit a row of a table is."""
        unit = self.unit
        return unit.index, unit.name, unit.kind, unit.stage, unit.depth, self.height, self.width


@torch.no_grad()
def group_means(model: nn.Module, images: Images, measure: Callable[[Tensor], Tensor], groups: int) -> list[GroupMeans]:
    """Measure every unit's maps during one forward pass of each image, in evaluation mode.

    Streams: a batch is reduced on the device as it passes; what is kept does not grow with the number of images, and
    the result does not depend on how they are cut into batches. Image i belongs to group i mod `groups`; groups that
    no image fell into are left out.

    Args:
        measure: takes maps [image, channel, height, width], gives [image, value].
    """
    first, batches = peek(image_batches(images))
    model.eval()
    body = anatomy(model, example_shape=shape_of(first))
    sums: dict[int, Tensor] = {}
    sizes: dict[int, tuple[int, int]] = {}
    counts = torch.zeros(groups, dtype=torch.long)
    group = torch.empty(0, dtype=torch.long)

    def add(unit: Unit, maps: Tensor) -> None:
        values = measure(maps).double()
        if unit.index not in sums:
            sums[unit.index] = torch.zeros(groups, values.shape[1], dtype=torch.float64, device=maps.device)
            sizes[unit.index] = (maps.shape[-2], maps.shape[-1])
        sums[unit.index].index_add_(0, group.to(maps.device), values)

    seen = 0
    with body.reading(add):
        for batch in batches:
            group = torch.arange(seen, seen + len(batch)) % groups
            counts += group.bincount(minlength=groups)
            model(batch)
            seen += len(batch)
    present = counts > 0
    units = {unit.index: unit for unit in body.units}
    return [
        GroupMeans(
            units[index],
            *sizes[index],
            total.cpu()[present] / counts[present, None],
            counts[present].tolist(),
        )
        for index, total in sorted(sums.items())
    ]


def frame(rows: list[tuple[object, ...]], *columns: str) -> pd.DataFrame:
    """A table whose first columns say of which unit a row is."""
    import pandas as pd

    return pd.DataFrame(rows, columns=[*UNIT, *columns])
