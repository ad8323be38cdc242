"""AlexNet (Krizhevsky 2014) as the authors trained it: no normalisation, no biases in the convolutions, and a
3x3 first convolution below 64 px.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.resnet import SMALL_IMAGE
from models.units.parts import Part, register
from models.vgg import Pool, mlp_head


class ConvReLU(nn.Sequential):
    """Convolution and ReLU: one unit."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int = 1, padding: int) -> None:
        super().__init__(nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, bias=False), nn.ReLU())


register(ConvReLU, [Part("", "conv")])


class AlexNet(nn.Module):
    def __init__(self, *, num_classes: int, image_size: int, in_chans: int) -> None:
        super().__init__()
        small = image_size < SMALL_IMAGE
        pool, side = (2, 2) if small else (3, 6)
        first = {"kernel": 3, "stride": 2, "padding": 1} if small else {"kernel": 11, "stride": 4, "padding": 2}
        self.features = nn.Sequential(
            ConvReLU(in_chans, 64, **first),
            Pool(pool, stride=2),
            ConvReLU(64, 192, 5, padding=2),
            Pool(pool, stride=2),
            ConvReLU(192, 384, 3, padding=1),
            ConvReLU(384, 256, 3, padding=1),
            ConvReLU(256, 256, 3, padding=1),
        )
        self.head = nn.Sequential(nn.MaxPool2d(pool, stride=2), *mlp_head(256, side=side, num_classes=num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def alexnet(*, num_classes: int, image_size: int, in_chans: int = 3, drop_path_rate: float = 0.0) -> AlexNet:
    """An AlexNet. It has no residual branch, so any `drop_path_rate` drops nothing: one recipe serves every network."""
    return AlexNet(num_classes=num_classes, image_size=image_size, in_chans=in_chans)
