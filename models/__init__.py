"""The networks of the paper, any network of timm, and your own, behind one factory and one anatomy.

    model = create_model("alter_resnet50", num_classes=100, image_size=32)
    parts = anatomy(model)

Nothing here imports torch before it is needed: `list_models()` answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "create_model": "factory",
    "list_models": "zoo",
    "anatomy": "units.survey",
    "Anatomy": "units.anatomy",
    "Unit": "units.anatomy",
    "Part": "units.parts",
    "register": "units.parts",
    "ModelError": "errors",
    "UnknownModel": "errors",
    "UnknownOverride": "errors",
    "BadOption": "errors",
    "BadImageSize": "errors",
    "UnknownAnatomy": "errors",
    "BadCheckpoint": "checkpoint",
    "NoWeights": "foreign",
    "load_checkpoint": "checkpoint",
    "describe": "summary",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'models' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(f"models.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
