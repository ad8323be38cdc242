"""Random numbers of each image, from its own counter: they do not depend on which other images share the batch.

Word j of a stream is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), a hash of `start + (j + 1) γ` modulo 2⁶⁴, and the
start is such a hash of the image's number. Words are integers and the same on every device, and so are uniform numbers;
normal ones go through logarithm and cosine, whose last bits devices may differ in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GAMMA = 0x9E3779B97F4A7C15
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def _signed(word: int) -> int:
    """The int64 that has the bits of an unsigned word, for torch has no unsigned arithmetic."""
    word %= 2**64
    return word - 2**64 if word >= 2**63 else word


def _logical_shift(words: Tensor, bits: int) -> Tensor:
    return (words >> bits).bitwise_and_(2 ** (64 - bits) - 1)


def mixed(words: Tensor) -> Tensor:
    """SplitMix64's finaliser, a bijection of int64; works in place."""
    for bits, factor in MIX:
        words.bitwise_xor_(_logical_shift(words, bits))
        if factor != 1:
            words.mul_(_signed(factor))
    return words


class Draws:
    """The streams of a batch of images; every method takes the next numbers of each.

    Args:
        seed: any integer; another seed has other streams.
        indices: int64 [batch], the images' numbers.
    """

    def __init__(self, seed: int, indices: Tensor) -> None:
        self._starts = mixed((indices + 1) * _signed(GAMMA) + _signed(seed))[:, None]
        self._taken = 0

    def words(self, count: int) -> Tensor:
        """int64 [batch, count], all 64 bits random."""
        counters = torch.arange(1 + self._taken, 1 + self._taken + count, device=self._starts.device)
        self._taken += count
        return mixed(self._starts + counters * _signed(GAMMA))

    def half_words(self, count: int) -> Tensor:
        """int32 [batch, count], all 32 bits random."""
        return self.words(-(-count // 2)).view(torch.int32)[:, :count]

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """float64 [batch, *shape] in [low, high), of 53 bits."""
        unit = _logical_shift(self.words(math.prod(shape)), 11).double().mul_(2.0**-53)
        return unit.mul_(high - low).add_(low).view(-1, *shape)

    def normal(self, *shape: int) -> Tensor:
        """float64 [batch, *shape] of mean 0 and standard deviation 1 (Box & Muller 1958)."""
        count = math.prod(shape)
        radius, angle = self.uniform(2, -(-count // 2)).unbind(1)
        radius = radius.neg_().add_(1).log_().mul_(-2).sqrt_()  # of 1 - u, which is not zero
        angle = angle.mul_(2 * math.pi)
        both = torch.cat([radius * angle.cos(), radius.mul_(angle.sin_())], dim=1)
        return both[:, :count].reshape(-1, *shape)

    def integers(self, *shape: int, below: int) -> Tensor:
        """int64 [batch, *shape] in 0 ... below - 1."""
        return (self.uniform(*shape) * below).long()
