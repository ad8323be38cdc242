"""Blurs: out of focus, through frosted glass, of a moving and of a zooming camera, and Gaussian.

Every function takes uint8 [batch, channel, side, side], the constants of a severity and draws, and gives uint8.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import torch
from torch import Tensor

from harness.corruptions.constants import SIDE
from harness.corruptions.draws import Draws
from harness.corruptions.filters import (
    ROUNDING,
    correlation,
    gaussian,
    streak,
    to_pixels,
    unit,
    zoom_matrix,
)


def gaussian_blur(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """A Gaussian filter, the border repeated."""
    del draws
    (sigma,) = constants
    return to_pixels(gaussian(unit(pixels), sigma * pixels.shape[-1] / SIDE))


def defocus_blur(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """Correlation with a disk whose rim is smoothed, mirrored at the border."""
    del draws
    return to_pixels(correlation(unit(pixels), disk(*constants, scale=pixels.shape[-1] / SIDE)))


@cache
def disk(radius: float, alias: float, *, scale: float = 1.0) -> np.ndarray:
    """The kernel of `defocus_blur`, of sum 1: a disk under a Gaussian of 3×3 pixels (at a scale of 1)."""
    reach, rim = int(radius * scale), max(1, round(scale))
    across = np.arange(-reach - rim, reach + rim + 1)
    inside = (across[:, None] ** 2 + across**2 <= (radius * scale) ** 2).astype(float)
    weights = np.exp(-(np.arange(-rim, rim + 1) ** 2) / (2 * (alias * scale) ** 2))
    weights /= weights.sum()
    kernel = inside / inside.sum()
    for axis in (0, 1):
        kernel = np.apply_along_axis(np.convolve, axis, kernel, weights, mode="same")
    return kernel


def glass_blur(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """Blurred, each pixel exchanged for one at its upper left, and blurred again.

    The script means to swap pixels one by one, from the last to the first, but its assignment only copies. What is
    copied lies above or to the left and is visited later, so that all pixels can be copied at once. The first rows and
    columns stay.
    """
    sigma, shift, iterations = constants
    batch, channels, side, _ = pixels.shape
    sigma, reach = sigma * side / SIDE, max(1, round(shift * side / SIDE))
    pixels = to_pixels(gaussian(unit(pixels), sigma)).flatten(2)
    place = torch.arange(side * side, device=pixels.device).view(side, side)
    moved = side - reach - 1  # in each direction, the first `reach` + 1 are not
    for _ in range(int(iterations)):
        source = place.repeat(batch, 1, 1)
        if moved > 0:
            right, down = draws.integers(2, moved, moved, below=reach + 1).unbind(1)
            source[:, -moved:, -moved:] -= down * side + right
        pixels = pixels.gather(2, source.view(batch, 1, -1).expand(-1, channels, -1))
    return to_pixels(gaussian(unit(pixels.view(batch, channels, side, side)), sigma))


def motion_blur(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """Motion blur in a direction between -45° and 45°, one an image."""
    radius, sigma = (constant * pixels.shape[-1] / SIDE for constant in constants)
    return streak(pixels, radius, sigma, draws.uniform(low=-45.0, high=45.0))


def zoom_blur(pixels: Tensor, constants: tuple[float, ...], draws: Draws) -> Tensor:
    """The mean of the image and its zooms by 1, 1.01, 1.02, ...: the image counts twice.

    As a sum of A x Aᵀ over the factors: two matrix products. Exact at 32×32: means are multiples of less than
    `ROUNDING`'s reciprocal there.
    """
    del draws
    batch, channels, side, _ = pixels.shape
    across, down = (torch.from_numpy(matrix).to(pixels.device) for matrix in _zooms(side, int(constants[0])))
    wide = pixels.double() @ across.T  # [..., side, zoom · side]
    tall = wide.view(batch, channels, side, -1, side).transpose(2, 3).reshape(batch, channels, -1, side)
    return (down @ tall).add_(ROUNDING).clamp_(0, 255).to(torch.uint8)


@cache
def _zooms(side: int, factors: int) -> tuple[np.ndarray, np.ndarray]:
    """A for every zoom, [zoom · side, side], and weighted, [side, zoom · side]; neighbouring factors give the same."""
    step = 1.01 - 1  # not 0.01: with the last bits of the script's range, 26 · 1.25 is rounded to 33
    matrices = [np.eye(side)] + [zoom_matrix(side, 1 + number * step) for number in range(factors)]
    counts = Counter(matrix.tobytes() for matrix in matrices)
    distinct = {matrix.tobytes(): matrix for matrix in matrices}
    across = np.concatenate(list(distinct.values()))
    down = np.concatenate([counts[key] / len(matrices) * matrix for key, matrix in distinct.items()], axis=1)
    return across, down
