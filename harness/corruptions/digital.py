"""Digital corruptions: contrast, saturation, brightness, elastic transformation, pixelation and JPEG.

Every function takes uint8 [batch, channel, side, side], the constants of a severity and draws, and gives uint8.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

from harness.corruptions.constants import SIDE
from harness.corruptions.draws import Draws
from harness.corruptions.filters import bilinear, gaussian, to_pixels, unit
from harness.errors import HarnessError


def contrast(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """Every channel towards its mean."""
    del draws
    (factor,) = constants
    mean = pixels.double().mean((2, 3), keepdim=True) / 255  # of whole numbers, and so exact in any order
    return to_pixels((unit(pixels) - mean).mul_(factor).add_(mean))


def brightness(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """More value, in hue, saturation and value; one channel is its own value."""
    del draws
    (addition,) = constants
    values = unit(pixels)
    if values.shape[1] == 1:
        return to_pixels(values + addition)
    hue, saturation, value = hsv(values)
    return to_pixels(rgb(hue, saturation, (value + addition).clamp_(0, 1)))


def saturate(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """More or less saturation.

    Raises:
        HarnessError: the images have one channel, and so no colour.
    """
    del draws
    if pixels.shape[1] != 3:
        raise HarnessError(f"saturate needs images of three channels; these have {pixels.shape[1]}")
    factor, addition = constants
    hue, saturation, value = hsv(unit(pixels))
    return to_pixels(rgb(hue, saturation.mul_(factor).add_(addition).clamp_(0, 1), value))


def hsv(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value (Smith 1978), each [batch, side, side] in 0 ... 1.

    Of equal channels blue counts as the largest before green before red, as scikit-image has it.
    """
    red, green, blue = values.unbind(1)
    value, delta = values.amax(1), values.amax(1) - values.amin(1)
    chromatic = torch.where(delta > 0, delta, 1)
    sixth = torch.where(value == red, (green - blue) / chromatic, 0)
    sixth = torch.where(value == green, 2 + (blue - red) / chromatic, sixth)
    sixth = torch.where(value == blue, 4 + (red - green) / chromatic, sixth)
    hue = torch.where(delta > 0, torch.remainder(sixth / 6, 1), 0)
    return hue, delta / torch.where(value > 0, value, 1), value


def rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse of `hsv`: [batch, 3, side, side]."""
    sector = (hue * 6).floor()
    fraction = hue * 6 - sector
    low = value * (1 - saturation)
    falling = value * (1 - fraction * saturation)
    rising = value * (1 - (1 - fraction) * saturation)
    levels = torch.stack([value, rising, falling, low])
    order = torch.tensor([[0, 2, 3, 3, 1, 0], [1, 0, 0, 2, 3, 3], [3, 3, 1, 0, 0, 2]], device=hue.device)
    return levels.gather(0, order[:, sector.long() % 6]).transpose(0, 1)


def elastic_transform(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """An affine map that moves three points at random, then a smooth random displacement of every pixel.

    Interpolated exactly; OpenCV before 5, with which the official files were made, rounds places to 1/32 pixel.
    """
    side = pixels.shape[-1]
    reach, sigma, affine = (constant * side / SIDE for constant in constants)
    line = torch.arange(side, dtype=torch.float64, device=pixels.device)
    values = bilinear(unit(pixels), *_affine_places(line, draws.uniform(3, 2, low=-affine, high=affine)), "whole")
    if reach:
        shifts = gaussian(draws.uniform(2, side, side, low=-1.0, high=1.0), sigma, truncate=3.0, kind="half")
        right, down = shifts.mul_(reach).unbind(1)
        values = bilinear(values, line[:, None] + down, line + right, "half")
    return to_pixels(values)


def _affine_places(line: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel comes from, when three points (column, row) around the middle move by shifts [batch, 3, 2].

    The points are two at the right, below and above, and one at the upper left: differences of two of them are axes.
    """
    side = len(line)
    middle, arm = side // 2, side // 3
    low, high = float(middle - arm), float(middle + arm)
    source = torch.tensor([[high, high], [high, low], [low, low]], dtype=torch.float64, device=line.device)
    first, second, third = (source + shifts).unbind(1)
    across, down = (second - third) / (2 * arm), (first - second) / (2 * arm)  # images of a step right and down
    determinant = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    x, y = (line - third[:, [axis], None] for axis in (0, 1))
    y = y.transpose(1, 2)
    (a, b), (c, d) = (each[..., None, None].unbind(1) for each in (across, down))
    scale = determinant[:, None, None]
    columns, rows = (d * x - c * y) / scale + low, (a * y - b * x) / scale + low
    return rows, columns


def pixelate(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """Down to fewer pixels and up again, with Pillow's box filter and its rounding after each axis.

    A pixel of the small image is one of the large, or the rounded mean of two, since it is less than twice as long.
    """
    del draws
    side = pixels.shape[-1]
    small = max(1, int(side * constants[0]))
    cell = (2 * np.arange(side) + 1) * small // (2 * side)  # of the small image, that each pixel falls into
    first = torch.from_numpy((2 * cell * side + small) // (2 * small)).to(pixels.device)
    last = torch.from_numpy((2 * (cell + 1) * side - small) // (2 * small)).to(pixels.device)
    values = pixels.to(torch.int16)
    for axis in (3, 2):
        values = (values.index_select(axis, first) + values.index_select(axis, last) + 1) >> 1
    return values.to(torch.uint8)


def jpeg_compression(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """To JPEG and back, through Pillow and on the host; other versions of libjpeg may give other pixels."""
    from PIL import Image

    del draws
    found = []
    for pixel in pixels.permute(0, 2, 3, 1).cpu().numpy():
        file = io.BytesIO()
        Image.fromarray(pixel.squeeze(-1) if pixel.shape[-1] == 1 else pixel).save(
            file, "JPEG", quality=int(constants[0])
        )
        found.append(np.asarray(Image.open(file)).reshape(pixel.shape))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous().to(pixels.device)
