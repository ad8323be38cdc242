"""What can go wrong before training. Every message says what was given, what would have been right, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModelError(ValueError):
    """Base of every error of this package."""


class UnknownModel(ModelError):
    """No network of that name."""


class UnknownOverride(ModelError):
    """The network has no option of that name."""


class BadOption(ModelError):
    """The option exists, its value is impossible for this network."""


class BadImageSize(ModelError):
    """The network cannot take images of this size."""


class UnknownAnatomy(ModelError):
    """No block of the network is registered, or its units cannot be read."""


def nearest(given: object, known: Iterable[str]) -> str:
    """A hint to append to a message: the nearest valid name, or all of them where none is near."""
    known = sorted(known)
    close = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid: {', '.join(known) or 'none'}"


def one_of(option: str, given: str, known: Iterable[str]) -> str:
    """`given` if it is one of `known`, else BadOption."""
    known = list(known)
    if given not in known:
        raise BadOption(f"{option}={given!r}: expected one of {', '.join(known)}; {nearest(given, known)}")
    return given


def same_length(**options: tuple) -> None:
    """BadOption unless all options (one entry per stage) have the same length."""
    if len({len(value) for value in options.values()}) != 1:
        shown = ", ".join(f"{name}={value} ({len(value)} stages)" for name, value in options.items())
        raise BadOption(f"{shown}: give one entry per stage, the same number everywhere")


def divides(option: str, part: int, whole: int, what: str) -> None:
    """BadImageSize unless `part` divides `whole`."""
    if part < 1 or whole % part:
        fitting = [str(n) for n in range(1, whole + 1) if whole % n == 0]
        raise BadImageSize(f"{option}={part} does not divide {what} of {whole} px; choose one of {', '.join(fitting)}")
