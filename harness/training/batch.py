"""From stored images to what the network sees in training: every augmentation of the recipe."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.plan.recipe import Recipe
from harness.store.identity import subseed
from harness.training.erase import random_erase
from harness.training.loader import Loader
from harness.training.mix import mix, soft_targets


def training_batches(
    split: Loader, order: Tensor, size: int, recipe: Recipe, generator: torch.Generator, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augment the images of a split, batch by batch (paper A.1).

    Args:
        order: int64 [image], which images; the last batch is smaller if need be.
        generator: on the split's device. It is drawn from only when a batch is asked for, so that its state between
            two batches, together with the seed, says how it goes on.
        seed: for what loader processes draw; see `Loader.augmented`.

    Yields:
        Standardised images [batch, channel, height, width] and their targets, float [batch, class]: smoothed and mixed
        as the recipe says, each summing to 1.
    """
    batches = order.to(split.device).split(size)
    for images, chosen in zip(split.augmented(batches, recipe, generator, seed), batches, strict=True):
        yield _erased_and_mixed(split, images, split.labels[chosen], recipe, generator)


def _erased_and_mixed(
    split: Loader, images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
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
    split: Loader, recipe: Recipe, *, images: int | None, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Training batches outside of training, for what is measured on them: in passes over the split, each in an order
    and with an augmentation of its own. The same for every network that is measured with this seed.

    Args:
        images: as many batches as they fill, one at least; None for one pass.

    Yields:
        As `training_batches`.

    Raises:
        HarnessError: the data set came without training images.
    """
    if not len(split):
        raise HarnessError("this is measured on training images, and the data set is here without them")
    count = images or len(split)
    batch_size = min(batch_size, count)
    augmenter = torch.Generator(split.device).manual_seed(subseed(seed, "augment"))
    shuffler = torch.Generator().manual_seed(subseed(seed, "order"))
    passes = [torch.randperm(len(split), generator=shuffler) for _ in range(-(-count // len(split)))]
    order = torch.cat(passes)[: count - count % batch_size]
    yield from training_batches(split, order, batch_size, recipe, augmenter, subseed(seed, "images"))
