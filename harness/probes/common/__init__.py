"""What several probes are made of. The modules of the probes themselves load torch only when they measure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def without_gradients(measure: Callable[P, R]) -> Callable[P, R]:
    """`torch.no_grad()` around a function, without torch before it is called."""

    @functools.wraps(measure)
    def measured(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch

        with torch.no_grad():
            return measure(*args, **kwargs)

    return measured
