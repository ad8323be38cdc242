"""RandAugment's image operations on whole batches, with the integer arithmetic of PIL.

Every function takes uint8 images [batch, channel, height, width] with one argument per image ([batch]) and returns new
images of the same shape. Nothing here waits for the device: no shape depends on a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

# Interpolation in float32 is off by less than this, in grey levels; PIL, in float64, cuts the fraction off. Without it
# a flat region of 200 could come out as 199.
ROUNDING = 2.0**-13


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
    # Bytes with bytes: uint8 arithmetic is several times faster than a promotion to int64. 255 - x is x ^ 255.
    above = (images >= _per_image(threshold.clamp(max=255).to(torch.uint8))) & _per_image(threshold < 256)
    return images ^ (above.to(torch.uint8) * 255)


def solarize_add(images: Tensor, addition: Tensor) -> Tensor:
    """Add to what is below 128; the addition is 0..128, so that nothing overflows."""
    return images + (images < 128).to(torch.uint8) * _per_image(addition).to(torch.uint8)


def auto_contrast(images: Tensor) -> Tensor:
    """Stretch every channel linearly to 0..255; a channel of one value stays."""
    low, high = (extreme((2, 3), keepdim=True).double() for extreme in (images.amin, images.amax))
    stretch = high > low
    # 255 / x is 255 times the rounded 1 / x in torch, which is not PIL's 255 / x.
    scale = torch.where(stretch, torch.full_like(low, 255) / (high - low), 1)
    return (images * scale).sub_(torch.where(stretch, low * scale, 0)).clamp_(0, 255).to(torch.uint8)


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

    A pixel's centre is at (column + 1/2, row + 1/2). Interpolation at the border repeats the outermost pixels.

    Args:
        matrix: (a, b, c, d, e, f), float64 [batch, 6].
        fill: one value per channel.
    """
    height, width = images.shape[2:]
    device = images.device
    a, b, c, d, e, f = matrix[:, :, None, None].unbind(1)
    x = torch.arange(width, device=device) + 0.5
    y = (torch.arange(height, device=device) + 0.5)[:, None]
    # In float64 as in PIL: whether a pixel is inside is decided by the last bit where the border falls on its centre.
    x, y = a * x + b * y + c, d * x + e * y + f
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    interpolate = _bicubic if bicubic else _bilinear
    value = interpolate(images.float().contiguous(), (x - 0.5).float(), (y - 0.5).float())
    value = value.add_(ROUNDING).clamp_(0, 255).to(torch.uint8)
    return torch.where(inside[:, None], value, _constant(tuple(fill), device)[:, None, None])


def _bilinear(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Values at column x and row y, counted from the centre of the first pixel, float32 [batch, height, width]."""
    height, width = images.shape[2:]
    x, y = (x + 0.5).mul_(2 / width).sub_(1), (y + 0.5).mul_(2 / height).sub_(1)
    grid = torch.view_as_real(torch.complex(x, y))  # stack([x, y], -1), six times faster on a CPU
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _bicubic(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """As `_bilinear`, with the kernel of Keys (1981) for a = -1, which is PIL's for transformations.

    At t = 1 - s between the middle two of four pixels p, Keys' value is (1 + st) (s p1 + t p2) - st (s p0 + t p3): two
    linear interpolations, and so four bilinear ones in the plane instead of sixteen pixels. For the outer pair, every
    third pixel is put beside the next.
    """
    order_x, far_x, beyond_x = _every_third(x, images.shape[3])
    order_y, far_y, beyond_y = _every_third(y, images.shape[2])

    def across(images: Tensor, y: Tensor) -> Tensor:
        return torch.lerp(_bilinear(images.index_select(3, order_x), far_x, y), _bilinear(images, x, y), beyond_x)

    return torch.lerp(across(images.index_select(2, order_y), far_y), across(images, y), beyond_y)


def _every_third(x: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """An order of the pixels that puts those three apart side by side, where x lies in it, and 1 + st for each x."""
    length = -(-(size + 4) // 3)  # two pixels more on each side
    place = torch.arange(3 * length, device=x.device)
    order = (place % length * 3 + place // length - 2).clamp_(0, size - 1)
    left = x.floor()
    t = x - left
    first = left.clamp_(-1, size - 1).add_(1)  # of the four pixels, with the two more counted
    third = (first * (1 / 3) + 1 / 6).floor_()  # its whole part, safe from rounding
    far = torch.add(first, third, alpha=-3).mul_(length).add_(third).add_(t)
    return order, far, t.sub(t * t).add_(1)[:, None]


@cache
def _constant(values: tuple[int, ...], device: torch.device) -> Tensor:
    """Copied to the device once: every copy would make the host wait."""
    return torch.tensor(values, dtype=torch.uint8, device=device)
