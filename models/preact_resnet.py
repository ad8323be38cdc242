"""Pre-activation ResNet (He et al. 2016), the paper's baseline for AlterNet.

BN-ReLU-conv throughout: no BN and ReLU in the stem, the projection shortcut is a bare 1x1 convolution taken *after*
the first BN-ReLU, and BN-ReLU stand before the global pooling. Weights start at PyTorch's defaults.
"""

from __future__ import annotations

from collections.abc import Sequence

from einops.layers.torch import Reduce
from torch import Tensor, nn

from models.errors import one_of, same_length
from models.resnet import conv_stages, drop_path, stem_conv
from models.units.parts import Part, register


def conv(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, bias=False)


def bn_relu_conv(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv(channels, out, kernel, stride))


class PreActBlock(nn.Module):
    """x + f(x), where f starts with BN-ReLU; where the shape changes, relu(bn(x)) is projected instead of x."""

    expansion: int

    def __init__(self, channels: int, width: int, stride: int, rate: float) -> None:
        super().__init__()
        out = width * self.expansion
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.shortcut = None if stride == 1 and channels == out else conv(channels, out, 1, stride)
        self.branch = self.convolutions(channels, width, stride)
        self.drop_path = drop_path(rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return shortcut + self.drop_path(self.branch(y))

    def convolutions(self, channels: int, width: int, stride: int) -> nn.Sequential:
        """The branch behind the first BN-ReLU."""
        raise NotImplementedError  # of the two subclasses below, each has its own


class PreActBasic(PreActBlock):
    expansion = 1

    def convolutions(self, channels: int, width: int, stride: int) -> nn.Sequential:
        return nn.Sequential(conv(channels, width, 3, stride), bn_relu_conv(width, width, 3))


register(PreActBasic, [Part("", "conv", branch="branch")])


class PreActBottleneck(PreActBlock):
    expansion = 4

    def convolutions(self, channels: int, width: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            conv(channels, width, 1),
            bn_relu_conv(width, width, 3, stride),
            bn_relu_conv(width, width * self.expansion, 1),
        )


register(PreActBottleneck, [Part("", "conv", branch="branch")])


BLOCKS = {"basic": PreActBasic, "bottleneck": PreActBottleneck}


class PreActResNet(nn.Module):
    """Stem convolution, stages, BN-ReLU, global average pooling, linear classifier; `stages` are lists of blocks."""

    def __init__(
        self, *, stages: Sequence[Sequence[nn.Module]], width: int, features: int, num_classes: int, image_size: int,
        in_chans: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1, self.maxpool = stem_conv(in_chans=in_chans, width=width, image_size=image_size)
        self.stages = nn.Sequential(*(nn.Sequential(*blocks) for blocks in stages))
        self.norm = nn.Sequential(nn.BatchNorm2d(features), nn.ReLU())
        self.global_pool = Reduce("b c h w -> b c", "mean")
        self.fc = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.global_pool(self.norm(self.stages(self.maxpool(self.conv1(x))))))


def preact_resnet(
    *, num_classes: int, image_size: int, in_chans: int = 3, block: str = "bottleneck",
    depths: Sequence[int] = (3, 4, 6, 3), widths: Sequence[int] = (64, 128, 256, 512), drop_path_rate: float = 0.0,
) -> PreActResNet:  # fmt: skip
    """A pre-activation ResNet with `depths` blocks per stage. CIFAR stem (3x3, stride 1, no max-pool) below 64 px."""
    one_of("block", block, BLOCKS)
    same_length(depths=tuple(depths), widths=tuple(widths))
    make, expansion = BLOCKS[block], BLOCKS[block].expansion
    return PreActResNet(
        stages=conv_stages(make, expansion=expansion, depths=depths, widths=widths, rate=drop_path_rate),
        width=widths[0], features=widths[-1] * expansion, num_classes=num_classes, image_size=image_size,
        in_chans=in_chans,
    )  # fmt: skip
