"""What can go wrong, said in one line: what was given, what was expected, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.errors import nearest as nearest  # the half-sentence with the nearest valid name

if TYPE_CHECKING:
    from pydantic import ValidationError


class HarnessError(Exception):
    """A fault of the set-up or of the harness. Never a verdict about a claim."""


class Stopped(HarnessError):
    """Not done, because somebody asked to stop or the time was up: no fault."""


class Diverged(HarnessError):
    """A training run met a loss that is not finite."""


def first_problem(error: ValidationError) -> str:
    """The first complaint of pydantic, on one line: `field: what is wrong (given value)`."""
    problem: Any = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"]) or "the file"
    return f"{place}: {problem['msg']} (given: {problem['input']!r:.80})"
