"""Engines bring jobs to processors: worker processes on this machine, or Ray on a cluster."""

from __future__ import annotations

from harness.engine.settings import Engine
from harness.errors import HarnessError, nearest

ENGINES = ("local", "ray")


def engine_named(name: str) -> Engine:
    """The engine behind `--engine`.

    Raises:
        HarnessError: no such engine, or Ray is not installed.
    """
    if name == "local":
        from harness.engine.local import run_jobs

        return run_jobs
    if name == "ray":
        try:
            from harness.engine.on_ray import run_jobs as run_on_ray
        except ImportError as error:
            raise HarnessError(
                "--engine ray needs the package ray: pip install -e '.[ray]' -c constraints.txt"
            ) from error
        return run_on_ray
    raise HarnessError(f"no engine {name!r}; {nearest(name, ENGINES)}")
