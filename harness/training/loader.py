"""A split on the device: uint8 images resident, standardised batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from harness.data import DatasetInfo, Split


class Resident:
    """A split whose images live on the device as uint8.

    Args:
        split: images and labels.
        info: gives mean and standard deviation per channel.
        device: where they go.

    Attributes:
        images: uint8 [image, channel, height, width].
        labels: int64 [image].
        classes: how many there are.
        mean_colour: per channel, 0..255.
    """

    def __init__(self, split: Split, info: DatasetInfo, device: torch.device):
        self.images = torch.from_numpy(np.array(split.images)).to(device)
        self.labels = torch.from_numpy(np.array(split.labels)).to(device)
        self.classes = info.classes
        self.mean_colour = [round(255 * mean) for mean in info.mean]
        self._mean = torch.tensor(info.mean, device=device).view(-1, 1, 1) * 255
        self._scale = 1 / (torch.tensor(info.std, device=device).view(-1, 1, 1) * 255)

    def __len__(self) -> int:
        return len(self.labels)

    def standardise(self, images: Tensor) -> Tensor:
        """uint8 0..255 -> float32 with the data set's mean 0 and standard deviation 1 per channel."""
        return (images.float() - self._mean) * self._scale

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, standardised: (images, labels), the last batch smaller if need be."""
        for images, labels in zip(self.images.split(size), self.labels.split(size), strict=True):
            yield self.standardise(images), labels
