"""torch.compile, where a training is long enough to earn the compile time back.

On a GPU small networks at small batches wait for kernel launches. `mode="reduce-overhead"` fuses kernels and replays
them as CUDA graphs. Compiling takes about a minute, a step becomes some milliseconds faster: an estimate, to be
replaced by measurements. On a CPU nothing is compiled: there the result is the same bit for bit, and no C++ compiler is
demanded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from harness.training.group import Group

EARNS_BACK = 10_000  # steps
CUDA_GRAPHS = {"mode": "reduce-overhead", "dynamic": False}


def is_worthwhile(steps: int, device: torch.device, group: Group) -> bool:
    """Whether to compile a training that goes to this step, wherever an interruption made it begin.

    Several processes are left alone: their gradients travel during the backward pass, which a captured graph hides.
    """
    return device.type == "cuda" and group.size == 1 and steps >= EARNS_BACK


def compiled(model: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
    """The forward call of a network, compiled at its first use; the network and its state's names stay as they are.

    Args:
        options: of torch.compile.
    """
    call = torch.compile(model, **options)

    def forward(inputs: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # what the last step returned may be overwritten now
        return call(inputs)

    return forward
