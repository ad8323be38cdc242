"""AlterNet (paper, section 4.2, appendix E, Figs 3c, 11, D.5): a pre-activation ResNet whose stages end in attention.

In every stage the last blocks alternate [Conv ... Conv, MSA, Conv, MSA]; the first block is always a convolution, for
it does the striding. An MSA block has no MLP: the ResNet blocks around it play that role.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from models.errors import BadOption, divides, one_of
from models.preact_resnet import BLOCKS, PreActResNet, conv
from models.resnet import (
    SMALL_IMAGE,
    ResNet,
    check_blocks,
    conv_stages,
    drop_path,
    drop_rates,
    map_sizes,
    postact_block,
)  # fmt: skip
from models.units.parts import Part, register


def relative_index(window: int) -> Tensor:
    """Row of the position table for each pair of positions of a window: [window**2, window**2], in [0, (2w-1)**2)."""
    steps = torch.arange(window)
    position = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    dy, dx = (position[:, None] - position[None, :] + window - 1).unbind(-1)
    return dy * (2 * window - 1) + dx


class WindowAttention(nn.Module):
    """Multi-head self-attention inside non-overlapping windows: [b, channels, h, w] -> [b, out, h, w].

    One relative position table of (2w-1)^2 entries per layer, shared by all heads; no shift, no mask.
    Plain softmax attention: it has the second derivative that Hessians need.
    """

    index: Tensor

    def __init__(self, *, channels: int, out: int, heads: int, dim_head: int, window: int) -> None:
        super().__init__()
        self.heads, self.window, self.scale = heads, window, dim_head**-0.5
        self.to_qkv = nn.Conv2d(channels, 3 * heads * dim_head, 1, bias=False)
        self.position = nn.Parameter(0.02 * torch.randn((2 * window - 1) ** 2))
        self.register_buffer("index", relative_index(window), persistent=False)
        self.project = nn.Conv2d(heads * dim_head, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[-1] // self.window
        q, k, v = rearrange(
            self.to_qkv(x), "b (qkv n d) (y wy) (x wx) -> qkv (b y x) n (wy wx) d",
            qkv=3, n=self.heads, wy=self.window, wx=self.window,
        )  # fmt: skip
        weights = (self.scale * q @ k.transpose(-2, -1) + self.position[self.index]).softmax(dim=-1)
        out = rearrange(weights @ v, "(b y x) n (wy wx) d -> b (n d) (y wy) (x wx)", x=side, b=len(x), wy=self.window)
        return self.project(out)


class MSABlock(nn.Module):
    """x + MSA(BN(conv1x1(GELU(BN(x))))): [b, c, h, w] -> same; the 1x1 convolution reduces c by the expansion."""

    def __init__(self, *, channels: int, reduced: int, heads: int, dim_head: int, window: int, rate: float) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.BatchNorm2d(channels), nn.GELU(), conv(channels, reduced, 1), nn.BatchNorm2d(reduced)
        )
        self.attn = WindowAttention(channels=reduced, out=channels, heads=heads, dim_head=dim_head, window=window)
        self.norm: nn.Module = nn.Identity()
        self.drop_path = drop_path(rate)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.norm(self.attn(self.reduce(x))))


register(MSABlock, [Part("", "msa", branch="norm")])


class PostActMSABlock(MSABlock):
    """x + BN(MSA(GELU(BN(conv1x1(x))))), for a post-activation trunk (the authors' ablation block A)."""

    def __init__(self, *, channels: int, reduced: int, **options: int) -> None:
        super().__init__(channels=channels, reduced=reduced, **options)
        self.reduce = nn.Sequential(conv(channels, reduced, 1), nn.BatchNorm2d(reduced), nn.GELU())
        self.norm = nn.BatchNorm2d(channels)


def paper_placement(*, image_size: int, depths: Sequence[int]) -> tuple[int, ...]:
    """MSAs per stage: (0,1,1,2) on CIFAR (Fig 11), (0,1,3,2) on ImageNet (Fig D.5), at most every second block."""
    best = (0, 1, 1, 2) if image_size < SMALL_IMAGE else (0, 1, 3, 2)
    return tuple(min(count, depth // 2) for count, depth in zip(best, depths, strict=False))


def check_placement(placement: Sequence[int], *, depths: Sequence[int], window: int, image_size: int) -> None:
    """BadOption for more MSAs than every second block, BadImageSize for a window that does not divide the map."""
    sizes = map_sizes(image_size=image_size, stages=len(depths))
    for stage, (depth, count, size) in enumerate(zip(depths, placement, sizes, strict=True), start=1):
        if not 0 <= count <= depth // 2:
            raise BadOption(
                f"placement={placement}: stage {stage} has {depth} blocks, room for 0 to {depth // 2} MSAs "
                f"between convolutions, not {count}"
            )
        if count:
            divides("window", window, size, f"the map of stage {stage}")


def msa_positions(*, depth: int, count: int, from_end: bool = True) -> list[int]:
    """Which blocks of a stage are MSAs: every second one, counted from the end, or from behind the first block, which
    strides. Of six with two: 3, 5, or 1, 3.
    """
    return [depth - 1 - 2 * number if from_end else 1 + 2 * number for number in range(count)]


def alter_resnet(
    *, num_classes: int, image_size: int, in_chans: int = 3, block: str = "bottleneck",
    depths: Sequence[int] = (3, 4, 6, 4), widths: Sequence[int] = (64, 128, 256, 512),
    placement: Sequence[int] | None = None, heads: Sequence[int] = (3, 6, 12, 24), dim_head: int = 64,
    window: int | None = None, activation: str = "pre", groups: int = 1, group_width: int = 64,
    from_end: bool = True, drop_path_rate: float = 0.0,
) -> PreActResNet | ResNet:  # fmt: skip
    """An AlterNet with `placement` MSAs per stage (default: the paper's) and windows of 4 below 64 px, else 7.

    `activation`: "pre" as in the paper's figures, "post" for a ResNet or, with `groups`, a ResNeXt (appendix E: the
    rules also help there). `from_end`: False puts the MSAs of a stage at its start, a control that the paper lacks.
    Raises BadOption where the placement asks for more MSAs than every second block, BadImageSize where the window
    does not divide the map of a stage that has MSAs.
    """
    one_of("activation", activation, ("pre", "post"))
    window = window or (4 if image_size < SMALL_IMAGE else 7)
    placement = tuple(placement or paper_placement(image_size=image_size, depths=depths))
    check_blocks(
        block=block, groups=groups, group_width=group_width, depths=depths, widths=widths, heads=heads,
        placement=placement,
    )  # fmt: skip
    if activation == "pre" and (groups, group_width) != (1, 64):
        raise BadOption(f"groups={groups}, group_width={group_width}: only activation='post' has groups and widths")
    check_placement(placement, depths=depths, window=window, image_size=image_size)
    trunk: Any
    msa: type[MSABlock]
    make: Any
    if activation == "pre":
        trunk, msa, make = PreActResNet, MSABlock, BLOCKS[block]
    else:
        trunk, msa = ResNet, PostActMSABlock
        make = partial(postact_block, block=block, groups=groups, group_width=group_width, se=False)
    expansion, rates = BLOCKS[block].expansion, drop_rates(drop_path_rate, depths)
    stages = conv_stages(make, expansion=expansion, depths=depths, widths=widths, rate=drop_path_rate)
    for stage, (depth, count) in enumerate(zip(depths, placement, strict=True)):
        for index in msa_positions(depth=depth, count=count, from_end=from_end):
            stages[stage][index] = msa(
                channels=widths[stage] * expansion, reduced=widths[stage], heads=heads[stage], dim_head=dim_head,
                window=window, rate=rates[stage][index],
            )  # fmt: skip
    return trunk(
        stages=stages, width=widths[0], features=widths[-1] * expansion, num_classes=num_classes,
        image_size=image_size, in_chans=in_chans,
    )  # fmt: skip
