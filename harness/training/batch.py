"""From stored images to what the network sees in training: every augmentation of the recipe, on the device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.identity import subseed
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


def drawn_batches(
    split: Resident, recipe: Recipe, *, images: int | None, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Training batches outside of training, for what is measured on them: in passes over the split, each in an order
    and with an augmentation of its own. The same for every network that is measured with this seed.

    Args:
        images: as many batches as they fill, one at least; None for one pass.

    Yields:
        As `training_batch`.
    """
    device, count = split.images.device, images or len(split)
    batch_size = min(batch_size, count)
    augmenter = torch.Generator(device).manual_seed(subseed(seed, "augment"))
    shuffler = torch.Generator().manual_seed(subseed(seed, "order"))
    passes = [torch.randperm(len(split), generator=shuffler) for _ in range(-(-count // len(split)))]
    for chosen in torch.cat(passes)[: count - count % batch_size].split(batch_size):
        yield training_batch(split, chosen.to(device), recipe, augmenter)
