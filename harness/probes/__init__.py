"""Probes: pure measurements of a network, `(model, data, parameters) -> tidy table`.

`from harness.probes import fourier` gives the function itself, for any network with an anatomy. The rest of the package
is light: what a test needs to know of a probe before anything is trained, without torch. (Each probe stands in a module
with an underscore, since a module of the probe's own name would hide the function.)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.probes.kinds import PROBES, ProbeKind

if TYPE_CHECKING:
    from harness.probes._corruption import corruption as corruption
    from harness.probes._fit import fit as fit
    from harness.probes._fourier import fourier as fourier
    from harness.probes._hessian import hessian as hessian
    from harness.probes._landscape import landscape as landscape
    from harness.probes._lesion import lesion as lesion
    from harness.probes._noise import noise as noise
    from harness.probes._prediction import prediction as prediction
    from harness.probes._similarity import similarity as similarity
    from harness.probes._throughput import throughput as throughput
    from harness.probes._variance import variance as variance

__all__ = [
    "PROBES",
    "ProbeKind",
    "corruption",
    "fit",
    "fourier",
    "hessian",
    "landscape",
    "lesion",
    "noise",
    "prediction",
    "similarity",
    "throughput",
    "variance",
]


def __getattr__(name: str) -> Any:
    if name in PROBES:
        return getattr(importlib.import_module(f"harness.probes._{name}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
