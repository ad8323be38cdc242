"""What every engine is told, and what it tells back."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import HarnessError
from harness.plan.job import Job

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Settings:
    """Where and how jobs run.

    Attributes:
        store: the store's folder; every worker must reach it.
        root: `--data-root`.
        device: "cpu" or "cuda".
        workers: processes at a time.
        logs: folder for what workers print.
    """

    store: Path
    root: Path | None
    device: str
    workers: int
    logs: Path


@dataclass
class Stop:
    """Whether to stop: at a moment of the monotonic clock, or when somebody asked."""

    deadline: float | None = None
    asked: bool = False

    def now(self) -> bool:
        return self.asked or (self.deadline is not None and time.monotonic() >= self.deadline)


@dataclass
class Outcome:
    """What came of the jobs: run_id -> the one-line reason for those that failed; `stopped` if not all were begun
    or finished.
    """

    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


class Watcher(Protocol):
    """Is told of each job as it goes; see `harness.engine.progress`."""

    def update(self, job: Job, event: dict[str, Any]) -> None: ...

    def finished(self, job: Job, failure: str | None) -> None: ...

    def say(self, line: str) -> None: ...


Engine = Callable[[list[Job], Settings, Stop, Watcher], Outcome]


def worker_environment() -> dict[str, str]:
    """What a worker process needs in its environment, beside what it inherits.

    glibc hands blocks as large as tensors back to the system and faults them in again, 4 kB at a time, for the next
    one. Kept, and in huge pages, a training step on a CPU takes about 10 to 20 % less time. Other systems and their
    allocators ignore this; your own GLIBC_TUNABLES go before.
    """
    keep = {"mmap_threshold": 1 << 30, "trim_threshold": 1 << 30, "hugetlb": 1}
    return {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "PYTHONSAFEPATH": "1",  # else the current folder comes first, and a `models` in it hides ours
        "OMP_NUM_THREADS": "1",
        "GLIBC_TUNABLES": os.environ.get(
            "GLIBC_TUNABLES", ":".join(f"glibc.malloc.{name}={value}" for name, value in keep.items())
        ),
    }


def prepare(device: str) -> torch.device:
    """Make this process compute as results are defined: one thread on a CPU, where several runs share the cores and
    sums depend on the number of threads; on a GPU float32 in full, not TF32.
    """
    import torch

    if device == "cpu":
        torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(device)


def choose_device(wish: str) -> str:
    """`auto` becomes "cuda" where a GPU works, else "cpu".

    Raises:
        HarnessError: "cuda" is asked for and does not work.
    """
    import torch

    works = torch.cuda.is_available()
    if wish == "auto":
        return "cuda" if works else "cpu"
    if wish == "cuda" and not works:
        raise HarnessError("--device cuda: torch finds no GPU that works; use --device cpu or auto")
    return wish
