"""The images that networks are shown: of a folder, a NumPy file, or the test split of a data set of this suite."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.data import DATASETS, Dataset, Split, balanced_numbers, load_dataset
from harness.data.encoded import EncodedImages, ImageFiles
from harness.errors import HarnessError, nearest
from harness.store import Store

if TYPE_CHECKING:
    from harness.examine.subjects import Expected

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp")
UNLABELLED = "the images have no labels"
LABELS = "-labels.npy"  # what a NumPy file's labels are called: photos.npy, photos-labels.npy
DRAW = 0  # which images, where there are more than wanted


@dataclass(frozen=True)
class Source:
    """Images as they were found.

    Attributes:
        title: what they are, in words.
        split: decoded or encoded, with their labels; all labels 0 where they have none.
        class_names: in the order of the labels; empty where there are no labels.
        side: of the images in pixels; None where they have to be made alike first.
        mean: with which they are standardised, per channel; None where that is not known.
    """

    title: str
    split: Split
    class_names: tuple[str, ...] = ()
    side: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.split)

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and side of images that were made alike."""
        assert isinstance(self.split.images, np.ndarray)
        _, channels, side, _ = self.split.images.shape
        return channels, side


def find_images(where: str, store: Store, data_root: Path | None) -> Source:
    """The images behind `--images`.

    Args:
        where: a folder, in whose subfolders each is a class if it has some; a .npy file of uint8 images [image, height,
            width, channel], or [image, channel, height, width], or grey ones [image, height, width]; or a data set.

    Raises:
        HarnessError: nothing of that name, no images there, or a file of another kind.
    """
    path = Path(where)
    if where in DATASETS:
        return of_dataset(load_dataset(where, store, data_root=data_root))
    if path.is_dir():
        return of_folder(path)
    if path.suffix == ".npy":
        return of_array(path)
    raise HarnessError(
        f"--images {where}: no such folder; expected a folder of images, a .npy file, or a data set "
        f"({', '.join(DATASETS)}): {nearest(where, DATASETS)}"
    )


def of_dataset(dataset: Dataset) -> Source:
    info = dataset.info
    about = (dataset.class_names, info.image_size, info.mean, info.std)
    return Source(f"test images of {dataset.title}", dataset.test, *about)


def of_folder(folder: Path) -> Source:
    """Images of all sizes; where they lie in subfolders, these are their classes, in the order of their names."""
    files = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not files:
        raise HarnessError(f"no images in {folder}; expected files that end in {', '.join(SUFFIXES)}")
    images = ImageFiles(folder, np.array([os.fsencode(path) for path in files], dtype=np.bytes_))
    names = sorted({path.parts[0] for path in files})
    if any(len(path.parts) == 1 for path in files) or len(names) < 2:
        return Source(f"images of {folder.name}", Split(images, np.zeros(len(files), np.int64)))
    labels = np.array([names.index(path.parts[0]) for path in files], np.int64)
    return Source(f"images of {folder.name}, {len(names)} classes", Split(images, labels), tuple(names))


def of_array(path: Path) -> Source:
    """Images of one size, and the labels of the file beside it, if there is one."""
    images = read_array(path)
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[-1] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise HarnessError(
            f"{path} holds {images.dtype} of shape {list(read_array(path).shape)}; expected uint8 images "
            "[image, height, width, channel] with 1 or 3 channels"
        )
    if images.shape[2] != images.shape[3]:
        raise HarnessError(f"{path}: images of {images.shape[2]}×{images.shape[3]} px; expected square ones")
    beside = path.with_name(f"{path.stem}{LABELS}")
    title, side = f"images of {path.name}", images.shape[2]
    if not beside.is_file():
        return Source(title, Split(images, np.zeros(len(images), np.int64)), side=side)
    labels = read_array(beside)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise HarnessError(
            f"{beside} holds {labels.dtype} of shape {list(labels.shape)}; expected a class number for each of the "
            f"{len(images)} images"
        )
    names = tuple(str(number) for number in range(int(labels.max()) + 1))
    return Source(title, Split(images, labels.astype(np.int64)), names, side)


def read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise HarnessError(f"cannot read {path}: {str(error).splitlines()[0]}; expected a NumPy file") from error


def chosen(source: Source, count: int) -> Source:
    """So many of the images, of each class alike where they have labels and enough of each."""
    if count >= len(source):
        return source
    try:
        numbers = balanced_numbers(source.split, count, DRAW)
    except HarnessError:  # a class has fewer than its share
        numbers = np.sort(np.random.default_rng(DRAW).permutation(len(source))[:count])
    labels = source.split.labels[numbers]
    title = f"{count:,} of {len(source):,} {source.title}"
    return replace(source, title=title, split=Split(source.split.images[numbers], labels))


def at_size(source: Source, side: int, how: Expected | None) -> Source:
    """All of them decoded, and as large as the networks take them: the shorter side resized, the centre cut out.

    Args:
        how: share of the crop and interpolation; None for timm's usual ones.

    Raises:
        HarnessError: an image cannot be read; the message names it.
    """
    images = source.split.images
    if isinstance(images, np.ndarray) and images.shape[-1] == side:
        return source
    from PIL import Image

    import models._timm  # noqa: F401  imports torchvision the one way that works everywhere

    from timm.data import create_transform  # isort: skip

    if how is None:
        transform = create_transform(side, normalize=False)
    else:
        transform = create_transform(side, normalize=False, crop_pct=how.crop, interpolation=how.interpolation)
    made = []
    for number in range(len(source)):
        if isinstance(images, EncodedImages):
            image = images.decode(number)
        else:
            image = Image.fromarray(images[number].transpose(1, 2, 0).squeeze())
        made.append(np.asarray(transform(image)))
    return replace(source, split=Split(np.stack(made), source.split.labels), side=side)


def labels_for(source: Source, outputs: int) -> tuple[np.ndarray | None, str]:
    """The labels as a network of so many outputs numbers its classes; or None, and why not.

    Folders that are called by ImageNet's wnids are for a network of its thousand classes what they are called.
    """
    if not source.class_names:
        return None, UNLABELLED
    if outputs == len(source.class_names):
        return source.split.labels, ""
    wnids = imagenet_numbers(source.class_names)
    if outputs == 1000 and wnids is not None:
        return wnids[source.split.labels], ""
    return None, f"the images have {len(source.class_names)} classes, the network {outputs:,} outputs"


def imagenet_numbers(names: Sequence[str]) -> np.ndarray | None:
    """The numbers of these wnids among ImageNet-1K's; None where one is none of them."""
    from timm.data import ImageNetInfo

    number = {wnid: place for place, wnid in enumerate(ImageNetInfo().label_names())}
    found = [number.get(name) for name in names]
    return None if None in found else np.array(found, np.int64)
