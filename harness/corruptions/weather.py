"""Weather: snow, frost, fog, and what spatters onto the lens.

Every function takes uint8 [batch, channel, side, side], the constants of a severity and draws, and gives uint8.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.corruptions.constants import SIDE
from harness.corruptions.draws import Draws
from harness.corruptions.filters import gaussian, grey, streak, to_pixels, unit, zoom_matrix
from harness.corruptions.water import water_layer

WATER = (175, 238, 238)
MUD = (63, 42, 20)
LEAST_MUD = 0.8
FIRST_WIBBLE = 100.0


def snow(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """A whitened image under flakes: noise above a threshold, blurred along a falling direction, and its rotation."""
    mean, deviation, zoom, threshold, radius, sigma, weight = constants
    side = pixels.shape[-1]
    flakes = draws.normal(side, side).mul_(deviation).add_(mean)
    if zoom != 1:
        matrix = torch.from_numpy(zoom_matrix(side, zoom)).to(pixels.device)
        flakes = matrix @ flakes @ matrix.T
    flakes = to_pixels(flakes.where(flakes >= threshold, 0))[:, None]
    scale = side / SIDE
    layer = unit(streak(flakes, radius * scale, sigma * scale, draws.uniform(low=-135.0, high=-45.0)))
    values = unit(pixels)
    values = weight * values + (1 - weight) * torch.maximum(values, 1.5 * grey(values) + 0.5)
    return to_pixels(values + layer + layer.flip(2, 3))


def frosted(pixels: Tensor, constants: tuple[float, ...], ice: Tensor) -> Tensor:
    """Image and frost, each with its weight; both uint8, frost [batch, 3, side, side]."""
    of_image, of_frost = constants
    frost = ice.double() if pixels.shape[1] == 3 else grey(ice.double())
    return (of_image * pixels.double() + of_frost * frost).clamp_(0, 255).to(torch.uint8)


def fog(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """A cloud is added, and all is darkened so that the brightest value would stay under the thickest fog."""
    strength, decay = constants
    values = unit(pixels)
    brightest = values.amax((1, 2, 3), keepdim=True)
    cloud = plasma(values, decay, draws)[:, None]
    return to_pixels((values + strength * cloud) * (brightest / (brightest + strength)))


def plasma(images: Tensor, decay: float, draws: Draws) -> Tensor:
    """A fractal cloud in 0 ... 1 for each image [batch, side, side], by diamond and square steps on a periodic map.

    The map is as long as the next power of two. Every step halves the mesh: its new points are the mean of four
    neighbours and a uniform number of width w², and w falls by `decay`.
    """
    side = images.shape[-1]
    size = 1 << max(1, (side - 1).bit_length())
    cloud, mesh, width = images.new_zeros(len(images), 1, 1), 1, FIRST_WIBBLE
    while mesh < size:
        centre, top, left = draws.uniform(3, mesh, mesh, low=-width, high=width).mul_(width).unbind(1)
        right, below = cloud.roll(-1, 2), cloud.roll(-1, 1)
        centre = centre + (cloud + right + below + below.roll(-1, 2)) / 4
        top = top + (centre + centre.roll(1, 1) + cloud + right) / 4
        left = left + (centre + centre.roll(1, 2) + cloud + below) / 4
        rows = torch.stack([torch.stack([cloud, top], dim=3), torch.stack([left, centre], dim=3)], dim=2)
        mesh, width = 2 * mesh, width / decay
        cloud = rows.reshape(-1, mesh, mesh)
    cloud = cloud - cloud.amin((1, 2), keepdim=True)
    return (cloud / cloud.amax((1, 2), keepdim=True))[:, :side, :side]


def spatter(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """Drops of water (severities 1 to 3) or mud on the lens.

    Water is drawn with the methods of OpenCV, written anew: see `harness.corruptions.water`.
    """
    mean, deviation, sigma, threshold, strength, mud = constants
    values, side = unit(pixels), pixels.shape[-1]
    scale = side / SIDE
    liquid = gaussian(draws.normal(1, side, side).mul_(deviation).add_(mean), sigma * scale)
    liquid = liquid.where(liquid >= threshold, 0)
    if not mud:
        return to_pixels(values + water_layer(liquid).mul_(strength) * _colour(WATER, values))
    layer = gaussian((liquid > threshold).double(), strength * scale)
    layer = layer.where(layer >= LEAST_MUD, 0)
    return to_pixels(values * (1 - layer) + layer * _colour(MUD, values))


def _colour(colour: tuple[int, int, int], values: Tensor) -> Tensor:
    """As float64 [1, channel, 1, 1] in 0 ... 1; its luma where images have one channel."""
    one = torch.tensor(colour, dtype=torch.float64, device=values.device).div_(255).view(1, 3, 1, 1)
    return one if values.shape[1] == 3 else grey(one)
