"""The training loss of a network at weights around those that it has."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import starmap
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from harness.curvature.batchnorm import estimated_statistics

Batch = tuple[Tensor, Tensor]
Point = tuple[float, float]


class Plane(NamedTuple):
    """Two directions, each a tensor for every weight that moves."""

    one: list[Tensor]
    other: list[Tensor]


class Neighbourhood:
    """Evaluates the loss at w + x a + y b, where w are the network's weights. To be entered; on leaving, also through
    an exception, the network has the weights it had, bit by bit.

    One point: the weights are overwritten in place, and the network runs as it is. Several at once: the network runs on
    stacked weights, which keeps a GPU busy that small networks would not.

    Args:
        model: in evaluation mode; takes [image, ...], gives logits [image, class].
        moved: those of its parameters that move.
        batches: (inputs [image, ...], soft targets [image, class]), on the model's device.
        at_once: points evaluated at once. Halved when the GPU's memory is too small; 1 when `torch.func.vmap` cannot
            follow the model, or statistics are fresh.
        fresh: whether BatchNorm's running statistics are estimated anew from these images at every point.

    Attributes:
        weights: w, a tensor for each of `moved`.
    """

    def __init__(
        self,
        model: nn.Module,
        moved: dict[str, nn.Parameter],
        batches: Sequence[Batch],
        at_once: int,
        *,
        fresh: bool = False,
    ):
        self.model, self.moved, self.batches = model, moved, batches
        self.at_once = 1 if fresh else at_once
        self._statistics = estimated_statistics(model) if fresh else nullcontext()
        self.images = sum(len(inputs) for inputs, _ in batches)
        self.weights = [parameter.detach().clone() for parameter in moved.values()]

    def __enter__(self) -> Neighbourhood:
        self._estimate = self._statistics.__enter__()
        return self

    @torch.no_grad()
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for parameter, weight in zip(self.moved.values(), self.weights, strict=True):
            parameter.copy_(weight)
        self._statistics.__exit__(kind, error, trace)

    @torch.no_grad()
    def nll(self, plane: Plane, points: Sequence[Point]) -> list[float]:
        """Mean cross-entropy over all images, in nats, at each of `points` (x, y) of the plane.

        It may be infinite or nan where the logits are.
        """
        if len(points) > (size := self.at_once):
            return self.nll(plane, points[:size]) + self.nll(plane, points[size:])
        if len(points) == 1:
            return self._in_place(plane, *points[0])
        try:
            return self._stacked(plane, points)
        except RuntimeError as error:
            small = isinstance(error, torch.OutOfMemoryError)
            self.at_once = len(points) // 2 if small else 1
            why = "do not fit into memory" if small else "are more than torch.func.vmap can follow in this model"
            warnings.warn(f"{len(points)} points of the landscape at once {why}: {self.at_once} instead", stacklevel=2)
        return self.nll(plane, points)

    def _in_place(self, plane: Plane, x: float, y: float) -> list[float]:
        for parameter, weight, a, b in zip(self.moved.values(), self.weights, *plane, strict=True):
            torch.add(weight, a, alpha=x, out=parameter).add_(b, alpha=y)
        if self._estimate is not None:
            self._estimate(inputs for inputs, _ in self.batches)
        return [torch.stack(list(starmap(self._loss_of, self.batches))).sum().item() / self.images]

    def _stacked(self, plane: Plane, points: Sequence[Point]) -> list[float]:
        xs, ys = torch.tensor(points, dtype=self.weights[0].dtype, device=self.weights[0].device).T
        stacks = {
            name: weight + along(xs, a) + along(ys, b)
            for name, weight, a, b in zip(self.moved, self.weights, *plane, strict=True)
        }
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no rule for stacked weights everywhere
            sums = [
                vmap(lambda stack, inputs=inputs, targets=targets: self._loss_of(inputs, targets, stack))(stacks)
                for inputs, targets in self.batches
            ]
        return (torch.stack(sums).sum(0) / self.images).tolist()

    def _loss_of(self, inputs: Tensor, targets: Tensor, weights: dict[str, Tensor] | None = None) -> Tensor:
        logits = functional_call(self.model, weights, (inputs,)) if weights else self.model(inputs)
        # Summed in double precision, so that it hardly depends on how the images are cut into batches.
        return cross_entropy(logits.double(), targets.double(), reduction="sum")


def along(steps: Tensor, direction: Tensor) -> Tensor:
    """[point] and [...] to [point, ...]: so many steps along the direction."""
    return steps.view(-1, *[1] * direction.ndim) * direction
