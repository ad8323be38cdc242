"""How pixels become what networks see, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Standard:
    """Mean 0 and standard deviation 1 per channel.

    Args:
        mean: per channel, of images scaled to 0 ... 1; so is `std`.
        device: of the images.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self._mean = torch.tensor(mean, device=device).view(-1, 1, 1) * 255
        self._std = torch.tensor(std, device=device).view(-1, 1, 1) * 255
        self._scale = 1 / self._std

    def standardise(self, pixels: Tensor) -> Tensor:
        """uint8 [batch, channel, height, width] to float32."""
        return (pixels.float() - self._mean) * self._scale

    def pixels(self, images: Tensor) -> Tensor:
        """What was standardised, exactly; of other images [batch, channel, height, width] the nearest uint8."""
        return (images * self._std + self._mean).round_().clamp_(0, 255).to(torch.uint8)
