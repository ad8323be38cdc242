"""`python -m harness train`: one run of a profile, by one process or by all those that torchrun started."""

from __future__ import annotations

from argparse import Namespace
from contextlib import nullcontext
from functools import partial
from typing import Any

from harness.data import load_dataset
from harness.engine.execute import execute
from harness.engine.precision import in_fast_precision
from harness.engine.progress import progress
from harness.engine.settings import Watcher, choose_device, prepare
from harness.engine.stop import Stop, stop_on_signals
from harness.errors import HarnessError, Stopped, nearest
from harness.plan.case import Case
from harness.plan.describe import duration
from harness.plan.job import Job
from harness.plan.plan import wanted_epochs
from harness.plan.profile import Profile, load_profile
from harness.plan.run import Run, missing_weights
from harness.plan.wanted import ProbeRequest, wanted
from harness.store import Interrupted, Store
from harness.training.group import joined


def train_one(arguments: Namespace) -> None:
    """Train a run to its end, or until SIGTERM or Ctrl-C; the same command continues. Then say how accurate it is.

    The checkpoint is the one that `pytest claims/` with the same profile and store looks for: on one process with the
    same bits, on several within rounding.
    """
    profile, remark = in_fast_precision(load_profile(arguments.profile), arguments.device)
    name = arguments.dataset or profile.datasets[0]
    case = _case(profile, arguments.role, name)
    store, data_root = Store(arguments.store), arguments.data_root
    with (
        joined(choose_device(arguments.device)) as (group, device),
        stop_on_signals(Stop(), insist=group.size == 1) as stop,
    ):
        prepare(device.type)
        if remark and group.leads:
            print(remark)
        dataset = load_dataset(name, store, data_root=data_root)
        seed = arguments.seed
        case = case.given(len(dataset.train))
        run = case.run(arguments.role, seed, dataset.fingerprint)
        request = case.request(arguments.role, wanted("prediction"), seed)
        job = Job(run, (request,), training=True, wanted=wanted_epochs(run, [request], profile))
        trained_already = not missing_weights(store, run, job.wanted)
        with progress(1) if group.leads else nullcontext() as watcher:
            try:
                execute(
                    job,
                    store=store,
                    device=device,
                    data_root=data_root,
                    progress=partial(_tell, watcher, job),
                    should_stop=stop.now,
                    group=group,
                )
            except Interrupted:
                raise Stopped(f"stopped; the same command continues {run}") from None
            if watcher and not trained_already:
                watcher.finished(job, None)
        if group.leads:
            if trained_already:
                print(f"{run}: trained already, {store.root / run.checkpoint_key}")
            print(_accuracy(store, run, request))


def _tell(watcher: Watcher | None, job: Job, event: dict[str, Any]) -> None:
    if watcher is None:
        return
    if "say" in event:
        watcher.say(event["say"])
    else:
        watcher.update(job, event)


def _accuracy(store: Store, run: Run, request: ProbeRequest) -> str:
    from harness.store.tables import TABLE, read_parquet

    artifact, meta = store.read(request.key(run.run_id)), store.meta(run.checkpoint_key)
    assert artifact is not None
    assert meta is not None
    correct = read_parquet(artifact.path / TABLE).correct
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
    return Case("", None, dataset, (role,), {}, {lead: profile.roles[lead][0]}, profile, (), 1)
