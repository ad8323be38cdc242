"""VGG with BatchNorm (Simonyan & Zisserman 2015), and its pre-activation order BN-ReLU-conv.

The authors give it no CIFAR variant: its classifier averages or replicates the last map to 7x7 before the 25088-wide
layer, also where that map is 1x1. Kept, for their parameter counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from einops.layers.torch import Rearrange
from torch import Tensor, nn

from models.errors import BadImageSize, one_of, same_length
from models.units.parts import Part, register


class ConvUnit(nn.Sequential):
    """3x3 convolution, BatchNorm and ReLU, in post- or pre-activation order: one unit, [b, channels, h, w] -> out."""

    def __init__(self, channels: int, out: int, activation: str) -> None:
        conv = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        if activation == "post":
            super().__init__(conv, nn.BatchNorm2d(out), nn.ReLU())
        else:
            super().__init__(nn.BatchNorm2d(channels), nn.ReLU(), conv)


register(ConvUnit, [Part("", "conv")])


class Pool(nn.MaxPool2d):
    """Max-pooling between stages: a unit of its own, unlike the pooling inside a stem."""


register(Pool, [Part("", "pool")])


def mlp_head(channels: int, *, side: int, num_classes: int) -> list[nn.Module]:
    """The classifier of AlexNet and VGG: two hidden layers of 4096 with dropout 0.5."""
    return [
        nn.AdaptiveAvgPool2d(side), Rearrange("b c h w -> b (c h w)"),
        nn.Linear(channels * side**2, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, num_classes),
    ]  # fmt: skip


class VGG(nn.Module):
    def __init__(
        self, *, depths: Sequence[int], widths: Sequence[int], activation: str, num_classes: int, in_chans: int
    ) -> None:
        super().__init__()
        channels: int = in_chans
        layers: list[nn.Module] = []
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            layers += [Pool(2)] if stage else []
            for _ in range(depth):
                layers.append(ConvUnit(channels, width, activation))
                channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.MaxPool2d(2), *mlp_head(channels, side=7, num_classes=num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def vgg(
    *, num_classes: int, image_size: int, in_chans: int = 3, depths: Sequence[int] = (2, 2, 3, 3, 3),
    widths: Sequence[int] = (64, 128, 256, 512, 512), activation: str = "post", drop_path_rate: float = 0.0,
) -> VGG:  # fmt: skip
    """A VGG with `depths` convolutions per stage; `activation`: "post" (VGG) or "pre".

    It has no residual branch, so any `drop_path_rate` drops nothing: one recipe serves every network.
    """
    one_of("activation", activation, ("pre", "post"))
    same_length(depths=tuple(depths), widths=tuple(widths))
    if image_size < 2 ** len(depths):
        raise BadImageSize(f"image_size={image_size}: {len(depths)} stages pool it away; at least {2 ** len(depths)}")
    return VGG(depths=depths, widths=widths, activation=activation, num_classes=num_classes, in_chans=in_chans)
