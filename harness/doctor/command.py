"""`python -m harness doctor`: every section, and whether the profile `quick` can be run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.doctor.software import INSTALL, software

DEFAULT = "quick"


def examine(store: Path, results: Path, data_root: Path | None) -> bool:
    """Print what is there and what lacks; whether nothing lacks that the profile `quick` needs."""
    blocked = False
    for title, findings in sections(store, results, data_root):
        say(title)
        for finding in findings:
            say(f"  {finding}")
            blocked |= finding.blocks
    say(f"{DEFAULT} {'cannot be run: see ✗' if blocked else 'can be run: make reproduce'}")
    return not blocked


def sections(store: Path, results: Path, data_root: Path | None) -> Iterator[tuple[str, list[Finding]]]:
    """Title and lines. What a section needs and cannot import is a line of it: the packages say which is missing."""

    def machine() -> Iterable[Finding]:
        from harness.doctor.machine import gpus, processors

        yield processors()
        yield from gpus()

    def data() -> Iterable[Finding]:
        from harness.doctor.data import data_sets, frost

        yield from data_sets(data_root)
        yield frost()

    yield "software", list(software())
    yield "machine", list(as_far_as_possible("machine", machine))
    yield "data", list(as_far_as_possible("data", data))
    yield "disk and profiles", list(as_far_as_possible("profiles", lambda: rooms(store, results, data_root)))


def rooms(store: Path, results: Path, data_root: Path | None) -> Iterator[Finding]:
    """Disk first, since what `quick` needs there comes out of its plan."""
    from harness.doctor.machine import nearest_folder, room, usable_gpus
    from harness.doctor.profiles import described, lacking, needs

    found = list(needs(store))
    quick = next(it for profile, it in found if profile.name == DEFAULT)
    yield room("store", store, quick.decoded + (quick.weights or 0))
    yield room("results", results, 0)
    free, gpus = shutil.disk_usage(nearest_folder(store)).free, usable_gpus()
    for profile, it in found:
        yield described(profile, it, list(lacking(profile, it, data_root, gpus, free)))


def as_far_as_possible(what: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except ImportError as error:
        yield Finding(what, f"not looked at: {error}", INSTALL, blocks=True)


def say(line: str) -> None:
    """Also where the terminal knows only ASCII."""
    encoding = sys.stdout.encoding or "ascii"
    if "✓".encode(encoding, "ignore") == b"":
        line = line.replace("✓", "ok").replace("✗", "X").replace("×", "x")
    print(line.encode(encoding, "replace").decode(encoding))
