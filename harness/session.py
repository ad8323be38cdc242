"""A reproduction session, without pytest: bring the data, compute look after look where seeds are still needed, and
hand out what tests judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from harness.data import dataset_info, load_dataset
from harness.engine import engine_named
from harness.engine.check import checked_device
from harness.engine.progress import progress
from harness.engine.settings import Outcome, Settings, workers_on
from harness.engine.stop import Stop, stop_on_signals
from harness.errors import HarnessError
from harness.judging.dossier import Dossier, Ground
from harness.judging.evidence import PremiseRecord
from harness.judging.folder import claim_folder
from harness.judging.looks import Look, sequence
from harness.judging.measured import FromStore
from harness.judging.trial import Test, Trial, controlled
from harness.judging.verdict import seeds_to_decide
from harness.judging.weigh import too_small
from harness.plan.case import Case
from harness.plan.catalogue import Catalogue, Rule
from harness.plan.describe import costs, describe, duration
from harness.plan.estimate import Speeds, finish_times, reached
from harness.plan.job import Job
from harness.plan.plan import UNSEEN, Plan, make_plan
from harness.plan.profile import Profile
from harness.store import Interrupted, Store
from harness.store.files import try_writing
from harness.store.provenance import cores

Asked = tuple[Case, Test]


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
    jobs: int | None  # runs side by side, on each GPU where there are some; None: one a core, or one a GPU
    ray_address: str | None = None


@dataclass
class Session:
    """State of one `pytest claims/`."""

    profile: Profile
    catalogue: Catalogue
    options: Options
    remark: str | None = None  # about this machine, for the head of the output
    began: float = field(default_factory=time.monotonic)
    fingerprints: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    train_images: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)
    say: Callable[[str], None] = print
    speeds: Speeds | None = None  # for estimates; None: those that the store knows of at the time
    _trials: dict[tuple[str, str], Trial] = field(default_factory=dict)
    _done: set[tuple[str, str, Look]] = field(default_factory=set)  # looks whose tables are complete

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

    def trial(self, case: Case, test: Test) -> Trial:
        """The case with its test, once; what was measured for one look serves the next."""
        key = case.claim, case.name
        if key not in self._trials:
            claim = self.catalogue[case.claim]
            self._trials[key] = Trial(
                claim,
                self._rule(case),
                case.probes,
                test,
                lambda seeds, untrained: self._tables(case, seeds, untrained=untrained),
                case.looks if case.roles else (1,),
                has_control=bool(case.roles),
            )
        return self._trials[key]

    def _tables(self, case: Case, seeds: int, *, untrained: bool) -> FromStore:
        case = self._on_its_data(case).at(seeds)
        fingerprint = self.fingerprints.get(case.dataset, "")
        return FromStore(case.control_for(self._rule(case)) if untrained else case, fingerprint, self.store)

    def _rule(self, case: Case) -> Rule:
        return self.catalogue[case.claim].rule(case.part)

    def looks(self, case: Case) -> list[Look]:
        """Those that may be taken."""
        return [look for look in sequence(case.looks) if look.seeds <= case.profile.allowed_looks[-1]]

    def plan(self, cases: Iterable[tuple[Case, Look]]) -> Plan:
        """What the looks at these cases need, their controls included."""
        wanted = []
        for case, look in cases:
            if case.dataset in self.fingerprints:
                rule, there = self._rule(case), self._on_its_data(case)
                wanted += [there.at(look.seeds), there.control_for(rule).at(controlled(rule, look))]
        return make_plan(wanted, self.fingerprints, self.store, self.speeds)

    def _complete(self, case: Case, look: Look) -> bool:
        key = case.claim, case.name, look
        if key not in self._done:
            trained = self._tables(case, look.seeds, untrained=False)
            control = self._tables(case, controlled(self._rule(case), look), untrained=True)
            if not (trained.complete() and control.complete()):
                return False
            self._done.add(key)
        return True

    def there(self, case: Case) -> list[Look]:
        """The looks whose tables are complete, from the first one on."""
        if not case.roles:
            return sequence((1,))
        return list(takewhile(lambda look: self._complete(case, look), self.looks(case)))

    def _on_its_data(self, case: Case) -> Case:
        return case.given(self.train_images[case.dataset]) if case.dataset in self.train_images else case

    def describe_plan(self, asked: Sequence[Asked]) -> str:
        """What the next look at each case would compute and what it would cost; nothing is downloaded."""
        self.open_data((case for case, _ in asked), offline=True)
        self.fingerprints |= dict.fromkeys(self.unavailable, UNSEEN)
        ahead = [(case, look) for case, test in asked if (look := self._ahead(case, test))]
        plan, workers = self.plan(ahead), self.options.jobs or cores()
        lines = [*self._costs(ahead), describe(plan, workers)]
        if self.options.budget is not None:
            lines.append(self._reached(ahead, plan, workers, self.options.budget))
        if len(ahead) < len(asked):
            lines.append(f"{len(asked) - len(ahead)} of {len(asked)} cases need nothing more")
        later = [(case, look) for case, look in ahead if look.number]
        if later:
            lines.append(f"of these: {self._said(later)}")
        for name, reason in self.unavailable.items():
            lines.append(
                f"{name}: counted with its {dataset_info(name).train_images:,} published training images and not "
                f"looked up in the store, since the data are not here: {reason}"
            )
        return "\n".join(lines)

    def _costs(self, ahead: list[tuple[Case, Look]]) -> list[str]:
        """What each claim would take alone, and each headline; what several need counts for each of them."""
        by_claim, by_group = dict[str, list[tuple[Case, Look]]](), dict[str, list[tuple[Case, Look]]]()
        for case, look in ahead:
            by_claim.setdefault(case.claim, []).append((case, look))
            by_group.setdefault(self.catalogue[case.claim].group, []).append((case, look))
        seconds = {claim: self.plan(pairs).seconds for claim, pairs in by_claim.items()}
        whole = {group: self.plan(pairs).seconds for group, pairs in by_group.items()}
        return costs(seconds, whole, {claim: self.catalogue[claim].group for claim in by_claim})

    def _reached(self, ahead: list[tuple[Case, Look]], plan: Plan, workers: int, budget: float) -> str:
        """Which cases would have their look within the budget."""
        jobs = [item for item in plan.items if item.job]
        times = finish_times([item.seconds for item in jobs], workers)
        ends = {item.run.run_id: end for item, end in zip(jobs, times, strict=True)}
        needs = {
            (case.claim, case.name): {item.run.run_id for item in self.plan([(case, look)]).items if item.job}
            for case, look in ahead
        }
        found = reached(needs, ends, _usable(budget))
        names = ", ".join(dict.fromkeys(claim for claim, _ in found)) or "none"
        return f"--budget {duration(budget)} would reach {len(found)} of {len(ahead)} cases: {names}"

    def claim_folders(self, asked: Sequence[Asked]) -> None:
        """Before anything is trained: results and store can be written, and the results are of nothing else.

        Raises:
            HarnessError: one of these is not so. A store that can only be read will do where it has all that is needed.
        """
        untrained = any(case.untrained for case, _ in asked)
        if changed := claim_folder(self.options.results, self.profile, untrained=untrained):
            self.say(changed)
        try:
            try_writing(self.options.store)
        except HarnessError:
            self.open_data(case for case, _ in asked)
            ahead = [(case, look) for case, test in asked if (look := self._ahead(case, test))]
            if self.unavailable or self.plan(ahead).jobs:
                raise

    def compute(self, asked: Sequence[Asked]) -> None:
        """Bring the data, then train and measure look after look: more seeds only where a case is undecided, until all
        are decided, the last look is done, or the budget ends.
        """
        self.store.sweep()
        with stop_on_signals(Stop(self._deadline())) as stop:
            self.open_data(case for case, _ in asked)
            for number in range(max((len(self.looks(case)) for case, _ in asked), default=0)):
                ahead = [
                    (case, look) for case, test in asked if (look := self._ahead(case, test)) and look.number <= number
                ]
                if number and ahead:
                    self.say(self._said(ahead))
                plan = self.plan(self._cheapest_first(ahead, asked))
                # With a budget whole cases first, and the cheapest to decide; else all of them, in the shortest time.
                self._run(plan.longest_first if self.options.budget is None else plan.jobs, stop)
                if self.outcome.stopped:
                    return

    def _run(self, jobs: list[Job], stop: Stop) -> None:
        if not jobs:
            return
        on_ray = self.options.engine == "ray"
        wish = "cpu" if on_ray else self.options.device  # the cluster's GPUs need not be this machine's
        try:
            device, gpus = checked_device(jobs, wish, self.options.results / "logs", stop)
        except Interrupted:
            self.outcome.stopped = True
            return
        workers = workers_on(device, gpus, cores(), self.options.jobs)
        settings = Settings(
            self.options.store.absolute(),
            _absolute(self.options.data_root),
            self.options.device if on_ray else device,
            workers,
            self.options.results / "logs",
            self.options.jobs or 1,
            self.options.ray_address,
        )
        run_jobs = engine_named(self.options.engine)
        with progress(len(jobs)) as watcher:
            outcome = run_jobs(jobs, settings, stop, watcher)
        self.outcome = Outcome(self.outcome.failed | outcome.failed, outcome.stopped)

    def _ahead(self, case: Case, test: Test) -> Look | None:
        """The next look that a case needs; None where it is decided, all looks are done, or one of its runs failed."""
        if not case.roles or case.dataset not in self.fingerprints or self.out_of_scope(case):
            return None
        looks, there = self.looks(case), self.there(case)
        if self._failure(case, looks[min(len(there), len(looks) - 1)]):
            return None
        if there:
            try:
                settled = self.trial(case, test).settled(there)
                if self.trial(case, test).judged(settled).decided:
                    return None
            except Exception:  # whatever its test raises is reported when that is its turn
                return None
        return looks[len(there)] if len(there) < len(looks) else None

    def _cheapest_first(self, ahead: list[tuple[Case, Look]], asked: Sequence[Asked]) -> list[tuple[Case, Look]]:
        """By what it may cost to decide a case: a seed's price times the seeds that it lacks if it goes on as it does.

        Cases at their first look keep the order in which they were asked for.
        """
        tests = {(case.claim, case.name): test for case, test in asked}

        def cost(pair: tuple[Case, Look]) -> float:
            case, look = pair
            if not look.number:
                return 0.0
            earlier = self.looks(case)[look.number - 1]
            judged = self.trial(case, tests[case.claim, case.name]).judged(earlier)
            seconds = sum(item.seconds for item in self.plan([pair]).items if item.job)
            return seconds * seeds_to_decide(judged.effects, look)

        return sorted(ahead, key=cost)

    def _said(self, ahead: list[tuple[Case, Look]]) -> str:
        most = max(look.seeds for _, look in ahead)
        claims = ", ".join(dict.fromkeys(case.claim for case, _ in ahead))
        who = "1 undecided case gets" if len(ahead) == 1 else f"{len(ahead)} undecided cases get"
        return f"{who} up to {most} seeds: {claims}"

    def out_of_scope(self, case: Case) -> PremiseRecord | None:
        """The premise that fails before anything is trained."""
        return too_small(self._rule(case), case.dataset) if case.roles else None

    def _deadline(self) -> float | None:
        budget = self.options.budget
        return None if budget is None else self.began + _usable(budget)

    def look(self, case: Case, test: Test) -> Look:
        """The look at which the case is to be judged: the first that decides, or the last that is there.

        Raises:
            HarnessError: its data are not to be had, or one of its runs failed.
            NotRun: the session was stopped before the runs of its first look were done.
        """
        if not case.roles:
            return Look(1, (1,))
        if case.dataset in self.unavailable:
            raise HarnessError(self.unavailable[case.dataset])
        looks, there = self.looks(case), self.there(case)
        if failure := self._failure(case, looks[min(len(there), len(looks) - 1)]):
            raise HarnessError(failure)
        if not there:
            what = f"{case.claim} {case.name}"
            raise NotRun(f"stopped before the runs of {what} were trained and measured; the same command continues")
        return self.trial(case, test).settled(there)

    def _failure(self, case: Case, look: Look) -> str | None:
        """Why a run failed that this look needs; None where none has."""
        there = self._on_its_data(case)
        for which in (there.at(look.seeds), there.control.at(look.seeds)):
            for run, _ in which.runs(self.fingerprints[case.dataset]):
                if run.run_id in self.outcome.failed:
                    return self.outcome.failed[run.run_id]
        return None

    def dossier(self, case: Case, test: str | None) -> Dossier:
        """What leaves the evidence of a case."""
        return Dossier(self._on_its_data(case), self.ground, test)


def _usable(budget: float) -> float:
    """Of the seconds of a budget, so that there is time left to judge and report."""
    return budget - min(20.0, budget / 10)


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None
