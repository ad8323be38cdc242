"""AlterNet's rule for any CNN with stages: blocks at the stage ends become MSAs (paper, sections 4.1, 4.2, appendix E).

Nothing here knows an architecture: stages and blocks are those of the anatomy, and one forward pass says what each
block takes and gives.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models._timm import timm
from models.alternet import MSABlock, PostActMSABlock, msa_positions
from models.errors import BadImageSize, BadOption, divides
from models.units.anatomy import Unit
from models.units.survey import Shape, anatomy, shape_taken, undisturbed

WINDOWS = (7, 4)  # the paper's, on ImageNet and on CIFAR
# What makes a map that is activated already: the trunk of a post-activation network behind its residual add.
ACTIVATIONS = ("Relu", "Silu", "Gelu", "Hardswish", "LeakyRelu", "Elu", "Hardtanh", "Mish")


@dataclass(frozen=True)
class Spot:
    """A convolutional block that takes and gives one map of the same shape, so that an MSA can stand in its place.

    path: of its module. shape: (channels, height, width). activated: whether an activation ends it, as in a
    post-activation ResNet. bottleneck: whether it begins by reducing, or keeping, its channels with a 1x1 convolution.
    """

    path: str
    shape: Shape
    activated: bool
    bottleneck: bool


@dataclass(frozen=True)
class Stage:
    """The blocks of a stage in order; None is a block that has to stay. shape: of the map behind its first block."""

    spots: tuple[Spot | None, ...]
    shape: Shape

    @property
    def room(self) -> int:
        """MSAs that fit, every second block from the end; the first one, which usually strides, always stays."""
        depth = len(self.spots)
        positions = msa_positions(depth=depth, count=depth // 2)
        return next((count for count, at in enumerate(positions) if self.spots[at] is None), depth // 2)

    def fits(self, window: int) -> bool:
        """Whether windows of this side fill its map."""
        return not (self.shape[1] % window or self.shape[2] % window)

    def ends(self, count: int) -> list[Spot]:
        """The blocks that so many MSAs take, no more than there is room for."""
        positions = msa_positions(depth=len(self.spots), count=count)
        return [spot for at in positions if (spot := self.spots[at]) is not None]


def alternate(
    model: nn.Module, placement: Sequence[int], *, heads: Sequence[int] | None = None, dim_head: int = 64,
    window: int | None = None, example_shape: Shape | None = None,
) -> nn.Module:  # fmt: skip
    """A copy of a CNN in which `placement` blocks of each stage are AlterNet's MSA blocks, every second from its end.

    What stays keeps its weights, which are copied; the MSAs begin at random ones, with the stochastic depth of the
    block that they replace. The first block of a stage always stays. `model` itself is left as it is.

    placement: MSAs per stage, at most every second block. heads: per stage; by default 3, 6, 12, ..., as in the paper.
    dim_head: channels of a head. Behind a bottleneck the MSA reduces its channels by 4 like the paper's, else it does
    not. window: side of the attention windows, which have to fill the map; by default 7, or 4 where that does not.
    example_shape: (channels, height, width) of the images, needed only for a network that neither `create_model` nor
    timm made, or that will take other images than it says.
    Raises BadOption for a network without convolutional stages, a placement or heads of another length, or more MSAs
    than there is room for; BadImageSize for a window that does not divide a map; UnknownAnatomy as `anatomy` does.
    """
    shape = example_shape or shape_taken(model)
    stages = stages_of(model, example_shape=shape)
    placement = _checked(placement, stages)
    heads = tuple(heads or (3 * 2**number for number in range(len(stages))))
    if len(heads) != len(stages) or min(heads) < 1 or dim_head < 1:
        raise BadOption(f"heads={heads}, dim_head={dim_head}: expected {len(stages)} positive numbers, one a stage")
    window = _window(window, placement, stages)
    altered = copy.deepcopy(model)
    altered.example_shape = shape  # type: ignore[assignment]  # lets anatomy() look at a forward pass
    for stage, count, stage_heads in zip(stages, placement, heads, strict=True):
        for spot in stage.ends(count):
            msa = _msa(altered.get_submodule(spot.path), spot, heads=stage_heads, dim_head=dim_head, window=window)
            altered.set_submodule(spot.path, msa)
    return altered


def _checked(placement: Sequence[int], stages: Sequence[Stage]) -> tuple[int, ...]:
    placement = tuple(placement)
    if len(placement) != len(stages):
        maps = ", ".join(f"{stage.shape[1]}x{stage.shape[2]}" for stage in stages)
        raise BadOption(
            f"placement={placement} has {len(placement)} stages, the network {len(stages)}, with maps of {maps}"
        )
    for number, (count, stage) in enumerate(zip(placement, stages, strict=True), start=1):
        if not 0 <= count <= stage.room:
            raise BadOption(
                f"placement={placement}: stage {number} has {len(stage.spots)} blocks, room for 0 to {stage.room} MSAs "
                f"between convolutions, not {count}"
            )
    return placement


def _window(window: int | None, placement: Sequence[int], stages: Sequence[Stage]) -> int:
    """The window, once it is sure to fill the maps that it is laid on."""
    taken = {number: stage for number, stage in enumerate(stages, start=1) if placement[number - 1]}
    fitting = [side for side in WINDOWS if all(stage.fits(side) for stage in taken.values())]
    window = window or next(iter(fitting), WINDOWS[-1])
    for number, stage in taken.items():
        for side in stage.shape[1:]:
            divides("window", window, side, f"the map of stage {number}")
    return window


def _msa(block: nn.Module, spot: Spot, **options: int) -> MSABlock:
    """What replaces a block, on its device, in its precision and mode."""
    channels = spot.shape[0]
    drops = [module.drop_prob or 0.0 for module in block.modules() if isinstance(module, timm.layers.DropPath)]
    kind = PostActMSABlock if spot.activated else MSABlock
    reduced = max(channels // 4, 1) if spot.bottleneck else channels
    rate: Any = max(drops, default=0.0)
    msa = kind(channels=channels, reduced=reduced, rate=rate, **options)
    like = next(block.parameters())
    return msa.to(like.device, like.dtype).train(block.training)


def stages_of(model: nn.Module, *, example_shape: Shape | None = None) -> list[Stage]:
    """The convolutional stages of a network, from its anatomy; those without a convolutional block are left out.

    Raises BadOption where none is left, UnknownAnatomy as `anatomy` does.
    """
    shape = example_shape or shape_taken(model)
    parts = anatomy(model, example_shape=shape)
    paths = {module: path for path, module in model.named_modules()}
    blocks: dict[str, list[Unit]] = {}
    for unit in parts.units[1:-1]:
        blocks.setdefault(paths[parts.block(unit)], []).append(unit)
    convolutions = {path: units for path, units in blocks.items() if {"conv"} <= _kinds(units) <= {"conv", "mlp"}}
    spots = _spots(model, list(convolutions), shape)
    stages: dict[int, list[str]] = {}
    for path, units in blocks.items():
        if _kinds(units) & {"conv", "msa"}:
            stages.setdefault(units[0].stage, []).append(path)
    found = [
        Stage(tuple(map(spots.get, paths)), _map(blocks[paths[0]]))
        for paths in stages.values()
        if any(path in convolutions for path in paths)
    ]
    if not found:
        kinds = Counter(unit.kind for unit in parts.units)
        made_of = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        raise BadOption(
            f"{type(model).__name__} has no stage of convolutional blocks that MSAs could end; it is made of {made_of}"
        )
    return found


def fitting_window(stages: Sequence[Stage]) -> int:
    """The paper's window that fits the most stages with room: 7 on maps of 56, 28, 14, 7, and 4 on 32, 16, 8, 4.

    Raises BadImageSize where neither fits any.
    """
    able = [stage for stage in stages if stage.room]
    counts = {side: sum(stage.fits(side) for stage in able) for side in WINDOWS}
    best = max(WINDOWS, key=counts.__getitem__)
    if not counts[best]:
        maps = ", ".join(f"{stage.shape[1]}x{stage.shape[2]} ({len(stage.spots)} blocks)" for stage in stages)
        raise BadImageSize(
            f"no window of {' or '.join(map(str, WINDOWS))} px fits a stage with room for an MSA: maps of {maps}"
        )
    return best


def _kinds(units: Sequence[Unit]) -> set[str]:
    return {unit.kind for unit in units}


def _map(units: Sequence[Unit]) -> Shape:
    shape = units[-1].shape
    assert shape is not None  # only the head has none
    return shape


def _spots(model: nn.Module, paths: Sequence[str], shape: Shape) -> dict[str, Spot]:
    """Those of the blocks that an MSA can replace, by what they take and give in a forward pass."""
    parameter = next(model.parameters())
    spots: dict[str, Spot] = {}

    def look(path: str, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        given = args[0].shape if len(args) == 1 and not kwargs and isinstance(args[0], Tensor) else None
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape == given:
            _, channels, height, width = output.shape
            spots[path] = Spot(path, (channels, height, width), _activated(output), _is_bottleneck(module))

    with ExitStack() as stack:
        stack.enter_context(undisturbed(model))
        stack.enter_context(torch.enable_grad())
        for path in paths:
            handle = model.get_submodule(path).register_forward_hook(partial(look, path), with_kwargs=True)
            stack.callback(handle.remove)
        # With a gradient of its own, so that the graph names what made each map even where all weights are frozen.
        model(torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device, requires_grad=True))
    return spots


def _activated(value: Tensor) -> bool:
    """Whether an activation made this map, as a module or as a function: the autograd graph knows."""
    return type(value.grad_fn).__name__.startswith(ACTIVATIONS)


def _is_bottleneck(block: nn.Module) -> bool:
    first = next((module for module in block.modules() if isinstance(module, nn.Conv2d)), None)
    return first is not None and first.kernel_size == (1, 1) and first.out_channels <= first.in_channels
