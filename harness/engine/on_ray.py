"""The Ray engine: one task a job, on a running cluster (RAY_ADDRESS) or on this machine.

Every node must reach the store and the project at the same paths, as on any cluster with a shared file system.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray
from ray.util.queue import Empty, Queue

from harness.engine.execute import execute
from harness.engine.processes import worker_environment
from harness.engine.settings import Outcome, Settings, Watcher, prepare
from harness.engine.stop import Stop
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.store import Interrupted, Store


def run_jobs(jobs: list[Job], settings: Settings, stop: Stop, watcher: Watcher) -> Outcome:
    """Run all jobs, or as many as there is time for; a job that is cut short keeps its last epoch."""
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": worker_environment()})
    try:
        return _run(jobs, settings, stop, watcher)
    finally:
        if started_here:
            ray.shutdown()


def _run(jobs: list[Job], settings: Settings, stop: Stop, watcher: Watcher) -> Outcome:
    outcome, events = Outcome(), Queue()
    seconds = None if stop.deadline is None else max(stop.deadline - time.monotonic(), 0.0)
    ends = None if seconds is None else time.time() + seconds  # nodes share the wall clock, not the monotonic one
    task = ray.remote(num_gpus=1)(_execute) if settings.device == "cuda" else ray.remote(num_cpus=1)(_execute)
    tell = {
        "store": str(settings.store),
        "data_root": settings.data_root and str(settings.data_root),
        "device": settings.device,
    }
    pending = {task.remote(job.to_plain(), tell, ends, events): job for job in jobs}
    by_id = {job.run.run_id: job for job in jobs}
    while pending:
        if stop.asked:
            for reference in pending:
                ray.cancel(reference)
        _forward(events, by_id, watcher)
        for reference in ray.wait(list(pending), timeout=0.2)[0]:
            job = pending.pop(reference)
            _settle(reference, job, outcome, watcher)
    _forward(events, by_id, watcher)
    return outcome


def _forward(events: Queue, jobs: dict[str, Job], watcher: Watcher) -> None:
    while True:
        try:
            run_id, event = events.get(block=False)
        except Empty:
            return
        if "say" in event:
            watcher.say(event["say"])
        else:
            watcher.update(jobs[run_id], event)


def _settle(reference: ray.ObjectRef, job: Job, outcome: Outcome, watcher: Watcher) -> None:
    try:
        ended = ray.get(reference)
    except ray.exceptions.TaskCancelledError:
        ended = "stopped"
    except ray.exceptions.RayError as error:
        ended = f"{job.run}: {str(error).strip().splitlines()[-1]}"
    if ended == "stopped":
        outcome.stopped = True
        return
    if ended is not None:
        outcome.failed[job.run.run_id] = ended
    watcher.finished(job, ended)


def _execute(plain: dict[str, Any], settings: dict[str, Any], ends: float | None, events: Queue) -> str | None:
    """On the node: None when all is done, "stopped", or why it failed."""
    device = prepare(settings["device"])
    job = Job.from_plain(plain)

    def progress(event: dict[str, Any]) -> None:
        events.put((job.run.run_id, event))

    try:
        execute(
            job,
            store=Store(Path(settings["store"]), notify=lambda line: progress({"say": line})),
            device=device,
            data_root=Path(settings["data_root"]) if settings["data_root"] else None,
            progress=progress,
            should_stop=lambda: ends is not None and time.time() >= ends,
        )
    except (Interrupted, KeyboardInterrupt):  # Ray cancels a task with a KeyboardInterrupt
        return "stopped"
    except HarnessError as error:
        return str(error)
    return None
