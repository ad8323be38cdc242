"""How large a candidate is, and a convolutional network of its size as a control (trap of AlterNet: it is larger)."""

from __future__ import annotations

import importlib
import inspect
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache

from harness.data.catalogue import DatasetInfo
from harness.plan.run import ModelSpec

STEPS = 16  # widths are scaled by sixteenths, from a half to fourfold


@dataclass(frozen=True)
class Size:
    """Trainable parameters, and multiply-adds for one image."""

    parameters: int
    macs: int

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters, {self.macs / 1e6:,.2f} M multiply-adds"


def size_of(spec: ModelSpec, info: DatasetInfo) -> Size:
    """The size of a network for a data set; ModelError where it cannot be built."""
    return _sizes(spec.model_dump_json(), info.classes, info.image_size, info.channels)


@cache
def _sizes(spec: str, classes: int, image_size: int, channels: int) -> Size:
    from models import describe

    model = ModelSpec.model_validate_json(spec)
    found = describe(model.name, num_classes=classes, image_size=image_size, in_chans=channels, **model.overrides)
    return Size(found.parameters, found.macs)


def widened(spec: ModelSpec, parameters: int, info: DatasetInfo) -> ModelSpec | None:
    """The same convolutional network, scaled until its parameters are nearest to so many; None where that is the
    network itself, or it has no `widths` to scale, as networks of timm and a person's own have not.
    """
    widths = _widths(spec)
    if widths is None:
        return None

    def scaled(step: int) -> ModelSpec:
        wider = [max(width * step // STEPS, 1) for width in widths]
        return ModelSpec(name=spec.name, overrides={**spec.overrides, "widths": wider})

    steps = range(STEPS // 2, 4 * STEPS + 1)  # parameters grow with the widths
    at = bisect_left(steps, parameters, key=lambda step: size_of(scaled(step), info).parameters)
    around = steps[max(at - 1, 0) : at + 1]
    nearest = min(around, key=lambda step: abs(size_of(scaled(step), info).parameters - parameters))
    return scaled(nearest) if nearest != STEPS else None


def _widths(spec: ModelSpec) -> list[int] | None:
    from models.zoo import ZOO

    if spec.name not in ZOO:
        return None
    entry = ZOO[spec.name]
    module, function = entry.builder.split(":")
    known = inspect.signature(getattr(importlib.import_module(f"models.{module}"), function)).parameters
    if "widths" not in known:
        return None
    return list({"widths": known["widths"].default, **entry.options, **spec.overrides}["widths"])
