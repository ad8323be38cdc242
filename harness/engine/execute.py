"""Train a run, then measure it: the one executor behind worker processes, Ray's tasks and `harness train`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.plan.job import Job
from harness.plan.run import Run, missing_weights
from harness.plan.wanted import ProbeRequest
from harness.probes.kinds import PROBES
from harness.store import Interrupted, Store
from harness.store.identity import canonical_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from harness.data import Dataset
    from harness.store.lease import Lease
    from harness.training.group import Group

Progress = Callable[[dict[str, Any]], None]


def execute(
    job: Job,
    *,
    store: Store,
    device: torch.device,
    data_root: Path | None,
    progress: Progress,
    should_stop: Callable[[], bool],
    group: Group | None = None,
) -> None:
    """Train the run if nobody has, then measure what nobody has measured. Everything lands in the store.

    Two processes with the same job share the work: one trains, the other waits and reads. So does one that was stopped
    for so long that another host has taken its run over.

    Args:
        progress: takes what is going on: `doing` ("training", "waiting", or a probe's name) and the training's figures.
        group: of processes that train the run together, all of them here with the same job; the first one keeps the
            others from the run, writes and measures. None: this process alone.

    Raises:
        Interrupted: asked to stop; what was done is kept. Or, in a group, another host has taken the run over.
        HarnessError: what the training or a probe refused.
    """
    from harness.data import load_dataset
    from harness.training.group import ALONE

    group = group or ALONE
    dataset = load_dataset(job.run.dataset, store, data_root=data_root, say=lambda line: progress({"doing": line}))
    work = partial(_work, job, dataset, store=store, device=device, data_root=data_root, progress=progress, group=group)
    if not group.leads:
        group.wait()
        work(should_stop=should_stop)
        return
    while True:
        waiting = partial(progress, {"doing": "waiting"})
        with store.lock(job.run.folder, should_stop=should_stop, waiting=waiting) as lease:
            group.wait()
            try:
                work(should_stop=partial(_lost_or, lease, should_stop))
            except Interrupted:
                if group.size > 1 or not lease.lost:
                    raise
            else:
                return


def _lost_or(lease: Lease, should_stop: Callable[[], bool]) -> bool:
    return lease.lost or should_stop()


def _work(
    job: Job,
    dataset: Dataset,
    *,
    store: Store,
    device: torch.device,
    data_root: Path | None,
    progress: Progress,
    should_stop: Callable[[], bool],
    group: Group,
) -> None:
    """What is missing, while nobody else is at it."""
    from harness.training.checkpoint import drop_states
    from harness.training.loop import train

    run = job.run
    if missing_weights(store, run, job.wanted):
        train(
            run,
            dataset,
            wanted=job.wanted,
            store=store,
            device=device,
            progress=lambda figures: progress({"doing": "training", **figures}),
            should_stop=should_stop,
            group=group,
        )
    if not group.leads:
        return
    if not missing_weights(store, run, [None]):
        drop_states(store, run)
    for probe in job.probes:
        if store.read(probe.key(run.run_id)) is None:
            progress({"doing": probe.probe})
            measure(run, probe, dataset, store=store, device=device, data_root=data_root, should_stop=should_stop)
        store.ledger(probe.key(run.run_id)).unlink(missing_ok=True)


def measure(
    run: Run,
    request: ProbeRequest,
    dataset: Dataset,
    *,
    store: Store,
    device: torch.device,
    data_root: Path | None,
    should_stop: Callable[[], bool],
) -> None:
    """Run one probe on the weights of a run and keep its table.

    Raises:
        HarnessError: what the probe refused.
        Interrupted: asked to stop, which happens before the next batch of images; only a probe with a ledger keeps what
            it had found.
    """
    import harness.probes
    from harness.store.ledger import Ledger
    from harness.store.provenance import hardware, versions
    from harness.store.tables import TABLE, to_parquet
    from harness.training import checkpoint
    from harness.training.loop import build_model

    model = build_model(run, dataset.info).to(device)
    checkpoint.load_weights(store, run, model, request.epoch)
    parameters = request.parameters.model_dump()
    kind = PROBES[request.probe]
    if kind.split == "train":
        batches = _training_batches(run, dataset, parameters, device)
    else:
        chosen = parameters.pop("images") or request.test_images, parameters.pop("draw")
        batches = _test_batches(dataset, *chosen, device)
        if kind.pixels:
            parameters |= _of_pixels(dataset, *chosen, data_root, official=parameters["official"])
        if request.held_out is not None:
            batches = _held_out_batches(run, dataset, request.held_out, device)
    if kind.l2:
        parameters["weight_decay"] = run.recipe.weight_decay
    key = request.key(run.run_id)
    where = {"device": hardware(device), "versions": versions()}
    if kind.ledger:  # what another machine or version has found is not continued here
        parameters |= {"ledger": Ledger(store.ledger(key), canonical_json([key, where])), "should_stop": should_stop}
    began = time.monotonic()
    table = getattr(harness.probes, request.probe)(model, _while_wanted(batches, should_stop, run), **parameters)
    meta = {
        "run": str(run),
        "request": request.model_dump(mode="json"),
        "seconds": time.monotonic() - began,
        **where,
    }
    store.write(key, {TABLE: to_parquet(table)}, meta)


PROBE_BATCH = 250


def _while_wanted(
    batches: Iterable[tuple[Tensor, Tensor]], should_stop: Callable[[], bool], run: Run
) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in batches:
        if should_stop():
            raise Interrupted(str(run))
        yield batch


def _test_batches(
    dataset: Dataset, count: int | None, draw: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    from harness.data import balanced_subset
    from harness.training.load import load

    return load(balanced_subset(dataset.test, count, draw), dataset.info, device).batches(PROBE_BATCH)


def _of_pixels(
    dataset: Dataset, count: int | None, draw: int, data_root: Path | None, *, official: bool
) -> dict[str, Any]:
    """What a probe has to know of the test images to work on their pixels."""
    import torch

    from harness.corruptions import open_official
    from harness.data import balanced_numbers

    info = dataset.info
    return {
        "mean": info.mean,
        "std": info.std,
        "numbers": torch.from_numpy(balanced_numbers(dataset.test, count, draw)),
        "official": open_official(data_root, info, len(dataset.test)) if official else None,
    }


def _held_out_batches(run: Run, dataset: Dataset, count: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    from harness.data import held_out
    from harness.training.load import load

    trained = run.train_images or len(dataset.train)
    return load(held_out(dataset.train, trained, count), dataset.info, device).batches(PROBE_BATCH)


def _training_batches(
    run: Run, dataset: Dataset, parameters: dict[str, Any], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of the images that the run was trained on; takes what they depend on out of the probe's parameters."""
    from harness.data import balanced_subset
    from harness.training.batch import drawn_batches
    from harness.training.load import load

    recipe = run.recipe if parameters.pop("augment") else run.recipe.without_augmentation
    if (augmentation := parameters.pop("augmentation", "own")) != "own":
        recipe = recipe.augmented_as(augmentation)
    drawn = {name: parameters.pop(name) for name in ("images", "batch_size", "seed")}
    split = load(balanced_subset(dataset.train, run.train_images), dataset.info, device)
    return drawn_batches(split, recipe, **drawn)
