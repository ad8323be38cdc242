"""timm, imported the one way that also works beside a CPU-only torch.

timm imports torchvision, and torchvision's wheel cannot load its compiled operators when torch is a CPU-only build:
the import dies of "operator torchvision::nms does not exist". Nothing here calls those operators, so declaring their
signatures is enough. Everything in this package takes timm from here.
"""

from __future__ import annotations

import importlib
import sys

import torch

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
import timm.layers  # noqa: E402
import timm.models  # noqa: E402

__all__ = ["timm"]
