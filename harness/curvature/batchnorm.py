"""BatchNorm where curvature is measured: with its running statistics, with a batch's own, or with new ones.

Running statistics belong to the weights that they were gathered with. At others they are stale, and the loss rises for
a reason that a network without BatchNorm cannot have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def with_statistics(model: nn.Module) -> list[_BatchNorm]:
    """Its layers that keep running statistics."""
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, a network in evaluation mode normalises with the mean and variance of its batch, as in training.

    All else stays as in evaluation; the running statistics are as before afterwards.
    """
    kept = {layer: {name: layer._buffers[name] for name in STATISTICS} for layer in with_statistics(model)}
    try:
        for layer in kept:
            # A layer without statistics of its own takes the batch's; torch.func.vmap follows that, but no update.
            layer._buffers.update(running_mean=None, running_var=None)
        yield
    finally:
        for layer, buffers in kept.items():
            layer._buffers.update(buffers)


@contextmanager
def estimated_statistics(model: nn.Module) -> Iterator[Callable[[Iterator[Tensor]], None]]:
    """Gives what estimates the running statistics anew, from batches of inputs, at the weights of that moment: the
    mean over batches of their means and unbiased variances. On leaving they are as before.
    """
    layers = with_statistics(model)
    kept = [(layer.momentum, {name: layer.get_buffer(name).clone() for name in STATISTICS}) for layer in layers]

    @torch.no_grad()
    def estimate(batches: Iterator[Tensor]) -> None:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a cumulative average
            layer.train()
        try:
            for inputs in batches if layers else ():
                model(inputs)
        finally:
            for layer in layers:
                layer.eval()

    try:
        yield estimate
    finally:
        for layer, (momentum, buffers) in zip(layers, kept, strict=True):
            layer.momentum = momentum
            for name, buffer in buffers.items():
                layer.get_buffer(name).copy_(buffer)
