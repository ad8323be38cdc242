"""`anatomy(model)`: the units of a network in order, and for each the power to read its map and to lesion it.

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

import models.blocks_timm  # noqa: F401  registers timm's blocks
from models.blocks import Part, find_blocks
from models.errors import BadOption, UnknownAnatomy


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
    module: nn.Module
    at: str
    branch: nn.Module | None = None
    channels_last: bool = False


Callback = Callable[[Unit, Tensor], None]


class Anatomy:
    """Made by `anatomy(model)`; `units` lists the units in order, stem first, head last."""

    def __init__(self, units: list[Unit], sites: list[Site], owners: dict[str, Unit], prefix: int | None) -> None:
        self.units = units
        self._sites = dict(zip((unit.name for unit in units), sites))
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
                stack.enter_context(_read(site, deliver))
            yield

    def _deliver(self, callback: Callback, unit: Unit, channels_last: bool, value: Tensor) -> None:
        aspect = unit.shape[1] / unit.shape[2]
        callback(unit, to_map(value, prefix=self._prefix, channels_last=channels_last, aspect=aspect))

    @contextmanager
    def lesion(self, unit: Unit) -> Iterator[None]:
        """Drop the unit's residual branch and keep the skip (paper, Figs 10b, D.4). Undone exactly on exit.

        The branch's last module answers zero, so what follows the add (a ReLU in a post-activation ResNet) stays, and
        so does the projection shortcut of a strided block. Raises BadOption for a unit without a residual branch.
        """
        if unit not in self.units:
            raise BadOption(f"{unit} is not a unit of this network; take one from anatomy(model).units")
        branch = self._sites[unit.name].branch
        if branch is None:
            able = Counter(other.kind for other in self.units if self._sites[other.name].branch is not None)
            raise BadOption(
                f"{unit.name} ({unit.kind}) has no residual branch to lesion; units that have one: "
                + (", ".join(f"{count} {kind}" for kind, count in able.items()) or "none")
            )
        handle = branch.register_forward_hook(lambda module, args, output: _zeros(output))
        try:
            yield
        finally:
            handle.remove()

    def owner(self, parameter: str) -> Unit:
        """The unit a parameter belongs to, by the name it has in `model.named_parameters()`."""
        return self._owners[parameter]


def anatomy(model: nn.Module, *, example_shape: tuple[int, int, int] | None = None) -> Anatomy:
    """The units of a network, found by recognising its block classes (see `register`).

    Runs the network once on zeros, in eval mode, to see the order and the shapes. `example_shape` (channels, height,
    width) is needed only for a network that neither `create_model` nor timm made.
    Raises UnknownAnatomy where no block class is registered or the units do not run in order.
    """
    blocks = list(find_blocks(model))
    if not blocks:
        raise UnknownAnatomy(_unknown(model))
    sites = [_stem_site(model, blocks), *(_site(*block, part) for block in blocks for part in block[2])]
    shapes, prefix = _look(model, sites, example_shape or _example_shape(model))
    sites.append(Site(_head_name(model, blocks), "head", model, "output"))
    units, stage = [], 0
    for index, (site, shape) in enumerate(zip(sites, [*shapes, None])):
        if index == 1 or shape and index and shape[1] < shapes[index - 1][1]:
            stage += 1
        depth = min(index / max(len(shapes) - 1, 1), 1.0)
        units.append(Unit(index, site.name, site.kind, stage, depth, shape))
    names = Counter(unit.name for unit in units)
    if names.most_common(1)[0][1] > 1:
        raise UnknownAnatomy(
            f"two units are called {names.most_common(1)[0][0]!r}: give the parts of a block own names"
        )
    return Anatomy(units, sites, _owners(model, units, [path for path, _, _ in blocks]), prefix)


def to_map(value: Tensor, *, prefix: int | None, channels_last: bool = False, aspect: float = 1.0) -> Tensor:
    """Tokens [b, prefix + h*w, c], or a map in either layout, as a map [b, c, h, w].

    `prefix` is the number of class and register tokens; None means as few as leave a map of the aspect ratio h/w.
    """
    if value.ndim == 4:
        return value.movedim(-1, 1) if channels_last else value
    if value.ndim != 3:
        raise UnknownAnatomy(f"expected tokens [b, n, c] or a map [b, c, h, w], found a tensor of shape {value.shape}")
    count = value.shape[1]
    for skip in range(count) if prefix is None else [prefix]:
        height = round(math.sqrt((count - skip) * aspect))
        if height and (count - skip) % height == 0 and math.isclose(height**2, (count - skip) * aspect):
            return value[:, skip:].unflatten(1, (height, -1)).movedim(-1, 1)
    raise UnknownAnatomy(
        f"{count} tokens with {prefix or 0} prefix tokens do not fill a map of aspect ratio {aspect:g}"
    )


# helpers


def _read(site: Site, deliver: Callable[[Tensor], None]) -> Any:
    """A hook that hands on what a module takes or gives; a context manager, for torch's handles are."""
    if site.at == "input":
        return site.module.register_forward_pre_hook(
            lambda module, args, kwargs: deliver(_first([*args, *kwargs.values()])), with_kwargs=True
        )
    return site.module.register_forward_hook(lambda module, args, output: deliver(_first(output)))


def _first(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else next(item for item in value if isinstance(item, Tensor))


def _zeros(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_zeros(item) for item in value)
    return torch.zeros_like(value) if isinstance(value, Tensor) else value


def _join(*paths: str) -> str:
    return ".".join(path for path in paths if path)


def _site(path: str, block: nn.Module, parts: Any, part: Part) -> Site:
    module, at = part.read
    branch = None if part.branch is None else block.get_submodule(part.branch)
    return Site(_join(path, part.name), part.kind, block.get_submodule(module), at, branch, part.channels_last)


def _stem_site(model: nn.Module, blocks: list[tuple]) -> Site:
    """What the first block takes: after position embedding, or after the max-pool of a ResNet."""
    path, block, parts = blocks[0]
    before = (name for name, child in model.named_children() if any(True for _ in child.parameters()))
    name = next(before, "stem")
    return Site("stem" if path.split(".")[0] == name else name, "stem", block, "input", None, parts[0].channels_last)


def _head_name(model: nn.Module, blocks: list[tuple]) -> str:
    after = [name for name, child in model.named_children() if any(True for _ in child.parameters())]
    return "head" if blocks[-1][0].split(".")[0] == after[-1] else after[-1]


def _example_shape(model: nn.Module) -> tuple[int, int, int]:
    shape = getattr(model, "example_shape", None) or (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    if shape is None:
        raise UnknownAnatomy("this network does not say what it takes: anatomy(model, example_shape=(3, 32, 32))")
    return tuple(shape)


@torch.no_grad()
def _look(model: nn.Module, sites: list[Site], shape: tuple[int, int, int]) -> tuple[list[tuple], int | None]:
    """One forward pass on zeros: shape (c, h, w) of each unit's map, and the number of prefix tokens."""
    parameter = next(model.parameters())
    image = torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device)
    prefix, aspect = getattr(model, "num_prefix_tokens", None), shape[1] / shape[2]
    seen: list[int] = []
    shapes: dict[int, tuple] = {}

    def look(index: int, value: Tensor) -> None:
        seen.append(index)
        layout = sites[index].channels_last
        shapes[index] = tuple(to_map(value, prefix=prefix, channels_last=layout, aspect=aspect).shape[1:])

    training = {module: module.training for module in model.modules()}
    devices = [parameter.device] if parameter.is_cuda else []
    try:
        with ExitStack() as stack, torch.random.fork_rng(devices):
            for index, site in enumerate(sites):
                stack.enter_context(_read(site, partial(look, index)))
            model.eval()(image)
    finally:
        for module, mode in training.items():
            module.training = mode
    if seen != list(range(len(sites))):
        wrong = next((index for index in range(len(sites)) if seen[index : index + 1] != [index]), len(sites) - 1)
        raise UnknownAnatomy(
            f"{type(model).__name__}: unit {sites[wrong].name!r} does not run once and in the order of the modules; "
            "register() the class that runs its blocks, as one block"
        )
    return [shapes[index] for index in range(len(sites))], prefix


def _owners(model: nn.Module, units: list[Unit], blocks: list[str]) -> dict[str, Unit]:
    """Parameter -> unit. Parameters of a block that no unit names (a norm) go to the next unit that follows them."""
    owners, names = {}, [name for name, _ in model.named_parameters()]
    following = units[-1]
    inner = sorted(units[1:-1], key=lambda unit: -len(unit.name))
    for name in reversed(names):
        unit = next((unit for unit in inner if name == unit.name or name.startswith(f"{unit.name}.")), None)
        following = owners[name] = unit or following
    for name in names:  # whatever comes before the first block is the stem
        if any(name.startswith(f"{block}.") for block in blocks):
            break
        owners[name] = units[0]
    return owners


def _unknown(model: nn.Module) -> str:
    classes = Counter(type(module).__name__ for module in model.modules() if next(module.children(), None) is not None)
    met = ", ".join(f"{name} x{count}" for name, count in classes.most_common(12))
    return (
        f"no block class of {type(model).__name__} is registered; it is made of {met}. Name its block: "
        'models.register(ItsBlock, [models.Part("", "conv", branch="path.of.the.last.module.of.its.branch")])'
    )
