"""timm, imported the one way that also works beside a CPU-only torch; and two repairs of what it builds.

timm imports torchvision, and torchvision's wheel cannot load its compiled operators when torch is a CPU-only build:
the import dies of "operator torchvision::nms does not exist". Nothing here calls those operators, so declaring their
signatures is enough. Everything in this package takes timm from here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
_declared: list[torch.library.Library] = []  # a Library withdraws its operators when it is collected


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")


_import_torchvision()

import timm  # noqa: E402  after torchvision, on purpose
import timm.layers  # noqa: E402  as above
import timm.models  # noqa: E402  as above


def linear_drop_path(blocks: Sequence[nn.Module], rate: float) -> None:
    """Stochastic depth linear over the blocks, rate * i / (L - 1), where timm gives every block the same rate."""
    for index, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(module, timm.layers.DropPath):
                module.drop_prob = rate * index / max(len(blocks) - 1, 1)


def uncached(model: Network) -> Network:
    """Stop attention layers from keeping their position biases between forward passes in eval mode.

    What they keep belongs to one forward pass: a second backward through it fails, `functional_call` does not see it,
    and one pass without gradients leaves the biases without gradients for good.
    """
    for module in model.modules():
        if hasattr(module, "attention_bias_cache"):
            kind: Any = type(module)
            module.__class__ = _uncached(kind)
    return model


@cache
def _uncached(kind: Any) -> Any:
    def get_attention_biases(self: Any, device: torch.device) -> Tensor:
        return self.attention_biases[:, self.attention_bias_idxs]

    return type(kind.__name__, (kind,), {"get_attention_biases": get_attention_biases})


__all__ = ["linear_drop_path", "timm", "uncached"]
