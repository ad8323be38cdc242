"""ConViT (d'Ascoli et al. 2021), timm's network: gated positional attention that starts as a convolution (Fig E.1)."""

from __future__ import annotations

from models._timm import timm
from models.errors import divides
from models.resnet import SMALL_IMAGE


def convit(
    *, num_classes: int, image_size: int, in_chans: int = 3, depth: int = 12, heads: int = 4, dim_head: int = 48,
    local_layers: int = 10, patch_size: int | None = None, drop_path_rate: float = 0.0,
) -> timm.models.ConVit:  # fmt: skip
    """A ConViT whose first `local_layers` blocks have gated attention. Patches of 2 px below 64 px, else 16."""
    patch_size = patch_size or (2 if image_size < SMALL_IMAGE else 16)
    divides("patch_size", patch_size, image_size, "an image")
    return timm.models.ConVit(
        img_size=image_size, patch_size=patch_size, in_chans=in_chans, num_classes=num_classes, embed_dim=dim_head,
        depth=depth, num_heads=heads, local_up_to_layer=local_layers, drop_path_rate=drop_path_rate,
    )  # fmt: skip
