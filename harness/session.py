"""A reproduction session, without pytest: bring the data, make the plan, run it, hand out what tests judge."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.data import dataset_info, load_dataset
from harness.engine import engine_named
from harness.engine.check import checked_device
from harness.engine.progress import progress
from harness.engine.settings import Outcome, Settings
from harness.engine.stop import Stop, stop_on_signals
from harness.errors import HarnessError
from harness.judging.dossier import Dossier, Ground
from harness.judging.effects import Effects
from harness.judging.folder import claim_folder
from harness.plan.case import Case
from harness.plan.catalogue import Catalogue
from harness.plan.plan import UNSEEN, Plan, describe, make_plan
from harness.plan.profile import Profile
from harness.store import Interrupted, Store
from harness.store.files import try_writing


class NotRun(Exception):
    """A case was not reached; not a fault. The message says why and what continues it."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    root: Path  # of the project
    results: Path
    store: Path
    data_root: Path | None
    device: str
    engine: str
    budget: float | None  # seconds
    jobs: int | None  # runs side by side; None: one a core, or one on the GPU


@dataclass
class Session:
    """State of one `pytest claims/`."""

    profile: Profile
    catalogue: Catalogue
    options: Options
    began: float = field(default_factory=time.monotonic)
    fingerprints: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    train_images: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self.store = Store(self.options.store, notify=lambda line: self.say(line))
        place = self.options.root, self.options.results, self.store, self.catalogue
        self.ground = Ground(*place, self.fingerprints, self.titles)

    def open_data(self, cases: Iterable[Case], *, offline: bool = False) -> None:
        """Learn the fingerprints of the data sets. One that cannot be had spoils only its own cases."""
        for name in dict.fromkeys(case.dataset for case in cases):
            try:
                dataset = load_dataset(
                    name, self.store, data_root=self.options.data_root, offline=offline, say=self.say
                )
            except HarnessError as error:
                self.unavailable[name] = str(error)
                continue
            self.fingerprints[name], self.titles[name] = dataset.fingerprint, dataset.title
            self.train_images[name] = len(dataset.train)

    def plan(self, cases: Iterable[Case]) -> Plan:
        there = [self._on_its_data(case) for case in cases if case.dataset in self.fingerprints]
        return make_plan(there, self.fingerprints, self.store)

    def _on_its_data(self, case: Case) -> Case:
        return case.given(self.train_images[case.dataset]) if case.dataset in self.train_images else case

    def describe_plan(self, cases: list[Case]) -> str:
        """What would be computed and what it would cost; nothing is downloaded."""
        self.open_data(cases, offline=True)
        self.fingerprints |= dict.fromkeys(self.unavailable, UNSEEN)
        lines = [describe(self.plan(cases), self.options.jobs or _cores())]
        for name, reason in self.unavailable.items():
            lines.append(
                f"{name}: counted with its {dataset_info(name).train_images:,} published training images and not "
                f"looked up in the store, since the data are not here: {reason}"
            )
        return "\n".join(lines)

    def claim_folders(self, cases: list[Case]) -> None:
        """Before anything is trained: results and store can be written, and the results are of nothing else.

        Raises:
            HarnessError: one of these is not so. A store that can only be read will do where it has all that is needed.
        """
        if changed := claim_folder(self.options.results, self.profile):
            self.say(changed)
        try:
            try_writing(self.options.store)
        except HarnessError:
            self.open_data(cases)
            if self.unavailable or self.plan(cases).jobs:
                raise

    def compute(self, cases: list[Case]) -> None:
        """Bring the data, then train and measure what is missing, within the budget."""
        self.store.sweep()
        run_jobs = engine_named(self.options.engine)
        with stop_on_signals(Stop(self._deadline())) as stop:
            self.open_data(cases)
            jobs = self.plan(cases).jobs
            if not jobs:
                return
            try:
                device = checked_device(jobs, self.options.device, self.options.results / "logs", stop)
            except Interrupted:
                self.outcome.stopped = True
                return
            workers = self.options.jobs or (1 if device == "cuda" else _cores())
            settings = Settings(
                self.options.store.absolute(),
                _absolute(self.options.data_root),
                device,
                workers,
                self.options.results / "logs",
            )
            with progress(len(jobs)) as watcher:
                self.outcome = run_jobs(jobs, settings, stop, watcher)

    def _deadline(self) -> float | None:
        """Before the budget's end, so that there is time left to judge and report."""
        budget = self.options.budget
        return None if budget is None else self.began + budget - min(20.0, budget / 10)

    def effects(self, dossier: Dossier) -> Effects:
        """What the test of a case works with.

        Raises:
            HarnessError: its data are not to be had, or one of its runs failed.
            NotRun: the session was stopped before its runs were done.
        """
        case = dossier.case
        claim = self.catalogue[case.claim]
        effects = Effects(claim, claim.rule(case.part), case.probes, dossier.measured)
        if not case.roles:
            return effects
        if case.dataset in self.unavailable:
            raise HarnessError(self.unavailable[case.dataset])
        for run, requests in case.runs(self.fingerprints[case.dataset]):
            if run.run_id in self.outcome.failed:
                raise HarnessError(self.outcome.failed[run.run_id])
            if self.outcome.stopped and any(self.store.meta(request.key(run.run_id)) is None for request in requests):
                raise NotRun(f"stopped before {run} was trained and measured; the same command continues")
        return effects

    def dossier(self, case: Case, test: str | None) -> Dossier:
        """What leaves the evidence of a case."""
        return Dossier(self._on_its_data(case), self.ground, test)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None
