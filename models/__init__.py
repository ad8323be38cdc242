"""The networks of the paper, any network of timm, and your own, behind one factory and one anatomy.

    model = create_model("alter_resnet50", num_classes=100, image_size=32)
    parts = anatomy(model)

Nothing here imports torch before it is needed: `list_models()` answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.alternation import alternate as alternate
    from models.checkpoint import BadCheckpoint as BadCheckpoint
    from models.checkpoint import load_checkpoint as load_checkpoint
    from models.errors import BadImageSize as BadImageSize
    from models.errors import BadOption as BadOption
    from models.errors import ModelError as ModelError
    from models.errors import UnknownAnatomy as UnknownAnatomy
    from models.errors import UnknownModel as UnknownModel
    from models.errors import UnknownOverride as UnknownOverride
    from models.factory import create_model as create_model
    from models.foreign import NoWeights as NoWeights
    from models.summary import describe as describe
    from models.units.anatomy import Anatomy as Anatomy
    from models.units.anatomy import Unit as Unit
    from models.units.parts import Part as Part
    from models.units.parts import register as register
    from models.units.survey import anatomy as anatomy
    from models.zoo import list_models as list_models

_HOME = {
    "create_model": "factory",
    "list_models": "zoo",
    "alternate": "alternation",
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
