"""The convolutional ViT of Fig 7: a ViT on maps whose every query attends to its k x k neighbourhood only.

Not the ConViT of d'Ascoli et al. (that is `convit_tiny`). As in the authors' code, the padding around the map takes
part in the softmax with logit 0 and value 0: at the border a query looks at fewer things, not at the same number.
No class token: global average pooling, LayerNorm, linear. Weights start at PyTorch's defaults, positions at 0.02 N.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from einops.layers.torch import Reduce
from torch import Tensor, nn

from models._timm import timm
from models.errors import BadOption, divides
from models.resnet import SMALL_IMAGE, drop_path, drop_rates
from models.units.parts import Part, register


def times_seen(side: int, kernel: int) -> Tensor:
    """How often each key counts for each pixel: [side**2, 1 + side**2], 1 for pixels in its k x k window, 0 beyond.

    Column 0 is the padding in the window: m keys, all with logit 0 and value 0, so that one of them counts m times.
    """
    row, column = torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)
    near = [(position[:, None] - position[None, :]).abs() <= kernel // 2 for position in (row, column)]
    seen = (near[0] & near[1]).float()
    return torch.cat([kernel**2 - seen.sum(dim=1, keepdim=True), seen], dim=1)


class LocalAttention(nn.Module):
    """Each pixel attends to the `kernel` x `kernel` pixels around it, or to the whole map: [b, c, h, w] -> same."""

    times_seen: Tensor

    def __init__(self, *, dim: int, heads: int, kernel: int | None, side: int) -> None:
        super().__init__()
        self.heads, self.kernel, self.scale = heads, kernel, (dim // heads) ** -0.5
        self.to_qkv = nn.Conv2d(dim, 3 * dim, 1, bias=False)
        self.project = nn.Conv2d(dim, dim, 1)
        if kernel is not None:
            self.register_buffer("times_seen", times_seen(side, kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.to_qkv(x), "b (qkv n d) h w -> qkv b n (h w) d", qkv=3, n=self.heads)
        if self.kernel is None:
            weights = (self.scale * q @ k.transpose(-2, -1)).softmax(dim=-1)
        else:
            # All pairs, counted 0 to m times: on the maps of a ViT faster than gathering the k x k keys of every pixel.
            k, v = (F.pad(y, (0, 0, 1, 0)) for y in (k, v))
            weights = (self.scale * q @ k.transpose(-2, -1) + self.times_seen.log()).softmax(dim=-1)
        out = rearrange(weights @ v, "b n (h w) d -> b (n d) h w", h=x.shape[-2])
        return self.project(out)


class ConvViTBlock(nn.Module):
    """Pre-norm transformer block on a map: x + attn(norm(x)), then x + mlp(norm(x)) of 1x1 convolutions."""

    def __init__(self, *, dim: int, heads: int, kernel: int | None, side: int, rate: float) -> None:
        super().__init__()
        self.norm1 = timm.layers.LayerNorm2d(dim)
        self.attn = LocalAttention(dim=dim, heads=heads, kernel=kernel, side=side)
        self.norm2 = timm.layers.LayerNorm2d(dim)
        self.mlp = nn.Sequential(nn.Conv2d(dim, 4 * dim, 1), nn.GELU(), nn.Conv2d(4 * dim, dim, 1))
        self.drop_path = drop_path(rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


register(ConvViTBlock, [Part("attn", "msa", read=("norm2", "input"), branch="attn"), Part("mlp", "mlp", branch="mlp")])


class ConvViT(nn.Module):
    def __init__(
        self, *, depth: int, dim: int, heads: int, kernel: int | None, patch_size: int, side: int, num_classes: int,
        in_chans: int, drop_path_rate: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch_embed = nn.Conv2d(in_chans, dim, patch_size, stride=patch_size)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, dim, side, side))
        (rates,) = drop_rates(drop_path_rate, [depth])
        self.blocks = nn.Sequential(
            *(ConvViTBlock(dim=dim, heads=heads, kernel=kernel, side=side, rate=rate) for rate in rates)
        )
        self.head = nn.Sequential(Reduce("b c h w -> b c", "mean"), nn.LayerNorm(dim), nn.Linear(dim, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patch_embed(x) + self.pos_embed))


def conv_vit(
    *, num_classes: int, image_size: int, in_chans: int = 3, depth: int = 12, heads: int = 3, dim_head: int = 64,
    patch_size: int | None = None, kernel: int | str = 3, drop_path_rate: float = 0.0,
) -> ConvViT:  # fmt: skip
    """The convolutional ViT of width heads * dim_head; `kernel` is odd (3 and 5 in Fig 7) or "global" (its "8x8").

    Patches of 4 px below 64 px, else 16.
    """
    if kernel == "global":
        window = None
    elif isinstance(kernel, int) and kernel > 0 and kernel % 2:
        window = kernel
    else:
        raise BadOption(f"kernel={kernel!r}: expected an odd number of pixels, or 'global'")
    patch_size = patch_size or (4 if image_size < SMALL_IMAGE else 16)
    divides("patch_size", patch_size, image_size, "an image")
    return ConvViT(
        depth=depth, dim=heads * dim_head, heads=heads, kernel=window, patch_size=patch_size,
        side=image_size // patch_size, num_classes=num_classes, in_chans=in_chans, drop_path_rate=drop_path_rate,
    )  # fmt: skip
