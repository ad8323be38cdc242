"""A ResNet and a ViT about as large as a network that is examined alone: without others, its numbers say little."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.examine.subjects import RANDOM, Subject, short_name
from harness.plan.run import ModelSpec
from models.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from harness.data import DatasetInfo

SMALL = 64  # px; networks for larger images are taken from timm, for smaller ones from this project
OURS = (
    ("resnet_micro", "resnet_mini", "resnet18", "resnet34", "resnet50", "resnet101"),
    ("vit_micro", "vit_mini", "vit_tiny", "vit_small", "vit_base"),
)
TIMMS = (
    ("timm/resnet10t", "timm/resnet18", "timm/resnet34", "timm/resnet50", "timm/resnet101", "timm/resnet152"),
    (
        "timm/vit_tiny_patch16_224",
        "timm/vit_small_patch16_224",
        "timm/vit_base_patch16_224",
        "timm/vit_large_patch16_224",
    ),
)


def companions(subject: Subject, model: nn.Module, info: DatasetInfo) -> tuple[list[Subject], str]:
    """The two of these families that have the number of parameters nearest to the network's; and a remark on them.

    With random weights if it has those, with timm's if it has these. Beside weights of a person's own none would be
    fair, and there are none.
    """
    if subject.weights != RANDOM and not subject.pretrained:
        return [], "no companions: give networks that were trained like it, with a --checkpoint each"
    size = sum(parameter.numel() for parameter in model.parameters())
    families = TIMMS if subject.pretrained or info.image_size > SMALL else OURS
    nearest = [min(names, key=lambda name: abs(math.log(parameters(name, info) / size))) for names in families]
    overrides = {"pretrained": True} if subject.pretrained else {}
    found = [Subject(short_name(name), ModelSpec(name=name, overrides=overrides)) for name in nearest]
    others = [each for each in found if each.model != subject.model]
    names = " and ".join(each.name for each in others)
    return others, f"beside {names}, the nearest of their families in parameters, also with {subject.weights}"


def parameters(name: str, info: DatasetInfo) -> float:
    """How many; without end where the network does not take such images."""
    from models import describe

    try:
        return describe(name, num_classes=info.classes, image_size=info.image_size, in_chans=info.channels).parameters
    except ModelError:
        return math.inf
