"""ResNet (He et al. 2015), post-activation: conv-BN-ReLU, the last ReLU after the residual add.

The blocks are timm's; the trunk is ours because timm's fixes four stages and a 64-channel stem. Module names are
timm's, so timm's weights load. Weights start at PyTorch's defaults, as in the authors' code (paper, appendix A).
"""

from __future__ import annotations

from collections.abc import Sequence

from einops.layers.torch import Reduce
from torch import Tensor, nn

from models._timm import timm
from models.errors import one_of, same_length

BLOCKS = {"basic": timm.models.resnet.BasicBlock, "bottleneck": timm.models.resnet.Bottleneck}
SMALL_IMAGE = 64  # below this side the paper's CIFAR variants apply


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
    starts = [sum(depths[:stage]) for stage in range(len(depths))]
    return [[rate * index / last for index in range(start, start + depth)] for start, depth in zip(starts, depths)]


def drop_path(rate: float) -> nn.Module:
    return timm.layers.DropPath(rate) if rate else nn.Identity()


class ResNet(nn.Module):
    """Stem, stages of post-activation blocks, global average pooling, linear classifier."""

    def __init__(
        self, *, block: type, depths: Sequence[int], widths: Sequence[int], num_classes: int, image_size: int,
        in_chans: int, drop_path_rate: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1, self.maxpool = stem_conv(in_chans=in_chans, width=widths[0], image_size=image_size)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act1 = nn.ReLU(inplace=True)
        channels, self.stages = widths[0], [f"layer{number}" for number in range(1, len(depths) + 1)]
        for number, (name, width, rates) in enumerate(zip(self.stages, widths, drop_rates(drop_path_rate, depths))):
            blocks = []
            for index, rate in enumerate(rates):
                stride = 2 if number and not index else 1
                out = width * block.expansion
                shortcut = None if stride == 1 and channels == out else projection(channels, out, stride)
                blocks.append(block(channels, width, stride, shortcut, drop_path=drop_path(rate)))
                channels = out
            self.add_module(name, nn.Sequential(*blocks))
        self.global_pool = Reduce("b c h w -> b c", "mean")
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.fc(self.global_pool(x))


def projection(channels: int, out: int, stride: int) -> nn.Module:
    """Shortcut of a block that changes the shape: 1x1 convolution and BatchNorm."""
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))


def resnet(
    *, num_classes: int, image_size: int, in_chans: int = 3, block: str = "bottleneck",
    depths: Sequence[int] = (3, 4, 6, 3), widths: Sequence[int] = (64, 128, 256, 512), drop_path_rate: float = 0.0,
) -> ResNet:  # fmt: skip
    """A ResNet with `depths` blocks per stage. CIFAR stem (3x3, stride 1, no max-pool) below 64 px."""
    one_of("block", block, BLOCKS)
    same_length(depths=tuple(depths), widths=tuple(widths))
    return ResNet(
        block=BLOCKS[block], depths=depths, widths=widths, num_classes=num_classes, image_size=image_size,
        in_chans=in_chans, drop_path_rate=drop_path_rate,
    )  # fmt: skip
