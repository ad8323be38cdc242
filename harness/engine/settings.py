"""What every engine is told, and what it tells back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.engine.stop import Stop
from harness.errors import HarnessError
from harness.plan.job import Job

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Settings:
    """Where and how jobs run.

    Attributes:
        store: the store's folder; every worker must reach it.
        data_root: `--data-root`.
        device: "cpu" or "cuda"; on Ray also "auto", since only the cluster knows what it has.
        workers: processes at a time; on Ray only of a cluster that is started for the session.
        logs: folder for what workers print; Ray keeps logs of its own.
        on_each_gpu: of the processes, on Ray, where each has a share of a GPU.
        ray_address: of a running cluster; None: RAY_ADDRESS, or one that is started for the session.
    """

    store: Path
    data_root: Path | None
    device: str
    workers: int
    logs: Path
    on_each_gpu: int = 1
    ray_address: str | None = None


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


def prepare(device: str, worker: int = 0) -> torch.device:
    """Make this process compute as results are defined: one thread on a CPU, where several runs share the cores and
    sums depend on the number of threads; on a GPU float32 in full, not TF32.

    Args:
        worker: its number; workers take turns at the GPUs of this machine.
    """
    import torch

    if device == "cpu":
        torch.set_num_threads(1)
    elif count := gpus():
        torch.cuda.set_device(worker % count)
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


def gpus() -> int:
    """Those that torch sees."""
    import torch

    return torch.cuda.device_count()


def workers_on(device: str, gpus: int, cores: int, jobs: int | None) -> int:
    """Processes side by side: `jobs` of them, on each GPU where there are several; by default one a GPU or core."""
    return (jobs or 1) * max(gpus, 1) if device == "cuda" else jobs or cores
