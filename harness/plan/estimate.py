"""What a plan takes, by what was measured on this store's machine, or else by the profile's figures."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from harness.plan.profile import Profile
from harness.plan.run import FINISHED, TOLD, ModelSpec, Run
from harness.plan.wanted import ProbeRequest
from harness.probes.kinds import PROBES
from harness.store import Store

Who = TypeVar("Who", bound=Hashable)
Key = TypeVar("Key")
NEWEST = 300  # runs: a store of years would be read for minutes
Network = tuple[str, str]  # a model with its options, and a data set


@dataclass(frozen=True)
class Speeds:
    """What a store knows of time.

    Attributes:
        training: network -> images a second.
        probes: network, probe -> seconds that it takes for what a training step does with an image.
    """

    training: dict[Network, float] = field(default_factory=dict)
    probes: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def of_training(self, run: Run, profile: Profile, images: int) -> float | None:
        """Seconds that a training on so many images takes; None where there is nothing to go by."""
        if not images:
            return 0.0
        speed = self.training.get((str(run.model), run.dataset)) or figure(run.model, profile)
        return images / speed if speed else None

    def of_probes(self, run: Run, requests: Iterable[ProbeRequest], profile: Profile) -> float | None:
        """Seconds that measurements take; None where there is nothing to go by for one of them."""
        network, usual = (str(run.model), run.dataset), self.of_training(run, profile, 1)
        seconds = 0.0
        for request in requests:
            pace = self.probes.get((*network, request.probe), usual)
            if pace is None:
                return None
            seconds += work(request, run) * pace
        return seconds


def figure(model: ModelSpec, profile: Profile) -> float | None:
    """Images a second by the profile: of this very network, or of the plain one."""
    return profile.throughput.get(str(model), profile.throughput.get(model.name))


def work(request: ProbeRequest, run: Run) -> float:
    """What a measurement does, in images of a training step."""
    return request.images(run.dataset, run.train_images) * PROBES[request.probe].work(request.parameters)


def measured_speeds(store: Store) -> Speeds:
    """Of the last trainings and measurements that a store holds, of each network and probe the median."""
    rates, seconds = dict[Network, list[float]](), dict[tuple[str, str, str], list[float]]()
    for folder in store.newest("runs", NEWEST):
        meta = store.meta(f"{folder}/{FINISHED}") or store.meta(f"{folder}/{FINISHED}{TOLD}")
        if not meta:
            continue
        run = Run.model_validate(meta["run"])
        if meta["images_per_second"]:
            rates.setdefault((str(run.model), run.dataset), []).append(meta["images_per_second"])
        for key in store.keys(f"probes/{run.run_id}"):
            if (told := store.meta(key)) and "seconds" in told:
                request = ProbeRequest.model_validate_plain(told["request"])
                place = str(run.model), run.dataset, request.probe
                seconds.setdefault(place, []).append(told["seconds"] / work(request, run))
    return Speeds(medians(rates), medians(seconds))


def medians(found: Mapping[Key, Collection[float]]) -> dict[Key, float]:
    return {key: median(values) for key, values in found.items()}


def finish_times(seconds: Iterable[float], workers: int) -> list[float]:
    """When each job is done that is handed in this order to whichever worker is free first."""
    free, ends = [0.0] * workers, []
    for each in seconds:
        ends.append(heapq.heappop(free) + each)
        heapq.heappush(free, ends[-1])
    return ends


def reached(needs: Mapping[Who, Collection[str]], ends: Mapping[str, float], budget: float) -> list[Who]:
    """Whose needs are all met by then: what is not among `ends` is there already."""
    return [who for who, runs in needs.items() if all(ends.get(run, 0.0) <= budget for run in runs)]
