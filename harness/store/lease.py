"""A lease: which of the hosts that share a folder may work, and none for longer than it is heard of.

The system's own lock holds between processes of one host. On a shared file system it may hold back nobody elsewhere
(NFS without a lock daemon), or stay behind with a host that has died. filelock's SoftFileLease takes a silent holder's
place by exchanging two names, which NFS refuses.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

BEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0  # not heard of for so long, a holder is dead; a shared file system may well pause for a few beats
FREE = "free"
LENGTH = 400  # of a file, whatever it says: written in place, which takes no room on a full disk, and ext4 no flush


class Lease:
    """A claim on a folder, in files of rising numbers: the highest one holds.

    Taking is creating the next number, which a file system grants to one host only, and then removing the older ones.
    The holder writes its own file anew with every beat. Others look whether it changes, on their own clock: no two
    clocks are ever compared. Whoever was silent for too long and is alive after all finds its file gone, and is `lost`.

    Args:
        folder: which is there, and holds nothing else that has a number for a name.
        host: who asks. Its processes keep one another out by other means, so a claim of the same host is of a dead one.

    Attributes:
        lost: another host has taken over; what was begun belongs to it.
    """

    def __init__(self, folder: Path, host: str):
        self.folder, self.host = folder, host
        self.lost = False
        self._file: Path | None = None
        self._seen, self._since = (0, ""), 0.0
        self._beats = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def take(self) -> bool:
        """Try once; whoever gets no for an answer asks again, since only time shows that a holder is silent.

        Raises:
            OSError: the folder cannot be read or written.
        """
        number, said = seen = self._newest()
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        ours = said.partition(" ")[0] == self.host
        silent = time.monotonic() - self._since > SILENT_SECONDS
        if number and not (said == FREE or ours or silent):
            return False
        file = self.folder / f"{number + 1:09d}"
        try:
            file.touch(exist_ok=False)
        except FileExistsError:
            return False
        self._file = file
        try:
            self._write(self._claim())
        except FileNotFoundError:  # the listing was out of date, and who has taken a higher number has removed ours
            return False
        if self._newest()[0] > number + 1:
            file.unlink(missing_ok=True)
            return False
        for older in self._numbered():
            if int(older.name) <= number:
                older.unlink(missing_ok=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Let the next one have it at once; its number stays, so that numbers never fall back."""
        self._end.set()
        self._thread.join()
        with suppress(OSError):  # lost, or the disk is full: then the others wait until it has been silent for long
            self._write(FREE)

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            try:
                self._write(self._claim())
            except FileNotFoundError:
                self.lost = True
                return
            except OSError:  # the file system does not answer for a while
                continue

    def _claim(self) -> str:
        self._beats += 1
        return f"{self.host} {os.getpid()} {self._beats} {time.strftime('%F %T')}"  # the time is for people

    def _write(self, text: str) -> None:
        assert self._file
        with self._file.open("r+") as file:  # not made anew: that it is gone says that it is lost
            file.write(text.ljust(LENGTH))

    def _newest(self) -> tuple[int, str]:
        """The highest number and what its holder says; 0 and nothing where nobody ever held it."""
        file = max(self._numbered(), default=None)
        if file is None:
            return 0, ""
        try:  # opened each time: NFS asks the server then, and may else give what was
            return int(file.name), file.read_text().strip()
        except FileNotFoundError:  # replaced meanwhile
            return int(file.name), ""

    def _numbered(self) -> list[Path]:
        return [file for file in self.folder.iterdir() if file.name.isdecimal()]


@cache
def this_host() -> str:
    """Names this machine while it is up; by its boot, too, since clones and containers share names."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{socket.gethostname()}-{boot.read_text().strip()}"
    except OSError:  # not Linux
        return socket.gethostname()
