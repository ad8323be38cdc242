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


RESNETS = {
    18: {"block": "basic", "depths": (2, 2, 2, 2)},
    34: {"block": "basic", "depths": (3, 4, 6, 3)},
    50: {"block": "bottleneck", "depths": (3, 4, 6, 3)},
    101: {"block": "bottleneck", "depths": (3, 4, 23, 3)},
    152: {"block": "bottleneck", "depths": (3, 8, 36, 3)},
}
# AlterNet has a fourth block in the last stage, "to make the number of blocks even" (paper, appendix E).
ALTERNETS = {
    18: {"block": "basic", "depths": (2, 2, 2, 2)},
    34: {"block": "basic", "depths": (3, 4, 6, 4)},
    50: {"block": "bottleneck", "depths": (3, 4, 6, 4)},
    101: {"block": "bottleneck", "depths": (3, 4, 23, 4)},
    152: {"block": "bottleneck", "depths": (3, 8, 36, 4)},
}
VITS = {
    "tiny": {"depth": 12, "heads": 3},
    "small": {"depth": 12, "heads": 6},
    "base": {"depth": 12, "heads": 12},
    "large": {"depth": 24, "heads": 16},
}
# For 8x8 digits: no map below 4x4, since a 2x2 map has no spectrum. For 32x32 on a laptop: the paper's shape, shrunk.
MICRO = {"block": "bottleneck", "depths": (2, 4), "widths": (8, 16)}
MINI = {"block": "bottleneck", "depths": (2, 2, 2, 4), "widths": (8, 16, 32, 64)}
MICRO_HEADS = {"heads": (2, 4), "dim_head": 16}
MINI_HEADS = {"heads": (2, 2, 4, 8), "dim_head": 16}


def _zoo() -> dict[str, Entry]:
    zoo = {}
    for depth, options in RESNETS.items():
        zoo[f"resnet{depth}"] = Entry("resnet:resnet", options, "timm blocks")
        zoo[f"preact_resnet{depth}"] = Entry("preact_resnet:preact_resnet", options)
    for depth, options in ALTERNETS.items():
        zoo[f"alter_resnet{depth}"] = Entry("alternet:alter_resnet", options)
    for size, options in VITS.items():
        zoo[f"vit_{size}"] = Entry("vit:vit", options, "timm")
    for size, trunk, msa, placement in (
        ("micro", MICRO, MICRO_HEADS, (0, 2)),
        ("mini", MINI, MINI_HEADS, (0, 1, 1, 2)),
    ):
        zoo[f"resnet_{size}"] = Entry("resnet:resnet", trunk, "timm blocks")
        zoo[f"preact_resnet_{size}"] = Entry("preact_resnet:preact_resnet", trunk)
        zoo[f"alter_resnet_{size}"] = Entry("alternet:alter_resnet", {**trunk, **msa, "placement": placement})
    zoo["vit_micro"] = Entry("vit:vit", {"depth": 6, "heads": 3, "dim_head": 16, "patch_size": 2}, "timm")
    zoo["vit_mini"] = Entry("vit:vit", {"depth": 8, "heads": 4, "dim_head": 16, "patch_size": 4}, "timm")
    return zoo


ZOO = _zoo()


def list_models(pattern: str = "*") -> list[str]:
    """Names that match a shell pattern, sorted; needs no torch. `list_models("alter_*")`."""
    return sorted(fnmatch.filter(ZOO, pattern))


def find(name: str) -> Entry:
    """The entry of a name, or UnknownModel with the nearest one."""
    if name not in ZOO:
        raise UnknownModel(f"unknown model {name!r}: {nearest(name, ZOO)} list_models() lists all {len(ZOO)}")
    return ZOO[name]
