"""Images that stay encoded where they are, because decoded they would fit nowhere: read one at a time, by number.

Their content is too much to be read for a fingerprint (150 GB for ImageNet). What identifies them instead is named in
the fingerprint: `paths-and-sizes` of image files, `names-sizes-and-footers` of parquet files, whose footers hold the
place and size of every column of every row group. An image exchanged for another one of the same size goes unnoticed.
"""

from __future__ import annotations

import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import HarnessError

if TYPE_CHECKING:
    from PIL.Image import Image


class EncodedImages(ABC):
    """A sequence of encoded images; indexed with an array it is a part of itself, as an array of images would be."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, chosen: np.ndarray) -> EncodedImages: ...

    @abstractmethod
    def name(self, index: int) -> str:
        """Where the image is, for a person."""

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The encoded image."""

    def decode(self, index: int) -> Image:
        """The image in RGB at its own size; grey, CMYK and palette images are converted as torchvision's loader does.

        Raises:
            HarnessError: it cannot be read, or is no image; the message names it.
        """
        from PIL import Image

        try:
            return Image.open(io.BytesIO(self.read(index))).convert("RGB")
        # What Pillow raises for broken files has no common base.
        except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise HarnessError(
                f"cannot read the image {self.name(index)}: {reason}; expected a JPEG or PNG file: get it again"
            ) from error


@dataclass(frozen=True)
class ImageFiles(EncodedImages):
    """One file an image.

    Attributes:
        root: the folder that the paths are relative to.
        paths: bytes, [image]; an array, since a million strings would be copied into every loader process.
    """

    root: Path
    paths: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen: np.ndarray) -> ImageFiles:
        return ImageFiles(self.root, self.paths[chosen])

    def name(self, index: int) -> str:
        return str(self.root / os.fsdecode(self.paths[index]))

    def read(self, index: int) -> bytes:
        return Path(self.name(index)).read_bytes()


@dataclass(frozen=True)
class ImageRows(EncodedImages):
    """One row of a parquet file an image.

    A row group is read at a time, and the newest few are kept: in order each is read once, in random order once for
    every image in it.

    Attributes:
        files: the parquet files.
        column: struct of bytes and path.
        places: int64, [image, 3]: file, row group, row in the group.
    """

    files: tuple[Path, ...]
    column: str
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen: np.ndarray) -> ImageRows:
        return ImageRows(self.files, self.column, self.places[chosen])

    def name(self, index: int) -> str:
        file, group, row = self.places[index].tolist()
        return f"{self.files[file]}, row group {group}, row {row}"

    def read(self, index: int) -> bytes:
        file, group, row = self.places[index].tolist()
        return _row_group(self.files[file], group, self.column)[row]["bytes"].as_py()


@lru_cache(maxsize=4)
def _row_group(path: Path, number: int, column: str) -> Any:
    """One column of a row group. Read without threads, which a forked loader process does not have."""
    import pyarrow.parquet as parquet

    return parquet.ParquetFile(path, pre_buffer=False).read_row_group(number, [column], use_threads=False)[column]


def listing_fingerprint(kind: str, entries: Iterable[tuple[str, int, bytes]]) -> str:
    """`<kind>:<SHA-256>` over (name, size, further content) of each file, in order."""
    sha = hashlib.sha256()
    for name, size, content in entries:
        sha.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape") + content + b"\n")
    return f"{kind}:{sha.hexdigest()}"
