"""Data sets, the published corrupted test sets, and the photographs of frost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.data.catalogue import DATASETS
from harness.data.presence import whereabouts
from harness.doctor.finding import Finding
from harness.errors import HarnessError

EMBEDDED = "digits"  # what `quick` needs


def data_sets(data_root: Path | None) -> Iterator[Finding]:
    """A line a data set, from the names of its files alone."""
    if data_root is not None and not data_root.is_dir():
        yield Finding("data root", f"there is no folder {data_root}", "give another one with --data-root or REPRO_DATA")
    for name, info in DATASETS.items():
        try:
            yield Finding(name, whereabouts(name, data_root))
        except HarnessError as error:
            yield Finding(name, "missing", str(error), blocks=name == EMBEDDED)
        if name != EMBEDDED:
            yield corrupted(f"{name}-c", data_root, streamed=info.streamed)


def corrupted(name: str, data_root: Path | None, *, streamed: bool) -> Finding:
    """The published files, which stand in for images made anew only where a profile says `official = true`."""
    folder = (data_root or Path()) / name
    found = sorted(folder.iterdir() if streamed else folder.glob("*.npy")) if data_root and folder.is_dir() else []
    if not found:
        return Finding(name, "no published files; images are corrupted anew")
    labels = "" if streamed or (folder / "labels.npy").is_file() else ", without labels.npy"
    advice = f"put labels.npy into {folder}" if labels else None
    return Finding(name, f"{folder}, {len(found)} {'folders' if streamed else 'files'}{labels}", advice)


def frost() -> Finding:
    """The photographs of an installed package."""
    try:
        from harness.corruptions.frost import PACKAGES, photographs
    except ImportError as error:
        return Finding("frost", f"not looked for: {error}", "install what is missing first")
    if files := photographs():
        return Finding("frost", f"photographs in {files[0].parent}")
    return Finding("frost", f"no photographs (of {' or '.join(PACKAGES)}); a surrogate with their statistics is used")
