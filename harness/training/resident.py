"""A split whose images live on the device, and are augmented there: the batch at once, each image in its own way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.data import DatasetInfo, Split
from harness.plan.recipe import Recipe
from harness.training.augment import crop_and_flip
from harness.training.loader import Loader
from harness.training.randaugment import rand_augment


class Resident(Loader):
    """A split whose images live on the device as uint8, and are augmented there.

    Attributes:
        images: uint8 [image, channel, height, width].
    """

    def __init__(self, split: Split, info: DatasetInfo, device: torch.device):
        super().__init__(split, info, device)
        self.images = torch.from_numpy(np.array(split.images)).to(device)

    def _plain(self, size: int) -> Iterator[Tensor]:
        return iter(self.images.split(size))

    def augmented(
        self, batches: Sequence[Tensor], recipe: Recipe, generator: torch.Generator, seed: int
    ) -> Iterator[Tensor]:
        """Crops, flips and RandAugment, drawn from the generator; see `Loader.augmented`."""
        for chosen in batches:
            images = crop_and_flip(
                self.images[chosen], padding=recipe.crop_padding, flip=recipe.flip, generator=generator
            )
            if settings := recipe.randomly_augmented:
                images = rand_augment(images, **settings, fill=self.mean_colour, generator=generator)
            yield images
