"""`create_model`: from a name to a network, or to one clear error."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from models.errors import BadImageSize, BadOption, UnknownOverride, nearest
from models.zoo import find

GIVEN = ("num_classes", "image_size", "in_chans")


def create_model(name: str, *, num_classes: int, image_size: int, in_chans: int = 3, **overrides: Any) -> nn.Module:
    """Build a network: input [batch, in_chans, image_size, image_size], output logits [batch, num_classes].

    `overrides` replace what the name stands for (`depths`, `heads`, `placement`, `drop_path_rate`, ...).
    Raises UnknownModel, UnknownOverride, BadOption or BadImageSize, all of them ModelError, before anything is built.
    """
    for option, value in (("num_classes", num_classes), ("in_chans", in_chans)):
        if not isinstance(value, int) or value < 1:
            raise BadOption(f"{option}={value!r}: expected a positive integer")
    if not isinstance(image_size, int) or image_size < 1:
        raise BadImageSize(f"image_size={image_size!r}: expected a positive number of pixels, the side of a square")
    entry = find(name)
    builder = _import(entry.builder)
    known = [option for option in inspect.signature(builder).parameters if option not in GIVEN]
    for option in overrides:
        if option not in known:
            raise UnknownOverride(
                f"{name} has no option {option!r}: {nearest(option, known)} (it has {', '.join(known)})"
            )
    model = builder(num_classes=num_classes, image_size=image_size, in_chans=in_chans, **entry.options | overrides)
    model.example_shape = (in_chans, image_size, image_size)  # lets anatomy() look at a forward pass
    return model


def _import(builder: str) -> Callable[..., nn.Module]:
    module, function = builder.split(":")
    return getattr(importlib.import_module(f"models.{module}"), function)
