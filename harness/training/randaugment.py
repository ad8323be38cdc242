"""RandAugment (Cubuk et al. 2020) as timm's `rand-m9-n2-mstd1.0` means it, on whole batches on the device.

Every image draws its own operations, levels and signs, all of them from one generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training import image_ops


class Operation(IntEnum):
    """What an image may draw, each with the same probability; those that move pixels come last."""

    AUTO_CONTRAST = 0
    EQUALIZE = 1
    INVERT = 2
    POSTERIZE = 3
    SOLARIZE = 4
    SOLARIZE_ADD = 5
    COLOR = 6
    CONTRAST = 7
    BRIGHTNESS = 8
    SHARPNESS = 9
    ROTATE = 10
    SHEAR_X = 11
    SHEAR_Y = 12
    TRANSLATE_X = 13
    TRANSLATE_Y = 14


Step = tuple[Callable[..., Tensor], tuple[Tensor, ...]]  # an operation on images, and its arguments, each [batch, ...]


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
    images = images.contiguous(memory_format=torch.channels_last)
    for _ in range(count):
        draws = draw(batch, magnitude, magnitude_std, probability, generator)
        images = apply(images, draws, fill=fill, increasing=increasing)
    return images


def draw(batch: int, magnitude: float, magnitude_std: float, probability: float, generator: torch.Generator) -> Draws:
    """One operation for each of `batch` images, on the generator's device."""
    device = generator.device

    def integers(high: int) -> Tensor:
        return torch.randint(high, (batch,), device=device, generator=generator)

    noise = torch.randn(batch, dtype=torch.float64, device=device, generator=generator)
    return Draws(
        operation=integers(len(Operation)),
        applied=torch.rand(batch, device=device, generator=generator) < probability,
        level=(magnitude + magnitude_std * noise).clamp_(0, 10),
        sign=integers(2).double() * 2 - 1,
        bicubic=integers(2).bool(),
    )


def apply(images: Tensor, draws: Draws, *, fill: Sequence[int], increasing: bool) -> Tensor:
    """The images after the operations drawn for them."""
    part = draws.level / 10
    bits, threshold, addition = (part * 4).long(), (part * 256).long(), (part * 110).long()
    factor = 0.1 + 1.8 * part
    if increasing:
        bits, threshold, factor = 4 - bits, 256 - threshold, (1 + 0.9 * draws.sign * part).clamp_(min=0.1)
    matrix = matrices(draws, height=images.shape[2], width=images.shape[3])
    steps: list[Step] = [
        (image_ops.auto_contrast, ()),
        (image_ops.equalize, ()),
        (image_ops.invert, ()),
        (image_ops.posterize, (bits,)),
        (image_ops.solarize, (threshold,)),
        (image_ops.solarize_add, (addition,)),
        (image_ops.color, (factor,)),
        (image_ops.contrast, (factor,)),
        (image_ops.brightness, (factor,)),
        (image_ops.sharpness, (factor,)),
        (partial(image_ops.affine, fill=fill, bicubic=False), (matrix,)),
        (partial(image_ops.affine, fill=fill, bicubic=True), (matrix,)),
    ]
    geometric = draws.operation >= Operation.ROTATE.value  # torch.compile takes no enumeration for a number
    number = draws.operation.clamp(max=Operation.ROTATE.value) + (draws.bicubic & geometric)
    number = torch.where(draws.applied, number, len(steps))
    # To learn how many images take a step, the host would have to wait for a GPU; changing them all is quicker there.
    return (in_groups if images.device.type == "cpu" else everywhere)(images, number, steps)


def everywhere(images: Tensor, number: Tensor, steps: Sequence[Step]) -> Tensor:
    """Take every step with all images, and keep it for those with its number [batch]; no shape depends on a value."""
    for step, (operation, arguments) in enumerate(steps):
        images = torch.where((number == step).view(-1, 1, 1, 1), operation(images, *arguments), images)
    return images


def in_groups(images: Tensor, number: Tensor, steps: Sequence[Step]) -> Tensor:
    """As `everywhere`, taking each step only with the images that keep it, which are sorted to lie side by side."""
    order = number.argsort()
    sizes = number.bincount(minlength=len(steps) + 1).tolist()
    grouped = images.permute(0, 2, 3, 1).index_select(0, order).permute(0, 3, 1, 2)  # whole rows of memory
    for group, indices, (operation, arguments) in zip(grouped.split(sizes), order.split(sizes), steps, strict=False):
        if len(group):
            group.copy_(operation(group, *(argument[indices] for argument in arguments)))
    return grouped.permute(0, 2, 3, 1).index_select(0, order.argsort()).permute(0, 3, 1, 2)


def matrices(draws: Draws, *, height: int, width: int) -> Tensor:
    """Where each image's pixels come from, (a, b, c, d, e, f) of `affine`, float64 [batch, 6].

    At level 10: rotation by 30 degrees about the centre, counter-clockwise for sign 1; shear by 0.3 about the corner;
    translation by 0.45 of the image's side.
    """
    amount = draws.sign * draws.level / 10

    def only(operation: Operation, most: float) -> Tensor:
        return torch.where(draws.operation == operation.value, amount * most, 0.0)

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
