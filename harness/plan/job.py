"""A job: one run with all that is to be measured of it; what a worker is handed, as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.plan.run import Run
from harness.plan.wanted import ProbeRequest


@dataclass(frozen=True)
class Job:
    """A run, which of its weights are wanted, and the probes that are missing.

    Attributes:
        wanted: epochs behind the warm-up (0: its end), None for the finished run.
        training: whether some of them are missing.
        label: what it is called on the way, with the role that it plays.
    """

    run: Run
    probes: tuple[ProbeRequest, ...]
    training: bool
    wanted: tuple[int | None, ...] = (None,)
    label: str = ""

    def __str__(self) -> str:
        return self.label or str(self.run)

    def to_plain(self) -> dict[str, Any]:
        return {
            "run": self.run.model_dump(mode="json"),
            "probes": [probe.model_dump(mode="json") for probe in self.probes],
            "training": self.training,
            "wanted": list(self.wanted),
            "label": self.label,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Job:
        probes = tuple(ProbeRequest.model_validate_plain(probe) for probe in plain["probes"])
        run, wanted = Run.model_validate(plain["run"]), tuple(plain["wanted"])
        return cls(run, probes, plain["training"], wanted, plain["label"])
