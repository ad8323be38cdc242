"""How many images a second a network trains on, and one convolution block beside one MSA block (paper section 5)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from harness.probes.common.declaration import ProbeKind, TrainingParameters

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    Step = Callable[[], object]

WARM_UP = 3  # steps that are not counted: memory is asked for, kernels are chosen


class ThroughputParameters(TrainingParameters):
    images: int | None = Field(default=96, ge=2, description="of the batch, the paper's")
    repetitions: int = Field(default=20, ge=2, description="steps that are timed")


KIND = ProbeKind(
    name="throughput",
    version=1,
    parameters=ThroughputParameters,
    keys=("what",),
    values=("images_per_second",),
    sample="step",
    split="train",
    clocked=True,
    work=lambda p: 3.0 * p.repetitions,  # of the network and two blocks
)


def throughput(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, repetitions: int = 20) -> pd.DataFrame:
    """Time training steps (forward, backward, AdamW) of a network, in fp32 on the device where it is.

    Of a network that has both, also forward and backward of one MSA block and of one convolution block of the same
    stage, on what the MSA block receives. All of them take turns, so that what else the machine does meets all alike.

    Args:
        model: gives logits [batch, class]; a copy of it is trained, so that it stays as it is.
        batches: (standardised images [batch, channel, height, width], soft targets [batch, class]), on the model's
            device; the first batch is used.

    Returns:
        A row a step and what was timed: what ("network", "conv block", "msa block"), sample (which step), images (of
        the batch), images_per_second.

    Raises:
        HarnessError: no images, or images without targets.
    """
    import pandas as pd

    from harness.probes.common.images import labelled_batches, peek

    (images, targets), _ = peek(labelled_batches(batches))
    trained = copy.deepcopy(model).train()
    steps = {"network": training_step(trained, images, targets), **blocks(trained, images)}
    rows = []
    for turn in range(WARM_UP + repetitions):
        for what, step in steps.items():
            seconds = timed(step, images)
            if turn >= WARM_UP:
                rows.append((what, turn - WARM_UP, len(images), len(images) / seconds))
    return pd.DataFrame(rows, columns=["what", "sample", "images", "images_per_second"])


def timed(step: Step, images: Tensor) -> float:
    """Seconds, until the device is done."""
    import torch

    def wait() -> None:
        if images.is_cuda:
            torch.cuda.synchronize(images.device)

    wait()
    began = time.perf_counter()
    step()
    wait()
    return time.perf_counter() - began


def training_step(model: nn.Module, images: Tensor, targets: Tensor) -> Step:
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(model(images), targets).backward()
        optimizer.step()

    return step


def blocks(model: nn.Module, images: Tensor) -> dict[str, Step]:
    """Forward and backward of the last MSA block and of the last convolution block that takes the same maps."""
    from harness.probes.common.images import shape_of
    from models import UnknownAnatomy, anatomy

    try:
        units = anatomy(model, example_shape=shape_of(images)).units
    except UnknownAnatomy:
        return {}
    received = inputs(model, images, [unit.name for unit in units if unit.kind in ("msa", "conv")])
    msas = [unit for unit in units if unit.kind == "msa" and unit.name in received]
    if not msas:
        return {}
    maps = received[msas[-1].name]
    alike = [unit for unit in units if unit.kind == "conv" and unit.stage == msas[-1].stage]
    alike = [unit for unit in alike if unit.name in received and received[unit.name].shape == maps.shape]
    if not alike:
        return {}
    modules = dict(model.named_modules())
    chosen = {"conv block": modules[alike[-1].name], "msa block": modules[msas[-1].name]}
    return {what: there_and_back(block, maps) for what, block in chosen.items()}


def inputs(model: nn.Module, images: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What the modules of these names receive, of those that receive one tensor."""
    import torch

    modules, found = dict(model.named_modules()), {}
    hooks = []
    for name in names:

        def keep(_: nn.Module, arguments: tuple[Tensor, ...], name: str = name) -> None:
            if len(arguments) == 1:
                found[name] = arguments[0].detach()

        hooks.append(modules[name].register_forward_pre_hook(keep))
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return found


def there_and_back(block: nn.Module, maps: Tensor) -> Step:
    def step() -> None:
        block.zero_grad(set_to_none=True)
        block(maps.clone().requires_grad_()).sum().backward()

    return step
