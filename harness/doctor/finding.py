"""What was looked at, on one line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One respect in which a machine is as it should be, or not.

    Attributes:
        what: was looked at.
        found: there, in words.
        advice: what to do; None where nothing lacks.
        blocks: whether the profile `quick` cannot be run like this.
    """

    what: str
    found: str
    advice: str | None = None
    blocks: bool = False

    @property
    def mark(self) -> str:
        """A tick, an exclamation mark, or a cross where it blocks."""
        if self.advice is None:
            return "✓"
        return "✗" if self.blocks else "!"

    def __str__(self) -> str:
        line = f"{self.mark} {self.what}: {self.found}"
        return line if self.advice is None else f"{line}; {self.advice}"
