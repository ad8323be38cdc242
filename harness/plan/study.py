"""The paper's studies: one thing is varied, and each variant of a role stands somewhere along it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

Place = int | float | str


class Point(BaseModel):
    """A variant as one point of a study.

    Attributes:
        of: the role that is varied.
        study: what is varied, e.g. "heads"; a claim of the catalogue names it.
        at: where, e.g. 6 heads; a word where no number says it ("global", "weak").
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str
    study: str
    at: Place


@dataclass(frozen=True)
class Study:
    """Roles of a test: the variants of a role that a study compares, all of them or the one at `at`."""

    study: str
    of: str
    at: Place | None = None

    def __str__(self) -> str:
        place = "" if self.at is None else f" at {self.at:g}" if isinstance(self.at, float) else f" at {self.at}"
        return f"variant of {self.of} for the study {self.study}{place}"


def in_order(at: Place) -> float:
    """What sorts points of a study: words come after all numbers, and stay as they were listed."""
    return float("inf") if isinstance(at, str) else at


def study(name: str, *, of: str, at: Place | None = None) -> Study:
    """The variants of a role that a study compares, for the `roles` of a claim's test.

    Args:
        name: of the study, as the profile's variants have it.
        of: the role that is varied.
        at: only the variant that stands there.
    """
    return Study(name, of, at)
