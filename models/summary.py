"""What a network is, in a row: parameters, multiply-adds, units by kind, source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.factory import create_model
from models.units.survey import anatomy
from models.zoo import ZOO


@dataclass(frozen=True)
class Description:
    """parameters: trainable. macs: multiply-adds of convolutions and matrix products for one image. units: kind -> how
    many. source: whose code the network is.
    """

    name: str
    parameters: int
    macs: int
    units: dict[str, int]
    source: str


def describe(
    name: str, *, num_classes: int = 100, image_size: int = 32, in_chans: int = 3, **overrides: Any
) -> Description:
    """Describe `create_model(name, ...)`. Built on the meta device: neither memory nor arithmetic, a second at most.

    A person's own network is built as it is: its factory may compute with numbers, which the meta device does not hold.
    """
    with torch.device("cpu" if name.startswith("subject/") else "meta"):
        model = create_model(name, num_classes=num_classes, image_size=image_size, in_chans=in_chans, **overrides)
    parameters = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    model.requires_grad_(False)  # the counter would follow gradients, and fail at PiT's parameters, which are inputs
    with FlopCounterMode(display=False) as counter:
        found = anatomy(model, example_shape=(in_chans, image_size, image_size))  # its forward pass is the counted one
    units = Counter(unit.kind for unit in found.units)
    source = ZOO[name].source if name in ZOO else name.split("/")[0]
    return Description(name, parameters, counter.get_total_flops() // 2, dict(units), source)
