"""What there is to measure: the probes by name, each declared in its own module (`KIND`); known without torch."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from harness.probes.common.declaration import (
    UNIT,
    GroupedParameters,
    ImageParameters,
    Parameters,
    ProbeKind,
    TrainingParameters,
)

__all__ = [
    "PROBES",
    "UNIT",
    "GroupedParameters",
    "ImageParameters",
    "Parameters",
    "ProbeKind",
    "TrainingParameters",
]

PROBES: dict[str, ProbeKind] = {
    name.removeprefix("_"): importlib.import_module(f"harness.probes.{name}").KIND
    for _, name, _ in pkgutil.iter_modules([str(Path(__file__).parent)])
    if name.startswith("_")
}
