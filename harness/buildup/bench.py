"""Training, measuring and comparing placements: runs in the store, seeds added only where a step is undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.buildup.rules import Comparison, Placement
from harness.judging.looks import Look
from harness.judging.statistics import GROUPS, Replicate, SampleTable, estimate, jackknife
from harness.judging.weigh import number, over_seeds
from harness.plan.job import Job
from harness.plan.profile import Profile
from harness.plan.run import ModelSpec, Run, missing_weights, source_of
from harness.plan.wanted import ProbeRequest
from harness.probes.kinds import PROBES
from harness.store import Store
from harness.store.tables import TABLE, read_parquet

if TYPE_CHECKING:
    import pandas as pd

HELD_OUT = 0.2  # of the training images, for choosing; the test set is for the report alone
PROBE = "prediction"


@dataclass(frozen=True)
class Bench:
    """A network, its data, and how they are trained.

    Attributes:
        model: without MSAs.
        msas: how MSAs are built: heads, dim_head, window of `models.alternate`.
        trained: images of the class-balanced subset that every run learns from.
        held_out: further class-balanced training images, on which placements are compared.
        compute: trains and measures what these jobs want.
    """

    model: ModelSpec
    msas: dict[str, Any]
    dataset: str
    fingerprint: str
    trained: int
    held_out: int
    profile: Profile
    store: Store
    compute: Callable[[list[Job]], None]

    def altered(self, placement: Placement) -> ModelSpec:
        """The network with these MSAs; without any it is the network itself, whose runs others may have made."""
        if not any(placement):
            return self.model
        alternate = {"placement": list(placement), **self.msas}
        return ModelSpec(name=self.model.name, overrides={**self.model.overrides, "alternate": alternate})

    def compare(self, one: ModelSpec, other: ModelSpec, *, tested: bool = False) -> Comparison:
        """The held-out (or `tested`: the test) accuracy of two networks, look after look until it is decided."""
        planned = self.profile.planned_looks
        for look in (Look(seeds, planned) for seeds in self.profile.allowed_looks):
            found = self._compared(one, other, look, tested=tested)
            if found.decided:
                break
        return found

    def accuracy(self, spec: ModelSpec, seeds: int, *, tested: bool = False) -> float:
        """Mean share of right images over seeds."""
        (tables,) = self._tables([spec], seeds, tested=tested)
        return sum(float(table.correct.mean()) for table in tables) / seeds

    def _compared(self, one: ModelSpec, other: ModelSpec, look: Look, *, tested: bool) -> Comparison:
        tables = self._tables([one, other], look.seeds, tested=tested)
        pairs = list(zip(*tables, strict=True))
        found = over_seeds(estimate([_replicate(*pair) for pair in pairs], paired=True), look)
        low, high = found.interval(look.level)
        first, second = (sum(float(table.correct.mean()) for table in each) / look.seeds for each in tables)
        return Comparison(
            (first, second),
            100 * found.value,
            number(100 * low),
            number(100 * high),
            look.seeds,
            decided=low > 0 or high < 0,
        )

    def _tables(self, specs: Sequence[ModelSpec], seeds: int, *, tested: bool) -> list[list[pd.DataFrame]]:
        """The predictions of each network, seed by seed; what is not in the store is computed."""
        request = self._request(tested=tested)
        runs = [[self._run(spec, seed) for seed in range(seeds)] for spec in specs]
        jobs = [self._job(run, request) for pair in zip(*runs, strict=True) for run in pair]
        if missing := [job for job in jobs if job.probes]:
            self.compute(missing)
        return [[self._read(request.key(run.run_id)) for run in each] for each in runs]

    def _request(self, *, tested: bool) -> ProbeRequest:
        parameters = self.profile.parameters(PROBE)
        if tested:
            return ProbeRequest(probe=PROBE, parameters=parameters, test_images=self.profile.images.test)
        return ProbeRequest(probe=PROBE, parameters=parameters, test_images=None, held_out=self.held_out)

    def _run(self, spec: ModelSpec, seed: int) -> Run:
        return Run(
            model=spec,
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            train_images=self.trained,
            recipe=self.profile.recipe,
            seed=seed,
            source=source_of(spec),
        )

    def _job(self, run: Run, request: ProbeRequest) -> Job:
        wanted = () if self.store.read(request.key(run.run_id)) else (request,)
        return Job(run, wanted, training=bool(wanted and missing_weights(self.store, run, [None])))

    def _read(self, key: str) -> pd.DataFrame:
        artifact = self.store.read(key)
        assert artifact is not None, key  # `compute` has just seen to it
        return read_parquet(artifact.path / TABLE)


def shares(available: int, classes: int, smallest: int) -> tuple[int, int]:
    """How many images to learn from and how many to hold out, both of each class alike.

    Args:
        available: training images that may be used.
        smallest: images of the rarest class.
    """
    each = min(available // classes, smallest)
    out = max(round(HELD_OUT * each), 1)
    return classes * (each - out), classes * out


def _replicate(one: pd.DataFrame, other: pd.DataFrame) -> Replicate:
    """One seed: how often each network is right, and how far the choice of images may move the difference."""
    tables = [SampleTable(table, PROBES[PROBE]) for table in (one, other)]
    variance = jackknife(_difference, tables, GROUPS)
    right = [float(table.correct.mean()) for table in (one, other)]
    return Replicate(right[0], right[1], variance, tables[0].step, tables[0].samples, "image")


def _difference(one: pd.DataFrame, other: pd.DataFrame) -> float:
    return float(one.correct.iloc[0] - other.correct.iloc[0])
