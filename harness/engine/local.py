"""The local engine: several worker processes on this machine, each with one job at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.engine.processes import CONTEXT, start
from harness.engine.settings import Outcome, Settings, Watcher
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
    """Run all jobs, or as many as there is time for. A worker that dies is replaced.

    What failed for a cause that may pass (a worker that died, memory that was short) is tried once more, when all
    others have been begun; its last epoch is in the store.
    """
    outcome, waiting, workers, tried = Outcome(), deque(jobs), list[Worker](), set[str]()

    def once_more(job: Job, failure: str) -> bool:
        if job.run.run_id in tried:
            return False
        tried.add(job.run.run_id)
        waiting.append(job)
        watcher.say(f"{failure}; it is tried once more")
        return True

    settings.logs.mkdir(parents=True, exist_ok=True)
    try:
        while True:
            if stop.now():
                outcome.stopped = True
                for worker in workers:
                    worker.stop()
            while waiting and not outcome.stopped and (free := _free(workers, settings)):
                free.hand(waiting.popleft())
            if not any(worker.job for worker in workers):
                break
            wait([handle for worker in workers for handle in (worker.channel, worker.process.sentinel)], LOOK_SECONDS)
            for worker in workers:
                for event in worker.events():
                    _handle(worker, event, outcome, watcher, once_more)
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
    return outcome


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


def _handle(
    worker: Worker,
    event: dict[str, Any],
    outcome: Outcome,
    watcher: Watcher,
    once_more: Callable[[Job, str], bool],
) -> None:
    job = worker.job
    if "say" in event:
        watcher.say(event["say"])
    elif job is None:
        return
    elif "stopped" in event or ("died" in event and worker.told):
        outcome.stopped = True
        worker.job = None
    elif "done" in event:
        watcher.finished(job, None)
        worker.job = None
    elif "died" in event or "failed" in event:
        failure = event.get("failed") or f"{job}: the worker ended with status {event['died']}; see {worker.log}"
        worker.job = None
        if not (("died" in event or event["may_pass"]) and once_more(job, failure)):
            outcome.failed[job.run.run_id] = failure
            watcher.finished(job, failure)
    else:
        watcher.update(job, event)
