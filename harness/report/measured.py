"""When and how a table was measured, read from the name of its file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# What follows the probe in `hessian-warmup`, `hessian-after-1-3`, `hessian-warmup-augment-False`.
STEM = re.compile(r"(?P<probe>[^-]+)(-warmup|-after-(?P<share>\d+-\d+))?(?P<changes>(-[^-]+-[^-]+)*)")
WORDS = {
    ("hessian", "augment", "False"): "clean images",
    ("hessian", "convention", "official"): "power iteration",
}


@dataclass(frozen=True)
class Measured:
    """One table's measurement.

    Attributes:
        after: share of the epochs behind the warm-up after which it measured: 0 is the end of the warm-up.
        changes: parameters off the profile's.
    """

    probe: str
    after: Fraction
    changes: tuple[tuple[str, str], ...]

    @property
    def moment(self) -> str:
        if self.after == 1:
            return "at the end of training"
        return f"after {self.after} of training" if self.after else "after warm-up"

    @property
    def manner(self) -> list[str]:
        """The changes, in words."""
        return [WORDS.get((self.probe, *change), " ".join(change)) for change in self.changes]

    @property
    def like_the_paper(self) -> bool:
        """Whether the same images were measured; by which algorithm eigenvalues are found changes no definition."""
        return all(key == "convention" for key, _ in self.changes)


def measured(stem: str) -> Measured | None:
    """What the stem of a table's file says, or None where it is no such name."""
    match = STEM.fullmatch(stem)
    if match is None:
        return None
    share = Fraction(match["share"].replace("-", "/")) if match["share"] else Fraction(int(match[2] is None))
    words = match["changes"].split("-")[1:]
    return Measured(match["probe"], share, tuple(zip(words[::2], words[1::2], strict=True)))
