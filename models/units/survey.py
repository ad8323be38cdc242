"""`anatomy(model)`: find the units of a network. Its blocks are recognised by their class; their order, their maps and
where stages begin are seen in one forward pass, so no architecture is known here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

import models.units.timm_blocks  # noqa: F401  registers timm's blocks
from models.errors import UnknownAnatomy
from models.units.anatomy import Anatomy, Site, Unit, hook, to_map
from models.units.parts import Part, find_blocks

Block = tuple[str, nn.Module, Sequence[Part]]  # path, module, parts
Shape = tuple[int, int, int]  # channels, height, width


def anatomy(model: nn.Module, *, example_shape: Shape | None = None) -> Anatomy:
    """The units of a network, found by recognising its block classes (see `register`).

    Runs the network once on zeros, in eval mode, to see the order and the shapes. `example_shape` (channels, height,
    width) is needed only for a network that neither `create_model` nor timm made.
    Raises UnknownAnatomy where no block class is registered, or a unit does not run exactly once in a forward pass.
    """
    blocks = list(find_blocks(model))
    if not any(parts for _, _, parts in blocks):
        raise UnknownAnatomy(_unknown(model))
    blocks, sites, shapes, prefix = _look(model, blocks, example_shape or shape_taken(model))
    head = Site(_head_name(model, blocks), "head", model, model, "output")
    units, stage = [], 0
    for index, site in enumerate([*sites, head]):
        # Without the head, a stage begins with the first unit behind the stem and wherever the map shrinks.
        if index == 1 or (0 < index < len(shapes) and shapes[index][1] < shapes[index - 1][1]):
            stage += 1
        depth = min(index / max(len(shapes) - 1, 1), 1.0)
        units.append(Unit(index, site.name, site.kind, stage, depth, None if site is head else shapes[index]))
    name, times = Counter(unit.name for unit in units).most_common(1)[0]
    if times > 1:
        raise UnknownAnatomy(f"{times} units are called {name!r}: give the parts of a block names of their own")
    return Anatomy(units, [*sites, head], _owners(model, units, [path for path, _, _ in blocks]), prefix)


@torch.no_grad()
def _look(
    model: nn.Module, blocks: list[Block], shape: Shape
) -> tuple[list[Block], list[Site], list[Shape], int | None]:
    """One forward pass on zeros: the blocks that hold units, the sites in the order in which they run, the shapes of
    their maps, and the number of prefix tokens.

    The stem is what the first block takes: after position embedding, or after the max-pool of a ResNet. A pooling
    block that takes the image itself is a patch embedding, and belongs to the stem; where another block does (VGG has
    no stem), its first unit is the stem.
    """
    parameter = next(model.parameters())
    image = torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device)
    prefix, aspect = getattr(model, "num_prefix_tokens", None), shape[1] / shape[2]
    sites = {path: [_site(path, block, part) for part in parts] for path, block, parts in blocks}
    seen: list[tuple[Site, Shape]] = []

    def look(site: Site, path: str, value: Tensor) -> None:
        if path not in sites:
            return
        fmap = to_map(value, prefix=prefix, channels_last=site.channels_last, aspect=aspect)
        if not math.isclose(fmap.shape[2] / fmap.shape[3], aspect, rel_tol=0.2):
            raise UnknownAnatomy(f"{site.name}: {tuple(value.shape)} is no map of the image's aspect; channels_last?")
        _, channels, height, width = fmap.shape
        seen.append((site, (channels, height, width)))

    def enter(path: str, block: nn.Module, parts: Sequence[Part], value: Tensor) -> None:
        if seen or not parts:
            return
        if value is not image:
            stem = Site(_stem_name(model, path), "stem", block, block, "input", None, parts[0].channels_last)
            look(stem, path, value)
        elif all(part.kind == "pool" for part in parts):
            del sites[path]

    with ExitStack() as stack:
        for path, block, parts in blocks:
            stack.enter_context(hook(block, "input", partial(enter, path, block, parts)))
            for site in sites[path]:
                stack.enter_context(hook(site.module, site.at, partial(look, site, path)))
        stack.enter_context(undisturbed(model))
        model(image)
    if not seen:
        raise UnknownAnatomy(_unknown(model))
    times = Counter(site.name for site, _ in seen)
    for site in (site for sites_of_block in sites.values() for site in sites_of_block):
        if times[site.name] != 1:
            raise UnknownAnatomy(
                f"{type(model).__name__}: unit {site.name!r} runs {times[site.name]} times in a forward pass, not "
                "once; register() the class that runs it, as one block"
            )
    (first, size), *others = seen
    ordered, shapes = [replace(first, kind="stem")], [size]
    for site, size in others:
        ordered.append(site)
        shapes.append(size)
    return [block for block in blocks if block[0] in sites], ordered, shapes, prefix


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; afterwards the modes and the random numbers are as they were."""
    training = {module: module.training for module in model.modules()}
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        model.eval()
        try:
            yield
        finally:
            model.train()  # not only the flags: some layers of timm drop here what they computed in eval mode
            for module, mode in training.items():
                module.training = mode


def _site(path: str, block: nn.Module, part: Part) -> Site:
    read, at = part.read
    branch = None if part.branch is None else block.get_submodule(part.branch)
    name = ".".join(step for step in (path, part.name) if step)
    return Site(name, part.kind, block, block.get_submodule(read), at, branch, part.channels_last)


def _with_parameters(model: nn.Module) -> list[str]:
    return [name for name, child in model.named_children() if any(True for _ in child.parameters())]


def _stem_name(model: nn.Module, path: str) -> str:
    """The first part of the network that has parameters, unless the blocks lie in it too."""
    name = _with_parameters(model)[0]
    return "stem" if path.split(".")[0] == name else name


def _head_name(model: nn.Module, blocks: list[Block]) -> str:
    name = _with_parameters(model)[-1]
    return "head" if any(path.split(".")[0] == name for path, _, _ in blocks) else name


def shape_taken(model: nn.Module) -> Shape:
    """(channels, height, width) of the images that a network says it takes; UnknownAnatomy where it does not say."""
    shape = getattr(model, "example_shape", None) or (getattr(model, "pretrained_cfg", None) or {}).get("input_size")
    if shape is None:
        raise UnknownAnatomy("this network does not say what it takes: anatomy(model, example_shape=(3, 32, 32))")
    return tuple(shape)


def _owners(model: nn.Module, units: list[Unit], blocks: list[str]) -> dict[str, Unit]:
    """Parameter -> unit. What no unit names goes to the unit after it (a norm), within its block if it is in one."""
    inside = {unit.name: unit for unit in units[1:-1]}
    last = {path: [unit for unit in units[:-1] if f"{unit.name}.".startswith(f"{path}.")][-1:] for path in blocks}
    names = [name for name, _ in model.named_parameters()]
    owners, following = {}, units[-1]
    for name in reversed(names):
        steps = name.split(".")
        parents = [".".join(steps[:count]) for count in range(len(steps), 0, -1)]
        unit = next((inside[path] for path in parents if path in inside), None)
        block = next((path for path in parents if path in last), None)
        if unit is None and block is not None and not f"{following.name}.".startswith(f"{block}."):
            unit = last[block][0] if last[block] else units[-1]
        following = owners[name] = unit or following
    for name in names:  # what comes before the first block is the stem
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
