"""MLP-Mixer (Tolstikhin et al. 2021), timm's network: spatial mixing that does not look at the data (paper, Fig 5)."""

from __future__ import annotations

from models._timm import linear_drop_path, timm
from models.errors import divides
from models.resnet import SMALL_IMAGE


def mixer(
    *, num_classes: int, image_size: int, in_chans: int = 3, depth: int = 8, width: int = 256,
    token_width: int = 128, channel_width: int = 1024, patch_size: int | None = None, drop_path_rate: float = 0.0,
) -> timm.models.MlpMixer:  # fmt: skip
    """A Mixer; `token_width` and `channel_width` are the hidden widths. Patches of 2 px below 64 px, else 16."""
    patch_size = patch_size or (2 if image_size < SMALL_IMAGE else 16)
    divides("patch_size", patch_size, image_size, "an image")
    # timm takes ratios and rounds the hidden widths down: the half keeps rounding errors out.
    model = timm.models.MlpMixer(
        img_size=image_size, patch_size=patch_size, in_chans=in_chans, num_classes=num_classes, num_blocks=depth,
        embed_dim=width, mlp_ratio=((token_width + 0.5) / width, (channel_width + 0.5) / width),
        drop_path_rate=drop_path_rate,
    )  # fmt: skip
    linear_drop_path(list(model.blocks), drop_path_rate)
    return model
