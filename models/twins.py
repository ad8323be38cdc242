"""Twins-SVT (Chu et al. 2021), local and sub-sampled global attention in turn; timm's network.

The paper does not say how it fits 32x32 images. Here, below 64 px: patches of 1 px and windows of 4, as for Swin.
"""

from __future__ import annotations

from collections.abc import Sequence

from models._timm import timm
from models.errors import divides, same_length
from models.resnet import SMALL_IMAGE


def twins(
    *, num_classes: int, image_size: int, in_chans: int = 3, depths: Sequence[int] = (2, 2, 10, 4),
    widths: Sequence[int] = (64, 128, 256, 512), heads: Sequence[int] = (2, 4, 8, 16),
    reductions: Sequence[int] = (8, 4, 2, 1), patch_size: int | None = None, window: int | None = None,
    drop_path_rate: float = 0.0,
) -> timm.models.Twins:  # fmt: skip
    """A Twins-SVT; `reductions` are the strides at which the global attention of each stage samples its keys."""
    same_length(depths=tuple(depths), widths=tuple(widths), heads=tuple(heads), reductions=tuple(reductions))
    small = image_size < SMALL_IMAGE
    patch_size, window = patch_size or (1 if small else 4), window or (4 if small else 7)
    divides("patch_size", patch_size, image_size, "an image")
    for stage in range(len(depths)):
        divides("window", window, image_size // patch_size // 2**stage, f"the map of stage {stage + 1}")
    return timm.models.Twins(
        img_size=image_size, patch_size=patch_size, in_chans=in_chans, num_classes=num_classes,
        embed_dims=tuple(widths), num_heads=tuple(heads), mlp_ratios=(4,) * len(depths), depths=tuple(depths),
        sr_ratios=tuple(reductions), wss=(window,) * len(depths), drop_path_rate=drop_path_rate,
    )  # fmt: skip
