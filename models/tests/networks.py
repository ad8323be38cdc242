"""Every listed network at its smallest sensible size: all of its kinds of layers, few of each."""

from __future__ import annotations

import torch
from torch import nn

from models import create_model, list_models
from models.zoo import ZOO

SHRUNK = {
    "resnet:resnet": {"depths": (1, 2), "widths": (8, 16)},
    "preact_resnet:preact_resnet": {"depths": (1, 2), "widths": (8, 16)},
    "alternet:alter_resnet": {
        "depths": (1, 2), "widths": (8, 16), "placement": (0, 1), "heads": (1, 2), "dim_head": 4, "window": 4,
    },
    "alexnet:alexnet": {},
    "vgg:vgg": {"depths": (1, 2), "widths": (4, 8)},
    "vit:vit": {"depth": 2, "heads": 2, "dim_head": 8},
    "conv_vit:conv_vit": {"depth": 2, "heads": 2, "dim_head": 8},
    "pit:pit": {"depths": (1, 2), "heads": (1, 2), "dim_head": 8, "patch_size": 2},
    "swin:swin": {"depths": (2, 2), "heads": (1, 2), "width": 8, "patch_size": 1, "window": 4},
    "twins:twins": {
        "depths": (2, 2), "widths": (8, 16), "heads": (1, 2), "reductions": (2, 1), "patch_size": 1, "window": 4,
    },
    "mixer:mixer": {"depth": 2, "width": 16, "token_width": 8, "channel_width": 32},
    "convit:convit": {"depth": 2, "local_layers": 1, "heads": 4, "dim_head": 4},
    "levit:levit": {"depths": (1, 1), "widths": (32, 48), "heads": (2, 3), "dim_key": 4},
    "coat:coat_lite": {"depths": (1, 1, 1, 1), "widths": (16, 16, 16, 16), "mlp_ratios": (2, 2, 2, 2)},
}  # fmt: skip
CLASSES = 5


def image_size(name):
    """8 px where that leaves every layer something to do."""
    if name in SLIM_STEMS:
        return 32
    return {"coat:coat_lite": 32, "alexnet:alexnet": 32}.get(ZOO[name].builder, 8)


SLIM_STEMS = {name for name in list_models("pit_*") if ZOO[name].options.get("stride")}


def options_of(name, **overrides):
    """What the network of that name is built with here: its own options where nothing is shrunk."""
    options = ZOO[name].options | SHRUNK[ZOO[name].builder] | overrides
    if ZOO[name].options.get("group_width", 64) == 128 or ZOO[name].options.get("groups"):
        options = {"widths": (32, 64), **{k: v for k, v in options.items() if k != "widths"}}
    return options


def _network(name):
    return ZOO[name].builder, str(sorted(options_of(name).items())), image_size(name)


# Once shrunk, names that stand for depths, widths and heads alone (resnet50, 101, 152) are one and the same network.
DISTINCT = list({_network(name): name for name in list_models()}.values())


def small(name, **overrides):
    """A network of that name and an image batch for it. Nothing in it is 0 or 1, so that nothing cancels by luck."""
    torch.manual_seed(0)
    size = image_size(name)
    model = create_model(name, num_classes=CLASSES, image_size=size, **options_of(name, **overrides)).eval()
    for parameter in model.parameters():
        if parameter.ndim < 2 or not parameter.any():
            nn.init.normal_(parameter, std=0.5)
    return model, torch.randn(3, 3, size, size)
