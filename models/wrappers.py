"""Spatial smoothing and MC dropout for any convolutional network here: hooks on its units, never a copy of it.

Neither has parameters, and names do not change: a checkpoint fits with and without them.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import BadOption
from models.units.anatomy import Unit
from models.units.survey import anatomy


def box_blur(x: Tensor) -> Tensor:
    """2x2 box blur that keeps the map's size: [b, c, h, w] -> same. The border is replicated on the top and left."""
    return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


def smooth(x: Tensor) -> Tensor:
    """Spatial smoothing (Park & Kim, "Blurs behave like ensembles", 2022): box_blur(relu(10 tanh(x / 10)))."""
    return box_blur((10 * (x / 10).tanh()).relu())


def add_smoothing(model: nn.Module) -> nn.Module:
    """Smooth the output of every stage, that is wherever the next unit's map is smaller, and of the last unit."""
    for unit, following in pairwise(_conv_units(model, "smoothing")):
        ends_stage = not (unit.shape and following.shape) or following.shape[1] < unit.shape[1]
        # The input of the first block is called after the first convolution, and is no stage of its own.
        if ends_stage and (unit.kind != "stem" or following.kind == "pool"):
            model.get_submodule(unit.name).register_forward_hook(_smooth_output)
    return model


ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)
NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def add_mc_dropout(model: nn.Module, rate: float) -> nn.Module:
    """Dropout in every convolutional unit, in eval mode too (Gal 2016), where the authors' code has it.

    In a post-activation unit it stands behind the norm and activation of the first spatial convolution, in a
    pre-activation one, whose next norm is the next layer's, behind that convolution itself.
    """
    if not 0 <= rate < 1:
        raise BadOption(f"mc_dropout={rate}: expected a rate of at least 0 and less than 1")
    for unit in _conv_units(model, "mc_dropout"):
        if unit.kind == "conv" or (unit.kind == "stem" and not _is_conv(model.get_submodule(unit.name))):
            _last_of_layer(model.get_submodule(unit.name)).register_forward_hook(partial(_drop_output, rate))
    return model


def drops_always(model: nn.Module) -> bool:
    """Whether `add_mc_dropout` was there."""
    hooks = (hook for module in model.modules() for hook in module._forward_hooks.values())
    return any(isinstance(hook, partial) and hook.func is _drop_output for hook in hooks)


def _last_of_layer(unit: nn.Module) -> nn.Module:
    """The activation that ends the layer of a unit's first spatial convolution, or else the convolution."""
    layers = [module for module in unit.modules() if not any(module.children())]
    at = next(index for index, module in enumerate(layers) if _is_conv(module))
    if isinstance(layers[0], NORMS):
        return layers[at]
    behind = (module for module in layers[at + 1 :] if not isinstance(module, (*NORMS, nn.Identity)))
    following = next(behind, None)
    return following if isinstance(following, ACTIVATIONS) else layers[at]


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1


def _conv_units(model: nn.Module, option: str) -> list[Unit]:
    units = anatomy(model).units
    if not any(unit.kind == "conv" for unit in units):
        raise BadOption(f"{option}: {type(model).__name__} has no convolutional unit")
    return units


def _smooth_output(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return smooth(output)


def _drop_output(rate: float, module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return F.dropout(output, rate, training=True)
