"""The photographs of frost: found in a folder or in an installed package, or a surrogate with their statistics.

They are five of the files of Hendrycks' repository, frost1.png ... frost3.png, frost4.jpg and frost5.jpg, which this
project does not contain (the second and the third are the same photograph). Packages that have them are not imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.corruptions.constants import SIDE
from harness.corruptions.draws import Draws
from harness.errors import HarnessError

FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
PACKAGES = {"corrupt_tta": "assets/frost", "imagecorruptions": "frost"}
REDUCTION = 5  # a photograph is reduced to a fifth, for images of 32×32


@dataclass(frozen=True)
class Texture:
    """What was measured of crops of 32×32 of a reduced photograph, in grey levels.

    Attributes:
        colour: the mean red, green and blue.
        between: standard deviation of the means of crops.
        within: standard deviation within a crop.
        slope: of the logarithm of power against that of frequency.
    """

    colour: tuple[int, int, int]
    between: float
    within: float
    slope: float


TEXTURES = (
    Texture((78, 149, 166), 10.8, 15.6, -1.1),
    Texture((201, 205, 215), 8.9, 18.1, -1.0),
    Texture((201, 205, 215), 8.9, 18.1, -1.0),
    Texture((138, 153, 166), 10.1, 26.2, -0.6),
    Texture((112, 123, 135), 15.7, 34.3, -1.1),
)


def photographs(folder: Path | None = None) -> tuple[Path, ...] | None:
    """The five files, of the folder or else of an installed package; None where there are none.

    Raises:
        HarnessError: the folder lacks one.
    """
    if folder is not None:
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise HarnessError(f"no {', '.join(missing)} in {folder}; expected the photographs {', '.join(FILES)}")
        return tuple(folder / name for name in FILES)
    for package, place in PACKAGES.items():
        spec = find_spec(package)  # of a package without dots, this does not import it
        for root in (spec.submodule_search_locations or []) if spec else []:
            if all((Path(root) / place / name).is_file() for name in FILES):
                return tuple(Path(root) / place / name for name in FILES)
    return None


def cropped(files: tuple[Path, ...], side: int, draws: Draws, device: torch.device) -> Tensor:
    """A crop of one of the photographs for each image: uint8 [batch, 3, side, side]."""
    photos, sizes = _reduced(files, max(1, round(REDUCTION * SIDE / side)), device)
    room = sizes - side
    if (room < 0).any():
        raise HarnessError(f"the photographs of frost in {files[0].parent} are too small for images of {side}×{side}")
    photo = draws.integers(below=len(files))
    start = (draws.uniform(2) * room[photo].clamp(min=1)).long()
    line = torch.arange(side, device=device)
    rows, columns = start[:, :1, None] + line[:, None], start[:, 1:, None] + line
    return photos[photo[:, None, None], rows, columns].permute(0, 3, 1, 2)


@cache
def _reduced(files: tuple[Path, ...], step: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Every so manieth pixel: uint8 [file, row, column, 3], filled up with black, and their sizes [file, 2].

    OpenCV's bilinear interpolation to a fifth reads nothing but the pixels 2, 7, 12, ...
    """
    from PIL import Image

    photos = []
    for path in files:
        try:
            pixels = np.asarray(Image.open(path).convert("RGB"))
        except OSError as error:
            raise HarnessError(f"cannot read {path}: {str(error).splitlines()[0]}; expected a photograph") from error
        height, width = (round(length / step) for length in pixels.shape[:2])
        photos.append(pixels[step // 2 :: step, step // 2 :: step][:height, :width])
    sizes = np.array([photo.shape[:2] for photo in photos])
    canvas = np.zeros((len(files), *sizes.max(0), 3), dtype=np.uint8)
    for place, photo in zip(canvas, photos, strict=True):
        place[: len(photo), : photo.shape[1]] = photo
    return torch.from_numpy(canvas).to(device), torch.from_numpy(sizes).to(device)


def surrogate(side: int, draws: Draws, device: torch.device) -> Tensor:
    """Random textures with the statistics of the photographs: uint8 [batch, 3, side, side].

    Grey clouds on the mean colour, whose power falls with frequency as theirs; what is seen in them is not theirs.
    """
    choice = draws.integers(below=len(TEXTURES))

    def chosen(values: list[float] | list[tuple[int, int, int]]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)[choice]

    filters = torch.stack([_cloud_filter(side, texture.slope) for texture in TEXTURES]).to(device)[choice]
    clouds = torch.fft.irfft2(torch.fft.rfft2(draws.normal(side, side)) * filters, s=(side, side))
    brightness = chosen([texture.between for texture in TEXTURES]) * draws.normal()
    grey = clouds * chosen([texture.within for texture in TEXTURES])[:, None, None] + brightness[:, None, None]
    colour = chosen([texture.colour for texture in TEXTURES])
    return (colour[:, :, None, None] + grey[:, None]).clamp_(0, 255).to(torch.uint8)


@cache
def _cloud_filter(side: int, slope: float) -> Tensor:
    """Of white noise on the half plane of `rfft2`: power as frequency to the slope, none at zero, variance 1."""
    frequencies = torch.fft.fftfreq(side, dtype=torch.float64)
    radius = torch.hypot(frequencies[:, None], frequencies)
    power = torch.where(radius > 0, radius, 1) ** slope * (radius > 0)
    return (power / power.mean()).sqrt()[:, : side // 2 + 1]
