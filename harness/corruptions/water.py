"""How drops of water break the light, in `spatter`: edges of the liquid, distances to them, and a relief of these.

The script does this with OpenCV; here are its methods as its documentation and the papers describe them, in integers
where it has integers. Differences are possible where OpenCV does more than they say: at the image's border in the edge
detector, and by one grey level where it sums in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.corruptions.filters import border

WEAK, STRONG = 50, 150  # gradients of the edge detector
FARTHEST = 20  # distances are cut off there
# Borgefors (1986): lengths of a step along an axis, along a diagonal and of a knight's move, in 2⁻¹⁶ pixel.
STEP, DIAGONAL, KNIGHT = 2**16, round(1.4 * 2**16), round(2.1969 * 2**16)
TAN = round(0.4142135623730951 * 2**15)  # of 22.5°, in 2⁻¹⁵
RELIEF = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def water_layer(liquid: Tensor) -> Tensor:
    """float64 [batch, 1, side, side] in 0 ... 1, from the liquid's height of the same shape; 0 where there is none."""
    height = (255 * liquid).to(torch.uint8).long()
    distance = distances(edges(height)).clamp_(max=FARTHEST << 16).double().div_(2**16)
    depth = equalised((_box(distance)).long())
    relief = _box(_relief(depth).double()).round_()
    layer = liquid * relief
    return layer / layer.amax((1, 2, 3), keepdim=True).clamp_(min=torch.finfo(layer.dtype).tiny)


def _around(values: Tensor, kind: str) -> Tensor:
    """With one more pixel on each side; `kind` as in `border`, or "zero"."""
    if kind == "zero":
        return torch.nn.functional.pad(values, (1, 1, 1, 1))
    places = border(values.shape[-1], 1, kind, values.device)
    return values.index_select(2, places).index_select(3, places)


def _neighbour(around: Tensor, down: int, right: int) -> Tensor:
    side = around.shape[-1] - 2
    return around[..., 1 + down : 1 + down + side, 1 + right : 1 + right + side]


def _box(values: Tensor) -> Tensor:
    """The mean of 3×3 pixels, mirrored at the border."""
    around = _around(values, "whole")
    return sum((_neighbour(around, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)), torch.zeros_like(values)) / 9


def _relief(depth: Tensor) -> Tensor:
    around = _around(depth, "whole")
    terms = [
        RELIEF[y + 1][x + 1] * _neighbour(around, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if RELIEF[y + 1][x + 1]
    ]
    return sum(terms, torch.zeros_like(depth)).clamp_(0, 255)


def edges(pixels: Tensor) -> Tensor:
    """Canny (1986) with Sobel gradients, |gx| + |gy|, between the thresholds WEAK and STRONG.

    Args:
        pixels: integers 0 ... 255 [batch, 1, side, side].

    Returns:
        bool of the same shape: local maxima across the edge that are strong, or weak and connected to a strong one.
    """
    around = _around(pixels, "edge")
    at = {(y, x): _neighbour(around, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)}
    gx, gy = (
        sum(
            ((2 - abs(step)) * (at[place(1, step)] - at[place(-1, step)]) for step in (-1, 0, 1)),
            torch.zeros_like(pixels),
        )
        for place in (lambda end, step: (step, end), lambda end, step: (end, step))
    )
    magnitude = gx.abs() + gy.abs()
    beside = _around(magnitude, "zero")

    def peak(y: int, x: int, *, even: bool) -> Tensor:
        """Above the neighbour before, and above (or even with) the one behind."""
        behind = _neighbour(beside, y, x)
        return (magnitude > _neighbour(beside, -y, -x)) & (magnitude >= behind if even else magnitude > behind)

    flat, steep = gx.abs() * TAN, gx.abs() * (TAN + 2**16)  # tan 67.5° is tan 22.5° + 2
    rise = gy.abs() << 15
    diagonal = torch.where((gx < 0) == (gy < 0), peak(1, 1, even=False), peak(1, -1, even=False))
    upright = torch.where(rise > steep, peak(1, 0, even=True), diagonal)
    weak = torch.where(rise < flat, peak(0, 1, even=True), upright) & (magnitude > WEAK)
    return _connected(weak & (magnitude > STRONG), weak)


def _connected(seeds: Tensor, allowed: Tensor) -> Tensor:
    """The seeds and what is allowed and reached from them over eight neighbours."""
    while True:
        grown = torch.nn.functional.max_pool2d(seeds.float(), 3, stride=1, padding=1).bool() & allowed
        if torch.equal(grown, seeds):
            return seeds
        seeds = grown


def distances(zero: Tensor) -> Tensor:
    """Length of the shortest way of steps, diagonals and knight's moves to a pixel that is `zero`.

    Args:
        zero: bool [batch, 1, side, side].

    Returns:
        int64 of the same shape in 2⁻¹⁶ pixel; right up to FARTHEST, and more than it beyond.
    """
    beyond = 2 * FARTHEST << 16
    distance = torch.full(zero.shape, beyond, dtype=torch.long, device=zero.device).masked_fill_(zero, 0)
    side = zero.shape[-1]
    moves = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 1 or abs(y * x) == 2]
    lengths = {1: STEP, 2: DIAGONAL, 5: KNIGHT}
    while True:
        around = torch.nn.functional.pad(distance, (2, 2, 2, 2), value=beyond)
        shorter = distance
        for y, x in moves:
            shorter = torch.minimum(
                shorter, around[..., 2 + y : 2 + y + side, 2 + x : 2 + x + side] + lengths[y * y + x * x]
            )
        if torch.equal(shorter, distance):
            return distance
        distance = shorter


def equalised(values: Tensor) -> Tensor:
    """Every image's histogram equalised: 0 for its least value, 255 for its largest; of one value it stays."""
    flat = values.flatten(1)
    counts = flat.new_zeros(len(flat), 256).scatter_add_(1, flat, torch.ones_like(flat))
    of_least = counts.gather(1, flat.amin(1, keepdim=True))
    scale = 255 / (flat.shape[1] - of_least).clamp(min=1).float()
    table = ((counts.cumsum(1) - of_least) * scale).round_().clamp_(0, 255).long()
    several = (of_least < flat.shape[1])[:, :, None, None]
    return torch.where(several, table.gather(1, flat).view_as(values), values)
