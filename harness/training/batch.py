"""From stored images to what the network sees in training: every augmentation of the recipe, on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.training.augment import crop_and_flip
from harness.training.erase import random_erase
from harness.training.loader import Resident
from harness.training.mix import mix, soft_targets
from harness.training.randaugment import rand_augment
from harness.training.recipe import Recipe


def training_batch(
    split: Resident, chosen: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augment some images of a split (paper A.1).

    Args:
        chosen: int64 [batch], which images.
        generator: on the split's device; the only source of randomness.

    Returns:
        Standardised images [batch, channel, height, width] and their targets, float [batch, class]: smoothed and mixed
        as the recipe says, each summing to 1.
    """
    images, labels = split.images[chosen], split.labels[chosen]
    images = crop_and_flip(images, padding=recipe.crop_padding, flip=recipe.flip, generator=generator)
    if settings := recipe.randomly_augmented:
        images = rand_augment(images, **settings, fill=split.mean_colour, generator=generator)
    inputs = split.standardise(images)
    if recipe.erasing:
        inputs = random_erase(inputs, probability=recipe.erasing, mode="const", generator=generator)
    if recipe.mixup:
        return mix(
            inputs,
            labels,
            classes=split.classes,
            mixup_alpha=recipe.mixup,
            cutmix_alpha=recipe.cutmix,
            smoothing=recipe.label_smoothing,
            generator=generator,
        )
    share = torch.ones((), device=labels.device)
    return inputs, soft_targets(labels, share, classes=split.classes, smoothing=recipe.label_smoothing)
