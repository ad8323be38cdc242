"""Progress on the terminal: a live table of bars where there is one, plain lines in a log."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import Any, TextIO

from harness.plan.describe import duration
from harness.plan.job import Job

LINE_EVERY_SECONDS = 10.0


def progress(total: int, file: TextIO | None = None) -> Bars | Lines:
    """The display that suits `file` (standard output by default)."""
    file = file or sys.stdout
    return Bars(total, file) if file.isatty() else Lines(total, file)


def _figures(event: dict[str, Any]) -> str:
    """`epoch 3/20  loss 1.234  accuracy 56.7 %  890 images/s`, or just what the job is doing."""
    if "epoch" not in event:
        return str(event["doing"])
    return (
        f"epoch {event['epoch']}/{event['epochs']}  loss {event['loss']:.3f}  accuracy {event['accuracy']:.1%}  "
        f"{event['images_per_second']:.0f} images/s  {duration(event['seconds_left'])} left"
    )


class Lines:
    """A line when a job ends, and one every few seconds for each that goes on."""

    def __init__(self, total: int, file: TextIO):
        self.total, self.file, self.done = total, file, 0
        self._said: dict[str, float] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, line: str) -> None:
        print(line, file=self.file, flush=True)

    def update(self, job: Job, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._said.setdefault(job.run.run_id, now) >= LINE_EVERY_SECONDS:
            self._said[job.run.run_id] = now
            self.say(f"        {job}: {_figures(event)}")

    def finished(self, job: Job, failure: str | None) -> None:
        self.done += 1
        self.say(f"[{self.done}/{self.total}] {job}: {failure or 'done'}")


class Bars(AbstractContextManager["Bars"]):
    """rich's live display: a bar for all runs and a line for each that is going on."""

    def __init__(self, total: int, file: TextIO):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        self._progress = Progress(*columns, console=Console(file=file), transient=True)
        self._all = self._progress.add_task("runs", total=total, figures="")
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False)

    def update(self, job: Job, event: dict[str, Any]) -> None:
        key = job.run.run_id
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(str(job), total=None, figures="")
        bar = {"total": event["epochs"], "completed": event["epoch"] - 1} if "epoch" in event else {}
        self._progress.update(self._tasks[key], figures=_figures(event), **bar)

    def finished(self, job: Job, failure: str | None) -> None:
        task = self._tasks.pop(job.run.run_id, None)
        if task is not None:
            self._progress.remove_task(task)
        self._progress.advance(self._all)
        if failure:
            self.say(failure)
