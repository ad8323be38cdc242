"""RandAugment's image operations on whole batches, with the integer arithmetic of PIL.

Every function takes uint8 images [batch, channel, height, width] with one argument per image ([batch]) and returns new
images of the same shape. Nothing here waits for the device: no shape depends on a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

# Interpolation in float32 is off by less than this, in grey levels; PIL, in float64, cuts the fraction off. Without it
# a flat region of 200 could come out as 199.
ROUNDING = 2.0**-12


def _per_image(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def invert(images: Tensor) -> Tensor:
    """255 - x."""
    return 255 - images


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the `bits` most significant bits, 0..8; with 0 the image is black, as before Pillow refused it."""
    return images & _per_image(256 - 2 ** (8 - bits)).to(torch.uint8)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """255 - x where x is at or above the threshold, 0..256."""
    return torch.where(images < _per_image(threshold), images, 255 - images)


def solarize_add(images: Tensor, addition: Tensor) -> Tensor:
    """x + addition, at most 255, where x is below 128; addition in 0..128, so that nothing overflows."""
    return torch.where(images < 128, images + _per_image(addition).to(torch.uint8), images)


def auto_contrast(images: Tensor) -> Tensor:
    """Stretch every channel linearly to 0..255; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True).double(), images.amax((2, 3), keepdim=True).double()
    scale = torch.full_like(low, 255) / (high - low).clamp(min=1)  # 255 / x would be 255 times the rounded 1 / x
    stretched = (images * scale - low * scale).clamp_(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def equalize(images: Tensor) -> Tensor:
    """Equalise the histogram of every channel; one whose pixels (almost) all share a value stays."""
    flat = images.flatten(2).long()
    counts = flat.new_zeros(*flat.shape[:2], 256).scatter_add_(2, flat, torch.ones_like(flat))
    brightest = counts.gather(2, flat.amax(2, keepdim=True))
    step = (flat.shape[2] - brightest) // 255
    table = (step // 2 + counts.cumsum(2) - counts) // step.clamp(min=1)
    table = torch.where(step > 0, table.clamp(max=255), torch.arange(256, device=images.device))
    return table.to(torch.uint8).gather(2, flat).view_as(images)


def _blend(degenerate: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Degenerate image at factor 0, the image itself at 1, beyond it above; float32, rounded towards 0, as PIL does."""
    difference = images.float() - degenerate
    return difference.mul_(_per_image(factor).float()).add_(degenerate).clamp_(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    """ITU-R 601 luma in PIL's 16-bit fixed point, int32 [batch, 1, height, width]; one channel is its own."""
    if images.shape[1] == 1:
        return images.int()
    red, green, blue = images.int().split(1, dim=1)
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16


def color(images: Tensor, factor: Tensor) -> Tensor:
    """Away from (above 1) or towards (below 1) grey; an image of one channel has no colour and stays."""
    return _blend(_grey(images), images, factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Away from or towards the mean grey of the image, rounded."""
    total, pixels = _grey(images).sum((1, 2, 3)), images[0, 0].numel()
    return _blend(_per_image((2 * total + pixels) // (2 * pixels)), images, factor)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Away from or towards black."""
    return (images * _per_image(factor).float()).clamp_(max=255).to(torch.uint8)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Away from or towards a 3×3 smoothing with weights 1 and, in the centre, 5; the outermost pixels stay."""
    smooth = images.float()
    rows = smooth[..., :-2] + smooth[..., 1:-1] + smooth[..., 2:]
    box = rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :]
    inner = smooth[..., 1:-1, 1:-1]
    inner.copy_((box + 4 * inner).div_(13).add_(0.5).floor_())
    return _blend(smooth, images, factor)


def affine(images: Tensor, matrix: Tensor, *, fill: Sequence[int], bicubic: bool) -> Tensor:
    """The output pixel at (x, y) is the input at (a x + b y + c, d x + e y + f), interpolated; `fill` from outside.

    A pixel's centre is at (column + 1/2, row + 1/2). Interpolation at the border repeats the outermost pixels. Bicubic
    is Keys' kernel with a = -1, PIL's for transformations.

    Args:
        matrix: (a, b, c, d, e, f), float64 [batch, 6].
        fill: one value per channel.
    """
    batch, channels, height, width = images.shape
    device, taps = images.device, 4 if bicubic else 2
    a, b, c, d, e, f = matrix[:, :, None, None].unbind(1)
    x = torch.arange(width, device=device) + 0.5
    y = (torch.arange(height, device=device) + 0.5)[:, None]
    x, y = a * x + b * y + c, d * x + e * y + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x - 0.5, y - 0.5
    column, row = x.floor(), y.floor()
    weigh = _keys if bicubic else _linear
    across, down = weigh((x - column).float()), weigh((y - row).float())

    # A table of all `taps` neighbouring pixels in a row, so that a pixel of the output is a weighted sum of `taps` of
    # its lines, one under the other: embedding_bag does just that, without a temporary per tap.
    padded = pad(images.float(), (taps // 2,) * 4, mode="replicate").permute(0, 2, 3, 1)
    table = padded.unfold(2, taps, 1).permute(0, 1, 2, 4, 3).reshape(-1, taps * channels)
    column, row = column.clamp_(-1, width - 1).int() + 1, row.clamp_(-1, height - 1).int() + 1
    image = torch.arange(batch, device=device, dtype=torch.int32)[:, None, None] * (height + taps)
    first = (image + row) * (width + 1) + column
    lines = first[..., None] + torch.arange(taps, device=device, dtype=torch.int32) * (width + 1)
    mixed = embedding_bag(lines.view(-1, taps), table, per_sample_weights=down.view(-1, taps), mode="sum")
    value = torch.einsum("ntc,nt->nc", mixed.view(-1, taps, channels), across.view(-1, taps))
    value = (value + ROUNDING).clamp_(0, 255).to(torch.uint8).view(batch, height, width, channels)
    return torch.where(inside[..., None], value, _constant(tuple(fill), device)).permute(0, 3, 1, 2)


def _linear(t: Tensor) -> Tensor:
    """Weights of the pixels at 0 and 1 for a point between them, [..., 2]."""
    return torch.stack([1 - t, t], -1)


def _keys(t: Tensor) -> Tensor:
    """Weights of the pixels at -1, 0, 1 and 2 for a point t between 0 and 1, [..., 4]; Keys (1981) with a = -1."""
    s = 1 - t
    q = 1 + s * t
    return torch.stack([-t * s * s, s * q, t * q, -t * t * s], -1)


@cache
def _constant(values: tuple[int, ...], device: torch.device) -> Tensor:
    """Copied to the device once: every copy would make the host wait."""
    return torch.tensor(values, dtype=torch.uint8, device=device)
