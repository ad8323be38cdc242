"""The local engine: several worker processes on this machine, each with one job at a time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from harness.engine.settings import Outcome, Settings, Stop, Watcher, worker_environment
from harness.plan.job import Job

GRACE_SECONDS = 30.0  # for a worker to reach the end of its step and keep its state


@dataclass
class Worker:
    process: subprocess.Popen[str]
    number: int
    job: Job | None = None

    def hand(self, job: Job) -> None:
        assert self.process.stdin is not None
        self.job = job
        with contextlib.suppress(BrokenPipeError):  # it has died; its end of output will say so
            self.process.stdin.write(json.dumps(job.to_plain()) + "\n")
            self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def run_jobs(jobs: list[Job], settings: Settings, stop: Stop, watcher: Watcher) -> Outcome:
    """Run all jobs, or as many as there is time for. Workers that die fail the job they had, and are replaced."""
    outcome = Outcome()
    waiting = list(reversed(jobs))
    events: queue.SimpleQueue[tuple[Worker, dict[str, Any]]] = queue.SimpleQueue()
    settings.logs.mkdir(parents=True, exist_ok=True)
    workers = [_start(number, settings, events) for number in range(min(settings.workers, len(jobs)))]
    try:
        for worker in workers:
            worker.hand(waiting.pop())
        while any(worker.job for worker in workers):
            if stop.now():
                outcome.stopped = True
                for worker in workers:
                    worker.close()
            for worker, event in _drain(events):
                _handle(worker, event, outcome, settings, watcher)
                if worker.job is None and waiting and not stop.now():
                    if worker.process.poll() is not None:
                        workers.remove(worker)
                        worker = _start(worker.number, settings, events)
                        workers.append(worker)
                    worker.hand(waiting.pop())
        outcome.stopped |= bool(waiting)
    finally:
        for worker in workers:
            worker.close()
        for worker in workers:
            try:
                worker.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
    return outcome


def _start(number: int, settings: Settings, events: queue.SimpleQueue[tuple[Worker, dict[str, Any]]]) -> Worker:
    told = {key: str(value) if value is not None else None for key, value in asdict(settings).items()}
    with (settings.logs / f"worker-{number}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.engine.worker", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **worker_environment()},
            text=True,
            encoding="utf-8",
        )
    worker = Worker(process, number)

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):  # the half line of a worker that was killed
                events.put((worker, json.loads(line)))
        events.put((worker, {"died": process.wait()}))

    threading.Thread(target=listen, daemon=True).start()
    return worker


def _drain(events: queue.SimpleQueue[tuple[Worker, dict[str, Any]]]) -> Iterator[tuple[Worker, dict[str, Any]]]:
    """The next event and those behind it; nothing after a tenth of a second without one."""
    try:
        yield events.get(timeout=0.1)
        while True:
            yield events.get_nowait()
    except queue.Empty:
        return


def _handle(worker: Worker, event: dict[str, Any], outcome: Outcome, settings: Settings, watcher: Watcher) -> None:
    job = worker.job
    if "say" in event:
        watcher.say(event["say"])
    elif job is None:
        return
    elif "died" in event or "failed" in event:
        log = settings.logs / f"worker-{worker.number}.log"
        failure = event.get("failed") or f"{job.run}: the worker ended with status {event['died']}; see {log}"
        outcome.failed[job.run.run_id] = failure
        watcher.finished(job, failure)
        worker.job = None
    elif "done" in event:
        watcher.finished(job, None)
        worker.job = None
    elif "stopped" in event:
        outcome.stopped = True
        worker.job = None
    else:
        watcher.update(job, event)
