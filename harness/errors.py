"""What can go wrong, said in one line: what was given, what was expected, what to do."""

from __future__ import annotations

from models.errors import nearest as nearest  # the half-sentence with the nearest valid name


class HarnessError(Exception):
    """A fault of the set-up or of the harness. Never a verdict about a claim."""


class Diverged(HarnessError):
    """A training run met a loss that is not finite."""
