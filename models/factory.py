"""`create_model`: from a name to a network, or to one clear error."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from models.errors import BadImageSize, BadOption, UnknownOverride, nearest
from models.zoo import find

GIVEN = ("num_classes", "image_size", "in_chans")
COMMON = ("alternate", "smoothing", "mc_dropout", "checkpoint")
ALTERNATE = ("placement", "heads", "dim_head", "window")


def create_model(
    name: str, *, num_classes: int, image_size: int, in_chans: int = 3,
    alternate: Mapping[str, Any] | None = None, smoothing: bool = False, mc_dropout: float = 0.0,
    checkpoint: str | None = None, **overrides: Any,
) -> nn.Module:  # fmt: skip
    """Build a network: input [batch, in_chans, image_size, image_size], output logits [batch, num_classes].

    name: one of `list_models()`, or timm/<any timm name>, or subject/package.module:factory for a person's own.
    overrides: replace what the name stands for (`depths`, `heads`, `placement`, `drop_path_rate`, ...).
    alternate: `placement` and, if wanted, `heads`, `dim_head`, `window` of `models.alternate`, as plain data.
    checkpoint: a file of weights, see `load_checkpoint`.
    smoothing, mc_dropout: for convolutional networks, see `wrappers`.
    Raises ModelError: UnknownModel, UnknownOverride, BadOption, BadImageSize, BadCheckpoint, NoWeights.
    """
    for option, value in (("num_classes", num_classes), ("in_chans", in_chans)):
        if not isinstance(value, int) or value < 1:
            raise BadOption(f"{option}={value!r}: expected a positive integer")
    if not isinstance(image_size, int) or image_size < 1:
        raise BadImageSize(f"image_size={image_size!r}: expected a positive number of pixels, the side of a square")
    build = _builder(name, overrides)
    model: Any = build(num_classes=num_classes, image_size=image_size, in_chans=in_chans, **overrides)
    model.example_shape = (in_chans, image_size, image_size)  # lets anatomy() look at a forward pass
    if alternate is not None:
        model = _alternated(model, alternate)
    if checkpoint is not None:
        from models.checkpoint import load_checkpoint

        load_checkpoint(model, checkpoint)
    if smoothing or mc_dropout:
        from models.wrappers import add_mc_dropout, add_smoothing

        model = add_smoothing(model) if smoothing else model
        model = add_mc_dropout(model, mc_dropout) if mc_dropout else model
    return model


def _alternated(model: nn.Module, options: Mapping[str, Any]) -> nn.Module:
    from models.alternation import alternate

    for option in options:
        if option not in ALTERNATE:
            raise UnknownOverride(f"alternate has no option {option!r}: {nearest(option, ALTERNATE)}")
    if "placement" not in options:
        raise BadOption(f"alternate={dict(options)}: placement is missing, MSAs per stage, e.g. [0, 1, 1, 2]")
    return alternate(model, **options)


def _builder(name: str, overrides: dict[str, Any]) -> partial[nn.Module]:
    """What builds the network of a name; UnknownOverride for an option it does not take."""
    for prefix, function in (("timm/", "from_timm"), ("subject/", "from_subject")):
        if name.startswith(prefix):
            return partial(getattr(importlib.import_module("models.foreign"), function), name.removeprefix(prefix))
    entry = find(name)
    module, function = entry.builder.split(":")
    build = getattr(importlib.import_module(f"models.{module}"), function)
    known = [option for option in inspect.signature(build).parameters if option not in GIVEN]
    for option in overrides:
        if option not in known:
            all_known = [*known, *COMMON]
            raise UnknownOverride(
                f"{name} has no option {option!r}: {nearest(option, all_known)} (it has {', '.join(all_known)})"
            )
    return partial(build, **{option: value for option, value in entry.options.items() if option not in overrides})
