"""The Ray engine: one task a job, on a running cluster or on one that is started here for the session.

Every node must reach the store, the data and the project at the same paths, as on any cluster with a shared file
system.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Any

import ray
from ray.exceptions import LocalRayletDiedError, NodeDiedError, OutOfMemoryError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.engine.processes import worker_environment
from harness.engine.settings import Outcome, Settings, Watcher, prepare
from harness.engine.settle import Ends
from harness.engine.stop import Stop
from harness.engine.worker import attempt
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.store import Store

LOOK_SECONDS = 0.2  # how often the driver looks what its tasks say
KNOCK_SECONDS = 10.0  # for a cluster to answer
ASK_SECONDS = 1.0  # how often a task asks whether to stop
LOST = LocalRayletDiedError, NodeDiedError, OutOfMemoryError, WorkerCrashedError  # no fault of the task's


def run_jobs(jobs: list[Job], settings: Settings, stop: Stop, watcher: Watcher) -> Outcome:
    """Run all jobs, or as many as there is time for; Ray finds the places and keeps those that wait.

    Raises:
        HarnessError: no cluster answers, or it has no GPU and one is asked for.
    """
    connect(settings)
    try:
        return _run(jobs, settings, stop, watcher)
    except KeyboardInterrupt:  # at once: whatever the tasks are doing, the store survives it
        ray.shutdown()
        raise
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()[0]
        raise HarnessError(f"the Ray cluster does not answer any more: {said}; the same command continues") from error


def connect(settings: Settings) -> None:
    """Join the cluster, for as long as this process lives: the next jobs find it.

    Raises:
        HarnessError: no cluster answers there, or another version of Ray or Python.
    """
    if ray.is_initialized():
        return
    address = settings.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    own = {"num_cpus": settings.workers, "include_dashboard": False} if address == "local" else {}
    environment = {"env_vars": worker_environment()}
    answers = signal.getsignal(signal.SIGTERM)
    try:
        if address not in ("local", "auto"):  # Ray itself knocks for minutes at a door that is not there
            host, _, port = address.rpartition(":")
            if not port.isdecimal():
                raise ValueError("no port is named")
            socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment, **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise HarnessError(
            f"no Ray cluster at {address}: {str(error).strip().splitlines()[0]}; give the HOST:PORT that "
            "`ray start --head` printed, or no address to have one started on this machine"
        ) from error
    signal.signal(signal.SIGTERM, answers)  # Ray's own ends this process, which is to stop in good order


def resources(settings: Settings) -> tuple[str, dict[str, float]]:
    """Where jobs compute, "cpu" or "cuda", and what Ray sets aside for each: a core, or a share of a GPU.

    Raises:
        HarnessError: a GPU is asked for, and the cluster has none.
    """
    there = ray.cluster_resources()
    if settings.device == "cpu" or (settings.device == "auto" and not there.get("GPU")):
        return "cpu", {"num_cpus": 1}
    if not there.get("GPU"):
        raise HarnessError(
            f"--device cuda: the Ray cluster has no GPU, only {there.get('CPU', 0):.0f} cores; start a node that has "
            "one, or use --device cpu or auto"
        )
    return "cuda", {"num_cpus": 0, "num_gpus": 1 / settings.on_each_gpu}


class Board:
    """An actor between driver and tasks: what they say, and whether they are to stop."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.stopping = False

    def tell(self, run_id: str, event: dict[str, Any]) -> None:
        self.said.append((run_id, event))

    def news(self) -> list[tuple[str, dict[str, Any]]]:
        """What was said since the last look."""
        said, self.said = self.said, []
        return said

    def stop(self) -> None:
        self.stopping = True

    def stops(self) -> bool:
        return self.stopping


def _run(jobs: list[Job], settings: Settings, stop: Stop, watcher: Watcher) -> Outcome:
    device, share = resources(settings)
    # Here, not on a node that may be lost; it needs no core of its own.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    board = ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
    task = ray.remote(max_retries=0, **share)(_execute)  # `Ends` says what is tried again, and tells the user
    place = {"device": device, "store": settings.store, "data_root": settings.data_root}

    ends, begun = Ends(watcher), set[str]()
    pending = {task.remote(job.to_plain(), place, board): job for job in jobs}
    while pending:
        if stop.now() and not ends.outcome.stopped:
            ends.outcome.stopped = True
            board.stop.remote()
            for reference, job in pending.items():
                if job.run.run_id not in begun:  # or it would wait for a place, to stop there
                    ray.cancel(reference)
        ended, _ = ray.wait(list(pending), num_returns=len(pending), timeout=LOOK_SECONDS)
        by_id = {job.run.run_id: job for job in pending.values()}
        for run_id, event in ray.get(board.news.remote()):
            begun.add(run_id)
            if "say" in event:
                watcher.say(event["say"])
            elif run_id in by_id:
                watcher.update(by_id[run_id], event)
        for reference in ended:
            job = pending.pop(reference)
            end = _end(reference, job, begun=job.run.run_id in begun)
            if (end is None and not ends.outcome.stopped) or (end and ends.take(job, end)):
                begun.discard(job.run.run_id)
                pending[task.remote(job.to_plain(), place, board)] = job
    return ends.outcome


def _end(reference: ray.ObjectRef, job: Job, *, begun: bool) -> dict[str, Any] | None:
    """How the job ended; None where it was sent to a node that was dead already, which is no try of the run's."""
    try:
        return ray.get(reference)
    except ray.exceptions.TaskCancelledError:
        return {"stopped": True}
    except LOST as error:
        if isinstance(error, NodeDiedError) and not begun:
            return None
        return {"failed": f"{job}: its worker or node was lost ({type(error).__name__})", "may_pass": True}
    except ray.exceptions.RayError as error:
        return {"failed": f"{job}: {str(error).strip().splitlines()[-1]}", "may_pass": False}


def _execute(plain: dict[str, Any], place: dict[str, Any], board: ray.actor.ActorHandle) -> dict[str, Any]:
    """On the node: the job's end, as of `attempt`."""
    job, stop = Job.from_plain(plain), threading.Event()

    def tell(event: dict[str, Any]) -> ray.ObjectRef:
        return board.tell.remote(job.run.run_id, event)

    def ask() -> None:
        try:
            while not stop.wait(ASK_SECONDS):
                if _answer(board.stops.remote()):
                    stop.set()
        except ray.exceptions.RayError:  # the driver is gone
            stop.set()

    try:
        _answer(tell({"doing": "loading"}))
        if _answer(board.stops.remote()):
            return {"stopped": True}
        threading.Thread(target=ask, daemon=True).start()
        return attempt(
            job,
            store=Store(place["store"], notify=lambda line: tell({"say": line})),
            device=prepare(place["device"]),
            data_root=place["data_root"],
            progress=tell,
            should_stop=stop.is_set,
        )
    except KeyboardInterrupt:  # of Ray, which cancels a task that had not begun when it was told to
        return {"stopped": True}
    finally:
        stop.set()
        _answer(board.stops.remote())  # an actor takes calls in order: all that was told has arrived


def _answer(reference: ray.ObjectRef) -> Any:
    """Not `ray.get`: a task that waits in it gives its core to the next one, which then computes beside it."""
    return reference.future().result()
