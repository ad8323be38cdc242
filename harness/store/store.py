"""The store: artifacts under content-derived keys, checksummed, written atomically, locked across processes.

An artifact is a folder of files with a manifest that names the SHA-256 of each. It is written aside and renamed into
place, so that a process killed at any instant leaves either the whole artifact or none. A reader checks every sum; a
damaged artifact is set aside, named, and reads as missing, so that whoever needs it computes it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import HarnessError
from harness.store.files import cannot_write, flush_to_disk
from harness.store.identity import canonical_json, digest
from harness.store.lease import Lease, this_host

LOOK_SECONDS = 0.5  # how often it is asked whether a lock is free
MANIFEST = "manifest.json"


class Interrupted(Exception):
    """Somebody asked to stop while we waited for a lock."""


@dataclass(frozen=True)
class Artifact:
    """A checked artifact: its folder, and what its writer noted."""

    path: Path
    meta: Mapping[str, Any]


class Store:
    """A folder of artifacts.

    Args:
        root: the folder; made when the first artifact is written.
        notify: takes the one line about an artifact that was found damaged.
        host: by what name this machine is known to the others that share the folder.
    """

    def __init__(self, root: Path, notify: Callable[[str], None] = print, *, host: str | None = None):
        self.root = root
        self.notify = notify
        self.host = host or this_host()

    def read(self, key: str) -> Artifact | None:
        """The artifact, its checksums verified; None when it is missing or was damaged (then it is set aside)."""
        folder = self.root / key
        if not folder.is_dir():
            return None
        try:
            return Artifact(folder, _verify(folder))
        except FileNotFoundError:
            if not folder.is_dir():  # deleted by another process while we looked
                return None
            damage = "a file is missing"
        except ValueError as error:
            damage = str(error)
        self._set_aside(key, damage)
        return None

    def meta(self, key: str) -> dict[str, Any] | None:
        """What the writer noted, without a look at the files: for estimates, never for results."""
        try:
            return _read_manifest(self.root / key)["meta"]
        except (FileNotFoundError, ValueError):
            return None

    def write(self, key: str, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> Artifact:
        """Commit an artifact. When another process was faster, theirs stays and is returned.

        Raises:
            HarnessError: the disk is full, read-only or not permitted; nothing half-written is left in place.
        """
        target = self.root / key
        temporary = self.root / "tmp" / uuid.uuid4().hex
        try:
            temporary.mkdir(parents=True)
            for name, content in files.items():
                (temporary / name).write_bytes(content)
                flush_to_disk(temporary / name)
            (temporary / MANIFEST).write_text(_manifest(files, meta), encoding="utf-8")
            flush_to_disk(temporary / MANIFEST)
            flush_to_disk(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.rename(target)
            flush_to_disk(target.parent)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            existing = self.read(key)
            if existing is None:
                raise cannot_write(target, error) from error
            return existing
        return Artifact(target, dict(meta))

    def delete(self, key: str) -> None:
        """Remove an artifact. It goes in one step, then its files: a reader never sees a part of it."""
        doomed = self.root / "tmp" / uuid.uuid4().hex
        try:
            doomed.parent.mkdir(parents=True, exist_ok=True)
            (self.root / key).rename(doomed)
        except FileNotFoundError:
            return
        shutil.rmtree(doomed, ignore_errors=True)

    def keys(self, folder: str) -> list[str]:
        """The keys directly below `folder`, sorted; not verified."""
        return sorted(f"{folder}/{entry.name}" for entry in self._entries(folder))

    def newest(self, folder: str, count: int) -> list[str]:
        """So many keys directly below `folder`, the last written first; not verified."""
        entries = sorted(self._entries(folder), key=lambda entry: entry.stat().st_mtime, reverse=True)
        return [f"{folder}/{entry.name}" for entry in entries[:count]]

    def ledger(self, key: str) -> Path:
        """The file in which a long measurement keeps what it has found until its artifact `key` is written."""
        return self.root / "ledgers" / f"{key.replace('/', '-')}.txt"

    def _entries(self, folder: str) -> Iterator[Path]:
        place = self.root / folder
        return (entry for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else iter(())

    @contextmanager
    def lock(
        self,
        key: str,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        waiting: Callable[[], None] = lambda: None,
    ) -> Iterator[Lease]:
        """Keep other processes from making the same artifact, those of other hosts that share the store, too.

        A holder that dies holds nothing: on its own host the system frees the lock at once, others wait until its lease
        has been silent for a minute. Whoever was stopped for so long and goes on finds the lease `lost`.

        Args:
            should_stop: asked twice a second while another process holds the lock.
            waiting: called once when somebody else holds it.

        Raises:
            Interrupted: `should_stop` said yes.
        """
        place = self.root / "locks" / key.replace("/", "__")
        among_processes, among_hosts = FileLock(place / f"{self.host}.lock"), Lease(place, self.host)

        def taken(patience: float) -> bool:
            if among_processes.is_locked:  # by us, while another host has the lease
                time.sleep(patience)
            else:
                try:
                    among_processes.acquire(timeout=patience)
                except Timeout:
                    return False
            return among_hosts.take()

        told = False
        try:
            try:
                place.mkdir(parents=True, exist_ok=True)
                while not taken(LOOK_SECONDS if told else 0):
                    if should_stop():
                        raise Interrupted(key)
                    if not told:
                        waiting()
                        told = True
            except OSError as error:
                raise cannot_write(place, error) from error
            try:
                yield among_hosts
            finally:
                among_hosts.release()
        finally:
            among_processes.release()

    def sweep(self, *, older_than_seconds: float = 86_400) -> None:
        """Remove what killed processes left half-written, once it is too old to be in the making."""
        for entry in self._entries("tmp"):
            try:
                if time.time() - entry.stat().st_mtime > older_than_seconds:
                    shutil.rmtree(entry, ignore_errors=True)
            except FileNotFoundError:
                continue

    def _set_aside(self, key: str, damage: str) -> None:
        place = self.root / "damaged" / f"{key.replace('/', '__')}-{uuid.uuid4().hex[:8]}"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.root / key, place)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HarnessError(
                f"damaged: {self.root / key} ({damage}); it cannot be set aside ({error.strerror}): remove it by hand"
            ) from error
        self.notify(f"damaged: {self.root / key} ({damage}); set aside as {place}; it will be computed again")


def _manifest(files: Mapping[str, bytes], meta: Mapping[str, Any]) -> str:
    body = {
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
        "meta": dict(meta),
    }
    return canonical_json({**body, "sha256": digest(body)})


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if digest({"files": manifest["files"], "meta": manifest["meta"]}) != manifest["sha256"]:
            raise ValueError("its checksum differs")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{MANIFEST}: {error}") from error
    return manifest


def _verify(folder: Path) -> dict[str, Any]:
    """The manifest's meta.

    Raises:
        ValueError: what is wrong with which file.
        FileNotFoundError: a file is missing.
    """
    manifest = _read_manifest(folder)
    for name, expected in manifest["files"].items():
        path = folder / name
        if path.stat().st_size != expected["bytes"]:
            raise ValueError(f"{name}: {path.stat().st_size} bytes instead of {expected['bytes']}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                raise ValueError(f"{name}: its SHA-256 differs from the manifest's")
    return manifest["meta"]
