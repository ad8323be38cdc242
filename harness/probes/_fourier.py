"""Relative log amplitude of feature maps: which spatial frequencies each unit of a network lets through.

For every unit, after its residual add, over the feature map x of one channel of one image:

    A(k) = log(|FFT2(x)[k, k]| + 1e-6),    k = 0 .. h - floor(h / 2) - 1   (the diagonal, outwards from the centre)
    relative log amplitude at k = mean over images and channels of A(k) - A(0)

the mean of logs, not the log of means, relative to the same map's zero frequency (paper A.2, Figs 2a and 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.probes.common.declaration import UNIT, GroupedParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from harness.probes.common.images import Images

FLOOR = 1e-6


KIND = ProbeKind(
    name="fourier",
    version=1,
    parameters=GroupedParameters,
    keys=(*UNIT, "frequency", "label"),
    values=("delta_log_amplitude",),
    sample="image group",
)


def relative_log_amplitude(maps: Tensor) -> Tensor:
    """The diagonal of the spectrum, relative to the zero frequency, averaged over channels.

    Args:
        maps: [image, channel, height, width] with height = width.

    Returns:
        [image, k] in nats, k = 0 .. h - floor(h / 2) - 1; column 0 is 0.

    Raises:
        HarnessError: the maps are not square: they have no common diagonal.
    """
    import torch

    height, width = maps.shape[-2:]
    if height != width:
        raise HarnessError(
            f"a feature map of {height}×{width}: the spectrum's diagonal needs square maps; use square images"
        )
    # The half spectrum of a real map holds the whole outward diagonal.
    spectrum = torch.fft.rfft2(maps.float()).diagonal(dim1=-2, dim2=-1)[..., : height - height // 2]
    amplitude = (spectrum.abs() + FLOOR).log().mean(1)
    return amplitude - amplitude[:, :1]


def fourier(model: nn.Module, images: Images, *, groups: int = 32) -> pd.DataFrame:
    """Relative log amplitude of every unit of a network that `models.anatomy` knows.

    Args:
        model: any network with an anatomy.
        images: standardised, on the model's device: a tensor [image, channel, height, width] or batches of them, with
            or without labels.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a unit, frequency and group: unit, name, kind, stage, depth (0 to 1), height, width, sample (the group),
        images (in the group), frequency (true angular frequency along each axis, in π), label (the paper's axis,
        where the last bin of every map is 1), delta_log_amplitude (nats). Units whose map has no frequency besides 0
        are left out.
    """
    from harness.probes.common.grouped import frame, group_means

    rows = [
        (*of.about, sample, of.images[sample], 2 * k / of.height, k / (of.values.shape[1] - 1), amplitude)
        for of in group_means(model, images, relative_log_amplitude, groups)
        if of.values.shape[1] > 1
        for k, means in enumerate(of.values.T.tolist())
        for sample, amplitude in enumerate(means)
    ]
    return frame(rows, "sample", "images", "frequency", "label", "delta_log_amplitude")
