"""What can go wrong, said in one line: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A fault of the set-up or of the harness. Never a verdict about a claim."""


class Diverged(HarnessError):
    """A training run met a loss that is not finite."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The half-sentence that names the nearest valid name, or all of them when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(names) or 'none'}"
