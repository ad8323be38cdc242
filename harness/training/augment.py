"""Augmentation on the device: batched, and drawn for every image on its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def crop_and_flip(images: Tensor, *, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Random crop of the zero-padded image at its old size, then a mirror image with probability 1/2.

    Args:
        images: [batch, channel, height, width], any dtype.
        padding: pixels of zero on each side; 0 for no crop.
        generator: on the images' device.

    Returns:
        Same shape, dtype and device, channels last in memory.
    """
    batch, channels, height, width = images.shape
    device = images.device

    def draw(high: int) -> Tensor:
        return torch.randint(high, (batch, 1), device=device, generator=generator)

    rows = torch.arange(height, device=device) + draw(2 * padding + 1)
    columns = torch.arange(width, device=device).expand(batch, width)
    if flip:
        columns = torch.where(draw(2).bool(), columns.flip(1), columns)
    columns = columns + draw(2 * padding + 1)
    # A pixel's channels lie together, so that one index fetches them all.
    padded = pad(images, (padding,) * 4).permute(0, 2, 3, 1).contiguous()
    first_row = torch.arange(batch, device=device)[:, None] * (height + 2 * padding)
    pixels = (first_row + rows)[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    chosen = padded.view(-1, channels).index_select(0, pixels.view(-1))
    return chosen.view(batch, height, width, channels).permute(0, 3, 1, 2)
