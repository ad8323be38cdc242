"""What becomes of a job when it ends: the same on every engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.engine.settings import Outcome, Watcher
from harness.plan.job import Job


@dataclass
class Ends:
    """Takes the end of each job.

    What failed for a cause that may pass (a worker or a node was lost, memory was short) is tried once more, when all
    others have been begun; its last epoch is in the store.
    """

    watcher: Watcher
    outcome: Outcome = field(default_factory=Outcome)
    _tried: set[str] = field(default_factory=set)  # run ids of those that have failed once

    def take(self, job: Job, end: dict[str, Any]) -> bool:
        """Whether the job is to be tried once more.

        Args:
            end: `done`, `stopped`, or `failed`: the one line that says why, and then whether it `may_pass`.
        """
        if "stopped" in end:
            self.outcome.stopped = True
            return False
        failure = end.get("failed")
        if failure and end["may_pass"] and not self.outcome.stopped and job.run.run_id not in self._tried:
            self._tried.add(job.run.run_id)
            self.watcher.say(f"{failure}; it is tried once more")
            return True
        if failure:
            self.outcome.failed[job.run.run_id] = failure
        self.watcher.finished(job, failure)
        return False
