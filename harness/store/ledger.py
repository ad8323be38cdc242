"""A ledger: numbers of a long measurement, kept one by one as they are found, so that a killed process loses only the
one that it was at.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.store.files import cannot_write

SECONDS_BETWEEN_FLUSHES = 1.0  # onto the disk; what the system has taken survives a killed process as it is


class Ledger:
    """A file of named numbers that only grows: a line each, with a checksum of its own.

    A line that was torn by a kill, damaged, or written for something else is not read; whoever misses its number finds
    it again. One process writes at a time; the caller holds a lock.

    Args:
        path: of the file; folders are made as needed.
        identity: of what is measured, in any form; lines written under another one are not read.

    Attributes:
        found: name -> number, of the lines that could be read and of those added since. Floats come back bit by bit.

    Raises:
        HarnessError: there is a file, and it cannot be read.
    """

    def __init__(self, path: Path, identity: str):
        self.path = path
        self._identity = identity
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise HarnessError(f"cannot read {path}: {error.strerror}; remove it, or make it readable") from error
        self.found = dict(self._sound_lines(content))
        self._torn = bool(content) and not content.endswith(b"\n")
        self._flushed = time.monotonic()

    def add(self, numbers: Mapping[str, float]) -> None:
        """Append some numbers, whose names hold no spaces. They outlive this process from here on.

        Raises:
            HarnessError: the disk is full, read-only or not permitted; what was added before is safe.
        """
        lines = "".join(self._line(f"{name} {number!r}") for name, number in numbers.items())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                # The end of a line that a kill has torn: what follows must not become a part of it.
                file.write(("\n" * self._torn + lines).encode())
                self._torn = True
                file.flush()
                self._torn = False
                if time.monotonic() - self._flushed > SECONDS_BETWEEN_FLUSHES:
                    os.fsync(file.fileno())
                    self._flushed = time.monotonic()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.found.update(numbers)

    def _line(self, text: str) -> str:
        checksum = hashlib.sha256(f"{self._identity}\n{text}".encode()).hexdigest()[:16]
        return f"{checksum} {text}\n"

    def _sound_lines(self, content: bytes) -> Iterator[tuple[str, float]]:
        for line in content.decode(errors="replace").splitlines(keepends=True):
            text = line[17:].rstrip("\n")
            if line == self._line(text):
                name, number = text.split(" ")
                yield name, float(number)
