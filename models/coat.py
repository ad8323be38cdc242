"""CoaT-Lite (Xu et al. 2021), timm's network: factorised attention with convolutional positions (named in A.1).

Below 64 px its first patches are 1 px instead of 4, so that the four stages run on 32x32 to 4x4 maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from models._timm import linear_drop_path, timm
from models.errors import BadOption, divides
from models.resnet import SMALL_IMAGE


def coat_lite(
    *, num_classes: int, image_size: int, in_chans: int = 3, depths: Sequence[int] = (2, 2, 2, 2),
    widths: Sequence[int] = (64, 128, 256, 320), heads: int = 8, mlp_ratios: Sequence[int] = (8, 8, 4, 4),
    drop_path_rate: float = 0.0,
) -> timm.models.CoaT:  # fmt: skip
    """A CoaT-Lite; it always has four stages."""
    for option, value in (("depths", depths), ("widths", widths), ("mlp_ratios", mlp_ratios)):
        if len(value) != 4:
            raise BadOption(f"{option}={tuple(value)}: CoaT has four stages, give four values")
    small = image_size < SMALL_IMAGE
    divides("the stride of all stages", 8 if small else 32, image_size, "an image")
    scale = 4 if small else 1  # timm sizes stages 2 to 4 by image / 4; the first patch embedding is replaced below
    stages: Any = {"embed_dims": tuple(widths), "serial_depths": tuple(depths), "mlp_ratios": tuple(mlp_ratios)}
    model = timm.models.CoaT(
        img_size=image_size * scale, patch_size=4, in_chans=in_chans, num_classes=num_classes, parallel_depth=0,
        num_heads=heads, drop_path_rate=drop_path_rate, **stages,
    )  # fmt: skip
    if small:
        model.patch_embed1 = timm.layers.PatchEmbed(
            img_size=image_size, patch_size=1, in_chans=in_chans, embed_dim=widths[0], norm_layer=nn.LayerNorm
        )
    blocks = [block for stage in range(1, 5) for block in getattr(model, f"serial_blocks{stage}")]
    linear_drop_path(blocks, drop_path_rate)
    return model
