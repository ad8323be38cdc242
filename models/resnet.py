"""ResNet (He et al. 2015), post-activation: conv-BN-ReLU, the last ReLU after the residual add.

Also ResNeXt (Xie et al. 2017), Wide ResNet (Zagoruyko & Komodakis 2016) and SE-ResNet (Hu et al. 2018).

The blocks are timm's; the trunk is ours because timm's fixes four stages and a 64-channel stem. Module names are
timm's, so timm's weights load. Weights start at PyTorch's defaults, as in the authors' code (paper, appendix A).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from einops.layers.torch import Reduce
from torch import Tensor, nn

from models._timm import timm
from models.errors import BadOption, one_of, same_length

BLOCKS: dict[str, Any] = {"basic": timm.models.resnet.BasicBlock, "bottleneck": timm.models.resnet.Bottleneck}
SMALL_IMAGE = 64  # below this side the paper's CIFAR variants apply
# The authors' channel gate: reduction 16, not rounded, and no biases.
SqueezeExcite: Any = partial(timm.layers.SEModule, bias=False, rd_divisor=1)


def stem_conv(*, in_chans: int, width: int, image_size: int) -> tuple[nn.Conv2d, nn.Module]:
    """First convolution and the pooling behind it: 3x3 without pooling below 64 px, else 7x7/2 and max-pool 3x3/2."""
    if image_size < SMALL_IMAGE:
        return nn.Conv2d(in_chans, width, 3, padding=1, bias=False), nn.Identity()
    return nn.Conv2d(in_chans, width, 7, stride=2, padding=3, bias=False), nn.MaxPool2d(3, stride=2, padding=1)


def map_sizes(*, image_size: int, stages: int) -> list[int]:
    """Side of the feature map in each stage: 32, 16, 8, 4 for 32 px, 56, 28, 14, 7 for 224 px."""
    size = image_size if image_size < SMALL_IMAGE else -(-image_size // 4)
    return [-(-size // 2**stage) for stage in range(stages)]


def drop_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Stochastic depth, linear over all L blocks: rate * i / (L - 1), cut into stages (Huang et al. 2016)."""
    last = max(sum(depths) - 1, 1)
    ends = list(itertools.accumulate(depths))
    return [[rate * index / last for index in range(end - depth, end)] for end, depth in zip(ends, depths, strict=True)]


def drop_path(rate: float) -> nn.Module:
    return timm.layers.DropPath(rate) if rate else nn.Identity()


def conv_stages(
    make: Callable[..., nn.Module], *, expansion: int, depths: Sequence[int], widths: Sequence[int], rate: float
) -> list[list[nn.Module]]:
    """The stages of a ResNet, from `make(channels, width, stride, rate)`; all but the first halve the map."""
    channels, stages = widths[0], []
    for number, (width, rates) in enumerate(zip(widths, drop_rates(rate, depths), strict=True)):
        blocks = []
        for index, block_rate in enumerate(rates):
            blocks.append(make(channels, width, 2 if number and not index else 1, block_rate))
            channels = width * expansion
        stages.append(blocks)
    return stages


def postact_block(
    channels: int, width: int, stride: int, rate: float, *, block: str, groups: int, group_width: int, se: bool
) -> nn.Module:
    """Timm's block; its shortcut is a 1x1 convolution with BatchNorm where the shape changes."""
    kind = BLOCKS[block]
    out = width * kind.expansion
    shortcut = None
    if stride != 1 or channels != out:
        shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))
    return kind(
        channels, width, stride, shortcut, cardinality=groups, base_width=group_width,
        attn_layer=SqueezeExcite if se else None, drop_path=drop_path(rate),
    )  # fmt: skip


class ResNet(nn.Module):
    """Stem, stages of blocks (lists), global average pooling, linear classifier."""

    def __init__(
        self, *, stages: Sequence[Sequence[nn.Module]], width: int, features: int, num_classes: int, image_size: int,
        in_chans: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1, self.maxpool = stem_conv(in_chans=in_chans, width=width, image_size=image_size)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.stages = [f"layer{number}" for number in range(1, len(stages) + 1)]
        for name, blocks in zip(self.stages, stages, strict=True):
            self.add_module(name, nn.Sequential(*blocks))
        self.global_pool = Reduce("b c h w -> b c", "mean")
        self.fc = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.fc(self.global_pool(x))


def check_blocks(*, block: str, groups: int, group_width: int, **per_stage: Sequence[int]) -> None:
    """BadOption for an unknown block, for groups in a basic block, or for options of different numbers of stages."""
    one_of("block", block, BLOCKS)
    if block == "basic" and (groups, group_width) != (1, 64):
        raise BadOption(f"groups={groups}, group_width={group_width}: only block='bottleneck' has groups and widths")
    same_length(**{option: tuple(value) for option, value in per_stage.items()})


def resnet(
    *, num_classes: int, image_size: int, in_chans: int = 3, block: str = "bottleneck",
    depths: Sequence[int] = (3, 4, 6, 3), widths: Sequence[int] = (64, 128, 256, 512), groups: int = 1,
    group_width: int = 64, se: bool = False, drop_path_rate: float = 0.0,
) -> ResNet:  # fmt: skip
    """A ResNet with `depths` blocks per stage. CIFAR stem (3x3, stride 1, no max-pool) below 64 px.

    `groups` and `group_width` shape the 3x3 convolution of a bottleneck: ResNeXt-50 32x4d is 32 and 4.
    """
    check_blocks(block=block, groups=groups, group_width=group_width, depths=depths, widths=widths)
    make = partial(postact_block, block=block, groups=groups, group_width=group_width, se=se)
    expansion = BLOCKS[block].expansion
    return ResNet(
        stages=conv_stages(make, expansion=expansion, depths=depths, widths=widths, rate=drop_path_rate),
        width=widths[0], features=widths[-1] * expansion, num_classes=num_classes, image_size=image_size,
        in_chans=in_chans,
    )  # fmt: skip
