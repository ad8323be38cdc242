"""Writing files so that a reader sees the old one or the new one, never half of it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from harness.errors import HarnessError


def flush_to_disk(path: Path) -> None:
    """Push a file, or the names in a folder, through the operating system's cache onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step; folders are made as needed.

    Raises:
        HarnessError: the disk is full, read-only or not permitted; an older file at `path` stays whole.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        flush_to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise cannot_write(path, error) from error


def try_writing(folder: Path) -> None:
    """Make a folder and write a file into it, for a try.

    Raises:
        HarnessError: the disk is full, read-only or not permitted.
    """
    trial = folder / f".try-{uuid.uuid4().hex}"
    write_atomically(trial, b"")
    trial.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> HarnessError:
    """The one line for a write that the operating system refused."""
    return HarnessError(
        f"cannot write {path}: {error.strerror or error}; free some space or choose another folder "
        "with --store or --results, then run the same command again: nothing that was finished is lost"
    )
