"""The upkeep of a store: what it holds, weights that nothing wants, and what another one has.

Measurements outlive weights: what is judged and reported is read off tables, and a run of which everything is measured
is not trained again for weights that are gone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.judging.again import ClaimTest
from harness.judging.evidence import Evidence, read_all_evidence
from harness.judging.measured import MEASUREMENT, bare, tables_of
from harness.plan.case import expand
from harness.plan.catalogue import Catalogue
from harness.plan.profile import Profile
from harness.plan.run import TOLD, Run
from harness.store import Interrupted, Store
from harness.store.store import MANIFEST
from harness.store.tables import TABLE, to_parquet

if TYPE_CHECKING:
    import pandas as pd

KEY = re.compile(r"probes/(?P<run>[0-9a-f]{16})/[a-z_]+-[0-9a-f]{16}")  # of a measurement
COURSE = "curve.parquet"  # of the weights' files the one that is no weights
PARTS = {
    "weights": "of runs, finished and on the way",
    "states": "of runs that are not finished, to go on from",
    "courses": "of trainings whose weights were removed",
    "probes": "measurements",
    "data": "data sets, decoded",
    "damaged": "set aside; nothing reads them",
}


@dataclass(frozen=True)
class Share:
    """Of a store: so many artifacts of one kind, and what they take on the disk."""

    part: str
    count: int
    bytes: int


def contents(store: Store) -> list[Share]:
    """What the store holds, a line each of `PARTS`; nothing is verified."""
    found: dict[str, list[int]] = {part: [] for part in PARTS}
    for key in artifacts(store):
        found[part_of(key)].append(size(store.root / key))
    return [Share(part, len(sizes), sum(sizes)) for part, sizes in found.items()]


def artifacts(store: Store) -> Iterator[str]:
    """The keys of all artifacts, and of what was set aside."""
    for room in ("runs", "probes"):
        for folder in store.keys(room):
            yield from store.keys(folder)
    for room in ("data", "damaged"):
        yield from store.keys(room)


def part_of(key: str) -> str:
    """Which of `PARTS` an artifact belongs to."""
    room, _, name = key.partition("/")
    if room != "runs":
        return room
    entry = name.rpartition("/")[2]
    if entry.endswith(TOLD):
        return "courses"
    return "states" if entry.startswith("step-") else "weights"


def size(folder: Path) -> int:
    """Bytes of the files in a folder; 0 for what another process has removed meanwhile."""
    try:
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    except FileNotFoundError:
        return 0


def wanted_by(
    profile: Profile, tests: Mapping[tuple[str, str | None], ClaimTest], catalogue: Catalogue, store: Store
) -> set[str]:
    """The weights that measurements are still to be made of which this profile's claims want, up to its last look; and
    the folders of their runs.
    """
    fingerprints = dict[str, set[str]]()
    for run in runs_in(store):
        fingerprints.setdefault(run.dataset, set()).add(run.fingerprint)
    keys = set[str]()
    for (claim, part), test in tests.items():
        for case in expand(claim, part, test.roles, test.probes, profile)[0]:
            whole = case.at(profile.allowed_looks[-1]) if case.roles else case
            control = whole.control_for(catalogue[claim].rule(part))
            for fingerprint, which in product(fingerprints.get(case.dataset, ()), (whole, control)):
                for run, requests in which.runs(fingerprint):
                    missing = [request for request in requests if store.read(request.key(run.run_id)) is None]
                    keys |= {run.weights_key(request.epoch) for request in missing}
                    keys |= {run.folder for _ in missing[:1]}
    return keys


def runs_in(store: Store) -> Iterator[Run]:
    """Of which weights are there, or were."""
    for folder in store.keys("runs"):
        meta = next((meta for key in store.keys(folder) if "run" in (meta := store.meta(key) or {})), None)
        if meta:
            yield Run.model_validate(meta["run"])


def strip(store: Store, wanted: Collection[str] | None = None) -> Share:
    """Remove weights that nothing wants; what is known of their trainings stays.

    Args:
        wanted: keys of weights that stay, and folders of runs whose states stay; None: all weights go, and all states
            stay from which a run can go on.

    Returns:
        What is gone. Runs that another process works on are left alone.
    """
    count = freed = 0
    for folder in store.keys("runs"):
        parts = {key: part_of(key) for key in store.keys(folder)}
        doomed = [key for key, part in parts.items() if part == "weights" and key not in (wanted or ())]
        if wanted is not None and folder not in wanted:
            doomed += [key for key, part in parts.items() if part == "states"]
        if not doomed:
            continue
        try:
            with store.lock(folder, should_stop=lambda: True):
                for key in doomed:
                    before = size(store.root / key)
                    if (artifact := store.read(key)) is None:  # damaged, and set aside
                        continue
                    if parts[key] == "weights":
                        store.write(key + TOLD, {COURSE: (artifact.path / COURSE).read_bytes()}, artifact.meta)
                    store.delete(key)
                    count, freed = count + 1, freed + before
        except Interrupted:
            continue
    return Share("weights", count, freed)


def take_in(store: Store, other: Store) -> list[Share]:
    """Copy what another store has and this one lacks: of each artifact all or nothing, its checksums verified.

    States of unfinished runs are left: two of one run would be of two machines.

    Returns:
        What came, by part.

    Raises:
        HarnessError: there is no store, or it cannot be written here.
    """
    if not any((other.root / room).is_dir() for room in ("runs", "probes", "data")):
        raise HarnessError(
            f"no store in {other.root}: expected a folder with runs, probes or data, or a results folder with evidence"
        )
    found: dict[str, list[int]] = {}
    for key in artifacts(other):
        part = part_of(key)
        if part in ("damaged", "states") or (store.root / key).is_dir():
            continue
        if artifact := other.read(key):
            files = {file.name: file.read_bytes() for file in artifact.path.iterdir() if file.name != MANIFEST}
            store.write(key, files, artifact.meta)
            found.setdefault(part, []).append(sum(map(len, files.values())))
    return [Share(part, len(sizes), sum(sizes)) for part, sizes in found.items()]


def take_measurements(store: Store, results: Path) -> list[Share]:
    """Put the measurements of a results folder into a store that lacks them: who goes on with the folder's profile
    trains only what further seeds and claims need.

    A measurement has the key that its table says, of run, data, probe and parameters: what another version of the suite
    has measured otherwise is not found under the keys of today.

    Returns:
        What came.

    Raises:
        HarnessError: a table is damaged, or none says of which measurement its rows are.
    """
    told, sizes = False, list[int]()
    for evidence, key, table in _measurements(results):
        told = True
        if not (of := KEY.fullmatch(key)):
            raise HarnessError(f"{results}: {key!r} is no key of a measurement; expected {KEY.pattern}")
        if not (store.root / key).is_dir():
            content = to_parquet(bare(table))
            store.write(key, {TABLE: content}, _origin(evidence, table, of["run"]))
            sizes.append(len(content))
    if not told:
        raise HarnessError(
            f"no table in {results} says of which measurement it is: they are of an earlier version, or nothing was "
            "judged; judge again from the store that they were made from"
        )
    return [Share("probes", len(sizes), sum(sizes))] if sizes else []


def _measurements(results: Path) -> Iterator[tuple[Evidence, str, pd.DataFrame]]:
    """Each measurement in a results folder: evidence that rests on it, its key, its rows."""
    for evidence in read_all_evidence(results).values():
        for table in tables_of(results, evidence):
            if MEASUREMENT in table:  # those of an earlier version have none
                for key, rows in table.groupby(MEASUREMENT, sort=False):
                    yield evidence, str(key), rows


def _origin(evidence: Evidence, table: pd.DataFrame, run_id: str) -> dict[str, Any]:
    """What is noted beside a measurement that was made elsewhere."""
    first, provenance = table.iloc[0], evidence.provenance
    training = provenance.trainings.get(run_id)
    return {
        "run": f"{first['model']} on {evidence.case.dataset}, seed {first['seed']}",
        "device": provenance.device,
        "versions": provenance.versions,
        "commit": provenance.commit,
    } | ({"training": training.model_dump()} if training else {})
