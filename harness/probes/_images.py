"""What a probe is given: batches of images with or without labels, or simply one tensor of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

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


def labelled_batches(images: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of images and labels, checked.

    Raises:
        HarnessError: a batch has no labels, one an image.
    """
    for batch in images:
        if not isinstance(batch, tuple | list) or len(batch) != 2 or len(batch[0]) != len(batch[1]):
            raise HarnessError("accuracy needs labels: give pairs (images, labels), a label for each image")
        yield batch[0], batch[1]


def peek(batches: Iterator[T]) -> tuple[T, Iterator[T]]:
    """The first batch, and all of them.

    Raises:
        HarnessError: there is none.
    """
    for first in batches:
        return first, chain([first], batches)
    raise HarnessError("a probe without images has nothing to measure")
