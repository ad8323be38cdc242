"""`python -m harness buildup`: the paper's build-up rules (section 4.1) on a person's CNN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.buildup.bench import Bench, shares
from harness.buildup.page import write_page
from harness.buildup.record import Record, Tested, write_record
from harness.buildup.rules import Comparison, Placement, Step, build_up
from harness.buildup.size import size_of, widened
from harness.data import Dataset, load_dataset
from harness.engine.check import checked_device
from harness.engine.local import run_jobs
from harness.engine.progress import progress
from harness.engine.settings import Settings, workers_on
from harness.engine.stop import Stop
from harness.errors import HarnessError, Stopped
from harness.plan.job import Job
from harness.plan.profile import Profile
from harness.plan.run import ModelSpec
from harness.store import Interrupted, Store
from models.errors import BadOption


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        model: without MSAs.
        most: MSAs; None for as many as the rules bring.
    """

    model: ModelSpec
    profile: Profile
    dataset: str
    most: int | None
    results: Path
    store: Path
    data_root: Path | None
    device: str
    cores: int


@dataclass
class Engine:
    """Trains and measures in worker processes, until it is asked to stop."""

    wish: Wish
    stop: Stop

    def __call__(self, jobs: list[Job]) -> None:
        """Do all jobs.

        Raises:
            HarnessError: one failed.
            Interrupted: asked to stop; what was done is in the store.
        """
        wish, logs = self.wish, self.wish.results / "logs"
        device, gpus = checked_device(jobs, wish.device, logs, self.stop)
        data_root = wish.data_root.absolute() if wish.data_root else None
        workers = workers_on(device, gpus, wish.cores, None)
        settings = Settings(wish.store.absolute(), data_root, device, workers, logs)
        with progress(len(jobs)) as watcher:
            outcome = run_jobs(jobs, settings, self.stop, watcher)
        if outcome.failed:
            raise HarnessError(next(iter(outcome.failed.values())))
        if outcome.stopped:
            raise Interrupted("the build-up")


def build_up_network(wish: Wish, stop: Stop, compute: Callable[[list[Job]], None] | None = None) -> Record:
    """Walk the rules, then test the network that they lead to; leaves log, result and page in `wish.results`.

    Args:
        compute: what trains and measures jobs; by default worker processes on this machine.

    Raises:
        HarnessError: no MSA fits the network, or a run failed.
        Stopped: asked to.
    """
    store = Store(wish.store)
    dataset = load_dataset(wish.dataset, store, data_root=wish.data_root)
    room, msas, maps = _room(wish.model, dataset)
    trained, held_out = _images(wish, dataset)
    place = wish.dataset, dataset.fingerprint, trained, held_out
    bench = Bench(wish.model, msas, *place, wish.profile, store, compute or Engine(wish, stop))
    record = Record(str(wish.model), dataset.title, wish.profile.name, maps, room, msas, trained, held_out)
    for line in record.head():
        print(line)
    try:
        for step in _steps(bench, record, dataset, sum(room) if wish.most is None else wish.most):
            record.steps.append(step)
            print(*record.told(step), sep="\n", flush=True)
            write_record(wish.results, record)
        record.tested = _test(bench, record, dataset)
    except Interrupted:
        write_record(wish.results, record)
        raise Stopped("stopped; the same command goes on and trains nothing twice") from None
    print(*record.conclusion(), sep="\n")
    write_record(wish.results, record)
    print(f"page: {write_page(wish.results, record)}")
    return record


def _steps(bench: Bench, record: Record, dataset: Dataset, most: int) -> Iterator[Step]:
    """The walk; every network's size is known before it is trained."""
    record.sizes[record.final] = size_of(bench.model, dataset.info)

    def compare(one: Placement, other: Placement) -> Comparison:
        record.sizes[one] = size_of(bench.altered(one), dataset.info)
        return bench.compare(bench.altered(one), bench.altered(other))

    return build_up(record.room, most, compare)


def _test(bench: Bench, record: Record, dataset: Dataset) -> Tested:
    """The final network on the test set, against none and against a convolutional network as large."""
    final, seeds = record.final, bench.profile.allowed_looks[0]
    if not any(final):
        return Tested(bench.accuracy(bench.model, seeds, tested=True), seeds, None, None, None, None)
    altered = bench.altered(final)
    above_none = bench.compare(altered, bench.model, tested=True)
    control = widened(bench.model, record.sizes[final].parameters, dataset.info)
    if control is None:
        return Tested(above_none.accuracies[0], above_none.seeds, above_none, None, None, None)
    above_control = bench.compare(altered, control, tested=True)
    size = size_of(control, dataset.info)
    return Tested(above_none.accuracies[0], above_none.seeds, above_none, str(control), size, above_control)


def _room(model: ModelSpec, dataset: Dataset) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    """MSAs that fit each stage, how they are built (rule 3), and the side of each stage's map.

    Raises:
        ModelError: no stages, no window that fits a map, or MSAs that are there already.
    """
    import torch

    from models import anatomy, create_model
    from models.alternation import fitting_window, stages_of

    info = dataset.info
    torch.manual_seed(0)  # a person's own network may draw at its making; its shapes do not depend on that
    network = create_model(
        model.name,
        num_classes=info.classes,
        image_size=info.image_size,
        in_chans=info.channels,
        **model.overrides,
    )
    stages = stages_of(network)
    there = sum(unit.kind == "msa" for unit in anatomy(network).units)
    if there:
        raise BadOption(f"{model} has {there} MSAs already; begin with a convolutional network")
    window = fitting_window(stages)
    heads = [3 * 2**number for number in range(len(stages))]
    # The paper's ratio: 24 heads of 64 channels in a stage of 2048.
    dim_head = max(3 * stages[-1].shape[0] // (4 * heads[-1]), 4)
    room = tuple(stage.room if stage.fits(window) else 0 for stage in stages)
    return room, {"heads": heads, "dim_head": dim_head, "window": window}, tuple(stage.shape[1] for stage in stages)


def _images(wish: Wish, dataset: Dataset) -> tuple[int, int]:
    import numpy as np

    classes, counts = np.unique(dataset.train.labels, return_counts=True)
    trained, held_out = shares(
        wish.profile.train_size(wish.dataset, len(dataset.train)), len(classes), int(counts.min())
    )
    if trained < wish.profile.recipe.batch_size:
        raise HarnessError(
            f"{trained} training images beside {held_out} held out do not fill a batch of "
            f"{wish.profile.recipe.batch_size}; give a profile with more"
        )
    return trained, held_out
