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
    """

    run: Run
    probes: tuple[ProbeRequest, ...]
    training: bool
    wanted: tuple[int | None, ...] = (None,)

    def to_plain(self) -> dict[str, Any]:
        return {
            "run": self.run.model_dump(mode="json"),
            "probes": [probe.model_dump(mode="json") for probe in self.probes],
            "training": self.training,
            "wanted": list(self.wanted),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Job:
        probes = tuple(ProbeRequest.model_validate_plain(probe) for probe in plain["probes"])
        return cls(Run.model_validate(plain["run"]), probes, plain["training"], tuple(plain["wanted"]))
