"""LeViT (Graham et al. 2021), timm's network, without its distillation head (Fig E.1; ImageNet only in the paper).

Below 64 px the stem strides by 2 instead of 16, so that the three stages run on 16x16, 8x8 and 4x4 maps.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models._timm import linear_drop_path, timm, uncached
from models.errors import divides, same_length
from models.resnet import SMALL_IMAGE


def levit(
    *, num_classes: int, image_size: int, in_chans: int = 3, depths: Sequence[int] = (2, 3, 4),
    widths: Sequence[int] = (128, 256, 384), heads: Sequence[int] = (4, 6, 8), dim_key: int = 16,
    drop_path_rate: float = 0.0,
) -> timm.models.Levit:  # fmt: skip
    """A LeViT with `heads` of `dim_key` per stage."""
    same_length(depths=tuple(depths), widths=tuple(widths), heads=tuple(heads))
    small = image_size < SMALL_IMAGE
    divides("the stem's stride", 2 if small else 16, image_size, "an image")
    stem = None
    if small:
        conv_norm = timm.models.levit.ConvNorm
        stem = nn.Sequential(
            conv_norm(in_chans, widths[0] // 2, 3, 1, 1), nn.Hardswish(), conv_norm(widths[0] // 2, widths[0], 3, 2, 1)
        )
    model = timm.models.Levit(
        img_size=image_size, in_chans=in_chans, num_classes=num_classes, embed_dim=tuple(widths), key_dim=dim_key,
        depth=tuple(depths), num_heads=tuple(heads), stem_backbone=stem, stem_stride=2 if small else None,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip
    kinds = timm.models.levit.LevitBlock, timm.models.levit.LevitDownsample
    linear_drop_path([module for module in model.modules() if isinstance(module, kinds)], drop_path_rate)
    return uncached(model)
