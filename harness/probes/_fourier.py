"""Relative log amplitude of feature maps: which spatial frequencies each unit of a network lets through.

For every unit, after its residual add, over the feature map x of one channel of one image:

    A(k) = log(|FFT2(x)[k, k]| + 1e-6),    k = 0 .. h - floor(h / 2) - 1   (the diagonal, outwards from the centre)
    relative log amplitude at k = mean over images and channels of A(k) - A(0)

the mean of logs, not the log of means, relative to the same map's zero frequency (paper A.2, Figs 2a and 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from models import Unit, anatomy

if TYPE_CHECKING:
    import pandas as pd

FLOOR = 1e-6


def relative_log_amplitude(maps: Tensor) -> Tensor:
    """The diagonal of the spectrum, relative to the zero frequency, averaged over channels.

    Args:
        maps: [image, channel, height, width] with height = width.

    Returns:
        [image, k] in nats, k = 0 .. h - floor(h / 2) - 1; column 0 is 0.

    Raises:
        HarnessError: the maps are not square: they have no common diagonal.
    """
    height, width = maps.shape[-2:]
    if height != width:
        raise HarnessError(
            f"a feature map of {height}×{width}: the spectrum's diagonal needs square maps; use square images"
        )
    # The half spectrum of a real map holds the whole outward diagonal.
    spectrum = torch.fft.rfft2(maps.float()).diagonal(dim1=-2, dim2=-1)[..., : height - height // 2]
    amplitude = (spectrum.abs() + FLOOR).log().mean(1)
    return amplitude - amplitude[:, :1]


@torch.no_grad()
def fourier(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, groups: int = 32) -> pd.DataFrame:
    """Relative log amplitude of every unit of a network that `models.anatomy` knows.

    Streams: each batch is reduced on the device as it passes, and no feature map is kept. The result does not depend
    on how the images are cut into batches.

    Args:
        model: any network with an anatomy.
        batches: (standardised images [batch, channel, height, width], labels), on the model's device.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a unit, frequency and group: unit, name, kind, stage, depth (0 to 1), height, width, sample (the group),
        images (in the group), frequency (true angular frequency along each axis, in π), label (the paper's axis,
        where the last bin of every map is 1), delta_log_amplitude (nats). Units whose map has no frequency besides 0
        are left out.
    """
    model.eval()
    body = anatomy(model)
    sums: dict[int, Tensor] = {}
    sizes: dict[int, tuple[int, int]] = {}
    counts = torch.zeros(groups, dtype=torch.float64)
    group = torch.empty(0, dtype=torch.long)

    def add(unit: Unit, maps: Tensor) -> None:
        values = relative_log_amplitude(maps).double()
        if unit.index not in sums:
            sums[unit.index] = torch.zeros(groups, values.shape[1], dtype=torch.float64, device=maps.device)
            sizes[unit.index] = (maps.shape[-2], maps.shape[-1])
        sums[unit.index].index_add_(0, group.to(maps.device), values)

    seen = 0
    with body.reading(add):
        for images, _ in batches:
            group = torch.arange(seen, seen + len(images)) % groups
            counts.index_add_(0, group, torch.ones(len(images), dtype=torch.float64))
            model(images)
            seen += len(images)
    units = {unit.index: unit for unit in body.units}
    return _table([(units[i], *sizes[i], total.cpu()) for i, total in sorted(sums.items())], counts)


def _table(units: list[tuple[Unit, int, int, Tensor]], counts: Tensor) -> pd.DataFrame:
    import pandas as pd

    present = counts.nonzero().flatten().tolist()
    rows = []
    for unit, height, width, total in units:
        bins = total.shape[1]
        if bins < 2:
            continue
        means = (total / counts.clamp(min=1)[:, None]).tolist()
        about = (unit.index, unit.name, unit.kind, unit.stage, unit.depth, height, width)
        rows += [
            (*about, sample, int(counts[sample]), 2 * k / height, k / (bins - 1), means[sample][k])
            for k in range(bins)
            for sample in present
        ]
    columns = "unit name kind stage depth height width sample images frequency label delta_log_amplitude"
    return pd.DataFrame(rows, columns=columns.split())
