"""The published corrupted test sets: CIFAR-10-C and CIFAR-100-C (Zenodo 2535967 and 3555552), ImageNet-C (2235448).

`<data_root>/cifar10-c/<corruption>.npy` holds uint8 [5 · images, side, side, 3], the images of severity 1 first, in the
order of the test set, and `labels.npy` their labels; so does `cifar100-c`. `<data_root>/imagenet-c/` has a folder for
each corruption, in it one for each severity, and in this one for each class: `<corruption>/<severity>/<wnid>/*.JPEG`.
Files are mapped into memory or read one by one: what is not looked at is not read.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.corruptions.constants import SEVERITIES
from harness.data.catalogue import DatasetInfo
from harness.data.encoded import ImageFiles
from harness.errors import HarnessError


class Official(ABC):
    """A published corrupted test set; images go by their number in the test set."""

    @abstractmethod
    def images(self, name: str, severity: int, numbers: Tensor) -> Tensor:
        """uint8 [image, 3, side, side] of a corruption.

        Args:
            numbers: int64 [image].

        Raises:
            HarnessError: no such file, or one of another layout or of another number of images.
        """

    @abstractmethod
    def labels(self, numbers: Tensor) -> Tensor:
        """int64 [image]; fails as `images` does."""


def open_official(data_root: Path | None, info: DatasetInfo, count: int) -> Official:
    """The corrupted test set of a data set.

    Args:
        data_root: `<data_root>/<name>-c/` holds it.
        count: how many test images there are, and so how many of each severity.

    Raises:
        HarnessError: it is not there.
    """
    folder = (data_root or Path()) / f"{info.name}-c"
    layout = f"{folder}/<corruption>" + ("/<severity>/<wnid>/*.JPEG" if info.streamed else ".npy and labels.npy")
    if data_root is None or not folder.is_dir():
        given = "no --data-root" if data_root is None else f"no folder {folder}"
        raise HarnessError(f"the published corrupted images of {info.title} are not there ({given}); expected {layout}")
    return Folders(folder, count, info.image_size) if info.streamed else Arrays(folder, count, info.image_size)


@dataclass(frozen=True)
class Arrays(Official):
    """One array a corruption, severity by severity."""

    folder: Path
    count: int
    side: int

    def images(self, name: str, severity: int, numbers: Tensor) -> Tensor:
        """See `Official.images`."""
        path = self.folder / f"{name}.npy"
        rows = self._checked(path, (self.side, self.side, 3))
        chosen = rows[(severity - 1) * self.count + numbers.cpu().numpy()]
        return torch.from_numpy(chosen).permute(0, 3, 1, 2).contiguous()

    def labels(self, numbers: Tensor) -> Tensor:
        """See `Official.labels`."""
        rows = self._checked(self.folder / "labels.npy", ())
        return torch.from_numpy(rows[numbers.cpu().numpy()].astype(np.int64))

    def _checked(self, path: Path, shape: tuple[int, ...]) -> np.ndarray:
        rows = _mapped(path)
        wanted = (len(SEVERITIES) * self.count, *shape)
        if rows.shape != wanted or (shape and rows.dtype != np.uint8):
            raise HarnessError(
                f"{path} holds {rows.dtype} {list(rows.shape)}; expected {'uint8 ' if shape else ''}{list(wanted)}, "
                f"five severities of the {self.count:,} test images"
            )
        return rows


@lru_cache(maxsize=32)
def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise HarnessError(f"cannot read {path}: {str(error).splitlines()[0]}; expected an array of NumPy") from error


@dataclass(frozen=True)
class Folders(Official):
    """One folder a corruption, severity and class, with an encoded image each."""

    folder: Path
    count: int
    side: int

    def images(self, name: str, severity: int, numbers: Tensor) -> Tensor:
        """See `Official.images`."""
        files, _ = self._listed(name, severity)
        return torch.stack([self._decoded(files, number) for number in numbers.tolist()])

    def labels(self, numbers: Tensor) -> Tensor:
        """See `Official.labels`; of the first corruption that is there, since all have the same files."""
        first = min((entry.name for entry in os.scandir(self.folder) if entry.is_dir()), default="")
        if not first:
            raise HarnessError(f"no folder of a corruption in {self.folder}")
        return torch.from_numpy(self._listed(first, SEVERITIES[0])[1])[numbers.cpu()]

    def _listed(self, name: str, severity: int) -> tuple[ImageFiles, np.ndarray]:
        folder = self.folder / name / str(severity)
        files, labels = _listing(folder)
        if len(files) != self.count:
            raise HarnessError(f"{folder} holds {len(files):,} images; expected the {self.count:,} of the test set")
        return files, labels

    def _decoded(self, files: ImageFiles, number: int) -> Tensor:
        pixels = np.array(files.decode(number))
        if pixels.shape != (self.side, self.side, 3):
            raise HarnessError(
                f"{files.name(number)} is of {pixels.shape[1]}×{pixels.shape[0]}, not {self.side}×{self.side}"
            )
        return torch.from_numpy(pixels).permute(2, 0, 1)


@lru_cache(maxsize=128)
def _listing(folder: Path) -> tuple[ImageFiles, np.ndarray]:
    """The images of a severity with their labels, in the order of the test set: class by class, then by name."""
    if not folder.is_dir():
        raise HarnessError(f"no folder {folder}; expected {folder}/<wnid>/*.JPEG")
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    found = [
        (label, os.fsencode(f"{wnid}/{name}"))
        for label, wnid in enumerate(classes)
        for name in sorted(os.listdir(folder / wnid))
    ]
    paths = np.array([path for _, path in found], dtype=np.bytes_)
    return ImageFiles(folder, paths), np.array([label for label, _ in found], dtype=np.int64)
