"""What a training says of itself: sums over the epoch, kept on the device until somebody asks, and its speed."""

from __future__ import annotations

import time
from typing import TypedDict

import torch
from torch import Tensor

REPORT_EVERY_SECONDS = 0.5


class Sums(TypedDict):
    """The epoch so far, as a state keeps it."""

    loss_sum: float
    correct: int


class Tally:
    """Loss and hits of the batches of an epoch. Adding does not wait for the device; reading does."""

    def __init__(self, loss_sum: float, correct: int, batch_size: int, device: torch.device):
        self._loss = torch.tensor(loss_sum, dtype=torch.float64, device=device)
        self._correct = torch.tensor(correct, device=device)
        self._batch_size = batch_size

    def add(self, loss: Tensor, hits: Tensor) -> None:
        self._loss += loss
        self._correct += hits

    def figures(self, batches: int) -> dict[str, float]:
        """Mean loss and share of hits over so many batches."""
        return {
            "loss": self._loss.item() / batches,
            "accuracy": self._correct.item() / (batches * self._batch_size),
        }

    def sums(self) -> Sums:
        return {"loss_sum": self._loss.item(), "correct": int(self._correct.item())}

    def clear(self) -> None:
        self._loss.zero_()
        self._correct.zero_()


class Clock:
    """Seconds spent on a run, those before an interruption included, and the speed since.

    Args:
        seconds: spent before.
        step: where the run goes on.
    """

    def __init__(self, seconds: float, step: int):
        self._before, self._first = seconds, step
        self._began, self._reported = time.monotonic(), 0.0

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def is_due(self) -> bool:
        """Whether the last report is long enough ago."""
        return time.monotonic() - self._reported > REPORT_EVERY_SECONDS

    def progress(self, done: int, total: int, batch_size: int) -> dict[str, float]:
        """Images a second, and the seconds left at this speed."""
        self._reported = time.monotonic()
        speed = (done - self._first) / (self._reported - self._began)
        return {"images_per_second": speed * batch_size, "seconds_left": (total - done) / speed}
