"""The plan: what the selected cases need, each run and probe once, less what the store already has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from harness.plan.case import Case
from harness.plan.job import Job
from harness.plan.profile import Profile
from harness.plan.run import FINISHED, TOLD, Run, missing_weights
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
        seconds: that it may take; None where there is nothing to go by.
    """

    run: Run
    roles: tuple[str, ...]
    requests: tuple[ProbeRequest, ...]
    trained: bool
    missing: tuple[ProbeRequest, ...]
    wanted: tuple[int | None, ...]
    images: int
    seconds: float | None

    @property
    def epochs(self) -> int:
        """Of training, warm-up included, until all that is wanted is there; 0 where nothing is."""
        recipe = self.run.recipe
        ends = [recipe.epochs if each is None else each for each in self.wanted]
        return recipe.warmup_epochs + max(ends) if ends else 0

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


def make_plan(cases: Iterable[Case], fingerprints: dict[str, str], store: Store) -> Plan:
    """The union of what the cases need, in the order of the cases.

    Args:
        fingerprints: data set -> fingerprint of its content, or UNSEEN; a run's identity depends on it.
    """
    everything: dict[str, tuple[Run, dict[str, ProbeRequest], set[str], Case]] = {}
    for case in cases:
        for seed, role in product(case.seeds, case.roles):  # whole replicates first, should it be stopped
            run = case.run(role, seed, fingerprints[case.dataset])
            _, requests, roles, _ = everything.setdefault(run.run_id, (run, {}, set(), case))
            requests.update({request.key(run.run_id): request for request in case.requests(role, seed)})
            roles.add(role)

    speeds = measured_speeds(store)
    items = []
    for run, requests, roles, case in everything.values():
        profile = case.profile
        parts = tuple(sorted(roles, key=[*profile.roles, *profile.variants].index))
        missing = tuple(request for key, request in requests.items() if store.read(key) is None)
        # Measurements outlive weights: those of a run of which all is measured may be gone.
        measured = {request.epoch for request in missing}
        trained = not missing_weights(store, run, measured)
        wanted = tuple(measured) if trained else wanted_epochs(run, missing, profile)
        speed = speeds.get((str(run.model), run.dataset)) or profile.throughput.get(run.model.name)
        item = Item(run, parts, tuple(requests.values()), trained, missing, wanted, 0, None)
        images = (run.train_images or profile.train_size(run.dataset, case.available)) * item.epochs
        items.append(replace(item, images=images, seconds=images / speed if speed else None))
    return Plan(tuple(items))


def wanted_epochs(run: Run, requests: Iterable[ProbeRequest], profile: Profile) -> tuple[int | None, ...]:
    """Whose weights are wanted: those that are measured, and on the way there those that the profile keeps."""
    measured = {request.epoch for request in requests}
    last = run.recipe.epochs if None in measured else max(epoch for epoch in measured if epoch is not None)
    kept = {epoch for epoch in profile.keep if epoch <= last and run.recipe.epochs}
    return tuple(sorted(measured | kept, key=lambda epoch: run.recipe.epochs if epoch is None else epoch))


def measured_speeds(store: Store) -> dict[tuple[str, str], float]:
    """(model, data set) -> images a second of a training that this store holds."""
    speeds = {}
    for folder in store.keys("runs"):
        meta = store.meta(f"{folder}/{FINISHED}") or store.meta(f"{folder}/{FINISHED}{TOLD}")
        if meta and meta["images_per_second"]:
            earlier = Run.model_validate(meta["run"])
            speeds[str(earlier.model), earlier.dataset] = meta["images_per_second"]
    return speeds


def describe(plan: Plan, workers: int) -> str:
    """The plan as text: a line a run, then the sums."""
    players = [f"{item.part}: {item.run.model}" for item in plan.items]
    width = max(map(len, ["role: model", *players]))
    head = f"{'role: model':<{width}}  {'data set':<10}{'seed':>5}  {'training':<12}{'about':>9}"
    lines = [f"{'run':<18}{head}  probes missing"]
    for item, player in zip(plan.items, players, strict=True):
        run = item.run
        training = "cached" if item.trained else f"{item.epochs} epochs" if item.epochs else "none"
        counts = Counter(request.probe for request in item.missing)
        probes = ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in counts.items()) or "none"
        about = duration(item.seconds) if item.epochs and not item.trained else ""
        name = "?" if run.fingerprint == UNSEEN else run.run_id
        row = f"{player:<{width}}  {run.dataset:<10}{run.seed:>5}  {training:<12}{about:>9}"
        lines.append(f"{name:<18}{row}  {probes}")
    to_train = [item for item in plan.items if not item.trained and item.epochs]
    measurements = sum(len(item.missing) for item in plan.items)
    sums = f"{len(plan.items)} runs, {len(to_train)} to train; {measurements} measurements to make; "
    return "\n".join([*lines, sums + _time(to_train, max(workers, 1))])


def _time(to_train: list[Item], workers: int) -> str:
    """What the trainings take together; for those of which nothing is known, what they have to go through."""
    known = [item.seconds for item in to_train if item.seconds is not None]
    unknown = [item.images for item in to_train if item.seconds is None]
    text = f"about {duration(sum(known) / workers)} with {workers} worker{'s' if workers > 1 else ''}"
    if not unknown:
        return text
    rest = f"{len(unknown)} runs of models that were never trained here, {sum(unknown) / 1e6:,.1f} million images"
    return f"{text}, not counting {rest}" if known else f"time unknown: {rest}"


def duration(seconds: float | None) -> str:
    """`12 s`, `3.4 min`, `5.1 h`, or `unknown`."""
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
