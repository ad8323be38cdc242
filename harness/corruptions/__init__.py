"""CIFAR-C: 15 common corruptions of images and 4 more, in five severities, on whole batches (arXiv:1903.12261).

Names and groups are known without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.corruptions.constants import CORRUPTIONS, EXTRA, GROUPS, SEVERITIES

if TYPE_CHECKING:
    from harness.corruptions.apply import corrupt as corrupt
    from harness.corruptions.apply import source_of as source_of
    from harness.corruptions.official import Official as Official
    from harness.corruptions.official import open_official as open_official

__all__ = ["CORRUPTIONS", "EXTRA", "GROUPS", "SEVERITIES", "Official", "corrupt", "open_official", "source_of"]

WITH_TORCH = {"corrupt": "apply", "source_of": "apply", "Official": "official", "open_official": "official"}


def __getattr__(name: str) -> Any:
    if name in WITH_TORCH:
        return getattr(importlib.import_module(f"harness.corruptions.{WITH_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
