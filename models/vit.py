"""ViT (Dosovitskiy et al. 2021) as in the paper: timm's network without bias on q, k, v (appendix A, Fig 6)."""

from __future__ import annotations

from models._timm import timm
from models.errors import divides, one_of
from models.resnet import SMALL_IMAGE


def vit(
    *, num_classes: int, image_size: int, in_chans: int = 3, depth: int = 12, heads: int = 3, dim_head: int = 64,
    patch_size: int | None = None, pool: str = "cls", drop_path_rate: float = 0.0,
) -> timm.models.VisionTransformer:  # fmt: skip
    """A ViT of width heads * dim_head. Patches of 2 px below 64 px, else 16.

    `pool`: "cls" reads the class token; "gap" has none and averages the tokens before the last LayerNorm (Fig 6).
    """
    one_of("pool", pool, ("cls", "gap"))
    patch_size = patch_size or (2 if image_size < SMALL_IMAGE else 16)
    divides("patch_size", patch_size, image_size, "an image")
    return timm.models.VisionTransformer(
        img_size=image_size, patch_size=patch_size, in_chans=in_chans, num_classes=num_classes,
        embed_dim=heads * dim_head, depth=depth, num_heads=heads, qkv_bias=False, drop_path_rate=drop_path_rate,
        class_token=pool == "cls", global_pool="token" if pool == "cls" else "avg",
    )  # fmt: skip
