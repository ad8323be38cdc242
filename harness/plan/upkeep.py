"""The upkeep of a store: what it holds, weights that nothing wants, and what another one has.

Measurements outlive weights: what is judged and reported is read off tables, and a run of which everything is measured
is not trained again for weights that are gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.plan.run import TOLD
from harness.store import Interrupted, Store
from harness.store.store import MANIFEST

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


def strip(store: Store, wanted: Collection[str] = ()) -> Share:
    """Remove weights; what is known of their trainings stays, and what runs need to go on.

    Args:
        wanted: keys of weights that stay.

    Returns:
        What is gone. Runs that another process works on are left alone.
    """
    count = freed = 0
    for folder in store.keys("runs"):
        doomed = [key for key in store.keys(folder) if part_of(key) == "weights" and key not in wanted]
        if not doomed:
            continue
        try:
            with store.lock(folder, should_stop=lambda: True):
                for key in doomed:
                    before = size(store.root / key)
                    if (artifact := store.read(key)) is None:  # damaged, and set aside
                        continue
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
        raise HarnessError(f"no store in {other.root}: expected a folder with runs, probes or data")
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
