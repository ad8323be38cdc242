"""A split as training and probes want it: on the device, standardised, batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.data import DatasetInfo, Split
from harness.data.standard import Standard
from harness.plan.recipe import Recipe


class Loader(ABC):
    """A split's labels on the device, and its images by the batch, wherever they are.

    Args:
        split: images and labels.
        info: gives mean and standard deviation per channel.
        device: where they go.

    Attributes:
        labels: int64 [image].
        classes: how many there are.
        mean_colour: per channel, 0..255.
    """

    def __init__(self, split: Split, info: DatasetInfo, device: torch.device):
        self.device = device
        self.labels = torch.from_numpy(np.array(split.labels)).to(device)
        self.classes = info.classes
        self.mean_colour = [round(255 * mean) for mean in info.mean]
        self._standard = Standard(info.mean, info.std, device)

    def __len__(self) -> int:
        return len(self.labels)

    def standardise(self, images: Tensor) -> Tensor:
        """uint8 0..255 -> float32 with the data set's mean 0 and standard deviation 1 per channel."""
        return self._standard.standardise(images)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order, standardised: (images, labels), the last batch smaller if need be."""
        for images, labels in zip(self._plain(size), self.labels.split(size), strict=True):
            yield self.standardise(images), labels

    @abstractmethod
    def _plain(self, size: int) -> Iterator[Tensor]:
        """All images in order as they are tested on, uint8 [batch, channel, height, width]."""

    @abstractmethod
    def augmented(
        self, batches: Sequence[Tensor], recipe: Recipe, generator: torch.Generator, seed: int
    ) -> Iterator[Tensor]:
        """Cropped, flipped and randomly augmented images for each batch of indices.

        Args:
            batches: int64 [batch] each, on the device.
            generator: on the device, for what is drawn there, when the batch is asked for and not before.
            seed: for what is drawn elsewhere and ahead of time; with it an image always comes out the same, the first
                time, the second, and so on.

        Returns:
            uint8 [batch, channel, height, width] each, on the device, channels last in memory.
        """
