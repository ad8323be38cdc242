"""Swin Transformer (Liu et al. 2021) as in the paper: timm's network without bias on q, k, v (appendix A.1)."""

from __future__ import annotations

from collections.abc import Sequence

from models._timm import timm
from models.errors import divides, same_length
from models.resnet import SMALL_IMAGE


def swin(
    *, num_classes: int, image_size: int, in_chans: int = 3, depths: Sequence[int] = (2, 2, 6, 2), width: int = 96,
    heads: Sequence[int] = (3, 6, 12, 24), patch_size: int | None = None, window: int | None = None,
    qkv_bias: bool = False, drop_path_rate: float = 0.0,
) -> timm.models.SwinTransformer:  # fmt: skip
    """A Swin of width `width` in its first stage, doubled in each further one.

    Patches of 1 px and windows of 4 below 64 px (the paper's CIFAR variant), else 4 and 7. timm pads a map that the
    window does not divide; here that is a BadImageSize, because padding takes part in the attention.
    """
    same_length(depths=tuple(depths), heads=tuple(heads))
    small = image_size < SMALL_IMAGE
    patch_size, window = patch_size or (1 if small else 4), window or (4 if small else 7)
    divides("patch_size", patch_size, image_size, "an image")
    for stage in range(len(depths)):
        divides("window", window, image_size // patch_size // 2**stage, f"the map of stage {stage + 1}")
    return timm.models.SwinTransformer(
        img_size=image_size, patch_size=patch_size, in_chans=in_chans, num_classes=num_classes, embed_dim=width,
        depths=tuple(depths), num_heads=tuple(heads), window_size=window, qkv_bias=qkv_bias,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip
