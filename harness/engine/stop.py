"""When to stop, and what Ctrl-C and SIGTERM do."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

STOPPING = "stopping: each run finishes its step and keeps its state"
AT_ONCE_SECONDS = 0.2  # `timeout -s INT` signals a process and then its group: what comes so soon is the same wish


@dataclass
class Stop:
    """Whether to stop: at a moment of the monotonic clock, or when somebody asked."""

    deadline: float | None = None
    asked: bool = False

    def now(self) -> bool:
        return self.asked or (self.deadline is not None and time.monotonic() >= self.deadline)


@contextmanager
def stop_on_signals(stop: Stop, *, insist: bool = True) -> Iterator[Stop]:
    """SIGTERM and the first Ctrl-C ask to stop in good order, and are answered at once, whatever is going on.

    Args:
        insist: a Ctrl-C after that interrupts at once. Not so under torchrun, which repeats the signal itself.

    Raises:
        KeyboardInterrupt: Ctrl-C once more, a moment later.
    """
    first = math.inf  # when it was asked

    def ask(number: int, _: object) -> None:
        nonlocal first
        again, stop.asked = stop.asked, True  # before the answer: the next signal may come on its heels
        if again and insist and number == signal.SIGINT and time.monotonic() - first > AT_ONCE_SECONDS:
            raise KeyboardInterrupt
        if not again:
            first = time.monotonic()
            _answer(f"{STOPPING}; Ctrl-C again to interrupt at once" if insist else STOPPING)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answer(line: str) -> None:
    """Past Python's streams: a signal may come in the middle of a print, which must not be entered again."""
    with suppress(OSError):
        os.write(2, f"\n{line}\n".encode())
