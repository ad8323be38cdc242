"""Every name `create_model` knows, as plain data: which builder makes it, and with which options."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Any

from models.errors import UnknownModel, nearest


@dataclass(frozen=True)
class Entry:
    """One network: `builder` is "module:function" below `models`, `options` what its name stands for."""

    builder: str
    options: dict[str, Any] = field(default_factory=dict)
    source: str = "own"


RESNETS: dict[int, dict[str, Any]] = {
    18: {"block": "basic", "depths": (2, 2, 2, 2)},
    34: {"block": "basic", "depths": (3, 4, 6, 3)},
    50: {"block": "bottleneck", "depths": (3, 4, 6, 3)},
    101: {"block": "bottleneck", "depths": (3, 4, 23, 3)},
    152: {"block": "bottleneck", "depths": (3, 8, 36, 3)},
}
# AlterNet has a fourth block in the last stage, "to make the number of blocks even" (paper, appendix E).
ALTERNETS: dict[int, dict[str, Any]] = {
    18: {"block": "basic", "depths": (2, 2, 2, 2)},
    34: {"block": "basic", "depths": (3, 4, 6, 4)},
    50: {"block": "bottleneck", "depths": (3, 4, 6, 4)},
    101: {"block": "bottleneck", "depths": (3, 4, 23, 4)},
    152: {"block": "bottleneck", "depths": (3, 8, 36, 4)},
}
RESNEXT = {50: {"groups": 32, "group_width": 4}, 101: {"groups": 32, "group_width": 8}}
VGGS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

# For 8x8 digits: no map below 4x4, since a 2x2 map has no spectrum. For 32x32 on a laptop: the paper's shape, shrunk.
MICRO = {"block": "bottleneck", "depths": (2, 4), "widths": (8, 16)}
MINI = {"block": "bottleneck", "depths": (2, 2, 2, 4), "widths": (8, 16, 32, 64)}
MICRO_MSA = {"placement": (0, 2), "heads": (2, 4), "dim_head": 16}
MINI_MSA = {"placement": (0, 1, 1, 2), "heads": (2, 2, 4, 8), "dim_head": 16}

ZOO: dict[str, Entry] = {
    "alexnet": Entry("alexnet:alexnet"),
    **{f"vgg{n}": Entry("vgg:vgg", {"depths": depths}) for n, depths in VGGS.items()},
    **{f"preact_vgg{n}": Entry("vgg:vgg", {"depths": depths, "activation": "pre"}) for n, depths in VGGS.items()},
    **{f"resnet{n}": Entry("resnet:resnet", options, "timm blocks") for n, options in RESNETS.items()},
    **{f"seresnet{n}": Entry("resnet:resnet", {**RESNETS[n], "se": True}, "timm blocks") for n in RESNETS},
    **{f"resnext{n}": Entry("resnet:resnet", {**RESNETS[n], **RESNEXT[n]}, "timm blocks") for n in RESNEXT},
    **{f"wide_resnet{n}": Entry("resnet:resnet", {**RESNETS[n], "group_width": 128}, "timm blocks") for n in RESNEXT},
    **{f"preact_resnet{n}": Entry("preact_resnet:preact_resnet", options) for n, options in RESNETS.items()},
    **{f"alter_resnet{n}": Entry("alternet:alter_resnet", options) for n, options in ALTERNETS.items()},
    "alter_postact_resnet50": Entry("alternet:alter_resnet", {**ALTERNETS[50], "activation": "post"}),
    "alter_resnext50": Entry("alternet:alter_resnet", {**ALTERNETS[50], **RESNEXT[50], "activation": "post"}),
    "vit_tiny": Entry("vit:vit", {"depth": 12, "heads": 3}, "timm"),
    "vit_small": Entry("vit:vit", {"depth": 12, "heads": 6}, "timm"),
    "vit_base": Entry("vit:vit", {"depth": 12, "heads": 12}, "timm"),
    "vit_large": Entry("vit:vit", {"depth": 24, "heads": 16}, "timm"),
    "conv_vit_tiny": Entry("conv_vit:conv_vit", {"depth": 12, "heads": 3}),
    "conv_vit_small": Entry("conv_vit:conv_vit", {"depth": 12, "heads": 6}),
    "conv_vit_base": Entry("conv_vit:conv_vit", {"depth": 12, "heads": 12}),
    "pit_tiny": Entry("pit:pit", {"dim_head": 32, "heads": (2, 4, 8)}, "timm"),
    "pit_xsmall": Entry("pit:pit", {"dim_head": 48, "heads": (2, 4, 8)}, "timm"),
    "pit_small": Entry("pit:pit", {"dim_head": 48, "heads": (3, 6, 12)}, "timm"),
    "pit_base": Entry("pit:pit", {"dim_head": 64, "heads": (4, 8, 16), "depths": (3, 6, 4), "large_stride": 7}, "timm"),
    "swin_tiny": Entry("swin:swin", {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)}, "timm"),
    "swin_small": Entry("swin:swin", {"width": 96, "depths": (2, 2, 18, 2), "heads": (3, 6, 12, 24)}, "timm"),
    "swin_base": Entry("swin:swin", {"width": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)}, "timm"),
    "swin_large": Entry("swin:swin", {"width": 192, "depths": (2, 2, 18, 2), "heads": (6, 12, 24, 48)}, "timm"),
    "twins_small": Entry("twins:twins", {}, "timm"),
    "mixer_tiny": Entry("mixer:mixer", {}, "timm"),
    "mixer_small": Entry("mixer:mixer", {"width": 512, "token_width": 256, "channel_width": 2048}, "timm"),
    "mixer_base": Entry("mixer:mixer", {"depth": 12, "width": 768, "token_width": 384, "channel_width": 3072}, "timm"),
    "convit_tiny": Entry("convit:convit", {}, "timm"),
    "levit_128s": Entry("levit:levit", {}, "timm"),
    "coat_lite_tiny": Entry("coat:coat_lite", {}, "timm"),
    "resnet_micro": Entry("resnet:resnet", MICRO, "timm blocks"),
    "resnext_micro": Entry("resnet:resnet", {**MICRO, "groups": 4, "group_width": 16}, "timm blocks"),
    "preact_resnet_micro": Entry("preact_resnet:preact_resnet", MICRO),
    "alter_resnet_micro": Entry("alternet:alter_resnet", {**MICRO, **MICRO_MSA}),
    "vit_micro": Entry("vit:vit", {"depth": 6, "heads": 3, "dim_head": 16, "patch_size": 2}, "timm"),
    "conv_vit_micro": Entry("conv_vit:conv_vit", {"depth": 4, "heads": 2, "dim_head": 16, "patch_size": 1}),
    "pit_micro": Entry("pit:pit", {"depths": (2, 4), "heads": (2, 4), "dim_head": 16}, "timm"),
    "swin_micro": Entry("swin:swin", {"depths": (2, 4), "heads": (2, 4), "width": 32}, "timm"),
    "twins_micro": Entry(
        "twins:twins", {"depths": (2, 4), "widths": (32, 64), "heads": (2, 4), "reductions": (2, 1)}, "timm"
    ),
    "mixer_micro": Entry("mixer:mixer", {"depth": 6, "width": 48, "token_width": 24, "channel_width": 192}, "timm"),
    "resnet_mini": Entry("resnet:resnet", MINI, "timm blocks"),
    "resnext_mini": Entry("resnet:resnet", {**MINI, "groups": 4, "group_width": 16}, "timm blocks"),
    "preact_resnet_mini": Entry("preact_resnet:preact_resnet", MINI),
    "alter_resnet_mini": Entry("alternet:alter_resnet", {**MINI, **MINI_MSA}),
    "vit_mini": Entry("vit:vit", {"depth": 8, "heads": 4, "dim_head": 16, "patch_size": 4}, "timm"),
    "conv_vit_mini": Entry("conv_vit:conv_vit", {"depth": 6, "heads": 3, "dim_head": 16, "patch_size": 4}),
    "pit_mini": Entry(
        "pit:pit", {"depths": (2, 4, 2), "heads": (2, 4, 8), "dim_head": 16, "patch_size": 4, "stride": 2}, "timm"
    ),
    "swin_mini": Entry("swin:swin", {"depths": (2, 4, 2), "heads": (2, 4, 8), "width": 32, "patch_size": 2}, "timm"),
    "twins_mini": Entry(
        "twins:twins",
        {"depths": (2, 4, 2), "widths": (32, 64, 128), "heads": (2, 4, 8), "reductions": (4, 2, 1), "patch_size": 2},
        "timm",
    ),
    "mixer_mini": Entry(
        "mixer:mixer", {"depth": 6, "width": 64, "token_width": 32, "channel_width": 256, "patch_size": 4}, "timm"
    ),
}


def list_models(pattern: str = "*") -> list[str]:
    """Names that match a shell pattern, sorted; needs no torch. `list_models("alter_*")`."""
    return sorted(fnmatch.filter(ZOO, pattern))


def find(name: str) -> Entry:
    """The entry of a name, or UnknownModel with the nearest one."""
    if name not in ZOO:
        raise UnknownModel(f"unknown model {name!r}: {nearest(name, ZOO)} list_models() lists all {len(ZOO)}")
    return ZOO[name]
