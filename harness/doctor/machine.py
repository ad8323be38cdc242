"""Processors, GPUs, and room on the disk."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.store.provenance import cores

VECTORS = ("avx2", "avx512f", "amx_bf16", "asimd", "sve")  # as /proc/cpuinfo calls them
BF16 = (8, 0)  # the least compute capability that has it in hardware
HEADROOM = 100e6  # bytes for tables, logs and the report of `quick`, whose committed results take 2.4 MB
PATIENCE_SECONDS = 3.0


def processors() -> Finding:
    """Cores that may be used, and which vectors they compute with."""
    found = " ".join(sorted(cpu_flags() & set(VECTORS)))
    return Finding("CPU", f"{cores()} cores, {platform.machine()}{', ' if found else ''}{found}")


def cpu_flags() -> set[str]:
    """Features of the first core; none where the system does not list them (Linux does)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return next((set(line.split(":")[1].split()) for line in lines if line.startswith(("flags", "Features"))), set())


def gpus() -> Iterator[Finding]:
    """A line a GPU that torch can use; or why it uses none."""
    listed = listed_gpus()
    try:
        import torch
    except Exception:  # said among the packages
        for name, memory, driver in listed:
            yield Finding("GPU", f"{name}, {memory}, driver {driver}", "torch cannot be loaded, so nothing uses it")
        return
    if not torch.cuda.is_available():
        for name, memory, driver in listed:
            built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
            what = (
                f"torch {torch.__version__} is built for {built} and does not find it: install the torch of your driver"
            )
            yield Finding("GPU", f"{name}, {memory}, driver {driver}", what)
        if not listed:
            yield Finding("GPU", "none; --device auto takes the CPU")
        return
    drivers = {name: driver for name, _, driver in listed}
    for number in range(torch.cuda.device_count()):
        card, capability = torch.cuda.get_device_properties(number), torch.cuda.get_device_capability(number)
        driver = f", driver {drivers[card.name]}" if card.name in drivers else ""
        found = f"{card.name}, {card.total_memory / 2**30:.0f} GiB{driver}"
        if torch.version.hip is None and capability < BF16:
            yield Finding("GPU", f"{found}, no bf16", 'a profile with precision = "bf16" is slow here; take "fp32"')
        else:
            yield Finding("GPU", f"{found}, fp32 and bf16")


def usable_gpus() -> int:
    """Those that torch can use; none without torch."""
    try:
        import torch
    except Exception:
        return 0
    return torch.cuda.device_count()


def listed_gpus() -> list[tuple[str, str, str]]:
    """Name, memory and driver of NVIDIA's, without torch; none where there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in done.stdout.splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def room(what: str, folder: Path, needed: float) -> Finding:
    """Free space at a folder that need not be there yet, and whether it can be written.

    Args:
        needed: by the profile `quick`, in bytes.
    """
    place = nearest_folder(folder)
    option = f"give another folder with --{what}"
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding(what, f"{folder}: {error.strerror}", option, blocks=True)
    found = f"{folder}, {size(free)} free"
    if not (place.is_dir() and os.access(place, os.W_OK)):
        return Finding(what, f"{found}, and not to be written", option, blocks=True)
    if free < needed + HEADROOM:
        return Finding(
            what, f"{found}, of {size(needed + HEADROOM)} needed", f"free some space, or {option}", blocks=True
        )
    return Finding(what, found)


def nearest_folder(folder: Path) -> Path:
    """The folder, or the first around it that is there."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def size(bytes_: float) -> str:
    """`950 kB`, `12 MB`, `1.2 GB`."""
    if bytes_ >= 1e9:
        return f"{bytes_ / 1e9:.1f} GB"
    return f"{bytes_ / 1e6:.0f} MB" if bytes_ >= 1e6 else f"{bytes_ / 1e3:.0f} kB"
