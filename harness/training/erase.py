"""Random erasing (Zhong et al. 2020) as timm's RandomErasing, on whole batches on the device."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

ATTEMPTS = 10  # boxes drawn for an image; none may fit, and then the image stays
AREA = (0.02, 1 / 3)  # of the image's
ASPECT = (0.3, 1 / 0.3)  # height over width


def random_erase(
    images: Tensor, *, probability: float, mode: Literal["const", "pixel"], generator: torch.Generator
) -> Tensor:
    """Overwrite a random box of some images.

    Args:
        images: floating point [batch, channel, height, width], standardised; not changed.
        probability: of an image being erased; the paper's is 1/4 on ImageNet and 0 on CIFAR.
        mode: "pixel" writes standard normal noise; "const" writes 0, the mean colour, which is timm's default and what
            the official configuration, silent about it, amounts to.
        generator: on the images' device.

    Returns:
        Same shape, dtype and device.
    """
    batch, _, height, width = images.shape
    chosen = torch.rand(batch, device=images.device, generator=generator) < probability
    box = draw_boxes(batch, height, width, generator) & chosen[:, None, None]
    if mode == "const":
        return images.masked_fill(box[:, None], 0)
    noise = torch.empty_like(images).normal_(generator=generator)
    return torch.where(box[:, None], noise, images)


def draw_boxes(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """A box for every image, bool [batch, height, width]: the first of ten that is smaller than the image both ways."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float64, device=generator.device).uniform_(low, high, generator=generator)

    area = uniform(*AREA, batch, ATTEMPTS) * (height * width)
    aspect = uniform(math.log(ASPECT[0]), math.log(ASPECT[1]), batch, ATTEMPTS).exp()
    rows, columns = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (rows < height) & (columns < width)
    first = fits.int().argmax(1, keepdim=True)

    def within(extent: Tensor, size: int) -> Tensor:
        extent = extent.gather(1, first)
        start = (uniform(0, 1, batch, 1) * (size - extent + 1)).floor()
        pixel = torch.arange(size, device=generator.device)
        return (pixel >= start) & (pixel < start + extent)

    box = within(rows, height)[:, :, None] & within(columns, width)[:, None, :]
    return box & fits.any(1)[:, None, None]
