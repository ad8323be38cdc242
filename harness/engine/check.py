"""Before anything is trained: which device there is, and that every network can be built and measured."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

from harness.engine.processes import CONTEXT, start
from harness.engine.settings import choose_device, gpus
from harness.engine.stop import Stop
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.plan.run import Run
from harness.probes.kinds import PROBES
from harness.store import Interrupted

LOOK_SECONDS = 0.1  # how often it is asked whether to stop


def checked_device(jobs: Iterable[Job], wish: str, logs: Path, stop: Stop) -> tuple[str, int]:
    """The device behind `--device`, and how many GPUs there are.

    Only once each network was built, and its anatomy taken where a probe needs one.

    It happens in a process that is thrown away: this one loads no torch, and one that has looked for a GPU must not be
    forked.

    Raises:
        HarnessError: no such device, a network that cannot be built, or one whose anatomy is wanted and not known.
        Interrupted: asked to stop.
    """
    networks: dict[tuple[str, str], tuple[Run, bool]] = {}
    for job in jobs:
        key = str(job.run.model), job.run.dataset
        measured = any(PROBES[probe.probe].of_units for probe in job.probes)
        before = networks.get(key, (None, False))[1]
        if job.training or measured or before:
            networks[key] = job.run, measured or before
    if stop.now():
        raise Interrupted("the check of the networks")
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "check.log"
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = start(_check, theirs, list(networks.values()), wish, log=log)
    theirs.close()
    try:
        while not ours.poll(LOOK_SECONDS):
            if stop.now():
                raise Interrupted("the check of the networks")
        answer = ours.recv()
    except EOFError:
        process.join()
        raise HarnessError(f"building the networks ended with status {process.exitcode}; see {log}") from None
    finally:
        process.kill()
    if isinstance(answer, HarnessError):
        raise answer
    return answer


def _check(channel: Connection, networks: list[tuple[Run, bool]], wish: str) -> None:
    try:
        device = choose_device(wish)
        for run, measured in networks:
            check_network(run, measured=measured)
    except HarnessError as error:
        channel.send(error)
    else:
        channel.send((device, gpus()))


def check_network(run: Run, *, measured: bool) -> None:
    """Build the network of a run; if it will be `measured` unit by unit, take its anatomy.

    Raises:
        HarnessError: which network, and what is wrong with it.
    """
    from harness.data import dataset_info
    from harness.training.loop import build_model
    from models import ModelError, anatomy

    info = dataset_info(run.dataset)
    try:
        model = build_model(run, info)
        if measured:
            anatomy(model, example_shape=(info.channels, info.image_size, info.image_size))
    except HarnessError:
        raise
    except ModelError as error:
        raise HarnessError(f"{run.model} for {info.title}: {error}") from error
    except Exception as error:  # of a person's own network
        traceback.print_exc()
        raise HarnessError(f"{run.model} for {info.title}: {type(error).__name__}: {error}") from error
