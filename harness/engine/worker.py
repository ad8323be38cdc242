"""A worker: jobs come in on its channel, one at a time; what happens goes out the same way.

It stops at its next step when it is told to (None instead of a job), when its parent is gone, even if killed, or on
SIGTERM.
"""

from __future__ import annotations

import queue
import signal
import threading
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engine.execute import Progress, execute
from harness.engine.processes import unblock
from harness.engine.settings import Settings, prepare
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.store import Interrupted, Store

if TYPE_CHECKING:
    import torch


def serve(channel: Connection, settings: Settings, number: int) -> None:
    """Do jobs until None comes. Of each: any number of events, and last its end, as of `attempt`."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    unblock()
    jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while (job := channel.recv()) is not None:
                jobs.put(job)
        except (EOFError, OSError):  # the parent is gone
            pass
        stop.set()
        jobs.put(None)

    def send(event: dict[str, Any]) -> None:
        try:
            channel.send(event)
        except OSError:  # the parent is gone
            stop.set()

    threading.Thread(target=listen, daemon=True).start()

    device = prepare(settings.device, number)
    store = Store(settings.store, notify=lambda line: send({"say": line}))
    while (job := jobs.get()) is not None:
        doing = partial(attempt, job, store=store, device=device, data_root=settings.data_root)
        send(doing(progress=send, should_stop=stop.is_set))


def attempt(
    job: Job,
    *,
    store: Store,
    device: torch.device,
    data_root: Path | None,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Execute a job, and say how that ended: `done`, `stopped`, or `failed` and then whether it `may_pass`."""
    import torch

    try:
        if should_stop():
            raise Interrupted(str(job.run))
        execute(job, store=store, device=device, data_root=data_root, progress=progress, should_stop=should_stop)
    except Interrupted:
        return {"stopped": True}
    except HarnessError as error:
        return {"failed": str(error), "may_pass": False}
    except Exception as error:  # a bug or a fault of the machine: this job's, not the whole session's
        traceback.print_exc()
        short = is_short_of_memory(error)
        if short and device.type == "cuda":
            torch.cuda.empty_cache()
        return {"failed": f"{job.run}: {type(error).__name__}: {str(error) or 'no message'}", "may_pass": short}
    return {"done": True}


def is_short_of_memory(error: Exception) -> bool:
    """Of a GPU or of this machine: it may go when others are done."""
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
