"""The local engine: several worker processes on this machine, each with one job at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.engine.processes import CONTEXT, start
from harness.engine.settings import Outcome, Settings, Watcher
from harness.engine.settle import Ends
from harness.engine.stop import Stop
from harness.engine.worker import serve
from harness.plan.job import Job

GRACE_SECONDS = 30.0  # for a worker without a job to end
LOOK_SECONDS = 0.1  # how often it is asked whether to stop


@dataclass
class Worker:
    """A worker process, seen from here."""

    number: int
    log: Path
    process: BaseProcess
    channel: Connection
    job: Job | None = None
    told: bool = False  # to stop
    ended: bool = False

    def hand(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it has died; `events` says so
            self.channel.send(job)

    def stop(self) -> None:
        if not self.told:
            self.told = True
            with suppress(OSError):
                self.channel.send(None)

    def events(self) -> Iterator[dict[str, Any]]:
        """What it has said since the last look; last of all that it died."""
        self.ended = self.process.exitcode is not None  # asked first: what it said before that is in the channel
        try:
            while self.channel.poll():
                yield self.channel.recv()
        except (EOFError, OSError):  # closed, maybe in the middle of an event
            self.process.join()
            self.ended = True
        if self.ended:
            yield {"died": self.process.exitcode}


def run_jobs(jobs: list[Job], settings: Settings, stop: Stop, watcher: Watcher) -> Outcome:
    """Run all jobs, or as many as there is time for. A worker that dies is replaced."""
    ends, waiting, workers = Ends(watcher), deque(jobs), list[Worker]()
    settings.logs.mkdir(parents=True, exist_ok=True)
    try:
        while True:
            if stop.now():
                ends.outcome.stopped = True
                for worker in workers:
                    worker.stop()
            while waiting and not ends.outcome.stopped and (free := _free(workers, settings)):
                free.hand(waiting.popleft())
            if not any(worker.job for worker in workers):
                break
            wait([handle for worker in workers for handle in (worker.channel, worker.process.sentinel)], LOOK_SECONDS)
            for worker in workers:
                for event in worker.events():
                    waiting.extend(_handle(worker, event, ends))
            workers = [worker for worker in workers if not worker.ended]
    except BaseException:  # interrupted at once: whatever they are doing, the store survives it
        for worker in workers:
            worker.process.kill()
        raise
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.process.join(GRACE_SECONDS)
        worker.process.kill()
    return ends.outcome


def _free(workers: list[Worker], settings: Settings) -> Worker | None:
    """A worker without a job, a new one if there may be one more; None when all are at work."""
    for worker in workers:
        if worker.job is None:
            return worker
    if len(workers) == settings.workers:
        return None
    number = min(set(range(settings.workers)) - {worker.number for worker in workers})
    log = settings.logs / f"worker-{number}.log"
    ours, theirs = CONTEXT.Pipe()
    worker = Worker(number, log, start(serve, theirs, settings, number, log=log), ours)
    theirs.close()  # or its end would not be seen here
    workers.append(worker)
    return worker


def _handle(worker: Worker, event: dict[str, Any], ends: Ends) -> list[Job]:
    """The job, where it is to be tried once more."""
    job = worker.job
    if "say" in event:
        ends.watcher.say(event["say"])
    elif job is None:
        return []
    elif not event.keys() & {"done", "stopped", "failed", "died"}:
        ends.watcher.update(job, event)
    else:
        if "died" in event:
            lost = f"{job}: the worker ended with status {event['died']}; see {worker.log}"
            event = {"stopped": True} if worker.told else {"failed": lost, "may_pass": True}
        worker.job = None
        if ends.take(job, event):
            return [job]
    return []
