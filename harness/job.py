"""A job: one run with all that is to be measured of it; what a worker is handed, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.probes.request import ProbeRequest
from harness.run import Run
from harness.store import Store

if TYPE_CHECKING:
    import torch

    from harness.data import Dataset

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """A run and the probes that are missing.

    Attributes:
        training: whether weights are missing too.
        keep: epochs behind the warm-up (0: its end) whose weights are kept besides the last.
    """

    run: Run
    probes: tuple[ProbeRequest, ...]
    training: bool
    keep: tuple[int, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        return {
            "run": self.run.model_dump(mode="json"),
            "probes": [probe.model_dump(mode="json") for probe in self.probes],
            "training": self.training,
            "keep": list(self.keep),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Job:
        probes = tuple(ProbeRequest.model_validate_plain(probe) for probe in plain["probes"])
        return cls(Run.model_validate(plain["run"]), probes, plain["training"], tuple(plain["keep"]))

    def missing_weights(self, store: Store) -> bool:
        """Whether the store lacks the final weights or some that are to be kept."""
        keys = [self.run.checkpoint_key, *map(self.run.epoch_key, self.keep)]
        return any(store.read(key) is None for key in keys)


def execute(
    job: Job, *, store: Store, device: torch.device, root: Path | None, report: Report, should_stop: Callable[[], bool]
) -> None:
    """Train the run if nobody has, then measure what nobody has measured. Everything lands in the store.

    Two processes with the same job share the work: one trains, the other waits and reads.

    Args:
        report: takes what is going on: `doing` ("training", "waiting", or a probe's name) and the training's figures.

    Raises:
        Interrupted: asked to stop; what was done is kept.
        HarnessError: what the training or a probe refused.
    """
    from harness.data import load_dataset
    from harness.training.checkpoint import drop_states
    from harness.training.loop import train

    run = job.run
    dataset = load_dataset(run.dataset, store, root=root, say=lambda line: report({"doing": line}))
    with store.lock(run.folder, should_stop=should_stop, waiting=lambda: report({"doing": "waiting"})):
        if job.missing_weights(store):
            train(
                run,
                dataset,
                keep=job.keep,
                store=store,
                device=device,
                report=lambda figures: report({"doing": "training", **figures}),
                should_stop=should_stop,
            )
        drop_states(store, run)
        for probe in job.probes:
            if store.read(probe.key(run.run_id)) is None:
                report({"doing": probe.probe})
                measure(run, probe, dataset, store=store, device=device)


def measure(run: Run, request: ProbeRequest, dataset: Dataset, *, store: Store, device: torch.device) -> None:
    """Run one probe on the finished checkpoint of a run and keep its table."""
    import harness.probes
    from harness.data import balanced_subset
    from harness.provenance import hardware, versions
    from harness.tables import to_parquet
    from harness.training import checkpoint
    from harness.training.loader import Resident
    from harness.training.loop import build_model

    model = build_model(run, dataset.info).to(device)
    checkpoint.load_weights(store, run, model)
    parameters = request.parameters.model_dump()
    count = parameters.pop("images") or request.test_images
    split = Resident(balanced_subset(dataset.test, count), dataset.info, device)
    probe = getattr(harness.probes, request.probe)
    table = probe(model, split.batches(PROBE_BATCH), **parameters)
    meta = {
        "run": str(run),
        "request": request.model_dump(mode="json"),
        "device": hardware(device),
        "versions": versions(),
    }
    store.write(request.key(run.run_id), {"table.parquet": to_parquet(table)}, meta)


PROBE_BATCH = 250
