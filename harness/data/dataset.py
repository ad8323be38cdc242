"""A decoded data set, and class-balanced subsets of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.data.catalogue import DatasetInfo
from harness.data.encoded import EncodedImages
from harness.errors import HarnessError
from harness.store.identity import subseed


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8, [image, channel, height, width], usually a read-only memory map; or still encoded, where they
            are too many to be decoded beforehand.
        labels: int64, [image].
    """

    images: np.ndarray | EncodedImages
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Train and test split with what identifies them.

    Attributes:
        title: the published name, and how this copy differs from the original if it does.
        class_names: in the order of the labels.
        fingerprint: SHA-256 over the decoded images, labels and class names of both splits; of encoded images, one that
            names what it is over, see `harness.data.encoded`.
    """

    info: DatasetInfo
    title: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    fingerprint: str


def balanced_subset(split: Split, count: int | None, draw: int = 0) -> Split:
    """The images of `balanced_numbers`."""
    if count is None or count == len(split):
        return split
    numbers = balanced_numbers(split, count, draw)
    return Split(split.images[numbers], split.labels[numbers])


def balanced_numbers(split: Split, count: int | None, draw: int = 0) -> np.ndarray:
    """The numbers of the same `count` images for everybody, of each class as many as of the others (or one more).

    In order, and all of them for None: int64 [image]. The choice depends on the labels, `count` and `draw` alone, so
    that every seed of a profile sees the same data set, and a smaller subset of a draw is contained in a larger one.

    Raises:
        HarnessError: a class has too few images.
    """
    if count is None or count == len(split):
        return np.arange(len(split))
    if not len(split):
        raise HarnessError(f"cannot take a subset of {count} images; there are none")
    classes, available = np.unique(split.labels, return_counts=True)
    share, rest = divmod(count, len(classes))
    quota = np.full(len(classes), share) + (np.arange(len(classes)) < rest)
    if count <= 0 or (quota > available).any():
        raise HarnessError(
            f"cannot take a class-balanced subset of {count} images; at most {available.min() * len(classes)} are there"
        )
    order = np.random.Generator(np.random.PCG64(subseed("subset", *([draw] if draw else [])))).permutation(len(split))
    shuffled = split.labels[order]
    chosen = [order[shuffled == label][:wanted] for label, wanted in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen))


def held_out(split: Split, trained: int, count: int) -> Split:
    """`count` class-balanced images that are not in the subset of `trained`: what the next larger subset adds to it.

    Raises:
        HarnessError: a class has too few images.
    """
    numbers = np.setdiff1d(balanced_numbers(split, trained + count), balanced_numbers(split, trained))
    return Split(split.images[numbers], split.labels[numbers])
