"""Units of a network: what a probe sees of it, and the power to read each unit's map and to lesion it.

Every probe speaks to this, never to an architecture. Hooks only read, so a network's output stays the same bit for bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import BadOption, UnknownAnatomy, one_of


@dataclass(frozen=True)
class Unit:
    """A unit of a network.

    name: dotted path of its module, unique. kind: "stem", "conv", "msa", "mlp", "pool" or "head".
    stage: 0 for the stem, then 1, 2, ...; a stage begins where the map shrinks.
    depth: position among the units that carry a map, 0 (stem) to 1 (paper, Figs 8 and 9: index / last index).
    shape: (channels, height, width) of its map at the network's image size; None for the head.
    """

    index: int
    name: str
    kind: str
    stage: int
    depth: float
    shape: tuple[int, int, int] | None


@dataclass(frozen=True)
class Site:
    """Where a unit lives: the module to read, at its "input" or "output", and the module that ends its branch."""

    name: str
    kind: str
    block: nn.Module
    module: nn.Module
    at: str
    branch: nn.Module | None = None
    channels_last: bool = False


Callback = Callable[[Unit, Tensor], None]


class Anatomy:
    """Made by `anatomy(model)`; `units` lists the units in order, stem first, head last."""

    def __init__(self, units: list[Unit], sites: list[Site], owners: dict[str, Unit], prefix: int | None) -> None:
        self.units = units
        self._sites = dict(zip((unit.name for unit in units), sites, strict=True))
        self._owners = owners
        self._prefix = prefix

    @contextmanager
    def reading(self, callback: Callback) -> Iterator[None]:
        """Call `callback(unit, feature_map)` for every unit but the head, in order, during each forward pass.

        The map is [batch, channels, height, width], taken after the residual add, without class or other prefix
        tokens. It may share memory with the running network: reduce it, do not write to it. Nothing is kept here.
        """
        with ExitStack() as stack:
            for unit in self.units[:-1]:
                site = self._sites[unit.name]
                deliver = partial(self._deliver, callback, unit, site.channels_last)
                stack.enter_context(hook(site.module, site.at, deliver))
            yield

    def _deliver(self, callback: Callback, unit: Unit, channels_last: bool, value: Tensor) -> None:
        _, height, width = unit.shape or (0, 1, 1)
        callback(unit, to_map(value, prefix=self._prefix, channels_last=channels_last, aspect=height / width))

    @contextmanager
    def lesion(self, unit: Unit, part: str = "branch") -> Iterator[None]:
        """Take a unit out of the network (paper, section 4.1, Figs 10b, D.4). Undone exactly on exit.

        part="branch": the residual branch answers zero, the skip stays. So do the projection shortcut of a strided
        block and what follows the add (the ReLU of a post-activation ResNet).
        part="conv3x3": the block's last 3x3 convolution that keeps its number of channels passes on what it receives,
        every second pixel of it where it strides by two, as a kernel with 1 in the centre and 0 elsewhere would. The
        paper does not say how it removed a 3x3 convolution.

        Raises BadOption for a unit that has no such part.
        """
        if unit not in self.units:
            raise BadOption(f"{unit} is not a unit of this network; take one from anatomy(model).units")
        site = self._sites[unit.name]
        if one_of("part", part, ("branch", "conv3x3")) == "branch":
            target, answer = site.branch, lambda module, args, output: _zeros(output)
        else:
            target, answer = _conv3x3(site), lambda module, args, output: _strided(args[0], module.stride)
        if target is None:
            able = Counter(other.kind for other in self.units if self._sites[other.name].branch is not None)
            having = ", ".join(f"{count} {kind}" for kind, count in able.items()) or "none"
            what = "residual branch" if part == "branch" else "3x3 convolution that keeps its channels"
            raise BadOption(
                f"{unit.name} ({unit.kind}) has no {what} to lesion; units with a residual branch: {having}"
            )
        handle = target.register_forward_hook(answer)
        try:
            yield
        finally:
            handle.remove()

    def has_branch(self, unit: Unit) -> bool:
        """Whether the unit has a residual branch that `lesion` can drop."""
        return self._sites[unit.name].branch is not None

    def block(self, unit: Unit) -> nn.Module:
        """The block that the unit is a part of."""
        return self._sites[unit.name].block

    def owner(self, parameter: str) -> Unit:
        """The unit a parameter belongs to, by the name it has in `model.named_parameters()`."""
        return self._owners[parameter]


PREFIX = 8  # class, distillation and register tokens are never more


def to_map(value: Tensor, *, prefix: int | None, channels_last: bool = False, aspect: float = 1.0) -> Tensor:
    """Tokens [b, prefix + h*w, c], or a map in either layout, as a map [b, c, h, w] with h/w = `aspect`.

    `prefix` is the number of class and register tokens if the network says so. It is a hint only, for in some networks
    they join late: where the rest fills no map, as few tokens are dropped as leave one that does.
    """
    if value.ndim == 4:
        return value.movedim(-1, 1) if channels_last else value
    if value.ndim != 3:
        raise UnknownAnatomy(f"expected tokens [b, n, c] or a map [b, c, h, w], found a tensor of shape {value.shape}")
    count = value.shape[1]
    for skip in (prefix or 0, *range(min(PREFIX + 1, count))):
        height = round(math.sqrt(max(count - skip, 0) * aspect))
        if height and (count - skip) % height == 0 and math.isclose(height**2, (count - skip) * aspect):
            return value[:, skip:].unflatten(1, (height, -1)).movedim(-1, 1)
    raise UnknownAnatomy(f"{count} tokens, less up to {PREFIX} prefix tokens, fill no map of aspect ratio {aspect:g}")


def hook(module: nn.Module, at: str, deliver: Callable[[Tensor], None]) -> Any:
    """Hand on the first tensor that a module takes ("input") or gives ("output"), until the context ends."""
    if at == "input":
        return module.register_forward_pre_hook(
            lambda module, args, kwargs: deliver(next(_tensors([*args, *kwargs.values()]))), with_kwargs=True
        )
    return module.register_forward_hook(lambda module, args, output: deliver(next(_tensors(output))))


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples and lists: a block may take or give several."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _zeros(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_zeros(item) for item in value)
    return torch.zeros_like(value) if isinstance(value, Tensor) else value


def _conv3x3(site: Site) -> nn.Conv2d | None:
    convs = [module for module in site.block.modules() if isinstance(module, nn.Conv2d)]
    fitting = [conv for conv in convs if conv.kernel_size == (3, 3) and conv.in_channels == conv.out_channels]
    return fitting[-1] if fitting and site.kind == "conv" else None


def _strided(value: Tensor, stride: tuple[int, int]) -> Tensor:
    return value[..., :: stride[0], :: stride[1]]
