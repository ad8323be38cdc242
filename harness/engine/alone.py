"""`python -m harness train`: one run of a profile, by one process or by all those that torchrun started."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace
from contextlib import ExitStack
from typing import Any

from harness.data import load_dataset
from harness.engine.execute import measure
from harness.engine.progress import progress
from harness.engine.settings import Watcher, choose_device, prepare
from harness.errors import HarnessError, nearest
from harness.plan.case import Case
from harness.plan.job import Job
from harness.plan.plan import duration, wanted_epochs
from harness.plan.profile import Profile, load_profile
from harness.plan.run import Run, missing_weights
from harness.plan.wanted import ProbeRequest, wanted
from harness.store import Interrupted, Store
from harness.training.group import joined
from harness.training.loop import train


def train_one(arguments: Namespace) -> None:
    """Train a run to its end, or until SIGTERM or Ctrl-C; the same command continues. Then say how accurate it is.

    The checkpoint is the one that `pytest claims/` with the same profile and store looks for: on one process with the
    same bits, on several within rounding.
    """
    profile = load_profile(arguments.profile)
    name = arguments.dataset or profile.datasets[0]
    case = _case(profile, arguments.role, name)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with joined(choose_device(arguments.device)) as (group, device), ExitStack() as stack:
        prepare(device.type)
        store = Store(arguments.store)
        dataset = load_dataset(name, store, root=arguments.data_root)
        seed = profile.seeds[0] if arguments.seed is None else arguments.seed
        case = case.given(len(dataset.train))
        run = case.run(arguments.role, seed, dataset.fingerprint)
        request = case.request(arguments.role, wanted("prediction"))
        job = Job(run, (request,), training=True, wanted=wanted_epochs(run, [request], profile))
        if group.leads:
            stack.enter_context(store.lock(run.folder, should_stop=stop.is_set))
        group.wait()
        if missing_weights(store, run, job.wanted):
            watcher = progress(1) if group.leads else None
            if watcher:
                stack.enter_context(watcher)
            try:
                train(
                    run,
                    dataset,
                    wanted=job.wanted,
                    store=store,
                    device=device,
                    report=lambda event: _tell(watcher, job, event) if watcher else None,
                    should_stop=stop.is_set,
                    group=group,
                )
            except Interrupted:
                raise HarnessError(f"stopped; the same command continues {run}") from None
            if watcher:
                watcher.finished(job, None)
        elif group.leads:
            print(f"{run}: trained already, {store.root / run.checkpoint_key}")
        if group.leads:
            if store.read(request.key(run.run_id)) is None:
                measure(run, request, dataset, store=store, device=device, should_stop=stop.is_set)
            print(_accuracy(store, run, request))


def _tell(watcher: Watcher, job: Job, event: dict[str, Any]) -> None:
    if "say" in event:
        watcher.say(event["say"])
    else:
        watcher.update(job, {"doing": "training", **event})


def _accuracy(store: Store, run: Run, request: ProbeRequest) -> str:
    import pandas as pd

    artifact, meta = store.read(request.key(run.run_id)), store.meta(run.checkpoint_key)
    assert artifact is not None
    assert meta is not None
    correct = pd.read_parquet(artifact.path / "table.parquet").correct
    return (
        f"{run}: {correct.mean():.2%} of {len(correct):,} test images right; trained in {duration(meta['seconds'])} "
        f"on {meta['device']}"
    )


def _case(profile: Profile, role: str, dataset: str) -> Case:
    if not profile.has(role):
        known = [*profile.roles, *profile.variants]
        raise HarnessError(f"no role {role!r} in profile {profile.name}; {nearest(role, known)}")
    if dataset not in profile.datasets:
        raise HarnessError(f"no data set {dataset!r} in profile {profile.name}; {nearest(dataset, profile.datasets)}")
    lead = profile.lead(role)
    return Case("", None, dataset, (role,), {}, {lead: profile.roles[lead][0]}, profile, ())
