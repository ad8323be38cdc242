"""Every corruption under its name, and the one function that applies them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from harness.corruptions import blur, digital, weather
from harness.corruptions.constants import CONSTANTS, GROUPS, SEVERITIES
from harness.corruptions.draws import Draws
from harness.corruptions.frost import cropped, photographs, surrogate
from harness.corruptions.noise import CHANNELS, noisy
from harness.errors import HarnessError, nearest
from harness.store.identity import subseed

Source = Literal["official", "regenerated", "surrogate"]
Corruption = Callable[[Tensor, tuple[float, ...], Draws], Tensor]

PIECE_VALUES = 64 * 3 * 32 * 32  # of images worked on at once: so few that they stay in the processor's cache
OTHERS: dict[str, Corruption] = {
    **{name: getattr(blur, name) for name in ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur")},
    **{name: getattr(weather, name) for name in ("snow", "fog", "spatter")},
    **{name: getattr(digital, name) for name in ("brightness", "contrast", "elastic_transform", "pixelate")},
    "jpeg_compression": digital.jpeg_compression,
    "gaussian_blur": blur.gaussian_blur,
    "saturate": digital.saturate,
}


def corrupt(
    images: Tensor,
    name: str,
    severity: int,
    *,
    seed: int = 0,
    first: int = 0,
    indices: Tensor | None = None,
    frost: Path | None = None,
) -> Tensor:
    """A corruption of CIFAR-C (Hendrycks & Dietterich, arXiv:1903.12261) of each image.

    What is random depends on the seed, the corruption, its severity and the image's number alone: an image has the same
    pixels alone, in any batch and in any order. The deterministic ones are defocus_blur, zoom_blur, brightness,
    contrast, pixelate, jpeg_compression, gaussian_blur and saturate. All but `jpeg_compression` (Pillow, on the host)
    are computed on the images' device.

    Args:
        images: uint8 [batch, 3, side, side]. One channel will do as well, as the digits have it, but for `saturate`:
            colours become their luma. Lengths in pixels are those for a side of 32 times side / 32; ImageNet-C has
            other constants of its own.
        name: one of `CORRUPTIONS` or `EXTRA`.
        severity: 1 ... 5.
        seed: of the random numbers.
        first: the number of the first image; the others follow.
        indices: int64 [batch], the images' numbers instead.
        frost: the folder with the photographs for `frost`; without it those of an installed package are used, and else
            a surrogate. `source_of` says which.

    Returns:
        uint8 of the same shape, on the same device.

    Raises:
        HarnessError: no such corruption or severity, images of another type or shape, or no photographs in the folder.
    """
    check_name(name)
    if severity not in SEVERITIES:
        raise HarnessError(f"severity {severity!r} of {name}; expected 1, 2, 3, 4 or 5")
    check_images(images)
    if indices is None:
        indices = torch.arange(first, first + len(images))
    elif indices.shape != (len(images),):
        raise HarnessError(f"indices of shape {tuple(indices.shape)} for {len(images)} images; expected one for each")
    if not images.numel():
        return images.clone()
    stream = subseed(seed, name, severity)
    size = max(1, PIECE_VALUES // images[0].numel())
    pieces = zip(images.split(size), indices.long().to(images.device).split(size), strict=True)
    return torch.cat([_corrupted(part, name, severity, Draws(stream, numbers), frost) for part, numbers in pieces])


def _corrupted(pixels: Tensor, name: str, severity: int, draws: Draws, folder: Path | None) -> Tensor:
    constants = CONSTANTS[name][severity - 1]
    if name in CHANNELS:
        return noisy(pixels, name, constants[0], draws)
    if name == "frost":
        files, side = photographs(folder), pixels.shape[-1]
        ice = cropped(files, side, draws, pixels.device) if files else surrogate(side, draws, pixels.device)
        return weather.frosted(pixels, constants, ice)
    return OTHERS[name](pixels, constants, draws)


def source_of(name: str, *, frost: Path | None = None) -> Source:
    """What `corrupt` gives: "regenerated" by the definition, or a "surrogate" (frost without its photographs).

    Raises:
        HarnessError: no such corruption, or no photographs in the folder.
    """
    check_name(name)
    return "surrogate" if name == "frost" and photographs(frost) is None else "regenerated"


def check_name(name: str) -> None:
    """Raises:
    HarnessError: there is no such corruption; the message names the nearest.
    """
    if name not in GROUPS:
        raise HarnessError(f"no corruption {name!r}; {nearest(name, GROUPS)}")


def check_images(images: Tensor) -> None:
    """Raises:
    HarnessError: they are not uint8, or not [batch, 1 or 3, side, side].
    """
    if images.dtype != torch.uint8:
        raise HarnessError(f"images of {images.dtype}; expected uint8, 0 to 255 and not standardised")
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.shape[2] != images.shape[3]:
        raise HarnessError(f"images of shape {tuple(images.shape)}; expected [batch, 3 or 1, side, side]")
