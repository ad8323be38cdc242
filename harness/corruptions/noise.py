"""Noise of each value on its own: x + σN, Poisson(cx) / c, salt and pepper, x (1 + σN).

What an 8-bit value becomes depends on nothing but itself. So each noise is a channel, the probabilities [value, value]
with which one value becomes another, and is drawn exactly by Walker's alias method: one value chosen evenly, which is
kept or exchanged for its alias. The functions that give the channels are the definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from scipy.special import gammaln, ndtr, xlogy
from torch import Tensor

from harness.corruptions.draws import Draws

VALUES = np.arange(256)
FRACTION = 24  # bits of the probability to keep a value; 8 more choose it


def gaussian_noise(sigma: float) -> np.ndarray:
    """clip(x + σN), float64 [value before, value after]."""
    return _normal(VALUES / 255, np.full(256, sigma))


def speckle_noise(sigma: float) -> np.ndarray:
    """clip(x (1 + σN)), float64 [value before, value after]."""
    return _normal(VALUES / 255, sigma * VALUES / 255)


def _normal(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Of clip(mean + deviation N) in steps of 1/255, each cut off to the value below; what is clipped is 0 or 255."""
    steps = VALUES[1:] / 255 - mean[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        below = ndtr(steps / deviation[:, None])
    below = np.where(deviation[:, None] > 0, below, steps > 0)
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def shot_noise(photons: float) -> np.ndarray:
    """clip(Poisson(cx) / c), float64 [value before, value after]."""
    counts = np.arange(int(photons + 20 * np.sqrt(photons)) + 20)  # what lies beyond has no probability in float64
    after = (np.clip(counts / photons, 0, 1) * 255).astype(np.uint8)
    channel = np.zeros((256, 256))
    mean = photons * VALUES / 255
    np.add.at(channel.T, after, np.exp(xlogy(counts[:, None], mean) - mean - gammaln(counts[:, None] + 1)))
    return channel


def impulse_noise(amount: float) -> np.ndarray:
    """A share of the values becomes 0 or 1, as often; float64 [value before, value after]."""
    channel = (1 - amount) * np.eye(256)
    channel[:, [0, 255]] += amount / 2
    return channel


CHANNELS: dict[str, Callable[[float], np.ndarray]] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "speckle_noise": speckle_noise,
}


def noisy(pixels: Tensor, name: str, constant: float, draws: Draws) -> Tensor:
    """A draw from the channel for every value of uint8 [batch, channel, height, width]; integer arithmetic alone."""
    table = _alias_table(name, constant, pixels.device)
    bits = draws.half_words(pixels[0].numel()).view_as(pixels)
    candidate = bits & 255
    entry = table[(pixels.int() << 8).bitwise_or_(candidate)]
    # int32 is shifted with its sign, so the upper bits are cut off
    kept = (bits >> 8).bitwise_and_(2**FRACTION - 1) < (entry & 2 ** (FRACTION + 1) - 1)
    return torch.where(kept, candidate, entry >> (FRACTION + 1)).to(torch.uint8)


@cache
def _alias_table(name: str, constant: float, device: torch.device) -> Tensor:
    """int64 [value before · candidate]: the alias, then the probability to keep the candidate in FRACTION + 1 bits."""
    kept, alias = aliases(CHANNELS[name](constant))
    entries = (alias << (FRACTION + 1)) + np.rint(kept * 2**FRACTION).astype(np.int64)
    return torch.from_numpy(entries.ravel()).to(device)


def aliases(channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's (1977) tables of every row of probabilities, by Vose's (1991) construction.

    A candidate with less than its even share is filled up from the largest; once that has less than its share itself,
    it is the next one to be filled up.

    Returns:
        (kept, alias), both [row, candidate]: with which probability an evenly chosen candidate is kept, and what it is
        exchanged for.
    """
    rows, size = channel.shape
    row, share = np.arange(rows), channel * size
    order = share.argsort(1)
    kept, alias = np.ones_like(channel), np.tile(np.arange(size), (rows, 1))
    small, large = np.zeros(rows, dtype=int), np.full(rows, size - 1)
    filled = order[:, 0]
    for _ in range(size - 1):
        giver = order[row, large]
        kept[row, filled] = share[row, filled].clip(0, 1)
        alias[row, filled] = giver
        share[row, giver] -= 1 - kept[row, filled]
        emptied = share[row, giver] < 1
        large, small = large - emptied, small + ~emptied
        filled = np.where(emptied, giver, order[row, small])
    return kept, alias
