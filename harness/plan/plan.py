"""The plan: what the selected cases need, each run and probe once, less what the store already has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from harness.plan.case import Case
from harness.plan.estimate import Speeds, measured_speeds
from harness.plan.job import Job
from harness.plan.profile import Profile
from harness.plan.run import Run, missing_weights
from harness.plan.wanted import ProbeRequest
from harness.store import Store

UNSEEN = "not seen"  # the fingerprint of data that are not here: such runs are counted, and in no store


@dataclass(frozen=True)
class Item:
    """A run of the plan: what of it is there, and what its training costs.

    Attributes:
        roles: that it plays; runs that differ in their recipe alone differ for a reader in nothing else.
        trained: whether the weights are there that `missing` is to be measured of.
        wanted: epochs behind the warm-up whose weights are needed, or kept on the way there.
        images: that training goes through, each as often as there are epochs.
        training: seconds that it may take; None where there is nothing to go by.
        measuring: seconds of what is missing; None likewise.
    """

    run: Run
    roles: tuple[str, ...]
    requests: tuple[ProbeRequest, ...]
    trained: bool
    missing: tuple[ProbeRequest, ...]
    wanted: tuple[int | None, ...]
    images: int
    training: float | None
    measuring: float | None

    @property
    def epochs(self) -> int:
        return epochs_until(self.run, self.wanted)

    @property
    def seconds(self) -> float:
        """Of all that is to be done, as far as it can be told."""
        return (self.training or 0.0) + (self.measuring or 0.0)

    @property
    def job(self) -> Job | None:
        if not self.missing:
            return None
        return Job(self.run, self.missing, not self.trained, self.wanted, label=f"{self.part}: {self.run}")

    @property
    def part(self) -> str:
        """`vit_weak`, or `vit +2` where it plays two others besides; `untrained vit` where weights stay random."""
        first, *others = self.roles
        if not (self.run.recipe.total_epochs or self.run.model.is_trained_already):
            first = f"untrained {first}"
        return f"{first} +{len(others)}" if others else first


@dataclass(frozen=True)
class Plan:
    items: tuple[Item, ...]

    @property
    def jobs(self) -> list[Job]:
        return [item.job for item in self.items if item.job]

    @property
    def longest_first(self) -> list[Job]:
        """The jobs so that workers end about together: those of which nothing is known, then by what they take."""
        order = sorted(self.items, key=lambda item: (None not in (item.training, item.measuring), -item.seconds))
        return [item.job for item in order if item.job]

    @property
    def seconds(self) -> float:
        """Of one worker that does all of it, as far as it can be told."""
        return sum(item.seconds for item in self.items)


def make_plan(cases: Iterable[Case], fingerprints: dict[str, str], store: Store, speeds: Speeds | None = None) -> Plan:
    """The union of what the cases need, in the order of the cases.

    Args:
        fingerprints: data set -> fingerprint of its content, or UNSEEN; a run's identity depends on it.
        speeds: for the estimate; None: those that the store knows of, which takes reading it.
    """
    everything: dict[str, tuple[Run, dict[str, ProbeRequest], set[str], Case]] = {}
    for case in cases:
        for seed, role in product(case.seeds, case.roles):  # whole replicates first, should it be stopped
            run = case.run(role, seed, fingerprints[case.dataset])
            _, requests, roles, _ = everything.setdefault(run.run_id, (run, {}, set(), case))
            requests.update({request.key(run.run_id): request for request in case.requests(role, seed)})
            roles.add(role)

    speeds = speeds or measured_speeds(store)
    items = []
    for run, requests, roles, case in everything.values():
        profile = case.profile
        parts = tuple(sorted(roles, key=[*profile.roles, *profile.variants].index))
        missing = tuple(request for key, request in requests.items() if store.read(key) is None)
        # Measurements outlive weights: those of a run of which all is measured may be gone.
        measured = {request.epoch for request in missing}
        trained = not missing_weights(store, run, measured)
        wanted = tuple(measured) if trained else wanted_epochs(run, missing, profile)
        each = run.train_images or profile.train_size(run.dataset, case.available)
        images = 0 if trained else each * epochs_until(run, wanted)
        training = speeds.of_training(run, profile, images)
        measuring = speeds.of_probes(run, missing, profile)
        items.append(Item(run, parts, tuple(requests.values()), trained, missing, wanted, images, training, measuring))
    return Plan(tuple(items))


def epochs_until(run: Run, wanted: Iterable[int | None]) -> int:
    """Of training, warm-up included, until all that is wanted is there; 0 where nothing is."""
    ends = [run.recipe.epochs if each is None else each for each in wanted]
    return run.recipe.warmup_epochs + max(ends) if ends else 0


def wanted_epochs(run: Run, requests: Iterable[ProbeRequest], profile: Profile) -> tuple[int | None, ...]:
    """Whose weights are wanted: those that are measured, and on the way there those that the profile keeps."""
    measured = {request.epoch for request in requests}
    last = run.recipe.epochs if None in measured else max(epoch for epoch in measured if epoch is not None)
    kept = {epoch for epoch in profile.keep if epoch <= last and run.recipe.epochs}
    return tuple(sorted(measured | kept, key=lambda epoch: run.recipe.epochs if epoch is None else epoch))
