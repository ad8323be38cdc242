"""On what a number was measured: hardware, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGES = ("torch", "timm", "numpy", "scipy", "pandas")


@cache
def versions() -> dict[str, str]:
    """Python and the packages that numbers depend on, read without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: torch.device) -> str:
    """The name of the device, e.g. `cpu: AMD EPYC (family 25, model 1, AVX2), 1 thread` or `cuda: NVIDIA H200`.

    Two CPUs of one name may round in different ways, by the instructions that they have and by what libraries choose
    for their model.
    """
    import torch

    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    name, *kind = _processor()
    told = ", ".join([*kind, torch.backends.cpu.get_cpu_capability()])
    return f"cpu: {name} ({told}), {threads} thread{'s' if threads > 1 else ''}"


def repeats_exactly(device: str) -> bool:
    """Whether what `hardware` said of two computations tells that they round alike, if it is the same of both.

    Not of a GPU, nor of a CPU of which only the name was noted, as it once was.
    """
    return re.fullmatch(r"cpu: [^;]*\([^()]+\), \d+ threads?(, \d+ processes)?", device) is not None


def _processor() -> list[str]:
    """Its name and, on Linux on x86, its family and model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return [platform.processor() or platform.machine()]
    first = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    kind = [f"{word} {first[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in first]
    return [first.get("model name", platform.machine()), *kind]


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def commit(root: Path) -> tuple[str | None, bool | None]:
    """The commit that the code stands on, and whether tracked files differ from it; None where there is no git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    status = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD"), None if status is None else bool(status)
