"""What several corruptions are made of: filters, zoom, motion and interpolation, on batches in float64.

Images are [batch, channel, side, side]. Sums are taken in a fixed order and value by value, so that no result depends
on the batch, and those of the deterministic corruptions on nothing at all.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

# The last bits of float64 put a whole number now above, now below itself. Where the sum has no order of its own, what
# lies less than this below one is one.
ROUNDING = 1e-10


def unit(pixels: Tensor) -> Tensor:
    """uint8 to float64 in 0 ... 1."""
    return pixels.double().div_(255)


def to_pixels(values: Tensor) -> Tensor:
    """0 ... 1 to uint8: clipped, then cut off, not rounded, as all of CIFAR-C is."""
    return values.clamp(0, 1).mul_(255).to(torch.uint8)


def grey(values: Tensor) -> Tensor:
    """Luma of ITU-R 601 [batch, 1, side, side]; one channel is its own."""
    if values.shape[1] == 1:
        return values
    red, green, blue = values.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


@cache
def border(size: int, margin: int, kind: str, device: torch.device) -> Tensor:
    """Which row stands for each of -margin ... size + margin - 1: int64 [size + 2 margin].

    Args:
        kind: "edge" repeats the outermost row, "half" mirrors at it and repeats it, "whole" mirrors without.
    """
    places = torch.arange(-margin, size + margin)
    if kind == "edge":
        return places.clamp_(0, size - 1).to(device)
    return mirrored(places, size, kind).to(device)


def mirrored(places: Tensor, size: int, kind: str) -> Tensor:
    """Row numbers outside of 0 ... size - 1 mirrored into it; "half" repeats the outermost row, "whole" does not."""
    if kind == "half":
        places = places % (2 * size)
        return torch.minimum(places, 2 * size - 1 - places)
    if size == 1:
        return torch.zeros_like(places)
    places = places % (2 * size - 2)
    return torch.minimum(places, 2 * size - 2 - places)


@cache
def gaussian_weights(sigma: float, truncate: float = 4.0) -> tuple[float, ...]:
    """Weights of the centre and its neighbours on one side: as many as lie within `truncate` deviations."""
    radius = int(truncate * sigma + 0.5)
    if not radius:
        return (1.0,)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / sigma**2 * offsets**2)
    return tuple((weights / weights.sum())[radius:].tolist())


def gaussian(values: Tensor, sigma: float, *, truncate: float = 4.0, kind: str = "edge") -> Tensor:
    """Gaussian filter, first along columns, then along rows, with a border as in `border`.

    Pairs at one distance are added before they are weighted, from the outermost inwards: SciPy's order, and so its
    bits.
    """
    weights = gaussian_weights(sigma, truncate)
    radius = len(weights) - 1
    if not radius:
        return values
    for axis in (2, 3):
        size = values.shape[axis]
        around = values.index_select(axis, border(size, radius, kind, values.device))
        total = values * weights[0]
        for distance in range(radius, 0, -1):
            pair = around.narrow(axis, radius - distance, size) + around.narrow(axis, radius + distance, size)
            total += pair.mul_(weights[distance])
        values = total
    return values


def correlation(values: Tensor, kernel: np.ndarray) -> Tensor:
    """Correlation with an odd square kernel, mirrored at the borders without the outermost row ("whole").

    Terms are added row by row; weights under the resolution of float64 are left out.
    """
    side, radius = values.shape[-1], len(kernel) // 2
    places = border(side, radius, "whole", values.device)
    around = values.index_select(2, places).index_select(3, places)
    total = torch.zeros_like(values)
    for (row, column), weight in np.ndenumerate(kernel):
        if abs(weight) > np.finfo(np.float64).eps:
            total += around[..., row : row + side, column : column + side] * float(weight)
    return total


@cache
def zoom_matrix(side: int, factor: float) -> np.ndarray:
    """Bilinear zoom into the middle along one axis, float64 [side, side]: A x Aᵀ is the zoomed image.

    The middle ⌈side / factor⌉ rows are stretched by the factor, first and last row onto first and last, and cut to the
    middle again.
    """
    inner = math.ceil(side / factor)
    top, size = (side - inner) // 2, round(inner * factor)
    place = np.arange(side) + (size - side) // 2
    source = place * (inner - 1) / (size - 1) if size > 1 else np.zeros(side)
    left = np.minimum(source.astype(int), max(inner - 2, 0))
    matrix = np.zeros((side, side))
    rows = np.arange(side)
    np.add.at(matrix, (rows, top + left), 1 - (source - left))
    np.add.at(matrix, (rows, top + np.minimum(left + 1, inner - 1)), source - left)
    return matrix


def streak(pixels: Tensor, radius: float, sigma: float, angle: Tensor) -> Tensor:
    """ImageMagick's motion blur: a one-sided Gaussian along a line of whole pixels, from the pixel on.

    Args:
        pixels: uint8 [batch, channel, side, side].
        radius: how far it reaches, in pixels; `sigma` is its standard deviation.
        angle: degrees [batch].

    Returns:
        uint8 of the same shape, cut off; outside of the image its edge goes on.
    """
    batch, _, height, width = pixels.shape
    taps = 2 * math.ceil(radius) + 1
    weights = np.exp(-(np.arange(taps) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    steps = torch.arange(taps, device=pixels.device)
    radians = torch.deg2rad(angle.double())[:, None]
    down, right = (torch.ceil(steps * along - 0.5).long() for along in (radians.sin(), radians.cos()))
    row = torch.arange(height, device=pixels.device)[:, None]
    column = torch.arange(width, device=pixels.device)
    flat = pixels.double().flatten(2)
    values = torch.zeros_like(flat)
    for tap in range(taps):
        rows = (row + down[:, tap, None, None]).clamp_(0, height - 1)
        columns = (column + right[:, tap, None, None]).clamp_(0, width - 1)
        chosen = (rows * width + columns).view(batch, 1, -1).expand_as(flat)
        values += flat.gather(2, chosen).mul_(float(weights[tap]))
    return values.add_(ROUNDING).clamp_(0, 255).to(torch.uint8).view_as(pixels)


def bilinear(values: Tensor, rows: Tensor, columns: Tensor, kind: str) -> Tensor:
    """Values between the pixels: at rows and columns [batch, side, side] from the centre of the first pixel.

    Args:
        kind: how the image goes on outside, as in `mirrored`.
    """
    side = values.shape[-1]
    flat = values.flatten(2)
    top, left = rows.floor(), columns.floor()
    down, right = (rows - top)[:, None], (columns - left)[:, None]
    above, below = (mirrored(top.long() + step, side, kind) * side for step in (0, 1))
    before, behind = (mirrored(left.long() + step, side, kind) for step in (0, 1))

    def at(line: Tensor, place: Tensor) -> Tensor:
        return flat.gather(2, (line + place).flatten(1)[:, None].expand_as(flat)).view_as(values)

    # a + (b - a) t, and not (1 - t) a + t b, leaves what is flat exactly as it is
    upper, lower = at(above, before), at(below, before)
    upper += (at(above, behind) - upper).mul_(right)
    lower += (at(below, behind) - lower).mul_(right)
    return upper + (lower - upper).mul_(down)
