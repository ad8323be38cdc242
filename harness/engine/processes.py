"""Processes that compute: forked from one that has loaded torch and timm once, which takes as long as many a run.

The process that forks them computes nothing itself, for what has touched a GPU, or has threads, must not be forked.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

# macOS' own libraries do not survive a fork: there each process loads everything itself.
FORKS = sys.platform == "linux"
CONTEXT = multiprocessing.get_context("forkserver" if FORKS else "spawn")
LOADED = ["harness.training.loop", "models.foreign", "models.units.survey"]  # not pandas: pyarrow starts a thread
BLOCKED = {signal.SIGINT, signal.SIGTERM}


def start(target: Callable[..., None], *arguments: Any, log: Path) -> BaseProcess:
    """Run `target(*arguments)` in a process of its own, with `worker_environment`; what it prints goes into `log`.

    SIGINT and SIGTERM are blocked in it until it unblocks them: both reach the whole group, also while libraries are
    loading, and it is the parent that answers.

    Raises:
        HarnessError: libraries cannot be loaded.
    """
    # A context chosen at run time has no Process for typeshed.
    process: BaseProcess = CONTEXT.Process(target=_begin, args=(log, target, arguments))  # type: ignore[attr-defined]
    resource_tracker.ensure_running()  # beforehand: starting it unblocks the signals
    with _environment(worker_environment()), _blocked():
        if FORKS:
            from multiprocessing import forkserver

            forkserver.set_forkserver_preload(LOADED)
            forkserver.ensure_running()
        else:
            process.start()
    if FORKS:
        try:
            process.start()
        except (EOFError, OSError) as error:
            raise HarnessError(
                "the process that loads torch and timm ended before it was ready; what it printed says why"
            ) from error
    return process


def unblock() -> None:
    """Take SIGINT and SIGTERM from here on, and those that came before."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)


def worker_environment() -> dict[str, str]:
    """What a process that computes needs in its environment, beside what it inherits.

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


def _begin(log: Path, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    target(*arguments)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """For what is started meanwhile: a process takes over its parent's environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _blocked() -> Iterator[None]:
    """SIGINT and SIGTERM wait; what is started meanwhile never gets them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
