"""RandAugment (Cubuk et al. 2020) as timm's `rand-m9-n2-mstd1.0` means it, on whole batches on the device.

Every image draws its own operations, levels and signs, all of them from one generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training import image_ops


class Operation(IntEnum):
    """What an image may draw, each with the same probability."""

    AUTO_CONTRAST = 0
    EQUALIZE = 1
    INVERT = 2
    ROTATE = 3
    POSTERIZE = 4
    SOLARIZE = 5
    SOLARIZE_ADD = 6
    COLOR = 7
    CONTRAST = 8
    BRIGHTNESS = 9
    SHARPNESS = 10
    SHEAR_X = 11
    SHEAR_Y = 12
    TRANSLATE_X = 13
    TRANSLATE_Y = 14


class Draws(NamedTuple):
    """One operation for every image; each field is [batch]."""

    operation: Tensor  # int64, an Operation
    applied: Tensor  # bool: otherwise the image stays
    level: Tensor  # float64, 0..10
    sign: Tensor  # float64, -1 or 1
    bicubic: Tensor  # bool: the interpolation of a geometric operation, bilinear otherwise


def rand_augment(
    images: Tensor,
    *,
    magnitude: float = 9,
    count: int = 2,
    magnitude_std: float = 1.0,
    generator: torch.Generator,
    probability: float = 0.5,
    increasing: bool = False,
    fill: Sequence[int] | None = None,
) -> Tensor:
    """Apply `count` random operations to every image, one after the other.

    Args:
        images: uint8 [batch, channel, height, width] with 1 or 3 channels; not changed.
        magnitude: mean level of the operations, 0..10.
        count: operations drawn for an image, with replacement.
        magnitude_std: standard deviation of the level, which is then clipped to 0..10.
        generator: on the images' device.
        probability: of a drawn operation being applied.
        increasing: levels of posterize, solarize, color, contrast, brightness and sharpness that grow with the
            magnitude (timm's `inc1`). The paper's configuration does without.
        fill: colour from outside the image per channel, 0..255; timm takes the data set's mean. Default 128.

    Returns:
        Same shape, dtype and device, channels last in memory.
    """
    batch, channels = images.shape[:2]
    fill = [128] * channels if fill is None else fill
    if images.dtype != torch.uint8 or channels not in (1, 3) or len(fill) != channels:
        raise ValueError(
            f"uint8 images of 1 or 3 channels, and a fill for each; not {images.dtype}, {channels}, {fill}"
        )
    images = images.clone(memory_format=torch.channels_last)
    for _ in range(count):
        draws = draw(batch, magnitude, magnitude_std, probability, generator)
        images = apply(images, draws, fill=fill, increasing=increasing)
    return images


def draw(batch: int, magnitude: float, magnitude_std: float, probability: float, generator: torch.Generator) -> Draws:
    """One operation for each of `batch` images, on the generator's device."""
    where = {"device": generator.device, "generator": generator}
    level = torch.randn(batch, dtype=torch.float64, **where) * magnitude_std + magnitude
    return Draws(
        operation=torch.randint(len(Operation), (batch,), **where),
        applied=torch.rand(batch, **where) < probability,
        level=level.clamp_(0, 10),
        sign=torch.randint(2, (batch,), **where).double() * 2 - 1,
        bicubic=torch.randint(2, (batch,), **where).bool(),
    )


def apply(images: Tensor, draws: Draws, *, fill: Sequence[int], increasing: bool) -> Tensor:
    """The images after the operations drawn for them; on the CPU, the images are changed in place."""
    part = draws.level / 10
    bits, threshold = (part * 4).long(), (part * 256).long()
    factor = 0.1 + 1.8 * part
    if increasing:
        bits, threshold, factor = 4 - bits, 256 - threshold, (1 + 0.9 * draws.sign * part).clamp_(min=0.1)
    addition = (part * 110).long()
    matrix = matrices(draws, height=images.shape[2], width=images.shape[3])

    def step(chosen: Tensor, operation: Callable[..., Tensor], *arguments: Tensor) -> None:
        nonlocal images
        images = _apply_where(chosen & draws.applied, images, operation, *arguments)

    drawn = {operation: draws.operation == operation for operation in Operation}
    step(drawn[Operation.AUTO_CONTRAST], image_ops.auto_contrast)
    step(drawn[Operation.EQUALIZE], image_ops.equalize)
    step(drawn[Operation.INVERT], image_ops.invert)
    step(drawn[Operation.POSTERIZE], image_ops.posterize, bits)
    step(drawn[Operation.SOLARIZE], image_ops.solarize, threshold)
    step(drawn[Operation.SOLARIZE_ADD], image_ops.solarize_add, addition)
    step(drawn[Operation.COLOR], image_ops.color, factor)
    step(drawn[Operation.CONTRAST], image_ops.contrast, factor)
    step(drawn[Operation.BRIGHTNESS], image_ops.brightness, factor)
    step(drawn[Operation.SHARPNESS], image_ops.sharpness, factor)
    moved = (draws.operation >= Operation.SHEAR_X) | drawn[Operation.ROTATE]
    for bicubic in (False, True):
        step(
            moved & (draws.bicubic == bicubic),
            lambda images, matrix, bicubic=bicubic: image_ops.affine(images, matrix, fill=fill, bicubic=bicubic),
            matrix,
        )
    return images


def matrices(draws: Draws, *, height: int, width: int) -> Tensor:
    """Where each image's pixels come from, (a, b, c, d, e, f) of `affine`, float64 [batch, 6].

    At level 10: rotation by 30 degrees about the centre, counter-clockwise for sign 1; shear by 0.3 about the corner;
    translation by 0.45 of the image's side.
    """
    amount = draws.sign * draws.level / 10

    def only(operation: Operation, most: float) -> Tensor:
        return torch.where(draws.operation == operation, amount * most, 0.0)

    angle = -only(Operation.ROTATE, math.radians(30))
    cos, sin = angle.cos(), angle.sin()
    x, y = width / 2, height / 2
    return torch.stack(
        [
            cos,
            sin + only(Operation.SHEAR_X, 0.3),
            (cos * -x + sin * -y + x) + only(Operation.TRANSLATE_X, 0.45) * width,
            only(Operation.SHEAR_Y, 0.3) - sin,
            cos,
            (-sin * -x + cos * -y + y) + only(Operation.TRANSLATE_Y, 0.45) * height,
        ],
        dim=1,
    )


def _apply_where(chosen: Tensor, images: Tensor, operation: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """The images with `operation` applied where chosen [batch]."""
    if images.device.type != "cpu":
        # To know how many are chosen, the host would have to wait for the device; it is quicker to change them all.
        return torch.where(chosen.view(-1, 1, 1, 1), operation(images, *arguments), images)
    index = chosen.nonzero().squeeze(1)
    if len(index):
        images[index] = operation(images[index], *(argument[index] for argument in arguments))
    return images
