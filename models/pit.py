"""PiT (Heo et al. 2021): a ViT in stages, with depthwise strided pooling between them; timm's network.

timm's PiT has biases on q, k, v; the authors' own code had none, the checkpoint they released is timm's.
"""

from __future__ import annotations

from collections.abc import Sequence

from models._timm import timm
from models.errors import BadImageSize, same_length
from models.resnet import SMALL_IMAGE


def pit(
    *, num_classes: int, image_size: int, in_chans: int = 3, depths: Sequence[int] = (2, 6, 4),
    heads: Sequence[int] = (2, 4, 8), dim_head: int = 32, patch_size: int | None = None, stride: int | None = None,
    large_stride: int = 8, drop_path_rate: float = 0.0,
) -> timm.models.PoolingVisionTransformer:  # fmt: skip
    """A PiT of width heads * dim_head per stage, with overlapping patches.

    Below 64 px patches of 2 px at stride 1 (31x31 tokens at 32 px), else patches of 16 at stride `large_stride`;
    `patch_size` and `stride` replace either.
    """
    same_length(depths=tuple(depths), heads=tuple(heads))
    small = image_size < SMALL_IMAGE
    patch_size, stride = patch_size or (2 if small else 16), stride or (1 if small else large_stride)
    if image_size < patch_size:
        raise BadImageSize(f"image_size={image_size} is smaller than a patch of {patch_size}; choose a patch_size")
    return timm.models.PoolingVisionTransformer(
        img_size=image_size, patch_size=patch_size, stride=stride, in_chans=in_chans, num_classes=num_classes,
        base_dims=[dim_head] * len(depths), depth=list(depths), heads=list(heads), mlp_ratio=4,
        drop_path_rate=drop_path_rate,
    )  # fmt: skip
