"""What a probe is given: batches of images with or without labels, or simply one tensor of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor

from harness.errors import HarnessError

T = TypeVar("T")
Batch = Tensor | tuple[Tensor, Tensor]
Images = Tensor | Iterable[Batch]

PIECE = 250


def image_batches(images: Images) -> Iterator[Tensor]:
    """The batches of images [batch, channel, height, width] in `images`, labels aside.

    Args:
        images: one tensor of images, which is cut into batches, or an iterable of batches: tensors, or pairs of
            images and labels.

    Raises:
        HarnessError: a batch is no such tensor.
    """
    for batch in images.split(PIECE) if isinstance(images, Tensor) else images:
        pictures = batch[0] if isinstance(batch, tuple | list) else batch
        if not isinstance(pictures, Tensor) or pictures.ndim != 4:
            found = f"a tensor of shape {tuple(pictures.shape)}" if isinstance(pictures, Tensor) else type(pictures)
            raise HarnessError(f"images are batches of [batch, channel, height, width]; found {found}")
        yield pictures


def shape_of(batch: Tensor) -> tuple[int, int, int]:
    """Channels, height and width of a batch of images."""
    _, channels, height, width = batch.shape
    return channels, height, width


def labelled_batches(images: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of images and labels, or soft targets, checked.

    Raises:
        HarnessError: there is no batch, or one without a label for each of its images.
    """
    empty = True
    for batch in images:
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        if not pair or len(batch[0]) != len(batch[1]):
            found = f"{len(batch[0])} images and {len(batch[1])} labels" if pair else "no pair"
            raise HarnessError(
                "this is measured with labels, or soft targets: give pairs (images, labels), a label for each image; "
                f"found {found}"
            )
        empty = False
        yield batch[0], batch[1]
    if empty:
        raise HarnessError("a probe without images has nothing to measure")


def in_batches_of(size: int, parts: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, ...]]:
    """Cut anew: `size` rows at a time, however they came; the last may be fewer.

    For what depends on which images share a batch: so it does not depend on how they were handed in.
    """
    waiting: list[tuple[Tensor, ...]] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part[0])
        if count >= size:
            joined = tuple(torch.cat(column) for column in zip(*waiting, strict=True))
            whole = count - count % size
            yield from zip(*(column[:whole].split(size) for column in joined), strict=True)
            waiting, count = [tuple(column[whole:] for column in joined)], count - whole
    if count:
        yield tuple(torch.cat(column) for column in zip(*waiting, strict=True))


def peek(batches: Iterator[T]) -> tuple[T, Iterator[T]]:
    """The first batch, and all of them.

    Raises:
        HarnessError: there is none.
    """
    for first in batches:
        return first, chain([first], batches)
    raise HarnessError("a probe without images has nothing to measure")
