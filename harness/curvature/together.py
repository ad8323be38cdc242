"""Mini-batches in company: as many at once as are asked for and fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
Answer = TypeVar("Answer")
Solve = Callable[[Tensor, Tensor, list[torch.Generator]], list[Answer]]

# A CPU is busy with one mini-batch of 16; a GPU waits for launches until there are several.
AT_ONCE = {"cpu": 1, "cuda": 16}


def together(
    batches: Iterable[Batch], solve: Solve[Answer], *, at_once: int | None, seed: int
) -> Iterator[tuple[int, int, Answer]]:
    """Hand on mini-batches in groups of the same shape; half as many where the GPU's memory does not hold them.

    Args:
        batches: (inputs [image, ...], targets [image, ...]).
        solve: takes stacked inputs, stacked targets and a random generator for each mini-batch.
        at_once: group size; none for 1 on a CPU, 16 on a GPU.
        seed: a mini-batch's generator depends on this and on its number, not on its company.

    Yields:
        (number of the mini-batch, images in it, its answer), in order.
    """
    group: list[Batch] = []
    start = 0
    for inputs, targets in batches:
        full = at_once or AT_ONCE.get(inputs.device.type, 1)
        if group and (len(group) >= full or inputs.shape != group[0][0].shape):
            yield from _answers(group, solve, start, seed)
            start, group = start + len(group), []
        group.append((inputs, targets))
    if group:
        yield from _answers(group, solve, start, seed)


def _answers(group: list[Batch], solve: Solve[Answer], start: int, seed: int) -> Iterator[tuple[int, int, Answer]]:
    inputs, targets = (torch.stack(parts) for parts in zip(*group, strict=True))
    try:
        answers = solve(inputs, targets, [_generator(seed, start + index) for index in range(len(group))])
    except torch.OutOfMemoryError:
        if len(group) == 1:
            raise
        half = len(group) // 2
    else:
        yield from ((start + index, len(group[index][0]), answer) for index, answer in enumerate(answers))
        return
    warnings.warn(f"{len(group)} mini-batches at once do not fit into memory: {half} instead", stacklevel=2)
    yield from _answers(group[:half], solve, start, seed)
    yield from _answers(group[half:], solve, start + half, seed)


def _generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
